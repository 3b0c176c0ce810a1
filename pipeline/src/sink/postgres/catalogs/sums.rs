//! Counts and sums of a catalogue's columns, computed where the rows are.

use std::fmt::Write as _;

use specmill_schemas::catalogs::CatalogRelation;
use specmill_schemas::{Element, Field, Kind};
use tokio_postgres::Row;

use crate::sink::postgres::{Database, DatabaseError, quote_name};
use crate::unit::UnitId;

/// Columns of one statement: the server gives at most 1664 values a row.
const COLUMNS_AT_ONCE: usize = 300;
/// Values that stand for a column.
const PER_COLUMN: usize = 5;

/// A column of one unit's rows; of arrays, their elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredSum {
    /// The column.
    pub(crate) column: String,
    /// Values that are not NULL.
    pub(crate) values: u64,
    /// Of these, NaN or infinite.
    pub(crate) not_finite: u64,
    /// The others together.
    pub(crate) total: StoredTotal,
}

/// What values add up to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StoredTotal {
    /// Whole numbers, exactly.
    Whole(i128),
    /// Real numbers, and their magnitudes.
    Real {
        /// Σx
        sum: f64,
        /// Σ|x|
        magnitude: f64,
    },
    /// Bytes of texts.
    Bytes(u64),
    /// How many are true.
    True(u64),
}

impl Database {
    /// The units that `ops.load` accounts for in a table, with their rows, and how many rows the table has.
    ///
    /// # Errors
    /// Where the database refuses or is lost.
    pub(crate) fn catalog_units(
        &self,
        table: &CatalogRelation,
    ) -> Result<(Vec<(String, u64)>, u64), DatabaseError> {
        let doing = format!("counting {}", table.full_name());
        let sql = "SELECT unit, rows FROM ops.load WHERE dataset = $1 ORDER BY unit COLLATE \"C\"";
        let count = |row: &Row, at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
        let units = self.query(&doing, sql, &[&table.full_name()])?;
        let all = self.query_one(&doing, &format!("SELECT count(*) FROM {}", table.sql_name()), &[])?;
        Ok((units.iter().map(|row| (row.get(0), count(row, 1))).collect(), count(&all, 0)))
    }

    /// Rows of a unit, and the sums of its columns.
    ///
    /// # Errors
    /// Where the database refuses or is lost.
    pub(crate) fn catalog_sums(
        &self,
        table: &CatalogRelation,
        unit: &UnitId,
    ) -> Result<(u64, Vec<StoredSum>), DatabaseError> {
        let doing = format!("adding up {}", table.full_name());
        let unit = unit.to_string();
        let from = format!("FROM {} t WHERE t.unit = $1", table.sql_name());
        let rows: i64 = self.query_one(&doing, &format!("SELECT count(*) {from}"), &[&unit])?.get(0);
        let fields: Vec<&Field> = table.columns.iter().map(|column| &column.field).collect();
        let (arrays, scalars): (Vec<&Field>, Vec<&Field>) =
            fields.iter().partition(|field| matches!(field.kind, Kind::Array(..)));
        let mut sums = Vec::new();
        for fields in scalars.chunks(COLUMNS_AT_ONCE) {
            let targets: Vec<String> = fields
                .iter()
                .map(|field| targets(field.kind, &format!("t.{}", quote_name(&field.name))))
                .collect();
            let row = self.query_one(&doing, &format!("SELECT {} {from}", targets.join(", ")), &[&unit])?;
            sums.extend(
                fields.iter().enumerate().map(|(at, field)| sum(field, field.kind, &row, PER_COLUMN * at)),
            );
        }
        for field in arrays {
            let Kind::Array(element, _) = field.kind else { continue };
            let sql = format!(
                "SELECT {} FROM {} t CROSS JOIN LATERAL unnest(t.{}) AS e(x) WHERE t.unit = $1",
                targets(element.kind(), "e.x"),
                table.sql_name(),
                quote_name(&field.name)
            );
            sums.push(sum(field, element.kind(), &self.query_one(&doing, &sql, &[&unit])?, 0));
        }
        Ok((u64::try_from(rows).unwrap_or(0), sums))
    }
}

/// Values, those that are no finite numbers, a whole sum as text, a real one, and that of magnitudes.
fn targets(kind: Kind, x: &str) -> String {
    // NaN is the largest number there.
    let finite = format!("FILTER (WHERE {x} > '-Infinity' AND {x} < 'Infinity')");
    let mut text = format!("count({x}), ");
    // Writing to a String cannot fail.
    let _ = match Element::of(kind) {
        Some(Element::Float32 | Element::Float64) => write!(
            text,
            "count({x}) - count(*) {finite}, NULL::text, sum({x}::float8) {finite}, sum(abs({x}::float8)) {finite}"
        ),
        Some(Element::Int16 | Element::Int32 | Element::Int64) => {
            write!(text, "0::bigint, sum({x})::text, NULL::float8, NULL::float8")
        }
        Some(Element::Bool) => {
            write!(text, "0::bigint, count(*) FILTER (WHERE {x})::text, NULL::float8, NULL::float8")
        }
        Some(Element::Text) | None => {
            write!(text, "0::bigint, sum(octet_length({x}))::text, NULL::float8, NULL::float8")
        }
    };
    text
}

fn sum(field: &Field, kind: Kind, row: &Row, at: usize) -> StoredSum {
    let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    let whole: i128 =
        row.get::<_, Option<String>>(at + 2).and_then(|text| text.parse().ok()).unwrap_or_default();
    let real = |at: usize| row.get::<_, Option<f64>>(at).unwrap_or_default();
    let total = match Element::of(kind) {
        Some(Element::Float32 | Element::Float64) => {
            StoredTotal::Real { sum: real(at + 3), magnitude: real(at + 4) }
        }
        Some(Element::Int16 | Element::Int32 | Element::Int64) => StoredTotal::Whole(whole),
        Some(Element::Bool) => StoredTotal::True(u64::try_from(whole).unwrap_or(0)),
        Some(Element::Text) | None => StoredTotal::Bytes(u64::try_from(whole).unwrap_or(0)),
    };
    StoredSum { column: field.name.clone(), values: count(at), not_finite: count(at + 1), total }
}
