//! Every action by every standing, through statements and prepared statements, and what metadata tells.

use crate::actions::{Action, Unseen, actions};
use crate::standings::{Standing, standings};
use crate::world::{World, code, run, tried, tried_prepared};
use arrow::array::{Int64Array, RecordBatch};
use skep_client::{Client, IngestMode};
use skep_protocol::ErrorCode;
use skep_tests::session::engine_error;
use std::sync::Arc;

/// How a statement comes in.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Statement,
    Prepared,
}

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Done,
    /// It is done, and nothing has happened.
    Nothing,
    /// As if the table or its database were not there.
    NotFound,
    /// The column is not there, of which the user may not know.
    NoColumn,
    Denied,
}

fn expected(action: &Action, standing: &Standing) -> Expected {
    if !standing.sees() {
        return match action.unseen {
            Unseen::NotFound => Expected::NotFound,
            Unseen::Nothing => Expected::Nothing,
        };
    }
    if action.needs.iter().all(|any_of| standing.has_any(any_of)) {
        return Expected::Done;
    }
    // A user who may read one column learns of no other.
    let reads_hidden = action.needs == [["SELECT"]] && !action.sql.starts_with("SHOW");
    match standing.has_any(&["SELECT(a)"]) && reads_hidden {
        true => Expected::NoColumn,
        false => Expected::Denied,
    }
}

fn is_as_expected(expected: Expected, code: Option<ErrorCode>) -> bool {
    match expected {
        Expected::Done | Expected::Nothing => code.is_none(),
        Expected::NotFound => matches!(
            code,
            Some(ErrorCode::TableNotFound | ErrorCode::DatabaseNotFound)
        ),
        Expected::NoColumn => code == Some(ErrorCode::ColumnNotFound),
        Expected::Denied => code == Some(ErrorCode::PermissionDenied),
    }
}

/// What rows need that are appended, and those that replace a table.
const APPEND: &[&[&str]] = &[&["INSERT"]];
const REPLACE: &[&[&str]] = &[&["DROP"], &["OWNER"]];

/// The tables of one standing, and the session of its user.
struct Stage<'a> {
    world: &'a mut World,
    standing: Standing,
    database: String,
    user: Client,
    tables: u32,
    cases: u32,
    failures: Vec<String>,
}

impl Stage<'_> {
    async fn new(world: &mut World, standing: Standing) -> Stage<'_> {
        let database = format!("d_{}", standing.name);
        world.admin(&format!("CREATE DATABASE {database}")).await;
        for sql in &standing.of_database {
            world.admin(&sql.replace("{d}", &database)).await;
        }
        let mut user = world.session("u").await;
        for sql in &standing.own {
            run(&mut user, sql).await;
        }
        Stage {
            world,
            standing,
            database,
            user,
            tables: 0,
            cases: 0,
            failures: Vec::new(),
        }
    }

    /// A new table with one row.
    async fn table(&mut self) -> String {
        self.tables += 1;
        let table = format!("{}.t{}", self.database, self.tables);
        let create = format!("CREATE TABLE {table} (a INT, b INT) PARTITIONED BY (p INT)");
        self.world.admin(&create).await;
        let insert = format!("INSERT INTO {table} VALUES (1, 1, 1)");
        self.world.admin(&insert).await;
        for sql in &self.standing.of_table {
            self.world.admin(&sql.replace("{t}", &table)).await;
        }
        table
    }

    fn note(&mut self, expected: Expected, code: Option<ErrorCode>, what: &str) {
        self.cases += 1;
        if !is_as_expected(expected, code) {
            let found = code.map_or("success", ErrorCode::as_str);
            let name = &self.standing.name;
            self.failures.push(format!(
                "{name}: {what}: {expected:?} expected, {found} found"
            ));
        }
    }

    async fn try_action(&mut self, action: &Action, entry: Entry, shared: &str) {
        let expected = expected(action, &self.standing);
        let table = match action.changes && expected == Expected::Done {
            true => self.table().await,
            false => shared.to_owned(),
        };
        let new = format!("own.{}_{}_{}", self.database, self.cases, entry as u8);
        let temporary = new.replace("own.", "");
        let sql = action
            .sql
            .replace("{t}", &table)
            .replace("{own}", "own.mine")
            .replace("{new}", &new)
            .replace("{temporary}", &temporary);
        let sql = sql.replace(
            &format!("RENAME TO {table}_renamed"),
            &format!("RENAME TO {}", table.replace(".t", ".renamed")),
        );
        let result = match entry {
            Entry::Statement => tried(&mut self.user, &sql).await,
            Entry::Prepared => tried_prepared(&mut self.user, &sql).await,
        };
        let text = result.as_ref().err().map(ToString::to_string);
        let what = format!("{entry:?}: {sql}: {}", text.unwrap_or_default());
        self.note(expected, code(&result), &what);
    }

    /// The table is as it was, in spite of all that was tried with it and refused.
    async fn check_untouched(&mut self, table: &str) {
        let rows = run(&mut self.world.admin, &format!("SELECT * FROM {table}")).await;
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        let columns = rows.first().map_or(0, RecordBatch::num_columns);
        assert_eq!((count, columns), (1, 3), "{table} was changed");
        let grants = run(&mut self.world.admin, &format!("SHOW GRANT ON {table}")).await;
        let text = format!("{grants:?}");
        assert!(!text.contains("YES"), "{table}: {text}");
    }

    /// What lists tables and columns has what the user may see.
    async fn try_listings(&mut self, table: &str) {
        let name = table.split_once('.').map_or(table, |(_, name)| name);
        let sees = self.standing.sees();
        let sees_database = sees || self.standing.sees_database;
        let database = self.database.clone();
        let columns = match (sees, self.standing.has_any(&["SELECT(a)"])) {
            (false, _) => 0,
            (true, true) if !self.standing.has.contains(&"OWNER") => 1,
            (true, _) => 3,
        };
        let listed = self.user.tables(Some(&database)).await.expect("tables");
        self.listed(
            "metadata",
            listed.iter().any(|found| found.name == name),
            sees,
        );
        let listed = self.user.columns(&database, name).await.expect("columns");
        self.listed("metadata of columns", listed.len() == columns, true);
        let listed = self.user.databases().await.expect("databases");
        self.listed("databases", listed.contains(&database), sees_database);
        for (sql, expected) in [
            (
                format!(
                    "SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}'"
                ),
                sees,
            ),
            (
                format!(
                    "SELECT b FROM (SELECT column_name AS b FROM information_schema.columns \
                         WHERE table_schema = '{database}') AS c WHERE b = 'a'"
                ),
                sees,
            ),
            (
                format!(
                    "SELECT schema_name FROM information_schema.schemata WHERE schema_name = '{database}'"
                ),
                sees_database,
            ),
            (
                format!(
                    "SELECT row_count FROM information_schema.table_statistics \
                         WHERE table_schema = '{database}'"
                ),
                self.standing.has_any(&["SELECT"]),
            ),
            (format!("SHOW DATABASES LIKE '{database}'"), sees_database),
        ] {
            let rows = run(&mut self.user, &sql).await;
            let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
            self.listed(&sql, count > 0, expected);
        }
        let tables = tried(&mut self.user, &format!("SHOW TABLES IN {database}")).await;
        match (&tables, sees_database) {
            (Ok(rows), true) => {
                let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
                self.listed("SHOW TABLES", count > 0, sees);
            }
            _ => self.listed("SHOW TABLES", tables.is_ok(), sees_database),
        }
    }

    fn listed(&mut self, what: &str, found: bool, expected: bool) {
        self.cases += 1;
        if found != expected {
            let name = &self.standing.name;
            self.failures.push(format!(
                "{name}: {what}: {expected} expected, {found} found"
            ));
        }
    }

    /// Rows that the client sends.
    async fn try_ingest(&mut self, shared: &str) {
        for (mode, needs) in [(IngestMode::Append, APPEND), (IngestMode::Replace, REPLACE)] {
            let action = Action {
                sql: "",
                needs,
                changes: true,
                unseen: Unseen::NotFound,
            };
            // A user who may replace a table may drop it and create one in its place.
            let owns_table_alone = self.standing.name == "owner";
            let expected = match (expected(&action, &self.standing), mode) {
                (Expected::Done, IngestMode::Replace) if owns_table_alone => Expected::Denied,
                // A table that is not seen is not there, and a new one needs a database.
                (Expected::NotFound, IngestMode::Replace) if self.standing.sees_database => {
                    continue;
                }
                (expected, _) => expected,
            };
            let table = match expected == Expected::Done {
                true => self.table().await,
                false => shared.to_owned(),
            };
            let column = Arc::new(Int64Array::from(vec![1])) as arrow::array::ArrayRef;
            let columns = ["a", "b", "p"].map(|name| (name, Arc::clone(&column)));
            let batch = RecordBatch::try_from_iter(columns).expect("a batch");
            let rows = futures::stream::iter([batch.clone()]);
            let result = self.user.ingest(&table, mode, batch.schema(), rows).await;
            let result = result.map_err(engine_error);
            self.note(
                expected,
                code(&result),
                &format!("{mode:?} of rows into {table}"),
            );
        }
    }
}

#[tokio::test]
async fn every_action_by_every_standing_through_every_entry() {
    let mut world = World::new().await;
    let (mut cases, mut failures) = (0, Vec::new());
    for standing in standings() {
        let mut stage = Stage::new(&mut world, standing).await;
        let shared = stage.table().await;
        stage.try_listings(&shared).await;
        for action in actions() {
            for entry in [Entry::Statement, Entry::Prepared] {
                stage.try_action(&action, entry, &shared).await;
            }
        }
        stage.try_ingest(&shared).await;
        stage.check_untouched(&shared).await;
        cases += stage.cases;
        failures.append(&mut stage.failures);
    }
    assert!(cases > 2_000, "{cases} cases");
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} of {cases} cases:\n{}",
        failures.join("\n")
    );
}
