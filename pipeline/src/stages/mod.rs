//! The stages' bodies.

mod batches;
pub(crate) mod catalog;
pub mod embed;
pub mod extract;
pub mod fit_basis;
pub mod inventory;
pub mod neighbors;
pub(crate) mod upstream;

pub use catalog::CatalogError;

use crate::error::Result;
use crate::ledger::LedgerRow;
use crate::sink::Footer;
use crate::stage::Stage;

/// What a stage did.
#[derive(Debug, Default)]
pub struct StageReport {
    /// Accounts written by this run.
    pub written: Vec<LedgerRow>,
    /// Units that an earlier run had settled under the same settings and inputs.
    pub settled: usize,
    /// Seconds spent per step, summed over threads.
    pub seconds: StepSeconds,
}

/// Where the time went.
#[derive(Debug, Default, Clone, Copy)]
pub struct StepSeconds {
    /// Reading.
    pub read: f64,
    /// Computing.
    pub compute: f64,
    /// Encoding and writing.
    pub write: f64,
}

impl StepSeconds {
    /// Adds what another thread spent.
    pub(crate) fn add(&mut self, other: Self) {
        self.read += other.read;
        self.compute += other.compute;
        self.write += other.write;
    }
}

impl StageReport {
    /// Runs `n` lanes side by side and takes in what each did; the first error is the stage's.
    pub(crate) fn run_lanes(
        &mut self,
        n: usize,
        lane: impl Fn() -> Result<(Vec<LedgerRow>, StepSeconds)> + Sync,
    ) -> Result<()> {
        // What a lane says belongs to the run and stage that started it.
        let span = tracing::Span::current();
        let results: Vec<Result<(Vec<LedgerRow>, StepSeconds)>> = std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..n).map(|_| scope.spawn(|| span.in_scope(&lane))).collect();
            lanes
                .into_iter()
                .map(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        for result in results {
            let (rows, seconds) = result?;
            self.written.extend(rows);
            self.seconds.add(seconds);
        }
        self.written.sort_by(|a, b| a.unit.cmp(&b.unit));
        Ok(())
    }
}

/// What every file of a stage says of itself, then its own.
fn footer(stage: Stage, stage_hash: &str, own: impl IntoIterator<Item = (&'static str, String)>) -> Footer {
    [
        ("specmill.stage", stage.name().to_owned()),
        ("specmill.stage_version", stage.version().to_string()),
        ("specmill.stage_hash", stage_hash.to_owned()),
        ("specmill.code_version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
    .into_iter()
    .chain(own)
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
