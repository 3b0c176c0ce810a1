//! `verify`: two run folders compared, down to the value.
//!
//! First the accounts, then what decided them, then every file: it must still be what its account says, and where two
//! files of one path are not the same bytes they are compared column by column, row by row as they stand. Files are
//! read in pieces, side by side; what is found does not depend on how many at a time.

mod accounts;
mod column;
mod files;
mod report;
mod settings;
mod summary;
mod table;
mod verdict;

use std::collections::BTreeSet;
use std::path::Path;

use crate::cli::VerifyRunsArgs;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::run::print;
use crate::sink;
use crate::stage::Stage;

use accounts::Folders;
use report::{Part, SettingDifference};
pub(crate) use report::{Report, Verdict};
use settings::Records;
pub(crate) use settings::settings;

/// Compares two run folders and prints the verdict.
///
/// # Errors
/// Where one of them is none or cannot be read.
pub(crate) fn run(args: &VerifyRunsArgs) -> Result<Exit> {
    check_folder("A", &args.a)?;
    check_folder("B", &args.b)?;
    let report = compare(&args.a, &args.b, args.max_ulp)?;
    if report.is_of_nothing() {
        let problem = format!(
            "{} and {} have no account and no file to compare: no run has left anything there",
            args.a.display(),
            args.b.display()
        );
        return Err(Error::Argument { argument: "A and B", problem });
    }
    if let Some(path) = &args.report {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
        sink::write_atomically(path, text.as_bytes())?;
    }
    print(&report.render())?;
    Ok(report.exit())
}

fn check_folder(argument: &'static str, folder: &Path) -> Result<()> {
    if ["ledger", "runs", "inventory.parquet"].iter().any(|name| folder.join(name).exists()) {
        return Ok(());
    }
    let problem = format!("{} is no run folder: it has no ledger, runs or inventory", folder.display());
    Err(Error::Argument { argument, problem })
}

/// Compares two run folders.
///
/// # Errors
/// Where one of them cannot be read.
pub(crate) fn compare(a: &Path, b: &Path, max_ulp: u64) -> Result<Report> {
    let mut notes = Vec::new();
    let (records_a, records_b) = (Records::read(a, &mut notes), Records::read(b, &mut notes));
    let folders = Folders { a, b, records_a: &records_a, records_b: &records_b };
    let accounts = accounts::compare(&folders)?;
    let files = files::compare(a, b, &accounts.outputs, max_ulp)?;
    let hashed_otherwise: BTreeSet<Stage> = accounts
        .different
        .iter()
        .filter(|account| account.changes.iter().any(|(part, _)| *part == Part::StageHash))
        .map(|account| account.stage)
        .collect();
    let settings: Vec<SettingDifference> = records_a.differences(&records_b, &hashed_otherwise);
    let columns = summary::columns(&files.different);
    notes.extend(files.notes);
    let mut report = Report {
        verdict: Verdict::Identical,
        causes: Vec::new(),
        a: records_a.side(a),
        b: records_b.side(b),
        max_ulp,
        accounts_equal: accounts.equal,
        accounts: accounts.different,
        only_a: accounts.only_a,
        only_b: accounts.only_b,
        settings,
        files_equal: files.equal,
        largest_ulp: columns.iter().filter_map(|column| column.column.max_ulp).max(),
        files: files.different,
        damaged: accounts.damaged.into_iter().chain(files.damaged).collect(),
        stray: files.stray,
        columns,
        notes,
    };
    verdict::judge(&mut report, accounts.loaded_alike);
    Ok(report)
}

impl Report {
    /// Whether there was nothing to compare.
    fn is_of_nothing(&self) -> bool {
        let accounts = [self.only_a.len(), self.only_b.len(), self.accounts.len()];
        let files = [self.files.len(), self.damaged.len(), self.stray.len()];
        self.accounts_equal == 0
            && self.files_equal == 0
            && accounts.into_iter().chain(files).all(|count| count == 0)
    }

    /// The exit code it deserves.
    pub(crate) fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::Identical | Verdict::EqualWithinTolerance => Exit::Complete,
            Verdict::Different => Exit::Partial,
        }
    }
}
