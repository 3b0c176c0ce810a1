//! `job status`, `job logs` and `job cancel`.

use super::controller::Outcome;
use super::{Site, assert_says};

/// A run whose `extract` is at work, and no submit any more.
fn at_work() -> Site {
    let site = Site::new();
    site.world().script.held.insert("extract".to_owned());
    let submit = site.start(&["submit"]);
    site.until("pods are at work", |world| world.pods.keys().any(|pod| pod.contains("extract")));
    submit.kill();
    site
}

#[test]
fn status_tells_every_step_from_absent_to_done() {
    let mut site = at_work();
    let outcome = site.ends(&["status"], 3);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("inventory    done, 00:00:0"), "{lines:?}");
    assert!(lines[1].starts_with("extract      0 of 4 shards done, 3 running, 00:00:0"), "{lines:?}");
    assert_eq!(lines[2], "account      absent");

    site.world().script.held.clear();
    site.ends(&["submit"], 0);
    let outcome = site.ends(&["status"], 0);
    assert_says(&outcome.stdout, &["extract      4 of 4 shards done", "account      done"]);

    site.set("job.cpu", "4");
    let outcome = site.ends(&["status"], 3);
    assert_says(&outcome.stdout, &["extract      absent\n", "(of other settings: demo-extract-"]);
}

#[test]
fn status_tells_why_a_step_failed_and_what_was_not_whole() {
    let mut site = Site::new();
    site.set("job.retries_per_shard", "0");
    site.world().script.say("extract", 1, [Outcome::Exit(1, "exit 1: disk full")]);
    site.world().script.say("extract", 2, [Outcome::Exit(0, "exit 3: extract: 1 failed")]);
    site.ends(&["submit"], 3);
    let outcome = site.ends(&["status"], 3);
    assert_says(&outcome.stdout, &["3 of 4 shards done, 1 failed for good", "shard 1, exit 1", "disk full"]);
    // The failed shard is tried again; the other one's units fail again.
    site.world().script.say("extract", 2, [Outcome::Exit(0, "exit 3: extract: 1 failed")]);
    site.ends(&["submit"], 3);
    let outcome = site.ends(&["status"], 3);
    assert_says(&outcome.stdout, &["4 of 4 shards done", "extract shard 2: extract: 1 failed"]);
}

#[test]
fn logs_come_by_step_and_shard_and_the_newest_try_first() {
    let site = Site::new();
    site.world().script.say("extract", 2, [Outcome::Exit(1, "exit 1: disk full")]);
    site.ends(&["submit"], 0);
    let all = site.ends(&["logs"], 0).stdout;
    let headers: Vec<&str> = all.lines().filter(|line| line.starts_with("==> ")).collect();
    assert_eq!(headers.len(), 7, "{all}");
    assert!(headers[0].starts_with("==> inventory, pod demo-inventory-"), "{headers:?}");
    assert!(headers[6].starts_with("==> account, pod "), "{headers:?}");

    let shard = site.ends(&["logs", "--stage", "extract", "--shard", "2"], 0).stdout;
    let lines: Vec<&str> = shard.lines().collect();
    assert_eq!(lines.len(), 4, "{shard}");
    assert!(lines[0].starts_with("==> extract shard 2, pod demo-extract-"), "{shard}");
    assert!(lines[0].ends_with("-2-try1 on node-0, exit 0 <=="), "{shard}");
    assert!(lines[1].contains("all of demo-extract-") && lines[1].contains("-2-try1"), "{shard}");
    assert!(lines[2].ends_with("-2-try0 on node-0, exit 1: an error nobody planned for <=="), "{shard}");

    site.ends(&["logs", "--shard", "4"], 2);
}

#[test]
fn pods_that_are_gone_or_not_started_are_said() {
    let site = Site::new();
    site.world().script.say("inventory", 0, [Outcome::Stuck("ErrImagePull", "no such image", 1000)]);
    let submit = site.start(&["submit"]);
    site.until("its pod waits", |world| {
        world.pods.values().any(|pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Pending"))
    });
    submit.kill();
    let outcome = site.ends(&["logs"], 0);
    assert_says(
        &outcome.stdout,
        &["==> inventory, pod demo-inventory-", "ErrImagePull <==", "(it has not been started: "],
    );
    site.world().pods.clear();
    let outcome = site.ends(&["logs"], 0);
    assert_says(
        &outcome.stdout,
        &["no pod of the run is in namespace mill", "the pods of Job demo-inventory-"],
    );
    let outcome = site.ends(&["logs", "--stage", "extract", "--shard", "1"], 0);
    assert_eq!(outcome.stdout, "no pod of extract shard 1 is in namespace mill\n");
}

#[test]
fn cancel_deletes_the_jobs_last_first_and_waits_for_their_pods() {
    let site = at_work();
    let outcome = site.ends(&["cancel"], 0);
    assert_says(
        &outcome.stdout,
        &["deleted demo-inventory-", "deleted demo-extract-", "/lake/runs/demo", "goes on from there"],
    );
    assert_says(&outcome.stderr, &["waiting for pods that end what they have in hand: demo-extract-"]);
    let world = site.world();
    assert!(world.jobs.is_empty() && world.pods.is_empty());
    let deleted: Vec<String> =
        world.history().into_iter().filter(|deed| deed.starts_with("delete")).collect();
    let expected = [
        "delete jobs demo-extract",
        "delete jobs demo-inventory",
        "delete configmaps demo-run-file",
        "delete networkpolicies demo",
    ];
    assert_eq!(deleted, expected);
    let left: Vec<&String> = world.others.keys().map(|(resource, _)| resource).collect();
    assert_eq!(left, ["serviceaccounts"]);
    drop(world);
    assert_eq!(site.ends(&["cancel"], 0).stdout.lines().next(), Some("no Jobs of demo in namespace mill"));
}

#[test]
fn what_others_have_labelled_alike_is_not_cancelled_nor_waited_for() {
    let site = at_work();
    let mut world = site.world();
    let name = world.jobs.keys().find(|name| name.contains("extract")).unwrap().clone();
    // A Helm release of the same name, by the labels that charts use; its Job is at work.
    let mut job = world.jobs[&name].clone();
    job.metadata.name = Some("demo-backup".to_owned());
    let labels = job.metadata.labels.as_mut().unwrap();
    labels.insert("app.kubernetes.io/name".to_owned(), "demo".to_owned());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned());
    labels.remove("app.kubernetes.io/part-of");
    assert_eq!(labels["app.kubernetes.io/instance"], "demo");
    world.jobs.insert("demo-backup".to_owned(), job);
    let pod = world.pods.keys().find(|pod| pod.contains("extract")).unwrap().clone();
    let mut pod = world.pods[&pod].clone();
    let labels = pod.metadata.labels.as_mut().unwrap();
    labels.insert("batch.kubernetes.io/job-name".to_owned(), "demo-backup".to_owned());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned());
    labels.remove("app.kubernetes.io/part-of");
    pod.metadata.name = Some("demo-backup-0".to_owned());
    world.pods.insert("demo-backup-0".to_owned(), pod);
    drop(world);
    let outcome = site.ends(&["cancel"], 0);
    assert!(!outcome.stderr.contains("demo-backup"), "{}", outcome.stderr);
    let world = site.world();
    assert_eq!(world.jobs.keys().collect::<Vec<_>>(), ["demo-backup"]);
    assert_eq!(world.pods.keys().collect::<Vec<_>>(), ["demo-backup-0"]);
}
