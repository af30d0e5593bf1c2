//! What `\h` knows: how statements are written, in short.

/// A statement's name and its forms.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "ALTER TABLE",
        "ALTER TABLE name RENAME TO new_name\nALTER TABLE name ADD COLUMNS (column type [COMMENT 'text'], …)\nALTER TABLE name ADD [IF NOT EXISTS] PARTITION (column = value, …) [LOCATION 'url']\nALTER TABLE name DROP [IF EXISTS] PARTITION (column = value, …)\nALTER TABLE name SET TBLPROPERTIES ('key' = 'value', …)",
    ),
    ("ALTER USER", "ALTER USER name PASSWORD 'password'"),
    (
        "ANALYZE TABLE",
        "ANALYZE TABLE name [PARTITION (column = value, …)] COMPUTE STATISTICS [FOR COLUMNS [column, …]]",
    ),
    (
        "CREATE DATABASE",
        "CREATE DATABASE [IF NOT EXISTS] name [COMMENT 'text'] [LOCATION 'url']",
    ),
    (
        "CREATE EXTERNAL TABLE",
        "CREATE EXTERNAL TABLE [IF NOT EXISTS] name [(column type, …)]\n  [PARTITIONED BY (column, …)]\n  STORED AS PARQUET\n  LOCATION 'path or url'",
    ),
    (
        "CREATE TABLE",
        "CREATE TABLE [IF NOT EXISTS] name (column type [COMMENT 'text'], …)\n  [PARTITIONED BY (column type, …)]\n  [LOCATION 'url']\nCREATE TABLE [IF NOT EXISTS] name [PARTITIONED BY (column, …)] AS query",
    ),
    (
        "CREATE USER",
        "CREATE USER [IF NOT EXISTS] name PASSWORD 'password' [ADMIN]",
    ),
    (
        "CREATE VIEW",
        "CREATE [OR REPLACE] VIEW [IF NOT EXISTS] name AS query",
    ),
    (
        "DESCRIBE",
        "DESCRIBE [FORMATTED] table\nDESCRIBE QUERY 'id'",
    ),
    (
        "DROP DATABASE",
        "DROP DATABASE [IF EXISTS] name [RESTRICT | CASCADE]",
    ),
    ("DROP TABLE", "DROP TABLE [IF EXISTS] name"),
    ("DROP USER", "DROP USER [IF EXISTS] name"),
    ("DROP VIEW", "DROP VIEW [IF EXISTS] name"),
    (
        "EXPLAIN",
        "EXPLAIN [ANALYZE] [VERBOSE] [FORMAT TEXT | JSON] query",
    ),
    (
        "INSERT",
        "INSERT INTO table [PARTITION (column [= value], …)] query\nINSERT INTO table [(column, …)] VALUES (value, …), …\nINSERT OVERWRITE [TABLE] table [PARTITION (column [= value], …)] query",
    ),
    ("KILL QUERY", "KILL QUERY 'id'"),
    ("MSCK REPAIR TABLE", "MSCK REPAIR TABLE name"),
    ("REFRESH TABLE", "REFRESH TABLE name"),
    ("RESET", "RESET setting\nRESET ALL"),
    (
        "SELECT",
        "[WITH [RECURSIVE] name AS (query), …]\nSELECT [DISTINCT] expression [[AS] name], … | *\n  [FROM table [[AS] name] [join …]]\n  [WHERE condition]\n  [GROUP BY expression, … | ROLLUP (…) | CUBE (…) | GROUPING SETS (…)]\n  [HAVING condition]\n  [WINDOW name AS (…)]\n  [UNION | INTERSECT | EXCEPT [ALL] query]\n  [ORDER BY expression [ASC | DESC] [NULLS FIRST | LAST], …]\n  [LIMIT count] [OFFSET count]\n\njoin: [INNER | LEFT | RIGHT | FULL | LEFT SEMI | LEFT ANTI | CROSS] JOIN table [ON condition | USING (column, …)]",
    ),
    ("SET", "SET setting = value"),
    (
        "SHOW",
        "SHOW DATABASES [LIKE 'pattern']\nSHOW TABLES [IN database] [LIKE 'pattern']\nSHOW COLUMNS IN table\nSHOW PARTITIONS table\nSHOW FUNCTIONS [LIKE 'pattern']\nSHOW QUERIES\nSHOW PROFILE 'query id'\nSHOW EXECUTORS\nSHOW setting\nSHOW ALL",
    ),
    (
        "TRUNCATE TABLE",
        "TRUNCATE TABLE name [PARTITION (column = value, …)]",
    ),
    ("USE", "USE database"),
    ("VALUES", "VALUES (value, …), …"),
];

/// All names, for completion.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    STATEMENTS.iter().map(|(name, _)| *name)
}

/// What `\h` prints: the forms of the statements that begin like that, or their names.
pub(crate) fn help(asked: Option<&str>) -> String {
    let Some(asked) = asked else {
        let mut help = String::from("\\h with one of:\n");
        for name in names() {
            help.push_str(&format!("  {name}\n"));
        }
        return help;
    };
    let asked = asked.split_whitespace().collect::<Vec<_>>().join(" ");
    let asked = asked.to_ascii_uppercase();
    let begins = |name: &&(&str, &str)| {
        name.0 == asked
            || name.0.starts_with(&format!("{asked} "))
            || asked.starts_with(&format!("{} ", name.0))
    };
    let found: Vec<_> = STATEMENTS.iter().filter(begins).collect();
    if found.is_empty() {
        let near = names().min_by_key(|name| strsim::damerau_levenshtein(name, &asked));
        let near = near.filter(|name| strsim::damerau_levenshtein(name, &asked) <= 3);
        let hint = near.map_or_else(
            || "\\h lists what there is".to_owned(),
            |near| format!("did you mean \\h {near}?"),
        );
        return format!("nothing is known of {asked}: {hint}\n");
    }
    let forms: Vec<_> = found
        .iter()
        .map(|(_, forms)| format!("{forms}\n"))
        .collect();
    forms.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found_by_their_beginning() {
        assert!(help(Some("use")).starts_with("USE database"));
        assert_eq!(help(Some("drop")).matches("DROP ").count(), 4);
        assert!(help(Some("show tables")).contains("SHOW TABLES"));
        assert!(help(Some("slect")).contains("did you mean \\h SELECT?"));
        assert!(help(Some("xyzzyxyzzy")).contains("\\h lists"));
        for name in names() {
            assert!(help(None).contains(name) && !help(Some(name)).contains("nothing"));
        }
    }
}
