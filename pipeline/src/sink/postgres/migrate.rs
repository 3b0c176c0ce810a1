//! The schema of the database: which migrations it has, and the missing ones applied in one transaction.

use std::path::Path;
use std::sync::Arc;

use specmill_schemas::catalogs::Catalog;
use specmill_schemas::relational::{MIGRATIONS, Migration};
use tokio_postgres::error::SqlState;

use super::catalogs::{Changes, WantedTable, migrate_catalogs, wanted_tables};
use super::failure::{DatabaseError, failed};
use super::{Database, SERVER_MINIMUM, VECTOR_MINIMUM};
use crate::config::Environment;
use crate::digest::sha256_hex;
use crate::error::Result;

/// The role that owns every object.
pub(crate) const OWNER: &str = "specmill_owner";
/// The roles, with what each is for.
pub(crate) const ROLES: [(&str, &str); 3] = [
    (OWNER, "owns the schemas of specmill: migrates and indexes"),
    ("specmill_loader", "loads: selects, inserts and deletes rows"),
    ("specmill_reader", "reads: selects and nothing else"),
];
/// Two migrating sessions take turns.
const MIGRATION_LOCK: i64 = 0x5eec_0000_0001;

/// What the server says of a role that came into being between look and leap.
const MADE_MEANWHILE: [SqlState; 2] = [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_OBJECT];

type Outcome<T> = std::result::Result<T, DatabaseError>;

/// What `db migrate` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Migrated {
    place: String,
    applied: Vec<&'static str>,
    catalogs: Changes,
}

impl Migrated {
    /// For people.
    pub(crate) fn render(&self) -> String {
        let newest = newest();
        let catalogs = self.catalogs.render();
        if self.applied.is_empty() {
            let rest = if catalogs.is_empty() { ", nothing to do" } else { "" };
            return format!("{}: at migration {newest}{rest}\n{catalogs}", self.place);
        }
        format!("{}: now at migration {newest}; applied {}\n{catalogs}", self.place, self.applied.join(", "))
    }
}

/// Brings the schema up to this program's version and the tables of catalogues to what these say and the run folder
/// has: all of it or, on any error, nothing.
///
/// # Errors
/// Where the database cannot be reached, is ahead of this program, holds rows that a declaration does not fit any
/// more, or the user may not change it.
pub(crate) fn migrate(
    environment: &Environment,
    run_folder: &Path,
    catalogs: &[Arc<Catalog>],
) -> Result<Migrated> {
    let wanted = wanted_tables(catalogs, run_folder)?;
    let database = Database::connect(environment, run_folder)?;
    Ok(migrate_over(&database, &wanted)?)
}

fn migrate_over(database: &Database, wanted: &[WantedTable]) -> Outcome<Migrated> {
    database.require_server()?;
    let doing = "migrating";
    database.batch(doing, "BEGIN")?;
    database.query(doing, "SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])?;
    let found = database.migrations()?;
    database.require_known(&found)?;
    let missing: Vec<Migration> = MIGRATIONS.into_iter().skip(found.len()).collect();
    if !missing.is_empty() {
        prepare(database)?;
        become_owner(database)?;
    }
    for migration in &missing {
        database.batch(&format!("applying {}", migration.name), migration.sql)?;
    }
    for migration in &missing {
        let sha256 = sha256_hex(migration.sql.as_bytes());
        let sql = "INSERT INTO ops.migration (version, name, sha256) VALUES ($1, $2, $3)";
        database.execute(doing, sql, &[&migration.version, &migration.name, &sha256])?;
    }
    let is_owner = !missing.is_empty();
    let catalogs =
        migrate_catalogs(database, wanted, || if is_owner { Ok(()) } else { become_owner(database) })?;
    database.batch(doing, "COMMIT")?;
    Ok(Migrated {
        place: database.place(),
        applied: missing.iter().map(|migration| migration.name).collect(),
        catalogs,
    })
}

/// Roles and extension, made where they are missing and the user may; inside the migration's transaction.
fn prepare(database: &Database) -> Outcome<()> {
    let mut wanted = Vec::new();
    for (role, purpose) in ROLES {
        let sql = "SELECT 1 FROM pg_roles WHERE rolname = $1";
        if database.query("looking for roles", sql, &[&role])?.is_empty() {
            wanted.push(format!("CREATE ROLE {role} NOLOGIN"));
            wanted.push(format!("COMMENT ON ROLE {role} IS '{purpose}'"));
        }
    }
    let has_owner = !wanted.iter().any(|statement| statement.contains(OWNER));
    let asking = "asking for rights";
    let names = "SELECT quote_ident(current_database()), quote_ident(current_user)";
    let names = database.query_one(asking, names, &[])?;
    let (name, user): (String, String) = (names.get(0), names.get(1));
    let may_become = "SELECT pg_has_role(current_user, $1, 'SET')";
    if !has_owner || !database.owner_may_create()? {
        wanted.push(format!("GRANT CREATE ON DATABASE {name} TO {OWNER}"));
    }
    let is_member = has_owner && database.query_one(asking, may_become, &[&OWNER])?.get::<_, bool>(0);
    if !is_member && !is_superuser(database)? {
        wanted.push(format!("GRANT {OWNER} TO {user}"));
    }
    if database.vector_version()?.is_none() {
        database.require_vector_available()?;
        wanted.push("CREATE EXTENSION vector".to_owned());
    }
    let needs_administrator = |reason: String| DatabaseError::NeedsAdministrator {
        place: database.place(),
        statements: wanted.join("; "),
        reason,
    };
    let made = wanted.iter().try_for_each(|statement| prepare_one(database, statement));
    if let Err(DatabaseError::Privilege { reason, .. }) = made {
        return Err(needs_administrator(reason));
    }
    made?;
    // Who may not grant is warned, not refused.
    if !database.owner_may_create()? {
        return Err(needs_administrator(format!("the grant of {user} had no effect")));
    }
    database.require_vector()
}

/// One of these statements. Roles are the whole server's: where somebody who migrates another of its databases has
/// made the same meanwhile, it is there.
fn prepare_one(database: &Database, statement: &str) -> Outcome<()> {
    let doing = "preparing";
    database.batch(doing, "SAVEPOINT prepared")?;
    match database.block_on(database.client().batch_execute(statement)) {
        Err(error) if error.code().is_some_and(|code| MADE_MEANWHILE.contains(code)) => {
            database.batch(doing, "ROLLBACK TO prepared")
        }
        outcome => outcome.map_err(failed(doing)),
    }
}

/// The rest of the transaction acts for the owner, with pgvector's types at hand.
fn become_owner(database: &Database) -> Outcome<()> {
    let doing = "migrating";
    let sql = "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace \
               WHERE extname = 'vector'";
    let schema: String = database.query_one(doing, sql, &[])?.get(0);
    database.batch(doing, &format!("SET LOCAL ROLE {OWNER}; SET LOCAL search_path = {schema}"))?;
    // A first vector loads the library, whose settings the migrations name.
    database.query(doing, "SELECT '[0]'::vector::text", &[]).map(drop)
}

pub(super) fn is_superuser(database: &Database) -> Outcome<bool> {
    let sql = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
    Ok(database.query_one("asking for rights", sql, &[])?.get(0))
}

/// The newest migration this program knows.
pub(crate) fn newest() -> i32 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// A migration as the database remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: i32,
    sha256: String,
}

impl Database {
    /// Server, pgvector and schema are of the versions this program needs.
    ///
    /// # Errors
    /// Where they are not.
    pub(super) fn require_versions(&self) -> Outcome<()> {
        self.require_server()?;
        let found = self.migrations()?;
        self.require_known(&found)?;
        if found.len() < MIGRATIONS.len() {
            return Err(DatabaseError::Behind {
                place: self.place(),
                found: found.last().map_or(0, |migration| migration.version),
                needed: newest(),
            });
        }
        self.require_vector()
    }

    fn require_server(&self) -> Outcome<()> {
        let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version')";
        let row = self.query_one("asking for the server's version", sql, &[])?;
        if row.get::<_, i32>(0) < SERVER_MINIMUM {
            return Err(DatabaseError::ServerTooOld { place: self.place(), found: row.get(1) });
        }
        Ok(())
    }

    fn owner_may_create(&self) -> Outcome<bool> {
        let sql = "SELECT has_database_privilege($1, current_database(), 'CREATE')";
        Ok(self.query_one("asking for rights", sql, &[&OWNER])?.get(0))
    }

    /// The version of the extension in this database.
    pub(super) fn vector_version(&self) -> Outcome<Option<String>> {
        let sql = "SELECT extversion FROM pg_extension WHERE extname = 'vector'";
        Ok(self.query("asking for pgvector", sql, &[])?.first().map(|row| row.get(0)))
    }

    fn require_vector_available(&self) -> Outcome<()> {
        let sql = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'";
        if self.query("asking for pgvector", sql, &[])?.is_empty() {
            return Err(DatabaseError::MissingExtension { place: self.place() });
        }
        Ok(())
    }

    fn require_vector(&self) -> Outcome<()> {
        let Some(found) = self.vector_version()? else {
            return Err(DatabaseError::MissingExtension { place: self.place() });
        };
        if version_numbers(&found) < version_numbers(VECTOR_MINIMUM) {
            return Err(DatabaseError::ExtensionTooOld { place: self.place(), found });
        }
        Ok(())
    }

    /// The migrations that the database has, in order.
    pub(super) fn migrations(&self) -> Outcome<Vec<Applied>> {
        let doing = "asking for migrations";
        if self.query_one(doing, "SELECT to_regclass('ops.migration') IS NULL", &[])?.get(0) {
            return Ok(Vec::new());
        }
        let sql = "SELECT version, sha256 FROM ops.migration ORDER BY version";
        let rows = self.query(doing, sql, &[])?;
        Ok(rows.iter().map(|row| Applied { version: row.get(0), sha256: row.get(1) }).collect())
    }

    /// The database has no migration that this program does not have, and none with another text.
    fn require_known(&self, found: &[Applied]) -> Outcome<()> {
        let place = self.place();
        if let Some(last) = found.last()
            && last.version > newest()
        {
            return Err(DatabaseError::Ahead { place, found: last.version, known: newest() });
        }
        for (applied, known) in found.iter().zip(MIGRATIONS) {
            if applied.version != known.version || applied.sha256 != sha256_hex(known.sql.as_bytes()) {
                let name = known.name.to_owned();
                return Err(DatabaseError::Altered { place, version: applied.version, name });
            }
        }
        Ok(())
    }
}

/// `0.8.5` as numbers, for comparison; what is no number counts as 0.
fn version_numbers(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let minimum = version_numbers(VECTOR_MINIMUM);
        assert!(version_numbers("0.7.4") < minimum);
        assert!(version_numbers("0.6.2") < minimum);
        assert!(version_numbers("0.8.0") >= minimum);
        assert!(version_numbers("0.10.1") > minimum);
    }
}
