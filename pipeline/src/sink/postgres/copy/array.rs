//! Arrays of a catalogue: elements of one type, any of which may be NULL, in any number.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, ListArray, PrimitiveArray, StringArray,
};
use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use specmill_schemas::Element;

use super::column::{FLOAT4_OID, Fault, to_length};
use super::{NULL, Numbers};

/// Most bytes of a value: PostgreSQL allocates no more than this at once.
const LONGEST: usize = (1 << 30) - 1;

/// The arrays of one column.
pub(super) struct Arrays<'a> {
    rows: Rows<'a>,
    items: Items<'a>,
    all: &'a dyn Array,
    /// The element's type in PostgreSQL.
    oid: u32,
    numbers: Numbers,
}

enum Rows<'a> {
    Fixed(&'a FixedSizeListArray),
    Ragged(&'a ListArray),
}

enum Items<'a> {
    Bool(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Text(&'a StringArray),
}

/// The number of an element's type in the server's catalogue; it never changes.
fn oid(element: Element) -> u32 {
    match element {
        Element::Bool => 16,
        Element::Int64 => 20,
        Element::Int16 => 21,
        Element::Int32 => 23,
        Element::Text => 25,
        Element::Float32 => FLOAT4_OID,
        Element::Float64 => 701,
    }
}

impl<'a> Arrays<'a> {
    /// `None` where the column holds no lists, or lists of something else.
    pub(super) fn of(array: &'a ArrayRef) -> Option<Self> {
        let (rows, all) = match (array.as_fixed_size_list_opt(), array.as_list_opt::<i32>()) {
            (Some(fixed), _) => (Rows::Fixed(fixed), fixed.values()),
            (_, Some(ragged)) => (Rows::Ragged(ragged), ragged.values()),
            (None, None) => return None,
        };
        let any = all.as_any();
        let items = any
            .downcast_ref()
            .map(Items::Bool)
            .or_else(|| any.downcast_ref().map(Items::Int16))
            .or_else(|| any.downcast_ref().map(Items::Int32))
            .or_else(|| any.downcast_ref().map(Items::Int64))
            .or_else(|| any.downcast_ref().map(Items::Float32))
            .or_else(|| any.downcast_ref().map(Items::Float64))
            .or_else(|| any.downcast_ref().map(Items::Text))?;
        Some(Self { rows, items, all: all.as_ref(), oid: 0, numbers: Numbers::Any })
    }

    /// With the type of their elements, and what these may be.
    pub(super) fn with(self, element: Element, numbers: Numbers) -> Self {
        Self { oid: oid(element), numbers, ..self }
    }

    /// Elements in all.
    pub(super) fn elements(&self) -> usize {
        self.all.len()
    }

    fn row(&self, row: usize) -> Range<usize> {
        match self.rows {
            Rows::Fixed(array) => {
                let first = array.value_offset_at(row);
                first..first + usize::try_from(array.value_length()).unwrap_or(0)
            }
            Rows::Ragged(array) => {
                let offset = |at: usize| usize::try_from(array.value_offsets()[at]).unwrap_or(0);
                offset(row)..offset(row + 1)
            }
        }
    }

    fn is_valid(&self, row: usize) -> bool {
        match self.rows {
            Rows::Fixed(array) => array.is_valid(row),
            Rows::Ragged(array) => array.is_valid(row),
        }
    }

    fn len(&self) -> usize {
        match self.rows {
            Rows::Fixed(array) => array.len(),
            Rows::Ragged(array) => array.len(),
        }
    }

    /// The first row that cannot be sent, and why.
    pub(super) fn fault(&self) -> Option<(usize, Fault)> {
        (0..self.len()).filter(|row| self.is_valid(*row)).find_map(|row| {
            let items = self.row(row);
            let bytes = 20 + items.clone().map(|item| 4 + self.item_bytes(item)).sum::<usize>();
            if bytes > LONGEST {
                return Some((row, Fault::TooLong(bytes)));
            }
            let strange =
                items.into_iter().filter(|item| self.all.is_valid(*item)).find_map(|item| self.strange(item));
            strange.map(|value| (row, Fault::NotFinite(value)))
        })
    }

    fn item_bytes(&self, item: usize) -> usize {
        match self.items {
            Items::Bool(_) => 1,
            Items::Int16(_) => 2,
            Items::Int32(_) | Items::Float32(_) => 4,
            Items::Int64(_) | Items::Float64(_) => 8,
            Items::Text(array) => array.value(item).len(),
        }
    }

    /// A number that must not be sent.
    fn strange(&self, item: usize) -> Option<String> {
        match self.items {
            _ if self.numbers == Numbers::Any => None,
            Items::Float32(array) => {
                Some(array.value(item)).filter(|value| !value.is_finite()).map(|x| x.to_string())
            }
            Items::Float64(array) => {
                Some(array.value(item)).filter(|value| !value.is_finite()).map(|x| x.to_string())
            }
            Items::Bool(_) | Items::Int16(_) | Items::Int32(_) | Items::Int64(_) | Items::Text(_) => None,
        }
    }

    /// Dimensions, whether there are NULLs, the element type, length and first index; then each element behind its
    /// own length. An empty array has no dimension.
    pub(super) fn put(&self, row: usize, out: &mut Vec<u8>) {
        let items = self.row(row);
        let begin = out.len();
        let has_nulls = self.all.null_count() > 0 && items.clone().any(|item| self.all.is_null(item));
        out.extend_from_slice(&NULL);
        out.extend_from_slice(&i32::from(!items.is_empty()).to_be_bytes());
        out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
        out.extend_from_slice(&self.oid.to_be_bytes());
        if !items.is_empty() {
            out.extend_from_slice(&to_length(items.len()));
            out.extend_from_slice(&1_i32.to_be_bytes());
        }
        for item in items {
            if has_nulls && self.all.is_null(item) {
                out.extend_from_slice(&NULL);
                continue;
            }
            out.extend_from_slice(&to_length(self.item_bytes(item)));
            match self.items {
                Items::Bool(array) => out.push(u8::from(array.value(item))),
                Items::Int16(array) => out.extend_from_slice(&array.value(item).to_be_bytes()),
                Items::Int32(array) => out.extend_from_slice(&array.value(item).to_be_bytes()),
                Items::Int64(array) => out.extend_from_slice(&array.value(item).to_be_bytes()),
                Items::Float32(array) => out.extend_from_slice(&array.value(item).to_be_bytes()),
                Items::Float64(array) => out.extend_from_slice(&array.value(item).to_be_bytes()),
                Items::Text(array) => out.extend_from_slice(array.value(item).as_bytes()),
            }
        }
        let bytes = to_length(out.len() - begin - 4);
        out[begin..begin + 4].copy_from_slice(&bytes);
    }
}
