//! `verify` and `rerun`: what is the same, what is not, and what is said of it; and runs as PROV.

mod folders;
mod prov;
mod rerun;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use specmill::ledger::{FileRecord, Ledger, LedgerRow};
use specmill::stage::Stage;
use specmill::unit::UnitId;
use tempfile::TempDir;

use crate::run_folder::{Outcome, Release, RunFolder, files_below};

/// Enough for a basis of each class.
static RELEASE: LazyLock<Release> = LazyLock::new(|| Release::simulate_lasting(120, 24));

/// A whole run, up to neighbours, that all tests of this process read.
static RUN: LazyLock<RunFolder> = LazyLock::new(|| {
    let mut run = RunFolder::lasting_over(RELEASE.root(), "run-to-verify");
    run.set("models.galaxy.components", "3").set("models.qso.name", "\"\"");
    run.run(0);
    run
});

/// `specmill <words>`.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_specmill"));
    command.args(words);
    command.env_remove("RUST_LOG").env_remove("SPECMILL_LOG_FORMAT");
    command
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn call(words: &[&str]) -> Outcome {
    outcome(&mut command(words))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A copy of a run folder, to be damaged.
struct Copied {
    folder: TempDir,
}

impl Copied {
    fn of(run: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        for path in files_below(run) {
            let to = folder.path().join(path.strip_prefix(run).unwrap());
            fs_err::create_dir_all(to.parent().unwrap()).unwrap();
            fs_err::copy(&path, to).unwrap();
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn units(&self, stage: Stage) -> Vec<UnitId> {
        Ledger::of_run(self.path()).units(stage).unwrap()
    }

    fn account(&self, stage: Stage, unit: &UnitId) -> LedgerRow {
        Ledger::of_run(self.path()).read(stage, unit).unwrap().unwrap()
    }

    /// Puts other bytes in the place of an output, and says so in its account.
    fn replace(&self, stage: Stage, unit: &UnitId, path: &str, bytes: &[u8]) {
        fs_err::write(self.path().join(path), bytes).unwrap();
        let mut row = self.account(stage, unit);
        let output = row.outputs.iter_mut().find(|file| file.path == path).unwrap();
        *output =
            FileRecord { path: path.to_owned(), bytes: bytes.len() as u64, sha256: Some(sha256(bytes)) };
        Ledger::of_run(self.path()).commit(&row).unwrap();
        let _ = fs_err::remove_dir_all(self.path().join(".partial"));
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `verify A B <more>` with its report.
fn verify(a: &Path, b: &Path, more: &[&str]) -> (Outcome, Value) {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report.json");
    let mut words = vec!["verify", text(a), text(b), "--report", text(&report)];
    words.extend(more);
    let outcome = call(&words);
    let report =
        fs_err::read_to_string(&report).unwrap_or_else(|_| panic!("{}{}", outcome.stdout, outcome.stderr));
    (outcome, serde_json::from_str(&report).unwrap())
}

/// The verdict and its causes, most important first.
fn verdict(report: &Value) -> (String, Vec<String>) {
    let causes = report["causes"].as_array().unwrap();
    let names = causes.iter().map(|cause| cause[0].as_str().unwrap().to_owned()).collect();
    (report["verdict"].as_str().unwrap().to_owned(), names)
}

/// The newest record of a run folder.
fn newest_record(run: &Path) -> PathBuf {
    files_below(&run.join("runs")).pop().unwrap()
}
