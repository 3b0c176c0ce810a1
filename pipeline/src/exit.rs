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
    /// Every way to end, in the order of the codes.
    pub const ALL: [Self; 8] = [
        Self::Complete,
        Self::Unexpected,
        Self::BadPlan,
        Self::Partial,
        Self::DeviceUnavailable,
        Self::DatabaseUnavailable,
        Self::Inconsistent,
        Self::Interrupted,
    ];

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

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Unexpected => "an error nobody planned for",
            Self::BadPlan => "bad arguments or a bad run file",
            Self::Partial => "units failed, were missing or were left undone",
            Self::DeviceUnavailable => "the device is unavailable",
            Self::DatabaseUnavailable => "the database is unavailable, or refused",
            Self::Inconsistent => "the counts do not add up: outputs must not be trusted",
            Self::Interrupted => "told to end",
        }
    }

    /// What a cluster does with a pod that ended so; `None`: nothing of its own.
    ///
    /// `indexed` is a Job whose pods have a share each, so that one share can fail alone.
    pub fn in_job(self, indexed: bool) -> Option<JobAction> {
        match self {
            // A pod accepts what is wrong in its ledger and ends with 0; one that still ends with 3 has left units
            // undone, and counts as any failure that no rule names.
            Self::Complete | Self::Partial => None,
            Self::BadPlan | Self::Inconsistent => Some(JobAction::FailJob),
            Self::DeviceUnavailable if indexed => Some(JobAction::FailIndex),
            Self::DeviceUnavailable => Some(JobAction::FailJob),
            Self::Unexpected | Self::DatabaseUnavailable | Self::Interrupted => Some(JobAction::Count),
        }
    }
}

/// What a Job does about a pod that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAction {
    /// The Job ends at once: another try would end alike.
    FailJob,
    /// This share is given up, the others go on.
    FailIndex,
    /// It is tried again, as often as the Job allows.
    Count,
    /// It is tried again, and not counted: the cluster ended it.
    Ignore,
}

impl JobAction {
    /// Kubernetes' word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FailJob => "FailJob",
            Self::FailIndex => "FailIndex",
            Self::Count => "Count",
            Self::Ignore => "Ignore",
        }
    }
}
