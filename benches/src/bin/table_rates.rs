//! Rates of reading a binary table: cfitsio column by column, and our own decoding of its rows, one thread.
//!
//! `table_rates FILE [REPEATS]`: the first table of FILE, its numbers (scalars only for cfitsio). Then what it costs to
//! read eight bytes of each row apart rather than whole rows, for rows of several widths: the reason of the reader's
//! threshold.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Instant;

use specmill::fits::bintable::{Block, TableOptions, TableReader};
use specmill::fits::prescan::{HduInfo, HduKind, TableInfo};
use specmill::fits::{ElementKind, OpenOptions, Source, Want, read_table};

/// Bytes of each row that are wanted where rows are read apart.
const WANTED: usize = 8;
/// Bytes read whole at a time.
const RUN_BYTES: usize = 8 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    specmill::memory::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("usage: table_rates FILE [REPEATS]")?);
    let repeats: usize = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let source = Source::open(&path, &OpenOptions::default())?;
    let (hdu, table) = first_table(&source).ok_or("the file holds no table")?;
    let names: Vec<&str> = table
        .columns
        .iter()
        .filter(|column| column.form.is_scalar() && is_number(column.form.element))
        .map(|column| column.name.as_str())
        .collect();
    let options = TableOptions {
        columns: Some(names.iter().map(|&name| name.to_owned()).collect()),
        ..TableOptions::default()
    };
    let reader = TableReader::new(&source, hdu, &options)?;
    let megabytes = (table.rows * table.row_bytes) as f64 / 1e6;
    let (mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..repeats {
        ours = ours.min(seconds(|| decode_all(&reader))?);
        theirs = theirs.min(seconds(|| read_each(&source, hdu, table, &names))?);
    }
    let mut out = std::io::stdout();
    writeln!(out, "{} rows x {} numbers, {megabytes:.0} MB", table.rows, names.len())?;
    writeln!(out, "own decoding {:8.0} MB/s", megabytes / ours)?;
    writeln!(out, "cfitsio      {:8.0} MB/s", megabytes / theirs)?;
    writeln!(out, "row bytes  whole rows s/GB  apart s/GB")?;
    for width in [1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10] {
        let (whole, apart) = strides(&path, width)?;
        writeln!(out, "{width:9}  {whole:15.3} {apart:11.3}")?;
    }
    Ok(())
}

fn first_table(source: &Source) -> Option<(&HduInfo, &TableInfo)> {
    source.hdus().iter().find_map(|hdu| match &hdu.kind {
        HduKind::Table(table) => Some((hdu, table)),
        HduKind::Image(_) | HduKind::CompressedImage { .. } | HduKind::Other { .. } => None,
    })
}

fn is_number(element: ElementKind) -> bool {
    use ElementKind::{Byte, Double, Float, Int, Long, Short};
    matches!(element, Byte | Short | Int | Long | Float | Double)
}

fn seconds(mut run: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64())
}

fn decode_all(reader: &TableReader<'_>) -> Result<(), Box<dyn Error>> {
    let mut blocks = reader.blocks();
    let mut block = Block::default();
    while let Some(next) = blocks.next(block)? {
        black_box(reader.decode(&next, 0..reader.columns().len())?);
        block = next;
    }
    Ok(())
}

/// What the reader of redshift catalogues does: a run of rows that fits cfitsio's buffers, column after column.
fn read_each(
    source: &Source,
    hdu: &HduInfo,
    table: &TableInfo,
    names: &[&str],
) -> Result<(), Box<dyn Error>> {
    use ElementKind::{Double, Float};
    let wanted: Vec<(&str, Want)> = names
        .iter()
        .filter_map(|&name| table.column(name))
        .map(|column| {
            let element = column.form.element;
            let want = if element == Float {
                Want::F32
            } else if element == Double {
                Want::F64
            } else {
                Want::I64
            };
            (column.name.as_str(), want)
        })
        .collect();
    black_box(read_table(source, hdu, &wanted)?);
    Ok(())
}

/// Seconds per GB of rows, read whole and eight bytes apart.
fn strides(path: &std::path::Path, width: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let (file, _) = fs_err::File::open(path)?.into_parts();
    let length = usize::try_from(file.metadata()?.len())?.min(1 << 30);
    let rows = length / width;
    let gigabytes = (rows * width) as f64 / 1e9;
    let (mut run, mut cell) = (vec![0; RUN_BYTES / width * width], [0; WANTED]);
    let whole = seconds(|| {
        for first in (0..rows * width).step_by(run.len()) {
            let n = run.len().min(rows * width - first);
            file.read_exact_at(&mut run[..n], first as u64)?;
            run[..n].chunks_exact(width).for_each(|row| {
                black_box(row[WANTED]);
            });
        }
        Ok(())
    })?;
    let apart = seconds(|| {
        for row in 0..rows {
            file.read_exact_at(&mut cell, (row * width) as u64)?;
            black_box(cell);
        }
        Ok(())
    })?;
    Ok((whole / gigabytes, apart / gigabytes))
}
