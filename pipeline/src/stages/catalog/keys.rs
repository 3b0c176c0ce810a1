//! Keys that are declared unique: no two rows of a table have the same, whatever files they come from.
//!
//! The key columns of the lake's files are hashed to 64 bits and sorted, eight bytes a row; only rows whose hash
//! occurs twice are compared. What was checked is on record, so that a table that has not changed is not read again,
//! and one whose check was interrupted is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use rayon::slice::ParallelSliceMut as _;
use serde::{Deserialize, Serialize};
use specmill_schemas::catalogs::CatalogTable;

use super::error::CatalogError;
use super::unit::counts;
use super::{Shop, Survey};
use crate::digest::sha256_hex;
use crate::error::{Error, ErrorClass, Result};
use crate::lake::{LakeFile, Rows};
use crate::ledger::{Ledger, LedgerRow, State};
use crate::plan::Plan;
use crate::sink;
use crate::stage::Stage;
use crate::stages::StageReport;
use crate::unit::UnitId;

/// What was checked last, in the run folder.
const RECORD: &str = "catalog-keys.json";
/// Rows read at a time.
const BATCH_ROWS: usize = 1 << 16;
/// Keys that are compared at a time: whole keys are in memory, 100 bytes or so each.
const COMPARED_AT_ONCE: usize = 1 << 20;

/// Tables by name, with the digest of the files whose keys were found unique.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Checked {
    tables: BTreeMap<String, String>,
}

/// Fails every unit that repeats a key of an earlier row, in the order of files and rows.
///
/// # Errors
/// Where the lake's files cannot be read back or the run folder cannot be written.
pub(super) fn check(shop: &Shop<'_>, survey: &Survey, report: &mut StageReport) -> Result<()> {
    let mut checked = read(shop.plan)?;
    let before = checked.tables.clone();
    for (table, units) in unique_tables(shop.plan, survey, shop.ledger)? {
        if checked.tables.get(&table.name) == Some(&digest(&units)) {
            continue;
        }
        let duplicates = find_duplicates(shop, table, &units)?;
        let mut left = Vec::new();
        for (u, unit) in units.into_iter().enumerate() {
            match duplicates.get(&u) {
                Some(first) => fail(shop, unit, first, report)?,
                None => left.push(unit),
            }
        }
        checked.tables.insert(table.name.clone(), digest(&left));
    }
    if checked.tables != before {
        let path = shop.plan.folder.join(RECORD);
        let text = serde_json::to_string_pretty(&checked)
            .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
        sink::write_record(&shop.plan.folder, &path, text.as_bytes())?;
    }
    Ok(())
}

/// Tables whose keys nobody has looked at since their files changed: a run was interrupted.
///
/// # Errors
/// Where a record cannot be understood.
pub(crate) fn unchecked_tables(plan: &Plan) -> Result<Vec<String>> {
    let (checked, survey) = (read(plan)?, Survey::read(plan)?);
    let tables = unique_tables(plan, &survey, &Ledger::of_run(&plan.folder))?;
    let unchecked = tables.into_iter().filter(|(table, units)| {
        !units.is_empty() && checked.tables.get(&table.name) != Some(&digest(units))
    });
    Ok(unchecked.map(|(table, _)| format!("the keys of {}", table.name)).collect())
}

fn read(plan: &Plan) -> Result<Checked> {
    let path = plan.folder.join(RECORD);
    match fs_err::read_to_string(&path) {
        Ok(text) => {
            serde_json::from_str(&text).map_err(|source| Error::Record { path, source: Box::new(source) })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Checked::default()),
        Err(source) => Err(Error::Io { what: "cannot read which keys were checked".to_owned(), source }),
    }
}

/// The accounts of units that are done, by table with unique keys, in the order of files and blocks.
fn unique_tables<'p>(
    plan: &'p Plan,
    survey: &Survey,
    ledger: &Ledger,
) -> Result<Vec<(&'p CatalogTable, Vec<LedgerRow>)>> {
    let mut tables: BTreeMap<&str, (&CatalogTable, Vec<LedgerRow>)> = BTreeMap::new();
    for planned in survey.of_plan(plan) {
        let (Some(declaration), Some(file)) = (planned.catalog.declaration(), planned.survey) else {
            continue;
        };
        for found in file.units() {
            let UnitId::Catalog { table, .. } = &found.unit else { continue };
            let Some(table) = declaration.table(table).filter(|table| table.unique) else { continue };
            let row = ledger.read(Stage::Catalog, &found.unit)?.filter(|row| {
                row.state == State::Done
                    && row.stage_hash == found.stage_hash
                    && row.outputs_stand(&plan.folder)
            });
            tables.entry(&table.name).or_insert((table, Vec::new())).1.extend(row);
        }
    }
    let mut tables: Vec<_> = tables.into_values().collect();
    tables.iter_mut().for_each(|(_, units)| units.sort_by(|a, b| a.unit.cmp(&b.unit)));
    Ok(tables)
}

/// Of the files that are there.
fn digest(units: &[LedgerRow]) -> String {
    let files = units.iter().flat_map(|row| &row.outputs);
    let text: String =
        files.map(|file| format!("{} {}\n", file.path, file.sha256.as_deref().unwrap_or("-"))).collect();
    sha256_hex(text.as_bytes())
}

/// The first row of a unit that repeats a key, and how many do.
struct Repeated {
    row: i64,
    key: String,
    other: (Arc<str>, i64),
    rows: u64,
}

/// Units, by their place, with what they repeat.
fn find_duplicates(
    shop: &Shop<'_>,
    table: &CatalogTable,
    units: &[LedgerRow],
) -> Result<BTreeMap<usize, Repeated>> {
    let mut names: Vec<&str> = vec!["specprod"];
    names.extend(table.key.iter().map(String::as_str).filter(|name| *name != "specprod"));
    let rows: u64 = units.iter().map(|unit| unit.rows_in).sum();
    let mut hashes: Vec<u64> = Vec::with_capacity(usize::try_from(rows).unwrap_or(0));
    for unit in units {
        each_batch(shop, unit, &names, |keys, _, _| {
            hashes.extend((0..keys.num_rows()).map(|i| hash(keys.row(i).as_ref())));
            Ok(())
        })?;
    }
    shop.pool.install(|| hashes.par_sort_unstable());
    let mut suspects: Vec<u64> =
        hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    drop(hashes);
    suspects.dedup();
    let mut found = BTreeMap::new();
    for some in suspects.chunks(COMPARED_AT_ONCE) {
        compare(shop, units, &names, some, &mut found)?;
    }
    Ok(found)
}

/// Compares the keys of rows whose hash is among `suspects`, which are sorted.
fn compare(
    shop: &Shop<'_>,
    units: &[LedgerRow],
    names: &[&str],
    suspects: &[u64],
    found: &mut BTreeMap<usize, Repeated>,
) -> Result<()> {
    let mut first_rows: BTreeMap<Box<[u8]>, (Arc<str>, i64)> = BTreeMap::new();
    for (u, unit) in units.iter().enumerate() {
        let name: Arc<str> = Arc::from(unit.unit.to_string());
        each_batch(shop, unit, names, |keys, columns, rows| {
            for (i, &row) in rows.iter().enumerate() {
                let key = keys.row(i);
                if suspects.binary_search(&hash(key.as_ref())).is_err() {
                    continue;
                }
                let Some(other) = first_rows.get(key.as_ref()) else {
                    first_rows.insert(key.as_ref().into(), (Arc::clone(&name), row));
                    continue;
                };
                let before = found.get(&u);
                let rows = before.map_or(0, |before| before.rows) + 1;
                if before.is_none_or(|before| row < before.row) {
                    let key = shown(names, columns, i);
                    found.insert(u, Repeated { row, key, other: other.clone(), rows });
                } else if let Some(before) = found.get_mut(&u) {
                    before.rows = rows;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Reads keys and row numbers of a unit's file.
fn each_batch(
    shop: &Shop<'_>,
    unit: &LedgerRow,
    names: &[&str],
    mut each: impl FnMut(&arrow::row::Rows, &[ArrayRef], &[i64]) -> Result<()>,
) -> Result<()> {
    for output in &unit.outputs {
        let file = LakeFile::open(&shop.plan.folder.join(&output.path))?;
        let wanted: Vec<&str> = names.iter().copied().chain(["row"]).collect();
        for batch in file.read(&wanted, BATCH_ROWS)? {
            let batch: Rows<'_> = batch?;
            let columns = names.iter().map(|name| batch.array(name)).collect::<Result<Vec<ArrayRef>>>()?;
            let fields =
                columns.iter().map(|column| SortField::new(column.data_type().clone())).collect::<Vec<_>>();
            let wrong = |error: arrow::error::ArrowError| file.wrong(error.to_string());
            let keys = RowConverter::new(fields)
                .and_then(|converter| converter.convert_columns(&columns))
                .map_err(wrong)?;
            each(&keys, &columns, batch.values::<arrow::datatypes::Int64Type>("row")?)?;
        }
    }
    Ok(())
}

/// The same within a run of the program; nothing of it is kept.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

fn shown(names: &[&str], columns: &[ArrayRef], row: usize) -> String {
    let pairs: Vec<String> = names
        .iter()
        .zip(columns)
        .map(|(name, column)| format!("{name} {}", array_value_to_string(column, row).unwrap_or_default()))
        .collect();
    format!("({})", pairs.join(", "))
}

/// Fails a unit and removes its rows.
fn fail(shop: &Shop<'_>, unit: LedgerRow, first: &Repeated, report: &mut StageReport) -> Result<()> {
    let folder = &shop.plan.folder;
    let mut hdu = String::from("its table");
    for output in &unit.outputs {
        let file = LakeFile::open(&folder.join(&output.path))?;
        hdu = file.footer("specmill.hdu").map_or(hdu, |name| format!("HDU {name}"));
    }
    let more = match first.rows - 1 {
        0 => String::new(),
        n => format!(", and {n} more rows of this block repeat others"),
    };
    let input = unit.inputs.first().map(|file| file.path.clone()).unwrap_or_default();
    let error = CatalogError::Duplicate {
        path: shop.plan.run_file.input.root.join(input),
        hdu,
        row: u64::try_from(first.row).unwrap_or(0),
        key: first.key.clone(),
        other: format!("row {} of {}", first.other.1, first.other.0),
        more,
    };
    shop.ledger.retract(Stage::Catalog, &unit.unit)?;
    shop.progress.retract(&unit, report.written.iter().any(|written| written.unit == unit.unit));
    for output in &unit.outputs {
        sink::remove_stale(&folder.join(&output.path))?;
    }
    let row = LedgerRow {
        state: State::Failed,
        reason: Some(error.to_string()),
        rows: counts(State::Failed, unit.rows_in),
        outputs: Vec::new(),
        ..unit
    };
    shop.ledger.commit(&row)?;
    // The account that this run wrote before, or one of an earlier run.
    match report.written.iter_mut().find(|written| written.unit == row.unit) {
        Some(written) => *written = row.clone(),
        None => {
            report.settled = report.settled.saturating_sub(1);
            report.written.push(row.clone());
        }
    }
    shop.progress.account_as(row, ErrorClass::DuplicateKey);
    Ok(())
}
