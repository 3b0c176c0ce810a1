//! One unit: its rows in the lake, its account in the ledger.

use std::path::PathBuf;
use std::time::Instant;

use super::Shop;
use super::bind::Binder;
use super::block::{OpenTable, UnitReader};
use super::notes::sentences;
use super::survey::{FileSurvey, TableSurvey, file_name, hdu_again, output_path};
use crate::declared::{CatalogKind, CatalogPlan};
use crate::error::{Error, ErrorClass, Failure, Result};
use crate::fits::Source;
use crate::fits::prescan::HduKind;
use crate::ledger::{LedgerRow, RowCounts, State};
use crate::sink::{self, Footer, WrittenFile};
use crate::stage::Stage;
use crate::stages::footer;
use crate::unit::UnitId;

/// Finds a surveyed table in its file and binds its columns.
///
/// # Errors
/// Where the file is no longer as it was, or a column is not as it is declared.
pub(crate) fn open_table<'s>(
    source: &'s Source,
    catalog: &CatalogPlan,
    file: &FileSurvey,
    survey: &TableSurvey,
) -> Result<OpenTable<'s>> {
    let hdu = hdu_again(source, survey)?;
    let HduKind::Table(info) = &hdu.kind else { unreachable_table(source)? };
    let binder = Binder { source, hdu, info, survey, specprod: &file.specprod };
    let declared = match &catalog.kind {
        CatalogKind::Declared(declaration) => declaration.table(&survey.table),
        CatalogKind::Raw { .. } => None,
    };
    let layout = match declared {
        Some(table) => binder.declared(table)?,
        None => binder.raw()?,
    };
    Ok(OpenTable { source, hdu, layout })
}

/// A unit on its way into the lake.
pub(super) struct UnitWriter<'a> {
    shop: &'a Shop<'a>,
    catalog: &'a CatalogPlan,
    file: &'a FileSurvey,
    table: &'a TableSurvey,
    block: u32,
    unit: UnitId,
    started: Instant,
}

impl<'a> UnitWriter<'a> {
    /// Starts a unit; no file is created yet.
    pub(super) fn begin(
        shop: &'a Shop<'a>,
        catalog: &'a CatalogPlan,
        file: &'a FileSurvey,
        table: &'a TableSurvey,
        block: u32,
    ) -> Self {
        let unit = table.unit(file, block);
        Self { shop, catalog, file, table, block, unit, started: Instant::now() }
    }

    /// Writes its rows and its account.
    ///
    /// # Errors
    /// Where the disk refuses; a value that cannot be is in the account instead.
    pub(super) fn write(self, opened: &OpenTable<'_>) -> Result<LedgerRow> {
        let rows = self.table.rows_of(self.block);
        if rows.is_empty() {
            return self.leave(State::Empty, "the table has no rows".to_owned());
        }
        let path = self.shop.plan.folder.join(output_path(&self.unit));
        let folder = &self.shop.plan.folder;
        let made = self.shop.pool.install(|| {
            let reader = UnitReader::new(opened, self.unit.to_string(), rows)?;
            reader.write(folder, &path, self.footer(opened))
        });
        match made {
            Ok((written, counts)) => {
                let notes = sentences(&opened.layout, &counts);
                let progress = self.shop.progress;
                Ok(progress.account(self.account(State::Done, None, Some(written), notes)?))
            }
            Err(error) if error.is_of_the_input() => self.fail(Failure::of(&error)),
            Err(error) => Err(error),
        }
    }

    /// Settles the unit without rows, as the survey says.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub(super) fn leave(self, state: State, reason: String) -> Result<LedgerRow> {
        let progress = self.shop.progress;
        let row = self.account(state, Some(reason), None, Vec::new())?;
        Ok(progress.account_as(row, ErrorClass::Inventory))
    }

    /// The same for a unit that could not be read.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub(super) fn fail(self, failure: Failure) -> Result<LedgerRow> {
        let progress = self.shop.progress;
        let row = self.account(State::Failed, Some(failure.reason), None, Vec::new())?;
        Ok(progress.account_as(row, failure.class))
    }

    fn footer(&self, opened: &OpenTable<'_>) -> Footer {
        let rows = self.table.rows_of(self.block);
        let name = opened.hdu.extname.clone().filter(|name| !name.is_empty());
        let hdu = name.unwrap_or_else(|| opened.hdu.index.to_string());
        let path = PathBuf::from(&self.file.record.path);
        let own = [
            ("specmill.unit", self.unit.to_string()),
            ("specmill.catalog", self.catalog.name().to_owned()),
            ("specmill.release", self.file.release.clone()),
            ("specmill.file", file_name(&path).to_owned()),
            ("specmill.hdu", hdu),
            ("specmill.first_row", rows.start.to_string()),
            ("specmill.rows", (rows.end - rows.start).to_string()),
        ];
        footer(Stage::Catalog, &self.file.stage_hash, own)
    }

    /// Swaps the unit's file and account. In between it has no account, so that a kill leaves nothing that could be
    /// taken for done.
    fn account(
        self,
        state: State,
        reason: Option<String>,
        written: Option<WrittenFile>,
        notes: Vec<String>,
    ) -> Result<LedgerRow> {
        let plan = self.shop.plan;
        let rows = self.table.rows_of(self.block);
        let n = rows.end - rows.start;
        self.shop.progress.advance(n);
        self.shop.ledger.retract(Stage::Catalog, &self.unit)?;
        let outputs: Vec<_> =
            written.map(|file| file.commit(&plan.folder)).transpose()?.into_iter().collect();
        if outputs.is_empty() {
            sink::remove_stale(&plan.folder.join(output_path(&self.unit)))?;
        }
        let row = LedgerRow {
            stage: Stage::Catalog,
            unit: self.unit,
            stage_hash: self.file.stage_hash.clone(),
            state,
            reason,
            rows_in: n,
            rows: counts(state, n),
            inputs: vec![self.file.record.clone()],
            outputs,
            notes,
            seconds: self.started.elapsed().as_secs_f64(),
        };
        self.shop.ledger.commit(&row)?;
        Ok(row)
    }
}

/// All rows of a unit end as it does.
pub(super) fn counts(state: State, rows: u64) -> RowCounts {
    let reason = if state == State::Done { "" } else { "unit_failed" };
    let mut counts = RowCounts::new();
    if rows > 0 {
        counts.entry(state).or_default().insert(reason.to_owned(), rows);
    }
    counts
}

/// `hdu_again` gives tables only.
fn unreachable_table<T>(source: &Source) -> Result<T> {
    Err(Error::Lake { path: source.path().to_owned(), problem: "its HDU is no table".to_owned() })
}
