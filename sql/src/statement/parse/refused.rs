//! Statements of Hive and its like that Skep does not have: refused by name, never ignored.

use crate::statement::Cursor;

/// The first words of a statement, and what it is called.
const REFUSED: &[(&[&str], &str)] = &[
    (&["add", "jar"], "ADD JAR"),
    (&["add", "file"], "ADD FILE"),
    (&["add", "archive"], "ADD ARCHIVE"),
    (&["alter", "materialized"], "ALTER MATERIALIZED VIEW"),
    (&["begin"], "BEGIN"),
    (&["cache"], "CACHE TABLE"),
    (&["commit"], "COMMIT"),
    (&["create", "function"], "CREATE FUNCTION"),
    (
        &["create", "or", "replace", "table"],
        "CREATE OR REPLACE TABLE",
    ),
    (&["create", "materialized"], "CREATE MATERIALIZED VIEW"),
    (
        &["create", "temporary", "function"],
        "CREATE TEMPORARY FUNCTION",
    ),
    (&["create", "temporary", "macro"], "CREATE TEMPORARY MACRO"),
    (&["create", "index"], "CREATE INDEX"),
    (&["deallocate"], "DEALLOCATE"),
    (&["delete"], "DELETE"),
    (&["dfs"], "DFS"),
    (&["drop", "function"], "DROP FUNCTION"),
    (&["drop", "materialized"], "DROP MATERIALIZED VIEW"),
    (
        &["drop", "temporary", "function"],
        "DROP TEMPORARY FUNCTION",
    ),
    (&["drop", "temporary", "macro"], "DROP TEMPORARY MACRO"),
    (&["drop", "index"], "DROP INDEX"),
    (&["execute"], "EXECUTE"),
    (&["export"], "EXPORT TABLE"),
    (&["import"], "IMPORT TABLE"),
    (&["invalidate"], "INVALIDATE METADATA; write REFRESH TABLE"),
    (&["list"], "LIST"),
    (&["lock"], "LOCK TABLE"),
    (&["merge"], "MERGE"),
    (&["prepare"], "PREPARE"),
    (&["reload"], "RELOAD FUNCTIONS"),
    (&["rollback"], "ROLLBACK"),
    (&["start", "transaction"], "START TRANSACTION"),
    (&["uncache"], "UNCACHE TABLE"),
    (&["unlock"], "UNLOCK TABLE"),
    (&["update"], "UPDATE"),
];

/// What the statement is called, where it is one of these.
pub(super) fn refused(cursor: &Cursor) -> Option<&'static str> {
    REFUSED
        .iter()
        .find(|(words, _)| cursor.is_next(words))
        .map(|(_, name)| *name)
}
