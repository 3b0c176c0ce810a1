//! What can be wrong with a FITS file, as situations.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::prescan::ScanError;

/// An HDU as people name it: its number, and its EXTNAME where it has one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HduLabel {
    /// Position in the file; the primary HDU is 0.
    pub index: usize,
    /// EXTNAME, trailing blanks removed.
    pub extname: Option<String>,
}

impl fmt::Display for HduLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.extname {
            Some(name) => write!(f, "HDU {} ({name})", self.index),
            None => write!(f, "HDU {}", self.index),
        }
    }
}

/// Why a FITS file, or a part of it, was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitsError {
    /// The operating system refused.
    #[error("{}: {action}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Zero bytes.
    #[error("{}: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The first card is not SIMPLE.
    #[error("{}: not a FITS file: it does not begin with SIMPLE", path.display())]
    NotFits {
        /// The file.
        path: PathBuf,
    },
    /// Damaged or cut gzip data.
    #[error("{}: the gzip data is damaged or cut short", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        #[source]
        source: io::Error,
    },
    /// A gzip file that inflates to more than the caller allows.
    #[error("{}: inflates to more than the {limit} bytes allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// [`OpenOptions::max_inflated_bytes`](super::OpenOptions::max_inflated_bytes).
        limit: u64,
    },
    /// The header scan refused an HDU.
    #[error("{}", path.display())]
    Scan {
        /// The file.
        path: PathBuf,
        /// Which HDU, and why.
        #[source]
        source: ScanError,
    },
    /// An HDU that the file must have.
    #[error("{}: no HDU {extname}", path.display())]
    MissingHdu {
        /// The file.
        path: PathBuf,
        /// The EXTNAME looked for.
        extname: String,
    },
    /// An image where a table should be, or the reverse.
    #[error("{}: {hdu} is {found}, not {wanted}", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// A column that the table must have.
    #[error("{}: {hdu} has no column {column}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The column looked for.
        column: String,
    },
    /// A column whose format cannot hold what is asked of it.
    #[error("{}: {hdu}: column {column} has format {tform}, which cannot be read as {wanted}", path.display())]
    WrongColumnType {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The column.
        column: String,
        /// Its TFORM, with TSCAL/TZERO where set.
        tform: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// A column that cannot be read as it is declared.
    #[error("{}: {hdu}: column {column}: {problem}; it can be read without this column", path.display())]
    UnreadableColumn {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A string of bytes that are not text.
    #[error("{}: {hdu}: column {column}, row {row}: the string is not UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The column.
        column: String,
        /// The row, from 0.
        row: u64,
    },
    /// A value outside the range of its type here.
    #[error("{}: {hdu}: column {column}, row {row}: {value} is out of range", path.display())]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The column.
        column: String,
        /// The row, from 0.
        row: u64,
        /// The value as stored.
        value: i64,
    },
    /// An image with unexpected axes (NumPy order).
    #[error("{}: {hdu} has shape {actual:?}, expected {expected}", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The expected shape, in words.
        expected: String,
        /// The shape found, slowest axis first.
        actual: Vec<u64>,
    },
    /// A wavelength array that is not on DESI's grid.
    #[error(
        "{}: {hdu}: pixel {pixel} is at {actual_aa} Å where the grid 3600 + 0.8 i has {expected_aa} Å; \
         only spectra on that grid are read: leave this file out, or use the release's own coadd of it",
        path.display()
    )]
    ShiftedGrid {
        /// The file.
        path: PathBuf,
        /// The wavelength HDU.
        hdu: HduLabel,
        /// The pixel that is furthest off.
        pixel: usize,
        /// Its wavelength, Å.
        actual_aa: f64,
        /// The grid's, Å.
        expected_aa: f64,
    },
    /// A `spectra-*` file: rows are exposures, not targets.
    #[error(
        "{}: its FIBERMAP has one row per exposure (FIBERSTATUS and EXPID, no COADD_FIBERSTATUS); \
         give the coadd-* file of the same unit instead",
        path.display()
    )]
    PerExposure {
        /// The file.
        path: PathBuf,
    },
    /// No arm in the layout of a coadd.
    #[error(
        "{}: not a DESI coadd: none of B_FLUX, R_FLUX, Z_FLUX (it has {found}); \
         other layouts (Andes of 2020, a combined BRZ arm) are not read",
        path.display()
    )]
    NoArm {
        /// The file.
        path: PathBuf,
        /// The EXTNAMEs it has.
        found: String,
    },
    /// Rows that the file does not have.
    #[error("{}: rows {first}..{end} were asked for, the file has {n_rows}", path.display())]
    NoSuchRows {
        /// The file.
        path: PathBuf,
        /// First row asked for.
        first: usize,
        /// One past the last.
        end: usize,
        /// Rows in the file.
        n_rows: usize,
    },
    /// A variable-length cell or compressed tile that points outside its heap.
    #[error("{}: {hdu}: column {column}, row {row}: points outside the heap", path.display())]
    OutsideHeap {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The column.
        column: String,
        /// The row, from 0.
        row: u64,
    },
    /// A compressed image in a form that is not read.
    #[error("{}: {hdu}: compressed with {algorithm}; only GZIP_1 and GZIP_2 tiles are read", path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// ZCMPTYPE.
        algorithm: String,
    },
    /// cfitsio and our own scan read one header differently.
    #[error("{}: {hdu}: the header is ambiguous: {what}", path.display())]
    Disagreement {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// Which quantity.
        what: String,
    },
    /// cfitsio's own error.
    #[error("{}: {place}: cfitsio: {text} (status {status})", path.display())]
    Cfitsio {
        /// The file.
        path: PathBuf,
        /// HDU, and column and first row where they apply.
        place: String,
        /// cfitsio's status number.
        status: i32,
        /// Its text.
        text: String,
    },
}
