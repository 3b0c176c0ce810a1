//! Arrays of a catalogue, read back: elements of one type, any of which may be NULL.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, FixedSizeListArray, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, ListArray, NullBufferBuilder, StringBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::error::ArrowError;
use specmill_schemas::{Element, array_item};
use tokio_postgres::Row;

/// The arrays of one column of a batch, growing.
pub(super) struct Arrays {
    items: Items,
    element: Element,
    /// Elements of every array; of any number where 0.
    len: usize,
    lengths: Vec<usize>,
    nulls: NullBufferBuilder,
}

enum Items {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
}

/// Appends a row's elements to a builder; gives how many there are, `None` where the row is NULL.
macro_rules! take {
    ($builder:expr, $row:expr, $at:expr, $kind:ty) => {{
        let values: Option<Vec<Option<$kind>>> = $row.try_get($at)?;
        values.map(|values| {
            let length = values.len();
            values.into_iter().for_each(|value| $builder.append_option(value));
            length
        })
    }};
}

impl Arrays {
    /// Arrays of `len` elements each, of any number where 0.
    pub(super) fn new(element: Element, len: i32) -> Self {
        let items = match element {
            Element::Bool => Items::Bool(BooleanBuilder::new()),
            Element::Int16 => Items::Int16(Int16Builder::new()),
            Element::Int32 => Items::Int32(Int32Builder::new()),
            Element::Int64 => Items::Int64(Int64Builder::new()),
            Element::Float32 => Items::Float32(Float32Builder::new()),
            Element::Float64 => Items::Float64(Float64Builder::new()),
            Element::Text => Items::Text(StringBuilder::new()),
        };
        let len = usize::try_from(len).unwrap_or(0);
        Self { items, element, len, lengths: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    pub(super) fn append(&mut self, row: &Row, at: usize) -> Result<(), tokio_postgres::Error> {
        let length = match &mut self.items {
            Items::Bool(builder) => take!(builder, row, at, bool),
            Items::Int16(builder) => take!(builder, row, at, i16),
            Items::Int32(builder) => take!(builder, row, at, i32),
            Items::Int64(builder) => take!(builder, row, at, i64),
            Items::Float32(builder) => take!(builder, row, at, f32),
            Items::Float64(builder) => take!(builder, row, at, f64),
            Items::Text(builder) => take!(builder, row, at, &str),
        };
        self.nulls.append(length.is_some());
        if length.is_none() {
            // A NULL array of a fixed length still has its elements.
            (0..self.len).for_each(|_| self.append_null());
        }
        self.lengths.push(length.unwrap_or(self.len));
        Ok(())
    }

    fn append_null(&mut self) {
        match &mut self.items {
            Items::Bool(builder) => builder.append_null(),
            Items::Int16(builder) => builder.append_null(),
            Items::Int32(builder) => builder.append_null(),
            Items::Int64(builder) => builder.append_null(),
            Items::Float32(builder) => builder.append_null(),
            Items::Float64(builder) => builder.append_null(),
            Items::Text(builder) => builder.append_null(),
        }
    }

    /// The batch's column.
    ///
    /// # Errors
    /// Where an array does not have the length that the column's arrays have.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let items: &mut dyn ArrayBuilder = match &mut self.items {
            Items::Bool(builder) => builder,
            Items::Int16(builder) => builder,
            Items::Int32(builder) => builder,
            Items::Int64(builder) => builder,
            Items::Float32(builder) => builder,
            Items::Float64(builder) => builder,
            Items::Text(builder) => builder,
        };
        let (items, field) = (items.finish(), Arc::new(array_item(self.element)));
        let (lengths, nulls) = (std::mem::take(&mut self.lengths), self.nulls.finish());
        if self.len == 0 {
            let offsets = OffsetBuffer::from_lengths(lengths);
            return Ok(Arc::new(ListArray::try_new(field, offsets, items, nulls)?));
        }
        if let Some(length) = lengths.iter().find(|length| **length != self.len) {
            let problem = format!("an array of {length} elements where {} are declared", self.len);
            return Err(ArrowError::InvalidArgumentError(problem));
        }
        let len = i32::try_from(self.len).unwrap_or(i32::MAX);
        Ok(Arc::new(FixedSizeListArray::try_new(field, len, items, nulls)?))
    }
}
