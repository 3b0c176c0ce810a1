//! The rows of one unit: read, converted, written aside.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use rayon::prelude::*;
use specmill_schemas::Element;

use super::bind::{Bound, Layout, Make, text, value_fault};
use super::convert::{Fault, Rule, convert};
use super::gaps::Gaps;
use crate::error::Result;
use crate::fits::Source;
use crate::fits::bintable::{Block, Decoded, Notes, TableReader};
use crate::fits::prescan::HduInfo;
use crate::healpix::pixel29;
use crate::sink::{Footer, WideWriter, WrittenFile};

/// Rows that say how each column is best encoded.
const SAMPLE_ROWS: u64 = 1024;
/// Neighbouring columns that are converted together where nothing is encoded.
const COLUMNS_AT_ONCE: usize = 16;

/// A table of a file, ready to be read.
pub(crate) struct OpenTable<'s> {
    pub(super) source: &'s Source,
    pub(super) hdu: &'s HduInfo,
    pub(crate) layout: Layout,
}

/// What was counted in the columns of some rows.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// In the order of our columns.
    pub(super) gaps: Vec<Gaps>,
    /// What the reader met in the column's first input.
    pub(super) notes: Vec<Notes>,
}

/// Some rows of a table under a unit's id.
pub(crate) struct UnitReader<'t, 's> {
    table: &'t OpenTable<'s>,
    reader: TableReader<'s>,
    unit: String,
    counts: Mutex<Counts>,
}

impl<'t, 's> UnitReader<'t, 's> {
    /// Plans the reading of some rows; reads nothing.
    ///
    /// # Errors
    /// Where a column cannot be read.
    pub(crate) fn new(table: &'t OpenTable<'s>, unit: String, rows: Range<u64>) -> Result<Self> {
        let reader = TableReader::new(table.source, table.hdu, &table.layout.options())?.within(rows);
        let n = table.layout.columns.len();
        let counts = Counts { gaps: vec![Gaps::default(); n], notes: vec![Notes::default(); n] };
        Ok(Self { table, reader, unit, counts: Mutex::new(counts) })
    }

    /// Some of our columns in a block; different ones may be made at the same time.
    fn columns(&self, block: &Block, columns: Range<usize>, count: bool) -> Result<Vec<ArrayRef>> {
        let bound = &self.table.layout.columns[columns.clone()];
        // Neighbours have neighbouring inputs; those without any stand at 0.
        let first =
            bound.iter().filter(|bound| !bound.inputs.is_empty()).map(|bound| bound.inputs.start).min();
        let last = bound.iter().map(|bound| bound.inputs.end).max().unwrap_or(0);
        let first = first.unwrap_or(last);
        let decoded = self.reader.decode(block, first..last)?;
        let mut counts = Counts::default();
        let mut arrays = Vec::with_capacity(bound.len());
        for bound in bound {
            let inputs = if bound.inputs.is_empty() {
                &[][..]
            } else {
                &decoded[bound.inputs.start - first..bound.inputs.end - first]
            };
            let mut gaps = Gaps::default();
            arrays.push(self.make(bound, inputs, block, &mut gaps)?);
            counts.gaps.push(gaps);
            counts.notes.push(inputs.first().map_or_else(Notes::default, |input| input.notes));
        }
        if count {
            let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            all.gaps[columns.clone()].iter_mut().zip(&counts.gaps).for_each(|(all, gaps)| all.add(gaps));
            all.notes[columns].iter_mut().zip(&counts.notes).for_each(|(all, notes)| all.add(notes));
        }
        Ok(arrays)
    }

    fn make(&self, bound: &Bound, inputs: &[Decoded], block: &Block, gaps: &mut Gaps) -> Result<ArrayRef> {
        let n = block.rows();
        let made = match &bound.make {
            Make::Unit => repeated(&text(&self.unit), n),
            Make::Row => {
                let first = i64::try_from(block.first()).unwrap_or(i64::MAX);
                Ok(Arc::new(Int64Array::from_iter_values((first..).take(n))) as ArrayRef)
            }
            Make::Constant(value) => repeated(value, n),
            Make::Value { rule, weighted } => {
                let weights = inputs.last().filter(|_| *weighted).map(|input| &input.array);
                inputs.first().map_or_else(lost, |input| convert(rule, &input.array, weights, gaps))
            }
            Make::LegacyId => legacy_ids(inputs),
            Make::Healpix29 { ra, ra_weighted, dec, dec_weighted } => {
                pixels((ra, *ra_weighted), (dec, *dec_weighted), inputs)
            }
        };
        made.map_err(|fault| {
            let row = block.first() + fault.row as u64;
            value_fault(self.table.source, self.table.hdu.label(), &bound.label, row, fault.problem)
        })
    }

    /// The first rows of every column.
    fn sample(&self) -> Result<Vec<ArrayRef>> {
        let rows = self.reader.rows().min(SAMPLE_ROWS);
        let mut sample = Vec::with_capacity(self.table.layout.columns.len());
        if let Some(block) = self.reader.first_rows(rows)? {
            let n = self.table.layout.columns.len();
            for first in (0..n).step_by(COLUMNS_AT_ONCE) {
                sample.extend(self.columns(&block, first..(first + COLUMNS_AT_ONCE).min(n), false)?);
            }
        }
        Ok(sample)
    }

    /// Writes the rows aside, and says what was counted.
    ///
    /// # Errors
    /// Where a value cannot be, or the disk refuses; nothing is left then.
    pub(super) fn write(
        self,
        run_folder: &Path,
        path: &Path,
        footer: Footer,
    ) -> Result<(WrittenFile, Counts)> {
        // In the Arrow schema as well, where pyarrow and its like look first.
        let metadata: HashMap<String, String> = footer.iter().cloned().collect();
        let schema = Arc::new(self.table.layout.schema.as_ref().clone().with_metadata(metadata));
        let sample = self.sample()?;
        let mut writer = WideWriter::create_in_run(run_folder, path, schema, footer, &sample)?;
        drop(sample);
        // A block is a row group: its rows depend on the table and its columns alone.
        self.reader.stream(|block| writer.append_group(|columns| self.columns(block, columns, true)))?;
        let written = writer.finish()?;
        Ok((written, self.counts.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Calls `each` with every column of every block as it would be written, blocks in order, columns side by side.
    ///
    /// # Errors
    /// Where a value cannot be.
    pub(crate) fn each(&self, each: impl Fn(usize, &ArrayRef) + Sync) -> Result<()> {
        let n = self.table.layout.columns.len();
        let tasks: Vec<usize> = (0..n).step_by(COLUMNS_AT_ONCE).collect();
        self.reader.stream(|block| {
            let made = tasks.par_iter().map(|&first| {
                let arrays = self.columns(block, first..(first + COLUMNS_AT_ONCE).min(n), false)?;
                arrays.iter().enumerate().for_each(|(i, array)| each(first + i, array));
                Ok(())
            });
            made.collect::<Vec<Result<()>>>().into_iter().collect()
        })
    }
}

/// An array of one as one of `n`.
fn repeated(value: &ArrayRef, n: usize) -> std::result::Result<ArrayRef, Fault> {
    // By far the most common, and there is no need to look each up.
    if let Some(text) = value.as_string_opt::<i32>()
        && text.is_valid(0)
    {
        return Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text.value(0), n))));
    }
    take(value, &UInt32Array::from(vec![0; n]), None)
        .map_err(|error| Fault { row: 0, problem: error.to_string() })
}

/// A column without its input, which the binding does not make.
fn lost() -> std::result::Result<ArrayRef, Fault> {
    Err(Fault { row: 0, problem: "the file has nothing for it".to_owned() })
}

/// (RELEASE << 40) | (BRICKID << 16) | OBJID; NULL where a part is.
fn legacy_ids(parts: &[Decoded]) -> std::result::Result<ArrayRef, Fault> {
    /// Bits of each part, and how far it is moved.
    const PARTS: [(&str, u32, u32); 3] = [("RELEASE", 16, 40), ("BRICKID", 24, 16), ("OBJID", 16, 0)];
    let whole = Rule {
        element: Element::Int64,
        list: None,
        unit_factor: None,
        multiply: None,
        add: None,
        null_values: Vec::new(),
        null_texts: Vec::new(),
        keep_nan: false,
        required: false,
    };
    let numbers = parts
        .iter()
        .map(|part| convert(&whole, &part.array, None, &mut Gaps::default()))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let Some(n) = numbers.first().map(|part| part.len()).filter(|_| numbers.len() == PARTS.len()) else {
        return lost();
    };
    let mut ids = Vec::with_capacity(n);
    for row in 0..n {
        let mut id = Some(0);
        for (part, (name, bits, shift)) in numbers.iter().zip(PARTS) {
            let part = part.as_primitive::<Int64Type>();
            if part.is_null(row) {
                id = None;
                continue;
            }
            let value = part.value(row);
            if !(0..1 << bits).contains(&value) {
                let problem = format!("its {name} {value} does not fit the {bits} bits of a Legacy id");
                return Err(Fault { row, problem });
            }
            id = id.map(|id| id | (value << shift));
        }
        ids.push(id);
    }
    Ok(Arc::new(Int64Array::from(ids)))
}

/// Pixels of positions; NULL where one is none.
fn pixels(
    (ra, ra_weighted): (&Rule, bool),
    (dec, dec_weighted): (&Rule, bool),
    inputs: &[Decoded],
) -> std::result::Result<ArrayRef, Fault> {
    let (ra_inputs, dec_inputs) =
        inputs.split_at_checked(1 + usize::from(ra_weighted)).unwrap_or((inputs, &[]));
    // What stands for nothing is counted with the columns themselves.
    let degrees = |rule, weighted: bool, inputs: &[Decoded]| match inputs {
        [value, rest @ ..] => {
            let weights = rest.first().filter(|_| weighted).map(|input| &input.array);
            convert(rule, &value.array, weights, &mut Gaps::default())
        }
        [] => lost(),
    };
    let ra = degrees(ra, ra_weighted, ra_inputs)?;
    let dec = degrees(dec, dec_weighted, dec_inputs)?;
    debug_assert_eq!(*ra.data_type(), DataType::Float64, "declared so");
    let pairs = ra.as_primitive::<Float64Type>().iter().zip(dec.as_primitive::<Float64Type>().iter());
    let pixels: Int64Array = pairs.map(|(ra, dec)| pixel29(ra?, dec?)).collect();
    Ok(Arc::new(pixels))
}
