//! Which tables a statement names, and by which names it calls them: as much of FROM as an unfinished
//! statement has.

use skep_sql::{Dialect, Kind, Piece};

/// A table that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The database, where it is named.
    pub database: Option<String>,
    /// The table.
    pub table: String,
    /// What the statement calls it.
    pub alias: Option<String>,
}

impl Named {
    /// Whether `qualifier.column` means a column of this table.
    pub(super) fn is_called(&self, qualifier: &str) -> bool {
        match &self.alias {
            Some(alias) => alias.eq_ignore_ascii_case(qualifier),
            None => self.table.eq_ignore_ascii_case(qualifier),
        }
    }
}

/// What a table's name follows.
const BEFORE_TABLES: [&str; 5] = ["from", "join", "into", "update", "table"];

/// The tables that the statement names.
pub(super) fn of(statement: &str, dialect: Dialect) -> Vec<Named> {
    let pieces = skep_sql::pieces(statement, dialect);
    let pieces: Vec<&Piece> = pieces
        .iter()
        .filter(|piece| piece.kind != Kind::Comment)
        .collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        let word = text(statement, pieces[at]);
        at += 1;
        if !BEFORE_TABLES
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
        {
            continue;
        }
        while let Some((named, next)) = table(statement, &pieces, at) {
            found.push(named);
            at = next;
            match pieces.get(at) {
                Some(piece) if text(statement, piece) == "," => at += 1,
                _ => break,
            }
        }
    }
    found
}

fn text<'a>(statement: &'a str, piece: &Piece) -> &'a str {
    &statement[piece.range.clone()]
}

fn name(statement: &str, pieces: &[&Piece], at: usize) -> Option<String> {
    let piece = pieces.get(at)?;
    let text = text(statement, piece);
    match piece.kind {
        Kind::Word if !skep_sql::is_keyword(text) => Some(text.to_lowercase()),
        Kind::QuotedName if piece.is_closed => Some(skep_sql::unquoted(text)),
        _ => None,
    }
}

/// A table with its alias, and where it ends.
fn table(statement: &str, pieces: &[&Piece], at: usize) -> Option<(Named, usize)> {
    let mut names = vec![name(statement, pieces, at)?];
    let mut next = at + 1;
    while let Some(part) = pieces
        .get(next)
        .filter(|piece| text(statement, piece) == ".")
        .and_then(|_| name(statement, pieces, next + 1))
    {
        names.push(part);
        next += 2;
    }
    let table = names.pop()?;
    let database = names.pop();
    let is_as = |piece: &&&Piece| text(statement, piece).eq_ignore_ascii_case("as");
    if pieces.get(next).filter(is_as).is_some() {
        next += 1;
    }
    let alias = name(statement, pieces, next);
    if alias.is_some() {
        next += 1;
    }
    let named = Named {
        database,
        table,
        alias,
    };
    Some((named, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(statement: &str) -> Vec<String> {
        let found = of(statement, Dialect::Standard).into_iter().map(|named| {
            let database = named.database.map_or(String::new(), |name| name + ".");
            let alias = named.alias.map_or(String::new(), |name| format!(" {name}"));
            format!("{database}{}{alias}", named.table)
        });
        found.collect()
    }

    #[test]
    fn tables_and_what_they_are_called() {
        assert_eq!(
            found("select x from Orders o, d.lineitem as l where"),
            ["orders o", "d.lineitem l"]
        );
        assert_eq!(
            found("select  from a join \"B c\" using (x) left join b.c on"),
            ["a", "B c", "b.c"]
        );
        assert_eq!(found("insert into t select * from u"), ["t", "u"]);
        assert_eq!(found("select * from (select 1 from x) y"), ["x"]);
        assert_eq!(
            found("select 'from a' -- from b\n from "),
            Vec::<String>::new()
        );
    }
}
