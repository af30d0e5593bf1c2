//! Statements that define something, as they were written: nothing is looked up yet.

use super::{SourceQuery, TableName};
use arrow::datatypes::DataType;
use std::collections::BTreeMap;

/// `CREATE DATABASE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateDatabase {
    /// Its name.
    pub name: String,
    /// Whether an existing one is no error.
    pub if_not_exists: bool,
    /// What is said of it.
    pub comment: Option<String>,
    /// Where its tables' files go.
    pub location: Option<String>,
    /// DBPROPERTIES.
    pub properties: BTreeMap<String, String>,
}

/// What `ALTER DATABASE` changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseChange {
    /// SET DBPROPERTIES.
    SetProperties(BTreeMap<String, String>),
    /// SET OWNER.
    SetOwner(String),
    /// SET LOCATION.
    SetLocation(String),
}

/// A type as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlType {
    /// The type of its values.
    pub data_type: DataType,
    /// How it was written, where that says more: `varchar(10)`.
    pub sql_type: Option<String>,
}

/// A column as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type; `None` where the files or a query tell.
    pub sql_type: Option<SqlType>,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// COMMENT.
    pub comment: Option<String>,
}

/// `CLUSTERED BY … SORTED BY … INTO n BUCKETS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// CLUSTERED BY.
    pub columns: Vec<String>,
    /// SORTED BY, with whether the greatest comes first.
    pub sorted_by: Vec<(String, bool)>,
    /// How many.
    pub count: u32,
}

/// `ROW FORMAT`, `STORED AS` and `USING`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageClauses {
    /// STORED AS or USING, in upper case.
    pub format: Option<String>,
    /// ROW FORMAT SERDE.
    pub serde: Option<String>,
    /// WITH SERDEPROPERTIES, or the options of USING.
    pub serde_properties: BTreeMap<String, String>,
    /// FIELDS TERMINATED BY.
    pub field_delimiter: Option<char>,
    /// COLLECTION ITEMS TERMINATED BY.
    pub collection_delimiter: Option<char>,
    /// MAP KEYS TERMINATED BY.
    pub map_key_delimiter: Option<char>,
    /// LINES TERMINATED BY.
    pub line_delimiter: Option<char>,
    /// ESCAPED BY.
    pub escape: Option<char>,
    /// NULL DEFINED AS.
    pub null_text: Option<String>,
}

/// `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Its name.
    pub name: TableName,
    /// Whether an existing one is no error.
    pub if_not_exists: bool,
    /// EXTERNAL.
    pub external: bool,
    /// TEMPORARY.
    pub temporary: bool,
    /// The columns in the files; empty where the files, another table or a query tell.
    pub columns: Vec<ColumnDefinition>,
    /// PARTITIONED BY.
    pub partition_columns: Vec<ColumnDefinition>,
    /// CLUSTERED BY.
    pub buckets: Option<Buckets>,
    /// COMMENT.
    pub comment: Option<String>,
    /// How the files are written.
    pub storage: StorageClauses,
    /// LOCATION.
    pub location: Option<String>,
    /// TBLPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// LIKE.
    pub like: Option<TableName>,
    /// AS.
    pub source: Option<SourceQuery>,
}

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnPlace {
    /// FIRST.
    First,
    /// AFTER a column.
    After(String),
}

/// What `ALTER TABLE` changes.
#[derive(Clone, Debug, PartialEq)]
pub enum TableChange {
    /// RENAME TO.
    Rename(TableName),
    /// SET TBLPROPERTIES.
    SetProperties(BTreeMap<String, String>),
    /// UNSET TBLPROPERTIES.
    UnsetProperties {
        /// Which.
        keys: Vec<String>,
        /// Whether a missing one is no error.
        if_exists: bool,
    },
    /// OWNER TO and SET OWNER.
    SetOwner(String),
    /// SET LOCATION, of the table or of one partition.
    SetLocation {
        /// PARTITION.
        partition: Option<PartitionSpec>,
        /// Where.
        location: String,
    },
    /// ADD COLUMNS.
    AddColumns(Vec<ColumnDefinition>),
    /// REPLACE COLUMNS.
    ReplaceColumns(Vec<ColumnDefinition>),
    /// CHANGE COLUMN and RENAME COLUMN.
    ChangeColumn {
        /// Which.
        name: String,
        /// Its new name, type and comment; no type where it stays.
        to: ColumnDefinition,
        /// Where it goes.
        place: Option<ColumnPlace>,
    },
    /// DROP COLUMN.
    DropColumns {
        /// Which.
        names: Vec<String>,
        /// Whether a missing one is no error.
        if_exists: bool,
    },
    /// ADD PARTITION.
    AddPartitions {
        /// Which, and where.
        partitions: Vec<(PartitionSpec, Option<String>)>,
        /// Whether an existing one is no error.
        if_not_exists: bool,
    },
    /// DROP PARTITION.
    DropPartitions {
        /// All that satisfy one of these.
        filters: Vec<Vec<PartitionCondition>>,
        /// Whether it is no error that there is none.
        if_exists: bool,
    },
    /// PARTITION … RENAME TO PARTITION ….
    RenamePartition {
        /// Which.
        from: PartitionSpec,
        /// Its new values.
        to: PartitionSpec,
    },
}

/// `(ds = '2024-01-01', hr)`: partition columns, with values where those are given; `Some(None)` is
/// NULL.
pub type PartitionSpec = Vec<(String, Option<Option<String>>)>;

/// `ds < '2024-01-01'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionCondition {
    /// The partition column.
    pub column: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what; `None` is NULL.
    pub value: Option<String>,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// `CREATE VIEW`.
#[derive(Clone, Debug)]
pub struct CreateView {
    /// Its name.
    pub name: TableName,
    /// OR REPLACE, and ALTER VIEW … AS.
    pub or_replace: bool,
    /// Whether an existing one is no error.
    pub if_not_exists: bool,
    /// Whether there has to be one already: ALTER VIEW.
    pub must_exist: bool,
    /// TEMPORARY.
    pub temporary: bool,
    /// The columns' names and comments.
    pub columns: Vec<(String, Option<String>)>,
    /// COMMENT.
    pub comment: Option<String>,
    /// TBLPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// The query.
    pub query: SourceQuery,
}

/// What `ALTER VIEW` changes, besides the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewChange {
    /// RENAME TO.
    Rename(TableName),
    /// SET TBLPROPERTIES.
    SetProperties(BTreeMap<String, String>),
    /// UNSET TBLPROPERTIES.
    UnsetProperties(Vec<String>),
    /// OWNER TO and SET OWNER.
    SetOwner(String),
}

/// Which partitions `MSCK REPAIR TABLE` looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// New ones.
    Add,
    /// Those that are gone.
    Drop,
    /// Both.
    Sync,
}
