//! Why a cluster does not do what was asked, as situations.

use std::path::PathBuf;

use crate::error::Error;
use crate::exit::Exit;

/// A situation in which a run's Jobs cannot be brought on their way, or looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// Nothing says where the cluster is.
    #[error("no cluster is named: {}", tried.join("; "))]
    NoCluster {
        /// Every place looked at, and what was wrong there.
        tried: Vec<String>,
    },
    /// The kubeconfig does not lead to a cluster.
    #[error("kubeconfig {}: {problem}", path.display())]
    Kubeconfig {
        /// The file, or the files as `KUBECONFIG` lists them.
        path: PathBuf,
        /// What is wrong with it; never a piece of its text, which holds credentials.
        problem: String,
    },
    /// Nobody answers, or only with errors that should have passed.
    #[error("cannot reach the cluster at {address}: {reason}")]
    Unreachable {
        /// The address of its API server.
        address: String,
        /// The last reason.
        reason: String,
    },
    /// The cluster does not accept the credentials.
    #[error("the cluster at {address} does not know who asks: {reason}")]
    Unauthenticated {
        /// The address of its API server.
        address: String,
        /// Its words.
        reason: String,
    },
    /// The account may not do this.
    #[error("the cluster does not let this account {verb} {resource} in namespace `{namespace}`: {reason}")]
    Forbidden {
        /// As roles call it.
        verb: &'static str,
        /// As roles call it.
        resource: String,
        /// Where.
        namespace: String,
        /// Its words.
        reason: String,
    },
    /// The namespace of `[job]` is not there.
    #[error("the cluster has no namespace `{namespace}`")]
    NoNamespace {
        /// The namespace.
        namespace: String,
    },
    /// The cluster understands and says no.
    #[error("the cluster does not {verb} {what}: {reason}")]
    Refused {
        /// As roles call it.
        verb: &'static str,
        /// Resource and name.
        what: String,
        /// Its words.
        reason: String,
    },
    /// Jobs that other settings made, or later steps, work on the same run.
    #[error("other Jobs of this run are still at work: {}", names.join(", "))]
    AtWork {
        /// Their names.
        names: Vec<String>,
    },
    /// Somebody has deleted a Job.
    #[error("Job `{name}` was deleted while it was waited for")]
    Deleted {
        /// Its name.
        name: String,
    },
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        Self::Job(Box::new(error))
    }
}

impl JobError {
    /// The exit code this situation has.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoCluster { .. } | Self::Kubeconfig { .. } | Self::NoNamespace { .. } => Exit::BadPlan,
            Self::Unreachable { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::Refused { .. }
            | Self::AtWork { .. }
            | Self::Deleted { .. } => Exit::Unexpected,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCluster { .. } => {
                "set KUBECONFIG to a file that names the cluster, or call from a pod in it"
            }
            Self::Kubeconfig { .. } => {
                "`kubectl config view` shows the file as kubectl reads it; `--context` chooses one of its contexts"
            }
            Self::Unreachable { .. } => {
                "check the address and the way there (`kubectl get --raw /readyz`), then give the same command again"
            }
            Self::Unauthenticated { .. } => {
                "renew the credentials in the kubeconfig, then give the same command again: Jobs go on meanwhile"
            }
            Self::Forbidden { .. } => {
                "jobs/cluster/role.yaml has every right that `job` needs: whoever runs the cluster binds it to this account; \
                 where a quota or an admission rule speaks, its words say what to change in [job]"
            }
            Self::NoNamespace { .. } => {
                "correct [job] namespace, or have it made: `kubectl create namespace NAME`"
            }
            Self::Refused { .. } => {
                "change what it names in [job] of the run file; `specmill job render` writes the objects to look at"
            }
            Self::AtWork { .. } => {
                "wait for them, or delete them with `specmill job cancel RUN.toml`: two settings must not write one run \
                 folder at once"
            }
            Self::Deleted { .. } => "`specmill job submit RUN.toml` goes on from what is done",
        })
    }
}
