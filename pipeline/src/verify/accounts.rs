//! Two ledgers: which units each has, and how their accounts differ.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::report::{AccountDifference, Change, Damage, Part, UnitOf, Which};
use super::settings::Records;
use crate::error::{Error, Result};
use crate::ledger::{FileRecord, Ledger, LedgerRow};
use crate::stage::Stage;
use crate::unit::UnitId;

/// Two run folders.
pub(super) struct Folders<'a> {
    pub(super) a: &'a Path,
    pub(super) b: &'a Path,
    pub(super) records_a: &'a Records,
    pub(super) records_b: &'a Records,
}

/// One output on both sides, by its path.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    pub(super) a: Option<FileRecord>,
    pub(super) b: Option<FileRecord>,
}

/// What the ledgers say.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) equal: u64,
    pub(super) different: Vec<AccountDifference>,
    pub(super) only_a: Vec<UnitOf>,
    pub(super) only_b: Vec<UnitOf>,
    /// Accounts that cannot be read.
    pub(super) damaged: Vec<Damage>,
    /// Every output that an account names.
    pub(super) outputs: BTreeMap<String, Output>,
    /// Whether the two say the same of a database.
    pub(super) loaded_alike: bool,
}

/// What became of one unit.
enum Outcome {
    One(Which, Box<LedgerRow>),
    Both(Box<(LedgerRow, LedgerRow)>),
    Damaged(Vec<Damage>),
}

/// Compares the ledgers of all stages that leave files. What `load` says is of a database, not of the folder.
///
/// # Errors
/// Where a ledger's folders cannot be listed.
pub(super) fn compare(folders: &Folders<'_>) -> Result<Accounts> {
    let (ledger_a, ledger_b) = (Ledger::of_run(folders.a), Ledger::of_run(folders.b));
    let mut accounts = Accounts {
        loaded_alike: ledger_a.units(Stage::Load)? == ledger_b.units(Stage::Load)?,
        ..Accounts::default()
    };
    for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Load) {
        let units = merge(ledger_a.units(stage)?, ledger_b.units(stage)?);
        let outcomes: Vec<(UnitId, Outcome)> = units
            .into_par_iter()
            .map(|(unit, which)| {
                let outcome = read(&ledger_a, &ledger_b, stage, &unit, which);
                (unit, outcome)
            })
            .collect();
        for (unit, outcome) in outcomes {
            accounts.add(folders, stage, &unit, outcome);
        }
    }
    Ok(accounts)
}

impl Accounts {
    fn add(&mut self, folders: &Folders<'_>, stage: Stage, unit: &UnitId, outcome: Outcome) {
        let unit_of = || UnitOf { stage, unit: unit.to_string() };
        match outcome {
            Outcome::Damaged(damaged) => self.damaged.extend(damaged),
            Outcome::One(Which::A, row) => {
                self.only_a.push(unit_of());
                self.take_outputs(Which::A, row.outputs);
            }
            Outcome::One(Which::B, row) => {
                self.only_b.push(unit_of());
                self.take_outputs(Which::B, row.outputs);
            }
            Outcome::Both(rows) => {
                let (a, b) = *rows;
                let changes = differences(folders, &a, &b);
                if changes.is_empty() {
                    self.equal += 1;
                } else {
                    self.different.push(AccountDifference { stage, unit: unit.to_string(), changes });
                }
                self.take_outputs(Which::A, a.outputs);
                self.take_outputs(Which::B, b.outputs);
            }
        }
    }

    fn take_outputs(&mut self, which: Which, outputs: Vec<FileRecord>) {
        for file in outputs {
            let output = self.outputs.entry(file.path.clone()).or_default();
            match which {
                Which::A => output.a = Some(file),
                Which::B => output.b = Some(file),
            }
        }
    }
}

/// Two lists in order as one, with where each unit is: `None` = in both.
fn merge(a: Vec<UnitId>, b: Vec<UnitId>) -> Vec<(UnitId, Option<Which>)> {
    let mut merged = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    loop {
        let which = match (a.peek(), b.peek()) {
            (None, None) => return merged,
            (Some(_), None) => Some(Which::A),
            (None, Some(_)) => Some(Which::B),
            (Some(of_a), Some(of_b)) => match of_a.cmp(of_b) {
                Ordering::Less => Some(Which::A),
                Ordering::Equal => None,
                Ordering::Greater => Some(Which::B),
            },
        };
        let of_a = if which == Some(Which::B) { None } else { a.next() };
        let of_b = if which == Some(Which::A) { None } else { b.next() };
        merged.extend(of_a.or(of_b).map(|unit| (unit, which)));
    }
}

fn read(ledger_a: &Ledger, ledger_b: &Ledger, stage: Stage, unit: &UnitId, which: Option<Which>) -> Outcome {
    let of = |side: Which, ledger: &Ledger| -> std::result::Result<LedgerRow, Damage> {
        let problem = match ledger.read(stage, unit) {
            Ok(Some(row)) => return Ok(row),
            Ok(None) => "it is gone".to_owned(),
            Err(Error::Record { source, .. }) => format!("no valid record: {source}"),
            Err(error) => crate::error::reason_of(&error),
        };
        Err(Damage { side, path: format!("ledger/{stage}/{unit}.json"), problem })
    };
    match which {
        Some(side) => {
            let ledger = if side == Which::A { ledger_a } else { ledger_b };
            of(side, ledger)
                .map_or_else(|damage| Outcome::Damaged(vec![damage]), |row| Outcome::One(side, Box::new(row)))
        }
        None => match (of(Which::A, ledger_a), of(Which::B, ledger_b)) {
            (Ok(a), Ok(b)) => Outcome::Both(Box::new((a, b))),
            (a, b) => Outcome::Damaged([a.err(), b.err()].into_iter().flatten().collect()),
        },
    }
}

/// What differs between two accounts of a unit, but for seconds and where things lay.
fn differences(folders: &Folders<'_>, a: &LedgerRow, b: &LedgerRow) -> Vec<(Part, Change)> {
    let mut changes = Vec::new();
    let mut compare = |part: Part, a: Option<String>, b: Option<String>| {
        if a != b {
            changes.push((part, Change { name: String::new(), a, b }));
        }
    };
    compare(Part::State, Some(a.state.name().to_owned()), Some(b.state.name().to_owned()));
    let placeless =
        |records: &Records, text: &Option<String>| text.as_ref().map(|text| records.placeless(text));
    compare(Part::Reason, placeless(folders.records_a, &a.reason), placeless(folders.records_b, &b.reason));
    compare(Part::StageHash, Some(a.stage_hash.clone()), Some(b.stage_hash.clone()));
    compare(Part::Rows, Some(rows(a)), Some(rows(b)));
    if !same_inputs(&a.inputs, &b.inputs) {
        compare(Part::Inputs, Some(files(&a.inputs)), Some(files(&b.inputs)));
    }
    let paths = |row: &LedgerRow| -> String {
        let mut paths: Vec<&str> = row.outputs.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        paths.join(", ")
    };
    compare(Part::Outputs, Some(paths(a)), Some(paths(b)));
    let notes = |records: &Records, row: &LedgerRow| Some(records.placeless(&row.notes.join("; ")));
    compare(Part::Notes, notes(folders.records_a, a), notes(folders.records_b, b));
    changes
}

fn rows(row: &LedgerRow) -> String {
    let counts = row.rows.iter().flat_map(|(state, reasons)| {
        reasons.iter().map(move |(reason, count)| {
            let space = if reason.is_empty() { "" } else { " " };
            format!("{count} {}{space}{reason}", state.name())
        })
    });
    [format!("{} in", row.rows_in)].into_iter().chain(counts).collect::<Vec<_>>().join(", ")
}

/// Whether the contents are the same, wherever they lay; by size where one of the two has no digest.
fn same_inputs(a: &[FileRecord], b: &[FileRecord]) -> bool {
    let in_order = |files: &[FileRecord]| -> Vec<FileRecord> {
        let mut files = files.to_vec();
        files.sort_by(|a, b| (name(a), a.bytes, &a.sha256).cmp(&(name(b), b.bytes, &b.sha256)));
        files
    };
    let same = |(a, b): (&FileRecord, &FileRecord)| {
        a.bytes == b.bytes && (a.sha256.is_none() || b.sha256.is_none() || a.sha256 == b.sha256)
    };
    a.len() == b.len() && in_order(a).iter().zip(&in_order(b)).all(same)
}

fn name(file: &FileRecord) -> &str {
    file.path.rsplit('/').next().unwrap_or(&file.path)
}

fn files(files: &[FileRecord]) -> String {
    let file = |file: &FileRecord| {
        let digest = file.sha256.as_deref().and_then(|text| text.get(..12)).unwrap_or("no digest");
        format!("{} {} bytes {digest}", name(file), file.bytes)
    };
    files.iter().map(file).collect::<Vec<_>>().join(", ")
}
