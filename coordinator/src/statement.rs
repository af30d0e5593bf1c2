//! Statements: from text to what is to be done.
//!
//! The statements that only Skep has are read by a small parser of its own in front; everything else is
//! DataFusion's affair. Both see the same tokens, so that places in the text are right.

mod commands;
mod cursor;
pub(crate) mod explain;
mod parse;
pub(crate) mod show;
mod size;

pub use cursor::Cursor;
pub use parse::parse;

use datafusion::sql::parser::Statement as DataFusionStatement;

/// One statement.
#[derive(Debug)]
pub enum Statement {
    /// It returns rows that a plan computes.
    Query(Box<DataFusionStatement>),
    /// `EXPLAIN [ANALYZE] …`.
    Explain(Explain),
    /// `CREATE DATABASE`.
    CreateDatabase(CreateDatabase),
    /// `DROP DATABASE`.
    DropDatabase {
        /// Its name.
        name: String,
        /// Whether a missing one is no error.
        if_exists: bool,
        /// Whether its tables go with it.
        cascade: bool,
    },
    /// `USE`.
    Use(String),
    /// `CREATE EXTERNAL TABLE`.
    CreateExternalTable(Box<DataFusionStatement>),
    /// `DROP TABLE`.
    DropTable {
        /// Its name.
        name: TableName,
        /// Whether a missing one is no error.
        if_exists: bool,
    },
    /// `REFRESH TABLE` and `MSCK REPAIR TABLE`.
    RefreshTable(TableName),
    /// `SHOW …` and `DESCRIBE …`: rows that the coordinator has at hand.
    Show(Show),
    /// `SET name = value`.
    Set {
        /// The setting.
        name: String,
        /// Its value as text.
        value: String,
    },
    /// `RESET name` and `RESET ALL`.
    Reset(Option<String>),
    /// `KILL QUERY 'id'`.
    KillQuery(String),
}

impl Statement {
    /// Whether it returns rows.
    pub fn returns_rows(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Explain(_) | Self::Show(_))
    }
}

/// A table as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The database, where it is named.
    pub database: Option<String>,
    /// The table.
    pub table: String,
}

/// `EXPLAIN`.
#[derive(Debug)]
pub struct Explain {
    /// Whether the statement is run.
    pub analyze: bool,
    /// Whether DataFusion's logical plan is shown too.
    pub verbose: bool,
    /// How the plan is shown.
    pub format: ExplainFormat,
    /// What is explained.
    pub statement: Box<DataFusionStatement>,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `CREATE DATABASE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateDatabase {
    /// Its name.
    pub name: String,
    /// Whether an existing one is no error.
    pub if_not_exists: bool,
    /// What is said of it.
    pub comment: Option<String>,
    /// Where its tables' files go.
    pub location: Option<String>,
}

/// What `SHOW` and `DESCRIBE` show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// The databases, those like the pattern where there is one.
    Databases(Option<String>),
    /// The tables of a database, or of the session's.
    Tables {
        /// The database, where it is named.
        database: Option<String>,
        /// The pattern, where there is one.
        like: Option<String>,
    },
    /// The columns of a table.
    Columns(TableName),
    /// The partitions of a table.
    Partitions(TableName),
    /// The executors.
    Executors,
    /// The queries.
    Queries,
    /// One query.
    Query(String),
    /// What the steps of a query did.
    Profile(String),
    /// One setting or all.
    Setting(Option<String>),
}
