//! Parquet files as columns.

use std::path::Path;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A whole Parquet file in memory.
pub(crate) struct Table {
    batch: RecordBatch,
}

impl Table {
    pub(crate) fn read(path: &Path) -> Self {
        let (file, _) = fs_err::File::open(path).unwrap().into_parts();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let schema = reader.schema().clone();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        Self { batch: concat_batches(&schema, &batches).unwrap() }
    }

    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// The column of this name, which must be there with this type.
    pub(crate) fn column<T: Array + 'static>(&self, name: &str) -> &T {
        let column = self.batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        let found = column.data_type();
        column.as_any().downcast_ref().unwrap_or_else(|| panic!("column {name} is {found}"))
    }

    pub(crate) fn text(&self, name: &str) -> &StringArray {
        self.column(name)
    }
}
