//! Log lines as flat JSON objects, as log stores index them.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// What every line begins with.
const HEAD: [&str; 3] = ["timestamp", "level", "message"];

/// One object a line: `timestamp`, `level`, `message`, then the fields of the spans that the event is in, from the
/// outermost, and its own; of two with one name the inner one stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Line::default();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let Some(text) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
            let fields: Map<String, Value> = serde_json::from_str(&text.fields).unwrap_or_default();
            for (name, value) in fields {
                line.put(&name, value);
            }
        }
        event.record(&mut line);
        let level = event.metadata().level().as_str();
        let head = HEAD.into_iter().zip([Value::from(timestamp), level.into(), line.message.into()]);
        let fields = line.fields.iter().map(|(name, value)| (name.as_str(), value.clone()));
        writer.write_char('{')?;
        for (n, (name, value)) in head.chain(fields).enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(writer, "{comma}{}:{value}", Value::from(name))?;
        }
        writer.write_str("}\n")
    }
}

/// A line as it grows.
#[derive(Debug, Default)]
struct Line {
    message: String,
    fields: Vec<(String, Value)>,
}

impl Line {
    fn put(&mut self, name: &str, value: Value) {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None if HEAD.contains(&name) => {}
            None => self.fields.push((name.to_owned(), value)),
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no number for what is not finite: that is null.
        self.put(field.name(), Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field.name(), Value::from(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `talk` runs.
    fn lines(talk: impl FnOnce()) -> Vec<String> {
        let paper = Paper::default();
        let writer = paper.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, talk);
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_is_flat_and_has_the_fields_of_its_spans() {
        let lines = lines(|| {
            let _run = tracing::error_span!("run", run = "r-1").entered();
            let _stage = tracing::error_span!("stage", stage = "extract").entered();
            tracing::info!(done = 3, rate = 0.5, unit = %"a/b", whole = true, "said \"{}\"", "so");
        });
        let line = lines.first().unwrap();
        let expected = concat!(
            r#""level":"INFO","message":"said \"so\"","run":"r-1","stage":"extract","#,
            r#""done":3,"rate":0.5,"unit":"a/b","whole":true}"#
        );
        assert!(line.starts_with(r#"{"timestamp":""#) && line.ends_with(expected), "{line}");
        let parsed: Map<String, Value> = serde_json::from_str(line).unwrap();
        assert_eq!(parsed.len(), 9);
    }

    #[test]
    fn no_key_comes_twice_and_the_inner_one_stands() {
        let lines = lines(|| {
            let _outer = tracing::error_span!("outer", unit = "outer", level = "mine").entered();
            tracing::warn!(unit = "own", not_finite = f64::NAN, "two");
        });
        let line = lines.first().unwrap();
        assert_eq!(line.matches(r#""unit":"#).count(), 1, "{line}");
        assert!(line.contains(r#""unit":"own""#) && line.contains(r#""level":"WARN""#), "{line}");
        assert!(line.contains(r#""not_finite":null"#) && !line.contains("mine"), "{line}");
    }
}
