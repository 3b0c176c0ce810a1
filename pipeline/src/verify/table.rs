//! Two Parquet files, column by column, in bounded memory.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::array_value_to_string;

use super::column::{ColumnDifference, Pair, SigmaColumn};
use super::report::{Change, Degree, TableDifference};
use crate::error::Result;
use crate::lake::{LakeFile, LakeReader, Rows};

/// Bytes of rows that are read at a time from each file.
const BATCH_BYTES: usize = 16 << 20;
const MOST_ROWS: usize = 65_536;
/// What a row is of, in tables that have it.
const KEYS: [&str; 5] = ["model_hash", "unit", "targetid", "metric", "rank"];
/// Footers that do not say what the values mean: the code's version, and the schema, which is compared itself.
const FREE_FOOTERS: [&str; 2] = ["specmill.code_version", "ARROW:schema"];

/// What of a file is no result.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    /// Columns whose names end so.
    pub(super) columns: &'static [&'static str],
    /// A key of the footer.
    pub(super) footer: Option<&'static str>,
}

/// Compares two files.
///
/// # Errors
/// Where one of them cannot be decoded.
pub(super) fn compare(a: &Path, b: &Path, left: Left) -> Result<TableDifference> {
    let (a, b) = (LakeFile::open(a)?, LakeFile::open(b)?);
    let mut found = TableDifference {
        rows: [a.n_rows() as u64, b.n_rows() as u64],
        footer: footers(&a, &b, left),
        ..TableDifference::default()
    };
    let common = common_columns(a.schema(), b.schema(), left, &mut found);
    compare_rows(&a, &b, &common, &mut found)?;
    Ok(found)
}

impl TableDifference {
    /// How far apart the two are.
    pub(super) fn degree(&self, max_ulp: u64) -> Degree {
        let free = |change: &&Change| !FREE_FOOTERS.contains(&change.name.as_str());
        if self.rows[0] != self.rows[1]
            || !(self.only_a.is_empty() && self.only_b.is_empty() && self.types.is_empty())
        {
            Degree::OtherShape
        } else if self.columns.iter().any(|column| !column.is_within(max_ulp))
            || self.footer.iter().any(|change| free(&change))
        {
            Degree::OtherValues
        } else if self.columns.is_empty() {
            Degree::SameValues
        } else {
            Degree::WithinTolerance
        }
    }
}

/// What the files and their columns say of themselves, where it is not the same.
fn footers(a: &LakeFile, b: &LakeFile, left: Left) -> Vec<Change> {
    let mut changes = changes("", a.footers(), b.footers());
    changes.retain(|change| change.name != "ARROW:schema" && Some(change.name.as_str()) != left.footer);
    for field in a.schema().fields() {
        let Ok(other) = b.schema().field_with_name(field.name()) else { continue };
        let own = |field: &Field| -> BTreeMap<String, String> {
            field.metadata().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        changes.extend(self::changes(&format!("column {}, ", field.name()), &own(field), &own(other)));
    }
    changes
}

/// Keys with other values; `prefix` goes before each.
pub(super) fn changes(
    prefix: &str,
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
) -> Vec<Change> {
    let mut keys: Vec<&String> = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
    keys.sort();
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| Change { name: format!("{prefix}{key}"), a: a.get(key).cloned(), b: b.get(key).cloned() })
        .collect()
}

/// The columns that can be compared; those that cannot go into `found`.
fn common_columns(a: &Schema, b: &Schema, left: Left, found: &mut TableDifference) -> Vec<String> {
    let counts = |name: &String| !left.columns.iter().any(|end| name.ends_with(end));
    let names = |of: &Schema, without: &Schema| -> Vec<String> {
        let absent = of.fields().iter().filter(|field| without.index_of(field.name()).is_err());
        absent.map(|field| field.name().clone()).filter(counts).collect()
    };
    (found.only_a, found.only_b) = (names(a, b), names(b, a));
    let mut common = Vec::new();
    for field in a.fields().iter().filter(|field| counts(field.name())) {
        let Ok(other) = b.field_with_name(field.name()) else { continue };
        if same_type(field.data_type(), other.data_type()) {
            common.push(field.name().clone());
        } else {
            found.types.push(Change {
                name: field.name().clone(),
                a: Some(field.data_type().to_string()),
                b: Some(other.data_type().to_string()),
            });
        }
    }
    common
}

/// What a list's elements are called is no part of its type.
fn same_type(a: &DataType, b: &DataType) -> bool {
    a.equals_datatype(b)
}

fn compare_rows(a: &LakeFile, b: &LakeFile, common: &[String], found: &mut TableDifference) -> Result<()> {
    let names: Vec<&str> = common.iter().map(String::as_str).collect();
    let bytes_per_row = a.bytes_per_row().max(b.bytes_per_row()).max(1);
    let batch_rows = (BATCH_BYTES / bytes_per_row).clamp(1, MOST_ROWS);
    let mut side_a = Side::new(a, &names, batch_rows)?;
    let mut side_b = Side::new(b, &names, batch_rows)?;
    let mut columns: Vec<(Option<SigmaColumn>, ColumnDifference)> = common
        .iter()
        .map(|name| {
            let difference = ColumnDifference { column: name.clone(), ..ColumnDifference::default() };
            let sigma = SigmaColumn::of(name, a.schema()).filter(|sigma| common.contains(&sigma.name));
            (sigma, difference)
        })
        .collect();
    let mut first_row = 0_u64;
    loop {
        let n = side_a.ready()?.min(side_b.ready()?);
        if n == 0 {
            break;
        }
        for (sigma, difference) in &mut columns {
            let (array_a, array_b) =
                (side_a.array(&difference.column, n)?, side_b.array(&difference.column, n)?);
            let mut pair = Pair { a: &array_a, b: &array_b, sigma: None, first_row };
            if pair.is_equal() {
                continue;
            }
            if let Some(sigma) = &sigma {
                pair.sigma = Some((sigma, side_a.array(&sigma.name, n)?));
                difference.sigma.get_or_insert_with(|| sigma.name.clone());
            }
            let before = difference.values;
            pair.compare(difference);
            if before == 0 && difference.values > 0 {
                difference.first_key = side_a.key(common, difference.first_row - first_row)?;
            }
        }
        side_a.advance(n);
        side_b.advance(n);
        first_row += n as u64;
    }
    found.columns =
        columns.into_iter().map(|(_, difference)| difference).filter(|found| found.values > 0).collect();
    let keys = found.columns.iter().filter(|column| KEYS.contains(&column.column.as_str()));
    found.first_other_key = keys.map(|column| column.first_row).min();
    Ok(())
}

/// Batches of one file, taken in pieces.
struct Side<'a> {
    reader: LakeReader<'a>,
    rows: Option<Rows<'a>>,
    taken: usize,
}

impl<'a> Side<'a> {
    fn new(file: &'a LakeFile, columns: &[&str], batch_rows: usize) -> Result<Self> {
        Ok(Self { reader: file.read(columns, batch_rows)?, rows: None, taken: 0 })
    }

    /// Rows at hand; 0 at the end of the file.
    fn ready(&mut self) -> Result<usize> {
        loop {
            if let Some(rows) = &self.rows
                && rows.len() > self.taken
            {
                return Ok(rows.len() - self.taken);
            }
            self.taken = 0;
            self.rows = self.reader.next().transpose()?;
            if self.rows.is_none() {
                return Ok(0);
            }
        }
    }

    /// The next `n` rows of a column.
    fn array(&self, column: &str, n: usize) -> Result<ArrayRef> {
        let Some(rows) = &self.rows else { return Ok(arrow::array::new_empty_array(&DataType::Null)) };
        Ok(rows.array(column)?.slice(self.taken, n))
    }

    /// The key of one of the next rows, where the table has any.
    fn key(&self, common: &[String], row: u64) -> Result<Option<String>> {
        let Ok(row) = usize::try_from(row) else { return Ok(None) };
        let mut parts = Vec::new();
        for name in common.iter().filter(|name| KEYS.contains(&name.as_str()) && *name != "model_hash") {
            let array = self.array(name, row + 1)?;
            if array.is_valid(row) {
                parts.push(format!("{name} {}", array_value_to_string(&array, row).unwrap_or_default()));
            }
        }
        Ok((!parts.is_empty()).then(|| parts.join(", ")))
    }

    fn advance(&mut self, n: usize) {
        self.taken += n;
    }
}
