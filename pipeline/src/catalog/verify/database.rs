//! The database's half of `catalog verify`: whether it holds what the lake holds.

use std::collections::{BTreeMap, BTreeSet};

use specmill_schemas::catalogs::CatalogRelation;

use super::sums::Total;
use super::{ColumnSums, Compared, Sum, done, lake_sums};
use crate::config::Environment;
use crate::error::Result;
use crate::ledger::LedgerRow;
use crate::plan::Plan;
use crate::sink::postgres::{Database, StoredSum, StoredTotal};
use crate::stages::catalog::Survey;
use crate::unit::UnitId;

/// The tables of a database, by name.
type Tables = BTreeMap<String, CatalogRelation>;

/// Compares every unit that is done with the rows that the database has of it, and every table with what its units
/// come to.
///
/// # Errors
/// Where the database cannot be reached or is lost, or the ledger cannot be read.
pub(super) fn compare(plan: &Plan, survey: &Survey, environment: &Environment) -> Result<Vec<Compared>> {
    let database = Database::open(environment, &plan.folder)?;
    let recorded = database.catalog_tables().map_err(Box::new)?;
    let tables: Tables =
        recorded.into_iter().map(|table| (table.relation.full_name(), table.relation)).collect();
    let (mut compared, mut known, mut named) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for file in survey.of_plan(plan).into_iter().filter_map(|planned| planned.survey) {
        for table in &file.tables {
            for block in 0..table.blocks() {
                let unit = table.unit(file, block);
                named.insert(table_of(&unit));
                if let Some(row) = done(plan, file, table, block)? {
                    known.insert(unit.to_string());
                    compared.push(compare_unit(plan, &database, &tables, &row)?);
                }
            }
        }
    }
    for table in named.iter().filter_map(|name| tables.get(name)) {
        compared.extend(compare_table(&database, table, &known)?);
    }
    Ok(compared)
}

/// As in `catalog.zpix`.
fn table_of(unit: &UnitId) -> String {
    unit.to_string().split('/').take(2).collect::<Vec<_>>().join(".")
}

fn compare_unit(plan: &Plan, database: &Database, tables: &Tables, row: &LedgerRow) -> Result<Compared> {
    let name = table_of(&row.unit);
    let (mut columns, unit) = (0, row.unit.to_string());
    let differences = match (tables.get(&name), lake_sums(plan, row)) {
        (None, _) => vec![format!("the database has no table {name}")],
        // A file that cannot be read is a finding, not the end.
        (_, Err(error)) => vec![error.to_string()],
        (Some(table), Ok(lake)) => {
            let (rows, sums) = database.catalog_sums(table, &row.unit).map_err(Box::new)?;
            columns = lake.columns.len();
            let mut found = ColumnSums { rows, columns: sums.iter().map(sum).collect() };
            if let UnitId::Catalog { declared: false, .. } = row.unit {
                // Columns that another file of the table has brought are empty.
                let is_own = |name: &str| lake.columns.iter().any(|(own, _)| own == name);
                found.columns.retain(|(name, sum)| sum.values > 0 || is_own(name));
            }
            if rows == 0 && lake.rows > 0 {
                vec!["it is not loaded".to_owned()]
            } else {
                lake.differences(&found)
            }
        }
    };
    Ok(Compared { unit, rows: row.rows_in, columns, differences })
}

/// Units that only the database has, and whether its rows are those of its units; nothing where all is well.
fn compare_table(
    database: &Database,
    table: &CatalogRelation,
    known: &BTreeSet<String>,
) -> Result<Vec<Compared>> {
    let (units, rows) = database.catalog_units(table).map_err(Box::new)?;
    let finding = |unit: String, rows: u64, difference: &str| Compared {
        unit,
        rows,
        columns: 0,
        differences: vec![difference.to_owned()],
    };
    let accounted: u64 = units.iter().map(|(_, rows)| rows).sum();
    let foreign = units.into_iter().filter(|(unit, _)| !known.contains(unit));
    let mut findings: Vec<Compared> = foreign
        .map(|(unit, rows)| finding(unit, rows, "the database has it, and the lake of this run file has not"))
        .collect();
    if rows != accounted {
        let said = format!("its units come to {accounted} rows");
        findings.push(finding(table.full_name(), rows, &said));
    }
    Ok(findings)
}

fn sum(stored: &StoredSum) -> (String, Sum) {
    let total = match stored.total {
        StoredTotal::Whole(sum) => Total::Whole(sum),
        StoredTotal::Real { sum, magnitude } => Total::Real { sum, magnitude },
        StoredTotal::Bytes(bytes) => Total::Bytes(bytes),
        StoredTotal::True(n) => Total::True(n),
    };
    let sum = Sum { values: stored.values, not_finite: stored.not_finite, total };
    (stored.column.clone(), sum)
}
