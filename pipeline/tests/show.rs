//! `specmill show` from outside: a run, then pictures of its targets.

use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use specmill::unit::UnitId;
use tempfile::TempDir;

use crate::run_folder::{Release, RunFolder, files_below, text};

/// A target of a run, as its features tell it.
#[derive(Debug, Clone)]
struct Row {
    unit: UnitId,
    targetid: i64,
    state: String,
    reason: String,
    spectype: String,
    z: f64,
}

fn rows(run: &RunFolder) -> Vec<Row> {
    let mut rows = Vec::new();
    for unit in run.units() {
        let features = run.features(&unit);
        let targetid = features.column_by_name("targetid").unwrap().as_primitive::<Int64Type>();
        let z = features.column_by_name("z").unwrap().as_primitive::<Float64Type>();
        let columns = ["state", "reason", "spectype"].map(|name| text(&features, name));
        for row in 0..features.num_rows() {
            let [state, reason, spectype] = columns.each_ref().map(|column| column[row].to_owned());
            let (unit, targetid, z) = (unit.clone(), targetid.value(row), z.value(row));
            rows.push(Row { unit, targetid, state, reason, spectype, z });
        }
    }
    rows
}

/// A run over the shared release, which the pictures read again, and its rows.
fn finished_run() -> (Arc<Release>, RunFolder, Vec<Row>) {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run.run(0);
    let rows = rows(&run);
    (release, run, rows)
}

fn show(run: &RunFolder, row: &Row, out: &Path) -> String {
    let (target, unit) = (row.targetid.to_string(), row.unit.to_string());
    let out_text = out.to_str().unwrap();
    let outcome = run.call(&["show", "--target", &target, "--unit", &unit, "--out", out_text]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.stdout);
    assert!(outcome.stdout.contains(&target) && outcome.stdout.contains(out_text), "{}", outcome.stdout);
    outcome.stdout
}

fn measured(rows: &[Row]) -> &Row {
    // Near enough that [OII] 3727 to Hα lie on the spectrum.
    rows.iter().find(|row| row.state == "done" && row.spectype == "GALAXY" && row.z < 0.4).unwrap()
}

fn sky(rows: &[Row]) -> &Row {
    rows.iter().find(|row| row.reason == "sky").unwrap()
}

#[test]
fn pictures_of_measured_and_unmeasured_targets_have_the_same_bytes_every_time() {
    let (_release, run, rows) = finished_run();
    let folder = TempDir::new().unwrap();
    for (i, row) in [measured(&rows), sky(&rows)].into_iter().enumerate() {
        for extension in ["png", "svg"] {
            let [first, second] = [1, 2].map(|k| {
                let path = folder.path().join(format!("made/{i}-{k}.{extension}"));
                show(&run, row, &path);
                fs_err::read(path).unwrap()
            });
            assert!(first == second, "{row:?} as {extension}");
            assert!(first.len() > 10_000, "{row:?} as {extension}");
            if extension == "png" {
                // Signature, then the header chunk with width and height.
                assert_eq!(first[..8], *b"\x89PNG\r\n\x1a\n");
                assert_eq!(first[16..24], [0, 0, 6, 64, 0, 0, 3, 232]);
            }
        }
    }
    // Nothing but the pictures is left.
    assert_eq!(files_below(folder.path()).len(), 8);
}

#[test]
fn a_measured_target_is_drawn_with_its_name_its_lines_and_their_fluxes() {
    let (_release, run, rows) = finished_run();
    let folder = TempDir::new().unwrap();
    let row = measured(&rows);
    let out = folder.path().join("target.svg");
    let said = show(&run, row, &out);
    assert!(said.contains(&format!("galaxy at z = {:.5}", row.z)), "{said}");
    let drawn = fs_err::read_to_string(out).unwrap();
    let unit = row.unit.to_string();
    let words = [
        &format!("TARGETID {}", row.targetid),
        unit.as_str(),
        "[OII] 3727,3730",
        "[OIII] 5008",
        "Hα + [NII]",
    ];
    for word in
        words.into_iter().chain(["Dn(4000) narrow", "rest wavelength, vacuum (Å)", "boxcar of", "EW "])
    {
        assert!(drawn.contains(word), "{word}");
    }
}

#[test]
fn an_unmeasured_target_is_drawn_without_lines_and_says_why() {
    let (_release, run, rows) = finished_run();
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("sky.svg");
    let said = show(&run, sky(&rows), &out);
    assert!(said.contains("not measured: skipped (sky)"), "{said}");
    let drawn = fs_err::read_to_string(out).unwrap();
    assert!(drawn.contains("not measured: skipped (sky)"));
    for absent in ["[OII]", "rest wavelength", "running median", "EW "] {
        assert!(!drawn.contains(absent), "{absent}");
    }
}

#[test]
fn a_target_that_is_not_there_leaves_no_file_and_ends_with_two() {
    let (_release, run, rows) = finished_run();
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("target.png");
    let out = out.to_str().unwrap();
    let row = measured(&rows);
    let held = row.targetid.to_string();
    let cases: [&[&str]; 3] = [
        &["show", "--target", "12345", "--out", out],
        &["show", "--target", &held, "--unit", "nowhere/", "--out", out],
        &["show", "--target", &held, "--out", "target.pdf"],
    ];
    for words in cases {
        let outcome = run.call(words);
        assert_eq!(outcome.code, 2, "{words:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("help:") && outcome.stdout.is_empty(), "{}", outcome.stderr);
    }
    assert_eq!(files_below(folder.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_target_of_two_units_is_drawn_from_the_first_and_the_other_is_named() {
    let (_release, run, rows) = finished_run();
    let folder = TempDir::new().unwrap();
    let twice = rows.iter().enumerate().find_map(|(i, row)| {
        let other = rows[i + 1..].iter().find(|other| other.targetid == row.targetid)?;
        Some((row, other))
    });
    let (row, other) = twice.expect("the simulated release observes some target again");
    let out = folder.path().join("target.svg");
    let target = row.targetid.to_string();
    let outcome = run.call(&["show", "--target", &target, "--out", out.to_str().unwrap()]);
    let (unit, also) = (row.unit.to_string(), format!("also in {}", other.unit));
    assert!(outcome.stdout.contains(&unit) && outcome.stdout.contains(&also), "{}", outcome.stdout);
    assert!(!show(&run, other, &out).contains("also in"));
}
