//! A stage's way out of its lanes: bar or lines for people, accounts for the log and the metrics, and whether to stop.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressStyle};

use super::Metrics;
use super::metrics::StageMetrics;
use crate::error::ErrorClass;
use crate::interrupt::Interrupt;
use crate::inventory::Inventory;
use crate::ledger::LedgerRow;
use crate::stage::Stage;
use crate::unit::UnitId;

/// Between progress lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Targets done, with rate and time left: a bar on a terminal, a line now and then elsewhere.
#[derive(Debug)]
pub struct Progress {
    metrics: StageMetrics,
    interrupt: Interrupt,
    bar: ProgressBar,
    done: AtomicU64,
    total: AtomicU64,
    started: Instant,
    /// Milliseconds after `started` at which the next line is due.
    next_line_ms: AtomicU64,
}

impl Progress {
    /// A bar on a terminal, lines elsewhere.
    pub fn new(stage: Stage, metrics: &Metrics, interrupt: &Interrupt) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template(&format!(
            "{stage} {{bar:30}} {{human_pos}}/{{human_len}} targets  {{per_sec}}  {{eta}} left"
        ));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            metrics: metrics.stage_begins(stage),
            interrupt: interrupt.clone(),
            bar,
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            started: Instant::now(),
            next_line_ms: AtomicU64::new(as_ms(LINE_EVERY)),
        }
    }

    /// Of a stage that runs by itself: nobody counts, nobody interrupts.
    pub fn alone(stage: Stage) -> Self {
        Self::new(stage, &Metrics::default(), &Interrupt::default())
    }

    /// Says how much there is: rows, units to do and units that an earlier run settled. What is said later comes on top.
    pub fn start(&self, rows: u64, units: usize, settled: usize) {
        let total = self.total.fetch_add(rows, Ordering::Relaxed) + rows;
        self.bar.set_length(total);
        self.metrics.work(units, settled);
    }

    /// A unit that was to be done turns out to be settled.
    pub fn settled(&self) {
        self.metrics.settled();
    }

    /// When the results of a unit that is still to be loaded were made.
    pub fn made(&self, unit: &UnitId, when: SystemTime) {
        self.metrics.made(unit, when);
    }

    /// The database has what it should have of a unit.
    pub fn loaded(&self, unit: &UnitId) {
        self.metrics.loaded(unit);
    }

    /// What the inventory holds.
    pub fn inventory(&self, inventory: &Inventory) {
        self.metrics.inventory(inventory);
    }

    /// Whether no new unit should be begun, because somebody asked the program to end.
    pub fn should_stop(&self) -> bool {
        self.interrupt.is_set()
    }

    /// A unit has its account: into the log, where anything is wrong with it, and into the metrics.
    pub fn account(&self, row: LedgerRow) -> LedgerRow {
        self.tell(row, None)
    }

    /// The same, with the class that it is counted under where it failed.
    pub fn account_as(&self, row: LedgerRow, class: ErrorClass) -> LedgerRow {
        self.tell(row, Some(class))
    }

    /// An account that was given, now or by an earlier run, is no longer true; another follows.
    pub fn retract(&self, row: &LedgerRow, by_this_run: bool) {
        self.metrics.retract(row, by_this_run);
    }

    fn tell(&self, row: LedgerRow, class: Option<ErrorClass>) -> LedgerRow {
        if row.state.is_partial() {
            let (unit, state) = (&row.unit, row.state.name());
            tracing::warn!(%unit, state, reason = row.reason.as_deref(), "unit not done");
        }
        for note in &row.notes {
            tracing::debug!(unit = %row.unit, "{note}");
        }
        self.metrics.account(&row, class);
        row
    }

    /// Some more is done.
    pub fn advance(&self, rows: u64) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        self.metrics.rows(rows);
        self.bar.set_position(done);
        if !self.bar.is_hidden() {
            return;
        }
        let elapsed = as_ms(self.started.elapsed());
        let due = self.next_line_ms.load(Ordering::Relaxed);
        let next = elapsed + as_ms(LINE_EVERY);
        let mine = elapsed >= due
            && self.next_line_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            let total = self.total.load(Ordering::Relaxed);
            let seconds_left = elapsed * total.saturating_sub(done) / done.max(1) / 1000;
            tracing::info!(done, total, seconds_left, "progress");
        }
    }

    /// The bar goes away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A stage ends with its progress, whichever way.
impl Drop for Progress {
    fn drop(&mut self) {
        self.metrics.end();
    }
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
