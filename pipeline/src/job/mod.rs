//! `job`: a run file as Kubernetes Jobs: the plan of `run`, drawn for a cluster.

mod answer;
mod attempt;
mod cancel;
mod cluster;
mod error;
mod failure;
mod jobs;
mod kubeconfig;
mod logs;
pub(crate) mod manifests;
pub(crate) mod names;
mod network;
mod pod;
mod policy;
mod render;
mod settings;
mod state;
mod status;
mod steps;
mod submission;
mod submit;
mod watch;
mod yaml;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;

pub use error::JobError;

use crate::cli::JobCommand;
use crate::config::Environment;
use crate::error::Result;
use crate::exit::Exit;

/// One object of a run, in the order in which they are applied.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// Its file, as `40-extract.yaml`.
    pub(crate) file_name: String,
    /// What it makes.
    pub(crate) object: Object,
}

/// What a manifest makes.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    /// The account that pods run under; it has no rights and no token.
    ServiceAccount(Box<ServiceAccount>),
    /// The run file.
    ConfigMap(Box<ConfigMap>),
    /// What pods may connect to.
    NetworkPolicy(Box<NetworkPolicy>),
    /// A step: a stage, or what follows one.
    Job(Box<Step>),
}

/// A Job, and what people call it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The label `app.kubernetes.io/component`: the stage's word, or `catalog-keys`, `account`.
    pub(crate) name: String,
    /// The Job.
    pub(crate) job: Job,
}

/// Carries out a `job` command.
///
/// # Errors
/// Where the run file is no good or the cluster refuses.
pub(crate) fn run(command: &JobCommand, environment: &Environment) -> Result<Exit> {
    match command {
        JobCommand::Render(args) => render::run(args),
        JobCommand::Submit(args) => submit::run(args, environment),
        JobCommand::Status(args) => status::run(args, environment),
        JobCommand::Logs(args) => logs::run(args, environment),
        JobCommand::Cancel(args) => cancel::run(args, environment),
    }
}
