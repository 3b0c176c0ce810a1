//! Frames of polars as batches of Arrow.

use std::sync::Arc;

use ::arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use ::arrow::compute::concat_batches;
use ::arrow::datatypes::SchemaRef;
use polars::prelude::{DataFrame, PolarsResult};
use specmill_schemas::Kind;
use specmill_schemas::joins::Join;

use crate::error::{JoinFailure, failed};

/// The rows as a batch of the join's schema.
pub(crate) fn record_batch(
    rows: &DataFrame,
    join: &Join,
    schema: &SchemaRef,
) -> Result<RecordBatch, JoinFailure> {
    let mut columns = Vec::with_capacity(join.columns.len());
    for (field, _) in &join.columns {
        let column = array(rows, &field.name, field.kind).map_err(failed(format!(
            "reading `{}` of {}",
            field.name,
            join.full_name()
        )))?;
        columns
            .push(column.ok_or_else(|| JoinFailure::Kind { join: join.name, column: field.name.clone() })?);
    }
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|source| JoinFailure::Batch { join: join.name, source: Box::new(source) })
}

/// Two batches as one.
pub(crate) fn append(
    first: &RecordBatch,
    second: &RecordBatch,
    join: &Join,
) -> Result<RecordBatch, JoinFailure> {
    concat_batches(&first.schema(), [first, second])
        .map_err(|source| JoinFailure::Batch { join: join.name, source: Box::new(source) })
}

/// The column as an array of its kind; `None` for kinds that joins do not carry.
fn array(rows: &DataFrame, name: &str, kind: Kind) -> PolarsResult<Option<ArrayRef>> {
    let column = rows.column(name)?;
    Ok(Some(match kind {
        Kind::Text => Arc::new(column.str()?.iter().collect::<StringArray>()),
        Kind::Bool => Arc::new(column.bool()?.iter().collect::<BooleanArray>()),
        Kind::Int16 => Arc::new(column.i16()?.iter().collect::<Int16Array>()),
        Kind::Int32 => Arc::new(column.i32()?.iter().collect::<Int32Array>()),
        Kind::Int64 => Arc::new(column.i64()?.iter().collect::<Int64Array>()),
        Kind::Float32 => Arc::new(column.f32()?.iter().collect::<Float32Array>()),
        Kind::Float64 => Arc::new(column.f64()?.iter().collect::<Float64Array>()),
        Kind::Array(..) | Kind::Float32List(_) | Kind::Vector(_) | Kind::Json | Kind::Timestamp => {
            return Ok(None);
        }
    }))
}

/// The first and the last unit of rows in order, of which there are some.
pub(crate) fn ends(rows: &DataFrame, join: &Join) -> Result<(String, String), JoinFailure> {
    let read = || {
        let units = rows.column("unit")?.str()?;
        let at = |row: usize| units.get(row).unwrap_or_default().to_owned();
        Ok((at(0), at(rows.height().saturating_sub(1))))
    };
    read().map_err(failed(format!("reading the units of {}", join.full_name())))
}
