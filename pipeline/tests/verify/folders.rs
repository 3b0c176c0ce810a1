//! Two run folders, one of them changed in one thing.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch};
use arrow::datatypes::{Float32Type, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use specmill::ledger::State;
use specmill::stage::Stage;

use super::{Copied, RELEASE, RUN, call, command, outcome, text, verdict, verify};
use crate::run_folder::{RunFolder, read_parquet};

/// A batch as Parquet, with a footer.
fn to_parquet(batch: &RecordBatch, footer: &std::collections::BTreeMap<String, String>) -> Vec<u8> {
    let pairs = footer
        .iter()
        .filter(|(key, _)| *key != "ARROW:schema")
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of(name).unwrap()] = column;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// A copy of the run where the first D4000 that is measured is the next number up; with its file and row.
fn with_one_value_next_up() -> (Copied, String, usize, i64) {
    let copy = Copied::of(&RUN.path());
    let units = copy.units(Stage::Extract);
    for unit in &units {
        let path = format!("features/{unit}.parquet");
        let (batch, footer) = read_parquet(&copy.path().join(&path));
        let column = batch.column_by_name("d4000").unwrap().as_primitive::<Float32Type>();
        let Some(row) = (0..column.len()).find(|row| column.is_valid(*row)) else { continue };
        let changed: Float32Array = (0..column.len())
            .map(|i| {
                column.is_valid(i).then(|| column.value(i)).map(|x| if i == row { x.next_up() } else { x })
            })
            .collect();
        let targetid = batch.column_by_name("targetid").unwrap().as_primitive::<Int64Type>().value(row);
        let bytes = to_parquet(&with_column(&batch, "d4000", Arc::new(changed)), &footer);
        copy.replace(Stage::Extract, unit, &path, &bytes);
        return (copy, path, row, targetid);
    }
    panic!("no unit has a D4000");
}

#[test]
fn runs_on_other_threads_and_in_other_places_are_identical() {
    let mut other = RunFolder::with_models_over(RELEASE.root());
    other.set("models.galaxy.components", "3").set("models.qso.name", "\"\"");
    other.set("resources.threads", "1").set("resources.batch_rows", "7");
    other.run(0);
    let (outcome, report) = verify(&RUN.path(), &other.path(), &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    assert!(
        outcome.stdout.ends_with("identical: the same accounts and the same bytes\n"),
        "{}",
        outcome.stdout
    );
    assert_eq!(verdict(&report), ("identical".to_owned(), vec![]));
    // Every stage was there to be compared.
    let files = report["files_equal"].as_u64().unwrap();
    let outputs: usize = Stage::ALL
        .into_iter()
        .flat_map(|stage| other.accounts_of(stage))
        .map(|account| account.outputs.len())
        .sum();
    assert_eq!(files, outputs as u64 + 1, "the outputs and the inventory");
    assert!(!other.accounts_of(Stage::Neighbors).is_empty());

    let copy = Copied::of(&other.path());
    let (outcome, _) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
}

#[test]
fn one_value_one_ulp_off_is_named_and_can_be_allowed() {
    let (copy, path, row, targetid) = with_one_value_next_up();
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(outcome.code, 3);
    assert_eq!(verdict(&report), ("different".to_owned(), vec!["values".to_owned()]));
    let last = outcome.stdout.lines().last().unwrap();
    assert!(last.contains(&format!("{path}, column `d4000`, row {row} (")), "{last}");
    assert!(last.contains(&format!("targetid {targetid}")), "{last}");
    assert!(last.ends_with("at most 1 ulp apart)"), "{last}");

    let column = &report["columns"][0]["column"];
    assert_eq!(report["columns"].as_array().unwrap().len(), 1);
    assert_eq!((column["rows"].as_u64(), column["values"].as_u64()), (Some(1), Some(1)));
    assert_eq!(column["max_ulp"], 1);
    assert_eq!(column["sigma"], "d4000_ivar");
    let (a, b): (f32, f32) = (
        column["first_a"].as_str().unwrap().parse().unwrap(),
        column["first_b"].as_str().unwrap().parse().unwrap(),
    );
    assert_eq!(b.to_bits(), a.next_up().to_bits());
    assert_eq!(column["max_abs"].as_f64(), Some(f64::from(b) - f64::from(a)));
    // One ulp is nothing beside the error.
    assert!((0.0..1e-2).contains(&column["max_pull"].as_f64().unwrap()), "{column}");

    let (outcome, report) = verify(&RUN.path(), copy.path(), &["--max-ulp", "1"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    assert_eq!(verdict(&report), ("equal_within_tolerance".to_owned(), vec![]));
    assert!(outcome.stdout.ends_with("equal within tolerance: values at most 1 ulp apart, 1 allowed\n"));
}

#[test]
fn the_same_values_in_other_bytes_are_equal() {
    let copy = Copied::of(&RUN.path());
    let unit = &copy.units(Stage::Extract)[0];
    let path = format!("features/{unit}.parquet");
    let (batch, footer) = read_parquet(&copy.path().join(&path));
    copy.replace(Stage::Extract, unit, &path, &to_parquet(&batch, &footer));
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    assert_eq!(verdict(&report), ("equal_within_tolerance".to_owned(), vec![]));
    assert!(outcome.stdout.ends_with("equal within tolerance: the same values in other bytes\n"));
    assert_eq!(report["files"][0]["degree"], "same_values");

    // A grid that begins elsewhere is another result, whatever the values.
    let mut other = footer.clone();
    other.insert("specmill.unit".to_owned(), "iron/healpix/main/dark/64/0".to_owned());
    copy.replace(Stage::Extract, unit, &path, &to_parquet(&batch, &other));
    let (outcome, _) = verify(&RUN.path(), copy.path(), &["--max-ulp", "1000000"]);
    assert_eq!(outcome.code, 3);
    assert!(outcome.stdout.contains("footer specmill.unit: "), "{}", outcome.stdout);
}

#[test]
fn a_byte_that_flipped_on_disk_is_damage_in_its_folder() {
    let copy = Copied::of(&RUN.path());
    let unit = &copy.units(Stage::Extract)[1];
    let path = format!("features/{unit}.parquet");
    let mut bytes = fs_err::read(copy.path().join(&path)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(copy.path().join(&path), bytes).unwrap();
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(outcome.code, 3);
    assert_eq!(verdict(&report), ("different".to_owned(), vec!["damaged".to_owned()]));
    assert_eq!(report["damaged"].as_array().unwrap().len(), 1);
    assert_eq!(
        (report["damaged"][0]["side"].as_str(), report["damaged"][0]["path"].as_str()),
        (Some("B"), Some(path.as_str()))
    );
    let last = outcome.stdout.lines().last().unwrap();
    assert!(last.contains(&format!("{path} in {}", text(copy.path()))), "{last}");
    // On the other side it is the other's, and a file that is gone is named too.
    fs_err::remove_file(copy.path().join(&path)).unwrap();
    let (_, report) = verify(copy.path(), &RUN.path(), &[]);
    assert_eq!(report["damaged"][0]["side"], "A");
    assert_eq!(report["damaged"][0]["problem"], "it is not there");
}

#[test]
fn a_unit_that_one_of_them_lacks_comes_before_everything() {
    let copy = Copied::of(&RUN.path());
    let unit = copy.units(Stage::Extract)[2].clone();
    for output in copy.account(Stage::Extract, &unit).outputs {
        fs_err::remove_file(copy.path().join(output.path)).unwrap();
    }
    fs_err::remove_file(copy.path().join(format!("ledger/extract/{unit}.json"))).unwrap();
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(outcome.code, 3);
    assert_eq!(verdict(&report), ("different".to_owned(), vec!["units".to_owned()]));
    assert_eq!(report["only_a"][0]["unit"], unit.to_string());
    let last = outcome.stdout.lines().last().unwrap();
    assert_eq!(last, format!("different: 1 unit in A alone (first extract {unit})"));
    let (_, report) = verify(copy.path(), &RUN.path(), &[]);
    assert_eq!(report["only_b"][0]["unit"], unit.to_string());
}

#[test]
fn an_account_that_cannot_be_read_is_damage() {
    let copy = Copied::of(&RUN.path());
    let unit = &copy.units(Stage::Extract)[0];
    let path = format!("ledger/extract/{unit}.json");
    fs_err::write(copy.path().join(&path), "{").unwrap();
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(outcome.code, 3);
    assert_eq!(report["damaged"][0]["path"], path);
}

#[test]
fn a_changed_parameter_is_named_with_both_values() {
    let mut a = RunFolder::over(RELEASE.root());
    a.run(0);
    a.set("resources.threads", "1").set("job.shards", "3");
    let mut b = RunFolder::over(RELEASE.root());
    b.set("extract.mask_rule", "\"dr1\"").set("job.shards", "7");
    b.run(0);
    let (outcome, report) = verify(&a.path(), &b.path(), &[]);
    assert_eq!(outcome.code, 3);
    assert_eq!(verdict(&report).1[0], "settings");
    let settings = report["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 1, "{settings:?}");
    let expected = "different: other settings (extract.mask_rule: \"masked\" -> \"dr1\")";
    let last = outcome.stdout.lines().last().unwrap();
    assert!(last.starts_with(expected), "{last}");
}

#[test]
fn another_input_byte_and_a_unit_that_failed_are_told_apart() {
    let release = RELEASE.copy();
    let a = RunFolder::over(release.root());
    a.run(0);
    // The last byte of padding: another file, the same numbers.
    let account = &a.accounts()[1];
    let input = release.root().join(&account.inputs[0].path);
    let genuine = fs_err::read(&input).unwrap();
    let mut bytes = genuine.clone();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&input, &bytes).unwrap();
    let b = RunFolder::over(release.root());
    b.run(0);
    let (outcome, report) = verify(&a.path(), &b.path(), &[]);
    assert_eq!(outcome.code, 3);
    let (_, causes) = verdict(&report);
    assert_eq!(causes[0], "inputs", "{}", outcome.stdout);
    assert!(!causes.contains(&"states".to_owned()), "{causes:?}");
    let last = outcome.stdout.lines().last().unwrap();
    assert!(last.contains(&format!("other inputs of 1 unit (first extract {})", account.unit)), "{last}");

    fs_err::write(&input, &genuine[..genuine.len() / 2]).unwrap();
    let c = RunFolder::over(release.root());
    c.run(3);
    assert_eq!(c.accounts()[1].state, State::Failed);
    let (_, report) = verify(&a.path(), &c.path(), &[]);
    let (_, causes) = verdict(&report);
    assert!(causes.contains(&"inputs".to_owned()) && causes.contains(&"states".to_owned()), "{causes:?}");

    // A damaged input elsewhere is the same failure.
    let elsewhere = release.copy();
    let d = RunFolder::over(elsewhere.root());
    d.run(3);
    let (outcome, report) = verify(&c.path(), &d.path(), &[]);
    assert_eq!(verdict(&report).0, "identical", "{}", outcome.stdout);
}

#[test]
fn a_unit_that_failed_under_the_same_inputs_is_a_difference_of_states() {
    let copy = Copied::of(&RUN.path());
    let unit = copy.units(Stage::Extract)[0].clone();
    let mut row = copy.account(Stage::Extract, &unit);
    for output in std::mem::take(&mut row.outputs) {
        fs_err::remove_file(copy.path().join(output.path)).unwrap();
    }
    row.state = State::Failed;
    row.reason = Some("the disk was full".to_owned());
    specmill::ledger::Ledger::of_run(copy.path()).commit(&row).unwrap();
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(verdict(&report).1[0], "states");
    let last = outcome.stdout.lines().last().unwrap();
    assert!(
        last.contains(&format!("1 unit ended otherwise (first extract {unit}: done -> failed)")),
        "{last}"
    );
}

#[test]
fn other_rows_and_other_columns_are_no_other_values() {
    let copy = Copied::of(&RUN.path());
    let unit = &copy.units(Stage::Extract)[0];
    let path = format!("features/{unit}.parquet");
    let (batch, footer) = read_parquet(&copy.path().join(&path));
    let n = batch.num_rows();
    copy.replace(Stage::Extract, unit, &path, &to_parquet(&batch.slice(0, n - 1), &footer));
    let (outcome, report) = verify(&RUN.path(), copy.path(), &["--max-ulp", "9"]);
    assert_eq!(verdict(&report), ("different".to_owned(), vec!["rows".to_owned()]));
    assert_eq!(report["files"][0]["table"]["rows"], serde_json::json!([n, n - 1]));
    let last = outcome.stdout.lines().last().unwrap();
    assert!(last.ends_with(&format!("{path}: {n} rows -> {})", n - 1)), "{last}");

    // Rows are compared by their place: where that holds another target, it is said.
    copy.replace(Stage::Extract, unit, &path, &to_parquet(&batch.slice(1, n - 1), &footer));
    let (_, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(report["files"][0]["table"]["first_other_key"], 0);

    let without = batch.schema().index_of("d4000").unwrap();
    let others: Vec<usize> = (0..batch.num_columns()).filter(|i| *i != without).collect();
    copy.replace(Stage::Extract, unit, &path, &to_parquet(&batch.project(&others).unwrap(), &footer));
    let (_, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(report["files"][0]["table"]["only_a"], serde_json::json!(["d4000"]));
    assert_eq!(report["files"][0]["degree"], "other_shape");
}

#[test]
fn spectra_are_compared_element_by_element_against_their_errors() {
    use arrow::array::FixedSizeListArray;

    let copy = Copied::of(&RUN.path());
    let (unit, path) = copy
        .units(Stage::Extract)
        .into_iter()
        .find_map(|unit| {
            let outputs = copy.account(Stage::Extract, &unit).outputs;
            let spectra = outputs.into_iter().find(|file| file.path.starts_with("spectra/"))?;
            Some((unit, spectra.path))
        })
        .unwrap();
    let (batch, footer) = read_parquet(&copy.path().join(&path));
    let lists = |name: &str| batch.column_by_name(name).unwrap().as_fixed_size_list().clone();
    let (flux, ivar) = (lists("flux"), lists("ivar"));
    let width = usize::try_from(flux.value_length()).unwrap();
    let ivar = ivar.values().as_primitive::<Float32Type>().values().to_vec();
    let last = batch.num_rows() - 1;
    let item = (0..width).find(|item| ivar[last * width + item] > 0.0).unwrap();
    let mut values = flux.values().as_primitive::<Float32Type>().values().to_vec();
    let place = last * width + item;
    // Three standard errors up.
    let (old, new) = (values[place], values[place] + 3.0 / ivar[place].sqrt());
    values[place] = new;
    let arrow::datatypes::DataType::FixedSizeList(field, size) = flux.data_type() else { panic!("no list") };
    let changed =
        FixedSizeListArray::new(Arc::clone(field), *size, Arc::new(Float32Array::from(values)), None);
    copy.replace(
        Stage::Extract,
        &unit,
        &path,
        &to_parquet(&with_column(&batch, "flux", Arc::new(changed)), &footer),
    );
    let (_, report) = verify(&RUN.path(), copy.path(), &[]);
    let column = &report["columns"][0]["column"];
    assert_eq!(column["column"], "flux");
    assert_eq!((column["first_row"].as_u64(), column["values"].as_u64()), (Some(last as u64), Some(1)));
    assert_eq!(column["first_a"], format!("[{item}] {old:?}"));
    assert_eq!(column["first_b"], format!("[{item}] {new:?}"));
    // Rounding of the sum to single precision.
    assert!((column["max_pull"].as_f64().unwrap() - 3.0).abs() < 1e-3, "{column}");
}

#[test]
fn a_file_that_no_account_speaks_of_is_named() {
    let copy = Copied::of(&RUN.path());
    fs_err::create_dir_all(copy.path().join("features/other")).unwrap();
    fs_err::write(copy.path().join("features/other/left.parquet"), "?").unwrap();
    // What is beside the results is nobody's business.
    fs_err::write(copy.path().join("notes.txt"), "mine").unwrap();
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(outcome.code, 3);
    assert_eq!(verdict(&report), ("different".to_owned(), vec!["stray".to_owned()]));
    assert_eq!(report["stray"], serde_json::json!([{ "side": "B", "path": "features/other/left.parquet" }]));
}

#[test]
fn a_model_card_is_compared_by_its_keys() {
    let copy = Copied::of(&RUN.path());
    let unit = &copy.units(Stage::FitBasis)[0];
    let card = copy.account(Stage::FitBasis, unit).outputs;
    let card = &card.iter().find(|file| file.path.ends_with("card.toml")).unwrap().path;
    let text = fs_err::read_to_string(copy.path().join(card)).unwrap();
    let changed = text.replace("seed = 1\n", "seed = 2\n");
    assert_ne!(text, changed);
    copy.replace(Stage::FitBasis, unit, card, changed.as_bytes());
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!(verdict(&report), ("different".to_owned(), vec!["values".to_owned()]));
    let keys = &report["files"][0]["keys"];
    assert_eq!(*keys, serde_json::json!([{ "name": "training.seed", "a": "1", "b": "2" }]));
    assert!(outcome.stdout.contains("training.seed: 1 -> 2"), "{}", outcome.stdout);
}

#[test]
fn merged_ledgers_are_compared_where_both_have_one() {
    let (a, b) = (RunFolder::over(RELEASE.root()), RunFolder::over(RELEASE.root()));
    for run in [&a, &b] {
        run.run(0);
        assert_eq!(run.call(&["status", "--merge"]).code, 0);
    }
    assert_eq!(verdict(&verify(&a.path(), &b.path(), &[]).1).0, "identical");
    let (batch, footer) = read_parquet(&b.path().join("ledger.parquet"));
    let shorter = to_parquet(&batch.slice(0, batch.num_rows() - 1), &footer);
    fs_err::write(b.path().join("ledger.parquet"), shorter).unwrap();
    let (outcome, report) = verify(&a.path(), &b.path(), &[]);
    assert_eq!(verdict(&report), ("different".to_owned(), vec!["values".to_owned()]));
    assert!(
        outcome.stdout.contains("ledger.parquet does not follow from the accounts"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn the_report_is_the_same_from_any_number_of_threads() {
    let (copy, ..) = with_one_value_next_up();
    fs_err::write(copy.path().join("features/stray"), "?").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let report = |threads: &str| {
        let path = folder.path().join(threads);
        let words =
            ["verify", text(&RUN.path()), text(copy.path()), "--report", text(&path)].map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = outcome(command(&words).env("RAYON_NUM_THREADS", threads));
        (said.stdout, fs_err::read_to_string(path).unwrap())
    };
    assert_eq!(report("1"), report("5"));
}

#[test]
fn a_folder_that_no_run_left_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (a, b, word) in [(folder.path(), Path::new("/nowhere"), "A"), (&RUN.path(), folder.path(), "B")] {
        let outcome = call(&["verify", text(a), text(b)]);
        assert_eq!(outcome.code, 2, "{}", outcome.stderr);
        assert!(outcome.stderr.starts_with(&format!("error: {word}: ")), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("is no run folder") && outcome.stderr.contains("help: "),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn folders_without_anything_to_compare_are_refused() {
    let copy = |name: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (RUN.path().join(name), folder.path().join(name));
        fs_err::create_dir(folder.path().join("runs")).unwrap();
        if from.is_file() {
            fs_err::copy(from, to).unwrap();
        }
        folder
    };
    let (empty, other, with_inventory) = (copy("runs"), copy("runs"), copy("inventory.parquet"));
    for (a, b) in [(&empty, &other), (&empty, &with_inventory), (&with_inventory, &empty)] {
        let outcome = call(&["verify", text(a.path()), text(b.path())]);
        assert_eq!(outcome.code, 2, "{}", outcome.stdout);
        assert!(outcome.stderr.contains("have no account and no file to compare"), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
    let again = copy("inventory.parquet");
    let (outcome, report) = verify(with_inventory.path(), again.path(), &[]);
    assert_eq!((outcome.code, report["files_equal"].as_u64()), (0, Some(1)), "{}", outcome.stdout);
}

#[test]
fn a_list_that_one_of_them_lacks_is_said_and_an_inventory_is_missed() {
    let copy = Copied::of(&RUN.path());
    for name in ["catalog-keys.json", "catalog-inventory.json", "ledger.parquet"] {
        fs_err::write(copy.path().join(name), "{}").unwrap();
    }
    let (outcome, report) = verify(&RUN.path(), copy.path(), &[]);
    assert_eq!((outcome.code, verdict(&report).0.as_str()), (0, "identical"), "{}", outcome.stdout);
    let notes = |side: &str| -> Vec<String> {
        let names = ["ledger.parquet", "catalog-inventory.json", "catalog-keys.json"];
        names.iter().map(|name| format!("{name} is not in {side}, and not compared")).collect()
    };
    assert_eq!(report["notes"], serde_json::json!(notes("A")));
    let (_, report) = verify(copy.path(), &RUN.path(), &[]);
    assert_eq!(report["notes"], serde_json::json!(notes("B")));

    let copy = Copied::of(&RUN.path());
    fs_err::remove_file(copy.path().join("inventory.parquet")).unwrap();
    for (a, b, side) in [(RUN.path().as_path(), copy.path(), "B"), (copy.path(), &RUN.path(), "A")] {
        let (outcome, report) = verify(a, b, &[]);
        assert_eq!(outcome.code, 3, "{}", outcome.stdout);
        assert_eq!(verdict(&report), ("different".to_owned(), vec!["damaged".to_owned()]));
        let damaged = &report["damaged"][0];
        assert_eq!(
            (damaged["side"].as_str(), damaged["path"].as_str()),
            (Some(side), Some("inventory.parquet"))
        );
    }
}
