//! Where metrics go: to whoever asks, into a file, to a gateway.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Metrics;
use super::push::Gateway;
use super::serve::Server;
use super::text::Format;
use crate::cli::MetricsArgs;
use crate::error::{Error, Result};
use crate::sink;

/// Between two states of the file.
const FILE_EVERY: Duration = Duration::from_secs(30);

/// The outlets that somebody asked for, open as long as the run goes on.
#[derive(Debug)]
pub(crate) struct Outlets {
    metrics: Metrics,
    file: Option<File>,
    gateway: Option<Gateway>,
    /// Ends when dropped.
    _server: Option<Server>,
}

impl Outlets {
    /// Opens them.
    ///
    /// # Errors
    /// Where one cannot be had as asked for: better now than after hours of work.
    pub(crate) fn open(args: &MetricsArgs, metrics: &Metrics, run_id: &str) -> Result<Self> {
        let gateway = args.metrics_push.as_deref().map(|url| Gateway::at(url, run_id)).transpose()?;
        let file = args.metrics_file.as_deref().map(|path| File::open(path, metrics)).transpose()?;
        let server = args.metrics_listen.map(|address| Server::start(address, metrics)).transpose()?;
        Ok(Self { metrics: metrics.clone(), file, gateway, _server: server })
    }

    /// Gives out the last state, however the run ended; what cannot be given out changes nothing of that.
    pub(crate) fn close(self) {
        if let Some(file) = self.file {
            let path = file.path.clone();
            // The thread ends first, so that nothing older comes after.
            drop(file);
            if let Err(error) = write(&path, &self.metrics) {
                tracing::warn!(
                    "the last metrics are not in {}: {}",
                    path.display(),
                    crate::error::reason_of(&error)
                );
            }
        }
        if let Some(gateway) = self.gateway
            && let Err(reason) = gateway.push(self.metrics.render(Format::Text))
        {
            tracing::warn!("the last metrics are not pushed: {reason}");
        }
    }
}

/// A file that is written again and again, until dropped.
#[derive(Debug)]
struct File {
    path: PathBuf,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl File {
    fn open(path: &Path, metrics: &Metrics) -> Result<Self> {
        let refuse = |problem: String| Error::Argument { argument: "--metrics-file", problem };
        write(path, metrics).map_err(|error| refuse(crate::error::reason_of(&error)))?;
        let (stop, stopped) = channel::<()>();
        let (own_path, metrics) = (path.to_owned(), metrics.clone());
        let thread = std::thread::Builder::new()
            .name("metrics-file".to_owned())
            .spawn(move || {
                // The sender is dropped at the end, never used.
                while stopped.recv_timeout(FILE_EVERY) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = write(&own_path, &metrics) {
                        tracing::debug!("metrics are not written: {error}");
                    }
                }
            })
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self { path: path.to_owned(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic would be no reason to end otherwise.
            let _ = thread.join();
        }
    }
}

fn write(path: &Path, metrics: &Metrics) -> Result<()> {
    // A bare name has an empty parent.
    let path = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    sink::write_atomically(&path, metrics.render(Format::Text).as_bytes())
}
