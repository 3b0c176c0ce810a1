//! The words, numbers, texts and symbols of a filter.

use std::fmt;

use super::FilterError;

/// The smallest piece of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A column or a keyword.
    Word(String),
    /// A number as written.
    Number(String),
    /// What stands between single quotes, doubled quotes undone.
    Text(String),
    /// An operator, a parenthesis or a comma.
    Symbol(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "`'{text}'`"),
            Self::Symbol(text) => write!(f, "`{text}`"),
        }
    }
}

/// Longest first: `<=` is not `<` and `=`.
const SYMBOLS: [&str; 10] = ["<=", ">=", "!=", "<>", "<", ">", "=", "(", ")", ","];

/// A filter's tokens, read from the left.
pub(super) struct Tokens {
    /// In reverse: the next one is the last. Positions count characters from 1.
    rest: Vec<(usize, Token)>,
    /// Of the token taken last.
    at: usize,
    end: usize,
}

impl Tokens {
    /// Cuts a filter into tokens.
    pub(super) fn new(text: &str) -> Result<Self, FilterError> {
        let mut scanner = Scanner { chars: text.chars().collect(), next: 0 };
        let end = scanner.chars.len() + 1;
        let mut rest = Vec::new();
        while let Some((at, token)) = scanner.token()? {
            rest.push((at, token));
        }
        rest.reverse();
        Ok(Self { rest, at: 1, end })
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Option<Token> {
        let taken = self.rest.pop();
        self.at = taken.as_ref().map_or(self.end, |(at, _)| *at);
        taken.map(|(_, token)| token)
    }

    /// Where the token taken last stands.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Takes the next token where it is this keyword.
    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let is_next =
            matches!(self.rest.last(), Some((_, Token::Word(word))) if word.eq_ignore_ascii_case(keyword));
        is_next && self.next().is_some()
    }

    /// Takes the next token where it is this symbol.
    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let is_next = matches!(self.rest.last(), Some((_, Token::Symbol(found))) if *found == symbol);
        is_next && self.next().is_some()
    }

    /// The error for the token taken last.
    pub(super) fn unexpected(&self, wanted: &'static str, found: Option<&Token>) -> FilterError {
        let found = found.map_or_else(|| "the end".to_owned(), Token::to_string);
        FilterError::Unexpected { wanted, found, at: self.at }
    }

    /// The error for the token that comes next.
    pub(super) fn unexpected_next(&mut self, wanted: &'static str) -> FilterError {
        let token = self.next();
        self.unexpected(wanted, token.as_ref())
    }
}

struct Scanner {
    chars: Vec<char>,
    next: usize,
}

impl Scanner {
    fn token(&mut self) -> Result<Option<(usize, Token)>, FilterError> {
        self.take_while(char::is_whitespace);
        let at = self.next + 1;
        let Some(&first) = self.chars.get(self.next) else { return Ok(None) };
        let token = if first.is_ascii_alphabetic() || first == '_' {
            Token::Word(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'))
        } else if first == '\'' {
            Token::Text(self.quoted()?)
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.stands_here(symbol)) {
            self.next += symbol.len();
            Token::Symbol(symbol)
        } else if first.is_ascii_digit() || matches!(first, '+' | '-' | '.') {
            Token::Number(self.number(at)?)
        } else {
            let found = format!("`{first}`");
            return Err(FilterError::Unexpected { wanted: "a token of the grammar", found, at });
        };
        Ok(Some((at, token)))
    }

    fn stands_here(&self, symbol: &str) -> bool {
        symbol.chars().enumerate().all(|(i, c)| self.chars.get(self.next + i) == Some(&c))
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let first = self.next;
        while self.chars.get(self.next).is_some_and(|c| belongs(*c)) {
            self.next += 1;
        }
        self.chars[first..self.next].iter().collect()
    }

    /// Digits, points, exponents with their signs; whether they make a number is for the parser to say.
    fn number(&mut self, at: usize) -> Result<String, FilterError> {
        let mut text = String::new();
        while let Some(&c) = self.chars.get(self.next) {
            let is_sign = matches!(c, '+' | '-') && (text.is_empty() || text.ends_with(['e', 'E']));
            if !(c.is_ascii_alphanumeric() || c == '.' || is_sign) {
                break;
            }
            text.push(c);
            self.next += 1;
        }
        let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
        if has_digit && text.parse::<f64>().is_ok() {
            Ok(text)
        } else {
            Err(FilterError::Unexpected { wanted: "a number", found: format!("`{text}`"), at })
        }
    }

    fn quoted(&mut self) -> Result<String, FilterError> {
        let mut text = String::new();
        self.next += 1;
        loop {
            match self.chars.get(self.next) {
                Some('\'') if self.chars.get(self.next + 1) == Some(&'\'') => {
                    text.push('\'');
                    self.next += 2;
                }
                Some('\'') => {
                    self.next += 1;
                    return Ok(text);
                }
                Some(c) => {
                    text.push(*c);
                    self.next += 1;
                }
                None => {
                    return Err(FilterError::Unexpected {
                        wanted: "the closing quote",
                        found: "the end".to_owned(),
                        at: self.chars.len() + 1,
                    });
                }
            }
        }
    }
}
