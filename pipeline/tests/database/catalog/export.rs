//! `export` of catalogues: what was loaded comes out again, to the bit.

use std::os::unix::fs::PermissionsExt;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use tempfile::TempDir;

use super::shelf::{Shelf, unit, units};
use crate::database::TestDatabase;
use crate::run_folder::read_table;

/// The rows of a table's units, as the lake has them.
fn rows_of(shelf: &Shelf, table: &str) -> RecordBatch {
    let of_table = |unit: &specmill::unit::UnitId| unit.to_string().split('/').nth(1) == Some(table);
    let batches: Vec<RecordBatch> =
        units().iter().filter(|unit| of_table(unit)).map(|unit| read_table(&shelf.file(unit))).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn rows_and_arrays_come_out_as_they_went_in() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    let folder = TempDir::new().unwrap();
    for table in ["things", "extra"] {
        let expected = rows_of(&shelf, table);
        let full = if table == "extra" { "catalog_raw.extra" } else { "catalog.things" };
        let out = folder.path().join(format!("{table}.parquet"));
        let outcome = shelf.call(&database.url(), &["export", full, "--out", out.to_str().unwrap()], 0);
        assert!(
            outcome.stdout.contains(&format!("wrote {} rows of {full}", expected.num_rows())),
            "{}",
            outcome.stdout
        );
        let found = read_table(&out);
        for (field, column) in expected.schema().fields().iter().zip(expected.columns()) {
            assert_eq!(found.column_by_name(field.name()).unwrap(), column, "{}", field.name());
            let metadata = found.schema().field_with_name(field.name()).unwrap().metadata().clone();
            assert_eq!(metadata, *field.metadata(), "{}", field.name());
        }
        assert_eq!(found.num_columns(), expected.num_columns());
    }
    let out = folder.path().join("some.parquet");
    let filter = [
        "export",
        "catalog.things",
        "--where",
        "targetid between 0 and 100 and good = true",
        "--out",
        out.to_str().unwrap(),
    ];
    shelf.call(&database.url(), &filter, 0);
    let some = database
        .session()
        .value("SELECT count(*) FROM catalog.things WHERE targetid BETWEEN 0 AND 100 AND good");
    assert!(some != "0" && read_table(&out).num_rows().to_string() == some, "{some}");
}

#[test]
fn arrays_survive_csv_and_the_server_s_own_reader() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    let folder = TempDir::new().unwrap();
    fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut session = database.session();
    for table in ["catalog.things", "catalog_raw.extra"] {
        let out = folder.path().join("table.csv");
        shelf.call(&database.url(), &["export", table, "--out", out.to_str().unwrap()], 0);
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
fn a_table_that_is_not_there_is_refused_with_those_that_are() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    let refused = shelf.call(&database.url(), &["export", "catalog.thing", "--out", "x.csv"], 2);
    assert!(refused.stderr.contains("the database has no `catalog.thing`"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("catalog.things") && refused.stderr.contains("catalog_raw.extra"),
        "{}",
        refused.stderr
    );
    // An array that the server was given by other hands is not bent into its column's shape.
    database.session().run("UPDATE catalog.things SET mass = '{1,2}' WHERE \"row\" = 5");
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("x.parquet");
    let refused =
        shelf.call(&database.url(), &["export", "catalog.things", "--out", out.to_str().unwrap()], 1);
    assert!(refused.stderr.contains("an array of 2 elements where 3 are declared"), "{}", refused.stderr);
    assert!(!out.exists() && shelf.file(&unit("things", "things-iron", 0)).exists());
}
