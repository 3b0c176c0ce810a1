//! The Job of a step: Indexed where pods have a share each, a single pod elsewhere.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};

use super::pod::Pods;
use super::policy::failure_policy;
use super::steps::{Planned, Task};

/// Kueue's label for a Job that waits in a queue.
const QUEUE: &str = "kueue.x-k8s.io/queue-name";

impl Pods<'_> {
    /// The Job of a step, whose name follows from all else that it holds.
    pub(super) fn job(&self, step: Planned) -> Job {
        let queue = &self.run_file.job.queue;
        let mut job = Job {
            metadata: self.names.metadata(String::new(), step.number),
            spec: Some(self.job_spec(step.task)),
            status: None,
        };
        let queued = (!queue.is_empty()).then(|| BTreeMap::from([(QUEUE.to_owned(), queue.clone())]));
        let labels = self.names.step_labels(step.task.name());
        job.metadata.labels = Some(labels.into_iter().chain(queued.unwrap_or_default()).collect());
        let content =
            serde_json::to_vec(&job).expect("a typed object has text for keys and no floating point");
        job.metadata.name = Some(self.names.with_digest(step.task.name(), &content));
        job
    }

    fn job_spec(&self, task: Task) -> JobSpec {
        let job = &self.run_file.job;
        let indexed = task.is_indexed();
        let pods = if indexed { job.shards } else { 1 };
        let retries = int(job.retries_per_shard);
        JobSpec {
            backoff_limit: (!indexed).then_some(retries),
            backoff_limit_per_index: indexed.then_some(retries),
            completion_mode: Some(if indexed { "Indexed" } else { "NonIndexed" }.to_owned()),
            completions: Some(int(pods)),
            // More than there are shards is refused.
            max_failed_indexes: indexed.then(|| int(job.max_failed_shards.min(pods))),
            parallelism: Some(int(job.parallelism.min(pods))),
            pod_failure_policy: Some(failure_policy(indexed)),
            // Two pods of one shard, one of them still ending, would write the same files.
            pod_replacement_policy: Some("Failed".to_owned()),
            suspend: (!job.queue.is_empty()).then_some(true),
            template: self.template(task),
            ttl_seconds_after_finished: Some(int(job.ttl_seconds)),
            ..JobSpec::default()
        }
    }
}

/// A number as Kubernetes has it: whatever is more than it can hold is as good as endless.
fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
