//! Header cards: keyword and value, nothing interpreted.

/// The value of a card.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `T` or `F`.
    Logical(bool),
    /// A whole number that fits 64 bits.
    Integer(i64),
    /// Any other finite number.
    Real(f64),
    /// A string, trailing blanks removed, continued cards joined.
    Text(String),
    /// An empty value field.
    Undefined,
    /// Something else: complex numbers, unclosed strings.
    Other,
}

/// One card that has a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The keyword, upper case; for HIERARCH cards the words after it.
    pub keyword: String,
    /// Its value.
    pub value: Value,
}

/// The cards of one HDU that have a value, in file order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Header {
    cards: Vec<Card>,
}

/// What one 80-byte record is.
pub(super) enum Record {
    /// Keyword and value.
    Card(Card),
    /// A CONTINUE record with its piece of string.
    Continue(String),
    /// The end of the header.
    End,
    /// COMMENT, HISTORY, blanks and other text.
    Comment,
    /// A structural keyword written in a way that readers understand differently.
    Irregular(String),
}

impl Header {
    /// All cards, in file order.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// The first value of `keyword`.
    pub fn get(&self, keyword: &str) -> Option<&Value> {
        self.cards.iter().find(|card| card.keyword == keyword).map(|card| &card.value)
    }

    /// The first value of `keyword`, where it is a string.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match self.get(keyword) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The first value of `keyword`, where it is a whole number.
    pub fn integer(&self, keyword: &str) -> Option<i64> {
        match self.get(keyword) {
            Some(&Value::Integer(number)) => Some(number),
            _ => None,
        }
    }

    /// The first value of `keyword`, where it is a number of any kind.
    pub fn real(&self, keyword: &str) -> Option<f64> {
        self.get(keyword).and_then(Value::as_real)
    }

    /// The value `DEPVERnn` whose `DEPNAMnn` is `name`: where DESI keeps versions and SPECPROD.
    pub fn dependency(&self, name: &str) -> Option<&str> {
        let is_name = |card: &&Card| matches!(&card.value, Value::Text(text) if text == name);
        let number =
            self.cards.iter().filter(is_name).find_map(|card| card.keyword.strip_prefix("DEPNAM"))?;
        self.text(&format!("DEPVER{number}"))
    }

    pub(super) fn push(&mut self, card: Card) {
        self.cards.push(card);
    }

    /// Joins a CONTINUE record to the string before it, which announces it by a final `&`.
    pub(super) fn extend_last(&mut self, piece: &str) {
        if let Some(Card { value: Value::Text(text), .. }) = self.cards.last_mut()
            && text.ends_with('&')
        {
            text.pop();
            text.push_str(piece);
        }
    }
}

impl Value {
    /// The number, whole or not.
    pub fn as_real(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "scale factors and sizes, far below 2^53")]
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Logical(_) | Self::Text(_) | Self::Undefined | Self::Other => None,
        }
    }
}

/// Keywords that decide where bytes lie; each may occur once, in its standard form.
pub(super) fn is_structural(keyword: &str) -> bool {
    const PLAIN: [&str; 19] = [
        "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "GROUPS", "TFIELDS", "THEAP", "BSCALE",
        "BZERO", "ZIMAGE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZPCOUNT", "ZGCOUNT", "ZTENSION", "ZSIMPLE",
    ];
    const NUMBERED: [&str; 9] =
        ["NAXIS", "TFORM", "TTYPE", "TBCOL", "TSCAL", "TZERO", "TDIM", "ZNAXIS", "ZTILE"];
    PLAIN.contains(&keyword)
        || NUMBERED.iter().any(|stem| {
            keyword.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// Reads one 80-byte record.
pub(super) fn parse_record(record: &[u8]) -> Record {
    let (name, rest) = record.split_at(8);
    if name == b"END     " {
        return if rest.iter().all(|&b| b == b' ') { Record::End } else { Record::Irregular("END".into()) };
    }
    if name == b"CONTINUE" {
        return if let Value::Text(piece) = parse_value(rest) {
            Record::Continue(piece)
        } else {
            Record::Comment
        };
    }
    if let Some(value) = rest.strip_prefix(b"= ")
        && let Some(keyword) = standard_keyword(name)
    {
        return Record::Card(Card { keyword, value: parse_value(value) });
    }
    parse_nonstandard(record)
}

/// The keyword of a standard card: capital letters, digits, `-` and `_`, then blanks.
fn standard_keyword(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?.trim_end_matches(' ');
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (!text.is_empty() && text.bytes().all(legal)).then(|| text.to_owned())
}

/// HIERARCH cards and free text. A structural keyword in such a form is irregular.
fn parse_nonstandard(record: &[u8]) -> Record {
    let text = String::from_utf8_lossy(record);
    let body = text.strip_prefix("HIERARCH").unwrap_or(&text);
    let (left, right) = match body.split_once('=') {
        Some((left, right)) => (left.trim(), Some(right)),
        None => (body.trim(), None),
    };
    let keyword = left.to_ascii_uppercase();
    let first = keyword.split_whitespace().next().unwrap_or_default();
    if is_structural(first) || first == "END" {
        return Record::Irregular(first.to_owned());
    }
    match right {
        Some(value) if text.starts_with("HIERARCH") && !keyword.is_empty() => {
            Record::Card(Card { keyword, value: parse_value(value.as_bytes()) })
        }
        _ => Record::Comment,
    }
}

fn parse_value(field: &[u8]) -> Value {
    let text = String::from_utf8_lossy(field);
    let text = text.trim_start_matches(' ');
    if let Some(rest) = text.strip_prefix('\'') {
        return parse_string(rest);
    }
    let token = text.split('/').next().unwrap_or_default().trim_matches(' ');
    match token {
        "" => Value::Undefined,
        "T" => Value::Logical(true),
        "F" => Value::Logical(false),
        _ => parse_number(token),
    }
}

/// The text after the opening quote; two quotes stand for one.
fn parse_string(rest: &str) -> Value {
    let mut text = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\'' {
            text.push(c);
        } else if chars.peek() == Some(&'\'') {
            chars.next();
            text.push('\'');
        } else {
            text.truncate(text.trim_end_matches(' ').len());
            return Value::Text(text);
        }
    }
    Value::Other
}

fn parse_number(token: &str) -> Value {
    if !token
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'E' | b'e' | b'D' | b'd'))
    {
        return Value::Other;
    }
    if let Ok(number) = token.parse::<i64>() {
        return Value::Integer(number);
    }
    match token.replace(['D', 'd'], "E").parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Real(number),
        _ => Value::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(card: &str) -> Value {
        let Record::Card(card) = parse_record(format!("{card:<80}").as_bytes()) else {
            panic!("not a card: {card}")
        };
        card.value
    }

    #[test]
    fn values_of_every_type_are_told_apart() {
        assert_eq!(value_of("HPXNEST = 'True    '"), Value::Text("True".into()));
        assert_eq!(value_of("HPXNEST =                    T / nested"), Value::Logical(true));
        assert_eq!(value_of("BZERO   =           2147483648"), Value::Integer(2_147_483_648));
        assert_eq!(value_of("TZERO1  =  9223372036854775808"), Value::Real(9_223_372_036_854_775_808.0));
        assert_eq!(value_of("BSCALE  =                1.0D0"), Value::Real(1.0));
        assert_eq!(value_of("NOTHING =                      / empty"), Value::Undefined);
        assert_eq!(value_of("COMPLEX = (1, 2)"), Value::Other);
        assert_eq!(value_of("REAL    = NaN"), Value::Other);
    }

    #[test]
    fn doubled_quotes_and_slashes_stay_in_strings() {
        assert_eq!(value_of("A       = 'it''s a/b   ' / c"), Value::Text("it's a/b".into()));
        assert_eq!(value_of("A       = 'never closed"), Value::Other);
    }

    #[test]
    fn structural_keywords_in_odd_forms_are_irregular() {
        for card in ["naxis1  = 5", "NAXIS1 =5", "HIERARCH ZIMAGE = T", "ZIMAGE", "END x"] {
            let record = parse_record(format!("{card:<80}").as_bytes());
            assert!(matches!(record, Record::Irregular(_)), "{card}");
        }
    }

    #[test]
    fn hierarch_cards_keep_their_words() {
        let record = parse_record(format!("{:<80}", "HIERARCH ESO DET NAME = 'x'").as_bytes());
        let Record::Card(card) = record else { panic!("not a card") };
        assert_eq!((card.keyword.as_str(), card.value), ("ESO DET NAME", Value::Text("x".into())));
    }
}
