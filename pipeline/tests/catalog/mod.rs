//! Tables of any kind: every format, every trap, and what is refused.

mod commands;
mod corpus;
mod formats;
mod fuzz;
mod real_files;
mod refusals;
pub(crate) mod run;
mod simulated;
mod stage;
mod stage_bad;
mod stage_keys;
mod stage_real;
mod traps;

use arrow::array::{ArrayRef, RecordBatch};
use specmill::fits::bintable::{Block, Notes, TableOptions, TableReader};
use specmill::fits::prescan::HduInfo;
use specmill::fits::{FitsError, Source};
use std::sync::Arc;

use crate::fits::files::{on_disk, scanned};

/// A table as one batch, and what else was met in its columns.
pub(crate) struct Whole {
    pub(crate) batch: RecordBatch,
    pub(crate) notes: Vec<Notes>,
}

impl Whole {
    pub(crate) fn column(&self, name: &str) -> &ArrayRef {
        self.batch.column_by_name(name).unwrap()
    }

    pub(crate) fn note(&self, name: &str) -> Notes {
        self.notes[self.batch.schema().index_of(name).unwrap()]
    }

    pub(crate) fn card(&self, column: &str, key: &str) -> Option<String> {
        self.batch.schema().field_with_name(column).unwrap().metadata().get(key).cloned()
    }
}

/// Reads every row of the first table.
pub(crate) fn read_source(source: &Source, options: &TableOptions) -> Result<Whole, FitsError> {
    // A file that lost its table still has a primary HDU, to be refused.
    read_hdu(source, source.hdus().get(1).unwrap_or(&source.hdus()[0]), options)
}

/// Reads every row of one table.
pub(crate) fn read_hdu(source: &Source, hdu: &HduInfo, options: &TableOptions) -> Result<Whole, FitsError> {
    let reader = TableReader::new(source, hdu, options)?;
    let n = reader.columns().len();
    let schema = Arc::new(reader.schema());
    let mut notes = vec![Notes::default(); n];
    let mut batches = Vec::new();
    let mut blocks = reader.blocks();
    while let Some(block) = blocks.next(Block::default())? {
        let decoded = reader.decode(&block, 0..n)?;
        notes.iter_mut().zip(&decoded).for_each(|(notes, column)| notes.add(&column.notes));
        let arrays = decoded.into_iter().map(|column| column.array).collect();
        batches.push(RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap());
    }
    let batch = arrow::compute::concat_batches(&schema, &batches).unwrap();
    assert_eq!(batch.num_rows() as u64, reader.rows());
    Ok(Whole { batch, notes })
}

/// Reads every row of the first table of some bytes.
pub(crate) fn read(bytes: &[u8], options: &TableOptions) -> Result<Whole, FitsError> {
    let (_file, source) = scanned(bytes);
    read_source(&source?, options)
}

/// The same with nothing declared.
pub(crate) fn read_plain(bytes: &[u8]) -> Whole {
    read(bytes, &TableOptions::default()).unwrap()
}
