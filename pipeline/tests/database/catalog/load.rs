//! `load` of catalogues: once however often, whole or not at all, and never into a table that does not fit.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use specmill::ledger::State;
use specmill::stage::Stage;

use super::shelf::{Noise, ROWS, Shelf, dump, extra, things, unit, units};
use crate::database::{Session, TestDatabase};

/// Units whose rows are not as many as `ops.load` says.
const DISAGREEING: &str = "SELECT unit, l.rows, r.rows FROM ops.load l FULL JOIN \
     (SELECT unit, count(*) AS rows FROM catalog.things GROUP BY unit \
      UNION ALL SELECT unit, count(*) FROM catalog_raw.extra GROUP BY unit) r USING (unit) \
     WHERE l.rows IS DISTINCT FROM r.rows";

fn assert_whole(session: &mut Session) {
    assert_eq!(session.rows(DISAGREEING), Vec::<Vec<String>>::new());
}

/// Units loaded and units settled before, from the table a run prints.
fn loaded_and_settled(stdout: &str) -> (usize, usize) {
    let line = stdout.lines().find(|line| line.starts_with("load ")).unwrap();
    let counts: Vec<usize> = line.split_whitespace().skip(1).take(2).map(|n| n.parse().unwrap()).collect();
    (counts[0], counts[1])
}

#[test]
fn a_run_folder_with_catalogues_alone_is_loaded_once() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "migrate"], 0);
    let first = shelf.call(&database.url(), &["db", "load"], 0);
    assert_eq!(loaded_and_settled(&first.stdout), (4, 0), "{}", first.stdout);
    let mut session = database.session();
    let before = dump(&mut session);
    assert_eq!(session.value("SELECT count(*) FROM catalog.things"), (3 * ROWS).to_string());
    assert_eq!(session.value("SELECT count(*) FROM catalog_raw.extra"), ROWS.to_string());
    assert_eq!(session.value("SELECT count(*) FROM ops.ledger WHERE stage = 'catalog'"), "4");
    let moments = session.rows("SELECT * FROM ops.load ORDER BY unit");
    let second = shelf.call(&database.url(), &["db", "load"], 0);
    assert_eq!(loaded_and_settled(&second.stdout), (0, 4), "{}", second.stdout);
    assert_eq!(session.rows("SELECT * FROM ops.load ORDER BY unit"), moments);
    assert_eq!(dump(&mut session), before);
    let check = database.specmill(&["db", "check"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.contains("catalog.things") && check.stdout.contains("900 rows"), "{}", check.stdout);
}

#[test]
fn a_changed_digest_replaces_its_unit_and_no_other() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    let changed = unit("things", "things-iron", 1);
    shelf.put(&changed, &things(&changed, 77));
    let outcome = shelf.call(&database.url(), &["db", "load"], 0);
    assert_eq!(loaded_and_settled(&outcome.stdout), (1, 3), "{}", outcome.stdout);
    shelf.load(&alone.url());
    assert_eq!(dump(&mut database.session()), dump(&mut alone.session()));
}

#[test]
fn a_unit_that_failed_since_or_is_gone_loses_its_rows() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    let (failed, gone) = (unit("things", "things-iron", 1), unit("things", "things-iron", 2));
    let mut row = shelf.ledger().read(Stage::Catalog, &failed).unwrap().unwrap();
    row.state = State::Failed;
    row.outputs.clear();
    shelf.ledger().commit(&row).unwrap();
    // The file has two blocks of rows now.
    shelf.ledger().retract(Stage::Catalog, &gone).unwrap();
    shelf.call(&database.url(), &["db", "load"], 3);
    let mut session = database.session();
    let left = session.rows("SELECT DISTINCT unit FROM catalog.things");
    assert_eq!(left, [["catalog/things/things-iron/0"]]);
    assert_whole(&mut session);
    let row = shelf.ledger().read(Stage::Load, &gone).unwrap().unwrap();
    assert_eq!((row.state, row.rows_in), (State::Empty, 0));
    let row = shelf.ledger().read(Stage::Load, &failed).unwrap().unwrap();
    assert_eq!(row.state, State::MissingUpstream);
}

#[test]
fn a_file_that_cannot_be_taken_any_more_loses_all_its_blocks() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    // What the stage leaves of a file that is refused or not there: one account, without rows.
    let first = unit("things", "things-iron", 0);
    let mut row = shelf.ledger().read(Stage::Catalog, &first).unwrap().unwrap();
    row.state = State::MissingUpstream;
    row.outputs.clear();
    shelf.ledger().commit(&row).unwrap();
    for block in [1, 2] {
        shelf.ledger().retract(Stage::Catalog, &unit("things", "things-iron", block)).unwrap();
    }
    shelf.call(&database.url(), &["db", "load"], 3);
    let left = database.session().rows("SELECT DISTINCT unit FROM catalog.things");
    assert_eq!(left, Vec::<Vec<String>>::new());
}

#[test]
fn a_file_that_the_run_file_does_not_name_any_more_stays_as_it_is() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    let other = unit("things", "other-iron", 0);
    shelf.put(&other, &things(&other, 5));
    shelf.load(&database.url());
    let mut session = database.session();
    let of_other = "SELECT count(*) FROM catalog.things WHERE unit LIKE 'catalog/things/other-%'";
    assert_eq!(session.value(of_other), "0", "the run file never named it");
    assert_eq!(shelf.ledger().read(Stage::Load, &other).unwrap(), None);
}

#[test]
fn four_loaders_at_once_leave_what_one_leaves() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "migrate"], 0);
    let mut loaders: Vec<Child> = (0..4)
        .map(|_| {
            let mut command = shelf.command(&database.url(), &["db", "load"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for loader in &mut loaders {
        assert!(loader.wait().unwrap().success());
    }
    Shelf::new().load(&alone.url());
    assert_eq!(dump(&mut database.session()), dump(&mut alone.session()));
}

/// How often to kill: `SPECMILL_KILLS`, or a few.
#[expect(clippy::disallowed_methods, reason = "what a test is asked for has no run file")]
fn kills() -> u64 {
    std::env::var("SPECMILL_KILLS").map_or(6, |text| text.parse().expect("SPECMILL_KILLS is a number"))
}

#[test]
fn killed_loaders_leave_whole_units_and_one_clean_run_the_whole() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    // Two states of the same units take turns, so that there is always something to replace.
    let shelves = [Shelf::with_seed(1), Shelf::with_seed(2)];
    shelves[0].load(&alone.url());
    shelves[0].call(&database.url(), &["db", "migrate"], 0);
    let mut session = database.session();
    // Rows that take a while, so that there is something to interrupt.
    session.run(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(0.0002); RETURN NEW; END $$; \
         CREATE TRIGGER slow BEFORE INSERT ON catalog.things FOR EACH ROW EXECUTE FUNCTION public.slow()",
    );
    let (mut killed, mut noise) = (0, Noise::new(12_345));
    for round in 0..kills() {
        let shelf = &shelves[usize::from(round % 2 == 0)];
        let mut command = shelf.command(&database.url(), &["db", "load"]);
        let mut loader = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // From before the first connection to after the last commit.
        std::thread::sleep(Duration::from_millis(10 + noise.next() % 300));
        loader.kill().unwrap();
        killed += u64::from(!loader.wait().unwrap().success());
        assert_whole(&mut session);
    }
    assert!(2 * killed >= kills(), "{killed} of {} loaders were still at work", kills());
    session.run("DROP TRIGGER slow ON catalog.things");
    shelves[0].call(&database.url(), &["db", "load"], 0);
    assert_whole(&mut session);
    assert_eq!(dump(&mut session), dump(&mut alone.session()));
}

/// A batch with one column more, or another in its place.
fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    let field = Arc::new(Field::new(name, column.data_type().clone(), true));
    match batch.schema().index_of(name) {
        Ok(at) => (fields[at], columns[at]) = (field, column),
        Err(_) => {
            fields.push(field);
            columns.push(column);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn a_file_that_does_not_fit_its_table_is_refused_with_the_way_out_and_others_go_on() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "migrate"], 0);
    let bad = unit("things", "things-iron", 1);
    let rows = things(&bad, 1);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"; ROWS]));
    let without = rows.project(&(0..rows.num_columns() - 1).collect::<Vec<_>>()).unwrap();
    for (rows, said) in [
        (with_column(&rows, "extra", Arc::clone(&texts)), "catalog.things has no column `extra`"),
        (with_column(&rows, "flux", texts), "its column `flux` is text, that of catalog.things is float32"),
        (
            with_column(&rows, "flux", Arc::new(Float32Array::from(vec![1.0; ROWS]))),
            "its column `flux` is in ``, that of catalog.things in `nmgy`",
        ),
        (without, "it has no column `healpix29`, which catalog.things has"),
    ] {
        shelf.put(&bad, &rows);
        shelf.call(&database.url(), &["db", "load"], 3);
        let reason = shelf.reason(&bad);
        assert!(reason.contains(said) && reason.contains("catalog/things/things-iron/1.parquet"), "{reason}");
        let mut session = database.session();
        assert_eq!(session.value("SELECT count(DISTINCT unit) FROM catalog.things"), "2");
        assert_whole(&mut session);
    }
}

#[test]
fn without_its_table_a_unit_says_what_to_run() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "load"], 3);
    for unit in units() {
        let reason = shelf.reason(&unit);
        assert!(reason.contains("the database has no table catalog"), "{reason}");
        assert!(reason.contains("run `specmill db migrate RUN.toml`"), "{reason}");
    }
    shelf.load(&database.url());
    assert_whole(&mut database.session());
}

#[test]
fn a_number_that_is_none_is_refused_in_a_declared_table_alone() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "migrate"], 0);
    let bad = unit("things", "things-iron", 0);
    let rows = things(&bad, 1);
    let mut flux = vec![1.0; ROWS];
    flux[7] = f32::NAN;
    let at = rows.schema().index_of("flux").unwrap();
    let mut columns = rows.columns().to_vec();
    columns[at] = Arc::new(Float32Array::from(flux));
    shelf.put(&bad, &RecordBatch::try_new(rows.schema(), columns).unwrap());
    shelf.call(&database.url(), &["db", "load"], 5);
    let reason = shelf.reason(&bad);
    assert!(reason.ends_with("row 7, column `flux`: NaN is not a finite number"), "{reason}");
    let mut session = database.session();
    let odd = "SELECT count(*) FILTER (WHERE z = 'NaN'), count(*) FILTER (WHERE z = 'Infinity') FROM catalog_raw.extra";
    assert_eq!(session.rows(odd), [[(ROWS / 4).to_string(), (ROWS / 4).to_string()]]);
}

#[test]
fn a_row_of_another_unit_is_refused() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "migrate"], 0);
    let (bad, other) = (unit("things", "things-iron", 0), unit("things", "things-iron", 9));
    let rows = [things(&bad, 1), things(&other, 1).slice(0, 1)];
    shelf.put(&bad, &concat_batches(&rows[0].schema(), &rows).unwrap());
    shelf.call(&database.url(), &["db", "load"], 5);
    let reason = shelf.reason(&bad);
    assert!(reason.contains(&format!("row {ROWS}, column `unit`: `{other}`")), "{reason}");
}

#[test]
fn a_second_file_as_it_is_may_bring_columns_and_lack_others() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    let second = unit("extra", "extra", 1);
    let rows = extra(&second, 9);
    let rows =
        with_column(&rows.project(&[0, 1, 3]).unwrap(), "more", Arc::new(StringArray::from(vec!["x"; ROWS])));
    shelf.put(&second, &rows);
    shelf.call(&database.url(), &["db", "load"], 3);
    assert!(shelf.reason(&second).contains("catalog_raw.extra has no column `more`"));
    let migrated = shelf.call(&database.url(), &["db", "migrate"], 0);
    assert!(migrated.stdout.contains("changed catalog_raw.extra"), "{}", migrated.stdout);
    shelf.call(&database.url(), &["db", "load"], 0);
    let mut session = database.session();
    let filled = "SELECT count(more), count(\"select\") > 0, count(*) FROM catalog_raw.extra";
    assert_eq!(session.rows(filled), [[ROWS.to_string(), "t".to_owned(), (2 * ROWS).to_string()]]);
}

#[test]
fn the_loader_s_role_fills_tables_and_makes_none() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    let loader = database.url_as(&database.login("specmill_loader"));
    let refused = shelf.call(&loader, &["db", "migrate"], 5);
    assert!(refused.stderr.contains("specmill_owner"), "{}", refused.stderr);
    shelf.call(&database.url(), &["db", "migrate"], 0);
    shelf.call(&loader, &["db", "load"], 0);
    let mut session = Session::open(&loader);
    for sql in [
        "CREATE TABLE catalog.mine (x integer)",
        "CREATE TABLE catalog_raw.mine (x integer)",
        "CREATE VIEW ard.mine AS SELECT 1 AS x",
        "ALTER TABLE catalog.things ADD COLUMN x integer",
        "UPDATE catalog.things SET mask = 1",
        "TRUNCATE catalog_raw.extra",
        "DROP TABLE catalog.things",
        "DELETE FROM ops.catalog",
    ] {
        let said = session.refused(sql);
        assert!(said.starts_with("42501: "), "{sql}: {said}");
    }
    let mut reader = Session::open(&database.url_as(&database.login("specmill_reader")));
    assert_eq!(reader.value("SELECT count(*) FROM catalog.things"), (3 * ROWS).to_string());
    assert_eq!(reader.value("SELECT count(*) FROM catalog_raw.extra"), ROWS.to_string());
    assert!(reader.refused("DELETE FROM catalog.things").starts_with("42501: "));
    assert_eq!(reader.value("SELECT count(*) FROM catalog.cone_things(10, 20, 1e-9)"), "0");
}
