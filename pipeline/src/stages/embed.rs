//! `embed`: the spectra of each unit + the models → `embeddings/<model>/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::SchemaRef;
use specmill_kernels::Backend;
use specmill_schemas::embeddings;

use crate::columns::{Columns, to_f32};
use crate::config::Embed;
use crate::error::{Error, ErrorClass, Result};
use crate::inventory::Inventory;
use crate::lake::{LakeFile, SpectraRows};
use crate::ledger::{FileRecord, Ledger, LedgerRow, RowCounts, State};
use crate::model::{Embedded, Embedder};
use crate::observe::Progress;
use crate::plan::Plan;
use crate::sink::{self, Footer, TableWriter, WrittenFile};
use crate::stage::Stage;
use crate::stages::batches::{Batches, lost};
use crate::stages::fit_basis::check_width;
use crate::stages::upstream::{ReadyModel, expect_fits, extracted, model_hashes, ready_models, spectra_of};
use crate::stages::{self, StageReport, StepSeconds};
use crate::unit::UnitId;

const ROWS_PER_GROUP: usize = 8192;
/// Spectra at a time: a projection packs its basis anew each call, which hundreds of spectra repay.
const BATCH_ROWS: usize = 256;

/// What every lane shares.
struct Shop<'a, B> {
    dev: &'a B,
    plan: &'a Plan,
    models: &'a [ReadyModel<'a>],
    hash: &'a str,
    units: &'a [LedgerRow],
    next: AtomicUsize,
    progress: &'a Progress,
    batches: Batches,
}

/// Embeds every unit that is not embedded yet under the present models, settings and spectra.
///
/// # Errors
/// Where the run folder cannot be written; a unit whose spectra cannot be read is in the ledger instead.
pub fn run<B: Backend>(
    dev: &B,
    plan: &Plan,
    inventory: &Inventory,
    progress: &Progress,
) -> Result<StageReport> {
    let ledger = Ledger::of_run(&plan.folder);
    expect_fits(plan)?;
    let models = ready_models(plan)?;
    let hash = plan.embed_hash(&model_hashes(&models));
    let mut report = StageReport::default();
    let extracted = extracted(plan, inventory)?;
    forget_lost(plan, inventory, &extracted, &ledger)?;
    let mut units = Vec::new();
    for unit in extracted {
        let row = ledger.read(Stage::Embed, &unit.unit)?;
        if row.is_some_and(|row| row.settles(&hash, &inputs(plan, &unit)) && row.outputs_stand(&plan.folder))
        {
            report.settled += 1;
        } else {
            units.push(unit);
        }
    }
    progress.start(units.iter().map(|unit| unit.rows_in).sum(), units.len(), report.settled);
    let next = AtomicUsize::new(0);
    let batches = Batches::of_rows(BATCH_ROWS);
    let shop = Shop { dev, plan, models: &models, hash: &hash, units: &units, next, progress, batches };
    let lanes = dev.info().threads.clamp(1, units.len().max(1));
    report.run_lanes(lanes, || run_lane(&shop, &ledger))?;
    progress.finish();
    Ok(report)
}

/// Takes back the accounts and files of units that are no longer extracted: what they rest on is gone.
fn forget_lost(plan: &Plan, inventory: &Inventory, extracted: &[LedgerRow], ledger: &Ledger) -> Result<()> {
    let extracted: BTreeSet<&UnitId> = extracted.iter().map(|row| &row.unit).collect();
    for unit in inventory.entries.iter().filter_map(|entry| entry.unit.as_ref()) {
        if !extracted.contains(unit) {
            ledger.retract(Stage::Embed, unit)?;
            for model in &plan.models {
                sink::remove_stale(&plan.folder.join(output_path(&model.name, unit)))?;
            }
        }
    }
    Ok(())
}

/// The spectra of the classes that have a model in the plan.
fn inputs(plan: &Plan, unit: &LedgerRow) -> Vec<FileRecord> {
    plan.models.iter().filter_map(|model| spectra_of(unit, model.class)).cloned().collect()
}

fn run_lane<B: Backend>(shop: &Shop<'_, B>, ledger: &Ledger) -> Result<(Vec<LedgerRow>, StepSeconds)> {
    let (mut rows, mut seconds) = (Vec::new(), StepSeconds::default());
    while let Some(unit) = shop.units.get(shop.next.fetch_add(1, Ordering::Relaxed))
        && !shop.progress.should_stop()
    {
        let started = Instant::now();
        let mut output = UnitOutput::default();
        let span = tracing::error_span!("unit", unit = %unit.unit);
        let outcome = span.in_scope(|| embed_unit(shop, unit, &mut output, &mut seconds));
        let row = match outcome {
            Ok(()) => shop.progress.account(output.commit(shop, unit, ledger, started)?),
            // What is wrong with the lake is this unit's; what is wrong with the disk, or a device that does
            // nothing more, ends the run.
            Err(error @ (Error::Lake { .. } | Error::Kernel(_))) => {
                let row = fail(shop, unit, error.to_string(), ledger, started)?;
                let row = shop.progress.account_as(row, ErrorClass::of(&error));
                if let Error::Kernel(error) = &error
                    && let Some(lost) = lost(shop.dev, error)
                {
                    return Err(lost.into());
                }
                row
            }
            Err(error) => return Err(error),
        };
        shop.progress.advance(unit.rows_in);
        rows.push(row);
    }
    Ok((rows, seconds))
}

/// A unit's files and counts as they grow.
#[derive(Default)]
struct UnitOutput {
    written: Vec<WrittenFile>,
    rows_in: u64,
    counts: RowCounts,
}

fn embed_unit<B: Backend>(
    shop: &Shop<'_, B>,
    unit: &LedgerRow,
    output: &mut UnitOutput,
    seconds: &mut StepSeconds,
) -> Result<()> {
    for model in &shop.plan.models {
        let Some(record) = spectra_of(unit, model.class) else { continue };
        let file = LakeFile::open_recorded(&shop.plan.folder, record)?;
        file.expect_footer("specmill.stage_hash", &shop.plan.extract_hash)?;
        output.rows_in += file.n_rows() as u64;
        match shop.models.iter().find(|ready| ready.plan.name == model.name) {
            Some(ready) => embed_file(shop, ready, &unit.unit, &file, output, seconds)?,
            None => output.count(State::Empty, "no_model", file.n_rows() as u64),
        }
    }
    Ok(())
}

fn embed_file<B: Backend>(
    shop: &Shop<'_, B>,
    ready: &ReadyModel<'_>,
    unit: &UnitId,
    file: &LakeFile,
    output: &mut UnitOutput,
    seconds: &mut StepSeconds,
) -> Result<()> {
    let plan = shop.plan;
    let n_pixels = plan.rest_grid(ready.plan.class).n_bins();
    let dimension = i32::try_from(ready.model.card.dimension).unwrap_or(i32::MAX);
    let path = plan.folder.join(output_path(&ready.plan.name, unit));
    let table = embeddings::table(dimension);
    let mut writer =
        TableWriter::create(&path, &plan.folder, &table, ROWS_PER_GROUP, footer(shop, ready, unit))?;
    let mut watch = Instant::now();
    let mut lap = || std::mem::replace(&mut watch, Instant::now()).elapsed().as_secs_f64();
    for spectra in file.spectra(None, shop.batches.most_rows())? {
        let mut spectra = spectra?;
        check_width(file, &spectra, n_pixels)?;
        seconds.read += lap();
        shop.batches.in_pieces(0..spectra.len(), |rows| -> Result<()> {
            let mut own = None;
            let spectra =
                if rows.len() == spectra.len() { &mut spectra } else { own.insert(spectra.rows(rows)) };
            let embedded = ready.model.embed(shop.dev, spectra)?;
            seconds.compute += lap();
            let batch = Verdicts::new(&embedded, n_pixels, &plan.run_file.embed);
            for (reason, count) in batch.counts() {
                let state = if reason.is_empty() { State::Done } else { State::Empty };
                output.count(state, reason, count);
            }
            let rows = batch
                .rows(ready, unit, spectra, &embedded, writer.schema())
                .map_err(|source| Error::Batch { path: path.clone(), source: Box::new(source) })?;
            writer.append(rows)?;
            seconds.write += lap();
            Ok(())
        })?;
    }
    output.written.push(writer.finish()?);
    seconds.write += lap();
    Ok(())
}

/// Why each spectrum has no vector; `None` where it has one.
struct Verdicts {
    n_pixels: usize,
    reason_s: Vec<Option<&'static str>>,
}

impl Verdicts {
    fn new(embedded: &Embedded, n_pixels: usize, settings: &Embed) -> Self {
        let d = embedded.vector_sd.len() / embedded.n_good_s.len().max(1);
        let verdict = |s: usize| {
            let good = f64::from(embedded.n_good_s[s]) / n_pixels as f64;
            let amplitude = embedded.amplitude_s[s];
            if good < settings.min_good_fraction || embedded.n_good_s[s] == 0 {
                Some("coverage")
            } else if amplitude <= 0.0 || f64::from(embedded.amplitude_snr_s[s]) < settings.min_amplitude_snr
            {
                Some("amplitude")
            } else if embedded.constraint_s[s] <= 0.0 {
                Some("coverage")
            } else {
                let variances = &embedded.variance_sd[s * d..(s + 1) * d];
                let known = variances.iter().all(|&v| f64::from(v) <= settings.max_variance);
                (!known).then_some("variance")
            }
        };
        Self { n_pixels, reason_s: (0..embedded.n_good_s.len()).map(verdict).collect() }
    }

    /// Rows by reason; "" for those with a vector.
    fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for reason in &self.reason_s {
            *counts.entry(reason.unwrap_or_default()).or_default() += 1;
        }
        counts
    }

    fn rows(
        &self,
        ready: &ReadyModel<'_>,
        unit: &UnitId,
        spectra: &SpectraRows,
        embedded: &Embedded,
        schema: &SchemaRef,
    ) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
        let n = spectra.len();
        let identity = ready.model.identity();
        let unit = unit.to_string();
        let done = |s: usize| self.reason_s[s].is_none();
        // A fit that was not made leaves nothing to report.
        let fitted = |values: &[f32]| -> Vec<Option<f32>> {
            let value = |(s, &value): (usize, &f32)| (embedded.constraint_s[s] > 0.0).then_some(value);
            values.iter().enumerate().map(value).collect()
        };
        // A spectrum without good pixels has no amplitude; 0 to the bit is what the kernel then leaves.
        let scaled = |values: &[f32]| -> Vec<Option<f32>> {
            let value = |(s, &value): (usize, &f32)| (embedded.amplitude_s[s].abs() > 0.0).then_some(value);
            values.iter().enumerate().map(value).collect()
        };
        let fraction = |&n_good: &u32| Some(to_f32(f64::from(n_good) / self.n_pixels as f64));
        let mut columns = Columns::new(n);
        columns.text("model_hash", (0..n).map(|_| Some(identity.hash)));
        columns.text("unit", (0..n).map(|_| Some(&unit)));
        columns.int64("targetid", spectra.targetid_s.iter().copied().map(Some));
        columns.int32("row", spectra.row_s.iter().copied().map(Some));
        columns.text("state", (0..n).map(|s| Some(if done(s) { State::Done } else { State::Empty }.name())));
        columns.text("reason", self.reason_s.iter().copied());
        columns.float64("z", spectra.z_s.iter().copied().map(Some));
        columns.float32("good_pixel_fraction", embedded.n_good_s.iter().map(fraction));
        columns.float32("amplitude", scaled(&embedded.amplitude_s).into_iter());
        columns.float32("amplitude_snr", scaled(&embedded.amplitude_snr_s).into_iter());
        columns.float32("constraint", embedded.constraint_s.iter().copied().map(Some));
        columns.float32("chi2_reduced", fitted(&embedded.chi2_reduced_s).into_iter());
        let counts = embedded.n_good_s.iter().map(|&count| i32::try_from(count).ok());
        columns.int32("n_good_pixels", counts);
        columns.put("embedding", self.lists(&embedded.vector_sd, identity.dimension)?);
        columns.put("embedding_variance", self.lists(&embedded.variance_sd, identity.dimension)?);
        columns.into_batch(schema)
    }

    /// One list a spectrum, NULL where there is no vector.
    fn lists(&self, values_sd: &[f32], d: usize) -> std::result::Result<ArrayRef, arrow::error::ArrowError> {
        let mut values_sd = values_sd.to_vec();
        for (reason, vector) in self.reason_s.iter().zip(values_sd.chunks_exact_mut(d)) {
            if reason.is_some() {
                vector.fill(0.0);
            }
        }
        let valid: NullBuffer = self.reason_s.iter().map(Option::is_none).collect::<Vec<_>>().into();
        let item = Arc::new(specmill_schemas::list_item());
        let width = i32::try_from(d).unwrap_or(i32::MAX);
        let values = Arc::new(Float32Array::from(values_sd));
        Ok(Arc::new(FixedSizeListArray::try_new(item, width, values, Some(valid))?))
    }
}

/// Where a unit's embeddings under a model stand in the run folder.
pub(crate) fn output_path(model: &str, unit: &UnitId) -> PathBuf {
    let mut path = Path::new("embeddings").join(model).join(unit.relative_path()).into_os_string();
    path.push(".parquet");
    path.into()
}

fn footer<B>(shop: &Shop<'_, B>, ready: &ReadyModel<'_>, unit: &UnitId) -> Footer {
    let identity = ready.model.identity();
    let own = [
        ("specmill.unit", unit.to_string()),
        ("specmill.model", identity.name.to_owned()),
        ("specmill.model_hash", identity.hash.to_owned()),
        ("specmill.embedder_version", identity.version.to_string()),
        ("specmill.preprocessing", identity.preprocessing.to_owned()),
    ];
    stages::footer(Stage::Embed, shop.hash, own)
}

impl UnitOutput {
    fn count(&mut self, state: State, reason: &str, rows: u64) {
        if rows > 0 {
            *self.counts.entry(state).or_default().entry(reason.to_owned()).or_default() += rows;
        }
    }

    /// Swaps the unit's files and account, as `extract` does.
    fn commit<B>(
        self,
        shop: &Shop<'_, B>,
        unit: &LedgerRow,
        ledger: &Ledger,
        started: Instant,
    ) -> Result<LedgerRow> {
        let folder = &shop.plan.folder;
        ledger.retract(Stage::Embed, &unit.unit)?;
        let outputs = self.written.into_iter().map(|file| file.commit(folder)).collect::<Result<Vec<_>>>()?;
        for model in &shop.plan.models {
            let path = output_path(&model.name, &unit.unit);
            if !outputs.iter().any(|new| Path::new(&new.path) == path) {
                sink::remove_stale(&folder.join(path))?;
            }
        }
        let any_done = self.counts.contains_key(&State::Done);
        let reason = match (any_done, self.rows_in) {
            (true, _) => None,
            (false, 0) => Some("no spectra of a class with a model"),
            (false, _) => Some("no spectrum has a vector"),
        };
        let row = LedgerRow {
            stage: Stage::Embed,
            unit: unit.unit.clone(),
            stage_hash: shop.hash.to_owned(),
            state: if any_done { State::Done } else { State::Empty },
            reason: reason.map(str::to_owned),
            rows_in: self.rows_in,
            rows: self.counts,
            inputs: inputs(shop.plan, unit),
            outputs,
            notes: Vec::new(),
            seconds: started.elapsed().as_secs_f64(),
        };
        ledger.commit(&row)?;
        Ok(row)
    }
}

/// Settles a unit that could not be embedded; what an earlier run left of it goes.
fn fail<B>(
    shop: &Shop<'_, B>,
    unit: &LedgerRow,
    reason: String,
    ledger: &Ledger,
    started: Instant,
) -> Result<LedgerRow> {
    ledger.retract(Stage::Embed, &unit.unit)?;
    for model in &shop.plan.models {
        sink::remove_stale(&shop.plan.folder.join(output_path(&model.name, &unit.unit)))?;
    }
    let row = LedgerRow {
        stage: Stage::Embed,
        unit: unit.unit.clone(),
        stage_hash: shop.hash.to_owned(),
        state: State::Failed,
        reason: Some(reason),
        rows_in: 0,
        rows: RowCounts::new(),
        inputs: inputs(shop.plan, unit),
        outputs: Vec::new(),
        notes: Vec::new(),
        seconds: started.elapsed().as_secs_f64(),
    };
    ledger.commit(&row)?;
    Ok(row)
}
