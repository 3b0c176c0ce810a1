//! Why a private server does not run, as situations.

use std::path::PathBuf;

/// A situation in which the private server cannot be started, found or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No PostgreSQL that serves.
    #[error("no PostgreSQL 16 or newer with pgvector on this machine: {}", tried.join("; "))]
    NotFound {
        /// Every place looked at, and what was wrong there.
        tried: Vec<String>,
    },
    /// A folder in a place that anyone may write to belongs to somebody else.
    #[error("{} is not a private folder of the account that runs the server", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The data were made by another version.
    #[error("{} holds data of PostgreSQL {found}, the installation is {installed}", data.display())]
    OtherVersion {
        /// The data folder.
        data: PathBuf,
        /// The version that made it.
        found: String,
        /// The version found.
        installed: u32,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The end of what it said, or of the server's log.
        said: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's reason (which names the path).
        source: std::io::Error,
    },
    /// `server.json` cannot be understood.
    #[error("{} does not describe a server", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
}

impl ServerError {
    /// An I/O failure with what was being done.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound { .. } => {
                "run scripts/setup.sh, which brings one (as `make demo` and `make test` do); or set SPECMILL_POSTGRES to an \
                 installation, or DATABASE_URL to a server"
            }
            Self::Foreign { .. } => "remove it if nobody uses it, then run the same command again",
            Self::OtherVersion { .. } => {
                "set SPECMILL_POSTGRES to an installation of that version, or remove the data: `run --stage load` fills them again"
            }
            Self::Program { .. } => {
                "the server's log, db/server.log in the run folder, says more; `specmill db stop RUN.toml` first if one half-runs"
            }
            Self::Io { .. } => {
                "check free space and permissions of the run folder, then run the same command again"
            }
            Self::Record { .. } => "remove that file and start the server again",
        })
    }
}
