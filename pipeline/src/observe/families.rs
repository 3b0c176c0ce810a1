//! Every metric: what it is called, how it is labelled, what it says.

use prometheus_client::metrics::MetricType;

/// What every name begins with.
pub(crate) const PREFIX: &str = "specmill";

/// Metrics of one name.
#[derive(Debug)]
pub struct MetricFamily {
    name: &'static str,
    kind: MetricType,
    /// Besides `run`, which all have.
    labels: &'static [&'static str],
    help: &'static str,
}

/// Labels of one series.
pub(super) type Labels = Vec<(&'static str, String)>;

impl MetricFamily {
    const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Gauge, labels, help }
    }

    const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Counter, labels, help }
    }

    /// The name in queries.
    pub fn full_name(&self) -> String {
        let suffix = if self.is_counter() { "_total" } else { "" };
        format!("{PREFIX}_{}{suffix}", self.name)
    }

    /// Whether it only grows.
    pub fn is_counter(&self) -> bool {
        matches!(self.kind, MetricType::Counter)
    }

    /// Labels besides `run`.
    pub fn labels(&self) -> &'static [&'static str] {
        self.labels
    }

    /// The name as it is registered: without prefix and suffix.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn kind(&self) -> MetricType {
        self.kind
    }

    pub(super) fn help(&self) -> &'static str {
        self.help
    }

    /// The labels with their values, in the order of the declaration.
    pub(super) fn labelled<const N: usize>(&self, values: [&str; N]) -> Labels {
        debug_assert_eq!(N, self.labels.len(), "{}", self.name);
        self.labels.iter().copied().zip(values.map(str::to_owned)).collect()
    }
}

pub(super) const UNITS: MetricFamily = MetricFamily::gauge(
    "units",
    &["stage", "state"],
    "Units with an account, by how they ended; settled: by an earlier run",
);
pub(super) const UNITS_WAITING: MetricFamily =
    MetricFamily::gauge("units_waiting", &["stage"], "Units of the stage that have no account yet");
pub(super) const ROWS: MetricFamily =
    MetricFamily::counter("rows", &["stage"], "Rows that went through the stage");
pub(super) const TARGETS: MetricFamily = MetricFamily::gauge(
    "targets",
    &["stage", "state", "reason"],
    "Rows in the accounts of this run, by state and reason code",
);
pub(super) const ERRORS: MetricFamily = MetricFamily::counter(
    "errors",
    &["stage", "reason"],
    "Units that failed or miss their input, and errors that ended the run, by class",
);
pub(super) const READ_BYTES: MetricFamily = MetricFamily::counter(
    "read_bytes",
    &["stage"],
    "Bytes of the files in the accounts' inputs, a file once",
);
pub(super) const WRITTEN_BYTES: MetricFamily = MetricFamily::counter(
    "written_bytes",
    &["stage"],
    "Bytes of the files in the accounts' outputs, a file once",
);
pub(super) const STAGE_SECONDS: MetricFamily =
    MetricFamily::gauge("stage_seconds", &["stage"], "Wall-clock seconds of the stage, so far while it runs");
pub(super) const STAGE_RUNNING: MetricFamily =
    MetricFamily::gauge("stage_running", &["stage"], "1 while the stage runs");
pub(super) const LOAD_UNITS_WAITING: MetricFamily = MetricFamily::gauge(
    "load_units_waiting",
    &[],
    "Units whose results the database does not have: not loaded yet, or refused",
);
pub(super) const LOAD_OLDEST_SECONDS: MetricFamily = MetricFamily::gauge(
    "load_oldest_unwritten_seconds",
    &[],
    "Age of the oldest results that this run still has to load",
);
pub(super) const DEVICE_MEMORY_FREE: MetricFamily =
    MetricFamily::gauge("device_memory_free_bytes", &["device"], "Memory of the device that nobody uses");
pub(super) const DEVICE_MEMORY_TOTAL: MetricFamily =
    MetricFamily::gauge("device_memory_total_bytes", &["device"], "Memory of the device");
pub(super) const DEVICE_UTILIZATION: MetricFamily = MetricFamily::gauge(
    "device_utilization_ratio",
    &["device"],
    "Share of the driver's last sampling period in which the device computed",
);
pub(super) const RESIDENT_BYTES: MetricFamily =
    MetricFamily::gauge("process_resident_memory_bytes", &[], "Resident memory of the process");
pub(super) const RUN_INFO: MetricFamily =
    MetricFamily::gauge("run_info", &["version", "git_hash", "device"], "1, with what is running");
pub(super) const RUN_STARTED: MetricFamily =
    MetricFamily::gauge("run_started_timestamp_seconds", &[], "Unix time at which the run began");
pub(super) const RUN_FINISHED: MetricFamily =
    MetricFamily::gauge("run_finished_timestamp_seconds", &[], "Unix time at which the run ended");
pub(super) const RUN_EXIT: MetricFamily = MetricFamily::gauge(
    "run_last_exit_code",
    &[],
    "Exit code that the run's account deserves, also where --accept-partial lets the process exit with 0",
);

/// Every family, whether or not it has series yet.
pub const METRIC_FAMILIES: [&MetricFamily; 19] = [
    &UNITS,
    &UNITS_WAITING,
    &ROWS,
    &TARGETS,
    &ERRORS,
    &READ_BYTES,
    &WRITTEN_BYTES,
    &STAGE_SECONDS,
    &STAGE_RUNNING,
    &LOAD_UNITS_WAITING,
    &LOAD_OLDEST_SECONDS,
    &DEVICE_MEMORY_FREE,
    &DEVICE_MEMORY_TOTAL,
    &DEVICE_UTILIZATION,
    &RESIDENT_BYTES,
    &RUN_INFO,
    &RUN_STARTED,
    &RUN_FINISHED,
    &RUN_EXIT,
];
