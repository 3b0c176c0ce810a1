//! What a release holds: every unit, its files, their sizes and digests, before anything is read.
//!
//! A file's unit is what its folder, its name and its header say together; where two of them
//! disagree the file is listed as broken, with both values, and belongs to no unit.

mod assemble;
mod cache;
mod claims;
mod examine;
mod store;
mod tiles;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

pub use cache::DigestCache;
pub use tiles::TileTable;

use crate::unit::UnitId;

/// What to take the inventory of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Release roots: each holds `spectro/redux/<specprod>/…`, or productions, or is one.
    pub roots: Vec<PathBuf>,
    /// Single files, inside a tree or not.
    pub files: Vec<PathBuf>,
    /// The production: a filter where a root holds several, the name of files outside a tree.
    pub specprod: Option<String>,
    /// Only units whose id starts with one of these; all where empty.
    pub units: Vec<String>,
    /// Whether files are read for their digest.
    pub digest: Digest,
}

/// How files are identified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256 of every file, from the cache where size and time have not changed.
    #[default]
    Full,
    /// No digest.
    None,
}

/// Every unit of a release, in order, and what could not be made one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// Units in their order, then broken files without a unit by path.
    pub entries: Vec<InventoryEntry>,
    /// Files in the folders walked that are neither coadds nor redrock files.
    pub ignored: u64,
    /// What was assumed, in sentences.
    pub notes: Vec<String>,
}

/// One unit, or one broken file.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryEntry {
    /// The unit; `None` for a file that could not be identified.
    pub unit: Option<UnitId>,
    /// Survey; for tiles from the tiles table.
    pub survey: Option<String>,
    /// Program; for tiles from the tiles table.
    pub program: Option<String>,
    /// The coadd file.
    pub coadd: Option<InventoryFile>,
    /// The redrock file.
    pub redrock: Option<InventoryFile>,
    /// Whether it can be used.
    pub state: UnitState,
}

/// A file of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryFile {
    /// Relative to the first root where it lies below it, else as found.
    pub path: PathBuf,
    /// Size.
    pub bytes: u64,
    /// Rows of FIBERMAP or REDSHIFTS.
    pub rows: Option<u64>,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: Option<String>,
}

/// Whether a unit can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitState {
    /// Coadd and redrock.
    Complete,
    /// Coadd alone.
    NoRedrock,
    /// Redrock alone.
    NoCoadd,
    /// A file is damaged, or says two things about itself.
    Broken(String),
}

/// Why no inventory could be taken, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// Neither a root nor a file was given.
    #[error("no release root and no file to look at")]
    NoInput,
    /// A folder that is no release.
    #[error(
        "{}: no release here: expected spectro/redux/<specprod>/, or a <specprod> folder with healpix/ or tiles/{}",
        root.display(),
        specprod.as_ref().map(|name| format!(" (looking for {name})")).unwrap_or_default()
    )]
    NotARelease {
        /// The folder.
        root: PathBuf,
        /// The production looked for.
        specprod: Option<String>,
    },
    /// A folder or file that cannot be looked at.
    #[error("cannot look at {}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A tiles table that cannot be understood.
    #[error("tiles table {}: {problem}", path.display())]
    TileTable {
        /// The table.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The tiles table, as FITS, is damaged.
    #[error("tiles table")]
    TileTableFits(#[from] crate::fits::FitsError),
    /// `inventory.parquet` cannot be read back.
    #[error("inventory {}: {problem}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Inventory {
    /// Takes the inventory of `request`, reading headers, and files where their digest is wanted
    /// and `known` does not have it. Gives the cache for next time too.
    ///
    /// # Errors
    /// [`InventoryError`] where a root is no release, a folder cannot be listed, or a tiles table
    /// is malformed. A bad coadd or redrock file is an entry, not an error.
    pub fn take(request: &Request, known: &DigestCache) -> Result<(Self, DigestCache), InventoryError> {
        if request.roots.is_empty() && request.files.is_empty() {
            return Err(InventoryError::NoInput);
        }
        let found = walk::find_files(request)?;
        let examined = examine::examine_all(&found.candidates, request);
        let mut inventory = assemble::assemble(examined, request)?;
        inventory.ignored = found.ignored;
        let cache = cache::add_digests(&mut inventory, request, known);
        Ok((inventory, cache))
    }

    /// Bytes of all coadds and redrock files.
    pub fn bytes(&self) -> u64 {
        let files = self.entries.iter().flat_map(InventoryEntry::files);
        files.map(|file| file.bytes).sum()
    }
}

impl InventoryEntry {
    /// The files it has.
    pub fn files(&self) -> impl Iterator<Item = &InventoryFile> {
        [&self.coadd, &self.redrock].into_iter().flatten()
    }

    /// The unit, or the path of the broken file.
    pub fn describe(&self) -> String {
        match &self.unit {
            Some(unit) => unit.to_string(),
            None => {
                let paths: Vec<String> = self.files().map(|file| file.path.display().to_string()).collect();
                paths.join(", ")
            }
        }
    }
}

impl UnitState {
    /// The one word it has in `inventory.parquet`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::NoRedrock => "no_redrock",
            Self::NoCoadd => "no_coadd",
            Self::Broken(_) => "broken",
        }
    }

    /// Why it is broken.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Broken(reason) => Some(reason),
            Self::Complete | Self::NoRedrock | Self::NoCoadd => None,
        }
    }
}

/// A path as the inventory writes it: below the first root relative to it, else unchanged.
fn relative_path(request: &Request, path: &Path) -> PathBuf {
    let below = request.roots.first().and_then(|root| path.strip_prefix(root).ok());
    below.unwrap_or(path).to_owned()
}
