//! `extract`: coadd + redshifts of each unit → `features/` and `spectra/`.
//!
//! Units go through lanes. In a lane one thread reads, one computes (on the backend's own threads)
//! and one writes, joined by short channels, so that the three overlap and memory stays bounded
//! whatever the size of a file. Lanes share nothing but the list of units.

mod features;
mod measure;
mod output;
mod photometry;
mod target;
mod unit;
mod windows;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::ops::median_snr::SnrRanges;
use specmill_kernels::{Backend, KernelError};
use specmill_schemas::spectra;

use crate::class::Class;
use crate::config::RedshiftSource;
use crate::error::{Error, ErrorClass, Failure, Result};
use crate::fits::{CatalogColumns, CoaddBatch, RedshiftTable, read_redshift_catalog};
use crate::inventory::Inventory;
use crate::ledger::{Ledger, LedgerRow, State};
use crate::observe::Progress;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::stages::batches::{Batches, RowBytes, lost};
use crate::stages::{StageReport, StepSeconds};

use measure::{Measured, Tables, measure_batch};
pub(crate) use output::output_path;
use output::{Ending, UnitOutput};
use target::Rules;
use unit::{UnitContext, UnitInput};
pub(crate) use windows::median_width_aa;

/// A target of DESI's three arms: as read, and with its combined and rest-frame spectra, continuum and scratch.
const ROW_BYTES: RowBytes = RowBytes { host: 96 << 10, device: 512 << 10 };

/// Lanes unless the run file asks for more: each holds some 125 MB of row groups.
const MOST_LANES: usize = 6;

/// Batches in flight between two steps of a lane.
const CHANNEL_BATCHES: usize = 2;

/// From reader to computer.
enum Read {
    Begin(Arc<UnitContext>),
    Batch(Arc<UnitContext>, Box<CoaddBatch>),
    Leave(Box<UnitInput>, State, Failure),
    End(Ending),
}

/// From computer to writer.
enum Computed {
    Begin(Arc<UnitContext>),
    Batch(Vec<Measured>),
    Leave(Box<UnitInput>, State, Failure),
    End(Ending),
}

/// What every lane shares.
struct Shop<'a, B> {
    dev: &'a B,
    plan: &'a Plan,
    tables: &'a Tables,
    catalog: Option<&'a RedshiftTable>,
    ledger: &'a Ledger,
    units: &'a [UnitInput],
    next: AtomicUsize,
    progress: &'a Progress,
    batches: Batches,
    /// Why the device does nothing more.
    lost: OnceLock<KernelError>,
}

/// Runs the stage over every unit of the inventory.
///
/// # Errors
/// Where the run folder cannot be written or the redshift catalogue cannot be read; a unit that
/// fails is in the ledger instead.
pub fn run<B: Backend>(
    dev: &B,
    plan: &Plan,
    inventory: &Inventory,
    progress: &Progress,
) -> Result<StageReport> {
    let tables = tables(plan)?;
    let catalog = catalog(plan)?;
    let ledger = Ledger::of_run(&plan.folder);
    let mut units = Vec::new();
    let mut report = StageReport::default();
    for entry in &inventory.entries {
        let Some(input) = UnitInput::new(entry, &plan.run_file.input.root) else { continue };
        let row = ledger.read(Stage::Extract, &input.id)?;
        let settled = row.is_some_and(|row| {
            row.settles(&plan.extract_hash, &input.files) && row.outputs_stand(&plan.folder)
        });
        if settled {
            report.settled += 1;
        } else {
            units.push(input);
        }
    }
    progress.start(units.iter().map(|unit| unit.rows).sum(), units.len(), report.settled);
    let lanes = lanes(plan, dev.info().threads, units.len());
    let shop = Shop {
        dev,
        plan,
        tables: &tables,
        catalog: catalog.as_ref(),
        ledger: &ledger,
        units: &units,
        next: AtomicUsize::new(0),
        progress,
        batches: Batches::new(dev, plan.run_file.resources.batch_rows, lanes, ROW_BYTES),
        lost: OnceLock::new(),
    };
    report.run_lanes(lanes, || run_lane(&shop))?;
    progress.finish();
    match shop.lost.into_inner() {
        Some(lost) => Err(lost.into()),
        None => Ok(report),
    }
}

/// How many units are worked on at once: enough that reading and writing keep up with computing, and one more for
/// while a file is synced; few enough that their row groups stay below 1 GiB.
fn lanes(plan: &Plan, threads: usize, units: usize) -> usize {
    let asked = plan.run_file.resources.units_in_flight;
    let lanes = if asked == 0 { (threads / 2 + 1).min(MOST_LANES) } else { asked };
    lanes.clamp(1, units.max(1))
}

fn tables(plan: &Plan) -> Result<Tables> {
    let spectra_schema = |class: Class| {
        let n_bins = i32::try_from(plan.rest_grid(class).n_bins()).unwrap_or(i32::MAX);
        Arc::new(spectra::table(n_bins).arrow_schema())
    };
    let extract = &plan.run_file.extract;
    Ok(Tables {
        curve: ExtinctionCurve::fitzpatrick99(&plan.grid),
        snr_ranges: SnrRanges::default(),
        windows: windows::WindowTables::new(&plan.grid)?,
        rules: Rules { skip_zwarn: plan.skip_zwarn, z_min: extract.z_min, z_max: extract.z_max },
        features_schema: Arc::new(specmill_schemas::features::table().arrow_schema()),
        spectra_schemas: Class::ALL.map(spectra_schema),
    })
}

fn catalog(plan: &Plan) -> Result<Option<RedshiftTable>> {
    let redshifts = &plan.run_file.redshifts;
    if redshifts.source == RedshiftSource::Redrock {
        return Ok(None);
    }
    let optional = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
    let columns = CatalogColumns {
        hdu: optional(&redshifts.hdu),
        targetid: redshifts.targetid.clone(),
        z: redshifts.z.clone(),
        zerr: optional(&redshifts.zerr),
        zwarn: optional(&redshifts.zwarn),
        deltachi2: optional(&redshifts.deltachi2),
        spectype: optional(&redshifts.spectype),
        subtype: optional(&redshifts.subtype),
    };
    read_redshift_catalog(&redshifts.path, &columns).map(Some).map_err(Error::from)
}

fn run_lane<B: Backend>(shop: &Shop<'_, B>) -> Result<(Vec<LedgerRow>, StepSeconds)> {
    let (to_compute, from_read) = sync_channel(CHANNEL_BATCHES);
    let (to_write, from_compute) = sync_channel(CHANNEL_BATCHES);
    let (recycle, recycled) = sync_channel(2 * CHANNEL_BATCHES);
    std::thread::scope(|scope| {
        let span = tracing::Span::current();
        let reader = scope.spawn({
            let span = span.clone();
            move || span.in_scope(|| read_units(shop, &to_compute, &recycled))
        });
        let computer =
            scope.spawn(move || span.in_scope(|| compute_units(shop, &from_read, &to_write, &recycle)));
        let written = write_units(shop, &from_compute);
        // A writer that stopped has dropped its receiver; the others then end by themselves.
        drop(from_compute);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let compute = computer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (rows, write) = written?;
        Ok((rows, StepSeconds { read, compute, write }))
    })
}

/// Adds up the time spent between `start` and `stop`, not the waiting.
#[derive(Default)]
struct Stopwatch(f64);

impl Stopwatch {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = std::time::Instant::now();
        let result = work();
        self.0 += start.elapsed().as_secs_f64();
        result
    }
}

/// Reads unit after unit; ends when there are none left or nobody listens.
fn read_units<B: Backend>(
    shop: &Shop<'_, B>,
    to_compute: &SyncSender<Read>,
    recycled: &Receiver<Box<CoaddBatch>>,
) -> f64 {
    let mut watch = Stopwatch::default();
    while shop.lost.get().is_none() && !shop.progress.should_stop() {
        let index = shop.next.fetch_add(1, Ordering::Relaxed);
        let Some(input) = shop.units.get(index) else { break };
        if read_unit(shop, input, to_compute, recycled, &mut watch).is_err() {
            break;
        }
    }
    watch.0
}

/// The other end of the channel is gone: the lane is ending.
struct Hangup;

fn read_unit<B: Backend>(
    shop: &Shop<'_, B>,
    input: &UnitInput,
    to_compute: &SyncSender<Read>,
    recycled: &Receiver<Box<CoaddBatch>>,
    watch: &mut Stopwatch,
) -> std::result::Result<(), Hangup> {
    let send = |message| to_compute.send(message).map_err(|_| Hangup);
    let coadd_path = match (&input.broken, &input.coadd) {
        (Some(reason), _) => {
            let failure = Failure::known(ErrorClass::Inventory, reason);
            return send(Read::Leave(Box::new(input.clone()), State::Failed, failure));
        }
        (None, None) => {
            let failure = Failure::known(ErrorClass::MissingUpstream, "no coadd file for this redrock");
            return send(Read::Leave(Box::new(input.clone()), State::MissingUpstream, failure));
        }
        (None, Some(path)) => path,
    };
    let opened =
        watch.time(|| UnitContext::open(input.clone(), coadd_path, &shop.plan.run_file, shop.catalog));
    let (context, mut coadd) = match opened {
        Ok((context, coadd)) => (Arc::new(context), coadd),
        Err(error) => {
            return send(Read::Leave(Box::new(input.clone()), State::Failed, Failure::of(&error)));
        }
    };
    send(Read::Begin(Arc::clone(&context)))?;
    let step = shop.batches.most_rows();
    let n_rows = coadd.n_rows();
    for first in (0..n_rows).step_by(step) {
        let mut batch = recycled.try_recv().unwrap_or_default();
        let rows = first..n_rows.min(first + step);
        if let Err(error) = watch.time(|| coadd.read_rows(rows, &mut batch)) {
            return send(Read::End(Ending::Failed(Failure::of(&error))));
        }
        send(Read::Batch(Arc::clone(&context), batch))?;
    }
    send(Read::End(Ending::Whole { no_redrock: context.no_redrock }))
}

fn compute_units<B: Backend>(
    shop: &Shop<'_, B>,
    from_read: &Receiver<Read>,
    to_write: &SyncSender<Computed>,
    recycle: &SyncSender<Box<CoaddBatch>>,
) -> f64 {
    let mut watch = Stopwatch::default();
    let mut failure = None;
    for message in from_read {
        let computed = match message {
            Read::Begin(context) => Computed::Begin(context),
            Read::Leave(input, state, failure) => Computed::Leave(input, state, failure),
            Read::End(ending) => Computed::End(failure.take().map_or(ending, Ending::Failed)),
            // The unit has failed already: its remaining rows are read and dropped.
            Read::Batch(..) if failure.is_some() => continue,
            Read::Batch(context, batch) => {
                let _of_unit = tracing::error_span!("unit", unit = %context.input.id).entered();
                let measured = watch.time(|| {
                    shop.batches.in_pieces(0..batch.rows.len(), |rows| {
                        measure_batch(shop.dev, shop.plan, shop.tables, &context, &batch, rows)
                    })
                });
                // A full channel only means that the reader has buffers enough.
                let _ = recycle.try_send(batch);
                match measured {
                    Ok(measured) => Computed::Batch(measured),
                    Err(error) => {
                        failure = Some(Failure::of(&error));
                        if let Some(lost) = error.kernel().and_then(|error| lost(shop.dev, error)) {
                            // Another lane may have been faster.
                            let _ = shop.lost.set(lost);
                        }
                        continue;
                    }
                }
            }
        };
        if to_write.send(computed).is_err() {
            break;
        }
    }
    watch.0
}

fn write_units<B: Backend>(
    shop: &Shop<'_, B>,
    from_compute: &Receiver<Computed>,
) -> Result<(Vec<LedgerRow>, f64)> {
    let mut watch = Stopwatch::default();
    let mut rows = Vec::new();
    let mut current: Option<UnitOutput<'_>> = None;
    for message in from_compute {
        watch.time(|| -> Result<()> {
            match message {
                Computed::Begin(context) => {
                    current =
                        Some(UnitOutput::begin(shop.plan, context.input.clone(), context.notes.clone()));
                }
                Computed::Batch(measured) => {
                    for piece in measured {
                        shop.progress.advance(piece.features.num_rows() as u64);
                        if let Some(output) = &mut current {
                            output.append(piece)?;
                        }
                    }
                }
                Computed::Leave(input, state, failure) => {
                    shop.progress.advance(input.rows);
                    let output = UnitOutput::begin(shop.plan, *input, Vec::new());
                    let row = output.leave(state, failure.reason, shop.ledger)?;
                    rows.push(shop.progress.account_as(row, failure.class));
                }
                Computed::End(ending) => {
                    if let Some(output) = current.take() {
                        let class = ending.class();
                        let row = output.end(ending, shop.ledger)?;
                        rows.push(shop.progress.account_as(row, class));
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok((rows, watch.0))
}

/// Where the features of a unit stand.
pub fn features_path(run_folder: &Path, unit: &crate::unit::UnitId) -> std::path::PathBuf {
    run_folder.join(output_path(None, unit))
}
