//! What `\h` knows: how statements are written, in short.

/// A statement's name and its forms.
const STATEMENTS: &[(&str, &[&str])] = &[
    (
        "ALTER DATABASE",
        &[
            "ALTER DATABASE name SET DBPROPERTIES ('key' = 'value', …)",
            "ALTER DATABASE name SET OWNER [USER] user",
            "ALTER DATABASE name SET LOCATION 'url'",
        ],
    ),
    (
        "ALTER TABLE",
        &[
            "ALTER TABLE name RENAME TO new_name",
            "ALTER TABLE name ADD COLUMNS (column type [COMMENT 'text'], …)",
            "ALTER TABLE name REPLACE COLUMNS (column type, …)",
            "ALTER TABLE name RENAME COLUMN column TO new_name",
            "ALTER TABLE name CHANGE [COLUMN] column new_name type [COMMENT 'text'] [FIRST | AFTER column]",
            "ALTER TABLE name DROP COLUMN column",
            "ALTER TABLE name ADD [IF NOT EXISTS] PARTITION (column = value, …) [LOCATION 'url'] …",
            "ALTER TABLE name DROP [IF EXISTS] PARTITION (column = value, …), …",
            "ALTER TABLE name PARTITION (column = value, …) RENAME TO PARTITION (column = value, …)",
            "ALTER TABLE name [PARTITION (column = value, …)] SET LOCATION 'url'",
            "ALTER TABLE name SET TBLPROPERTIES ('key' = 'value', …)",
            "ALTER TABLE name UNSET TBLPROPERTIES ('key', …)",
        ],
    ),
    ("ALTER USER", &["ALTER USER name [SET] PASSWORD 'password'"]),
    (
        "ALTER VIEW",
        &[
            "ALTER VIEW name RENAME TO new_name",
            "ALTER VIEW name AS query",
            "ALTER VIEW name SET TBLPROPERTIES ('key' = 'value', …)",
            "ALTER VIEW name UNSET TBLPROPERTIES [IF EXISTS] ('key', …)",
        ],
    ),
    (
        "CREATE DATABASE",
        &[
            "CREATE DATABASE [IF NOT EXISTS] name [COMMENT 'text'] [LOCATION 'url']\n  [WITH DBPROPERTIES ('key' = 'value', …)]",
        ],
    ),
    (
        "CREATE EXTERNAL TABLE",
        &[
            "CREATE EXTERNAL TABLE [IF NOT EXISTS] name [(column type [COMMENT 'text'], …)]\n  [PARTITIONED BY (column [type], …)]\n  [ROW FORMAT SERDE 'class' [WITH SERDEPROPERTIES ('key' = 'value', …)]]\n  [STORED AS PARQUET | AVRO | JSONFILE | TEXTFILE]\n  LOCATION 'path or url'",
        ],
    ),
    (
        "CREATE TABLE",
        &[
            "CREATE TABLE [IF NOT EXISTS] name (column type [NOT NULL] [COMMENT 'text'], …)\n  [COMMENT 'text']\n  [PARTITIONED BY (column type, …)]\n  [CLUSTERED BY (column, …) [SORTED BY (column [DESC], …)] INTO n BUCKETS]\n  [STORED AS PARQUET | AVRO | JSONFILE]\n  [LOCATION 'url'] [TBLPROPERTIES ('key' = 'value', …)]",
            "CREATE TABLE [IF NOT EXISTS] name [PARTITIONED BY (column, …)] [STORED AS format] AS query",
            "CREATE TABLE [IF NOT EXISTS] name LIKE table [LOCATION 'url']",
        ],
    ),
    (
        "CREATE USER",
        &["CREATE USER [IF NOT EXISTS] name PASSWORD 'password' [ADMIN]"],
    ),
    (
        "CREATE VIEW",
        &["CREATE [OR REPLACE] VIEW [IF NOT EXISTS] name [(column, …)] [COMMENT 'text'] AS query"],
    ),
    (
        "DESCRIBE",
        &[
            "DESCRIBE [EXTENDED | FORMATTED] table",
            "DESCRIBE DATABASE [EXTENDED] name",
            "DESCRIBE FUNCTION [EXTENDED] name",
            "DESCRIBE QUERY 'id'",
            "DESCRIBE [QUERY] SELECT …",
        ],
    ),
    (
        "DROP DATABASE",
        &["DROP DATABASE [IF EXISTS] name [RESTRICT | CASCADE]"],
    ),
    ("DROP TABLE", &["DROP TABLE [IF EXISTS] name [PURGE]"]),
    ("DROP USER", &["DROP USER [IF EXISTS] name"]),
    ("DROP VIEW", &["DROP VIEW [IF EXISTS] name"]),
    (
        "EXPLAIN",
        &["EXPLAIN [ANALYZE] [VERBOSE] [FORMAT TEXT | JSON] query"],
    ),
    (
        "FROM",
        &[
            "FROM table [join …]\n  INSERT INTO | OVERWRITE [TABLE] name SELECT … [WHERE …]\n  …",
            "FROM table |> WHERE condition |> SELECT expression, … |> …",
        ],
    ),
    (
        "INSERT",
        &[
            "INSERT INTO [TABLE] table [PARTITION (column [= value], …)] [(column, …)] query",
            "INSERT INTO [TABLE] table [(column, …)] VALUES (value, …), …",
            "INSERT OVERWRITE [TABLE] table [PARTITION (column [= value], …) [IF NOT EXISTS]] query",
            "INSERT OVERWRITE [LOCAL] DIRECTORY 'path' [STORED AS format] query",
        ],
    ),
    ("KILL QUERY", &["KILL QUERY 'id'"]),
    (
        "LOAD DATA",
        &[
            "LOAD DATA [LOCAL] INPATH 'path' [OVERWRITE] INTO TABLE table [PARTITION (column = value, …)]",
        ],
    ),
    (
        "MSCK REPAIR TABLE",
        &["MSCK REPAIR TABLE name [ADD | DROP | SYNC PARTITIONS]"],
    ),
    ("REFRESH TABLE", &["REFRESH TABLE name"]),
    ("RESET", &["RESET setting", "RESET ALL"]),
    (
        "SELECT",
        &[
            "[WITH [RECURSIVE] name AS (query), …]\nSELECT [DISTINCT] expression [[AS] name], … | *\n  [FROM table [[AS] name] [join …]]\n  [LATERAL VIEW [OUTER] explode(expression) name AS column]\n  [WHERE condition]\n  [GROUP BY expression, … | ROLLUP (…) | CUBE (…) | GROUPING SETS (…) | ALL]\n  [HAVING condition]\n  [WINDOW name AS (…)]\n  [UNION | INTERSECT | EXCEPT [ALL] query]\n  [ORDER BY expression [ASC | DESC] [NULLS FIRST | LAST], … | ALL]\n  [LIMIT count] [OFFSET count] [FETCH FIRST count ROWS ONLY | WITH TIES]\n\njoin: [INNER | LEFT | RIGHT | FULL | LEFT SEMI | LEFT ANTI | CROSS] JOIN table [ON condition | USING (column, …)]",
        ],
    ),
    ("SET", &["SET setting = value"]),
    (
        "SHOW",
        &[
            "SHOW DATABASES [LIKE 'pattern']",
            "SHOW TABLES [IN database] [LIKE 'pattern']",
            "SHOW VIEWS [IN database] [LIKE 'pattern']",
            "SHOW COLUMNS IN table",
            "SHOW PARTITIONS table [PARTITION (column = value, …)]",
            "SHOW CREATE TABLE | VIEW | DATABASE name",
            "SHOW TBLPROPERTIES table [('key')]",
            "SHOW FUNCTIONS [LIKE 'pattern']",
            "SHOW USERS",
            "SHOW QUERIES",
            "SHOW PROFILE 'query id'",
            "SHOW EXECUTORS",
            "SHOW setting",
            "SHOW ALL",
        ],
    ),
    ("SUMMARIZE", &["SUMMARIZE table", "SUMMARIZE query"]),
    (
        "TRUNCATE TABLE",
        &["TRUNCATE TABLE name [PARTITION (column = value, …)]"],
    ),
    ("USE", &["USE database"]),
    ("VACUUM", &["VACUUM [table] [DRY RUN]"]),
    ("VALUES", &["VALUES (value, …), …"]),
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
    let begins = |name: &&(&str, &[&str])| {
        name.0 == asked
            || name.0.starts_with(asked.as_str())
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
        .map(|(_, forms)| format!("{}\n", forms.join("\n")))
        .collect();
    forms.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found_by_their_beginning() {
        assert!(help(Some("use")).starts_with("USE database"));
        assert!(help(Some("inser")).starts_with("INSERT INTO"));
        assert_eq!(help(Some("drop")).matches("DROP ").count(), 4);
        assert!(help(Some("show tables")).contains("SHOW TABLES"));
        assert!(help(Some("slect")).contains("did you mean \\h SELECT?"));
        assert!(help(Some("xyzzyxyzzy")).contains("\\h lists"));
        for name in names() {
            assert!(help(None).contains(name) && !help(Some(name)).contains("nothing"));
        }
    }
}
