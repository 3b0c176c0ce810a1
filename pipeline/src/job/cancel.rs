//! `job cancel`: the Jobs of a run and their pods go, then what was made for them; what they have written stays.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt as _;

use super::cluster::Cluster;
use super::submission::Submission;
use crate::cli::ClusterArgs;
use crate::config::Environment;
use crate::error::Result;
use crate::exit::Exit;
use crate::run::print;

/// Deletes the Jobs of a run, whatever settings have made them, and waits until nothing of them is at work.
///
/// # Errors
/// Where the run file is no good, or the cluster refuses.
pub(super) fn run(args: &ClusterArgs, environment: &Environment) -> Result<Exit> {
    let submission = Submission::read(&args.run_file)?;
    let cluster = submission.connect(args, environment, false)?;
    let mut jobs = cluster.jobs(&submission.labels())?;
    // Last first: if this ends half-way, what is left tells a submit what was done.
    jobs.sort_by_key(|job| (std::cmp::Reverse(submission.place(job)), job.name_any()));
    let namespace = cluster.namespace();
    if jobs.is_empty() {
        print(&format!("no Jobs of {} in namespace {namespace}\n", submission.names.run))?;
    }
    submission.remove(&cluster, &jobs.iter().collect::<Vec<_>>())?;
    for job in &jobs {
        print(&format!("deleted {}\n", Job::name_any(job)))?;
    }
    remove_supports(&submission, &cluster)?;
    print(&format!(
        "what was written stays in {}; `specmill job submit {}` goes on from there\n",
        submission.run_file.output.folder.display(),
        args.run_file.display(),
    ))?;
    Ok(Exit::Complete)
}

/// Run files and network policies of all settings. The service account stays: people give it the right to pull images.
fn remove_supports(submission: &Submission, cluster: &Cluster) -> Result<()> {
    let labels = submission.labels();
    for map in cluster.objects::<ConfigMap>(&labels)? {
        cluster.delete(&map)?;
        print(&format!("deleted {}\n", map.name_any()))?;
    }
    for policy in cluster.objects::<NetworkPolicy>(&labels)? {
        cluster.delete(&policy)?;
        print(&format!("deleted network policy {}\n", policy.name_any()))?;
    }
    Ok(())
}
