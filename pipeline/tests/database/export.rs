//! `export`: what was loaded comes out again, to the bit and in the same order.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use specmill::stage::Stage;
use tempfile::TempDir;

use super::TestDatabase;
use super::lake::Lake;
use crate::run_folder::{Outcome, read_table, text};

fn export(lake: &Lake, database: &TestDatabase, words: &[&str], out: &Path) -> Outcome {
    let words = [&["export"], words, &["--out", out.to_str().unwrap()]].concat();
    lake.call(&database.url(), &words)
}

/// A loaded lake, and a folder that the server may read too.
fn loaded() -> Option<(TestDatabase, Lake, TempDir)> {
    let database = TestDatabase::migrated()?;
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    let folder = TempDir::new().unwrap();
    fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Some((database, lake, folder))
}

/// The lake's own files of a table, in the order of their units.
fn files(lake: &Lake, stage: Stage, folder: &str) -> Vec<RecordBatch> {
    let ledger = lake.ledger();
    let mut named: Vec<String> = ledger
        .units(stage)
        .unwrap()
        .iter()
        .flat_map(|unit| lake.account(stage, unit).outputs)
        .map(|file| file.path)
        .filter(|path| path.starts_with(folder))
        .collect();
    named.sort();
    named.iter().map(|name| read_table(&lake.path().join(name))).collect()
}

/// Rows sorted by unit and TARGETID.
fn sorted(batches: &[RecordBatch]) -> RecordBatch {
    let whole = concat_batches(&batches[0].schema(), batches).unwrap();
    let units = text(&whole, "unit");
    let targets: &arrow::array::Int64Array =
        whole.column_by_name("targetid").unwrap().as_any().downcast_ref().unwrap();
    let mut order: Vec<u32> = (0..u32::try_from(whole.num_rows()).unwrap()).collect();
    order.sort_by_key(|row| (units[*row as usize], targets.value(*row as usize)));
    // Whole runs of rows are taken one by one: nothing here is large.
    let rows: Vec<RecordBatch> = order.iter().map(|row| whole.slice(*row as usize, 1)).collect();
    concat_batches(&whole.schema(), &rows).unwrap()
}

#[test]
fn features_come_out_as_they_went_in() {
    let Some((database, lake, folder)) = loaded() else { return };
    let out = folder.path().join("features.parquet");
    let outcome = export(&lake, &database, &["spectra.features"], &out);
    assert_eq!((outcome.code, outcome.stdout.contains("wrote 60 rows")), (0, true), "{}", outcome.stderr);
    let (found, expected) = (read_table(&out), sorted(&files(&lake, Stage::Extract, "features")));
    assert_eq!(found.num_rows(), expected.num_rows());
    for (field, column) in expected.schema().fields().iter().zip(expected.columns()) {
        assert_eq!(found.column_by_name(field.name()).unwrap(), column, "{}", field.name());
        let metadata = found.schema().field_with_name(field.name()).unwrap().metadata().clone();
        assert_eq!(metadata, *field.metadata(), "{}", field.name());
    }
    assert!(found.column_by_name("healpix29").is_some());
    // The same bytes again.
    let again = folder.path().join("again.parquet");
    assert_eq!(export(&lake, &database, &["spectra.features"], &again).code, 0);
    assert_eq!(fs_err::read(out).unwrap(), fs_err::read(again).unwrap());
}

#[test]
fn vectors_of_one_model_come_out_as_they_went_in() {
    let Some((database, lake, folder)) = loaded() else { return };
    let hash = database.session().value("SELECT model_hash FROM ml.models WHERE name = 'qso-empca'");
    let out = folder.path().join("vectors.parquet");
    let filter = format!("model_hash = '{hash}'");
    let outcome = export(&lake, &database, &["ml.embeddings", "--where", &filter], &out);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let (found, expected) = (read_table(&out), sorted(&files(&lake, Stage::Embed, "embeddings/qso-empca")));
    assert_eq!(found.columns(), expected.columns());
}

#[test]
fn vectors_of_several_lengths_come_out_as_lists_of_any_length() {
    let Some((database, lake, folder)) = loaded() else { return };
    let out = folder.path().join("vectors.parquet");
    let outcome = export(&lake, &database, &["ml.embeddings"], &out);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let found = read_table(&out);
    let vectors = found.column_by_name("embedding").unwrap().as_list::<i32>();
    let mut lengths: Vec<i32> = (0..vectors.len())
        .filter(|row| vectors.is_valid(*row))
        .map(|row| vectors.value_length(row))
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [1, 3]);
}

#[test]
fn every_table_survives_csv_and_the_server_s_own_reader() {
    let Some((database, lake, folder)) = loaded() else { return };
    let mut session = database.session();
    for table in [
        "spectra.features",
        "ml.models",
        "ml.embeddings",
        "ml.neighbors",
        "ml.scores",
        "ops.ledger",
        "ops.load",
        "ops.run",
    ] {
        let out = folder.path().join("table.csv");
        let outcome = export(&lake, &database, &[table], &out);
        assert_eq!(outcome.code, 0, "{table}: {}", outcome.stderr);
        session.run(&format!(
            "DROP TABLE IF EXISTS back; CREATE TEMP TABLE back (LIKE {table}); \
             COPY back FROM '{}' (FORMAT csv, HEADER match)",
            out.display()
        ));
        let differing = format!(
            "SELECT count(*) FROM (SELECT t::text FROM {table} t) a FULL JOIN (SELECT b::text AS t FROM back b) b \
             ON a.t = b.t WHERE a.t IS NULL OR b.t IS NULL"
        );
        assert_eq!(session.value(&differing), "0", "{table}");
        assert_ne!(session.value("SELECT count(*) FROM back"), "0", "{table}");
    }
}

#[test]
fn filters_choose_the_rows_that_sql_chooses() {
    let Some((database, lake, folder)) = loaded() else { return };
    let mut session = database.session();
    let some_snr =
        session.value("SELECT snr_r FROM spectra.features WHERE snr_r > 0 ORDER BY snr_r LIMIT 1 OFFSET 9");
    for filter in [
        "z between 0.5 and 1.5",
        "z not between 0.5 and 1.5 and state = 'done'",
        &format!("snr_r = {some_snr}"),
        &format!("snr_r <= {some_snr} and snr_r is not null"),
        "zwarn in (0, 4) and spectype in ('QSO', 'STAR')",
        "zwarn not in (0)",
        "survey is null",
        "survey is not null and row < 3.5",
        "targetid >= 0 and targetid <> 7 and unit != 'x'",
    ] {
        let out = folder.path().join("some.parquet");
        let outcome = export(&lake, &database, &["spectra.features", "--where", filter], &out);
        assert_eq!(outcome.code, 0, "{filter}: {}", outcome.stderr);
        // The grammar is a part of SQL's, but for reals, which SQL would compare in double precision.
        let in_sql = filter.replace(&some_snr, &format!("{some_snr}::real"));
        let expected = session.value(&format!("SELECT count(*) FROM spectra.features WHERE {in_sql}"));
        assert_eq!(read_table(&out).num_rows().to_string(), expected, "{filter}");
    }
    let unique =
        session.value(&format!("SELECT count(*) FROM spectra.features WHERE snr_r = {some_snr}::real"));
    assert_ne!(unique, "0", "the comparison of a real would find nothing");
}

#[test]
fn a_wrong_table_file_or_filter_is_refused_and_no_file_left() {
    let Some((database, lake, folder)) = loaded() else { return };
    for (words, out, said) in [
        (&["features"][..], "x.csv", "`features` is not one of ops.migration"),
        (&["spectra.features"], "x.txt", "neither in .parquet nor in .csv"),
        (&["spectra.features", "--where", "z > 'a'"], "x.csv", "cannot be compared"),
    ] {
        let out = folder.path().join(out);
        let outcome = export(&lake, &database, words, &out);
        assert_eq!(outcome.code, 2, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
    let outcome = export(&lake, &database, &["spectra.features"], &folder.path().join("none/x.csv"));
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
}
