//! Expressions of joins as polars has them.

use polars::prelude::arity::broadcast_binary_elementwise;
use polars::prelude::{
    Column, DataType, Expr as Polars, Field as PolarsField, Float64Chunked, IntoColumn, NULL, Scalar, col,
    lit, when,
};
use specmill_schemas::Kind;
use specmill_schemas::joins::{Comparison, Expr, Join, Operation};

/// What a column of a table is called while rows are joined.
pub(crate) fn scoped(alias: &str, name: &str) -> String {
    format!("{alias}.{name}")
}

/// What says that a table has a row of a kind.
pub(crate) fn mark(alias: &str) -> String {
    format!("present.{alias}")
}

/// The type of a kind; `None` for those that joins do not carry.
pub(crate) fn data_type(kind: Kind) -> Option<DataType> {
    Some(match kind {
        Kind::Text => DataType::String,
        Kind::Bool => DataType::Boolean,
        Kind::Int16 => DataType::Int16,
        Kind::Int32 => DataType::Int32,
        Kind::Int64 => DataType::Int64,
        Kind::Float32 => DataType::Float32,
        Kind::Float64 => DataType::Float64,
        Kind::Array(..) | Kind::Float32List(_) | Kind::Vector(_) | Kind::Json | Kind::Timestamp => {
            return None;
        }
    })
}

/// The kind of an expression; definitions are checked when they are made.
pub(crate) fn kind(expr: &Expr, join: &Join) -> Option<Kind> {
    expr.kind(&|alias, name| join.kind_of(alias, name)).ok()
}

/// What rows are joined by: texts, and integers of 64 bits.
pub(crate) fn key(value: Polars, expr: &Expr, join: &Join) -> Polars {
    match kind(expr, join) {
        Some(Kind::Int16 | Kind::Int32 | Kind::Int64) => value.cast(DataType::Int64),
        _ => value,
    }
}

/// An expression.
pub(crate) fn expression(expr: &Expr, join: &Join) -> Polars {
    let inner = |expr: &Expr| expression(expr, join);
    match expr {
        Expr::Column { alias, name } => col(scoped(alias, name)),
        Expr::Text(value) => lit(value.clone()),
        Expr::Bool(value) => lit(*value),
        // Literals without a type of their own become the narrowest that fits.
        Expr::Int(value) => lit(Scalar::from(*value)),
        Expr::Real(value) => lit(Scalar::from(*value)),
        Expr::Null(kind) => nothing(*kind),
        Expr::Present(alias) => col(mark(alias)).is_not_null(),
        Expr::Wide(value) => {
            let is_float = matches!(kind(value, join), Some(Kind::Float32 | Kind::Float64));
            inner(value).cast(if is_float { DataType::Float64 } else { DataType::Int64 })
        }
        Expr::Bit(value, bit) => {
            inner(value).and(lit(Scalar::from(1_i64 << bit))).neq(lit(Scalar::from(0_i64)))
        }
        Expr::Compare(left, comparison, right) => {
            let (left, right) = (inner(left), inner(right));
            match comparison {
                Comparison::Equal => left.eq(right),
                Comparison::Less => left.lt(right),
                Comparison::Greater => left.gt(right),
                Comparison::AtMost => left.lt_eq(right),
                Comparison::AtLeast => left.gt_eq(right),
            }
        }
        Expr::Arithmetic(left, operation, right) => {
            let (left, right) = (inner(left), inner(right));
            match operation {
                Operation::Plus => left + right,
                Operation::Minus => left - right,
                Operation::Times => left * right,
                Operation::Over => quotient(left, right),
            }
        }
        Expr::Sqrt(value) => inner(value).sqrt(),
        Expr::And(all) => all.iter().map(inner).reduce(Polars::and).unwrap_or_else(|| lit(true)),
        Expr::Or(all) => all.iter().map(inner).reduce(Polars::or).unwrap_or_else(|| lit(false)),
        Expr::Not(value) => inner(value).not(),
        Expr::IsNull(value) => inner(value).is_null(),
        Expr::Case(whens, otherwise) => {
            whens.iter().rev().fold(inner(otherwise), |rest, (condition, value)| {
                when(inner(condition)).then(inner(value)).otherwise(rest)
            })
        }
    }
}

/// a / b, rounded once. polars' own division by a value that all rows share multiplies with its reciprocal.
fn quotient(left: Polars, right: Polars) -> Polars {
    let divide = |columns: &mut [Column]| {
        let (left, right) = (columns[0].f64()?, columns[1].f64()?);
        let values =
            broadcast_binary_elementwise(left, right, |a: Option<f64>, b: Option<f64>| Some(a? / b?));
        Ok(Float64Chunked::into_column(values))
    };
    left.map_many(divide, &[right], |_, fields| {
        Ok(PolarsField::new(fields[0].name().clone(), DataType::Float64))
    })
}

fn nothing(kind: Kind) -> Polars {
    match data_type(kind) {
        Some(data_type) => lit(NULL).cast(data_type),
        None => lit(NULL),
    }
}
