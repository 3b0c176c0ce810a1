//! What a Job does about pods that fail: the table of exit codes, as rules.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};

use super::pod::CONTAINER;
use crate::exit::{Exit, JobAction};

/// SIGKILL, of which no program says anything: out of memory, or slower to end than the grace period. 128 + 9.
const KILLED: i32 = 137;

/// The rules of a Job, `indexed` or not.
pub(super) fn failure_policy(indexed: bool) -> PodFailurePolicy {
    let by_code = [JobAction::FailJob, JobAction::FailIndex, JobAction::Count]
        .into_iter()
        .map(|action| (action, codes(action, indexed)))
        .filter(|(_, codes)| !codes.is_empty())
        .map(|(action, codes)| on_exit_codes(action, codes));
    // The first rule that fits decides, and a drained node ends a pod with a code, too.
    PodFailurePolicy { rules: std::iter::once(on_disruption()).chain(by_code).collect() }
}

/// The exit codes with an action, ascending.
fn codes(action: JobAction, indexed: bool) -> Vec<i32> {
    let ours = Exit::ALL.into_iter().filter(|exit| exit.in_job(indexed) == Some(action));
    let killed = Some(KILLED).filter(|_| action == JobAction::Count);
    let mut codes: Vec<i32> = ours.map(|exit| i32::from(exit.code())).chain(killed).collect();
    codes.sort_unstable();
    codes
}

fn on_exit_codes(action: JobAction, values: Vec<i32>) -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: action.name().to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(CONTAINER.to_owned()),
            operator: "In".to_owned(),
            values,
        }),
        on_pod_conditions: None,
    }
}

/// The cluster ended the pod: a drained node, a preemption, an eviction.
fn on_disruption() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: JobAction::Ignore.name().to_owned(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            status: "True".to_owned(),
            type_: "DisruptionTarget".to_owned(),
        }]),
    }
}
