//! What people and machines see while it runs: log and progress on standard error, metrics for Prometheus.

mod metrics;
mod progress;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

pub use metrics::Metrics;
pub use progress::Progress;

use crate::config::Environment;

/// Starts the log on standard error; JSON lines where the environment asks for them.
pub fn start_log(environment: &Environment) {
    // The cluster's client tells of every lost connection, which are waited for and told here.
    let filter = environment.log_filter.clone().unwrap_or_else(|| "info,kube_client=off".to_owned());
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
