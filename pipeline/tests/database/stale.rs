//! What no longer follows from what it was made of: left out, told, and never mistaken for something else.

use specmill::ledger::State;
use specmill::stage::Stage;
use specmill::unit::UnitId;

use super::lake::{Lake, dump};
use super::{Session, TestDatabase};

/// Vectors, neighbours and scores of which nothing says what model they are of.
const ORPHANS: &str = "SELECT count(*) FROM (SELECT model_hash FROM ml.embeddings UNION ALL \
     SELECT model_hash FROM ml.neighbors UNION ALL SELECT model_hash FROM ml.scores) r \
     WHERE NOT EXISTS (SELECT FROM ml.models m WHERE m.model_hash = r.model_hash)";
const PARTITIONS: &str = "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent \
     WHERE c.relkind = 'p' AND c.relname IN ('embeddings', 'neighbors', 'scores')";

/// The unit of the model of galaxies.
fn galaxy(lake: &Lake) -> UnitId {
    let units = lake.ledger().units(Stage::FitBasis).unwrap();
    units.into_iter().find(|unit| unit.to_string().contains("galaxy")).expect("a model of galaxies")
}

/// The model of galaxies is fitted anew, and the stages named come after.
fn refit(lake: &Lake, database: &TestDatabase, stages: &[&str]) {
    lake.set("models.galaxy.components = 2");
    let mut words = vec!["run"];
    words.extend(stages.iter().flat_map(|stage| ["--stage", stage]));
    let outcome = lake.call(&database.url(), &words);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
}

fn count(session: &mut Session, table: &str) -> String {
    session.value(&format!("SELECT count(*) FROM {table}"))
}

#[test]
fn a_model_that_cannot_be_loaded_keeps_its_vectors_out() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    let lake = Lake::new();
    let model = galaxy(&lake);
    let name = lake.account(Stage::Neighbors, &model).outputs[0].path.clone();
    let path = lake.path().join(name);
    let mut bytes = fs_err::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    fs_err::write(&path, &bytes).unwrap();
    lake.load(&database.url(), 3);
    let mut session = database.session();
    assert_eq!(session.value(ORPHANS), "0");
    assert_eq!(count(&mut session, "ml.models"), "1", "the other model goes on");
    assert_eq!(session.value(PARTITIONS), "3", "nothing is left of the one that failed");
    let row = lake.account(Stage::Load, &lake.unit());
    let reason = row.reason.unwrap();
    assert_eq!(row.state, State::Failed);
    assert!(reason.contains("could not be loaded") && reason.contains(&model.to_string()), "{reason}");
    bytes[middle] ^= 0x10;
    fs_err::write(&path, &bytes).unwrap();
    lake.load(&database.url(), 0);
    Lake::new().load(&alone.url(), 0);
    assert_eq!(dump(&mut session), dump(&mut alone.session()));
    // Once the model is there, a later fault of its neighbours keeps no vector out.
    bytes[middle] ^= 0x10;
    fs_err::write(&path, &bytes).unwrap();
    session.run("DELETE FROM ops.load WHERE dataset IN ('ml.neighbors', 'spectra.features')");
    session.run("DELETE FROM spectra.features");
    lake.load(&database.url(), 3);
    assert_eq!(session.value("SELECT count(DISTINCT unit) FROM spectra.features"), "5");
}

#[test]
fn neighbours_of_earlier_vectors_are_left_out() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    refit(&lake, &database, &["fit-basis", "embed"]);
    let outcome = lake.load(&database.url(), 0);
    assert!(outcome.stderr.contains("run neighbors again"), "{}", outcome.stderr);
    let mut session = database.session();
    assert_eq!(session.value(ORPHANS), "0");
    assert_eq!(session.rows("SELECT dimension FROM ml.models ORDER BY 1"), [["1"], ["2"]]);
    assert_eq!(session.value("SELECT count(DISTINCT model_hash) FROM ml.embeddings"), "2");
    assert_eq!(count(&mut session, "ml.neighbors"), "0");
    assert_eq!(count(&mut session, "ml.scores"), "0");
    let outcome = lake.call(&database.url(), &["run", "--stage", "neighbors", "--stage", "load"]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(session.value("SELECT count(DISTINCT model_hash) FROM ml.neighbors"), "2");
}

#[test]
fn vectors_of_an_earlier_fit_are_left_out() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    refit(&lake, &database, &["fit-basis"]);
    let outcome = lake.load(&database.url(), 0);
    assert!(outcome.stderr.contains("run embed again"), "{}", outcome.stderr);
    let mut session = database.session();
    assert_eq!(session.value("SELECT count(DISTINCT unit) FROM spectra.features"), "5");
    assert_eq!(count(&mut session, "ml.embeddings"), "0");
    assert_eq!(count(&mut session, "ml.models"), "2");
}

#[test]
fn units_of_another_input_stay_as_they_are() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    let mut session = database.session();
    let held = |session: &mut Session| {
        ["spectra.features", "ml.embeddings", "ops.ledger"].map(|table| {
            session
                .rows(&format!("SELECT t::text FROM {table} t WHERE unit LIKE 'iron/healpix/%' ORDER BY 1"))
        })
    };
    let before = held(&mut session);
    // Their accounts are of settings long gone, but that is no concern of this input's.
    lake.set("input.units = [\"iron/tile\"]");
    let outcome = lake.call(&database.url(), &["inventory"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for unit in lake.ledger().units(Stage::Embed).unwrap() {
        if !unit.to_string().starts_with("iron/tile") {
            lake.change_account(Stage::Embed, &unit, |row| row.stage_hash = "earlier".to_owned());
        }
    }
    lake.load(&database.url(), 0);
    assert_eq!(held(&mut session), before);
}

#[test]
fn rows_of_a_unit_that_lost_its_account_stay_and_are_told() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    let mut session = database.session();
    let held = |session: &mut Session| {
        ["spectra.features", "ml.embeddings", "ops.ledger"].map(|table| {
            session.rows(&format!("SELECT t::text FROM {table} t WHERE unit LIKE 'iron/%' ORDER BY 1"))
        })
    };
    let (before, neighbors) = (held(&mut session), count(&mut session, "ml.neighbors"));
    let unit = lake.unit();
    // As `extract` leaves it when it is killed between taking an account back and giving the new one.
    lake.ledger().retract(Stage::Extract, &unit).unwrap();
    for _ in 0..2 {
        lake.load(&database.url(), 3);
        assert_eq!(held(&mut session), before);
        assert_eq!(count(&mut session, "ml.neighbors"), neighbors);
        assert_eq!(lake.account(Stage::Load, &unit).state, State::MissingUpstream);
    }
    lake.ledger().retract(Stage::Embed, &unit).unwrap();
    lake.load(&database.url(), 3);
    assert_eq!(held(&mut session), before);
}

#[test]
fn a_status_before_the_first_unit_tells_what_is_left() {
    let lake = Lake::new();
    lake.set("load.enabled = true");
    fs_err::remove_dir_all(lake.path().join("ledger")).unwrap();
    let outcome = lake.call("postgres://nobody@127.0.0.1:1/none", &["status"]);
    assert_eq!(outcome.code, 3, "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("load: 0 of 0 units"), "{}", outcome.stdout);
}

/// An earlier fit of a model of which no vector is left, as a loader killed before its last step leaves it.
fn leave_an_earlier_fit(session: &mut Session, model: &UnitId) -> String {
    let hash = "ab".repeat(32);
    for table in ["ml.models", "ops.load"] {
        let of_model = format!(
            "model_hash = (SELECT model_hash FROM ops.load WHERE dataset = 'ml.models' AND unit = '{model}')"
        );
        session.run(&format!(
            "INSERT INTO {table} SELECT (jsonb_populate_record(t, '{{\"model_hash\": \"{hash}\"}}')).* \
             FROM {table} t WHERE {of_model} AND to_jsonb(t) ->> 'dataset' IS DISTINCT FROM 'ml.embeddings'"
        ));
    }
    session.run(&format!("SELECT ml.open_model('{hash}', 3)"));
    hash
}

#[test]
fn a_fit_that_a_killed_loader_did_not_remove_goes_with_the_next() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    let mut session = database.session();
    let (rows, partitions) = (dump(&mut session), session.value(PARTITIONS));
    let hash = leave_an_earlier_fit(&mut session, &galaxy(&lake));
    assert_eq!(count(&mut session, "ml.models"), "3");
    // While another loader brings its vectors it is no earlier fit but that loader's.
    let lock = format!("(hashtextextended('specmill model {hash}', 0))");
    session.run(&format!("SELECT pg_advisory_lock_shared{lock}"));
    lake.load(&database.url(), 0);
    assert_eq!(count(&mut session, "ml.models"), "3");
    session.run(&format!("SELECT pg_advisory_unlock_shared{lock}"));
    lake.load(&database.url(), 0);
    assert_eq!(dump(&mut session), rows);
    assert_eq!(session.value(PARTITIONS), partitions);
}

#[test]
fn a_loader_announces_its_models_while_it_loads() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    // Who holds a lock on a 64-bit key, as pg_locks spells it.
    session.run(
        "CREATE TABLE public.held AS SELECT 0::bigint AS locks LIMIT 0; \
         CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
         INSERT INTO public.held SELECT count(*) FROM ml.models m JOIN pg_locks l ON l.locktype = 'advisory' \
             AND l.mode = 'ShareLock' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND (l.classid::bigint << 32 | l.objid::bigint) \
             = hashtextextended('specmill model ' || m.model_hash, 0); RETURN NULL; END $$; \
         CREATE TRIGGER note AFTER INSERT ON spectra.features FOR EACH STATEMENT EXECUTE FUNCTION public.note()",
    );
    Lake::new().load(&database.url(), 0);
    assert_eq!(session.rows("SELECT DISTINCT locks FROM public.held"), [["2"]]);
}

#[test]
fn a_model_that_has_become_impossible_is_removed() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    let model = galaxy(&lake);
    lake.change_account(Stage::FitBasis, &model, |row| {
        row.state = State::Empty;
        row.reason = Some("too few spectra".to_owned());
        row.outputs.clear();
    });
    lake.load(&database.url(), 0);
    let mut session = database.session();
    assert_eq!(session.value("SELECT string_agg(class, ',') FROM ml.models"), "QSO");
    assert_eq!(session.value(ORPHANS), "0");
    let of_model = format!("SELECT count(*) FROM ops.load WHERE unit = '{model}'");
    assert_eq!(session.value(&of_model), "0");
}

#[test]
fn a_user_s_isolation_level_does_not_matter() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    session.run(
        "CREATE FUNCTION public.level() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('transaction_isolation') <> 'read committed' THEN RAISE EXCEPTION 'isolated'; END IF; \
         RETURN NULL; END $$; \
         CREATE TRIGGER level AFTER INSERT ON ops.load FOR EACH STATEMENT EXECUTE FUNCTION public.level()",
    );
    let loader = database.login("specmill_loader");
    session.run(&format!("ALTER ROLE {loader} SET default_transaction_isolation = 'repeatable read'"));
    Lake::new().load(&database.url_as(&loader), 0);
}
