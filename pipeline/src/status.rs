//! What is left, what failed and why, and whether every unit and target is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::error::Result;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::ledger::{Ledger, LedgerRow, RowCounts, State};
use crate::plan::Plan;
use crate::report::render_list;
use crate::sink::postgres::load;
use crate::stage::Stage;
use crate::stages::catalog;
use crate::stages::upstream::{extracted, model_hashes, model_unit, ready_models};
use crate::unit::UnitId;

/// A run's account, from its ledger and the inventory.
#[derive(Debug, Default)]
pub struct Status {
    /// Units in the inventory.
    pub inventory_units: u64,
    /// Broken files the inventory could not make a unit of, with the reason.
    pub broken: Vec<String>,
    /// Units with results in this folder that the present input does not hold.
    pub elsewhere: Vec<String>,
    /// The account of each stage that leaves one, in the order of the plan.
    pub accounts: Vec<Account>,
}

/// What became of every unit of one stage.
#[derive(Debug)]
pub struct Account {
    /// The stage.
    pub stage: Stage,
    /// Units there are to account for.
    pub expected: u64,
    /// Units by state.
    pub units: BTreeMap<State, u64>,
    /// Units without a ledger row under the present settings, or without their files.
    pub left: Vec<String>,
    /// Rows by state and reason.
    pub rows: RowCounts,
    /// Rows accounted for.
    pub rows_in: u64,
    /// Failed and missing units, and units with failed rows, with their reasons.
    pub problems: Vec<String>,
    /// Units with nothing in them, with their reasons, where that is worth a line.
    pub empty: Vec<String>,
    /// Accounts that do not add up.
    pub inconsistent: Vec<String>,
}

impl Status {
    /// Reads the ledger of `plan`'s run folder against `inventory`.
    ///
    /// # Errors
    /// Where a ledger record or a model folder cannot be read.
    pub fn read(plan: &Plan, inventory: &Inventory) -> Result<Self> {
        let mut status = Self::default();
        let extracting = plan.stages.contains(&Stage::Extract);
        for entry in &inventory.entries {
            status.inventory_units += u64::from(entry.unit.is_some());
            // What is wrong with a unit is in the account of `extract`, where there is one.
            let reason = match (&entry.unit, entry.state.reason()) {
                (None, reason) => reason.unwrap_or("no unit id"),
                (Some(_), Some(reason)) if !extracting => reason,
                (Some(_), _) => continue,
            };
            let file = entry.describe();
            // Most reasons name the file themselves.
            let named = reason.starts_with(&file);
            status.broken.push(if named { reason.to_owned() } else { format!("{file}: {reason}") });
        }
        if plan.shard.is_none() {
            status.elsewhere = elsewhere(plan, inventory)?;
        }
        for &stage in &plan.stages {
            let account = match stage {
                Stage::Inventory => continue,
                Stage::Catalog => Account::of_catalog(plan)?,
                Stage::Extract => Account::of_extract(plan, inventory)?,
                Stage::FitBasis => Account::of_fit_basis(plan)?,
                Stage::Embed => Account::of_embed(plan, inventory)?,
                Stage::Neighbors => Account::of_neighbors(plan)?,
                Stage::Load => Account::of_load(plan)?,
            };
            status.accounts.push(account);
        }
        Ok(status)
    }

    /// Whether units are left that nobody has an account of.
    pub fn has_units_left(&self) -> bool {
        self.accounts.iter().any(|account| !account.left.is_empty())
    }

    /// The exit code this account deserves.
    pub fn exit(&self) -> Exit {
        let worst = self.accounts.iter().map(Account::exit).find(|exit| *exit == Exit::Inconsistent);
        if let Some(exit) = worst {
            return exit;
        }
        let complete = self.accounts.iter().all(|account| account.exit() == Exit::Complete);
        if complete && self.broken.is_empty() { Exit::Complete } else { Exit::Partial }
    }

    /// The account in a line.
    pub fn summary(&self) -> String {
        let of_stage = |account: &Account| {
            let states: Vec<String> =
                account.units.iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
            let left = if account.left.is_empty() {
                String::new()
            } else {
                format!(", {} not done yet", account.left.len())
            };
            let first = account.inconsistent.first().or(account.problems.first());
            let first = first.map_or_else(String::new, |problem| format!("; first: {problem}"));
            format!("{}: {}{left}{first}", account.stage, states.join(", "))
        };
        let mut parts: Vec<String> = self.accounts.iter().map(of_stage).collect();
        if let Some(first) = self.broken.first() {
            let files = if self.broken.len() == 1 { "file" } else { "files" };
            parts.push(format!("{} broken {files}; first: {first}", self.broken.len()));
        }
        parts.join(". ")
    }

    /// The account as people read it.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for account in &self.accounts {
            account.render(&mut text);
        }
        render_list(&mut text, "broken files", &self.broken);
        render_list(&mut text, "in this folder from another input", &self.elsewhere);
        text
    }
}

impl Account {
    fn new(stage: Stage) -> Self {
        Self {
            stage,
            expected: 0,
            units: BTreeMap::new(),
            left: Vec::new(),
            rows: RowCounts::new(),
            rows_in: 0,
            problems: Vec::new(),
            empty: Vec::new(),
            inconsistent: Vec::new(),
        }
    }

    fn of_catalog(plan: &Plan) -> Result<Self> {
        let mut account = Self::new(Stage::Catalog);
        let (units, unknown) = catalog::expected(plan)?;
        for found in units {
            account.take(plan, &found.unit, &found.stage_hash, found.rows)?;
        }
        // A file that nobody has looked into, and keys that nobody has compared, are work to do.
        let keys = if plan.shard.is_none() { catalog::unchecked_tables(plan)? } else { Vec::new() };
        let work: Vec<String> = unknown.into_iter().chain(keys).collect();
        account.expected += work.len() as u64;
        account.left.extend(work);
        Ok(account)
    }

    fn of_extract(plan: &Plan, inventory: &Inventory) -> Result<Self> {
        let mut account = Self::new(Stage::Extract);
        for entry in &inventory.entries {
            let Some(unit) = &entry.unit else { continue };
            account.take(plan, unit, &plan.extract_hash, entry.coadd.as_ref().and_then(|file| file.rows))?;
        }
        Ok(account)
    }

    fn of_fit_basis(plan: &Plan) -> Result<Self> {
        let mut account = Self::new(Stage::FitBasis);
        for model in &plan.models {
            account.take(plan, &model_unit(&model.name), &plan.fit_hash(model), None)?;
        }
        Ok(account)
    }

    fn of_embed(plan: &Plan, inventory: &Inventory) -> Result<Self> {
        let mut account = Self::new(Stage::Embed);
        let hash = plan.embed_hash(&model_hashes(&ready_models(plan)?));
        for unit in extracted(plan, inventory)? {
            account.take(plan, &unit.unit, &hash, None)?;
        }
        Ok(account)
    }

    fn of_load(plan: &Plan) -> Result<Self> {
        let mut account = Self::new(Stage::Load);
        for (unit, hash) in load::expected(plan)? {
            account.take(plan, &unit, &hash, None)?;
        }
        Ok(account)
    }

    fn of_neighbors(plan: &Plan) -> Result<Self> {
        let mut account = Self::new(Stage::Neighbors);
        let models = ready_models(plan)?;
        let embed_hash = plan.embed_hash(&model_hashes(&models));
        for ready in &models {
            let hash = plan.neighbors_hash(&ready.model.card.model_hash, &embed_hash);
            account.take(plan, &model_unit(&ready.plan.name), &hash, None)?;
        }
        Ok(account)
    }

    /// Takes in a unit's ledger row where it stands for `hash`, else the unit is left to do.
    fn take(&mut self, plan: &Plan, unit: &UnitId, hash: &str, expected_rows: Option<u64>) -> Result<()> {
        self.expected += 1;
        match Ledger::of_run(&plan.folder).read(self.stage, unit)? {
            Some(row) if row.stage_hash == hash && row.outputs_stand(&plan.folder) => {
                self.add(&row, expected_rows);
            }
            _ => self.left.push(unit.to_string()),
        }
        Ok(())
    }

    fn add(&mut self, row: &LedgerRow, expected_rows: Option<u64>) {
        *self.units.entry(row.state).or_default() += 1;
        self.rows_in += row.rows_in;
        for (state, reasons) in &row.rows {
            for (reason, count) in reasons {
                *self.rows.entry(*state).or_default().entry(reason.clone()).or_default() += count;
            }
        }
        let reason = row.reason.as_deref().unwrap_or("no reason recorded");
        if row.state.is_partial() {
            self.problems.push(format!("{} {}: {reason}", row.state.name(), row.unit));
        } else if row.rows.keys().any(|state| state.is_partial()) {
            self.problems.push(format!("{} has targets that failed or miss a redshift", row.unit));
        } else if row.state == State::Empty && matches!(row.unit, UnitId::Model { .. }) {
            self.empty.push(format!("{}: {reason}", row.unit));
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

    fn exit(&self) -> Exit {
        let accounted: u64 = self.units.values().sum::<u64>() + self.left.len() as u64;
        if !self.inconsistent.is_empty() || accounted != self.expected {
            Exit::Inconsistent
        } else if self.problems.is_empty() && self.left.is_empty() {
            Exit::Complete
        } else {
            Exit::Partial
        }
    }

    fn render(&self, text: &mut String) {
        let total: u64 = self.units.values().sum();
        let (expected, stage) = (self.expected, self.stage);
        let (units, rows) = match stage {
            Stage::Extract => (
                format!("units: {expected} in the inventory, {total} accounted for"),
                format!("targets: {} rows in", self.rows_in),
            ),
            Stage::Inventory
            | Stage::Catalog
            | Stage::FitBasis
            | Stage::Embed
            | Stage::Neighbors
            | Stage::Load => (
                format!("{stage}: {total} of {expected} units accounted for"),
                format!("{stage}: {} rows in", self.rows_in),
            ),
        };
        let _ = writeln!(text, "{units}");
        for state in State::ALL {
            if let Some(count) = self.units.get(&state) {
                let _ = writeln!(text, "  {:<17}{count:>9}", state.name());
            }
        }
        let _ = writeln!(text, "{rows}");
        for (state, reasons) in &self.rows {
            for (reason, count) in reasons {
                let _ = writeln!(text, "  {:<17}{count:>9}  {reason}", state.name());
            }
        }
        for (title, lines) in [
            ("not done yet", &self.left),
            ("without a result", &self.empty),
            ("problems", &self.problems),
            ("counts that do not add up", &self.inconsistent),
        ] {
            render_list(text, title, lines);
        }
    }
}

/// Units with results in the run folder that the present input does not hold.
fn elsewhere(plan: &Plan, inventory: &Inventory) -> Result<Vec<String>> {
    let present: BTreeSet<&UnitId> =
        inventory.entries.iter().filter_map(|entry| entry.unit.as_ref()).collect();
    let accounted = Ledger::of_run(&plan.folder).units(Stage::Extract)?;
    let mut elsewhere: Vec<String> =
        accounted.iter().filter(|unit| !present.contains(unit)).map(ToString::to_string).collect();
    elsewhere.extend(catalog::elsewhere(plan)?);
    Ok(elsewhere)
}
