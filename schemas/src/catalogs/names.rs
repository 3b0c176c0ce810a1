//! File names with placeholders, as in `zpix-{survey}-{program}.fits`.

use std::collections::BTreeMap;
use std::fmt;

/// A pattern of file names: text, `{placeholder}` for one or more characters but `-`, and `*` for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
    Any,
}

impl NamePattern {
    /// Reads a pattern; `None` where its braces do not match or a placeholder has no name.
    pub fn new(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '*']) {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix('*') {
                parts.push(Part::Any);
                rest = after;
            } else {
                let (name, after) = rest.strip_prefix('{')?.split_once('}')?;
                if name.is_empty() || name.contains(['{', '*']) {
                    return None;
                }
                parts.push(Part::Placeholder(name.to_owned()));
                rest = after;
            }
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Some(Self { text: text.to_owned(), parts })
    }

    /// Whether a file's name fits, a `.gz` behind it apart, and what its placeholders stand for.
    pub fn matches(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let mut found = BTreeMap::new();
        matches(&self.parts, name, &mut found).then_some(found)
    }

    /// The names of its placeholders.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Text(_) | Part::Any => None,
        })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names are short: trying every length is cheap enough.
fn matches(parts: &[Part], name: &str, found: &mut BTreeMap<String, String>) -> bool {
    let Some((first, rest)) = parts.split_first() else { return name.is_empty() };
    match first {
        Part::Text(text) => name.strip_prefix(text.as_str()).is_some_and(|name| matches(rest, name, found)),
        Part::Any => {
            (0..=name.len()).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..], found))
        }
        Part::Placeholder(key) => {
            let longest = name.find('-').unwrap_or(name.len());
            (1..=longest).rev().filter(|&at| name.is_char_boundary(at)).any(|at| {
                let fits = matches(rest, &name[at..], found);
                if fits {
                    found.insert(key.clone(), name[..at].to_owned());
                }
                fits
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pattern: &str, name: &str) -> Option<Vec<(String, String)>> {
        Some(NamePattern::new(pattern).unwrap().matches(name)?.into_iter().collect())
    }

    #[test]
    fn placeholders_take_what_stands_between_hyphens() {
        let found = pairs("zpix-{survey}-{program}.fits", "zpix-sv3-dark.fits.gz").unwrap();
        assert_eq!(found, [("program".into(), "dark".into()), ("survey".into(), "sv3".into())]);
        assert_eq!(pairs("zall-pix-{specprod}.fits", "zall-pix-loa-imaging.fits"), None);
        assert_eq!(
            pairs("fastspec-{specprod}-*.fits", "fastspec-iron-main-bright-nside1-hp03.fits").unwrap().len(),
            1
        );
        assert_eq!(pairs("a{b}", "a"), None);
    }

    #[test]
    fn a_pattern_with_loose_braces_is_none() {
        for text in ["{", "}", "a{}b", "{a{b}}", "a}b"] {
            assert_eq!(NamePattern::new(text), None, "{text}");
        }
    }
}
