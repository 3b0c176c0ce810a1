//! What people and machines see while it runs: log and progress on standard error, metrics for Prometheus.

mod families;
mod json;
mod metrics;
mod outlets;
mod progress;
mod push;
mod sampled;
mod serve;
mod text;

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use families::{METRIC_FAMILIES, MetricFamily};
pub use metrics::Metrics;
pub(crate) use outlets::Outlets;
pub use progress::Progress;
pub use text::Format;

use crate::config::Environment;

/// Starts the log on standard error; JSON lines where the environment asks for them.
///
/// Run, stage and unit are fields of JSON lines alone: people see them in what is said.
pub fn start_log(environment: &Environment) {
    // The cluster's client tells of every lost connection, which are waited for and told here.
    let filter = environment.log_filter.clone().unwrap_or_else(|| "info,kube_client=off".to_owned());
    let filter = EnvFilter::new(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry();
    // A second start (in tests) keeps the first log.
    let _ = if environment.logs_json() {
        let layer = layer.fmt_fields(JsonFields::new()).event_format(json::FlatJson);
        registry.with(layer.with_filter(filter)).try_init()
    } else {
        let events = filter.and(filter_fn(|about| about.is_event()));
        registry.with(layer.with_ansi(std::io::stderr().is_terminal()).with_filter(events)).try_init()
    };
}
