//! Any binary table as Arrow arrays, streamed by blocks of rows.
//!
//! Rows are decoded from their bytes, which the scan has bounded, instead of by cfitsio, which takes a call
//! for every column and run of rows and 2 to 7 times as long (`table_rates`). Every format is then read by
//! the same rules, memory is bounded for the heap as well, and a block's columns are decoded side by side.
//! Blocks depend on the table and the columns asked for alone, never on the machine.

mod cards;
mod column;
mod elements;
mod heap;
mod policy;
mod stream;
mod strings;
mod truth;
mod units;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, FixedSizeListArray, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Schema;

use super::FitsError;
use super::header::Value;
use super::layout::HduInfo;
use super::prescan::ReadAt as _;
use super::source::Source;
use super::table::table_info;

pub use cards::Tnull;
pub use column::ColumnPlan;
pub use elements::Notes;
pub use policy::{NanPolicy, Policy, TableOptions, TextPolicy, TnullPolicy};
pub(crate) use units::same_unit;

use column::Shape;
use elements::{Rows, collector};
use heap::{Cells, Heap, located};

/// Bytes of rows in a block, where nothing else is said.
const BLOCK_BYTES: u64 = 96 << 20;
/// Rows of a block are a multiple of this, where so many fit.
const ROWS_STEP: u64 = 1024;
const MOST_ROWS: u64 = 1 << 20;
/// Neighbouring columns take turns on so many rows, so that they find their shared lines and pages in the caches.
const TILE_ROWS: usize = 64;
/// Rows are read apart, each only where the wanted columns lie, if that skips at least so much of each: in the
/// page cache the two cost the same at 8 KiB (`table_rates`), on a disk a read apart costs more.
const SKIP_BYTES: u64 = 32 << 10;
/// A row wider than this is not read.
const WIDEST_ROW: u64 = 256 << 20;

/// A table, and how each of its columns is read.
pub struct TableReader<'s> {
    source: &'s Source,
    hdu: &'s HduInfo,
    /// The rows that are read.
    rows: Range<u64>,
    /// Bytes from one row of the file to the next.
    row_bytes: u64,
    /// The part of a row that is read, all of it or where the wanted columns lie.
    window: Range<u64>,
    heap: Heap,
    block_bytes: u64,
    plans: Vec<ColumnPlan>,
}

/// Rows of a table, as they lie in the file.
#[derive(Debug, Default)]
pub struct Block {
    first: u64,
    rows: usize,
    bytes: Vec<u8>,
    heap_bytes: u64,
}

impl Block {
    /// The first row.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// A column of a block.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Its values.
    pub array: ArrayRef,
    /// What else was met.
    pub notes: Notes,
}

impl<'s> TableReader<'s> {
    /// Plans the reading of `hdu`, which is one of `source`'s; reads nothing.
    ///
    /// # Errors
    /// [`FitsError`] where the HDU is no table, lacks a column that was asked for, or has one that
    /// cannot be read.
    pub fn new(source: &'s Source, hdu: &'s HduInfo, options: &TableOptions) -> Result<Self, FitsError> {
        let table = table_info(source, hdu)?;
        let wrong_kind = |found: String| FitsError::WrongKind {
            path: source.path().to_owned(),
            hdu: hdu.label(),
            wanted: "a plain binary table",
            found,
        };
        if hdu.header.get("ZTABLE") == Some(&Value::Logical(true)) {
            return Err(wrong_kind("a compressed table (funpack makes it a plain one)".to_owned()));
        }
        let plans = column::plan(source.path(), hdu, table, options)?;
        let start = plans.iter().map(|plan| plan.place().0).min().unwrap_or(0);
        let end = plans.iter().map(|plan| plan.place().0 + plan.place().1).max().unwrap_or(0);
        let apart = end > start && table.row_bytes - (end - start) >= SKIP_BYTES;
        let window = if apart { start..end } else { 0..table.row_bytes };
        if window.end - window.start > WIDEST_ROW {
            return Err(wrong_kind(format!("a table of rows of {} bytes", window.end - window.start)));
        }
        let heap = Heap::of(hdu, table);
        let (rows, row_bytes) = (0..table.rows, table.row_bytes);
        Ok(Self { source, hdu, rows, row_bytes, window, heap, block_bytes: BLOCK_BYTES, plans })
    }

    /// Only these rows of the table, as far as it has them; they keep their numbers.
    pub fn within(self, rows: Range<u64>) -> Self {
        let end = rows.end.min(self.rows.end);
        Self { rows: rows.start.min(end)..end, ..self }
    }

    /// With blocks of about so many bytes of rows.
    pub fn with_block_bytes(self, block_bytes: u64) -> Self {
        Self { block_bytes, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows.end - self.rows.start
    }

    /// The columns, in the order asked for.
    pub fn columns(&self) -> &[ColumnPlan] {
        &self.plans
    }

    /// The Arrow schema of the columns.
    pub fn schema(&self) -> Schema {
        Schema::new(self.plans.iter().map(|plan| Arc::clone(plan.field())).collect::<Vec<_>>())
    }

    /// Most rows of a block.
    pub fn rows_per_block(&self) -> u64 {
        let fit = (self.block_bytes / (self.window.end - self.window.start).max(1)).clamp(1, MOST_ROWS);
        if fit < ROWS_STEP { fit } else { fit - fit % ROWS_STEP }
    }

    /// All blocks, from the first of the rows on.
    pub fn blocks(&self) -> Blocks<'_, 's> {
        Blocks { reader: self, next: self.rows.start, most_rows: self.rows_per_block(), heap_bytes: 0 }
    }

    /// The first rows, at most so many.
    ///
    /// # Errors
    /// Those of reading and decoding.
    pub fn head(&self, rows: u64) -> Result<Vec<Decoded>, FitsError> {
        let block = self.first_rows(rows)?.unwrap_or_default();
        self.decode(&block, 0..self.plans.len())
    }

    /// The same as they lie in the file; `None` where there are none.
    ///
    /// # Errors
    /// Those of reading.
    pub fn first_rows(&self, rows: u64) -> Result<Option<Block>, FitsError> {
        let mut blocks = self.blocks();
        blocks.most_rows = blocks.most_rows.min(rows);
        blocks.next(Block::default())
    }

    /// Bytes of a row in a block.
    fn stride(&self) -> usize {
        usize::try_from(self.window.end - self.window.start).expect("rows are bounded by WIDEST_ROW").max(1)
    }

    /// Bytes from one row of the file to the next, for an iterator.
    fn step(&self) -> usize {
        usize::try_from(self.row_bytes).expect("offsets in a file fit the address space").max(1)
    }

    /// Where a column begins in a row of a block, and its bytes.
    fn place(&self, plan: &ColumnPlan) -> (usize, usize) {
        let (offset, bytes) = plan.place();
        let narrow = |n: u64| usize::try_from(n).expect("rows are bounded by WIDEST_ROW");
        (narrow(offset - self.window.start.min(offset)), narrow(bytes))
    }

    /// Decodes some columns of a block; different columns may be decoded at the same time.
    ///
    /// # Errors
    /// [`FitsError`] naming column and row of a value that cannot be: text that is not UTF-8, a number out
    /// of range.
    pub fn decode(&self, block: &Block, columns: Range<usize>) -> Result<Vec<Decoded>, FitsError> {
        let plans = &self.plans[columns];
        let mut collectors: Vec<_> =
            plans.iter().map(|plan| collector(plan, capacity(plan, block))).collect();
        let stride = self.stride();
        for bytes in block.bytes.chunks(TILE_ROWS * stride) {
            let rows = Rows { bytes, stride };
            for (plan, collector) in plans.iter().zip(&mut collectors) {
                let (at, width) = self.place(plan);
                match plan.shape {
                    Shape::One => collector.push_column(rows, at),
                    Shape::Fixed(n) => rows.cells(at, width).for_each(|cell| collector.push_run(cell, n)),
                    Shape::Varying { .. } => {}
                }
            }
        }
        let mut decoded = Vec::with_capacity(plans.len());
        for (plan, mut collector) in plans.iter().zip(collectors) {
            let cells = plan.is_varying().then(|| self.cells(plan, block)).transpose()?;
            if let Some(cells) = &cells {
                cells.read(self.source, self.heap, plan.is_text(), &mut *collector)?;
            }
            let (values, notes) = collector.finish().map_err(|fault| {
                let row_of = |element| block.first + row_of(plan, cells.as_ref(), element) as u64;
                located(fault, self.source, self.hdu.label(), plan, row_of)
            })?;
            decoded.push(Decoded { array: shaped(plan, cells.as_ref(), block.rows, values), notes });
        }
        Ok(decoded)
    }

    /// The cells of a varying column; they were checked when the block was read.
    fn cells(&self, plan: &ColumnPlan, block: &Block) -> Result<Cells, FitsError> {
        let (at, width) = self.place(plan);
        let rows = Rows { bytes: &block.bytes, stride: self.stride() };
        let mut cells = Cells::default();
        for (row, descriptor) in rows.cells(at, width).enumerate() {
            cells.push(self.cell(plan, block.first + row as u64, descriptor)?);
        }
        Ok(cells)
    }

    fn cell(&self, plan: &ColumnPlan, row: u64, descriptor: &[u8]) -> Result<(Range<u64>, usize), FitsError> {
        self.heap.cell(plan, descriptor).ok_or_else(|| FitsError::OutsideHeap {
            path: self.source.path().to_owned(),
            hdu: self.hdu.label(),
            column: plan.column.name.clone(),
            row,
        })
    }

    fn too_much(&self, plan: &ColumnPlan, problem: String) -> FitsError {
        let (path, column) = (self.source.path().to_owned(), plan.column.name.clone());
        FitsError::UnreadableColumn { path, hdu: self.hdu.label(), column, problem }
    }
}

/// The blocks of a table, one after the other.
pub struct Blocks<'r, 's> {
    reader: &'r TableReader<'s>,
    next: u64,
    most_rows: u64,
    heap_bytes: u64,
}

impl Blocks<'_, '_> {
    /// Reads the next block into the memory of an earlier one; `None` after the last.
    ///
    /// # Errors
    /// [`FitsError`] where the file cannot be read, or a cell points outside the heap or asks for more
    /// than there can be.
    pub fn next(&mut self, reuse: Block) -> Result<Option<Block>, FitsError> {
        let reader = self.reader;
        let rows = self.most_rows.min(reader.rows.end - self.next);
        let Some(n) = usize::try_from(rows).ok().filter(|&n| n > 0) else { return Ok(None) };
        let mut block = Block { first: self.next, rows: n, bytes: reuse.bytes, heap_bytes: 0 };
        block.bytes.resize(n * reader.stride(), 0);
        self.fill(&mut block.bytes)?;
        self.bound_heap(&mut block)?;
        self.next += block.rows as u64;
        Ok(Some(block))
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), FitsError> {
        let reader = self.reader;
        let at = reader.hdu.data_offset + self.next * reader.row_bytes + reader.window.start;
        let file = reader.source.file();
        let whole_rows = reader.window.end - reader.window.start == reader.row_bytes;
        let read = if whole_rows {
            file.read_exact_at(bytes, at)
        } else {
            let rows = bytes.chunks_exact_mut(reader.stride()).zip((at..).step_by(reader.step()));
            rows.into_iter().try_for_each(|(row, at)| file.read_exact_at(row, at))
        };
        read.map_err(|source| FitsError::Io {
            path: reader.source.path().to_owned(),
            action: "the rows of a table cannot be read",
            source,
        })
    }

    /// Ends the block before the row whose cells would make it too large.
    fn bound_heap(&mut self, block: &mut Block) -> Result<(), FitsError> {
        let reader = self.reader;
        let varying: Vec<&ColumnPlan> = reader.plans.iter().filter(|plan| plan.is_varying()).collect();
        if varying.is_empty() {
            return Ok(());
        }
        let stride = reader.stride();
        for row in 0..block.rows {
            let mut row_bytes = 0;
            for plan in &varying {
                let (at, width) = reader.place(plan);
                let descriptor = &block.bytes[row * stride + at..][..width];
                let (bytes, _) = reader.cell(plan, block.first + row as u64, descriptor)?;
                row_bytes += bytes.end - bytes.start;
                if row_bytes > heap::ROW_BYTES {
                    let problem = format!(
                        "row {}: its cells of variable length have more than {} bytes",
                        block.first + row as u64,
                        heap::ROW_BYTES
                    );
                    return Err(reader.too_much(plan, problem));
                }
                if self.heap_bytes + block.heap_bytes + row_bytes
                    > heap::SHARING.saturating_mul(reader.heap.bytes)
                {
                    let problem = format!(
                        "up to row {} its cells ask for more than {} times the heap of {} bytes",
                        block.first + row as u64,
                        heap::SHARING,
                        reader.heap.bytes
                    );
                    return Err(reader.too_much(plan, problem));
                }
            }
            if row > 0 && block.heap_bytes + row_bytes > heap::BLOCK_BYTES {
                block.rows = row;
                block.bytes.truncate(row * stride);
                break;
            }
            block.heap_bytes += row_bytes;
        }
        self.heap_bytes += block.heap_bytes;
        Ok(())
    }
}

/// Elements of a column in a block, where that is known.
fn capacity(plan: &ColumnPlan, block: &Block) -> usize {
    match plan.shape {
        Shape::One => block.rows,
        Shape::Fixed(n) => block.rows * n,
        Shape::Varying { .. } => 0,
    }
}

/// The row, within its block, of an element.
fn row_of(plan: &ColumnPlan, cells: Option<&Cells>, element: usize) -> usize {
    match (plan.shape, cells) {
        (Shape::Fixed(n), _) => element / n.max(1),
        (Shape::Varying { .. }, Some(cells)) if !plan.is_text() => {
            let mut end = 0;
            let ends = cells.lengths().map(|n| {
                end += n;
                end
            });
            ends.take_while(|&end| end <= element).count()
        }
        _ => element,
    }
}

/// Gives flat values the shape of their column.
fn shaped(plan: &ColumnPlan, cells: Option<&Cells>, rows: usize, values: ArrayRef) -> ArrayRef {
    match (plan.shape, cells) {
        (Shape::Varying { .. }, Some(cells)) if !plan.is_text() => {
            let offsets = OffsetBuffer::from_lengths(cells.lengths());
            Arc::new(ListArray::new(plan.item(), offsets, values, None))
        }
        (Shape::Fixed(0), _) => {
            let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(0, rows));
            let none = new_empty_array(plan.item().data_type());
            Arc::new(ListArray::new(plan.item(), offsets, none, None))
        }
        (Shape::Fixed(_), _) => {
            let n = plan.list_length();
            Arc::new(FixedSizeListArray::new(plan.item(), n, values, None))
        }
        _ => {
            debug_assert_eq!(values.len(), rows, "one element for every row");
            values
        }
    }
}
