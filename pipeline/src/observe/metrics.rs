//! What is counted while a run goes on.

use std::time::Duration;

use crate::ledger::LedgerRow;
use crate::stage::Stage;

/// Counters and gauges of one run; clones count into the same.
#[derive(Debug, Clone, Default)]
pub struct Metrics {}

impl Metrics {
    /// A stage begins.
    pub(crate) fn stage_begins(&self, _stage: Stage) {}

    /// How many units a stage has to do, and how many an earlier run settled.
    pub(crate) fn work(&self, _stage: Stage, _units: usize, _settled: usize) {}

    /// Rows that went through a stage.
    pub(crate) fn rows(&self, _stage: Stage, _rows: u64) {}

    /// A unit has its account.
    pub(crate) fn account(&self, _row: &LedgerRow) {}

    /// A stage has ended.
    pub(crate) fn stage_ends(&self, _stage: Stage, _elapsed: Duration) {}
}
