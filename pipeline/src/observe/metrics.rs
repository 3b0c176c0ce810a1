//! What is counted while a run goes on.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};
use specmill_kernels::DeviceInfo;

use super::families::{self, Labels, MetricFamily, PREFIX};
use super::sampled::Sampled;
use super::text::{self, Format};
use crate::error::{Error, ErrorClass};
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::ledger::{FileRecord, LedgerRow, State};
use crate::record::{GIT_HASH, VERSION};
use crate::stage::Stage;
use crate::unit::UnitId;

/// In place of a state: units that an earlier run accounted for.
const SETTLED: &str = "settled";

/// Counters and gauges of one run; clones count into the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    registry: Registry,
    units: Family<Labels, Gauge>,
    units_waiting: Family<Labels, Gauge>,
    rows: Family<Labels, Counter>,
    targets: Family<Labels, Gauge>,
    errors: Family<Labels, Counter>,
    read_bytes: Family<Labels, Counter>,
    written_bytes: Family<Labels, Counter>,
    load_units_waiting: Family<Labels, Gauge>,
    run_info: Family<Labels, Gauge>,
    /// Its one series is there.
    run_info_told: OnceLock<()>,
    run_finished: Family<Labels, Gauge>,
    run_exit: Family<Labels, Gauge>,
    sampled: Arc<Sampled>,
    /// The exit code that the account deserves, where there is an account.
    deserved: OnceLock<Exit>,
    /// Hashes of the files counted, by stage and direction.
    counted: Mutex<HashSet<u64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::of_run("")
    }
}

fn register<M: Metric + Clone + Default>(registry: &mut Registry, family: &MetricFamily) -> M {
    let metric = M::default();
    registry.register(family.name(), family.help(), metric.clone());
    metric
}

/// A count as gauges have it.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unix_seconds() -> i64 {
    signed(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

impl Metrics {
    /// Those of a run: every series has its id.
    pub fn of_run(run_id: &str) -> Self {
        let labels = Some(("run".into(), run_id.to_owned().into())).filter(|_| !run_id.is_empty());
        let mut registry = Registry::with_prefix_and_labels(PREFIX, labels.into_iter());
        let sampled = Arc::new(Sampled::default());
        registry.register_collector(Box::new(Arc::clone(&sampled)));
        let started: Family<Labels, Gauge> = register(&mut registry, &families::RUN_STARTED);
        started.get_or_create(&Labels::new()).set(unix_seconds());
        let shelf = Shelf {
            units: register(&mut registry, &families::UNITS),
            units_waiting: register(&mut registry, &families::UNITS_WAITING),
            rows: register(&mut registry, &families::ROWS),
            targets: register(&mut registry, &families::TARGETS),
            errors: register(&mut registry, &families::ERRORS),
            read_bytes: register(&mut registry, &families::READ_BYTES),
            written_bytes: register(&mut registry, &families::WRITTEN_BYTES),
            load_units_waiting: register(&mut registry, &families::LOAD_UNITS_WAITING),
            run_info: register(&mut registry, &families::RUN_INFO),
            run_finished: register(&mut registry, &families::RUN_FINISHED),
            run_exit: register(&mut registry, &families::RUN_EXIT),
            sampled,
            registry,
            run_info_told: OnceLock::new(),
            deserved: OnceLock::new(),
            counted: Mutex::default(),
        };
        Self { shelf: Arc::new(shelf) }
    }

    /// All of it as Prometheus reads it.
    pub fn render(&self, format: Format) -> String {
        text::render(&self.shelf.registry, format)
    }

    /// What the run computes on.
    pub(crate) fn runs_on(&self, device: &DeviceInfo) {
        self.tell_info(&device.device);
        self.shelf.sampled.watch(device);
    }

    fn tell_info(&self, device: &str) {
        let labels = families::RUN_INFO.labelled([VERSION, GIT_HASH, device]);
        if self.shelf.run_info_told.set(()).is_ok() {
            self.shelf.run_info.get_or_create(&labels).set(1);
        }
    }

    /// A stage begins: what it counts into from now on.
    pub(crate) fn stage_begins(&self, stage: Stage) -> StageMetrics {
        let shelf = &self.shelf;
        shelf.sampled.begin(stage);
        let settled = shelf.units.get_or_create_owned(&families::UNITS.labelled([stage.name(), SETTLED]));
        let of_stage = |family: &MetricFamily| family.labelled([stage.name()]);
        StageMetrics {
            stage,
            metrics: self.clone(),
            settled,
            waiting: shelf.units_waiting.get_or_create_owned(&of_stage(&families::UNITS_WAITING)),
            rows: shelf.rows.get_or_create_owned(&of_stage(&families::ROWS)),
            read_bytes: shelf.read_bytes.get_or_create_owned(&of_stage(&families::READ_BYTES)),
            written_bytes: shelf.written_bytes.get_or_create_owned(&of_stage(&families::WRITTEN_BYTES)),
            unloaded: (stage == Stage::Load)
                .then(|| shelf.load_units_waiting.get_or_create_owned(&Labels::new())),
        }
    }

    /// The exit code that the run's account deserves.
    pub(crate) fn deserves(&self, exit: Exit) {
        // A run has one account.
        let _ = self.shelf.deserved.set(exit);
    }

    /// The run has ended.
    pub(crate) fn run_ends(&self, result: &Result<Exit, Error>, asked_device: &str) {
        let shelf = &self.shelf;
        if let Err(error) = result
            && !matches!(error, Error::Interrupted)
        {
            let stage = shelf.sampled.last_stage().map_or("", Stage::name);
            self.error(stage, ErrorClass::of(error));
        }
        let exit = match (result, shelf.deserved.get()) {
            (Err(error), _) => error.exit(),
            (Ok(_), Some(deserved)) => *deserved,
            (Ok(exit), None) => *exit,
        };
        // Where the device could not be had, what was asked for is all there is to tell.
        self.tell_info(asked_device);
        shelf.run_exit.get_or_create(&Labels::new()).set(i64::from(exit.code()));
        shelf.run_finished.get_or_create(&Labels::new()).set(unix_seconds());
    }

    fn error(&self, stage: &str, class: ErrorClass) {
        self.shelf.errors.get_or_create(&families::ERRORS.labelled([stage, class.name()])).inc();
    }

    /// Adds the files that have not been counted yet.
    fn count_files(&self, counter: &Counter, direction: (Stage, &str), files: &[FileRecord]) {
        let mut counted = self.shelf.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for file in files {
            let mut hasher = DefaultHasher::new();
            (direction, &file.path).hash(&mut hasher);
            if counted.insert(hasher.finish()) {
                counter.inc_by(file.bytes);
            }
        }
    }
}

/// What one stage counts into: looked up once.
#[derive(Debug)]
pub(crate) struct StageMetrics {
    stage: Stage,
    metrics: Metrics,
    settled: Gauge,
    waiting: Gauge,
    rows: Counter,
    read_bytes: Counter,
    written_bytes: Counter,
    /// Units that the database does not have; of the stage `load`.
    unloaded: Option<Gauge>,
}

impl StageMetrics {
    /// Some more units to do, and some that an earlier run settled.
    pub(super) fn work(&self, units: usize, settled: usize) {
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        self.waiting.inc_by(units);
        self.settled.inc_by(i64::try_from(settled).unwrap_or(i64::MAX));
        if let Some(unloaded) = &self.unloaded {
            unloaded.inc_by(units);
        }
    }

    /// A unit that was to be done turns out to be settled.
    pub(super) fn settled(&self) {
        self.settled.inc();
        self.waiting.dec();
    }

    /// The database has what it should have of a unit.
    pub(super) fn loaded(&self, unit: &UnitId) {
        if let Some(unloaded) = &self.unloaded {
            unloaded.dec();
            self.metrics.shelf.sampled.loaded(unit);
        }
    }

    /// Rows that went through.
    pub(super) fn rows(&self, rows: u64) {
        self.rows.inc_by(rows);
    }

    /// A unit has its account.
    pub(super) fn account(&self, row: &LedgerRow, class: Option<ErrorClass>) {
        self.waiting.dec();
        self.add(row, 1);
        self.metrics.count_files(&self.read_bytes, (self.stage, "in"), &row.inputs);
        self.metrics.count_files(&self.written_bytes, (self.stage, "out"), &row.outputs);
        if row.state.is_partial() {
            let missing = row.state == State::MissingUpstream;
            let class = if missing { Some(ErrorClass::MissingUpstream) } else { class };
            let class = class.unwrap_or(ErrorClass::Other);
            self.metrics.error(self.stage.name(), class);
        }
    }

    /// An account that was given, now or by an earlier run, is no longer true: the unit waits again.
    pub(super) fn retract(&self, row: &LedgerRow, by_this_run: bool) {
        self.waiting.inc();
        if by_this_run {
            self.add(row, -1);
        } else {
            self.settled.dec();
        }
    }

    fn add(&self, row: &LedgerRow, sign: i64) {
        let (shelf, stage) = (&self.metrics.shelf, self.stage.name());
        let labels = families::UNITS.labelled([stage, row.state.name()]);
        shelf.units.get_or_create(&labels).inc_by(sign);
        for (state, reasons) in &row.rows {
            for (reason, count) in reasons {
                let labels = families::TARGETS.labelled([stage, state.name(), reason]);
                shelf.targets.get_or_create(&labels).inc_by(sign * signed(*count));
            }
        }
    }

    /// What the inventory holds.
    pub(super) fn inventory(&self, inventory: &Inventory) {
        for entry in &inventory.entries {
            let state = if entry.state.reason().is_some() { State::Failed } else { State::Done };
            let labels = families::UNITS.labelled([self.stage.name(), state.name()]);
            self.metrics.shelf.units.get_or_create(&labels).inc();
            if state == State::Failed {
                self.metrics.error(self.stage.name(), ErrorClass::Inventory);
            }
            self.rows.inc_by(entry.coadd.as_ref().and_then(|file| file.rows).unwrap_or(0));
        }
        self.read_bytes.inc_by(inventory.bytes());
    }

    /// When the results of a unit that is still to be loaded were made.
    pub(super) fn made(&self, unit: &UnitId, when: SystemTime) {
        self.metrics.shelf.sampled.made(unit, when);
    }

    /// The stage has ended.
    pub(super) fn end(&self) {
        self.metrics.shelf.sampled.end(self.stage);
    }
}
