//! Which of a column's values stand for nothing, and why.

use arrow::array::{Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};

use super::convert::Rule;

/// Values that became NULL, by reason, and others worth knowing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// The file itself has none: TNULL, a logical of 0.
    pub(super) absent: u64,
    pub(super) nan: u64,
    pub(super) infinite: u64,
    pub(super) sentinel: u64,
    /// The weight beside it is 0.
    pub(super) zero_weight: u64,
}

impl Gaps {
    /// Adds what another part of the column had.
    pub(super) fn add(&mut self, other: &Self) {
        self.absent += other.absent;
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.sentinel += other.sentinel;
        self.zero_weight += other.zero_weight;
    }
}

/// Does something with an array of whole numbers, whatever their width.
macro_rules! with_whole {
    ($array:expr, $values:ident => $body:expr, $other:expr) => {
        match $array.data_type() {
            DataType::UInt8 => {
                let $values = $array.as_primitive::<UInt8Type>();
                $body
            }
            DataType::Int8 => {
                let $values = $array.as_primitive::<Int8Type>();
                $body
            }
            DataType::Int16 => {
                let $values = $array.as_primitive::<Int16Type>();
                $body
            }
            DataType::UInt16 => {
                let $values = $array.as_primitive::<UInt16Type>();
                $body
            }
            DataType::Int32 => {
                let $values = $array.as_primitive::<Int32Type>();
                $body
            }
            DataType::UInt32 => {
                let $values = $array.as_primitive::<UInt32Type>();
                $body
            }
            DataType::Int64 => {
                let $values = $array.as_primitive::<Int64Type>();
                $body
            }
            DataType::UInt64 => {
                let $values = $array.as_primitive::<UInt64Type>();
                $body
            }
            _ => $other,
        }
    };
}

pub(super) use with_whole;

/// Where numbers are 0; anything else is nowhere 0.
pub(super) fn zeros(values: &ArrayRef) -> BooleanBuffer {
    if let Some(values) = values.as_primitive_opt::<Float32Type>() {
        return values.values().iter().map(|value| *value == 0.0).collect();
    }
    if let Some(values) = values.as_primitive_opt::<Float64Type>() {
        return values.values().iter().map(|value| *value == 0.0).collect();
    }
    with_whole!(
        values,
        values => values.values().iter().map(|value| i128::from(*value) == 0).collect(),
        BooleanBuffer::new_unset(values.len())
    )
}

/// Which values there are; `None` where all are.
pub(super) fn find_gaps(
    rule: &Rule,
    values: &ArrayRef,
    weightless: Option<&BooleanBuffer>,
    gaps: &mut Gaps,
) -> Option<NullBuffer> {
    let judge = Judge { values, weightless, gaps };
    if let Some(reals) = values.as_primitive_opt::<Float32Type>() {
        // A sentinel like 0.1 stands in the file as the single-precision number next to it.
        #[expect(clippy::cast_possible_truncation, reason = "rounded as the file's own value was")]
        let sentinels: Vec<f64> = rule.null_values.iter().map(|&value| f64::from(value as f32)).collect();
        return judge.reals(reals, &sentinels, rule.keep_nan);
    }
    if let Some(reals) = values.as_primitive_opt::<Float64Type>() {
        return judge.reals(reals, &rule.null_values, rule.keep_nan);
    }
    if let Some(texts) = values.as_string_opt::<i32>() {
        let is_sentinel = |i: usize| {
            let text = texts.value(i).trim();
            rule.null_texts.iter().any(|null| null.trim() == text)
        };
        return judge.others(!rule.null_texts.is_empty(), is_sentinel);
    }
    let sentinels: Vec<i128> = rule.null_values.iter().filter_map(|&value| whole(value)).collect();
    with_whole!(
        values,
        numbers => {
            let numbers = numbers.values();
            judge.others(!sentinels.is_empty(), |i| sentinels.contains(&i128::from(numbers[i])))
        },
        judge.others(false, |_| false)
    )
}

/// Goes through values, one after the other.
struct Judge<'a> {
    values: &'a ArrayRef,
    weightless: Option<&'a BooleanBuffer>,
    gaps: &'a mut Gaps,
}

impl Judge<'_> {
    /// Whether neither the file nor weights leave out any value.
    fn is_whole(&self) -> bool {
        self.values.nulls().is_none() && self.weightless.is_none()
    }

    /// Of real numbers.
    fn reals<T: ArrowPrimitiveType>(
        self,
        reals: &PrimitiveArray<T>,
        sentinels: &[f64],
        keep_nan: bool,
    ) -> Option<NullBuffer>
    where
        T::Native: Into<f64>,
    {
        let reals = reals.values();
        let all_finite = || reals.iter().all(|&value| Into::<f64>::into(value).is_finite());
        if self.is_whole() && sentinels.is_empty() && (keep_nan || all_finite()) {
            return None;
        }
        self.valid(|i, gaps| real_gap(reals[i].into(), keep_nan, sentinels, gaps))
    }

    /// Of whole numbers, texts and truths.
    fn others(self, has_sentinels: bool, is_sentinel: impl Fn(usize) -> bool) -> Option<NullBuffer> {
        if self.is_whole() && !has_sentinels {
            return None;
        }
        self.valid(|i, gaps| {
            let found = is_sentinel(i);
            gaps.sentinel += u64::from(found);
            found
        })
    }

    /// What the file itself leaves out comes first, then what the value says, then what its weight does.
    fn valid(self, is_gap: impl Fn(usize, &mut Gaps) -> bool) -> Option<NullBuffer> {
        let Judge { values, weightless, gaps } = self;
        let nulls = values.nulls();
        let valid = BooleanBuffer::collect_bool(values.len(), |i| {
            if nulls.is_some_and(|nulls| nulls.is_null(i)) {
                gaps.absent += 1;
                false
            } else if is_gap(i, gaps) {
                false
            } else if weightless.is_some_and(|zero| zero.value(i)) {
                gaps.zero_weight += 1;
                false
            } else {
                true
            }
        });
        Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0)
    }
}

/// Whether a real number stands for nothing; it is counted.
fn real_gap(value: f64, keep_nan: bool, sentinels: &[f64], gaps: &mut Gaps) -> bool {
    let count = if sentinels.contains(&value) {
        &mut gaps.sentinel
    } else if keep_nan || value.is_finite() {
        return false;
    } else if value.is_nan() {
        &mut gaps.nan
    } else {
        &mut gaps.infinite
    };
    *count += 1;
    true
}

/// A number without a fraction.
pub(super) fn whole(value: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range of 64-bit integers")]
    (value.fract() == 0.0 && value.abs() < 1.9e19).then_some(value as i128)
}
