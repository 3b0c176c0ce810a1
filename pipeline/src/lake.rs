//! Parquet files of a run folder, read back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};

use crate::digest::sha256_file;
use crate::error::{Error, Result};
use crate::ledger::FileRecord;

/// A Parquet file of a run folder; nothing but its footer is in memory.
#[derive(Debug)]
pub(crate) struct LakeFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    footer: BTreeMap<String, String>,
}

/// Columns of one batch, by name; every one must be there and of the kind asked for.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    path: &'a Path,
    batch: RecordBatch,
}

/// Rows of a `spectra/` file, in host memory.
#[derive(Debug, Default)]
pub(crate) struct SpectraRows {
    /// [s]
    pub(crate) targetid_s: Vec<i64>,
    /// Row of the coadd file, [s].
    pub(crate) row_s: Vec<i32>,
    /// [s]
    pub(crate) z_s: Vec<f64>,
    /// [s, p]
    pub(crate) flux_sp: Vec<f32>,
    /// [s, p]
    pub(crate) ivar_sp: Vec<f32>,
}

impl SpectraRows {
    /// Number of spectra.
    pub(crate) fn len(&self) -> usize {
        self.targetid_s.len()
    }

    /// A copy of some rows.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        let n_pixels = self.flux_sp.len() / self.len().max(1);
        let pixels = rows.start * n_pixels..rows.end * n_pixels;
        Self {
            targetid_s: self.targetid_s[rows.clone()].to_vec(),
            row_s: self.row_s[rows.clone()].to_vec(),
            z_s: self.z_s[rows].to_vec(),
            flux_sp: self.flux_sp[pixels.clone()].to_vec(),
            ivar_sp: self.ivar_sp[pixels].to_vec(),
        }
    }
}

/// The columns of `spectra/`.
/// Bytes of a row of a Parquet file once it is decoded, about: its plain size.
pub(crate) fn bytes_per_row(metadata: &ArrowReaderMetadata) -> usize {
    let footer = metadata.metadata();
    let plain: i64 = footer.row_groups().iter().map(|group| group.total_byte_size()).sum();
    usize::try_from(plain / footer.file_metadata().num_rows().max(1)).unwrap_or(0)
}

const SPECTRA_COLUMNS: [&str; 5] = ["targetid", "row", "z", "flux", "ivar"];

impl LakeFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Lake`] where it is not there or not Parquet.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::Lake { path: path.to_owned(), problem };
        let file = fs_err::File::open(path).map_err(|error| wrong(error.to_string()))?;
        let metadata = ArrowReaderMetadata::load(file.file(), Default::default())
            .map_err(|error| wrong(error.to_string()))?;
        let footer = metadata
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
            .collect();
        Ok(Self { path: path.to_owned(), metadata, footer })
    }

    /// Opens a file that an account names; its size and digest must be the account's.
    ///
    /// # Errors
    /// [`Error::Lake`] where it is not there, of another content, or not Parquet.
    pub(crate) fn open_recorded(run_folder: &Path, record: &FileRecord) -> Result<Self> {
        let path = run_folder.join(&record.path);
        let found = fs_err::metadata(&path).map(|found| found.len());
        match found {
            Ok(bytes) if bytes == record.bytes => {
                let found = sha256_file(&path).map_err(Error::io("cannot read an output of this run"))?;
                if record.sha256.as_ref().is_some_and(|sha256| *sha256 != found) {
                    let problem = format!("its SHA-256 is {found}, not the ledger's");
                    return Err(Error::Lake { path, problem });
                }
                Self::open(&path)
            }
            Ok(bytes) => Err(Error::Lake {
                problem: format!("{bytes} bytes, but the ledger says {}", record.bytes),
                path,
            }),
            Err(error) => Err(Error::Lake { problem: error.to_string(), path }),
        }
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> &Schema {
        self.metadata.schema()
    }

    /// A value of the footer.
    pub(crate) fn footer(&self, key: &str) -> Option<&str> {
        self.footer.get(key).map(String::as_str)
    }

    /// Keys and values of the footer.
    pub(crate) fn footers(&self) -> &BTreeMap<String, String> {
        &self.footer
    }

    /// Refuses a file whose footer says anything but `value` under `key`.
    ///
    /// # Errors
    /// [`Error::Lake`] with both values.
    pub(crate) fn expect_footer(&self, key: &str, value: &str) -> Result<()> {
        let found = self.footer(key).unwrap_or("nothing");
        if found == value {
            return Ok(());
        }
        Err(self.wrong(format!("its footer says {key} = {found}, but this run needs {value}")))
    }

    /// An error about this file.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> Error {
        Error::Lake { path: self.path.clone(), problem: problem.into() }
    }

    /// Rows in all.
    pub(crate) fn n_rows(&self) -> usize {
        usize::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Bytes of a row in memory, about.
    pub(crate) fn bytes_per_row(&self) -> usize {
        bytes_per_row(&self.metadata)
    }

    /// The names of its columns.
    pub(crate) fn columns(&self) -> Vec<String> {
        self.metadata.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Reads some columns in batches of at most `batch_rows`.
    ///
    /// # Errors
    /// [`Error::Lake`] where a column is not there or the file cannot be read.
    pub(crate) fn read(&self, columns: &[&str], batch_rows: usize) -> Result<LakeReader<'_>> {
        self.read_selected(columns, batch_rows, None)
    }

    fn read_selected(
        &self,
        columns: &[&str],
        batch_rows: usize,
        selection: Option<RowSelection>,
    ) -> Result<LakeReader<'_>> {
        let schema = self.metadata.schema();
        if let Some(absent) = columns.iter().find(|name| schema.index_of(name).is_err()) {
            return Err(self.wrong(format!("has no column `{absent}`")));
        }
        let file = fs_err::File::open(&self.path).map_err(|error| self.wrong(error.to_string()))?;
        let mask = ProjectionMask::columns(self.metadata.parquet_schema(), columns.iter().copied());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.into_parts().0, self.metadata.clone())
                .with_projection(mask)
                .with_batch_size(batch_rows.max(1));
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let reader = builder.build().map_err(|error| self.wrong(error.to_string()))?;
        Ok(LakeReader { file: self, reader })
    }

    /// Reads the spectra of some positions of the file (ascending), or all, in batches.
    ///
    /// # Errors
    /// [`Error::Lake`] where the file cannot be read.
    pub(crate) fn spectra(
        &self,
        positions: Option<&[usize]>,
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<SpectraRows>> + use<'_>> {
        let selection = positions.map(|positions| {
            let ranges = positions.iter().map(|&position| position..position + 1);
            RowSelection::from_consecutive_ranges(ranges, self.n_rows())
        });
        let reader = self.read_selected(&SPECTRA_COLUMNS, batch_rows, selection)?;
        Ok(reader.map(|rows| {
            let rows = rows?;
            Ok(SpectraRows {
                targetid_s: rows.values::<Int64Type>("targetid")?.to_vec(),
                row_s: rows.values::<Int32Type>("row")?.to_vec(),
                z_s: rows.values::<Float64Type>("z")?.to_vec(),
                flux_sp: rows.list("flux")?.to_vec(),
                ivar_sp: rows.list("ivar")?.to_vec(),
            })
        }))
    }
}

/// Batches of a file.
pub(crate) struct LakeReader<'a> {
    file: &'a LakeFile,
    reader: ParquetRecordBatchReader,
}

impl<'a> Iterator for LakeReader<'a> {
    type Item = Result<Rows<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        // The decoder panics on some damage: that is the file's fault, not the program's end.
        let batch = catch_unwind(AssertUnwindSafe(|| self.reader.next()));
        Some(match batch {
            Ok(batch) => match batch? {
                Ok(batch) => Ok(Rows { path: &self.file.path, batch }),
                Err(error) => Err(self.file.wrong(error.to_string())),
            },
            Err(_) => Err(self.file.wrong("it cannot be decoded")),
        })
    }
}

impl Rows<'_> {
    fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| self.wrong(name, "is not there"))
    }

    fn wrong(&self, column: &str, problem: &str) -> Error {
        Error::Lake { path: self.path.to_owned(), problem: format!("column `{column}` {problem}") }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column of whatever type.
    pub(crate) fn array(&self, name: &str) -> Result<ArrayRef> {
        self.column(name).cloned()
    }

    /// A column of numbers without NULLs.
    pub(crate) fn values<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&[T::Native]> {
        let column = self.column(name)?;
        let values = column.as_primitive_opt::<T>().ok_or_else(|| self.wrong(name, "is of another type"))?;
        if values.null_count() > 0 {
            return Err(self.wrong(name, "holds a NULL"));
        }
        Ok(values.values())
    }

    /// A column of numbers, `None` where NULL.
    pub(crate) fn options<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<impl Iterator<Item = Option<T::Native>> + use<'_, T>> {
        let column = self.column(name)?;
        let values = column.as_primitive_opt::<T>().ok_or_else(|| self.wrong(name, "is of another type"))?;
        Ok(values.iter())
    }

    /// A text column, `None` where NULL.
    pub(crate) fn texts(&self, name: &str) -> Result<impl Iterator<Item = Option<&str>> + use<'_>> {
        let column = self.column(name)?;
        let values = column.as_string_opt::<i32>().ok_or_else(|| self.wrong(name, "is of another type"))?;
        Ok(values.iter())
    }

    /// A column of lists of one length, flattened: [row, item]. Rows that are NULL hold whatever the file holds.
    pub(crate) fn list(&self, name: &str) -> Result<&[f32]> {
        let column = self.column(name)?;
        let lists = column.as_fixed_size_list_opt().ok_or_else(|| self.wrong(name, "is of another type"))?;
        let width = usize::try_from(lists.value_length()).unwrap_or(0);
        let items = lists
            .values()
            .as_primitive_opt::<Float32Type>()
            .ok_or_else(|| self.wrong(name, "is of another type"))?;
        Ok(&items.values()[lists.offset() * width..][..lists.len() * width])
    }
}
