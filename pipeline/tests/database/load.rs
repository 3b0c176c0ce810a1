//! `load`: once however often, whole or not at all, and by its own account.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float32Type;
use specmill::ledger::State;
use specmill::stage::Stage;

use super::lake::{Lake, dump};
use super::{Session, TestDatabase, TestServer};
use crate::run_folder::{Outcome, files_below, read_table};

/// Units loaded and units settled before, from the table a run prints.
fn loaded_and_settled(outcome: &Outcome) -> (usize, usize) {
    let line = outcome.stdout.lines().find(|line| line.starts_with("load ")).unwrap();
    let counts: Vec<usize> = line.split_whitespace().skip(1).take(2).map(|n| n.parse().unwrap()).collect();
    (counts[0], counts[1])
}

/// Rows written to each table since the database was made.
fn writes(session: &mut Session) -> Vec<Vec<String>> {
    // A backend tells what it did when it ends, which is a little after its client has.
    let alone = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name = 'specmill'";
    wait_until(|| session.value(alone) == "0");
    session.rows(
        "SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY 1, 2",
    )
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn loading_twice_is_loading_once() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    assert_eq!(loaded_and_settled(&lake.load(&database.url(), 0)), (7, 0));
    let mut session = database.session();
    let (rows, before) = (dump(&mut session), writes(&mut session));
    let moments = session.rows("SELECT * FROM ops.load ORDER BY 1, 2, 3");
    assert_eq!(loaded_and_settled(&lake.load(&database.url(), 0)), (0, 7));
    assert_eq!(dump(&mut session), rows);
    assert_eq!(session.rows("SELECT * FROM ops.load ORDER BY 1, 2, 3"), moments);
    assert_eq!(writes(&mut session), before, "rows were written");
}

#[test]
fn every_row_of_the_lake_is_in_its_table() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    let runs = files_below(&lake.path().join("runs")).len();
    lake.load(&database.url(), 0);
    let mut session = database.session();
    for (table, stages) in [
        ("spectra.features", &[Stage::Extract][..]),
        ("ml.embeddings", &[Stage::Embed]),
        ("ml.neighbors", &[Stage::Neighbors]),
        ("ml.scores", &[Stage::Neighbors]),
    ] {
        let folder = table.split('.').next_back().unwrap();
        let mut rows = 0;
        for &stage in stages {
            for unit in lake.ledger().units(stage).unwrap() {
                for file in lake.account(stage, &unit).outputs {
                    if file.path.starts_with(folder) {
                        rows += read_table(&lake.path().join(&file.path)).num_rows();
                    }
                }
            }
        }
        assert!(rows > 20, "{table}: {rows}");
        assert_eq!(session.value(&format!("SELECT count(*) FROM {table}")), rows.to_string(), "{table}");
        let accounted = format!("SELECT sum(rows) FROM ops.load WHERE dataset = '{table}'");
        assert_eq!(session.value(&accounted), rows.to_string(), "{table}");
    }
    assert_eq!(session.value("SELECT count(*) FROM ml.models"), "2");
    assert_eq!(session.value("SELECT count(*) FROM ops.ledger"), "14");
    // The one that loads is there too, as far as it had come.
    assert_eq!(session.value("SELECT count(*) FROM ops.run"), (runs + 1).to_string());
    let missing = "SELECT count(*) FROM ml.embeddings WHERE (embedding IS NULL) <> (state = 'empty')";
    assert_eq!(session.value(missing), "0");
    for unit in lake.ledger().units(Stage::Load).unwrap() {
        let row = lake.account(Stage::Load, &unit);
        assert_eq!((row.state, row.adds_up()), (State::Done, true), "{unit}");
    }
}

#[test]
fn another_fit_replaces_rows_vectors_and_models() {
    let Some(database) = TestDatabase::migrated() else { return };
    let Some(fresh) = TestDatabase::migrated() else { return };
    Lake::other().load(&database.url(), 0);
    let lake = Lake::new();
    assert_eq!(loaded_and_settled(&lake.load(&database.url(), 0)), (7, 0));
    Lake::new().load(&fresh.url(), 0);
    assert_eq!(dump(&mut database.session()), dump(&mut fresh.session()));
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ml.embeddings'::regclass";
    assert_eq!(database.session().value(partitions), "2", "the superseded models are gone");
}

#[test]
fn a_unit_that_has_failed_since_loses_its_rows_and_no_other_does() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    let unit = lake.unit();
    lake.change_account(Stage::Extract, &unit, |row| {
        row.state = State::Failed;
        row.outputs.clear();
    });
    let outcome = lake.load(&database.url(), 3);
    // Both models' neighbours were found among its vectors too, and go until they are found anew.
    assert_eq!(loaded_and_settled(&outcome), (3, 4));
    let mut session = database.session();
    assert_eq!(session.value("SELECT count(*) FROM ml.neighbors"), "0");
    for table in ["spectra.features", "ml.embeddings", "ops.load"] {
        let of_unit = format!("SELECT count(*) FROM {table} WHERE unit = '{unit}'");
        assert_eq!(session.value(&of_unit), "0", "{table}");
        let others = format!("SELECT count(DISTINCT unit) FROM {table} WHERE unit LIKE 'iron/%'");
        assert_eq!(session.value(&others), "4", "{table}");
    }
    assert_eq!(
        session.value(&format!("SELECT state FROM ops.ledger WHERE unit = '{unit}' AND stage = 'extract'")),
        "failed"
    );
}

#[test]
fn four_loaders_at_once_leave_what_one_leaves() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    let lake = Lake::new();
    lake.set("load.connections = 2");
    let mut loaders: Vec<Child> = (0..4)
        .map(|_| {
            let mut command = lake.command(&database.url(), &["db", "load"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for loader in &mut loaders {
        assert!(loader.wait().unwrap().success());
    }
    Lake::new().load(&alone.url(), 0);
    assert_eq!(dump(&mut database.session()), dump(&mut alone.session()));
}

#[test]
fn a_damaged_file_fails_its_unit_and_no_other() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    let unit = lake.unit();
    let name = lake.account(Stage::Extract, &unit).outputs[0].path.clone();
    let path = lake.path().join(&name);
    let mut bytes = fs_err::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    fs_err::write(&path, &bytes).unwrap();
    lake.load(&database.url(), 3);
    let row = lake.account(Stage::Load, &unit);
    let reason = row.reason.unwrap();
    assert_eq!(row.state, State::Failed);
    assert!(reason.contains(&name) && reason.contains("SHA-256"), "{reason}");
    let mut session = database.session();
    let none = format!("SELECT count(*) FROM spectra.features WHERE unit = '{unit}'");
    assert_eq!(session.value(&none), "0");
    assert_eq!(session.value("SELECT count(DISTINCT unit) FROM spectra.features"), "4");
    // Mended, it is loaded; the others are left alone.
    bytes[middle] ^= 0x10;
    fs_err::write(&path, &bytes).unwrap();
    assert_eq!(loaded_and_settled(&lake.load(&database.url(), 0)), (1, 6));
    // Cut short, it is told by its size; what is loaded stays.
    fs_err::write(&path, &bytes[..middle]).unwrap();
    session.run(&format!("UPDATE ops.load SET sha256 = 'old' WHERE unit = '{unit}'"));
    lake.load(&database.url(), 3);
    let reason = lake.account(Stage::Load, &unit).reason.unwrap();
    assert!(reason.contains("but the ledger says"), "{reason}");
    assert_eq!(session.value(&none), "12");
}

/// A column of a batch, replaced.
fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let at = batch.schema().index_of(name).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = column;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// The row of the first vector, and the batch with one element of it replaced.
fn with_element(batch: &RecordBatch, value: f32) -> (usize, RecordBatch) {
    let lists = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
    let row = (0..lists.len()).find(|row| lists.is_valid(*row)).unwrap();
    let mut values = lists.values().as_primitive::<Float32Type>().values().to_vec();
    values[row * 3 + 1] = value;
    let made = FixedSizeListArray::new(
        Arc::new(specmill_schemas::list_item()),
        3,
        Arc::new(Float32Array::from(values)),
        lists.nulls().cloned(),
    );
    (row, with_column(batch, "embedding", Arc::new(made)))
}

/// Loads a lake whose unit holds what must not be loaded; gives the reason.
fn refused(lake: &Lake, database: &TestDatabase) -> String {
    let outcome = lake.load(&database.url(), 5);
    assert!(outcome.stderr.contains("help: "), "{}", outcome.stderr);
    let unit = lake.unit();
    let row = lake.account(Stage::Load, &unit);
    assert_eq!(row.state, State::Failed);
    let mut session = database.session();
    for table in ["spectra.features", "ml.embeddings", "ops.load"] {
        let of_unit = format!("SELECT count(*) FROM {table} WHERE unit = '{unit}'");
        assert_eq!(session.value(&of_unit), "0", "{table} holds a part of a refused unit");
    }
    assert_eq!(session.value("SELECT count(DISTINCT unit) FROM spectra.features"), "4", "others go on");
    let reason = row.reason.unwrap();
    assert!(outcome.stderr.contains(&reason), "{}", outcome.stderr);
    reason
}

#[test]
fn a_vector_that_is_not_a_number_is_refused_by_file_row_and_column() {
    for (value, said) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let Some(database) = TestDatabase::migrated() else { return };
        let lake = Lake::new();
        let mut at = 0;
        let name = lake.rewrite(Stage::Embed, &lake.unit(), &[], |batch| {
            let (row, batch) = with_element(&batch, value);
            at = row;
            batch
        });
        let reason = refused(&lake, &database);
        assert_eq!(reason, format!("{name}: row {at}, column `embedding`: {said} is not a finite number"));
    }
}

#[test]
fn a_vector_of_another_model_is_refused() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    let other = "0123456789abcdef".repeat(4);
    let name = lake.rewrite(Stage::Embed, &lake.unit(), &[("specmill.model_hash", &other)], |batch| batch);
    let reason = refused(&lake, &database);
    assert!(reason.starts_with(&name) && reason.contains(&format!("of model {other}")), "{reason}");
    // The footer may be right and a row wrong.
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.rewrite(Stage::Embed, &lake.unit(), &[], |batch| {
        let hashes = batch.column_by_name("model_hash").unwrap().as_string::<i32>();
        let hashes: arrow::array::StringArray =
            (0..hashes.len()).map(|row| Some(if row == 1 { &other } else { hashes.value(row) })).collect();
        with_column(&batch, "model_hash", Arc::new(hashes))
    });
    let reason = refused(&lake, &database);
    assert!(reason.contains(&format!("row 1, column `model_hash`: `{other}`")), "{reason}");
}

#[test]
fn a_duplicate_key_is_refused_by_its_key() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    let unit = lake.unit();
    let mut targetid = 0;
    let name = lake.rewrite(Stage::Extract, &unit, &[], |batch| {
        targetid =
            batch.column_by_name("targetid").unwrap().as_primitive::<arrow::datatypes::Int64Type>().value(4);
        concat_batches(&batch.schema(), [&batch, &batch.slice(4, 1)]).unwrap()
    });
    let reason = refused(&lake, &database);
    assert!(reason.contains("duplicate key") && reason.contains(&name), "{reason}");
    assert!(reason.contains(&format!("{unit}, {targetid}")), "{reason}");
}

/// Makes every row of a table take a while to insert, so that there is something to interrupt.
fn slow_down(session: &mut Session, table: &str) {
    session.run(&format!(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$; \
         CREATE TRIGGER slow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION public.slow()"
    ));
}

const COPYING: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                       AND query LIKE 'COPY spectra.features%' LIMIT 1";

#[test]
fn a_connection_dropped_while_copying_is_made_anew() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    let lake = Lake::new();
    let mut session = database.session();
    slow_down(&mut session, "spectra.features");
    let mut command = lake.command(&database.url(), &["db", "load"]);
    let loader = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| !session.rows(COPYING).is_empty());
    assert_eq!(session.value(&format!("SELECT pg_terminate_backend(({COPYING}))")), "t");
    let output = loader.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the connection was lost") && said.contains("trying again"), "{said}");
    session.run("DROP TRIGGER slow ON spectra.features");
    Lake::new().load(&alone.url(), 0);
    assert_eq!(dump(&mut session), dump(&mut alone.session()));
}

#[test]
fn a_database_that_stays_away_ends_the_load_and_nothing_is_half_there() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    let lake = Lake::new();
    let mut session = database.session();
    slow_down(&mut session, "spectra.features");
    let mut command = lake.command(&database.url(), &["db", "load"]);
    let loader = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| !session.rows(COPYING).is_empty());
    let mut server = TestServer::shared().unwrap().session("postgres");
    server.run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name));
    session.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let output = loader.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("help: "), "{said}");
    let rows = session.value("SELECT count(*) FROM spectra.features");
    let whole =
        session.value("SELECT coalesce(sum(rows), 0) FROM ops.load WHERE dataset = 'spectra.features'");
    assert_eq!(rows, whole);
    server.run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", database.name));
    session.run("DROP TRIGGER slow ON spectra.features");
    lake.load(&database.url(), 0);
    Lake::new().load(&alone.url(), 0);
    assert_eq!(dump(&mut session), dump(&mut alone.session()));
}

#[test]
fn a_full_disk_ends_the_load_with_the_old_rows_in_place() {
    let Some(database) = TestDatabase::migrated() else { return };
    Lake::other().load(&database.url(), 0);
    let mut session = database.session();
    let before = session.rows("SELECT t::text FROM spectra.features t ORDER BY 1");
    // A disk of this machine is not for a test to fill: the server says what it would say then, in mid-copy.
    session.run(
        "CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.row = 7 THEN RAISE EXCEPTION 'could not extend file: No space left on device' \
         USING ERRCODE = '53100'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER full_disk BEFORE INSERT ON spectra.features FOR EACH ROW EXECUTE FUNCTION public.full()",
    );
    let outcome = Lake::new().load(&database.url(), 5);
    assert!(
        outcome.stderr.contains("disk is full") && outcome.stderr.contains("make room"),
        "{}",
        outcome.stderr
    );
    assert_eq!(session.rows("SELECT t::text FROM spectra.features t ORDER BY 1"), before);
}

#[test]
fn the_loader_s_role_suffices_and_the_reader_s_does_not() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    let lake = Lake::new();
    let reader = database.login("specmill_reader");
    let outcome = lake.load(&database.url_as(&reader), 5);
    assert!(
        outcome.stderr.contains("not allowed") && outcome.stderr.contains("specmill_loader"),
        "{}",
        outcome.stderr
    );
    assert_eq!(database.session().value("SELECT count(*) FROM ops.load"), "0");
    let loader = database.login("specmill_loader");
    Lake::other().load(&database.url_as(&loader), 0);
    lake.load(&database.url_as(&loader), 0);
    Lake::new().load(&alone.url(), 0);
    assert_eq!(dump(&mut database.session()), dump(&mut alone.session()));
    let mut reading = Session::open(&database.url_as(&reader));
    assert_eq!(reading.value("SELECT count(*) > 0 FROM ml.neighbors"), "t", "new partitions can be read");
    // The same user where the server takes no writes at all.
    database.session().run(&format!("ALTER ROLE {loader} SET default_transaction_read_only = on"));
    let outcome = Lake::other().load(&database.url_as(&loader), 5);
    assert!(outcome.stderr.contains("read-only"), "{}", outcome.stderr);
}
