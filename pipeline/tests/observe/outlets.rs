//! Metrics by every way out say what the ledger says, of whole runs and of others.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use specmill::ledger::{Ledger, State};
use specmill::stage::Stage;

use super::exposition::Exposition;
use super::{Gateway, Running, request};
use crate::catalog::run::{CatalogRun, toy_columns, toy_file};
use crate::database::TestDatabase;
use crate::database::lake::Lake;
use crate::run_folder::{Release, RunFolder};

/// What Prometheus asks for.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";

/// Fails where metrics and ledger do not say the same of a stage.
fn assert_as_the_ledger(found: &Exposition, run: &RunFolder, stage: Stage) {
    let accounts = run.accounts_of(stage);
    assert!(!accounts.is_empty());
    let of_stage = ("stage", stage.name());
    for state in State::ALL {
        let units = accounts.iter().filter(|row| row.state == state).count() as f64;
        let told = found.sum("specmill_units", &[of_stage, ("state", state.name())]);
        assert!((told - units).abs() < 0.5, "{stage} {}: {told} for {units}", state.name());
    }
    let mut rows = BTreeMap::<(State, &str), u64>::new();
    for (state, reasons) in accounts.iter().flat_map(|row| &row.rows) {
        for (reason, count) in reasons {
            *rows.entry((*state, reason)).or_default() += count;
        }
    }
    for ((state, reason), count) in &rows {
        let labels = [of_stage, ("state", state.name()), ("reason", reason)];
        let told = found.sum("specmill_targets", &labels);
        assert!((told - *count as f64).abs() < 0.5, "{labels:?}: {told} for {count}");
    }
    let series = found.matching("specmill_targets", &[of_stage]).filter(|(_, value)| *value > 0.0).count();
    assert_eq!(series, rows.len(), "{stage}");
    let partial = accounts.iter().filter(|row| row.state.is_partial()).count() as f64;
    assert!((found.sum("specmill_errors_total", &[of_stage]) - partial).abs() < 0.5);
    for (name, files) in [
        ("specmill_read_bytes_total", accounts.iter().flat_map(|row| &row.inputs).collect::<Vec<_>>()),
        ("specmill_written_bytes_total", accounts.iter().flat_map(|row| &row.outputs).collect()),
    ] {
        let once: BTreeMap<&str, u64> = files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
        let bytes = once.values().sum::<u64>() as f64;
        assert!((found.sum(name, &[of_stage]) - bytes).abs() < 0.5, "{stage} {name}");
    }
    assert!(found.sum("specmill_units_waiting", &[of_stage]) < 0.5);
}

fn exit_code(found: &Exposition) -> f64 {
    let codes: Vec<f64> =
        found.matching("specmill_run_last_exit_code", &[]).map(|(_, value)| value).collect();
    assert_eq!(codes.len(), 1);
    codes[0]
}

/// Whether a metric is the same however late somebody looks.
fn lasts(name: &str) -> bool {
    !["specmill_stage_seconds", "specmill_process_resident_memory_bytes"].contains(&name)
}

#[test]
fn a_run_that_is_watched_counts_up_to_its_ledger() {
    let release = Release::simulate(240, 12);
    let run = RunFolder::over(release.root());
    let gateway = Gateway::start();
    let file = run.path().parent().unwrap().join("last.prom");
    let mut command = run.command(&["run", "--metrics-listen", "127.0.0.1:0"]);
    command.arg("--metrics-file").arg(&file).arg("--metrics-push").arg(gateway.url());
    let mut running = Running::start(&mut command);
    let address = running.address();

    let health = request(address, "GET", "/healthz", "*/*").unwrap();
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    assert_eq!(request(address, "POST", "/metrics", "*/*").unwrap().status, 405);
    assert_eq!(request(address, "GET", "/else", "*/*").unwrap().status, 404);
    let plain = request(address, "GET", "/metrics", "*/*").unwrap();
    assert!(plain.head.to_ascii_lowercase().contains("content-type: text/plain; version=0.0.4"));
    Exposition::parse(&plain.body).assert_declared();

    let mut counted = BTreeMap::new();
    let (mut scrapes, mut rows_seen) = (0, Vec::new());
    while let Some(answer) = request(address, "GET", "/metrics", ACCEPT) {
        assert!(answer.head.to_ascii_lowercase().contains("content-type: application/openmetrics-text"));
        let found = Exposition::parse_open(&answer.body);
        found.assert_declared();
        for (key, value) in found.counters() {
            let before = counted.insert(key.clone(), value).unwrap_or(0.0);
            assert!(value >= before, "{key:?} fell from {before} to {value}");
        }
        rows_seen.push(found.sum("specmill_rows_total", &[("stage", "extract")]));
        scrapes += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, lines) = running.end();
    assert_eq!(code, 0, "{lines:#?}");
    rows_seen.dedup();
    assert!(scrapes > 5 && rows_seen.len() > 2, "{scrapes} scrapes, {rows_seen:?}");

    let pushed = gateway.pushed();
    assert!(pushed.line.starts_with("put /metrics/job/specmill/instance/"), "{}", pushed.line);
    assert!(pushed.head.contains("content-type: text/plain; version=0.0.4"), "{}", pushed.head);
    let last = Exposition::parse(&pushed.body);
    last.assert_declared();
    assert_as_the_ledger(&last, &run, Stage::Extract);
    assert!((last.sum("specmill_rows_total", &[("stage", "extract")]) - 240.0).abs() < 0.5);
    assert!(exit_code(&last) < 0.5);
    assert!(last.sum("specmill_stage_running", &[]) < 0.5);
    let (labels, _) = last.matching("specmill_run_info", &[]).next().unwrap();
    assert_eq!(labels["device"], "cpu");
    assert!(pushed.line.contains(&labels["run"]), "{} {}", pushed.line, labels["run"]);
    assert!(run.path().join("runs").join(format!("{}.json", labels["run"])).is_file());

    let mut written = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
    let mut last = last;
    written.series.retain(|(name, _), _| lasts(name));
    last.series.retain(|(name, _), _| lasts(name));
    assert_eq!(written.series, last.series);

    // Everything is settled now, and nothing is counted twice.
    let again = run.command(&["run", "--metrics-file"]).arg(&file).output().unwrap();
    assert!(again.status.success());
    let found = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
    let units = run.units().len() as f64;
    let settled = found.sum("specmill_units", &[("stage", "extract"), ("state", "settled")]);
    assert!((settled - units).abs() < 0.5 && units > 10.0, "{settled} of {units}");
    assert!((found.sum("specmill_units", &[("stage", "extract")]) - units).abs() < 0.5);
}

#[test]
fn a_damaged_file_is_an_error_of_its_class_and_a_partial_run_says_so() {
    let release = Release::shared().copy();
    let coadd = release.files("coadd-").remove(0);
    let bytes = fs_err::read(&coadd).unwrap();
    // Whole up to the spectra of an arm: what is wrong is only found where it is read.
    fs_err::write(&coadd, &bytes[..bytes.len() - 2880]).unwrap();
    let run = RunFolder::over(release.root());
    let file = run.path().parent().unwrap().join("last.prom");
    let words = ["run", "--accept-partial", "--metrics-file", file.to_str().unwrap()];
    let outcome = run.call(&words);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let found = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
    found.assert_declared();
    assert_as_the_ledger(&found, &run, Stage::Extract);
    let errors: Vec<(String, f64)> = found
        .matching("specmill_errors_total", &[("stage", "extract")])
        .map(|(labels, value)| (labels["reason"].clone(), value))
        .collect();
    assert_eq!(errors.len(), 1);
    assert!(["inventory", "input_damaged"].contains(&errors[0].0.as_str()), "{errors:?}");
    // The process ends well, the account does not.
    assert!((exit_code(&found) - 3.0).abs() < 0.5);
}

#[test]
fn an_interrupted_run_still_pushes() {
    let release = Release::simulate(240, 12);
    let run = RunFolder::over(release.root());
    let gateway = Gateway::start();
    let mut command = run.command(&["run", "--metrics-push", &gateway.url()]);
    let mut running = Running::start(&mut command);
    running.wait_for(&["stage begins", "extract"]);
    running.terminate();
    let (code, lines) = running.end();
    assert_eq!(code, 143, "{lines:#?}");
    let told = lines.iter().find(|line| line.contains("told to end")).unwrap();
    assert!(told.contains("\"run\":"), "{told}");
    let found = Exposition::parse(&gateway.pushed().body);
    found.assert_declared();
    assert!((exit_code(&found) - 143.0).abs() < 0.5);
    let sum = |name| found.sum(name, &[("stage", "extract")]);
    let accounted = run.accounts_of(Stage::Extract).len() as f64;
    assert!((sum("specmill_units") - accounted).abs() < 0.5);
    assert!(sum("specmill_units_waiting") > 0.5, "it was told to end too late");
    assert!(sum("specmill_errors_total") < 0.5);
}

#[test]
fn a_run_that_fails_pushes_why() {
    let run = RunFolder::over(Release::shared().root());
    let gateway = Gateway::start();
    // Nothing has been surveyed in this folder.
    let outcome = run.call(&["run", "--stage", "extract", "--metrics-push", &gateway.url()]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    let found = Exposition::parse(&gateway.pushed().body);
    found.assert_declared();
    assert!((exit_code(&found) - 2.0).abs() < 0.5);
    let labels = [("stage", "extract"), ("reason", "missing_upstream")];
    assert!((found.sum("specmill_errors_total", &labels) - 1.0).abs() < 0.5, "{found:?}");
}

#[test]
fn an_outlet_that_cannot_be_had_ends_the_run_before_it_begins() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = RunFolder::over(Release::shared().root());
    for (argument, value, problem) in [
        ("--metrics-listen", address.as_str(), "cannot listen on"),
        ("--metrics-push", "https://gateway:9091", "plain http alone"),
        ("--metrics-file", "/proc/none/last.prom", "cannot write"),
    ] {
        let outcome = run.call(&["run", argument, value]);
        assert_eq!(outcome.code, 2, "{argument}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(argument) && outcome.stderr.contains(problem), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("help: "), "{}", outcome.stderr);
    }
    assert!(!run.path().exists());
}

#[test]
fn a_gateway_that_is_not_there_changes_nothing_but_the_log() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = RunFolder::over(Release::shared().root());
    let outcome = run.call(&["run", "--stage", "inventory", "--metrics-push", &format!("http://{address}")]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the last metrics are not pushed"), "{}", outcome.stderr);
}

#[test]
fn a_card_tells_its_memory_and_how_busy_it_is() {
    const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
    let release = Release::simulate(6, 3);
    let run = RunFolder::over(release.root());
    let file = run.path().parent().unwrap().join("last.prom");
    let mut command = run.command(&["run", "--device", "cuda:0", "--metrics-file"]);
    command.arg(&file).env("LD_LIBRARY_PATH", specmill_emulation::driver_folder());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
    found.assert_declared();
    for (name, value) in [
        ("specmill_device_memory_total_bytes", 4.0 * GIB),
        ("specmill_device_memory_free_bytes", 3.0 * GIB),
        ("specmill_device_utilization_ratio", 0.25),
    ] {
        let told = found.sum(name, &[("device", "cuda:0")]);
        assert!((told - value).abs() < f64::EPSILON, "{name} {told}");
    }
    let (labels, _) = found.matching("specmill_run_info", &[]).next().unwrap();
    assert_eq!(labels["device"], "cuda:0");
}

#[test]
fn what_is_only_found_when_a_unit_is_read_has_its_own_class() {
    let release = Release::shared().copy();
    let coadd = release.files("coadd-").remove(0);
    let mut bytes = fs_err::read(&coadd).unwrap();
    let name = b"'B_WAVELENGTH'";
    let header = bytes.windows(name.len()).position(|window| window == name).unwrap();
    let end = bytes[header..].windows(80).position(|card| card.starts_with(b"END     ")).unwrap();
    // The first wavelength is another: no header says so.
    let data = (header + end).next_multiple_of(2880);
    bytes[data..data + 8].copy_from_slice(&1234.5_f64.to_be_bytes());
    fs_err::write(&coadd, bytes).unwrap();
    let run = RunFolder::over(release.root());
    let file = run.path().parent().unwrap().join("last.prom");
    let outcome = run.call(&["run", "--metrics-file", file.to_str().unwrap()]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    let found = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
    assert_as_the_ledger(&found, &run, Stage::Extract);
    let labels = [("stage", "extract"), ("reason", "input_unexpected")];
    assert!((found.sum("specmill_errors_total", &labels) - 1.0).abs() < 0.5, "{found:?}");
}

#[test]
fn an_account_taken_back_by_the_key_check_is_counted_once() {
    let mut run = CatalogRun::new();
    run.file("toy-iron-main.fits", &toy_file(&toy_columns(&[5, 6, 5])));
    run.file("toy-iron-sv3.fits", &toy_file(&toy_columns(&[5, 6])));
    run.catalog("name = \"toy\"", &["toy-iron-main.fits", "toy-iron-sv3.fits"]);
    let file = run.path("last.prom");
    for _ in 0..2 {
        let said = run.call(&["run", "--metrics-file", file.to_str().unwrap()]);
        assert_eq!(said.code, 3);
        let found = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
        found.assert_declared();
        let of_stage = ("stage", "catalog");
        let count = |name, label| found.sum(name, &[of_stage, label]);
        assert!((count("specmill_units", ("state", "failed")) - 1.0).abs() < 0.5, "{found:?}");
        assert!((count("specmill_errors_total", ("reason", "duplicate_key")) - 1.0).abs() < 0.5);
        assert!((count("specmill_targets", ("state", "failed")) - 3.0).abs() < 0.5);
        assert!(found.sum("specmill_units_waiting", &[of_stage]).abs() < 0.5);
        let units = found.sum("specmill_units", &[of_stage]);
        let accounts = Ledger::of_run(&run.path("run")).units(Stage::Catalog).unwrap().len() as f64;
        assert!((units - accounts).abs() < 0.5, "{units} of {accounts}");
    }
}

#[test]
fn what_the_database_does_not_have_is_waiting_until_it_has() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    let unit = lake.unit();
    let path = lake.path().join(&lake.account(Stage::Extract, &unit).outputs[0].path);
    let bytes = fs_err::read(&path).unwrap();
    let file = lake.path().join("last.prom");
    let load = |code: i32| {
        let words = ["db", "load", "--metrics-file", file.to_str().unwrap()];
        let outcome = lake.call(&database.url(), &words);
        assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
        let found = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
        found.assert_declared();
        found
    };
    let one = |found: &Exposition, name: &str, labels: &[(&str, &str)]| {
        found.matching(name, labels).map(|(_, value)| value).next()
    };
    fs_err::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let found = load(3);
    assert_eq!(one(&found, "specmill_load_units_waiting", &[]), Some(1.0));
    let oldest = one(&found, "specmill_load_oldest_unwritten_seconds", &[]).unwrap();
    assert!(oldest < 3600.0, "{oldest}");
    assert_eq!(one(&found, "specmill_errors_total", &[("reason", "lake")]), Some(1.0));
    // Mended, it is the only one that is loaded; settled are the others.
    fs_err::write(&path, &bytes).unwrap();
    let found = load(0);
    assert_eq!(one(&found, "specmill_load_units_waiting", &[]), Some(0.0));
    assert_eq!(one(&found, "specmill_load_oldest_unwritten_seconds", &[]), None);
    assert_eq!(one(&found, "specmill_units", &[("stage", "load"), ("state", "done")]), Some(1.0));
    assert_eq!(one(&found, "specmill_units", &[("stage", "load"), ("state", "settled")]), Some(6.0));
    assert_eq!(one(&found, "specmill_units_waiting", &[("stage", "load")]), Some(0.0));
}
