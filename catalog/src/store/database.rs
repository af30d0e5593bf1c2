//! The databases that a catalog may be kept in, behind one small port: a statement's text, its
//! parameters, its rows. What the statements are and mean is decided above, once for both.

use crate::error::CatalogError;
use futures::TryStreamExt;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type};

/// The error of the database while it did `action`.
pub(super) fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> CatalogError {
    move |source| CatalogError::Store { action, source }
}

/// Connections to a database.
#[derive(Clone, Debug)]
pub(super) enum Database {
    /// A file.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bool(bool),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

/// A transaction. Dropping it undoes what it did.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A row of a result.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! bind_all {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Database {
    /// A transaction that sees one state of the database from its first statement to its end.
    pub(super) async fn begin_read(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Transaction::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        })
    }

    /// A transaction for changes. In SQLite it is the only writer from its beginning, so that it cannot
    /// fail half-way; in PostgreSQL it is the only one from the moment at which it locks a row.
    pub(super) async fn begin_write(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        })
    }

    /// A migration's text for this database. They are written for SQLite.
    pub(super) fn adapt(&self, migration: &'static str) -> String {
        match self {
            Self::Sqlite(_) => migration.to_owned(),
            Self::Postgres(_) => migration
                .replace("BLOB", "BYTEA")
                .replace(" WITHOUT ROWID", ""),
        }
    }

    /// Ends the connections.
    #[cfg(test)]
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    /// Runs a statement, and says how many rows it has changed.
    pub(super) async fn execute(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, sqlx::Error> {
        // Everything that reaches this port is one of `super::sql`, with numbered parameters.
        let sql = AssertSqlSafe(sql);
        Ok(match self {
            Self::Sqlite(transaction) => bind_all!(sqlx::query::<Sqlite>(sql), values)
                .execute(&mut **transaction)
                .await?
                .rows_affected(),
            Self::Postgres(transaction) => bind_all!(sqlx::query::<Postgres>(sql), values)
                .execute(&mut **transaction)
                .await?
                .rows_affected(),
        })
    }

    /// The parameters of a statement that inserts `rows` rows of `width` values.
    pub(super) fn placeholders(&self, rows: usize, width: usize) -> String {
        super::sql::placeholders(rows, width, matches!(self, Self::Postgres(_)))
    }

    /// Runs several statements without parameters.
    pub(super) async fn execute_script(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(transaction) => script.execute(&mut **transaction).await.map(|_| ()),
            Self::Postgres(transaction) => script.execute(&mut **transaction).await.map(|_| ()),
        }
    }

    /// Makes one value of each row.
    pub(super) async fn query<T>(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        read: impl Fn(&Row) -> Result<T, CatalogError>,
        failed: impl Fn(sqlx::Error) -> CatalogError,
    ) -> Result<Vec<T>, CatalogError> {
        let sql = AssertSqlSafe(sql);
        let mut result = Vec::new();
        match self {
            Self::Sqlite(transaction) => {
                let query = bind_all!(sqlx::query::<Sqlite>(sql), values);
                let mut rows = query.fetch(&mut **transaction);
                while let Some(row) = rows.try_next().await.map_err(&failed)? {
                    result.push(read(&Row::Sqlite(row))?);
                }
            }
            Self::Postgres(transaction) => {
                let query = bind_all!(sqlx::query::<Postgres>(sql), values);
                let mut rows = query.fetch(&mut **transaction);
                while let Some(row) = rows.try_next().await.map_err(&failed)? {
                    result.push(read(&Row::Postgres(row))?);
                }
            }
        }
        Ok(result)
    }

    /// Makes what it did last.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

impl Row {
    /// The value of a column.
    pub(super) fn get<'r, T, I>(&'r self, index: I) -> Result<T, CatalogError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        let value = match self {
            Self::Sqlite(row) => row.try_get(index),
            Self::Postgres(row) => row.try_get(index),
        };
        value.map_err(|error| CatalogError::Damaged(error.to_string()))
    }
}
