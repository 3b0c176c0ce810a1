//! The stages' bodies.

pub(crate) mod embed;
pub mod extract;
pub(crate) mod fit_basis;
pub mod inventory;
pub(crate) mod neighbors;
pub(crate) mod upstream;

use crate::ledger::LedgerRow;

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
