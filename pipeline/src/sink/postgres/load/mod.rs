//! `load`: a run folder's results → PostgreSQL, each unit in one transaction.
//!
//! A unit whose digests the database already has is left alone; of any other, what changed goes and what is new
//! comes, or the database keeps what it had. Several loaders may work side by side: each unit is taken with a lock
//! that ends with its transaction.

mod accounts;
mod budget;
mod model;
mod part;
mod queue;
mod unit;
mod wanted;

use std::time::{Duration, Instant};

use super::{Database, DatabaseError};
use crate::config::Environment;
use crate::error::{Error, ErrorClass, Result};
use crate::ledger::{Ledger, LedgerRow, RowCounts, State};
use crate::observe::Progress;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::stages::StageReport;
use crate::unit::UnitId;

use budget::{Budget, WalBudget};
use queue::{Item, Queue};
use unit::{Ending, Patience};
use wanted::{ModelKey, Wanted, Work, unit_work};

/// Between attempts at the same unit over new connections; after the last the command ends.
const RETRY_AFTER: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(800), Duration::from_secs(2), Duration::from_secs(5)];

/// Why a unit is not in the database.
#[derive(Debug)]
enum Fault {
    /// Its file is missing, damaged, or not the one accounted for.
    File(String),
    /// A row of it must not be loaded, or the database will not have it.
    Row(String),
    /// The database refuses everything, or is lost.
    Database(DatabaseError),
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        if matches!(error, DatabaseError::DuplicateKey { .. } | DatabaseError::RowRefused { .. }) {
            Self::Row(error.to_string())
        } else {
            Self::Database(error)
        }
    }
}

/// What every connection shares.
struct Shop<'a> {
    plan: &'a Plan,
    wanted: &'a Wanted,
    /// Models that the database does not have although the run does: their own transactions failed.
    absent: Vec<ModelKey>,
    ledger: Ledger,
    wal: WalBudget,
    progress: &'a Progress,
}

/// What one connection did.
#[derive(Default)]
struct Tally {
    report: StageReport,
    /// Models whose units the database holds as they should be.
    models: Vec<UnitId>,
    /// The first row that was refused.
    refused: Option<DatabaseError>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.report.written.extend(other.report.written);
        self.report.settled += other.report.settled;
        self.report.seconds.add(other.report.seconds);
        self.models.extend(other.models);
        if self.refused.is_none() {
            self.refused = other.refused;
        }
    }
}

/// Brings the database to what the run folder holds.
///
/// # Errors
/// Where the database cannot be reached, is not of the right version, refuses or is lost: what was committed stays,
/// nothing is in between. A unit whose file or rows are at fault is in the ledger instead; where the database, or
/// this program on its behalf, refused a row, that is the error at the end.
pub(crate) fn run(plan: &Plan, environment: &Environment, progress: &Progress) -> Result<StageReport> {
    let wanted = Wanted::read(plan)?;
    if wanted.is_empty() {
        return Err(Error::NoInventory { folder: plan.folder.clone() });
    }
    let database = Database::open(environment, &plan.folder)?;
    let budget = Budget::read(&database, plan, wanted.units.len()).map_err(Box::new)?;
    let mut shop = Shop {
        plan,
        wanted: &wanted,
        absent: Vec::new(),
        ledger: Ledger::of_run(&plan.folder),
        wal: WalBudget::new(budget.wal_bytes),
        progress,
    };
    progress.start(wanted.rows, wanted.models.len() + wanted.units.len(), 0);
    tell_ages(&shop);
    model::hold(&database, &wanted.fits.keys).map_err(Box::new)?;
    let connections = connect(database, budget.connections).map_err(Box::new)?;
    // Vectors need their model's partition: models first.
    let models = Queue::new(0..wanted.models.len());
    let (connections, mut tally) = work(&shop, &models, Kind::Model, connections)?;
    if let Some(database) = connections.first() {
        shop.absent = model::absent(database, &wanted.fits.keys).map_err(Box::new)?;
    }
    let units = Queue::new(0..wanted.units.len());
    let (connections, done) = work(&shop, &units, Kind::Unit, connections)?;
    tally.add(done);
    progress.finish();
    if let Some(database) = connections.first() {
        let standing = wanted.models.iter().filter(|work| tally.models.contains(&work.unit));
        model::retire(database, standing).map_err(Box::new)?;
        if !tally.report.written.is_empty() {
            accounts::copy_run_records(database, &plan.folder)?;
        }
    }
    tally.report.written.sort_by(|a, b| a.unit.cmp(&b.unit));
    match tally.refused {
        Some(error) => Err(Error::from(Box::new(error))),
        None => Ok(tally.report),
    }
}

/// Tells the metrics how old the results are that no load is on record of since they were made.
fn tell_ages(shop: &Shop<'_>) {
    let models = shop.wanted.models.iter().map(|work| &work.unit);
    for unit in models.chain(&shop.wanted.units) {
        let maker = match unit {
            UnitId::Healpix { .. } | UnitId::Tile { .. } => Stage::Extract,
            UnitId::Model { .. } => Stage::FitBasis,
            UnitId::Catalog { .. } => Stage::Catalog,
        };
        let made = shop.ledger.written_at(maker, unit);
        let loaded = shop.ledger.written_at(Stage::Load, unit);
        if let Some(made) = made.filter(|made| loaded.is_none_or(|loaded| loaded < *made)) {
            shop.progress.made(unit, made);
        }
    }
}

/// Every unit that a run folder has for the database, with the hash that its account has once it is loaded.
///
/// # Errors
/// Where the ledger cannot be read.
pub(crate) fn expected(plan: &Plan) -> Result<Vec<(UnitId, String)>> {
    let wanted = Wanted::read(plan)?;
    let ledger = Ledger::of_run(&plan.folder);
    let models = wanted.models.iter().map(|work| Ok((work.unit.clone(), work.load_hash())));
    let units = wanted.units.iter().map(|unit| {
        let work = unit_work(&ledger, unit, &wanted.fits)?;
        Ok((work.unit.clone(), work.load_hash()))
    });
    models.chain(units).collect()
}

fn connect(first: Database, n: usize) -> std::result::Result<Vec<Database>, DatabaseError> {
    let mut connections = vec![first];
    while connections.len() < n {
        match connections[0].another() {
            Ok(database) => connections.push(database),
            Err(DatabaseError::Busy { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(connections)
}

/// What a queue holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Unit,
}

/// Every connection takes units until there are none left.
fn work(
    shop: &Shop<'_>,
    queue: &Queue,
    kind: Kind,
    connections: Vec<Database>,
) -> Result<(Vec<Database>, Tally)> {
    let span = tracing::Span::current();
    let results: Vec<(Database, Result<Tally>)> = std::thread::scope(|scope| {
        let lanes: Vec<_> = connections
            .into_iter()
            .map(|mut database| {
                let span = span.clone();
                scope.spawn(move || {
                    let _in_stage = span.entered();
                    let tally = run_lane(shop, queue, kind, &mut database);
                    if tally.is_err() {
                        queue.stop();
                    }
                    (database, tally)
                })
            })
            .collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let (mut connections, mut total) = (Vec::new(), Tally::default());
    for (database, tally) in results {
        connections.push(database);
        total.add(tally?);
    }
    Ok((connections, total))
}

fn run_lane(shop: &Shop<'_>, queue: &Queue, kind: Kind, database: &mut Database) -> Result<Tally> {
    let mut tally = Tally::default();
    while let Some(Item { index, patience }) = queue.next()
        && !shop.progress.should_stop()
    {
        let read;
        let work = match kind {
            Kind::Model => &shop.wanted.models[index],
            Kind::Unit => {
                let mut unit = unit_work(&shop.ledger, &shop.wanted.units[index], &shop.wanted.fits)?;
                unit.refuse_vectors_of(&shop.absent);
                read = unit;
                &read
            }
        };
        if let Some(outdated) = work.outdated {
            tracing::warn!(unit = %work.unit, "{outdated}");
        }
        let started = Instant::now();
        match attempt(shop, database, work, kind, patience) {
            Ok(Ending::Busy) => queue.postpone(index),
            Ok(ending) => tally.settle(shop, work, ending, started.elapsed().as_secs_f64())?,
            Err(Fault::Database(error)) => return Err(Error::from(Box::new(error))),
            Err(fault) => tally.fail(shop, work, fault, started.elapsed().as_secs_f64())?,
        }
    }
    Ok(tally)
}

/// Loads a unit, over new connections where one is lost.
fn attempt(
    shop: &Shop<'_>,
    database: &mut Database,
    work: &Work,
    kind: Kind,
    patience: Patience,
) -> std::result::Result<Ending, Fault> {
    if let Some(fault) = &work.fault {
        return Err(Fault::File(fault.clone()));
    }
    if work.unaccounted {
        return Ok(Ending::Settled { rows: 0 });
    }
    let mut waits = RETRY_AFTER.into_iter();
    loop {
        let outcome = match kind {
            Kind::Model => model::load(database, shop, work, patience),
            Kind::Unit => unit::load(database, shop, work, patience),
        };
        let Err(Fault::Database(error)) = outcome else { return outcome };
        let lost = error.is_lost_connection();
        if !(lost || matches!(error, DatabaseError::Contended { .. })) {
            return Err(Fault::Database(error));
        }
        let mut last = error;
        loop {
            let Some(wait) = waits.next() else { return Err(Fault::Database(last)) };
            tracing::warn!(unit = %work.unit, "{last}; trying again in {} ms", wait.as_millis());
            std::thread::sleep(wait);
            if !lost {
                break;
            }
            match database.another() {
                Ok(fresh) => {
                    model::hold(&fresh, &shop.wanted.fits.keys)?;
                    *database = fresh;
                    break;
                }
                Err(error) if error.is_lost_connection() => last = error,
                Err(error) => return Err(Fault::Database(error)),
            }
        }
    }
}

impl Tally {
    /// A unit is in the database; the local ledger learns it.
    fn settle(&mut self, shop: &Shop<'_>, work: &Work, ending: Ending, seconds: f64) -> Result<()> {
        let (rows, copied) = match ending {
            Ending::Settled { rows } => (rows, None),
            Ending::Loaded(copied) => (copied.rows, Some(copied)),
            Ending::Busy => return Ok(()),
        };
        if matches!(work.unit, UnitId::Model { .. }) {
            self.models.push(work.unit.clone());
        } else {
            shop.progress.advance(rows);
        }
        shop.progress.loaded(&work.unit);
        let mut counts = RowCounts::new();
        if rows > 0 {
            counts.entry(State::Done).or_default().insert(String::new(), rows);
        }
        let (state, reason) = work.outcome();
        let row = account(work, state, reason, counts, seconds);
        if copied.is_none() && same_but_for_time(shop.ledger.read(Stage::Load, &work.unit)?, &row) {
            self.report.settled += 1;
            shop.progress.settled();
            return Ok(());
        }
        shop.ledger.commit(&row)?;
        if let Some(copied) = copied {
            self.report.seconds.read += copied.read_seconds;
            self.report.seconds.write += copied.seconds;
            self.report.written.push(shop.progress.account(row));
        } else {
            self.report.settled += 1;
            shop.progress.settled();
        }
        Ok(())
    }

    /// A unit is not in the database, by its own fault.
    fn fail(&mut self, shop: &Shop<'_>, work: &Work, fault: Fault, seconds: f64) -> Result<()> {
        let class = match fault {
            Fault::File(_) => ErrorClass::Lake,
            Fault::Row(_) => ErrorClass::DatabaseRow,
            Fault::Database(_) => ErrorClass::Database,
        };
        let reason = match fault {
            Fault::File(reason) => reason,
            Fault::Row(reason) => {
                self.refused.get_or_insert_with(|| DatabaseError::RowRefused {
                    doing: format!("loading {}", work.unit),
                    reason: reason.clone(),
                });
                reason
            }
            Fault::Database(error) => error.to_string(),
        };
        let row = account(work, State::Failed, Some(reason), RowCounts::new(), seconds);
        shop.ledger.commit(&row)?;
        self.report.written.push(shop.progress.account_as(row, class));
        Ok(())
    }
}

fn account(work: &Work, state: State, reason: Option<String>, rows: RowCounts, seconds: f64) -> LedgerRow {
    LedgerRow {
        stage: Stage::Load,
        unit: work.unit.clone(),
        stage_hash: work.load_hash(),
        state,
        reason,
        rows_in: rows.values().flat_map(|reasons| reasons.values()).sum(),
        rows,
        inputs: work.inputs(),
        outputs: Vec::new(),
        notes: Vec::new(),
        seconds,
    }
}

fn same_but_for_time(old: Option<LedgerRow>, new: &LedgerRow) -> bool {
    old.is_some_and(|old| LedgerRow { seconds: new.seconds, ..old } == *new)
}
