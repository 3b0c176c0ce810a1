//! Joins: the view of the database and the same rows without a server, value by value and byte by byte.

mod expressions;
mod random;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float32Type, Float64Type};
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
use specmill::ledger::{FileRecord, Ledger, LedgerRow, State};
use specmill::stage::Stage;
use specmill_joins::{Fault, JoinFailure, SLICE_ROWS, UnitFile};
use specmill_schemas::joins::{Join, Source, join, joins};
use tempfile::TempDir;

use super::views::make_indexes;
use super::{TestDatabase, bare_command, finish};
use crate::run_folder::{Outcome, read_table};
use random::{Chance, Rows, sources};

const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// Tables with rows, by name.
type Lake = BTreeMap<String, (Source, Rows)>;

/// A table of about this many rows each, of those that `keep` says.
fn lake(seed: u64, rows: usize, keep: impl Fn(&str) -> bool) -> Lake {
    let mut chance = Chance(seed);
    let sources = sources(&joins()).into_iter().filter(|(name, _)| keep(name));
    sources
        .map(|(name, (source, names))| {
            let rows = Rows::random(&mut chance, &source, &names, rows);
            (name, (source, rows))
        })
        .collect()
}

/// Writes a lake's files and accounts into a run folder; gives the files.
fn write(lake: &Lake, folder: &Path) -> BTreeMap<String, Vec<UnitFile>> {
    let ledger = Ledger::of_run(folder);
    let mut files: BTreeMap<String, Vec<UnitFile>> = BTreeMap::new();
    for (name, (source, rows)) in lake {
        for unit in rows.units() {
            let place = if source.schema == "catalog" {
                format!("{unit}.parquet")
            } else {
                format!("features/{unit}.parquet")
            };
            let path = folder.join(&place);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            let batch = rows.of_unit(&unit);
            let file = fs_err::File::create(&path).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let bytes = fs_err::metadata(&path).unwrap().len();
            let stage = if source.schema == "catalog" { Stage::Catalog } else { Stage::Extract };
            let account = LedgerRow {
                stage,
                unit: unit.parse().unwrap(),
                stage_hash: "hash".to_owned(),
                state: State::Done,
                reason: None,
                rows_in: batch.num_rows() as u64,
                rows: BTreeMap::from([(
                    State::Done,
                    BTreeMap::from([(String::new(), batch.num_rows() as u64)]),
                )]),
                inputs: Vec::new(),
                outputs: vec![FileRecord { path: place, bytes, sha256: None }],
                notes: Vec::new(),
                seconds: 0.0,
            };
            ledger.commit(&account).unwrap();
            files.entry(name.clone()).or_default().push(UnitFile { unit, path });
        }
    }
    files
}

/// A database with the views and a lake's rows.
fn load(lake: &Lake) -> Option<TestDatabase> {
    let database = TestDatabase::migrated()?;
    let mut session = database.session();
    make_indexes(&mut session);
    for (name, (_, rows)) in lake {
        session.run(&rows.insert(name));
    }
    Some(database)
}

fn export(folder: &Path, url: &str, words: &[&str], out: &Path) -> Outcome {
    let words = [&["export"], words, &["--out", out.to_str().unwrap()]].concat();
    finish(bare_command(folder, &words).env("DATABASE_URL", url))
}

/// Column by column, floats by their bits.
fn assert_same(found: &RecordBatch, expected: &RecordBatch, what: &str) {
    assert_eq!(found.schema(), expected.schema(), "{what}");
    assert_eq!(found.num_rows(), expected.num_rows(), "{what}");
    for (field, (found, expected)) in
        expected.schema().fields().iter().zip(found.columns().iter().zip(expected.columns()))
    {
        // Equality of arrays takes 0 and -0 for the same.
        assert!(bits(found) == bits(expected), "{what}: {} differs", field.name());
    }
}

/// Every value as text, floats as their bits.
fn bits(array: &dyn Array) -> Vec<String> {
    let (singles, doubles) =
        (array.as_primitive_opt::<Float32Type>(), array.as_primitive_opt::<Float64Type>());
    let value = |row: usize| match (singles, doubles) {
        _ if array.is_null(row) => "NULL".to_owned(),
        (Some(singles), _) => format!("{:08x}", singles.value(row).to_bits()),
        (_, Some(doubles)) => format!("{:016x}", doubles.value(row).to_bits()),
        (None, None) => array_value_to_string(array, row).unwrap(),
    };
    (0..array.len()).map(value).collect()
}

#[test]
fn a_view_and_the_join_without_a_server_write_the_same_file() {
    for seed in SEEDS {
        let lake = lake(seed, 150, |_| true);
        let Some(database) = load(&lake) else { return };
        let folder = TempDir::new().unwrap();
        write(&lake, &folder.path().join("run"));
        for join in joins() {
            let (of_view, of_lake) = (folder.path().join("view.parquet"), folder.path().join("lake.parquet"));
            let view = export(folder.path(), &database.url(), &[&join.full_name()], &of_view);
            assert_eq!(view.code, 0, "{}", view.stderr);
            let polars = export(folder.path(), "", &["--join", join.name], &of_lake);
            assert_eq!(polars.code, 0, "{}", polars.stderr);
            assert_eq!(view.stdout.replace("view.parquet", "lake.parquet"), polars.stdout);
            let (found, expected) = (read_table(&of_lake), read_table(&of_view));
            assert!(expected.num_rows() > 5, "{} of seed {seed}: {}", join.name, expected.num_rows());
            assert_same(&found, &expected, &format!("{} of seed {seed}", join.name));
            assert!(
                fs_err::read(&of_lake).unwrap() == fs_err::read(&of_view).unwrap(),
                "{} of seed {seed}",
                join.name
            );
            let rows = database.session().value(&format!(
                "SELECT count(*) FROM {} b {}",
                join.base.source.full_name(),
                if join.filter.is_some() {
                    format!("WHERE spectype = '{}'", if join.name == "qso_ard" { "QSO" } else { "GALAXY" })
                } else {
                    String::new()
                }
            ));
            assert_eq!(rows, expected.num_rows().to_string(), "rows of {} lost or multiplied", join.name);
        }
    }
}

/// Rows of a join, in slices of about this many.
fn collect(
    join: &Join,
    files: &BTreeMap<String, Vec<UnitFile>>,
    slice_rows: usize,
) -> Result<(RecordBatch, u64), JoinFailure> {
    let of = |source: &Source| files.get(&source.full_name()).cloned().unwrap_or_default();
    let mut batches = Vec::new();
    let summary = specmill_joins::export(join, &of, slice_rows, &mut |batch| {
        batches.push(batch.clone());
        Ok::<(), ()>(())
    });
    let summary = summary.map_err(|fault| match fault {
        Fault::Join(failure) => failure,
        Fault::Taker(()) => unreachable!("nothing stops the taker"),
    })?;
    let schema = std::sync::Arc::new(join.table().arrow_schema());
    assert!(batches.len() <= 1, "few rows are one batch, in however many slices");
    let whole = concat_batches(&schema, &batches).unwrap();
    assert_eq!(summary.rows, whole.num_rows() as u64);
    Ok((whole, summary.slices))
}

#[test]
fn slices_change_no_value_and_no_order() {
    let folder = TempDir::new().unwrap();
    let files = write(&lake(7, 90, |_| true), folder.path());
    for join in joins() {
        let (whole, slices) = collect(&join, &files, SLICE_ROWS).unwrap();
        assert_eq!(slices, 1);
        let (found, slices) = collect(&join, &files, 1).unwrap();
        assert_eq!(slices, 5, "{}", join.name);
        assert_same(&found, &whole, join.name);
    }
}

#[test]
fn what_is_not_there_is_null_and_no_row_is_lost() {
    let alone = |name: &str| matches!(name, "spectra.features" | "catalog.zpix");
    let lake = lake(8, 60, alone);
    let Some(database) = load(&lake) else { return };
    let folder = TempDir::new().unwrap();
    write(&lake, &folder.path().join("run"));
    for join in joins() {
        let (of_view, of_lake) = (folder.path().join("view.parquet"), folder.path().join("lake.parquet"));
        assert_eq!(export(folder.path(), &database.url(), &[&join.full_name()], &of_view).code, 0);
        assert_eq!(export(folder.path(), "", &["--join", join.name], &of_lake).code, 0);
        let found = read_table(&of_lake);
        assert_same(&found, &read_table(&of_view), join.name);
        // No QSO catalogue: nothing is known, nothing is false.
        for column in ["good_z_elg", "good_z_qso", "qso_z"] {
            assert_eq!(found.column_by_name(column).unwrap().null_count(), found.num_rows(), "{column}");
        }
        let bgs = found.column_by_name("good_z_bgs").unwrap();
        assert!(bgs.null_count() < found.num_rows(), "{}", join.name);
    }
    // An empty run folder has no rows at all, and is no error.
    let empty = TempDir::new().unwrap();
    let out = empty.path().join("none.parquet");
    let outcome = export(empty.path(), "", &["--join", "qso_ard"], &out);
    assert!(
        outcome.stdout.starts_with("wrote 0 rows of ard.qso_ard"),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    assert_eq!(read_table(&out).num_rows(), 0);
}

#[test]
fn a_second_row_for_a_galaxy_is_refused_by_both() {
    let mut lake = lake(9, 60, |_| true);
    let (_, rows) = lake.get_mut("catalog.fastspec").unwrap();
    // Every row again, in a unit of its own.
    let again: Vec<_> = rows
        .rows
        .iter()
        .map(|row| {
            let mut row = row.clone();
            row[rows.table.index_of("unit").unwrap()] =
                random::Value::Text("catalog/fastspec/again/0".to_owned());
            row
        })
        .collect();
    rows.rows.extend(again);
    let folder = TempDir::new().unwrap();
    let files = write(&lake, &folder.path().join("run"));
    let failure = collect(&join("galaxy_ard").unwrap(), &files, SLICE_ROWS).unwrap_err();
    let said = failure.to_string();
    assert!(said.contains("catalog.fastspec has several rows of specprod = "), "{said}");
    assert!(said.contains("`galaxy_ard` would multiply rows"), "{said}");
    let out = folder.path().join("none.parquet");
    let outcome = export(folder.path(), "", &["--join", "galaxy_ard"], &out);
    assert_eq!((outcome.code, out.exists()), (6, false), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
    // A table that is not joined may have what it likes.
    assert!(collect(&join("zpix_quality").unwrap(), &files, SLICE_ROWS).is_ok());
    // The columns that are no key of a declaration have indexes of their own.
    let Some(database) = load(&Lake::new()) else { return };
    let galaxy = |gal: i64| {
        format!(
            "INSERT INTO catalog.v2_galzone (unit, row, specprod, sample, algorithm, cap, gal, targetid) \
         VALUES ('u', {gal}, 'iron', 's', 'VIDE', 'NGC', {gal}, 7)"
        )
    };
    database.session().run(&galaxy(1));
    let refused = database.session().refused(&galaxy(2));
    assert!(refused.contains("v2_galzone_one_targetid"), "{refused}");
}

#[test]
fn a_file_that_is_not_what_the_ledger_or_the_declaration_says_is_refused() {
    let folder = TempDir::new().unwrap();
    let files = write(&lake(10, 20, |_| true), &folder.path().join("run"));
    let damaged: &PathBuf = &files["catalog.zpix"][0].path;
    let whole = fs_err::read(damaged).unwrap();
    let out = folder.path().join("none.parquet");
    fs_err::write(damaged, &whole[..whole.len() - 1]).unwrap();
    let outcome = export(folder.path(), "", &["--join", "galaxy_ard"], &out);
    assert_eq!((outcome.code, out.exists()), (1, false), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("but the ledger says"), "{}", outcome.stderr);
    // The right size, and nothing in it.
    fs_err::write(damaged, vec![0_u8; whole.len()]).unwrap();
    let outcome = export(folder.path(), "", &["--join", "galaxy_ard"], &out);
    assert_eq!((outcome.code, out.exists()), (1, false), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("catalog.zpix"), "{}", outcome.stderr);
    // Columns of other types.
    let batch = read_table(&files["catalog.qso"][0].path);
    let file = fs_err::File::create(damaged).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let only: BTreeMap<_, _> = [("catalog.zpix".to_owned(), vec![files["catalog.zpix"][0].clone()])].into();
    let failure = collect(&join("zpix_quality").unwrap(), &only, 1).unwrap_err().to_string();
    assert!(failure.starts_with("the files of catalog.zpix have `"), "{failure}");
}
