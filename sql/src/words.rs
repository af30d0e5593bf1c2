//! The words of SQL, and names as SQL writes them.

/// The name without its quotes.
pub fn unquoted(name: &str) -> String {
    for quote in ['"', '`'] {
        if let Some(inner) = name.strip_prefix(quote) {
            let inner = inner.strip_suffix(quote).unwrap_or(inner);
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    name.to_owned()
}

/// The name as SQL takes it: in quotes where it would not be read as it is.
pub fn quoted_name(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_number = name.starts_with(|c: char| c.is_ascii_digit());
    let is_name = !name.is_empty() && name.chars().all(is_plain) && !is_number;
    if is_name && !RESERVED.contains(&name) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The text as a literal.
pub fn literal(text: &str) -> String {
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
pub const KEYWORDS: &[&str] = &[
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
pub fn is_keyword(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    KEYWORDS.binary_search(&upper.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
