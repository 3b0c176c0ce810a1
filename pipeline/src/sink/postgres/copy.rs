//! Rows of a lake file in the binary format of `COPY`, encoded column by column type, sent in large chunks.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Float32Type, Schema};
use bytes::Bytes;
use specmill_schemas::{Field, Kind, Table};

/// Large enough that system calls and channel hops do not show, small enough to stay in the cache.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// The format's signature, no flags, no extension.
const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a row's number of columns: there are no more rows.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// In place of a value's length.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// `float4` among PostgreSQL's built-in types.
const FLOAT4_OID: u32 = 700;

/// Why a row cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
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

/// The text of a `COPY` into a table.
pub(crate) fn statement(sql_table: &str, table: &Table) -> String {
    let columns: Vec<String> = table.fields.iter().map(|field| format!("\"{}\"", field.name)).collect();
    format!("COPY {sql_table} ({}) FROM STDIN WITH (FORMAT binary)", columns.join(", "))
}

/// The encoder of one file.
#[derive(Debug)]
pub(crate) struct RowEncoder {
    fields: Vec<Field>,
    expected: Vec<(usize, &'static str, String)>,
    n_columns: [u8; 2],
    chunk: Vec<u8>,
    rows: u64,
}

impl RowEncoder {
    /// For a file with this schema, whose rows must hold these texts in these columns.
    ///
    /// # Errors
    /// Where the file's columns are not the table's.
    pub(crate) fn new(
        table: &Table,
        schema: &Schema,
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
        Ok(Self { fields: table.fields.clone(), expected, n_columns, chunk, rows: 0 })
    }

    /// Rows encoded.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Encodes a batch; chunks leave as they fill.
    ///
    /// # Errors
    /// Where a row cannot be sent, or `send` refuses a chunk.
    pub(crate) fn append<E: From<CopyError>>(
        &mut self,
        batch: &RecordBatch,
        send: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = self
            .fields
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Column::of(field, array))
            .collect::<Result<Vec<_>, CopyError>>()?;
        self.check_expected(batch)?;
        for row in 0..batch.num_rows() {
            self.chunk.extend_from_slice(&self.n_columns);
            for (column, field) in columns.iter().zip(&self.fields) {
                column.put(row, &mut self.chunk).map_err(|fault| fault.at(self.rows, field))?;
            }
            self.rows += 1;
            if self.chunk.len() >= CHUNK_BYTES {
                send(self.take_chunk())?;
            }
        }
        Ok(())
    }

    /// The last chunk, with the end mark.
    pub(crate) fn finish(mut self) -> Bytes {
        self.chunk.extend_from_slice(&TRAILER);
        Bytes::from(self.chunk)
    }

    fn take_chunk(&mut self) -> Bytes {
        let next = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        Bytes::from(std::mem::replace(&mut self.chunk, next))
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
        if field.kind.arrow() != *found.data_type() {
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

/// What is wrong with a value, before it is known where it stands.
enum Fault {
    NotFinite(String),
    Missing,
    TooLong(usize),
}

impl Fault {
    fn at(self, row: u64, field: &Field) -> CopyError {
        let column = field.name.clone();
        match self {
            Self::NotFinite(value) => CopyError::NotFinite { row, column, value },
            Self::Missing => CopyError::Missing { row, column },
            Self::TooLong(bytes) => CopyError::TooLong { row, column, bytes },
        }
    }
}

/// A batch's column in the form it is encoded from.
struct Column<'a> {
    values: Values<'a>,
    array: &'a dyn Array,
    nullable: bool,
}

enum Values<'a> {
    Text(&'a StringArray),
    Bool(&'a BooleanArray),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    /// `real[]`
    List(Lists<'a>),
    /// pgvector's `vector`
    Vector(Lists<'a>),
}

/// Lists of one length, end to end.
struct Lists<'a> {
    array: &'a FixedSizeListArray,
    values: &'a [f32],
    len: usize,
}

impl<'a> Column<'a> {
    fn of(field: &Field, array: &'a ArrayRef) -> Result<Self, CopyError> {
        let any = array.as_any();
        let values = if let Some(array) = any.downcast_ref() {
            Values::Text(array)
        } else if let Some(array) = any.downcast_ref() {
            Values::Bool(array)
        } else if let Some(array) = any.downcast_ref() {
            Values::Int16(array)
        } else if let Some(array) = any.downcast_ref() {
            Values::Int32(array)
        } else if let Some(array) = any.downcast_ref() {
            Values::Int64(array)
        } else if let Some(array) = any.downcast_ref() {
            Values::Float32(array)
        } else if let Some(array) = any.downcast_ref() {
            Values::Float64(array)
        } else if let Some(lists) = any.downcast_ref().and_then(Lists::of) {
            if matches!(field.kind, Kind::Vector(_)) { Values::Vector(lists) } else { Values::List(lists) }
        } else {
            let problem = format!("`{}` is {}", field.name, array.data_type());
            return Err(CopyError::Columns { table: "the database".to_owned(), problem });
        };
        Ok(Self { values, array: array.as_ref(), nullable: field.nullable })
    }

    #[inline]
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.array.is_null(row) {
            out.extend_from_slice(&NULL);
            return if self.nullable { Ok(()) } else { Err(Fault::Missing) };
        }
        match &self.values {
            Values::Text(array) => {
                let text = array.value(row).as_bytes();
                out.extend_from_slice(&length(text.len())?);
                out.extend_from_slice(text);
            }
            Values::Bool(array) => put_fixed(out, [u8::from(array.value(row))]),
            Values::Int16(array) => put_fixed(out, array.value(row).to_be_bytes()),
            Values::Int32(array) => put_fixed(out, array.value(row).to_be_bytes()),
            Values::Int64(array) => put_fixed(out, array.value(row).to_be_bytes()),
            Values::Float32(array) => {
                let value = array.value(row);
                finite(value.is_finite(), value)?;
                put_fixed(out, value.to_be_bytes());
            }
            Values::Float64(array) => {
                let value = array.value(row);
                finite(value.is_finite(), value)?;
                put_fixed(out, value.to_be_bytes());
            }
            Values::List(lists) => put_list(lists.row(row)?, out)?,
            Values::Vector(lists) => put_vector(lists.row(row)?, out)?,
        }
        Ok(())
    }
}

impl<'a> Lists<'a> {
    fn of(array: &'a FixedSizeListArray) -> Option<Self> {
        let values = array.values().as_primitive_opt::<Float32Type>()?;
        let len = usize::try_from(array.value_length()).ok()?;
        Some(Self { array, values: values.values(), len })
    }

    fn row(&self, row: usize) -> Result<&'a [f32], Fault> {
        let first = self.array.value_offset_at(row);
        let values =
            first.checked_add(self.len).and_then(|end| self.values.get(first..end)).ok_or(Fault::Missing)?;
        // Without an early way out, so that it is done many elements at a time.
        if values.iter().fold(true, |all, value| all & value.is_finite()) {
            return Ok(values);
        }
        let strange = values.iter().find(|value| !value.is_finite());
        Err(Fault::NotFinite(strange.map(f32::to_string).unwrap_or_default()))
    }
}

fn finite(is_finite: bool, value: impl ToString) -> Result<(), Fault> {
    if is_finite { Ok(()) } else { Err(Fault::NotFinite(value.to_string())) }
}

fn length(bytes: usize) -> Result<[u8; 4], Fault> {
    i32::try_from(bytes).map(i32::to_be_bytes).map_err(|_| Fault::TooLong(bytes))
}

#[inline]
fn put_fixed<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    const { assert!(N <= 8, "a length of one byte") };
    let mut field = [0; 12];
    field[3] = N.to_le_bytes()[0];
    field[4..4 + N].copy_from_slice(&value);
    out.extend_from_slice(&field[..4 + N]);
}

/// A vector: its dimension, two bytes unused, its elements.
#[inline]
fn put_vector(values: &[f32], out: &mut Vec<u8>) -> Result<(), Fault> {
    let bytes = 4 + 4 * values.len();
    let dimension = u16::try_from(values.len()).map_err(|_| Fault::TooLong(bytes))?;
    out.extend_from_slice(&length(bytes)?);
    out.extend_from_slice(&dimension.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    let first = out.len();
    out.resize(first + 4 * values.len(), 0);
    for (to, value) in out[first..].chunks_exact_mut(4).zip(values) {
        to.copy_from_slice(&value.to_be_bytes());
    }
    Ok(())
}

/// An array: one dimension, no NULLs, the element type, its length and first index; then each element
/// behind its own length.
#[inline]
fn put_list(values: &[f32], out: &mut Vec<u8>) -> Result<(), Fault> {
    const ELEMENT: u64 = 4 << 32;
    let bytes = 20 + 8 * values.len();
    out.extend_from_slice(&length(bytes)?);
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.extend_from_slice(&FLOAT4_OID.to_be_bytes());
    out.extend_from_slice(&length(values.len())?);
    out.extend_from_slice(&1_i32.to_be_bytes());
    let first = out.len();
    out.resize(first + 8 * values.len(), 0);
    for (to, value) in out[first..].chunks_exact_mut(8).zip(values) {
        to.copy_from_slice(&(ELEMENT | u64::from(value.to_bits())).to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn table() -> Table {
        Table {
            name: "things".into(),
            description: String::new(),
            fields: vec![
                Field::new("unit", Kind::Text, "").required(),
                Field::new("deep", Kind::Bool, ""),
                Field::new("rank", Kind::Int16, ""),
                Field::new("row", Kind::Int32, ""),
                Field::new("targetid", Kind::Int64, ""),
                Field::new("snr", Kind::Float32, ""),
                Field::new("z", Kind::Float64, ""),
                Field::new("variance", Kind::Float32List(2), ""),
                Field::new("embedding", Kind::Vector(2), ""),
            ],
        }
    }

    fn lists(rows: &[Option<[f32; 2]>]) -> ArrayRef {
        let rows = rows.iter().map(|row| row.map(|values| values.map(Some)));
        let made = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2);
        let (_, len, values, nulls) = made.into_parts();
        Arc::new(FixedSizeListArray::new(Arc::new(specmill_schemas::list_item()), len, values, nulls))
    }

    fn batch(snr: f32, vector: [f32; 2]) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["ab", "ab"])),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(Int16Array::from(vec![Some(-2), None])),
            Arc::new(Int32Array::from(vec![Some(3), None])),
            Arc::new(Int64Array::from(vec![Some(1 << 40), None])),
            Arc::new(Float32Array::from(vec![Some(snr), None])),
            Arc::new(Float64Array::from(vec![Some(-1.0), None])),
            lists(&[Some([1.0, -2.0]), None]),
            lists(&[Some(vector), None]),
        ];
        RecordBatch::try_new(Arc::new(table().arrow_schema()), columns).unwrap()
    }

    fn encode(batches: &[RecordBatch], expected: &[(&'static str, String)]) -> Result<Vec<u8>, CopyError> {
        let mut encoder = RowEncoder::new(&table(), &table().arrow_schema(), expected)?;
        let mut bytes = Vec::new();
        for batch in batches {
            encoder.append(batch, &mut |chunk: Bytes| {
                bytes.extend_from_slice(&chunk);
                Ok::<(), CopyError>(())
            })?;
        }
        bytes.extend_from_slice(&encoder.finish());
        Ok(bytes)
    }

    #[test]
    fn every_type_stands_in_the_documented_bytes() {
        // PostgreSQL documentation, COPY, "Binary Format"; array_send and vector_send for the last two.
        let mut expected: Vec<u8> = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        let fields: [&[u8]; 9] = [
            b"ab",
            &[1],
            &[0xff, 0xfe],
            &[0, 0, 0, 3],
            &[0, 0, 1, 0, 0, 0, 0, 0],
            &[0x3f, 0, 0, 0],
            &[0xbf, 0xf0, 0, 0, 0, 0, 0, 0],
            &[
                0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0xbc, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0x3f, 0x80, 0, 0,
                0, 0, 0, 4, 0xc0, 0, 0, 0,
            ],
            &[0, 2, 0, 0, 0x40, 0x40, 0, 0, 0x40, 0x80, 0, 0],
        ];
        expected.extend([0, 9]);
        for field in fields {
            expected.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
            expected.extend(field);
        }
        expected.extend([0, 9, 0, 0, 0, 2, b'a', b'b']);
        for _ in 1..9 {
            expected.extend([0xff; 4]);
        }
        expected.extend([0xff, 0xff]);
        assert_eq!(encode(&[batch(0.5, [3.0, 4.0])], &[]).unwrap(), expected);
    }

    #[test]
    fn slices_and_many_batches_give_the_same_bytes_as_one() {
        let whole = batch(0.5, [3.0, 4.0]);
        let halves = [whole.slice(0, 1), whole.slice(1, 1)];
        assert_eq!(encode(&halves, &[]), encode(&[whole], &[]));
    }

    #[test]
    fn chunks_leave_as_they_fill_and_hold_whole_rows() {
        let many = vec![batch(0.5, [3.0, 4.0]); 12_000];
        let mut encoder = RowEncoder::new(&table(), &table().arrow_schema(), &[]).unwrap();
        let mut chunks = Vec::new();
        for batch in &many {
            encoder
                .append(batch, &mut |chunk| {
                    chunks.push(chunk);
                    Ok::<(), CopyError>(())
                })
                .unwrap();
        }
        assert_eq!(encoder.rows(), 24_000);
        chunks.push(encoder.finish());
        assert!(chunks.len() > 1);
        for chunk in &chunks[..chunks.len() - 1] {
            assert!((CHUNK_BYTES..CHUNK_BYTES + 1024).contains(&chunk.len()), "{}", chunk.len());
        }
        assert_eq!(chunks.concat(), encode(&many, &[]).unwrap());
    }

    #[test]
    fn a_number_that_is_not_one_is_refused_by_row_and_column() {
        let good = batch(0.5, [3.0, 4.0]);
        let fault = encode(&[good.clone(), batch(0.5, [3.0, f32::NAN])], &[]).unwrap_err();
        assert_eq!(fault.to_string(), "row 2, column `embedding`: NaN is not a finite number");
        let fault = encode(&[good.clone(), batch(0.5, [f32::NEG_INFINITY, 1.0])], &[]).unwrap_err();
        assert_eq!(fault.to_string(), "row 2, column `embedding`: -inf is not a finite number");
        let fault = encode(&[batch(f32::INFINITY, [3.0, 4.0])], &[]).unwrap_err();
        assert_eq!(fault.to_string(), "row 0, column `snr`: inf is not a finite number");
    }

    #[test]
    fn a_row_of_another_unit_is_refused() {
        let expect = |text: &str| encode(&[batch(0.5, [3.0, 4.0])], &[("unit", text.to_owned())]);
        assert!(expect("ab").is_ok());
        let fault = expect("cd").unwrap_err();
        assert_eq!(fault.to_string(), "row 0, column `unit`: `ab` where the file is accounted for as `cd`");
    }

    #[test]
    fn a_file_with_other_columns_is_refused() {
        let mut other = table();
        other.fields.swap(0, 1);
        let fault = RowEncoder::new(&table(), &other.arrow_schema(), &[]).unwrap_err();
        assert!(fault.to_string().contains("`deep` stands where `unit` should"), "{fault}");
        other.fields.swap(0, 1);
        other.fields[8].kind = Kind::Vector(3);
        let fault = RowEncoder::new(&table(), &other.arrow_schema(), &[]).unwrap_err();
        assert!(fault.to_string().contains("`embedding` is"), "{fault}");
        other.fields.pop();
        let fault = RowEncoder::new(&table(), &other.arrow_schema(), &[]).unwrap_err();
        assert!(fault.to_string().contains("8 instead of 9"), "{fault}");
    }

    #[test]
    fn names_that_are_sql_words_are_quoted() {
        let text = statement("ml.things", &table());
        assert!(text.starts_with("COPY ml.things (\"unit\", \"deep\", \"rank\", \"row\""), "{text}");
    }
}
