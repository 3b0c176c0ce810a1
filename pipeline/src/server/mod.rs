//! The private server of a run folder: for laptops, the demo and tests.
//!
//! It listens on a Unix socket only, in a folder that nobody but its owner (and root) can enter; so whoever
//! can reach the socket owns the data anyway, and no password is asked for. No port can be taken, no other
//! machine can connect. Data, socket and log are in `<run folder>/db`; where root runs this program and the
//! unprivileged account that PostgreSQL insists on cannot reach that folder, in `/var/tmp`.

mod error;
mod installation;
mod settings;

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

pub use self::error::ServerError;
use self::installation::{Account, Installation};
pub(crate) use self::settings::free_space;
use crate::config::Environment;
use crate::digest::sha256_hex;
use crate::error::Result;
use crate::sink;
use crate::sink::postgres::{Address, DatabaseError, create_database};

/// The file of a run folder that says where its server is.
const RECORD: &str = "server.json";
/// Names the socket's file; no TCP port is used.
const PORT: u16 = 5432;
/// The user that owns the private server, and its database.
const NAME: &str = "specmill";
/// The longest path of a Unix socket on Linux.
const SOCKET_PATH_BYTES: usize = 107;
/// How long pg_ctl waits for a server, s: it may have to replay a crash first.
const START_SECONDS: &str = "120";

/// Where a run folder's private server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    /// Its version.
    pub version: String,
    /// The folder of its programs.
    pub bin: PathBuf,
    /// Its data.
    pub data: PathBuf,
    /// The folder of its socket.
    pub socket: PathBuf,
    /// The number in the socket's name.
    pub port: u16,
    /// Its log.
    pub log: PathBuf,
    /// The user to connect as.
    pub user: String,
    /// The database.
    pub database: String,
}

impl ServerFile {
    /// The server that was started for a run folder, if any was.
    ///
    /// # Errors
    /// Where the record cannot be read or understood.
    pub fn read(run_folder: &Path) -> std::result::Result<Option<Self>, ServerError> {
        let path = run_folder.join(RECORD);
        match fs_err::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map(Some).map_err(|source| ServerError::Record { path, source })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => {
                Err(ServerError::Io { what: "cannot read the server's record".to_owned(), source })
            }
        }
    }

    fn commit(&self, run_folder: &Path) -> Result<()> {
        let path = run_folder.join(RECORD);
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| DatabaseError::Server(ServerError::Record { path: path.clone(), source }))?;
        sink::write_atomically(&path, text.as_bytes())
    }
}

/// Starts the private server of a run folder, making it first where there is none; one that runs is left alone.
///
/// # Errors
/// Where no PostgreSQL serves, or it cannot be started: with the end of its log.
pub fn start(run_folder: &Path, environment: &Environment) -> Result<ServerFile> {
    let server = prepare_and_start(run_folder, environment).map_err(DatabaseError::Server)?;
    create_database(Address::of_private_server(&server, "postgres"), &server.database)?;
    server.commit(run_folder)?;
    Ok(server)
}

/// Stops the private server of a run folder; says whether one ran.
///
/// # Errors
/// Where it cannot be stopped.
pub fn stop(run_folder: &Path) -> Result<bool> {
    Ok(stop_recorded(run_folder).map_err(DatabaseError::Server)?)
}

fn stop_recorded(run_folder: &Path) -> std::result::Result<bool, ServerError> {
    let Some(server) = ServerFile::read(run_folder)? else { return Ok(false) };
    let account = Account::of_server()?;
    let pg_ctl = account.command(&server.bin.join("pg_ctl"));
    let ran = server.data.is_dir() && is_running(&server, account)?;
    if ran {
        call(pg_ctl_over(pg_ctl, &server.data, &["stop", "-m", "fast", "-w", "-s"]), "pg_ctl stop", None)?;
    }
    fs_err::remove_file(run_folder.join(RECORD))
        .map_err(ServerError::io("cannot remove the server's record"))?;
    Ok(ran)
}

fn prepare_and_start(
    run_folder: &Path,
    environment: &Environment,
) -> std::result::Result<ServerFile, ServerError> {
    let account = Account::of_server()?;
    let installation = Installation::find(environment.postgres.as_deref(), account)?;
    let make = |source| ServerError::Io { what: "cannot make the run folder".to_owned(), source };
    fs_err::create_dir_all(run_folder).map_err(make)?;
    let run_folder = fs_err::canonicalize(run_folder).map_err(make)?;
    let place = place(&run_folder, account)?;
    let socket = socket_folder(&place, account)?;
    let server = ServerFile {
        version: installation.version.clone(),
        bin: installation.bin.clone(),
        data: place.join("data"),
        socket,
        port: PORT,
        log: place.join("server.log"),
        user: NAME.to_owned(),
        database: NAME.to_owned(),
    };
    // Two starts at once: the second waits, and finds it running.
    let lock = fs_err::File::create(place.join("lock")).map_err(ServerError::io("cannot lock the server"))?;
    lock.file().lock().map_err(ServerError::io("cannot lock the server"))?;
    make_data(&installation, &server, account)?;
    if !is_running(&server, account)? {
        remove_traces_of_the_dead(&server)?;
        launch(&installation, &server, account)?;
    }
    Ok(server)
}

/// The folder of data, socket and log: in the run folder, or where the server's account can reach it.
fn place(run_folder: &Path, account: Account) -> std::result::Result<PathBuf, ServerError> {
    let place = if account.reaches(run_folder) {
        run_folder.join("db")
    } else {
        let place = Path::new("/var/tmp").join(format!("specmill-db-{}", short_digest(run_folder)));
        tracing::info!(
            "the server's data are in {}: its account {} cannot reach {}",
            place.display(),
            account.uid,
            run_folder.display()
        );
        place
    };
    private_folder(&place, account)?;
    Ok(place)
}

fn socket_folder(place: &Path, account: Account) -> std::result::Result<PathBuf, ServerError> {
    let near = place.join("socket");
    let name = format!(".s.PGSQL.{PORT}.lock");
    let folder = if near.as_os_str().len() + 1 + name.len() <= SOCKET_PATH_BYTES {
        near
    } else {
        // The name of a socket has fewer bytes than the run folder's path.
        Path::new("/tmp").join(format!("specmill-socket-{}", short_digest(place)))
    };
    private_folder(&folder, account)?;
    Ok(folder)
}

fn short_digest(path: &Path) -> String {
    sha256_hex(path.as_os_str().as_encoded_bytes())[..16].to_owned()
}

/// A folder that only the server's account can enter; one that is there must be that already.
fn private_folder(path: &Path, account: Account) -> std::result::Result<(), ServerError> {
    let fail = |source| ServerError::Io { what: format!("cannot make {}", path.display()), source };
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) if account.is_other => {
            fs_err::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)).map_err(fail)?;
        }
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fail(error)),
    }
    let found = fs_err::symlink_metadata(path).map_err(fail)?;
    if !found.is_dir() || found.uid() != account.uid || found.permissions().mode() & 0o077 != 0 {
        return Err(ServerError::Foreign { path: path.to_owned() });
    }
    Ok(())
}

/// Makes the data folder where there is none: aside, then renamed, so that what is there is whole.
fn make_data(
    installation: &Installation,
    server: &ServerFile,
    account: Account,
) -> std::result::Result<(), ServerError> {
    let data = &server.data;
    if let Ok(found) = fs_err::read_to_string(data.join("PG_VERSION")) {
        let found = found.trim().to_owned();
        let fits = found.parse() == Ok(installation.major);
        let installed = installation.major;
        return if fits {
            Ok(())
        } else {
            Err(ServerError::OtherVersion { data: data.clone(), found, installed })
        };
    }
    let partial = data.with_extension("partial");
    if partial.exists() {
        fs_err::remove_dir_all(&partial).map_err(ServerError::io("cannot remove unfinished data"))?;
    }
    let mut initdb = installation.command("initdb", account);
    initdb.arg("-D").arg(&partial);
    initdb.args(["-U", NAME, "-A", "trust", "--no-locale", "-E", "UTF8", "--no-instructions"]);
    call(initdb, "initdb", None)?;
    fs_err::rename(&partial, data).map_err(ServerError::io("cannot name the server's data"))
}

fn launch(
    installation: &Installation,
    server: &ServerFile,
    account: Account,
) -> std::result::Result<(), ServerError> {
    // The options are read by a shell, then the folder as an item of a list.
    let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let folder = format!("\"{}\"", server.socket.display().to_string().replace('"', "\"\""));
    let mut options = format!("-p {} -k {}", server.port, quote(&folder));
    for setting in settings::settings() {
        options.push_str(&format!(" -c {}", quote(&setting)));
    }
    let mut pg_ctl = pg_ctl_over(
        installation.command("pg_ctl", account),
        &server.data,
        &["start", "-w", "-s", "-t", START_SECONDS, "-o", &options, "-l"],
    );
    pg_ctl.arg(&server.log);
    call(pg_ctl, "pg_ctl start", Some(&server.log))
}

fn is_running(server: &ServerFile, account: Account) -> std::result::Result<bool, ServerError> {
    if is_dead_but_listed(server) {
        return Ok(false);
    }
    let mut pg_ctl = pg_ctl_over(account.command(&server.bin.join("pg_ctl")), &server.data, &["status"]);
    let status = pg_ctl.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status.map_err(ServerError::io("cannot run pg_ctl"))?.success())
}

/// The lock files of a server: each names its process in the first line.
fn lock_files(server: &ServerFile) -> [PathBuf; 2] {
    [server.data.join("postmaster.pid"), server.socket.join(format!(".s.PGSQL.{}.lock", server.port))]
}

/// Whether the server's process has ended, but is still listed since nobody asked how: in a container whose first
/// process is no init, that is for ever, and PostgreSQL takes it for alive.
fn is_dead_but_listed(server: &ServerFile) -> bool {
    let [pid_file, _] = lock_files(server);
    let process = fs_err::read_to_string(pid_file).ok();
    let process = process.as_deref().and_then(|text| text.lines().next()).map(str::trim);
    let status = process.and_then(|process| fs_err::read_to_string(format!("/proc/{process}/status")).ok());
    status.is_some_and(|text| text.contains("State:\tZ"))
}

/// Removes the lock files of a server that is dead but listed. Should children of it still live, PostgreSQL finds
/// their shared memory and does not start.
fn remove_traces_of_the_dead(server: &ServerFile) -> std::result::Result<(), ServerError> {
    if is_dead_but_listed(server) {
        for file in lock_files(server).iter().filter(|file| file.exists()) {
            fs_err::remove_file(file).map_err(ServerError::io("cannot remove a dead server's lock"))?;
        }
    }
    Ok(())
}

fn pg_ctl_over(mut pg_ctl: Command, data: &Path, words: &[&str]) -> Command {
    pg_ctl.arg("-D").arg(data).args(words);
    pg_ctl
}

/// Runs one of PostgreSQL's programs to its end. What it leaves running would hold a pipe open, so what it
/// says goes into a file.
fn call(
    mut command: Command,
    program: &'static str,
    log: Option<&Path>,
) -> std::result::Result<(), ServerError> {
    let run = || -> std::io::Result<(bool, String)> {
        let said = tempfile::tempfile()?;
        let status = command.stdout(said.try_clone()?).stderr(said.try_clone()?).status()?;
        let mut text = String::new();
        std::io::Seek::rewind(&mut &said)?;
        std::io::Read::read_to_string(&mut &said, &mut text)?;
        Ok((status.success(), text))
    };
    let (succeeded, mut said) = run_named(program, run)?;
    if succeeded {
        return Ok(());
    }
    if let Some(text) = log.and_then(|log| fs_err::read_to_string(log).ok()) {
        said.push_str(&text);
    }
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines[lines.len().saturating_sub(6)..].join(" / ");
    Err(ServerError::Program { program, said })
}

fn run_named<T>(
    program: &'static str,
    run: impl FnOnce() -> std::io::Result<T>,
) -> std::result::Result<T, ServerError> {
    run().map_err(ServerError::io(format!("cannot run {program}")))
}
