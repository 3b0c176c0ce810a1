//! Runs that go through, and runs that fail.

use super::controller::Outcome;
use super::{Site, assert_says};

#[test]
fn a_run_goes_step_after_step_and_says_what_comes_next() {
    let mut site = Site::new();
    site.set("models.galaxy.name", "\"galaxy\"")
        .set("load.enabled", "true")
        .set("job.database.cidr", "[\"192.0.2.10/32\"]");
    let outcome = site.ends(&["submit"], 0);
    let steps = ["inventory", "extract", "fit-basis", "embed", "neighbors", "load", "account"];
    assert_eq!(site.made(), steps);
    let history = site.world().history();
    assert!(history[0].starts_with("apply serviceaccounts demo"), "{history:?}");
    assert!(history[1].starts_with("apply configmaps demo-run-file"), "{history:?}");
    assert!(history[2].starts_with("apply networkpolicies demo"), "{history:?}");
    // A line a step, at its end and while it is waited for.
    for step in steps {
        assert_eq!(
            outcome.stdout.lines().filter(|line| line.starts_with(step)).count(),
            1,
            "{}",
            outcome.stdout
        );
    }
    let at_first = "the step at work goes on without it, the later ones need the same command again";
    assert_says(&outcome.stderr, &[at_first]);
    assert_says(&outcome.stdout, &["extract      4 of 4 shards done, 00:00:0"]);
    assert_says(&outcome.stdout, &["/lake/runs/demo/ledger.parquet", "ops.ledger", "specmill job status"]);
    assert_says(
        &outcome.stderr,
        &["extract      0 of 4 shards done, 3 running", "embed        3 of 4 shards done, 1 running"],
    );
}

#[test]
fn a_shard_that_fails_again_and_again_is_told_with_its_reason() {
    let site = Site::new();
    let full = "exit 1: cannot write features\n  because: No space left on device (os error 28)";
    site.world().script.say("extract", 2, [Outcome::Exit(1, "exit 1: first try"), Outcome::Exit(1, full)]);
    let outcome = site.ends(&["submit"], 3);
    assert_eq!(site.made(), ["inventory", "extract"], "nothing comes after a step that failed");
    assert_says(
        &outcome.stdout,
        &[
            "extract      3 of 4 shards done, 1 failed for good",
            "extract failed: shards failed for good; the others are done (FailedIndexes)",
            "shard 2, 2 tries, the last: exit 1: an error nobody planned for",
            "cannot write features",
            "because: No space left on device (os error 28)",
            " on node-0",
            "help: `specmill job logs ",
            "--stage extract --shard 2`",
        ],
    );
    assert_says(&outcome.stderr, &["1 failed (retrying)", "extract shard 2: failed on node-0, exit 1"]);
}

#[test]
fn a_bad_plan_ends_a_step_at_the_first_try() {
    let site = Site::new();
    site.world().script.say("extract", 1, [Outcome::Exit(2, "exit 2: extract.z_min: too large")]);
    let outcome = site.ends(&["submit"], 3);
    assert_says(
        &outcome.stdout,
        &[
            "extract      2 of 4 shards done, the others stopped",
            "(PodFailurePolicy)",
            "shard 1, exit 2: bad arguments or a bad run file",
            "extract.z_min: too large",
            "help: correct the run file; ",
        ],
    );
    assert!(
        !outcome.stdout.contains("exit 143"),
        "what was stopped with it is not the reason:\n{}",
        outcome.stdout
    );
}

#[test]
fn memory_that_was_not_enough_is_called_so() {
    let mut site = Site::new();
    site.set("job.max_failed_shards", "0").set("job.retries_per_shard", "0");
    site.world().script.say("extract", 3, [Outcome::Killed(137, "OOMKilled")]);
    let outcome = site.ends(&["submit"], 3);
    assert_says(
        &outcome.stdout,
        &[
            "(MaxFailedIndexesExceeded)",
            "shard 3, exit 137, OOMKilled: more memory was needed than its limit",
            "help: raise [job] memory_gib",
        ],
    );
}

#[test]
fn a_single_step_that_fails_names_no_shard() {
    let site = Site::new();
    site.world().script.say("inventory", 0, [Outcome::Exit(6, "exit 6: 3 units of 4")]);
    let outcome = site.ends(&["submit"], 3);
    assert_eq!(site.made(), ["inventory"]);
    assert_says(
        &outcome.stdout,
        &["inventory    failed", "  exit 6: the counts do not add up", "3 units of 4"],
    );
    assert!(!outcome.stdout.contains("--shard"), "{}", outcome.stdout);
}

#[test]
fn pods_that_the_cluster_takes_away_cost_no_try() {
    let mut site = Site::new();
    site.set("job.retries_per_shard", "0");
    let drained = || Outcome::Disrupted("EvictionByEvictionAPI");
    site.world().script.say("extract", 0, [drained(), drained(), drained()]);
    let outcome = site.ends(&["submit"], 0);
    assert_says(
        &outcome.stderr,
        &["extract shard 0: failed on node-0, exit 143, EvictionByEvictionAPI: told to end"],
    );
}

#[test]
fn a_shard_with_failed_units_is_a_warning_and_the_run_goes_on() {
    let site = Site::new();
    let said = "exit 3: extract: 2 failed, 1 missing_upstream";
    site.world().script.say("extract", 1, [Outcome::Exit(0, said)]);
    let outcome = site.ends(&["submit"], 3);
    assert_eq!(site.made(), ["inventory", "extract", "account"]);
    assert_says(&outcome.stderr, &["WARN extract shard 1: extract: 2 failed, 1 missing_upstream"]);
    assert_says(&outcome.stdout, &["4 of 4 shards done", "the ledger says what failed", "ledger.parquet"]);
    // Who comes later learns the same.
    assert_eq!(site.ends(&["submit"], 3).stdout, outcome.stdout);
}

#[test]
fn what_failed_is_made_again_by_a_second_submit_and_nothing_else_is() {
    let mut site = Site::new();
    site.set("job.retries_per_shard", "0");
    site.world().script.say("extract", 0, [Outcome::Exit(1, "exit 1: disk full")]);
    site.ends(&["submit"], 3);
    let outcome = site.ends(&["submit"], 0);
    assert_eq!(site.made(), ["inventory", "extract", "extract", "account"]);
    assert_eq!(site.world().history().iter().filter(|deed| deed.starts_with("delete")).count(), 1);
    assert_says(
        &outcome.stderr,
        &["inventory    done before", "extract: it failed before and is made again"],
    );
}

#[test]
fn a_failure_after_a_failure_ends_the_second_submit_too() {
    let mut site = Site::new();
    site.set("job.retries_per_shard", "0");
    let fails = || Outcome::Exit(1, "exit 1: disk full");
    site.world().script.say("extract", 0, [fails(), fails()]);
    site.ends(&["submit"], 3);
    site.ends(&["submit"], 3);
    assert_eq!(site.made(), ["inventory", "extract", "extract"]);
}

#[test]
fn what_is_done_is_not_done_again_even_when_its_jobs_are_cleared_away() {
    let site = Site::new();
    site.ends(&["submit"], 0);
    site.ends(&["submit"], 0);
    let first = site.world().jobs.keys().find(|name| name.contains("inventory")).unwrap().clone();
    site.world().remove(&first);
    let outcome = site.ends(&["submit"], 0);
    assert_says(&outcome.stdout, &["inventory    done before; its Job has been cleared away"]);
    assert_eq!(site.made(), ["inventory", "extract", "account"]);
}

#[test]
fn a_queue_is_waited_for() {
    let mut site = Site::new();
    site.set("job.queue", "\"night\"");
    site.world().script.queue_looks = Some(3);
    let outcome = site.ends(&["submit"], 0);
    assert_says(&outcome.stderr, &["inventory    queued"]);
}

#[test]
fn two_settings_never_write_one_run_folder_at_once() {
    let mut site = Site::new();
    site.world().script.held.insert("extract".to_owned());
    let first = site.start(&["submit"]);
    site.until("extract is made", |world| world.history().contains(&"create jobs demo-extract".to_owned()));
    first.kill();
    let before = site.world().history();
    site.set("job.shards", "5");
    let outcome = site.ends(&["submit"], 1);
    assert_says(
        &outcome.stderr,
        &["error: other Jobs of this run are still at work", "demo-extract-", "specmill job cancel"],
    );
    assert_eq!(site.world().history(), before, "nothing was touched");
    site.world().script.held.clear();
    site.ends(&["cancel"], 0);
    site.ends(&["submit"], 0);
    assert_eq!(site.made(), ["inventory", "extract", "inventory", "extract", "account"]);
}

#[test]
fn what_other_settings_have_written_over_is_made_again() {
    let mut site = Site::new();
    let steps = ["inventory", "extract", "account"];
    site.ends(&["submit"], 0);
    site.set("job.cpu", "3");
    site.ends(&["submit"], 0);
    site.ends(&["submit"], 0);
    assert_eq!(site.made(), [steps, steps].concat(), "older Jobs of other settings stand in nobody's way");
    site.ends(&["status"], 0);

    site.lines.pop();
    let outcome = site.ends(&["status"], 3);
    assert_says(&outcome.stdout, &["extract      to be made again: other settings were submitted since"]);
    let outcome = site.ends(&["submit"], 0);
    assert_eq!(site.made(), [steps, steps, steps].concat());
    assert_says(&outcome.stderr, &["inventory: other settings were submitted since, it is made again"]);
    assert!(!outcome.stderr.contains("done before"), "{}", outcome.stderr);
    site.ends(&["status"], 0);
    site.ends(&["submit"], 0);
    assert_eq!(site.made().len(), 9, "these settings are the newest now");
}

#[test]
fn other_settings_that_failed_have_written_too() {
    let mut site = Site::new();
    site.ends(&["submit"], 0);
    let of_first = site.world().jobs.keys().cloned().collect::<Vec<_>>();
    site.set("job.cpu", "3").set("job.retries_per_shard", "0");
    site.world().script.say("extract", 0, [Outcome::Exit(1, "exit 1: disk full")]);
    site.ends(&["submit"], 3);
    // Of the first settings only the last Job is left.
    for name in of_first.iter().filter(|name| !name.contains("account")) {
        site.world().remove(name);
    }
    site.lines.retain(|line| !line.starts_with("job.cpu") && !line.starts_with("job.retries"));
    site.lines.insert(site.lines.len() - 1, "job.retries_per_shard = 1".to_owned());
    let outcome = site.ends(&["status"], 3);
    assert_says(&outcome.stdout, &["inventory    absent", "account      to be made again"]);
    site.ends(&["submit"], 0);
    let steps = ["inventory", "extract", "account"];
    assert_eq!(site.made(), [&steps[..], &steps[..2], &steps[..]].concat());
}

#[test]
fn units_left_undone_are_done_by_a_second_submit() {
    let mut site = Site::new();
    site.set("job.retries_per_shard", "0");
    let undone = Outcome::Exit(3, "exit 3: 2 units of extract were left undone");
    site.world().script.say("account", 0, [undone]);
    let outcome = site.ends(&["submit"], 3);
    assert_says(&outcome.stdout, &["account      failed", "2 units of extract were left undone"]);
    let outcome = site.ends(&["submit"], 0);
    assert_eq!(site.made(), ["inventory", "extract", "account", "extract", "account"]);
    assert_says(&outcome.stderr, &["extract: the account of the run failed before, it is made again"]);
}

#[test]
fn two_submits_of_one_run_share_its_jobs() {
    let site = Site::new();
    let (one, other) = (site.start(&["submit"]), site.start(&["submit"]));
    assert_eq!((one.end().code, other.end().code), (0, 0));
    assert_eq!(site.made(), ["inventory", "extract", "account"]);
}

#[test]
fn lists_that_come_in_pieces_are_read_whole() {
    let site = Site::new();
    site.world().page = Some(1);
    site.world().script.say("extract", 3, [Outcome::Exit(0, "exit 3: extract: 1 failed")]);
    let outcome = site.ends(&["submit"], 3);
    assert_says(&outcome.stderr, &["WARN extract shard 3"]);
    assert_eq!(site.made(), ["inventory", "extract", "account"]);
}
