//! `catalog convert`: a table of a FITS file as a Parquet file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::array::ArrayRef;

use super::{find_hdu, inspect, labels, options, table_of};
use crate::cli::ConvertArgs;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::fits::bintable::{Notes, TableReader};
use crate::fits::prescan::HduInfo;
use crate::fits::{OpenOptions, Source};
use crate::run::print;
use crate::sink::WideWriter;

/// Rows that say how each column is best encoded.
const SAMPLE_ROWS: u64 = 1024;

/// Carries out `catalog convert`.
///
/// # Errors
/// Where the file or the table cannot be read, an argument names nothing in it, or the disk refuses; then no file
/// is left.
pub(super) fn run(args: &ConvertArgs) -> Result<Exit> {
    let started = Instant::now();
    refuse_same_file(args)?;
    let source = Source::open(&args.file, &OpenOptions::default())?;
    let hdu = choose(&source, args.hdu.as_deref())?;
    let not_a_table = || wrong("--hdu", format!("{} is no binary table", hdu.label()));
    let table = table_of(hdu).ok_or_else(not_a_table)?;
    let reader = TableReader::new(&source, hdu, &options(&args.table, table)?)?;
    if reader.columns().is_empty() {
        return Err(wrong("--hdu", format!("{} has no columns", hdu.label())));
    }
    let notes = write(&reader, hdu, &args.out)?;
    let seconds = started.elapsed().as_secs_f64();
    print(&said(&reader, hdu, args, &notes, seconds)?)?;
    Ok(Exit::Complete)
}

fn wrong(argument: &'static str, problem: impl Into<String>) -> Error {
    Error::Argument { argument, problem: problem.into() }
}

/// The result replaces what has its name: that must not be the file it is made of.
fn refuse_same_file(args: &ConvertArgs) -> Result<()> {
    let real = |path| fs_err::canonicalize(path).ok();
    if real(&args.out).is_some_and(|out| real(&args.file) == Some(out)) {
        return Err(wrong("--out", "this is the file to convert"));
    }
    Ok(())
}

/// The HDU asked for, or the only table there is.
fn choose<'s>(source: &'s Source, wanted: Option<&str>) -> Result<&'s HduInfo> {
    if let Some(wanted) = wanted {
        return find_hdu(source, wanted);
    }
    let mut tables = source.hdus().iter().filter(|hdu| table_of(hdu).is_some());
    match (tables.next(), tables.next()) {
        (Some(hdu), None) => Ok(hdu),
        (None, _) => Err(wrong("FILE", format!("{} holds no binary table", source.path().display()))),
        _ => Err(wrong("--hdu", format!("choose one of {}", labels(source)))),
    }
}

/// Writes all of a table to a file; what was noted about each column.
///
/// # Errors
/// Where the table cannot be read or the disk refuses; then no file is left.
pub(crate) fn write(reader: &TableReader<'_>, hdu: &HduInfo, out: &Path) -> Result<Vec<Notes>> {
    let footer: Vec<(String, String)> =
        hdu.extname.iter().map(|name| ("fits.extname".to_owned(), name.clone())).collect();
    // In the Arrow schema as well, where pyarrow and its like look first.
    let metadata: HashMap<String, String> = footer.iter().cloned().collect();
    let schema = reader.schema().with_metadata(metadata);
    let sample: Vec<ArrayRef> = reader.head(SAMPLE_ROWS)?.into_iter().map(|column| column.array).collect();
    let mut writer = WideWriter::create(out, Arc::new(schema), footer, &sample)?;
    drop(sample);
    let notes = Mutex::new(vec![Notes::default(); reader.columns().len()]);
    // A block is a row group: its rows depend on the table and its columns alone.
    reader.stream(|block| {
        writer.append_group(|columns| {
            let decoded = reader.decode(block, columns.clone())?;
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes[columns].iter_mut().zip(&decoded).for_each(|(notes, column)| notes.add(&column.notes));
            Ok(decoded.into_iter().map(|column| column.array).collect())
        })
    })?;
    let folder = out.parent().map(Path::to_owned).unwrap_or_default();
    writer.finish()?.commit(&folder)?;
    Ok(notes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn said(
    reader: &TableReader<'_>,
    hdu: &HduInfo,
    args: &ConvertArgs,
    notes: &[Notes],
    seconds: f64,
) -> Result<String> {
    let size = fs_err::metadata(&args.out).map_err(Error::io("cannot read back the file's size"))?.len();
    let mut text = format!(
        "wrote {} rows x {} columns of {} to {} ({}) in {seconds:.1} s\n",
        reader.rows(),
        reader.columns().len(),
        hdu.label(),
        args.out.display(),
        inspect::bytes(size)
    );
    for (plan, notes) in reader.columns().iter().zip(notes) {
        let counted = [
            (notes.tnull_kept, "values equal to a TNULL that was not followed"),
            (notes.odd_logicals, "logicals neither T nor F nor 0 are NULL"),
            (notes.replaced_text, "strings not UTF-8, bytes replaced"),
        ];
        for (n, what) in counted.into_iter().filter(|(n, _)| *n > 0) {
            text.push_str(&format!("  {}: {n} {what}\n", plan.field().name()));
        }
    }
    Ok(text)
}
