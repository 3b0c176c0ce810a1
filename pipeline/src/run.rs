//! What each command does: the program's table of contents.

use std::io::Write as _;
use std::time::Instant;

use specmill_kernels::{Backend, Device, Opened};

use crate::cli::{Cli, Command, ExecuteArgs, RunArgs, StatusArgs};
use crate::config::Environment;
use crate::error::{Error, Result, reason_of};
use crate::exit::Exit;
use crate::images::KernelCache;
use crate::interrupt::Interrupt;
use crate::inventory::Inventory;
use crate::observe::{Metrics, Outlets, Progress};
use crate::plan::Plan;
use crate::record::{RunRecord, StageRecord, new_run_id};
use crate::stage::Stage;
use crate::stages::StageReport;
use crate::status::Status;
use crate::{
    catalog, db, doctor, export, job, ledger, report, rerun, show, similar, simulate, sink, stages,
    termination, verify,
};

/// Carries out a command; errors are printed with their causes and a way out.
pub fn run(cli: &Cli, environment: &Environment) -> Exit {
    let result = match &cli.command {
        Command::Plan(args) => plan(args),
        Command::Run(args) => execute(args, environment),
        Command::Inventory(args) => inventory(args),
        Command::Status(args) => status(args, environment),
        Command::Verify(args) => verify::run(args),
        Command::Rerun(args) => rerun::run(args, environment),
        Command::Job(command) => job::run(command, environment),
        Command::Doctor(args) => doctor::run(args, environment),
        Command::Db(command) => db::run(command, environment),
        Command::Similar(args) => similar::run(args, environment),
        Command::Export(args) => export::run(args, environment),
        Command::Show(args) => show::run(args),
        Command::Catalog(command) => catalog::run(command, environment),
        Command::Simulate(args) => simulate::run(args),
    };
    result.unwrap_or_else(|error| {
        report_error(&error, environment);
        termination::write(environment.termination_message.as_deref(), error.exit(), &reason_of(&error));
        error.exit()
    })
}

/// Prints a result on standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::io("cannot write to standard output"))
}

fn report_error(error: &Error, environment: &Environment) {
    if environment.logs_json() {
        // Who reads the log line by line reads this, too.
        return tracing::error!(exit = error.exit().code(), help = error.help(), "{}", reason_of(error));
    }
    let mut text = format!("error: {error}\n");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("  because: {cause}\n"));
        source = cause.source();
    }
    if let Some(help) = error.help() {
        text.push_str(&format!("help: {help}\n"));
    }
    // Nothing is left to be told where standard error is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn plan(args: &RunArgs) -> Result<Exit> {
    let plan = Plan::read(&args.run_file, &args.overrides())?;
    let inventory = stages::inventory::survey(&plan)?;
    let spectra = if plan.has_spectra() { report::forecast(&plan, &inventory) } else { String::new() };
    let catalogs = stages::catalog::forecast(&plan);
    print(&format!("{}{spectra}{catalogs}", plan.describe()))?;
    Ok(Exit::Complete)
}

fn inventory(args: &RunArgs) -> Result<Exit> {
    let plan = Plan::read(&args.run_file, &args.overrides())?;
    let inventory = stages::inventory::run(&plan);
    sink::remove_partial(&plan.folder)?;
    let inventory = inventory?;
    print(&report::inventory_table(&inventory))?;
    Ok(if has_broken(&inventory) { Exit::Partial } else { Exit::Complete })
}

fn status(args: &StatusArgs, environment: &Environment) -> Result<Exit> {
    // It loses nothing, whenever it ends.
    Interrupt::listen(environment)?;
    let plan = Plan::read(&args.run.run_file, &args.run.overrides())?;
    let inventory = stages::inventory::load(&plan)?;
    let status = Status::read(&plan, &inventory)?;
    if args.merge {
        ledger::merge(&plan.folder)?;
    }
    if args.tidy {
        sink::remove_partial(&plan.folder)?;
    }
    print(&status.render())?;
    Ok(accepted(status.exit(), &status, args.accept_partial, environment))
}

/// How a pod ends that has done all it could: what is wrong is in the ledger, and trying again would not change it.
fn accepted(exit: Exit, status: &Status, accept_partial: bool, environment: &Environment) -> Exit {
    if exit == Exit::Complete {
        return exit;
    }
    termination::write(environment.termination_message.as_deref(), exit, &status.summary());
    if exit == Exit::Partial && accept_partial && !status.has_units_left() { Exit::Complete } else { exit }
}

/// The one executor: every stage of a run file, on one machine or in a pod.
pub(crate) fn execute(args: &ExecuteArgs, environment: &Environment) -> Result<Exit> {
    let interrupt = Interrupt::listen(environment)?;
    let plan = Plan::read(&args.run.run_file, &args.overrides())?;
    execute_plan(&plan, args, environment, &interrupt)
}

/// Carries out a plan; metrics tell how it ended, whichever way.
pub(crate) fn execute_plan(
    plan: &Plan,
    args: &ExecuteArgs,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let run_id = new_run_id();
    let _in_run = tracing::error_span!("run", run = run_id).entered();
    let metrics = Metrics::of_run(&run_id);
    let outlets = Outlets::open(&args.metrics, &metrics, &run_id)?;
    interrupt.work_begins();
    let work = RunStages { plan, environment, metrics: &metrics, interrupt, args, run_id: &run_id };
    let result = carry_out(work);
    if environment.logs_json()
        && let Err(error) = &result
    {
        tracing::error!(exit = error.exit().code(), reason = reason_of(error), "the run ended early");
    }
    metrics.run_ends(&result, &plan.device.to_string());
    outlets.close();
    result
}

fn carry_out(work: RunStages<'_>) -> Result<Exit> {
    let RunStages { plan, environment, .. } = work;
    // Inventory and loading compute nothing: they need no card.
    let computes = plan.stages.iter().any(|stage| stage.computes());
    let device = if computes { plan.device } else { Device::Cpu };
    let (opened, fallback) = device.open(plan.run_file.resources.threads, &KernelCache::of(environment))?;
    if let Some(reason) = fallback {
        tracing::warn!("computing on the CPU: {reason}");
    }
    if plan.stages.contains(&Stage::Load) {
        // Better now than after hours of the stages before.
        sink::postgres::Database::open(environment, &plan.folder)?;
    }
    // Shards, and loaders, of one folder work side by side: none removes what another is writing.
    let alone = plan.shard.is_none() && plan.stages.iter().any(|stage| *stage != Stage::Load);
    if alone {
        sink::remove_partial(&plan.folder)?;
    }
    let exit = on_device(opened, work);
    if alone {
        sink::remove_partial(&plan.folder)?;
    }
    exit
}

/// What is done on a device, whichever it is.
pub(crate) trait Work {
    /// What comes of it.
    type Outcome;

    /// Does it.
    fn on<B: Backend>(self, dev: &B) -> Self::Outcome;
}

/// Does some work on an opened device: the one place where a device becomes a backend.
pub(crate) fn on_device<W: Work>(opened: Opened, work: W) -> W::Outcome {
    match opened {
        Opened::Cpu(cpu) => work.on(&cpu),
        Opened::Cuda(card) => work.on(&*card),
    }
}

/// The stages of a plan.
struct RunStages<'a> {
    plan: &'a Plan,
    environment: &'a Environment,
    metrics: &'a Metrics,
    interrupt: &'a Interrupt,
    args: &'a ExecuteArgs,
    run_id: &'a str,
}

impl Work for RunStages<'_> {
    type Outcome = Result<Exit>;

    fn on<B: Backend>(self, dev: &B) -> Result<Exit> {
        run_stages(dev, &self)
    }
}

fn has_broken(inventory: &Inventory) -> bool {
    inventory.entries.iter().any(|entry| entry.state.reason().is_some())
}

fn run_stages<B: Backend>(dev: &B, run: &RunStages<'_>) -> Result<Exit> {
    let plan = run.plan;
    run.metrics.runs_on(&dev.info());
    let mut record = RunRecord::begin(plan, &dev.info(), run.run_id);
    let inventory = match run_each(dev, run, &mut record) {
        Ok(inventory) => inventory,
        Err(error) => {
            // What the stages before did is worth keeping; what went wrong is worth more.
            if let Err(lost) = record.commit(plan, Some(error.exit())) {
                tracing::warn!("the run record is not written: {lost}");
            }
            return Err(error);
        }
    };
    let status = Status::read(plan, &inventory)?;
    run.metrics.deserves(status.exit());
    let exit = accepted(status.exit(), &status, run.args.accept_partial, run.environment);
    let path = record.commit(plan, Some(exit))?;
    print(&format!("{}{}{}", record.render(), status.render(), report::outputs(plan, &path)))?;
    Ok(exit)
}

/// Runs every stage in order; the inventory is what they were about.
fn run_each<B: Backend>(dev: &B, run: &RunStages<'_>, record: &mut RunRecord) -> Result<Inventory> {
    let RunStages { plan, environment, metrics, interrupt, .. } = *run;
    let mut inventory: Option<Inventory> = None;
    for &stage in &plan.stages {
        let started = Instant::now();
        let _in_stage = tracing::error_span!("stage", stage = stage.name()).entered();
        tracing::info!(stage = stage.name(), "stage begins");
        let progress = Progress::new(stage, metrics, interrupt);
        let report = if stage == Stage::Inventory {
            let found = stages::inventory::run(plan)?; // global: release tree → inventory.parquet
            progress.inventory(&found);
            let done = StageRecord::of_inventory(&found);
            inventory = Some(found);
            done
        } else {
            let found = match inventory.take() {
                Some(found) => found,
                None => own_inventory(plan)?,
            };
            let report = match stage {
                Stage::Inventory => StageReport::default(),
                Stage::Catalog => stages::catalog::run(plan, &progress)?, // map: catalogues' tables → catalog/, catalog_raw/
                Stage::Extract => stages::extract::run(dev, plan, &found, &progress)?, // map: coadd + redshifts → features/, spectra/
                Stage::FitBasis => stages::fit_basis::run(dev, plan, &found, &progress)?, // global: sample of spectra/ → models/
                Stage::Embed => stages::embed::run(dev, plan, &found, &progress)?, // map: spectra/ + models/ → embeddings/
                Stage::Neighbors => stages::neighbors::run(dev, plan, &found, &progress)?, // global: embeddings/ → neighbors/, scores/
                Stage::Load => {
                    // The database gets the record of this run, too, as far as it is.
                    record.commit(plan, None)?;
                    sink::postgres::load::run(plan, environment, &progress)? // sink: all of it → PostgreSQL
                }
            };
            inventory = Some(found);
            let done = StageRecord::of_report(&report);
            record.keep(report.written);
            done
        };
        let seconds = started.elapsed().as_secs_f64();
        report.tell(stage, seconds);
        record.add(stage, report, seconds);
        if interrupt.is_set() {
            return Err(Error::Interrupted);
        }
    }
    match inventory {
        Some(found) => Ok(found),
        None => own_inventory(plan),
    }
}

/// The inventory an earlier run left, or the plan's shard of it.
fn own_inventory(plan: &Plan) -> Result<Inventory> {
    let inventory = stages::inventory::load(plan)?;
    Ok(plan.shard.map(|shard| shard.take(&inventory)).unwrap_or(inventory))
}
