//! What `make bench` measured, added to the recorded runs.
//!
//! `record CRITERION RUNS DATE COMMIT RUSTC` reads criterion's folder CRITERION, writes `criterion.json` and
//! `criterion.md` into RUNS/<DATE>-<machine>, and prints the table.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use specmill_benches::record::{Machine, Record, read_criterion};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [criterion, runs, date, commit, rustc] = &arguments[..] else {
        return Err("usage: record CRITERION RUNS DATE COMMIT RUSTC".into());
    };
    let record = Record {
        date: date.clone(),
        commit: commit.clone(),
        rustc: rustc.clone(),
        machine: Machine::here(),
        benchmarks: read_criterion(Path::new(criterion))?,
    };
    if record.benchmarks.is_empty() {
        return Err(format!("criterion left nothing below {criterion}").into());
    }
    let folder = record.append(Path::new(runs))?;
    write!(std::io::stdout(), "{}\nrecorded in {}\n", record.render(), folder.display())?;
    Ok(())
}
