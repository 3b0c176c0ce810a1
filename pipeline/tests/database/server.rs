//! The private server: started, stopped, killed, misplaced.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use specmill::server::ServerFile;
use tempfile::TempDir;

use super::{Session, TestServer, bare_command, finish};
use crate::run_folder::{Outcome, send_signal};

/// A folder with a run file, open to the server's account, and the server in it removed at the end.
struct Place {
    folder: TempDir,
}

impl Place {
    /// `None` where there is no PostgreSQL.
    fn new(mode: u32) -> Option<Self> {
        TestServer::shared()?;
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs_err::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
        Some(Self { folder })
    }

    fn run_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn call(&self, word: &str) -> Outcome {
        let mut command = bare_command(self.folder.path(), &["db", word]);
        // The installation that the shared server runs.
        let bin = &TestServer::shared().unwrap().file.bin;
        finish(command.env("SPECMILL_POSTGRES", bin.parent().unwrap()))
    }

    fn start(&self) -> ServerFile {
        let outcome = self.call("start");
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        ServerFile::read(&self.run_folder()).unwrap().expect("a started server has its record")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(Some(server)) = ServerFile::read(&self.run_folder()) {
            self.call("stop");
            // Both may lie outside the run folder.
            let _ = fs_err::remove_dir_all(server.data.parent().unwrap());
            let _ = fs_err::remove_dir_all(server.socket);
        }
    }
}

fn session(server: &ServerFile) -> Session {
    let socket = server.socket.to_str().unwrap().replace('/', "%2F");
    Session::open(&format!("postgres://{}@{socket}:{}/{}", server.user, server.port, server.database))
}

fn process(server: &ServerFile) -> String {
    let text = fs_err::read_to_string(server.data.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().to_owned()
}

#[test]
fn a_private_server_keeps_its_data_over_stops_starts_and_a_crash() {
    let Some(place) = Place::new(0o755) else { return };
    let server = place.start();
    assert!(server.data.starts_with(fs_err::canonicalize(place.folder.path()).unwrap()), "{server:?}");
    session(&server).run("CREATE TABLE kept AS SELECT 7 AS seven");
    // Starting what runs changes nothing.
    let before = process(&server);
    assert_eq!(place.start(), server);
    assert_eq!(process(&server), before);
    let stopped = place.call("stop");
    assert_eq!((stopped.code, stopped.stdout.as_str()), (0, "the private server is stopped\n"));
    let again = place.call("stop");
    assert_eq!((again.code, again.stdout.as_str()), (0, "no private server ran\n"));
    // Nothing names a database now.
    let check = place.call("check");
    assert_eq!(check.code, 2);
    assert!(check.stderr.contains("help: set DATABASE_URL"), "{}", check.stderr);
    place.start();
    assert_eq!(session(&server).value("SELECT seven FROM kept"), "7");
    // Killed, its process number stays behind.
    send_signal(process(&server).parse().unwrap(), "KILL");
    wait_for_the_end_of(&process(&server));
    let check = place.call("check");
    assert_eq!(check.code, 5, "{}", check.stderr);
    assert!(check.stderr.contains("cannot reach") && check.stderr.contains("db start"), "{}", check.stderr);
    place.start();
    assert_eq!(session(&server).value("SELECT seven FROM kept"), "7");
}

fn wait_for_the_end_of(process: &str) {
    let status = Path::new("/proc").join(process).join("status");
    while fs_err::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn nobody_else_can_reach_the_socket_and_no_port_is_open() {
    let Some(server) = TestServer::shared() else { return };
    for folder in [&server.file.socket, &server.file.data] {
        let mode = fs_err::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", folder.display());
    }
    assert_eq!(server.session("postgres").value("SHOW listen_addresses"), "");
}

#[test]
fn a_run_folder_too_deep_for_a_socket_gets_one_elsewhere() {
    let Some(mut place) = Place::new(0o755) else { return };
    let deep = place.folder.path().join("d".repeat(60)).join("e".repeat(60));
    fs_err::create_dir_all(&deep).unwrap();
    let text = format!("input.root = {deep:?}\noutput.folder = {:?}\n", deep.join("run"));
    fs_err::write(place.folder.path().join("run.toml"), text).unwrap();
    let outcome = place.call("start");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let server = ServerFile::read(&deep.join("run")).unwrap().unwrap();
    assert!(server.socket.starts_with("/tmp"), "{server:?}");
    assert_eq!(session(&server).value("SELECT 1"), "1");
    assert_eq!(place.call("stop").code, 0);
    fs_err::remove_dir_all(&server.socket).unwrap();
    place.folder.disable_cleanup(false);
}

#[test]
fn where_the_servers_account_cannot_reach_the_run_folder_data_are_elsewhere() {
    let Some(place) = Place::new(0o700) else { return };
    let server = place.start();
    let inside = server.data.starts_with(fs_err::canonicalize(place.folder.path()).unwrap());
    let is_root =
        fs_err::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0).unwrap();
    // Without root the server runs under the account that owns the run folder.
    assert_eq!(inside, !is_root, "{server:?}");
    assert_eq!(session(&server).value("SELECT 1"), "1");
}

#[test]
fn a_folder_that_others_can_enter_is_not_used() {
    let Some(place) = Place::new(0o755) else { return };
    let open = place.run_folder().join("db");
    fs_err::create_dir_all(&open).unwrap();
    fs_err::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    let outcome = place.call("start");
    assert_eq!(outcome.code, 5);
    assert!(outcome.stderr.contains("is not a private folder"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("help: remove it"), "{}", outcome.stderr);
}

#[test]
fn data_of_another_version_are_left_alone() {
    let Some(place) = Place::new(0o755) else { return };
    let server = place.start();
    assert_eq!(place.call("stop").code, 0);
    let version = server.data.join("PG_VERSION");
    let own = fs_err::read_to_string(&version).unwrap();
    fs_err::write(&version, "15\n").unwrap();
    let outcome = place.call("start");
    assert_eq!(outcome.code, 5);
    assert!(outcome.stderr.contains("holds data of PostgreSQL 15"), "{}", outcome.stderr);
    // So that the end of the test finds and removes it.
    fs_err::write(&version, own).unwrap();
    place.start();
}

#[test]
fn without_an_installation_every_place_looked_at_is_named() {
    let folder = TempDir::new().unwrap();
    let mut command = bare_command(folder.path(), &["db", "start"]);
    let outcome = finish(command.env("SPECMILL_POSTGRES", "/no/such/folder"));
    assert_eq!(outcome.code, 5);
    let said = "SPECMILL_POSTGRES (/no/such/folder) does not exist";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("help: run scripts/setup.sh"), "{}", outcome.stderr);
}

#[test]
fn an_installation_without_pgvector_is_refused() {
    let Some(server) = TestServer::shared() else { return };
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs_err::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs_err::os::unix::fs::symlink(&server.file.bin, folder.path().join("bin")).unwrap();
    let mut command = bare_command(folder.path(), &["db", "start"]);
    let outcome = finish(command.env("SPECMILL_POSTGRES", folder.path()));
    assert_eq!(outcome.code, 5);
    assert!(outcome.stderr.contains("has no pgvector"), "{}", outcome.stderr);
}

#[test]
fn who_migrates_another_database_of_the_server_at_the_same_time_makes_the_same_roles() {
    let Some(place) = Place::new(0o755) else { return };
    let server = place.start();
    let mut other = session(&server);
    // Halfway through the migration of another database.
    other.run("BEGIN; CREATE ROLE specmill_owner NOLOGIN; CREATE ROLE specmill_reader NOLOGIN");
    std::thread::scope(|scope| {
        let migrating = scope.spawn(|| place.call("migrate"));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let mut watch = session(&server);
        while !migrating.is_finished() && watch.value(waits) == "0" {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        other.run("COMMIT");
        let migrated = migrating.join().unwrap();
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    });
    let checked = place.call("check");
    assert_eq!(checked.code, 0, "{}", checked.stderr);
}
