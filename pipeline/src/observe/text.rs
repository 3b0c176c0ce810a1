//! Metrics as text, in the two forms that are read.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
    /// Prometheus' own text format 0.0.4: the one that Pushgateway and node exporter read.
    Text,
}

impl Format {
    /// The MIME type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The one that suits an `Accept` header.
    pub(super) fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }
}

/// Every family of a registry that has series.
pub(super) fn render(registry: &Registry, format: Format) -> String {
    let mut text = String::new();
    if let Err(error) = encode(&mut text, registry) {
        // Writing to a string does not fail.
        tracing::debug!("metrics are not whole: {error}");
    }
    match format {
        Format::OpenMetrics => text,
        Format::Text => plain(&text),
    }
}

/// OpenMetrics in the older format: there a counter's family is called as its samples are, and no end is marked.
///
/// # Source
/// Prometheus documentation, "Exposition formats"; OpenMetrics 1.0 for the other side.
fn plain(text: &str) -> String {
    let is_counter = |name: &str| text.contains(&format!("# TYPE {name} counter\n"));
    let mut plain = String::with_capacity(text.len() + 256);
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF"), ..) => {}
            (Some("#"), Some(what), Some(name), Some(rest)) => {
                let suffix = if is_counter(name) { "_total" } else { "" };
                plain.push_str(&format!("# {what} {name}{suffix} {rest}\n"));
            }
            _ => {
                plain.push_str(line);
                plain.push('\n');
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;

    #[test]
    fn both_formats_say_the_same_each_in_its_way() {
        let mut registry = Registry::with_prefix("specmill");
        let (rows, waiting) = (Counter::<u64>::default(), Gauge::<i64>::default());
        registry.register("rows", "Rows", rows.clone());
        registry.register("waiting", "Waiting", waiting.clone());
        rows.inc_by(7);
        waiting.set(2);
        assert_eq!(
            render(&registry, Format::OpenMetrics),
            "# HELP specmill_rows Rows.\n# TYPE specmill_rows counter\nspecmill_rows_total 7\n\
             # HELP specmill_waiting Waiting.\n# TYPE specmill_waiting gauge\nspecmill_waiting 2\n# EOF\n"
        );
        assert_eq!(
            render(&registry, Format::Text),
            "# HELP specmill_rows_total Rows.\n# TYPE specmill_rows_total counter\nspecmill_rows_total 7\n\
             # HELP specmill_waiting Waiting.\n# TYPE specmill_waiting gauge\nspecmill_waiting 2\n"
        );
    }

    #[test]
    fn the_format_is_the_one_asked_for() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for other in ["", "*/*", "text/html"] {
            assert_eq!(Format::accepted(other), Format::Text);
        }
    }
}
