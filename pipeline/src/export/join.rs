//! `export --join`: rows of several tables of the run folder, without a server.

use crate::cli::ExportArgs;
use crate::error::Result;
use crate::exit::Exit;

use super::wrong;

/// Carries out `export --join`.
///
/// # Errors
/// Where no join has this name, a file of the run folder is not what it must be, a row would come out twice, or the disk
/// refuses; then no file is left.
#[cfg(feature = "joins")]
pub(super) fn run(args: &ExportArgs, name: &str) -> Result<Exit> {
    use specmill_schemas::joins::{join, joins};

    use crate::plan::{Overrides, Plan};

    let format = super::Format::of(&args.out)?;
    let join = join(name).ok_or_else(|| {
        let names: Vec<&str> = joins().iter().map(|join| join.name).collect();
        wrong("--join", format!("`{name}` is not one of {}", names.join(", ")))
    })?;
    let overrides = Overrides { folder: args.run_folder.clone(), ..Overrides::default() };
    let plan = Plan::read(&args.run_file, &overrides)?;
    with_polars::check(&plan)?;
    let rows = with_polars::write(&join, &plan.folder, format, &args.out)?;
    crate::run::print(&format!("wrote {rows} rows of {} to {}\n", join.full_name(), args.out.display()))?;
    Ok(Exit::Complete)
}

/// Says what is missing.
#[cfg(not(feature = "joins"))]
pub(super) fn run(_args: &ExportArgs, name: &str) -> Result<Exit> {
    use specmill_schemas::joins::join;

    let view = join(name).map_or_else(|| "the view of a database".to_owned(), |join| join.full_name());
    let build = "cargo build --release -p specmill --features joins";
    Err(wrong(
        "--join",
        format!("this program is built without joins: `{build}`, or export {view} by its name"),
    ))
}

#[cfg(feature = "joins")]
mod with_polars {
    use std::collections::{BTreeMap, HashMap};
    use std::path::Path;
    use std::sync::Arc;

    use specmill_joins::{Fault, SLICE_ROWS, UnitFile, export};
    use specmill_schemas::joins::{Join, Source};

    use super::super::{Format, Writer, to_file, wrong};
    use crate::error::{Error, Result};
    use crate::ledger::Ledger;
    use crate::plan::Plan;
    use crate::sink::postgres::export::Shape;
    use crate::stage::Stage;
    use crate::stages::catalog;
    use crate::unit::UnitId;

    /// Refuses a run folder with catalogues that the run file does not name, or whose keys nobody has compared: their
    /// rows would come twice.
    pub(super) fn check(plan: &Plan) -> Result<()> {
        if plan.catalogs.is_empty() {
            return Ok(());
        }
        let strange = catalog::elsewhere(plan)?;
        if let Some(first) = strange.first() {
            let more = strange.len() - 1;
            return Err(wrong(
                "--join",
                format!(
                    "the run folder has {first} and {more} more units that the run file does not name: \
                     name their files, or use another run folder"
                ),
            ));
        }
        match catalog::unchecked_tables(plan)?.first() {
            Some(table) => {
                Err(wrong("--join", format!("{table} were not compared yet: run the stage catalog again")))
            }
            None => Ok(()),
        }
    }

    /// Writes every row of a join to a file, as the database writes those of its view.
    pub(super) fn write(join: &Join, folder: &Path, format: Format, out: &Path) -> Result<u64> {
        let files = files(folder)?;
        let of = |source: &Source| files.get(&source.full_name()).cloned().unwrap_or_default();
        let table = join.table();
        let metadata = HashMap::from([("specmill.table".to_owned(), join.full_name())]);
        let schema = Arc::new(table.arrow_schema().with_metadata(metadata));
        to_file(format, &Shape { table, schema }, out, |writer: &mut Writer| {
            let found = export(join, &of, SLICE_ROWS, &mut |batch| writer.append(batch, out));
            found.map(|summary| summary.rows).map_err(|fault| match fault {
                Fault::Join(failure) => Error::from(Box::new(failure)),
                Fault::Taker(error) => error,
            })
        })
    }

    /// The files of every table that joins know, as the ledger has them.
    fn files(folder: &Path) -> Result<BTreeMap<String, Vec<UnitFile>>> {
        let ledger = Ledger::of_run(folder);
        let mut files: BTreeMap<String, Vec<UnitFile>> = BTreeMap::new();
        for stage in [Stage::Extract, Stage::Catalog] {
            for unit in ledger.units(stage)? {
                let Some(row) = ledger.read(stage, &unit)? else { continue };
                for output in &row.outputs {
                    let Some(table) = table_of(&unit, &output.path) else { continue };
                    let path = folder.join(&output.path);
                    let bytes = fs_err::metadata(&path).map(|found| found.len());
                    if bytes.as_ref().ok() != Some(&output.bytes) {
                        let found =
                            bytes.map_or_else(|error| error.to_string(), |bytes| format!("{bytes} bytes"));
                        let problem = format!("{found}, but the ledger says {} bytes", output.bytes);
                        return Err(Error::Lake { path, problem });
                    }
                    files.entry(table).or_default().push(UnitFile { unit: unit.to_string(), path });
                }
            }
        }
        Ok(files)
    }

    /// The table that a unit's output belongs to; `None` for those that are not joined.
    fn table_of(unit: &UnitId, path: &str) -> Option<String> {
        match unit {
            UnitId::Catalog { declared: true, table, .. } => Some(format!("catalog.{table}")),
            UnitId::Healpix { .. } | UnitId::Tile { .. } if path.starts_with("features/") => {
                Some("spectra.features".to_owned())
            }
            UnitId::Catalog { .. } | UnitId::Healpix { .. } | UnitId::Tile { .. } | UnitId::Model { .. } => {
                None
            }
        }
    }
}
