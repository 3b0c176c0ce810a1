//! One pod of a Job: what became of one try at a shard.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod, PodStatus};
use kube::ResourceExt as _;

use super::names::COMPONENT;

/// Label of a pod: its Job.
pub(super) const JOB: &str = "batch.kubernetes.io/job-name";
/// Label of a pod, and annotation where the cluster is older: its shard.
pub(super) const SHARD: &str = "batch.kubernetes.io/job-completion-index";

/// Reasons for waiting that every pod has for a moment.
const ON_ITS_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Reasons that say no more than an exit code does.
const SAYS_NOTHING: [&str; 2] = ["Error", "Completed"];

/// A pod.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Its name.
    pub(super) pod: String,
    /// The step it is of.
    pub(super) step: String,
    /// The Job it is of.
    pub(super) job: String,
    /// The shard, where the Job has several.
    pub(super) shard: Option<u32>,
    /// Where it runs or ran.
    pub(super) node: Option<String>,
    /// Nanoseconds since 1970 at which it was made.
    pub(super) made: i128,
    /// What it does, or did.
    pub(super) life: Life,
}

/// What a pod does, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// Not started yet, with what is in the way, if anything is.
    Waiting(Option<Obstacle>),
    /// At work.
    Running,
    /// Ended with exit code 0, with what it left to say.
    Succeeded(String),
    /// Ended otherwise.
    Failed(End),
}

/// What keeps a pod from being started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Obstacle {
    /// The cluster's word, as `ImagePullBackOff`.
    pub(super) reason: String,
    /// Its sentence.
    pub(super) message: String,
}

/// How a pod failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The program's exit code, where it was started.
    pub(super) code: Option<i32>,
    /// The cluster's word, as `OOMKilled` or `Evicted`.
    pub(super) reason: Option<String>,
    /// What the program, or else the cluster, left to say.
    pub(super) message: String,
}

impl Attempt {
    /// Reads a pod.
    pub(super) fn of(pod: &Pod) -> Self {
        let label = |key: &str| pod.labels().get(key).cloned();
        let index = label(SHARD).or_else(|| pod.annotations().get(SHARD).cloned());
        let status = pod.status.clone().unwrap_or_default();
        Self {
            pod: pod.name_any(),
            step: label(COMPONENT).unwrap_or_default(),
            job: label(JOB).unwrap_or_default(),
            shard: index.and_then(|index| index.parse().ok()),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            made: pod.creation_timestamp().map_or(0, |time| time.0.as_nanosecond()),
            life: life_of(&status),
        }
    }

    /// The order to read them in: the newest first.
    pub(super) fn newest_first(one: &Self, other: &Self) -> std::cmp::Ordering {
        other.made.cmp(&one.made).then_with(|| other.pod.cmp(&one.pod))
    }

    /// How it failed.
    pub(super) fn end(&self) -> Option<&End> {
        match &self.life {
            Life::Failed(end) => Some(end),
            Life::Waiting(_) | Life::Running | Life::Succeeded(_) => None,
        }
    }

    /// What it says of units that failed or were missing, where it did all it could.
    pub(super) fn partial(&self) -> Option<&str> {
        match &self.life {
            Life::Succeeded(said) => said.strip_prefix("exit 3: "),
            Life::Waiting(_) | Life::Running | Life::Failed(_) => None,
        }
    }
}

fn life_of(status: &PodStatus) -> Life {
    let container = status.container_statuses.iter().flatten().next();
    let state = container.and_then(|container| container.state.as_ref());
    match status.phase.as_deref() {
        Some("Succeeded") => Life::Succeeded(said(state.and_then(|state| state.terminated.as_ref()))),
        Some("Failed") => Life::Failed(end_of(status, state.and_then(|state| state.terminated.as_ref()))),
        Some("Running") if state.is_none_or(|state| state.waiting.is_none()) => Life::Running,
        _ => Life::Waiting(obstacle_of(status, state)),
    }
}

fn said(terminated: Option<&ContainerStateTerminated>) -> String {
    terminated.and_then(|end| end.message.clone()).unwrap_or_default()
}

fn end_of(status: &PodStatus, terminated: Option<&ContainerStateTerminated>) -> End {
    let disruption = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    let of_pod = status.reason.clone().or_else(|| disruption.and_then(|condition| condition.reason.clone()));
    let of_container = terminated.and_then(|end| end.reason.clone());
    let message_of_pod =
        status.message.clone().or_else(|| disruption.and_then(|condition| condition.message.clone()));
    let message = said(terminated);
    End {
        code: terminated.map(|end| end.exit_code),
        reason: of_pod.or(of_container).filter(|reason| !SAYS_NOTHING.contains(&reason.as_str())),
        message: if message.is_empty() { message_of_pod.unwrap_or_default() } else { message },
    }
}

fn obstacle_of(status: &PodStatus, state: Option<&ContainerState>) -> Option<Obstacle> {
    if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
        let reason = waiting.reason.clone().filter(|reason| !ON_ITS_WAY.contains(&reason.as_str()))?;
        return Some(Obstacle { reason, message: waiting.message.clone().unwrap_or_default() });
    }
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled" && condition.status == "False" && condition.reason.is_some()
    })?;
    Some(Obstacle {
        reason: unscheduled.reason.clone()?,
        message: unscheduled.message.clone().unwrap_or_default(),
    })
}
