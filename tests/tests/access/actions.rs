//! What somebody may try with a table, and what they need for it.

/// What is expected of those who may not know of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The error of what is not there.
    NotFound,
    /// Nothing happens, and that is no error.
    Nothing,
}

/// One thing to try.
#[derive(Clone, Debug)]
pub struct Action {
    /// The statement, with `{t}` for the table, `{d}` for its database, `{own}` for a table of the user's own and
    /// `{new}` for a free name in their own database.
    pub sql: &'static str,
    /// One of each of these is needed.
    pub needs: &'static [&'static [&'static str]],
    /// Whether what is there changes where it succeeds.
    pub changes: bool,
    /// For those who do not see the table.
    pub unseen: Unseen,
}

const READ: &[&str] = &["SELECT", "SELECT(a)"];
const READ_ALL: &[&str] = &["SELECT"];
const KNOW: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "DROP"];
const SEE: &[&str] = &[
    "SELECT",
    "SELECT(a)",
    "INSERT",
    "UPDATE",
    "DELETE",
    "ALTER",
    "DROP",
];

fn reads(sql: &'static str, needs: &'static [&'static [&'static str]]) -> Action {
    Action {
        sql,
        needs,
        changes: false,
        unseen: Unseen::NotFound,
    }
}

fn changes(sql: &'static str, needs: &'static [&'static [&'static str]]) -> Action {
    Action {
        changes: true,
        ..reads(sql, needs)
    }
}

/// All there are.
pub fn actions() -> Vec<Action> {
    vec![
        reads("SELECT * FROM {t}", &[READ]),
        reads("SELECT a FROM {t}", &[READ]),
        reads("SELECT count(*) FROM {t}", &[READ]),
        reads("SELECT b FROM {t}", &[READ_ALL]),
        reads("SELECT a FROM {t} WHERE b > 0", &[READ_ALL]),
        reads("SELECT a FROM {t} ORDER BY b", &[READ_ALL]),
        reads(
            "SELECT x.a FROM {t} AS x JOIN {own} AS y ON x.b = y.b",
            &[READ_ALL],
        ),
        reads("SELECT 1 WHERE EXISTS (SELECT a FROM {t})", &[READ]),
        reads(
            "SELECT a FROM {own} WHERE a IN (SELECT x.b FROM {t} AS x)",
            &[READ_ALL],
        ),
        reads("SELECT (SELECT max(a) FROM {t})", &[READ]),
        reads("WITH c AS (SELECT a FROM {t}) SELECT * FROM c", &[READ]),
        reads("SELECT a FROM {own} UNION ALL SELECT a FROM {t}", &[READ]),
        reads("SELECT a FROM (SELECT a FROM {t}) AS x LIMIT 1", &[READ]),
        reads("SELECT * FROM {t} TABLESAMPLE (10 PERCENT)", &[READ]),
        reads("EXPLAIN SELECT a FROM {t}", &[READ]),
        reads("EXPLAIN ANALYZE SELECT a FROM {t}", &[READ]),
        reads("EXPLAIN VERBOSE SELECT b FROM {t}", &[READ_ALL]),
        reads("DESCRIBE SELECT a FROM {t}", &[READ]),
        reads("SUMMARIZE {t}", &[READ]),
        reads("DESCRIBE {t}", &[SEE]),
        reads("DESCRIBE {t} a", &[SEE]),
        reads("SHOW COLUMNS IN {t}", &[SEE]),
        reads("DESCRIBE FORMATTED {t}", &[KNOW]),
        reads("SHOW CREATE TABLE {t}", &[KNOW]),
        reads("SHOW TBLPROPERTIES {t}", &[KNOW]),
        reads("SHOW PARTITIONS {t}", &[READ_ALL]),
        changes("CREATE TABLE {new} AS SELECT a FROM {t}", &[READ]),
        changes("CREATE TABLE {new} LIKE {t}", &[KNOW]),
        changes("CREATE VIEW {new} AS SELECT a FROM {t}", &[READ]),
        changes(
            "CREATE TEMPORARY VIEW {temporary} AS SELECT a FROM {t}",
            &[READ],
        ),
        changes("INSERT INTO {own} SELECT a, a, a FROM {t}", &[READ]),
        changes("FROM {t} INSERT INTO {own} SELECT a, a, a", &[READ]),
        changes("INSERT INTO {t} VALUES (2, 2, 2)", &[&["INSERT"]]),
        changes("INSERT INTO {t} SELECT * FROM {own}", &[&["INSERT"]]),
        changes("FROM {own} INSERT INTO {t} SELECT a, b, p", &[&["INSERT"]]),
        changes(
            "INSERT OVERWRITE TABLE {t} PARTITION (p) SELECT * FROM {own}",
            &[&["INSERT"], &["DELETE"]],
        ),
        changes("TRUNCATE TABLE {t}", &[&["DELETE"]]),
        changes("ALTER TABLE {t} ADD COLUMNS (c INT)", &[&["ALTER"]]),
        changes("ALTER TABLE {t} RENAME COLUMN a TO z", &[&["ALTER"]]),
        changes(
            "ALTER TABLE {t} SET TBLPROPERTIES ('k' = 'v')",
            &[&["ALTER"]],
        ),
        changes("ALTER TABLE {t} ADD PARTITION (p = 7)", &[&["ALTER"]]),
        changes(
            "ALTER TABLE {t} DROP PARTITION (p = 1)",
            &[&["ALTER"], &["DELETE"]],
        ),
        changes("ALTER TABLE {t} RENAME TO {t}_renamed", &[&["ALTER"]]),
        changes("ALTER TABLE {t} OWNER TO u", &[&["OWNER"]]),
        changes("GRANT SELECT ON {t} TO u", &[&["OWNER"]]),
        changes(
            "GRANT ALL ON {t} TO PUBLIC WITH GRANT OPTION",
            &[&["OWNER"]],
        ),
        changes("REVOKE SELECT ON {t} FROM ROLE r", &[&["OWNER"]]),
        changes("DROP TABLE {t}", &[&["DROP"]]),
        Action {
            unseen: Unseen::Nothing,
            ..changes("DROP TABLE IF EXISTS {t}", &[&["DROP"]])
        },
        reads("VACUUM {t} DRY RUN", &[&["ALTER"]]),
    ]
}
