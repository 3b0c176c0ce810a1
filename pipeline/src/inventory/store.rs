//! `inventory.parquet`, written and read.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::Columns;
use crate::error::{Error, Result};
use crate::ledger::FileRecord;
use crate::sink::TableWriter;

use super::{Inventory, InventoryEntry, InventoryError, InventoryFile, UnitState};

/// Rows of a row group: a whole release fits in a few.
const ROWS_PER_GROUP: usize = 65_536;
const IGNORED_KEY: &str = "ignored_files";

impl Inventory {
    /// Writes `inventory.parquet` into `folder`: aside, synced, renamed. The bytes depend on the
    /// entries only.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<FileRecord> {
        let path = folder.join("inventory.parquet");
        let footer = vec![(IGNORED_KEY.to_owned(), self.ignored.to_string())];
        let table = specmill_schemas::inventory::table();
        let mut writer = TableWriter::create(&path, folder, &table, ROWS_PER_GROUP, footer)?;
        let batch = self
            .columns()
            .into_batch(writer.schema())
            .map_err(|source| Error::Batch { path: path.clone(), source: Box::new(source) })?;
        writer.append(batch)?;
        writer.finish()?.commit(folder)
    }

    /// Reads `inventory.parquet`. Notes are not kept in it.
    ///
    /// # Errors
    /// [`InventoryError::Unreadable`] and [`InventoryError::Store`].
    pub fn read(path: &Path) -> std::result::Result<Self, InventoryError> {
        let store = |problem: String| InventoryError::Store { path: path.to_owned(), problem };
        let file = fs_err::File::open(path)
            .map_err(|source| InventoryError::Unreadable { path: path.to_owned(), source })?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.into_parts().0)
            .map_err(|err| store(err.to_string()))?;
        let ignored = builder
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .find(|pair| pair.key == IGNORED_KEY)
            .and_then(|pair| pair.value.as_deref()?.parse().ok())
            .unwrap_or(0);
        let mut inventory = Self { ignored, ..Self::default() };
        for batch in builder.build().map_err(|err| store(err.to_string()))? {
            let batch = batch.map_err(|err| store(err.to_string()))?;
            for row in 0..batch.num_rows() {
                inventory.entries.push(read_entry(&batch, row).map_err(store)?);
            }
        }
        Ok(inventory)
    }

    fn columns(&self) -> Columns {
        let entries = || self.entries.iter();
        let mut columns = Columns::new(self.entries.len());
        columns.text("unit", entries().map(|entry| entry.unit.as_ref().map(ToString::to_string)));
        columns.text("state", entries().map(|entry| Some(entry.state.word())));
        columns.text("reason", entries().map(|entry| entry.state.reason()));
        columns.text("survey", entries().map(|entry| entry.survey.as_deref()));
        columns.text("program", entries().map(|entry| entry.program.as_deref()));
        for (name, file) in FILES {
            let files = || entries().map(file);
            columns.text(
                format!("{name}_path"),
                files().map(|file| file.map(|file| file.path.display().to_string())),
            );
            columns.int64(
                format!("{name}_bytes"),
                files().map(|file| file.map(|file| file.bytes.cast_signed())),
            );
            columns.int64(format!("{name}_rows"), files().map(|file| file?.rows.map(u64::cast_signed)));
            columns.text(format!("{name}_sha256"), files().map(|file| file?.sha256.as_deref()));
        }
        columns
    }
}

type FileOf = fn(&InventoryEntry) -> Option<&InventoryFile>;

const FILES: [(&str, FileOf); 2] =
    [("coadd", |entry| entry.coadd.as_ref()), ("redrock", |entry| entry.redrock.as_ref())];

fn text(batch: &RecordBatch, name: &str, row: usize) -> std::result::Result<Option<String>, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("no column {name}"))?;
    let column = column.as_string_opt::<i32>().ok_or_else(|| format!("column {name} is not text"))?;
    Ok(column.is_valid(row).then(|| column.value(row).to_owned()))
}

fn count(batch: &RecordBatch, name: &str, row: usize) -> std::result::Result<Option<u64>, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("no column {name}"))?;
    let column =
        column.as_primitive_opt::<Int64Type>().ok_or_else(|| format!("column {name} is not a count"))?;
    let value = column.is_valid(row).then(|| u64::try_from(column.value(row)));
    value.transpose().map_err(|_| format!("column {name}, row {row}: negative"))
}

fn read_entry(batch: &RecordBatch, row: usize) -> std::result::Result<InventoryEntry, String> {
    let file = |name: &str| -> std::result::Result<Option<InventoryFile>, String> {
        let Some(path) = text(batch, &format!("{name}_path"), row)? else { return Ok(None) };
        Ok(Some(InventoryFile {
            path: path.into(),
            bytes: count(batch, &format!("{name}_bytes"), row)?.unwrap_or(0),
            rows: count(batch, &format!("{name}_rows"), row)?,
            sha256: text(batch, &format!("{name}_sha256"), row)?,
        }))
    };
    let unit = text(batch, "unit", row)?.map(|id| id.parse()).transpose();
    let state = match text(batch, "state", row)?.as_deref() {
        Some("complete") => UnitState::Complete,
        Some("no_redrock") => UnitState::NoRedrock,
        Some("no_coadd") => UnitState::NoCoadd,
        Some("broken") => UnitState::Broken(text(batch, "reason", row)?.unwrap_or_default()),
        other => return Err(format!("row {row}: unknown state {other:?}")),
    };
    Ok(InventoryEntry {
        unit: unit.map_err(|err: crate::unit::ParseUnitError| err.to_string())?,
        survey: text(batch, "survey", row)?,
        program: text(batch, "program", row)?,
        coadd: file("coadd")?,
        redrock: file("redrock")?,
        state,
    })
}
