//! The tables of the database, and the migrations that make them.

use crate::{Field, Kind, Table, embeddings, features, neighbors};

/// A table of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its schema.
    pub schema: &'static str,
    /// Columns that are loaded, in order, with the table's name.
    pub table: Table,
    /// The primary key.
    pub key: &'static [&'static str],
    /// The column whose values make partitions, one each.
    pub partitioned_by: Option<&'static str>,
    /// Columns that the database computes, with their expressions.
    pub generated: Vec<(Field, &'static str)>,
    /// Rules of a row: name and expression.
    pub checks: &'static [(&'static str, &'static str)],
    /// A column whose values must exist in another table, and go with them.
    pub references: Option<(&'static str, &'static str)>,
    /// The migration that makes it.
    pub since: i32,
}

impl Relation {
    pub(crate) fn new(schema: &'static str, table: Table, key: &'static [&'static str]) -> Self {
        Self {
            schema,
            table,
            key,
            partitioned_by: None,
            generated: Vec::new(),
            checks: &[],
            references: None,
            since: FIRST_TABLES,
        }
    }

    fn by_model(self) -> Self {
        Self { partitioned_by: Some("model_hash"), ..self }
    }

    /// As in `spectra.features`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.table.name)
    }

    /// Every column, computed ones last.
    pub fn columns(&self) -> impl Iterator<Item = &Field> {
        self.table.fields.iter().chain(self.generated.iter().map(|(field, _)| field))
    }
}

/// A step of the database's schema; steps only go forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3 …
    pub version: i32,
    /// The file in `schemas/sql/`.
    pub name: &'static str,
    /// What it does.
    pub sql: &'static str,
}

/// The migration that makes every table but those of later ones.
pub const FIRST_TABLES: i32 = 2;
/// The migration that makes room for catalogues.
const CATALOGS: i32 = 5;

/// Every migration, in order.
pub const MIGRATIONS: [Migration; 5] = [
    Migration { version: 1, name: "0001_sky.sql", sql: include_str!("../sql/0001_sky.sql") },
    Migration { version: 2, name: "0002_tables.sql", sql: include_str!("../sql/0002_tables.sql") },
    Migration { version: 3, name: "0003_functions.sql", sql: include_str!("../sql/0003_functions.sql") },
    Migration { version: 4, name: "0004_rights.sql", sql: include_str!("../sql/0004_rights.sql") },
    Migration { version: CATALOGS, name: "0005_catalogs.sql", sql: include_str!("../sql/0005_catalogs.sql") },
];

/// Every table of the database.
pub fn relations() -> Vec<Relation> {
    vec![
        migration(),
        run(),
        ledger(),
        load(),
        features(),
        models(),
        embeddings(),
        neighbors(),
        scores(),
        vector_index(),
        recall(),
        catalog(),
    ]
}

/// The table of a name as in `spectra.features`.
pub fn relation(full_name: &str) -> Option<Relation> {
    relations().into_iter().find(|relation| relation.full_name() == full_name)
}

fn table(name: &'static str, description: &str, fields: Vec<Field>) -> Table {
    Table { name: name.into(), description: description.to_owned(), fields }
}

fn migration() -> Relation {
    use Kind::{Int32, Text, Timestamp};
    let fields = vec![
        Field::new("version", Int32, "number of the migration").ucd("meta.version").required(),
        Field::new("name", Text, "its file").ucd("meta.file").required(),
        Field::new("sha256", Text, "SHA-256 of its text").ucd("meta.checksum").required(),
        Field::new("applied_at", Timestamp, "when it was applied").ucd("time.creation").required(),
    ];
    Relation::new("ops", table("migration", "One row per migration of this schema.", fields), &["version"])
}

fn run() -> Relation {
    use Kind::{Json, Text, Timestamp};
    let fields = vec![
        Field::new("run_id", Text, "time and number of the run").ucd("meta.id;meta.main").required(),
        Field::new("record", Json, "the run record: run file, versions, host, device, stages, seconds")
            .ucd("meta.note")
            .required(),
        Field::new("loaded_at", Timestamp, "when it was loaded").ucd("time.creation").required(),
    ];
    let text = "One row per run of the program: who, where, when, how long. No result depends on it.";
    Relation::new("ops", table("run", text, fields), &["run_id"])
}

/// The ledger: `ops.ledger`, and `ledger.parquet` of a run folder.
pub fn ledger() -> Relation {
    use Kind::{Int64, Json, Text};
    let fields = vec![
        Field::new("stage", Text, "stage of the pipeline").ucd("meta.code").required(),
        Field::new("unit", Text, "unit of work").ucd("meta.id.part").required(),
        Field::new("stage_hash", Text, "digest of the settings, constants and versions it was made under")
            .ucd("meta.version")
            .required(),
        Field::new("state", Text, "done, empty, skipped, failed or missing_upstream")
            .ucd("meta.code.status")
            .required(),
        Field::new("reason", Text, "why it is not done; NULL where it is").ucd("meta.note"),
        Field::new("rows_in", Int64, "rows of the input").ucd("meta.number").required(),
        Field::new("rows", Json, "rows by state, then by reason; they add up to rows_in")
            .ucd("meta.number")
            .required(),
        Field::new("inputs", Json, "files read: path, bytes, sha256").ucd("meta.file").required(),
        Field::new("outputs", Json, "files left: path, bytes, sha256").ucd("meta.file").required(),
        Field::new("notes", Json, "what is worth knowing and failed nothing").ucd("meta.note").required(),
    ];
    let text = "One row per stage and unit: how it ended, what it read and left.";
    Relation::new("ops", table("ledger", text, fields), &["stage", "unit"])
}

fn load() -> Relation {
    use Kind::{Int64, Text, Timestamp};
    let fields = vec![
        Field::new("dataset", Text, "table the rows are in, as schema.table").ucd("meta.table").required(),
        Field::new("model_hash", Text, "model the rows belong to; empty text where to none")
            .ucd("meta.id;meta.modelled")
            .required(),
        Field::new("unit", Text, "unit of work").ucd("meta.id.part").required(),
        Field::new("sha256", Text, "SHA-256 of the file the rows come from").ucd("meta.checksum").required(),
        Field::new("stage_hash", Text, "stage hash of the rows").ucd("meta.version").required(),
        Field::new("rows", Int64, "rows loaded").ucd("meta.number").required(),
        Field::new("loaded_at", Timestamp, "when they became visible").ucd("time.creation").required(),
    ];
    let text = "One row per file in the database: the same digest is not loaded twice.";
    Relation::new("ops", table("load", text, fields), &["dataset", "model_hash", "unit"])
}

fn catalog() -> Relation {
    use Kind::{Bool, Json, Text, Timestamp};
    let fields = vec![
        Field::new("name", Text, "the table, as schema.table").ucd("meta.table").required(),
        Field::new("catalog", Text, "the declaration it follows; NULL where its columns are those of files")
            .ucd("meta.id"),
        Field::new("description", Text, "what a row is").ucd("meta.note").required(),
        Field::new(
            "columns",
            Json,
            "its columns in order: name, type, unit, ucd, description, source, required, comment",
        )
        .ucd("meta.note")
        .required(),
        Field::new("key", Json, "the columns that name a row, besides specprod").ucd("meta.id").required(),
        Field::new("is_unique", Bool, "whether no two rows of a specprod have the same key")
            .ucd("meta.code")
            .required(),
        Field::new(
            "position",
            Json,
            "the columns of right ascension and declination; NULL where there are none",
        )
        .ucd("pos.eq"),
        Field::new("sha256", Text, "SHA-256 of all that").ucd("meta.checksum").required(),
        Field::new("declaration", Text, "the declaration as it was read").ucd("meta.note"),
        Field::new("declared_at", Timestamp, "when the table was made, or last changed")
            .ucd("time.creation")
            .required(),
    ];
    let text = "One row per table of a catalogue: where its columns come from.";
    Relation { since: CATALOGS, ..Relation::new("ops", table("catalog", text, fields), &["name"]) }
}

fn features() -> Relation {
    let healpix29 = Field::new(
        "healpix29",
        Kind::Int64,
        "nested HEALPix pixel of (ra, dec) at order 29; NULL where the position is unknown",
    )
    .ucd("pos.healpix")
    .source("Gorski et al. 2005");
    Relation {
        generated: vec![(healpix29, "catalog.healpix29(ra, \"dec\")")],
        ..Relation::new("spectra", features::table(), &["unit", "targetid"])
    }
}

fn models() -> Relation {
    use Kind::{Float32List, Float64, Int32, Json, Text};
    let fields = vec![
        Field::new("model_hash", Text, "content hash of the model").ucd("meta.id;meta.modelled").required(),
        Field::new("name", Text, "its name in the run file").ucd("meta.title").required(),
        Field::new("version", Int32, "version of the embedder").ucd("meta.version").required(),
        Field::new("class", Text, "spectral class it is for: GALAXY or QSO").ucd("src.class").required(),
        Field::new("embedder", Text, "how spectra become vectors").ucd("meta.code").required(),
        Field::new("dimension", Int32, "elements of a vector").ucd("meta.number").required(),
        Field::new("n_pixels", Int32, "pixels of the rest-frame grid").ucd("meta.number").required(),
        Field::new("grid_log10_first", Float64, "log10 of the first rest wavelength in Angstrom")
            .ucd("em.wl")
            .required(),
        Field::new("grid_dlog10", Float64, "step of log10 of the wavelength").ucd("spect.binSize").required(),
        Field::new("sample_sha256", Text, "digest of the spectra it was fitted to")
            .ucd("meta.checksum")
            .required(),
        Field::new(
            "explained_variance",
            Float32List(0),
            "share of the sample's variance each component explains",
        )
        .ucd("stat.variance"),
        Field::new("card", Json, "the model card").ucd("meta.note").required(),
        Field::new("card_markdown", Text, "the model card, to be read").ucd("meta.note").required(),
    ];
    let text = "One row per model: what made the vectors of its hash, what it is for and not for.";
    Relation::new("ml", table("models", text, fields), &["model_hash"])
}

fn embeddings() -> Relation {
    Relation {
        checks: &[("vector_where_done", "(state = 'done') = (embedding IS NOT NULL)")],
        ..Relation::new("ml", embeddings::table(0), &["model_hash", "unit", "targetid"])
    }
    .by_model()
}

fn neighbors() -> Relation {
    let key = &["model_hash", "metric", "unit", "targetid", "rank"];
    Relation::new("ml", neighbors::neighbors(), key).by_model()
}

fn scores() -> Relation {
    Relation::new("ml", neighbors::scores(), &["model_hash", "metric", "unit", "targetid"]).by_model()
}

fn vector_index() -> Relation {
    use Kind::{Float64, Int64, Json, Text, Timestamp};
    let fields = vec![
        Field::new("index_name", Text, "name of the index, in schema ml").ucd("meta.id;meta.main").required(),
        Field::new("model_hash", Text, "model whose vectors it holds")
            .ucd("meta.id;meta.modelled")
            .required(),
        Field::new("metric", Text, "l2 or cosine").ucd("meta.code").required(),
        Field::new("method", Text, "hnsw or ivfflat").ucd("meta.code").required(),
        Field::new("parameters", Json, "precision (vector or halfvec), and m and ef_construction, or lists")
            .ucd("meta.note")
            .required(),
        Field::new("bytes", Int64, "size on disk").unit("byte").ucd("phys.size").required(),
        Field::new("seconds", Float64, "time to build").unit("s").ucd("time.duration").required(),
        Field::new("built_at", Timestamp, "when it was built").ucd("time.creation").required(),
    ];
    let text = "One row per vector index: how it was built.";
    Relation::new("ml", table("vector_index", text, fields), &["index_name"])
}

fn recall() -> Relation {
    use Kind::{Float64, Int32, Text, Timestamp};
    let fields = vec![
        Field::new("index_name", Text, "the index").ucd("meta.id").required(),
        Field::new("ef_search", Int32, "hnsw.ef_search, or ivfflat.probes").ucd("meta.number").required(),
        Field::new("k", Int32, "neighbours asked for").ucd("meta.number").required(),
        Field::new("recall", Float64, "share of the exact k nearest neighbours that the index finds")
            .ucd("stat.probability")
            .required(),
        Field::new("n_queries", Int32, "queries it was measured with").ucd("meta.number").required(),
        Field::new("milliseconds_per_query", Float64, "mean time of a query")
            .unit("ms")
            .ucd("time.duration")
            .required(),
        Field::new("measured_at", Timestamp, "when it was measured").ucd("time.epoch").required(),
    ];
    let text = "How much of the exact nearest neighbours each vector index finds.";
    Relation {
        references: Some(("index_name", "ml.vector_index")),
        ..Relation::new("ml", table("recall", text, fields), &["index_name", "ef_search", "k"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    #[test]
    fn keys_partitions_and_references_are_columns_that_are_never_null() {
        for relation in relations() {
            let mut named = relation.key.to_vec();
            named.extend(relation.partitioned_by);
            named.extend(relation.references.map(|(column, _)| column));
            for name in named {
                let at = relation.table.index_of(name);
                let field = &relation.table.fields[at.unwrap_or_else(|| panic!("{name}"))];
                assert!(!field.nullable, "{}.{name}", relation.full_name());
            }
        }
        assert_eq!(relation("ml.recall").unwrap().table.name, "recall");
        assert_eq!(relation("recall"), None);
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        for (at, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version).unwrap(), at + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.version)), "{}", migration.name);
            assert!(!migration.sql.trim().is_empty());
        }
    }

    #[test]
    fn a_later_table_is_made_by_its_migration_as_the_definitions_say() {
        for relation in relations().iter().filter(|relation| relation.since != FIRST_TABLES) {
            let migration = MIGRATIONS.iter().find(|migration| migration.version == relation.since).unwrap();
            let text = sql::create_table(relation);
            assert!(migration.sql.contains(&text), "{} needs:\n{text}", migration.name);
        }
    }

    #[test]
    fn the_migration_that_makes_the_tables_is_what_the_definitions_say() {
        assert!(
            MIGRATIONS[1].sql == sql::create_tables(),
            "schemas/sql/0002_tables.sql is stale: where it was never released run `make sql`, else write a migration"
        );
    }
}
