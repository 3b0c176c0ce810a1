//! Whole tables as Parquet files: written as the stages write them, read back as they read them.

use std::path::Path;

use arrow::array::RecordBatch;
use specmill_schemas::Table;

use crate::catalog::convert;
use crate::error::Result;
use crate::fits::bintable::TableReader;
use crate::fits::prescan::HduInfo;
use crate::lake::LakeFile;
use crate::ledger::FileRecord;
use crate::sink::TableWriter;

/// A file of a run folder that is to be written.
#[derive(Debug, Clone)]
pub struct TableFile<'a> {
    /// What it holds.
    pub table: &'a Table,
    /// Rows of a row group, however many come at a time.
    pub rows_per_group: usize,
    /// Key-value pairs of its footer, in order.
    pub footer: Vec<(String, String)>,
}

impl TableFile<'_> {
    /// Writes, syncs and renames the file.
    ///
    /// # Errors
    /// Where a batch disagrees with the table or the disk refuses; then no file is left.
    pub fn write(
        &self,
        run_folder: &Path,
        path: &Path,
        batches: impl IntoIterator<Item = RecordBatch>,
    ) -> Result<FileRecord> {
        let mut writer =
            TableWriter::create(path, run_folder, self.table, self.rows_per_group, self.footer.clone())?;
        for batch in batches {
            writer.append(batch)?;
        }
        writer.finish()?.commit(run_folder)
    }
}

/// Reads the spectra of a `spectra/` file, some rows at a time: flux and ivar, [s, p] each.
///
/// # Errors
/// Where the file cannot be read.
pub fn read_spectra(path: &Path, batch_rows: usize, mut each: impl FnMut(&[f32], &[f32])) -> Result<()> {
    for rows in LakeFile::open(path)?.spectra(None, batch_rows)? {
        let rows = rows?;
        each(&rows.flux_sp, &rows.ivar_sp);
    }
    Ok(())
}

/// Writes all of a table of a FITS file to `path`, as `catalog convert` does.
///
/// # Errors
/// Where the table cannot be read or the disk refuses; then no file is left.
pub fn convert_table(reader: &TableReader<'_>, hdu: &HduInfo, path: &Path) -> Result<()> {
    convert::write(reader, hdu, path).map(drop)
}
