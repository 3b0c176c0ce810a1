//! A disk that is full, an output that is read-only, an input that is gone: reasons, not corruption.

use std::path::Path;
use std::process::{Command, Output};

use specmill::ledger::State;

use crate::run_folder::{Release, RunFolder};

/// Runs a shell script in mount namespaces of its own; `None` where the system does not let us.
fn with_own_mounts(script: &str, arguments: &[&Path]) -> Option<Output> {
    let unshare = |own: &str| {
        let mut command = Command::new("unshare");
        command.args([own, "--"]);
        command
    };
    // Root needs no user namespace, and others cannot do without one.
    let ways = ["-m", "-Urm"];
    let works = |own: &&str| {
        let probe = unshare(own).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        probe.is_ok_and(|output| output.status.success())
    };
    let Some(own) = ways.into_iter().find(works) else {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("SKIPPED: no mount namespaces here to fill a disk in");
        }
        return None;
    };
    Some(unshare(own).args(["sh", "-euc", script, "sh"]).args(arguments).output().unwrap())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_full_disk_ends_the_run_with_a_reason_and_room_lets_it_go_on() {
    let release = Release::shared();
    let whole = RunFolder::over(release.root());
    whole.run(0);
    let run = RunFolder::over(release.root());
    // Writes the run file; the command is then the script's.
    drop(run.command(&["run"]));
    let (program, run_file) =
        (Path::new(env!("CARGO_BIN_EXE_specmill")), run.path().with_file_name("run.toml"));
    let kept = tempfile::tempdir().unwrap();
    let script = "mkdir -p $3; mount -t tmpfs -o size=600k tmpfs $3; code=0; $1 run $2 || code=$?; echo first $code; \
                  $1 status $2 > $4/status || echo status $?; mount -o remount,size=200m $3; $1 run $2; cp -a $3 $4/run";
    let arguments = [program, &run_file, &run.path(), kept.path()];
    let Some(output) = with_own_mounts(script, &arguments) else { return };
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("first 1\n"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("help: check free space"), "{said}");
    assert!(said.contains("status 3\n"), "{said}");
    // What the namespace held is gone with it; the copy stays.
    fs_err::remove_dir(run.path()).unwrap();
    fs_err::rename(kept.path().join("run"), run.path()).unwrap();
    assert_eq!(run.digests(), whole.digests());
    run.assert_nothing_partial();
}

#[test]
fn a_read_only_output_is_refused_with_a_reason() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    drop(run.command(&["run"]));
    let (program, run_file) =
        (Path::new(env!("CARGO_BIN_EXE_specmill")), run.path().with_file_name("run.toml"));
    let script = "mkdir -p $3; mount -t tmpfs -o ro tmpfs $3; code=0; $1 run $2 || code=$?; echo ended $code";
    let Some(output) = with_own_mounts(script, &[program, &run_file, &run.path()]) else { return };
    let said = said(&output);
    assert!(said.contains("ended 1\n"), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("help: check free space and permissions"), "{said}");
}

#[test]
fn an_input_that_vanished_fails_its_unit_and_comes_back() {
    let release = Release::shared().copy();
    let whole = RunFolder::over(release.root());
    whole.run(0);
    let run = RunFolder::over(release.root());
    assert_eq!(run.call(&["run", "--stage", "inventory"]).code, 0);
    let coadd = release.files("coadd-").remove(2);
    let aside = coadd.with_extension("aside");
    fs_err::rename(&coadd, &aside).unwrap();
    let outcome = run.call(&["run", "--stage", "extract"]);
    assert_eq!(outcome.code, 3, "{}{}", outcome.stdout, outcome.stderr);
    let failed: Vec<_> = run.accounts().into_iter().filter(|row| row.state == State::Failed).collect();
    assert_eq!(failed.len(), 1);
    let reason = failed[0].reason.as_deref().unwrap();
    assert!(reason.contains(coadd.to_str().unwrap()), "{reason}");
    assert!(reason.contains("No such file or directory"), "{reason}");
    fs_err::rename(&aside, &coadd).unwrap();
    run.run(0);
    assert_eq!(run.digests(), whole.digests());
}
