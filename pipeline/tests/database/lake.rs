//! A run folder with everything the database takes, made once and copied for each test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};
use specmill::ledger::{Ledger, LedgerRow};
use specmill::stage::Stage;
use specmill::unit::UnitId;
use tempfile::TempDir;

use super::{Session, finish};
use crate::run_folder::{Outcome, Release, RunFolder, files_below, read_parquet};

/// A run folder of its own.
pub(crate) struct Lake {
    folder: TempDir,
}

/// Every table that `load` fills, as text that holds no time.
pub(crate) type Dump = Vec<(&'static str, Vec<Vec<String>>)>;

const TABLES: [(&str, &str); 7] = [
    ("spectra.features", "t::text"),
    ("ml.models", "t::text"),
    ("ml.embeddings", "t::text"),
    ("ml.neighbors", "t::text"),
    ("ml.scores", "t::text"),
    ("ops.load", "dataset, model_hash, unit, sha256, stage_hash, rows"),
    ("ops.ledger", "t::text"),
];

/// What the database holds, row by row.
pub(crate) fn dump(session: &mut Session) -> Dump {
    TABLES
        .iter()
        .map(|(table, columns)| {
            (*table, session.rows(&format!("SELECT {columns} FROM {table} t ORDER BY t::text")))
        })
        .collect()
}

/// Models small enough for the few spectra there are, and vectors for all of them.
const SETTINGS: [(&str, &str); 8] = [
    ("models.galaxy.components", "3"),
    ("models.qso.components", "1"),
    ("fit-basis.min_snr", "0.0"),
    ("embed.min_good_fraction", "0.1"),
    ("embed.max_variance", "1e9"),
    ("neighbors.k", "6"),
    ("neighbors.score_k", "4"),
    ("neighbors.metrics", "[\"l2\", \"cosine\"]"),
];

/// What is made once, for this process to copy; beside the release, and removed with it.
struct Made {
    folder: PathBuf,
    mask_rule: &'static str,
}

impl Made {
    fn under(mask_rule: &'static str) -> Self {
        let mut run = RunFolder::with_models_over(Release::shared().root());
        for (key, value) in SETTINGS {
            run.set(key, value);
        }
        run.set("extract.mask_rule", &format!("{mask_rule:?}"));
        run.run(0);
        let release = Release::shared().root().to_str().unwrap().to_owned();
        let folder = PathBuf::from(format!("{release}-lake-{mask_rule}"));
        copy_below(&run.path(), &folder);
        Self { folder, mask_rule }
    }
}

fn copy_below(from: &Path, to: &Path) {
    for path in files_below(from) {
        let to = to.join(path.strip_prefix(from).unwrap());
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        fs_err::copy(&path, to).unwrap();
    }
}

impl Lake {
    /// Five units, two models, their vectors and neighbours.
    pub(crate) fn new() -> Self {
        static MADE: LazyLock<Made> = LazyLock::new(|| Made::under("masked"));
        Self::copy_of(&MADE)
    }

    /// The same units under another setting: every row and both models differ.
    pub(crate) fn other() -> Self {
        static MADE: LazyLock<Made> = LazyLock::new(|| Made::under("dr1"));
        Self::copy_of(&MADE)
    }

    fn copy_of(made: &Made) -> Self {
        let folder = TempDir::new().unwrap();
        copy_below(&made.folder, &folder.path().join("run"));
        let mut text = format!(
            "input.root = {:?}\noutput.folder = {:?}\nextract.mask_rule = {:?}\n",
            Release::shared().root(),
            folder.path().join("run"),
            made.mask_rule
        );
        for (key, value) in SETTINGS {
            text.push_str(&format!("{key} = {value}\n"));
        }
        fs_err::write(folder.path().join("run.toml"), text).unwrap();
        Self { folder }
    }

    /// The run folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Sets a key of the run file, given as a line.
    pub(crate) fn set(&self, line: &str) {
        let path = self.folder.path().join("run.toml");
        let text = fs_err::read_to_string(&path).unwrap();
        let key = line.split('=').next().unwrap();
        let kept = text.lines().filter(|old| !old.starts_with(key)).chain([line]);
        fs_err::write(path, kept.collect::<Vec<_>>().join("\n")).unwrap();
    }

    /// `specmill` with these words, over this run folder and a database.
    pub(crate) fn command(&self, url: &str, words: &[&str]) -> Command {
        let mut command = super::bare_command(self.folder.path(), words);
        command.env("DATABASE_URL", url);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn call(&self, url: &str, words: &[&str]) -> Outcome {
        finish(&mut self.command(url, words))
    }

    /// `db load`, which must end with `code`.
    pub(crate) fn load(&self, url: &str, code: i32) -> Outcome {
        let outcome = self.call(url, &["db", "load"]);
        assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
        outcome
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::of_run(&self.path())
    }

    /// A unit with features and vectors of both classes.
    pub(crate) fn unit(&self) -> UnitId {
        let both = |unit: &UnitId| self.account(Stage::Embed, unit).outputs.len() == 2;
        self.ledger().units(Stage::Embed).unwrap().into_iter().find(both).expect("a unit with both classes")
    }

    pub(crate) fn account(&self, stage: Stage, unit: &UnitId) -> LedgerRow {
        self.ledger().read(stage, unit).unwrap().expect("an account")
    }

    /// Changes a unit's account of a stage.
    pub(crate) fn change_account(&self, stage: Stage, unit: &UnitId, change: impl FnOnce(&mut LedgerRow)) {
        let mut row = self.account(stage, unit);
        change(&mut row);
        self.ledger().commit(&row).unwrap();
    }

    /// Rewrites a unit's first output of a stage, and accounts for the new bytes.
    pub(crate) fn rewrite(
        &self,
        stage: Stage,
        unit: &UnitId,
        footer: &[(&str, &str)],
        change: impl FnOnce(RecordBatch) -> RecordBatch,
    ) -> String {
        let name = self.account(stage, unit).outputs[0].path.clone();
        let path = self.path().join(&name);
        let (batch, mut pairs) = read_parquet(&path);
        pairs.remove("ARROW:schema");
        pairs.extend(footer.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let batch = change(batch);
        let pairs = pairs.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
        let file = fs_err::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let bytes = fs_err::read(&path).unwrap();
        self.change_account(stage, unit, |row| {
            row.outputs[0].bytes = bytes.len() as u64;
            let digest = Sha256::digest(&bytes);
            row.outputs[0].sha256 = Some(digest.iter().map(|byte| format!("{byte:02x}")).collect());
        });
        name
    }
}
