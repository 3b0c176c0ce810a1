//! How a column's bytes become an Arrow column: decided once, from its cards.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::cards::{Cards, Tnull, judge_tnull, metadata};
use super::policy::{NanPolicy, Policy, TableOptions};
use crate::fits::layout::{Column, HduInfo, TableInfo};
use crate::fits::tform::ElementKind;
use crate::fits::{FitsError, HduLabel};

/// One element, as stored and as it becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    Logical,
    Bit,
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    /// A whole number moved by another: exact in 64 bits, or an error.
    Moved {
        bytes: usize,
        by: i64,
    },
    F32,
    F64,
    /// A number of this kind × scale + zero, in double precision.
    Scaled {
        element: ElementKind,
        scale: f64,
        zero: f64,
    },
    C32,
    C64,
    /// A string of this many bytes.
    Text(usize),
}

/// How many elements a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    Fixed(usize),
    /// In the heap; a descriptor of 8 or 16 bytes in the row, or none.
    Varying {
        descriptor_bytes: usize,
    },
}

/// A column that will be read.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    pub(super) column: Column,
    pub(super) cell: Cell,
    pub(super) shape: Shape,
    pub(super) policy: Policy,
    pub(super) tnull: Tnull,
    field: FieldRef,
}

impl ColumnPlan {
    /// The Arrow field: name, type, and unit and cards as metadata.
    pub fn field(&self) -> &FieldRef {
        &self.field
    }

    /// TTYPE as written; empty where there is none.
    pub fn name(&self) -> &str {
        &self.column.name
    }

    /// TFORM as written.
    pub fn tform(&self) -> &str {
        &self.column.tform
    }

    /// TUNIT as written.
    pub fn unit(&self) -> Option<&str> {
        self.column.unit.as_deref()
    }

    /// What became of TNULL.
    pub fn tnull(&self) -> Tnull {
        self.tnull
    }

    /// First byte and length within a row.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.column.offset, self.column.form.row_bytes().unwrap_or(0))
    }

    /// Whether its values lie in the heap.
    pub(super) fn is_varying(&self) -> bool {
        matches!(self.shape, Shape::Varying { .. })
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.cell, Cell::Text(_))
    }

    /// Elements of a list of fixed size.
    pub(super) fn list_length(&self) -> i32 {
        if let DataType::FixedSizeList(_, n) = self.field.data_type() { *n } else { 0 }
    }

    /// The field of one element of a list.
    pub(super) fn item(&self) -> FieldRef {
        Arc::new(Field::new("item", element_type(self.cell), self.elements_may_be_null()))
    }

    fn elements_may_be_null(&self) -> bool {
        may_be_null(self.cell, self.tnull, self.policy)
    }
}

/// Plans the columns that were asked for, in that order.
pub(super) fn plan(
    path: &Path,
    hdu: &HduInfo,
    table: &TableInfo,
    options: &TableOptions,
) -> Result<Vec<ColumnPlan>, FitsError> {
    let cards = Cards::of(hdu);
    let chosen: Vec<&Column> = match &options.columns {
        None => table.columns.iter().collect(),
        Some(names) => names
            .iter()
            .map(|name| {
                table.column(name).ok_or_else(|| FitsError::MissingColumn {
                    path: path.to_owned(),
                    hdu: hdu.label(),
                    column: name.clone(),
                })
            })
            .collect::<Result<_, _>>()?,
    };
    let mut taken = HashSet::new();
    chosen
        .into_iter()
        .map(|column| {
            let name = free_name(column, &mut taken);
            plan_column(column, name, &cards, options.policy_of(&column.name))
                .map_err(|problem| unreadable(path, hdu.label(), column, problem))
        })
        .collect()
}

fn unreadable(path: &Path, hdu: HduLabel, column: &Column, problem: String) -> FitsError {
    let column = if column.name.is_empty() { (column.index + 1).to_string() } else { column.name.clone() };
    FitsError::UnreadableColumn { path: path.to_owned(), hdu, column, problem }
}

/// TTYPE, or a name made of the number; never one that an earlier column has.
fn free_name(column: &Column, taken: &mut HashSet<String>) -> String {
    let wanted =
        if column.name.is_empty() { format!("COL{}", column.index + 1) } else { column.name.clone() };
    let mut name = wanted.clone();
    let mut copies = 1;
    while !taken.insert(name.clone()) {
        copies += 1;
        name = format!("{wanted}_{copies}");
    }
    name
}

fn plan_column(
    column: &Column,
    name: String,
    cards: &Cards<'_>,
    policy: Policy,
) -> Result<ColumnPlan, String> {
    let form = &column.form;
    let (cell, per_row) = cell_of(column)?;
    let shape = match form.descriptor_bytes {
        Some(bytes) => Shape::Varying { descriptor_bytes: bytes_per_row(bytes * form.repeat)? },
        None if per_row == 1 => Shape::One,
        None => Shape::Fixed(usize::try_from(per_row).map_err(|_| too_wide())?),
    };
    let tnull = judge_tnull(cards, column, policy.tnull);
    let nullable = may_be_null(cell, tnull, policy);
    let item = || Arc::new(Field::new("item", element_type(cell), nullable));
    let (data_type, nullable) = match shape {
        Shape::One => (element_type(cell), nullable),
        // A string in the heap is one string; Parquet has no lists of no items.
        Shape::Varying { .. } if matches!(cell, Cell::Text(_)) => (DataType::Utf8, false),
        Shape::Varying { .. } | Shape::Fixed(0) => (DataType::List(item()), false),
        Shape::Fixed(n) => {
            (DataType::FixedSizeList(item(), i32::try_from(n).map_err(|_| too_wide())?), false)
        }
    };
    let field = Field::new(name, data_type, nullable).with_metadata(metadata(column, cards, policy, tnull));
    Ok(ColumnPlan { column: column.clone(), cell, shape, policy, tnull, field: Arc::new(field) })
}

fn too_wide() -> String {
    "its cells have more elements than a list may have".to_owned()
}

fn bytes_per_row(bytes: u64) -> Result<usize, String> {
    usize::try_from(bytes).map_err(|_| too_wide())
}

/// The element of a column and how many of them a row has.
fn cell_of(column: &Column) -> Result<(Cell, u64), String> {
    use ElementKind::{Bit, Byte, Complex, Double, DoubleComplex, Float, Int, Logical, Long, Short, Text};
    let form = &column.form;
    let (scale, zero) = (column.tscal, column.tzero);
    let scales = matches!(form.element, Byte | Short | Int | Long | Float | Double | Complex | DoubleComplex);
    if is_scaled(column) && scales {
        if is(scale, 0.0) {
            return Err("TSCAL is 0, so that all its values would be TZERO".to_owned());
        }
        return Ok((scaled_cell(form.element, scale, zero)?, form.repeat));
    }
    let cell = match form.element {
        Text => return strings(column),
        Logical => Cell::Logical,
        Bit => Cell::Bit,
        Byte => Cell::U8,
        Short => Cell::I16,
        Int => Cell::I32,
        Long => Cell::I64,
        Float => Cell::F32,
        Double => Cell::F64,
        Complex => Cell::C32,
        DoubleComplex => Cell::C64,
    };
    Ok((cell, form.repeat))
}

/// Whether TSCAL or TZERO change the values.
pub(super) fn is_scaled(column: &Column) -> bool {
    !is(column.tscal, 1.0) || !is(column.tzero, 0.0)
}

#[expect(clippy::float_cmp, reason = "cards that are exactly a number mean it")]
fn is(value: f64, number: f64) -> bool {
    value == number
}

/// The other signedness where TZERO says so; else a whole number of 64 bits, or a real one.
fn scaled_cell(element: ElementKind, scale: f64, zero: f64) -> Result<Cell, String> {
    use ElementKind::{Byte, Int, Long, Short};
    let unit_scale = is(scale, 1.0);
    let bytes = match element {
        ElementKind::Complex | ElementKind::DoubleComplex => {
            return Err("complex numbers with TSCAL or TZERO are not read".to_owned());
        }
        Byte => 1,
        Short => 2,
        Int => 4,
        Long => 8,
        ElementKind::Float
        | ElementKind::Double
        | ElementKind::Logical
        | ElementKind::Bit
        | ElementKind::Text => {
            return Ok(Cell::Scaled { element, scale, zero });
        }
    };
    let other_sign = match bytes {
        1 => (Cell::I8, -128.0),
        2 => (Cell::U16, 32_768.0),
        4 => (Cell::U32, 2_147_483_648.0),
        _ => (Cell::U64, 9_223_372_036_854_775_808.0),
    };
    Ok(match whole(zero) {
        _ if unit_scale && is(zero, other_sign.1) => other_sign.0,
        Some(by) if unit_scale => Cell::Moved { bytes, by },
        _ => Cell::Scaled { element, scale, zero },
    })
}

/// A whole number that a double holds exactly.
fn whole(value: f64) -> Option<i64> {
    let small = value.abs() <= 9_007_199_254_740_992.0 && is(value.fract(), 0.0);
    #[expect(clippy::cast_possible_truncation, reason = "whole, and at most 2^53")]
    small.then_some(value as i64)
}

/// `nA` is one string; `rAw`, or a TDIM that cuts the cell evenly, are several.
fn strings(column: &Column) -> Result<(Cell, u64), String> {
    let form = &column.form;
    let whole = form.repeat;
    let width = form.substring.filter(|&w| w < whole).or_else(|| tdim_width(column)).unwrap_or(whole);
    if form.descriptor_bytes.is_some() || width == 0 || !whole.is_multiple_of(width) {
        return Ok((Cell::Text(bytes_per_row(whole)?), 1));
    }
    Ok((Cell::Text(bytes_per_row(width)?), whole / width))
}

fn tdim_width(column: &Column) -> Option<u64> {
    let inner = column.tdim.as_deref()?.trim().strip_prefix('(')?.strip_suffix(')')?;
    let axes: Vec<u64> = inner.split(',').map(|axis| axis.trim().parse().ok()).collect::<Option<_>>()?;
    let product = axes.iter().try_fold(1_u64, |product, &n| product.checked_mul(n))?;
    (product == column.form.repeat).then(|| axes.first().copied()).flatten()
}

fn may_be_null(cell: Cell, tnull: Tnull, policy: Policy) -> bool {
    match cell {
        Cell::Logical => true,
        Cell::Bit | Cell::Text(_) | Cell::C32 | Cell::C64 => false,
        Cell::F32 | Cell::F64 => policy.nan == NanPolicy::Null,
        Cell::Scaled { element: ElementKind::Float | ElementKind::Double, .. } => {
            policy.nan == NanPolicy::Null
        }
        Cell::U8
        | Cell::I8
        | Cell::I16
        | Cell::U16
        | Cell::I32
        | Cell::U32
        | Cell::I64
        | Cell::U64
        | Cell::Moved { .. }
        | Cell::Scaled { .. } => matches!(tnull, Tnull::Null(_)),
    }
}

fn element_type(cell: Cell) -> DataType {
    match cell {
        Cell::Logical | Cell::Bit => DataType::Boolean,
        Cell::U8 => DataType::UInt8,
        Cell::I8 => DataType::Int8,
        Cell::I16 => DataType::Int16,
        Cell::U16 => DataType::UInt16,
        Cell::I32 => DataType::Int32,
        Cell::U32 => DataType::UInt32,
        Cell::I64 | Cell::Moved { .. } => DataType::Int64,
        Cell::U64 => DataType::UInt64,
        Cell::F32 => DataType::Float32,
        Cell::F64 | Cell::Scaled { .. } => DataType::Float64,
        Cell::C32 => DataType::Struct(complex_fields(DataType::Float32)),
        Cell::C64 => DataType::Struct(complex_fields(DataType::Float64)),
        Cell::Text(_) => DataType::Utf8,
    }
}

/// A complex number is a struct: Arrow has no type for it.
pub(super) fn complex_fields(part: DataType) -> Fields {
    ["re", "im"].into_iter().map(|name| Field::new(name, part.clone(), false)).collect()
}
