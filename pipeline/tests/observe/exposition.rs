//! The text that Prometheus reads, parsed strictly.

use std::collections::BTreeMap;

use specmill::observe::METRIC_FAMILIES;

/// Labels and their values.
pub(super) type Labels = BTreeMap<String, String>;

/// Series with their values, by name and labels; every rule broken on the way is a panic.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    pub(super) types: BTreeMap<String, String>,
    pub(super) series: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    /// Prometheus' text format 0.0.4.
    pub(super) fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        let mut family: Option<(String, bool)> = None;
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is not ended");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.ends_with('.') && help.len() > 3, "{line}");
                family = Some((name.to_owned(), false));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(family, Some((name.to_owned(), false)), "TYPE follows HELP");
                family = Some((name.to_owned(), true));
                assert!(["counter", "gauge"].contains(&kind), "{line}");
                assert!(kind != "counter" || name.ends_with("_total"), "{line}");
                let again = parsed.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(again, None, "{name} comes twice");
            } else {
                assert!(!line.starts_with('#') && !line.is_empty(), "{line:?}");
                let (name, labels, value) = sample(line);
                assert_eq!(family, Some((name.clone(), true)), "{line} stands below another family");
                let again = parsed.series.insert((name, labels), value);
                assert_eq!(again, None, "{line} comes twice");
            }
        }
        parsed
    }

    /// OpenMetrics: counters without their suffix in HELP and TYPE, and an end that is marked.
    pub(super) fn parse_open(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("the end is marked");
        let lines: Vec<&str> = text.lines().collect();
        let counters: Vec<&str> =
            lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
        let renamed = lines.iter().map(|line| {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(&name) => {
                    assert!(!name.ends_with("_total"), "{line}");
                    format!("# {what} {name}_total {rest}\n")
                }
                _ => format!("{line}\n"),
            }
        });
        Self::parse(&renamed.collect::<String>())
    }

    /// The sum of the series of `name` that have all of `labels`.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|(_, value)| value).sum()
    }

    /// The series of `name` that have all of `labels`.
    pub(super) fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = (&'a Labels, f64)> {
        self.series.iter().filter_map(move |((of, own), value)| {
            let fits = labels.iter().all(|(key, value)| own.get(*key).is_some_and(|own| own == value));
            (of == name && fits).then_some((own, *value))
        })
    }

    /// Fails where a series is not as its family is declared.
    pub(super) fn assert_declared(&self) {
        for ((name, labels), value) in &self.series {
            let family = METRIC_FAMILIES.iter().find(|family| family.full_name() == *name);
            let family = family.unwrap_or_else(|| panic!("{name} is not declared"));
            let mut declared: Vec<&str> = family.labels().to_vec();
            declared.push("run");
            declared.sort_unstable();
            assert_eq!(labels.keys().map(String::as_str).collect::<Vec<_>>(), declared, "{name}");
            assert_eq!(self.types[name] == "counter", family.is_counter(), "{name}");
            assert!(value.is_finite() && *value >= 0.0, "{name} {labels:?} {value}");
        }
    }

    /// Series of counters.
    pub(super) fn counters(&self) -> impl Iterator<Item = (&(String, Labels), f64)> {
        let is_counter = |name: &str| self.types[name] == "counter";
        self.series.iter().filter(move |((name, _), _)| is_counter(name)).map(|(key, value)| (key, *value))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    assert!(is_name(name) && name.starts_with("specmill_"), "{line}");
    let mut parsed = Labels::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"").unwrap();
        assert!(is_name(key), "{line}");
        let (mut value, mut end) = (String::new(), None);
        let mut chars = after.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = Some(at);
                    break;
                }
                '\\' => match chars.next().unwrap().1 {
                    'n' => value.push('\n'),
                    c @ ('"' | '\\') => value.push(c),
                    c => panic!("\\{c} in {line}"),
                },
                c => value.push(c),
            }
        }
        assert_eq!(parsed.insert(key.to_owned(), value), None, "{line}");
        rest = &after[end.expect("a label's value ends") + 1..];
        if let Some(next) = rest.strip_prefix(',') {
            assert!(!next.is_empty(), "{line}");
            rest = next;
        } else {
            assert!(rest.is_empty(), "{line}");
        }
    }
    (name.to_owned(), parsed, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

#[test]
fn text_against_the_rules_is_refused() {
    let good =
        "# HELP specmill_a_total About A.\n# TYPE specmill_a_total counter\nspecmill_a_total{x=\"1\"} 2\n";
    assert!((Exposition::parse(good).sum("specmill_a_total", &[("x", "1")]) - 2.0).abs() < f64::EPSILON);
    for bad in [
        good.replace("counter", "info"),
        good.replace("# HELP specmill_a_total About A.\n", ""),
        format!("{good}specmill_a_total{{x=\"1\"}} 3\n"),
        format!("{good}{good}"),
        format!("{good}specmill_b 3\n"),
        good.replace("} 2", "} two"),
        good.replace("=\"1\"", "=1"),
        good.trim_end().to_owned(),
    ] {
        assert!(std::panic::catch_unwind(|| Exposition::parse(&bad)).is_err(), "{bad}");
    }
}
