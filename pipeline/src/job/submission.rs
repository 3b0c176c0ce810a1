//! A run file on its way through a cluster: its objects, and what comes next of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use super::cluster::{Cluster, Patience};
use super::error::JobError;
use super::names::{COMPONENT, Names};
use super::state::{JobState, Standing};
use super::{Object, Step, manifests};
use crate::cli::ClusterArgs;
use crate::config::{Environment, RunFile};
use crate::error::{Error, Result};

/// Pods that may still write.
const AT_WORK: &str = "status.phase!=Succeeded,status.phase!=Failed";
/// An hour.
const LONGEST_POLL_SECONDS: f64 = 3600.0;

/// A run file's objects.
pub(super) struct Submission {
    /// The run file, as it was typed.
    pub(super) path: PathBuf,
    /// Its settings.
    pub(super) run_file: RunFile,
    /// What its objects are called.
    pub(super) names: Names,
    /// What must be there before any Job.
    pub(super) supports: Vec<Object>,
    /// The Jobs, in order.
    pub(super) steps: Vec<Step>,
}

/// What is to be done about a step.
pub(super) enum Next<'a> {
    /// Nothing: it was done before. Its Job may have been cleared away since.
    DoneBefore(Option<&'a Job>),
    /// Its Job is on its way.
    Wait,
    /// These Jobs must go first, and why.
    Remove(Vec<&'a Job>, &'static str),
    /// Its Job is to be made.
    Create,
}

impl Submission {
    /// Reads a run file.
    ///
    /// # Errors
    /// Where it is no good, or cannot be followed in a cluster.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let run_file = RunFile::read(path)?;
        let names = Names::of(&run_file, path)?;
        let mut supports = Vec::new();
        let mut steps = Vec::new();
        for manifest in manifests::of(&run_file, path)? {
            match manifest.object {
                Object::Job(step) => steps.push(*step),
                object @ (Object::ServiceAccount(_) | Object::ConfigMap(_) | Object::NetworkPolicy(_)) => {
                    supports.push(object);
                }
            }
        }
        Ok(Self { path: path.to_owned(), run_file, names, supports, steps })
    }

    /// A client of the cluster it is for.
    ///
    /// # Errors
    /// Where nothing names a cluster, or what does cannot be used.
    pub(super) fn connect(
        &self,
        args: &ClusterArgs,
        environment: &Environment,
        endless: bool,
    ) -> Result<Cluster> {
        let poll = args.poll_seconds;
        if !(poll > 0.0 && poll <= LONGEST_POLL_SECONDS) {
            let problem = format!("{poll} is not a time between two looks: give seconds, as 5");
            return Err(Error::Argument { argument: "--poll-seconds", problem });
        }
        let patience = Patience { poll: Duration::from_secs_f64(poll), endless };
        let namespace = &self.names.namespace;
        Ok(Cluster::connect(environment, args.context.as_deref(), namespace, patience)?)
    }

    /// The labels that every object of this run has, whatever its settings.
    pub(super) fn labels(&self) -> String {
        self.names.query()
    }

    /// The Job of a step, among those of the cluster.
    pub(super) fn find<'a>(step: &Step, jobs: &'a [Job]) -> Option<&'a Job> {
        let name = step.job.name_any();
        jobs.iter().find(|job| job.name_any() == name)
    }

    /// The place of a Job in the order of the steps, by its label; Jobs of other settings have one, too.
    pub(super) fn place(&self, job: &Job) -> usize {
        let component = job.labels().get(COMPONENT);
        let place = self.steps.iter().position(|step| Some(&step.name) == component);
        place.unwrap_or(self.steps.len())
    }

    /// Whether these settings make a Job of this name.
    pub(super) fn is_ours(&self, job: &Job) -> bool {
        self.steps.iter().any(|step| step.job.name_any() == job.name_any())
    }

    /// The first step whose Job is older than one that other settings have made.
    ///
    /// Those may have written the run folder since: it is no more as this step and all after it have left it.
    pub(super) fn first_stale(&self, jobs: &[Job]) -> Option<usize> {
        // In whole seconds: no Job is made, done and followed by other settings within one.
        let made = |job: &Job| job.creation_timestamp().map(|time| time.0);
        let newest = jobs.iter().filter(|job| !self.is_ours(job)).filter_map(made).max()?;
        self.steps.iter().position(|step| {
            let found = Self::find(step, jobs).and_then(made);
            found.is_some_and(|made| made < newest)
        })
    }

    /// Jobs of a step and of later ones that are over and yet to be made again, and why.
    fn outdated<'a>(&self, index: usize, jobs: &'a [Job]) -> Option<(Vec<&'a Job>, &'static str)> {
        let found_from = |place: usize| {
            let steps = self.steps[place..].iter();
            steps.filter_map(|step| Self::find(step, jobs)).collect::<Vec<_>>()
        };
        if let Some(first) = self.first_stale(jobs) {
            let stale = found_from(first.max(index));
            return (!stale.is_empty())
                .then_some((stale, "other settings were submitted since, it is made again"));
        }
        // Where the account does not end well, units were left undone, and only the steps before it can do them.
        let account = self.steps.last().and_then(|step| Self::find(step, jobs))?;
        let is_failed = matches!(JobState::of(account).standing, Standing::Failed { .. });
        let first = self.steps.iter().position(is_indexed).unwrap_or(0);
        // It goes last: wherever this ends, the next submit finds that it failed.
        (is_failed && index >= first)
            .then(|| (found_from(index), "the account of the run failed before, it is made again"))
    }

    /// What is to be done about a step, where these are all the Jobs of the run.
    ///
    /// Steps are made one after the other. So where a later one is there, this one was done, even if its Job has been
    /// cleared away since; and before one is made again, nothing after it may stand.
    ///
    /// # Errors
    /// Where Jobs that other settings made, or later ones, are at work.
    pub(super) fn next<'a>(&self, index: usize, jobs: &'a [Job]) -> Result<Next<'a>> {
        let is_at_work = |job: &&Job| !JobState::of(job).is_over();
        let names = |jobs: Vec<&Job>| jobs.into_iter().map(|job| job.name_any()).collect();
        let others: Vec<&Job> = jobs.iter().filter(|job| !self.is_ours(job) && is_at_work(job)).collect();
        if !others.is_empty() {
            return Err(JobError::AtWork { names: names(others) }.into());
        }
        if let Some((outdated, why)) = self.outdated(index, jobs) {
            let at_work: Vec<&Job> = outdated.iter().copied().filter(is_at_work).collect();
            if !at_work.is_empty() {
                return Err(JobError::AtWork { names: names(at_work) }.into());
            }
            return Ok(Next::Remove(outdated, why));
        }
        let later: Vec<&Job> =
            self.steps[index + 1..].iter().filter_map(|step| Self::find(step, jobs)).collect();
        let Some(job) = Self::find(&self.steps[index], jobs) else {
            return Ok(if later.is_empty() { Next::Create } else { Next::DoneBefore(None) });
        };
        match JobState::of(job).standing {
            Standing::Complete => return Ok(Next::DoneBefore(Some(job))),
            Standing::Queued | Standing::Active => return Ok(Next::Wait),
            Standing::Leaving | Standing::Failed { .. } => {}
        }
        let (at_work, mut stale): (Vec<&Job>, Vec<&Job>) = later.into_iter().partition(is_at_work);
        if !at_work.is_empty() {
            return Err(JobError::AtWork { names: names(at_work) }.into());
        }
        // Last first: wherever this ends, what is left tells what was done.
        stale.reverse();
        stale.push(job);
        Ok(Next::Remove(stale, "it failed before and is made again"))
    }

    /// Has Jobs and their pods deleted, and waits until nothing of them is at work.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn remove(&self, cluster: &Cluster, jobs: &[&Job]) -> Result<()> {
        for job in jobs {
            cluster.delete(*job)?;
        }
        for job in jobs {
            while cluster.job(&job.name_any())?.is_some_and(|found| found.uid() == job.uid()) {
                cluster.wait();
            }
        }
        self.wait_for_pods(cluster)
    }

    /// Pods have their grace period to end the unit in hand, and nobody else is to write it meanwhile.
    fn wait_for_pods(&self, cluster: &Cluster) -> Result<()> {
        let mut told = Vec::new();
        loop {
            let left = cluster.attempts(&self.labels(), AT_WORK)?;
            if left.is_empty() {
                return Ok(());
            }
            let names: Vec<String> = left.into_iter().map(|attempt| attempt.pod).collect();
            if names != told {
                tracing::info!("waiting for pods that end what they have in hand: {}", names.join(", "));
                told = names;
            }
            cluster.wait();
        }
    }
}

/// Whether its pods have a share each.
fn is_indexed(step: &Step) -> bool {
    JobState::of(&step.job).shards.is_some()
}
