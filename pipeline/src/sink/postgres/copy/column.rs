//! A batch's column in the form it is encoded from: tight loops over values of one type, for a few rows at a time.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, FixedSizeListArray, PrimitiveArray,
    StringArray,
};
use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use specmill_schemas::{Field, Kind};

use super::array::Arrays;
use super::{CopyError, NULL, Numbers};

/// `float4` among PostgreSQL's built-in types.
pub(super) const FLOAT4_OID: u32 = 700;
/// Before the elements of a `real[]`: length, dimensions, NULLs, type, elements, first index.
const LIST_HEAD: usize = 24;
/// Before the elements of a `vector`: length, dimension, two bytes unused.
const VECTOR_HEAD: usize = 8;

/// What is wrong with a value, before it is known where it stands.
#[derive(Debug)]
pub(super) enum Fault {
    NotFinite(String),
    Missing,
    TooLong(usize),
}

impl Fault {
    pub(super) fn at(self, row: u64, field: &Field) -> CopyError {
        let column = field.name.clone();
        match self {
            Self::NotFinite(value) => CopyError::NotFinite { row, column, value },
            Self::Missing => CopyError::Missing { row, column },
            Self::TooLong(bytes) => CopyError::TooLong { row, column, bytes },
        }
    }
}

/// A column of a batch.
pub(super) struct Column<'a> {
    values: Values<'a>,
    array: &'a dyn Array,
    is_required: bool,
    numbers: Numbers,
}

enum Values<'a> {
    Text(&'a StringArray),
    Bool(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    /// `real[]` without NULLs
    List(Lists<'a>),
    /// pgvector's `vector`
    Vector(Lists<'a>),
    /// An array of anything.
    Array(Arrays<'a>),
}

/// Lists of one length, end to end.
struct Lists<'a> {
    array: &'a FixedSizeListArray,
    values: &'a [f32],
    len: usize,
}

impl<'a> Column<'a> {
    /// The column of a field.
    ///
    /// # Errors
    /// Where its array is of no type that can be sent.
    pub(super) fn of(field: &Field, array: &'a ArrayRef, numbers: Numbers) -> Result<Self, CopyError> {
        let any = array.as_any();
        let values = if let (Kind::Array(element, _), Some(arrays)) = (field.kind, Arrays::of(array)) {
            Values::Array(arrays.with(element, numbers))
        } else if let Some(array) = any.downcast_ref() {
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
        Ok(Self { values, array: array.as_ref(), is_required: !field.nullable, numbers })
    }

    /// The first row that cannot be sent, and why.
    pub(super) fn fault(&self) -> Option<(usize, Fault)> {
        let missing =
            || (0..self.array.len()).find(|row| self.array.is_null(*row)).map(|row| (row, Fault::Missing));
        let missing = if self.is_required && self.array.null_count() > 0 { missing() } else { None };
        let wrong = match &self.values {
            Values::Float32(array) if self.numbers == Numbers::Finite => not_finite(array, f32::is_finite),
            Values::Float64(array) if self.numbers == Numbers::Finite => not_finite(array, f64::is_finite),
            Values::List(lists) => lists.fault(i32::MAX as usize / 8 - LIST_HEAD),
            Values::Vector(lists) => lists.fault(usize::from(u16::MAX)),
            Values::Array(arrays) => arrays.fault(),
            Values::Float32(_)
            | Values::Float64(_)
            | Values::Text(_)
            | Values::Bool(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::Int64(_) => None,
        };
        [missing, wrong].into_iter().flatten().min_by_key(|(row, _)| *row)
    }

    /// About how many bytes a row's value takes.
    pub(super) fn typical_bytes(&self) -> usize {
        let rows = self.array.len().max(1);
        match &self.values {
            Values::Text(array) => 4 + array.value_data().len().min(1 << 20) / rows,
            Values::Bool(_) => 5,
            Values::Int16(_) => 6,
            Values::Int32(_) | Values::Float32(_) => 8,
            Values::Int64(_) | Values::Float64(_) => 12,
            Values::List(lists) => LIST_HEAD + 8 * lists.len,
            Values::Vector(lists) => VECTOR_HEAD + 4 * lists.len,
            Values::Array(arrays) => LIST_HEAD + 12 * arrays.elements() / rows,
        }
    }

    /// Adds the length of each row's value to the rows' lengths; `scratch` takes what is only known by encoding it.
    pub(super) fn add_lengths(&self, rows: &Range<usize>, lengths: &mut [usize], scratch: &mut Scratch) {
        let value = match &self.values {
            Values::Text(array) => {
                let offsets = &array.value_offsets()[rows.start..=rows.end];
                for (length, ends) in lengths.iter_mut().zip(offsets.windows(2)) {
                    *length += 4 + to_len(ends[1] - ends[0]);
                }
                // A NULL may have text behind it that nobody sees.
                for (length, row) in lengths.iter_mut().zip(rows.clone()) {
                    if self.array.is_null(row) {
                        *length -= to_len(array.value_length(row));
                    }
                }
                return;
            }
            Values::Array(arrays) => {
                scratch.begin();
                for (length, row) in lengths.iter_mut().zip(rows.clone()) {
                    *length += scratch.add(|out| {
                        if self.array.is_null(row) {
                            out.extend_from_slice(&NULL)
                        } else {
                            arrays.put(row, out)
                        }
                    });
                }
                return;
            }
            Values::Bool(_) => 1,
            Values::Int16(_) => 2,
            Values::Int32(_) | Values::Float32(_) => 4,
            Values::Int64(_) | Values::Float64(_) => 8,
            Values::List(lists) => LIST_HEAD - 4 + 8 * lists.len,
            Values::Vector(lists) => VECTOR_HEAD - 4 + 4 * lists.len,
        };
        match self.array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => lengths.iter_mut().for_each(|length| *length += 4 + value),
            Some(nulls) => {
                for (length, row) in lengths.iter_mut().zip(rows.clone()) {
                    *length += if nulls.is_null(row) { 4 } else { 4 + value };
                }
            }
        }
    }

    /// Writes each row's value where its cursor stands, and moves the cursor behind it. Faults are none any more.
    pub(super) fn put(&self, rows: &Range<usize>, out: &mut [u8], cursors: &mut [usize], scratch: &Scratch) {
        let nulls = self.array.nulls().filter(|nulls| nulls.null_count() > 0);
        let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
        let mut target = Target { out, cursors, rows, is_nullable: nulls.is_some() };
        match &self.values {
            Values::Bool(array) => target.fixed(is_null, |row| [u8::from(array.value(row))]),
            Values::Int16(array) => target.numbers(array.values(), is_null, i16::to_be_bytes),
            Values::Int32(array) => target.numbers(array.values(), is_null, i32::to_be_bytes),
            Values::Int64(array) => target.numbers(array.values(), is_null, i64::to_be_bytes),
            Values::Float32(array) => target.numbers(array.values(), is_null, f32::to_be_bytes),
            Values::Float64(array) => target.numbers(array.values(), is_null, f64::to_be_bytes),
            Values::Text(array) => target.each(is_null, |row, out| {
                let text = array.value(row).as_bytes();
                let (head, value) = out.split_at_mut(4);
                head.copy_from_slice(&to_length(text.len()));
                value[..text.len()].copy_from_slice(text);
                4 + text.len()
            }),
            Values::List(lists) => target.each(is_null, |row, out| put_list(lists.row(row), out)),
            Values::Vector(lists) => target.each(is_null, |row, out| put_vector(lists.row(row), out)),
            Values::Array(_) => target.copy(scratch),
        }
    }
}

/// Where the values of some rows go.
struct Target<'t> {
    out: &'t mut [u8],
    cursors: &'t mut [usize],
    rows: &'t Range<usize>,
    is_nullable: bool,
}

impl Target<'_> {
    fn numbers<T: Copy, const N: usize>(
        &mut self,
        values: &[T],
        is_null: impl Fn(usize) -> bool,
        bytes: impl Fn(T) -> [u8; N],
    ) {
        let values = &values[self.rows.clone()];
        if self.is_nullable {
            let first = self.rows.start;
            return self.fixed(is_null, |row| bytes(values[row - first]));
        }
        for (cursor, value) in self.cursors.iter_mut().zip(values) {
            put_fixed(&mut self.out[*cursor..], bytes(*value));
            *cursor += 4 + N;
        }
    }

    fn fixed<const N: usize>(&mut self, is_null: impl Fn(usize) -> bool, bytes: impl Fn(usize) -> [u8; N]) {
        self.each(is_null, |row, out| {
            put_fixed(out, bytes(row));
            4 + N
        });
    }

    fn each(&mut self, is_null: impl Fn(usize) -> bool, put: impl Fn(usize, &mut [u8]) -> usize) {
        for (cursor, row) in self.cursors.iter_mut().zip(self.rows.clone()) {
            let out = &mut self.out[*cursor..];
            if is_null(row) {
                out[..4].copy_from_slice(&NULL);
                *cursor += 4;
            } else {
                *cursor += put(row, out);
            }
        }
    }

    fn copy(&mut self, scratch: &Scratch) {
        for (cursor, value) in self.cursors.iter_mut().zip(scratch.values()) {
            self.out[*cursor..][..value.len()].copy_from_slice(value);
            *cursor += value.len();
        }
    }
}

/// Values of one column, encoded ahead.
#[derive(Debug, Default, Clone)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Scratch {
    fn begin(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn add(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> usize {
        let before = self.bytes.len();
        put(&mut self.bytes);
        self.ends.push(self.bytes.len());
        self.bytes.len() - before
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

/// The first value that is no finite number. All are looked at without an early way out, so that it is done many at
/// a time.
fn not_finite<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    is_finite: impl Fn(T::Native) -> bool,
) -> Option<(usize, Fault)>
where
    T::Native: ToString,
{
    if array.values().iter().fold(true, |all, value| all & is_finite(*value)) {
        return None;
    }
    let strange = |(row, value): (usize, Option<T::Native>)| {
        value.filter(|value| !is_finite(*value)).map(|value| (row, Fault::NotFinite(value.to_string())))
    };
    array.iter().enumerate().find_map(strange)
}

impl<'a> Lists<'a> {
    fn of(array: &'a FixedSizeListArray) -> Option<Self> {
        let values = array.values().as_primitive_opt::<Float32Type>()?;
        let len = usize::try_from(array.value_length()).ok()?;
        Some(Self { array, values: values.values(), len })
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.values[self.array.value_offset_at(row)..][..self.len]
    }

    fn fault(&self, longest: usize) -> Option<(usize, Fault)> {
        (0..self.array.len()).filter(|row| self.array.is_valid(*row)).find_map(|row| {
            if self.len > longest {
                return Some((row, Fault::TooLong(self.len)));
            }
            let values = self.row(row);
            if values.iter().fold(true, |all, value| all & value.is_finite()) {
                return None;
            }
            let strange = values.iter().find(|value| !value.is_finite());
            Some((row, Fault::NotFinite(strange.map(f32::to_string).unwrap_or_default())))
        })
    }
}

fn to_len(length: i32) -> usize {
    usize::try_from(length).unwrap_or(0)
}

/// A length that is known to fit.
pub(super) fn to_length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}

#[inline]
fn put_fixed<const N: usize>(out: &mut [u8], value: [u8; N]) {
    const { assert!(N <= 8, "a length of one byte") };
    let mut field = [0; 12];
    field[3] = N.to_le_bytes()[0];
    field[4..4 + N].copy_from_slice(&value);
    out[..4 + N].copy_from_slice(&field[..4 + N]);
}

/// A vector: its dimension, two bytes unused, its elements.
#[inline]
fn put_vector(values: &[f32], out: &mut [u8]) -> usize {
    let bytes = VECTOR_HEAD + 4 * values.len();
    let (head, elements) = out[..bytes].split_at_mut(VECTOR_HEAD);
    head[..4].copy_from_slice(&to_length(bytes - 4));
    head[4..6].copy_from_slice(&u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
    head[6..].fill(0);
    for (to, value) in elements.chunks_exact_mut(4).zip(values) {
        to.copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

/// An array: one dimension, no NULLs, the element type, its length and first index; then each element
/// behind its own length.
#[inline]
fn put_list(values: &[f32], out: &mut [u8]) -> usize {
    const ELEMENT: u64 = 4 << 32;
    let bytes = LIST_HEAD + 8 * values.len();
    let (head, elements) = out[..bytes].split_at_mut(LIST_HEAD);
    let words = [
        to_length(bytes - 4),
        1_i32.to_be_bytes(),
        0_i32.to_be_bytes(),
        FLOAT4_OID.to_be_bytes(),
        to_length(values.len()),
        1_i32.to_be_bytes(),
    ];
    head.copy_from_slice(words.as_flattened());
    for (to, value) in elements.chunks_exact_mut(8).zip(values) {
        to.copy_from_slice(&(ELEMENT | u64::from(value.to_bits())).to_be_bytes());
    }
    bytes
}
