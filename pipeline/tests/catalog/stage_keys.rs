//! Keys that must be unique, kills, and `catalog verify`.

use std::process::Stdio;
use std::time::Duration;

use specmill::ledger::State;

use super::run::{CatalogRun, toy_columns, toy_file};
use crate::fits_bytes::{FitsBytes, TestColumn};

#[test]
fn a_repeated_key_fails_the_unit_that_repeats_it_and_names_both_rows() {
    let mut run = CatalogRun::new();
    run.file("toy-iron-main.fits", &toy_file(&toy_columns(&[5, 6, 7])));
    // The same target of another survey is another key.
    run.file("toy-iron-sv3.fits", &toy_file(&toy_columns(&[5, 6, 7])));
    let mut again = toy_columns(&[8, 7, 6]);
    again.push(TestColumn::text("SURVEY", 4, 0, &["main", "main", "main"]));
    run.file("toy-iron-zz.fits", &toy_file(&again));
    run.catalog("name = \"toy\"", &["toy-iron-main.fits", "toy-iron-sv3.fits", "toy-iron-zz.fits"]);
    for _ in 0..2 {
        run.run(3);
        assert_eq!(run.account("catalog/toy/toy-iron-main/0").state, State::Done);
        assert_eq!(run.account("catalog/toy/toy-iron-sv3/0").state, State::Done);
        let row = run.account("catalog/toy/toy-iron-zz/0");
        assert_eq!((row.state, row.rows_in, row.outputs.len()), (State::Failed, 3, 0));
        assert!(row.adds_up());
        let reason = row.reason.unwrap();
        for part in [
            "toy-iron-zz.fits: HDU TOY: row 1 has the key (specprod iron, targetid 7, survey main)",
            "of row 2 of catalog/toy/toy-iron-main/0",
            "1 more rows of this block",
            "`unique = false`",
        ] {
            assert!(reason.contains(part), "`{part}` is missing in: {reason}");
        }
        assert_eq!(run.lake().len(), 2);
    }
    // Left out, the table is whole again.
    run.forget();
    run.catalog("name = \"toy\"", &["toy-iron-main.fits", "toy-iron-sv3.fits"]);
    let said = run.run(0);
    assert!(said.out.contains("in this folder from another input: 1"), "{}", said.out);
}

#[test]
fn a_key_repeated_within_a_file_is_found_and_one_not_unique_is_left_alone() {
    let mut file = FitsBytes(toy_file(&toy_columns(&[1, 2, 1])));
    file.table("LINES", &[TestColumn::i64("TARGETID", &[4, 4]), TestColumn::f64("Z", &[1.0, 1.0])], &[], &[]);
    let mut run = CatalogRun::new();
    run.toy(&file.0);
    run.run(3);
    let reason = run.reason("catalog/toy/toy-iron-main/0");
    assert!(
        reason.contains("row 2 has the key (specprod iron, targetid 1, survey main) of row 0 of"),
        "{reason}"
    );
    assert_eq!(run.rows("catalog/toy_lines/toy-iron-main/0").num_rows(), 2);
}

#[test]
fn keys_that_nobody_compared_are_work_to_do() {
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&toy_columns(&[1, 2])));
    run.run(0);
    fs_err::remove_file(run.path("run/catalog-keys.json")).unwrap();
    let status = run.call(&["status"]);
    assert_eq!(status.code, 3);
    assert!(status.out.contains("the keys of toy"), "{}", status.out);
    run.run(0);
    assert_eq!(run.call(&["status"]).code, 0);
}

#[test]
fn a_killed_run_is_taken_up_and_leaves_what_an_undisturbed_one_does() {
    let ids: Vec<i64> = (0..60_000).collect();
    let bytes = toy_file(&toy_columns(&ids));
    let make = || {
        let mut run = CatalogRun::new();
        for part in ["a", "b", "c", "d", "e"] {
            let name = format!("toy-iron-{part}.fits");
            run.file(&name, &bytes);
            run.catalog("name = \"toy\"", &[&name]);
        }
        run
    };
    let (alone, killed) = (make(), make());
    let started = std::time::Instant::now();
    alone.run(0);
    let whole = started.elapsed();
    let mut interrupted = 0;
    for part in 1..=4_u32 {
        let mut command = killed.command(&["run"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * part / 6);
        child.kill().unwrap();
        interrupted += u32::from(!child.wait().unwrap().success());
        // What looks done is whole: nothing half-written has a name.
        let expected = alone.lake();
        for (path, bytes) in killed.lake() {
            assert!(expected.get(&path) == Some(&bytes), "{}", path.display());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(interrupted > 0, "every run ended before it was killed");
    killed.run(0);
    assert!(killed.lake() == alone.lake());
}

#[test]
fn verify_finds_nothing_to_complain_of_and_says_what_is_not_as_published() {
    let mut columns = toy_columns(&[1, 2, 3, 4]);
    columns[3] = TestColumn::f32("FLUX", &[1.5, f32::NAN, 0.1, -3.0]);
    columns.push(TestColumn::text("CLASS", 6, 0, &["GALAXY", "NONE", "", "QSO"]));
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&columns));
    run.run(0);
    let said = run.call(&["catalog", "verify"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let line = said.out.lines().find(|line| line.starts_with("catalog/toy/toy-iron-main/0")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["catalog/toy/toy-iron-main/0", "4", "18", "yes"]);
    assert!(said.out.contains("toy-iron-main.fits: toy has 4 rows, as published"), "{}", said.out);
    let mut fewer = CatalogRun::new();
    let mut file = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    file.table("TOY", &toy_columns(&[1, 2, 3]), &[], &[]);
    file.table("LINES", &[TestColumn::i64("TARGETID", &[1, 1]), TestColumn::f64("Z", &[0.1, 0.2])], &[], &[]);
    fewer.toy(&file.0);
    fewer.run(0);
    let said = fewer.call(&["catalog", "verify"]);
    assert_eq!(said.code, 3);
    assert!(said.out.contains("toy has 3 rows, published are 4"), "{}", said.out);
    assert!(said.out.contains("toy_lines has 2 rows, as published"), "{}", said.out);
}

#[test]
fn verify_names_the_column_that_differs() {
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&toy_columns(&[1, 2, 3, 4])));
    run.run(0);
    // The same size and rows, other values: the lake is no longer what the file says.
    let mut columns = toy_columns(&[1, 2, 3, 5]);
    columns[3] = TestColumn::f32("FLUX", &[2.5, 2.5, 2.500_001, 2.5]);
    run.file("toy-iron-main.fits", &toy_file(&columns));
    let said = run.call(&["catalog", "verify"]);
    assert_eq!(said.code, 3, "{}", said.out);
    assert!(said.out.contains("column targetid: its sum is 10, not its sum is 11"), "{}", said.out);
    assert!(said.out.contains("column flux: its sum is"), "{}", said.out);
    assert!(!said.out.contains("column dec"), "{}", said.out);
}

#[test]
fn verify_does_not_pass_what_is_not_done() {
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&toy_columns(&[1, 1])));
    let said = run.call(&["catalog", "verify"]);
    assert_eq!(said.code, 3);
    assert!(said.out.contains("not looked into yet"), "{}", said.out);
    run.run(3);
    let said = run.call(&["catalog", "verify"]);
    assert_eq!(said.code, 3);
    assert!(said.out.contains("catalog/toy/toy-iron-main/0: not done"), "{}", said.out);
}
