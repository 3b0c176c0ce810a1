//! A database that is not what the program needs: told before any work, with the way out.

use super::{TestDatabase, specmill};
use crate::run_folder::Outcome;

fn assert_told(outcome: &Outcome, code: i32, said: &str, help: &str) {
    assert_eq!(outcome.code, code, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&format!("help: {help}")), "{}", outcome.stderr);
}

#[test]
fn a_schema_behind_the_program_is_told_to_migrate() {
    let Some(database) = TestDatabase::empty() else { return };
    let outcome = database.specmill(&["db", "check"]);
    assert_told(&outcome, 2, "is at migration 0, this program needs", "run `specmill db migrate RUN.toml`");
    let Some(database) = TestDatabase::migrated() else { return };
    database.session().run("DELETE FROM ops.migration WHERE version > 1");
    let outcome = database.specmill(&["db", "check"]);
    assert_told(&outcome, 2, "is at migration 1, this program needs", "run `specmill db migrate RUN.toml`");
}

#[test]
fn a_schema_ahead_of_the_program_is_left_alone() {
    let Some(database) = TestDatabase::migrated() else { return };
    database.session().run("INSERT INTO ops.migration VALUES (999, '0999_later.sql', 'abc')");
    for word in ["check", "migrate"] {
        let outcome = database.specmill(&["db", word]);
        assert_told(
            &outcome,
            2,
            "is at migration 999, newer than this program's",
            "use the specmill that migrated it",
        );
    }
}

#[test]
fn a_migration_applied_with_another_text_is_told() {
    let Some(database) = TestDatabase::migrated() else { return };
    database.session().run("UPDATE ops.migration SET sha256 = 'abc' WHERE version = 2");
    for word in ["check", "migrate"] {
        let outcome = database.specmill(&["db", word]);
        assert_told(&outcome, 2, "migration 2 of", "use the specmill that migrated it, or a fresh database");
    }
}

#[test]
fn tables_that_somebody_altered_are_told_column_by_column() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    session.run("ALTER TABLE spectra.features DROP COLUMN objtype CASCADE");
    session.run("ALTER TABLE spectra.features ADD COLUMN mine integer");
    session.run("ALTER TABLE ml.recall ALTER COLUMN recall TYPE real");
    session.run("COMMENT ON COLUMN spectra.features.z IS 'something else'");
    session.run("DROP TABLE ops.run");
    let outcome = database.specmill(&["db", "check"]);
    assert_told(&outcome, 2, "was altered by other hands", "undo that");
    for said in [
        "spectra.features.objtype is missing",
        "spectra.features.mine is not known",
        "ml.recall.recall is real NOT NULL with comment",
        "spectra.features.z is double precision NULL with comment `something else`, not",
        "ops.run is missing",
    ] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }
}

#[test]
fn a_database_without_pgvector_or_with_an_old_one_is_told() {
    let Some(database) = TestDatabase::migrated() else { return };
    // The server reports the version this catalogue holds.
    database.session().run("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'");
    let outcome = database.specmill(&["db", "check"]);
    assert_told(
        &outcome,
        5,
        "has pgvector 0.7.4; 0.8.0 or newer is needed",
        "have a newer pgvector installed",
    );
    database.session().run("DROP EXTENSION vector CASCADE");
    let outcome = database.specmill(&["db", "check"]);
    assert_told(&outcome, 5, "has no extension `vector`", "have pgvector installed");
}

#[test]
fn a_read_only_session_cannot_migrate() {
    let Some(database) = TestDatabase::empty() else { return };
    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", database.url());
    let outcome = specmill(&url, &["db", "migrate"]);
    assert_told(&outcome, 5, "the database is read-only while", "connect to the primary server");
}

#[test]
fn a_migration_that_fails_leaves_the_database_as_it_was() {
    let Some(database) = TestDatabase::empty() else { return };
    let mut session = database.session();
    session.run("CREATE SCHEMA ml AUTHORIZATION specmill_owner; CREATE TABLE ml.scores (in_the_way integer)");
    let outcome = database.specmill(&["db", "migrate"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("while applying 0002_tables.sql"), "{}", outcome.stderr);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('ops', 'catalog', 'spectra')";
    assert_eq!(session.value(left), "0");
    assert_eq!(session.value("SELECT count(*) FROM pg_extension WHERE extname = 'vector'"), "0");
    session.run("DROP SCHEMA ml CASCADE");
    assert_eq!(database.specmill(&["db", "migrate"]).code, 0);
}
