//! What a run of the generator is asked for, and what it reports.

use std::path::PathBuf;

use specmill_schemas::catalogs::Catalog;

/// The data release whose file layout is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Early data release: production `fuji`.
    Edr,
    /// Data release 1: production `iron`.
    Dr1,
    /// Data release 2: production `loa`.
    Dr2,
}

impl Release {
    /// Every release, oldest first.
    pub const ALL: [Self; 3] = [Self::Edr, Self::Dr1, Self::Dr2];

    /// The production name, as it stands in paths and unit ids.
    #[must_use]
    pub fn specprod(self) -> &'static str {
        match self {
            Self::Edr => "fuji",
            Self::Dr1 => "iron",
            Self::Dr2 => "loa",
        }
    }
}

/// Whether units are sky pixels, tile petals, or some of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// One unit per (survey, program, pixel).
    Healpix,
    /// One unit per (tile, petal, night), cumulative.
    Tile,
    /// Three units of four are pixels, the fourth is a tile petal.
    Both,
}

/// What becomes of the RESOLUTION images, 79 % of a coadd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Written in full.
    Full,
    /// Headers and offsets as in a full file; the data are holes on disk and read as zero.
    Sparse,
    /// The HDUs are left out.
    None,
}

/// How much truth is written beside the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Every column.
    Full,
    /// Identity, class, redshift, extinction, magnitude and S/N; the other columns stay empty.
    Brief,
    /// No truth table.
    None,
}

/// What [`crate::simulate`] is to write.
#[derive(Clone, Debug)]
pub struct SimulateConfig {
    /// The folder that receives `spectro/redux/...` and `truth/...`.
    pub out: PathBuf,
    /// Everything random follows from this number.
    pub seed: u64,
    /// Coadd rows over all releases, sky and dead fibres included.
    pub n_targets: usize,
    /// The layouts to write; targets are shared out evenly.
    pub releases: Vec<Release>,
    /// Rows of one coadd file; the last unit of a release holds the rest.
    pub targets_per_unit: usize,
    /// Pixels, tiles or both.
    pub grouping: Grouping,
    /// What becomes of RESOLUTION.
    pub resolution: Resolution,
    /// How much truth is written.
    pub truth: Truth,
    /// Share of rows that observe a target of an earlier unit again, with noise of their own.
    pub repeat_fraction: f64,
    /// Write the redrock files as `.fits.gz`.
    pub gzip_redrock: bool,
    /// Declarations of catalogues to write of the same targets, with `truth/catalogs-<specprod>.csv` beside them.
    pub catalogs: Vec<Catalog>,
    /// Whether spectra, redrock files and their truth are written. Without them the catalogues alone are: a target
    /// takes microseconds, and its fit follows from its magnitude.
    pub spectra: bool,
    /// Worker threads; `None` takes what the machine has. The bytes written do not depend on it.
    pub threads: Option<usize>,
}

impl SimulateConfig {
    /// A small DR1 run of `n_targets` rows with sparse RESOLUTION, in units of 100.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>, n_targets: usize) -> Self {
        Self {
            out: out.into(),
            seed: 1,
            n_targets,
            releases: vec![Release::Dr1],
            targets_per_unit: 100,
            grouping: Grouping::Healpix,
            resolution: Resolution::Sparse,
            truth: Truth::Full,
            repeat_fraction: 0.02,
            gzip_redrock: false,
            catalogs: Vec::new(),
            spectra: true,
            threads: None,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimulateReport {
    /// Coadd files, each with its redrock file; without spectra, what they would be.
    pub units: usize,
    /// Coadd rows.
    pub targets: usize,
    /// Rows that observe a target of another unit again.
    pub repeats: usize,
    /// Logical bytes of every file written; holes count.
    pub bytes: u64,
    /// Paths of the files, in the order of the plan.
    pub files: Vec<PathBuf>,
}
