//! SQL as far as an editor has to know it: words, quotes, comments and symbols, and where each stands.
//! No grammar: what is typed is unfinished most of the time.

use std::ops::Range;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, a name or a type.
    Word,
    /// A name in `"` or `` ` ``.
    QuotedName,
    /// A text in `'` or in dollar quotes.
    Text,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// `$1` or `${name}`.
    Parameter,
    /// Anything else but space.
    Symbol,
}

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// Whether its end is there: a quote may be open still.
    pub is_closed: bool,
}

/// The pieces of a text, in order.
pub(crate) fn pieces(sql: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length, is_closed) = piece(rest, first);
        pieces.push(Piece {
            kind,
            range: at..at + length,
            is_closed,
        });
        at += length;
    }
    pieces
}

fn piece(rest: &str, first: char) -> (Kind, usize, bool) {
    if rest.starts_with("--") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), true);
    }
    if rest.starts_with("/*") {
        let (length, is_closed) = comment(rest);
        return (Kind::Comment, length, is_closed);
    }
    let through = |end: Option<usize>| match end {
        Some(end) => (end, true),
        None => (rest.len(), false),
    };
    match first {
        '\'' => {
            let (length, is_closed) = through(quoted(rest, '\''));
            (Kind::Text, length, is_closed)
        }
        '"' | '`' => {
            let (length, is_closed) = through(quoted(rest, first));
            (Kind::QuotedName, length, is_closed)
        }
        '$' => dollar(rest),
        _ if first.is_ascii_digit() => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (Kind::Number, end, true)
        }
        _ if is_word(first) => {
            let end = rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len());
            // A variable may follow a part of a name.
            let variable = rest.find("${").unwrap_or(rest.len());
            (Kind::Word, end.min(variable), true)
        }
        _ => (Kind::Symbol, first.len_utf8(), true),
    }
}

/// Whether the character may be part of a name without quotes.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where the quote that `text` begins with ends; a doubled one does not end it.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = rest.next() {
        if character != quote {
            continue;
        }
        match rest.peek() {
            Some((_, next)) if *next == quote => {
                rest.next();
            }
            _ => return Some(at + 1),
        }
    }
    None
}

fn comment(text: &str) -> (usize, bool) {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = text[at..].find(['/', '*']).map(|found| at + found) {
        if text[found..].starts_with("/*") {
            depth += 1;
            at = found + 2;
        } else if text[found..].starts_with("*/") {
            depth = depth.saturating_sub(1);
            at = found + 2;
            if depth == 0 {
                return (at, true);
            }
        } else {
            at = found + 1;
        }
    }
    (text.len(), false)
}

fn dollar(rest: &str) -> (Kind, usize, bool) {
    if rest.starts_with("${") {
        return match rest.find('}') {
            Some(end) => (Kind::Parameter, end + 1, true),
            None => (Kind::Parameter, rest.len(), false),
        };
    }
    let name = rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1) + 1;
    let starts_with_digit = rest[1..].starts_with(|c: char| c.is_ascii_digit());
    if rest[name..].starts_with('$') && !starts_with_digit {
        let tag = &rest[..=name];
        return match rest[tag.len()..].find(tag) {
            Some(end) => (Kind::Text, tag.len() * 2 + end, true),
            None => (Kind::Text, rest.len(), false),
        };
    }
    match name {
        1 => (Kind::Symbol, 1, true),
        _ => (Kind::Parameter, name, true),
    }
}

/// Whether the statement has places for values: `$1`, `$name`.
pub(crate) fn has_parameters(sql: &str) -> bool {
    pieces(sql)
        .iter()
        .any(|piece| piece.kind == Kind::Parameter && !sql[piece.range.clone()].starts_with("${"))
}

/// The name without its quotes.
pub(crate) fn unquoted(name: &str) -> String {
    for quote in ['"', '`'] {
        if let Some(inner) = name.strip_prefix(quote) {
            let inner = inner.strip_suffix(quote).unwrap_or(inner);
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    name.to_owned()
}

/// The name as SQL takes it: in quotes where it would not be read as it is.
pub(crate) fn quoted_name(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_number = name.starts_with(|c: char| c.is_ascii_digit());
    let is_name = !name.is_empty() && name.chars().all(is_plain) && !is_number;
    if is_name && !RESERVED.contains(&name) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The text as a literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Words that are no names where an expression or a table is expected, unless they are quoted.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "as",
    "between",
    "by",
    "case",
    "cast",
    "create",
    "cross",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "partition",
    "right",
    "select",
    "table",
    "then",
    "true",
    "union",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
];

/// The words of SQL that are completed and highlighted.
pub(crate) const KEYWORDS: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ANTI",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BINARY",
    "BOOLEAN",
    "BUCKETS",
    "BY",
    "CASCADE",
    "CASE",
    "CAST",
    "CLUSTER",
    "CLUSTERED",
    "COLUMN",
    "COLUMNS",
    "COMMENT",
    "COMPUTE",
    "COPY",
    "CREATE",
    "CROSS",
    "CUBE",
    "CURRENT",
    "DATABASE",
    "DATABASES",
    "DATE",
    "DBPROPERTIES",
    "DECIMAL",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DISTRIBUTE",
    "DOUBLE",
    "DROP",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXECUTORS",
    "EXISTS",
    "EXPLAIN",
    "EXTENDED",
    "EXTERNAL",
    "EXTRACT",
    "FALSE",
    "FETCH",
    "FILTER",
    "FIRST",
    "FLOAT",
    "FOLLOWING",
    "FOR",
    "FORMAT",
    "FORMATTED",
    "FROM",
    "FULL",
    "FUNCTIONS",
    "GRANT",
    "GROUP",
    "GROUPING",
    "HAVING",
    "IF",
    "ILIKE",
    "IN",
    "INNER",
    "INPATH",
    "INSERT",
    "INT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KILL",
    "LAST",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOAD",
    "LOCATION",
    "MSCK",
    "NATURAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OPTIONS",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "OVERWRITE",
    "PARQUET",
    "PARTITION",
    "PARTITIONED",
    "PARTITIONS",
    "PASSWORD",
    "PRECEDING",
    "PURGE",
    "QUALIFY",
    "QUERIES",
    "QUERY",
    "RANGE",
    "RECURSIVE",
    "REFRESH",
    "RENAME",
    "REPAIR",
    "REPLACE",
    "RESET",
    "RESTRICT",
    "REVOKE",
    "RIGHT",
    "RLIKE",
    "ROLLUP",
    "ROW",
    "ROWS",
    "SCHEMA",
    "SCHEMAS",
    "SELECT",
    "SEMI",
    "SERDE",
    "SET",
    "SETS",
    "SHOW",
    "SMALLINT",
    "SOME",
    "SORT",
    "SORTED",
    "STATISTICS",
    "STORED",
    "STRING",
    "TABLE",
    "TABLES",
    "TABLESAMPLE",
    "TBLPROPERTIES",
    "THEN",
    "TIME",
    "TIMESTAMP",
    "TINYINT",
    "TO",
    "TRUE",
    "TRUNCATE",
    "UNBOUNDED",
    "UNION",
    "UNIQUE",
    "UNNEST",
    "UNSET",
    "UPDATE",
    "USE",
    "USER",
    "USERS",
    "USING",
    "VACUUM",
    "VALUES",
    "VARCHAR",
    "VERBOSE",
    "VIEW",
    "VIEWS",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// Whether the word is one of SQL's own.
pub(crate) fn is_keyword(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    KEYWORDS.binary_search(&upper.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Vec<(Kind, &str)> {
        let pieces = pieces(sql).into_iter();
        pieces
            .map(|piece| (piece.kind, &sql[piece.range]))
            .collect()
    }

    #[test]
    fn pieces_are_told_apart() {
        assert_eq!(
            read("select 'a''b', \"c\" -- d\n + 1.5e3 $1 ${v}"),
            [
                (Kind::Word, "select"),
                (Kind::Text, "'a''b'"),
                (Kind::Symbol, ","),
                (Kind::QuotedName, "\"c\""),
                (Kind::Comment, "-- d"),
                (Kind::Symbol, "+"),
                (Kind::Number, "1.5e3"),
                (Kind::Parameter, "$1"),
                (Kind::Parameter, "${v}"),
            ]
        );
        assert_eq!(
            read("$x$ a;'b $x$ c"),
            [(Kind::Text, "$x$ a;'b $x$"), (Kind::Word, "c")]
        );
        assert_eq!(read("/* a /* b */ c */ d")[1], (Kind::Word, "d"));
    }

    #[test]
    fn what_is_open_is_open() {
        for open in ["'a", "\"a", "`a", "/* a /* b */", "$$ a", "${a"] {
            let pieces = pieces(open);
            assert_eq!(pieces.len(), 1, "{open}");
            assert!(!pieces[0].is_closed, "{open}");
        }
    }

    #[test]
    fn nothing_is_lost_whatever_is_typed() {
        for text in [
            "é'日", "$", "$$$", "a$b$", "/*/", "*/", "'''", "1.", "\\x", "${", "$1$2$",
        ] {
            let covered: usize = pieces(text).iter().map(|piece| piece.range.len()).sum();
            assert_eq!(covered, text.len(), "{text}");
        }
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(quoted_name("orders_2"), "orders_2");
        assert_eq!(quoted_name("Orders"), "\"Orders\"");
        assert_eq!(quoted_name("a\"b"), "\"a\"\"b\"");
        assert_eq!(unquoted(&quoted_name("a\"b")), "a\"b");
    }

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.is_sorted());
        assert!(is_keyword("select") && is_keyword("WITH") && !is_keyword("orders"));
    }

    #[test]
    fn parameters_are_found_outside_of_quotes() {
        assert!(has_parameters("select $1") && has_parameters("select $name"));
        assert!(!has_parameters("select '$1', ${x} -- $2"));
    }
}
