ALTER TABLE databases ADD COLUMN properties TEXT NOT NULL DEFAULT '{}';

-- storage, bucketing and retired_columns are JSON.
ALTER TABLE tables ADD COLUMN storage TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tables ADD COLUMN bucketing TEXT;
ALTER TABLE tables ADD COLUMN retired_columns TEXT NOT NULL DEFAULT '[]';

-- What no version before this one can still see may be missing from older ones.
ALTER TABLE catalog_state ADD COLUMN purged_version BIGINT NOT NULL DEFAULT 0;

-- Views share names and ids with tables. Snapshots have them in memory, so that no old ones are kept.
CREATE TABLE views (
    id BIGINT PRIMARY KEY,
    database_name TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    columns TEXT NOT NULL,
    query TEXT NOT NULL,
    resolve_in TEXT NOT NULL,
    properties TEXT NOT NULL,
    comment TEXT,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX views_by_name ON views (database_name, name);

-- Where managed tables lay that have been dropped, until their files are gone.
CREATE TABLE abandoned_locations (
    location TEXT PRIMARY KEY
);

-- Which versions the processes that share the catalog may still read. Times are seconds since 1970.
CREATE TABLE readers (
    id TEXT PRIMARY KEY,
    oldest_version BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- The latest commits, so that a process whose connection broke can find out whether its own was made.
CREATE TABLE commits (
    token TEXT PRIMARY KEY,
    version BIGINT NOT NULL
);

CREATE INDEX commits_by_version ON commits (version);

-- Files by partition, so that those of one partition are found at once; -1 is no partition. Rows may be
-- unknown. Bounds are in the form of FileBounds, or, from older catalogs, JSON.
CREATE TABLE new_data_files (
    table_id BIGINT NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    partition_number BIGINT NOT NULL,
    path TEXT NOT NULL,
    added_version BIGINT NOT NULL,
    removed_version BIGINT,
    size_bytes BIGINT NOT NULL,
    row_count BIGINT,
    last_modified BIGINT NOT NULL,
    e_tag TEXT,
    bounds BLOB NOT NULL,
    PRIMARY KEY (table_id, partition_number, path, added_version)
) WITHOUT ROWID;

INSERT INTO new_data_files (table_id, partition_number, path, added_version, removed_version,
    size_bytes, row_count, last_modified, e_tag, bounds)
    SELECT table_id, COALESCE(partition_number, -1), path, added_version, removed_version,
    size_bytes, row_count, last_modified, e_tag, CAST(bounds AS BLOB) FROM data_files;

DROP TABLE data_files;

ALTER TABLE new_data_files RENAME TO data_files;

CREATE INDEX data_files_removed ON data_files (removed_version) WHERE removed_version IS NOT NULL;
