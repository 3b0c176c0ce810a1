//! A simulated release, and the program run over it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};
use specmill::ledger::{Ledger, LedgerRow};
use specmill::stage::Stage;
use specmill::unit::UnitId;
use specmill_simulate::{Grouping, Resolution, SimulateConfig, Truth, simulate};
use tempfile::TempDir;

/// A release tree.
pub(crate) struct Release {
    root: PathBuf,
    /// Removes the tree with this value; absent where the tree serves the whole process.
    _folder: Option<TempDir>,
}

impl Release {
    /// `n_targets` rows of DR1 in pixels and tiles, without RESOLUTION.
    pub(crate) fn simulate(n_targets: usize, targets_per_unit: usize) -> Self {
        let folder = TempDir::new().unwrap();
        Self::simulate_into(folder.path(), n_targets, targets_per_unit);
        Self { root: folder.path().to_owned(), _folder: Some(folder) }
    }

    /// The same for all tests of this process, which only read it.
    pub(crate) fn simulate_lasting(n_targets: usize, targets_per_unit: usize) -> Self {
        let root = lasting_folder(&format!("{n_targets}x{targets_per_unit}"));
        Self::simulate_into(&root, n_targets, targets_per_unit);
        Self { root, _folder: None }
    }

    fn simulate_into(root: &Path, n_targets: usize, targets_per_unit: usize) {
        simulate(&SimulateConfig {
            targets_per_unit,
            grouping: Grouping::Both,
            resolution: Resolution::None,
            truth: Truth::None,
            threads: Some(2),
            ..SimulateConfig::new(root, n_targets)
        })
        .unwrap();
    }

    /// Five units of twelve targets, four pixels and a tile; not to be written to.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Arc<Release>> = LazyLock::new(|| Arc::new(Release::simulate_lasting(60, 12)));
        Arc::clone(&SHARED)
    }

    /// A copy to be damaged.
    pub(crate) fn copy(&self) -> Self {
        let folder = TempDir::new().unwrap();
        for path in files_below(self.root()) {
            let to = folder.path().join(path.strip_prefix(self.root()).unwrap());
            fs_err::create_dir_all(to.parent().unwrap()).unwrap();
            fs_err::copy(&path, to).unwrap();
        }
        Self { root: folder.path().to_owned(), _folder: Some(folder) }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Every file whose name begins with `prefix`, in order.
    pub(crate) fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
        files_below(self.root()).into_iter().filter(named).collect()
    }
}

/// A folder of this process in cargo's scratch space. A static is never dropped, so what earlier
/// processes left is removed here.
fn lasting_folder(name: &str) -> PathBuf {
    const PREFIX: &str = "release-of-";
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs_err::create_dir_all(scratch).unwrap();
    for entry in fs_err::read_dir(scratch).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap_or_default();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if process.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            // Another process may be tidying up too.
            let _ = fs_err::remove_dir_all(entry.path());
        }
    }
    scratch.join(format!("{PREFIX}{}-{name}", std::process::id()))
}

/// Sends a signal, by its name without SIG; the shell's own word needs no package.
pub(crate) fn send_signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {process}")]).status().unwrap();
    assert!(sent.success());
}

/// How a command ended and what it said.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run file over a release, and the run folder it fills.
pub(crate) struct RunFolder {
    folder: PathBuf,
    lines: Vec<String>,
    /// Removes the folder with this value; absent where it serves the whole process.
    _temporary: Option<TempDir>,
}

impl RunFolder {
    /// A run on the CPU with the default settings, up to `extract`.
    pub(crate) fn over(root: &Path) -> Self {
        let mut run = Self::with_models_over(root);
        run.set("models.galaxy.name", "\"\"").set("models.qso.name", "\"\"");
        run
    }

    /// A run on the CPU with the default settings, up to `neighbors`.
    pub(crate) fn with_models_over(root: &Path) -> Self {
        let temporary = TempDir::new().unwrap();
        let run = Self::in_folder(root, temporary.path());
        Self { _temporary: Some(temporary), ..run }
    }

    /// The same in a folder that lasts as long as this process.
    pub(crate) fn lasting_over(root: &Path, name: &str) -> Self {
        Self::in_folder(root, &lasting_folder(name))
    }

    fn in_folder(root: &Path, folder: &Path) -> Self {
        fs_err::create_dir_all(folder).unwrap();
        let lines = [
            format!("input.root = {root:?}"),
            format!("output.folder = {:?}", folder.join("run")),
            "resources.device = \"cpu\"".to_owned(),
            "resources.threads = 2".to_owned(),
        ];
        Self { lines: lines.to_vec(), folder: folder.to_owned(), _temporary: None }
    }

    /// Sets a key of the run file, e.g. `resources.threads`, to a TOML value.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.lines.retain(|line| !line.starts_with(&format!("{key} =")));
        self.lines.push(format!("{key} = {value}"));
        self
    }

    /// The run folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// `specmill <word> RUN.toml <rest>`, ready to start.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let run_file = self.folder.join("run.toml");
        let text = self.lines.join("\n");
        // A process that was started before may be reading it.
        if fs_err::read_to_string(&run_file).ok().as_ref() != Some(&text) {
            fs_err::write(&run_file, text).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_specmill"));
        command.arg(words[0]).arg(run_file).args(&words[1..]);
        command.env_remove("RUST_LOG").env_remove("SPECMILL_LOG_FORMAT");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn call(&self, words: &[&str]) -> Outcome {
        let output = self.command(words).output().unwrap();
        Outcome {
            code: output.status.code().expect("ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `run`, which must end with `code`.
    pub(crate) fn run(&self, code: i32) -> Outcome {
        let outcome = self.call(&["run"]);
        assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
        outcome
    }

    /// SHA-256 of everything that must not depend on how the work was divided, by path.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        self.results()
            .into_iter()
            .map(|(name, path)| (name, format!("{:x?}", Sha256::digest(fs_err::read(path).unwrap()))))
            .collect()
    }

    /// Inode and time of change of every result: equal where a file was not written again.
    pub(crate) fn identities(&self) -> BTreeMap<String, (u64, i64, i64)> {
        self.results()
            .into_iter()
            // The inventory is taken anew by every run.
            .filter(|(name, _)| name != "inventory.parquet")
            .map(|(name, path)| {
                let metadata = fs_err::metadata(path).unwrap();
                (name, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
            })
            .collect()
    }

    fn results(&self) -> Vec<(String, PathBuf)> {
        let root = self.path();
        files_below(&root)
            .into_iter()
            .map(|path| (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), path))
            .filter(|(name, _)| {
                // Ledger and run records hold times.
                let folder = name.split('/').next().unwrap_or_default();
                name == "inventory.parquet"
                    || ["features", "spectra", "models", "embeddings", "neighbors", "scores"]
                        .contains(&folder)
            })
            .collect()
    }

    /// The ids of all units that have an account, in order.
    pub(crate) fn units(&self) -> Vec<UnitId> {
        let ledger = self.path().join("ledger/extract");
        let id = |path: PathBuf| {
            let relative = path.strip_prefix(&ledger).unwrap().with_extension("");
            relative.to_str().unwrap().parse().unwrap()
        };
        let mut units: Vec<UnitId> = files_below(&ledger).into_iter().map(id).collect();
        units.sort();
        units
    }

    /// The account of a unit.
    pub(crate) fn account(&self, unit: &UnitId) -> LedgerRow {
        Ledger::of_run(&self.path()).read(Stage::Extract, unit).unwrap().expect("every unit has an account")
    }

    /// Every account, in the order of the units.
    pub(crate) fn accounts(&self) -> Vec<LedgerRow> {
        self.units().iter().map(|unit| self.account(unit)).collect()
    }

    /// Every account of a stage, in the order of its units.
    pub(crate) fn accounts_of(&self, stage: Stage) -> Vec<LedgerRow> {
        let ledger = Ledger::of_run(&self.path());
        let units = ledger.units(stage).unwrap();
        units.iter().map(|unit| ledger.read(stage, unit).unwrap().unwrap()).collect()
    }

    /// A result as one batch, with its footer's keys and values.
    pub(crate) fn read(&self, name: &str) -> (RecordBatch, BTreeMap<String, String>) {
        read_parquet(&self.path().join(name))
    }

    /// The features of a unit.
    pub(crate) fn features(&self, unit: &UnitId) -> RecordBatch {
        self.read(&format!("features/{unit}.parquet")).0
    }

    /// Fails where anything is left of a file that was not finished.
    pub(crate) fn assert_nothing_partial(&self) {
        let partial = |path: &PathBuf| path.to_str().unwrap().contains("/.");
        let left: Vec<PathBuf> = files_below(&self.path())
            .into_iter()
            .map(|path| path.strip_prefix(&self.folder).unwrap().to_owned())
            .filter(partial)
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!self.path().join(".partial").exists());
    }
}

/// Every file below a folder, in order; none where there is no folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A Parquet file as one batch, with its footer's keys and values.
pub(crate) fn read_parquet(path: &Path) -> (RecordBatch, BTreeMap<String, String>) {
    let file = fs_err::File::open(path).unwrap().into_parts().0;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let footer = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let footer = footer.into_iter().map(|pair| (pair.key, pair.value.unwrap_or_default())).collect();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    (concat_batches(&schema, &batches).unwrap(), footer)
}

/// A Parquet file as one batch.
pub(crate) fn read_table(path: &Path) -> RecordBatch {
    read_parquet(path).0
}

/// A text column; "" where NULL.
pub(crate) fn text<'a>(batch: &'a RecordBatch, name: &str) -> Vec<&'a str> {
    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
    (0..column.len()).map(|row| if column.is_valid(row) { column.value(row) } else { "" }).collect()
}
