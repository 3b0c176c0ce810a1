//! Simulated catalogues through the stage `catalog`: what comes out is what their truth says; damaged, they stop nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::{cast, concat, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use specmill_schemas::catalogs::catalogs;
use specmill_simulate::{Grouping, Release, SimulateConfig, simulate};

use crate::fits::fuzz::{Stream, damage, damage_values, variable};
use crate::run_folder::{files_below, read_parquet};

/// Longer than usual: a number of seconds of the children's processor time.
const SECONDS_VARIABLE: &str = "SPECMILL_FUZZ_SECONDS";
/// Damaged files of one run.
const FILES_PER_RUN: usize = 40;
/// What a run over small damaged files may use at most.
const PEAK_LIMIT_KIB: i64 = 512 << 10;

/// A line of the truth.
struct Expected {
    catalog: String,
    specprod: String,
    file: String,
    table: String,
    column: String,
    rows: usize,
    nulls: usize,
    sum: f64,
}

/// Every catalogue there is, of the targets of three releases; gives the truth.
fn simulated(out: &Path, targets: usize) -> Vec<Expected> {
    let config = SimulateConfig {
        releases: Release::ALL.to_vec(),
        targets_per_unit: 25,
        grouping: Grouping::Both,
        repeat_fraction: 0.1,
        catalogs: catalogs(),
        spectra: false,
        ..SimulateConfig::new(out, targets)
    };
    simulate(&config).unwrap();
    let mut truth = Vec::new();
    for release in Release::ALL {
        let specprod = release.specprod();
        let text = fs_err::read_to_string(out.join(format!("truth/catalogs-{specprod}.csv"))).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let text = |i: usize| fields[i].to_owned();
            truth.push(Expected {
                catalog: text(0),
                specprod: specprod.to_owned(),
                file: text(2),
                table: text(4),
                column: text(5),
                rows: fields[6].parse().unwrap(),
                nulls: fields[7].parse().unwrap(),
                sum: fields[8].parse().unwrap(),
            });
        }
    }
    truth
}

/// Writes a run file over files of catalogues, each catalogue once per production; gives its path.
fn run_file(folder: &Path, root: &Path, files: &BTreeSet<(String, String, String)>) -> PathBuf {
    let mut entries: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (catalog, specprod, file) in files {
        entries.entry((catalog, specprod)).or_default().push(format!("{file:?}"));
    }
    let mut text = format!("[input]\nroot = {root:?}\n\n[output]\nfolder = {:?}\n", folder.join("out"));
    for ((catalog, specprod), files) in entries {
        let files = files.join(", ");
        text.push_str(&format!(
            "\n[[catalog]]\nname = \"{catalog}\"\nspecprod = \"{specprod}\"\nfiles = [{files}]\n"
        ));
    }
    let path = folder.join("run.toml");
    fs_err::write(&path, text).unwrap();
    path
}

fn run(run_file: &Path) -> Output {
    let arguments = ["run", run_file.to_str().unwrap(), "--stage", "catalog"];
    Command::new(env!("CARGO_BIN_EXE_specmill")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// The rows of a table that came from one file.
fn read_table(out: &Path, table: &str, file: &str) -> Option<RecordBatch> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    let blocks = files_below(&out.join("catalog").join(table).join(stem));
    let batches: Vec<RecordBatch> = blocks.iter().map(|path| read_parquet(path).0).collect();
    let schema = batches.first()?.schema();
    Some(concat_batches(&schema, &batches).unwrap())
}

/// NULL rows, and the elements of the others; a column of single values is its own elements.
fn elements(array: &ArrayRef) -> (usize, ArrayRef) {
    let rows: Vec<ArrayRef> = if let Some(lists) = array.as_list_opt::<i32>() {
        lists.iter().flatten().collect()
    } else if let Some(lists) = array.as_fixed_size_list_opt() {
        lists.iter().flatten().collect()
    } else {
        return (0, ArrayRef::clone(array));
    };
    let nulls = array.len() - rows.len();
    let rows: Vec<_> = rows.iter().map(AsRef::as_ref).collect();
    let empty = || arrow::array::new_empty_array(&DataType::Float64);
    (nulls, if rows.is_empty() { empty() } else { concat(&rows).unwrap() })
}

/// Sum of what is not NULL, and by how much two orders of addition may differ.
fn sum(array: &ArrayRef) -> (f64, f64) {
    if let Some(texts) = array.as_string_opt::<i32>() {
        let bytes: usize = texts.iter().flatten().map(str::len).sum();
        return (bytes as f64, 0.0);
    }
    if let Some(flags) = array.as_boolean_opt() {
        return (flags.true_count() as f64, 0.0);
    }
    if array.data_type().is_floating() {
        let values = cast(array, &DataType::Float64).unwrap();
        let values: Vec<f64> = values.as_primitive::<Float64Type>().iter().flatten().collect();
        // Each sum is off by n - 1 rounding errors of the sum of magnitudes at most (Higham 2002, 4.2).
        let slack = 2.0 * values.len() as f64 * f64::EPSILON / 2.0;
        return (values.iter().sum(), slack * values.iter().map(|value| value.abs()).sum::<f64>());
    }
    let values = cast(array, &DataType::Int64).unwrap();
    let total: i128 = values.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum();
    // The truth was written as a whole number, and both are rounded to the nearest double.
    (total as f64, 0.0)
}

#[test]
fn every_simulated_catalogue_reaches_the_lake_as_its_truth_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sim");
    let truth = simulated(&root, 360);
    let files =
        truth.iter().map(|line| (line.catalog.clone(), line.specprod.clone(), line.file.clone())).collect();
    let output = run(&run_file(folder.path(), &root, &files));
    assert!(output.status.success(), "{}", said(&output));
    let out = folder.path().join("out");
    let (mut table, mut of) = (None, (String::new(), String::new()));
    let mut compared = 0;
    for line in &truth {
        let key = (line.table.clone(), line.file.clone());
        if of != key {
            table = read_table(&out, &line.table, &line.file);
            of = key;
        }
        let place = format!("{}, {}, column {}", line.file, line.table, line.column);
        let Some(table) = &table else {
            assert_eq!(line.rows, 0, "{place}: there is no Parquet file");
            continue;
        };
        assert_eq!(table.num_rows(), line.rows, "{place}");
        let column = table.column_by_name(&line.column).unwrap();
        let (null_rows, cells) = elements(column);
        assert_eq!(null_rows + cells.null_count(), line.nulls, "NULLs of {place}");
        let (total, slack) = sum(&cells);
        assert!((total - line.sum).abs() <= slack, "{place}: the sum is {total}, expected {}", line.sum);
        compared += 1;
    }
    // FastSpecFit alone has a thousand columns.
    assert!(compared > 5000, "{compared}");
}

/// Processor seconds and peak memory (KiB) of the children that have ended.
fn children() -> (f64, i64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is to memory for one rusage, which the call fills.
    let result = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: the call succeeded, so it is filled.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss)
}

#[test]
fn damaged_catalogues_are_refused_or_read_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let intact = folder.path().join("intact");
    let truth = simulated(&intact, 150);
    let all: BTreeSet<(String, String, String)> =
        truth.iter().map(|line| (line.catalog.clone(), line.specprod.clone(), line.file.clone())).collect();
    let all: Vec<_> = all.into_iter().collect();
    let start = children().0;
    let limit = variable(SECONDS_VARIABLE).map(|seconds| seconds.parse::<f64>().unwrap());
    let (mut round, mut tried, mut done) = (0_u64, 0, 0);
    while limit.map_or(round < 1, |limit| children().0 - start < limit) {
        let here = folder.path().join(format!("round-{round}"));
        let mut stream = Stream(0xca7a_0000_0000 + round);
        let mut files = BTreeSet::new();
        for n in 0..FILES_PER_RUN {
            let entry = &all[stream.below(all.len())];
            let bytes = fs_err::read(intact.join(&entry.2)).unwrap();
            let bytes = match n % 4 {
                0 => bytes,
                1 => damage(&bytes, &mut stream),
                _ => damage_values(&bytes, &mut stream),
            };
            let path = here.join("files").join(&entry.2);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
            files.insert(entry.clone());
        }
        let output = run(&run_file(&here, &here.join("files"), &files));
        // 3: some unit failed. Anything else is a panic, a signal, or an account that does not add up.
        assert!(matches!(output.status.code(), Some(0 | 3)), "round {round}: {}", said(&output));
        tried += files.len();
        done += files_below(&here.join("out/catalog")).len();
        fs_err::remove_dir_all(here).unwrap();
        round += 1;
    }
    // Both kinds must occur: a run in which nothing was read would prove nothing.
    assert!(done * 5 > tried, "{done} tables of {tried} files");
    let (seconds, peak) = children();
    assert!(limit.is_none() || peak <= PEAK_LIMIT_KIB, "peak memory {peak} KiB");
    say(&format!(
        "{tried} files in {round} runs, {done} tables read, {:.1} s of processor time, peak memory {peak} KiB, other \
         tests included",
        seconds - start
    ));
}

#[expect(clippy::print_stdout, reason = "how much was tried is the result of a long run")]
fn say(text: &str) {
    println!("{text}");
}
