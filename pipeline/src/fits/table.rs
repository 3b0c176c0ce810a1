//! Columns by name, converted to one type whatever the file stores.

use std::collections::HashMap;

use super::FitsError;
use super::cfitsio::Handle;
use super::layout::{Column, HduInfo, HduKind, TableInfo};
use super::source::Source;
use super::tform::ElementKind;

/// Rows are read in runs that fit cfitsio's buffers (40 × 2880 bytes), so that reading column
/// after column touches each block once.
const RUN_BYTES: u64 = 100 << 10;

/// The type a column is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Whole numbers; never through a float.
    I64,
    /// Any number.
    F64,
    /// Any number, rounded to single precision.
    F32,
    /// Strings, fixed or variable length.
    Text,
    /// T, F or null.
    Logical,
}

/// A column's values.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// For [`Want::I64`].
    I64(Vec<i64>),
    /// For [`Want::F64`].
    F64(Vec<f64>),
    /// For [`Want::F32`].
    F32(Vec<f32>),
    /// For [`Want::Text`].
    Text(TextColumn),
    /// For [`Want::Logical`].
    Logical(Vec<Option<bool>>),
}

/// Strings of a column, each distinct one stored once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextColumn {
    distinct: Vec<String>,
    index: Vec<u32>,
}

impl TextColumn {
    /// The string in a row.
    pub fn get(&self, row: usize) -> Option<&str> {
        let index = usize::try_from(*self.index.get(row)?).ok()?;
        self.distinct.get(index).map(String::as_str)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The strings, row by row.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|row| self.get(row))
    }
}

/// Builds a [`TextColumn`].
#[derive(Default)]
struct TextBuilder {
    column: TextColumn,
    known: HashMap<String, u32>,
}

impl TextBuilder {
    fn push(&mut self, text: &str) {
        let index = match self.known.get(text) {
            Some(&index) => index,
            None => {
                let index = u32::try_from(self.column.distinct.len()).unwrap_or(u32::MAX);
                self.column.distinct.push(text.to_owned());
                self.known.insert(text.to_owned(), index);
                index
            }
        };
        self.column.index.push(index);
    }
}

impl Want {
    fn words(self) -> &'static str {
        match self {
            Self::I64 => "whole numbers",
            Self::F64 | Self::F32 => "numbers",
            Self::Text => "strings",
            Self::Logical => "logicals",
        }
    }

    /// Whether a column can be read as this.
    fn accepts(self, column: &Column) -> bool {
        use ElementKind::{Byte, Double, Float, Int, Logical, Long, Short, Text};
        let form = &column.form;
        let integer = matches!(form.element, Byte | Short | Int | Long);
        match self {
            Self::I64 => form.is_scalar() && integer && has_integer_scale(column),
            Self::F64 | Self::F32 => form.is_scalar() && (integer || matches!(form.element, Float | Double)),
            Self::Text => {
                form.element == Text
                    && form.substring.is_none_or(|w| w == form.repeat)
                    && !is_string_array(column)
            }
            Self::Logical => form.is_scalar() && form.element == Logical,
        }
    }
}

/// No scaling, or the offset by which FITS stores the other signedness.
#[expect(clippy::float_cmp, reason = "the offsets are exact powers of two")]
fn has_integer_scale(column: &Column) -> bool {
    let offset = match column.form.row_bytes() {
        Some(1) => -128.0,
        Some(2) => 32_768.0,
        Some(4) => 2_147_483_648.0,
        _ => 9_223_372_036_854_775_808.0,
    };
    column.tscal == 1.0 && (column.tzero == 0.0 || column.tzero == offset)
}

/// A TDIM on a string column makes several strings of a cell, unless it names its full width.
fn is_string_array(column: &Column) -> bool {
    column.tdim.as_deref().is_some_and(|tdim| {
        let inner = tdim.trim().trim_start_matches('(').trim_end_matches(')');
        inner.trim().parse::<u64>().ok() != Some(column.form.repeat)
    })
}

/// Reads the named columns of a table; `None` for a name that it does not have.
///
/// # Errors
/// [`FitsError`] where the HDU is no table, a column has another type than wanted, or cfitsio
/// fails.
pub fn read_table(
    source: &Source,
    hdu: &HduInfo,
    wanted: &[(&str, Want)],
) -> Result<Vec<Option<ColumnValues>>, FitsError> {
    let mut handle = Handle::open(source)?;
    read_columns(source, &mut handle, hdu, wanted)
}

/// The layout of an HDU that must be a table.
pub(super) fn table_info<'a>(source: &Source, hdu: &'a HduInfo) -> Result<&'a TableInfo, FitsError> {
    let found = match &hdu.kind {
        HduKind::Table(table) => return Ok(table),
        HduKind::Image(_) | HduKind::CompressedImage { .. } => "an image".to_owned(),
        HduKind::Other { xtension } => format!("an extension of kind {xtension}"),
    };
    let path = source.path().to_owned();
    Err(FitsError::WrongKind { path, hdu: hdu.label(), wanted: "a binary table", found })
}

/// [`read_table`] through an open handle.
pub(super) fn read_columns(
    source: &Source,
    handle: &mut Handle,
    hdu: &HduInfo,
    wanted: &[(&str, Want)],
) -> Result<Vec<Option<ColumnValues>>, FitsError> {
    let table = table_info(source, hdu)?;
    let mut readers = Vec::with_capacity(wanted.len());
    for &(name, want) in wanted {
        let column = table.column(name);
        if let Some(column) = column.filter(|column| !want.accepts(column)) {
            return Err(FitsError::WrongColumnType {
                path: source.path().to_owned(),
                hdu: hdu.label(),
                column: column.name.clone(),
                tform: describe(column),
                wanted: want.words(),
            });
        }
        readers.push(column.map(|column| ColumnReader::new(column, want)));
    }
    let run = (RUN_BYTES / table.row_bytes.max(1)).max(1);
    let mut first = 0;
    while first < table.rows {
        let rows = run.min(table.rows - first);
        for reader in readers.iter_mut().flatten() {
            reader.read_run(handle, hdu, first, rows)?;
        }
        first += rows;
    }
    Ok(readers.into_iter().map(|reader| reader.map(ColumnReader::finish)).collect())
}

fn describe(column: &Column) -> String {
    let mut text = column.tform.clone();
    if !has_integer_scale(column) {
        text.push_str(&format!(" (TSCAL {}, TZERO {})", column.tscal, column.tzero));
    }
    if let Some(tdim) = &column.tdim {
        text.push_str(&format!(" (TDIM {tdim})"));
    }
    text
}

/// Reads a column run by run.
struct ColumnReader<'a> {
    column: &'a Column,
    values: Partial,
}

enum Partial {
    I64(Vec<i64>),
    F64(Vec<f64>),
    F32(Vec<f32>),
    Text(TextBuilder),
    Logical(Vec<Option<bool>>),
}

impl<'a> ColumnReader<'a> {
    fn new(column: &'a Column, want: Want) -> Self {
        let values = match want {
            Want::I64 => Partial::I64(Vec::new()),
            Want::F64 => Partial::F64(Vec::new()),
            Want::F32 => Partial::F32(Vec::new()),
            Want::Text => Partial::Text(TextBuilder::default()),
            Want::Logical => Partial::Logical(Vec::new()),
        };
        Self { column, values }
    }

    fn read_run(
        &mut self,
        handle: &mut Handle,
        hdu: &HduInfo,
        first: u64,
        rows: u64,
    ) -> Result<(), FitsError> {
        let column = self.column;
        let n = usize::try_from(rows).expect("a run is at most RUN_BYTES rows");
        match &mut self.values {
            Partial::I64(values) => handle.read_numbers(hdu, column, first, grow(values, n, 0)),
            Partial::F64(values) => handle.read_numbers(hdu, column, first, grow(values, n, 0.0)),
            Partial::F32(values) if column.form.element == ElementKind::Float => {
                handle.read_numbers(hdu, column, first, grow(values, n, 0.0))
            }
            Partial::F32(values) => {
                // cfitsio fails on doubles beyond single precision, infinities included.
                let mut doubles = vec![0.0_f64; n];
                handle.read_numbers(hdu, column, first, &mut doubles)?;
                #[expect(clippy::cast_possible_truncation, reason = "single precision was asked for")]
                values.extend(doubles.iter().map(|&v| v as f32));
                Ok(())
            }
            Partial::Text(builder) if column.form.descriptor_bytes.is_some() => {
                for row in first..first + rows {
                    if column.form.repeat == 0 {
                        builder.push("");
                    } else {
                        builder.push(&handle.read_varying_string(hdu, column, row)?);
                    }
                }
                Ok(())
            }
            Partial::Text(builder) => handle.read_strings(hdu, column, first, n, |text| builder.push(text)),
            Partial::Logical(values) => handle.read_logicals(hdu, column, first, grow(values, n, None)),
        }
    }

    fn finish(self) -> ColumnValues {
        match self.values {
            Partial::I64(values) => ColumnValues::I64(values),
            Partial::F64(values) => ColumnValues::F64(values),
            Partial::F32(values) => ColumnValues::F32(values),
            Partial::Text(builder) => ColumnValues::Text(builder.column),
            Partial::Logical(values) => ColumnValues::Logical(values),
        }
    }
}

/// Adds `n` elements and gives them.
fn grow<T: Clone>(values: &mut Vec<T>, n: usize, fill: T) -> &mut [T] {
    let start = values.len();
    values.resize(start + n, fill);
    &mut values[start..]
}
