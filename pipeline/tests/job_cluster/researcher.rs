//! From a run file to rows: the commands of the README, before a cluster whose pods do the work.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use specmill::ledger::Ledger;
use specmill::stage::Stage;

use super::{Site, assert_says};
use crate::cluster::pods::Cluster;
use crate::run_folder::{Outcome, Release, files_below, read_table};

/// Pods do real work here.
const PATIENCE: Duration = Duration::from_secs(600);

/// A site whose run file is the cluster's, and whose pods are carried out as processes.
fn site_of(cluster: &Arc<Cluster>) -> Site {
    let mut site = Site::new();
    site.lines = vec![fs_err::read_to_string(cluster.run_file()).unwrap()];
    let kubelet = Arc::clone(cluster);
    site.world().script.kubelet = Some(Box::new(move |job, shard| {
        let job = serde_json::to_value(job).unwrap();
        kubelet.start(&job, u64::from(shard)).end(&job["spec"])
    }));
    site
}

fn submit(site: &Site, code: i32) -> Outcome {
    let outcome = site.start(&["submit"]).end_within(PATIENCE);
    assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
    outcome
}

#[test]
fn five_commands_lead_from_a_run_file_to_rows() {
    let release = Release::simulate(200, 10);
    // 1. render: what will be applied.
    let cluster = Arc::new(Cluster::render(&release, 3, ""));
    assert_says(&cluster.said, &["10-inventory.yaml", "30-extract.yaml", "80-account.yaml", "job submit"]);
    let site = site_of(&cluster);
    // 2. submit: step after step, to the end.
    let submitted = submit(&site, 0);
    assert_says(&submitted.stdout, &["inventory", "extract", "fit-basis", "embed", "neighbors", "account"]);
    assert_says(&submitted.stdout, &["3 of 3 shards done", "ledger.parquet"]);
    // 3. status: how it stands.
    assert_says(&site.ends(&["status"], 0).stdout, &["extract", "3 of 3 shards"]);
    // 4. logs: what one shard said, line by line for a machine.
    let logs = site.ends(&["logs", "--stage", "extract", "--shard", "1"], 0).stdout;
    assert_says(&logs, &["\"stage\":\"extract\"", "\"run\":\"", "stage ends"]);
    // 5. the rows: every target of every unit, once.
    let features = files_below(&cluster.run_folder().join("features"));
    let rows: usize = features.iter().map(|path| read_table(path).num_rows()).sum();
    assert_eq!((features.len(), rows), (20, 200));
    let ledger = Ledger::of_run(&cluster.run_folder());
    let accounted = read_table(&cluster.run_folder().join("ledger.parquet"));
    let rows_in = accounted["rows_in"].as_primitive::<Int64Type>();
    let stages = accounted["stage"].as_string::<i32>();
    let extracted: i64 =
        (0..accounted.num_rows()).filter(|&i| stages.value(i) == "extract").map(|i| rows_in.value(i)).sum();
    assert_eq!((ledger.units(Stage::Extract).unwrap().len(), extracted), (20, 200));
    // Submitted again, nothing is left to do.
    let made = site.made().len();
    submit(&site, 0);
    assert_eq!(site.made().len(), made);
}

#[test]
fn a_damaged_file_is_told_at_the_end_and_stops_nobody() {
    let release = Release::simulate(60, 10).copy();
    let damaged = release.files("coadd-").remove(2);
    let length = fs_err::metadata(&damaged).unwrap().len();
    fs_err::OpenOptions::new().write(true).open(&damaged).unwrap().set_len(length / 2).unwrap();
    let models = "models.galaxy.name = \"\"\nmodels.qso.name = \"\"";
    let cluster = Arc::new(Cluster::render(&release, 2, models));
    let site = site_of(&cluster);
    let submitted = submit(&site, 3);
    let all = format!("{}{}", submitted.stdout, submitted.stderr);
    assert_says(&all, &["WARN extract shard ", "1 failed", "truncated", "the ledger says what failed"]);
    assert!(cluster.run_folder().join("ledger.parquet").exists(), "the last step was not run");
}
