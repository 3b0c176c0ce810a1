//! `catalog inspect`: a FITS file as `ls` would show it.

use std::fmt::Write as _;
use std::path::Path;

use arrow::datatypes::DataType;
use rayon::prelude::*;

use super::tally::Tally;
use super::{find_hdu, table_of};
use crate::cli::InspectArgs;
use crate::error::Result;
use crate::exit::Exit;
use crate::fits::bintable::{ColumnPlan, Policy, TableOptions, TableReader, TextPolicy, Tnull};
use crate::fits::prescan::{HduInfo, HduKind, ImageInfo};
use crate::fits::{FitsError, OpenOptions, Source};
use crate::run::print;

/// Columns that one task counts.
const COLUMNS_PER_TASK: usize = 16;

/// Carries out `catalog inspect`.
///
/// # Errors
/// Where the file is no FITS, `--hdu` names none of its HDUs, or the table it names cannot be read. Of a whole file
/// the other tables are shown still.
pub(super) fn run(args: &InspectArgs) -> Result<Exit> {
    let source = Source::open(&args.file, &OpenOptions::default())?;
    let chosen: Vec<&HduInfo> = match &args.hdu {
        Some(wanted) => vec![find_hdu(&source, wanted)?],
        None => source.hdus().iter().collect(),
    };
    let mut text = String::new();
    if args.hdu.is_none() {
        text.push_str(&render_file(&args.file, &source));
    }
    print(&text)?;
    let mut exit = Exit::Complete;
    for hdu in chosen {
        if table_of(hdu).is_some() {
            let gap = if text.is_empty() { "" } else { "\n" };
            let table = match render_table(&source, hdu, args.counts) {
                Err(error) if args.hdu.is_none() => {
                    exit = Exit::Partial;
                    format!("not readable: {error}\n")
                }
                table => table?,
            };
            print(&format!("{gap}{table}"))?;
            text.push('\n');
        } else if args.hdu.is_some() {
            print(&format!("{}\n", describe(hdu)))?;
        }
    }
    Ok(exit)
}

/// The file and its HDUs.
fn render_file(path: &Path, source: &Source) -> String {
    let hdus = source.hdus();
    let end = hdus.last().map_or(0, |hdu| hdu.data_offset + hdu.data_bytes);
    let mut grid = Grid::new(&["HDU", "name", "content", "data"], &[true, false, false, true]);
    for hdu in hdus {
        let name = hdu.extname.clone().unwrap_or_else(|| "-".to_owned());
        grid.row(vec![hdu.index.to_string(), name, content(hdu), bytes(hdu.data_bytes)]);
    }
    format!("{}  {}, {} HDUs\n\n{}", path.display(), bytes(end), hdus.len(), grid.render())
}

fn describe(hdu: &HduInfo) -> String {
    format!("{}: {}, {}", hdu.label(), content(hdu), bytes(hdu.data_bytes))
}

fn content(hdu: &HduInfo) -> String {
    match &hdu.kind {
        HduKind::Image(image) if image.shape.is_empty() => "no data".to_owned(),
        HduKind::Image(image) => render_image(image),
        HduKind::CompressedImage { image, algorithm, .. } => {
            format!("{}, compressed with {algorithm}", render_image(image))
        }
        HduKind::Table(table) => {
            format!("table, {} rows x {} columns", table.rows, table.columns.len())
        }
        HduKind::Other { xtension } => format!("{xtension}, not read"),
    }
}

fn render_image(image: &ImageInfo) -> String {
    let kind = match image.bitpix {
        -32 => "float32",
        -64 => "float64",
        8 => "uint8",
        16 => "int16",
        32 => "int32",
        _ => "int64",
    };
    let axes: Vec<String> = image.shape.iter().map(u64::to_string).collect();
    format!("image, {kind} {}", axes.join(" x "))
}

/// A table's columns, counted where that is asked for.
fn render_table(source: &Source, hdu: &HduInfo, counts: bool) -> Result<String> {
    // Looking at a file must not fail over what is in it.
    let policy = Policy { text: TextPolicy::Replace, ..Policy::default() };
    let reader = TableReader::new(source, hdu, &TableOptions { policy, ..TableOptions::default() })?;
    let tallies = if counts { Some(count(&reader)?) } else { None };
    let mut names = vec!["column", "format", "type", "unit"];
    if counts {
        names.extend(["null", "NaN", "inf", "min", "max"]);
    }
    names.push("remarks");
    let right: Vec<bool> =
        names.iter().map(|name| ["null", "NaN", "inf", "min", "max"].contains(name)).collect();
    let mut grid = Grid::new(&names, &right);
    for (i, plan) in reader.columns().iter().enumerate() {
        let tally = tallies.as_ref().map(|tallies| &tallies[i]);
        grid.row(render_column(plan, tally));
    }
    let row_bytes = table_of(hdu).map_or(0, |table| table.row_bytes);
    Ok(format!("{}: {}, {row_bytes} bytes per row\n\n{}", hdu.label(), content(hdu), grid.render()))
}

fn render_column(plan: &ColumnPlan, tally: Option<&Tally>) -> Vec<String> {
    let field = plan.field();
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let unit = plan.unit().unwrap_or_default().to_owned();
    let mut cells =
        vec![field.name().clone(), plan.tform().to_owned(), type_name(field.data_type()), or_dash(unit)];
    if let Some(tally) = tally {
        let floats = holds_floats(field.data_type());
        let of_floats = |n: u64| if floats { n.to_string() } else { "-".to_owned() };
        let (least, most) = tally.shown_range();
        cells.extend([tally.nulls.to_string(), of_floats(tally.nans), of_floats(tally.infinities)]);
        cells.extend([or_dash(least), or_dash(most)]);
    }
    cells.push(remarks(plan, tally));
    cells
}

#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has types that no column becomes")]
fn holds_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::FixedSizeList(item, _) => holds_floats(item.data_type()),
        other => matches!(other, DataType::Float32 | DataType::Float64 | DataType::Struct(_)),
    }
}

/// The Arrow type, in a word.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has types that no column becomes")]
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 => "text".to_owned(),
        DataType::Struct(parts) => {
            let part = parts.first().map_or_else(String::new, |part| type_name(part.data_type()));
            format!("complex {part}")
        }
        DataType::FixedSizeList(item, n) => format!("{}[{n}]", type_name(item.data_type())),
        DataType::List(item) => format!("{}[]", type_name(item.data_type())),
        other => other.to_string().to_lowercase(),
    }
}

fn remarks(plan: &ColumnPlan, tally: Option<&Tally>) -> String {
    let mut remarks = Vec::new();
    if let Some(tdim) = plan.field().metadata().get("fits.tdim") {
        remarks.push(format!("TDIM {tdim}"));
    }
    let notes = tally.map(|tally| tally.notes);
    match plan.tnull() {
        Tnull::Absent => {}
        Tnull::Null(value) => remarks.push(format!("TNULL {value}")),
        Tnull::OutsideType => remarks.push("TNULL outside the type, ignored".to_owned()),
        Tnull::Kept(value) => {
            let met = notes.map_or_else(String::new, |notes| format!(", met {} times", notes.tnull_kept));
            remarks.push(format!("TNULL {value} of a masked table, not followed{met}"));
        }
    }
    let counted = [
        (notes.map_or(0, |notes| notes.odd_logicals), "logicals neither T nor F nor 0"),
        (notes.map_or(0, |notes| notes.replaced_text), "strings not UTF-8"),
    ];
    remarks.extend(counted.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    remarks.join("; ")
}

/// Reads every value once.
fn count(reader: &TableReader<'_>) -> Result<Vec<Tally>> {
    let n = reader.columns().len();
    let mut tallies = vec![Tally::default(); n];
    reader.stream(|block| {
        tallies.par_chunks_mut(COLUMNS_PER_TASK).enumerate().try_for_each(|(task, tallies)| {
            let first = task * COLUMNS_PER_TASK;
            let decoded = reader.decode(block, first..first + tallies.len())?;
            tallies.iter_mut().zip(&decoded).for_each(|(tally, decoded)| tally.add(decoded));
            Ok::<(), FitsError>(())
        })
    })?;
    Ok(tallies)
}

/// Bytes, to three digits or so.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| n >= *size) {
        Some((size, unit)) => {
            let (whole, tenth) = (n / size, n % size * 10 / size);
            format!("{whole}.{tenth} {unit}")
        }
        None => format!("{n} B"),
    }
}

/// Text in columns as wide as they need to be.
struct Grid {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Grid {
    fn new(names: &[&str], right: &[bool]) -> Self {
        Self { rows: vec![names.iter().map(|&name| name.to_owned()).collect()], right: right.to_vec() }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn render(&self) -> String {
        let width = |i: usize| self.rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), &right) in row.iter().zip(&widths).zip(&self.right) {
                // Writing to a String cannot fail.
                let _ =
                    if right { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
