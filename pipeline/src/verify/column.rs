//! Two columns, value by value.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::util::display::array_value_to_string;
use serde::{Deserialize, Serialize};

/// How two columns of the same name and type differ.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ColumnDifference {
    /// Its name.
    pub(crate) column: String,
    /// Rows with a value that differs.
    pub(crate) rows: u64,
    /// Values that differ; of lists, elements.
    pub(crate) values: u64,
    /// Values that are NULL in A alone.
    pub(crate) null_in_a: u64,
    /// Values that are NULL in B alone.
    pub(crate) null_in_b: u64,
    /// Of numbers: the largest |a − b| that is finite.
    pub(crate) max_abs: Option<f64>,
    /// Of floating-point numbers: the largest distance in units in the last place, where +0 follows −0. Between a
    /// finite number and another thing it is the largest there is.
    pub(crate) max_ulp: Option<u64>,
    /// The largest |a − b| / σ, where A has a column that says σ.
    pub(crate) max_pull: Option<f64>,
    /// The column that says it.
    pub(crate) sigma: Option<String>,
    /// Values that differ and are not floating-point numbers both.
    pub(crate) uncountable: u64,
    /// The first row that differs, from 0.
    pub(crate) first_row: u64,
    /// Its key, where the table has one.
    pub(crate) first_key: Option<String>,
    /// What it holds in A.
    pub(crate) first_a: String,
    /// What it holds in B.
    pub(crate) first_b: String,
}

impl ColumnDifference {
    /// Whether all values are within `max_ulp`.
    pub(crate) fn is_within(&self, max_ulp: u64) -> bool {
        self.uncountable == 0
            && self.null_in_a + self.null_in_b == 0
            && self.max_ulp.is_none_or(|found| found <= max_ulp)
    }

    /// Whether it names settings or inputs: it differs wherever these do.
    pub(super) fn is_identity(&self) -> bool {
        ["_hash", "_sha256", "_path"].iter().any(|end| self.column.ends_with(end))
    }

    /// Takes in the same column of another file; the first row stays.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.values += other.values;
        self.null_in_a += other.null_in_a;
        self.null_in_b += other.null_in_b;
        self.uncountable += other.uncountable;
        self.max_abs = larger(self.max_abs, other.max_abs);
        self.max_pull = larger(self.max_pull, other.max_pull);
        self.max_ulp = self.max_ulp.max(other.max_ulp);
        self.sigma = self.sigma.take().or_else(|| other.sigma.clone());
    }

    /// A place where the two differ: its row, and the element of its list.
    fn differ(&mut self, place: Place, texts: impl FnOnce() -> (String, String)) {
        if self.values == 0 {
            self.first_row = place.row;
            let (a, b) = texts();
            let of = |text: String| match place.item {
                Some(item) => format!("[{item}] {text}"),
                None => text,
            };
            (self.first_a, self.first_b) = (of(a), of(b));
        }
        self.values += 1;
    }

    /// Two floating-point numbers, if they differ.
    fn floats(&mut self, place: Place, a: Float, b: Float, sigma: Option<f64>) {
        if a.bits == b.bits {
            return;
        }
        self.differ(place, || (a.text(), b.text()));
        self.max_ulp = self.max_ulp.max(Some(a.ulps_from(b)));
        let distance = (a.value - b.value).abs();
        if distance.is_finite() {
            self.max_abs = larger(self.max_abs, Some(distance));
            self.max_pull = larger(self.max_pull, sigma.map(|sigma| distance / sigma));
        }
    }
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

/// A row, and an element of its list.
#[derive(Clone, Copy)]
struct Place {
    row: u64,
    item: Option<usize>,
}

/// A number of either precision, with its bits in the order of its values.
#[derive(Clone, Copy)]
struct Float {
    value: f64,
    bits: i64,
    single: bool,
}

impl From<f32> for Float {
    fn from(value: f32) -> Self {
        let bits = value.to_bits().cast_signed();
        // IEEE 754's total order: the bits of negative numbers count backwards.
        let bits = bits ^ ((bits >> 31) & i32::MAX);
        Self { value: f64::from(value), bits: i64::from(bits), single: true }
    }
}

impl From<f64> for Float {
    fn from(value: f64) -> Self {
        let bits = value.to_bits().cast_signed();
        Self { value, bits: bits ^ ((bits >> 63) & i64::MAX), single: false }
    }
}

impl Float {
    fn ulps_from(self, other: Self) -> u64 {
        // Infinity is next to the largest number, and NaN next to infinity, in bits alone.
        if self.value.is_finite() && other.value.is_finite() {
            self.bits.abs_diff(other.bits)
        } else {
            u64::MAX
        }
    }

    fn text(self) -> String {
        if self.single {
            format!("{:?}", crate::columns::to_f32(self.value))
        } else {
            format!("{:?}", self.value)
        }
    }
}

/// The column that says how uncertain another is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SigmaColumn {
    pub(super) name: String,
    kind: SigmaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SigmaKind {
    InverseVariance,
    Variance,
    Error,
}

impl SigmaKind {
    /// The standard error; `None` where it says nothing.
    fn sigma(self, value: f64) -> Option<f64> {
        let sigma = match self {
            Self::InverseVariance => 1.0 / value.sqrt(),
            Self::Variance => value.sqrt(),
            Self::Error => value,
        };
        (value > 0.0 && sigma.is_finite() && sigma > 0.0).then_some(sigma)
    }
}

impl SigmaColumn {
    /// The column of `schema` that says how uncertain `name` is, by the names that DESI's tables and ours give it.
    pub(super) fn of(name: &str, schema: &Schema) -> Option<Self> {
        use SigmaKind::{Error, InverseVariance, Variance};
        let mut candidates = vec![
            (format!("{name}_ivar"), InverseVariance),
            (format!("{name}_err"), Error),
            (format!("{name}_error"), Error),
            (format!("{name}err"), Error),
            (format!("{name}_variance"), Variance),
        ];
        if name == "flux" {
            candidates.push(("ivar".to_owned(), InverseVariance));
        }
        // As in flux_g and flux_ivar_g.
        if let Some((stem, end)) = name.rsplit_once('_') {
            candidates.push((format!("{stem}_ivar_{end}"), InverseVariance));
            candidates.push((format!("{stem}_err_{end}"), Error));
        }
        let is_list = |name: &str| schema.field_with_name(name).map(|field| is_list(field.data_type()));
        let wanted = is_list(name).ok()?;
        let (name, kind) =
            candidates.into_iter().find(|(candidate, _)| is_list(candidate).is_ok_and(|is| is == wanted))?;
        Some(Self { name, kind })
    }
}

fn is_list(kind: &DataType) -> bool {
    matches!(kind, DataType::FixedSizeList(..) | DataType::List(_) | DataType::LargeList(_))
}

/// Rows of a column on both sides.
pub(super) struct Pair<'a> {
    pub(super) a: &'a ArrayRef,
    pub(super) b: &'a ArrayRef,
    /// The column that says how uncertain A is, in the same rows.
    pub(super) sigma: Option<(&'a SigmaColumn, ArrayRef)>,
    /// The number of the first row.
    pub(super) first_row: u64,
}

impl Pair<'_> {
    /// Whether nothing differs.
    pub(super) fn is_equal(&self) -> bool {
        self.a.to_data() == self.b.to_data()
    }

    /// Adds what differs to `found`.
    pub(super) fn compare(&self, found: &mut ColumnDifference) {
        let numbers = |array: &ArrayRef| {
            // Times and the like have no distance that anybody would read.
            array.data_type().is_integer().then(|| cast(array, &DataType::Float64).ok()).flatten()
        };
        let (numbers_a, numbers_b) = (numbers(self.a), numbers(self.b));
        for i in 0..self.a.len() {
            let before = found.values;
            let place = Place { row: self.first_row + i as u64, item: None };
            match (self.a.is_null(i), self.b.is_null(i)) {
                (true, true) => {}
                (true, false) | (false, true) => self.one_is_null(place, i, found),
                (false, false) => {
                    self.compare_row(place, i, found);
                    if found.values > before
                        && let (Some(a), Some(b)) = (&numbers_a, &numbers_b)
                    {
                        let of = |array: &ArrayRef| array.as_primitive::<Float64Type>().value(i);
                        found.max_abs = larger(found.max_abs, Some((of(a) - of(b)).abs()));
                    }
                }
            }
            found.rows += u64::from(found.values > before);
        }
    }

    fn one_is_null(&self, place: Place, i: usize, found: &mut ColumnDifference) {
        found.differ(place, || (text(self.a, i), text(self.b, i)));
        if self.a.is_null(i) {
            found.null_in_a += 1;
        } else {
            found.null_in_b += 1;
        }
    }

    /// A row with a value on both sides.
    fn compare_row(&self, place: Place, i: usize, found: &mut ColumnDifference) {
        let kind = self.a.data_type();
        if *kind == DataType::Float32 {
            self.compare_floats::<Float32Type>(place, i, found);
        } else if *kind == DataType::Float64 {
            self.compare_floats::<Float64Type>(place, i, found);
        } else if matches!(kind, DataType::FixedSizeList(..) | DataType::List(_)) {
            self.compare_lists(place, i, found);
        } else if self.a.slice(i, 1).to_data() != self.b.slice(i, 1).to_data() {
            found.differ(place, || (text(self.a, i), text(self.b, i)));
            found.uncountable += 1;
        }
    }

    fn compare_floats<T: ArrowPrimitiveType>(&self, place: Place, i: usize, found: &mut ColumnDifference)
    where
        Float: From<T::Native>,
    {
        let of = |array: &ArrayRef| Float::from(array.as_primitive::<T>().value(i));
        let sigma = self.sigma.as_ref().and_then(|(column, array)| column.kind.sigma(number(array, i)?));
        found.floats(place, of(self.a), of(self.b), sigma);
    }

    /// Lists of numbers by their elements; others as a whole.
    fn compare_lists(&self, place: Place, i: usize, found: &mut ColumnDifference) {
        let (Some(a), Some(b)) = (list(self.a, i), list(self.b, i)) else { return };
        if a.to_data() == b.to_data() {
            return;
        }
        let is_float = matches!(a.data_type(), DataType::Float32 | DataType::Float64);
        if a.len() != b.len() || a.data_type() != b.data_type() || !is_float {
            found.differ(place, || (text(self.a, i), text(self.b, i)));
            found.uncountable += 1;
            return;
        }
        let sigmas = self.sigma.as_ref().and_then(|(column, array)| {
            Some((column.kind, list(array, i).filter(|sigmas| sigmas.len() == a.len())?))
        });
        for item in 0..a.len() {
            let place = Place { item: Some(item), ..place };
            match (a.is_null(item), b.is_null(item)) {
                (true, true) => {}
                (false, false) => {
                    let sigma = sigmas.as_ref().and_then(|(kind, sigmas)| kind.sigma(number(sigmas, item)?));
                    if let (Some(a), Some(b)) = (float(&a, item), float(&b, item)) {
                        found.floats(place, a, b, sigma);
                    }
                }
                (in_a, _) => {
                    found.differ(place, || (text(&a, item), text(&b, item)));
                    found.null_in_a += u64::from(in_a);
                    found.null_in_b += u64::from(!in_a);
                }
            }
        }
    }
}

/// A row of a column of lists.
fn list(array: &ArrayRef, i: usize) -> Option<ArrayRef> {
    if let Some(lists) = array.as_fixed_size_list_opt() {
        return lists.is_valid(i).then(|| lists.value(i));
    }
    let lists = array.as_list_opt::<i32>()?;
    lists.is_valid(i).then(|| lists.value(i))
}

fn float(array: &ArrayRef, i: usize) -> Option<Float> {
    let single =
        array.as_primitive_opt::<Float32Type>().map(|array: &PrimitiveArray<_>| array.value(i).into());
    single.or_else(|| array.as_primitive_opt::<Float64Type>().map(|array| array.value(i).into()))
}

/// A number that is not NULL.
fn number(array: &ArrayRef, i: usize) -> Option<f64> {
    array.is_valid(i).then(|| float(array, i)).flatten().map(|float| float.value)
}

/// A value as people read it, cut where it is long.
fn text(array: &ArrayRef, i: usize) -> String {
    const CHARACTERS: usize = 200;
    if array.is_null(i) {
        return "NULL".to_owned();
    }
    let text = array_value_to_string(array, i).unwrap_or_default();
    if text.chars().count() <= CHARACTERS {
        return text;
    }
    text.chars().take(CHARACTERS).chain(['…']).collect()
}
