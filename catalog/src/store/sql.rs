//! The statements, in SQL that SQLite and PostgreSQL both read: `$1` parameters, no extensions of
//! either.

/// Moves the catalog to the next version if it is still at `$1`.
pub(super) const ADVANCE_VERSION: &str =
    "UPDATE catalog_state SET version = version + 1 WHERE id = 1 AND version = $1";

/// The catalog's version.
pub(super) const SELECT_VERSION: &str = "SELECT version FROM catalog_state WHERE id = 1";

/// Takes the next table's id.
pub(super) const TAKE_TABLE_ID: &str = "UPDATE catalog_state SET next_table_id = next_table_id + 1 \
     WHERE id = 1 RETURNING next_table_id - 1 AS id";

/// Every database.
pub(super) const SELECT_DATABASES: &str =
    "SELECT name, comment, location, owner, created_at FROM databases ORDER BY name";

/// Every table that has not been dropped.
pub(super) const SELECT_TABLES: &str = "SELECT id, database_name, name, version, kind, format, \
     location, columns, columns_declared, partition_columns, properties, comment, owner, created_at \
     FROM tables WHERE dropped_version IS NULL ORDER BY database_name, name";

/// The partitions of table `$1` at version `$2`.
pub(super) const SELECT_PARTITIONS: &str = "SELECT number, partition_values, location \
     FROM partitions WHERE table_id = $1 AND added_version <= $2 \
     AND (removed_version IS NULL OR removed_version > $2) ORDER BY number";

/// The files of table `$1` at version `$2`.
pub(super) const SELECT_FILES: &str = "SELECT path, partition_number, size_bytes, row_count, \
     last_modified, e_tag, bounds FROM data_files WHERE table_id = $1 AND added_version <= $2 \
     AND (removed_version IS NULL OR removed_version > $2) ORDER BY path";

pub(super) const INSERT_DATABASE: &str = "INSERT INTO databases \
     (name, comment, location, owner, created_at) VALUES ($1, $2, $3, $4, $5)";

pub(super) const DELETE_DATABASE: &str = "DELETE FROM databases WHERE name = $1";

pub(super) const INSERT_TABLE: &str = "INSERT INTO tables (id, version, database_name, name, kind, \
     format, location, columns, columns_declared, partition_columns, properties, comment, owner, \
     created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

pub(super) const UPDATE_TABLE: &str = "UPDATE tables SET version = $2, database_name = $3, \
     name = $4, kind = $5, format = $6, location = $7, columns = $8, columns_declared = $9, \
     partition_columns = $10, properties = $11, comment = $12, owner = $13, created_at = $14 \
     WHERE id = $1 AND dropped_version IS NULL";

pub(super) const DROP_TABLE: &str =
    "UPDATE tables SET dropped_version = $2 WHERE id = $1 AND dropped_version IS NULL";

pub(super) const REMOVE_PARTITION: &str = "UPDATE partitions SET removed_version = $3 \
     WHERE table_id = $1 AND number = $2 AND removed_version IS NULL";

pub(super) const REMOVE_FILE: &str = "UPDATE data_files SET removed_version = $3 \
     WHERE table_id = $1 AND path = $2 AND removed_version IS NULL";

/// The head of a statement that inserts many rows.
pub(super) const INSERT_PARTITIONS: &str =
    "INSERT INTO partitions (table_id, number, added_version, partition_values, location) ";

/// The head of a statement that inserts many rows.
pub(super) const INSERT_FILES: &str = "INSERT INTO data_files (table_id, path, added_version, \
     partition_number, size_bytes, row_count, last_modified, e_tag, bounds) ";

/// What no version from `$1` on can see. Dropping a table takes its partitions and files along.
pub(super) const PURGE: [&str; 3] = [
    "DELETE FROM data_files WHERE removed_version <= $1",
    "DELETE FROM partitions WHERE removed_version <= $1",
    "DELETE FROM tables WHERE dropped_version <= $1",
];

/// Everybody who may log in.
pub(super) const SELECT_USERS: &str =
    "SELECT name, password_hash, is_admin, created_at FROM users ORDER BY name";

pub(super) const INSERT_USER: &str =
    "INSERT INTO users (name, password_hash, is_admin, created_at) VALUES ($1, $2, $3, $4)";

/// Has the parameters of INSERT_USER.
pub(super) const UPDATE_USER: &str =
    "UPDATE users SET password_hash = $2, is_admin = $3, created_at = $4 WHERE name = $1";

pub(super) const DELETE_USER: &str = "DELETE FROM users WHERE name = $1";
