//! `job logs`: what the pods of a run have said, the newest try of every shard first.

use std::io::Write as _;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use super::attempt::{Attempt, Life, SHARD};
use super::cluster::{Cluster, Log};
use super::failure::{describe, keys_of};
use super::names::COMPONENT;
use super::submission::Submission;
use crate::cli::LogsArgs;
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;

/// Prints the logs of a run's pods.
///
/// # Errors
/// Where the run file is no good, the cluster refuses, or standard output takes no more.
pub(super) fn run(args: &LogsArgs, environment: &Environment) -> Result<Exit> {
    let submission = Submission::read(&args.cluster.run_file)?;
    let shards = submission.run_file.job.shards;
    if let Some(shard) = args.shard.filter(|shard| *shard >= shards) {
        let problem = format!("{shard} is not one of {shards} shards, the first of which is 0");
        return Err(Error::Argument { argument: "--shard", problem });
    }
    let cluster = submission.connect(&args.cluster, environment, false)?;
    let labels = labels_of(&submission, args);
    let mut attempts = cluster.attempts(&labels, "")?;
    attempts.sort_by(|one, other| {
        let key = |attempt: &Attempt| (place(&submission, &attempt.step), attempt.shard);
        key(one).cmp(&key(other)).then_with(|| Attempt::newest_first(one, other))
    });
    let whose = whose(args);
    let mut text = String::new();
    if attempts.is_empty() {
        text = format!("no pod of {whose} is in namespace {}\n", cluster.namespace());
    }
    for job in jobs_without_pods(&submission, &cluster, args, &attempts)? {
        text.push_str(&format!("the pods of Job {} are gone\n", job.name_any()));
    }
    crate::run::print(&text)?;
    for attempt in &attempts {
        print_log(&cluster, attempt)?;
    }
    Ok(Exit::Complete)
}

fn labels_of(submission: &Submission, args: &LogsArgs) -> String {
    let mut labels = submission.labels();
    if let Some(stage) = args.stage {
        labels.push_str(&format!(",{COMPONENT} in ({stage},{})", keys_of(stage)));
    }
    if let Some(shard) = args.shard {
        labels.push_str(&format!(",{SHARD}={shard}"));
    }
    labels
}

fn whose(args: &LogsArgs) -> String {
    let stage = args.stage.map_or_else(|| "the run".to_owned(), |stage| stage.to_string());
    args.shard.map_or_else(|| stage.clone(), |shard| format!("{stage} shard {shard}"))
}

/// The place of a step in the order of the run.
fn place(submission: &Submission, step: &str) -> usize {
    submission.steps.iter().position(|planned| planned.name == step).unwrap_or(usize::MAX)
}

/// Jobs asked for of which no pod is left.
fn jobs_without_pods(
    submission: &Submission,
    cluster: &Cluster,
    args: &LogsArgs,
    attempts: &[Attempt],
) -> Result<Vec<Job>> {
    if args.shard.is_some() {
        return Ok(Vec::new());
    }
    let labels = labels_of(submission, args);
    let mut jobs = cluster.jobs(&labels)?;
    jobs.retain(|job| !attempts.iter().any(|attempt| attempt.job == job.name_any()));
    Ok(jobs)
}

fn print_log(cluster: &Cluster, attempt: &Attempt) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let cannot = || Error::io("cannot write to standard output");
    writeln!(out, "{}", header(attempt)).map_err(cannot())?;
    let note = match cluster.copy_log(&attempt.pod, &mut out)? {
        Log::Whole => None,
        Log::None(reason) => Some(format!("(it has not been started: {reason})")),
        Log::Gone => Some("(the pod is gone, and its log with it)".to_owned()),
        Log::BrokenOff(reason) => Some(format!("(the connection broke off here: {reason})")),
    };
    if let Some(note) = note {
        writeln!(out, "{note}").map_err(cannot())?;
    }
    out.flush().map_err(cannot())
}

fn header(attempt: &Attempt) -> String {
    let shard = attempt.shard.map_or_else(String::new, |shard| format!(" shard {shard}"));
    let node = attempt.node.as_deref().map_or_else(String::new, |node| format!(" on {node}"));
    let life = match &attempt.life {
        Life::Waiting(None) => "starting".to_owned(),
        Life::Waiting(Some(obstacle)) => obstacle.reason.clone(),
        Life::Running => "running".to_owned(),
        Life::Succeeded(_) => "exit 0".to_owned(),
        Life::Failed(end) => describe(end),
    };
    format!("==> {}{shard}, pod {}{node}, {life} <==", attempt.step, attempt.pod)
}
