//! What the benchmarks share: one simulated release, made once, the same for every device.

pub mod bands;
pub mod device;
pub mod judges;
pub mod numbers;
pub mod operations;
pub mod record;
pub mod run_folder;

use std::path::{Path, PathBuf};

use specmill::fits::{CoaddBatch, CoaddFile};
use specmill_schemas::catalogs::catalogs;
use specmill_simulate::{Resolution, SimulateConfig, Truth, simulate};

/// Targets per simulated file, as in a typical genuine coadd.
pub const TARGETS_PER_UNIT: usize = 514;

/// A simulated DR1 release of `units` files below `folder`; its coadds in order.
///
/// # Panics
/// Where the folder cannot be written: there is nothing to measure then.
pub fn release(folder: &Path, units: usize) -> Vec<PathBuf> {
    let config = SimulateConfig {
        targets_per_unit: TARGETS_PER_UNIT,
        resolution: Resolution::Sparse,
        truth: Truth::None,
        ..SimulateConfig::new(folder, units * TARGETS_PER_UNIT)
    };
    let report = simulate(&config).expect("the benchmark's input can be written");
    coadds(&report.files)
}

/// The HDU of a redshift catalogue that holds its rows.
pub const ZCATALOG_HDU: &str = "ZCATALOG";

/// Rows of the simulated redshift catalogue.
const ZCATALOG_ROWS: usize = 50_000;

/// A simulated redshift catalogue below `folder`.
///
/// # Panics
/// Where the folder cannot be written.
pub fn zcatalog(folder: &Path) -> PathBuf {
    let config = SimulateConfig {
        spectra: false,
        truth: Truth::None,
        catalogs: catalogs().into_iter().filter(|catalog| catalog.name == "zall-pix").collect(),
        ..SimulateConfig::new(folder, ZCATALOG_ROWS)
    };
    let report = simulate(&config).expect("the benchmark's input can be written");
    let is_fits = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "fits");
    report.files.iter().find(is_fits).expect("the catalogue is a file").clone()
}

/// The coadds among some files.
pub fn coadds(files: &[PathBuf]) -> Vec<PathBuf> {
    let is_coadd =
        |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("coadd-"));
    files.iter().filter(is_coadd).cloned().collect()
}

/// All rows of a coadd.
///
/// # Panics
/// Where the file cannot be read.
pub fn read_all(path: &Path) -> CoaddBatch {
    let mut coadd = CoaddFile::open(path).expect("the benchmark's own file opens");
    let mut batch = CoaddBatch::default();
    coadd.read_rows(0..coadd.n_rows(), &mut batch).expect("the benchmark's own file reads");
    batch
}
