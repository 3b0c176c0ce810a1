//! What the differences amount to, and why.

use std::collections::BTreeSet;

use super::column::ColumnDifference;
use super::files::{INVENTORY, KEYS, LEDGER, SURVEY};
use super::report::{
    AccountDifference, Cause, Change, Degree, FileDifference, Part, Report, SettingKind, TableDifference,
    Verdict, Which,
};
use crate::stage::Stage;

/// Gives a report its verdict and causes, and notes for what counts for neither. `loaded_alike` says whether the
/// accounts of `load` are of the same units.
pub(super) fn judge(report: &mut Report, loaded_alike: bool) {
    let mut causes: Vec<(Cause, String)> = [
        (Cause::Units, units(report)),
        (Cause::Damaged, damaged(report)),
        (Cause::Settings, settings(report)),
        (Cause::Inputs, inputs(report)),
        (Cause::Code, code(report)),
        (Cause::States, states(report)),
        (Cause::Rows, rows(report)),
        (Cause::Values, values(report)),
        (Cause::Stray, stray(report)),
    ]
    .into_iter()
    .filter_map(|(cause, phrase)| Some((cause, phrase?)))
    .collect();
    if !loaded_alike {
        report.notes.push("the two are not loaded alike: what is in a database is not compared".to_owned());
    }
    // A list of what is in the lake follows from it. It tells of places, too, and of a database.
    let same_list = |file: &FileDifference| {
        !is_result(file) && (file.degree == Degree::SameValues || (file.path == LEDGER && !loaded_alike))
    };
    for file in report.files.iter().filter(|file| same_list(file)) {
        report.notes.push(format!("{} differs in what is no result: places, or a database", file.path));
    }
    let differing: Vec<&FileDifference> = report.files.iter().filter(|file| !same_list(file)).collect();
    if causes.is_empty() && report.accounts.is_empty() && differing.iter().all(|file| !is_result(file)) {
        // Nothing explains it.
        let phrase = |file: &&FileDifference| {
            (Cause::Values, format!("{} does not follow from the accounts", file.path))
        };
        causes.extend(differing.first().map(phrase));
    }
    report.verdict = match (causes.is_empty(), report.accounts.is_empty() && differing.is_empty()) {
        (true, true) => Verdict::Identical,
        (true, false) => Verdict::EqualWithinTolerance,
        (false, _) => Verdict::Different,
    };
    report.causes = causes;
}

pub(super) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

fn join<T: AsRef<str>>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}

fn units(report: &Report) -> Option<String> {
    let of = |units: &[super::report::UnitOf], side: &str| {
        let first = units.first()?;
        Some(format!("{} in {side} alone (first {} {})", count(units.len(), "unit"), first.stage, first.unit))
    };
    let phrases: Vec<String> =
        [of(&report.only_a, "A"), of(&report.only_b, "B")].into_iter().flatten().collect();
    (!phrases.is_empty()).then(|| phrases.join(", "))
}

fn damaged(report: &Report) -> Option<String> {
    let first = report.damaged.first()?;
    let side = match first.side {
        Which::A => &report.a.folder,
        Which::B => &report.b.folder,
    };
    let n = count(report.damaged.len(), "damaged file");
    Some(format!("{n} (first {} in {side}: {})", first.path, first.problem))
}

fn hashed_otherwise(report: &Report) -> impl Iterator<Item = &AccountDifference> {
    report.accounts.iter().filter(|account| account.changes.iter().any(|(part, _)| *part == Part::StageHash))
}

/// One value against the other.
pub(super) fn arrow(change: &Change) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("{}: {} -> {}", change.name, value(&change.a), value(&change.b))
}

fn settings(report: &Report) -> Option<String> {
    const SHOWN: usize = 3;
    hashed_otherwise(report).next()?;
    let found: Vec<String> = report
        .settings
        .iter()
        .filter(|found| found.kind != SettingKind::Code)
        .map(|found| arrow(&found.change))
        .collect();
    let more = found.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = join(found.iter().take(SHOWN));
    (!found.is_empty()).then(|| format!("other settings ({shown}{more})"))
}

/// Stages that read what the release holds; the others read what these left.
fn reads_the_release(stage: Stage) -> bool {
    matches!(stage, Stage::Catalog | Stage::Extract)
}

fn inputs(report: &Report) -> Option<String> {
    let changed: Vec<&AccountDifference> = report
        .accounts
        .iter()
        .filter(|account| reads_the_release(account.stage))
        .filter(|account| account.changes.iter().any(|(part, _)| *part == Part::Inputs))
        .collect();
    if let Some(first) = changed.first() {
        let n = count(changed.len(), "unit");
        return Some(format!("other inputs of {n} (first {} {})", first.stage, first.unit));
    }
    let lists = [INVENTORY, SURVEY];
    let listed = report
        .files
        .iter()
        .find(|file| lists.contains(&file.path.as_str()) && file.degree > Degree::SameValues)?;
    // Units that are missing, and settings, are why the lists differ.
    let explained = !report.only_a.is_empty() || !report.only_b.is_empty() || settings(report).is_some();
    (!explained).then(|| format!("other inputs by {}", listed.path))
}

fn code(report: &Report) -> Option<String> {
    let versions = || report.settings.iter().filter(|found| found.kind == SettingKind::Code);
    let hashed: BTreeSet<Stage> = hashed_otherwise(report).map(|account| account.stage).collect();
    let other_code = report.a.code != report.b.code;
    let codes = || format!("{} -> {}", join(report.a.code.iter()), join(report.b.code.iter()));
    if !hashed.is_empty() && versions().next().is_some() {
        let found = join(versions().map(|found| arrow(&found.change)));
        return Some(format!("other code ({found})"));
    }
    // Later stages' hashes hold models, which may differ for any of the other causes.
    let unexplained: Vec<&str> = hashed
        .iter()
        .filter(|stage| reads_the_release(**stage) || **stage == Stage::FitBasis)
        .map(|stage| stage.name())
        .collect();
    if !unexplained.is_empty() && settings(report).is_none() {
        let program = if other_code { format!(": {}", codes()) } else { String::new() };
        let stages = unexplained.join(", ");
        return Some(format!(
            "other stage hashes of {stages} under the same settings, so other code, constants or catalogues{program}"
        ));
    }
    let values = report.files.iter().any(|file| is_result(file) && file.degree > Degree::WithinTolerance);
    (values && other_code).then(|| format!("other code ({})", codes()))
}

fn states(report: &Report) -> Option<String> {
    let parts = [Part::State, Part::Reason, Part::Rows];
    let mut changed = report.accounts.iter().filter_map(|account| {
        let (_, change) = account.changes.iter().find(|(part, _)| parts.contains(part))?;
        Some((account, change))
    });
    let (first, change) = changed.next()?;
    let n = count(changed.count() + 1, "unit");
    Some(format!("{n} ended otherwise (first {} {}{})", first.stage, first.unit, arrow(change)))
}

/// Whether a file is of the lake, not a list of what is in it.
fn is_result(file: &FileDifference) -> bool {
    ![INVENTORY, LEDGER, SURVEY, KEYS].contains(&file.path.as_str())
}

fn rows(report: &Report) -> Option<String> {
    let other: Vec<&FileDifference> =
        report.files.iter().filter(|file| is_result(file) && file.degree == Degree::OtherShape).collect();
    if let Some(first) = other.first() {
        let table = first.table.as_ref()?;
        let n = count(other.len(), "table");
        let [of_a, of_b] = table.rows;
        let columns = table.only_a.len() + table.only_b.len() + table.types.len();
        let what = if columns == 0 {
            format!("{of_a} rows -> {of_b}")
        } else {
            count(columns, "column") + " in one alone or of another type"
        };
        return Some(format!("other rows or columns in {n} (first {}: {what})", first.path));
    }
    let account = report
        .accounts
        .iter()
        .find(|account| account.changes.iter().any(|(part, _)| *part == Part::Outputs))?;
    Some(format!("other files of a unit (first {} {})", account.stage, account.unit))
}

fn values(report: &Report) -> Option<String> {
    let other: Vec<&FileDifference> =
        report.files.iter().filter(|file| is_result(file) && file.degree == Degree::OtherValues).collect();
    let first = other.first()?;
    let n = count(other.len(), "file");
    let beyond = |table: &TableDifference| -> Vec<ColumnDifference> {
        table.columns.iter().filter(|column| !column.is_within(report.max_ulp)).cloned().collect()
    };
    let columns = first.table.as_ref().map(beyond).unwrap_or_default();
    let column = columns.iter().find(|column| !column.is_identity()).or(columns.first());
    let what = match (column, &first.problem, first.first_byte) {
        (Some(column), ..) => {
            let key = column.first_key.as_ref().map_or_else(String::new, |key| format!(" ({key})"));
            let ulps = column.max_ulp.map_or_else(String::new, |ulps| format!(", at most {ulps} ulp apart"));
            format!(
                "column `{}`, row {}{key}: {} -> {}{ulps}",
                column.column, column.first_row, column.first_a, column.first_b
            )
        }
        (None, Some(problem), _) => problem.clone(),
        (None, None, Some(place)) => format!("from byte {place}"),
        (None, None, None) => {
            let footer = first.table.as_ref().and_then(|table| table.footer.first());
            footer.or(first.keys.first()).map_or_else(String::new, arrow)
        }
    };
    Some(format!("other values in {n} (first {}, {what})", first.path))
}

fn stray(report: &Report) -> Option<String> {
    let first = report.stray.first()?;
    let n = count(report.stray.len(), "file");
    Some(format!("{n} that no account speaks of (first {} in {:?})", first.path, first.side))
}
