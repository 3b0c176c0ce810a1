//! `db index`: the indexes that queries need, and how much of the exact neighbours the vector indexes find.

mod build;
mod catalogs;
mod means;
mod predict;

use std::fmt::Write as _;
use std::path::Path;

use super::recall::{self, Measured};
use super::{Database, DatabaseError};
use crate::config::{Environment, Index, IndexMethod, IndexPrecision, Metric, RunFile};
use crate::error::{Error, Result};

use build::Built;

/// Ordinary indexes, by name. They are made after the load, and kept by every later one.
const SECONDARY: [(&str, &str); 5] = [
    ("features_target_key", "spectra.features (specprod, targetid, survey, program, healpix)"),
    ("features_targetid", "spectra.features (targetid)"),
    ("features_healpix29", "spectra.features (healpix29)"),
    ("embeddings_targetid", "ml.embeddings (targetid)"),
    ("neighbors_targetid", "ml.neighbors (targetid)"),
];

const MODELS: &str = "SELECT model_hash, name, dimension FROM ml.models ORDER BY name, model_hash";

/// A model whose vectors are indexed.
#[derive(Debug, Clone)]
struct Model {
    hash: String,
    name: String,
    dimension: u32,
}

/// One line of the report.
struct Line {
    model: String,
    metric: Metric,
    outcome: Outcome,
    recall: Vec<Measured>,
}

/// What became of an index.
enum Outcome {
    /// Built now.
    Built(Built),
    /// As it should be already.
    Stands(String),
    /// The model has no vectors.
    NoVectors,
}

/// Builds what is missing or built otherwise than the run file says, and measures it; gives a report to print.
///
/// # Errors
/// Where the settings are out of range, or the database refuses or is lost: an index is there whole or not at all.
pub(crate) fn run(run_file: &RunFile, folder: &Path, environment: &Environment) -> Result<String> {
    let settings = &run_file.index;
    check_settings(settings)?;
    let database = Database::open(environment, folder)?;
    let doing = "making indexes";
    database.batch(doing, "SET ROLE specmill_owner; SET client_min_messages = warning").map_err(Box::new)?;
    for (name, columns) in SECONDARY {
        tracing::info!("index {name} on {columns}");
        database
            .batch(doing, &format!("CREATE INDEX IF NOT EXISTS {name} ON {columns}"))
            .map_err(Box::new)?;
    }
    let lines = vector_indexes(&database, settings, &run_file.neighbors.metrics).map_err(Box::new)?;
    database
        .batch(
            "counting rows for the planner",
            "ANALYZE spectra.features, ml.embeddings, ml.neighbors, ml.scores",
        )
        .map_err(Box::new)?;
    let catalogs = catalogs::run(&database).map_err(Box::new)?;
    Ok(render(settings, &lines) + &catalogs)
}

fn vector_indexes(
    database: &Database,
    settings: &Index,
    metrics: &[Metric],
) -> std::result::Result<Vec<Line>, DatabaseError> {
    let rows = database.query("reading the models", MODELS, &[])?;
    let models: Vec<Model> = rows
        .iter()
        .map(|row| Model {
            hash: row.get(0),
            name: row.get(1),
            dimension: u32::try_from(row.get::<_, i32>(2)).unwrap_or(0),
        })
        .collect();
    let mut lines = Vec::new();
    for model in &models {
        for &metric in metrics {
            let name = index_name(model, metric, settings.precision);
            let outcome = build::build(database, settings, model, metric, &name)?;
            let recall = match outcome {
                Outcome::NoVectors => Vec::new(),
                Outcome::Built(_) | Outcome::Stands(_) => {
                    let subject = recall::Subject {
                        index: &name,
                        model_hash: &model.hash,
                        dimension: model.dimension,
                        metric,
                        method: settings.method,
                        precision: settings.precision,
                    };
                    recall::measure(database, &subject, &settings.ef_search)?
                }
            };
            lines.push(Line { model: model.name.clone(), metric, outcome, recall });
        }
    }
    Ok(lines)
}

/// The same for the same vectors, metric and precision; other parameters replace the index.
fn index_name(model: &Model, metric: Metric, precision: IndexPrecision) -> String {
    let hash = model.hash.get(..16).unwrap_or(&model.hash);
    format!("vectors_{}_{}_{hash}", metric.name(), precision_name(precision))
}

/// The precision as the run file writes it.
fn precision_name(precision: IndexPrecision) -> &'static str {
    match precision {
        IndexPrecision::Vector => "vector",
        IndexPrecision::Halfvec => "halfvec",
    }
}

fn method_name(method: IndexMethod) -> &'static str {
    match method {
        IndexMethod::Hnsw => "hnsw",
        IndexMethod::Ivfflat => "ivfflat",
    }
}

/// pgvector's own limits.
fn check_settings(settings: &Index) -> Result<()> {
    let wrong = |setting: &str, problem: String| Err(Error::Setting { setting: setting.to_owned(), problem });
    if !(2..=100).contains(&settings.m) {
        return wrong("index.m", format!("{} is not between 2 and 100", settings.m));
    }
    let least = (2 * settings.m).max(4);
    if !(least..=1000).contains(&settings.ef_construction) {
        let problem = format!("{} is not between {least} (2 m) and 1000", settings.ef_construction);
        return wrong("index.ef_construction", problem);
    }
    match settings.ef_search.iter().find(|ef| !(1..=1000).contains(*ef)) {
        Some(ef) => wrong("index.ef_search", format!("{ef} is not between 1 and 1000")),
        None => Ok(()),
    }
}

fn render(settings: &Index, lines: &[Line]) -> String {
    let mut text = String::from("model               metric  index\n");
    for Line { model, metric, outcome, .. } in lines {
        let said = match outcome {
            Outcome::Built(built) => built.render(),
            Outcome::Stands(name) => format!("{name} stands"),
            Outcome::NoVectors => "no vectors".to_owned(),
        };
        let _ = writeln!(text, "{model:<20}{:<8}{said}", metric.name());
    }
    let knob = match settings.method {
        IndexMethod::Hnsw => "ef_search",
        IndexMethod::Ivfflat => "probes",
    };
    let _ = writeln!(text, "\nmodel               metric  {knob:>9}    k   recall  queries  ms/query");
    for Line { model, metric, recall, .. } in lines {
        for measured in recall {
            let _ = writeln!(
                text,
                "{model:<20}{:<8}{:>9}{:>5}{:>9.4}{:>9}{:>10.3}",
                metric.name(),
                measured.ef_search,
                measured.k,
                measured.recall,
                measured.n_queries,
                measured.milliseconds
            );
        }
    }
    if lines.iter().all(|line| line.recall.is_empty()) {
        text.push_str("no exact neighbours are loaded: recall is not known\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_pgvector_does_not_take_are_refused_by_name() {
        for (index, name) in [
            (Index { m: 1, ..Index::default() }, "index.m"),
            (Index { m: 64, ..Index::default() }, "index.ef_construction"),
            (Index { ef_search: vec![40, 0], ..Index::default() }, "index.ef_search"),
        ] {
            let error = check_settings(&index).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(check_settings(&Index::default()).is_ok());
    }

    #[test]
    fn an_index_has_a_name_that_postgresql_keeps_whole() {
        let model =
            Model { hash: "0123456789abcdef0123456789abcdef".to_owned(), name: "x".to_owned(), dimension: 9 };
        let name = index_name(&model, Metric::Cosine, IndexPrecision::Halfvec);
        assert_eq!(name, "vectors_cosine_halfvec_0123456789abcdef");
        assert!(name.len() < 64);
    }
}
