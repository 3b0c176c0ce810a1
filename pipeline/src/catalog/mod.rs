//! `catalog`: what a FITS file holds, its tables as Parquet, whatever their columns, and whether a run has them right.

pub(crate) mod convert;
mod inspect;
mod tally;
pub(crate) mod verify;

use crate::cli::{CatalogCommand, TableArgs};
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::fits::Source;
use crate::fits::bintable::{NanPolicy, Policy, TableOptions, TextPolicy, TnullPolicy};
use crate::fits::prescan::{HduInfo, HduKind, TableInfo};

/// Carries out `catalog`.
///
/// # Errors
/// Where the file cannot be read, an argument names nothing in it, or the disk refuses.
pub(crate) fn run(command: &CatalogCommand, environment: &Environment) -> Result<Exit> {
    match command {
        CatalogCommand::Inspect(args) => inspect::run(args),
        CatalogCommand::Convert(args) => convert::run(args),
        CatalogCommand::Verify(args) => verify::run(args, environment),
    }
}

/// The HDU that `--hdu` names: by EXTNAME first, then by number.
fn find_hdu<'s>(source: &'s Source, wanted: &str) -> Result<&'s HduInfo> {
    let by_number = || wanted.parse::<usize>().ok().and_then(|n| source.hdus().get(n));
    source.find(wanted).or_else(by_number).ok_or_else(|| Error::Argument {
        argument: "--hdu",
        problem: format!("{} has no HDU {wanted}; it has {}", source.path().display(), labels(source)),
    })
}

fn labels(source: &Source) -> String {
    let labels: Vec<String> = source.hdus().iter().map(|hdu| hdu.label().to_string()).collect();
    labels.join(", ")
}

/// The table of an HDU, where it is one.
fn table_of(hdu: &HduInfo) -> Option<&TableInfo> {
    match &hdu.kind {
        HduKind::Table(table) => Some(table),
        HduKind::Image(_) | HduKind::CompressedImage { .. } | HduKind::Other { .. } => None,
    }
}

/// How the table is read, every column it names being there.
fn options(args: &TableArgs, table: &TableInfo) -> Result<TableOptions> {
    if let Some(wrong) = args.columns.iter().flatten().find(|name| table.column(name).is_none()) {
        let near = table
            .columns
            .iter()
            .map(|column| {
                (strsim::jaro_winkler(&column.name.to_lowercase(), &wrong.to_lowercase()), &column.name)
            })
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"));
        return Err(Error::Argument {
            argument: "--columns",
            problem: format!("there is no column {wrong}{near}"),
        });
    }
    let nan = if args.nan_is_null { NanPolicy::Null } else { NanPolicy::Keep };
    let text = if args.replace_text { TextPolicy::Replace } else { TextPolicy::Refuse };
    let policy = Policy { nan, tnull: TnullPolicy::from(args.tnull), text };
    Ok(TableOptions { columns: args.columns.clone(), policy, ..TableOptions::default() })
}
