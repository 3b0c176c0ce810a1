//! Short reports for people: what a run will read, what a tree holds, where results are.

use std::fmt::Write as _;
use std::path::Path;

use crate::inventory::{Inventory, UnitState};
use crate::plan::Plan;
use crate::record::last_rate;

/// Lines of a list that people read; the others are counted.
pub(crate) const SHOWN: usize = 20;

/// A list with its title and length, cut where it is long; nothing where it is empty.
pub(crate) fn render_list(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}: {}", lines.len());
    for line in lines.iter().take(SHOWN) {
        let _ = writeln!(text, "  {line}");
    }
    if lines.len() > SHOWN {
        let _ = writeln!(text, "  … and {} more", lines.len() - SHOWN);
    }
}

fn count_rows(inventory: &Inventory) -> u64 {
    inventory.entries.iter().filter_map(|entry| entry.coadd.as_ref()?.rows).sum()
}

/// What a plan will read and about how much it will write.
pub(crate) fn forecast(plan: &Plan, inventory: &Inventory) -> String {
    let units = inventory.entries.iter().filter(|entry| entry.unit.is_some()).count();
    let rows = count_rows(inventory);
    // FLUX, IVAR and MASK of 7,958 arm pixels; RESOLUTION is never read.
    let pixel_bytes = rows * 7958 * 12;
    let largest = plan.rest_grids.iter().map(|grid| grid.n_bins()).max().unwrap_or(0) as u64;
    let spectra_bytes = if plan.run_file.extract.write_spectra { rows * largest * 8 } else { 0 };
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let time = last_rate(&plan.folder).map_or_else(String::new, |rate| {
        format!(
            "At the rate of the last run, {rate:.0} targets/s, all of it takes {:.0} s.\n",
            rows as f64 / rate
        )
    });
    format!(
        "Found {units} units with {rows} targets in {:.1} MB of files.\nWill read {:.1} MB of pixels and write at most \
         {:.1} MB of spectra before compression, on device `{}`.\n{time}",
        mb(inventory.bytes()),
        mb(pixel_bytes),
        mb(spectra_bytes),
        plan.device,
    )
}

/// The units of an inventory, one a line.
pub(crate) fn inventory_table(inventory: &Inventory) -> String {
    let mut text = format!("{:<44}{:>8}{:>13}  state\n", "unit", "rows", "bytes");
    for entry in &inventory.entries {
        let name = entry.describe();
        let bytes: u64 = entry.files().map(|file| file.bytes).sum();
        let rows =
            entry.coadd.as_ref().and_then(|file| file.rows).map_or_else(|| "-".to_owned(), |n| n.to_string());
        let state = match &entry.state {
            UnitState::Complete => "complete".to_owned(),
            UnitState::NoRedrock => "no redrock".to_owned(),
            UnitState::NoCoadd => "no coadd".to_owned(),
            UnitState::Broken(reason) => format!("broken: {reason}"),
        };
        let _ = writeln!(text, "{name:<44}{rows:>8}{bytes:>13}  {state}");
    }
    let _ = writeln!(
        text,
        "{} entries, {} targets, {} bytes; {} other files ignored",
        inventory.entries.len(),
        count_rows(inventory),
        inventory.bytes(),
        inventory.ignored
    );
    text
}

/// Where a run's results stand.
pub(crate) fn outputs(plan: &Plan, run_record: &Path) -> String {
    let mut text = String::from("wrote:\n");
    for (path, what) in [
        ("inventory.parquet", "every unit found"),
        ("catalog", "catalogues as declared: table, file, block of rows"),
        ("catalog_raw", "catalogues as they are"),
        ("features", "one row per target: unit id as folders"),
        ("spectra", "rest-frame spectra: class, then unit id"),
        ("models", "bases with their cards"),
        ("embeddings", "one vector per spectrum: model, then unit id"),
        ("neighbors", "exact nearest neighbours of every vector"),
        ("scores", "raw anomaly scores, larger is stranger"),
        ("ledger", "what became of every unit"),
    ] {
        let path = plan.folder.join(path);
        if path.exists() {
            let _ = writeln!(text, "  {:<40} {what}", path.display().to_string());
        }
    }
    let _ = writeln!(text, "  {:<40} this run", run_record.display().to_string());
    text
}
