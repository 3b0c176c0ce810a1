//! The joins of `specmill_schemas::joins` over the Parquet files of a run folder, without a server: by polars, lazily,
//! a slice of the base's units at a time, so that memory is bounded by the slice and not by the release.
//!
//! The rows are the view's, to the bit and in its order. That no row is lost or multiplied is counted, not assumed.

mod arrow;
mod error;
mod expr;
mod scan;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use ::arrow::array::RecordBatch;
use polars::prelude::{
    DataFrame, Engine, JoinArgs, JoinBuildSide, JoinCoalesce, JoinType, LazyFrame, SortMultipleOptions, col,
};
use specmill_schemas::joins::{Join, Joined, Source};

pub use error::{Fault, JoinFailure};

use error::failed;
use scan::{Slice, Tables};

/// Rows of the base that are joined at once, or those of one unit where it has more.
pub const SLICE_ROWS: usize = 32_768;
/// Rows of a batch that is handed out.
const BATCH_ROWS: usize = 4096;

/// A file of the lake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitFile {
    /// The unit whose rows it has, all of them.
    pub unit: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What a join read and gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Rows of the base; as many came out.
    pub rows: u64,
    /// Slices they were joined in.
    pub slices: u64,
}

/// Hands the rows of a join to `take`, in the order of its key, a batch at a time.
///
/// `files` gives those of a table, none where the lake has none of it: its columns are then NULL.
///
/// # Errors
/// Where a file cannot be read or has other columns than declared, a table has two rows for one of the base's, or
/// `take` has a reason of its own.
pub fn export<E>(
    join: &Join,
    files: &dyn Fn(&Source) -> Vec<UnitFile>,
    slice_rows: usize,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), E>,
) -> Result<Summary, Fault<E>> {
    let schema = Arc::new(join.table().arrow_schema());
    let tables = Tables::open(join, files)?;
    let mut summary = Summary::default();
    let mut last_unit = None;
    let mut pending = RecordBatch::new_empty(Arc::clone(&schema));
    for slice in tables.slices(slice_rows)? {
        if slice.rows == 0 {
            continue;
        }
        let rows = collect(join, slice_query(join, &tables, &slice)?)?;
        if rows.height() as u64 != slice.rows {
            return Err(miscounted(join, &tables, &slice, rows.height() as u64).into());
        }
        let (first, last) = arrow::ends(&rows, join)?;
        if last_unit.as_ref().is_some_and(|unit| *unit >= first) {
            return Err(JoinFailure::Order { join: join.name, unit: first }.into());
        }
        last_unit = Some(last);
        // Batches are full whatever the slices: what is made of them must not tell where one ended.
        let mut from = 0;
        while from < rows.height() {
            let some = BATCH_ROWS - pending.num_rows();
            let part = rows.slice(i64::try_from(from).unwrap_or(i64::MAX), some);
            pending = arrow::append(&pending, &arrow::record_batch(&part, join, &schema)?, join)?;
            from += some;
            if pending.num_rows() == BATCH_ROWS {
                take(&pending).map_err(Fault::Taker)?;
                pending = RecordBatch::new_empty(Arc::clone(&schema));
            }
        }
        summary.rows += slice.rows;
        summary.slices += 1;
    }
    if pending.num_rows() > 0 {
        take(&pending).map_err(Fault::Taker)?;
    }
    Ok(summary)
}

/// The rows of a slice of the base, joined and in order.
fn slice_query(join: &Join, tables: &Tables<'_>, slice: &Slice) -> Result<LazyFrame, JoinFailure> {
    let mut rows = tables.base(slice)?;
    for joined in &join.tables {
        let right = tables.right(joined, slice)?;
        rows = left_join(rows, joined.alias, &joined.on, join, right);
    }
    for presence in &join.presences {
        rows = left_join(rows, presence.alias, &presence.on, join, tables.presence(presence.alias)?);
    }
    for derived in &join.derived {
        let values = derived.values.iter();
        let values = values
            .map(|(name, _, value)| expr::expression(value, join).alias(expr::scoped(derived.alias, name)));
        rows = rows.with_columns(values.collect::<Vec<_>>());
    }
    let columns: Vec<_> = join
        .columns
        .iter()
        .map(|(field, value)| expr::expression(value, join).alias(field.name.as_str()))
        .collect();
    // Texts by their bytes, as the views' export sorts them.
    Ok(rows.select(columns).sort(join.key.iter().copied(), SortMultipleOptions::default()))
}

/// Every row of `left`, with that of `right` whose key columns are what `on` says.
fn left_join(
    left: LazyFrame,
    alias: &str,
    on: &[(String, specmill_schemas::joins::Expr)],
    join: &Join,
    right: LazyFrame,
) -> LazyFrame {
    let wanted = |name: &String| format!("on.{alias}.{name}");
    let values = on
        .iter()
        .map(|(name, value)| expr::key(expr::expression(value, join), value, join).alias(wanted(name)));
    let args = JoinArgs {
        coalesce: JoinCoalesce::KeepColumns,
        // A slice is small, a catalogue may be long: it is streamed past.
        build_side: Some(JoinBuildSide::PreferLeft),
        ..JoinArgs::new(JoinType::Left)
    };
    left.with_columns(values.collect::<Vec<_>>()).join(
        right,
        on.iter().map(|(name, _)| col(wanted(name))).collect::<Vec<_>>(),
        on.iter().map(|(name, _)| col(scan::key_name(alias, name))).collect::<Vec<_>>(),
        args,
    )
}

/// Runs a query, a morsel at a time; a decoder that panics at a damaged file is the file's fault.
fn collect(join: &Join, query: LazyFrame) -> Result<DataFrame, JoinFailure> {
    let doing = || format!("joining {}", join.full_name());
    let outcome = catch_unwind(AssertUnwindSafe(|| query.collect_with_engine(Engine::Streaming)));
    let found = outcome.map_err(|_| JoinFailure::Broken { doing: doing() })?;
    Ok(found.map_err(failed(doing()))?.unwrap_single())
}

/// Which table has two rows for one of the base's.
fn miscounted(join: &Join, tables: &Tables<'_>, slice: &Slice, found: u64) -> JoinFailure {
    let repeated = |joined: &Joined| {
        let key = tables.repeated_key(joined, slice).ok()??;
        let table = joined.source.full_name();
        Some(JoinFailure::Multiplied { join: join.name, table, key })
    };
    join.tables.iter().find_map(repeated).unwrap_or(JoinFailure::Miscounted {
        join: join.name,
        expected: slice.rows,
        found,
    })
}
