//! Rows of a lake file in the binary format of `COPY`: a few rows at a time, column by column, sent in large chunks.

mod array;
mod column;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Schema;
use bytes::Bytes;
use specmill_schemas::{Field, Kind, Table};

use super::quote_name;
use column::{Column, Scratch};

/// Large enough that system calls and channel hops do not show, small enough to stay in the cache.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The format's signature, no flags, no extension.
const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a row's number of columns: there are no more rows.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// In place of a value's length.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// Rows whose bytes are written column by column before the next ones are: they stay in the cache meanwhile.
const TILE_BYTES: usize = 1 << 16;

/// Why a row cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The file's columns are not the table's.
    #[error("its columns are not those of `{table}`: {problem}")]
    Columns {
        /// The table.
        table: String,
        /// The first difference.
        problem: String,
    },
    /// A number that is not one.
    #[error("row {row}, column `{column}`: {value} is not a finite number")]
    NotFinite {
        /// From 0.
        row: u64,
        /// The column.
        column: String,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// A NULL in a column that has none.
    #[error("row {row}, column `{column}`: no value where one is required")]
    Missing {
        /// From 0.
        row: u64,
        /// The column.
        column: String,
    },
    /// A row that belongs elsewhere: another model's vector, another unit's row.
    #[error("row {row}, column `{column}`: `{found}` where the file is accounted for as `{expected}`")]
    Foreign {
        /// From 0.
        row: u64,
        /// The column.
        column: &'static str,
        /// What the row says.
        found: String,
        /// What it must say.
        expected: String,
    },
    /// More than the format can hold.
    #[error("row {row}, column `{column}`: a value of {bytes} bytes is too long")]
    TooLong {
        /// From 0.
        row: u64,
        /// The column.
        column: String,
        /// Its length.
        bytes: usize,
    },
}

/// Which floating-point numbers may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Finite ones: missing is NULL.
    Finite,
    /// All: the table is taken as it is.
    Any,
}

/// The text of a `COPY` into a table.
pub fn statement(sql_table: &str, table: &Table) -> String {
    let columns: Vec<String> = table.fields.iter().map(|field| quote_name(&field.name)).collect();
    format!("COPY {sql_table} ({}) FROM STDIN WITH (FORMAT binary)", columns.join(", "))
}

/// The encoder of one file.
#[derive(Debug)]
pub struct RowEncoder {
    fields: Vec<Field>,
    expected: Vec<(usize, &'static str, String)>,
    numbers: Numbers,
    n_columns: [u8; 2],
    chunk: Vec<u8>,
    rows: u64,
}

impl RowEncoder {
    /// For a file with this schema, whose rows must hold these texts in these columns.
    ///
    /// # Errors
    /// Where the file's columns are not the table's.
    pub fn new(
        table: &Table,
        schema: &Schema,
        numbers: Numbers,
        expected: &[(&'static str, String)],
    ) -> Result<Self, CopyError> {
        check_columns(table, schema)?;
        let columns = |problem: String| CopyError::Columns { table: table.name.to_string(), problem };
        let n_columns = i16::try_from(table.fields.len())
            .map_err(|_| columns("there are too many".to_owned()))?
            .to_be_bytes();
        let expected = expected
            .iter()
            .map(|(name, text)| {
                let at = table.index_of(name).ok_or_else(|| columns(format!("`{name}` is missing")))?;
                Ok((at, *name, text.clone()))
            })
            .collect::<Result<_, CopyError>>()?;
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        chunk.extend_from_slice(&HEADER);
        Ok(Self { fields: table.fields.clone(), expected, numbers, n_columns, chunk, rows: 0 })
    }

    /// Rows encoded.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Encodes a batch; chunks leave as they fill.
    ///
    /// # Errors
    /// Where a row cannot be sent, or `send` refuses a chunk.
    pub fn append<E: From<CopyError>>(
        &mut self,
        batch: &RecordBatch,
        send: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = self
            .fields
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Column::of(field, array, self.numbers))
            .collect::<Result<Vec<_>, CopyError>>()?;
        self.check_expected(batch)?;
        self.check_values(&columns)?;
        let row_bytes = 2 + columns.iter().map(Column::typical_bytes).sum::<usize>();
        let tile_rows = (TILE_BYTES / row_bytes).max(1);
        let mut scratch = vec![Scratch::default(); columns.len()];
        let mut cursors = Vec::with_capacity(tile_rows);
        for first in (0..batch.num_rows()).step_by(tile_rows) {
            let rows = first..batch.num_rows().min(first + tile_rows);
            self.encode(&columns, rows, &mut cursors, &mut scratch);
            if self.chunk.len() >= CHUNK_BYTES {
                send(self.take_chunk())?;
            }
        }
        Ok(())
    }

    /// Encodes some rows: their lengths first, so that each column then writes its values where they belong.
    fn encode(
        &mut self,
        columns: &[Column<'_>],
        rows: std::ops::Range<usize>,
        cursors: &mut Vec<usize>,
        scratch: &mut [Scratch],
    ) {
        cursors.clear();
        cursors.resize(rows.len(), self.n_columns.len());
        for (column, scratch) in columns.iter().zip(&mut *scratch) {
            column.add_lengths(&rows, cursors, scratch);
        }
        let mut end = self.chunk.len();
        for cursor in cursors.iter_mut() {
            let length = std::mem::replace(cursor, end);
            end += length;
        }
        self.chunk.resize(end, 0);
        for cursor in cursors.iter_mut() {
            self.chunk[*cursor..][..2].copy_from_slice(&self.n_columns);
            *cursor += 2;
        }
        for (column, scratch) in columns.iter().zip(scratch) {
            column.put(&rows, &mut self.chunk, cursors, scratch);
        }
        self.rows += rows.len() as u64;
    }

    /// The last chunk, with the end mark.
    pub fn finish(mut self) -> Bytes {
        self.chunk.extend_from_slice(&TRAILER);
        Bytes::from(self.chunk)
    }

    fn take_chunk(&mut self) -> Bytes {
        let next = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        Bytes::from(std::mem::replace(&mut self.chunk, next))
    }

    /// Refuses the first row that cannot be sent, by its first such column.
    fn check_values(&self, columns: &[Column<'_>]) -> Result<(), CopyError> {
        let faults =
            columns.iter().zip(&self.fields).filter_map(|(column, field)| Some((column.fault()?, field)));
        match faults.min_by_key(|((row, _), _)| *row) {
            Some(((row, fault), field)) => Err(fault.at(self.rows + row as u64, field)),
            None => Ok(()),
        }
    }

    fn check_expected(&self, batch: &RecordBatch) -> Result<(), CopyError> {
        for (at, column, expected) in &self.expected {
            let Some(texts) = batch.column(*at).as_string_opt::<i32>() else { continue };
            if let Some((row, found)) =
                texts.iter().enumerate().find(|(_, found)| found.is_none_or(|text| text != expected))
            {
                return Err(CopyError::Foreign {
                    row: self.rows + row as u64,
                    column,
                    found: found.unwrap_or("NULL").to_owned(),
                    expected: expected.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Names, types and order must agree; what a file says about its columns besides does not matter here.
fn check_columns(table: &Table, schema: &Schema) -> Result<(), CopyError> {
    let fault = |problem: String| Err(CopyError::Columns { table: table.name.to_string(), problem });
    for (field, found) in table.fields.iter().zip(schema.fields()) {
        if field.name != *found.name() {
            return fault(format!("`{}` stands where `{}` should", found.name(), field.name));
        }
        // An array's elements may be NULL or not.
        let is_array =
            matches!(field.kind, Kind::Array(..)) && Kind::from_arrow(found.data_type()) == Some(field.kind);
        if field.kind.arrow() != *found.data_type() && !is_array {
            return fault(format!(
                "`{}` is {} and should be {}",
                field.name,
                found.data_type(),
                field.kind.label()
            ));
        }
    }
    match (schema.fields().len(), table.fields.len()) {
        (found, wanted) if found == wanted => Ok(()),
        (found, wanted) => fault(format!("there are {found} instead of {wanted}")),
    }
}

#[cfg(test)]
mod tests;
