//! A step while it is waited for: one line, told again when its numbers change, and what is in its way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::attempt::{Attempt, Life, Obstacle};
use super::failure::{describe, excerpt, way_around};
use super::state::{JobState, Standing, clock};

/// Between lines that say the same, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// A minute where one looks every 5 seconds.
const LOOKS_WITHOUT_PODS: u32 = 12;

/// A step's line: updated in place on a terminal, one after the other elsewhere.
pub(super) struct Watch<'a> {
    step: &'a str,
    bar: ProgressBar,
    /// The numbers told last, and when.
    told: Option<(String, Instant)>,
    /// What has been warned of.
    warned: BTreeSet<String>,
    /// Looks in a row at which it had had no pod yet, though nothing holds it back.
    without_pods: u32,
}

impl<'a> Watch<'a> {
    /// Of a step.
    pub(super) fn of(step: &'a str) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { step, bar, told: None, warned: BTreeSet::new(), without_pods: 0 }
    }

    /// Tells how it stands.
    pub(super) fn tell(&mut self, state: &JobState, attempts: &[Attempt]) {
        self.warn_of_obstacles(attempts);
        if !state.is_over() {
            self.warn_of_tries(state, attempts);
            self.warn_of_no_pods(state, attempts);
        }
        let numbers = numbers(state, attempts);
        let line = line(self.step, &numbers, state.elapsed);
        self.bar.set_message(line.clone());
        self.bar.tick();
        let is_due =
            self.told.as_ref().is_none_or(|(told, at)| *told != numbers || at.elapsed() >= LINE_EVERY);
        if is_due && self.bar.is_hidden() {
            tracing::info!("{line}");
        }
        if is_due {
            self.told = Some((numbers, Instant::now()));
        }
    }

    /// The line stays as it is.
    pub(super) fn finish(&self) {
        // Printed above the bar, so that what comes next has a line of its own.
        self.bar.println(self.bar.message());
        self.bar.finish_and_clear();
    }

    /// Tells once what the shards say that did all they could, which was not all.
    pub(super) fn warn_of_partial(&self, attempts: &[Attempt]) {
        for attempt in attempts {
            if let Some(said) = attempt.partial() {
                let said = excerpt(said).join("; ");
                self.bar.suspend(|| tracing::warn!("{}: {said}", self.name_of(attempt)));
            }
        }
    }

    fn warn_of_obstacles(&mut self, attempts: &[Attempt]) {
        for (obstacle, pods) in obstacles(attempts) {
            // Its sentence changes with every look at the nodes.
            if self.warned.insert(obstacle.reason.clone()) {
                let Obstacle { reason, message } = obstacle;
                let said = excerpt(message).join("; ");
                let (step, help) = (self.step, way_around(obstacle));
                self.bar.suspend(|| {
                    tracing::warn!("{step}: {pods} cannot be started, {reason}: {said} (help: {help})");
                });
            }
        }
    }

    fn warn_of_tries(&mut self, state: &JobState, attempts: &[Attempt]) {
        for attempt in attempts {
            let Some(end) = attempt.end() else { continue };
            if attempt.shard.is_some_and(|shard| state.done.contains(shard))
                || !self.warned.insert(attempt.pod.clone())
            {
                continue;
            }
            let gives_up = attempt.shard.is_some_and(|shard| state.failed.contains(shard));
            let what = if gives_up { "failed for good" } else { "failed" };
            let node = attempt.node.as_deref().map_or_else(String::new, |node| format!(" on {node}"));
            let said: String = excerpt(&end.message).iter().map(|line| format!("; {line}")).collect();
            self.bar.suspend(|| {
                tracing::warn!("{}: {what}{node}, {}{said}", self.name_of(attempt), describe(end));
            });
        }
    }

    /// Who may not make pods, or has no quota for them, is told so by the cluster's events, which this account cannot read.
    fn warn_of_no_pods(&mut self, state: &JobState, attempts: &[Attempt]) {
        let is_bare = attempts.is_empty() && state.done.len() == 0 && state.running + state.waiting == 0;
        let is_idle = state.standing == Standing::Active && is_bare;
        self.without_pods = if is_idle { self.without_pods + 1 } else { 0 };
        if self.without_pods == LOOKS_WITHOUT_PODS {
            let step = self.step;
            self.bar.suspend(|| {
                tracing::warn!(
                    "{step}: no pod of it is there (help: a quota or an admission rule may refuse them; `kubectl describe \
                     job` tells its events)"
                );
            });
        }
    }

    fn name_of(&self, attempt: &Attempt) -> String {
        let shard = attempt.shard.map_or_else(String::new, |shard| format!(" shard {shard}"));
        format!("{}{shard}", self.step)
    }
}

/// What keeps pods from being started, with how many they are.
fn obstacles(attempts: &[Attempt]) -> impl Iterator<Item = (&Obstacle, String)> {
    let mut pods: BTreeMap<&Obstacle, usize> = BTreeMap::new();
    for attempt in attempts {
        if let Life::Waiting(Some(obstacle)) = &attempt.life {
            *pods.entry(obstacle).or_default() += 1;
        }
    }
    pods.into_iter().map(|(obstacle, count)| {
        (obstacle, if count == 1 { "a pod".to_owned() } else { format!("{count} pods") })
    })
}

/// A step's line.
pub(super) fn line(step: &str, numbers: &str, elapsed: Option<Duration>) -> String {
    let time = elapsed.map_or_else(String::new, |elapsed| format!(", {}", clock(elapsed)));
    format!("{step:<13}{numbers}{time}")
}

/// How a Job stands, in numbers that change only when it gets on.
pub(super) fn numbers(state: &JobState, attempts: &[Attempt]) -> String {
    let mut text = match (&state.standing, state.shards) {
        (Standing::Leaving, _) => return "being deleted".to_owned(),
        (Standing::Queued, _) => return "queued".to_owned(),
        (_, Some(shards)) => format!("{} of {shards} shards done", state.done.len()),
        (Standing::Complete, None) => "done".to_owned(),
        (Standing::Failed { .. }, None) => "failed".to_owned(),
        (Standing::Active, None) if state.running > 0 => "running".to_owned(),
        (Standing::Active, None) => "starting".to_owned(),
    };
    if state.is_over() {
        let failed = matches!(state.standing, Standing::Failed { .. }) && state.shards.is_some();
        match state.failed.len() {
            0 if failed => text.push_str(", the others stopped"),
            0 => {}
            count => {
                let _ = write!(text, ", {count} failed for good");
            }
        }
        return text;
    }
    if state.shards.is_some() && state.running > 0 {
        let _ = write!(text, ", {} running", state.running);
    }
    if state.waiting > 0 {
        let reasons: BTreeSet<&str> =
            obstacles(attempts).map(|(obstacle, _)| obstacle.reason.as_str()).collect();
        let reasons = reasons.into_iter().collect::<Vec<_>>().join(", ");
        let why = if reasons.is_empty() { String::new() } else { format!(" ({reasons})") };
        let _ = write!(text, ", {} waiting{why}", state.waiting);
    }
    let retrying = retrying(state, attempts);
    if retrying > 0 {
        let _ = write!(text, ", {retrying} failed (retrying)");
    }
    if state.failed.len() > 0 {
        let _ = write!(text, ", {} failed for good", state.failed.len());
    }
    text
}

/// Shards whose last try failed, and which are to be tried again.
fn retrying(state: &JobState, attempts: &[Attempt]) -> usize {
    let mut last: BTreeMap<Option<u32>, &Attempt> = BTreeMap::new();
    for attempt in attempts {
        let newest = last.entry(attempt.shard).or_insert(attempt);
        if Attempt::newest_first(attempt, newest).is_lt() {
            *newest = attempt;
        }
    }
    let is_open = |shard: u32| !state.done.contains(shard) && !state.failed.contains(shard);
    last.values().filter(|attempt| attempt.end().is_some() && attempt.shard.is_none_or(is_open)).count()
}
