//! Exit codes: a documented interface, read by people and by the Job renderer.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything accounted for, nothing failed or missing.
    Complete,
    /// An error nobody planned for.
    Unexpected,
    /// Bad arguments or a bad run file; nothing was started.
    BadPlan,
    /// Finished, but something failed or was missing upstream; the ledger says what.
    Partial,
    /// The requested device is unavailable, or was lost on the way.
    DeviceUnavailable,
    /// The database is unavailable, or refused.
    DatabaseUnavailable,
    /// The counts do not add up: outputs must not be trusted.
    Inconsistent,
    /// SIGTERM or Ctrl-C; what was finished stands, and the same command goes on from there.
    Interrupted,
}

impl Exit {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Unexpected => 1,
            Self::BadPlan => 2,
            Self::Partial => 3,
            Self::DeviceUnavailable => 4,
            Self::DatabaseUnavailable => 5,
            Self::Inconsistent => 6,
            // What a shell and a cluster see of a process that SIGTERM ended.
            Self::Interrupted => 143,
        }
    }
}
