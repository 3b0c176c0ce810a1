//! One vector index: predicted, built within the server's means while its progress is told, recorded.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::means::{Means, Session};
use super::predict::{self, Load, cost};
use super::{Model, Outcome, method_name, precision_name};
use crate::config::{Index, IndexMethod, Metric};
use crate::sink::postgres::query::indexed_type;
use crate::sink::postgres::{Database, DatabaseError, quote_name};

/// Between lines on a build's progress.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Rows whose build tells the time of the whole; fewer rows than ten times these are built without.
const PROBE_ROWS: u64 = 2000;
const BUILDING: &str = "building a vector index";

type Result<T> = std::result::Result<T, DatabaseError>;

/// An index that was built.
#[derive(Debug, Clone)]
pub(super) struct Built {
    name: String,
    rows: u64,
    bytes: u64,
    predicted_bytes: f64,
    seconds: f64,
    predicted_seconds: Option<f64>,
}

impl Built {
    /// One line for people.
    pub(super) fn render(&self) -> String {
        let mb = |bytes: f64| bytes / 1e6;
        let predicted =
            self.predicted_seconds.map(|seconds| format!(" ({seconds:.1} predicted)")).unwrap_or_default();
        format!(
            "{} built over {} rows: {:.1} MB ({:.1} predicted), {:.1} s{predicted}",
            self.name,
            self.rows,
            mb(self.bytes as f64),
            mb(self.predicted_bytes),
            self.seconds
        )
    }
}

const STANDS: &str = "SELECT EXISTS (SELECT FROM ml.vector_index v \
     JOIN pg_class c ON c.relname = v.index_name AND c.relnamespace = 'ml'::regnamespace \
     JOIN pg_index i ON i.indexrelid = c.oid AND i.indisvalid \
     WHERE v.index_name = $1 AND v.method = $2 AND v.parameters = $3)";
/// The partition of a model, and how many vectors it holds.
const PARTITION: &str = "SELECT tableoid::regclass::text, count(embedding) FROM ml.embeddings \
     WHERE model_hash = $1 GROUP BY 1";
const FORGET: &str = "DELETE FROM ml.vector_index WHERE model_hash = $1 AND metric = $2 RETURNING index_name";
const RECORD: &str = "INSERT INTO ml.vector_index (index_name, model_hash, metric, method, parameters, bytes, seconds) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Builds an index where it does not stand as the settings say.
///
/// # Errors
/// Where the database refuses or is lost: the index that stood before stands still.
pub(super) fn build(
    database: &Database,
    settings: &Index,
    model: &Model,
    metric: Metric,
    name: &str,
) -> Result<Outcome> {
    let Some(row) = database.query("counting vectors", PARTITION, &[&model.hash])?.pop() else {
        return Ok(Outcome::NoVectors);
    };
    let (partition, count): (String, i64) = (row.get(0), row.get(1));
    let load = Load { rows: u64::try_from(count).unwrap_or(0), dimension: model.dimension };
    if load.rows == 0 {
        return Ok(Outcome::NoVectors);
    }
    let parameters = parameters(settings, load);
    let method = method_name(settings.method);
    let standing = database.query_one("looking for the index", STANDS, &[&name, &method, &parameters])?;
    if standing.get(0) {
        return Ok(Outcome::Stands(name.to_owned()));
    }
    let order = Order { settings, model, metric, name, partition: &partition, load, parameters };
    let means = Means::read(database)?;
    let session = means.session(&cost(settings, load));
    match order.carry_out(database, &session) {
        // The server is elsewhere, or its shared memory was taken by somebody else meanwhile.
        Err(DatabaseError::DiskFull { reason, .. })
            if session.workers > 0 && reason.contains("shared memory") =>
        {
            tracing::warn!("{reason}: building with one process, which needs no shared memory");
            order.carry_out(database, &Session { workers: 0, ..session })
        }
        outcome => outcome,
    }
    .map(Outcome::Built)
}

fn parameters(settings: &Index, load: Load) -> Value {
    let precision = precision_name(settings.precision);
    match settings.method {
        IndexMethod::Hnsw => {
            json!({ "precision": precision, "m": settings.m, "ef_construction": settings.ef_construction })
        }
        IndexMethod::Ivfflat => json!({ "precision": precision, "lists": predict::lists(load.rows) }),
    }
}

/// An index to be built.
struct Order<'a> {
    settings: &'a Index,
    model: &'a Model,
    metric: Metric,
    name: &'a str,
    partition: &'a str,
    load: Load,
    parameters: Value,
}

impl Order<'_> {
    /// The statement that builds it, or its probe, on a table.
    fn statement(&self, name: &str, table: &str) -> String {
        let dimension = i32::try_from(self.model.dimension).unwrap_or(i32::MAX);
        let kind = indexed_type(self.settings.precision, dimension);
        let operators = match self.metric {
            Metric::L2 => "l2_ops",
            Metric::Cosine => "cosine_ops",
        };
        let with = match self.settings.method {
            IndexMethod::Hnsw => {
                format!("m = {}, ef_construction = {}", self.settings.m, self.settings.ef_construction)
            }
            IndexMethod::Ivfflat => format!("lists = {}", predict::lists(self.load.rows)),
        };
        format!(
            "CREATE INDEX {} ON {table} USING {} ((embedding::{kind}) {}_{operators}) WITH ({with})",
            quote_name(name),
            method_name(self.settings.method),
            precision_name(self.settings.precision),
        )
    }

    fn carry_out(&self, database: &Database, session: &Session) -> Result<Built> {
        let cost = cost(self.settings, self.load);
        let predicted_seconds = self.probe(database, session)?;
        self.announce(&cost, session, predicted_seconds);
        let started = Instant::now();
        let bytes = rolled_back_on_error(database, || {
            database.batch(BUILDING, &set_local(session))?;
            // Beside the old one, which answers until the very end: to drop it, nobody may read its table.
            let aside = format!("{}_next", self.name);
            telling_progress(database, || database.batch(BUILDING, &self.statement(&aside, self.partition)))?;
            self.drop_others(database)?;
            let rename = format!("ALTER INDEX ml.{} RENAME TO {}", quote_name(&aside), quote_name(self.name));
            database.batch(BUILDING, &rename)?;
            self.record(database, started.elapsed().as_secs_f64())
        })?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Built {
            name: self.name.to_owned(),
            rows: self.load.rows,
            bytes,
            predicted_bytes: cost.disk_bytes,
            seconds,
            predicted_seconds,
        })
    }

    /// Removes what this index replaces: those of the same vectors and metric, in any precision.
    fn drop_others(&self, database: &Database) -> Result<()> {
        let rows = database.query(BUILDING, FORGET, &[&self.model.hash, &self.metric.name()])?;
        let mut names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        names.push(self.name.to_owned());
        for name in names {
            database.batch(BUILDING, &format!("DROP INDEX IF EXISTS ml.{}", quote_name(&name)))?;
        }
        Ok(())
    }

    fn announce(&self, cost: &predict::Cost, session: &Session, predicted_seconds: Option<f64>) {
        let mb = |bytes: f64| bytes / 1e6;
        tracing::info!(
            index = self.name,
            rows = self.load.rows,
            predicted_mb = format!("{:.1}", mb(cost.disk_bytes)),
            predicted_seconds = predicted_seconds.map(|seconds| format!("{seconds:.0}")),
            maintenance_work_mem_mb = session.memory >> 20,
            workers = session.workers,
            "building a vector index"
        );
        if !session.fits {
            tracing::warn!(
                "the build needs {:.0} MB of maintenance_work_mem and may have {}: it will be many times slower; give the \
                 server more, or set [index] method = \"ivfflat\" or precision = \"halfvec\"",
                1.1 * mb(cost.memory_bytes),
                session.memory / 1_000_000
            );
        }
    }

    /// Seconds that the whole build will take, from one over a few rows; `None` where it is not worth it.
    fn probe(&self, database: &Database, session: &Session) -> Result<Option<f64>> {
        if self.load.rows < 10 * PROBE_ROWS || self.settings.method == IndexMethod::Ivfflat {
            return Ok(None);
        }
        database.batch(BUILDING, "BEGIN")?;
        let take = format!(
            "CREATE TEMPORARY TABLE probe ON COMMIT DROP AS SELECT embedding FROM {} WHERE embedding IS NOT NULL LIMIT {PROBE_ROWS}",
            self.partition
        );
        let outcome =
            database.batch(BUILDING, &set_local(&Session { workers: 0, ..*session })).and_then(|()| {
                database.batch(BUILDING, &take)?;
                let started = Instant::now();
                database.batch(BUILDING, &self.statement("probe_index", "probe"))?;
                Ok(started.elapsed().as_secs_f64())
            });
        database.batch(BUILDING, "ROLLBACK")?;
        let seconds = outcome?;
        Ok(Some(predict::seconds(seconds, PROBE_ROWS, self.load.rows, session.workers)))
    }

    fn record(&self, database: &Database, seconds: f64) -> Result<u64> {
        let sized = database.query_one(
            BUILDING,
            "SELECT pg_relation_size(format('ml.%I', $1::text)::regclass)",
            &[&self.name],
        )?;
        let bytes: i64 = sized.get(0);
        database.execute(
            BUILDING,
            RECORD,
            &[
                &self.name,
                &self.model.hash,
                &self.metric.name(),
                &method_name(self.settings.method),
                &self.parameters,
                &bytes,
                &seconds,
            ],
        )?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }
}

/// The session's settings for a build, until its transaction ends.
pub(super) fn set_local(session: &Session) -> String {
    format!(
        "SET LOCAL maintenance_work_mem = '{}kB'; SET LOCAL max_parallel_maintenance_workers = {}",
        session.memory >> 10,
        session.workers
    )
}

/// Carries out `body` in a transaction.
///
/// # Errors
/// Where `body` fails: then nothing of it stays.
pub(super) fn rolled_back_on_error<T>(database: &Database, body: impl FnOnce() -> Result<T>) -> Result<T> {
    database.batch(BUILDING, "BEGIN")?;
    let outcome = body();
    let ended = database.batch(BUILDING, if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" });
    let value = outcome?;
    ended?;
    Ok(value)
}

/// Carries out `build` while a second connection tells how far it is.
///
/// # Errors
/// Where `build` fails.
pub(super) fn telling_progress(database: &Database, build: impl FnOnce() -> Result<()>) -> Result<()> {
    let backend: i32 = database.query_one(BUILDING, "SELECT pg_backend_pid()", &[])?.get(0);
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Progress is worth a connection where there is one.
            let mut watch = None;
            while is_done.recv_timeout(TELL_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                if watch.is_none() {
                    watch = database.another().ok();
                }
                if let Some(watch) = &watch {
                    tell(watch, backend);
                }
            }
        });
        let outcome = build();
        drop(done);
        outcome
    })
}

fn tell(watch: &Database, backend: i32) {
    const PROGRESS: &str =
        "SELECT phase, tuples_done, tuples_total FROM pg_stat_progress_create_index WHERE pid = $1";
    // What cannot be told is not worth an error.
    let Ok(rows) = watch.query("reading the progress", PROGRESS, &[&backend]) else { return };
    if let Some(row) = rows.first() {
        let (phase, done, total): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        tracing::info!(done, total, "{phase}");
    }
}
