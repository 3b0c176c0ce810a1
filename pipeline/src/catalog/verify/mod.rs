//! `catalog verify`: whether the lake holds what the files hold, column by column.
//!
//! Every unit's rows are read again from the FITS file, converted as declared, and their counts and sums compared with
//! those of its Parquet file, and these with the database's where that is asked for; rows in all with those that were
//! published.

mod database;
mod sums;

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use crate::cli::VerifyArgs;
use crate::config::Environment;
use crate::declared::CatalogPlan;
use crate::error::{Error, Result, reason_of};
use crate::exit::Exit;
use crate::fits::{OpenOptions, Source};
use crate::lake::LakeFile;
use crate::ledger::{Ledger, LedgerRow, State};
use crate::plan::{Overrides, Plan};
use crate::run::print;
use crate::stage::Stage;
use crate::stages::catalog::{FileSurvey, Survey, TableSurvey, UnitReader, open_table, unchecked_tables};

pub(crate) use sums::{ColumnSums, Sum};

/// Bytes of a batch of rows, roughly.
const BATCH_BYTES: usize = 32 << 20;
/// Bytes of a value, for that.
const VALUE_BYTES: usize = 8;

/// A unit that was compared.
struct Compared {
    unit: String,
    rows: u64,
    columns: usize,
    differences: Vec<String>,
}

/// What all comparisons came to.
#[derive(Default)]
struct Findings {
    compared: Vec<Compared>,
    /// The same between the lake and the database, where that is asked for.
    stored: Vec<Compared>,
    /// Units that are not done, and files that nobody looked into.
    left: Vec<String>,
    /// Tables with other rows than published, and the same where they agree.
    published: Vec<(String, bool)>,
}

/// Carries out `catalog verify`.
///
/// # Errors
/// Where the run file or a record of the run folder cannot be read, or a database is asked for and cannot be reached.
pub(super) fn run(args: &VerifyArgs, environment: &Environment) -> Result<Exit> {
    let overrides = Overrides { folder: args.out.clone(), ..Overrides::default() };
    let plan = Plan::read(&args.run_file, &overrides)?;
    if plan.catalogs.is_empty() {
        return Err(Error::Argument {
            argument: "RUN_FILE",
            problem: format!("{} names no [[catalog]]", args.run_file.display()),
        });
    }
    let survey = Survey::read(&plan)?;
    let mut verifier = Verifier { plan: &plan, findings: Findings::default() };
    for planned in survey.of_plan(&plan) {
        match planned.survey {
            Some(file) => verifier.file(planned.catalog, file)?,
            None => verifier.findings.left.push(format!("{}: not looked into yet", planned.file.name)),
        }
    }
    let mut findings = verifier.findings;
    let unchecked = unchecked_tables(&plan)?;
    findings.left.extend(unchecked.into_iter().map(|table| format!("{table}: not compared yet")));
    if args.database {
        findings.stored = database::compare(&plan, &survey, environment)?;
    }
    print(&findings.render())?;
    Ok(if findings.agree() { Exit::Complete } else { Exit::Partial })
}

/// The account of a unit, where it is done and its file stands.
fn done(plan: &Plan, file: &FileSurvey, table: &TableSurvey, block: u32) -> Result<Option<LedgerRow>> {
    let row = Ledger::of_run(&plan.folder).read(Stage::Catalog, &table.unit(file, block))?;
    Ok(row.filter(|row| {
        row.state == State::Done && row.stage_hash == file.stage_hash && row.outputs_stand(&plan.folder)
    }))
}

/// A run being verified.
struct Verifier<'p> {
    plan: &'p Plan,
    findings: Findings,
}

impl Verifier<'_> {
    /// Compares every unit of a file that is done.
    fn file(&mut self, catalog: &CatalogPlan, file: &FileSurvey) -> Result<()> {
        let path = self.plan.run_file.input.root.join(&file.record.path);
        let mut source = None;
        for table in &file.tables {
            for block in 0..table.blocks() {
                let unit = table.unit(file, block);
                let Some(row) = done(self.plan, file, table, block)? else {
                    if table.problem.is_some() || table.rows > 0 {
                        self.findings.left.push(format!("{unit}: not done, see `specmill status`"));
                    }
                    continue;
                };
                let source = source.get_or_insert_with(|| Source::open(&path, &OpenOptions::default()));
                let expected = match source {
                    Ok(source) => {
                        file_sums(catalog, source, (file, table, block)).map_err(|error| reason_of(&error))
                    }
                    Err(error) => Err(reason_of(error)),
                };
                self.unit(&row, expected);
            }
        }
        self.findings.published.extend(published(catalog, file));
        Ok(())
    }

    /// Compares a unit; a file that cannot be read again is a finding, not the end.
    fn unit(&mut self, row: &LedgerRow, expected: std::result::Result<ColumnSums, String>) {
        let found = lake_sums(self.plan, row).map_err(|error| reason_of(&error));
        let columns = found.as_ref().map_or(0, |found| found.columns.len());
        let differences = match (expected, found) {
            (Ok(expected), Ok(found)) => expected.differences(&found),
            (Err(reason), _) | (_, Err(reason)) => vec![reason],
        };
        self.findings.compared.push(Compared {
            unit: row.unit.to_string(),
            rows: row.rows_in,
            columns,
            differences,
        });
    }
}

/// Counts and sums of a unit's rows as its file and its declaration say they are.
fn file_sums(
    catalog: &CatalogPlan,
    source: &Source,
    (file, table, block): (&FileSurvey, &TableSurvey, u32),
) -> Result<ColumnSums> {
    let opened = open_table(source, catalog, file, table)?;
    let names: Vec<&str> = opened.layout.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let sums: Vec<Mutex<Sum>> = names.iter().map(|_| Mutex::new(Sum::default())).collect();
    let rows = table.rows_of(block);
    let reader = UnitReader::new(&opened, table.unit(file, block).to_string(), rows.clone())?;
    reader.each(|column, array| sums[column].lock().unwrap_or_else(PoisonError::into_inner).add(array))?;
    let mut expected = ColumnSums::of_columns(names.iter().copied());
    expected.rows = rows.end - rows.start;
    for ((_, sum), found) in expected.columns.iter_mut().zip(sums) {
        *sum = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
    Ok(expected)
}

/// Counts and sums of a unit's rows in the lake; its files must be those of its account.
///
/// # Errors
/// Where a file is not, or cannot be read.
fn lake_sums(plan: &Plan, row: &LedgerRow) -> Result<ColumnSums> {
    let mut sums = ColumnSums::default();
    for output in &row.outputs {
        let file = LakeFile::open_recorded(&plan.folder, output)?;
        let names = file.columns();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if sums.columns.is_empty() {
            sums = ColumnSums::of_columns(names.iter().copied());
        }
        let row_bytes = (VALUE_BYTES * names.len()).max(file.bytes_per_row());
        let batch_rows = (BATCH_BYTES / row_bytes.max(1)).max(1);
        for batch in file.read(&names, batch_rows)? {
            let batch = batch?;
            sums.rows += batch.len() as u64;
            for (name, sum) in &mut sums.columns {
                sum.add(&batch.array(name)?);
            }
        }
    }
    Ok(sums)
}

/// Whether a file has as many rows as its release is said to have: in the tables that are named with it, else in the
/// first that it holds.
fn published(catalog: &CatalogPlan, file: &FileSurvey) -> Vec<(String, bool)> {
    let Some(declaration) = catalog.declaration() else { return Vec::new() };
    let path = std::path::Path::new(&file.record.path);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let stated = |key: &str| {
        let mut of_release = declaration.releases.iter().filter(|release| release.name == file.release);
        of_release.find_map(|release| release.rows.get(key).copied())
    };
    let held = declaration.tables.iter().filter_map(|declared| {
        file.tables.iter().find(|table| table.table == declared.name && table.problem.is_none())
    });
    held.enumerate()
        .filter_map(|(at, table)| {
            let rows = stated(&format!("{plain}:{}", table.table));
            let rows = rows.or_else(|| stated(plain).filter(|_| at == 0))?;
            let agrees = table.rows == rows;
            let verdict = if agrees { "as published".to_owned() } else { format!("published are {rows}") };
            Some((format!("{name}: {} has {} rows, {verdict}", table.table, table.rows), agrees))
        })
        .collect()
}

impl Findings {
    fn agree(&self) -> bool {
        self.left.is_empty()
            && self.compared.iter().chain(&self.stored).all(|unit| unit.differences.is_empty())
            && self.published.iter().all(|(_, agrees)| *agrees)
    }

    fn render(&self) -> String {
        let mut text = render_compared(&self.compared, "FITS = Parquet");
        if !self.stored.is_empty() {
            text.push_str(&render_compared(&self.stored, "Parquet = database"));
        }
        for (sentence, _) in &self.published {
            let _ = writeln!(text, "{sentence}");
        }
        for left in &self.left {
            let _ = writeln!(text, "{left}");
        }
        text
    }
}

fn render_compared(compared: &[Compared], what: &str) -> String {
    let width = compared.iter().map(|unit| unit.unit.len()).max().unwrap_or(0).max("unit".len());
    let mut text = format!("{:<width$}{:>11}{:>9}  {what}\n", "unit", "rows", "columns");
    for unit in compared {
        let verdict = match unit.differences.len() {
            0 => "yes".to_owned(),
            1 => "no: 1 difference".to_owned(),
            n => format!("no: {n} differences"),
        };
        let _ = writeln!(text, "{:<width$}{:>11}{:>9}  {verdict}", unit.unit, unit.rows, unit.columns);
    }
    for unit in compared {
        for difference in &unit.differences {
            let _ = writeln!(text, "{}: {difference}", unit.unit);
        }
    }
    text
}
