//! `job status`: one line a step, from the cluster alone.

use std::fmt::Write as _;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use super::Step;
use super::cluster::Cluster;
use super::failure::{self, excerpt};
use super::names::COMPONENT;
use super::state::{JobState, Standing};
use super::submission::Submission;
use super::submit::{NOT_SUCCEEDED, SUCCEEDED, line_of_ended, pods_of};
use super::watch::{line, numbers};
use crate::cli::ClusterArgs;
use crate::config::Environment;
use crate::error::Result;
use crate::exit::Exit;
use crate::run::print;

/// Says how the Jobs of a run file stand.
///
/// # Errors
/// Where the run file is no good, or the cluster refuses.
pub(super) fn run(args: &ClusterArgs, environment: &Environment) -> Result<Exit> {
    let submission = Submission::read(&args.run_file)?;
    let cluster = submission.connect(args, environment, false)?;
    let account = Account::read(&submission, &cluster)?;
    print(&format!("{}{}", account.lines, account.reasons))?;
    Ok(if account.complete { Exit::Complete } else { Exit::Partial })
}

/// How a run stands.
struct Account {
    /// A line a step.
    lines: String,
    /// Why some are not done.
    reasons: String,
    /// Whether all are, with nothing failed or missing.
    complete: bool,
}

impl Account {
    fn read(submission: &Submission, cluster: &Cluster) -> Result<Self> {
        let jobs = cluster.jobs(&submission.labels())?;
        let stale = submission.first_stale(&jobs).unwrap_or(submission.steps.len());
        let is_there = |step: &Step| Submission::find(step, &jobs).is_some();
        let last = submission.steps[..stale].iter().rposition(is_there);
        let mut account = Self { lines: String::new(), reasons: String::new(), complete: true };
        for (index, step) in submission.steps.iter().enumerate() {
            match Submission::find(step, &jobs) {
                Some(job) if index >= stale && JobState::of(job).is_over() => {
                    account.complete = false;
                    account.line(&line(
                        &step.name,
                        "to be made again: other settings were submitted since",
                        None,
                    ));
                }
                Some(job) => account.add(submission, cluster, &step.name, job)?,
                None if last.is_some_and(|last| index < last) => {
                    account.line(&line(&step.name, "done before; its Job has been cleared away", None));
                }
                None => {
                    account.complete = false;
                    account.line(&line(&step.name, "absent", None));
                }
            }
        }
        account.add_others(submission, &jobs);
        Ok(account)
    }

    fn add(&mut self, submission: &Submission, cluster: &Cluster, step: &str, job: &Job) -> Result<()> {
        let state = JobState::of(job);
        if state.standing == Standing::Complete {
            let succeeded = cluster.attempts(&pods_of(job), SUCCEEDED)?;
            let partial: Vec<String> = succeeded
                .iter()
                .filter_map(|attempt| {
                    let shard = attempt.shard.map_or_else(String::new, |shard| format!(" shard {shard}"));
                    Some(format!("{step}{shard}: {}\n", excerpt(attempt.partial()?).join("; ")))
                })
                .collect();
            self.complete &= partial.is_empty();
            self.line(&line_of_ended(step, &state, partial.len()));
            self.reasons.extend(partial);
            return Ok(());
        }
        self.complete = false;
        let attempts = cluster.attempts(&pods_of(job), NOT_SUCCEEDED)?;
        self.line(&line(step, &numbers(&state, &attempts), state.elapsed));
        if let Standing::Failed { .. } = state.standing {
            self.reasons.push_str(&failure::report(submission, step, &state, &attempts));
        }
        Ok(())
    }

    /// Jobs that other settings of the same run have made.
    fn add_others(&mut self, submission: &Submission, jobs: &[Job]) {
        for job in jobs.iter().filter(|job| !submission.is_ours(job)) {
            let state = JobState::of(job);
            let step = job.labels().get(COMPONENT).map_or("", String::as_str);
            let (name, numbers) = (job.name_any(), numbers(&state, &[]));
            self.line(&format!("{} (of other settings: {name})", line(step, &numbers, state.elapsed)));
        }
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.lines, "{line}");
    }
}
