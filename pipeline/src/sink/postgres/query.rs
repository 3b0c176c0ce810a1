//! Questions to the loaded tables: filters as parameterised conditions, and the spectra most like one.

use pgvector::Vector;
use specmill_schemas::features;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Database, DatabaseError, quote_name};
use crate::config::{IndexPrecision, Metric};
use crate::filter::{Comparison, Filter, Test, Value};

/// A value that travels beside a statement.
type Parameter = Box<dyn ToSql + Sync + Send>;

/// Conditions as SQL, with the values that go with it.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Joined by `AND`; `true` where there are none.
    pub(super) sql: String,
    /// `$n`, `$n+1`, …
    pub(super) values: Vec<Parameter>,
}

impl Conditions {
    /// A filter on the columns of `alias`, whose first parameter has number `first`.
    pub(super) fn render(filter: Option<&Filter>, alias: &str, first: usize) -> Self {
        let mut made = Self { sql: String::new(), values: Vec::new() };
        for condition in filter.iter().flat_map(|filter| &filter.conditions) {
            let column = format!("{alias}.{}", quote_name(&condition.column));
            let text = match &condition.test {
                Test::Compare(comparison, value) => {
                    format!("{column} {} {}", operator(*comparison), made.place(value, first))
                }
                Test::Between { negated, low, high } => {
                    let (low, high) = (made.place(low, first), made.place(high, first));
                    format!("{column} {}BETWEEN {low} AND {high}", not(*negated))
                }
                Test::In { negated, values } => {
                    let values: Vec<String> = values.iter().map(|value| made.place(value, first)).collect();
                    format!("{column} {}IN ({})", not(*negated), values.join(", "))
                }
                Test::Null { negated } => format!("{column} IS {}NULL", not(*negated)),
            };
            if !made.sql.is_empty() {
                made.sql.push_str(" AND ");
            }
            made.sql.push_str(&text);
        }
        if made.sql.is_empty() {
            made.sql.push_str("true");
        }
        made
    }

    /// Adds a value; gives the place that stands for it.
    fn place(&mut self, value: &Value, first: usize) -> String {
        let (parameter, kind): (Parameter, _) = match value {
            Value::Integer(value) => (Box::new(*value), "bigint"),
            Value::Single(value) => (Box::new(*value), "real"),
            Value::Double(value) => (Box::new(*value), "double precision"),
            Value::Text(value) => (Box::new(value.clone()), "text"),
            Value::Bool(value) => (Box::new(*value), "boolean"),
        };
        self.values.push(parameter);
        format!("${}::{kind}", first + self.values.len() - 1)
    }

    /// The values, as a statement takes them.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync))
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Unequal => "<>",
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::Greater => ">",
        Comparison::AtLeast => ">=",
    }
}

/// pgvector's operator of a metric.
pub(super) fn distance_operator(metric: Metric) -> &'static str {
    match metric {
        Metric::L2 => "<->",
        Metric::Cosine => "<=>",
    }
}

/// The type that an index of this precision holds.
pub(super) fn indexed_type(precision: IndexPrecision, dimension: i32) -> String {
    match precision {
        IndexPrecision::Vector => format!("vector({dimension})"),
        IndexPrecision::Halfvec => format!("halfvec({dimension})"),
    }
}

/// Candidates for each neighbour asked for: coarser vectors rank more, and the exact distance then decides.
pub(super) fn rerank(precision: IndexPrecision) -> usize {
    match precision {
        IndexPrecision::Vector => 1,
        IndexPrecision::Halfvec => 4,
    }
}

/// The most neighbours that are looked for at once; `ml.similar` has the same bound.
pub(crate) const K_MOST: u16 = 10_000;

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// TARGETID.
    pub(crate) targetid: i64,
    /// Beginning of the unit's id; else the spectrum with the highest amplitude S/N is asked about.
    pub(crate) unit: Option<&'a str>,
    /// Name or hash of the model, where the target has vectors under several.
    pub(crate) model: Option<&'a str>,
    /// How many, at most [`K_MOST`].
    pub(crate) k: u16,
    /// What the neighbours' features have to fulfil.
    pub(crate) filter: Option<&'a Filter>,
    /// How distance is measured.
    pub(crate) metric: Metric,
}

/// A spectrum with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) unit: String,
    pub(crate) targetid: i64,
    pub(crate) z: f64,
    pub(crate) spectype: Option<String>,
    pub(crate) subtype: Option<String>,
    /// Median S/N of the b, r and z arms.
    pub(crate) snr: [Option<f32>; 3],
    /// `None` for the target itself.
    pub(crate) distance: Option<f64>,
}

/// Neighbours, with whose they are and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) model: String,
    pub(crate) model_hash: String,
    pub(crate) class: String,
    /// The vector index asked; `None` where every vector was compared.
    pub(crate) index: Option<String>,
    pub(crate) target: Known,
    /// Nearest first.
    pub(crate) neighbors: Vec<Known>,
}

/// Why there is no answer, other than the database's own reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nothing of that TARGETID.
    #[error("target {targetid} is not in the database{}", in_unit(.unit.as_deref()))]
    NoTarget {
        /// TARGETID.
        targetid: i64,
        /// The beginning of the unit that was asked for.
        unit: Option<String>,
    },
    /// The target is there, but no vector of it.
    #[error("target {targetid} has no vector: {reason}")]
    NoVector {
        /// TARGETID.
        targetid: i64,
        /// Why, unit by unit.
        reason: String,
    },
    /// Vectors that cannot be compared with each other.
    #[error("target {targetid} has vectors under several models, {models}: choose one with --model")]
    Several {
        /// TARGETID.
        targetid: i64,
        /// Their names and hashes.
        models: String,
    },
}

fn in_unit(unit: Option<&str>) -> String {
    unit.map(|unit| format!(" in a unit that starts with `{unit}`")).unwrap_or_default()
}

/// The outcome of a question.
pub(crate) type Asked = std::result::Result<Answer, NoAnswer>;

const CANDIDATES: &str = "SELECT e.model_hash, m.name, m.class, m.dimension, e.unit, e.reason, e.embedding \
     FROM ml.embeddings e JOIN ml.models m USING (model_hash) \
     WHERE e.targetid = $1 AND ($2::text IS NULL OR starts_with(e.unit, $2)) \
     AND ($3::text IS NULL OR m.name = $3 OR m.model_hash = $3) \
     ORDER BY m.name, m.model_hash, e.amplitude_snr DESC NULLS LAST, e.unit";
const FEATURES_OF: &str = "SELECT unit, state, reason FROM spectra.features \
     WHERE targetid = $1 AND ($2::text IS NULL OR starts_with(unit, $2)) ORDER BY unit";
const INDEX_OF: &str = "SELECT index_name, method, parameters ->> 'precision', \
     coalesce((parameters ->> 'lists')::int, 0) FROM ml.vector_index \
     WHERE model_hash = $1 AND metric = $2 ORDER BY built_at DESC, index_name LIMIT 1";

/// A vector to compare others with.
struct Start {
    model_hash: String,
    model: String,
    class: String,
    dimension: i32,
    unit: String,
    vector: Vector,
}

/// The index of a model's vectors.
struct VectorIndex {
    name: String,
    method: String,
    precision: IndexPrecision,
    /// IVFFlat's; 0 for HNSW.
    lists: i32,
}

/// Finds the spectra most like one.
///
/// # Errors
/// Where the database refuses or is lost. That there is no such target or vector is an outcome.
pub(crate) fn similar(database: &Database, question: &Question<'_>) -> Result<Asked, DatabaseError> {
    let start = match start(database, question)? {
        Ok(start) => start,
        Err(reason) => return Ok(Err(reason)),
    };
    let doing = "looking for neighbours";
    let metric = question.metric.name();
    let row = database.query(doing, INDEX_OF, &[&start.model_hash, &metric])?.pop();
    let index = row.map(|row| VectorIndex {
        name: row.get(0),
        method: row.get(1),
        precision: match row.get::<_, Option<&str>>(2) {
            Some("halfvec") => IndexPrecision::Halfvec,
            _ => IndexPrecision::Vector,
        },
        lists: row.get(3),
    });
    let (mut found, mut used) = match &index {
        Some(index) => ask(database, question, &start, Some(index))?,
        None => (Vec::new(), false),
    };
    // A scan of an index ends early where the filter leaves little; comparing everything does not.
    if found.len() < usize::from(question.k) {
        (found, used) = ask(database, question, &start, None)?;
    }
    let target = target(database, question, &start)?;
    Ok(Ok(Answer {
        model: start.model,
        model_hash: start.model_hash,
        class: start.class,
        index: index.filter(|_| used).map(|index| index.name),
        target,
        neighbors: found,
    }))
}

/// The vector to start from, where there is exactly one.
fn start(
    database: &Database,
    question: &Question<'_>,
) -> Result<std::result::Result<Start, NoAnswer>, DatabaseError> {
    let doing = "looking for the target's vector";
    let targetid = question.targetid;
    let rows = database.query(doing, CANDIDATES, &[&targetid, &question.unit, &question.model])?;
    let mut starts: Vec<Start> = rows
        .iter()
        .filter_map(|row| {
            Some(Start {
                model_hash: row.get("model_hash"),
                model: row.get("name"),
                class: row.get("class"),
                dimension: row.get("dimension"),
                unit: row.get("unit"),
                vector: row.get::<_, Option<Vector>>("embedding")?,
            })
        })
        .collect();
    if starts.is_empty() {
        return why_not(database, question, &rows).map(Err);
    }
    let mut models: Vec<String> =
        starts.iter().map(|start| format!("{} ({})", start.model, start.model_hash)).collect();
    models.dedup();
    if models.len() > 1 {
        return Ok(Err(NoAnswer::Several { targetid, models: models.join(", ") }));
    }
    Ok(Ok(starts.swap_remove(0)))
}

fn why_not(
    database: &Database,
    question: &Question<'_>,
    embeddings: &[Row],
) -> Result<NoAnswer, DatabaseError> {
    let Question { targetid, unit, .. } = *question;
    let because = |unit: &str, reason: Option<&str>| format!("{} ({unit})", reason.unwrap_or("no reason"));
    if !embeddings.is_empty() {
        let reasons: Vec<String> =
            embeddings.iter().map(|row| because(row.get("unit"), row.get("reason"))).collect();
        return Ok(NoAnswer::NoVector { targetid, reason: reasons.join("; ") });
    }
    let rows = database.query("looking for the target", FEATURES_OF, &[&targetid, &unit])?;
    if rows.is_empty() {
        return Ok(NoAnswer::NoTarget { targetid, unit: unit.map(str::to_owned) });
    }
    let reasons: Vec<String> = rows
        .iter()
        .map(|row| match row.get::<_, &str>("state") {
            "done" => because(row.get("unit"), Some("no model for its class, or not embedded")),
            state => because(row.get("unit"), Some(row.get::<_, Option<&str>>("reason").unwrap_or(state))),
        })
        .collect();
    Ok(NoAnswer::NoVector { targetid, reason: reasons.join("; ") })
}

const KNOWN: &str = "f.spectype, f.subtype, f.snr_b, f.snr_r, f.snr_z";

/// The statement that ranks neighbours; its parameters are the vector, the target's unit and TARGETID, the model,
/// and then the filter's.
fn ranking(question: &Question<'_>, dimension: i32, index: Option<&VectorIndex>, conditions: &str) -> String {
    let operator = distance_operator(question.metric);
    let precision = index.map_or(IndexPrecision::Vector, |index| index.precision);
    let kind = indexed_type(precision, dimension);
    let candidates = usize::from(question.k) * rerank(precision);
    format!(
        "SELECT * FROM (SELECT e.unit, e.targetid, e.z, {KNOWN}, e.embedding {operator} $1 AS distance \
         FROM ml.embeddings e JOIN spectra.features f ON f.unit = e.unit AND f.targetid = e.targetid \
         WHERE e.model_hash = $4 AND e.embedding IS NOT NULL AND NOT (e.unit = $2 AND e.targetid = $3) \
         AND {conditions} ORDER BY e.embedding::{kind} {operator} $1::{kind} LIMIT {candidates}) nearest \
         ORDER BY distance, unit COLLATE \"C\", targetid LIMIT {}",
        question.k
    )
}

/// Settings of the one query: how far an index is searched, or that none is used.
fn settings(question: &Question<'_>, index: Option<&VectorIndex>) -> String {
    let begin = "BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan";
    match index {
        None => format!("{begin}; SET LOCAL enable_indexscan = off"),
        Some(index) if index.method == "hnsw" => {
            let ef = question.k.saturating_mul(2).clamp(100, 1000);
            format!("{begin}; SET LOCAL hnsw.ef_search = {ef}; SET LOCAL hnsw.iterative_scan = strict_order")
        }
        Some(index) => {
            let probes = f64::from(index.lists.max(1)).sqrt().ceil();
            format!(
                "{begin}; SET LOCAL ivfflat.probes = {probes}; SET LOCAL ivfflat.iterative_scan = relaxed_order"
            )
        }
    }
}

/// The neighbours, and whether the planner took the index for it.
fn ask(
    database: &Database,
    question: &Question<'_>,
    start: &Start,
    index: Option<&VectorIndex>,
) -> Result<(Vec<Known>, bool), DatabaseError> {
    let doing = "looking for neighbours";
    let conditions = Conditions::render(question.filter, "f", 5);
    let sql = ranking(question, start.dimension, index, &conditions.sql);
    let mut parameters: Vec<&(dyn ToSql + Sync)> =
        vec![&start.vector, &start.unit, &question.targetid, &start.model_hash];
    parameters.extend(conditions.parameters());
    // pgvector's settings exist once its library is loaded; the vector that was read has loaded it.
    database.batch(doing, &settings(question, index))?;
    let rows = database.query(doing, &sql, &parameters).and_then(|rows| {
        let plan = database.query(doing, &format!("EXPLAIN {sql}"), &parameters)?;
        Ok((rows, plan))
    });
    let ended = database.batch(doing, "ROLLBACK");
    let (rows, plan) = rows?;
    ended?;
    let used = index.is_some_and(|index| {
        plan.iter().any(|line| line.get::<_, &str>(0).contains(&format!("Index Scan using {}", index.name)))
    });
    Ok((rows.iter().map(|row| known(row, Some(row.get("distance")))).collect(), used))
}

fn target(database: &Database, question: &Question<'_>, start: &Start) -> Result<Known, DatabaseError> {
    let sql = format!(
        "SELECT e.unit, e.targetid, e.z, {KNOWN} FROM ml.embeddings e \
         LEFT JOIN spectra.features f ON f.unit = e.unit AND f.targetid = e.targetid \
         WHERE e.model_hash = $1 AND e.unit = $2 AND e.targetid = $3"
    );
    let row = database.query_one(
        "reading the target",
        &sql,
        &[&start.model_hash, &start.unit, &question.targetid],
    )?;
    Ok(known(&row, None))
}

fn known(row: &Row, distance: Option<f64>) -> Known {
    Known {
        unit: row.get("unit"),
        targetid: row.get("targetid"),
        z: row.get("z"),
        spectype: row.get("spectype"),
        subtype: row.get("subtype"),
        snr: ["snr_b", "snr_r", "snr_z"].map(|name| row.get(name)),
        distance,
    }
}

/// The table whose columns a filter on neighbours may name.
pub(crate) fn filter_table() -> specmill_schemas::Table {
    features::table()
}
