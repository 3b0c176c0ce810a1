//! Why a join ends early.

use ::arrow::error::ArrowError;
use polars::prelude::PolarsError;

/// A join that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum JoinFailure {
    /// A file cannot be read, or not so.
    #[error("{doing} failed")]
    Polars {
        /// What was being done.
        doing: String,
        /// What polars says.
        #[source]
        source: Box<PolarsError>,
    },
    /// A decoder gave up.
    #[error("{doing} failed: a Parquet file cannot be decoded")]
    Broken {
        /// What was being done.
        doing: String,
    },
    /// A file has other columns than its table.
    #[error("the files of {table} have `{column}` as {found}, but it is declared as {wanted}")]
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What the files have.
        found: String,
        /// What the declaration says.
        wanted: String,
    },
    /// A row would come out twice.
    #[error("{table} has several rows of {key}: `{join}` would multiply rows")]
    Multiplied {
        /// The join.
        join: &'static str,
        /// The table.
        table: String,
        /// The key, as `column = value, …`.
        key: String,
    },
    /// Rows in are not rows out.
    #[error("`{join}` made {found} rows of {expected}")]
    Miscounted {
        /// The join.
        join: &'static str,
        /// Rows of the base.
        expected: u64,
        /// Rows that came out.
        found: u64,
    },
    /// A unit's rows are in several files.
    #[error("rows of unit {unit} are in a file of another unit: `{join}` cannot put them in order")]
    Order {
        /// The join.
        join: &'static str,
        /// The unit.
        unit: String,
    },
    /// A column's type is not one that joins carry.
    #[error("`{column}` of `{join}` is of a type that joins do not carry")]
    Kind {
        /// The join.
        join: &'static str,
        /// The column.
        column: String,
    },
    /// The rows do not make a table.
    #[error("the rows of `{join}` do not make a table")]
    Batch {
        /// The join.
        join: &'static str,
        /// What Arrow says.
        #[source]
        source: Box<ArrowError>,
    },
}

impl JoinFailure {
    /// Whether rows would be lost or multiplied.
    pub fn is_miscount(&self) -> bool {
        matches!(self, Self::Multiplied { .. } | Self::Miscounted { .. } | Self::Order { .. })
    }
}

/// Why an export ends early.
#[derive(Debug)]
pub enum Fault<E> {
    /// The join cannot be made.
    Join(JoinFailure),
    /// Whoever takes the batches has a reason of its own.
    Taker(E),
}

impl<E> From<JoinFailure> for Fault<E> {
    fn from(failure: JoinFailure) -> Self {
        Self::Join(failure)
    }
}

pub(crate) fn failed(doing: String) -> impl FnOnce(PolarsError) -> JoinFailure {
    move |source| JoinFailure::Polars { doing, source: Box::new(source) }
}
