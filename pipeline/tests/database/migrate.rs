//! `db migrate`: forward, once, by whoever may.

use std::process::Stdio;

use tempfile::TempDir;

use super::{TestDatabase, bare_command, specmill};

#[test]
fn migrating_twice_is_migrating_once() {
    let Some(database) = TestDatabase::empty() else { return };
    let first = database.specmill(&["db", "migrate"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stdout.contains("applied 0001_sky.sql, 0002_tables.sql"), "{}", first.stdout);
    let applied =
        "SELECT string_agg(version || sha256 || applied_at, ' ' ORDER BY version) FROM ops.migration";
    let before = database.session().value(applied);
    let second = database.specmill(&["db", "migrate"]);
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert!(second.stdout.contains("nothing to do"), "{}", second.stdout);
    assert_eq!(database.session().value(applied), before);
}

#[test]
fn two_who_migrate_at_once_migrate_once() {
    let Some(database) = TestDatabase::empty() else { return };
    let folder = TempDir::new().unwrap();
    let start = || {
        let mut command = bare_command(folder.path(), &["db", "migrate"]);
        command.env("DATABASE_URL", database.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
    for output in &both {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let worked =
        both.iter().filter(|output| String::from_utf8_lossy(&output.stdout).contains("applied")).count();
    assert_eq!(worked, 1);
}

#[test]
fn a_migrated_database_is_what_the_definitions_say() {
    let Some(database) = TestDatabase::migrated() else { return };
    let check = database.specmill(&["db", "check"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.contains("as the definitions say"), "{}", check.stdout);
    // `check` compares by one description of both; these are the server's own words.
    let mut session = database.session();
    let comment = session.value(
        "SELECT col_description('spectra.features'::regclass, attnum) FROM pg_attribute \
         WHERE attrelid = 'spectra.features'::regclass AND attname = 'ra'",
    );
    assert_eq!(
        comment,
        "right ascension of the target (ICRS) [unit: deg] [ucd: pos.eq.ra;meta.main] [source: coadd FIBERMAP]"
    );
    let columns = specmill_schemas::features::table().fields.len() + 1;
    let found = session.value(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'spectra.features'::regclass AND attnum > 0",
    );
    assert_eq!(found, columns.to_string());
    let uncommented = session.rows(
        "SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname IN ('ops', 'catalog', 'spectra', 'ml') AND pg_get_userbyid(p.proowner) <> 'specmill_owner'",
    );
    assert_eq!(uncommented, Vec::<Vec<String>>::new(), "functions of another owner");
    let owners = session
        .rows("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('ops', 'spectra', 'ml')");
    assert_eq!(owners, [["specmill_owner"]]);
}

#[test]
fn check_says_what_is_loaded_by_table_and_stage_hash_and_how_models_are_indexed() {
    let Some(database) = TestDatabase::migrated() else { return };
    let check = || {
        let outcome = database.specmill(&["db", "check"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stdout
    };
    assert!(check().contains("loaded      nothing yet\n"));
    database.session().run(
        "INSERT INTO ops.load SELECT 'spectra.features', '', 'u' || n, 's', 'aaaabbbbccccdddd', 100 FROM generate_series(1, 3) n; \
         INSERT INTO ops.load VALUES ('spectra.features', '', 'v', 's', 'eeeebbbbccccdddd', 5); \
         INSERT INTO ops.load VALUES ('ml.embeddings', '1111222233334444', 'u1', 's', 'aaaa', 90); \
         INSERT INTO ml.models VALUES ('1111222233334444', 'qso', 1, 'QSO', 'empca', 10, 100, 3, 1e-4, 's', NULL, '{}', ''); \
         INSERT INTO ml.models VALUES ('5555222233334444', 'galaxy', 1, 'GALAXY', 'empca', 8, 100, 3, 1e-4, 's', NULL, '{}', ''); \
         INSERT INTO ml.vector_index VALUES ('i', '1111222233334444', 'l2', 'hnsw', '{}', 1, 1); \
         INSERT INTO ml.recall VALUES ('i', 40, 10, 0.95, 100, 1), ('i', 100, 10, 0.9912, 100, 2), ('i', 200, 10, 0.9912, 100, 4)",
    );
    let said = check();
    for line in [
        "    spectra.features          300 rows, 3 units under aaaabbbbcccc\n",
        "    spectra.features            5 rows, 1 units under eeeebbbbcccc\n",
        "    ml.embeddings              90 rows, 1 units under aaaa of model 111122223333\n",
        "  model       galaxy (555522223333), GALAXY, dimension 8; no vector index (`specmill db index`)\n",
        "  model       qso (111122223333), QSO, dimension 10; hnsw l2 (recall 0.9912 at ef_search 100)\n",
    ] {
        assert!(said.contains(line), "{line}{said}");
    }
}

#[test]
fn who_may_not_prepare_the_database_learns_what_the_administrator_must_run() {
    let Some(database) = TestDatabase::empty() else { return };
    let login = format!("{}_plain", database.name);
    database.session().run(&format!("CREATE ROLE {login} LOGIN"));
    let url = database.url_as(&login);
    let refused = specmill(&url, &["db", "migrate"]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("help: then run the same command again"), "{}", refused.stderr);
    let said = refused.stderr.split("must first run: ").nth(1).and_then(|rest| rest.split(" (").next());
    let said = said.unwrap_or_else(|| panic!("{}", refused.stderr));
    for statement in ["GRANT CREATE ON DATABASE", "GRANT specmill_owner TO", "CREATE EXTENSION vector"] {
        assert!(said.contains(statement), "{said}");
    }
    // What it says is all that is needed, and without any one of it it says so again.
    let statements: Vec<&str> = said.split("; ").collect();
    for (at, without) in statements.iter().enumerate() {
        let mut session = database.session();
        session.run(&format!("DROP EXTENSION IF EXISTS vector; REVOKE specmill_owner FROM {login}"));
        session.run(&format!("REVOKE CREATE ON DATABASE {} FROM specmill_owner", database.name));
        let others = statements.iter().enumerate().filter(|(other, _)| *other != at);
        others.for_each(|(_, statement)| session.run(statement));
        let refused = specmill(&url, &["db", "migrate"]);
        assert_eq!(refused.code, 5, "{}", refused.stderr);
        assert!(refused.stderr.contains(&format!("must first run: {without} (")), "{}", refused.stderr);
    }
    database.session().run(statements.last().unwrap());
    let migrated = specmill(&url, &["db", "migrate"]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    let check = specmill(&url, &["db", "check"]);
    assert!(check.stdout.contains("specmill_owner (owns the schemas"), "{}{}", check.stdout, check.stderr);
}
