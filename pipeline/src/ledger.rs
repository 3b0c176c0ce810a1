//! The ledger: one record per stage and unit, written last, so that "done" can be believed.

mod merge;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

pub(crate) use merge::merge;

use crate::error::{Error, Result};
use crate::sink;
use crate::stage::Stage;
use crate::unit::UnitId;

/// How a unit or a target ended; exactly one for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Measured.
    Done,
    /// Nothing there to measure.
    Empty,
    /// Left out by the run file's rules.
    Skipped,
    /// Could not be measured.
    Failed,
    /// Something it needs does not exist.
    MissingUpstream,
}

impl State {
    /// Every state, best first.
    pub const ALL: [Self; 5] = [Self::Done, Self::Empty, Self::Skipped, Self::Failed, Self::MissingUpstream];

    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Empty => "empty",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::MissingUpstream => "missing_upstream",
        }
    }

    /// Whether a run that holds it is only partly complete (exit code 3).
    pub fn is_partial(self) -> bool {
        matches!(self, Self::Failed | Self::MissingUpstream)
    }
}

/// Rows by state, then by reason (`done` has the reason "").
pub type RowCounts = BTreeMap<State, BTreeMap<String, u64>>;

/// A file a unit was made from or left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Relative to the input root (inputs) or the run folder (outputs).
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, where it was taken.
    pub sha256: Option<String>,
}

/// One unit's account for one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The stage.
    pub stage: Stage,
    /// The unit.
    pub unit: UnitId,
    /// The settings and versions it was made under.
    pub stage_hash: String,
    /// How it ended.
    pub state: State,
    /// Why, where it is not done.
    pub reason: Option<String>,
    /// Rows of the input.
    pub rows_in: u64,
    /// Rows by state and reason; they add up to `rows_in`.
    pub rows: RowCounts,
    /// What was read.
    pub inputs: Vec<FileRecord>,
    /// What was left.
    pub outputs: Vec<FileRecord>,
    /// Things worth knowing that failed nothing.
    pub notes: Vec<String>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl LedgerRow {
    /// Rows accounted for.
    pub fn rows_accounted(&self) -> u64 {
        self.rows.values().flat_map(BTreeMap::values).sum()
    }

    /// Whether the account adds up. A unit that could not be read has no rows to account for.
    pub fn adds_up(&self) -> bool {
        self.rows_accounted() == self.rows_in
    }

    /// Whether this row settles the unit: same settings, same inputs, nothing to retry.
    pub fn settles(&self, stage_hash: &str, inputs: &[FileRecord]) -> bool {
        self.stage_hash == stage_hash
            && self.inputs == inputs
            && matches!(self.state, State::Done | State::Empty | State::Skipped)
    }

    /// Whether the unit's outputs are all there, with the sizes this account states.
    pub fn outputs_stand(&self, run_folder: &Path) -> bool {
        self.outputs.iter().all(|output| {
            fs_err::metadata(run_folder.join(&output.path)).is_ok_and(|found| found.len() == output.bytes)
        })
    }
}

/// The ledger of a run folder: `ledger/<stage>/<unit>.json`.
#[derive(Debug, Clone)]
pub struct Ledger {
    run_folder: PathBuf,
}

impl Ledger {
    /// The ledger of a run folder.
    pub fn of_run(run_folder: &Path) -> Self {
        Self { run_folder: run_folder.to_owned() }
    }

    fn path(&self, stage: Stage, unit: &UnitId) -> PathBuf {
        let folder = self.run_folder.join("ledger").join(stage.name());
        let mut path = folder.join(unit.relative_path()).into_os_string();
        path.push(".json");
        path.into()
    }

    /// The units that have an account, in their order.
    ///
    /// # Errors
    /// Where the ledger's folders cannot be listed.
    pub fn units(&self, stage: Stage) -> Result<Vec<UnitId>> {
        let top = self.run_folder.join("ledger").join(stage.name());
        let list = |source| Error::Io { what: "cannot list the ledger".to_owned(), source };
        let mut units = Vec::new();
        let mut folders: Vec<PathBuf> = if top.is_dir() { vec![top.clone()] } else { Vec::new() };
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder).map_err(list)? {
                let path = entry.map_err(list)?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&top).unwrap_or(&path).with_extension("");
                units.extend(name.to_string_lossy().parse::<UnitId>());
            }
        }
        units.sort();
        Ok(units)
    }

    /// The account of a unit, if there is one.
    ///
    /// # Errors
    /// Where a record exists but cannot be read.
    pub fn read(&self, stage: Stage, unit: &UnitId) -> Result<Option<LedgerRow>> {
        let path = self.path(stage, unit);
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { what: "cannot read the ledger".to_owned(), source }),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| Error::Record { path, source: Box::new(source) })
    }

    /// When a unit's account was written, if there is one.
    pub(crate) fn written_at(&self, stage: Stage, unit: &UnitId) -> Option<SystemTime> {
        fs_err::metadata(self.path(stage, unit)).ok()?.modified().ok()
    }

    /// Writes a unit's account: aside, synced, renamed.
    ///
    /// # Errors
    /// Where the record cannot be written.
    pub fn commit(&self, row: &LedgerRow) -> Result<()> {
        let path = self.path(row.stage, &row.unit);
        let text = serde_json::to_string_pretty(row)
            .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
        sink::write_record(&self.run_folder, &path, text.as_bytes())
    }

    /// Takes a unit's account back, where there is one: what it says is about to stop being true.
    ///
    /// # Errors
    /// Where the record cannot be removed.
    pub fn retract(&self, stage: Stage, unit: &UnitId) -> Result<()> {
        match fs_err::remove_file(self.path(stage, unit)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { what: "cannot retract a ledger record".to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> LedgerRow {
        LedgerRow {
            stage: Stage::Extract,
            unit: "iron/healpix/main/dark/64/1".parse().unwrap(),
            stage_hash: "abc".to_owned(),
            state: State::Done,
            reason: None,
            rows_in: 3,
            rows: RowCounts::from([
                (State::Done, BTreeMap::from([(String::new(), 2)])),
                (State::Skipped, BTreeMap::from([("sky".to_owned(), 1)])),
            ]),
            inputs: vec![],
            outputs: vec![],
            notes: vec![],
            seconds: 0.5,
        }
    }

    #[test]
    fn a_record_survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of_run(folder.path());
        assert_eq!(ledger.read(Stage::Extract, &row().unit).unwrap(), None);
        ledger.commit(&row()).unwrap();
        assert_eq!(ledger.read(Stage::Extract, &row().unit).unwrap(), Some(row()));
        ledger.retract(Stage::Extract, &row().unit).unwrap();
        assert_eq!(ledger.read(Stage::Extract, &row().unit).unwrap(), None);
        ledger.retract(Stage::Extract, &row().unit).unwrap();
    }

    #[test]
    fn a_lost_row_is_noticed() {
        let mut row = row();
        assert!(row.adds_up());
        row.rows_in += 1;
        assert!(!row.adds_up());
    }

    #[test]
    fn other_settings_or_inputs_do_not_settle_a_unit() {
        let row = row();
        assert!(row.settles("abc", &[]));
        assert!(!row.settles("abd", &[]));
        let input = FileRecord { path: "a".to_owned(), bytes: 1, sha256: None };
        assert!(!row.settles("abc", &[input]));
        assert!(!LedgerRow { state: State::Failed, ..row }.settles("abc", &[]));
    }
}
