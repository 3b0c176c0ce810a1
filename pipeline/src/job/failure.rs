//! Why a step failed, from what its pods left behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::attempt::{Attempt, End, Obstacle};
use super::state::{JobState, Standing};
use super::submission::Submission;
use crate::exit::Exit;
use crate::stage::Stage;

/// Shards whose reasons are told; a cause that all have in common needs no more.
const SHARDS: usize = 4;
/// Lines of a message that are told, and characters of a line.
const LINES: usize = 4;
const CHARACTERS: usize = 300;
/// 128 + SIGKILL.
const KILLED: i32 = 137;

/// Why a step failed: the Job's reason, the shards', and what to do.
pub(super) fn report(submission: &Submission, step: &str, state: &JobState, attempts: &[Attempt]) -> String {
    let mut text = String::new();
    if let Standing::Failed { reason, message } = &state.standing {
        let _ = writeln!(text, "{step} failed: {}", job_reason(reason, message));
    }
    let shards = failing(state, attempts);
    for tries in shards.values().take(SHARDS) {
        let Some(last) = tries.first() else { continue };
        let Some(end) = last.end() else { continue };
        let who = last.shard.map_or_else(String::new, |shard| format!("shard {shard}, "));
        let tried =
            if tries.len() > 1 { format!("{} tries, the last: ", tries.len()) } else { String::new() };
        let _ = writeln!(text, "  {who}{tried}{}", describe(end));
        for line in excerpt(&end.message) {
            let _ = writeln!(text, "    {line}");
        }
        let node = last.node.as_deref().map_or_else(String::new, |node| format!(" on {node}"));
        let _ = writeln!(text, "    pod {}{node}", last.pod);
    }
    if shards.len() > SHARDS {
        let _ = writeln!(text, "  and {} more shards", shards.len() - SHARDS);
    }
    let untold = state.failed.iter().filter(|shard| !shards.contains_key(&Some(*shard))).count();
    if untold > 0 || shards.is_empty() {
        let whose = if untold > 0 { format!("{untold} failed shards") } else { "this step".to_owned() };
        let _ = writeln!(text, "  the pods of {whose} are gone, and their reasons with them");
    }
    let first = shards.values().find_map(|tries| tries.first());
    let _ = writeln!(text, "help: {}", advice(submission, step, first.copied()));
    text
}

/// The shards to tell of, each with its failed tries, the newest first.
fn failing<'a>(state: &JobState, attempts: &'a [Attempt]) -> BTreeMap<Option<u32>, Vec<&'a Attempt>> {
    let mut shards: BTreeMap<Option<u32>, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.end().is_some()) {
        if !attempt.shard.is_some_and(|shard| state.done.contains(shard)) {
            shards.entry(attempt.shard).or_default().push(attempt);
        }
    }
    for tries in shards.values_mut() {
        tries.sort_by(|one, other| Attempt::newest_first(one, other));
    }
    // A Job that fails ends its other pods: they are not the reason.
    let was_ended = |tries: &Vec<&Attempt>| {
        let end = tries.first().and_then(|last| last.end());
        end.is_some_and(|end| end.code == Some(i32::from(Exit::Interrupted.code())))
    };
    if !shards.values().all(was_ended) {
        shards.retain(|_, tries| !was_ended(tries));
    }
    shards
}

/// How a pod ended, in one line.
pub(super) fn describe(end: &End) -> String {
    let Some(code) = end.code else {
        return end
            .reason
            .clone()
            .unwrap_or_else(|| "ended by the cluster, which does not say why".to_owned());
    };
    let reason = end.reason.as_deref().map_or_else(String::new, |reason| format!(", {reason}"));
    format!("exit {code}{reason}: {}", meaning(end, code))
}

fn meaning(end: &End, code: i32) -> &'static str {
    if end.reason.as_deref() == Some("OOMKilled") {
        return "more memory was needed than its limit";
    }
    if code == KILLED {
        return "killed (SIGKILL)";
    }
    let ours = Exit::ALL.into_iter().find(|exit| i32::from(exit.code()) == code);
    ours.map_or("no exit code of this program", Exit::meaning)
}

/// The lines of a message that say most: the last ones.
pub(super) fn excerpt(message: &str) -> Vec<String> {
    // The code stands in the line above.
    let told = message.split_once(": ").filter(|(head, _)| head.starts_with("exit ") && head.len() < 9);
    let text = told.map_or(message, |(_, rest)| rest);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LINES);
    lines[from..].iter().map(|line| shorten(line)).collect()
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(CHARACTERS) {
        Some((cut, _)) => format!("{} …", &line[..cut]),
        None => line.to_owned(),
    }
}

/// The Job controller's reasons, in this program's words.
fn job_reason(reason: &str, message: &str) -> String {
    match reason {
        "BackoffLimitExceeded" => {
            "it was tried as often as [job] retries_per_shard allows (BackoffLimitExceeded)".to_owned()
        }
        "FailedIndexes" => "shards failed for good; the others are done (FailedIndexes)".to_owned(),
        "MaxFailedIndexesExceeded" => {
            "more shards failed for good than [job] max_failed_shards allows, and the others \
             were stopped (MaxFailedIndexesExceeded)"
                .to_owned()
        }
        "PodFailurePolicy" => "an exit code that trying again does not change (PodFailurePolicy)".to_owned(),
        _ => format!("{} ({reason})", shorten(message)),
    }
}

/// What to do about the first of the reasons.
fn advice(submission: &Submission, step: &str, attempt: Option<&Attempt>) -> String {
    let run_file = submission.path.display();
    let remedy = attempt.and_then(Attempt::end).map_or("", remedy);
    let log = logs_command(submission, step, attempt.and_then(|attempt| attempt.shard));
    format!(
        "{remedy}`{log}` prints all it said; then `specmill job submit {run_file}` goes on with what is left"
    )
}

fn remedy(end: &End) -> &'static str {
    if end.reason.as_deref() == Some("OOMKilled") {
        return "raise [job] memory_gib, or lower [resources] batch_rows; ";
    }
    let ours = Exit::ALL.into_iter().find(|exit| Some(i32::from(exit.code())) == end.code);
    match ours {
        Some(Exit::BadPlan) => "correct the run file; ",
        Some(Exit::DeviceUnavailable) => "check the node's card, or set [job] profile = \"cpu\"; ",
        Some(Exit::DatabaseUnavailable) => {
            "check the Secret and the addresses that [job.database] names, and the server; "
        }
        Some(Exit::Inconsistent) => "trust no result of this run until its log has told why; ",
        Some(Exit::Complete | Exit::Unexpected | Exit::Partial | Exit::Interrupted) | None => "",
    }
}

/// The command that prints what a step, or one of its shards, has said.
pub(super) fn logs_command(submission: &Submission, step: &str, shard: Option<u32>) -> String {
    // Steps that follow a stage have its word first; the last one follows all.
    let stage = Stage::ALL.into_iter().find(|stage| step == stage.name() || step == keys_of(*stage));
    let stage = stage.map_or_else(String::new, |stage| format!(" --stage {stage}"));
    let shard = shard.map_or_else(String::new, |shard| format!(" --shard {shard}"));
    format!("specmill job logs {}{stage}{shard}", submission.path.display())
}

/// The step that checks what a stage's shards left to one.
pub(super) fn keys_of(stage: Stage) -> String {
    format!("{stage}-keys")
}

/// What to do about a pod that cannot be started.
pub(super) fn way_around(obstacle: &Obstacle) -> &'static str {
    match obstacle.reason.as_str() {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            "check [job] image, and that the nodes may pull it"
        }
        "CreateContainerConfigError" => {
            "make what it names in this namespace: the Secret of [job.database] is never made by this program"
        }
        "Unschedulable" => {
            "no node has room for it, or a claim is not bound: compare [job] cpu, memory_gib, gpu and storage with what \
             the nodes have"
        }
        _ => "`kubectl describe pod` says more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_without_its_code_and_only_its_end() {
        assert_eq!(
            excerpt("exit 1: cannot write\n\n  because: no space"),
            ["cannot write", "because: no space"]
        );
        let log: String = (0..50).map(|line| format!("line {line}\n")).collect();
        assert_eq!(excerpt(&log), ["line 46", "line 47", "line 48", "line 49"]);
        let long = excerpt(&"å".repeat(CHARACTERS + 1)).remove(0);
        assert_eq!(long.chars().count(), CHARACTERS + 2);
        assert_eq!(excerpt(""), Vec::<String>::new());
    }

    #[test]
    fn an_end_has_its_code_its_reason_and_what_they_mean() {
        let end = |code, reason: Option<&str>| End {
            code,
            reason: reason.map(str::to_owned),
            message: String::new(),
        };
        assert_eq!(describe(&end(Some(1), None)), "exit 1: an error nobody planned for");
        let killed = describe(&end(Some(137), Some("OOMKilled")));
        assert_eq!(killed, "exit 137, OOMKilled: more memory was needed than its limit");
        assert_eq!(describe(&end(Some(137), None)), "exit 137: killed (SIGKILL)");
        assert_eq!(describe(&end(None, Some("Evicted"))), "Evicted");
    }
}
