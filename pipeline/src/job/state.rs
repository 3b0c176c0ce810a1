//! What a Job's status says.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is being deleted.
    Leaving,
    /// It is suspended: a queue lets it start when there is room.
    Queued,
    /// Its pods are at work, or about to be.
    Active,
    /// All of it is done.
    Complete,
    /// It has been given up.
    Failed {
        /// The cluster's word.
        reason: String,
        /// Its sentence.
        message: String,
    },
}

/// A Job's status, read.
#[derive(Debug, Clone)]
pub(super) struct JobState {
    /// How it stands.
    pub(super) standing: Standing,
    /// How many shards it has; none where it is a single one.
    pub(super) shards: Option<u32>,
    /// Shards that are done.
    pub(super) done: Indexes,
    /// Shards that have failed for good.
    pub(super) failed: Indexes,
    /// Pods at work.
    pub(super) running: u32,
    /// Pods that have not started yet.
    pub(super) waiting: u32,
    /// Since its start; until its end, if it has ended.
    pub(super) elapsed: Option<Duration>,
}

impl JobState {
    /// Reads a Job.
    pub(super) fn of(job: &Job) -> Self {
        let spec = job.spec.as_ref();
        let status = job.status.clone().unwrap_or_default();
        let indexed = spec.and_then(|spec| spec.completion_mode.as_deref()) == Some("Indexed");
        let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let running = count(status.ready);
        let indexes = |text: &Option<String>| Indexes::parse(text.as_deref().unwrap_or_default());
        Self {
            standing: standing_of(job, &status),
            shards: indexed.then(|| count(spec.and_then(|spec| spec.completions))),
            done: indexes(&status.completed_indexes),
            failed: indexes(&status.failed_indexes),
            running,
            waiting: count(status.active).saturating_sub(running),
            elapsed: elapsed_of(&status),
        }
    }

    /// Whether nothing more will happen to it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Complete | Standing::Failed { .. })
    }
}

fn standing_of(job: &Job, status: &JobStatus) -> Standing {
    let condition = |name: &str| {
        let all = status.conditions.iter().flatten();
        all.clone().find(|condition| condition.type_ == name && condition.status == "True")
    };
    if job.metadata.deletion_timestamp.is_some() {
        return Standing::Leaving;
    }
    if condition("Complete").is_some() {
        return Standing::Complete;
    }
    if let Some(failed) = condition("Failed") {
        return Standing::Failed {
            reason: failed.reason.clone().unwrap_or_default(),
            message: failed.message.clone().unwrap_or_default(),
        };
    }
    let suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    if suspended { Standing::Queued } else { Standing::Active }
}

fn elapsed_of(status: &JobStatus) -> Option<Duration> {
    let seconds = |time: &Time| time.0.as_second();
    let started = status.start_time.as_ref().map(seconds)?;
    let failed = || {
        let conditions = status.conditions.iter().flatten();
        conditions
            .clone()
            .find(|condition| condition.type_ == "Failed" && condition.status == "True")?
            .last_transition_time
            .as_ref()
    };
    let ended = status.completion_time.as_ref().or_else(failed).map(seconds).or_else(now)?;
    // The cluster's clock may be ahead of this one.
    Some(Duration::from_secs(u64::try_from(ended - started).unwrap_or(0)))
}

fn now() -> Option<i64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// A set of shards as a Job's status writes it: `1,3-5,7`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Indexes(Vec<RangeInclusive<u32>>);

impl Indexes {
    fn parse(text: &str) -> Self {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        };
        Self(text.split(',').filter_map(range).collect())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|range| range.clone().count()).sum()
    }

    /// Whether one of them is this.
    pub(super) fn contains(&self, index: u32) -> bool {
        self.0.iter().any(|range| range.contains(&index))
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }
}

/// `hh:mm:ss`.
pub(super) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_read_as_the_cluster_writes_them() {
        let indexes = Indexes::parse("1,3-5,7");
        assert_eq!(indexes.iter().collect::<Vec<_>>(), [1, 3, 4, 5, 7]);
        assert_eq!(indexes.len(), 5);
        assert!(indexes.contains(4) && !indexes.contains(6));
        assert_eq!(Indexes::parse("").len(), 0);
    }

    #[test]
    fn a_clock_goes_on_after_a_day() {
        assert_eq!(clock(Duration::from_secs(90_061)), "25:01:01");
    }
}
