//! A column's values as its declaration wants them: what stands for nothing becomes NULL, the rest keeps its value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray as _, BooleanArray, FixedSizeListArray, ListArray,
    PrimitiveArray, StringArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use specmill_schemas::{Element, array_item};

use super::gaps::{Gaps, find_gaps, whole, with_whole, zeros};

/// How a column's values become its declaration's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    /// The type of a value.
    pub(super) element: Element,
    /// The length of its arrays, 0 for any; `None` where it has one value a row.
    pub(super) list: Option<i32>,
    /// Multiplied with every value, first: the unit's factor.
    pub(super) unit_factor: Option<f64>,
    /// Then this.
    pub(super) multiply: Option<f64>,
    /// Then added.
    pub(super) add: Option<f64>,
    /// Numbers that stand for nothing.
    pub(super) null_values: Vec<f64>,
    /// Texts that stand for nothing.
    pub(super) null_texts: Vec<String>,
    /// NaN and infinities stay.
    pub(super) keep_nan: bool,
    /// No value may be NULL.
    pub(super) required: bool,
}

/// A value that cannot be, by its row in the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) row: usize,
    pub(super) problem: String,
}

/// The same by its position among all elements.
struct ElementFault {
    element: usize,
    problem: String,
}

/// Whether values of a file's type can become `element` at all.
pub(super) fn can_become(element: Element, source: &DataType) -> bool {
    let whole = source.is_integer();
    match element {
        Element::Bool => whole || *source == DataType::Boolean,
        Element::Int16 | Element::Int32 | Element::Int64 => whole,
        Element::Float32 | Element::Float64 => {
            whole || matches!(source, DataType::Float32 | DataType::Float64 | DataType::Struct(_))
        }
        Element::Text => *source == DataType::Utf8,
    }
}

/// Converts a block of a column; `weights` is the column of the file that says where it stands for nothing.
///
/// # Errors
/// [`Fault`] with the row of a value that does not fit.
pub(super) fn convert(
    rule: &Rule,
    source: &ArrayRef,
    weights: Option<&ArrayRef>,
    gaps: &mut Gaps,
) -> Result<ArrayRef, Fault> {
    let flat = Flat::of(source);
    let located = |fault: ElementFault| Fault { row: flat.row_of(fault.element), problem: fault.problem };
    let weightless = weights.map(|weights| flat.weightless(weights)).transpose()?;
    let nulls = find_gaps(rule, &flat.values, weightless.as_ref(), gaps);
    if rule.required
        && let Some(element) = nulls.as_ref().and_then(|nulls| nulls.iter().position(|valid| !valid))
    {
        let problem = "its value stands for nothing, but no row may be without one".to_owned();
        return Err(located(ElementFault { element, problem }));
    }
    let values = converted(rule, &flat.values, nulls).map_err(located)?;
    flat.shaped(rule, values)
}

/// The values of all rows one after the other, and how many each row has.
struct Flat {
    values: ArrayRef,
    lengths: Lengths,
    rows: usize,
}

enum Lengths {
    Each(usize),
    Ends(Vec<usize>),
}

impl Flat {
    fn of(source: &ArrayRef) -> Self {
        let rows = source.len();
        let (values, lengths) = if let Some(list) = source.as_list_opt::<i32>() {
            let ends = list.value_offsets()[1..].iter().map(|&end| usize::try_from(end).unwrap_or(0));
            (Arc::clone(list.values()), Lengths::Ends(ends.collect()))
        } else if let Some(list) = source.as_fixed_size_list_opt() {
            let each = usize::try_from(list.value_length()).unwrap_or(0);
            (Arc::clone(list.values()), Lengths::Each(each))
        } else {
            (Arc::clone(source), Lengths::Each(1))
        };
        if values.as_struct_opt().is_none() {
            return Self { values, lengths, rows };
        }
        // A complex number is two.
        let lengths = match lengths {
            Lengths::Each(n) => Lengths::Each(2 * n),
            Lengths::Ends(ends) => Lengths::Ends(ends.into_iter().map(|end| 2 * end).collect()),
        };
        Self { values: interleaved(&values), lengths, rows }
    }

    fn row_of(&self, element: usize) -> usize {
        match &self.lengths {
            Lengths::Each(n) => element / (*n).max(1),
            Lengths::Ends(ends) => ends.partition_point(|&end| end <= element),
        }
    }

    fn length(&self, row: usize) -> usize {
        match &self.lengths {
            Lengths::Each(n) => *n,
            Lengths::Ends(ends) => ends[row] - row.checked_sub(1).map_or(0, |before| ends[before]),
        }
    }

    /// Where a weight is 0: one for each value, or one for each row.
    fn weightless(&self, weights: &ArrayRef) -> Result<BooleanBuffer, Fault> {
        let flat = Self::of(weights);
        let zero = zeros(&flat.values);
        // By the column's kind, not its number of values: lists may have as many by chance.
        if matches!(flat.lengths, Lengths::Each(1)) {
            return Ok(BooleanBuffer::collect_bool(self.values.len(), |i| zero.value(self.row_of(i))));
        }
        match (0..self.rows).find(|&row| self.length(row) != flat.length(row)) {
            None => Ok(zero),
            Some(row) => {
                let problem = "the weights that go with it are of another length".to_owned();
                Err(Fault { row, problem })
            }
        }
    }

    /// The values in the shape that is declared.
    fn shaped(&self, rule: &Rule, values: ArrayRef) -> Result<ArrayRef, Fault> {
        let item = || Arc::new(array_item(rule.element));
        let wrong = |row: usize, wanted: usize| {
            let problem = format!("it has {} values, not {wanted}", self.length(row));
            Fault { row, problem }
        };
        let other = |wanted: usize| (0..self.rows).find(|&row| self.length(row) != wanted);
        match rule.list {
            None => match other(1) {
                None => Ok(values),
                Some(row) => Err(wrong(row, 1)),
            },
            Some(0) => {
                let offsets = OffsetBuffer::from_lengths((0..self.rows).map(|row| self.length(row)));
                Ok(Arc::new(ListArray::new(item(), offsets, values, None)))
            }
            Some(n) => {
                let wanted = usize::try_from(n).unwrap_or(0);
                match other(wanted) {
                    None => Ok(Arc::new(FixedSizeListArray::new(item(), n, values, None))),
                    Some(row) => Err(wrong(row, wanted)),
                }
            }
        }
    }
}

/// Real and imaginary parts by turns.
fn interleaved(complex: &ArrayRef) -> ArrayRef {
    fn by_turns<T: ArrowPrimitiveType>(re: &ArrayRef, im: &ArrayRef) -> ArrayRef {
        let (re, im) = (re.as_primitive::<T>().values(), im.as_primitive::<T>().values());
        Arc::new(PrimitiveArray::<T>::from_iter_values(re.iter().zip(im).flat_map(|(&re, &im)| [re, im])))
    }
    let parts = complex.as_struct();
    let (re, im) = (parts.column(0), parts.column(1));
    if *re.data_type() == DataType::Float32 {
        by_turns::<Float32Type>(re, im)
    } else {
        by_turns::<Float64Type>(re, im)
    }
}

/// The values in the declared type; where `nulls` has none, whatever.
fn converted(rule: &Rule, values: &ArrayRef, nulls: Option<NullBuffer>) -> Result<ArrayRef, ElementFault> {
    match rule.element {
        Element::Text => match values.as_string_opt::<i32>() {
            Some(texts) => {
                Ok(Arc::new(StringArray::new(texts.offsets().clone(), texts.values().clone(), nulls)))
            }
            None => Err(not_of_this_kind()),
        },
        Element::Bool => match values.as_boolean_opt() {
            Some(truths) => Ok(Arc::new(BooleanArray::new(truths.values().clone(), nulls))),
            None => with_whole!(values, numbers => truths(numbers, nulls), Err(not_of_this_kind())),
        },
        Element::Int16 => {
            with_whole!(values, numbers => wholes::<_, Int16Type>(numbers, nulls), Err(not_of_this_kind()))
        }
        Element::Int32 => {
            with_whole!(values, numbers => wholes::<_, Int32Type>(numbers, nulls), Err(not_of_this_kind()))
        }
        Element::Int64 => match values.as_primitive_opt::<Int64Type>() {
            Some(numbers) => Ok(Arc::new(PrimitiveArray::<Int64Type>::new(numbers.values().clone(), nulls))),
            None => {
                with_whole!(values, numbers => wholes::<_, Int64Type>(numbers, nulls), Err(not_of_this_kind()))
            }
        },
        Element::Float32 => singles(rule, values, nulls),
        Element::Float64 => doubles(rule, values, nulls),
    }
}

/// The binding has looked at the types: this is for a table that changed under way.
fn not_of_this_kind() -> ElementFault {
    ElementFault { element: 0, problem: "its values are of another kind than its column".to_owned() }
}

fn is_valid(nulls: Option<&NullBuffer>, element: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(element))
}

/// 0 and 1 are false and true.
fn truths<S: ArrowPrimitiveType>(
    numbers: &PrimitiveArray<S>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ElementFault>
where
    S::Native: Into<i128>,
{
    let mut odd = None;
    let values = BooleanBuffer::collect_bool(numbers.len(), |i| {
        let value: i128 = numbers.values()[i].into();
        if !matches!(value, 0 | 1) && is_valid(nulls.as_ref(), i) {
            odd.get_or_insert((i, value));
        }
        value == 1
    });
    match odd {
        Some((element, value)) => Err(ElementFault {
            element,
            problem: format!("{value} is neither 0 nor 1, as a boolean must be"),
        }),
        None => Ok(Arc::new(BooleanArray::new(values, nulls))),
    }
}

/// Whole numbers of another width.
fn wholes<S: ArrowPrimitiveType, T: ArrowPrimitiveType>(
    numbers: &PrimitiveArray<S>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ElementFault>
where
    S::Native: Into<i128>,
    T::Native: TryFrom<i128>,
{
    let mut values = Vec::with_capacity(numbers.len());
    for (element, &number) in numbers.values().iter().enumerate() {
        let number: i128 = number.into();
        values.push(match T::Native::try_from(number) {
            Ok(value) => value,
            Err(_) if !is_valid(nulls.as_ref(), element) => T::Native::default(),
            Err(_) => {
                let problem = format!("{number} does not fit its type, {}", T::DATA_TYPE);
                return Err(ElementFault { element, problem });
            }
        });
    }
    Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
}

impl Rule {
    fn converts(&self) -> bool {
        self.unit_factor.is_some() || self.multiply.is_some() || self.add.is_some()
    }

    /// In double precision; rounded once, by whoever stores it.
    fn scaled(&self, value: f64) -> f64 {
        let value = self.unit_factor.map_or(value, |factor| value * factor);
        let value = self.multiply.map_or(value, |factor| value * factor);
        self.add.map_or(value, |term| value + term)
    }
}

/// Real numbers, converted, as doubles; whole ones only where they stay what they are.
fn as_doubles(rule: &Rule, values: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<Vec<f64>, ElementFault> {
    if let Some(reals) = values.as_primitive_opt::<Float64Type>() {
        return Ok(reals.values().iter().map(|&value| rule.scaled(value)).collect());
    }
    if let Some(reals) = values.as_primitive_opt::<Float32Type>() {
        return Ok(reals.values().iter().map(|&value| rule.scaled(f64::from(value))).collect());
    }
    with_whole!(
        values,
        numbers => {
            let mut doubles = Vec::with_capacity(numbers.len());
            for (element, &number) in numbers.values().iter().enumerate() {
                let number = i128::from(number);
                #[expect(clippy::cast_precision_loss, reason = "compared with what it was")]
                let double = number as f64;
                if whole(double) != Some(number) && is_valid(nulls, element) {
                    let problem = format!("{number} is no double-precision number");
                    return Err(ElementFault { element, problem });
                }
                doubles.push(rule.scaled(double));
            }
            Ok(doubles)
        },
        Err(not_of_this_kind())
    )
}

fn doubles(rule: &Rule, values: &ArrayRef, nulls: Option<NullBuffer>) -> Result<ArrayRef, ElementFault> {
    if let Some(reals) = values.as_primitive_opt::<Float64Type>()
        && !rule.converts()
    {
        return Ok(Arc::new(PrimitiveArray::<Float64Type>::new(reals.values().clone(), nulls)));
    }
    let doubles = as_doubles(rule, values, nulls.as_ref())?;
    let too_large =
        |(i, value): (usize, &f64)| !rule.keep_nan && !value.is_finite() && is_valid(nulls.as_ref(), i);
    match doubles.iter().enumerate().position(too_large) {
        Some(element) => {
            Err(ElementFault { element, problem: "it is out of range once converted".to_owned() })
        }
        None => Ok(Arc::new(PrimitiveArray::<Float64Type>::new(doubles.into(), nulls))),
    }
}

fn singles(rule: &Rule, values: &ArrayRef, nulls: Option<NullBuffer>) -> Result<ArrayRef, ElementFault> {
    if let Some(reals) = values.as_primitive_opt::<Float32Type>()
        && !rule.converts()
    {
        return Ok(Arc::new(PrimitiveArray::<Float32Type>::new(reals.values().clone(), nulls)));
    }
    let from_whole = values.data_type().is_integer() && !rule.converts();
    let doubles = as_doubles(rule, values, nulls.as_ref())?;
    let mut singles = Vec::with_capacity(doubles.len());
    for (element, double) in doubles.into_iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "rounded to the declared precision")]
        let single = double as f32;
        let lost =
            (!single.is_finite() && !rule.keep_nan) || (from_whole && !same(f64::from(single), double));
        if lost && is_valid(nulls.as_ref(), element) {
            let problem = format!("{double} does not fit single precision");
            return Err(ElementFault { element, problem });
        }
        singles.push(single);
    }
    Ok(Arc::new(PrimitiveArray::<Float32Type>::new(singles.into(), nulls)))
}

#[expect(clippy::float_cmp, reason = "asks whether anything was lost")]
fn same(a: f64, b: f64) -> bool {
    a == b
}
