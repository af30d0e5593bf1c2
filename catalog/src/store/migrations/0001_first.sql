-- Versions are those of the catalog: every statement that changes something makes the next one.
-- Rows that snapshots may still need are marked as gone rather than deleted.
-- Times are microseconds since 1970 in UTC.

CREATE TABLE catalog_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL,
    next_table_id BIGINT NOT NULL
);

INSERT INTO catalog_state (id, version, next_table_id) VALUES (1, 1, 1);

CREATE TABLE databases (
    name TEXT PRIMARY KEY,
    comment TEXT,
    location TEXT,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

INSERT INTO databases (name, comment, owner, created_at) VALUES ('default', 'the default database', '', 0);

-- columns, partition_columns and properties are JSON: they are read and written as a whole.
CREATE TABLE tables (
    id BIGINT PRIMARY KEY,
    database_name TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    dropped_version BIGINT,
    kind TEXT NOT NULL,
    format TEXT NOT NULL,
    location TEXT NOT NULL,
    columns TEXT NOT NULL,
    columns_declared BOOLEAN NOT NULL,
    partition_columns TEXT NOT NULL,
    properties TEXT NOT NULL,
    comment TEXT,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX tables_by_name ON tables (database_name, name) WHERE dropped_version IS NULL;

CREATE TABLE partitions (
    table_id BIGINT NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    added_version BIGINT NOT NULL,
    removed_version BIGINT,
    -- A JSON array with one text or null per partition column.
    partition_values TEXT NOT NULL,
    location TEXT NOT NULL,
    PRIMARY KEY (table_id, number, added_version)
);

CREATE INDEX partitions_removed ON partitions (removed_version) WHERE removed_version IS NOT NULL;

CREATE TABLE data_files (
    table_id BIGINT NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    added_version BIGINT NOT NULL,
    removed_version BIGINT,
    partition_number BIGINT,
    size_bytes BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    last_modified BIGINT NOT NULL,
    e_tag TEXT,
    -- A JSON array with one object per column of which something is known.
    bounds TEXT NOT NULL,
    PRIMARY KEY (table_id, path, added_version)
);

CREATE INDEX data_files_removed ON data_files (removed_version) WHERE removed_version IS NOT NULL;
