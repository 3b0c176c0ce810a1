//! `db check`: whether the database is fit for use, and what it holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use specmill_schemas::catalogs::{CatalogRelation, Column};
use specmill_schemas::relational::{Relation, relations};
use specmill_schemas::sql::column_comment;

use super::failure::DatabaseError;
use super::migrate::{OWNER, ROLES, is_superuser, newest};
use super::{Address, Database};
use crate::config::Environment;
use crate::error::Result;

type Outcome<T> = std::result::Result<T, DatabaseError>;

/// Describes the database; one that is not fit for use is an error.
///
/// # Errors
/// Where the database cannot be reached, is not of the version this program needs, or its tables are not
/// what the definitions say.
pub(crate) fn check(environment: &Environment, run_folder: &Path) -> Result<String> {
    let database = Database::open(environment, run_folder)?;
    let differences = database.differences()?;
    if !differences.is_empty() {
        return Err(DatabaseError::Differs { place: database.place(), differences }.into());
    }
    let mut text = String::new();
    let source = database.address().source();
    text.push_str(&format!("{} (named by {source})\n", database.place()));
    text.push_str(&database.describe_server()?);
    text.push_str(&database.describe_user()?);
    text.push_str(&database.describe_loads()?);
    text.push_str(&database.describe_models()?);
    Ok(text)
}

/// Says how the database would be reached, whether it is, and of which versions it is, as labels with text; what is
/// wrong is one of them, with the way out.
pub(crate) fn diagnose(environment: &Environment, run_folder: &Path) -> Vec<(&'static str, String)> {
    let address = match Address::find(environment, run_folder) {
        Ok(address) => address,
        Err(error) => return vec![("reached", told(&error))],
    };
    let mut facts = vec![("address", format!("{address}, as {} says", address.source()))];
    let outcome = Database::connect_to(address).and_then(|database| {
        facts.push(("reached", "yes".to_owned()));
        database.diagnose_versions(&mut facts)
    });
    match outcome {
        Ok(()) => facts.push(("fit for use", "yes".to_owned())),
        Err(error) if facts.len() == 1 => facts.push(("reached", told(&error))),
        Err(error) => facts.push(("fit for use", told(&error))),
    }
    facts
}

/// An error with its way out, in a line.
fn told(error: &DatabaseError) -> String {
    let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{error}{help}")
}

/// A column, or what stands for a table, with what must agree.
type Facts = BTreeMap<String, String>;

impl Database {
    /// Says the versions of server, pgvector and schema, then judges them.
    fn diagnose_versions(&self, facts: &mut Vec<(&'static str, String)>) -> Outcome<()> {
        let sql = "SELECT current_setting('server_version')";
        let version: String = self.query_one("asking for the server's version", sql, &[])?.get(0);
        facts.push(("server", format!("PostgreSQL {version}")));
        let vector = self.vector_version()?.unwrap_or_else(|| "not in this database".to_owned());
        facts.push(("pgvector", vector));
        let schema = match self.migrations()?.last() {
            Some(migration) => format!("migration {} of {}", migration.version, newest()),
            None => "no migration yet".to_owned(),
        };
        facts.push(("schema", schema));
        self.require_versions()
    }

    /// How the tables differ from their definitions, a sentence each.
    fn differences(&self) -> Outcome<Vec<String>> {
        let mut expected = expected_facts();
        for table in self.catalog_tables()? {
            expected.extend(facts_of_catalog(&table.relation));
        }
        let found = self.found_facts()?;
        let mut differences = Vec::new();
        for (name, wanted) in &expected {
            match found.get(name) {
                None => differences.push(format!("{name} is missing")),
                Some(is) if is != wanted => differences.push(format!("{name} is {is}, not {wanted}")),
                Some(_) => {}
            }
        }
        let is_ours = |name: &str| {
            let table = name.rsplit_once('.').map_or(name, |(table, _)| table);
            expected.contains_key(table)
        };
        let more = found.keys().filter(|name| !expected.contains_key(*name) && is_ours(name));
        differences.extend(more.map(|name| format!("{name} is not known")));
        Ok(differences)
    }

    fn found_facts(&self) -> Outcome<Facts> {
        let doing = "comparing the tables with their definitions";
        let mut facts = Facts::new();
        for row in self.query(doing, TABLE_FACTS, &[])? {
            let key: Vec<String> = row.get(1);
            facts.insert(row.get(0), table_fact(&key, row.get::<_, String>(2).as_str()));
        }
        for row in self.query(doing, COLUMN_FACTS, &[])? {
            // An extension's type may carry its schema.
            let kind: String = row.get(1);
            let kind = kind.rsplit('.').next().unwrap_or_default();
            let (required, generated, comment): (bool, bool, String) = (row.get(2), row.get(3), row.get(4));
            facts.insert(row.get(0), column_fact(kind, required, generated, &comment));
        }
        Ok(facts)
    }

    fn describe_server(&self) -> Outcome<String> {
        let sql = "SELECT current_setting('server_version'), current_setting('max_connections'), \
                   current_setting('max_wal_size'), current_setting('maintenance_work_mem'), \
                   pg_size_pretty(pg_database_size(current_database())), \
                   coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)";
        let row = self.query_one("asking for the server's settings", sql, &[])?;
        let text = |at: usize| row.get::<_, String>(at);
        let tls = if row.get(5) { "encrypted" } else { "not encrypted" };
        let where_from = if self.address().is_local() { "on this machine" } else { "over the network" };
        Ok(format!(
            "  server      PostgreSQL {}, pgvector {}, {where_from}, {tls}\n  settings    max_connections {}, \
             max_wal_size {}, maintenance_work_mem {}\n  schema      migration {}, as the definitions say; {} on disk\n",
            text(0),
            self.vector_version()?.unwrap_or_default(),
            text(1),
            text(2),
            text(3),
            newest(),
            text(4),
        ))
    }

    /// Which of the roles the user has, and so what it may do.
    fn describe_user(&self) -> Outcome<String> {
        let doing = "asking for rights";
        if is_superuser(self)? {
            return Ok("  rights      superuser\n".to_owned());
        }
        let mut has = Vec::new();
        for (role, purpose) in ROLES {
            let sql = "SELECT pg_has_role(current_user, $1, 'USAGE')";
            if self.query_one(doing, sql, &[&role])?.get(0) {
                has.push(format!("{role} ({purpose})"));
            }
        }
        let read_only: String =
            self.query_one(doing, "SELECT current_setting('transaction_read_only')", &[])?.get(0);
        let note = if read_only == "on" { "; sessions are read-only" } else { "" };
        let has = if has.is_empty() { format!("none of {OWNER} and its like") } else { has.join(", ") };
        Ok(format!("  rights      {has}{note}\n"))
    }

    fn describe_loads(&self) -> Outcome<String> {
        let rows = self.query("asking what is loaded", LOADS, &[])?;
        if rows.is_empty() {
            return Ok("  loaded      nothing yet\n".to_owned());
        }
        let mut text = String::from("  loaded\n");
        for row in rows {
            let (dataset, model, stage_hash): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            let (units, count): (i64, i64) = (row.get(3), row.get(4));
            let model = if model.is_empty() { model } else { format!(" of model {}", shorten(&model)) };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "    {dataset:<18} {count:>10} rows, {units} units under {}{model}",
                shorten(&stage_hash)
            );
        }
        Ok(text)
    }

    fn describe_models(&self) -> Outcome<String> {
        let mut text = String::new();
        for row in self.query("asking for models", MODELS, &[])? {
            let (name, hash, class): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            let (dimension, index): (i32, Option<String>) = (row.get(3), row.get(4));
            let index = index.unwrap_or_else(|| "no vector index (`specmill db index`)".to_owned());
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  model       {name} ({}), {class}, dimension {dimension}; {index}",
                shorten(&hash)
            );
        }
        Ok(text)
    }
}

/// As much of a hash as people compare.
fn shorten(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn table_fact(key: &[String], comment: &str) -> String {
    format!("a table with key ({}) and comment `{comment}`", key.join(", "))
}

fn column_fact(kind: &str, required: bool, generated: bool, comment: &str) -> String {
    let null = if required { "NOT NULL" } else { "NULL" };
    let how = if generated { " computed" } else { "" };
    format!("{kind} {null}{how} with comment `{comment}`")
}

fn expected_facts() -> Facts {
    relations().iter().flat_map(facts_of).collect()
}

fn facts_of(relation: &Relation) -> Vec<(String, String)> {
    let full = relation.full_name();
    let key: Vec<String> = relation.key.iter().map(|column| (*column).to_owned()).collect();
    let mut facts = vec![(full.clone(), table_fact(&key, &relation.table.description))];
    for field in relation.columns() {
        let generated = relation.generated.iter().any(|(other, _)| other == field);
        let fact = column_fact(&field.kind.sql(), !field.nullable, generated, &column_comment(field));
        facts.push((format!("{full}.{}", field.name), fact));
    }
    facts
}

/// What `ops.catalog` says of a catalogue's table.
fn facts_of_catalog(relation: &CatalogRelation) -> Vec<(String, String)> {
    let full = relation.full_name();
    let column = |Column { field, comment }: &Column| {
        let fact = column_fact(&field.kind.sql(), !field.nullable, false, comment);
        (format!("{full}.{}", field.name), fact)
    };
    let mut facts: Vec<(String, String)> = relation.columns.iter().map(column).collect();
    facts.push((full, table_fact(&[], &relation.description)));
    facts
}

/// Tables of the program's schemas, without partitions: name, key, comment.
const TABLE_FACTS: &str = "
SELECT n.nspname || '.' || c.relname,
    coalesce((SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary), '{}'),
    coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('ops', 'catalog', 'catalog_raw', 'spectra', 'ml') AND c.relkind IN ('r', 'p') AND NOT c.relispartition";

/// Their columns: name, type, whether required, whether computed, comment.
const COLUMN_FACTS: &str = "
SELECT n.nspname || '.' || c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.attgenerated <> '', coalesce(col_description(c.oid, a.attnum), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname IN ('ops', 'catalog', 'catalog_raw', 'spectra', 'ml') AND c.relkind IN ('r', 'p') AND NOT c.relispartition";

/// What is loaded, by table, model and stage hash.
const LOADS: &str = "
SELECT dataset, model_hash, stage_hash, count(*), sum(rows)::bigint
FROM ops.load GROUP BY dataset, model_hash, stage_hash ORDER BY dataset, model_hash, stage_hash";

/// Models with their indexes and the best recall measured.
const MODELS: &str = "
SELECT m.name, m.model_hash, m.class, m.dimension,
    (SELECT string_agg(i.method || ' ' || i.metric || coalesce(
        (SELECT format(' (recall %s at ef_search %s)', round(r.recall::numeric, 4), r.ef_search)
         FROM ml.recall r WHERE r.index_name = i.index_name ORDER BY r.recall DESC, r.ef_search LIMIT 1), ''), ', '
        ORDER BY i.index_name)
     FROM ml.vector_index i WHERE i.model_hash = m.model_hash)
FROM ml.models m ORDER BY m.name, m.model_hash";
