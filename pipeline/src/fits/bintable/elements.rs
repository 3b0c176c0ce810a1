//! Bytes of a table into Arrow arrays, one element kind at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanBufferBuilder, PrimitiveArray, StructArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};

use super::cards::Tnull;
use super::column::{Cell, ColumnPlan, complex_fields};
use super::policy::NanPolicy;
use super::strings::Strings;
use super::truth::{Bits, Logicals};
use crate::fits::tform::ElementKind;

/// Rows as they lie in the file, each of `stride` bytes.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
}

impl<'a> Rows<'a> {
    /// `len` bytes of each row from `at` on.
    pub(super) fn cells(self, at: usize, len: usize) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.bytes.chunks_exact(self.stride).map(move |row| &row[at..at + len])
    }
}

/// What was met in a column besides its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// Values that are equal to a TNULL that was not followed.
    pub tnull_kept: u64,
    /// Logicals that are neither T nor F nor 0: NULL.
    pub odd_logicals: u64,
    /// Strings in which bytes that are not UTF-8 were replaced.
    pub replaced_text: u64,
}

impl Notes {
    /// Adds what another part of the column met.
    pub fn add(&mut self, other: &Self) {
        self.tnull_kept += other.tnull_kept;
        self.odd_logicals += other.odd_logicals;
        self.replaced_text += other.replaced_text;
    }
}

/// An element that cannot be, by its position among the elements pushed.
#[derive(Debug)]
pub(super) enum Fault {
    NotUtf8 {
        element: usize,
    },
    OutOfRange {
        element: usize,
        value: i64,
    },
    /// More text than 32-bit offsets reach.
    TooMuch,
}

/// Collects elements of one kind.
pub(super) trait Elements: Send {
    /// One element of each row, `at` bytes into it.
    fn push_column(&mut self, rows: Rows<'_>, at: usize);

    /// `n` elements that lie side by side.
    fn push_run(&mut self, bytes: &[u8], n: usize);

    fn finish(self: Box<Self>) -> Result<(ArrayRef, Notes), Fault>;
}

/// The collector of a column's elements.
pub(super) fn collector(plan: &ColumnPlan, n: usize) -> Box<dyn Elements> {
    let nan_is_null = plan.policy.nan == NanPolicy::Null;
    let watch = || Watch::of(plan);
    match plan.cell {
        Cell::Logical => Box::new(Logicals::new(n)),
        Cell::Bit => Box::new(Bits::new(n)),
        Cell::U8 => Box::new(Numbers::<U8>::new(n, watch(), false)),
        Cell::I8 => Box::new(Numbers::<I8>::new(n, watch(), false)),
        Cell::I16 => Box::new(Numbers::<I16>::new(n, watch(), false)),
        Cell::U16 => Box::new(Numbers::<U16>::new(n, watch(), false)),
        Cell::I32 => Box::new(Numbers::<I32>::new(n, watch(), false)),
        Cell::U32 => Box::new(Numbers::<U32>::new(n, watch(), false)),
        Cell::I64 => Box::new(Numbers::<I64>::new(n, watch(), false)),
        Cell::U64 => Box::new(Numbers::<U64>::new(n, watch(), false)),
        Cell::F32 => Box::new(Numbers::<F32>::new(n, None, nan_is_null)),
        Cell::F64 => Box::new(Numbers::<F64>::new(n, None, nan_is_null)),
        Cell::Moved { bytes, by } => Box::new(Moved {
            bytes,
            by,
            element: plan.column.form.element,
            values: Vec::new(),
            watch: watch(),
            fault: None,
        }),
        Cell::Scaled { element, scale, zero } => {
            let bytes = width(element);
            Box::new(Scaled {
                element,
                bytes,
                scale,
                zero,
                values: Vec::with_capacity(n),
                watch: watch(),
                nan_is_null,
            })
        }
        Cell::C32 => Box::new(Complex::<F32> { re: Vec::with_capacity(n), im: Vec::with_capacity(n) }),
        Cell::C64 => Box::new(Complex::<F64> { re: Vec::with_capacity(n), im: Vec::with_capacity(n) }),
        Cell::Text(width) => Box::new(Strings::new(width, plan.policy.text, n)),
    }
}

/// Bytes of a number.
fn width(element: ElementKind) -> usize {
    element.bytes_of(1).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(1)
}

/// A number as it is stored and as Arrow holds it.
trait Stored: Send + Sync {
    const BYTES: usize;
    type Arrow: ArrowPrimitiveType;
    fn read(bytes: &[u8]) -> <Self::Arrow as ArrowPrimitiveType>::Native;
    fn is_nan(_: <Self::Arrow as ArrowPrimitiveType>::Native) -> bool {
        false
    }
}

/// The first bytes of a cell, which has at least so many.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("cells are cut to the width of their elements")
}

macro_rules! stored {
    ($name:ident, $arrow:ty, $bytes:literal, $read:expr) => {
        stored!($name, $arrow, $bytes, $read, |_| false);
    };
    ($name:ident, $arrow:ty, $bytes:literal, $read:expr, $is_nan:expr) => {
        struct $name;

        impl Stored for $name {
            const BYTES: usize = $bytes;
            type Arrow = $arrow;

            #[inline]
            fn read(bytes: &[u8]) -> <$arrow as ArrowPrimitiveType>::Native {
                let read: fn([u8; $bytes]) -> <$arrow as ArrowPrimitiveType>::Native = $read;
                read(first(bytes))
            }

            #[inline]
            fn is_nan(value: <$arrow as ArrowPrimitiveType>::Native) -> bool {
                let is_nan: fn(<$arrow as ArrowPrimitiveType>::Native) -> bool = $is_nan;
                is_nan(value)
            }
        }
    };
}

// The other signedness is the same bits with the highest one turned.
stored!(U8, UInt8Type, 1, |b| b[0]);
stored!(I8, Int8Type, 1, |b| (b[0] ^ 0x80).cast_signed());
stored!(I16, Int16Type, 2, i16::from_be_bytes);
stored!(U16, UInt16Type, 2, |b| u16::from_be_bytes(b) ^ (1 << 15));
stored!(I32, Int32Type, 4, i32::from_be_bytes);
stored!(U32, UInt32Type, 4, |b| u32::from_be_bytes(b) ^ (1 << 31));
stored!(I64, Int64Type, 8, i64::from_be_bytes);
stored!(U64, UInt64Type, 8, |b| u64::from_be_bytes(b) ^ (1 << 63));
stored!(F32, Float32Type, 4, f32::from_be_bytes, f32::is_nan);
stored!(F64, Float64Type, 8, f64::from_be_bytes, f64::is_nan);

/// A stored integer as it is, before TZERO.
#[expect(clippy::wildcard_enum_match_arm, reason = "only integer columns have their values looked at so")]
fn stored_integer(element: ElementKind, bytes: &[u8]) -> i64 {
    match element {
        ElementKind::Short => i64::from(i16::from_be_bytes(first(bytes))),
        ElementKind::Int => i64::from(i32::from_be_bytes(first(bytes))),
        ElementKind::Long => i64::from_be_bytes(first(bytes)),
        _ => i64::from(bytes[0]),
    }
}

/// Looks for the value that TNULL names.
struct Watch {
    element: ElementKind,
    value: i64,
    is_null: bool,
    matches: u64,
    valid: BooleanBufferBuilder,
}

impl Watch {
    fn of(plan: &ColumnPlan) -> Option<Self> {
        let (value, is_null) = match plan.tnull {
            Tnull::Null(value) => (value, true),
            Tnull::Kept(value) => (value, false),
            Tnull::Absent | Tnull::OutsideType => return None,
        };
        let element = plan.column.form.element;
        Some(Self { element, value, is_null, matches: 0, valid: BooleanBufferBuilder::new(0) })
    }

    fn push<'a>(&mut self, cells: impl Iterator<Item = &'a [u8]>) {
        for cell in cells {
            let found = stored_integer(self.element, cell) == self.value;
            self.matches += u64::from(found);
            if self.is_null {
                self.valid.append(!found);
            }
        }
    }

    fn finish(this: Option<Self>) -> (Option<NullBuffer>, Notes) {
        match this {
            None => (None, Notes::default()),
            Some(mut watch) if watch.is_null => {
                (Some(NullBuffer::new(watch.valid.finish())), Notes::default())
            }
            Some(watch) => (None, Notes { tnull_kept: watch.matches, ..Notes::default() }),
        }
    }
}

struct Numbers<S: Stored> {
    values: Vec<<S::Arrow as ArrowPrimitiveType>::Native>,
    watch: Option<Watch>,
    nan_is_null: bool,
}

impl<S: Stored> Numbers<S> {
    fn new(n: usize, watch: Option<Watch>, nan_is_null: bool) -> Self {
        Self { values: Vec::with_capacity(n), watch, nan_is_null }
    }
}

impl<S: Stored> Elements for Numbers<S> {
    fn push_column(&mut self, rows: Rows<'_>, at: usize) {
        self.values.extend(rows.cells(at, S::BYTES).map(S::read));
        if let Some(watch) = &mut self.watch {
            watch.push(rows.cells(at, S::BYTES));
        }
    }

    fn push_run(&mut self, bytes: &[u8], _: usize) {
        self.values.extend(bytes.chunks_exact(S::BYTES).map(S::read));
        if let Some(watch) = &mut self.watch {
            watch.push(bytes.chunks_exact(S::BYTES));
        }
    }

    fn finish(self: Box<Self>) -> Result<(ArrayRef, Notes), Fault> {
        let (mut nulls, notes) = Watch::finish(self.watch);
        if self.nan_is_null {
            nulls = Some(not_nan(self.values.iter().map(|&value| S::is_nan(value))));
        }
        let array = PrimitiveArray::<S::Arrow>::new(ScalarBuffer::from(self.values), nulls);
        Ok((Arc::new(array), notes))
    }
}

fn not_nan(nans: impl Iterator<Item = bool>) -> NullBuffer {
    NullBuffer::new(nans.map(|nan| !nan).collect::<BooleanBuffer>())
}

/// Whole numbers with a whole TZERO.
struct Moved {
    bytes: usize,
    by: i64,
    element: ElementKind,
    values: Vec<i64>,
    watch: Option<Watch>,
    fault: Option<Fault>,
}

impl Moved {
    fn push<'a>(&mut self, cells: impl Iterator<Item = &'a [u8]> + Clone) {
        for cell in cells.clone() {
            let stored = stored_integer(self.element, cell);
            let element = self.values.len();
            let value = stored.checked_add(self.by).unwrap_or_else(|| {
                self.fault.get_or_insert(Fault::OutOfRange { element, value: stored });
                0
            });
            self.values.push(value);
        }
        if let Some(watch) = &mut self.watch {
            watch.push(cells);
        }
    }
}

impl Elements for Moved {
    fn push_column(&mut self, rows: Rows<'_>, at: usize) {
        let bytes = self.bytes;
        self.push(rows.bytes.chunks_exact(rows.stride).map(|row| &row[at..at + bytes]));
    }

    fn push_run(&mut self, bytes: &[u8], _: usize) {
        self.push(bytes.chunks_exact(self.bytes));
    }

    fn finish(self: Box<Self>) -> Result<(ArrayRef, Notes), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (nulls, notes) = Watch::finish(self.watch);
        Ok((Arc::new(PrimitiveArray::<Int64Type>::new(self.values.into(), nulls)), notes))
    }
}

/// Numbers × TSCAL + TZERO.
struct Scaled {
    element: ElementKind,
    bytes: usize,
    scale: f64,
    zero: f64,
    values: Vec<f64>,
    watch: Option<Watch>,
    nan_is_null: bool,
}

impl Scaled {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is no float is an integer")]
    fn value(&self, bytes: &[u8]) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "real TSCAL and TZERO ask for doubles")]
        let stored = match self.element {
            ElementKind::Float => f64::from(f32::from_be_bytes(first(bytes))),
            ElementKind::Double => f64::from_be_bytes(first(bytes)),
            integer => stored_integer(integer, bytes) as f64,
        };
        stored * self.scale + self.zero
    }
}

impl Elements for Scaled {
    fn push_column(&mut self, rows: Rows<'_>, at: usize) {
        for cell in rows.cells(at, self.bytes) {
            self.push_run(cell, 1);
        }
    }

    fn push_run(&mut self, bytes: &[u8], _: usize) {
        for cell in bytes.chunks_exact(self.bytes) {
            let value = self.value(cell);
            self.values.push(value);
        }
        if let Some(watch) = &mut self.watch {
            watch.push(bytes.chunks_exact(self.bytes));
        }
    }

    fn finish(self: Box<Self>) -> Result<(ArrayRef, Notes), Fault> {
        let (mut nulls, notes) = Watch::finish(self.watch);
        if self.nan_is_null && matches!(self.element, ElementKind::Float | ElementKind::Double) {
            nulls = Some(not_nan(self.values.iter().map(|value| value.is_nan())));
        }
        Ok((Arc::new(PrimitiveArray::<Float64Type>::new(self.values.into(), nulls)), notes))
    }
}

struct Complex<S: Stored> {
    re: Vec<<S::Arrow as ArrowPrimitiveType>::Native>,
    im: Vec<<S::Arrow as ArrowPrimitiveType>::Native>,
}

impl<S: Stored> Elements for Complex<S> {
    fn push_column(&mut self, rows: Rows<'_>, at: usize) {
        rows.cells(at, 2 * S::BYTES).for_each(|cell| self.push_run(cell, 1));
    }

    fn push_run(&mut self, bytes: &[u8], _: usize) {
        for pair in bytes.chunks_exact(2 * S::BYTES) {
            self.re.push(S::read(pair));
            self.im.push(S::read(&pair[S::BYTES..]));
        }
    }

    fn finish(self: Box<Self>) -> Result<(ArrayRef, Notes), Fault> {
        let part = |values| -> ArrayRef {
            Arc::new(PrimitiveArray::<S::Arrow>::new(ScalarBuffer::from(values), None))
        };
        let parts = vec![part(self.re), part(self.im)];
        let array = StructArray::new(complex_fields(S::Arrow::DATA_TYPE), parts, None);
        Ok((Arc::new(array), Notes::default()))
    }
}
