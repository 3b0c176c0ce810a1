//! A run folder with two catalogues in the lake, one declared and one as it is, for loaders and the like.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use sha2::{Digest, Sha256};
use specmill::ledger::{FileRecord, Ledger, LedgerRow, RowCounts, State};
use specmill::stage::Stage;
use specmill::unit::UnitId;
use specmill_schemas::Element;
use specmill_schemas::array_item;
use specmill_schemas::catalogs::Catalog;
use tempfile::TempDir;

use crate::database::{Session, bare_command, finish};
use crate::run_folder::Outcome;

/// Rows of each unit.
pub(super) const ROWS: usize = 300;

/// The catalogue that the run file declares.
pub(super) const DECLARATION: &str = r#"
title = "Things."
reference = "nobody 2026"
files = ["things-{specprod}.fits", "more-{specprod}.fits"]
[[release]]
name = "v1"
[[table]]
name = "things"
description = "One thing's row."
hdu = "THINGS"
key = ["targetid", "survey"]
position = ["ra", "dec"]
source = "THINGS"
columns = [
    { fits = "TARGETID", type = "int64", ucd = "meta.id;meta.main", required = true, description = "target" },
    { fits = "SURVEY", type = "text", required = true, description = "survey, or so it's said" },
    { fits = "RA", type = "float64", unit = "deg", ucd = "pos.eq.ra", description = "right ascension" },
    { fits = "DEC", type = "float64", unit = "deg", description = "declination" },
    { fits = "FLUX", type = "float32", unit = "nmgy", description = "flux" },
    { fits = "GOOD", type = "bool", description = "whether it is" },
    { fits = "CODE", type = "int16", codes = { 0 = "none", 1 = "some" }, description = "which" },
    { fits = "MASK", type = "int32", description = "bits" },
    { fits = "MASS", type = "float64[3]", unit = "solMass", h = "0.7", description = "masses" },
    { fits = "LINKS", type = "int64[]", description = "others" },
    { fits = "NAMES", type = "text[]", description = "what it is called" },
    { fits = "FLAGS", type = "bool[2]", description = "flags" },
]
"#;

/// A run folder of its own.
pub(super) struct Shelf {
    folder: TempDir,
}

/// Everything that loading leaves, as text that holds no time.
pub(super) fn dump(session: &mut Session) -> Vec<Vec<Vec<String>>> {
    ["catalog.things", "catalog_raw.extra", "ops.ledger"]
        .map(|table| format!("SELECT t::text FROM {table} t ORDER BY 1"))
        .into_iter()
        .chain(["SELECT dataset, unit, sha256, stage_hash, rows FROM ops.load ORDER BY 1, 2".to_owned()])
        .map(|sql| session.rows(&sql))
        .collect()
}

/// Numbers that look like none, the same every time.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Knuth's MMIX generator.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next()).unwrap()) / f64::from(1_u32 << 31)
    }

    /// A value in four cases of five.
    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let some = !self.next().is_multiple_of(5);
        let value = value(self);
        some.then_some(value)
    }
}

/// The fixed-size lists of these rows' items; every fifth row is NULL.
fn fixed(element: Element, items: ArrayRef, len: usize, rows: usize) -> ArrayRef {
    let nulls = NullBuffer::from_iter((0..rows).map(|row| row % 5 != 2));
    let len = i32::try_from(len).unwrap();
    Arc::new(FixedSizeListArray::new(Arc::new(array_item(element)), len, items, Some(nulls)))
}

/// Lists of 0, 1, 2, 0, … items; every seventh row is NULL.
fn ragged(element: Element, items: impl Fn(usize) -> ArrayRef, rows: usize) -> ArrayRef {
    let lengths = (0..rows).map(|row| row % 3);
    let items = items(lengths.clone().sum());
    let nulls = NullBuffer::from_iter((0..rows).map(|row| row % 7 != 3));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(Arc::new(array_item(element)), offsets, items, Some(nulls)))
}

/// A unit's rows of `things`: the same for the same seed.
pub(super) fn things(unit: &UnitId, seed: u64) -> RecordBatch {
    let mut noise = Noise::new(seed);
    let UnitId::Catalog { block, .. } = unit else { panic!("{unit}") };
    let first = i64::from(*block) * i64::try_from(ROWS).unwrap();
    let count = || 0..i64::try_from(ROWS).unwrap();
    let text = unit.to_string();
    let names = |n: usize| -> ArrayRef {
        Arc::new(
            (0..n).map(|at| (at % 4 > 0).then(|| format!("{at} \"q\" \\ , {{}} é"))).collect::<StringArray>(),
        )
    };
    let links = |n: usize| -> ArrayRef {
        Arc::new((0..n).zip(-5_i64..).map(|(at, link)| (at % 3 > 0).then_some(link)).collect::<Int64Array>())
    };
    let (ra, dec): (Vec<_>, Vec<_>) = (0..ROWS)
        .map(|_| (noise.maybe(|n| 360.0 * n.fraction()), noise.maybe(|n| 180.0 * n.fraction() - 90.0)))
        .unzip();
    // The pixel of order 29 is only carried here; the stage that computes it has tests of its own.
    let healpix: Vec<Option<i64>> =
        (0..ROWS).map(|_| noise.maybe(|n| i64::try_from(n.next()).unwrap())).collect();
    let mass: Float64Array = (0..3 * ROWS).map(|_| noise.maybe(|n| 1e12 * n.fraction())).collect();
    let flags: BooleanArray = (0..2 * ROWS).map(|_| noise.maybe(|n| n.next() % 2 == 0)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![text.as_str(); ROWS])),
        Arc::new(Int64Array::from_iter_values(count().map(|row| first + row))),
        Arc::new(StringArray::from(vec!["iron"; ROWS])),
        Arc::new(Int64Array::from_iter_values(count().map(|row| (first + row) * 7 - 40))),
        Arc::new(StringArray::from_iter_values(count().map(|row| if row % 2 == 0 { "main" } else { "sv3" }))),
        Arc::new(Float64Array::from(ra)),
        Arc::new(Float64Array::from(dec)),
        Arc::new(
            (0..ROWS)
                .map(|_| noise.maybe(|n| f32::from(u16::try_from(n.next() % 60_000).unwrap()) / 7.0))
                .collect::<Float32Array>(),
        ),
        Arc::new((0..ROWS).map(|_| noise.maybe(|n| n.next() % 2 == 0)).collect::<BooleanArray>()),
        Arc::new(
            (0..ROWS).map(|_| noise.maybe(|n| i16::try_from(n.next() % 2).unwrap())).collect::<Int16Array>(),
        ),
        Arc::new(
            (0..ROWS).map(|_| noise.maybe(|n| i32::try_from(n.next()).unwrap())).collect::<Int32Array>(),
        ),
        fixed(Element::Float64, Arc::new(mass), 3, ROWS),
        ragged(Element::Int64, links, ROWS),
        ragged(Element::Text, names, ROWS),
        fixed(Element::Bool, Arc::new(flags), 2, ROWS),
        Arc::new(Int64Array::from(healpix)),
    ];
    let table = Catalog::parse("things", DECLARATION).unwrap().tables[0].table();
    RecordBatch::try_new(Arc::new(table.arrow_schema()), columns).unwrap()
}

/// A unit's rows of `extra`, with numbers that are none.
pub(super) fn extra(unit: &UnitId, seed: u64) -> RecordBatch {
    let mut noise = Noise::new(seed);
    let text = unit.to_string();
    let z = [Some(f64::NAN), Some(f64::INFINITY), None, Some(-0.0)];
    let samples = Float32Array::from_iter((0..2 * ROWS).map(|at| [Some(f32::NAN), None, Some(1.5)][at % 3]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("unit", Arc::new(StringArray::from(vec![text.as_str(); ROWS]))),
        ("row", Arc::new(Int64Array::from_iter_values(0..i64::try_from(ROWS).unwrap()))),
        (
            "select",
            Arc::new(
                (0..ROWS).map(|_| noise.maybe(|n| i64::try_from(n.next()).unwrap())).collect::<Int64Array>(),
            ),
        ),
        ("z", Arc::new((0..ROWS).map(|row| z[row % 4]).collect::<Float64Array>())),
        ("samples", fixed(Element::Float32, Arc::new(samples), 2, ROWS)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| {
            Field::new(
                *name,
                array.data_type().clone(),
                array.data_type() != &DataType::Int64 || *name != "row",
            )
        })
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect())
        .unwrap()
}

pub(super) fn unit(table: &str, file: &str, block: u32) -> UnitId {
    let declared = table != "extra";
    UnitId::Catalog { declared, table: table.to_owned(), file: file.to_owned(), block }
}

/// The units of a shelf.
pub(super) fn units() -> Vec<UnitId> {
    let mut units: Vec<UnitId> = (0..3).map(|block| unit("things", "things-iron", block)).collect();
    units.push(unit("extra", "extra", 0));
    units
}

impl Shelf {
    /// Three units of `things` and one of `extra`.
    pub(super) fn new() -> Self {
        Self::with_seed(1)
    }

    /// The same units with other rows.
    pub(super) fn with_seed(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs_err::write(at("things.toml"), DECLARATION).unwrap();
        let text = format!(
            "input.root = {:?}\ninput.declarations = [{:?}]\noutput.folder = {:?}\n\
             [[catalog]]\nname = \"things\"\nfiles = [\"things-iron.fits\", \"more-iron.fits.gz\"]\n\
             [[catalog]]\nraw = \"extra\"\nfiles = [\"extra.fits\"]\n",
            folder.path(),
            at("things.toml"),
            at("run")
        );
        fs_err::write(at("run.toml"), text).unwrap();
        let shelf = Self { folder };
        for (n, unit) in units().iter().enumerate() {
            let seed = 100 * seed + n as u64;
            let is_raw = matches!(unit, UnitId::Catalog { declared: false, .. });
            shelf.put(unit, &if is_raw { extra(unit, seed) } else { things(unit, seed) });
        }
        shelf
    }

    /// The run folder.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub(super) fn ledger(&self) -> Ledger {
        Ledger::of_run(&self.path())
    }

    /// The run file's declaration, changed.
    pub(super) fn redeclare(&self, from: &str, to: &str) {
        let path = self.folder.path().join("things.toml");
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs_err::write(path, text.replace(from, to)).unwrap();
    }

    /// The file of a unit.
    pub(super) fn file(&self, unit: &UnitId) -> PathBuf {
        self.path().join(format!("{unit}.parquet"))
    }

    /// Writes a unit's rows with their account, as the stage would.
    pub(super) fn put(&self, unit: &UnitId, rows: &RecordBatch) {
        let path = self.file(unit);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs_err::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        let bytes = fs_err::read(&path).unwrap();
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut counts = RowCounts::new();
        counts.entry(State::Done).or_default().insert(String::new(), rows.num_rows() as u64);
        let row = LedgerRow {
            stage: Stage::Catalog,
            unit: unit.clone(),
            stage_hash: "0123".to_owned(),
            state: State::Done,
            reason: None,
            rows_in: rows.num_rows() as u64,
            rows: counts,
            inputs: Vec::new(),
            outputs: vec![FileRecord {
                path: format!("{unit}.parquet"),
                bytes: bytes.len() as u64,
                sha256: Some(sha256),
            }],
            notes: Vec::new(),
            seconds: 0.0,
        };
        self.ledger().commit(&row).unwrap();
    }

    /// `specmill` with these words, over this run folder and a database.
    pub(super) fn command(&self, url: &str, words: &[&str]) -> Command {
        let mut command = bare_command(self.folder.path(), words);
        command.env("DATABASE_URL", url);
        command
    }

    /// Runs a command, which must end with `code`.
    pub(super) fn call(&self, url: &str, words: &[&str], code: i32) -> Outcome {
        let outcome = finish(&mut self.command(url, words));
        assert_eq!(outcome.code, code, "{words:?}: {}{}", outcome.stdout, outcome.stderr);
        outcome
    }

    /// `db migrate`, then `db load`.
    pub(super) fn load(&self, url: &str) {
        self.call(url, &["db", "migrate"], 0);
        self.call(url, &["db", "load"], 0);
    }

    /// Why a unit was not loaded.
    pub(super) fn reason(&self, unit: &UnitId) -> String {
        let row = self.ledger().read(Stage::Load, unit).unwrap().expect("an account");
        assert_eq!(row.state, State::Failed, "{unit}");
        row.reason.unwrap()
    }
}
