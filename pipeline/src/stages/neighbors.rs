//! `neighbors`: all vectors of a model → `neighbors/<model>.parquet`, `scores/<model>.parquet`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, Int16Array, Int64Array, StringArray};
use arrow::datatypes::{Float32Type, Int64Type};
use specmill_kernels::Backend;
use specmill_kernels::ops::nearest_neighbors::{NO_ROW, unit_vectors};
use specmill_schemas::Table;
use specmill_schemas::neighbors as tables;

use crate::columns::{Columns, to_f32};
use crate::config::Metric;
use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::lake::LakeFile;
use crate::ledger::{FileRecord, Ledger, LedgerRow, RowCounts, State};
use crate::observe::Progress;
use crate::plan::Plan;
use crate::sink::{self, Footer, TableWriter};
use crate::stage::Stage;
use crate::stages::upstream::{ReadyModel, as_one, extracted, model_hashes, model_unit, ready_models};
use crate::stages::{self, StageReport, StepSeconds, embed};

/// Queries searched at once: enough to keep every core busy, few enough to report progress.
const QUERIES: usize = 8192;
const ROWS_PER_GROUP: usize = 262_144;

/// Every vector of a model with its key, in the order of (unit, targetid, row of the file).
#[derive(Default)]
struct Vectors {
    units: Vec<String>,
    /// Index into `units`, [n].
    unit_n: Vec<u32>,
    targetid_n: Vec<i64>,
    chi2_n: Vec<f32>,
    vector_nd: Vec<f32>,
    /// Rows without a vector.
    empty: u64,
}

/// Exact neighbours under one metric.
struct Found {
    metric: Metric,
    k: usize,
    /// [n, k]; `NO_ROW` where there are no more.
    index_nk: Vec<u32>,
    /// In the metric's own measure, [n, k].
    distance_nk: Vec<f32>,
}

/// Finds the neighbours of every model whose vectors changed.
///
/// # Errors
/// Where the run folder cannot be read or written, or memory does not suffice.
pub fn run<B: Backend>(
    dev: &B,
    plan: &Plan,
    inventory: &Inventory,
    progress: &Progress,
) -> Result<StageReport> {
    let ledger = Ledger::of_run(&plan.folder);
    let models = ready_models(plan)?;
    let embed_hash = plan.embed_hash(&model_hashes(&models));
    let mut report = StageReport::default();
    forget_lost(plan, &models, &ledger)?;
    progress.start(0, models.len(), 0);
    for ready in &models {
        let _of_unit = tracing::error_span!("unit", unit = %model_unit(&ready.plan.name)).entered();
        let unit = model_unit(&ready.plan.name);
        let files = embeddings(plan, inventory, ready, &embed_hash)?;
        let inputs =
            vec![as_one(&format!("embeddings/{}", ready.plan.name), &files.iter().collect::<Vec<_>>())];
        let hash = plan.neighbors_hash(&ready.model.card.model_hash, &embed_hash);
        let settled = ledger.read(Stage::Neighbors, &unit)?;
        if settled.is_some_and(|row| row.settles(&hash, &inputs) && row.outputs_stand(&plan.folder)) {
            report.settled += 1;
            progress.settled();
            continue;
        }
        let started = Instant::now();
        let vectors = Vectors::read(plan, ready, &files)?;
        report.seconds.read += started.elapsed().as_secs_f64();
        ledger.retract(Stage::Neighbors, &unit)?;
        let search = Search { dev, plan, ready, hash: &hash, progress };
        let row = search.run(&vectors, &mut report.seconds)?;
        let row = LedgerRow { unit, inputs, seconds: started.elapsed().as_secs_f64(), ..row };
        ledger.commit(&row)?;
        report.written.push(progress.account(row));
    }
    progress.finish();
    Ok(report)
}

/// Takes back what stands for models that this run no longer has.
fn forget_lost(plan: &Plan, models: &[ReadyModel<'_>], ledger: &Ledger) -> Result<()> {
    for model in &plan.models {
        if !models.iter().any(|ready| ready.plan.name == model.name) {
            ledger.retract(Stage::Neighbors, &model_unit(&model.name))?;
            for table in [tables::neighbors(), tables::scores()] {
                sink::remove_stale(&plan.folder.join(output_path(&table.name, &model.name)))?;
            }
        }
    }
    Ok(())
}

/// The embeddings of a model, in the order of their units' text.
fn embeddings(
    plan: &Plan,
    inventory: &Inventory,
    ready: &ReadyModel<'_>,
    embed_hash: &str,
) -> Result<Vec<FileRecord>> {
    let ledger = Ledger::of_run(&plan.folder);
    let mut files = Vec::new();
    for unit in extracted(plan, inventory)? {
        let Some(row) = ledger.read(Stage::Embed, &unit.unit)? else { continue };
        let path = embed::output_path(&ready.plan.name, &unit.unit);
        if row.stage_hash == embed_hash {
            files.extend(row.outputs.into_iter().filter(|file| path == Path::new(&file.path)));
        }
    }
    Ok(files)
}

/// Where a model's neighbours or scores stand in the run folder.
fn output_path(table: &str, model: &str) -> PathBuf {
    Path::new(table).join(format!("{model}.parquet"))
}

impl Vectors {
    fn len(&self) -> usize {
        self.unit_n.len()
    }

    fn unit(&self, n: usize) -> &str {
        &self.units[self.unit_n[n] as usize]
    }

    /// Reads every vector of the files.
    ///
    /// # Errors
    /// [`Error::Lake`] where a file is damaged or holds vectors of another model.
    fn read(plan: &Plan, ready: &ReadyModel<'_>, files: &[FileRecord]) -> Result<Self> {
        let (mut vectors, d) = (Self::default(), ready.model.card.dimension);
        for record in files {
            let file = LakeFile::open_recorded(&plan.folder, record)?;
            file.expect_footer("specmill.model_hash", &ready.model.card.model_hash)?;
            let unit = file.footer("specmill.unit").unwrap_or_default().to_owned();
            let mut of_unit: Vec<(i64, f32, Vec<f32>)> = Vec::new();
            for rows in file.read(&["targetid", "state", "chi2_reduced", "embedding"], ROWS_PER_GROUP)? {
                let rows = rows?;
                let (targetids, list) = (rows.values::<Int64Type>("targetid")?, rows.list("embedding")?);
                if list.len() != rows.len() * d {
                    return Err(file.wrong(format!("its vectors do not have {d} elements")));
                }
                let states = rows.texts("state")?;
                let chi2s = rows.options::<Float32Type>("chi2_reduced")?;
                let each = states.zip(chi2s).zip(targetids).zip(list.chunks_exact(d));
                for (((state, chi2), &targetid), vector) in each {
                    match (state == Some(State::Done.name()), chi2) {
                        (true, Some(chi2)) => of_unit.push((targetid, chi2, vector.to_vec())),
                        _ => vectors.empty += 1,
                    }
                }
            }
            // A stable sort: rows of one TARGETID keep the order of the file.
            of_unit.sort_by_key(|(targetid, ..)| *targetid);
            vectors.push(unit, of_unit);
        }
        Ok(vectors)
    }

    fn push(&mut self, unit: String, rows: Vec<(i64, f32, Vec<f32>)>) {
        let index = u32::try_from(self.units.len()).unwrap_or(u32::MAX);
        self.units.push(unit);
        for (targetid, chi2, vector) in rows {
            self.unit_n.push(index);
            self.targetid_n.push(targetid);
            self.chi2_n.push(chi2);
            self.vector_nd.extend(vector);
        }
    }
}

/// Bytes the search of `n` vectors takes: vectors on the host and twice on the device (once transposed), keys, results.
fn memory_bytes(n: usize, d: usize, k: usize, metrics: usize) -> u64 {
    let (n, d, results) = (n as u64, d as u64, (k * metrics) as u64);
    n * (3 * 4 * d + 16 + 8 * results)
}

/// The search of one model.
struct Search<'a, B> {
    dev: &'a B,
    plan: &'a Plan,
    ready: &'a ReadyModel<'a>,
    hash: &'a str,
    progress: &'a Progress,
}

impl<B: Backend> Search<'_, B> {
    /// Searches, scores and writes; the row lacks what the caller knows.
    fn run(&self, vectors: &Vectors, seconds: &mut StepSeconds) -> Result<LedgerRow> {
        let Self { dev, plan, ready, hash, progress } = *self;
        let (settings, n, d) = (&plan.run_file.neighbors, vectors.len(), ready.model.card.dimension);
        let bytes = memory_bytes(n, d, settings.k, settings.metrics.len());
        tracing::info!(
            model = ready.plan.name,
            vectors = n,
            memory_mb = bytes / 1_000_000,
            gflop = (n as f64).powi(2) * 3.0 * d as f64 / 1e9,
            "searching all pairs"
        );
        if crate::memory::available_bytes().is_some_and(|available| bytes > available)
            || u32::try_from(n).is_err()
        {
            return Err(Error::Setting {
                setting: "neighbors".to_owned(),
                problem: format!("{n} vectors of {d} elements need {:.1} GB of memory", bytes as f64 / 1e9),
            });
        }
        progress.start((n * settings.metrics.len()) as u64, 0, 0);
        let computing = Instant::now();
        let found: Vec<Found> = settings
            .metrics
            .iter()
            .map(|&metric| Found::search(dev, vectors, d, settings.k, metric, progress))
            .collect::<Result<_>>()?;
        progress.finish();
        seconds.compute += computing.elapsed().as_secs_f64();
        let writing = Instant::now();
        let outputs = vec![
            write(plan, ready, hash, &tables::neighbors(), &found, |found, rows, columns| {
                neighbor_columns(vectors, found, rows, columns)
            })?,
            write(plan, ready, hash, &tables::scores(), &found, |found, rows, columns| {
                score_columns(vectors, found, settings.score_k, rows, columns)
            })?,
        ];
        seconds.write += writing.elapsed().as_secs_f64();
        let mut rows = RowCounts::new();
        for (state, reason, count) in
            [(State::Done, "", n as u64), (State::Empty, "no_vector", vectors.empty)]
        {
            if count > 0 {
                rows.entry(state).or_default().insert(reason.to_owned(), count);
            }
        }
        Ok(LedgerRow {
            stage: Stage::Neighbors,
            unit: model_unit(&ready.plan.name),
            stage_hash: hash.to_owned(),
            state: if n > 0 { State::Done } else { State::Empty },
            reason: (n == 0).then(|| "no spectrum has a vector".to_owned()),
            rows_in: n as u64 + vectors.empty,
            rows,
            inputs: Vec::new(),
            outputs,
            notes: Vec::new(),
            seconds: 0.0,
        })
    }
}

impl Found {
    /// Searches all pairs.
    fn search<B: Backend>(
        dev: &B,
        vectors: &Vectors,
        d: usize,
        k: usize,
        metric: Metric,
        progress: &Progress,
    ) -> Result<Self> {
        let n = vectors.len();
        let array = match metric {
            Metric::L2 => dev.upload(&vectors.vector_nd)?,
            Metric::Cosine => dev.upload(&unit_vectors(&vectors.vector_nd, d)?)?,
        };
        let mut found =
            Self { metric, k, index_nk: Vec::with_capacity(n * k), distance_nk: Vec::with_capacity(n * k) };
        for first in (0..n).step_by(QUERIES) {
            let queries = first..n.min(first + QUERIES);
            let count = queries.len() as u64;
            let nearest = dev.nearest_neighbors(&array, d, queries, k)?;
            found.index_nk.extend(dev.download(&nearest.index_qk)?);
            let distance = |dist2: f32| match metric {
                Metric::L2 => dist2.sqrt(),
                // Vectors of length 1: dist2 = 2 − 2 cos.
                Metric::Cosine => 0.5 * dist2,
            };
            found.distance_nk.extend(dev.download(&nearest.dist2_qk)?.into_iter().map(distance));
            progress.advance(count);
        }
        Ok(found)
    }

    /// The neighbours of one row, nearest first.
    fn of(&self, n: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let row = n * self.k..(n + 1) * self.k;
        self.index_nk[row.clone()]
            .iter()
            .zip(&self.distance_nk[row])
            .take_while(|(index, _)| **index != NO_ROW)
            .map(|(&index, &distance)| (index as usize, distance))
    }
}

/// Writes one table of a model: for each metric, its rows in the order of the vectors.
fn write(
    plan: &Plan,
    ready: &ReadyModel<'_>,
    hash: &str,
    table: &Table,
    found: &[Found],
    fill: impl Fn(&Found, Range<usize>, &mut TableColumns),
) -> Result<FileRecord> {
    let path = plan.folder.join(output_path(&table.name, &ready.plan.name));
    let card = &ready.model.card;
    let mut writer = TableWriter::create(&path, &plan.folder, table, ROWS_PER_GROUP, footer(ready, hash))?;
    for found in found {
        let n = found.index_nk.len() / found.k;
        for first in (0..n).step_by(QUERIES) {
            let mut columns = TableColumns::default();
            fill(found, first..n.min(first + QUERIES), &mut columns);
            let batch = columns
                .into_columns(&card.model_hash, found.metric)
                .into_batch(writer.schema())
                .map_err(|source| Error::Batch { path: path.clone(), source: Box::new(source) })?;
            writer.append(batch)?;
        }
    }
    writer.finish()?.commit(&plan.folder)
}

fn footer(ready: &ReadyModel<'_>, hash: &str) -> Footer {
    let card = &ready.model.card;
    let own = [("specmill.model", card.name.clone()), ("specmill.model_hash", card.model_hash.clone())];
    stages::footer(Stage::Neighbors, hash, own)
}

/// Rows of either table: the key, and the table's own columns.
#[derive(Default)]
struct TableColumns {
    unit: Vec<String>,
    targetid: Vec<i64>,
    own: Vec<(&'static str, ArrayRef)>,
}

impl TableColumns {
    fn key(&mut self, vectors: &Vectors, n: usize) {
        self.unit.push(vectors.unit(n).to_owned());
        self.targetid.push(vectors.targetid_n[n]);
    }

    fn into_columns(self, model_hash: &str, metric: Metric) -> Columns {
        let rows = self.targetid.len();
        let mut columns = Columns::new(rows);
        columns.text("model_hash", (0..rows).map(|_| Some(model_hash)));
        columns.text("metric", (0..rows).map(|_| Some(metric.name())));
        columns.text("unit", self.unit.iter().map(Some));
        columns.int64("targetid", self.targetid.into_iter().map(Some));
        for (name, array) in self.own {
            columns.put(name, array);
        }
        columns
    }
}

fn to_i16(count: usize) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

fn neighbor_columns(vectors: &Vectors, found: &Found, rows: Range<usize>, columns: &mut TableColumns) {
    let (mut rank, mut unit, mut targetid) = (Vec::new(), Vec::new(), Vec::new());
    let (mut distance, mut same_target, mut reciprocal) = (Vec::new(), Vec::new(), Vec::new());
    for n in rows {
        for (place, (other, apart)) in found.of(n).enumerate() {
            columns.key(vectors, n);
            rank.push(to_i16(place + 1));
            unit.push(vectors.unit(other));
            targetid.push(vectors.targetid_n[other]);
            distance.push(apart);
            same_target.push(vectors.targetid_n[other] == vectors.targetid_n[n]);
            reciprocal.push(found.of(other).any(|(back, _)| back == n));
        }
    }
    columns.own = vec![
        ("rank", Arc::new(Int16Array::from(rank))),
        ("neighbor_unit", Arc::new(StringArray::from(unit))),
        ("neighbor_targetid", Arc::new(Int64Array::from(targetid))),
        ("distance", Arc::new(Float32Array::from(distance))),
        ("same_target", Arc::new(BooleanArray::from(same_target))),
        ("reciprocal", Arc::new(BooleanArray::from(reciprocal))),
    ];
}

fn score_columns(
    vectors: &Vectors,
    found: &Found,
    score_k: usize,
    rows: Range<usize>,
    columns: &mut TableColumns,
) {
    let (mut count, mut last, mut mean, mut chi2) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in rows {
        columns.key(vectors, n);
        // A repeat of the same target says nothing about how strange the target is.
        let others: Vec<f32> = found
            .of(n)
            .filter(|(other, _)| vectors.targetid_n[*other] != vectors.targetid_n[n])
            .map(|(_, distance)| distance)
            .take(score_k)
            .collect();
        count.push(to_i16(others.len()));
        last.push(others.last().copied());
        let sum: f64 = others.iter().map(|&distance| f64::from(distance)).sum();
        mean.push((!others.is_empty()).then(|| to_f32(sum / others.len() as f64)));
        chi2.push(vectors.chi2_n[n]);
    }
    columns.own = vec![
        ("n_neighbors", Arc::new(Int16Array::from(count))),
        ("knn_distance", Arc::new(Float32Array::from(last))),
        ("knn_mean_distance", Arc::new(Float32Array::from(mean))),
        ("reconstruction_chi2", Arc::new(Float32Array::from(chi2))),
    ];
}
