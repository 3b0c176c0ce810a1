//! What the cards of a column say beyond where its bytes lie.

use std::collections::HashMap;

use super::column::is_scaled;
use super::policy::{NanPolicy, Policy, TnullPolicy};
use super::units::vounit;
use crate::fits::header::Value;
use crate::fits::layout::{Column, HduInfo};
use crate::fits::tform::ElementKind;

/// What NumPy fills masked integers with; cut to a column's width it is the TNULL of masked tables.
const MASKED_FILL: i64 = 999_999;

/// What became of a column's TNULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tnull {
    /// No TNULL card, or on a column that has none.
    Absent,
    /// This value is NULL.
    Null(i64),
    /// This value stays; how often it occurs is counted.
    Kept(i64),
    /// No value of the column can be equal to it.
    OutsideType,
}

/// The cards of columns that only a reader of their values needs.
pub(super) struct Cards<'a> {
    by_column: HashMap<(&'a str, usize), &'a Value>,
}

impl<'a> Cards<'a> {
    pub(super) fn of(hdu: &'a HduInfo) -> Self {
        let mut by_column = HashMap::new();
        for card in hdu.header.cards() {
            let stem = card.keyword.trim_end_matches(|c: char| c.is_ascii_digit());
            if matches!(stem, "TNULL" | "TCOMM" | "TUCD" | "TDISP")
                && let Ok(number) = card.keyword[stem.len()..].parse::<usize>()
            {
                by_column.entry((stem, number)).or_insert(&card.value);
            }
        }
        Self { by_column }
    }

    fn get(&self, stem: &'a str, column: &Column) -> Option<&'a Value> {
        self.by_column.get(&(stem, column.index + 1)).copied()
    }

    fn text(&self, stem: &'a str, column: &Column) -> Option<&'a str> {
        match self.get(stem, column) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// What TNULL means, decided from its value and the column's type.
pub(super) fn judge_tnull(cards: &Cards<'_>, column: &Column, policy: TnullPolicy) -> Tnull {
    use ElementKind::{Byte, Int, Long, Short};
    let (least, most, fill) = match column.form.element {
        Byte => (0, i64::from(u8::MAX), MASKED_FILL & 0xff),
        Short => (i64::from(i16::MIN), i64::from(i16::MAX), MASKED_FILL & 0xffff),
        Int => (i64::from(i32::MIN), i64::from(i32::MAX), MASKED_FILL),
        Long => (i64::MIN, i64::MAX, MASKED_FILL),
        ElementKind::Logical
        | ElementKind::Bit
        | ElementKind::Text
        | ElementKind::Float
        | ElementKind::Double
        | ElementKind::Complex
        | ElementKind::DoubleComplex => return Tnull::Absent,
    };
    match (cards.get("TNULL", column), policy) {
        (None, _) => Tnull::Absent,
        (Some(&Value::Integer(value)), _) if value < least || value > most => Tnull::OutsideType,
        (Some(&Value::Integer(value)), TnullPolicy::Ignore) => Tnull::Kept(value),
        (Some(&Value::Integer(value)), TnullPolicy::Judge) if value == fill => Tnull::Kept(value),
        (Some(&Value::Integer(value)), _) => Tnull::Null(value),
        (Some(_), _) => Tnull::OutsideType,
    }
}

/// What Parquet keeps of the cards.
pub(super) fn metadata(
    column: &Column,
    cards: &Cards<'_>,
    policy: Policy,
    tnull: Tnull,
) -> HashMap<String, String> {
    let mut metadata = HashMap::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            metadata.insert(key.to_owned(), value);
        }
    };
    let unit = column.unit.as_deref().map(str::trim);
    // What is no VOUnit stays as it is written.
    set("unit", unit.map(|unit| vounit(unit).unwrap_or_else(|| unit.to_owned())));
    set("fits.tunit", column.unit.clone());
    set("ucd", cards.text("TUCD", column).map(str::to_owned));
    set("description", cards.text("TCOMM", column).map(str::to_owned));
    set("fits.ttype", Some(column.name.clone()));
    set("fits.tform", Some(column.tform.clone()));
    set("fits.tdim", column.tdim.clone());
    set("fits.tdisp", cards.text("TDISP", column).map(str::to_owned));
    let scaled = is_scaled(column);
    set("fits.tscal", scaled.then(|| column.tscal.to_string()));
    set("fits.tzero", scaled.then(|| column.tzero.to_string()));
    let tnull = match tnull {
        Tnull::Absent => None,
        Tnull::Null(value) => Some(format!("{value}: NULL")),
        Tnull::Kept(value) => Some(format!("{value}: kept")),
        Tnull::OutsideType => Some("outside the type: ignored".to_owned()),
    };
    set("fits.tnull", tnull);
    let floating = matches!(column.form.element, ElementKind::Float | ElementKind::Double);
    set("fits.nan", (floating && policy.nan == NanPolicy::Null).then(|| "NULL".to_owned()));
    metadata
}
