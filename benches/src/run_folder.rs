//! A run folder over simulated coadds, whose stages the benchmarks run again and again.

use std::path::{Path, PathBuf};

use specmill::inventory::Inventory;
use specmill::ledger::{FileRecord, Ledger, LedgerRow, State};
use specmill::observe::Progress;
use specmill::plan::{Overrides, Plan};
use specmill::stage::Stage;
use specmill::stages::{self, StageReport};
use specmill::unit::UnitId;
use specmill_kernels::Backend;
use tempfile::TempDir;

use crate::release;

const WORKS: &str = "the benchmark's own run folder can be written";

/// The model of the galaxies; there is no other.
pub const MODEL: &str = "bench";
/// Its components.
pub const COMPONENTS: usize = 10;

/// A run folder below a temporary one.
pub struct RunFolder {
    folder: TempDir,
    /// The coadds, in order.
    pub coadds: Vec<PathBuf>,
    /// What is run.
    pub plan: Plan,
    /// What there is to run.
    pub inventory: Inventory,
}

impl RunFolder {
    /// Simulates so many coadds and takes stock of them.
    ///
    /// # Panics
    /// Where the folder cannot be written: there is nothing to measure then.
    pub fn of_coadds(units: usize) -> Self {
        let folder = tempfile::tempdir().expect(WORKS);
        let (input, output) = (folder.path().join("release"), folder.path().join("run"));
        let coadds = release(&input, units);
        let text = format!(
            "input.root = {input:?}\ninput.digest = \"none\"\noutput.folder = {output:?}\nresources.device = \"cpu\"\n\
             extract.write_spectra = true\n[models.galaxy]\nname = {MODEL:?}\nfolder = \"\"\n\
             components = {COMPONENTS}\nsmooth_pixels = 0\n\
             [models.qso]\nname = \"\"\nfolder = \"\"\ncomponents = 1\nsmooth_pixels = 0\n"
        );
        let run_file = folder.path().join("run.toml");
        fs_err::write(&run_file, text).expect(WORKS);
        let plan = Plan::read(&run_file, &Overrides::default()).expect("the run file is sound");
        let inventory = stages::inventory::run(&plan).expect(WORKS);
        Self { folder, coadds, plan, inventory }
    }

    /// The run file.
    pub fn run_file(&self) -> PathBuf {
        self.folder.path().join("run.toml")
    }

    /// The run folder.
    pub fn path(&self) -> &Path {
        &self.plan.folder
    }

    /// Runs a stage; what is settled is not run again.
    ///
    /// # Panics
    /// Where the stage fails, or is not one that computes.
    pub fn run<B: Backend>(&self, dev: &B, stage: Stage) -> StageReport {
        let progress = Progress::alone(stage);
        let (plan, inventory) = (&self.plan, &self.inventory);
        match stage {
            Stage::Extract => stages::extract::run(dev, plan, inventory, &progress),
            Stage::FitBasis => stages::fit_basis::run(dev, plan, inventory, &progress),
            Stage::Embed => stages::embed::run(dev, plan, inventory, &progress),
            Stage::Neighbors => stages::neighbors::run(dev, plan, inventory, &progress),
            Stage::Inventory | Stage::Catalog | Stage::Load => panic!("{} computes nothing", stage.name()),
        }
        .expect("the benchmark's own inputs are sound")
    }

    /// Runs a stage that must come out well; its accounts.
    ///
    /// # Panics
    /// Where it does not.
    pub fn must_run<B: Backend>(&self, dev: &B, stage: Stage) -> Vec<LedgerRow> {
        let rows = self.run(dev, stage).written;
        assert!(!rows.is_empty(), "{} had nothing to do", stage.name());
        for row in &rows {
            assert!(row.state == State::Done && row.adds_up(), "{}: {row:?}", stage.name());
            assert!(row.rows.contains_key(&State::Done), "{}: nothing came of it: {row:?}", stage.name());
            assert!(row.outputs_stand(self.path()), "{}: {row:?}", stage.name());
        }
        rows
    }

    /// Takes back what a stage says it has done, so that it is run again.
    ///
    /// # Panics
    /// Where the ledger cannot be written.
    pub fn forget(&self, stage: Stage) {
        let ledger = Ledger::of_run(self.path());
        let units = match stage {
            Stage::FitBasis | Stage::Neighbors => vec![UnitId::Model { name: MODEL.to_owned() }],
            Stage::Inventory | Stage::Catalog | Stage::Extract | Stage::Embed | Stage::Load => {
                ledger.units(stage).expect(WORKS)
            }
        };
        for unit in units {
            ledger.retract(stage, &unit).expect(WORKS);
        }
    }
}

/// Rows of some accounts that came out well.
pub fn rows_done(rows: &[LedgerRow]) -> u64 {
    let done = rows.iter().filter_map(|row| row.rows.get(&State::Done));
    done.flat_map(|reasons| reasons.values()).sum()
}

/// The first output of some accounts whose path begins with a folder's name.
///
/// # Panics
/// Where there is none.
pub fn output<'a>(rows: &'a [LedgerRow], folder: &str) -> &'a FileRecord {
    let mut outputs = rows.iter().flat_map(|row| &row.outputs);
    outputs.find(|file| file.path.starts_with(folder)).expect("the stage left such a file")
}
