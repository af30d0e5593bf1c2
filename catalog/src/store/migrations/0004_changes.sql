-- What has changed since a version is found without looking at what has not. Views that are gone are kept
-- like tables for those who have not noticed yet.
ALTER TABLE views ADD COLUMN dropped_version BIGINT;

DROP INDEX views_by_name;

CREATE UNIQUE INDEX views_by_name ON views (database_name, name) WHERE dropped_version IS NULL;

CREATE INDEX tables_by_version ON tables (version) WHERE dropped_version IS NULL;

CREATE INDEX tables_dropped ON tables (dropped_version) WHERE dropped_version IS NOT NULL;

CREATE INDEX views_by_version ON views (version) WHERE dropped_version IS NULL;

CREATE INDEX views_dropped ON views (dropped_version) WHERE dropped_version IS NOT NULL;
