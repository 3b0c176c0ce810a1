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
