//! Parquet files of any schema, their columns encoded side by side, with deterministic bytes.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Encoding, Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use rayon::prelude::*;
use tempfile::NamedTempFile;

use super::parquet::{Aside, Footer, WrittenFile, common_properties, parquet_error};
use crate::digest::DigestWriter;
use crate::error::{Error, Result};

/// Columns that one task decodes and encodes: neighbours share cache lines of a row.
const COLUMNS_PER_TASK: usize = 16;
/// Of the first rows, how many say whether a column repeats itself.
const SAMPLE_ROWS: usize = 1024;
/// A column of the sample with at most this share of distinct values gets a dictionary.
const DISTINCT_SHARE: usize = 8;

/// A Parquet file being written aside; invisible until committed.
///
/// Row groups are cut by the caller. How a column is encoded is decided by its first rows. A group is written by a
/// thread of its own while the next is encoded.
pub(crate) struct WideWriter {
    path: PathBuf,
    schema: SchemaRef,
    factory: ArrowRowGroupWriterFactory,
    tasks: Vec<Task>,
    groups: usize,
    thread: Option<Thread>,
}

/// What writes the groups.
struct Thread {
    groups: SyncSender<Vec<ArrowColumnChunk>>,
    handle: JoinHandle<std::result::Result<Aside, ParquetError>>,
}

/// Neighbouring columns, and how many leaves they have in Parquet.
struct Task {
    columns: Range<usize>,
    leaves: usize,
}

impl WideWriter {
    /// Starts a file that will stand at `path`; `sample` is the first rows of its columns. Its record has no digest:
    /// nobody looks it up.
    ///
    /// # Errors
    /// Where the file cannot be created or Parquet has no place for a column.
    pub(crate) fn create(
        path: &Path,
        schema: SchemaRef,
        footer: Footer,
        sample: &[ArrayRef],
    ) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::create_aside(folder, DigestWriter::without_digest, path, schema, footer, sample)
    }

    /// The same for a file of a run folder, with a digest; a killed run leaves nothing beside the results.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn create_in_run(
        run_folder: &Path,
        path: &Path,
        schema: SchemaRef,
        footer: Footer,
        sample: &[ArrayRef],
    ) -> Result<Self> {
        let folder = super::partial_folder(run_folder);
        Self::create_aside(&folder, DigestWriter::new, path, schema, footer, sample)
    }

    fn create_aside(
        folder: &Path,
        wrap: fn(NamedTempFile) -> Aside,
        path: &Path,
        schema: SchemaRef,
        footer: Footer,
        sample: &[ArrayRef],
    ) -> Result<Self> {
        let io = Error::io(format!("cannot write {}", path.display()));
        let file = fs_err::create_dir_all(folder).and_then(|()| NamedTempFile::new_in(folder)).map_err(io)?;
        let fail = |source| parquet_error(path, source);
        let descriptor = ArrowSchemaConverter::new().convert(&schema).map_err(fail)?;
        let mut properties = properties(&descriptor, &schema, footer, sample);
        parquet::arrow::add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let root = descriptor.root_schema_ptr();
        let writer = SerializedFileWriter::new(wrap(file), root, Arc::new(properties)).map_err(fail)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema));
        let tasks = tasks(&descriptor, schema.fields().len());
        let (sender, groups) = mpsc::sync_channel(0);
        let handle = std::thread::spawn(move || write_groups(writer, &groups));
        let thread = Some(Thread { groups: sender, handle });
        Ok(Self { path: path.to_owned(), schema, factory, tasks, groups: 0, thread })
    }

    /// Appends a row group; `decode` makes some columns of it, and is called for several at a time.
    ///
    /// A column's compressor lives only as long as the column is encoded: of a table of 900 columns they would
    /// together take most of a gigabyte.
    ///
    /// # Errors
    /// Where `decode` fails, its arrays disagree with the schema, or the disk refuses.
    pub(crate) fn append_group(
        &mut self,
        decode: impl Fn(Range<usize>) -> Result<Vec<ArrayRef>> + Sync,
    ) -> Result<()> {
        let fail = |source| parquet_error(&self.path, source);
        let mut writers = self.factory.create_column_writers(self.groups).map_err(fail)?.into_iter();
        let writers: Vec<Vec<ArrowColumnWriter>> =
            self.tasks.iter().map(|task| writers.by_ref().take(task.leaves).collect()).collect();
        let schema = &self.schema;
        let chunks: Vec<Vec<ArrowColumnChunk>> = self
            .tasks
            .par_iter()
            .zip(writers)
            .map(|(task, writers)| {
                let arrays = decode(task.columns.clone())?;
                encode(&schema.fields()[task.columns.clone()], arrays, writers).map_err(fail)
            })
            // All of them, so that of several faults the first is told whatever the threads do.
            .collect::<Vec<Result<_>>>()
            .into_iter()
            .collect::<Result<_>>()?;
        self.groups += 1;
        if let Some(thread) = &self.thread {
            // Where the thread has failed, `finish` says why.
            let _ = thread.groups.send(chunks.into_iter().flatten().collect());
        }
        Ok(())
    }

    /// Closes and syncs the file; it is still invisible.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn finish(mut self) -> Result<WrittenFile> {
        let gone = || ParquetError::General("the writing thread is gone".to_owned());
        let written = self.thread.take().map_or_else(|| Err(gone()), Thread::join);
        let file = written.map_err(|source| parquet_error(&self.path, source))?;
        WrittenFile::sync(std::mem::take(&mut self.path), file)
    }
}

impl Drop for WideWriter {
    /// An unfinished file is gone when this returns, not when its thread comes to it.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Thread {
    /// Lets the last group be written.
    fn join(self) -> std::result::Result<Aside, ParquetError> {
        drop(self.groups);
        self.handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Writes row groups until there are no more.
fn write_groups(
    mut writer: SerializedFileWriter<Aside>,
    groups: &Receiver<Vec<ArrowColumnChunk>>,
) -> std::result::Result<Aside, ParquetError> {
    for chunks in groups {
        let mut group = writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        // Meanwhile the next group is encoded; at the end there is little left to wait for.
        writer.inner().get_ref().as_file().sync_data()?;
    }
    writer.into_inner()
}

/// Encodes columns one after the other, each with its leaves' writers.
fn encode(
    fields: &[FieldRef],
    arrays: Vec<ArrayRef>,
    writers: Vec<ArrowColumnWriter>,
) -> std::result::Result<Vec<ArrowColumnChunk>, ParquetError> {
    let mut chunks = Vec::with_capacity(writers.len());
    let mut writers = writers.into_iter();
    for (field, array) in fields.iter().zip(arrays) {
        for leaf in compute_leaves(field, &array)? {
            let too_many = || ParquetError::General("a column has more leaves than its type".to_owned());
            let mut writer = writers.next().ok_or_else(too_many)?;
            writer.write(&leaf)?;
            chunks.push(writer.close()?);
        }
    }
    Ok(chunks)
}

/// Cuts the columns into tasks and counts the leaves of each.
fn tasks(descriptor: &SchemaDescriptor, columns: usize) -> Vec<Task> {
    let mut leaves = vec![0; columns];
    (0..descriptor.num_columns()).for_each(|leaf| leaves[descriptor.get_column_root_idx(leaf)] += 1);
    (0..columns)
        .step_by(COLUMNS_PER_TASK)
        .map(|first| first..(first + COLUMNS_PER_TASK).min(columns))
        .map(|range| Task { columns: range.clone(), leaves: leaves[range].iter().sum() })
        .collect()
}

/// Columns that repeat themselves get a dictionary; of the others numbers are rearranged so that they compress.
fn properties(
    descriptor: &SchemaDescriptor,
    schema: &SchemaRef,
    footer: Footer,
    sample: &[ArrayRef],
) -> WriterProperties {
    let mut builder = common_properties(footer);
    for leaf in 0..descriptor.num_columns() {
        let column = descriptor.column(leaf);
        let field = descriptor.get_column_root_idx(leaf);
        if sample.get(field).is_some_and(repeats) {
            continue;
        }
        let path: ColumnPath = column.path().clone();
        let encoding = match column.physical_type() {
            Type::FLOAT | Type::DOUBLE => Encoding::BYTE_STREAM_SPLIT,
            Type::INT32 | Type::INT64 if !is_list(schema.field(field).data_type()) => {
                Encoding::DELTA_BINARY_PACKED
            }
            Type::INT32
            | Type::INT64
            | Type::INT96
            | Type::BOOLEAN
            | Type::BYTE_ARRAY
            | Type::FIXED_LEN_BYTE_ARRAY => Encoding::PLAIN,
        };
        builder =
            builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
    }
    builder.build()
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::FixedSizeList(..))
}

/// Whether few values of a column occur often.
fn repeats(array: &ArrayRef) -> bool {
    let lists = array.as_list_opt::<i32>().map(|list| list.values());
    let values = lists.or_else(|| array.as_fixed_size_list_opt().map(|list| list.values())).unwrap_or(array);
    let values = values.slice(0, values.len().min(SAMPLE_ROWS));
    // Numbers are told apart by their text: the sample is small, and all kinds are treated alike.
    let Ok(text) = cast(&values, &DataType::Utf8) else { return false };
    let distinct: HashSet<Option<&str>> = text.as_string::<i32>().iter().collect();
    distinct.len() <= (values.len() / DISTINCT_SHARE).max(1)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn columns(rows: Range<i64>) -> Vec<ArrayRef> {
        (0..40)
            .map(|column| -> ArrayRef {
                if column % 2 == 0 {
                    Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row * 7919 + column)))
                } else {
                    Arc::new(StringArray::from_iter_values(rows.clone().map(|row| format!("{}", row % 3))))
                }
            })
            .collect()
    }

    fn write(path: &Path) -> Vec<u8> {
        let types = columns(0..1);
        let fields: Vec<Field> = types
            .iter()
            .enumerate()
            .map(|(i, array)| Field::new(format!("c{i}"), array.data_type().clone(), false))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let mut writer = WideWriter::create(path, schema, Vec::new(), &columns(0..5000)).unwrap();
        for rows in [0..2000, 2000..4000, 4000..5000] {
            let group = columns(rows);
            writer.append_group(|range| Ok(group[range].to_vec())).unwrap();
        }
        let written = writer.finish().unwrap();
        assert!(!path.exists(), "visible before it is committed");
        written.commit(path.parent().unwrap()).unwrap();
        fs_err::read(path).unwrap()
    }

    #[test]
    fn columns_written_side_by_side_come_back_in_their_order_and_always_as_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = write(&folder.path().join("wide.parquet"));
        assert!(bytes == write(&folder.path().join("again.parquet")));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
        let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        assert_eq!(groups, [2000, 2000, 1000]);
        let mut first = 0;
        for batch in reader.build().unwrap() {
            let batch: RecordBatch = batch.unwrap();
            let rows = i64::try_from(batch.num_rows()).unwrap();
            assert_eq!(batch.columns(), columns(first..first + rows), "from row {first} on");
            first += rows;
        }
        assert_eq!(first, 5000);
    }
}
