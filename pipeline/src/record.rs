//! The run record: who ran what, when, where and how long. It never touches a result's bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use specmill_kernels::DeviceInfo;

use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::inputs::Inputs;
use crate::inventory::Inventory;
use crate::ledger::LedgerRow;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::stages::StageReport;
use crate::stages::upstream::{model_hashes, ready_models};
use crate::{provenance, sink};

/// One run of the program over a run file. What another version of the program did not write is empty.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RunRecord {
    pub(crate) run_id: String,
    pub(crate) specmill_version: String,
    pub(crate) git_hash: String,
    pub(crate) host: String,
    pub(crate) device: String,
    pub(crate) device_name: String,
    /// The CUDA version that the driver serves; NULL on the CPU.
    driver: Option<String>,
    /// Which compiled kernels were loaded; NULL on the CPU.
    kernels: Option<String>,
    pub(crate) threads: usize,
    pub(crate) started_unix_seconds: u64,
    /// What the run file's relative paths are relative to.
    pub(crate) working_folder: PathBuf,
    /// The share of a map stage's units that this process did; NULL where all.
    shard: Option<String>,
    /// As resolved, under the command line.
    pub(crate) run_file: Value,
    extract_hash: String,
    /// Stage hashes of what ran: by stage, and by stage and catalogue or model where each has its own.
    pub(crate) stage_hashes: BTreeMap<String, String>,
    /// What stage hashes are made of besides settings: versions and digests, by name.
    pub(crate) contents: BTreeMap<String, String>,
    /// One digest of all inputs, wherever they lay: units, file names, sizes, SHA-256.
    pub(crate) inventory: Option<String>,
    /// The models in the run folder, by name: their content hash.
    pub(crate) models: BTreeMap<String, String>,
    pub(crate) stages: Vec<StageRecord>,
    /// NULL while the run goes on.
    pub(crate) exit_code: Option<u8>,
    /// Accounts that this run wrote.
    #[serde(skip)]
    pub(crate) written: Vec<LedgerRow>,
}

/// One stage of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StageRecord {
    pub(crate) stage: String,
    pub(crate) started_unix_ms: u64,
    pub(crate) ended_unix_ms: u64,
    pub(crate) units: u64,
    units_settled_before: u64,
    pub(crate) rows_in: u64,
    rows_done: u64,
    rows_left: u64,
    bytes_in: u64,
    bytes_out: u64,
    read_seconds: f64,
    compute_seconds: f64,
    write_seconds: f64,
    seconds: f64,
}

impl StageRecord {
    /// What an inventory amounts to.
    pub(crate) fn of_inventory(inventory: &Inventory) -> Self {
        Self {
            units: inventory.entries.iter().filter(|entry| entry.unit.is_some()).count() as u64,
            rows_in: inventory.entries.iter().filter_map(|entry| entry.coadd.as_ref()?.rows).sum(),
            bytes_in: inventory.bytes(),
            ..Self::default()
        }
    }

    /// A line of the log for a stage that has ended.
    pub(crate) fn tell(&self, stage: Stage, seconds: f64) {
        tracing::info!(
            stage = stage.name(),
            units = self.units,
            settled = self.units_settled_before,
            rows = self.rows_in,
            rows_left = self.rows_left,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            seconds,
            "stage ends"
        );
    }

    /// What a stage that leaves accounts amounts to.
    pub(crate) fn of_report(report: &StageReport) -> Self {
        let rows = |done: bool| -> u64 {
            let of_row = |row: &crate::ledger::LedgerRow| -> u64 {
                row.rows
                    .iter()
                    .filter(|(state, _)| (**state == crate::ledger::State::Done) == done)
                    .flat_map(|(_, reasons)| reasons.values())
                    .sum()
            };
            report.written.iter().map(of_row).sum()
        };
        // A file that several units were made from is one file.
        let bytes = |of: fn(&crate::ledger::LedgerRow) -> &Vec<crate::ledger::FileRecord>| -> u64 {
            let files = report.written.iter().flat_map(of).map(|file| (file.path.as_str(), file.bytes));
            files.collect::<BTreeMap<&str, u64>>().into_values().sum()
        };
        Self {
            units: report.written.len() as u64,
            units_settled_before: report.settled as u64,
            rows_in: report.written.iter().map(|row| row.rows_in).sum(),
            rows_done: rows(true),
            rows_left: rows(false),
            bytes_in: bytes(|row| &row.inputs),
            bytes_out: bytes(|row| &row.outputs),
            read_seconds: report.seconds.read,
            compute_seconds: report.seconds.compute,
            write_seconds: report.seconds.write,
            ..Self::default()
        }
    }
}

/// The program's version, as records have it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, where the build knew it.
pub(crate) const GIT_HASH: &str = match option_env!("SPECMILL_GIT_HASH") {
    Some(hash) => hash,
    None => "unknown",
};

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A run's name, which no other has; names sort by time.
pub(crate) fn new_run_id() -> String {
    // In pods every process is number 1; the host is then the pod, in Indexed Jobs `<job>-<index>`, which attempts share.
    format!("{}-{}-{}", now().as_millis(), host_name(), std::process::id())
}

fn host_name() -> String {
    fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The records of a run folder, oldest first: run ids begin with the time.
fn record_paths(run_folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(run_folder.join("runs")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths
}

/// Targets per second of the newest run in a folder that measured any.
pub(crate) fn last_rate(run_folder: &Path) -> Option<f64> {
    record_paths(run_folder).iter().rev().find_map(|path| {
        let record: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(path).ok()?).ok()?;
        let stages = record.get("stages")?.as_array()?;
        let extract =
            stages.iter().find(|stage| stage.get("stage") == Some(&Stage::Extract.name().into()))?;
        let (rows, seconds) = (extract.get("rows_in")?.as_f64()?, extract.get("seconds")?.as_f64()?);
        (rows > 0.0 && seconds > 0.0).then(|| rows / seconds)
    })
}

impl RunRecord {
    /// Starts the record.
    pub(crate) fn begin(plan: &Plan, device: &DeviceInfo, run_id: &str) -> Self {
        let now = now();
        Self {
            run_id: run_id.to_owned(),
            specmill_version: VERSION.to_owned(),
            git_hash: GIT_HASH.to_owned(),
            host: host_name(),
            device: device.device.clone(),
            device_name: device.name.clone(),
            driver: device.driver.clone(),
            kernels: device.image.clone(),
            threads: device.threads,
            started_unix_seconds: now.as_secs(),
            working_folder: std::env::current_dir().unwrap_or_default(),
            shard: plan.shard.map(|shard| shard.to_string()),
            run_file: serde_json::to_value(&plan.run_file).unwrap_or_default(),
            extract_hash: plan.extract_hash.clone(),
            contents: plan.contents(),
            ..Self::default()
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Where it cannot be read or is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path).map_err(Error::io("cannot read a run record"))?;
        serde_json::from_str(&text)
            .map_err(|source| Error::Record { path: path.to_owned(), source: Box::new(source) })
    }

    /// Every record of a run folder, oldest first; an error in the place of one that cannot be read.
    pub(crate) fn each(run_folder: &Path) -> impl Iterator<Item = Result<Self>> {
        record_paths(run_folder).into_iter().map(|path| Self::read(&path))
    }

    /// Whether it ran a stage.
    pub(crate) fn ran(&self, stage: Stage) -> bool {
        self.stages.iter().any(|record| record.stage == stage.name())
    }

    /// Stage hashes of what it ran.
    pub(crate) fn hashes(&self) -> BTreeMap<String, String> {
        let mut hashes = self.stage_hashes.clone();
        let extract = Stage::Extract.name();
        // The only one that earlier versions wrote.
        if self.ran(Stage::Extract) && !self.extract_hash.is_empty() {
            hashes.entry(extract.to_owned()).or_insert_with(|| self.extract_hash.clone());
        }
        hashes
    }

    /// Keeps the accounts that a stage wrote, for the record as PROV.
    pub(crate) fn keep(&mut self, written: Vec<LedgerRow>) {
        self.written.extend(written);
    }

    /// Adds a finished stage.
    pub(crate) fn add(&mut self, stage: Stage, record: StageRecord, seconds: f64) {
        let ended_unix_ms = as_ms(now());
        let started_unix_ms = ended_unix_ms.saturating_sub(as_ms(Duration::from_secs_f64(seconds.max(0.0))));
        let stage = stage.name().to_owned();
        self.stages.push(StageRecord { stage, started_unix_ms, ended_unix_ms, seconds, ..record });
    }

    /// Takes in what the run folder holds now: hashes of what ran, inputs and models.
    fn take_stock(&mut self, plan: &Plan) -> Result<()> {
        let ready = ready_models(plan)?;
        let models = model_hashes(&ready);
        let ran: Vec<Stage> = Stage::ALL.into_iter().filter(|stage| self.ran(*stage)).collect();
        self.stage_hashes = plan.stage_hashes(&ran, &models);
        self.models = models.into_iter().collect();
        self.inventory = Inputs::of_folder(plan)?.map(|inputs| inputs.digest());
        Ok(())
    }

    /// Writes `runs/<run id>.json` and says where; `exit` is how the run ended, where it has. Then the same goes into
    /// `prov/`, too.
    ///
    /// # Errors
    /// Where the run folder cannot be written, or what it holds cannot be read.
    pub(crate) fn commit(&mut self, plan: &Plan, exit: Option<Exit>) -> Result<PathBuf> {
        self.exit_code = exit.map(Exit::code);
        let stock = self.take_stock(plan);
        let path = plan.folder.join("runs").join(format!("{}.json", self.run_id));
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
        sink::write_record(&plan.folder, &path, text.as_bytes())?;
        // A record without its stock is worth more than none.
        stock?;
        if exit.is_some() {
            provenance::write(self, &plan.folder)?;
        }
        Ok(path)
    }

    /// The table of stages, the last thing a run prints.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from(
            "stage       units  settled     rows     done     left     MB in    MB out   seconds  targets/s\n",
        );
        for stage in &self.stages {
            let mb = |bytes: u64| bytes as f64 / 1e6;
            let rate = stage.rows_done as f64 / stage.seconds.max(1e-9);
            let _ = writeln!(
                text,
                "{:<10}{:>7}{:>9}{:>9}{:>9}{:>9}{:>10.1}{:>10.1}{:>10.2}{:>11.0}",
                stage.stage,
                stage.units,
                stage.units_settled_before,
                stage.rows_in,
                stage.rows_done,
                stage.rows_left,
                mb(stage.bytes_in),
                mb(stage.bytes_out),
                stage.seconds,
                rate,
            );
            if stage.read_seconds > 0.0 {
                let _ = writeln!(
                    text,
                    "  busy seconds: read {:.2}, compute {:.2}, write {:.2} (they overlap)",
                    stage.read_seconds, stage.compute_seconds, stage.write_seconds
                );
            }
        }
        text
    }
}
