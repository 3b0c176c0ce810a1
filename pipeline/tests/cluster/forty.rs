//! Forty units through every step of a cluster: shards killed, a file damaged, the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use specmill::ledger::{Ledger, State};
use specmill::stage::Stage;

use super::listens;
use super::pods::{Cluster, Ended, Pod};
use crate::run_folder::{Release, RunFolder, files_below, send_signal};

/// SHA-256 of every Parquet file of a run folder, by path.
fn parquet_digests(folder: &std::path::Path) -> BTreeMap<String, String> {
    let digest = |path: std::path::PathBuf| {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        (name, format!("{:x?}", Sha256::digest(fs_err::read(path).unwrap())))
    };
    let is_parquet = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "parquet");
    files_below(folder).into_iter().filter(is_parquet).map(digest).collect()
}

/// Kills a pod once it has something to lose.
fn kill(cluster: &Cluster, pod: &mut Pod) {
    let ledger = cluster.run_folder().join("ledger/extract");
    let before = files_below(&ledger).len();
    while files_below(&ledger).len() < before + 3 {
        assert!(pod.child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    pod.child.kill().unwrap();
}

/// One line a pod that did not simply end with 0.
fn told(shards: usize, step: &str, ended: &[Ended]) -> String {
    let mut text = String::new();
    for end in ended.iter().filter(|end| end.code != 0 || !end.message.is_empty()) {
        let action = if end.action.is_empty() { "done" } else { &end.action };
        let first = end.message.lines().next().unwrap_or_default();
        let _ =
            writeln!(text, "{shards} shards, {step} {}: exit {} -> {action} {first}", end.index, end.code);
    }
    text
}

#[test]
fn forty_units_in_one_three_and_seven_shards_with_a_kill_and_a_damaged_file_are_the_same_bytes() {
    let release = Release::simulate(400, 10);
    let damaged = release.files("coadd-").remove(17);
    let length = fs_err::metadata(&damaged).unwrap().len();
    fs_err::OpenOptions::new().write(true).open(&damaged).unwrap().set_len(length / 3).unwrap();
    let whole = RunFolder::with_models_over(release.root());
    whole.run(3);
    assert_eq!(whole.units().len(), 40);
    assert_eq!(whole.call(&["status", "--merge"]).code, 3);
    let expected = parquet_digests(&whole.path());
    assert!(expected.len() > 150, "{}", expected.len());
    let mut account = String::new();
    for shards in [1, 3, 7] {
        let cluster = Cluster::render(&release, shards, "");
        for job in &cluster.jobs {
            let step = job["metadata"]["labels"]["app.kubernetes.io/component"].as_str().unwrap();
            let last = shards as u64 - 1;
            let ended = cluster.run(job, |pod, tries| {
                if step == "extract" && pod.index == last && tries == 0 {
                    kill(&cluster, pod);
                }
            });
            account.push_str(&told(shards, step, &ended));
            for end in &ended {
                let killed = step == "extract" && end.code == 137;
                assert!(end.code == 0 || killed, "{step} {}: {}\n{}", end.index, end.code, end.log);
            }
            let codes = |code: i32| ended.iter().filter(|end| end.code == code).count();
            if step == "extract" {
                assert_eq!((codes(137), codes(0)), (1, shards), "{step}");
                assert_eq!(ended.iter().filter(|end| end.action == "Count").count(), 1);
                // The damaged file is one shard's, which says so and is done.
                let partial = ended.iter().filter(|end| end.message.starts_with("exit 3: extract: "));
                assert_eq!(partial.count(), 1, "{account}");
            }
        }
        assert_eq!(parquet_digests(&cluster.run_folder()), expected, "{shards} shards");
        let ledger = Ledger::of_run(&cluster.run_folder());
        let units = ledger.units(Stage::Extract).unwrap();
        let states = units.iter().map(|unit| ledger.read(Stage::Extract, unit).unwrap().unwrap().state);
        let failed = states.filter(|state| *state == State::Failed).count();
        assert_eq!((units.len(), failed), (40, 1));
        assert!(!cluster.run_folder().join(".partial").exists(), "the last step tidies up");
    }
    #[expect(clippy::print_stdout, reason = "what ended how is worth reading with --nocapture")]
    {
        println!("{account}");
    }
}

#[test]
fn exit_codes_lead_to_what_the_policy_says() {
    let release = Release::shared();
    let cluster = Cluster::render(&release, 2, "");
    // No inventory yet: the plan is at fault, and so the whole Job.
    let early = cluster.run(cluster.job("extract"), |_, _| {});
    assert!(early.iter().all(|end| end.code == 2 && end.action == "FailJob"), "{early:?}");
    assert!(early[0].message.contains("no inventory in"), "{early:?}");
    assert!(cluster.run(cluster.job("inventory"), |_, _| {})[0].code == 0);
    // A card that is not there: the shard's node is at fault.
    let on_card = Cluster::render(&release, 2, "job.profile = \"gpu\"");
    assert!(on_card.run(on_card.job("inventory"), |_, _| {})[0].code == 0);
    let without = on_card.run(on_card.job("extract"), |_, _| {});
    assert_eq!(without.len(), 2, "a shard that has no card is not tried again");
    assert!(without.iter().all(|end| end.code == 4 && end.action == "FailIndex"), "{without:?}");
    // Told to end: tried again, and then complete.
    let told = cluster.run(cluster.job("extract"), |pod, tries| {
        if tries == 0 {
            // Only a process that listens already.
            while !listens(pod.child.id()) {
                std::thread::sleep(Duration::from_millis(1));
            }
            send_signal(pod.child.id(), "TERM");
        }
    });
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told.iter().filter(|end| end.code == 143 && end.action == "Count").count(), 2, "{told:?}");
    assert_eq!(told.iter().filter(|end| end.code == 0).count(), 2, "{told:?}");
}
