//! What can go wrong while files are generated.

use std::path::PathBuf;

/// Why a run of the generator stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The request contradicts itself.
    #[error("nothing can be simulated: {0}")]
    Config(&'static str),
    /// A table column does not have one value per row.
    #[error("column {column} of {hdu} has {found} values for {expected} rows")]
    Ragged {
        /// The table.
        hdu: String,
        /// The column.
        column: &'static str,
        /// Values given.
        found: usize,
        /// Rows of the table.
        expected: usize,
    },
    /// A header is larger, or a position further, than the layout laid out before.
    #[error("{} does not fit its layout: {what}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The worker threads could not be started.
    #[error("cannot start the worker threads: {0}")]
    Threads(String),
}

impl SimulateError {
    pub(crate) fn write(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}
