//! Who names the database, and what is said where it cannot be had.

use tempfile::TempDir;

use super::lake::Lake;
use super::{TestDatabase, TestServer, bare_command, finish, specmill};
use crate::run_folder::{Release, RunFolder, files_below};

/// Stands in every password here; nothing may ever show it.
const MARKED: &str = "s3cr3t-mark";

#[test]
fn database_url_wins_over_libpq_and_over_the_private_server() {
    let Some(database) = TestDatabase::migrated() else { return };
    let server = &TestServer::shared().unwrap().file;
    let folder = TempDir::new().unwrap();
    let record = serde_json::to_string(server).unwrap();
    fs_err::create_dir_all(folder.path().join("run")).unwrap();
    fs_err::write(folder.path().join("run/server.json"), record).unwrap();
    let check = || bare_command(folder.path(), &["db", "check"]);
    // The private server's own database has no schema.
    let private = finish(&mut check());
    assert_eq!(private.code, 2, "{}", private.stderr);
    assert!(private.stderr.contains(&format!("database {} at", server.database)), "{}", private.stderr);
    let libpq = finish(
        check()
            .env("PGHOST", &server.socket)
            .env("PGPORT", server.port.to_string())
            .env("PGUSER", &server.user)
            .env("PGDATABASE", &database.name),
    );
    assert_eq!(libpq.code, 0, "{}", libpq.stderr);
    assert!(libpq.stdout.contains(&format!("database {} at", database.name)), "{}", libpq.stdout);
    let url = finish(check().env("PGHOST", "nowhere.invalid").env("DATABASE_URL", database.url()));
    assert_eq!(url.code, 0, "{}", url.stderr);
    assert!(url.stdout.contains("named by DATABASE_URL"), "{}", url.stdout);
}

#[test]
fn a_command_says_once_which_database_it_asks() {
    let Some(database) = TestDatabase::migrated() else { return };
    let outcome = Lake::new().load(&database.url(), 0);
    assert_eq!(outcome.stderr.matches(", as DATABASE_URL says").count(), 1, "{}", outcome.stderr);
}

#[test]
fn a_server_that_is_down_is_an_error_with_a_way_out() {
    // Nothing listens on port 1, nor on a socket that does not exist.
    for url in ["postgres://me@127.0.0.1:1/desi", "postgres://me@%2Fno%2Fsuch%2Ffolder/desi"] {
        let outcome = specmill(url, &["db", "check"]);
        assert_eq!(outcome.code, 5, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("error: cannot reach database desi at"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("help: check host, port and network"), "{}", outcome.stderr);
    }
}

#[test]
fn an_address_that_cannot_be_understood_is_a_bad_argument_and_is_not_quoted() {
    for url in
        [format!("postgres://me:{MARKED}"), format!("me:{MARKED}@host"), format!("host=x sslmode={MARKED}x")]
    {
        let outcome = specmill(&url, &["db", "check"]);
        assert_eq!(outcome.code, 2, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("error: DATABASE_URL"), "{}", outcome.stderr);
        assert!(url.contains("sslmode") || !outcome.stderr.contains(MARKED), "{}", outcome.stderr);
    }
}

#[test]
fn a_wrong_password_is_told_and_never_shown() {
    let Some(database) = TestDatabase::migrated() else { return };
    let login = format!("{}_scram", database.name);
    database.session().run(&format!(
        "CREATE ROLE {login} LOGIN PASSWORD '{MARKED}' IN ROLE specmill_reader, with_password"
    ));
    let url = database.url_as(&login);
    let with = |password: &str| url.replace(&format!("{login}@"), &format!("{login}:{password}@"));
    let call = |url: &str, password: Option<&str>| {
        let folder = TempDir::new().unwrap();
        let mut command = bare_command(folder.path(), &["db", "check"]);
        command
            .env("DATABASE_URL", url)
            .env("RUST_LOG", "trace")
            .envs(password.map(|text| ("PGPASSWORD", text)));
        let outcome = finish(&mut command);
        assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains(MARKED), "{}", outcome.stderr);
        outcome
    };
    assert_eq!(call(&with(MARKED), None).code, 0);
    assert_eq!(call(&url, Some(MARKED)).code, 0);
    let wrong = call(&with(&format!("{MARKED}-not")), None);
    assert_eq!(wrong.code, 5, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("does not let the user in: password authentication failed"),
        "{}",
        wrong.stderr
    );
    assert!(wrong.stderr.contains("help: check the user and password"), "{}", wrong.stderr);
    let none = call(&url, None);
    assert_eq!(none.code, 5, "{}", none.stderr);
    assert!(none.stderr.contains("does not let the user in"), "{}", none.stderr);
}

#[test]
fn an_unknown_user_or_database_is_told() {
    let Some(database) = TestDatabase::migrated() else { return };
    let outcome = specmill(&database.url_as("nobody_we_know"), &["db", "check"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("role \"nobody_we_know\" does not exist"), "{}", outcome.stderr);
    let outcome = specmill(&TestServer::shared().unwrap().url("no_such_database"), &["db", "check"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("database no_such_database at"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("does not exist"), "{}", outcome.stderr);
}

#[test]
fn a_server_without_free_connections_is_busy() {
    let Some(database) = TestDatabase::migrated() else { return };
    let login = database.login("specmill_reader");
    let mut session = database.session();
    session.run(&format!("ALTER ROLE {login} CONNECTION LIMIT 0"));
    let outcome = specmill(&database.url_as(&login), &["db", "check"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("takes no connections now"), "{}", outcome.stderr);
}

#[test]
fn a_run_leaves_no_password_in_its_records() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    let url = format!("postgres://me:{MARKED}@127.0.0.1:1/desi");
    for (words, code) in
        [(&["run", "--stage", "inventory", "--stage", "extract"][..], 0), (&["run", "--stage", "load"], 5)]
    {
        let mut command = run.command(words);
        let outcome =
            finish(command.env("DATABASE_URL", &url).env("PGPASSWORD", MARKED).env("RUST_LOG", "trace"));
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains(MARKED));
    }
    let records = files_below(&run.path());
    assert!(records.iter().any(|path| path.to_str().unwrap().contains("/runs/")), "{records:?}");
    for path in records {
        let bytes = fs_err::read(&path).unwrap();
        let holds = bytes.windows(MARKED.len()).any(|part| part == MARKED.as_bytes());
        assert!(!holds, "{} holds the password", path.display());
    }
}
