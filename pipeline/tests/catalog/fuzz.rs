//! Damaged files: no panic, and no more memory than the file can ask for, from headers and from tables.

use std::path::Path;

use specmill::fits::Source;
use specmill::fits::bintable::{Policy, TableOptions, TextPolicy};
use specmill::fits::prescan::{HduInfo, HduKind, ScanLimits, scan};

use crate::fits::files::scanned;
use crate::fits::fuzz::{Stream, check_promises, damage, damage_values, intact_files, peak_kib, variable};

use super::read_hdu;

/// Longer than usual: a number of seconds of processor time.
const SECONDS_VARIABLE: &str = "SPECMILL_FUZZ_SECONDS";
const USUAL_FILES: u64 = 1500;
/// Arrow bytes that a byte of the file may become: a byte × TSCAL is a double (8), and cells may
/// share the heap (16); offsets and rounding of small arrays are less than as much again.
const GROWTH: usize = 2 * 8 * 16;
const SMALL: usize = 1 << 20;
/// Memory of the process in a long run: the largest file × [`GROWTH`] is far below it.
const PEAK_LIMIT_KIB: u64 = 512 << 10;

/// What became of the files so far.
#[derive(Debug, Default)]
struct Tried {
    files: u64,
    /// Files whose headers were accepted.
    scanned: u64,
    tables: u64,
    read: u64,
    /// Of the corpus alone, where a file is one table.
    corpus: u64,
    corpus_read: u64,
}

/// Processor time of this thread, in seconds.
fn processor_s() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes a timespec, and the pointer is to one that outlives it.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Reads a table in every way; gives the Arrow bytes, where it was read.
fn read_all_ways(source: &Source, hdu: &HduInfo) -> Option<usize> {
    let replace = Policy { text: TextPolicy::Replace, ..Policy::default() };
    let options = [TableOptions::default(), TableOptions { policy: replace, ..TableOptions::default() }];
    options
        .iter()
        .filter_map(|options| read_hdu(source, hdu, options).ok())
        .map(|whole| whole.batch.get_array_memory_size())
        .max()
}

/// The scan of the headers, and every table that it lets pass: how many, how many of them were read, the Arrow bytes.
fn read_file(bytes: &[u8]) -> Option<(u64, u64, usize)> {
    let mut found = (0, 0, 0);
    // As bytes first: what it promises of them must hold, and it must say the same of the file.
    let in_memory = scan(bytes, &ScanLimits::default());
    if let Ok(hdus) = &in_memory {
        check_promises(hdus, bytes.len() as u64);
        for hdu in hdus {
            let cards = hdu.header.cards().iter();
            cards.for_each(|card| assert!(hdu.header.get(&card.keyword).is_some()));
        }
    }
    let (_file, source) = scanned(bytes);
    let plain = !bytes.starts_with(b"\x1f\x8b");
    assert!(!plain || source.is_ok() == in_memory.is_ok());
    let source = source.ok()?;
    for hdu in source.hdus() {
        if let HduKind::Table(_) | HduKind::CompressedImage { .. } = hdu.kind {
            let arrow = read_all_ways(&source, hdu);
            found = (found.0 + 1, found.1 + u64::from(arrow.is_some()), found.2 + arrow.unwrap_or(0));
        }
    }
    Some(found)
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog/corpus");
    let mut paths: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs_err::read(path).unwrap()).collect()
}

impl Tried {
    /// One file of the stream; `corpus` where its seed is a single table.
    fn file(&mut self, bytes: &[u8], corpus: bool) {
        let number = self.files;
        let outcome = std::panic::catch_unwind(|| read_file(bytes));
        let Ok(found) = outcome else { panic!("file {number} of the stream") };
        let (tables, read, arrow) = found.unwrap_or_default();
        let limit = SMALL + GROWTH * bytes.len();
        assert!(arrow <= limit || !corpus, "file {number}: {arrow} bytes of {}", bytes.len());
        self.files += 1;
        self.scanned += u64::from(found.is_some());
        self.tables += tables;
        self.read += read;
        self.corpus += u64::from(corpus);
        self.corpus_read += u64::from(corpus && read > 0);
    }
}

#[test]
fn no_damaged_table_panics_or_grows_without_bound() {
    let (tables, coadds) = (seeds(), intact_files());
    let start = processor_s();
    let limit = variable(SECONDS_VARIABLE).map(|seconds| seconds.parse::<f64>().unwrap());
    let mut tried = Tried::default();
    while limit.map_or(tried.files < USUAL_FILES, |limit| processor_s() - start < limit) {
        let mut stream = Stream(0x5eed_0000_0000 + tried.files);
        // Every eighth has the headers and tables of a coadd or a redrock file.
        let corpus = tried.files % 8 != 7;
        let seeds = if corpus { &tables } else { &coadds };
        let seed = &seeds[stream.below(seeds.len())];
        // Every other file keeps its structure, so that its values are reached.
        let damage = if tried.files % 2 == 0 { damage_values } else { damage };
        tried.file(&damage(seed, &mut stream), corpus);
    }
    // Both kinds must occur for this to be a test: tables that are read in spite of the damage, and refused ones.
    let (read, all) = (tried.corpus_read, tried.corpus);
    assert!(read * 20 > all && read * 20 < all * 19, "{read} of {all} were read");
    let (seconds, peak) = (processor_s() - start, peak_kib());
    assert!(limit.is_none() || peak <= PEAK_LIMIT_KIB, "peak memory {peak} KiB");
    say(&format!(
        "{tried:?} in {seconds:.0} s of processor time; peak memory {peak} KiB, other tests included"
    ));
}

#[expect(clippy::print_stdout, reason = "how much was tried is the result of a long run")]
fn say(text: &str) {
    println!("{text}");
}
