//! Parquet files with deterministic bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use specmill_schemas::{Kind, Table};
use tempfile::NamedTempFile;

use crate::digest::DigestWriter;
use crate::error::{Error, Result};
use crate::ledger::FileRecord;

/// Key-value pairs of a file's footer, in order.
pub(crate) type Footer = Vec<(String, String)>;

/// A Parquet file being written aside; invisible until committed.
///
/// Rows are cut into row groups of a fixed size whatever the size of the batches appended, so that
/// the bytes do not depend on how the work was divided.
pub(crate) struct TableWriter {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<Aside>,
    rows_per_group: usize,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
}

/// A file that is whole and synced, waiting for its name.
#[derive(Debug)]
pub(crate) struct WrittenFile {
    path: PathBuf,
    temporary: NamedTempFile,
    bytes: u64,
    sha256: Option<String>,
}

/// A file that is being written aside.
pub(super) type Aside = DigestWriter<NamedTempFile>;

impl TableWriter {
    /// Starts a file that will stand at `path` in `run_folder`.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub(crate) fn create(
        path: &Path,
        run_folder: &Path,
        table: &Table,
        rows_per_group: usize,
        footer: Footer,
    ) -> Result<Self> {
        // In the Arrow schema as well, where pyarrow and its like look first.
        let metadata: HashMap<String, String> = footer.iter().cloned().collect();
        let schema = Arc::new(table.arrow_schema().with_metadata(metadata));
        let io = Error::io(format!("cannot write {}", path.display()));
        let partial = super::partial_folder(run_folder);
        let file =
            fs_err::create_dir_all(&partial).and_then(|()| NamedTempFile::new_in(&partial)).map_err(io)?;
        let properties = properties(table, footer);
        let writer = ArrowWriter::try_new(DigestWriter::new(file), Arc::clone(&schema), Some(properties))
            .map_err(|source| parquet_error(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            schema,
            writer,
            rows_per_group: rows_per_group.max(1),
            pending: Vec::new(),
            pending_rows: 0,
        })
    }

    /// The schema every batch must have.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends rows; whole row groups are written as they fill.
    ///
    /// # Errors
    /// Where the batch disagrees with the schema or the disk refuses.
    pub(crate) fn append(&mut self, batch: RecordBatch) -> Result<()> {
        self.pending_rows += batch.num_rows();
        self.pending.push(batch);
        while self.pending_rows >= self.rows_per_group {
            self.write_group(self.rows_per_group)?;
        }
        Ok(())
    }

    /// Writes the first `rows` pending rows as one row group.
    fn write_group(&mut self, rows: usize) -> Result<()> {
        let whole = concat_batches(&self.schema, &self.pending)
            .map_err(|source| Error::Batch { path: self.path.clone(), source: Box::new(source) })?;
        self.writer
            .write(&whole.slice(0, rows))
            .and_then(|()| self.writer.flush())
            .map_err(|source| parquet_error(&self.path, source))?;
        self.pending_rows -= rows;
        self.pending.clear();
        if self.pending_rows > 0 {
            self.pending.push(whole.slice(rows, self.pending_rows));
        }
        Ok(())
    }

    /// Closes and syncs the file; it is still invisible.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn finish(mut self) -> Result<WrittenFile> {
        if self.pending_rows > 0 {
            self.write_group(self.pending_rows)?;
        }
        let writer = self.writer.into_inner().map_err(|source| parquet_error(&self.path, source))?;
        WrittenFile::sync(self.path, writer)
    }
}

impl WrittenFile {
    /// Syncs a file after its last byte.
    pub(super) fn sync(path: PathBuf, file: Aside) -> Result<Self> {
        let (temporary, bytes, sha256) = file.finish();
        let what = format!("cannot sync {}", path.display());
        temporary.as_file().sync_all().map_err(Error::io(what))?;
        Ok(Self { path, temporary, bytes, sha256 })
    }

    /// Gives the file its name; `run_folder` is what the record's path is relative to.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn commit(self, run_folder: &Path) -> Result<FileRecord> {
        let relative = self.path.strip_prefix(run_folder).unwrap_or(&self.path);
        let record =
            FileRecord { path: relative.display().to_string(), bytes: self.bytes, sha256: self.sha256 };
        if let Some(folder) = self.path.parent() {
            fs_err::create_dir_all(folder).map_err(Error::io("cannot make an output folder"))?;
        }
        super::publish(self.temporary, &self.path)?;
        Ok(record)
    }
}

pub(super) fn parquet_error(path: &Path, source: parquet::errors::ParquetError) -> Error {
    Error::Parquet { path: path.to_owned(), source: Box::new(source) }
}

/// What all files have in common.
pub(super) fn common_properties(footer: Footer) -> WriterPropertiesBuilder {
    // Level 1: noise does not compress further, and the writer must keep up with the disk.
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    WriterProperties::builder()
        .set_created_by(format!("specmill {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(level))
        // Row groups are cut by the writers, not by the library.
        .set_max_row_group_row_count(Some(usize::MAX))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(
            footer.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        ))
}

fn properties(table: &Table, footer: Footer) -> WriterProperties {
    let mut builder = common_properties(footer);
    for field in &table.fields {
        let path = match field.kind {
            Kind::Float32 | Kind::Float64 => ColumnPath::from(field.name.as_str()),
            Kind::Float32List(_) | Kind::Vector(_) => {
                ColumnPath::new(vec![field.name.clone(), "list".to_owned(), "item".to_owned()])
            }
            Kind::Text
            | Kind::Array(..)
            | Kind::Bool
            | Kind::Int16
            | Kind::Int32
            | Kind::Int64
            | Kind::Json
            | Kind::Timestamp => continue,
        };
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array};

    use super::*;

    const ROWS: usize = 10;

    fn rows(schema: &SchemaRef) -> RecordBatch {
        let numbers = 0..i32::try_from(ROWS).unwrap();
        let list = || -> ArrayRef {
            let values = Float32Array::from_iter_values((0_u8..).take(3 * ROWS).map(f32::from));
            let item = Arc::new(specmill_schemas::list_item());
            Arc::new(FixedSizeListArray::new(item, 3, Arc::new(values), None))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(numbers.clone().map(|n| format!("unit {}", n / 4)))),
            Arc::new(Int64Array::from_iter_values(numbers.clone().map(i64::from))),
            Arc::new(Int32Array::from_iter_values(numbers.clone())),
            Arc::new(Float64Array::from_iter_values(numbers.map(f64::from))),
            list(),
            list(),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    /// The file's bytes where rows come in batches of `step`, and its record.
    fn write(step: usize) -> (Vec<u8>, FileRecord) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b.parquet");
        let table = specmill_schemas::spectra::table(3);
        let footer = vec![("key".to_owned(), "value".to_owned())];
        let mut writer = TableWriter::create(&path, folder.path(), &table, 4, footer).unwrap();
        let whole = rows(writer.schema());
        for first in (0..ROWS).step_by(step) {
            writer.append(whole.slice(first, step.min(ROWS - first))).unwrap();
        }
        let written = writer.finish().unwrap();
        assert!(!path.exists(), "visible before it is committed");
        let record = written.commit(folder.path()).unwrap();
        (fs_err::read(&path).unwrap(), record)
    }

    #[test]
    fn batches_smaller_and_larger_than_a_row_group_give_the_same_bytes() {
        let (expected, record) = write(ROWS);
        assert_eq!((record.path.as_str(), record.bytes), ("a/b.parquet", expected.len() as u64));
        assert_eq!(record.sha256, Some(crate::digest::sha256_hex(&expected)));
        for step in [1, 3, 4, 5, 8] {
            assert_eq!(write(step), (expected.clone(), record.clone()), "batches of {step}");
        }
    }
}
