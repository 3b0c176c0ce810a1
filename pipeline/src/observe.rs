//! What people see while it runs: the log and the progress bar, both on standard error.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

use crate::config::Environment;
use crate::stage::Stage;

/// Between progress lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Starts the log on standard error; JSON lines where the environment asks for them.
pub fn start_log(environment: &Environment) {
    let filter = environment.log_filter.clone().unwrap_or_else(|| "info".to_owned());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second start (in tests) keeps the first log.
    let _ = if environment.log_format.as_deref() == Some("json") {
        builder.json().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
}

/// Targets done, with rate and time left: a bar on a terminal, a line now and then elsewhere.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    done: AtomicU64,
    total: AtomicU64,
    started: Instant,
    /// Milliseconds after `started` at which the next line is due.
    next_line_ms: AtomicU64,
}

impl Progress {
    /// A bar on a terminal, lines elsewhere.
    pub fn new(stage: Stage) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template(&format!(
            "{stage} {{bar:30}} {{human_pos}}/{{human_len}} targets  {{per_sec}}  {{eta}} left"
        ));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            bar,
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            started: Instant::now(),
            next_line_ms: AtomicU64::new(as_ms(LINE_EVERY)),
        }
    }

    /// Says how much there is.
    pub fn start(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.bar.set_length(total);
    }

    /// Some more is done.
    pub fn advance(&self, rows: u64) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
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

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
