//! Shards of the map stages: processes side by side over one run folder.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use specmill::ledger::State;
use specmill::stage::Stage;

use crate::catalog::run::{CatalogRun, toy_columns, toy_file};
use crate::run_folder::{Release, RunFolder, text};

/// Starts a stage's shard.
fn start(run: &RunFolder, stage: &str, shard: &str, rest: &[&str]) -> Child {
    let words = [&["run", "--stage", stage, "--shard", shard], rest].concat();
    run.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// All shards of a stage at the same time; each must end with 0.
fn run_shards(run: &RunFolder, stage: &str, of: usize) {
    let children: Vec<Child> =
        (0..of).map(|index| start(run, stage, &format!("{index}/{of}"), &[])).collect();
    for (index, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{stage} {index}/{of}: {}", said(&output));
    }
}

fn run_stage(run: &RunFolder, stage: &str) {
    let outcome = run.call(&["run", "--stage", stage]);
    assert_eq!(outcome.code, 0, "{stage}: {}{}", outcome.stdout, outcome.stderr);
}

/// Everything up to `neighbors` in shards, as Jobs would.
fn run_in_shards(run: &RunFolder, of: usize) {
    run_stage(run, "inventory");
    run_shards(run, "extract", of);
    run_stage(run, "fit-basis");
    run_shards(run, "embed", of);
    run_stage(run, "neighbors");
    let account = run.call(&["status", "--merge", "--tidy"]);
    assert_eq!(account.code, 0, "{}{}", account.stdout, account.stderr);
}

#[test]
fn any_number_of_shards_side_by_side_gives_the_same_bytes() {
    let release = Release::simulate(600, 25);
    let whole = RunFolder::with_models_over(release.root());
    whole.run(0);
    let merged = |run: &RunFolder| fs_err::read(run.path().join("ledger.parquet")).unwrap();
    assert_eq!(whole.call(&["status", "--merge"]).code, 0);
    for of in [1, 3, 7, 40] {
        let run = RunFolder::with_models_over(release.root());
        run_in_shards(&run, of);
        assert_eq!(run.digests(), whole.digests(), "{of} shards");
        assert!(merged(&run) == merged(&whole), "{of} shards");
        run.assert_nothing_partial();
        // One record a process, whatever they are called.
        let records = fs_err::read_dir(run.path().join("runs")).unwrap().count();
        assert_eq!(records, 3 + 2 * of);
    }
}

#[test]
fn the_merged_ledger_has_one_row_for_every_account() {
    let release = Release::shared();
    let run = RunFolder::with_models_over(release.root());
    run.run(0);
    assert_eq!(run.call(&["status", "--merge"]).code, 0);
    let (ledger, _) = run.read("ledger.parquet");
    let mut rows = BTreeMap::<&str, Vec<&str>>::new();
    for (stage, unit) in text(&ledger, "stage").into_iter().zip(text(&ledger, "unit")) {
        rows.entry(stage).or_default().push(unit);
    }
    for stage in [Stage::Extract, Stage::FitBasis, Stage::Embed, Stage::Neighbors] {
        let accounts = run.accounts_of(stage);
        let units: Vec<String> = accounts.iter().map(|account| account.unit.to_string()).collect();
        assert_eq!(rows[stage.name()], units);
    }
    assert!(text(&ledger, "outputs").iter().any(|outputs| outputs.contains("features/iron/healpix/")));
}

#[test]
fn a_shard_answers_for_its_own_units_and_can_be_run_again_alone() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run_stage(&run, "inventory");
    let output = start(&run, "extract", "1/2", &[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let own = run.units();
    assert!((1..5).contains(&own.len()), "{own:?}");
    let counted = format!("units: {} in the inventory, {} accounted for", own.len(), own.len());
    assert!(said(&output).contains(&counted), "{}", said(&output));
    // The whole is not done.
    assert_eq!(run.call(&["status"]).code, 3);
    let (units, files) = (run.units(), run.identities());
    let again = start(&run, "extract", "1/2", &[]).wait_with_output().unwrap();
    assert_eq!(again.status.code(), Some(0));
    assert_eq!((run.units(), run.identities()), (units, files));
    let other = start(&run, "extract", "0/2", &[]).wait_with_output().unwrap();
    assert_eq!(other.status.code(), Some(0), "{}", said(&other));
    assert_eq!(run.call(&["status"]).code, 0);
    assert_eq!(run.units().len(), 5);
}

#[test]
fn a_killed_shard_disturbs_no_other_and_is_resumed() {
    let release = Release::simulate(120, 3);
    let whole = RunFolder::over(release.root());
    whole.run(0);
    let mut run = RunFolder::over(release.root());
    run.set("resources.threads", "1");
    run_stage(&run, "inventory");
    let others = [start(&run, "extract", "0/3", &[]), start(&run, "extract", "2/3", &[])];
    let mut killed = start(&run, "extract", "1/3", &[]);
    while run.units().len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().signal(), Some(9), "it ended before it was killed");
    for other in others {
        let output = other.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    assert_eq!(run.call(&["status"]).code, 3);
    let resumed = start(&run, "extract", "1/3", &[]).wait_with_output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", said(&resumed));
    assert_eq!(run.call(&["status", "--merge", "--tidy"]).code, 0);
    run.assert_nothing_partial();
    assert_eq!(run.digests(), whole.digests());
}

#[test]
fn a_damaged_file_is_one_shard_s_and_accepted_where_the_ledger_has_it() {
    let release = Release::shared().copy();
    let damaged = release.files("coadd-").remove(1);
    let length = fs_err::metadata(&damaged).unwrap().len();
    let file = fs_err::OpenOptions::new().write(true).open(&damaged).unwrap();
    file.set_len(length / 2).unwrap();
    let run = RunFolder::over(release.root());
    assert_eq!(run.call(&["run", "--stage", "inventory"]).code, 3);
    assert_eq!(run.call(&["run", "--stage", "inventory", "--accept-partial"]).code, 0);
    let message = release.root().join("termination-log");
    let mut codes = Vec::new();
    for shard in ["0/2", "1/2"] {
        let strict = start(&run, "extract", shard, &[]).wait_with_output().unwrap();
        codes.push(strict.status.code());
        let words = ["run", "--stage", "extract", "--shard", shard, "--accept-partial"];
        fs_err::write(&message, "").unwrap();
        let accepting = run.command(&words).env("SPECMILL_TERMINATION_MESSAGE", &message).output().unwrap();
        assert_eq!(accepting.status.code(), Some(0), "{}", said(&accepting));
        let left = fs_err::read_to_string(&message).unwrap();
        if strict.status.code() == Some(3) {
            assert!(left.starts_with("exit 3: extract: "), "{left}");
            assert!(left.contains("1 failed; first: failed "), "{left}");
        } else {
            assert_eq!(left, "");
        }
    }
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(3)]);
    let failed: Vec<State> =
        run.accounts().iter().map(|row| row.state).filter(|state| state.is_partial()).collect();
    assert_eq!(failed, [State::Failed]);
    let account = run.call(&["status", "--merge"]);
    assert_eq!(account.code, 3, "{}", account.stdout);
    assert_eq!(run.call(&["status", "--accept-partial"]).code, 0);
}

#[test]
fn units_without_an_account_are_never_accepted() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run_stage(&run, "inventory");
    assert_eq!(start(&run, "extract", "0/2", &[]).wait().unwrap().code(), Some(0));
    let status = run.call(&["status", "--accept-partial"]);
    assert_eq!(status.code, 3, "{}", status.stdout);
}

#[test]
fn vectors_without_a_fit_are_not_taken_for_empty() {
    let release = Release::shared();
    let run = RunFolder::with_models_over(release.root());
    run_stage(&run, "inventory");
    run_stage(&run, "extract");
    let early = start(&run, "embed", "0/2", &[]).wait_with_output().unwrap();
    assert_eq!(early.status.code(), Some(1), "{}", said(&early));
    assert!(said(&early).contains("has no account of fit-basis"), "{}", said(&early));
    assert!(run.accounts_of(Stage::Embed).is_empty());
    run_stage(&run, "fit-basis");
    run_shards(&run, "embed", 2);
}

#[test]
fn merging_disturbs_nobody_who_is_writing() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run.run(0);
    let partial = run.path().join(".partial/in-hand");
    fs_err::create_dir_all(partial.parent().unwrap()).unwrap();
    fs_err::write(&partial, "half").unwrap();
    assert_eq!(run.call(&["status", "--merge"]).code, 0);
    assert!(partial.exists());
    assert_eq!(run.call(&["status", "--tidy"]).code, 0);
    run.assert_nothing_partial();
}

#[test]
fn a_shard_of_what_has_none_is_refused_before_anything_starts() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    for (words, says) in [
        (&["run", "--shard", "0/2"][..], "--shard: it needs --stage with one of catalog, extract, embed"),
        (&["run", "--stage", "neighbors", "--shard", "0/2"], "--shard: it needs --stage"),
        (&["run", "--stage", "extract", "--shard", "2/2"], "the last is 1/2"),
        (&["run", "--stage", "extract", "--shard", "2"], "counted from 0"),
        // Nobody has listed the units yet.
        (&["run", "--stage", "extract", "--shard", "0/2"], "no inventory in"),
    ] {
        let outcome = run.call(words);
        assert_eq!(outcome.code, 2, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
    }
    assert!(!run.path().join("ledger").exists());
}

#[test]
fn catalogues_in_shards_give_the_same_bytes_and_their_keys_are_compared_last() {
    let catalogs = || {
        let mut run = CatalogRun::new();
        let names = ["toy-iron-main.fits", "toy-iron-sv3.fits", "toy-iron-special.fits"];
        for (i, name) in (0_i64..).zip(names) {
            let ids: Vec<i64> = (0..40).map(|row| 100 * i + row).collect();
            run.file(name, &toy_file(&toy_columns(&ids)));
        }
        run.catalog("name = \"toy\"", &["toy-iron-*.fits"]);
        run
    };
    let whole = catalogs();
    whole.run(0);
    let run = catalogs();
    let shard = |shard: &str| run.call(&["run", "--stage", "catalog", "--shard", shard]);
    assert_eq!(shard("0/2").code, 2, "nobody has looked into the files yet");
    let inventory = run.call(&["run", "--stage", "inventory"]);
    assert_eq!(inventory.code, 0, "{}", inventory.err);
    for i in ["0/2", "1/2"] {
        let said = shard(i);
        assert_eq!(said.code, 0, "{}", said.err);
    }
    assert_eq!(run.lake(), whole.lake());
    let status = run.call(&["status"]);
    assert_eq!(status.code, 3);
    assert!(status.out.contains("the keys of toy"), "{}", status.out);
    let keys = run.call(&["run", "--stage", "catalog"]);
    assert_eq!(keys.code, 0, "{}", keys.err);
    assert_eq!(run.call(&["status"]).code, 0);
    assert_eq!(run.lake(), whole.lake());
}
