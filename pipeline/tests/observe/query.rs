//! As much of PromQL as dashboard and alerts use, to check what they name.

use std::collections::BTreeSet;

use specmill::observe::{METRIC_FAMILIES, MetricFamily};

/// A piece of a query.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// Labels that scraping adds.
const TARGET_LABELS: [&str; 2] = ["namespace", "run"];

const FUNCTIONS: [&str; 13] = [
    "sum",
    "max",
    "min",
    "avg",
    "rate",
    "increase",
    "deriv",
    "avg_over_time",
    "min_over_time",
    "time",
    "by",
    "on",
    "label_values",
];
const AGGREGATIONS: [&str; 4] = ["sum", "max", "min", "avg"];
const OPERATORS: [&str; 4] = ["and", "or", "unless", "offset"];

fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = query.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {}
            '"' => {
                let mut text = String::new();
                loop {
                    match chars.next().unwrap_or_else(|| panic!("a string is not ended: {query}")) {
                        '"' => break,
                        '\\' => text.extend(chars.next()),
                        c => text.push(c),
                    }
                }
                tokens.push(Token::Text(text));
            }
            c if c.is_alphanumeric() || c == '_' || c == '$' => {
                let mut word = String::from(c);
                while let Some(&c) = chars.peek()
                    && (c.is_alphanumeric() || c == '_' || c == '.')
                {
                    word.push(c);
                    chars.next();
                }
                tokens.push(Token::Word(word));
            }
            c if "(){}[],=!~<>+-*/".contains(c) => tokens.push(Token::Mark(c)),
            c => panic!("`{c}` in {query}"),
        }
    }
    tokens
}

/// The family of a query's metric.
fn family(name: &str, query: &str) -> &'static MetricFamily {
    METRIC_FAMILIES
        .into_iter()
        .find(|family| family.full_name() == name)
        .unwrap_or_else(|| panic!("no metric is called {name}: {query}"))
}

/// Fails where a query names a metric or label that does not exist, or its brackets do not match; gives its metrics.
pub(super) fn check(query: &str) -> BTreeSet<String> {
    let tokens = tokens(query);
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => Some(word.as_str()),
        _ => None,
    };
    let mark = |at: usize| match tokens.get(at) {
        Some(Token::Mark(mark)) => Some(*mark),
        _ => None,
    };
    let (mut open, mut named) = (Vec::new(), BTreeSet::new());
    let mut known: BTreeSet<&str> = TARGET_LABELS.into();
    let mut grouped = Vec::new();
    let mut selector: Option<&MetricFamily> = None;
    for (at, token) in tokens.iter().enumerate() {
        let inner = open.last().copied();
        match token {
            Token::Mark(c @ ('(' | '[')) => open
                .push(if *c == '(' && matches!(before(&tokens, at), Some("by" | "on")) { 'g' } else { *c }),
            Token::Mark('{') => {
                let name = before(&tokens, at).unwrap_or_else(|| panic!("nothing is selected from: {query}"));
                selector = Some(family(name, query));
                open.push('{');
            }
            Token::Mark(c @ (')' | ']' | '}')) => {
                let opened = open.pop().unwrap_or_else(|| panic!("`{c}` too many: {query}"));
                let fits = matches!((opened, c), ('(' | 'g', ')') | ('[', ']') | ('{', '}'));
                assert!(fits, "`{opened}` is closed by `{c}`: {query}");
            }
            Token::Word(name) if name.starts_with("specmill_") => {
                known.extend(family(name, query).labels());
                named.insert(name.clone());
            }
            Token::Word(label) if inner == Some('g') => grouped.push(label.as_str()),
            Token::Word(label) if inner == Some('{') => {
                let family = selector.unwrap();
                let fits =
                    TARGET_LABELS.contains(&label.as_str()) || family.labels().contains(&label.as_str());
                assert!(fits, "{} has no label {label}: {query}", family.full_name());
                let operator = (mark(at + 1), mark(at + 2));
                let matches =
                    matches!(operator, (Some('='), Some('~') | None) | (Some('!'), Some('=' | '~')));
                assert!(matches, "{label} is matched by {operator:?}: {query}");
            }
            Token::Word(range) if inner == Some('[') || before(&tokens, at) == Some("offset") => {
                let is_range = range == "$__rate_interval"
                    || range.strip_suffix(['s', 'm', 'h', 'd']).is_some_and(|n| n.parse::<u32>().is_ok());
                assert!(is_range, "[{range}] in {query}");
            }
            Token::Word(number) if number.starts_with(|c: char| c.is_ascii_digit()) => {
                assert!(number.parse::<f64>().is_ok(), "{number} in {query}");
            }
            // The second argument of label_values is a label.
            Token::Word(label) if mark(at + 1) == Some(')') && word(0) == Some("label_values") => {
                grouped.push(label);
            }
            Token::Word(name) => {
                let is_known = FUNCTIONS.contains(&name.as_str()) || OPERATORS.contains(&name.as_str());
                assert!(is_known, "`{name}` in {query}");
            }
            Token::Text(_) => assert_eq!(inner, Some('{'), "a string outside a selector: {query}"),
            Token::Mark(_) => {}
        }
    }
    assert!(open.is_empty(), "{open:?} is left open: {query}");
    assert!(!named.is_empty(), "no metric in {query}");
    for label in grouped {
        assert!(known.contains(label), "no metric has the label {label}: {query}");
    }
    named
}

/// Fails where a query counts a process twice that is scraped and pushes: whatever is summed must first be the one series
/// of each run and label, and the gateway's namespace must divide nothing.
pub(super) fn check_counts_once(query: &str) {
    let tokens = tokens(query);
    // Brackets that are open, each with the aggregation whose they are, and the grouping just closed.
    let mut open: Vec<Option<(&str, Vec<&str>)>> = Vec::new();
    let mut grouped: Option<(&str, Vec<&str>)> = None;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(') => {
                let word = before(&tokens, at).unwrap_or_default();
                let by = matches!(word, "by" | "on");
                let named = before(&tokens, if by { at - 1 } else { at }).unwrap_or_default();
                let is_aggregation = by || AGGREGATIONS.contains(&word);
                open.push(grouped.take().or_else(|| is_aggregation.then(|| (named, Vec::new()))));
            }
            Token::Mark(')') => {
                let closed = open.pop().unwrap_or_else(|| panic!("`)` too many: {query}"));
                let has_body = tokens.get(at + 1) == Some(&Token::Mark('('));
                grouped = closed.filter(|(named, _)| has_body && AGGREGATIONS.contains(named));
            }
            Token::Word(name) if name.starts_with("specmill_") => {
                let mut around = open.iter().rev().flatten();
                let (inmost, labels) =
                    around.next().unwrap_or_else(|| panic!("{name} is taken as it stands: {query}"));
                assert!(["max", "min"].contains(inmost), "{name} is in {inmost}: {query}");
                if around.next().is_some() {
                    for label in ["run"].iter().chain(family(name, query).labels()) {
                        assert!(labels.contains(label), "{name} loses {label} before its sum: {query}");
                    }
                }
            }
            Token::Word(label) => {
                if let (Some(Some((_, labels))), Some(Token::Mark('(' | ','))) =
                    (open.last_mut(), at.checked_sub(1).map(|at| &tokens[at]))
                    && matches!(tokens.get(at + 1), Some(Token::Mark(')' | ',')))
                {
                    assert_ne!(label, "namespace", "{query}");
                    labels.push(label);
                }
            }
            Token::Text(_) | Token::Mark(_) => {}
        }
    }
}

fn before(tokens: &[Token], at: usize) -> Option<&str> {
    match tokens.get(at.checked_sub(1)?) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

#[test]
fn queries_that_name_what_is_not_there_are_refused() {
    let good = "sum by (stage) (rate(specmill_rows_total{run=~\"$run\", stage!=\"load\"}[5m])) > 0.5";
    assert_eq!(check(good), BTreeSet::from(["specmill_rows_total".to_owned()]));
    for bad in [
        good.replace("rows_total", "rows"),
        good.replace("by (stage)", "by (state)"),
        good.replace("stage!", "state!"),
        good.replace("rate(", "ratio("),
        good.replace("[5m]", "[5 m]"),
        good.replace("[5m]", "[5m] offset 5"),
        good.replace("))", ")"),
        good.replace("\"load\"", "\"load"),
        good.replace("=~", "~"),
    ] {
        assert!(std::panic::catch_unwind(|| check(&bad)).is_err(), "{bad}");
    }
}

#[test]
fn queries_that_count_a_process_twice_are_refused() {
    let good = "sum by (stage) (max by (run, stage) (rate(specmill_rows_total{namespace=~\"$namespace\"}[5m]))) > 0.5";
    check_counts_once(good);
    check_counts_once(
        "max by (stage) (specmill_stage_seconds) and on (stage) (min by (stage) (specmill_stage_running))",
    );
    for bad in [
        good.replace("max by (run, stage) ", ""),
        good.replace("run, ", ""),
        good.replace("run, stage", "run"),
        good.replace("max by", "avg by"),
        good.replace("run, stage", "namespace, run, stage"),
        good.replace("sum by (stage)", "sum by (namespace, stage)"),
        "specmill_run_info".to_owned(),
        "max by (run) (specmill_run_info) and on (namespace, run) (max by (run) (specmill_run_info))"
            .to_owned(),
    ] {
        assert!(std::panic::catch_unwind(|| check_counts_once(&bad)).is_err(), "{bad}");
    }
}
