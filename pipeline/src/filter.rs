//! The conditions of `--where`: a small grammar over a table's columns.
//!
//! ```text
//! conditions = condition { "and" condition }
//! condition  = column ( "=" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
//!            | column [ "not" ] "between" value "and" value
//!            | column [ "not" ] "in" "(" value { "," value } ")"
//!            | column "is" [ "not" ] "null"
//! value      = number | 'text' | true | false
//! ```
//!
//! What comes out holds columns of the table and typed values, never text of the user's.

mod token;

use specmill_schemas::{Field, Kind, Table};

use token::{Token, Tokens};

/// What a row has to fulfil.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filter {
    /// All of them.
    pub(crate) conditions: Vec<Condition>,
}

/// One condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    /// The column, as its table names it.
    pub(crate) column: String,
    /// What it is held against.
    pub(crate) test: Test,
}

/// What a column is held against.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// `column op value`.
    Compare(Comparison, Value),
    /// `column [not] between a and b`, both included.
    Between {
        /// `not` stands before it.
        negated: bool,
        /// The lower end.
        low: Value,
        /// The upper end.
        high: Value,
    },
    /// `column [not] in (…)`.
    In {
        /// `not` stands before it.
        negated: bool,
        /// At least one.
        values: Vec<Value>,
    },
    /// `column is [not] null`.
    Null {
        /// `is not null`.
        negated: bool,
    },
}

/// The order of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// `=`
    Equal,
    /// `!=` or `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// A value in the type its column is compared in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Against an integer column.
    Integer(i64),
    /// Against a single-precision column: rounded as the column's own values were.
    Single(f32),
    /// Against a double-precision column, or a fraction against an integer column.
    Double(f64),
    /// Against a text column.
    Text(String),
    /// Against a boolean column.
    Bool(bool),
}

/// Why a filter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    /// No such column.
    #[error("`{table}` has no column `{column}`{}", suggest(.suggestion.as_deref()))]
    UnknownColumn {
        /// The table.
        table: String,
        /// What was written.
        column: String,
        /// The column most like it.
        suggestion: Option<String>,
    },
    /// The grammar wants something else here.
    #[error("expected {wanted} at character {at}, found {found}")]
    Unexpected {
        /// What the grammar wants.
        wanted: &'static str,
        /// What stands there.
        found: String,
        /// From 1.
        at: usize,
    },
    /// A value that this column is never equal to.
    #[error("`{column}` is {kind}: {value} at character {at} cannot be compared with it")]
    WrongKind {
        /// The column.
        column: String,
        /// Its type, with how to write one.
        kind: String,
        /// What was written.
        value: String,
        /// From 1.
        at: usize,
    },
    /// Lists have no order.
    #[error("`{column}` is a list: only `is null` and `is not null` can be asked of it")]
    List {
        /// The column.
        column: String,
    },
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl Filter {
    /// Reads the text of `--where` over a table's columns.
    ///
    /// # Errors
    /// Where the grammar, a column's name or a value's type is not right.
    pub(crate) fn parse(text: &str, table: &Table) -> Result<Self, FilterError> {
        let mut tokens = Tokens::new(text)?;
        let mut conditions = vec![condition(&mut tokens, table)?];
        while tokens.take_word("and") {
            conditions.push(condition(&mut tokens, table)?);
        }
        match tokens.next() {
            None => Ok(Self { conditions }),
            Some(token) => Err(tokens.unexpected("`and` or the end (there is no `or`)", Some(&token))),
        }
    }
}

fn condition(tokens: &mut Tokens, table: &Table) -> Result<Condition, FilterError> {
    let field = column(tokens, table)?;
    let is_list = matches!(field.kind, Kind::Float32List(_) | Kind::Vector(_));
    if tokens.take_word("is") {
        let negated = tokens.take_word("not");
        if !tokens.take_word("null") {
            return Err(tokens.unexpected_next("`null`"));
        }
        return Ok(Condition { column: field.name.clone(), test: Test::Null { negated } });
    }
    if is_list {
        return Err(FilterError::List { column: field.name.clone() });
    }
    let negated = tokens.take_word("not");
    let test = if tokens.take_word("between") {
        let low = value(tokens, field)?;
        if !tokens.take_word("and") {
            return Err(tokens.unexpected_next("`and` of `between`"));
        }
        Test::Between { negated, low, high: value(tokens, field)? }
    } else if tokens.take_word("in") {
        Test::In { negated, values: list(tokens, field)? }
    } else if negated {
        return Err(tokens.unexpected_next("`between` or `in` after `not`"));
    } else {
        let comparison = comparison(tokens)?;
        Test::Compare(comparison, value(tokens, field)?)
    };
    Ok(Condition { column: field.name.clone(), test })
}

fn column<'a>(tokens: &mut Tokens, table: &'a Table) -> Result<&'a Field, FilterError> {
    // Less alike than this and a suggestion misleads more than it helps.
    const ALIKE: f64 = 0.75;
    let name = match tokens.next() {
        Some(Token::Word(word)) => word.to_ascii_lowercase(),
        other => return Err(tokens.unexpected("a column", other.as_ref())),
    };
    if let Some(field) = table.fields.iter().find(|field| field.name == name) {
        return Ok(field);
    }
    let suggestion = table
        .fields
        .iter()
        .map(|field| (strsim::jaro_winkler(&name, &field.name), &field.name))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name.clone());
    Err(FilterError::UnknownColumn { table: table.name.to_string(), column: name, suggestion })
}

fn comparison(tokens: &mut Tokens) -> Result<Comparison, FilterError> {
    let token = tokens.next();
    let symbol = match &token {
        Some(Token::Symbol(symbol)) => *symbol,
        _ => "",
    };
    Ok(match symbol {
        "=" => Comparison::Equal,
        "!=" | "<>" => Comparison::Unequal,
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Greater,
        ">=" => Comparison::AtLeast,
        _ => return Err(tokens.unexpected("a comparison, `between`, `in` or `is`", token.as_ref())),
    })
}

fn list(tokens: &mut Tokens, field: &Field) -> Result<Vec<Value>, FilterError> {
    if !tokens.take_symbol("(") {
        return Err(tokens.unexpected_next("`(`"));
    }
    let mut values = vec![value(tokens, field)?];
    while tokens.take_symbol(",") {
        values.push(value(tokens, field)?);
    }
    if tokens.take_symbol(")") { Ok(values) } else { Err(tokens.unexpected_next("`,` or `)`")) }
}

fn value(tokens: &mut Tokens, field: &Field) -> Result<Value, FilterError> {
    let token = tokens.next();
    let Some(token) = token else { return Err(tokens.unexpected("a value", None)) };
    let found = match (field.kind, &token) {
        (Kind::Int16 | Kind::Int32 | Kind::Int64, Token::Number(text)) => {
            text.parse().map(Value::Integer).ok().or_else(|| double(text))
        }
        (Kind::Float32, Token::Number(text)) => single(text),
        (Kind::Float64, Token::Number(text)) => double(text),
        (Kind::Text, Token::Text(text)) => Some(Value::Text(text.clone())),
        (Kind::Bool, Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    found.ok_or_else(|| FilterError::WrongKind {
        column: field.name.clone(),
        kind: how_to_write(field.kind),
        value: token.to_string(),
        at: tokens.position(),
    })
}

fn single(text: &str) -> Option<Value> {
    text.parse().ok().filter(|number: &f32| number.is_finite()).map(Value::Single)
}

fn double(text: &str) -> Option<Value> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Double)
}

fn how_to_write(kind: Kind) -> String {
    let how = if kind == Kind::Text {
        " ('between single quotes')"
    } else if kind == Kind::Bool {
        " (true or false)"
    } else {
        ""
    };
    format!("{}{how}", kind.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            name: "features".into(),
            description: String::new(),
            fields: vec![
                Field::new("z", Kind::Float64, ""),
                Field::new("zwarn", Kind::Int64, ""),
                Field::new("snr_r", Kind::Float32, ""),
                Field::new("spectype", Kind::Text, ""),
                Field::new("deep", Kind::Bool, ""),
                Field::new("embedding", Kind::Vector(3), ""),
            ],
        }
    }

    fn parse(text: &str) -> Result<Vec<(String, Test)>, FilterError> {
        let filter = Filter::parse(text, &table())?;
        Ok(filter.conditions.into_iter().map(|condition| (condition.column, condition.test)).collect())
    }

    fn fault(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_form_of_a_condition_is_read_with_typed_values() {
        let text = "z between 2 and 2.5 AND ZWARN = 0 and snr_r >= 0.1 and spectype in ('QSO', 'it''s') \
                    and deep != true and embedding is not null and z not between -1e-3 and +1 and zwarn not in (4, 5.5)";
        let expected = [
            ("z", Test::Between { negated: false, low: Value::Double(2.0), high: Value::Double(2.5) }),
            ("zwarn", Test::Compare(Comparison::Equal, Value::Integer(0))),
            ("snr_r", Test::Compare(Comparison::AtLeast, Value::Single(0.1))),
            (
                "spectype",
                Test::In {
                    negated: false,
                    values: vec![Value::Text("QSO".to_owned()), Value::Text("it's".to_owned())],
                },
            ),
            ("deep", Test::Compare(Comparison::Unequal, Value::Bool(true))),
            ("embedding", Test::Null { negated: true }),
            ("z", Test::Between { negated: true, low: Value::Double(-1e-3), high: Value::Double(1.0) }),
            ("zwarn", Test::In { negated: true, values: vec![Value::Integer(4), Value::Double(5.5)] }),
        ];
        assert_eq!(parse(text).unwrap(), expected.map(|(column, test)| (column.to_owned(), test)));
    }

    #[test]
    fn every_comparison_is_its_own() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Less, Unequal};
        let symbols = ["=", "!=", "<>", "<", "<=", ">", ">="];
        for (symbol, expected) in
            symbols.into_iter().zip([Equal, Unequal, Unequal, Less, AtMost, Greater, AtLeast])
        {
            let test = parse(&format!("z{symbol}1")).unwrap().remove(0).1;
            assert_eq!(test, Test::Compare(expected, Value::Double(1.0)), "{symbol}");
        }
    }

    #[test]
    fn an_unknown_column_gets_a_suggestion() {
        assert_eq!(fault("zwran = 0"), "`features` has no column `zwran`; did you mean `zwarn`?");
        assert_eq!(fault("wavelength = 0"), "`features` has no column `wavelength`");
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused_with_its_place() {
        for (text, wanted) in [
            ("", "expected a column at character 1, found the end"),
            ("z > 1 or z < 0", "expected `and` or the end (there is no `or`) at character 7, found `or`"),
            ("z > 1; drop table x", "expected a token of the grammar at character 6, found `;`"),
            ("z > 1 and", "expected a column at character 10, found the end"),
            ("z like 'a'", "expected a comparison, `between`, `in` or `is` at character 3, found `like`"),
            ("z between 1 or 2", "expected `and` of `between` at character 13, found `or`"),
            ("zwarn in (1, 2", "expected `,` or `)` at character 15, found the end"),
            ("spectype = 'QSO", "expected the closing quote at character 16, found the end"),
            ("z is 1", "expected `null` at character 6, found `1`"),
            ("z not 1", "expected `between` or `in` after `not` at character 7, found `1`"),
            ("z > ", "expected a value at character 5, found the end"),
            ("z > 1.2.3", "expected a number at character 5, found `1.2.3`"),
        ] {
            assert_eq!(fault(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for text in [
            "spectype = QSO",
            "spectype = 1",
            "z = '1'",
            "z = inf",
            "z = nan",
            "deep = 1",
            "snr_r < 1e39",
            "z < 1e999",
        ] {
            assert!(fault(text).contains("cannot be compared"), "{text}: {}", fault(text));
        }
        assert!(fault("embedding = 1").contains("is a list"), "{}", fault("embedding = 1"));
    }

    #[test]
    fn an_integer_beyond_64_bits_is_still_compared() {
        let test = parse("zwarn < 1e30").unwrap().remove(0).1;
        assert_eq!(test, Test::Compare(Comparison::Less, Value::Double(1e30)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_brings_the_parser_down(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn text_values_come_through_whole(text in "[^\u{0}]{0,20}") {
            let quoted = text.replace('\'', "''");
            let test = parse(&format!("spectype = '{quoted}'")).unwrap().remove(0).1;
            proptest::prop_assert_eq!(test, Test::Compare(Comparison::Equal, Value::Text(text)));
        }
    }
}
