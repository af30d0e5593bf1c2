//! One statement: from its text to what is to be done.
//!
//! The statements that only Skep has are read by a small parser of its own in front; everything else is
//! DataFusion's affair. Both see the same tokens, so that places in the text are right.

mod access;
mod analyze;
mod cursor;
mod definition;
mod parse;
mod placeholders;
mod size;
mod users;
mod write;

pub use access::{
    AccessStatement, ObjectName, PrincipalName, PrivilegeName, RoleChoice, SECURITY_INVOKER,
    SECURITY_PROPERTY, ShowAccess,
};
pub use analyze::{AnalyzeTable, AnalyzedColumns};
pub use cursor::{Cursor, position};
pub use definition::{
    Buckets, ColumnDefinition, ColumnPlace, Comparison, CreateDatabase, CreateTable, CreateView,
    DatabaseChange, PartitionCondition, PartitionSpec, Repair, SqlType, StorageClauses,
    TableChange, ViewChange,
};
pub use parse::{
    ParseOptions, SUMMARY_ALIAS, as_written, call, named_type, parse, query_of, select_all,
    type_of_text, unsupported,
};
pub use users::{Password, UserStatement, without_secrets};
pub use write::{CopyFrom, CopyOption, CopyTo, Insert, InsertDirectory, LoadData};

pub use crate::dialect::Dialect;
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
    /// `ALTER DATABASE`.
    AlterDatabase {
        /// Its name.
        name: String,
        /// What becomes of it.
        change: DatabaseChange,
    },
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
    /// `CREATE TABLE`.
    CreateTable(Box<CreateTable>),
    /// `ALTER TABLE`.
    AlterTable {
        /// Its name.
        name: TableName,
        /// What becomes of it.
        change: TableChange,
    },
    /// `DROP TABLE`.
    DropTable {
        /// Its name.
        name: TableName,
        /// Whether a missing one is no error.
        if_exists: bool,
    },
    /// `TRUNCATE TABLE`.
    Truncate {
        /// Its name.
        name: TableName,
        /// Only these partitions; all where it is empty.
        partition: PartitionSpec,
    },
    /// `ANALYZE TABLE`.
    Analyze(AnalyzeTable),
    /// `REFRESH TABLE`.
    RefreshTable(TableName),
    /// `MSCK REPAIR TABLE`.
    RepairTable {
        /// Its name.
        name: TableName,
        /// What is looked for.
        repair: Repair,
    },
    /// `VACUUM`.
    Vacuum {
        /// The table; all managed ones where there is none.
        name: Option<TableName>,
        /// DRY RUN.
        dry_run: bool,
    },
    /// `CREATE VIEW`, `ALTER VIEW … AS`.
    CreateView(Box<CreateView>),
    /// `ALTER VIEW`.
    AlterView {
        /// Its name.
        name: TableName,
        /// What becomes of it.
        change: ViewChange,
    },
    /// `DROP VIEW`.
    DropView {
        /// Its name.
        name: TableName,
        /// Whether a missing one is no error.
        if_exists: bool,
    },
    /// `INSERT`; several where a query feeds several tables.
    Insert(Vec<Insert>),
    /// `INSERT OVERWRITE DIRECTORY`.
    InsertDirectory(Box<InsertDirectory>),
    /// `COPY … TO`.
    CopyTo(Box<CopyTo>),
    /// `COPY … FROM`.
    CopyFrom(Box<CopyFrom>),
    /// `LOAD DATA`.
    LoadData(LoadData),
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
    /// `ALTER EXECUTOR 'id' DRAIN`.
    DrainExecutor(String),
    /// `CREATE USER`, `ALTER USER` and `DROP USER`.
    User(UserStatement),
    /// A statement about roles and grants.
    Access(AccessStatement),
}

impl Statement {
    /// Whether it returns rows.
    pub fn returns_rows(&self) -> bool {
        matches!(
            self,
            Self::Query(_) | Self::Explain(_) | Self::Show(_) | Self::Vacuum { .. }
        )
    }
}

/// A query inside of another statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceQuery {
    /// The query.
    pub statement: Box<DataFusionStatement>,
    /// As it was written.
    pub sql: String,
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
    /// The views.
    Views {
        /// The database, where it is named.
        database: Option<String>,
        /// The pattern, where there is one.
        like: Option<String>,
    },
    /// The functions.
    Functions(Option<String>),
    /// A function.
    Function(String),
    /// The names of a table's columns.
    ColumnNames {
        /// The table.
        table: TableName,
        /// The pattern, where there is one.
        like: Option<String>,
    },
    /// `DESCRIBE` of a table.
    Columns(TableName),
    /// `DESCRIBE EXTENDED` and `FORMATTED` of a table or of one partition.
    Details {
        /// The table.
        table: TableName,
        /// PARTITION.
        partition: PartitionSpec,
    },
    /// `DESCRIBE` of one column.
    Column {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// `DESCRIBE DATABASE`.
    Database {
        /// Its name.
        name: String,
        /// EXTENDED.
        extended: bool,
    },
    /// The partitions of a table.
    Partitions {
        /// The table.
        table: TableName,
        /// PARTITION: only those with these values.
        partition: PartitionSpec,
        /// WHERE, ORDER BY and LIMIT.
        chosen: Option<SourceQuery>,
    },
    /// `SHOW CREATE TABLE` and `VIEW`.
    CreateTable(TableName),
    /// `SHOW CREATE DATABASE`.
    CreateDatabase(String),
    /// `SHOW TBLPROPERTIES`.
    TableProperties {
        /// The table.
        table: TableName,
        /// One property.
        key: Option<String>,
    },
    /// `DESCRIBE QUERY SELECT …`: the columns of a query.
    QueryColumns(String),
    /// `SHOW STATS`: what planning knows of a table's columns.
    Statistics(TableName),
    /// The executors.
    Executors,
    /// The queries.
    Queries,
    /// The users.
    Users,
    /// Roles and grants.
    Access(ShowAccess),
    /// One query.
    Query(String),
    /// What the steps of a query did.
    Profile(String),
    /// One setting or all.
    Setting(Option<String>),
}
