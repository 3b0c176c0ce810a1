//! The run record: who ran what, when, where and how long. It never touches a result's bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use specmill_kernels::DeviceInfo;

use crate::config::RunFile;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::sink;
use crate::stage::Stage;
use crate::stages::StageReport;

/// One run of the program over a run file.
#[derive(Debug, Serialize)]
pub(crate) struct RunRecord {
    run_id: String,
    specmill_version: &'static str,
    git_hash: &'static str,
    host: String,
    device: String,
    device_name: String,
    /// The CUDA version that the driver serves; NULL on the CPU.
    driver: Option<String>,
    /// Which compiled kernels were loaded; NULL on the CPU.
    kernels: Option<String>,
    threads: usize,
    started_unix_seconds: u64,
    run_file: RunFile,
    extract_hash: String,
    stages: Vec<StageRecord>,
    /// NULL while the run goes on.
    exit_code: Option<u8>,
}

/// One stage of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct StageRecord {
    stage: String,
    units: u64,
    units_settled_before: u64,
    rows_in: u64,
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

/// A run's name, which no other has; names sort by time.
pub(crate) fn new_run_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // In pods every process is number 1; the host is then the pod.
    format!("{}-{}-{}", now.as_millis(), host_name(), std::process::id())
}

fn host_name() -> String {
    fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Targets per second of the newest run in a folder that measured any.
pub(crate) fn last_rate(run_folder: &Path) -> Option<f64> {
    // Run ids begin with the time: the last name is the newest.
    let mut paths: Vec<PathBuf> = fs_err::read_dir(run_folder.join("runs"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths.iter().rev().find_map(|path| {
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
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            run_id: run_id.to_owned(),
            specmill_version: env!("CARGO_PKG_VERSION"),
            git_hash: option_env!("SPECMILL_GIT_HASH").unwrap_or("unknown"),
            host: host_name(),
            device: device.device.clone(),
            device_name: device.name.clone(),
            driver: device.driver.clone(),
            kernels: device.image.clone(),
            threads: device.threads,
            started_unix_seconds: now.as_secs(),
            run_file: plan.run_file.clone(),
            extract_hash: plan.extract_hash.clone(),
            stages: Vec::new(),
            exit_code: None,
        }
    }

    /// Adds a finished stage.
    pub(crate) fn add(&mut self, stage: Stage, record: StageRecord, seconds: f64) {
        self.stages.push(StageRecord { stage: stage.name().to_owned(), seconds, ..record });
    }

    /// Writes `runs/<run id>.json` and says where; `exit` is how the run ended, where it has.
    ///
    /// # Errors
    /// Where the run folder cannot be written.
    pub(crate) fn commit(&mut self, plan: &Plan, exit: Option<Exit>) -> Result<PathBuf> {
        self.exit_code = exit.map(Exit::code);
        let path = plan.folder.join("runs").join(format!("{}.json", self.run_id));
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
        sink::write_record(&plan.folder, &path, text.as_bytes())?;
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
