//! What can be wrong between the program and the database, as situations told apart by SQLSTATE.

use std::error::Error as StdError;
use std::path::PathBuf;

use tokio_postgres::error::SqlState;

use crate::exit::Exit;
use crate::server::ServerError;

/// A situation in which the database does not do what was asked.
///
/// `place` names server, database and user, `doing` what was being done; neither holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Nothing says where the database is.
    #[error("no database: neither DATABASE_URL nor PGHOST is set, and no private server was started in {}", folder.display())]
    NotConfigured {
        /// The run folder.
        folder: PathBuf,
    },
    /// `DATABASE_URL` or a `PG*` variable cannot be understood.
    #[error("{variable} {problem}")]
    Address {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it; never its text.
        problem: String,
    },
    /// The private server could not be started, found or stopped.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Nobody answers there.
    #[error("cannot reach {place}: {reason}")]
    Unreachable {
        /// Where.
        place: String,
        /// The system's reason.
        reason: String,
    },
    /// No encrypted connection that the settings accept.
    #[error("no trusted TLS connection to {place}: {reason}")]
    Tls {
        /// Where.
        place: String,
        /// The library's reason.
        reason: String,
    },
    /// The user is unknown, the password wrong or missing, or the server's rules forbid the connection.
    #[error("{place} does not let the user in: {reason}")]
    Authentication {
        /// Where.
        place: String,
        /// The server's reason.
        reason: String,
    },
    /// The server has no such database.
    #[error("{place} does not exist")]
    NoSuchDatabase {
        /// Where.
        place: String,
    },
    /// Every connection of the server is taken, or it is starting or stopping.
    #[error("{place} takes no connections now: {reason}")]
    Busy {
        /// Where.
        place: String,
        /// The server's reason.
        reason: String,
    },
    /// The server is too old.
    #[error("{place} runs PostgreSQL {found}; 16 or newer is needed")]
    ServerTooOld {
        /// Where.
        place: String,
        /// Its version.
        found: String,
    },
    /// The server has no pgvector to install.
    #[error("{place} has no extension `vector` (pgvector)")]
    MissingExtension {
        /// Where.
        place: String,
    },
    /// The database has a pgvector without iterative scans.
    #[error("{place} has pgvector {found}; {} or newer is needed", super::VECTOR_MINIMUM)]
    ExtensionTooOld {
        /// Where.
        place: String,
        /// Its version.
        found: String,
    },
    /// Migrations are missing.
    #[error("the schema of {place} is at migration {found}, this program needs {needed}")]
    Behind {
        /// Where.
        place: String,
        /// The database's newest migration; 0 for none.
        found: i32,
        /// The program's newest migration.
        needed: i32,
    },
    /// The database was migrated by a newer program.
    #[error("the schema of {place} is at migration {found}, newer than this program's {known}")]
    Ahead {
        /// Where.
        place: String,
        /// The database's newest migration.
        found: i32,
        /// The program's newest migration.
        known: i32,
    },
    /// A migration was applied with another text than this program's.
    #[error("migration {version} of {place} was applied with another text than this program's {name}")]
    Altered {
        /// Where.
        place: String,
        /// The migration.
        version: i32,
        /// Its file.
        name: String,
    },
    /// The tables are not what the definitions say: somebody altered them.
    #[error("{place} was altered by other hands: {}", differences.join("; "))]
    Differs {
        /// Where.
        place: String,
        /// A sentence each.
        differences: Vec<String>,
    },
    /// A table of a catalogue holds rows of another shape than its declaration has now.
    #[error("{table} holds rows that its declaration does not fit any more: {}", problems.join("; "))]
    Redeclared {
        /// The table, as schema.table.
        table: String,
        /// A sentence each.
        problems: Vec<String>,
    },
    /// Rows of a table have the same key although it is declared unique.
    #[error("{table} has more than one row of the same {columns}: {rows}")]
    Repeated {
        /// The table, as schema.table.
        table: String,
        /// The columns of the key.
        columns: String,
        /// Which rows, in words.
        rows: String,
    },
    /// Roles, rights or the extension are missing, and the user may not make them.
    #[error("an administrator of {place} must first run: {statements} ({reason})")]
    NeedsAdministrator {
        /// Where.
        place: String,
        /// What to run.
        statements: String,
        /// The server's reason.
        reason: String,
    },
    /// The user may not do it.
    #[error("not allowed while {doing}: {reason}")]
    Privilege {
        /// What was being done.
        doing: String,
        /// The server's reason.
        reason: String,
    },
    /// The server or the session accepts no writes.
    #[error("the database is read-only while {doing}: {reason}")]
    ReadOnly {
        /// What was being done.
        doing: String,
        /// The server's reason.
        reason: String,
    },
    /// The server's disk is full.
    #[error("the server's disk is full while {doing}: {reason}")]
    DiskFull {
        /// What was being done.
        doing: String,
        /// The server's reason.
        reason: String,
    },
    /// The server has too little memory, or locks, for it.
    #[error("the server is out of memory while {doing}: {reason}")]
    OutOfMemory {
        /// What was being done.
        doing: String,
        /// The server's reason.
        reason: String,
    },
    /// The connection broke, or the server ended it; its transaction is undone.
    #[error("the connection was lost while {doing}: {reason}")]
    ConnectionLost {
        /// What was being done.
        doing: String,
        /// The reason, as far as known.
        reason: String,
    },
    /// Another session holds what is needed.
    #[error("another session is in the way while {doing}: {reason}")]
    Contended {
        /// What was being done.
        doing: String,
        /// The server's reason.
        reason: String,
    },
    /// A primary key is there already.
    #[error("duplicate key while {doing}: {reason}")]
    DuplicateKey {
        /// What was being done.
        doing: String,
        /// The server's reason, with the key.
        reason: String,
    },
    /// A value breaks a rule of its table: a vector of another dimension, a NULL, a foreign partition.
    #[error("a row was refused while {doing}: {reason}")]
    RowRefused {
        /// What was being done.
        doing: String,
        /// The server's reason.
        reason: String,
    },
    /// Anything else the server says no to.
    #[error("the database refused while {doing}: {reason}")]
    Refused {
        /// What was being done.
        doing: String,
        /// The server's reason.
        reason: String,
    },
}

impl From<DatabaseError> for crate::error::Error {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Box::new(error))
    }
}

/// The error of a statement, with what it was part of.
pub(crate) fn failed(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> DatabaseError {
    let doing = doing.into();
    move |error| DatabaseError::of_statement(doing, &error)
}

impl DatabaseError {
    /// A refused statement as a situation.
    pub(crate) fn of_statement(doing: String, error: &tokio_postgres::Error) -> Self {
        let reason = reason(error);
        let Some(code) = error.code() else {
            return if error.is_closed() || find::<std::io::Error>(error).is_some() {
                Self::ConnectionLost { doing, reason }
            } else {
                Self::Refused { doing, reason }
            };
        };
        match code.code() {
            "23505" => Self::DuplicateKey { doing, reason },
            "25006" => Self::ReadOnly { doing, reason },
            "42501" => Self::Privilege { doing, reason },
            "53100" => Self::DiskFull { doing, reason },
            // Too many locks are out of shared memory as well.
            "53200" => Self::OutOfMemory { doing, reason },
            "40001" | "40P01" | "55P03" => Self::Contended { doing, reason },
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Self::ConnectionLost { doing, reason },
            code if code.starts_with("08") => Self::ConnectionLost { doing, reason },
            code if code.starts_with("22") || code.starts_with("23") => Self::RowRefused { doing, reason },
            _ => Self::Refused { doing, reason },
        }
    }

    /// A failed connection as a situation.
    pub(crate) fn of_connection(place: String, error: &tokio_postgres::Error) -> Self {
        let mut reason = reason(error);
        if let Some(code) = error.code() {
            return match code {
                code if *code == SqlState::INVALID_CATALOG_NAME => Self::NoSuchDatabase { place },
                code if *code == SqlState::TOO_MANY_CONNECTIONS
                    || *code == SqlState::CANNOT_CONNECT_NOW
                    || *code == SqlState::ADMIN_SHUTDOWN =>
                {
                    Self::Busy { place, reason }
                }
                code if code.code().starts_with("28") || *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                    Self::Authentication { place, reason }
                }
                _ => Self::Unreachable { place, reason },
            };
        }
        if let Some(refused) = find::<rustls::Error>(error) {
            return Self::Tls { place, reason: refused.to_string() };
        }
        // The library tells these two apart by their text alone.
        if reason.contains("TLS") {
            return Self::Tls { place, reason };
        }
        if reason.contains("password") {
            return Self::Authentication { place, reason };
        }
        if reason.contains("deadline") || reason.contains("timeout") {
            reason = "no answer in time".to_owned();
        }
        Self::Unreachable { place, reason }
    }

    /// Whether the same work may succeed over a new connection.
    pub(crate) fn is_lost_connection(&self) -> bool {
        matches!(self, Self::ConnectionLost { .. } | Self::Unreachable { .. } | Self::Busy { .. })
    }

    /// The exit code this situation has: 2 where only the user or another program version can mend it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotConfigured { .. }
            | Self::Address { .. }
            | Self::Behind { .. }
            | Self::Ahead { .. }
            | Self::Altered { .. }
            | Self::Differs { .. }
            | Self::Redeclared { .. } => Exit::BadPlan,
            Self::Server(_)
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::NoSuchDatabase { .. }
            | Self::Busy { .. }
            | Self::ServerTooOld { .. }
            | Self::MissingExtension { .. }
            | Self::ExtensionTooOld { .. }
            | Self::NeedsAdministrator { .. }
            | Self::Privilege { .. }
            | Self::ReadOnly { .. }
            | Self::DiskFull { .. }
            | Self::OutOfMemory { .. }
            | Self::ConnectionLost { .. }
            | Self::Contended { .. }
            | Self::DuplicateKey { .. }
            | Self::Repeated { .. }
            | Self::RowRefused { .. }
            | Self::Refused { .. } => Exit::DatabaseUnavailable,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotConfigured { .. } => {
                "set DATABASE_URL=postgres://user@host/database, or start a private server with `specmill db start RUN.toml`"
            }
            Self::Address { .. } => {
                "write postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=/path/ca.pem; \
                 special characters of a password are percent-encoded"
            }
            Self::Server(error) => return error.help(),
            Self::Unreachable { .. } => {
                "check host, port and network of DATABASE_URL or PGHOST; a private server is started with `specmill db start RUN.toml`"
            }
            Self::Tls { .. } => {
                "give the authority that signed the server's certificate as sslrootcert, and the host by the name in the certificate; \
                 sslmode=require encrypts without checking"
            }
            Self::Authentication { .. } => {
                "check the user and password in DATABASE_URL or PGUSER and PGPASSWORD, and the server's pg_hba.conf"
            }
            Self::NoSuchDatabase { .. } => {
                "have it created (`createdb -O OWNER DATABASE`), or correct DATABASE_URL or PGDATABASE"
            }
            Self::Busy { .. } => {
                "wait and run the same command again, or give [load] connections a smaller number"
            }
            Self::ServerTooOld { .. } => "use a server with PostgreSQL 16 or newer",
            Self::MissingExtension { .. } => {
                "have pgvector installed on the server, then as superuser: CREATE EXTENSION vector"
            }
            Self::ExtensionTooOld { .. } => {
                "have a newer pgvector installed on the server, then as superuser: ALTER EXTENSION vector UPDATE"
            }
            Self::Behind { .. } => "run `specmill db migrate RUN.toml`",
            Self::Ahead { .. } => {
                "use the specmill that migrated it, or a newer one: migrations only go forward"
            }
            Self::Altered { .. } => "use the specmill that migrated it, or a fresh database",
            Self::Differs { .. } => "undo that, or load the run into a fresh database",
            Self::Repeated { .. } => {
                "take one of the files out of the run file and DELETE its units' rows, or declare the key that the rows have; \
                 the other indexes are made"
            }
            Self::Redeclared { .. } => {
                "undo that in the declaration; or, as specmill_owner, DROP TABLE it CASCADE, run this command again, and then the stages \
                 catalog and load"
            }
            Self::NeedsAdministrator { .. } => "then run the same command again",
            Self::Privilege { .. } => {
                "use a user of the right role: specmill_owner migrates and indexes, specmill_loader loads, specmill_reader reads"
            }
            Self::ReadOnly { .. } => {
                "connect to the primary server with a user whose default_transaction_read_only is off"
            }
            Self::DiskFull { .. } => "make room on the server's disk, then run the same command again",
            Self::OutOfMemory { .. } => {
                "give the server more memory or a lower maintenance_work_mem, then run the same command again"
            }
            Self::ConnectionLost { .. } => {
                "look into the server's log, then run the same command again: what was not committed is undone"
            }
            Self::Contended { .. } => "run the same command again when the other session is done",
            Self::DuplicateKey { .. } | Self::RowRefused { .. } => {
                "the input holds what the table forbids; nothing of this unit was loaded"
            }
            Self::Refused { .. } => return None,
        })
    }
}

/// The first cause of type `T` in a chain, also inside an I/O error.
fn find<T: StdError + 'static>(error: &tokio_postgres::Error) -> Option<&T> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<T>()) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Why, in one line: the server's message with its detail, or the chain of causes.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let extra = [said.detail(), said.where_().filter(|_| said.detail().is_none())];
        let extra = extra.into_iter().flatten().map(|text| format!(" ({})", text.replace('\n', " ")));
        return extra.fold(said.message().to_owned(), |text, more| text + &more);
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
