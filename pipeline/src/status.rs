//! What is left, what failed and why, and whether every unit and target is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::error::Result;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::ledger::{Ledger, LedgerRow, RowCounts, State};
use crate::plan::Plan;
use crate::stage::Stage;
use crate::unit::UnitId;

/// A run's account, from its ledger and the inventory.
#[derive(Debug, Default)]
pub struct Status {
    /// Units by state.
    pub units: BTreeMap<State, u64>,
    /// Units of the inventory without a ledger row under the present settings, or without their files.
    pub left: Vec<String>,
    /// Broken files the inventory could not make a unit of, with the reason.
    pub broken: Vec<String>,
    /// Targets by state and reason.
    pub rows: RowCounts,
    /// Rows of all coadds accounted for.
    pub rows_in: u64,
    /// Failed and missing units, and units with failed targets, with their reasons.
    pub problems: Vec<String>,
    /// Accounts that do not add up.
    pub inconsistent: Vec<String>,
    /// Units with results in this folder that the present input does not hold.
    pub elsewhere: Vec<String>,
    /// Units in the inventory.
    pub inventory_units: u64,
}

impl Status {
    /// Reads the ledger of `plan`'s run folder against `inventory`.
    ///
    /// # Errors
    /// Where a ledger record cannot be read.
    pub fn read(plan: &Plan, inventory: &Inventory) -> Result<Self> {
        let ledger = Ledger::of_run(&plan.folder);
        let mut status = Self::default();
        for entry in &inventory.entries {
            let Some(unit) = &entry.unit else {
                let (file, reason) = (entry.describe(), entry.state.reason().unwrap_or("no unit id"));
                // Most reasons name the file themselves.
                let named = reason.starts_with(&file);
                status.broken.push(if named { reason.to_owned() } else { format!("{file}: {reason}") });
                continue;
            };
            status.inventory_units += 1;
            match ledger.read(Stage::Extract, unit)? {
                Some(row) if row.stage_hash == plan.extract_hash && row.outputs_stand(&plan.folder) => {
                    status.add(&row, entry.coadd.as_ref().and_then(|file| file.rows));
                }
                _ => status.left.push(unit.to_string()),
            }
        }
        let present: BTreeSet<&UnitId> =
            inventory.entries.iter().filter_map(|entry| entry.unit.as_ref()).collect();
        let accounted = ledger.units(Stage::Extract)?;
        status.elsewhere =
            accounted.iter().filter(|unit| !present.contains(unit)).map(ToString::to_string).collect();
        Ok(status)
    }

    fn add(&mut self, row: &LedgerRow, expected_rows: Option<u64>) {
        *self.units.entry(row.state).or_default() += 1;
        self.rows_in += row.rows_in;
        for (state, reasons) in &row.rows {
            for (reason, count) in reasons {
                *self.rows.entry(*state).or_default().entry(reason.clone()).or_default() += count;
            }
        }
        if row.state.is_partial() {
            let reason = row.reason.as_deref().unwrap_or("no reason recorded");
            self.problems.push(format!("{} {}: {reason}", row.state.name(), row.unit));
        } else if row.rows.keys().any(|state| state.is_partial()) {
            self.problems.push(format!("{} has targets that failed or miss a redshift", row.unit));
        }
        // A unit whose coadd could be read must account for each of its rows.
        let readable = matches!(row.state, State::Done | State::Empty | State::Skipped);
        if !row.adds_up() || (readable && expected_rows.is_some_and(|rows| rows != row.rows_in)) {
            self.inconsistent.push(format!(
                "{}: {} rows in, {} accounted for, {} in the inventory",
                row.unit,
                row.rows_in,
                row.rows_accounted(),
                expected_rows.map_or_else(|| "unknown".to_owned(), |rows| rows.to_string()),
            ));
        }
    }

    /// The exit code this account deserves.
    pub fn exit(&self) -> Exit {
        let accounted: u64 = self.units.values().sum::<u64>() + self.left.len() as u64;
        if !self.inconsistent.is_empty() || accounted != self.inventory_units {
            Exit::Inconsistent
        } else if self.problems.is_empty() && self.left.is_empty() && self.broken.is_empty() {
            Exit::Complete
        } else {
            Exit::Partial
        }
    }

    /// The account as people read it.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let total: u64 = self.units.values().sum();
        let _ = writeln!(text, "units: {} in the inventory, {total} accounted for", self.inventory_units);
        for state in State::ALL {
            if let Some(count) = self.units.get(&state) {
                let _ = writeln!(text, "  {:<17}{count:>9}", state.name());
            }
        }
        let _ = writeln!(text, "targets: {} rows in", self.rows_in);
        for (state, reasons) in &self.rows {
            for (reason, count) in reasons {
                let _ = writeln!(text, "  {:<17}{count:>9}  {reason}", state.name());
            }
        }
        for (title, lines) in [
            ("not done yet", &self.left),
            ("broken files", &self.broken),
            ("problems", &self.problems),
            ("counts that do not add up", &self.inconsistent),
            ("in this folder from another input", &self.elsewhere),
        ] {
            render_list(&mut text, title, lines);
        }
        text
    }
}

fn render_list(text: &mut String, title: &str, lines: &[String]) {
    const SHOWN: usize = 20;
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}: {}", lines.len());
    for line in lines.iter().take(SHOWN) {
        let _ = writeln!(text, "  {line}");
    }
    if lines.len() > SHOWN {
        let _ = writeln!(text, "  … and {} more", lines.len() - SHOWN);
    }
}
