//! A report as people read it: counts, worst columns, and the beginning of each list.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::{ColumnSummary, FileDifference, Report, Verdict, Which};
use super::verdict::{arrow, count};
use crate::report::{SHOWN, render_list};

/// Characters of a hash.
const HASH: usize = 64;

/// The columns that differ, over all files of a kind, worst first.
pub(super) fn columns(files: &[FileDifference]) -> Vec<ColumnSummary> {
    let mut by_name: BTreeMap<(String, &str), ColumnSummary> = BTreeMap::new();
    for file in files {
        for column in file.table.iter().flat_map(|table| &table.columns) {
            let table = kind_of(&file.path);
            by_name
                .entry((table.clone(), &column.column))
                .and_modify(|summary| {
                    summary.files += 1;
                    summary.column.add(column);
                })
                .or_insert_with(|| ColumnSummary {
                    table,
                    files: 1,
                    first_file: file.path.clone(),
                    column: column.clone(),
                });
        }
    }
    let mut columns: Vec<ColumnSummary> = by_name.into_values().collect();
    // The worst is what was measured.
    columns.sort_by_key(|summary| (summary.column.is_identity(), std::cmp::Reverse(summary.column.max_ulp)));
    columns
}

/// `features`, `spectra/GALAXY`, `catalog/zpix`: the folder that all files of a kind share.
fn kind_of(path: &str) -> String {
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    match (first, parts.next()) {
        (_, None) | ("features", _) => first.to_owned(),
        (_, Some(second)) => format!("{first}/{second}"),
    }
}

impl Report {
    /// The report in short, the verdict last.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            let _ = writeln!(text, "{name}  {}  specmill {}", side.folder, side.code.join(", "));
        }
        let _ = writeln!(
            text,
            "accounts: {} the same, {} not, {} in A alone, {} in B alone",
            self.accounts_equal,
            self.accounts.len(),
            self.only_a.len(),
            self.only_b.len()
        );
        let _ = writeln!(
            text,
            "files: {} of the same bytes, {} of other bytes, {} damaged, {} without an account",
            self.files_equal,
            self.files.len(),
            self.damaged.len(),
            self.stray.len()
        );
        self.render_lists(&mut text);
        self.render_columns(&mut text);
        let _ = writeln!(text, "{}", self.sentence());
        text
    }

    /// The verdict in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let verdict = self.verdict.name();
        match self.verdict {
            Verdict::Identical => format!("{verdict}: the same accounts and the same bytes"),
            Verdict::EqualWithinTolerance => match self.largest_ulp {
                Some(ulps) => format!("{verdict}: values at most {ulps} ulp apart, {} allowed", self.max_ulp),
                None => format!("{verdict}: the same values in other bytes"),
            },
            Verdict::Different => {
                let causes: Vec<&str> = self.causes.iter().map(|(_, phrase)| phrase.as_str()).collect();
                format!("{verdict}: {}", causes.join("; "))
            }
        }
    }

    fn render_lists(&self, text: &mut String) {
        let units = |units: &[super::report::UnitOf]| -> Vec<String> {
            units.iter().map(|of| format!("{} {}", of.stage, of.unit)).collect()
        };
        let accounts = self.accounts.iter().map(|account| {
            let changes: Vec<String> = account
                .changes
                .iter()
                .map(|(part, change)| {
                    let value = |value: &Option<String>| {
                        value.as_deref().unwrap_or("nothing").chars().take(HASH).collect::<String>()
                    };
                    format!("{} {} -> {}", part.name(), value(&change.a), value(&change.b))
                })
                .collect();
            format!("{} {}: {}", account.stage, account.unit, changes.join("; "))
        });
        let side = |side: Which| match side {
            Which::A => "A",
            Which::B => "B",
        };
        let damaged = self
            .damaged
            .iter()
            .map(|found| format!("{} {}: {}", side(found.side), found.path, found.problem));
        let stray = self.stray.iter().map(|found| format!("{} {}", side(found.side), found.path));
        for (title, lines) in [
            ("in A alone", units(&self.only_a)),
            ("in B alone", units(&self.only_b)),
            ("damaged", damaged.collect()),
            ("settings", self.settings.iter().map(|found| arrow(&found.change)).collect()),
            ("accounts that differ", accounts.collect()),
            ("files that differ", self.files.iter().map(line_of).collect()),
            ("without an account", stray.collect()),
            ("notes", self.notes.clone()),
        ] {
            render_list(text, title, &lines);
        }
    }

    fn render_columns(&self, text: &mut String) {
        if self.columns.is_empty() {
            return;
        }
        let _ = writeln!(text, "columns that differ: {}, worst first", self.columns.len());
        let _ = writeln!(
            text,
            "  {:<44}{:>7}{:>12}{:>12}{:>21}{:>11}  first",
            "table and column", "files", "values", "max abs", "max ulp", "pull"
        );
        for summary in self.columns.iter().take(SHOWN) {
            let column = &summary.column;
            let number =
                |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3e}"));
            let _ = writeln!(
                text,
                "  {:<44}{:>7}{:>12}{:>12}{:>21}{:>11}  row {}{}: {} -> {}",
                format!("{} {}", summary.table, column.column),
                summary.files,
                column.values,
                number(column.max_abs),
                match column.max_ulp {
                    None => "-".to_owned(),
                    Some(u64::MAX) => "not finite".to_owned(),
                    Some(ulps) => ulps.to_string(),
                },
                column.max_pull.map_or_else(|| "-".to_owned(), |pull| format!("{pull:.2e}")),
                column.first_row,
                column.first_key.as_ref().map_or_else(String::new, |key| format!(" ({key})")),
                column.first_a,
                column.first_b,
            );
        }
        if self.columns.len() > SHOWN {
            let _ = writeln!(text, "  … and {} more", self.columns.len() - SHOWN);
        }
    }
}

/// A file that differs, in a line.
fn line_of(file: &FileDifference) -> String {
    let mut parts = vec![format!("{} -> {} bytes", file.bytes[0], file.bytes[1])];
    if let Some(table) = &file.table {
        if table.rows[0] != table.rows[1] {
            parts.push(format!("{} -> {} rows", table.rows[0], table.rows[1]));
        }
        for (side, names) in [("A", &table.only_a), ("B", &table.only_b)] {
            if !names.is_empty() {
                parts.push(format!("columns in {side} alone: {}", names.join(", ")));
            }
        }
        parts.extend(table.types.iter().map(arrow));
        if let Some(row) = table.first_other_key {
            parts.push(format!("other keys from row {row}"));
        }
        if !table.columns.is_empty() {
            parts.push(count(table.columns.len(), "column") + " with other values");
        }
        parts.extend(table.footer.iter().take(3).map(|change| format!("footer {}", arrow(change))));
    }
    parts.extend(file.keys.iter().take(3).map(arrow));
    parts.extend(file.first_byte.map(|place| format!("from byte {place}")));
    parts.extend(file.problem.clone());
    format!("{}: {}", file.path, parts.join("; "))
}
