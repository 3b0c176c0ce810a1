//! A stage's way out of its lanes: bar or lines for people, accounts for the log and the metrics, and whether to stop.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Metrics;
use crate::interrupt::Interrupt;
use crate::ledger::LedgerRow;
use crate::stage::Stage;

/// Between progress lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Targets done, with rate and time left: a bar on a terminal, a line now and then elsewhere.
#[derive(Debug)]
pub struct Progress {
    stage: Stage,
    metrics: Metrics,
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
        metrics.stage_begins(stage);
        Self {
            stage,
            metrics: metrics.clone(),
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

    /// Says how much there is: rows, units to do and units that an earlier run settled.
    pub fn start(&self, rows: u64, units: usize, settled: usize) {
        self.total.store(rows, Ordering::Relaxed);
        self.bar.set_length(rows);
        self.metrics.work(self.stage, units, settled);
    }

    /// Whether no new unit should be begun, because somebody asked the program to end.
    pub fn should_stop(&self) -> bool {
        self.interrupt.is_set()
    }

    /// A unit has its account: into the log, where anything is wrong with it, and into the metrics.
    pub fn account(&self, row: LedgerRow) -> LedgerRow {
        if row.state.is_partial() {
            let (unit, state) = (&row.unit, row.state.name());
            tracing::warn!(%unit, state, reason = row.reason.as_deref(), "unit not done");
        }
        for note in &row.notes {
            tracing::debug!(unit = %row.unit, "{note}");
        }
        self.metrics.account(&row);
        row
    }

    /// Some more is done.
    pub fn advance(&self, rows: u64) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        self.metrics.rows(self.stage, rows);
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
        self.metrics.stage_ends(self.stage, self.started.elapsed());
    }
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
