//! Tables of catalogues: what the database remembers of them in `ops.catalog`.

mod migrate;
mod sums;

use serde_json::{Value, json};
use specmill_schemas::catalogs::{CatalogRelation, Column, RAW_SCHEMA, SCHEMA};
use specmill_schemas::{Field, Kind};
use tokio_postgres::Row;

use super::{Database, DatabaseError};
use crate::digest::sha256_hex;

pub(super) use migrate::{Changes, WantedTable, migrate_catalogs, wanted_tables};
pub(crate) use sums::{StoredSum, StoredTotal};

const RECORDED: &str = "SELECT name, description, columns, key, is_unique, position, sha256 FROM ops.catalog";

/// A table as `ops.catalog` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) relation: CatalogRelation,
    sha256: String,
}

impl Database {
    /// Every table of a catalogue, by name.
    ///
    /// # Errors
    /// Where the database refuses or is lost, or `ops.catalog` was written by other hands.
    pub(crate) fn catalog_tables(&self) -> Result<Vec<Recorded>, DatabaseError> {
        let sql = format!("{RECORDED} ORDER BY name COLLATE \"C\"");
        self.query("reading ops.catalog", &sql, &[])?.iter().map(|row| recorded(self, row)).collect()
    }

    /// The table of a name as in `catalog.zpix`.
    ///
    /// # Errors
    /// As [`Database::catalog_tables`].
    pub(crate) fn catalog_table(&self, name: &str) -> Result<Option<Recorded>, DatabaseError> {
        let sql = format!("{RECORDED} WHERE name = $1");
        self.query("reading ops.catalog", &sql, &[&name])?.first().map(|row| recorded(self, row)).transpose()
    }
}

fn recorded(database: &Database, row: &Row) -> Result<Recorded, DatabaseError> {
    let name: String = row.get("name");
    let relation = relation(row, &name).ok_or_else(|| DatabaseError::Differs {
        place: database.place(),
        differences: vec![format!("ops.catalog says of {name} what this program does not understand")],
    })?;
    Ok(Recorded { relation, sha256: row.get("sha256") })
}

fn relation(row: &Row, name: &str) -> Option<CatalogRelation> {
    let (schema, table) = name.split_once('.')?;
    let schema = [SCHEMA, RAW_SCHEMA].into_iter().find(|known| *known == schema)?;
    let columns: Value = row.get("columns");
    let position: Option<Value> = row.get("position");
    Some(CatalogRelation {
        schema,
        name: table.to_owned(),
        description: row.get("description"),
        columns: columns.as_array()?.iter().map(column).collect::<Option<_>>()?,
        key: serde_json::from_value(row.get("key")).ok()?,
        is_unique: row.get("is_unique"),
        position: position.map(serde_json::from_value).transpose().ok()?,
    })
}

fn column(value: &Value) -> Option<Column> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let field = Field::new(text("name")?, Kind::from_label(&text("type")?)?, text("description")?)
        .unit(text("unit")?)
        .ucd(text("ucd")?)
        .source(text("source")?);
    let field = if value.get("required")?.as_bool()? { field.required() } else { field };
    Some(Column { field, comment: text("comment")? })
}

/// The columns of a table as `ops.catalog` keeps them.
fn columns_value(relation: &CatalogRelation) -> Value {
    let column = |Column { field, comment }: &Column| {
        json!({
            "name": field.name,
            "type": field.kind.label(),
            "unit": field.unit,
            "ucd": field.ucd,
            "description": field.description,
            "source": field.source,
            "required": !field.nullable,
            "comment": comment,
        })
    };
    Value::Array(relation.columns.iter().map(column).collect())
}

/// The digest of all that a declaration says of a table, and of its text.
fn digest(relation: &CatalogRelation, declaration: Option<&(String, String)>) -> String {
    let text = json!([
        declaration,
        relation.full_name(),
        relation.description,
        columns_value(relation),
        relation.key,
        relation.is_unique,
        relation.position,
    ])
    .to_string();
    sha256_hex(text.as_bytes())
}
