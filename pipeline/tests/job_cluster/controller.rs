//! How Jobs go on in the stand-in: a small Job controller that follows each Job's own rules, one step with every look.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    Pod, PodCondition, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

use super::world::World;

/// Looks at which a pod of a deleted Job is still there.
const LOOKS_TO_END: u32 = 2;

/// What pods do, by step and shard; what is not said ends with 0.
#[derive(Default)]
pub(crate) struct Script {
    outcomes: BTreeMap<(String, u32), VecDeque<Outcome>>,
    /// Steps whose pods go on working.
    pub(crate) held: BTreeSet<String>,
    /// Looks after which a suspended Job is let start; `None` = at no time.
    pub(crate) queue_looks: Option<u32>,
    /// Carries out the pods that no outcome is said of.
    pub(crate) kubelet: Option<Kubelet>,
    /// Whether a quota lets no pod be made.
    pub(crate) no_quota: bool,
    /// Shards whose pods failed at this look: they are tried again at a later one.
    fresh: BTreeSet<u32>,
}

/// Runs a Job's pod of this shard to its end: exit code, termination message, log.
pub(crate) type Kubelet = Box<dyn FnMut(&Job, u32) -> (i32, String, String) + Send>;

/// How a pod ends, or does not begin.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// With a code and a termination message.
    Exit(i32, &'static str),
    /// With a code and a termination message that no test knew before.
    Ended(i32, String),
    /// Killed with a code and a reason of the container.
    Killed(i32, &'static str),
    /// Taken away by the cluster, with a reason of the pod.
    Disrupted(&'static str),
    /// Not started for this many looks: reason and message.
    Stuck(&'static str, &'static str, u32),
    /// Not placed on a node for this many looks.
    Unschedulable(&'static str, u32),
}

impl Script {
    /// Says what the next pods of a step's shard do, one after the other; single Jobs have shard 0 alone.
    pub(crate) fn say(&mut self, step: &str, shard: u32, outcomes: impl IntoIterator<Item = Outcome>) {
        self.outcomes.entry((step.to_owned(), shard)).or_default().extend(outcomes);
    }

    fn told(&mut self, step: &str, shard: u32) -> Option<Outcome> {
        self.outcomes.get_mut(&(step.to_owned(), shard)).and_then(VecDeque::pop_front)
    }
}

impl World {
    /// What the cluster adds to a Job that it takes.
    pub(crate) fn admit(&mut self, mut job: Job) -> Job {
        self.made += 1;
        job.metadata.uid = Some(format!("uid-{}", self.made));
        job.metadata.creation_timestamp = Some(self.clock());
        job.status = Some(JobStatus::default());
        let spec = job.spec.as_ref().unwrap();
        let indexed = is_indexed(spec);
        assert_eq!(spec.backoff_limit_per_index.is_some(), indexed);
        assert_eq!(spec.template.spec.as_ref().unwrap().containers[0].name, "specmill");
        job
    }

    /// When the last object was made: in whole seconds, and none in the same as another.
    fn clock(&self) -> Time {
        Time(Timestamp::from_second(1_800_000_000 + i64::from(self.made)).unwrap())
    }

    /// Takes a Job away; its pods that are at work end a little later.
    pub(crate) fn remove(&mut self, name: &str) {
        self.jobs.remove(name);
        let pods: Vec<String> = self.pods_of(name).map(|pod| pod.metadata.name.clone().unwrap()).collect();
        for pod in pods {
            if phase(&self.pods[&pod]) == "Running" {
                self.ending.insert(pod, LOOKS_TO_END);
            } else {
                self.pods.remove(&pod);
            }
        }
    }

    /// A look at pods of Jobs that are gone.
    pub(crate) fn end_pods(&mut self) {
        for (pod, looks) in &mut self.ending {
            *looks -= 1;
            if *looks == 0 {
                self.pods.remove(pod);
            }
        }
        self.ending.retain(|_, looks| *looks > 0);
    }

    /// One step of a Job.
    pub(crate) fn tick(&mut self, name: &str) {
        let Some(mut job) = self.jobs.remove(name) else { return };
        if !is_over(&job) && !self.is_suspended(&mut job) {
            let step = job.metadata.labels.as_ref().unwrap()["app.kubernetes.io/component"].clone();
            job.status.as_mut().unwrap().start_time.get_or_insert_with(now);
            if !self.script.held.contains(&step) {
                self.end_or_start_pods(&mut job, &step);
            }
            self.settle(&mut job);
            if !is_over(&job) {
                self.make_pods(&job, &step);
            }
            self.count(&mut job);
        }
        self.jobs.insert(name.to_owned(), job);
    }

    fn is_suspended(&mut self, job: &mut Job) -> bool {
        let spec = job.spec.as_mut().unwrap();
        if spec.suspend != Some(true) {
            return false;
        }
        match &mut self.script.queue_looks {
            Some(0) => spec.suspend = Some(false),
            Some(looks) => *looks -= 1,
            None => {}
        }
        spec.suspend == Some(true)
    }

    fn end_or_start_pods(&mut self, job: &mut Job, step: &str) {
        self.script.fresh.clear();
        let names: Vec<String> = self
            .pods_of(job.metadata.name.as_ref().unwrap())
            .filter(|pod| ["Running", "Pending"].contains(&phase(pod).as_str()))
            .map(|pod| pod.metadata.name.clone().unwrap())
            .collect();
        for name in names {
            let shard = shard_of(&self.pods[&name]);
            let outcome = self.script.told(step, shard).unwrap_or_else(|| self.carry_out(job, &name, shard));
            let again = match &outcome {
                Outcome::Stuck(reason, message, looks) if *looks > 1 => {
                    Some(Outcome::Stuck(reason, message, looks - 1))
                }
                Outcome::Unschedulable(message, looks) if *looks > 1 => {
                    Some(Outcome::Unschedulable(message, looks - 1))
                }
                Outcome::Exit(..)
                | Outcome::Ended(..)
                | Outcome::Killed(..)
                | Outcome::Disrupted(_)
                | Outcome::Stuck(..)
                | Outcome::Unschedulable(..) => None,
            };
            if let Some(again) = again {
                self.script.outcomes.entry((step.to_owned(), shard)).or_default().push_front(again);
            }
            let status = status_of(&outcome);
            if status.phase.as_deref() == Some("Failed") {
                self.script.fresh.insert(shard);
            }
            self.pods.get_mut(&name).unwrap().status = Some(status);
        }
    }

    /// What becomes of a pod that the script says nothing of.
    fn carry_out(&mut self, job: &Job, pod: &str, shard: u32) -> Outcome {
        let Some(kubelet) = &mut self.script.kubelet else { return Outcome::Exit(0, "") };
        let (code, message, log) = kubelet(job, shard);
        self.logs.insert(pod.to_owned(), log);
        Outcome::Ended(code, message)
    }

    /// Draws the consequences of failed pods, by the Job's own rules.
    fn settle(&mut self, job: &mut Job) {
        let spec = job.spec.clone().unwrap();
        let name = job.metadata.name.clone().unwrap();
        let shards = u32::try_from(spec.completions.unwrap()).unwrap();
        let mut done = BTreeSet::new();
        let mut failed = BTreeSet::new();
        let mut counted: BTreeMap<u32, i32> = BTreeMap::new();
        let mut fails_job = None;
        for pod in self.pods_of(&name) {
            let shard = shard_of(pod);
            match phase(pod).as_str() {
                "Succeeded" => {
                    done.insert(shard);
                }
                "Failed" => match action(&spec, pod).as_str() {
                    "FailJob" => fails_job = Some(pod.metadata.name.clone().unwrap()),
                    "FailIndex" => {
                        failed.insert(shard);
                    }
                    "Ignore" => {}
                    _ => *counted.entry(shard).or_default() += 1,
                },
                _ => {}
            }
        }
        let limit = spec.backoff_limit_per_index.or(spec.backoff_limit).unwrap();
        let exhausted = counted.iter().filter(|(_, count)| **count > limit).map(|(shard, _)| *shard);
        failed.extend(exhausted);
        failed.retain(|shard| !done.contains(shard));
        let too_many =
            spec.max_failed_indexes.is_some_and(|most| failed.len() > usize::try_from(most).unwrap());
        let status = job.status.as_mut().unwrap();
        if is_indexed(&spec) {
            status.completed_indexes = Some(ranges(&done));
            status.failed_indexes = Some(ranges(&failed));
        }
        if let Some(pod) = fails_job {
            fail(status, "PodFailurePolicy", &format!("Container specmill for pod {pod} failed"));
        } else if !is_indexed(&spec) && !failed.is_empty() {
            fail(status, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
        } else if too_many {
            fail(
                status,
                "MaxFailedIndexesExceeded",
                "Job has exceeded the specified maximal number of failed indexes",
            );
        } else if u32::try_from(done.len() + failed.len()).unwrap() == shards {
            if failed.is_empty() {
                status.completion_time = Some(now());
                status.conditions = Some(vec![condition("Complete", "CompletionsReached", "")]);
            } else {
                fail(status, "FailedIndexes", "Job has failed indexes");
            }
        }
        if is_over(job) {
            self.end_others(&name);
        }
    }

    /// A Job that is over ends the pods it still has.
    fn end_others(&mut self, job: &str) {
        let open: Vec<String> = self
            .pods_of(job)
            .filter(|pod| ["Running", "Pending"].contains(&phase(pod).as_str()))
            .map(|pod| pod.metadata.name.clone().unwrap())
            .collect();
        for pod in open {
            let ended = status_of(&Outcome::Exit(143, "exit 143: told to end before all was done"));
            self.pods.get_mut(&pod).unwrap().status = Some(ended);
        }
    }

    fn make_pods(&mut self, job: &Job, step: &str) {
        let spec = job.spec.as_ref().unwrap();
        let name = job.metadata.name.clone().unwrap();
        let parallelism = usize::try_from(spec.parallelism.unwrap()).unwrap();
        let status = job.status.as_ref().unwrap();
        for shard in 0..u32::try_from(spec.completions.unwrap()).unwrap() {
            let pods: Vec<&Pod> = self.pods_of(&name).collect();
            let open =
                pods.iter().filter(|pod| ["Running", "Pending"].contains(&phase(pod).as_str())).count();
            let of_shard = pods.iter().filter(|pod| shard_of(pod) == shard);
            let is_open_or_done = of_shard.clone().any(|pod| phase(pod) != "Failed");
            let has_failed = holds(status.failed_indexes.as_deref(), shard);
            let waits = self.script.no_quota || self.script.fresh.contains(&shard);
            if open >= parallelism || is_open_or_done || has_failed || waits {
                continue;
            }
            let tried = of_shard.count();
            self.make_pod(job, step, shard, tried);
        }
    }

    fn make_pod(&mut self, job: &Job, step: &str, shard: u32, tried: usize) {
        let spec = job.spec.as_ref().unwrap();
        let job_name = job.metadata.name.clone().unwrap();
        self.made += 1;
        let index = if is_indexed(spec) { format!("-{shard}") } else { String::new() };
        let name = format!("{job_name}{index}-try{tried}");
        let template = spec.template.metadata.as_ref().unwrap();
        let mut labels = template.labels.clone().unwrap();
        assert_eq!(labels["app.kubernetes.io/component"], step);
        labels.insert("batch.kubernetes.io/job-name".to_owned(), job_name);
        if is_indexed(spec) {
            labels.insert("batch.kubernetes.io/job-completion-index".to_owned(), shard.to_string());
        }
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            namespace: job.metadata.namespace.clone(),
            labels: Some(labels),
            creation_timestamp: Some(self.clock()),
            ..ObjectMeta::default()
        };
        let pod = PodSpec { node_name: Some(format!("node-{}", shard % 2)), ..PodSpec::default() };
        let pod = Pod { metadata, spec: Some(pod), status: Some(running()) };
        self.pods.insert(name, pod);
    }

    /// The numbers of a Job's status.
    fn count(&self, job: &mut Job) {
        let count = |wanted: &str| {
            let pods = self.pods_of(job.metadata.name.as_ref().unwrap());
            i32::try_from(pods.filter(|pod| phase(pod) == wanted).count()).unwrap()
        };
        let (running, pending) = (count("Running"), count("Pending"));
        let (failed, succeeded) = (count("Failed"), count("Succeeded"));
        let status = job.status.as_mut().unwrap();
        status.ready = Some(running);
        status.active = Some(running + pending);
        status.failed = Some(failed);
        status.succeeded = Some(succeeded);
    }

    fn pods_of(&self, job: &str) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(move |pod| {
            let labels = pod.metadata.labels.as_ref().unwrap();
            labels["batch.kubernetes.io/job-name"] == job
        })
    }
}

fn now() -> Time {
    Time(Timestamp::now())
}

fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

pub(super) fn is_over(job: &Job) -> bool {
    let conditions = job.status.as_ref().unwrap().conditions.iter().flatten();
    conditions.clone().any(|condition| ["Complete", "Failed"].contains(&condition.type_.as_str()))
}

fn phase(pod: &Pod) -> String {
    pod.status.as_ref().unwrap().phase.clone().unwrap()
}

fn shard_of(pod: &Pod) -> u32 {
    let labels = pod.metadata.labels.as_ref().unwrap();
    labels.get("batch.kubernetes.io/job-completion-index").map_or(0, |index| index.parse().unwrap())
}

fn condition(kind: &str, reason: &str, message: &str) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(now()),
        ..JobCondition::default()
    }
}

fn fail(status: &mut JobStatus, reason: &str, message: &str) {
    status.conditions = Some(vec![condition("Failed", reason, message)]);
}

/// `1,3-5,7`, as the Job controller writes it: two in a row stay two.
fn ranges(indexes: &BTreeSet<u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &index in indexes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => runs.push((index, index)),
        }
    }
    let text = |(first, last): (u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    runs.into_iter().map(text).collect::<Vec<_>>().join(",")
}

fn holds(text: Option<&str>, index: u32) -> bool {
    text.unwrap_or_default().split(',').filter(|part| !part.is_empty()).any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        (first.parse().unwrap()..=last.parse().unwrap()).contains(&index)
    })
}

/// What the Job's policy does about a failed pod: the first rule that fits.
fn action(spec: &JobSpec, pod: &Pod) -> String {
    let rules = spec.pod_failure_policy.iter().flat_map(|policy| &policy.rules);
    let rule = rules.into_iter().find(|rule| fits(rule, pod));
    rule.map_or_else(|| "Count".to_owned(), |rule| rule.action.clone())
}

fn fits(rule: &PodFailurePolicyRule, pod: &Pod) -> bool {
    let status = pod.status.as_ref().unwrap();
    if let Some(patterns) = &rule.on_pod_conditions {
        return patterns.iter().any(|pattern| {
            let conditions = status.conditions.iter().flatten();
            conditions.clone().any(|c| c.type_ == pattern.type_ && c.status == pattern.status)
        });
    }
    let codes = rule.on_exit_codes.as_ref().unwrap();
    status.container_statuses.iter().flatten().any(|container| {
        let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        ended.is_some_and(|end| codes.operator == "In" && codes.values.contains(&end.exit_code))
    })
}

fn with_state(phase: &str, state: ContainerState) -> PodStatus {
    let container = ContainerStatus { name: "specmill".to_owned(), state: Some(state), ..Default::default() };
    PodStatus {
        phase: Some(phase.to_owned()),
        container_statuses: Some(vec![container]),
        ..PodStatus::default()
    }
}

fn running() -> PodStatus {
    let state = ContainerStateRunning::default();
    with_state("Running", ContainerState { running: Some(state), ..ContainerState::default() })
}

fn ended(code: i32, reason: &str, message: &str) -> PodStatus {
    let end = ContainerStateTerminated {
        exit_code: code,
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()).filter(|message| !message.is_empty()),
        ..ContainerStateTerminated::default()
    };
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    with_state(phase, ContainerState { terminated: Some(end), ..ContainerState::default() })
}

fn status_of(outcome: &Outcome) -> PodStatus {
    match outcome {
        Outcome::Exit(code, message) => ended(*code, if *code == 0 { "Completed" } else { "Error" }, message),
        Outcome::Ended(code, message) => {
            ended(*code, if *code == 0 { "Completed" } else { "Error" }, message)
        }
        Outcome::Killed(code, reason) => ended(*code, reason, ""),
        Outcome::Disrupted(reason) => {
            let target = PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some((*reason).to_owned()),
                ..PodCondition::default()
            };
            PodStatus { conditions: Some(vec![target]), ..ended(143, "Error", "") }
        }
        Outcome::Stuck(reason, message, _) => {
            let waiting = ContainerStateWaiting {
                reason: Some((*reason).to_owned()),
                message: Some((*message).to_owned()),
            };
            with_state("Pending", ContainerState { waiting: Some(waiting), ..ContainerState::default() })
        }
        Outcome::Unschedulable(message, _) => {
            let unscheduled = PodCondition {
                type_: "PodScheduled".to_owned(),
                status: "False".to_owned(),
                reason: Some("Unschedulable".to_owned()),
                message: Some((*message).to_owned()),
                ..PodCondition::default()
            };
            let phase = Some("Pending".to_owned());
            PodStatus { phase, conditions: Some(vec![unscheduled]), ..PodStatus::default() }
        }
    }
}
