//! SIGTERM: the unit in hand is finished or abandoned, and the next run goes on from there.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::listens;
use crate::run_folder::{Release, RunFolder, files_below, send_signal};

fn signal(child: &Child, name: &str) {
    send_signal(child.id(), name);
}

/// A run over forty units that has accounted for two of them.
fn begun(run: &RunFolder, grace_seconds: &str) -> Child {
    let before = run.units().len();
    let mut command = run.command(&["run"]);
    command.env("SPECMILL_GRACE_SECONDS", grace_seconds);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while run.units().len() < before + 2 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was told to");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn forty_units() -> (Release, RunFolder) {
    let release = Release::simulate(120, 3);
    let mut run = RunFolder::over(release.root());
    run.set("resources.threads", "1");
    (release, run)
}

#[test]
fn a_run_told_to_end_finishes_the_unit_in_hand_and_the_next_goes_on() {
    let (release, run) = forty_units();
    let whole = RunFolder::over(release.root());
    whole.run(0);
    for signal_name in ["TERM", "INT"] {
        let child = begun(&run, "60");
        signal(&child, signal_name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(143), "{said}");
        assert!(said.contains("told to end: finishing what is in hand, 60 s at most"), "{said}");
        assert!(said.contains("help: the same command goes on where this one ended"), "{said}");
        // Nothing lies about half-written, and the record says how it ended.
        run.assert_nothing_partial();
        // Names of records begin with the time.
        let records = files_below(&run.path().join("runs"));
        let record: serde_json::Value =
            serde_json::from_slice(&fs_err::read(records.last().unwrap()).unwrap()).unwrap();
        assert_eq!(record["exit_code"], 143);
        let status = run.call(&["status"]);
        assert_eq!(status.code, 3, "{}", status.stdout);
    }
    let done = run.units().len();
    assert!(done < 40, "it did not stop");
    run.run(0);
    assert_eq!(run.digests(), whole.digests());
}

#[test]
fn without_grace_the_unit_in_hand_is_abandoned_and_nothing_else_is_lost() {
    let (release, run) = forty_units();
    let whole = RunFolder::over(release.root());
    whole.run(0);
    let message = release.root().join("termination-log");
    let mut command = run.command(&["run"]);
    command.env("SPECMILL_GRACE_SECONDS", "0").env("SPECMILL_TERMINATION_MESSAGE", &message);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while run.units().len() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was told to");
        std::thread::sleep(Duration::from_millis(1));
    }
    let started = Instant::now();
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(started.elapsed() < Duration::from_secs(10), "nobody waits that long");
    let left = fs_err::read_to_string(&message).unwrap();
    assert_eq!(left, "exit 143: the unit in hand took longer than the grace period");
    let done = run.units().len();
    assert!((2..40).contains(&done));
    run.run(0);
    assert_eq!(run.digests(), whole.digests());
    run.assert_nothing_partial();
}

#[test]
fn before_work_begins_there_is_nothing_to_finish() {
    let (_release, run) = forty_units();
    // The plan waits for its redshift catalogue, which nobody writes.
    let pipe = run.path().with_file_name("redshifts.fits");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut waiting = run;
    waiting.set("redshifts.source", "\"catalog\"").set("redshifts.path", &format!("{pipe:?}"));
    waiting.set("redshifts.default_spectype", "\"GALAXY\"");
    let message = waiting.path().with_file_name("termination-log");
    let mut command = waiting.command(&["run"]);
    command.env("SPECMILL_GRACE_SECONDS", "3600").env("SPECMILL_TERMINATION_MESSAGE", &message);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !listens(child.id()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was told to");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(fs_err::read_to_string(&message).unwrap(), "exit 143: told to end before work began");
}

#[test]
fn being_told_twice_ends_it_at_once() {
    let (_release, run) = forty_units();
    let child = begun(&run, "3600");
    // Stopped, it cannot finish the unit before the second signal is there.
    signal(&child, "STOP");
    signal(&child, "TERM");
    signal(&child, "INT");
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.signal(), None);
    run.run(0);
    run.assert_nothing_partial();
}
