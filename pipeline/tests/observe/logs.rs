//! Log lines: flat, and each says what it is about.

use serde_json::{Map, Value};

use super::Running;
use crate::run_folder::{Release, RunFolder};

#[test]
fn every_line_of_a_run_is_flat_and_says_which_run_and_stage() {
    let release = Release::shared().copy();
    let coadd = release.files("coadd-").remove(0);
    let bytes = fs_err::read(&coadd).unwrap();
    fs_err::write(&coadd, &bytes[..bytes.len() - 2880]).unwrap();
    let run = RunFolder::over(release.root());
    let (code, lines) = Running::start(&mut run.command(&["run"])).end();
    assert_eq!(code, 3, "{lines:#?}");
    let records: Vec<String> = crate::run_folder::files_below(&run.path().join("runs"))
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    let mut about_units = 0;
    for line in &lines {
        let line: Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let text = |key: &str| line.get(key).and_then(Value::as_str);
        for key in ["timestamp", "level", "message"] {
            assert!(text(key).is_some_and(|text| !text.is_empty()), "{key} of {line:?}");
        }
        assert!(line.values().all(|value| !value.is_object() && !value.is_array()), "{line:?}");
        assert_eq!(text("run"), Some(records[0].as_str()), "{line:?}");
        match text("message").unwrap() {
            "stage begins" => begun.push(text("stage").unwrap().to_owned()),
            "stage ends" => {
                for key in ["units", "rows", "bytes_in", "bytes_out", "seconds"] {
                    assert!(line[key].is_number(), "{key} of {line:?}");
                }
                ended.push(text("stage").unwrap().to_owned());
            }
            "unit not done" => {
                about_units += 1;
                assert_eq!(text("stage"), Some("extract"));
                assert!(text("unit").unwrap().parse::<specmill::unit::UnitId>().is_ok());
                assert!(text("reason").is_some());
            }
            _ => {}
        }
        if begun.len() > ended.len() {
            assert_eq!(text("stage"), begun.last().map(String::as_str), "{line:?}");
        }
    }
    assert_eq!(begun, ["inventory", "extract"]);
    assert_eq!(ended, begun);
    assert_eq!((about_units, records.len()), (1, 1));
    // A dozen lines a run.
    assert!(lines.len() <= 12, "{lines:#?}");
}

#[test]
fn people_do_not_read_run_and_stage_in_every_line() {
    let run = RunFolder::over(Release::shared().root());
    let outcome = run.run(0);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert!(lines.iter().any(|line| line.contains("stage begins") && line.contains("extract")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("run{") && !line.contains('{')), "{lines:?}");
}

#[test]
fn the_error_that_ends_a_run_is_a_line_like_any_other() {
    let run = RunFolder::over(Release::shared().root());
    let (code, lines) = Running::start(&mut run.command(&["run", "--stage", "extract"])).end();
    assert_eq!(code, 2, "{lines:#?}");
    let parsed: Vec<Map<String, Value>> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let failed = parsed.iter().find(|line| line["message"] == "the run ended early").unwrap();
    assert!(failed["reason"].as_str().unwrap().contains("no inventory in"), "{failed:?}");
    assert!(failed.contains_key("run"), "{failed:?}");
    let last = parsed.last().unwrap();
    assert_eq!((last["level"].as_str(), last["exit"].as_u64()), (Some("ERROR"), Some(2)));
    assert!(last["help"].as_str().unwrap().contains("specmill run"), "{last:?}");
}
