//! A unit's files: written aside, made visible together, the ledger row last.

use std::path::{Path, PathBuf};
use std::time::Instant;

use specmill_schemas::{Table, features, spectra};

use crate::class::Class;
use crate::error::{ErrorClass, Failure, Result};
use crate::ledger::{FileRecord, Ledger, LedgerRow, RowCounts, State};
use crate::plan::Plan;
use crate::sink::{self, Footer, TableWriter, WrittenFile};
use crate::stage::Stage;
use crate::stages;
use crate::unit::UnitId;

use super::measure::Measured;
use super::unit::UnitInput;

/// Rows per row group: features are narrow, spectra are about 50 kB a row.
const FEATURE_ROWS_PER_GROUP: usize = 4096;
const SPECTRA_ROWS_PER_GROUP: usize = 256;

/// A unit being written.
pub(super) struct UnitOutput<'a> {
    plan: &'a Plan,
    input: UnitInput,
    notes: Vec<String>,
    features: Option<TableWriter>,
    /// In the order of [`Class::ALL`].
    spectra: [Option<TableWriter>; 3],
    counts: RowCounts,
    started: Instant,
}

/// How a unit's reading and measuring ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// All rows passed.
    Whole {
        /// Whether redshifts were to come from a redrock file that does not exist.
        no_redrock: bool,
    },
    /// Something went wrong; what was written is discarded.
    Failed(Failure),
}

impl Ending {
    /// What a unit that is not whole is counted under.
    pub(super) fn class(&self) -> ErrorClass {
        match self {
            Self::Whole { .. } => ErrorClass::MissingUpstream,
            Self::Failed(failure) => failure.class,
        }
    }
}

impl<'a> UnitOutput<'a> {
    /// Starts a unit; no file is created yet.
    pub(super) fn begin(plan: &'a Plan, input: UnitInput, notes: Vec<String>) -> Self {
        Self {
            plan,
            input,
            notes,
            features: None,
            spectra: [None, None, None],
            counts: RowCounts::new(),
            started: Instant::now(),
        }
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn append(&mut self, measured: Measured) -> Result<()> {
        for (state, reasons) in measured.counts {
            for (reason, count) in reasons {
                *self.counts.entry(state).or_default().entry(reason).or_default() += count;
            }
        }
        if self.features.is_none() {
            self.features = Some(self.create(None, &features::table(), FEATURE_ROWS_PER_GROUP)?);
        }
        if let Some(writer) = &mut self.features {
            writer.append(measured.features)?;
        }
        for (class, batch) in measured.spectra {
            if self.spectra[class.index()].is_none() {
                let n_bins = i32::try_from(self.plan.rest_grid(class).n_bins()).unwrap_or(i32::MAX);
                let writer = self.create(Some(class), &spectra::table(n_bins), SPECTRA_ROWS_PER_GROUP)?;
                self.spectra[class.index()] = Some(writer);
            }
            if let Some(writer) = &mut self.spectra[class.index()] {
                writer.append(batch)?;
            }
        }
        Ok(())
    }

    fn create(&self, class: Option<Class>, table: &Table, rows_per_group: usize) -> Result<TableWriter> {
        let path = self.plan.folder.join(output_path(class, &self.input.id));
        TableWriter::create(&path, &self.plan.folder, table, rows_per_group, self.footer(class))
    }

    fn footer(&self, class: Option<Class>) -> Footer {
        let mut own = vec![("specmill.unit", self.input.id.to_string())];
        if let Some(class) = class {
            let grid = self.plan.rest_grid(class);
            own.extend([
                ("specmill.class", class.name().to_owned()),
                ("grid_log10_first", grid.first_log10().to_string()),
                ("grid_dlog10", grid.dlog10().to_string()),
                ("grid_n_pixels", grid.n_bins().to_string()),
                ("grid_unit", "Angstrom, vacuum, rest frame".to_owned()),
            ]);
        }
        stages::footer(Stage::Extract, &self.plan.extract_hash, own)
    }

    /// Ends the unit: its files become visible, then its ledger row.
    ///
    /// # Errors
    /// Where the disk refuses; the ledger then holds the old account or none.
    pub(super) fn end(mut self, ending: Ending, ledger: &Ledger) -> Result<LedgerRow> {
        match ending {
            Ending::Whole { no_redrock } => {
                let writers = self
                    .features
                    .take()
                    .into_iter()
                    .chain(self.spectra.each_mut().map(Option::take).into_iter().flatten());
                let written = writers.map(TableWriter::finish).collect::<Result<Vec<_>>>()?;
                let rows: u64 = self.counts.values().flat_map(|reasons| reasons.values()).sum();
                let (state, reason) = match (no_redrock, rows) {
                    (true, _) => (State::MissingUpstream, Some("no redrock file for this coadd")),
                    (false, 0) => (State::Empty, Some("the coadd has no rows")),
                    (false, _) => (State::Done, None),
                };
                self.account(state, reason.map(str::to_owned), written, ledger)
            }
            Ending::Failed(failure) => {
                self.counts = RowCounts::new();
                self.account(State::Failed, Some(failure.reason), Vec::new(), ledger)
            }
        }
    }

    /// Settles a unit that was never opened.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub(super) fn leave(self, state: State, reason: String, ledger: &Ledger) -> Result<LedgerRow> {
        self.account(state, Some(reason), Vec::new(), ledger)
    }

    /// Swaps the unit's files and account. In between it has no account, so that a kill leaves
    /// nothing that could be taken for done.
    fn account(
        mut self,
        state: State,
        reason: Option<String>,
        written: Vec<WrittenFile>,
        ledger: &Ledger,
    ) -> Result<LedgerRow> {
        let rows_accounted: u64 = self.counts.values().flat_map(|reasons| reasons.values()).sum();
        // A unit that failed as a whole takes every row the inventory saw with it.
        let lost = if state == State::Failed { self.input.rows } else { 0 };
        if lost > 0 {
            self.counts.entry(State::Failed).or_default().insert("unit_failed".to_owned(), lost);
        }
        let run_folder = &self.plan.folder;
        ledger.retract(Stage::Extract, &self.input.id)?;
        let outputs = written.into_iter().map(|file| file.commit(run_folder)).collect::<Result<Vec<_>>>()?;
        remove_stale(&self.input.id, &outputs, run_folder)?;
        let row = LedgerRow {
            stage: Stage::Extract,
            unit: self.input.id,
            stage_hash: self.plan.extract_hash.clone(),
            state,
            reason,
            rows_in: rows_accounted + lost,
            rows: self.counts,
            inputs: self.input.files,
            outputs,
            notes: self.notes,
            seconds: self.started.elapsed().as_secs_f64(),
        };
        ledger.commit(&row)?;
        Ok(row)
    }
}

/// Where a unit's features, or its spectra of a class, stand in the run folder.
pub(crate) fn output_path(class: Option<Class>, unit: &UnitId) -> PathBuf {
    let folder =
        class.map_or_else(|| PathBuf::from("features"), |class| Path::new("spectra").join(class.name()));
    let mut path = folder.join(unit.relative_path()).into_os_string();
    path.push(".parquet");
    path.into()
}

/// Removes what an earlier run left of the unit, accounted for or not, and this one did not replace.
fn remove_stale(unit: &UnitId, outputs: &[FileRecord], run_folder: &Path) -> Result<()> {
    for class in [None].into_iter().chain(Class::ALL.map(Some)) {
        let path = output_path(class, unit);
        if outputs.iter().any(|new| Path::new(&new.path) == path) {
            continue;
        }
        sink::remove_stale(&run_folder.join(path))?;
    }
    Ok(())
}
