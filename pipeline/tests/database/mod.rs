//! The database: a private server shared by the tests of this process, a database for each of them.

mod ask;
mod catalog;
mod catalog_sky;
mod connect;
mod errors;
mod export;
mod index;
#[cfg(feature = "joins")]
mod joins;
mod kill;
pub(crate) mod lake;
mod load;
mod migrate;
mod roles;
mod server;
mod similar;
mod sky;
mod stale;
pub(crate) mod tls;
mod views;

use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use specmill::config::Environment;
use specmill::server::ServerFile;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::run_folder::Outcome;

/// The database that every test's own is copied from.
const TEMPLATE: &str = "migrated";

/// A private server that ends with this process.
pub(crate) struct TestServer {
    pub(crate) file: ServerFile,
    /// Open as long as this process lives; a shell at its other end then removes the server.
    _alive: ChildStdin,
}

impl TestServer {
    /// The server of this process, or `None` (and why) where there is no PostgreSQL.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<TestServer, String>> = OnceLock::new();
        match SHARED.get_or_init(Self::start) {
            Ok(server) => Some(server),
            Err(reason) => {
                assert!(!is_required(), "SPECMILL_REQUIRE_POSTGRES is set and {reason}");
                announce_skip(reason);
                None
            }
        }
    }

    fn start() -> Result<Self, String> {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = scratch.join(format!("database-of-{}", std::process::id()));
        // Tests run in the crate's folder, the setup script leaves its installation in the project's.
        let mut environment = Environment::read();
        let brought = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".cache/postgres");
        if environment.postgres.is_none() && brought.exists() {
            environment.postgres = Some(brought);
        }
        let file = specmill::server::start(&folder, &environment).map_err(|error| error.to_string())?;
        let server = Self { _alive: remove_at_end(&file, &folder), file: file.clone() };
        let mut session = server.session("postgres");
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            session.run(&format!("ALTER SYSTEM SET {setting} = off"));
        }
        // Who is in this role needs a password, everybody else who can reach the socket does not.
        session.run("CREATE ROLE with_password");
        let rules = file.data.join("pg_hba.conf");
        let text = fs_err::read_to_string(&rules).unwrap();
        fs_err::write(&rules, format!("local all +with_password scram-sha-256\n{text}")).unwrap();
        session.run("SELECT pg_reload_conf()");
        session.run(&format!("CREATE DATABASE {TEMPLATE}"));
        let migrated = specmill(&server.url(TEMPLATE), &["db", "migrate"]);
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
        Ok(server)
    }

    /// The address of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        let socket = self.file.socket.to_str().unwrap().replace('/', "%2F");
        format!("postgres://{}@{socket}:{}/{database}", self.file.user, self.file.port)
    }

    /// A session of the server's owner.
    pub(crate) fn session(&self, database: &str) -> Session {
        Session::open(&self.url(database))
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment alone")]
fn is_required() -> bool {
    std::env::var_os("SPECMILL_REQUIRE_POSTGRES").is_some_and(|value| value == "1")
}

/// A shell that stops the server and removes its files once this process has ended, however it did.
fn remove_at_end(file: &ServerFile, folder: &Path) -> ChildStdin {
    use std::os::unix::process::CommandExt;

    let script = r#"cat >/dev/null; kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")"; sleep 1; rm -rf "$1" "$2" "$3""#;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg("sh").arg(file.data.parent().unwrap()).arg(&file.socket).arg(folder);
    // Not in this process's group: an interrupt from the keyboard must not reach it.
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().unwrap().stdin.take().unwrap()
}

#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
fn announce_skip(reason: &str) {
    println!("SKIPPED: {reason}");
}

/// A database for one test.
pub(crate) struct TestDatabase {
    server: &'static TestServer,
    pub(crate) name: String,
}

impl TestDatabase {
    /// A migrated one; `None` where there is no PostgreSQL.
    pub(crate) fn migrated() -> Option<Self> {
        Self::from_template(TEMPLATE)
    }

    /// One without schema or extension; `None` where there is no PostgreSQL.
    pub(crate) fn empty() -> Option<Self> {
        Self::from_template("template1")
    }

    fn from_template(template: &str) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let server = TestServer::shared()?;
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        server.session("postgres").run(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Some(Self { server, name })
    }

    /// Its address, as the server's owner.
    pub(crate) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Its address, as another user.
    pub(crate) fn url_as(&self, user: &str) -> String {
        self.url().replace(&format!("//{}@", self.server.file.user), &format!("//{user}@"))
    }

    /// A session of the server's owner.
    pub(crate) fn session(&self) -> Session {
        Session::open(&self.url())
    }

    /// A login of its own in one of the program's roles; gives its name.
    pub(crate) fn login(&self, role: &str) -> String {
        let login = format!("{}_{role}", self.name);
        self.session().run(&format!("CREATE ROLE {login} LOGIN IN ROLE {role}"));
        login
    }

    /// `specmill <words>` over a run file that names nothing, with this database as DATABASE_URL.
    pub(crate) fn specmill(&self, words: &[&str]) -> Outcome {
        specmill(&self.url(), words)
    }
}

/// `specmill <word> [<word>] RUN.toml <rest>` with a DATABASE_URL; a `db` command takes two words.
pub(crate) fn specmill(url: &str, words: &[&str]) -> Outcome {
    let folder = TempDir::new().unwrap();
    let mut command = bare_command(folder.path(), words);
    finish(command.env("DATABASE_URL", url))
}

/// The program over a run file in a folder, without any word of a database.
pub(crate) fn bare_command(folder: &Path, words: &[&str]) -> Command {
    let run_file = folder.join("run.toml");
    if !run_file.exists() {
        let text = format!("input.root = {folder:?}\noutput.folder = {:?}\n", folder.join("run"));
        fs_err::write(&run_file, text).unwrap();
    }
    let split = if words[0] == "db" { 2 } else { 1 };
    let mut command = Command::new(env!("CARGO_BIN_EXE_specmill"));
    command.args(&words[..split]).arg(run_file).args(&words[split..]);
    for name in
        ["RUST_LOG", "SPECMILL_LOG_FORMAT", "DATABASE_URL", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER"]
    {
        command.env_remove(name);
    }
    for name in ["PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A connection that asks in SQL and is answered in text.
pub(crate) struct Session {
    runtime: Runtime,
    client: Client,
}

impl Session {
    /// Connects without TLS.
    pub(crate) fn open(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config: Config = url.parse().unwrap();
        let (client, connection) = runtime.block_on(config.connect(NoTls)).unwrap();
        runtime.spawn(connection);
        Self { runtime, client }
    }

    /// The rows of the last statement; NULL is the empty text.
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn try_rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let messages = self.runtime.block_on(self.client.simple_query(sql)).map_err(|error| {
            error.as_db_error().map_or(error.to_string(), |said| format!("{}: {said}", said.code().code()))
        })?;
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect());
            }
        }
        Ok(rows)
    }

    /// The one value of a query.
    pub(crate) fn value(&mut self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// Carries out statements.
    pub(crate) fn run(&mut self, sql: &str) {
        self.rows(sql);
    }

    /// Carries out statements that must be refused; gives SQLSTATE and message.
    pub(crate) fn refused(&mut self, sql: &str) -> String {
        self.try_rows(sql).expect_err(sql)
    }
}
