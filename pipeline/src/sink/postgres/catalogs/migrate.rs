//! Tables of catalogues made and extended as declarations and files say.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use specmill_schemas::Field;
use specmill_schemas::catalogs::{Catalog, CatalogRelation, Column, RAW_SCHEMA};
use specmill_schemas::joins::{self, Join};

use super::{Recorded, columns_value, digest};
use crate::digest::sha256_hex;
use crate::error::Result;
use crate::lake::LakeFile;
use crate::ledger::Ledger;
use crate::sink::postgres::{Database, DatabaseError, quote_name};
use crate::stage::Stage;
use crate::unit::UnitId;

type Outcome<T> = std::result::Result<T, DatabaseError>;

const DOING: &str = "making the tables of catalogues";
/// The columns that the database has, by table.
const FOUND: &str = "SELECT n.nspname || '.' || c.relname, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE n.nspname IN ('catalog', 'catalog_raw') AND c.relkind = 'r' ORDER BY c.oid, a.attnum";
const RECORD: &str = "INSERT INTO ops.catalog \
     (name, catalog, description, columns, key, is_unique, position, sha256, declaration, declared_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())";

/// The program's own views that stand on a table.
const VIEWS: &str = "SELECT DISTINCT format('%I.%I', n.nspname, c.relname) FROM pg_depend d \
     JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid \
     JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v' JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE d.refobjid = $1::text::regclass AND n.nspname IN ('ard', 'catalog')";

/// A table that the database should have.
#[derive(Debug, Clone)]
pub(crate) struct WantedTable {
    relation: CatalogRelation,
    /// The declaration's name and text; `None` of a table that is taken as it is.
    declaration: Option<(String, String)>,
}

/// The tables that declarations name, and those of `catalog_raw` that a run folder has files for.
///
/// # Errors
/// Where the ledger cannot be read.
pub(crate) fn wanted_tables(catalogs: &[Arc<Catalog>], run_folder: &Path) -> Result<Vec<WantedTable>> {
    let declared = catalogs.iter().flat_map(|catalog| {
        catalog.tables.iter().map(|table| WantedTable {
            relation: CatalogRelation::declared(table),
            declaration: Some((catalog.name.clone(), catalog.canonical().to_owned())),
        })
    });
    let mut wanted: Vec<WantedTable> = declared.collect();
    for (name, fields) in raw_tables(run_folder)? {
        wanted.push(WantedTable { relation: CatalogRelation::raw(&name, fields), declaration: None });
    }
    Ok(wanted)
}

/// The columns of each table that is taken as it is, from its files: those of the first, then what others add. Where
/// two files disagree on a type, the later one's units are refused when they are loaded.
fn raw_tables(run_folder: &Path) -> Result<BTreeMap<String, Vec<Field>>> {
    let ledger = Ledger::of_run(run_folder);
    let mut tables: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    for unit in ledger.units(Stage::Catalog)? {
        let UnitId::Catalog { declared: false, table, .. } = &unit else { continue };
        for output in ledger.read(Stage::Catalog, &unit)?.into_iter().flat_map(|row| row.outputs) {
            let file = match LakeFile::open(&run_folder.join(&output.path)) {
                Ok(file) => file,
                Err(error) => {
                    // Loading it will fail, and say so in the ledger.
                    tracing::warn!(%unit, "{error}");
                    continue;
                }
            };
            let fields = tables.entry(table.clone()).or_default();
            for found in file.schema().fields().iter().filter_map(|field| Field::from_arrow(field)) {
                if !fields.iter().any(|field| field.name == found.name) {
                    fields.push(found);
                }
            }
        }
    }
    Ok(tables)
}

/// What became of the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    made: Vec<String>,
    changed: Vec<String>,
    views: bool,
}

impl Changes {
    /// For people; nothing where nothing changed.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for (what, tables) in [("made", &self.made), ("changed", &self.changed)] {
            if !tables.is_empty() {
                text.push_str(&format!("{what} {}\n", tables.join(", ")));
            }
        }
        if self.views {
            let names: Vec<String> = joins::joins().iter().map(Join::full_name).collect();
            text.push_str(&format!("made views {}\n", names.join(", ")));
        }
        text
    }
}

/// What has to be done to a table.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    Make,
    /// It holds no row: made anew.
    Remake,
    /// These statements, and its description.
    Alter(String),
}

/// A column as the database has it.
struct Found {
    name: String,
    kind: String,
    required: bool,
}

/// Brings the tables of catalogues to what is wanted, inside the transaction that is open; `become_owner` is called
/// before the first change.
///
/// # Errors
/// Where a table holds rows of another shape than is wanted now, or the database refuses or is lost.
pub(crate) fn migrate_catalogs(
    database: &Database,
    wanted: &[WantedTable],
    become_owner: impl Fn() -> Outcome<()>,
) -> Outcome<Changes> {
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for row in database.query(DOING, FOUND, &[])? {
        let column = Found { name: row.get(1), kind: row.get(2), required: row.get(3) };
        found.entry(row.get(0)).or_default().push(column);
    }
    let recorded: BTreeMap<String, Recorded> = database
        .catalog_tables()?
        .into_iter()
        .map(|recorded| (recorded.relation.full_name(), recorded))
        .collect();
    let mut changes = Changes::default();
    for table in wanted {
        let name = table.relation.full_name();
        let (old, found) = (recorded.get(&name), found.get(&name).map(Vec::as_slice));
        let table = match old {
            Some(old) if table.relation.schema == RAW_SCHEMA => &table.with_columns_of(&old.relation),
            _ => table,
        };
        let change = change(database, table, old, found)?;
        if change == Change::Nothing {
            continue;
        }
        if changes == Changes::default() {
            become_owner()?;
        }
        let list = if change == Change::Make { &mut changes.made } else { &mut changes.changed };
        list.push(name);
        table.apply(database, old, &change)?;
    }
    let is_owner = changes != Changes::default();
    changes.views = make_views(database, || if is_owner { Ok(()) } else { become_owner() })?;
    Ok(changes)
}

/// Makes the program's views where they are missing or were made of another text; gives whether it did. What they were
/// made of is in the comment on their schema.
fn make_views(database: &Database, become_owner: impl Fn() -> Outcome<()>) -> Outcome<bool> {
    let text = joins::create_views();
    let purpose = "Analysis-ready data: views over the other schemas.";
    let comment = format!("{purpose} [views: {}]", sha256_hex(text.as_bytes()));
    let names: Vec<String> = joins::joins().iter().map(Join::full_name).collect();
    let stand = "SELECT obj_description('ard'::regnamespace, 'pg_namespace') = $1 \
                 AND NOT EXISTS (SELECT FROM unnest($2::text[]) v WHERE to_regclass(v) IS NULL)";
    if database.query_one(DOING, stand, &[&comment, &names])?.get::<_, Option<bool>>(0) == Some(true) {
        return Ok(false);
    }
    become_owner()?;
    database.batch(DOING, &joins::drop_views())?;
    database.batch(DOING, &text)?;
    database.batch(DOING, &format!("COMMENT ON SCHEMA ard IS '{comment}'"))?;
    Ok(true)
}

/// What has to be done to one table.
fn change(
    database: &Database,
    table: &WantedTable,
    old: Option<&Recorded>,
    found: Option<&[Found]>,
) -> Outcome<Change> {
    let wanted = &table.relation;
    let Some(found) = found else { return Ok(Change::Make) };
    let mut statements = String::new();
    let mut problems = Vec::new();
    for column in &wanted.columns {
        let Field { name, nullable, .. } = &column.field;
        let kind = column.field.kind.sql();
        let unit = old.and_then(|old| old.relation.column(name)).map(|old| &old.field.unit);
        match found.iter().find(|found| found.name == *name) {
            None if *nullable => statements.push_str(&wanted.add_column(column)),
            None => problems.push(format!("column `{name}` is required and none of its rows has it")),
            Some(found) if found.kind != kind => {
                problems.push(format!("column `{name}` is {} and is declared as {kind}", found.kind));
            }
            Some(_) if unit.is_some_and(|unit| *unit != column.field.unit) => {
                let unit = unit.map(AsRef::as_ref).unwrap_or_default();
                problems.push(format!("column `{name}` is in `{unit}`, declared in `{}`", column.field.unit));
            }
            Some(found) if found.required == *nullable => {
                let verb = if *nullable { "DROP" } else { "SET" };
                let (table, name) = (wanted.sql_name(), quote_name(name));
                statements.push_str(&format!("ALTER TABLE {table} ALTER COLUMN {name} {verb} NOT NULL;\n"));
            }
            Some(_) => {}
        }
    }
    let gone = found.iter().filter(|found| wanted.column(&found.name).is_none());
    problems.extend(gone.map(|found| format!("column `{}` is not declared any more", found.name)));
    if problems.is_empty() {
        let same = old.is_some_and(|old| old.sha256 == digest(wanted, table.declaration.as_ref()));
        return Ok(if same && statements.is_empty() { Change::Nothing } else { Change::Alter(statements) });
    }
    let empty = format!("SELECT NOT EXISTS (SELECT FROM {})", wanted.sql_name());
    if database.query_one(DOING, &empty, &[])?.get(0) {
        return Ok(Change::Remake);
    }
    Err(DatabaseError::Redeclared { table: wanted.full_name(), problems })
}

impl WantedTable {
    /// A table that is taken as it is keeps the columns that other files have brought.
    fn with_columns_of(&self, old: &CatalogRelation) -> Self {
        let mut relation = self.relation.clone();
        let mut columns: Vec<Column> = old.columns.clone();
        columns
            .extend(relation.columns.into_iter().filter(|column| old.column(&column.field.name).is_none()));
        relation.columns = columns;
        Self { relation, declaration: None }
    }

    fn apply(&self, database: &Database, old: Option<&Recorded>, change: &Change) -> Outcome<()> {
        let relation = &self.relation;
        let name = relation.full_name();
        let doing = format!("making {name}");
        let cone = relation.cone();
        if let Some(gone) = old.and_then(|old| old.relation.cone())
            && (*change == Change::Remake || cone.as_ref() != Some(&gone))
        {
            let all = "double precision, double precision, double precision";
            database.batch(&doing, &format!("DROP FUNCTION IF EXISTS {gone}({all})"))?;
        }
        if *change == Change::Remake {
            // They are made again with the rest.
            for view in database.query(&doing, VIEWS, &[&relation.sql_name()])? {
                let view: String = view.get(0);
                // Nobody else's: then the database refuses, and says which.
                if joins::joins().iter().any(|join| join.full_name() == view) {
                    database.batch(&doing, &format!("DROP VIEW IF EXISTS {view}"))?;
                }
            }
        }
        let mut statements = match change {
            Change::Nothing => return Ok(()),
            Change::Make => relation.create(),
            Change::Remake => format!("DROP TABLE {};\n{}", relation.sql_name(), relation.create()),
            Change::Alter(statements) => statements.clone(),
        };
        statements.push_str(&relation.comments());
        statements.extend(relation.create_cone());
        database.batch(&doing, &statements)?;
        if matches!(change, Change::Make | Change::Remake) {
            // What was loaded into a table that is gone has to be loaded again.
            database.execute(&doing, "DELETE FROM ops.load WHERE dataset = $1", &[&name])?;
        }
        self.record(database, &name)
    }

    fn record(&self, database: &Database, name: &str) -> Outcome<()> {
        let relation = &self.relation;
        let (catalog, text) = self.declaration.clone().unzip();
        let key = Value::from(relation.key.clone());
        let position = relation.position.clone().map(|columns| Value::from(columns.to_vec()));
        let (columns, sha256) = (columns_value(relation), digest(relation, self.declaration.as_ref()));
        database.execute(DOING, "DELETE FROM ops.catalog WHERE name = $1", &[&name])?;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
            &name,
            &catalog,
            &relation.description,
            &columns,
            &key,
            &relation.is_unique,
            &position,
            &sha256,
            &text,
        ];
        database.execute(DOING, RECORD, &parameters)?;
        Ok(())
    }
}
