//! The statements, in SQL that SQLite and PostgreSQL both read: `$1` parameters, no extensions of
//! either, but for the few that say so.

/// Moves the catalog to the next version if it is still at `$1`. In PostgreSQL it waits for whoever has
/// moved it and not yet committed, and then sees the version that they have made.
pub(super) const ADVANCE_VERSION: &str =
    "UPDATE catalog_state SET version = version + 1 WHERE id = 1 AND version = $1";

/// The catalog's version.
pub(super) const SELECT_VERSION: &str = "SELECT version FROM catalog_state WHERE id = 1";

/// Takes the next table's or view's id.
pub(super) const TAKE_TABLE_ID: &str = "UPDATE catalog_state SET next_table_id = next_table_id + 1 \
     WHERE id = 1 RETURNING next_table_id - 1 AS id";

/// Remembers commit `$1` as the one that has made version `$2`.
pub(super) const INSERT_COMMIT: &str = "INSERT INTO commits (token, version) VALUES ($1, $2)";

/// Forgets the commits of versions before `$1`.
pub(super) const DELETE_COMMITS: &str = "DELETE FROM commits WHERE version < $1";

/// The version that commit `$1` has made, if it was made.
pub(super) const SELECT_COMMIT: &str = "SELECT version FROM commits WHERE token = $1";

/// Waits for whoever is about to commit. PostgreSQL only.
pub(super) const LOCK_STATE: &str = "SELECT version FROM catalog_state WHERE id = 1 FOR UPDATE";

/// Every database.
pub(super) const SELECT_DATABASES: &str =
    "SELECT name, comment, location, properties, owner, created_at FROM databases";

/// Every table that has not been dropped.
pub(super) const SELECT_TABLES: &str = "SELECT id, database_name, name, version, kind, format, \
     storage, location, columns, columns_declared, retired_columns, partition_columns, bucketing, \
     properties, comment, owner, created_at FROM tables WHERE dropped_version IS NULL";

/// Every view that has not been dropped.
pub(super) const SELECT_VIEWS: &str = "SELECT id, database_name, name, version, columns, query, \
     resolve_in, properties, comment, owner, created_at FROM views WHERE dropped_version IS NULL";

/// Follows [`SELECT_TABLES`] or [`SELECT_VIEWS`]: only what is new or different since version `$1`.
pub(super) const CHANGED_SINCE: &str = " AND version > $1";

/// The tables and views that have gone since version `$1`, as far as they have not been purged.
pub(super) const SELECT_DROPPED: &str = "SELECT id FROM tables WHERE dropped_version > $1 \
     UNION ALL SELECT id FROM views WHERE dropped_version > $1";

/// Everybody who may log in.
pub(super) const SELECT_USERS: &str = "SELECT name, password_hash, is_admin, created_at FROM users";

/// Where managed tables lay.
pub(super) const SELECT_ABANDONED_LOCATIONS: &str = "SELECT location FROM abandoned_locations";

/// Up to which version old ones may be incomplete.
pub(super) const SELECT_PURGED_VERSION: &str =
    "SELECT purged_version FROM catalog_state WHERE id = 1";

/// The partitions of table `$1` at version `$2`.
pub(super) const SELECT_PARTITIONS: &str = "SELECT number, partition_values, location \
     FROM partitions WHERE table_id = $1 AND added_version <= $2 \
     AND (removed_version IS NULL OR removed_version > $2)";

/// The files of table `$1` at version `$2`. A condition on the partition may follow.
pub(super) const SELECT_FILES: &str = "SELECT path, partition_number, size_bytes, row_count, \
     last_modified, e_tag, bounds FROM data_files WHERE table_id = $1 AND added_version <= $2 \
     AND (removed_version IS NULL OR removed_version > $2)";

/// Every path that any version knows and that begins with `$1`.
pub(super) const SELECT_KNOWN_PATHS: &str =
    "SELECT DISTINCT path FROM data_files WHERE substr(path, 1, CAST($2 AS INTEGER)) = $1";

pub(super) const INSERT_DATABASE: &str = "INSERT INTO databases \
     (name, comment, location, properties, owner, created_at) VALUES ($1, $2, $3, $4, $5, $6)";

/// Has the parameters of INSERT_DATABASE.
pub(super) const UPDATE_DATABASE: &str = "UPDATE databases SET comment = $2, location = $3, \
     properties = $4, owner = $5, created_at = $6 WHERE name = $1";

pub(super) const DELETE_DATABASE: &str = "DELETE FROM databases WHERE name = $1";

pub(super) const INSERT_TABLE: &str = "INSERT INTO tables (id, version, database_name, name, kind, \
     format, storage, location, columns, columns_declared, retired_columns, partition_columns, \
     bucketing, properties, comment, owner, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

/// Has the parameters of INSERT_TABLE.
pub(super) const UPDATE_TABLE: &str = "UPDATE tables SET version = $2, database_name = $3, \
     name = $4, kind = $5, format = $6, storage = $7, location = $8, columns = $9, \
     columns_declared = $10, retired_columns = $11, partition_columns = $12, bucketing = $13, \
     properties = $14, comment = $15, owner = $16, created_at = $17 \
     WHERE id = $1 AND dropped_version IS NULL";

pub(super) const DROP_TABLE: &str =
    "UPDATE tables SET dropped_version = $2 WHERE id = $1 AND dropped_version IS NULL";

/// Remembers where table `$1` lies if the catalog owns its files.
pub(super) const ABANDON_LOCATION: &str = "INSERT INTO abandoned_locations (location) \
     SELECT location FROM tables WHERE id = $1 AND kind = 'MANAGED' ON CONFLICT (location) DO NOTHING";

pub(super) const INSERT_ABANDONED: &str =
    "INSERT INTO abandoned_locations (location) VALUES ($1) ON CONFLICT (location) DO NOTHING";

pub(super) const FORGET_LOCATION: &str = "DELETE FROM abandoned_locations WHERE location = $1";

pub(super) const INSERT_VIEW: &str = "INSERT INTO views (id, version, database_name, name, columns, \
     query, resolve_in, properties, comment, owner, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Has the parameters of INSERT_VIEW.
pub(super) const UPDATE_VIEW: &str = "UPDATE views SET version = $2, database_name = $3, name = $4, \
     columns = $5, query = $6, resolve_in = $7, properties = $8, comment = $9, owner = $10, \
     created_at = $11 WHERE id = $1 AND dropped_version IS NULL";

pub(super) const DROP_VIEW: &str =
    "UPDATE views SET dropped_version = $2 WHERE id = $1 AND dropped_version IS NULL";

pub(super) const INSERT_USER: &str =
    "INSERT INTO users (name, password_hash, is_admin, created_at) VALUES ($1, $2, $3, $4)";

/// Has the parameters of INSERT_USER.
pub(super) const UPDATE_USER: &str =
    "UPDATE users SET password_hash = $2, is_admin = $3, created_at = $4 WHERE name = $1";

pub(super) const DELETE_USER: &str = "DELETE FROM users WHERE name = $1";

/// The head of a statement that removes many partitions: a list of numbers follows.
pub(super) const REMOVE_PARTITIONS: &str = "UPDATE partitions SET removed_version = $2 \
     WHERE table_id = $1 AND removed_version IS NULL";

/// The head of a statement that removes many files: a condition follows, or none for all of them.
pub(super) const REMOVE_FILES: &str = "UPDATE data_files SET removed_version = $2 \
     WHERE table_id = $1 AND removed_version IS NULL";

/// The head of a statement that inserts many rows of [`INSERT_PARTITIONS_WIDTH`] values.
pub(super) const INSERT_PARTITIONS: &str = "INSERT INTO partitions (table_id, number, \
     added_version, partition_values, location) VALUES ";

pub(super) const INSERT_PARTITIONS_WIDTH: usize = 5;

/// The head of a statement that inserts many rows of [`INSERT_FILES_WIDTH`] values.
pub(super) const INSERT_FILES: &str = "INSERT INTO data_files (table_id, path, added_version, \
     partition_number, size_bytes, row_count, last_modified, e_tag, bounds) VALUES ";

pub(super) const INSERT_FILES_WIDTH: usize = 9;

/// What no version from `$1` on can see. Dropping a table takes its partitions and files along.
pub(super) const PURGE: [&str; 4] = [
    "DELETE FROM data_files WHERE removed_version <= $1",
    "DELETE FROM partitions WHERE removed_version <= $1",
    "DELETE FROM tables WHERE dropped_version <= $1",
    "DELETE FROM views WHERE dropped_version <= $1",
];

/// Says that what only versions before `$1` see may be missing.
pub(super) const MARK_PURGED: &str =
    "UPDATE catalog_state SET purged_version = $1 WHERE id = 1 AND purged_version < $1";

/// The oldest version that a process other than `$1` may read. PostgreSQL only.
pub(super) const SELECT_OLDEST_READER: &str = "SELECT MIN(oldest_version) FROM readers WHERE id <> $1 \
     AND expires_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)";

/// Who holds a version now. PostgreSQL only.
pub(super) const SELECT_READERS: &str = "SELECT id FROM readers \
     WHERE expires_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)";

/// Whether this transaction is the only one that purges. PostgreSQL only.
pub(super) const TRY_LOCK_PURGE: &str =
    "SELECT CASE WHEN pg_try_advisory_xact_lock(5389288) THEN CAST(1 AS BIGINT) ELSE 0 END";

/// Says that process `$1` may read versions from `$2` on for `$3` seconds. PostgreSQL only.
pub(super) const HOLD_VERSION: &str = "INSERT INTO readers (id, oldest_version, expires_at) \
     VALUES ($1, $2, CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT) + $3) \
     ON CONFLICT (id) DO UPDATE SET oldest_version = EXCLUDED.oldest_version, \
     expires_at = EXCLUDED.expires_at";

/// Forgets processes that have not been heard of for long. PostgreSQL only.
pub(super) const FORGET_READERS: &str = "DELETE FROM readers \
     WHERE expires_at < CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT) - 3600";

/// `($1, $2), ($3, $4)`: parameters for `rows` rows of `width` values. Without numbers they are question
/// marks: SQLite looks for each number among all others, which takes the square of their count.
pub(super) fn placeholders(rows: usize, width: usize, numbered: bool) -> String {
    let mut text = String::with_capacity(rows * width * 7);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=width {
            if column > 1 {
                text.push_str(", ");
            }
            match numbered {
                true => {
                    text.push('$');
                    text.push_str(&(row * width + column).to_string());
                }
                false => text.push('?'),
            }
        }
        text.push(')');
    }
    text
}

/// ` AND column IN ($3, $4)`: a condition whose `count` parameters begin at `$first`.
pub(super) fn is_one_of(column: &str, first: usize, count: usize) -> String {
    let values: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    format!(" AND {column} IN ({})", values.join(", "))
}
