//! How much of the exact nearest neighbours a vector index finds, measured on a seeded sample and kept in
//! `ml.recall`.

use std::collections::BTreeMap;
use std::time::Instant;

use pgvector::Vector;

use super::query::{distance_operator, indexed_type, rerank};
use super::{Database, DatabaseError};
use crate::config::{IndexMethod, IndexPrecision, Metric};

/// Neighbours asked for, where so many exact ones are known.
const K: usize = 10;
/// Queries at most.
const QUERIES: i64 = 1000;
/// What the sample is drawn with.
const SEED: &str = "recall 1";
/// Distances in single precision that differ by less are the same distance: the neighbours are tied.
const TIED: f64 = 1e-5;
/// The same for 1 - cosine, whose rounding is that of numbers near 1.
const TIED_COSINE: f64 = 2.0 * f32::EPSILON as f64;

/// The index that is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) index: &'a str,
    pub(super) model_hash: &'a str,
    pub(super) dimension: u32,
    pub(super) metric: Metric,
    pub(super) method: IndexMethod,
    pub(super) precision: IndexPrecision,
}

/// One line of `ml.recall`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) ef_search: i32,
    pub(super) k: i32,
    pub(super) recall: f64,
    pub(super) n_queries: i32,
    pub(super) milliseconds: f64,
}

type Result<T> = std::result::Result<T, DatabaseError>;
type Key = (String, i64);

/// A spectrum whose exact neighbours are known.
struct Query {
    key: Key,
    vector: Vector,
    /// At most [`K`], with their distances, nearest first.
    exact: BTreeMap<Key, f64>,
}

const DOING: &str = "measuring recall";
/// What was measured before vectors or neighbours came in says nothing of them.
const FORGET: &str = "DELETE FROM ml.recall WHERE index_name = $1 AND measured_at < (SELECT max(loaded_at) \
     FROM ops.load WHERE model_hash = $2 AND dataset IN ('ml.embeddings', 'ml.neighbors'))";
const KNOWN: &str = "SELECT ef_search, k, recall, n_queries, milliseconds_per_query FROM ml.recall \
     WHERE index_name = $1 ORDER BY ef_search";
const SAMPLE: &str = "SELECT n.unit, n.targetid, e.embedding FROM (SELECT unit, targetid FROM ml.neighbors \
     WHERE model_hash = $1 AND metric = $2 AND rank = 1 \
     ORDER BY md5($3 || unit || ' ' || targetid), unit, targetid LIMIT $4) n \
     JOIN ml.embeddings e ON e.model_hash = $1 AND e.unit = n.unit AND e.targetid = n.targetid \
     WHERE e.embedding IS NOT NULL";
const EXACT: &str = "SELECT neighbor_unit, neighbor_targetid, distance FROM ml.neighbors \
     WHERE model_hash = $1 AND metric = $2 AND unit = $3 AND targetid = $4 AND rank <= $5";
const RECORD: &str = "INSERT INTO ml.recall (index_name, ef_search, k, recall, n_queries, milliseconds_per_query) \
     VALUES ($1, $2, $3, $4, $5, $6)";

/// The recall at each setting, measured where it is not known yet; nothing where no exact neighbours are loaded.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn measure(database: &Database, subject: &Subject<'_>, settings: &[u16]) -> Result<Vec<Measured>> {
    database.execute(DOING, FORGET, &[&subject.index, &subject.model_hash])?;
    let mut found: Vec<Measured> = database
        .query(DOING, KNOWN, &[&subject.index])?
        .iter()
        .map(|row| Measured {
            ef_search: row.get(0),
            k: row.get(1),
            recall: row.get(2),
            n_queries: row.get(3),
            milliseconds: row.get(4),
        })
        .collect();
    found.retain(|measured| settings.iter().any(|ef| i32::from(*ef) == measured.ef_search));
    let is_known = |ef: &u16| found.iter().any(|measured| measured.ef_search == i32::from(*ef));
    let missing: Vec<u16> = settings.iter().filter(|ef| !is_known(ef)).copied().collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let queries = sample(database, subject)?;
    if queries.is_empty() {
        return Ok(found);
    }
    for ef in missing {
        let measured = measure_one(database, subject, &queries, ef)?;
        database.execute(
            DOING,
            RECORD,
            &[
                &subject.index,
                &measured.ef_search,
                &measured.k,
                &measured.recall,
                &measured.n_queries,
                &measured.milliseconds,
            ],
        )?;
        found.push(measured);
    }
    found.sort_by_key(|measured| measured.ef_search);
    Ok(found)
}

/// Spectra drawn by a hash of their key, with their exact neighbours.
fn sample(database: &Database, subject: &Subject<'_>) -> Result<Vec<Query>> {
    let metric = subject.metric.name();
    let k = i16::try_from(K).unwrap_or(i16::MAX);
    let drawn = database.query(DOING, SAMPLE, &[&subject.model_hash, &metric, &SEED, &QUERIES])?;
    let mut queries = Vec::with_capacity(drawn.len());
    for row in drawn {
        let (unit, targetid): Key = (row.get(0), row.get(1));
        let neighbors =
            database.query(DOING, EXACT, &[&subject.model_hash, &metric, &unit, &targetid, &k])?;
        let exact =
            neighbors.iter().map(|row| ((row.get(0), row.get(1)), f64::from(row.get::<_, f32>(2)))).collect();
        queries.push(Query { key: (unit, targetid), vector: row.get(2), exact });
    }
    Ok(queries)
}

fn measure_one(
    database: &Database,
    subject: &Subject<'_>,
    queries: &[Query],
    ef_search: u16,
) -> Result<Measured> {
    let operator = distance_operator(subject.metric);
    let dimension = i32::try_from(subject.dimension).unwrap_or(i32::MAX);
    let kind = indexed_type(subject.precision, dimension);
    // The spectrum finds itself first. Coarser vectors rank more candidates, as `similar` does it.
    let k = queries.iter().map(|query| query.exact.len()).max().unwrap_or(K).min(K);
    let candidates = k * rerank(subject.precision) + 1;
    let sql = format!(
        "SELECT * FROM (SELECT unit, targetid, embedding {operator} $1 AS distance FROM ml.embeddings \
         WHERE model_hash = $2 AND embedding IS NOT NULL \
         ORDER BY embedding::{kind} {operator} $1::{kind} LIMIT {candidates}) nearest ORDER BY distance LIMIT {}",
        k + 1
    );
    let knob = match subject.method {
        IndexMethod::Hnsw => "hnsw.ef_search",
        IndexMethod::Ivfflat => "ivfflat.probes",
    };
    database.batch(
        DOING,
        &format!(
            "BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL {knob} = {ef_search}; \
             SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
        ),
    )?;
    let statement = database.block_on(database.client().prepare(&sql)).map_err(super::failed(DOING))?;
    let slack = match subject.metric {
        Metric::L2 => 0.0,
        Metric::Cosine => TIED_COSINE,
    };
    let (mut hits, mut wanted) = (0_usize, 0_usize);
    let mut seconds = 0.0;
    for query in queries {
        let started = Instant::now();
        let rows = database
            .block_on(database.client().query(&statement, &[&query.vector, &subject.model_hash]))
            .map_err(super::failed(DOING))?;
        seconds += started.elapsed().as_secs_f64();
        let found = rows.iter().map(|row| ((row.get(0), row.get(1)), row.get::<_, f64>(2)));
        hits += query.hits(found, slack);
        wanted += query.exact.len();
    }
    database.batch(DOING, "ROLLBACK")?;
    Ok(Measured {
        ef_search: i32::from(ef_search),
        k: i32::try_from(k).unwrap_or(i32::MAX),
        recall: hits as f64 / wanted.max(1) as f64,
        n_queries: i32::try_from(queries.len()).unwrap_or(i32::MAX),
        milliseconds: 1e3 * seconds / queries.len().max(1) as f64,
    })
}

impl Query {
    /// How many of the exact neighbours are among those found; one as near as the farthest of them will do.
    fn hits(&self, found: impl Iterator<Item = (Key, f64)>, slack: f64) -> usize {
        let farthest = self.exact.values().copied().fold(0.0, f64::max) * (1.0 + TIED) + slack;
        let near = |(key, distance): &(Key, f64)| {
            *key != self.key && (self.exact.contains_key(key) || *distance <= farthest)
        };
        found.filter(near).count().min(self.exact.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(targetid: i64) -> Key {
        ("iron/healpix/main/dark/64/1".to_owned(), targetid)
    }

    #[test]
    fn a_tied_neighbour_counts_and_the_spectrum_itself_does_not() {
        let query = Query {
            key: key(1),
            vector: Vector::from(vec![0.0]),
            exact: BTreeMap::from([(key(2), 1.0), (key(3), 2.0)]),
        };
        let found =
            |list: &[(i64, f64)]| query.hits(list.iter().map(|(id, distance)| (key(*id), *distance)), 0.0);
        assert_eq!(found(&[(1, 0.0), (2, 1.0), (3, 2.0)]), 2);
        assert_eq!(found(&[(1, 0.0), (2, 1.0), (9, 2.0)]), 2, "9 is as near as 3");
        assert_eq!(found(&[(1, 0.0), (2, 1.0), (9, 2.1)]), 1);
        assert_eq!(found(&[(1, 0.0)]), 0);
        assert_eq!(found(&[(2, 1.0), (3, 2.0), (9, 2.0), (8, 2.0)]), 2, "never more than there are");
    }
}
