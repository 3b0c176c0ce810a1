//! Submits that are killed, and clusters that are away for a while.

use super::server::Fault;
use super::{Site, assert_says};

fn hold_extract(site: &Site) {
    site.world().script.held.insert("extract".to_owned());
}

fn until_extract_is_made(site: &Site) {
    site.until("extract is made", |world| world.history().contains(&"create jobs demo-extract".to_owned()));
}

/// A look at a Job of `extract` after this.
fn until_looked_at_again(site: &Site) {
    let before = site.world().requests;
    site.until("somebody looks", |world| world.requests > before + 2);
}

#[test]
fn a_submit_that_is_killed_is_taken_up_by_the_next() {
    let site = Site::new();
    hold_extract(&site);
    let first = site.start(&["submit"]);
    until_extract_is_made(&site);
    until_looked_at_again(&site);
    first.kill();
    site.world().script.held.clear();
    let outcome = site.ends(&["submit"], 0);
    assert_eq!(site.made(), ["inventory", "extract", "account"], "nothing is made twice");
    assert!(!site.world().history().iter().any(|deed| deed.starts_with("delete")));
    assert_says(&outcome.stderr, &["inventory    done before"]);
}

#[test]
fn a_submit_killed_again_and_again_gets_there() {
    let mut site = Site::new();
    site.set("job.shards", "9").set("job.parallelism", "1");
    let mut kills = 0;
    let last = loop {
        let before = site.world().requests;
        let mut process = site.start(&["submit"]);
        // Another place each time; late enough that it gets on.
        let requests = 9 + kills * 5 % 13;
        let ended = loop {
            if process.has_ended() {
                break true;
            }
            if site.world().requests >= before + requests {
                break false;
            }
            std::thread::yield_now();
        };
        if ended {
            break process.end();
        }
        process.kill();
        kills += 1;
        assert!(kills < 200, "it gets nowhere");
    };
    assert_eq!(last.code, 0, "{}{}", last.stdout, last.stderr);
    assert!(kills >= 3, "killed only {kills} times");
    assert_eq!(site.made(), ["inventory", "extract", "account"]);
}

#[test]
fn a_cluster_that_is_away_is_waited_for() {
    let mut site = Site::new();
    hold_extract(&site);
    let process = site.start(&["submit"]);
    until_extract_is_made(&site);
    until_looked_at_again(&site);
    site.server.down();
    // Longer than a cluster that never answered would be waited for.
    std::thread::sleep(std::time::Duration::from_millis(400));
    site.server.up();
    until_looked_at_again(&site);
    site.world().script.held.clear();
    let outcome = process.end();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("no answer from the cluster").count(), 1, "{}", outcome.stderr);
    assert_says(&outcome.stderr, &["the cluster answers again"]);
    assert_eq!(site.made(), ["inventory", "extract", "account"]);
}

#[test]
fn answers_that_are_lost_cut_or_late_are_asked_for_again() {
    let site = Site::new();
    hold_extract(&site);
    let process = site.start(&["submit"]);
    until_extract_is_made(&site);
    until_looked_at_again(&site);
    let faults = [Fault::Lost, Fault::HalfAnswered, Fault::Code(500), Fault::Code(429), Fault::Code(503)];
    site.server.fail_next(faults.map(|fault| ("GET", fault)));
    until_looked_at_again(&site);
    site.until("all faults have happened", |_| site.server.has_failed_all());
    site.world().script.held.clear();
    let outcome = process.end();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_says(&outcome.stderr, &["no answer from the cluster"]);
}

#[test]
fn a_job_is_made_once_though_the_answer_is_cut() {
    let site = Site::new();
    let twice = [Fault::HalfAnswered, Fault::Lost];
    site.server.fail_next(twice.map(|fault| ("POST", fault)));
    site.ends(&["submit"], 0);
    assert!(site.server.has_failed_all());
    assert_eq!(site.made(), ["inventory", "extract", "account"]);
}

#[test]
fn a_job_that_somebody_deletes_is_not_waited_for_for_ever() {
    let site = Site::new();
    hold_extract(&site);
    let process = site.start(&["submit"]);
    until_extract_is_made(&site);
    let name = site.world().jobs.keys().find(|name| name.contains("extract")).unwrap().clone();
    site.world().remove(&name);
    let outcome = process.end();
    assert_eq!(outcome.code, 1);
    assert_says(&outcome.stderr, &["was deleted while it was waited for", "help: `specmill job submit"]);
}
