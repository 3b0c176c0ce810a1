//! Pods that cannot be started: said while they are waited for.

use super::controller::Outcome;
use super::{Site, assert_says};

#[test]
fn a_missing_secret_is_told_while_it_is_waited_for() {
    let mut site = Site::new();
    site.set("load.enabled", "true").set("job.database.cidr", "[\"192.0.2.10/32\"]");
    let missing = "secret \"specmill-database\" not found";
    site.world().script.say("load", 0, [Outcome::Stuck("CreateContainerConfigError", missing, 3)]);
    let outcome = site.ends(&["submit"], 0);
    assert_says(
        &outcome.stderr,
        &[
            "load: a pod cannot be started, CreateContainerConfigError: secret \"specmill-database\" not found",
            "help: make what it names in this namespace",
            "load         starting, 1 waiting (CreateContainerConfigError)",
        ],
    );
    let told = outcome.stderr.matches("cannot be started").count();
    assert_eq!(told, 1, "{}", outcome.stderr);
}

#[test]
fn an_image_that_cannot_be_pulled_and_a_full_cluster_are_told() {
    let site = Site::new();
    let message = "Back-off pulling image \"specmill:0.1.0\"";
    site.world().script.say("inventory", 0, [Outcome::Stuck("ImagePullBackOff", message, 2)]);
    for shard in 0..2 {
        let full = "0/5 nodes are available: 5 Insufficient memory.";
        site.world().script.say("extract", shard, [Outcome::Unschedulable(full, 2)]);
    }
    let outcome = site.ends(&["submit"], 0);
    assert_says(
        &outcome.stderr,
        &[
            "inventory: a pod cannot be started, ImagePullBackOff: Back-off pulling image",
            "check [job] image",
            "extract: 2 pods cannot be started, Unschedulable: 0/5 nodes are available",
            "compare [job] cpu, memory_gib",
        ],
    );
}

#[test]
fn a_pod_that_is_only_on_its_way_is_no_trouble() {
    let site = Site::new();
    site.world().script.say("inventory", 0, [Outcome::Stuck("ContainerCreating", "", 2)]);
    let outcome = site.ends(&["submit"], 0);
    assert!(!outcome.stderr.contains("cannot be started"), "{}", outcome.stderr);
    assert_says(&outcome.stderr, &["inventory    starting, 1 waiting"]);
}

#[test]
fn pods_that_nobody_may_make_are_told() {
    let site = Site::new();
    site.world().script.no_quota = true;
    let process = site.start(&["submit"]);
    site.until("it has been looked at often", |world| world.requests > 60);
    site.world().script.no_quota = false;
    let outcome = process.end();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("no pod of it is there").count(), 1, "{}", outcome.stderr);
}
