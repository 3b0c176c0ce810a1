//! Value-added catalogues of the simulated targets: whatever is declared, in the layout that the declaration reads.
//!
//! Keys, positions and redshifts are those of the targets; zones exist where galaxies name them and groups have
//! their members; every other value is a plausible number of its unit, with what stands for nothing sprinkled in.
//! Rows are made and written a few thousand at a time, and beside the files stands what must be found in them.

mod cells;
mod chance;
mod files;
mod host;
mod layout;
mod recipe;
mod rows;
mod truth;

use std::path::PathBuf;

use rayon::prelude::*;

use crate::config::{Release, SimulateConfig};
use crate::draw::fnv1a;
use crate::error::SimulateError;
use crate::fits::{FitsFile, Hdu, TextFile};
use crate::plan::Unit;
use cells::{Cell, Row, encode};
use chance::mix;
use files::CatalogFile;
use layout::{Cells, Layout, heap_elements};
use rows::Slot;
use truth::Tally;

pub(crate) use host::Host;

/// Rows that one task makes.
const CHUNK_ROWS: usize = 512;
/// Chunks held at once.
const CHUNKS_AT_ONCE: usize = 16;

/// The targets of a release, and where they come from.
#[derive(Clone, Copy)]
struct Sky<'a> {
    seed: u64,
    units: &'a [Unit],
    hosts: &'a [Host],
}

/// Writes the declared catalogues of a release; gives the files with their lengths.
pub(crate) fn write(
    cfg: &SimulateConfig,
    release: Release,
    units: &[Unit],
    hosts: &[Host],
) -> Result<Vec<(PathBuf, u64)>, SimulateError> {
    let mut done = Vec::new();
    let mut truth = TextFile::create(&cfg.out.join(format!("truth/catalogs-{}.csv", release.specprod())))?;
    truth.append(truth::HEADER)?;
    let sky = Sky { seed: cfg.seed, units, hosts };
    for catalog in &cfg.catalogs {
        for file in files::files(catalog, release, sky) {
            let (bytes, found) = write_file(cfg, sky, &file)?;
            truth.append(&found)?;
            done.push((cfg.out.join(&file.path), bytes));
        }
    }
    done.push(truth.finish()?);
    Ok(done)
}

/// Writes a file; gives its length and its lines of the truth.
fn write_file(
    cfg: &SimulateConfig,
    sky: Sky<'_>,
    file: &CatalogFile<'_>,
) -> Result<(u64, String), SimulateError> {
    let mut hdus = vec![Hdu::primary(&file.cards())];
    let tables: Vec<(Layout, Vec<Slot>)> = file.tables(sky)?;
    hdus.extend(tables.iter().map(|(layout, slots)| layout.hdu(slots.len() as u64)));
    let mut out = FitsFile::create(&cfg.out.join(&file.path), &hdus)?;
    let mut truth = String::new();
    let label = format!("{},{},{}", file.catalog.name, file.release.name, file.path);
    for (i, (layout, slots)) in tables.iter().enumerate() {
        let tallies = write_table(&mut out, i + 1, layout, slots, sky)?;
        truth.push_str(&truth::render(&label, layout, slots.len() as u64, &tallies));
    }
    Ok((out.finish()?, truth))
}

/// Some rows as bytes.
struct Chunk {
    rows: Vec<u8>,
    /// One part of the heap for each column that has one.
    heaps: Vec<Vec<u8>>,
    tallies: Vec<Tally>,
}

/// Writes the rows of a table, a few chunks at a time.
fn write_table(
    out: &mut FitsFile,
    hdu: usize,
    layout: &Layout,
    slots: &[Slot],
    sky: Sky<'_>,
) -> Result<Vec<Tally>, SimulateError> {
    let (total, width) = (slots.len() as u64, layout.row_bytes());
    let bases = heap_bases(layout, total);
    let mut tallies = vec![Tally::default(); layout.declared.len()];
    let mut first = 0_u64;
    for group in slots.chunks(CHUNK_ROWS * CHUNKS_AT_ONCE) {
        let chunks: Vec<Chunk> = group
            .par_chunks(CHUNK_ROWS)
            .enumerate()
            .map(|(i, slots)| chunk(layout, first + (i * CHUNK_ROWS) as u64, slots, &bases, sky))
            .collect();
        for (chunk, slots) in chunks.iter().zip(group.chunks(CHUNK_ROWS)) {
            out.write_at(hdu, first * width, &chunk.rows)?;
            for ((heap, base), column) in chunk.heaps.iter().zip(&bases).zip(layout.heap_columns()) {
                let at = total * width + base + heap_elements(first) * column.element_bytes();
                out.write_at(hdu, at, heap)?;
            }
            // In the order of the rows, so that sums do not depend on the threads.
            tallies.iter_mut().zip(&chunk.tallies).for_each(|(sum, part)| sum.add(part));
            first += slots.len() as u64;
        }
    }
    Ok(tallies)
}

/// Where in the heap the cells of each of its columns begin.
fn heap_bases(layout: &Layout, rows: u64) -> Vec<u64> {
    let mut at = 0;
    let base = |column: &layout::FileColumn| {
        let base = at;
        at += heap_elements(rows) * column.element_bytes();
        base
    };
    layout.heap_columns().map(base).collect()
}

fn chunk(layout: &Layout, first: u64, slots: &[Slot], bases: &[u64], sky: Sky<'_>) -> Chunk {
    let width = usize::try_from(layout.row_bytes()).unwrap_or(0);
    let mut chunk = Chunk {
        rows: Vec::with_capacity(slots.len() * width),
        heaps: vec![Vec::new(); bases.len()],
        tallies: vec![Tally::default(); layout.declared.len()],
    };
    let table = mix(sky.seed, fnv1a(&layout.extname));
    let mut cells: Vec<Cell> = Vec::with_capacity(layout.columns.len());
    for (number, slot) in (first..).zip(slots) {
        let host = slot.host.and_then(|index| sky.hosts.get(index as usize));
        let near = slot.host.map_or(table, |index| mix(sky.seed, u64::from(index)));
        let unit = host.and_then(|host| sky.units.get(host.unit));
        let row = Row { number, slot: *slot, host, unit, key: mix(near, u64::from(slot.ordinal)) };
        row.cells(layout, &mut cells);
        truth::tally(layout, &cells, &mut chunk.tallies);
        let mut heap = 0;
        for (column, cell) in layout.columns.iter().zip(&cells) {
            if column.cells == Cells::Heap {
                let at = bases[heap] + heap_elements(number) * column.element_bytes();
                chunk.rows.extend((number % 4).to_be_bytes());
                chunk.rows.extend(at.to_be_bytes());
                encode(column, cell, &mut chunk.heaps[heap]);
                heap += 1;
            } else {
                encode(column, cell, &mut chunk.rows);
            }
        }
    }
    chunk
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use specmill_schemas::catalogs::{Catalog, catalogs};

    use super::*;
    use crate::config::Grouping;
    use crate::simulate::simulate;

    fn config(out: &Path, catalogs: Vec<Catalog>) -> SimulateConfig {
        SimulateConfig {
            releases: Release::ALL.to_vec(),
            targets_per_unit: 20,
            grouping: Grouping::Both,
            repeat_fraction: 0.2,
            spectra: false,
            catalogs,
            ..SimulateConfig::new(out, 240)
        }
    }

    /// A table with a column of every kind and every rule.
    fn odd_catalog() -> Catalog {
        let text = r#"
            title = "A table of everything."
            reference = "none"
            files = ["odd-{survey}.fits"]
            [[release]]
            name = "v1"
            column = ["MARK"]
            keyword = { MADEBY = "odd" }
            [[table]]
            name = "odd"
            description = "One row per target."
            hdu = "ODD"
            key = ["targetid", "survey", "program", "healpix"]
            columns = [
                { fits = "TARGETID", type = "int64", required = true, description = "target" },
                { fits = "FLUX", type = "float32", null_where_zero = "FLUX_IVAR", multiply = 2.0, description = "f" },
                { fits = "FLUX_IVAR", type = "float32", description = "weight" },
                { fits = "COUNT", type = "int16", null = [-1], description = "c" },
                { fits = "PAIR", type = "float64[2]", null = [-5], description = "p" },
                { fits = "LIST", type = "int32[]", description = "l" },
                { fits = "WORD", type = "text", null = ["none"], description = "w" },
                { fits = "FLAG", type = "bool", description = "b" },
                { name = "survey", type = "text", or_name = "survey", required = true, description = "s" },
                { fits = "PROGRAM", type = "text", required = true, description = "s" },
                { fits = "HEALPIX", type = "int32", required = true, description = "s" },
                { name = "ls", type = "int64", legacy_id = ["RELEASE", "BRICKID", "OBJID"], description = "packed" },
            ]
        "#;
        Catalog::parse("odd", text).unwrap()
    }

    /// The lines of the truth about one column: file to (rows, nulls, sum).
    fn truth(folder: &Path, specprod: &str, column: &str) -> BTreeMap<String, (usize, usize, f64)> {
        let text = fs_err::read_to_string(folder.join(format!("truth/catalogs-{specprod}.csv"))).unwrap();
        let fields = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        fields
            .filter(|fields| fields[5] == column)
            .map(|fields| {
                let number = |i: usize| fields[i].parse().unwrap();
                (fields[2].to_owned(), (number(6), number(7), fields[8].parse().unwrap()))
            })
            .collect()
    }

    /// The header of the last table of a file, and its data.
    fn last_table(path: &Path) -> (String, Vec<u8>) {
        let bytes = fs_err::read(path).unwrap();
        let card = |at: usize| &bytes[80 * at..80 * at + 80];
        let starts = (0..bytes.len() / 80).rfind(|&at| card(at).starts_with(b"XTENSION")).unwrap();
        let end = (starts..bytes.len() / 80).find(|&at| card(at).starts_with(b"END   ")).unwrap();
        let header = String::from_utf8(bytes[80 * starts..80 * end].to_vec()).unwrap();
        (header, bytes[(80 * (end + 1)).next_multiple_of(2880)..].to_vec())
    }

    fn card(header: &str, keyword: &str) -> String {
        let at = header.find(&format!("{keyword:<8}= ")).unwrap();
        header[at + 10..at + 80].replace('\'', "").trim().to_owned()
    }

    #[test]
    fn the_truth_is_what_the_bytes_say() {
        let folder = tempfile::tempdir().unwrap();
        let many = SimulateConfig { n_targets: 1200, ..config(folder.path(), vec![odd_catalog()]) };
        simulate(&many).unwrap();
        let (mut some_null, mut files) = (0, 0);
        let (flux, count) = (truth(folder.path(), "iron", "flux"), truth(folder.path(), "iron", "count"));
        for (file, (rows, nulls, sum)) in &flux {
            let (header, data) = last_table(&folder.path().join(file));
            let width: usize = card(&header, "NAXIS1").parse().unwrap();
            assert_eq!(card(&header, "NAXIS2"), rows.to_string());
            // TARGETID is 8 bytes, FLUX and FLUX_IVAR 4 each, COUNT 2.
            let float = |row: &[u8], at: usize| f32::from_be_bytes(row[at..at + 4].try_into().unwrap());
            let rows = || data.chunks(width).take(*rows);
            let null = |row: &&[u8]| !float(row, 8).is_finite() || float(row, 12) == 0.0;
            assert_eq!(rows().filter(null).count(), *nulls);
            let expected: f64 =
                rows().filter(|row| !null(row)).map(|row| f64::from(2.0 * float(row, 8))).sum();
            // Added up in the same order: chunks of rows are longer than these files.
            assert_eq!(sum.to_bits(), expected.to_bits());
            let minus_one = rows().filter(|row| row[16..18] == (-1_i16).to_be_bytes()).count();
            assert_eq!(minus_one, count[file].1);
            some_null += usize::from(*nulls > 0 && minus_one > 0);
            files += 1;
        }
        assert!(files > 0 && some_null == files, "{some_null} of {files}");
    }

    #[test]
    fn cells_in_the_heap_lie_behind_one_another_and_behind_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        simulate(&config(folder.path(), vec![odd_catalog()])).unwrap();
        let lists = truth(folder.path(), "iron", "list");
        for (file, (rows, _, sum)) in &lists {
            let (header, data) = last_table(&folder.path().join(file));
            let number = |keyword: &str| card(&header, keyword).parse::<usize>().unwrap();
            let (width, heap) = (number("NAXIS1"), &data[number("NAXIS1") * rows..]);
            // Behind TARGETID, FLUX, FLUX_IVAR, COUNT and PAIR.
            let at = 8 + 4 + 4 + 2 + 16;
            let (mut end, mut total) = (0, 0.0);
            for row in data.chunks(width).take(*rows) {
                let descriptor = |i: usize| {
                    usize::try_from(u64::from_be_bytes(row[at + 8 * i..at + 8 * i + 8].try_into().unwrap()))
                        .unwrap()
                };
                assert_eq!(descriptor(1), end);
                end += 4 * descriptor(0);
                let cells = heap[descriptor(1)..end].chunks(4);
                total +=
                    cells.map(|cell| f64::from(i32::from_be_bytes(cell.try_into().unwrap()))).sum::<f64>();
            }
            assert_eq!((end, total), (number("PCOUNT"), *sum));
        }
    }

    #[test]
    fn one_thread_and_three_threads_write_the_same_catalogues() {
        let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let with = |out: &Path, threads| SimulateConfig { threads: Some(threads), ..config(out, catalogs()) };
        let first = simulate(&with(one.path(), 1)).unwrap();
        let second = simulate(&with(three.path(), 3)).unwrap();
        assert_eq!(first.bytes, second.bytes);
        for (a, b) in first.files.iter().zip(&second.files) {
            assert_eq!(a.strip_prefix(one.path()).unwrap(), b.strip_prefix(three.path()).unwrap());
            assert!(fs_err::read(a).unwrap() == fs_err::read(b).unwrap(), "{}", a.display());
        }
    }

    #[test]
    fn catalogues_change_no_byte_of_the_other_files() {
        let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let small = |out: &Path, catalogs| SimulateConfig {
            spectra: true,
            n_targets: 24,
            targets_per_unit: 4,
            ..config(out, catalogs)
        };
        let plain = simulate(&small(without.path(), Vec::new())).unwrap();
        let more = simulate(&small(with.path(), vec![odd_catalog()])).unwrap();
        assert!(more.files.len() > plain.files.len());
        for path in &plain.files {
            let other = with.path().join(path.strip_prefix(without.path()).unwrap());
            assert!(fs_err::read(path).unwrap() == fs_err::read(other).unwrap(), "{}", path.display());
        }
    }

    #[test]
    fn every_declaration_that_comes_along_gets_its_files() {
        let folder = tempfile::tempdir().unwrap();
        simulate(&config(folder.path(), catalogs())).unwrap();
        let found: String = ["fuji", "iron", "loa"]
            .iter()
            .map(|specprod| {
                fs_err::read_to_string(folder.path().join(format!("truth/catalogs-{specprod}.csv"))).unwrap()
            })
            .collect();
        for catalog in catalogs() {
            let rows = found.lines().filter(|line| line.starts_with(&format!("{},", catalog.name))).count();
            assert!(rows > 0, "{} has no file", catalog.name);
        }
    }
}
