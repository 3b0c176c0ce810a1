//! A run over catalogues made here: files, declarations, a run file, what it leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::RecordBatch;
use specmill::ledger::{Ledger, LedgerRow};
use specmill::stage::Stage;
use specmill::unit::UnitId;
use tempfile::TempDir;

use crate::fits_bytes::{FitsBytes, TestColumn};
use crate::run_folder::{files_below, read_parquet};

/// A catalogue with everything that a declaration can say.
pub(crate) const TOY: &str = r#"
title = "A catalogue for tests."
reference = "none"
files = ["toy-{specprod}-{survey}.fits", "toy-{specprod}.fits", "toy.fits"]

[[release]]
name = "toy v0"
column = ["OLD"]
refuse = "its fluxes are wrong: take v1"

[[release]]
name = "toy v1 of the old templates"
keyword = { TOYVER = "1", "DEPVER*" = "templates-0." }
refuse = "its masses are wrong: take one of the new templates"

[[release]]
name = "toy v1"
keyword = { TOYVER = "1" }
rows = { "toy-iron-main.fits" = 4, "toy-iron-main.fits:toy_lines" = 2 }

[[release]]
name = "toy v2"
specprod = "loa"
keyword = { TOYVER = "2" }

[[table]]
name = "toy"
description = "A row per target."
hdu = ["TOY", "TOYS"]
key = ["targetid", "survey"]
position = ["ra", "dec"]
source = "TOY"
columns = [
    { fits = "TARGETID", type = "int64", required = true, description = "identifier" },
    { fits = "SURVEY", type = "text", or_name = "survey", required = true, description = "survey" },
    { fits = ["TARGET_RA", "RA"], name = "ra", type = "float64", unit = "deg", description = "right ascension" },
    { fits = "DEC", type = "float64", unit = "deg", description = "declination" },
    { fits = "FLUX", type = "float32", unit = "nanomaggy", null_where_zero = "FLUX_IVAR", description = "flux" },
    { fits = "FLUX_IVAR", type = "float32", unit = "nanomaggy-2", description = "its weight" },
    { fits = "RADIUS", type = "float64", unit = "Mpc", units = { "kpc" = 0.001 }, multiply = 2.0, add = 1.0, h = "1", optional = true, description = "diameter and one" },
    { fits = "MASS", type = "float32", null = [-1, 0.1], optional = true, description = "mass" },
    { fits = "CLASS", type = "text", null = ["NONE"], optional = true, description = "class" },
    { fits = "GOOD", type = "bool", optional = true, description = "whether it is" },
    { fits = "COUNT", type = "int16", null = [-1], optional = true, description = "a number" },
    { fits = "COEFF", type = "float32[3]", optional = true, description = "coefficients" },
    { fits = "TILES", type = "int32[]", optional = true, description = "tiles" },
    { name = "ls_id", type = "int64", legacy_id = ["RELEASE", "BRICKID", "OBJID"], optional = true, description = "id of the Legacy Surveys" },
]

[[table]]
name = "toy_lines"
description = "Several rows per target."
hdu = "LINES"
key = ["targetid"]
unique = false
optional = true
source = "LINES"
columns = [
    { fits = "TARGETID", type = "int64", required = true, description = "identifier" },
    { fits = "Z", type = "float64", description = "redshift" },
]
"#;

/// The columns that every file of the toy has.
pub(crate) fn toy_columns(ids: &[i64]) -> Vec<TestColumn> {
    let n = ids.len();
    vec![
        TestColumn::i64("TARGETID", ids),
        TestColumn::f64("RA", &vec![217.5; n]),
        TestColumn::f64("DEC", &vec![-3.25; n]),
        TestColumn::f32("FLUX", &vec![2.5; n]),
        TestColumn::f32("FLUX_IVAR", &vec![4.0; n]),
    ]
}

/// A file with the toy's table.
pub(crate) fn toy_file(columns: &[TestColumn]) -> Vec<u8> {
    let mut file = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    file.table("TOY", columns, &[], &[]);
    file.0
}

/// A folder with catalogues, a run file over them, and the run folder it fills.
pub(crate) struct CatalogRun {
    folder: TempDir,
    entries: Vec<String>,
    /// Lines of `[resources]` and others.
    pub(crate) more: String,
    /// How files are told apart.
    pub(crate) digest: &'static str,
}

/// How a command ended and what it said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl CatalogRun {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs_err::create_dir(folder.path().join("declarations")).unwrap();
        let run = Self {
            folder,
            entries: Vec::new(),
            more: "[resources]\nthreads = 2\n".to_owned(),
            digest: "none",
        };
        run.declare("toy", TOY);
        run
    }

    pub(crate) fn declare(&self, name: &str, text: &str) {
        let path = self.folder.path().join("declarations").join(format!("{name}.toml"));
        fs_err::write(path, text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; its path.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Adds a `[[catalog]]` of some files; `settings` are lines of it.
    pub(crate) fn catalog(&mut self, settings: &str, files: &[&str]) -> &mut Self {
        let files: Vec<PathBuf> = files.iter().map(|name| self.path(name)).collect();
        self.entries.push(format!("[[catalog]]\nfiles = {files:?}\n{settings}\n"));
        self
    }

    /// The toy's file under its usual name, and the entry for it.
    pub(crate) fn toy(&mut self, bytes: &[u8]) -> &mut Self {
        self.file("toy-iron-main.fits", bytes);
        self.catalog("name = \"toy\"", &["toy-iron-main.fits"])
    }

    pub(crate) fn forget(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn run_file(&self) -> PathBuf {
        let text = format!(
            "input.declarations = [{:?}]\ninput.digest = {:?}\noutput.folder = {:?}\n{}\n{}",
            self.path("declarations"),
            self.digest,
            self.path("run"),
            self.entries.concat(),
            self.more
        );
        self.file("run.toml", text.as_bytes())
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_specmill"));
        command.args(words).arg(self.run_file());
        command.env_remove("RUST_LOG").env_remove("SPECMILL_LOG_FORMAT");
        command
    }

    pub(crate) fn call(&self, words: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    /// `run`, which must end with `code`.
    pub(crate) fn run(&self, code: i32) -> Said {
        let said = self.call(&["run"]);
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        assert!(!self.path("run/.partial").exists());
        said
    }

    /// The account of a unit.
    pub(crate) fn account(&self, unit: &str) -> LedgerRow {
        let unit: UnitId = unit.parse().unwrap();
        let row = Ledger::of_run(&self.path("run")).read(Stage::Catalog, &unit).unwrap();
        row.unwrap_or_else(|| panic!("{unit} has no account"))
    }

    /// Why a unit failed.
    pub(crate) fn reason(&self, unit: &str) -> String {
        self.account(unit).reason.unwrap_or_default()
    }

    pub(crate) fn rows(&self, unit: &str) -> RecordBatch {
        read_parquet(&self.path("run").join(format!("{unit}.parquet"))).0
    }

    pub(crate) fn footer(&self, unit: &str) -> BTreeMap<String, String> {
        read_parquet(&self.path("run").join(format!("{unit}.parquet"))).1
    }

    /// Every Parquet file with its bytes.
    pub(crate) fn lake(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let parquet = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
        let relative = |path: &Path| path.strip_prefix(self.folder.path()).unwrap().to_owned();
        files_below(&self.path("run"))
            .into_iter()
            .filter(parquet)
            .map(|path| (relative(&path), fs_err::read(&path).unwrap()))
            .collect()
    }
}

/// The toy's file is refused, another catalogue goes on, and the run says so; the reason.
pub(crate) fn refused(bytes: &[u8]) -> String {
    refused_as("name = \"toy\"", "toy-iron-main.fits", bytes)
}

/// The same with other settings, under another name.
pub(crate) fn refused_as(settings: &str, name: &str, bytes: &[u8]) -> String {
    let mut run = CatalogRun::new();
    run.file(name, bytes);
    run.catalog(settings, &[name]);
    run.file("other.fits", &toy_file(&toy_columns(&[1])));
    run.catalog("raw = \"other\"", &["other.fits"]);
    run.run(3);
    assert_eq!(run.rows("catalog_raw/other/other/0").num_rows(), 1, "the other catalogue went on");
    let stem = name.strip_suffix(".fits").unwrap();
    let unit = format!("catalog/toy/{stem}/0");
    let row = run.account(&unit);
    assert!(row.outputs.is_empty() && !run.path(&format!("run/{unit}.parquet")).exists());
    assert!(row.adds_up());
    let reason = row.reason.unwrap();
    assert!(reason.contains(name), "the file is named: {reason}");
    let status = run.call(&["status"]);
    assert_eq!(status.code, 3);
    assert!(status.out.contains(&reason), "{}", status.out);
    reason
}
