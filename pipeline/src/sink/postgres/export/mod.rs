//! Rows of a table, streamed in the order of its primary key as Arrow batches.

mod array;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, FixedSizeListBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};
use arrow::error::ArrowError;
use futures_util::StreamExt;
use pgvector::Vector;
use specmill_schemas::relational::Relation;
use specmill_schemas::{Field, Kind, Table, list_item};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use array::Arrays;

use super::query::Conditions;
use super::{Database, DatabaseError, failed, quote_name};
use crate::filter::Filter;

/// Rows in memory at once.
const BATCH_ROWS: usize = 4096;

/// Why an export ends early.
#[derive(Debug)]
pub(crate) enum Fault<E> {
    /// The database refuses or is lost.
    Database(DatabaseError),
    /// The rows do not make a table.
    Batch(ArrowError),
    /// Whoever takes the batches has a reason of its own.
    Taker(E),
}

impl<E> From<DatabaseError> for Fault<E> {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// Every column of a relation, computed ones too.
pub(crate) fn columns(relation: &Relation) -> Table {
    Table {
        name: relation.table.name.clone(),
        description: relation.table.description.clone(),
        fields: relation.columns().cloned().collect(),
    }
}

/// The columns as the chosen rows need them.
pub(crate) struct Shape {
    /// The columns; lists have the length they all have, where there is one.
    pub(crate) table: Table,
    /// As Arrow has them, with what each is.
    pub(crate) schema: SchemaRef,
}

/// The lengths of lists are those of the chosen rows; where a column has several, as vectors of several models
/// have, its lists are of any length.
///
/// # Errors
/// Where the database refuses or is lost.
pub(crate) fn resolve(
    database: &Database,
    relation: &Relation,
    filter: Option<&Filter>,
) -> Result<Shape, DatabaseError> {
    let mut table = columns(relation);
    let mut ragged = Vec::new();
    for (at, field) in table.fields.iter_mut().enumerate() {
        let is_vector = matches!(field.kind, Kind::Vector(_));
        if !is_vector && !matches!(field.kind, Kind::Float32List(_)) {
            continue;
        }
        let lengths = lengths(database, relation, filter, field)?;
        // Where every row is NULL any length will do.
        let length = lengths.1.unwrap_or(1);
        field.kind = if is_vector { Kind::Vector(length) } else { Kind::Float32List(length) };
        if lengths.0 != lengths.1 {
            ragged.push(at);
        }
    }
    let metadata = HashMap::from([("specmill.table".to_owned(), relation.full_name())]);
    let schema = table.arrow_schema();
    let fields: Vec<ArrowField> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let field = field.as_ref().clone();
            if ragged.contains(&at) {
                field.with_data_type(DataType::List(Arc::new(list_item())))
            } else {
                field
            }
        })
        .collect();
    Ok(Shape { table, schema: Arc::new(Schema::new(fields).with_metadata(metadata)) })
}

/// The shortest and the longest list of a column.
fn lengths(
    database: &Database,
    relation: &Relation,
    filter: Option<&Filter>,
    field: &Field,
) -> Result<(Option<i32>, Option<i32>), DatabaseError> {
    let length = if matches!(field.kind, Kind::Vector(_)) { "vector_dims" } else { "cardinality" };
    let conditions = Conditions::render(filter, "t", 1);
    let column = quote_name(&field.name);
    let sql = format!(
        "SELECT min({length}(t.{column})), max({length}(t.{column})) FROM {} t WHERE {}",
        relation.full_name(),
        conditions.sql
    );
    let parameters: Vec<_> = conditions.parameters().collect();
    let row = database.query_one("looking at the table", &sql, &parameters)?;
    Ok((row.get(0), row.get(1)))
}

/// A column as the statement gives it.
fn expression(field: &Field) -> String {
    let column = format!("t.{}", quote_name(&field.name));
    match field.kind {
        Kind::Json => format!("{column}::text"),
        Kind::Timestamp => format!("(extract(epoch FROM {column}) * 1000000)::bigint"),
        Kind::Text
        | Kind::Int16
        | Kind::Int32
        | Kind::Int64
        | Kind::Float32
        | Kind::Float64
        | Kind::Bool
        | Kind::Float32List(_)
        | Kind::Array(..)
        | Kind::Vector(_) => column,
    }
}

fn statement(relation: &Relation, table: &Table, conditions: &str) -> String {
    let columns: Vec<String> = table.fields.iter().map(expression).collect();
    let is_text =
        |name: &str| table.fields.iter().any(|field| field.name == name && field.kind == Kind::Text);
    // By code points, so that the order is the same on every server.
    let order: Vec<String> = relation
        .key
        .iter()
        .map(|name| format!("t.{}{}", quote_name(name), if is_text(name) { " COLLATE \"C\"" } else { "" }))
        .collect();
    format!(
        "SELECT {} FROM {} t WHERE {conditions} ORDER BY {}",
        columns.join(", "),
        relation.full_name(),
        order.join(", ")
    )
}

/// Hands every chosen row to `take`, a batch at a time; gives the number of rows.
///
/// # Errors
/// Where the database refuses or is lost, or `take` has a reason.
pub(crate) fn stream<E>(
    database: &Database,
    relation: &Relation,
    filter: Option<&Filter>,
    shape: &Shape,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), E>,
) -> Result<u64, Fault<E>> {
    let doing = format!("reading {}", relation.full_name());
    let conditions = Conditions::render(filter, "t", 1);
    let sql = statement(relation, &shape.table, &conditions.sql);
    let parameters: Vec<_> = conditions.parameters().collect();
    database.block_on(async {
        let lost = |error| Fault::Database(failed(doing.as_str())(error));
        let rows = database.client().query_raw(&sql, parameters).await.map_err(lost)?;
        let mut rows = std::pin::pin!(rows);
        let mut builder = Builder::new(&shape.schema, &shape.table);
        let mut total = 0;
        while let Some(row) = rows.next().await {
            builder.append(&row.map_err(lost)?).map_err(lost)?;
            total += 1;
            if builder.rows == BATCH_ROWS {
                take(&builder.finish(&shape.schema).map_err(Fault::Batch)?).map_err(Fault::Taker)?;
            }
        }
        if builder.rows > 0 {
            take(&builder.finish(&shape.schema).map_err(Fault::Batch)?).map_err(Fault::Taker)?;
        }
        Ok(total)
    })
}

/// The columns of one batch, growing.
struct Builder {
    columns: Vec<Column>,
    rows: usize,
}

enum Column {
    Text(StringBuilder),
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    List(FixedSizeListBuilder<Float32Builder>),
    Vector(FixedSizeListBuilder<Float32Builder>),
    RaggedList(ListBuilder<Float32Builder>),
    RaggedVector(ListBuilder<Float32Builder>),
    Array(Arrays),
}

impl Column {
    fn of(kind: Kind, data_type: &DataType) -> Self {
        if let (DataType::List(item), false) = (data_type, matches!(kind, Kind::Array(..))) {
            let builder = ListBuilder::new(Float32Builder::new()).with_field(Arc::clone(item));
            return if matches!(kind, Kind::Vector(_)) {
                Self::RaggedVector(builder)
            } else {
                Self::RaggedList(builder)
            };
        }
        let lists =
            |len| FixedSizeListBuilder::new(Float32Builder::new(), len).with_field(Arc::new(list_item()));
        match kind {
            Kind::Array(element, len) => Self::Array(Arrays::new(element, len)),
            Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Int16 => Self::Int16(Int16Builder::new()),
            Kind::Int32 => Self::Int32(Int32Builder::new()),
            Kind::Int64 => Self::Int64(Int64Builder::new()),
            Kind::Float32 => Self::Float32(Float32Builder::new()),
            Kind::Float64 => Self::Float64(Float64Builder::new()),
            Kind::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Float32List(len) => Self::List(lists(len)),
            Kind::Vector(len) => Self::Vector(lists(len)),
        }
    }

    fn append(&mut self, row: &Row, at: usize) -> Result<(), tokio_postgres::Error> {
        fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<Option<T>, tokio_postgres::Error> {
            row.try_get(at)
        }
        match self {
            Self::Text(builder) => builder.append_option(get::<&str>(row, at)?),
            Self::Bool(builder) => builder.append_option(get(row, at)?),
            Self::Int16(builder) => builder.append_option(get(row, at)?),
            Self::Int32(builder) => builder.append_option(get(row, at)?),
            Self::Int64(builder) => builder.append_option(get(row, at)?),
            Self::Array(arrays) => arrays.append(row, at)?,
            Self::Float32(builder) => builder.append_option(get(row, at)?),
            Self::Float64(builder) => builder.append_option(get(row, at)?),
            Self::Timestamp(builder) => builder.append_option(get(row, at)?),
            Self::List(builder) => append_list(builder, get::<Vec<f32>>(row, at)?.as_deref()),
            Self::Vector(builder) => {
                append_list(builder, get::<Vector>(row, at)?.as_ref().map(Vector::as_slice));
            }
            Self::RaggedList(builder) => append_ragged(builder, get::<Vec<f32>>(row, at)?.as_deref()),
            Self::RaggedVector(builder) => {
                append_ragged(builder, get::<Vector>(row, at)?.as_ref().map(Vector::as_slice));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Array(arrays) => return arrays.finish(),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::List(builder) | Self::Vector(builder) => Arc::new(builder.finish()),
            Self::RaggedList(builder) | Self::RaggedVector(builder) => Arc::new(builder.finish()),
        })
    }
}

/// A NULL list still has its elements; they are zeros, as in the lake.
fn append_list(builder: &mut FixedSizeListBuilder<Float32Builder>, values: Option<&[f32]>) {
    let len = usize::try_from(builder.value_length()).unwrap_or(0);
    match values {
        Some(values) => builder.values().append_slice(values),
        None => builder.values().append_value_n(0.0, len),
    }
    builder.append(values.is_some());
}

fn append_ragged(builder: &mut ListBuilder<Float32Builder>, values: Option<&[f32]>) {
    builder.values().append_slice(values.unwrap_or_default());
    builder.append(values.is_some());
}

impl Builder {
    fn new(schema: &SchemaRef, table: &Table) -> Self {
        let columns = table.fields.iter().zip(schema.fields());
        let columns = columns.map(|(field, arrow)| Column::of(field.kind, arrow.data_type())).collect();
        Self { columns, rows: 0 }
    }

    fn append(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.append(row, at)?;
        }
        self.rows += 1;
        Ok(())
    }

    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let columns = self.columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}
