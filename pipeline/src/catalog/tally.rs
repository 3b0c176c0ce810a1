//! What a column's values are like: how many are missing, and between what the others lie.

use arrow::array::{Array, ArrowPrimitiveType, AsArray as _, PrimitiveArray};
use arrow::compute::{max, max_boolean, max_string, min, min_boolean, min_string};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};

use crate::fits::bintable::{Decoded, Notes};

/// Characters of a string that are shown.
const SHOWN_CHARS: usize = 12;

/// The account of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) nulls: u64,
    pub(super) nans: u64,
    pub(super) infinities: u64,
    range: Option<(Extreme, Extreme)>,
    pub(super) notes: Notes,
}

#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Extreme {
    Whole(i128),
    Real(f64),
    Text(String),
    Truth(bool),
}

impl Tally {
    /// Adds the values of a block.
    pub(super) fn add(&mut self, decoded: &Decoded) {
        self.notes.add(&decoded.notes);
        self.add_array(decoded.array.as_ref());
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has types that no column becomes")]
    fn add_array(&mut self, array: &dyn Array) {
        self.nulls += array.null_count() as u64;
        match array.data_type() {
            DataType::UInt8 => self.add_whole::<UInt8Type>(array.as_primitive()),
            DataType::Int8 => self.add_whole::<Int8Type>(array.as_primitive()),
            DataType::Int16 => self.add_whole::<Int16Type>(array.as_primitive()),
            DataType::UInt16 => self.add_whole::<UInt16Type>(array.as_primitive()),
            DataType::Int32 => self.add_whole::<Int32Type>(array.as_primitive()),
            DataType::UInt32 => self.add_whole::<UInt32Type>(array.as_primitive()),
            DataType::Int64 => self.add_whole::<Int64Type>(array.as_primitive()),
            DataType::UInt64 => self.add_whole::<UInt64Type>(array.as_primitive()),
            DataType::Float32 => self.add_real::<Float32Type>(array.as_primitive()),
            DataType::Float64 => self.add_real::<Float64Type>(array.as_primitive()),
            DataType::Boolean => {
                let values = array.as_boolean();
                self.widen(min_boolean(values).zip(max_boolean(values)), Extreme::Truth);
            }
            DataType::Utf8 => {
                let values = array.as_string::<i32>();
                let range = min_string(values).zip(max_string(values));
                self.widen(range, |text| Extreme::Text(text.to_owned()));
            }
            DataType::List(_) => self.add_array(array.as_list::<i32>().values()),
            DataType::FixedSizeList(..) => self.add_array(array.as_fixed_size_list().values()),
            // Complex numbers have no order.
            DataType::Struct(_) => {
                let parts = array.as_struct();
                parts.columns().iter().for_each(|part| self.add_array(part));
                self.range = None;
            }
            _ => {}
        }
    }

    fn add_whole<T: ArrowPrimitiveType>(&mut self, values: &PrimitiveArray<T>)
    where
        T::Native: Into<i128>,
    {
        self.widen(min(values).zip(max(values)), |value| Extreme::Whole(value.into()));
    }

    fn add_real<T: ArrowPrimitiveType>(&mut self, values: &PrimitiveArray<T>)
    where
        T::Native: Into<f64>,
    {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut add = |value: f64| {
            self.nans += u64::from(value.is_nan());
            self.infinities += u64::from(value.is_infinite());
            // NaN changes neither.
            (least, most) = (least.min(value), most.max(value));
        };
        match values.nulls() {
            None => values.values().iter().for_each(|&value| add(value.into())),
            Some(_) => values.iter().flatten().for_each(|value| add(value.into())),
        }
        self.widen((least <= most).then_some((least, most)), Extreme::Real);
    }

    fn widen<T>(&mut self, range: Option<(T, T)>, extreme: impl Fn(T) -> Extreme) {
        let Some((least, most)) = range.map(|(least, most)| (extreme(least), extreme(most))) else { return };
        self.range = Some(match self.range.take() {
            None => (least, most),
            Some((low, high)) => {
                (if least < low { least } else { low }, if most > high { most } else { high })
            }
        });
    }

    /// The least and the greatest value, for people.
    pub(super) fn shown_range(&self) -> (String, String) {
        self.range.as_ref().map_or_else(Default::default, |(least, most)| (least.shown(), most.shown()))
    }
}

impl Extreme {
    fn shown(&self) -> String {
        match self {
            Self::Whole(value) => value.to_string(),
            Self::Real(value) => shown_real(*value),
            Self::Text(text) if text.chars().count() > SHOWN_CHARS => {
                format!("'{}…'", text.chars().take(SHOWN_CHARS).collect::<String>())
            }
            Self::Text(text) => format!("'{text}'"),
            Self::Truth(value) => if *value { "T" } else { "F" }.to_owned(),
        }
    }
}

/// Six digits or so.
fn shown_real(value: f64) -> String {
    let size = value.abs();
    if size >= 1e7 || (size < 1e-3 && size > 0.0) {
        return format!("{value:.4e}");
    }
    let text = format!("{value:.4}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array,
    };

    use super::*;

    fn tally(blocks: Vec<ArrayRef>) -> Tally {
        let mut tally = Tally::default();
        for array in blocks {
            tally.add(&Decoded { array, notes: Notes { odd_logicals: 1, ..Notes::default() } });
        }
        tally
    }

    fn range(blocks: Vec<ArrayRef>) -> (String, String) {
        tally(blocks).shown_range()
    }

    fn texts(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn nan_infinity_and_null_are_counted_and_do_not_widen_the_range() {
        let tally = tally(vec![
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(2.5)])),
            Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), Some(-1e-9), None])),
        ]);
        assert_eq!((tally.nulls, tally.nans, tally.infinities, tally.notes.odd_logicals), (2, 1, 1, 2));
        assert_eq!(tally.shown_range(), texts("-inf", "2.5"));
        assert_eq!(range(vec![Arc::new(Float32Array::from(vec![f32::NAN]))]), texts("", ""));
    }

    #[test]
    fn ranges_are_exact_for_whole_numbers_and_short_for_the_rest() {
        let ids = vec![i64::MIN, 616_088_619_186_127_404];
        assert_eq!(
            range(vec![Arc::new(Int64Array::from(ids))]),
            texts("-9223372036854775808", "616088619186127404")
        );
        assert_eq!(range(vec![Arc::new(UInt64Array::from(vec![u64::MAX]))]).1, "18446744073709551615");
        assert_eq!(
            range(vec![Arc::new(Float64Array::from(vec![-1e-9, 1.5e9]))]),
            texts("-1.0000e-9", "1.5000e9")
        );
        let names = StringArray::from(vec!["", "a long name indeed"]);
        assert_eq!(range(vec![Arc::new(names)]), texts("''", "'a long name …'"));
        assert_eq!(range(vec![Arc::new(BooleanArray::from(vec![Some(true), None]))]), texts("T", "T"));
    }
}
