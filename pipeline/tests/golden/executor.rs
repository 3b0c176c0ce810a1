//! The run executor over a release tree, in a folder that goes away with the test.

use std::path::{Path, PathBuf};

use specmill::config::{DigestSetting, Input, RunFile};
use specmill::inventory::{Digest, DigestCache, Inventory, Request};
use specmill::observe::Progress;
use specmill::plan::{Overrides, Plan};
use specmill::stage::Stage;
use specmill::stages;
use specmill::unit::UnitId;
use specmill_kernels::Cpu;
use tempfile::TempDir;

use super::table::Table;

/// A run that has ended.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    folder: TempDir,
}

/// A run file that reads `root` and takes no digests, which no value depends on.
pub(crate) fn run_file(root: &Path) -> RunFile {
    let input = Input { root: root.to_owned(), digest: DigestSetting::None, ..Input::default() };
    RunFile { input, ..RunFile::default() }
}

impl Run {
    /// Runs `inventory` and `extract` on the CPU.
    pub(crate) fn of(mut run_file: RunFile) -> Self {
        let folder = TempDir::new().unwrap();
        run_file.output.folder = folder.path().to_owned();
        let plan = Plan::resolve(run_file, &Overrides::default()).unwrap();
        let inventory = stages::inventory::run(&plan).unwrap();
        stages::extract::run(&Cpu::new(0).unwrap(), &plan, &inventory, &Progress::alone(Stage::Extract))
            .unwrap();
        Self { plan, folder }
    }

    /// `features/` of a unit.
    pub(crate) fn features(&self, unit: &UnitId) -> Table {
        Table::read(&stages::extract::features_path(self.folder.path(), unit))
    }

    /// `spectra/` of a unit and class (its folder), where it has targets of that class.
    pub(crate) fn spectra(&self, unit: &UnitId, class: &str) -> Option<Table> {
        let stem = self.folder.path().join("spectra").join(class).join(unit.relative_path());
        let path = PathBuf::from(format!("{}.parquet", stem.display()));
        path.exists().then(|| Table::read(&path))
    }
}

/// Every coadd of a release tree with its unit, in the order of units.
pub(crate) fn coadds(root: &Path) -> Vec<(UnitId, PathBuf)> {
    let request = Request { roots: vec![root.to_owned()], digest: Digest::None, ..Request::default() };
    let (inventory, _) = Inventory::take(&request, &DigestCache::default()).unwrap();
    let mut coadds: Vec<(UnitId, PathBuf)> = inventory
        .entries
        .into_iter()
        .filter_map(|entry| Some((entry.unit?, root.join(entry.coadd?.path))))
        .collect();
    coadds.sort();
    coadds
}
