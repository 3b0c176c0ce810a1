//! `rerun`: a recorded run once more, and the two compared.
//!
//! What is run again is what the record's folder holds: a record of one stage, or of one shard of it, stands for the
//! run that it was a part of, so that every stage with accounts in that folder is run again, whole, under the settings
//! of the record. Only `load` is not: a rerun fills nobody's database. The new folder remembers which record it
//! repeats, and the same command goes on in it after an interruption.

mod difference;
mod original;

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::cli::{ExecuteArgs, MetricsArgs, RerunArgs, RunArgs};
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::inputs::Inputs;
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::run::{execute_plan, print};
use crate::stage::Stage;
use crate::stages::{catalog, inventory};
use crate::{sink, verify};

use difference::Differences;
use original::Original;

/// In the new folder: which record it repeats.
const MARK: &str = "rerun.json";
/// Where unfinished files lie; what a run that was killed at its beginning leaves.
const PARTIAL: &str = ".partial";

/// What a folder repeats.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The record's run.
    run_id: String,
}

/// Says what differs, runs again and compares.
///
/// # Errors
/// Where the record cannot be followed, the new folder is another run's, or the run ends with an error.
pub(crate) fn run(args: &RerunArgs, environment: &Environment) -> Result<Exit> {
    let interrupt = Interrupt::listen(environment)?;
    let original = Original::read(&args.from)?;
    let mark = Mark { run_id: original.record.run_id.clone() };
    check_folder(&args.out, &original.folder, &mark)?;
    let (plan, said) = original.plan(args)?;
    if args.check {
        // The inventory is taken aside, so that nothing is left.
        let aside = tempfile::tempdir().map_err(Error::io("cannot make a temporary folder"))?;
        let differences = differences(&original, &Plan { folder: aside.path().to_owned(), ..plan })?;
        print(&format!("{said}{}", differences.render(&original)))?;
        return Ok(if differences.any() { Exit::Partial } else { Exit::Complete });
    }
    write_mark(&plan.folder, &mark)?;
    let differences = differences(&original, &plan)?;
    print(&format!("{said}{}", differences.render(&original)))?;
    let exit = execute_plan(&plan, &execute_args(args), environment, &interrupt)?;
    let report = verify::compare(&original.folder, &plan.folder, 0)?;
    print(&report.render())?;
    Ok(if exit == Exit::Complete { report.exit() } else { exit })
}

/// Takes the inventory of what is there now and compares.
fn differences(original: &Original, plan: &Plan) -> Result<Differences> {
    inventory::run(plan)?;
    // Where their own stage is not of the run, the inventory has looked into catalogues already.
    if !plan.catalogs.is_empty() && plan.stages.contains(&Stage::Catalog) {
        catalog::survey(plan)?;
    }
    let recorded = Inputs::of_folder(&Plan { folder: original.folder.clone(), ..plan.clone() })?;
    let now = Inputs::of_folder(plan)?.unwrap_or_default();
    Ok(Differences::of(original, plan, recorded, &now))
}

fn execute_args(args: &RerunArgs) -> ExecuteArgs {
    ExecuteArgs {
        run: RunArgs {
            run_file: args.from.clone(),
            stages: Vec::new(),
            device: args.device.clone(),
            threads: args.threads,
            batch_rows: None,
            input: args.input.clone(),
            out: Some(args.out.clone()),
        },
        shard: None,
        accept_partial: false,
        metrics: MetricsArgs::default(),
    }
}

/// Refuses a folder that holds anything but what this rerun left in it.
fn check_folder(out: &Path, original: &Path, mark: &Mark) -> Result<()> {
    let refuse = |problem: String| Err(Error::Argument { argument: "--out", problem });
    let absolute = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // A folder that is not there yet lies where its nearest ancestor does, unless it goes up again.
    let whole = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let nearest = whole.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new(""));
    let missing = whole.strip_prefix(nearest).unwrap_or(&whole);
    if missing.components().any(|part| part == Component::ParentDir) {
        return refuse(format!("{} leads through `..` out of a folder that is not there", out.display()));
    }
    if absolute(nearest).starts_with(absolute(original)) {
        return refuse(format!("{} lies in the original's folder: give one of its own", out.display()));
    }
    let entries = match fs_err::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return refuse(error.to_string()),
    };
    let is_empty = entries.into_iter().all(|entry| entry.is_ok_and(|entry| entry.file_name() == PARTIAL));
    if is_empty {
        return Ok(());
    }
    let found: Option<Mark> =
        fs_err::read_to_string(out.join(MARK)).ok().and_then(|text| serde_json::from_str(&text).ok());
    match found {
        Some(found) if found == *mark => Ok(()),
        Some(found) => refuse(format!("{} repeats another run, {}", out.display(), found.run_id)),
        None => refuse(format!("{} is not empty, and no rerun of {}", out.display(), mark.run_id)),
    }
}

fn write_mark(folder: &Path, mark: &Mark) -> Result<()> {
    let path = folder.join(MARK);
    let text = serde_json::to_string_pretty(mark)
        .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
    sink::write_record(folder, &path, text.as_bytes())
}
