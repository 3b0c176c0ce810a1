//! The ledger as one table: what the pods of a run left one by one.

use std::path::Path;

use serde::Serialize;

use super::{FileRecord, Ledger, LedgerRow};
use crate::columns::Columns;
use crate::error::{Error, Result};
use crate::sink::TableWriter;
use crate::stage::Stage;

/// The merged ledger in a run folder.
const FILE: &str = "ledger.parquet";
const ROWS_PER_GROUP: usize = 65_536;

/// Writes `ledger.parquet`: every account of every stage, in the order of stages and units, with the columns of
/// `ops.ledger`. Seconds are no result and are left out, so that its bytes follow from the results.
///
/// # Errors
/// Where an account cannot be read or the run folder cannot be written.
pub(crate) fn merge(run_folder: &Path) -> Result<FileRecord> {
    let ledger = Ledger::of_run(run_folder);
    let mut rows = Vec::new();
    for stage in Stage::ALL {
        for unit in ledger.units(stage)? {
            rows.extend(ledger.read(stage, &unit)?);
        }
    }
    let path = run_folder.join(FILE);
    let table = specmill_schemas::relational::ledger().table;
    let mut writer = TableWriter::create(&path, run_folder, &table, ROWS_PER_GROUP, Vec::new())?;
    let batch = columns(&rows, &path)?
        .into_batch(writer.schema())
        .map_err(|source| Error::Batch { path: path.clone(), source: Box::new(source) })?;
    writer.append(batch)?;
    writer.finish()?.commit(run_folder)
}

fn columns(rows: &[LedgerRow], path: &Path) -> Result<Columns> {
    let mut columns = Columns::new(rows.len());
    columns.text("stage", rows.iter().map(|row| Some(row.stage.name())));
    columns.text("unit", rows.iter().map(|row| Some(row.unit.to_string())));
    columns.text("stage_hash", rows.iter().map(|row| Some(&row.stage_hash)));
    columns.text("state", rows.iter().map(|row| Some(row.state.name())));
    columns.text("reason", rows.iter().map(|row| row.reason.as_ref()));
    columns.int64("rows_in", rows.iter().map(|row| i64::try_from(row.rows_in).ok()));
    columns.text("rows", json(rows, path, |row| &row.rows)?.into_iter().map(Some));
    columns.text("inputs", json(rows, path, |row| &row.inputs)?.into_iter().map(Some));
    columns.text("outputs", json(rows, path, |row| &row.outputs)?.into_iter().map(Some));
    columns.text("notes", json(rows, path, |row| &row.notes)?.into_iter().map(Some));
    Ok(columns)
}

fn json<T: Serialize>(rows: &[LedgerRow], path: &Path, of: fn(&LedgerRow) -> &T) -> Result<Vec<String>> {
    rows.iter()
        .map(|row| serde_json::to_string(of(row)))
        .collect::<std::result::Result<_, _>>()
        .map_err(|source| Error::Record { path: path.to_owned(), source: Box::new(source) })
}
