//! What ends a command; what merely fails one unit stands in the ledger instead.

mod class;

use std::path::PathBuf;

use specmill_kernels::KernelError;

pub use class::ErrorClass;
pub(crate) use class::Failure;

use crate::exit::Exit;
use crate::fits::FitsError;
use crate::inventory::InventoryError;
use crate::job::JobError;
use crate::sink::postgres::DatabaseError;
use crate::stages::CatalogError;

/// The result of everything that can end a command.
pub type Result<T> = std::result::Result<T, Error>;

/// A situation that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run file cannot be read.
    #[error("cannot read the run file {}", path.display())]
    RunFileUnreadable {
        /// The run file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The run file is not valid TOML or has a value of the wrong kind.
    #[error("run file {}", path.display())]
    RunFileInvalid {
        /// The run file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// The run file has keys nobody reads.
    #[error("run file {}: {}", path.display(), unknown.join("; "))]
    UnknownKeys {
        /// The run file.
        path: PathBuf,
        /// One sentence per key, with a suggestion.
        unknown: Vec<String>,
    },
    /// Settings contradict each other or are out of range.
    #[error("{setting}: {problem}")]
    Setting {
        /// The key, as written in the run file.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An argument of the command line cannot be followed.
    #[error("{argument}: {problem}")]
    Argument {
        /// The argument, as it is written.
        argument: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The inventory could not be made.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// Nothing has been run in this folder yet.
    #[error("no inventory in {}", folder.display())]
    NoInventory {
        /// The run folder.
        folder: PathBuf,
    },
    /// The bases that vectors are made with are not fitted yet, or cannot be seen.
    #[error("model {model} has no account of fit-basis under the present settings in {}", folder.display())]
    NotFitted {
        /// The model.
        model: String,
        /// The run folder.
        folder: PathBuf,
    },
    /// A FITS file that the whole run needs cannot be used.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// A catalogue's file is not as it is declared.
    #[error(transparent)]
    Catalog(#[from] Box<CatalogError>),
    /// A kernel or its device failed for the whole run.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A device does not give the CPU's bits.
    #[error("{failed} of {all} operations fail the self-test on device `{device}`")]
    SelfTest {
        /// The device that ran them.
        device: String,
        /// Operations that failed or differ.
        failed: usize,
        /// Operations in all.
        all: usize,
    },
    /// A file of the run folder cannot be written or read.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's reason (which names the path).
        source: std::io::Error,
    },
    /// Parquet refused to write or read.
    #[error("parquet file {}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        source: Box<parquet::errors::ParquetError>,
    },
    /// Arrow refused to build a batch: the columns disagree with the schema.
    #[error("cannot build a batch for {}", path.display())]
    Batch {
        /// The file it was meant for.
        path: PathBuf,
        /// The library's reason.
        source: Box<arrow::error::ArrowError>,
    },
    /// A ledger or run-record file cannot be understood.
    #[error("{} is not a valid record", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: Box<serde_json::Error>,
    },
    /// A Parquet file of the run folder is not what it must be.
    #[error("{}: {problem}", path.display())]
    Lake {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A model folder cannot be used.
    #[error("model folder {}: {problem}", folder.display())]
    Model {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No such target in the run.
    #[error("target {targetid} is not in {}", folder.display())]
    NoSuchTarget {
        /// The target asked for.
        targetid: i64,
        /// The run folder searched.
        folder: PathBuf,
    },
    /// The picture could not be drawn.
    #[error("cannot draw {}: {reason}", path.display())]
    Drawing {
        /// The picture.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The database, or the private server, does not do what was asked.
    #[error(transparent)]
    Database(#[from] Box<DatabaseError>),
    /// The cluster does not do what was asked.
    #[error(transparent)]
    Job(#[from] Box<JobError>),
    /// Tables of the run folder cannot be joined.
    #[cfg(feature = "joins")]
    #[error(transparent)]
    Join(#[from] Box<specmill_joins::JoinFailure>),
    /// Somebody asked the program to end.
    #[error("told to end before all was done")]
    Interrupted,
    /// The simulator failed.
    #[error(transparent)]
    Simulate(#[from] specmill_simulate::SimulateError),
}

/// An error and its causes in one line; what an error has told of its cause is not told again.
pub(crate) fn reason_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl Error {
    /// An I/O failure with what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether it lies in a file that was read, not in what is written.
    pub(crate) fn is_of_the_input(&self) -> bool {
        matches!(self, Self::Fits(_) | Self::Catalog(_))
    }

    /// The exit code this situation has.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Database(error) => error.exit(),
            Self::Job(error) => error.exit(),
            #[cfg(feature = "joins")]
            Self::Join(failure) if failure.is_miscount() => Exit::Inconsistent,
            #[cfg(feature = "joins")]
            Self::Join(_) => Exit::Unexpected,
            Self::Interrupted => Exit::Interrupted,
            // What another node has written may be seen a little later.
            Self::NotFitted { .. } => Exit::Unexpected,
            Self::RunFileUnreadable { .. }
            | Self::RunFileInvalid { .. }
            | Self::UnknownKeys { .. }
            | Self::Setting { .. }
            | Self::Argument { .. }
            | Self::NoSuchTarget { .. }
            | Self::NoInventory { .. }
            | Self::Model { .. }
            | Self::Inventory(_) => Exit::BadPlan,
            // Another device may do what this one no longer does.
            Self::Kernel(KernelError::DeviceUnavailable { .. } | KernelError::Device { .. }) => {
                Exit::DeviceUnavailable
            }
            Self::Kernel(_)
            | Self::SelfTest { .. }
            | Self::Fits(_)
            | Self::Catalog(_)
            | Self::Io { .. }
            | Self::Parquet { .. }
            | Self::Batch { .. }
            | Self::Record { .. }
            | Self::Lake { .. }
            | Self::Drawing { .. }
            | Self::Simulate(_) => Exit::Unexpected,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Database(error) => error.help(),
            Self::Job(error) => error.help(),
            #[cfg(feature = "joins")]
            Self::Join(_) => Some(
                "`specmill status RUN.toml` says which catalogues and units are whole; make the others again",
            ),
            Self::RunFileUnreadable { .. } => Some("give the path of a run file; jobs/runs/ holds examples"),
            Self::RunFileInvalid { .. } | Self::UnknownKeys { .. } | Self::Setting { .. } => {
                Some("correct the run file; `specmill plan RUN.toml` checks it without starting anything")
            }
            Self::Argument { .. } => {
                Some("give another one; `--help` after the command explains its arguments")
            }
            Self::Interrupted => Some("the same command goes on where this one ended"),
            Self::NotFitted { .. } => Some("run `specmill run RUN.toml --stage fit-basis` first"),
            Self::NoInventory { .. } => Some("start with `specmill run RUN.toml`"),
            Self::Inventory(_) => Some("check [input] root and specprod in the run file"),
            Self::Kernel(KernelError::DeviceUnavailable { .. }) => {
                Some("use `--device cpu`, or `--device auto` to fall back by itself")
            }
            Self::Kernel(KernelError::Device { .. }) => Some(
                "`specmill doctor` tests the device; the same command elsewhere goes on where this one ended",
            ),
            Self::Kernel(KernelError::OutOfMemory { .. }) => {
                Some("use a card with more memory, or `--device cpu`, which gives the same bytes")
            }
            Self::SelfTest { .. } => Some("compute on another device: `specmill doctor --device` tests each"),
            Self::Io { .. } | Self::Parquet { .. } => {
                Some("check free space and permissions of the run folder, then run the same command again")
            }
            Self::Record { .. } => {
                Some("remove that file and run the same command again: the unit is recomputed")
            }
            Self::Lake { .. } => {
                Some("remove that file and run the same command again: what made it is run again")
            }
            Self::Model { .. } => {
                Some("fit it again with `specmill run RUN.toml --stage fit-basis`, or name another folder")
            }
            Self::NoSuchTarget { .. } => Some("`specmill status RUN.toml` lists the units of a run"),
            Self::Fits(FitsError::NotUtf8 { .. }) => {
                Some("`specmill catalog convert … --replace-text` replaces such bytes and counts them")
            }
            Self::Fits(_)
            | Self::Catalog(_)
            | Self::Kernel(_)
            | Self::Batch { .. }
            | Self::Drawing { .. }
            | Self::Simulate(_) => None,
        }
    }
}
