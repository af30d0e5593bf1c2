//! Statements that write rows.

use super::clauses::{partition, storage, unsupported};
use super::query::{source_query, source_query_of};
use crate::statement::{
    Cursor, Insert, InsertDirectory, LoadData, PartitionSpec, SourceQuery, Statement,
    StorageClauses, TableName,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use skep_protocol::QueryError;

/// What stands between INSERT and the rows.
enum Target {
    Table(Box<TargetTable>),
    Directory {
        location: String,
        storage: StorageClauses,
    },
}

struct TargetTable {
    table: TableName,
    overwrite: bool,
    partition: PartitionSpec,
    if_not_exists: bool,
    columns: Vec<String>,
}

impl TargetTable {
    fn with(self, source: SourceQuery) -> Insert {
        Insert {
            table: self.table,
            overwrite: self.overwrite,
            partition: self.partition,
            if_not_exists: self.if_not_exists,
            columns: self.columns,
            source,
        }
    }
}

/// Reads what follows `INSERT`.
pub(super) fn insert(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let target = target(cursor)?;
    let source = source_query(cursor)?;
    Ok(match target {
        Target::Table(table) => Statement::Insert(vec![table.with(source)]),
        Target::Directory { location, storage } => {
            Statement::InsertDirectory(Box::new(InsertDirectory {
                location,
                storage,
                source,
            }))
        }
    })
}

fn target(cursor: &mut Cursor) -> Result<Target, QueryError> {
    let overwrite = cursor.accept(&["overwrite"]);
    if !overwrite {
        cursor.expect(&["into"])?;
    }
    if overwrite && (cursor.accept(&["local", "directory"]) || cursor.accept(&["directory"])) {
        let location = cursor.string("a directory in quotes")?;
        let mut clauses = StorageClauses::default();
        while storage(cursor, &mut clauses)? {}
        return Ok(Target::Directory {
            location,
            storage: clauses,
        });
    }
    cursor.accept(&["table"]);
    let table = cursor.table_name()?;
    let partition = partition(cursor)?;
    let if_not_exists = cursor.accept(&["if", "not", "exists"]);
    if cursor.accept(&["by", "name"]) {
        return Err(unsupported("INSERT … BY NAME"));
    }
    let columns = match starts_columns(cursor) {
        true => cursor.parenthesised(|cursor| cursor.name("a column"))?,
        false => Vec::new(),
    };
    Ok(Target::Table(Box::new(TargetTable {
        table,
        overwrite,
        partition,
        if_not_exists,
        columns,
    })))
}

/// A parenthesis opens either a list of columns or a query.
fn starts_columns(cursor: &Cursor) -> bool {
    let mut inner = cursor.clone();
    inner.accept_token(&Token::LParen)
        && !["select", "with", "values", "from"]
            .iter()
            .any(|word| inner.is_next(&[word]))
        && inner.peek() != Some(&Token::LParen)
}

/// Where the tokens are words that only INSERT has behind a FROM.
fn starts_insert(cursor: &Cursor) -> bool {
    cursor.is_next(&["insert", "into"]) || cursor.is_next(&["insert", "overwrite"])
}

/// Reads `[WITH …] FROM source INSERT … SELECT … [INSERT … SELECT …]` and `WITH … INSERT … SELECT …`,
/// where that is what comes next: every INSERT becomes one of its own, whose query has the common
/// beginning.
pub(super) fn multi_insert(cursor: &mut Cursor) -> Result<Option<Statement>, QueryError> {
    let mut ahead = cursor.clone();
    let starts_from = |cursor: &Cursor| cursor.is_next(&["from"]);
    let with = match ahead.is_next(&["with"]) {
        true => until(&mut ahead, |cursor| {
            starts_from(cursor) || starts_insert(cursor)
        }),
        false => Vec::new(),
    };
    let from = match starts_from(&ahead) {
        true => until(&mut ahead, starts_insert),
        false => Vec::new(),
    };
    let has_beginning = !with.is_empty() || !from.is_empty();
    if !has_beginning || !starts_insert(&ahead) {
        return Ok(None);
    }
    let mut inserts = Vec::new();
    while ahead.accept(&["insert"]) {
        let Target::Table(table) = target(&mut ahead)? else {
            return Err(unsupported(
                "INSERT OVERWRITE DIRECTORY behind a common WITH or FROM",
            ));
        };
        if !from.is_empty() && !ahead.is_next(&["select"]) {
            return Err(ahead.unexpected("SELECT"));
        }
        let query = until(&mut ahead, starts_insert);
        let query = match from.is_empty() {
            true => query,
            false => with_from(&from, query),
        };
        let source = source_query_of([with.clone(), query].concat())?;
        inserts.push(table.with(source));
    }
    ahead.end()?;
    *cursor = ahead;
    Ok(Some(Statement::Insert(inserts)))
}

/// The tokens up to the place outside of parentheses where `ends` holds.
fn until(cursor: &mut Cursor, ends: impl Fn(&Cursor) -> bool) -> Vec<TokenWithSpan> {
    let start = cursor.clone();
    let mut depth = 0_usize;
    while let Some(token) = cursor.peek() {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && ends(cursor) {
            break;
        }
        cursor.skip();
    }
    start.until(cursor.index())
}

/// Puts a FROM behind the list of a SELECT that has none: before the first clause that follows it.
fn with_from(from: &[TokenWithSpan], select: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    const FOLLOWING: &[&str] = &[
        "where",
        "group",
        "having",
        "window",
        "qualify",
        "order",
        "sort",
        "distribute",
        "cluster",
        "limit",
        "lateral",
    ];
    let mut depth = 0_usize;
    let place = select.iter().position(|token| match &token.token {
        Token::LParen => {
            depth += 1;
            false
        }
        Token::RParen => {
            depth = depth.saturating_sub(1);
            false
        }
        Token::Word(word) if depth == 0 && word.quote_style.is_none() => FOLLOWING
            .iter()
            .any(|following| word.value.eq_ignore_ascii_case(following)),
        _ => false,
    });
    let (list, clauses) = select.split_at(place.unwrap_or(select.len()));
    [list, from, clauses].concat()
}

/// Reads what follows `LOAD DATA`.
pub(super) fn load_data(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let local = cursor.accept(&["local"]);
    cursor.expect(&["inpath"])?;
    let location = cursor.string("a path in quotes")?;
    let overwrite = cursor.accept(&["overwrite"]);
    cursor.expect(&["into", "table"])?;
    let table = cursor.table_name()?;
    let partition = partition(cursor)?;
    if cursor.is_next(&["inputformat"]) {
        return Err(unsupported("LOAD DATA … INPUTFORMAT"));
    }
    Ok(Statement::LoadData(LoadData {
        location,
        local,
        overwrite,
        table,
        partition,
    }))
}
