//! Columns gathered by name and put in the schema's order, absent ones as NULL.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

/// A number as a single-precision column holds it.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(crate) fn to_f32(value: f64) -> f32 {
    value as f32
}

/// The columns of one batch, by name.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    rows: usize,
    arrays: BTreeMap<String, ArrayRef>,
}

impl Columns {
    /// For a batch of `rows` rows.
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows, arrays: BTreeMap::new() }
    }

    /// Adds a column.
    pub(crate) fn put(&mut self, name: impl Into<String>, array: ArrayRef) {
        self.arrays.insert(name.into(), array);
    }

    /// Adds a single-precision column.
    pub(crate) fn float32(&mut self, name: impl Into<String>, values: impl Iterator<Item = Option<f32>>) {
        self.put(name, Arc::new(values.collect::<Float32Array>()));
    }

    /// Adds a double-precision column.
    pub(crate) fn float64(&mut self, name: impl Into<String>, values: impl Iterator<Item = Option<f64>>) {
        self.put(name, Arc::new(values.collect::<Float64Array>()));
    }

    /// Adds a 32-bit integer column.
    pub(crate) fn int32(&mut self, name: impl Into<String>, values: impl Iterator<Item = Option<i32>>) {
        self.put(name, Arc::new(values.collect::<Int32Array>()));
    }

    /// Adds a 64-bit integer column.
    pub(crate) fn int64(&mut self, name: impl Into<String>, values: impl Iterator<Item = Option<i64>>) {
        self.put(name, Arc::new(values.collect::<Int64Array>()));
    }

    /// Adds a text column.
    pub(crate) fn text<T: AsRef<str>>(
        &mut self,
        name: impl Into<String>,
        values: impl Iterator<Item = Option<T>>,
    ) {
        self.put(name, Arc::new(values.collect::<StringArray>()));
    }

    /// The batch, in the schema's order.
    ///
    /// # Errors
    /// Where a column is not in the schema or disagrees with its type, length or nullability.
    pub(crate) fn into_batch(mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let arrays = schema
            .fields()
            .iter()
            .map(|field| {
                self.arrays
                    .remove(field.name())
                    .unwrap_or_else(|| new_null_array(field.data_type(), self.rows))
            })
            .collect();
        match self.arrays.keys().next() {
            Some(name) => Err(ArrowError::SchemaError(format!("column `{name}` is not in the schema"))),
            None => RecordBatch::try_new(Arc::clone(schema), arrays),
        }
    }
}
