//! Rights: the reader selects and nothing else, the loader fills tables and nothing else.

use super::{Session, TestDatabase};

const DENIED: &str = "42501: ";
const HASH: &str = "0123456789abcdef0123456789abcdef";

/// The values of a row of embeddings.
fn embedding(hash: &str, targetid: i64, vector: &str) -> String {
    format!(
        "INSERT INTO ml.embeddings (model_hash, unit, targetid, \"row\", state, z, good_pixel_fraction, n_good_pixels, embedding) \
         VALUES ('{hash}', 'iron/healpix/main/dark/64/1', {targetid}, 0, 'done', 1.5, 1, 10, '{vector}')"
    )
}

fn neighbor(table: &str, targetid: i64) -> String {
    format!(
        "INSERT INTO ml.{table} VALUES ('{HASH}', 'l2', 'u', {targetid}, 1::smallint, 'u', 2, 0.5, false, true)"
    )
}

fn tables(session: &mut Session) -> Vec<String> {
    let rows = session.rows(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('ops', 'catalog', 'spectra', 'ml')",
    );
    let tables: Vec<String> = rows.into_iter().flatten().collect();
    assert!(tables.len() >= 11, "{tables:?}");
    tables
}

fn assert_denied(session: &mut Session, sql: &str) {
    let error = session.refused(sql);
    assert!(error.starts_with(DENIED), "{sql}: {error}");
}

#[test]
fn the_reader_selects_and_nothing_else() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut owner = database.session();
    // A partition made later is readable too.
    owner.run(&format!("SELECT ml.open_model('{HASH}', 3)"));
    let mut reader = Session::open(&database.url_as(&database.login("specmill_reader")));
    for table in tables(&mut owner) {
        assert_eq!(reader.value(&format!("SELECT count(*) >= 0 FROM {table}")), "t");
        for sql in ["INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"] {
            let error = reader.refused(&sql.replace("{}", &table));
            assert!(error.starts_with(DENIED), "{sql} {table}: {error}");
        }
        let column = owner.value(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum = 1"
        ));
        assert_denied(&mut reader, &format!("UPDATE {table} SET \"{column}\" = NULL"));
        assert_denied(&mut reader, &format!("CREATE INDEX ON {table} (\"{column}\")"));
    }
    for schema in ["ops", "catalog", "spectra", "ml", "public"] {
        assert_denied(&mut reader, &format!("CREATE TABLE {schema}.mine (x integer)"));
    }
    for call in [
        format!("ml.open_model('{HASH}', 3)"),
        format!("ml.prepare_replacement('scores', '{HASH}')"),
        format!("ml.attach_replacement('scores', '{HASH}')"),
        format!("ml.drop_partition('embeddings', '{HASH}')"),
    ] {
        assert_denied(&mut reader, &format!("SELECT {call}"));
    }
    assert_eq!(reader.value("SELECT count(*) FROM spectra.cone(10, 20, 0.1)"), "0");
    assert!(reader.refused("SELECT * FROM ml.similar(1)").starts_with("P0002: ERROR: no model"));
    let check =
        super::specmill(&database.url_as(&format!("{}_specmill_reader", database.name)), &["db", "check"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.contains("rights      specmill_reader"), "{}", check.stdout);
}

#[test]
fn the_loader_fills_tables_and_opens_models_without_owning_anything() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut loader = Session::open(&database.url_as(&database.login("specmill_loader")));
    let refused = loader.refused(&embedding(HASH, 1, "[1,2,3]"));
    assert!(refused.starts_with("23514: ") && refused.contains("no partition"), "{refused}");
    let partition = loader.value(&format!("SELECT ml.open_model('{HASH}', 3)"));
    assert_eq!(partition, "embeddings_0123456789abcdef");
    assert_eq!(loader.value(&format!("SELECT ml.open_model('{HASH}', 3)")), partition);
    loader.run(&embedding(HASH, 1, "[1,2,3]"));
    loader.run(
        "INSERT INTO spectra.features (unit, targetid, \"row\", state, specprod, flags, n_good_pixels, n_masked_pixels, \
         n_bad_pixels, stage_hash, ra, \"dec\") VALUES ('u', 1, 0, 'done', 'iron', 0, 1, 0, 0, 'h', 10, 20)",
    );
    assert_ne!(loader.value("SELECT healpix29 FROM spectra.features"), "");
    loader.run("INSERT INTO ops.load VALUES ('spectra.features', '', 'u', 's', 'h', 1)");
    loader.run("DELETE FROM spectra.features; DELETE FROM ml.embeddings; DELETE FROM ops.load");
    for sql in [
        "DROP TABLE ml.embeddings",
        "DROP TABLE ml.embeddings_0123456789abcdef",
        "CREATE INDEX ON spectra.features (ra)",
        "ALTER TABLE spectra.features ADD COLUMN x integer",
        "CREATE TABLE ml.mine (x integer)",
        "TRUNCATE spectra.features",
        "INSERT INTO ops.migration VALUES (9, 'x', 'y')",
        "UPDATE spectra.features SET z = 1",
        "SET ROLE specmill_owner",
    ] {
        assert_denied(&mut loader, sql);
    }
}

#[test]
fn a_vector_of_another_dimension_hash_or_number_is_refused() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    session.run(&format!("SELECT ml.open_model('{HASH}', 3)"));
    let refused = session.refused(&embedding(HASH, 1, "[1,2]"));
    assert!(refused.starts_with("23514: ") && refused.contains("one_dimension"), "{refused}");
    let refused = session.refused(&embedding(HASH, 1, "[1,NaN,2]"));
    assert!(refused.starts_with("22P02: ") || refused.starts_with("22000: "), "{refused}");
    let refused = session.refused(&embedding(&HASH.replace('0', "f"), 1, "[1,2,3]"));
    assert!(refused.starts_with("23514: "), "{refused}");
    let refused = session.refused(&format!("SELECT ml.open_model('{HASH}', 4)"));
    assert!(refused.contains("belongs to another model or dimension"), "{refused}");
    let collides = format!("{}{}", &HASH[..16], "f".repeat(16));
    let refused = session.refused(&format!("SELECT ml.open_model('{collides}', 3)"));
    assert!(refused.contains("belongs to another model or dimension"), "{refused}");
    for bad in ["x; DROP TABLE ml.scores", "", "0123"] {
        let refused = session.refused(&format!("SELECT ml.open_model('{bad}', 3)"));
        assert!(refused.contains("is not the hash of a model"), "{refused}");
    }
    let done_without = embedding(HASH, 1, "[1,2,3]").replace("'[1,2,3]'", "NULL");
    let refused = session.refused(&done_without);
    assert!(refused.contains("vector_where_done"), "{refused}");
}

#[test]
fn a_global_result_is_replaced_whole_or_not_at_all() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut loader = Session::open(&database.url_as(&database.login("specmill_loader")));
    let mut reader = Session::open(&database.url_as(&database.login("specmill_reader")));
    let prepare = format!("SELECT ml.prepare_replacement('neighbors', '{HASH}')");
    let attach = format!("SELECT ml.attach_replacement('neighbors', '{HASH}')");
    let targets =
        "SELECT coalesce(string_agg(targetid::text, ',' ORDER BY targetid), 'none') FROM ml.neighbors";
    for targetid in [1, 2] {
        let before = reader.value(targets);
        loader.run("BEGIN");
        let replacement = loader.value(&prepare);
        loader.run(&neighbor(&replacement, targetid));
        assert_eq!(reader.value(targets), before, "nothing is visible yet");
        loader.run(&attach);
        loader.run("COMMIT");
        assert_eq!(reader.value(targets), targetid.to_string());
    }
    // Given up half-way, the old rows stay and nothing is left over.
    loader.run("BEGIN");
    let replacement = loader.value(&prepare);
    loader.run(&neighbor(&replacement, 3));
    loader.run(&attach);
    loader.run("ROLLBACK");
    assert_eq!(reader.value(targets), "2");
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'neighbors\\_%\\_next'";
    assert_eq!(reader.value(left), "0");
    // The key holds in the partition as well.
    let refused = loader.refused(&neighbor("neighbors", 2));
    assert!(refused.starts_with("23505: "), "{refused}");
    loader.run(&format!("SELECT ml.drop_partition('neighbors', '{HASH}')"));
    assert_eq!(reader.value(targets), "none");
}

#[test]
fn two_who_replace_results_of_two_models_take_turns() {
    let Some(database) = TestDatabase::migrated() else { return };
    let url = database.url_as(&database.login("specmill_loader"));
    let replace = |word: &str, hash: &str| format!("SELECT ml.{word}_replacement('neighbors', '{hash}')");
    let (own, other) = (HASH, HASH.replace('a', "b"));
    assert_ne!(own, other);
    let mut first = Session::open(&url);
    for hash in [own, &other] {
        first.run(&format!("BEGIN; {}; {}; COMMIT", replace("prepare", hash), replace("attach", hash)));
    }
    first.run("BEGIN");
    first.run(&replace("prepare", own));
    let second = std::thread::spawn({
        let words = ["prepare", "attach"].map(|word| replace(word, &other));
        let mut second = Session::open(&url);
        move || second.run(&format!("BEGIN; {}; COMMIT", words.join("; ")))
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let mut watch = database.session();
    while !second.is_finished() && watch.value(waits) == "0" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    watch.run("SET lock_timeout = '2s'; SELECT FROM ml.neighbors");
    first.run(&replace("attach", own));
    first.run("COMMIT");
    second.join().unwrap();
    let made = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ml.neighbors'::regclass";
    assert_eq!(watch.value(made), "2");
}

#[test]
fn a_replacement_has_its_key_before_it_is_attached() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut loader = Session::open(&database.url_as(&database.login("specmill_loader")));
    for _ in 0..2 {
        loader.run("BEGIN");
        let replacement = loader.value(&format!("SELECT ml.prepare_replacement('neighbors', '{HASH}')"));
        let keys = format!(
            "SELECT count(*) FROM pg_index WHERE indrelid = 'ml.{replacement}'::regclass AND indisprimary"
        );
        assert_eq!(loader.value(&keys), "1");
        let index = format!("SELECT indexrelid FROM pg_index WHERE indrelid = 'ml.{replacement}'::regclass");
        let before = loader.value(&index);
        loader.run(&format!("SELECT ml.attach_replacement('neighbors', '{HASH}')"));
        let attached =
            "SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'ml.neighbors_pkey'::regclass";
        assert_eq!(loader.value(attached), before, "the index is taken over, not built again");
        loader.run("COMMIT");
    }
}

#[test]
fn somebody_without_a_role_is_told_which_there_are() {
    let Some(database) = TestDatabase::migrated() else { return };
    let login = format!("{}_stranger", database.name);
    database.session().run(&format!("CREATE ROLE {login} LOGIN"));
    let outcome = super::specmill(&database.url_as(&login), &["db", "check"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("not allowed while asking for migrations"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("specmill_reader reads"), "{}", outcome.stderr);
}
