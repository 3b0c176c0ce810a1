//! Cells of variable length: descriptors in the rows, values in the heap behind them.

use std::ops::Range;

use crate::fits::layout::{HduInfo, TableInfo};
use crate::fits::prescan::ReadAt as _;
use crate::fits::source::Source;
use crate::fits::{FitsError, HduLabel};

use super::column::ColumnPlan;
use super::elements::{Elements, Fault};

/// Heap bytes that the rows of one block may refer to; a block ends before the row that exceeds it.
pub(super) const BLOCK_BYTES: u64 = 64 << 20;
/// Heap bytes that one row may refer to.
pub(super) const ROW_BYTES: u64 = 256 << 20;
/// Cells may share bytes of the heap, but a table may not grow to more than this many times its heap.
pub(super) const SHARING: u64 = 16;
/// Holes between cells that are read along rather than skipped.
const HOLE_BYTES: u64 = 64 << 10;

/// Where a heap lies in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heap {
    offset: u64,
    pub(super) bytes: u64,
}

impl Heap {
    pub(super) fn of(hdu: &HduInfo, table: &TableInfo) -> Self {
        // The scan checked that the heap begins behind the rows and ends within the data.
        let end = table.row_bytes * table.rows + table.pcount;
        Self { offset: hdu.data_offset + table.heap_offset, bytes: end.saturating_sub(table.heap_offset) }
    }

    /// The bytes of a cell and its elements; `None` where it points outside the heap.
    pub(super) fn cell(&self, plan: &ColumnPlan, descriptor: &[u8]) -> Option<(Range<u64>, usize)> {
        let (n, start) = match *descriptor {
            [] => return Some((0..0, 0)),
            [a, b, c, d, e, f, g, h] => {
                (u64::from(u32::from_be_bytes([a, b, c, d])), u64::from(u32::from_be_bytes([e, f, g, h])))
            }
            _ => {
                let (n, start) = descriptor.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*n), u64::from_be_bytes(*start.first_chunk()?))
            }
        };
        // Where an empty cell would lie does not matter.
        if n == 0 {
            return Some((0..0, 0));
        }
        let end = start.checked_add(plan.column.form.element.bytes_of(n)?)?;
        (end <= self.bytes).then_some((start..end, usize::try_from(n).ok()?))
    }
}

/// The cells of one column in one block: bytes in the heap, and elements.
#[derive(Default)]
pub(super) struct Cells {
    cells: Vec<(Range<u64>, usize)>,
}

impl Cells {
    pub(super) fn push(&mut self, cell: (Range<u64>, usize)) {
        self.cells.push(cell);
    }

    /// Elements of each row.
    pub(super) fn lengths(&self) -> impl ExactSizeIterator<Item = usize> {
        self.cells.iter().map(|(_, n)| *n)
    }

    /// Reads every cell, `text` as one string each; in one go where they lie close together, as they do in
    /// files written row by row.
    pub(super) fn read(
        &self,
        source: &Source,
        heap: Heap,
        text: bool,
        into: &mut dyn Elements,
    ) -> Result<(), FitsError> {
        let filled = || self.cells.iter().map(|(bytes, _)| bytes).filter(|bytes| !bytes.is_empty());
        let payload: u64 = filled().map(|bytes| bytes.end - bytes.start).sum();
        let start = filled().map(|bytes| bytes.start).min().unwrap_or(0);
        let end = filled().map(|bytes| bytes.end).max().unwrap_or(0);
        let together = end - start <= payload.saturating_add(HOLE_BYTES).min(BLOCK_BYTES);
        let mut buffer = Vec::new();
        if together {
            read_at(source, heap, start..end, &mut buffer)?;
        }
        for (bytes, n) in &self.cells {
            let n = if text { 1 } else { *n };
            if bytes.is_empty() {
                into.push_run(&[], n);
            } else if together {
                into.push_run(&buffer[within(bytes.start - start)..within(bytes.end - start)], n);
            } else {
                read_at(source, heap, bytes.clone(), &mut buffer)?;
                into.push_run(&buffer, n);
            }
        }
        Ok(())
    }
}

/// A distance within a buffer.
fn within(distance: u64) -> usize {
    usize::try_from(distance).expect("cells are bounded by ROW_BYTES")
}

fn read_at(source: &Source, heap: Heap, bytes: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FitsError> {
    buffer.resize(within(bytes.end - bytes.start), 0);
    source.file().read_exact_at(buffer, heap.offset + bytes.start).map_err(|error| FitsError::Io {
        path: source.path().to_owned(),
        action: "the heap of a table cannot be read",
        source: error,
    })
}

/// A fault with the place it was met at.
pub(super) fn located(
    fault: Fault,
    source: &Source,
    hdu: HduLabel,
    plan: &ColumnPlan,
    row_of: impl Fn(usize) -> u64,
) -> FitsError {
    let (path, column) = (source.path().to_owned(), plan.column.name.clone());
    match fault {
        Fault::NotUtf8 { element } => FitsError::NotUtf8 { path, hdu, column, row: row_of(element) },
        Fault::OutOfRange { element, value } => {
            FitsError::OutOfRange { path, hdu, column, row: row_of(element), value }
        }
        Fault::TooMuch => {
            let problem = "a block of its rows holds more than 2 GiB of text".to_owned();
            FitsError::UnreadableColumn { path, hdu, column, problem }
        }
    }
}
