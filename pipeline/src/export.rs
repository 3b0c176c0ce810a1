//! `export`: a table of the database as a Parquet or CSV file.

mod csv;
mod join;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use specmill_schemas::catalogs::{RAW_SCHEMA, SCHEMA};
use specmill_schemas::joins::{self, Join};
use specmill_schemas::relational::{Relation, relation, relations};
use tempfile::NamedTempFile;

use crate::cli::ExportArgs;
use crate::config::{Environment, RunFile};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::filter::Filter;
use crate::run::print;
use crate::sink::postgres::Database;
use crate::sink::postgres::export::{Fault, Shape, columns, resolve, stream};
use crate::sink::publish;

use csv::CsvWriter;

/// Bounds what the Parquet writer holds back.
const ROWS_PER_GROUP: usize = 32_768;

/// Carries out `export`.
///
/// # Errors
/// Where the table, the filter or the file's name is not right, the database cannot be asked, or the disk refuses;
/// then no file is left.
pub(crate) fn run(args: &ExportArgs, environment: &Environment) -> Result<Exit> {
    if let Some(name) = &args.join {
        return join::run(args, name);
    }
    let run_file = RunFile::read(&args.run_file)?;
    let folder = args.run_folder.clone().unwrap_or(run_file.output.folder);
    let format = Format::of(&args.out)?;
    let known = known(&args.table)?;
    let parse = |relation: &Relation| {
        let filter = args.filter.as_deref().map(|text| Filter::parse(text, &columns(relation)));
        filter.transpose().map_err(|error| wrong("--where", error.to_string()))
    };
    // What can be wrong without a database is said without one.
    known.as_ref().map(parse).transpose()?;
    let database = Database::open(environment, &folder)?;
    let relation = match known {
        Some(relation) => relation,
        None => of_catalog(&database, &args.table)?,
    };
    let filter = parse(&relation)?;
    let rows = write(&database, &relation, filter.as_ref(), format, &args.out)?;
    print(&format!("wrote {rows} rows of {} to {}\n", args.table, args.out.display()))?;
    Ok(Exit::Complete)
}

fn wrong(argument: &'static str, problem: impl Into<String>) -> Error {
    Error::Argument { argument, problem: problem.into() }
}

/// The table or view of a name; `None` where it may be a catalogue's, which the database knows.
fn known(name: &str) -> Result<Option<Relation>> {
    let view = || joins::join(name).filter(|join| join.full_name() == name).map(|join| join.relation());
    if let Some(found) = relation(name).or_else(view) {
        return Ok(Some(found));
    }
    if [SCHEMA, RAW_SCHEMA].iter().any(|schema| name.split('.').next() == Some(*schema)) {
        return Ok(None);
    }
    let mut names: Vec<String> = relations().iter().map(Relation::full_name).collect();
    names.extend(joins::joins().iter().map(Join::full_name));
    let catalogs = format!("nor a table of {SCHEMA} or {RAW_SCHEMA}");
    Err(wrong("TABLE", format!("`{name}` is not one of {}, {catalogs}", names.join(", "))))
}

/// The table of a catalogue.
fn of_catalog(database: &Database, name: &str) -> Result<Relation> {
    if let Some(table) = database.catalog_table(name).map_err(Box::new)? {
        return Ok(table.relation.relation());
    }
    let tables = database.catalog_tables().map_err(Box::new)?;
    let names: Vec<String> = tables.iter().map(|table| table.relation.full_name()).collect();
    Err(wrong("TABLE", format!("the database has no `{name}`, but {}", names.join(", "))))
}

/// What the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Parquet,
    Csv,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            _ => Err(wrong("--out", format!("{} ends neither in .parquet nor in .csv", path.display()))),
        }
    }
}

/// A file being written, aside.
enum Writer {
    Parquet(Box<ArrowWriter<File>>),
    Csv(CsvWriter<BufWriter<File>>),
}

fn write(
    database: &Database,
    relation: &Relation,
    filter: Option<&Filter>,
    format: Format,
    out: &Path,
) -> Result<u64> {
    let shape = resolve(database, relation, filter).map_err(Box::new)?;
    to_file(format, &shape, out, |writer| {
        stream(database, relation, filter, &shape, &mut |batch| writer.append(batch, out))
            .map_err(|fault| explain(fault, out))
    })
}

/// Writes a file aside and gives it its name once it is whole; gives what `fill` gives.
fn to_file(
    format: Format,
    shape: &Shape,
    out: &Path,
    fill: impl FnOnce(&mut Writer) -> Result<u64>,
) -> Result<u64> {
    let cannot = || Error::io(format!("cannot write {}", out.display()));
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = NamedTempFile::new_in(folder).map_err(cannot())?;
    let file = aside.reopen().map_err(cannot())?;
    let mut writer = Writer::new(format, file, shape, out)?;
    let rows = fill(&mut writer)?;
    writer.finish(out)?;
    aside.as_file().sync_all().map_err(cannot())?;
    publish(aside, out)?;
    Ok(rows)
}

fn explain(fault: Fault<Error>, out: &Path) -> Error {
    match fault {
        Fault::Database(error) => Error::from(Box::new(error)),
        Fault::Batch(source) => Error::Batch { path: out.to_owned(), source: Box::new(source) },
        Fault::Taker(error) => error,
    }
}

impl Writer {
    fn new(format: Format, file: File, shape: &Shape, out: &Path) -> Result<Self> {
        if format == Format::Csv {
            let writer = CsvWriter::begin(BufWriter::new(file), &shape.table);
            return writer.map(Self::Csv).map_err(Error::io(format!("cannot write {}", out.display())));
        }
        let properties = WriterProperties::builder()
            .set_created_by(format!("specmill {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .build();
        ArrowWriter::try_new(file, Arc::clone(&shape.schema), Some(properties))
            .map(|writer| Self::Parquet(Box::new(writer)))
            .map_err(|source| parquet_error(out, source))
    }

    fn append(&mut self, batch: &RecordBatch, out: &Path) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch).map_err(|source| parquet_error(out, source)),
            Self::Csv(writer) => {
                writer.append(batch).map_err(Error::io(format!("cannot write {}", out.display())))
            }
        }
    }

    fn finish(self, out: &Path) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.close().map(|_| ()).map_err(|source| parquet_error(out, source)),
            Self::Csv(writer) => {
                writer.finish().map_err(Error::io(format!("cannot write {}", out.display())))
            }
        }
    }
}

fn parquet_error(path: &Path, source: parquet::errors::ParquetError) -> Error {
    Error::Parquet { path: path.to_owned(), source: Box::new(source) }
}
