//! Damaged tables: no panic, and no more memory than the file can ask for.

use std::path::Path;
use std::time::{Duration, Instant};

use specmill::fits::bintable::{Policy, TableOptions, TextPolicy};

use crate::fits::fuzz::{Stream, damage, variable};

use super::read;

/// Longer than usual: a number of seconds.
const SECONDS_VARIABLE: &str = "SPECMILL_FUZZ_SECONDS";
const USUAL_FILES: u64 = 1500;
/// Arrow bytes that a byte of the file may become: a byte × TSCAL is a double (8), and cells may
/// share the heap (16); offsets and rounding of small arrays are less than as much again.
const GROWTH: usize = 2 * 8 * 16;
const SMALL: usize = 1 << 20;

/// Reads a table in every way; gives the Arrow bytes, where it was read.
fn read_all_ways(bytes: &[u8]) -> Option<usize> {
    let replace = Policy { text: TextPolicy::Replace, ..Policy::default() };
    let options = [TableOptions::default(), TableOptions { policy: replace, ..TableOptions::default() }];
    options
        .iter()
        .filter_map(|options| read(bytes, options).ok())
        .map(|whole| whole.batch.get_array_memory_size())
        .max()
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog/corpus");
    let mut paths: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs_err::read(path).unwrap()).collect()
}

#[test]
fn no_damaged_table_panics_or_grows_without_bound() {
    let seeds = seeds();
    let end = variable(SECONDS_VARIABLE)
        .map(|seconds| Instant::now() + Duration::from_secs(seconds.parse().unwrap()));
    let (mut files, mut read) = (0_u64, 0_u64);
    while end.map_or(files < USUAL_FILES, |end| Instant::now() < end) {
        let mut stream = Stream(0x5eed_0000_0000 + files);
        let seed = &seeds[stream.below(seeds.len())];
        let bytes = damage(seed, &mut stream);
        let outcome = std::panic::catch_unwind(|| read_all_ways(&bytes));
        let Ok(arrow) = outcome else { panic!("file {files} of the stream") };
        if let Some(arrow) = arrow {
            read += 1;
            assert!(arrow <= SMALL + GROWTH * bytes.len(), "file {files}: {arrow} bytes of {}", bytes.len());
        }
        files += 1;
    }
    // Both kinds must occur for this to be a test: tables that are read in spite of the damage, and refused ones.
    assert!(read * 20 > files && read * 20 < files * 19, "{read} of {files} were read");
    say(&format!("{read} of {files} damaged tables were read"));
}

#[expect(clippy::print_stdout, reason = "how much was tried is the result of a long run")]
fn say(text: &str) {
    println!("{text}");
}
