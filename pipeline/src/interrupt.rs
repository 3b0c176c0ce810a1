//! SIGTERM and Ctrl-C: the unit in hand is finished, or abandoned where that takes too long.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::Span;

use crate::config::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::termination;

/// Kubernetes gives 30 seconds where nobody says otherwise.
const GRACE: Duration = Duration::from_secs(20);

/// Whether somebody has asked this process to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Once there are units in hand that are worth finishing: the run, as the log has it.
    work: Arc<OnceLock<Span>>,
}

impl Interrupt {
    /// Listens to SIGTERM and SIGINT from now on, which the first process of a container does not hear otherwise. Before
    /// work begins they end the process at once. What is then not finished within the environment's grace, or by a
    /// second signal, is abandoned: the process ends, which loses nothing that has an account.
    ///
    /// # Errors
    /// Where the system does not let signals be handled.
    pub fn listen(environment: &Environment) -> Result<Self> {
        let interrupt = Self::default();
        let cannot = || Error::io("cannot listen to signals");
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(cannot())?;
        let Self { asked, work } = interrupt.clone();
        let grace = environment.grace.unwrap_or(GRACE);
        let message = environment.termination_message.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                if signals.forever().next().is_none() {
                    return;
                }
                let Some(span) = work.get() else { abandon(message, "told to end before work began") };
                let _in_run = span.enter();
                asked.store(true, Ordering::Relaxed);
                tracing::warn!("told to end: finishing what is in hand, {} s at most", grace.as_secs());
                let last = message.clone();
                let span = span.clone();
                // Without this thread the process ends when its work does; the second signal is then not heeded.
                let _ = std::thread::Builder::new().name("grace".to_owned()).spawn(move || {
                    let _in_run = span.entered();
                    std::thread::sleep(grace);
                    abandon(last, "the unit in hand took longer than the grace period");
                });
                if signals.forever().next().is_some() {
                    abandon(message, "told to end twice");
                }
            })
            .map_err(cannot())?;
        Ok(interrupt)
    }

    /// From now on a unit in hand is finished first.
    pub(crate) fn work_begins(&self) {
        // A second run of one process is part of the first.
        let _ = self.work.set(Span::current());
    }

    /// Whether no new unit should be begun.
    pub fn is_set(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Ends the process. Files that are not whole lie aside, and no account speaks of them.
fn abandon(message: Option<PathBuf>, why: &str) -> ! {
    tracing::warn!("abandoned: {why}; the same command goes on where this one ended");
    termination::write(message.as_deref(), Exit::Interrupted, why);
    std::process::exit(i32::from(Exit::Interrupted.code()))
}
