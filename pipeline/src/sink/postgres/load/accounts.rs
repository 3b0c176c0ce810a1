//! `ops.load` and `ops.ledger`: what is loaded, and the accounts that go along.

use std::path::Path;

use serde_json::Value;
use tokio_postgres::Row;

use super::wanted::{Dataset, Part, Work};
use super::{Database, DatabaseError};
use crate::error::{Error, Result};
use crate::ledger::LedgerRow;

const ACCOUNTS: &str = "SELECT stage, stage_hash, state, reason, rows_in, rows, inputs, outputs, notes \
                        FROM ops.ledger WHERE unit = $1 ORDER BY stage";
const INSERT_ACCOUNT: &str = "INSERT INTO ops.ledger \
     (unit, stage, stage_hash, state, reason, rows_in, rows, inputs, outputs, notes) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const INSERT_PART: &str = "INSERT INTO ops.load (dataset, model_hash, unit, sha256, stage_hash, rows, loaded_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, now())";
const REMOVE_PART: &str = "DELETE FROM ops.load WHERE unit = $1 AND dataset = $2 AND model_hash = $3";

type Outcome<T> = std::result::Result<T, DatabaseError>;

/// A row of `ops.ledger`, wherever it comes from. Seconds are no result and are left out.
#[derive(Debug, PartialEq)]
struct Account {
    stage: String,
    stage_hash: String,
    state: String,
    reason: Option<String>,
    rows_in: i64,
    rows: Value,
    inputs: Value,
    outputs: Value,
    notes: Value,
}

impl Account {
    fn of(row: &LedgerRow) -> Self {
        let json = |value: std::result::Result<Value, serde_json::Error>| value.unwrap_or_default();
        Self {
            stage: row.stage.name().to_owned(),
            stage_hash: row.stage_hash.clone(),
            state: row.state.name().to_owned(),
            reason: row.reason.clone(),
            rows_in: i64::try_from(row.rows_in).unwrap_or(i64::MAX),
            rows: json(serde_json::to_value(&row.rows)),
            inputs: json(serde_json::to_value(&row.inputs)),
            outputs: json(serde_json::to_value(&row.outputs)),
            notes: json(serde_json::to_value(&row.notes)),
        }
    }

    fn read(row: &Row) -> Self {
        Self {
            stage: row.get("stage"),
            stage_hash: row.get("stage_hash"),
            state: row.get("state"),
            reason: row.get("reason"),
            rows_in: row.get("rows_in"),
            rows: row.get("rows"),
            inputs: row.get("inputs"),
            outputs: row.get("outputs"),
            notes: row.get("notes"),
        }
    }
}

fn wanted(work: &Work) -> Vec<Account> {
    let mut accounts: Vec<Account> = work.accounts.iter().map(Account::of).collect();
    accounts.sort_by(|a, b| a.stage.cmp(&b.stage));
    accounts
}

/// Whether `ops.ledger` holds the unit's accounts as they are.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn stand(database: &Database, work: &Work) -> Outcome<bool> {
    let rows = database.query("reading ops.ledger", ACCOUNTS, &[&work.unit.to_string()])?;
    let mut found: Vec<Account> = rows.iter().map(Account::read).collect();
    // The server's collation need not be the program's.
    found.sort_by(|a, b| a.stage.cmp(&b.stage));
    Ok(found == wanted(work))
}

/// Makes `ops.ledger` hold the unit's accounts as they are.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn replace(database: &Database, work: &Work) -> Outcome<()> {
    if stand(database, work)? {
        return Ok(());
    }
    let unit = work.unit.to_string();
    let doing = "writing ops.ledger";
    database.execute(doing, "DELETE FROM ops.ledger WHERE unit = $1", &[&unit])?;
    for account in wanted(work) {
        let Account { stage, stage_hash, state, reason, rows_in, rows, inputs, outputs, notes } = &account;
        database.execute(
            doing,
            INSERT_ACCOUNT,
            &[&unit, stage, stage_hash, state, reason, rows_in, rows, inputs, outputs, notes],
        )?;
    }
    Ok(())
}

/// Writes a part's row of `ops.load`; the old one must be gone.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn insert_part(database: &Database, work: &Work, part: &Part, rows: u64) -> Outcome<()> {
    let sha256 = part.file.sha256.as_deref().unwrap_or_default();
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let unit = work.unit.to_string();
    let (dataset, model_hash) = (part.dataset.name(), part.model_hash());
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&dataset, &model_hash, &unit, &sha256, &part.stage_hash, &rows];
    database.execute("writing ops.load", INSERT_PART, &parameters)?;
    Ok(())
}

/// Removes a part's row of `ops.load`.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn remove_part(
    database: &Database,
    work: &Work,
    dataset: &Dataset,
    model_hash: &str,
) -> Outcome<()> {
    let unit = work.unit.to_string();
    database.execute("writing ops.load", REMOVE_PART, &[&unit, &dataset.name(), &model_hash])?;
    Ok(())
}

/// Copies the run records that `ops.run` does not have yet, or has from before their run had ended.
///
/// # Errors
/// Where the run folder cannot be read, or the database refuses or is lost.
pub(super) fn copy_run_records(database: &Database, folder: &Path) -> Result<()> {
    const INSERT_RUN: &str = "INSERT INTO ops.run (run_id, record) VALUES ($1, $2) \
         ON CONFLICT (run_id) DO UPDATE SET record = excluded.record \
         WHERE run.record IS DISTINCT FROM excluded.record";
    let records = folder.join("runs");
    if !records.is_dir() {
        return Ok(());
    }
    let list = |source| Error::Io { what: "cannot list the run records".to_owned(), source };
    for entry in fs_err::read_dir(&records).map_err(list)? {
        let path = entry.map_err(list)?.path();
        let Some(run_id) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let text = fs_err::read_to_string(&path).map_err(list)?;
        let record: Value = serde_json::from_str(&text)
            .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
        database.execute("writing ops.run", INSERT_RUN, &[&run_id, &record]).map_err(Box::new)?;
    }
    Ok(())
}
