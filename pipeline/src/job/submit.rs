//! `job submit`: step after step, each when the one before it is done.
//!
//! All that it knows is in the cluster and in the ledger, so it may end at any time: the step at work goes on, and called
//! again it finds what is done, waits for what is on its way, and makes what is not there yet.

use std::fmt::Write as _;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use super::attempt::{Attempt, JOB};
use super::cluster::Cluster;
use super::error::JobError;
use super::failure;
use super::state::{JobState, Standing};
use super::submission::{Next, Submission};
use super::watch::{Watch, line, numbers};
use super::{Object, Step};
use crate::cli::ClusterArgs;
use crate::config::Environment;
use crate::error::Result;
use crate::exit::Exit;
use crate::run::print;

/// Pods that have not ended well: few, however many shards there are.
pub(super) const NOT_SUCCEEDED: &str = "status.phase!=Succeeded";
/// Pods that have.
pub(super) const SUCCEEDED: &str = "status.phase=Succeeded";

/// How a step ended.
struct Ended {
    /// Its line.
    line: String,
    /// Shards with units that failed or were missing.
    partial: usize,
    /// Why it failed, if it did.
    failure: Option<String>,
}

/// Brings a run file through a cluster.
///
/// # Errors
/// Where the run file is no good, or the cluster refuses.
pub(super) fn run(args: &ClusterArgs, environment: &Environment) -> Result<Exit> {
    let submission = Submission::read(&args.run_file)?;
    let cluster = submission.connect(args, environment, true)?;
    let ended = carry_out(&submission, &cluster)?;
    let failed = ended.iter().any(|step| step.failure.is_some());
    let partial = ended.iter().any(|step| step.partial > 0);
    print(&account(&submission, &ended))?;
    Ok(if failed || partial { Exit::Partial } else { Exit::Complete })
}

fn carry_out(submission: &Submission, cluster: &Cluster) -> Result<Vec<Ended>> {
    // Before anything is touched.
    let jobs = cluster.jobs(&submission.labels())?;
    for index in 0..submission.steps.len() {
        submission.next(index, &jobs)?;
    }
    for object in &submission.supports {
        match object {
            Object::ServiceAccount(account) => cluster.apply(account.as_ref())?,
            Object::ConfigMap(map) => cluster.apply(map.as_ref())?,
            Object::NetworkPolicy(policy) => cluster.apply(policy.as_ref())?,
            Object::Job(_) => {}
        }
    }
    tracing::info!(
        "{} in namespace {}: this command may be ended at any time; the step at work goes on without it, the later ones \
         need the same command again",
        submission.names.run,
        cluster.namespace(),
    );
    let mut ended = Vec::new();
    for (index, step) in submission.steps.iter().enumerate() {
        let step = carry_out_step(submission, cluster, index, step)?;
        let failed = step.failure.is_some();
        ended.push(step);
        if failed {
            break;
        }
    }
    Ok(ended)
}

fn carry_out_step(submission: &Submission, cluster: &Cluster, index: usize, step: &Step) -> Result<Ended> {
    loop {
        let jobs = cluster.jobs(&submission.labels())?;
        match submission.next(index, &jobs)? {
            Next::DoneBefore(job) => return done_before(cluster, step, job),
            Next::Wait => break,
            Next::Remove(stale, why) => {
                tracing::info!("{}: {why}", step.name);
                submission.remove(cluster, &stale)?;
            }
            Next::Create => {
                cluster.create(&step.job)?;
                break;
            }
        }
    }
    wait(submission, cluster, step)
}

fn done_before(cluster: &Cluster, step: &Step, job: Option<&Job>) -> Result<Ended> {
    let Some(job) = job else {
        let line = line(&step.name, "done before; its Job has been cleared away", None);
        tracing::info!("{line}");
        return Ok(Ended { line, partial: 0, failure: None });
    };
    let succeeded = cluster.attempts(&pods_of(job), SUCCEEDED)?;
    let state = JobState::of(job);
    tracing::info!("{}", line(&step.name, "done before", state.elapsed));
    Ok(ended(step, &state, &succeeded, None))
}

/// Waits for a step's Job to be over.
fn wait(submission: &Submission, cluster: &Cluster, step: &Step) -> Result<Ended> {
    let mut watch = Watch::of(&step.name);
    let name = step.job.name_any();
    loop {
        let job = cluster.job(&name)?.ok_or_else(|| JobError::Deleted { name: name.clone() })?;
        let state = JobState::of(&job);
        let attempts = cluster.attempts(&pods_of(&job), NOT_SUCCEEDED)?;
        watch.tell(&state, &attempts);
        if state.is_over() {
            watch.finish();
            let succeeded = cluster.attempts(&pods_of(&job), SUCCEEDED)?;
            watch.warn_of_partial(&succeeded);
            let failed = matches!(state.standing, Standing::Failed { .. });
            let failure = failed.then(|| failure::report(submission, &step.name, &state, &attempts));
            return Ok(ended(step, &state, &succeeded, failure));
        }
        cluster.wait();
    }
}

fn ended(step: &Step, state: &JobState, succeeded: &[Attempt], failure: Option<String>) -> Ended {
    let partial = succeeded.iter().filter(|attempt| attempt.partial().is_some()).count();
    Ended { line: line_of_ended(&step.name, state, partial), partial, failure }
}

/// The line of a step that is over.
pub(super) fn line_of_ended(step: &str, state: &JobState, partial: usize) -> String {
    let note = match (partial, state.shards) {
        (0, _) => "",
        (_, None) => "; the ledger says what failed or was missing",
        (_, Some(_)) => "; the ledger says what failed or was missing in some of them",
    };
    format!("{}{note}", line(step, &numbers(state, &[]), state.elapsed))
}

/// The label of a Job's pods.
pub(super) fn pods_of(job: &Job) -> String {
    format!("{JOB}={}", job.name_any())
}

/// How all ended, and what comes next.
fn account(submission: &Submission, ended: &[Ended]) -> String {
    let mut text: String = ended.iter().map(|step| format!("{}\n", step.line)).collect();
    let run_file = submission.path.display();
    if let Some(failure) = ended.iter().find_map(|step| step.failure.as_ref()) {
        let _ = write!(text, "\n{failure}");
        return text;
    }
    let job = &submission.run_file.job;
    let folder = &submission.run_file.output.folder;
    let days = f64::from(job.ttl_seconds) / 86_400.0;
    let _ = writeln!(text, "\nnext:");
    let mut next = |what: &str, why: &str| {
        let _ = writeln!(text, "  {what:<70} {why}");
    };
    next(&format!("{}", folder.display()), &format!("the results, on the claim {}", job.storage.lake_claim));
    let ledger = folder.join("ledger.parquet");
    next(&format!("{}", ledger.display()), "what became of every unit, stage by stage");
    if submission.run_file.load.enabled {
        next(
            "psql -c 'select stage, state, count(*) from ops.ledger group by 1, 2'",
            "the same, in the database",
        );
        next("psql -c 'select * from spectra.features limit 10'", "what was measured");
    }
    next(&format!("specmill job status {run_file}"), &format!("how its Jobs stand, for {days:.0} days"));
    next(
        &format!("specmill job cancel {run_file}"),
        "forgets its Jobs, so that a submit looks at everything again",
    );
    text
}
