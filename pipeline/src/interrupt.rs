//! SIGTERM and Ctrl-C: the unit in hand is finished, or abandoned where that takes too long.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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
}

impl Interrupt {
    /// Listens to SIGTERM and SIGINT from now on. What is not finished within the environment's grace, or by a second
    /// signal, is abandoned: the process ends, which loses nothing that has an account.
    ///
    /// # Errors
    /// Where the system does not let signals be handled.
    pub fn listen(environment: &Environment) -> Result<Self> {
        let interrupt = Self::default();
        let cannot = || Error::io("cannot listen to signals");
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(cannot())?;
        let asked = Arc::clone(&interrupt.asked);
        let grace = environment.grace.unwrap_or(GRACE);
        let message = environment.termination_message.clone();
        let span = tracing::Span::current();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let _in_run = span.entered();
                if signals.forever().next().is_none() {
                    return;
                }
                asked.store(true, Ordering::Relaxed);
                tracing::warn!("told to end: finishing what is in hand, {} s at most", grace.as_secs());
                let last = message.clone();
                let span = tracing::Span::current();
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
