-- Room for catalogues. Their tables follow declarations and files: `specmill db migrate RUN.toml` makes them after the
-- migrations, and ops.catalog remembers of what they were made.

CREATE SCHEMA IF NOT EXISTS catalog_raw;
CREATE SCHEMA IF NOT EXISTS ard;
COMMENT ON SCHEMA catalog IS 'Catalogues as declared; positions on the sky.';
COMMENT ON SCHEMA catalog_raw IS 'Tables of files as they are.';
COMMENT ON SCHEMA ard IS 'Analysis-ready data: views over the other schemas.';

CREATE TABLE ops.catalog (
    "name" text NOT NULL,
    "catalog" text,
    "description" text NOT NULL,
    "columns" jsonb NOT NULL,
    "key" jsonb NOT NULL,
    "is_unique" boolean NOT NULL,
    "position" jsonb,
    "sha256" text NOT NULL,
    "declaration" text,
    "declared_at" timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY ("name")
);
COMMENT ON TABLE ops.catalog IS 'One row per table of a catalogue: where its columns come from.';
COMMENT ON COLUMN ops.catalog."name" IS 'the table, as schema.table [ucd: meta.table]';
COMMENT ON COLUMN ops.catalog."catalog" IS 'the declaration it follows; NULL where its columns are those of files [ucd: meta.id]';
COMMENT ON COLUMN ops.catalog."description" IS 'what a row is [ucd: meta.note]';
COMMENT ON COLUMN ops.catalog."columns" IS 'its columns in order: name, type, unit, ucd, description, source, required, comment [ucd: meta.note]';
COMMENT ON COLUMN ops.catalog."key" IS 'the columns that name a row, besides specprod [ucd: meta.id]';
COMMENT ON COLUMN ops.catalog."is_unique" IS 'whether no two rows of a specprod have the same key [ucd: meta.code]';
COMMENT ON COLUMN ops.catalog."position" IS 'the columns of right ascension and declination; NULL where there are none [ucd: pos.eq]';
COMMENT ON COLUMN ops.catalog."sha256" IS 'SHA-256 of all that [ucd: meta.checksum]';
COMMENT ON COLUMN ops.catalog."declaration" IS 'the declaration as it was read [ucd: meta.note]';
COMMENT ON COLUMN ops.catalog."declared_at" IS 'when the table was made, or last changed [ucd: time.creation]';

GRANT USAGE ON SCHEMA catalog_raw, ard TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA catalog_raw GRANT SELECT ON TABLES TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA ard GRANT SELECT ON TABLES TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA catalog GRANT INSERT, DELETE ON TABLES TO specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA catalog_raw GRANT INSERT, DELETE ON TABLES TO specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA catalog GRANT EXECUTE ON FUNCTIONS TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA ard GRANT EXECUTE ON FUNCTIONS TO specmill_reader, specmill_loader;
