//! A recorded run, run again: here, elsewhere, from other inputs, after a kill.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use specmill::ledger::Ledger;
use specmill::stage::Stage;
use tempfile::TempDir;

use super::{Copied, RELEASE, RUN, call, command, newest_record, outcome, text};
use crate::run_folder::{Release, RunFolder, files_below};

/// `rerun --from <newest record of run> --out <out> <more>`.
fn words<'a>(record: &'a Path, out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["rerun", "--from", text(record), "--out", text(out)];
    words.extend(more);
    words
}

/// The line of the table that begins with `what`.
fn line<'a>(stdout: &'a str, what: &str) -> &'a str {
    stdout.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("no `{what}` in {stdout}"))
}

/// Changes a record in its place.
fn edit(record: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&fs_err::read_to_string(record).unwrap()).unwrap();
    change(&mut value);
    fs_err::write(record, value.to_string()).unwrap();
}

#[test]
fn a_record_says_all_that_a_rerun_needs() {
    let record: Value =
        serde_json::from_str(&fs_err::read_to_string(newest_record(&RUN.path())).unwrap()).unwrap();
    assert!(Path::new(record["working_folder"].as_str().unwrap()).is_absolute());
    assert_eq!(record["shard"], Value::Null);
    for stage in ["extract", "fit-basis/galaxy-empca", "embed", "neighbors/galaxy-empca"] {
        assert_eq!(record["stage_hashes"][stage].as_str().unwrap().len(), 64, "{stage}");
    }
    let account = &RUN.accounts_of(Stage::Embed)[0];
    assert_eq!(record["stage_hashes"]["embed"], account.stage_hash);
    assert_eq!(record["models"].as_object().unwrap().len(), 1);
    assert_eq!(record["inventory"].as_str().unwrap().len(), 64);
    assert_eq!(record["contents"]["version of extract"], "1");
    for stage in record["stages"].as_array().unwrap() {
        assert!(stage["started_unix_ms"].as_u64() <= stage["ended_unix_ms"].as_u64(), "{stage}");
    }
}

#[test]
fn a_run_that_is_run_again_is_identical() {
    let folder = TempDir::new().unwrap();
    let (record, out) = (newest_record(&RUN.path()), folder.path().join("again"));
    let check = call(&words(&record, &out, &["--check"]));
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    assert!(!out.exists(), "--check left something");
    for what in ["code version", "git hash", "hash of extract", "hash of embed", "inputs"] {
        assert!(line(&check.stdout, what).ends_with("same"), "{}", check.stdout);
    }
    assert!(line(&check.stdout, "model galaxy-empca").ends_with("compared afterwards"));
    let n_files = RUN.accounts().iter().map(|account| account.inputs.len()).sum::<usize>();
    assert!(line(&check.stdout, "inputs").contains(&format!("{n_files} unchanged")), "{}", check.stdout);

    let rerun = call(&words(&record, &out, &["--threads", "1"]));
    assert_eq!(rerun.code, 0, "{}{}", rerun.stdout, rerun.stderr);
    assert!(rerun.stdout.ends_with("identical: the same accounts and the same bytes\n"), "{}", rerun.stdout);
    // What differs is said before the run begins.
    let place = |word: &str| rerun.stdout.find(word).unwrap();
    assert!(place("hash of extract") < place("units: "));
    // Once more in the same folder is nothing to do; another record's folder is not this one's.
    assert_eq!(call(&words(&record, &out, &[])).code, 0);
    let other = Copied::of(&RUN.path());
    let other_record = newest_record(other.path());
    edit(&other_record, |record| record["run_id"] = json!("another"));
    let refused = call(&words(&other_record, &out, &[]));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--out: ") && refused.stderr.contains("repeats another run"));
}

#[test]
fn a_changed_a_missing_and_a_new_input_are_named_before_anything_is_run() {
    let release = RELEASE.copy();
    let units = RUN.units();
    let input = |n: usize| release.root().join(&RUN.account(&units[n]).inputs[0].path);
    let changed = input(1);
    let mut bytes = fs_err::read(&changed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&changed, bytes).unwrap();
    fs_err::remove_file(release.root().join(&RUN.account(&units[2]).inputs[1].path)).unwrap();

    let folder = TempDir::new().unwrap();
    let (record, out) = (newest_record(&RUN.path()), folder.path().join("again"));
    let more = ["--input", text(release.root())];
    let check = call(&words(&record, &out, &[&more[..], &["--check"]].concat()));
    assert_eq!(check.code, 3);
    assert!(
        line(&check.stdout, "inputs").ends_with("8 unchanged, 1 changed, 1 missing  DIFFERS"),
        "{}",
        check.stdout
    );
    let name = changed.file_name().unwrap().to_str().unwrap();
    assert!(
        check.stdout.contains(&format!("changed inputs: 1\n  {name} of {}\n", units[1])),
        "{}",
        check.stdout
    );
    assert!(check.stdout.contains("missing inputs: 1\n  redrock-"), "{}", check.stdout);
    assert!(!out.exists());

    let rerun = call(&words(&record, &out, &more));
    assert_eq!(rerun.code, 3);
    let said = rerun.stdout.find("changed inputs: 1").unwrap();
    assert!(said < rerun.stdout.find("units: ").unwrap());
    // Without its redrock file a unit has no spectra, and so no vectors either.
    let last = rerun.stdout.lines().last().unwrap();
    assert!(last.starts_with(&format!("different: 1 unit in A alone (first embed {})", units[2])), "{last}");
    assert!(last.contains(&format!("other inputs of 2 units (first extract {})", units[1])), "{last}");
}

#[test]
fn other_code_other_hashes_and_unknown_settings_are_said() {
    let copy = Copied::of(&RUN.path());
    let record = newest_record(copy.path());
    let hash = "0".repeat(64);
    edit(&record, |record| {
        record["specmill_version"] = json!("0.0.9");
        record["git_hash"] = json!("abcdef0");
        record["stage_hashes"]["extract"] = json!(hash);
        record["contents"]["constants"] = json!(hash);
        record["run_file"]["extract"]["of_tomorrow"] = json!(true);
        record["of_tomorrow"] = json!([1, 2]);
    });
    let folder = TempDir::new().unwrap();
    let check = call(&words(&record, &folder.path().join("again"), &["--check"]));
    assert_eq!(check.code, 3, "{}{}", check.stdout, check.stderr);
    for (what, recorded) in
        [("code version", "0.0.9"), ("git hash", "abcdef0"), ("hash of extract", "000000000000")]
    {
        let line = line(&check.stdout, what);
        assert!(line.contains(recorded) && line.ends_with("DIFFERS"), "{line}");
    }
    assert!(line(&check.stdout, "inputs").ends_with("same"));
    assert!(check.stdout.contains("behind the hashes: 2\n"), "{}", check.stdout);
    assert!(check.stdout.contains("  extract.of_tomorrow: true -> nothing\n"), "{}", check.stdout);
    assert!(check.stdout.contains("  constants: 000000000000 -> "), "{}", check.stdout);
    assert!(
        check.stdout.contains("setting extract.of_tomorrow is unknown to this program"),
        "{}",
        check.stdout
    );

    // A record of a version that wrote none of it can still be followed.
    edit(&record, |record| {
        let fields = record.as_object_mut().unwrap();
        let new =
            ["working_folder", "shard", "stage_hashes", "contents", "inventory", "models", "of_tomorrow"];
        new.iter().for_each(|field| drop(fields.remove(*field)));
        record["run_file"]["extract"].as_object_mut().unwrap().remove("of_tomorrow");
    });
    let check = call(&words(&record, &folder.path().join("again"), &["--check"]));
    assert!(line(&check.stdout, "hash of extract").ends_with("same"), "{}{}", check.stdout, check.stderr);
}

#[test]
fn relative_paths_are_those_of_the_recorded_run() {
    let home = TempDir::new().unwrap();
    let mut run = RunFolder::over(RELEASE.root());
    run.set("input.root", "\"dr\"");
    std::os::unix::fs::symlink(RELEASE.root(), home.path().join("dr")).unwrap();
    let first = outcome(run.command(&["run"]).current_dir(home.path()));
    assert_eq!(first.code, 0, "{}", first.stderr);

    let elsewhere = TempDir::new().unwrap();
    let record = newest_record(&run.path());
    let again = outcome(command(&words(&record, Path::new("again"), &[])).current_dir(elsewhere.path()));
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert!(
        again.stdout.starts_with(&format!("dr is taken from {}.\n", text(home.path()))),
        "{}",
        again.stdout
    );
    assert!(again.stdout.contains("\nidentical: "), "{}", again.stdout);
}

#[test]
fn catalogues_are_found_where_they_were_or_where_they_are_now() {
    let home = TempDir::new().unwrap();
    let sim = home.path().join("sim");
    let simulated =
        call(&["simulate", "--out", text(&sim), "--targets", "50", "--catalogs", "zall-pix", "--no-spectra"]);
    assert_eq!(simulated.code, 0, "{}", simulated.stderr);
    let mut run = RunFolder::over(RELEASE.root());
    let files = "sim/spectro/redux/iron/zcatalog/v1/zall-pix-*.fits";
    run.set("input.root", "\"\"")
        .set("catalog", &format!("[{{ name = \"zall-pix\", files = [{files:?}] }}]"));
    let first = outcome(run.command(&["run"]).current_dir(home.path()));
    assert_eq!(first.code, 0, "{}", first.stderr);

    let elsewhere = TempDir::new().unwrap();
    let record = newest_record(&run.path());
    for (out, more) in [("from-record", vec![]), ("from-input", vec!["--input", text(home.path())])] {
        let again = outcome(command(&words(&record, Path::new(out), &more)).current_dir(elsewhere.path()));
        assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
        assert!(line(&again.stdout, "inputs").contains("1 unchanged"), "{}", again.stdout);
        assert!(again.stdout.contains("\nidentical: "), "{}", again.stdout);
    }
    let nowhere = words(&record, Path::new("nowhere"), &["--check", "--input", "/nowhere"]);
    let nowhere = outcome(command(&nowhere).current_dir(elsewhere.path()));
    assert_ne!(nowhere.code, 0, "{}", nowhere.stdout);
}

#[test]
fn a_record_of_the_inventory_alone_compares_catalogues_too() {
    let home = TempDir::new().unwrap();
    let sim = home.path().join("sim");
    let simulated = call(&["simulate", "--out", text(&sim), "--targets", "50", "--catalogs", "zall-pix"]);
    assert_eq!(simulated.code, 0, "{}", simulated.stderr);
    let mut run = RunFolder::over(&sim);
    let files = "spectro/redux/iron/zcatalog/v1/zall-pix-*.fits";
    run.set("catalog", &format!("[{{ name = \"zall-pix\", files = [{files:?}] }}]"));
    assert_eq!(run.call(&["run", "--stage", "inventory"]).code, 0);
    let record = newest_record(&run.path());
    let check = call(&words(&record, &home.path().join("again"), &["--check"]));
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    let catalog = files_below(&sim.join("spectro/redux/iron/zcatalog/v1")).pop().unwrap();
    let mut bytes = fs_err::read(&catalog).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&catalog, bytes).unwrap();
    let check = call(&words(&record, &home.path().join("again"), &["--check"]));
    assert_eq!(check.code, 3, "{}{}", check.stdout, check.stderr);
    let name = catalog.file_name().unwrap().to_str().unwrap();
    assert!(
        check.stdout.contains(&format!("changed inputs: 1\n  {name} of catalogue of ")),
        "{}",
        check.stdout
    );
}

#[test]
fn shards_and_single_stages_are_run_again_as_the_run_they_were_part_of() {
    let run = RunFolder::over(RELEASE.root());
    assert_eq!(run.call(&["run", "--stage", "inventory"]).code, 0);
    for shard in ["0/2", "1/2"] {
        let done = run.call(&["run", "--stage", "extract", "--shard", shard]);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    }
    let record = newest_record(&run.path());
    let of_shard: Value = serde_json::from_str(&fs_err::read_to_string(&record).unwrap()).unwrap();
    assert_eq!(of_shard["shard"], "1/2");
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("again");
    let rerun = call(&words(&record, &out, &[]));
    assert_eq!(rerun.code, 0, "{}{}", rerun.stdout, rerun.stderr);
    assert!(rerun.stdout.ends_with("identical: the same accounts and the same bytes\n"), "{}", rerun.stdout);
    assert_eq!(Ledger::of_run(&out).units(Stage::Extract).unwrap(), run.units());
}

#[test]
fn a_card_that_the_record_asked_for_is_not_demanded() {
    let copy = Copied::of(&RUN.path());
    let record = newest_record(copy.path());
    // More cards than any machine has.
    edit(&record, |record| {
        record["device"] = json!("cuda:99");
        record["device_name"] = json!("a card");
        record["run_file"]["resources"]["device"] = json!("cuda:99");
    });
    let folder = TempDir::new().unwrap();
    let rerun = call(&words(&record, &folder.path().join("again"), &[]));
    assert_eq!(rerun.code, 0, "{}{}", rerun.stdout, rerun.stderr);
    let of_device = line(&rerun.stdout, "device");
    assert!(of_device.contains("cuda:99 (a card)  auto: what is here"), "{of_device}");
    assert!(of_device.ends_with("changes no byte"), "{of_device}");
    assert!(rerun.stdout.ends_with("identical: the same accounts and the same bytes\n"), "{}", rerun.stdout);
    let asked = call(&words(&record, &folder.path().join("other"), &["--check", "--device", "cpu"]));
    assert!(line(&asked.stdout, "device").contains("(a card)  cpu"), "{}", asked.stdout);
}

#[test]
fn broken_files_of_one_name_are_two_inputs() {
    let release = RELEASE.copy();
    let input = &RUN.account(&RUN.units()[0]).inputs[0].path;
    let coadd = release.root().join(input);
    // A file that says it is of another pixel than its folder is no unit's.
    let misplaced = ["0", "1"].map(|pixel| {
        let path = coadd.parent().unwrap().with_file_name(pixel).join(coadd.file_name().unwrap());
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::copy(&coadd, &path).unwrap();
        path
    });
    let run = RunFolder::over(release.root());
    run.run(3);

    let n_files = RUN.accounts().iter().map(|account| account.inputs.len()).sum::<usize>() + 2;
    let folder = TempDir::new().unwrap();
    let (record, out) = (newest_record(&run.path()), folder.path().join("again"));
    let elsewhere = release.copy();
    let more = ["--check", "--input", text(elsewhere.root())];
    let check = call(&words(&record, &out, &more));
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    assert!(line(&check.stdout, "inputs").contains(&format!("{n_files} unchanged")), "{}", check.stdout);
    let mut bytes = fs_err::read(&coadd).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    for path in misplaced {
        let path = path.strip_prefix(release.root()).unwrap();
        let genuine = fs_err::read(elsewhere.root().join(path)).unwrap();
        fs_err::write(elsewhere.root().join(path), &bytes).unwrap();
        let check = call(&words(&record, &out, &more));
        assert_eq!(check.code, 3, "{}", check.stdout);
        let named = format!("changed inputs: 1\n  {}\n", path.display());
        assert!(check.stdout.contains(&named), "{}", check.stdout);
        fs_err::write(elsewhere.root().join(path), genuine).unwrap();
    }
}

#[test]
fn a_rerun_that_was_killed_goes_on() {
    let release = Release::simulate(60, 3);
    let mut run = RunFolder::over(release.root());
    run.set("resources.threads", "1").run(0);
    let folder = TempDir::new().unwrap();
    let (record, out) = (newest_record(&run.path()), folder.path().join("again"));
    let words = words(&record, &out, &[]);
    let mut child = command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let done = || files_below(&out.join("ledger")).len();
    while done() < 2 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended before it was killed");
    let before = done();
    assert!((2..run.units().len()).contains(&before), "{before} units");
    let rerun = call(&words);
    assert_eq!(rerun.code, 0, "{}{}", rerun.stdout, rerun.stderr);
    assert!(rerun.stdout.ends_with("identical: the same accounts and the same bytes\n"), "{}", rerun.stdout);
    let line = line(&rerun.stdout, "extract ");
    let settled: usize = line.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(settled >= before, "{line}");
}

#[test]
fn the_original_and_folders_in_use_are_left_alone() {
    let copy = Copied::of(&RUN.path());
    let record = newest_record(copy.path());
    let before = files_below(copy.path());
    let used = TempDir::new().unwrap();
    fs_err::write(used.path().join("thesis.tex"), "mine").unwrap();
    let links = TempDir::new().unwrap();
    let link = links.path().join("link");
    std::os::unix::fs::symlink(copy.path(), &link).unwrap();
    let back = |from: &str| links.path().join(from).join("../..").join(copy.path().file_name().unwrap());
    for (out, says) in [
        (copy.path().to_owned(), "lies in the original's folder"),
        (copy.path().join("new/er"), "lies in the original's folder"),
        (link.clone(), "lies in the original's folder"),
        (link.join("new/er"), "lies in the original's folder"),
        (back("absent"), "leads through `..` out of a folder that is not there"),
        (links.path().join("absent/../link"), "leads through `..` out of a folder that is not there"),
        (used.path().to_owned(), "is not empty, and no rerun of"),
    ] {
        let refused = call(&words(&record, &out, &[]));
        assert_eq!(refused.code, 2, "{}", refused.stdout);
        assert!(
            refused.stderr.starts_with("error: --out: ") && refused.stderr.contains(says),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(files_below(copy.path()), before);
    assert_eq!(files_below(used.path()).len(), 1);
    // Up again from a folder that is there is a way like any other.
    let there = call(&words(&record, &used.path().join("../another"), &["--check"]));
    assert_eq!(there.code, 0, "{}{}", there.stdout, there.stderr);
}

#[test]
fn what_is_no_record_of_a_run_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("record.json");
    let record = fs_err::read_to_string(newest_record(&RUN.path())).unwrap();
    for (content, says) in [
        ("{", "not a valid record"),
        ("{}", "is no run record"),
        (record.as_str(), "does not lie in `runs/`"),
    ] {
        fs_err::write(&path, content).unwrap();
        let refused = call(&words(&path, &folder.path().join("again"), &["--check"]));
        assert_eq!(refused.code, 2);
        assert!(
            refused.stderr.starts_with("error: --from: ") && refused.stderr.contains(says),
            "{}",
            refused.stderr
        );
    }
    let refused = call(&words(&folder.path().join("none.json"), &folder.path().join("again"), &[]));
    assert_eq!(refused.code, 2);
}
