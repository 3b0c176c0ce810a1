//! Counts and sums of columns, by which two copies of a table are compared.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray as _, PrimitiveArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};

/// Half the distance from 1 to the next double.
const ROUNDING: f64 = f64::EPSILON / 2.0;

/// Every column of a table, or of some rows of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ColumnSums {
    /// Rows.
    pub(crate) rows: u64,
    /// By column, in the order of the table.
    pub(crate) columns: Vec<(String, Sum)>,
}

/// A column: how many values it has, elements of arrays one by one, and what they add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sum {
    /// Values that are not NULL.
    pub(crate) values: u64,
    /// Of these, NaN or infinite: a table that is kept as it is has such.
    pub(crate) not_finite: u64,
    /// The others together.
    pub(crate) total: Total,
}

/// What values add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Total {
    /// No values.
    #[default]
    Nothing,
    /// Whole numbers, exactly.
    Whole(i128),
    /// Real numbers, and their magnitudes.
    Real {
        /// Σx
        sum: f64,
        /// Σ|x|
        magnitude: f64,
    },
    /// Bytes of texts.
    Bytes(u64),
    /// How many are true.
    True(u64),
}

impl ColumnSums {
    /// Of columns of these names, still without rows.
    pub(crate) fn of_columns<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let columns = names.into_iter().map(|name| (name.to_owned(), Sum::default())).collect();
        Self { rows: 0, columns }
    }

    /// Where two tables differ, one sentence a column.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.rows != other.rows {
            differences.push(format!("{} rows, not {}", other.rows, self.rows));
        }
        for (name, sum) in &self.columns {
            match other.columns.iter().find(|(other, _)| other == name) {
                Some((_, found)) => {
                    differences.extend(sum.difference(found).map(|what| format!("column {name}: {what}")));
                }
                None => differences.push(format!("column {name} is not there")),
            }
        }
        let more =
            other.columns.iter().filter(|(name, _)| !self.columns.iter().any(|(known, _)| known == name));
        differences.extend(more.map(|(name, _)| format!("column {name} is not expected")));
        differences
    }
}

impl Sum {
    /// Adds the values of an array.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a catalogue has no other types")]
    pub(crate) fn add(&mut self, array: &ArrayRef) {
        match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (first, last) = (list.value_offsets().first(), list.value_offsets().last());
                let span = first.zip(last).and_then(|(first, last)| {
                    Some((usize::try_from(*first).ok()?, usize::try_from(*last - *first).ok()?))
                });
                if let Some((first, length)) = span {
                    self.add(&list.values().slice(first, length));
                }
                return;
            }
            DataType::FixedSizeList(_, n) => {
                let list = array.as_fixed_size_list();
                let n = usize::try_from(*n).unwrap_or(0);
                self.add(&list.values().slice(list.offset() * n, list.len() * n));
                return;
            }
            DataType::Int16 => self.add_whole::<Int16Type>(array.as_primitive()),
            DataType::Int32 => self.add_whole::<Int32Type>(array.as_primitive()),
            DataType::Int64 => self.add_whole::<Int64Type>(array.as_primitive()),
            DataType::Float32 => self.add_real::<Float32Type>(array.as_primitive()),
            DataType::Float64 => self.add_real::<Float64Type>(array.as_primitive()),
            DataType::Utf8 => {
                let bytes: u64 =
                    array.as_string::<i32>().iter().flatten().map(|text| text.len() as u64).sum();
                self.total = self.total.and(Total::Bytes(bytes));
            }
            DataType::Boolean => {
                self.total = self.total.and(Total::True(array.as_boolean().true_count() as u64));
            }
            _ => {}
        }
        self.values += (array.len() - array.null_count()) as u64;
    }

    fn add_whole<T: ArrowPrimitiveType>(&mut self, array: &PrimitiveArray<T>)
    where
        T::Native: Into<i128>,
    {
        let sum: i128 = array.iter().flatten().map(Into::<i128>::into).sum();
        self.total = self.total.and(Total::Whole(sum));
    }

    fn add_real<T: ArrowPrimitiveType>(&mut self, array: &PrimitiveArray<T>)
    where
        T::Native: Into<f64>,
    {
        let (mut sum, mut magnitude) = match self.total {
            Total::Real { sum, magnitude } => (sum, magnitude),
            Total::Nothing | Total::Whole(_) | Total::Bytes(_) | Total::True(_) => (0.0, 0.0),
        };
        for value in array.iter().flatten().map(Into::<f64>::into) {
            if value.is_finite() {
                sum += value;
                magnitude += value.abs();
            } else {
                self.not_finite += 1;
            }
        }
        self.total = Total::Real { sum, magnitude };
    }

    /// What differs between a sum and another of what should be the same values, in whatever order they were added.
    pub(crate) fn difference(&self, found: &Self) -> Option<String> {
        if self.values != found.values {
            return Some(format!("{} values, not {}", found.values, self.values));
        }
        if self.not_finite != found.not_finite {
            return Some(format!("{} NaN or infinite, not {}", found.not_finite, self.not_finite));
        }
        match (self.total, found.total) {
            // Without values, nothing says what they would be.
            _ if self.values == 0 => None,
            (Total::Real { sum: a, magnitude }, Total::Real { sum: b, magnitude: other }) => {
                let bound = rounding_bound(self.values, magnitude.max(other));
                let far = (a - b).abs() > bound || magnitude.is_finite() != other.is_finite();
                far.then(|| format!("its sum is {b:e}, not {a:e} (rounding: {bound:.1e})"))
            }
            (a, b) => (a != b).then(|| format!("{b}, not {a}")),
        }
    }
}

/// How far apart two sums of the same `n` doubles may lie, in whatever orders they are added.
///
/// Each addition rounds by at most u = 2^-53 of its result, and a value passes through at most n - 1 of them, so that a
/// sum is off by at most ((1 + u)^(n-1) - 1) Σ|x| (Higham 2002, §4.2), and two by twice that. With n u below 1e-3 the
/// power series after its first term, and the rounding of Σ|x| itself, add less than one part in a hundred.
fn rounding_bound(n: u64, magnitude: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a bound, with a hundredth to spare")]
    let n = n as f64;
    2.0 * n * ROUNDING * magnitude * 1.01
}

impl Total {
    /// Two totals together; of another kind only where one is nothing.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Self::Whole(a + b),
            (Self::Bytes(a), Self::Bytes(b)) => Self::Bytes(a + b),
            (Self::True(a), Self::True(b)) => Self::True(a + b),
            (Self::Real { sum: a, magnitude: c }, Self::Real { sum: b, magnitude: d }) => {
                Self::Real { sum: a + b, magnitude: c + d }
            }
            (Self::Nothing, other) => other,
            (this, _) => this,
        }
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Whole(sum) => write!(f, "its sum is {sum}"),
            Self::Real { sum, .. } => write!(f, "its sum is {sum:e}"),
            Self::Bytes(bytes) => write!(f, "its texts have {bytes} bytes"),
            Self::True(n) => write!(f, "{n} are true"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int64Array, ListArray, StringArray};

    use super::*;

    fn sum(array: ArrayRef) -> Sum {
        let mut sum = Sum::default();
        sum.add(&array);
        sum
    }

    #[test]
    fn whole_numbers_are_summed_without_overflow_and_nulls_are_not_values() {
        let values = vec![Some(i64::MAX), Some(i64::MAX), None, Some(-1)];
        let found = sum(Arc::new(Int64Array::from(values)));
        assert_eq!(found.values, 3);
        assert_eq!(found.total, Total::Whole(2 * i128::from(i64::MAX) - 1));
    }

    #[test]
    fn a_value_too_few_or_a_bit_too_much_is_a_difference_and_another_order_is_none() {
        let values: Vec<f64> = (1..2000).map(|i| 1e3 / f64::from(i)).collect();
        let forward = sum(Arc::new(Float64Array::from(values.clone())));
        let backward = sum(Arc::new(values.iter().rev().copied().collect::<Float64Array>()));
        assert_ne!(forward, backward, "the orders round differently");
        assert_eq!(forward.difference(&backward), None);
        let mut other = values.clone();
        other[77] *= 1.0 + 1e-8;
        assert!(forward.difference(&sum(Arc::new(Float64Array::from(other)))).is_some());
        assert!(forward.difference(&sum(Arc::new(Float64Array::from(values[1..].to_vec())))).is_some());
    }

    #[test]
    fn arrays_texts_truths_and_what_is_not_finite_are_counted() {
        let lists = vec![Some(vec![Some(1), None]), Some(vec![]), Some(vec![Some(5)])];
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        assert_eq!(sum(list.slice(1, 2)), Sum { values: 1, not_finite: 0, total: Total::Whole(5) });
        assert_eq!(sum(list).values, 2);
        let texts = sum(Arc::new(StringArray::from(vec![Some("abc"), None, Some("é")])));
        assert_eq!((texts.values, texts.total), (2, Total::Bytes(5)));
        let truths = sum(Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])));
        assert_eq!((truths.values, truths.total), (2, Total::True(1)));
        let odd = sum(Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 2.0])));
        assert_eq!((odd.values, odd.not_finite), (3, 2));
    }

    #[test]
    fn tables_are_told_apart_by_the_columns_that_differ() {
        let mut a = ColumnSums::of_columns(["x", "y"]);
        let mut b = a.clone();
        a.columns[1].1.add(&(Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef));
        b.columns[1].1.add(&(Arc::new(Int64Array::from(vec![1, 3])) as ArrayRef));
        assert_eq!(a.differences(&b), ["column y: its sum is 4, not its sum is 3"]);
        b.columns.remove(0);
        b.columns.push(("z".to_owned(), Sum::default()));
        assert_eq!(a.differences(&b)[0], "column x is not there");
        assert_eq!(a.differences(&b)[2], "column z is not expected");
    }
}
