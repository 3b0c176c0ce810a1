//! `catalog`: tables of catalogues → Parquet, as their declarations say.
//!
//! A unit is a block of rows of one file's table. Columns of a block are converted and encoded side by side, so that
//! a wide table keeps every core busy in bounded memory; large files are taken one at a time, small ones in lanes.

mod bind;
mod block;
mod convert;
mod error;
mod gaps;
mod keys;
mod notes;
mod raw;
mod release;
mod survey;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPool;

pub(crate) use block::UnitReader;
pub use error::CatalogError;
pub(crate) use keys::unchecked_tables;
pub(crate) use survey::{Expected, FileSurvey, Survey, TableSurvey, output_path};
pub(crate) use unit::open_table;

use crate::config::DigestSetting;
use crate::error::{Error, Failure, Result};
use crate::fits::{OpenOptions, Source};
use crate::ledger::{Ledger, LedgerRow};
use crate::observe::Progress;
use crate::plan::Plan;
use crate::sink;
use crate::stage::Stage;
use crate::stages::{StageReport, StepSeconds};
use crate::unit::UnitId;

use unit::UnitWriter;

/// A file up to this size is read beside others: its rows and what becomes of them are in memory several times over.
const SMALL_BYTES: u64 = 16 << 20;

/// What every lane shares.
pub(super) struct Shop<'a> {
    plan: &'a Plan,
    ledger: &'a Ledger,
    /// Encodes columns side by side.
    pool: &'a ThreadPool,
    progress: &'a Progress,
}

/// Units of one file that are not settled.
struct Work<'a> {
    file: &'a FileSurvey,
    /// The place of a table among the file's, and a block of it.
    units: Vec<(usize, u32)>,
}

/// Brings every catalogue of the run file into the lake.
///
/// # Errors
/// Where the run folder cannot be written; a file that cannot be read is in the ledger instead.
pub(crate) fn run(plan: &Plan, progress: &Progress) -> Result<StageReport> {
    let ledger = Ledger::of_run(&plan.folder);
    // A shard goes by the survey that all shards go by, and leaves what concerns whole tables to the run without one.
    let survey = match plan.shard {
        Some(_) => known_survey(plan)?,
        None => survey(plan)?,
    };
    if plan.shard.is_none() {
        remove_cut_off(plan, &ledger, &survey)?;
    }
    let share = share(plan, &survey);
    let mut report = StageReport::default();
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for file in &survey.files {
        let work = left(plan, &ledger, file, share.as_ref(), &mut report)?;
        let bytes: u64 = file.tables.iter().map(|table| table.bytes).sum();
        let queue = if bytes.max(file.record.bytes) <= SMALL_BYTES { &mut small } else { &mut large };
        queue.extend(Some(work).filter(|work| !work.units.is_empty()));
    }
    let works = || large.iter().chain(&small);
    let rows = works().flat_map(|work| work.units.iter().map(|unit| rows_of(work.file, *unit))).sum();
    progress.start(rows, works().map(|work| work.units.len()).sum(), report.settled);
    let threads = threads(plan);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::io("cannot start threads")(std::io::Error::other(error)))?;
    let shop = Shop { plan, ledger: &ledger, pool: &pool, progress };
    report.run_lanes(1, || run_lane(&shop, &large, &AtomicUsize::new(0)))?;
    let next = AtomicUsize::new(0);
    report.run_lanes(threads.min(small.len()).max(1), || run_lane(&shop, &small, &next))?;
    if plan.shard.is_none() && !progress.should_stop() {
        keys::check(&shop, &survey, &mut report)?;
    }
    progress.finish();
    Ok(report)
}

/// Looks into every file of the catalogues and leaves in the run folder what they hold.
///
/// # Errors
/// Where the run folder cannot be written.
pub(crate) fn survey(plan: &Plan) -> Result<Survey> {
    let mut survey = Survey::take(plan);
    survey.add_digests(plan)?;
    survey.write(plan)?;
    Ok(survey)
}

/// The survey that was left in the run folder.
fn known_survey(plan: &Plan) -> Result<Survey> {
    let survey = Survey::read(plan)?;
    if survey.of_plan(plan).iter().any(|planned| planned.survey.is_none()) {
        return Err(Error::NoInventory { folder: plan.folder.clone() });
    }
    Ok(survey)
}

/// The units of the plan's shard; `None` without one: all of them.
fn share(plan: &Plan, survey: &Survey) -> Option<BTreeSet<UnitId>> {
    let shard = plan.shard?;
    let planned = survey.of_plan(plan);
    let units: Vec<Expected> =
        planned.iter().filter_map(|planned| planned.survey).flat_map(FileSurvey::units).collect();
    let weights: Vec<u64> = units.iter().map(|found| found.bytes).collect();
    Some(shard.places(&weights).into_iter().map(|place| units[place].unit.clone()).collect())
}

/// Threads that encode, as the run file says.
fn threads(plan: &Plan) -> usize {
    match plan.run_file.resources.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

fn rows_of(file: &FileSurvey, (table, block): (usize, u32)) -> u64 {
    let rows = file.tables[table].rows_of(block);
    rows.end - rows.start
}

/// The units of a file that no earlier run has settled.
fn left<'a>(
    plan: &Plan,
    ledger: &Ledger,
    file: &'a FileSurvey,
    share: Option<&BTreeSet<UnitId>>,
    report: &mut StageReport,
) -> Result<Work<'a>> {
    let mut units = Vec::new();
    for (t, table) in file.tables.iter().enumerate() {
        for block in 0..table.blocks() {
            let unit = table.unit(file, block);
            if share.is_some_and(|share| !share.contains(&unit)) {
                continue;
            }
            let row = ledger.read(Stage::Catalog, &unit)?;
            let settled = table.problem.is_none()
                && row.is_some_and(|row| {
                    // Without digests a file of the same size is the same, unless it has other rows.
                    row.rows_in == rows_of(file, (t, block))
                        && row.settles(&file.stage_hash, std::slice::from_ref(&file.record))
                        && row.outputs_stand(&plan.folder)
                });
            if settled {
                report.settled += 1;
            } else {
                units.push((t, block));
            }
        }
    }
    Ok(Work { file, units })
}

/// Takes back what earlier runs left of tables that are now cut otherwise or no longer there.
fn remove_cut_off(plan: &Plan, ledger: &Ledger, survey: &Survey) -> Result<()> {
    let mut blocks: BTreeMap<(bool, &str, &str), u32> = BTreeMap::new();
    for file in &survey.files {
        let declared = plan.catalogs[file.catalog].declaration().is_some();
        for name in &file.wanted {
            let table = file.tables.iter().find(|table| table.table == *name);
            let key = (declared, name.as_str(), file.stem.as_str());
            blocks.insert(key, table.map_or(0, TableSurvey::blocks));
        }
    }
    for unit in ledger.units(Stage::Catalog)? {
        let UnitId::Catalog { declared, table, file, block } = &unit else { continue };
        if blocks.get(&(*declared, table, file)).is_some_and(|blocks| block >= blocks) {
            // An account without its file is found again after a kill; a file without account would not be.
            sink::remove_stale(&plan.folder.join(output_path(&unit)))?;
            ledger.retract(Stage::Catalog, &unit)?;
        }
    }
    Ok(())
}

/// Takes file after file until there are none left.
fn run_lane(
    shop: &Shop<'_>,
    works: &[Work<'_>],
    next: &AtomicUsize,
) -> Result<(Vec<LedgerRow>, StepSeconds)> {
    let mut rows = Vec::new();
    let mut seconds = StepSeconds::default();
    while let Some(work) = works.get(next.fetch_add(1, Ordering::Relaxed))
        && !shop.progress.should_stop()
    {
        let started = std::time::Instant::now();
        rows.extend(run_file(shop, work)?);
        seconds.compute += started.elapsed().as_secs_f64();
    }
    Ok((rows, seconds))
}

/// Writes the units of a file, or their accounts where it cannot be read.
fn run_file(shop: &Shop<'_>, work: &Work<'_>) -> Result<Vec<LedgerRow>> {
    let file = work.file;
    let catalog = &shop.plan.catalogs[file.catalog];
    let writer = |t: usize, block: u32| UnitWriter::begin(shop, catalog, file, &file.tables[t], block);
    let mut rows = Vec::new();
    let mut source = None;
    for (t, table) in file.tables.iter().enumerate() {
        let blocks = || work.units.iter().filter(move |(of, _)| *of == t).map(|(_, block)| *block);
        if let Some((state, reason)) = &table.problem {
            for block in blocks() {
                rows.push(writer(t, block).leave(*state, reason.clone())?);
            }
            continue;
        }
        if blocks().next().is_none() {
            continue;
        }
        if source.is_none() {
            let path = shop.plan.run_file.input.root.join(&file.record.path);
            source = Some(Source::open(path, &OpenOptions::default()).map_err(|error| Failure::of(&error)));
        }
        let opened = match source.as_ref() {
            Some(Ok(source)) => open_table(source, catalog, file, table).map_err(|error| Failure::of(&error)),
            Some(Err(failure)) => Err(failure.clone()),
            None => continue,
        };
        for block in blocks().take_while(|_| !shop.progress.should_stop()) {
            rows.push(match &opened {
                Ok(opened) => writer(t, block).write(opened)?,
                Err(failure) => writer(t, block).fail(failure.clone())?,
            });
        }
    }
    Ok(rows)
}

/// What a plan's catalogues hold, one sentence for each table of a file; for many files, for all of them.
pub(crate) fn forecast(plan: &Plan) -> String {
    /// Files of a catalogue that are told apart.
    const TOLD: usize = 12;
    let survey = Survey::take(plan);
    let mut text = String::new();
    for (n, catalog) in plan.catalogs.iter().enumerate() {
        let files = || survey.files.iter().filter(move |file| file.catalog == n);
        let tables = || files().flat_map(|file| file.tables.iter().map(move |table| (file, table)));
        for (file, table) in tables() {
            let (name, path) = (&table.table, &file.record.path);
            match &table.problem {
                Some((_, reason)) => text.push_str(&format!("Will not take {name} from {path}: {reason}\n")),
                None if catalog.files.len() > TOLD => {}
                None => {
                    let of_release = if table.declared {
                        format!(" of release {} for {}", file.release, file.specprod)
                    } else {
                        String::new()
                    };
                    text.push_str(&taken(&format!("{name} from {path}{of_release}"), [table]));
                }
            }
        }
        if catalog.files.len() > TOLD {
            let good: Vec<&TableSurvey> =
                tables().map(|(_, table)| table).filter(|table| table.problem.is_none()).collect();
            let what = format!("{} tables from {} files of {}", good.len(), files().count(), catalog.name());
            text.push_str(&taken(&what, good));
        }
    }
    if plan.run_file.input.digest == DigestSetting::Full && !survey.files.is_empty() {
        let mb = survey.bytes() as f64 / 1e6;
        text.push_str(&format!("Will take the SHA-256 of {mb:.1} MB of catalogues not seen before.\n"));
    }
    text
}

/// That some tables will be taken, and how much they are.
fn taken<'t>(what: &str, tables: impl IntoIterator<Item = &'t TableSurvey>) -> String {
    let (rows, bytes) =
        tables.into_iter().fold((0, 0), |(rows, bytes), table| (rows + table.rows, bytes + table.bytes));
    format!("Will take {what}: {rows} rows, {:.1} MB.\n", bytes as f64 / 1e6)
}

/// The units of the run's catalogues, or of the plan's shard of them, as last surveyed, and what is not surveyed under the present settings.
///
/// # Errors
/// Where the record cannot be understood.
pub(crate) fn expected(plan: &Plan) -> Result<(Vec<Expected>, Vec<String>)> {
    let survey = Survey::read(plan)?;
    let (mut units, mut unknown) = (Vec::new(), Vec::new());
    for planned in survey.of_plan(plan) {
        match planned.survey {
            Some(found) => units.extend(found.units()),
            None => unknown.push(format!("{} of {}", planned.file.name, planned.catalog.name())),
        }
    }
    if let Some(share) = share(plan, &survey) {
        units.retain(|found| share.contains(&found.unit));
    }
    Ok((units, unknown))
}

/// Units with rows in the lake that the run file's catalogues, as last surveyed, do not have.
///
/// # Errors
/// Where the ledger or the record cannot be read.
pub(crate) fn elsewhere(plan: &Plan) -> Result<Vec<String>> {
    let accounted = Ledger::of_run(&plan.folder).units(Stage::Catalog)?;
    if accounted.is_empty() {
        return Ok(Vec::new());
    }
    let present: BTreeSet<UnitId> = expected(plan)?.0.into_iter().map(|found| found.unit).collect();
    Ok(accounted.iter().filter(|unit| !present.contains(unit)).map(ToString::to_string).collect())
}
