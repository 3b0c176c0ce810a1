//! What `extract` reads from disk: FLUX, IVAR and MASK of the arms, tables and headers, and not the RESOLUTION.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use specmill_simulate::{Resolution, SimulateConfig, Truth, simulate};
use tempfile::TempDir;

use crate::run_folder::{RunFolder, files_below};

/// Bytes of a FITS block.
const BLOCK: usize = 2880;
/// Of each coadd, read beside what is needed: cfitsio's buffers at the ends of HDUs, and headers a second time.
const ROUNDING: u64 = 512 << 10;
/// Of each run: libraries, the run file, the inventory.
const FIXED: u64 = 1 << 20;

#[test]
fn extract_reads_no_more_than_it_needs() {
    let release = TempDir::new().unwrap();
    let config = SimulateConfig {
        targets_per_unit: 80,
        resolution: Resolution::Sparse,
        truth: Truth::None,
        threads: Some(2),
        ..SimulateConfig::new(release.path(), 160)
    };
    simulate(&config).unwrap();
    let mut run = RunFolder::over(release.path());
    run.set("input.digest", "\"none\"");
    let inventory = run.call(&["run", "--stage", "inventory"]);
    assert_eq!(inventory.code, 0, "{}", inventory.stderr);
    let Some(read) = bytes_asked_for(&run) else {
        return;
    };
    let files = |prefix: &str| -> Vec<Needed> {
        let is_one = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
        files_below(release.path()).iter().filter(|path| is_one(path)).map(|path| Needed::of(path)).collect()
    };
    let (coadds, redshifts) = (files("coadd-"), files("redrock-"));
    let needed: u64 = coadds.iter().chain(&redshifts).map(|file| file.bytes).sum();
    let resolution: u64 = coadds.iter().map(|file| file.resolution).sum();
    let allowed = needed + FIXED + ROUNDING * coadds.len() as u64;
    assert!(
        resolution > 2 * needed,
        "the files are as lopsided as genuine ones: {resolution} and {needed} bytes"
    );
    assert!(read > needed / 2, "the system counts what is read: {read} of {needed} bytes");
    assert!(read <= allowed, "{read} bytes were read, {needed} are needed and {allowed} allowed");
}

/// Bytes that `extract` asked the system to read; `None`, after saying so, where the system keeps no account.
fn bytes_asked_for(run: &RunFolder) -> Option<u64> {
    let mut child = run
        .command(&["run", "--stage", "extract"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let folder = format!("/proc/{}", child.id());
    // Opened while it runs: the account of a program that ended is its owner's to read only through this.
    let account = fs_err::File::open(format!("{folder}/io"));
    let ended = loop {
        let stat = fs_err::read_to_string(format!("{folder}/stat")).unwrap_or_default();
        // The state follows the name, which stands in parentheses.
        match stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z')) {
            Some(true) => break true,
            Some(false) => std::thread::sleep(Duration::from_millis(5)),
            None => break false,
        }
    };
    let mut said = String::new();
    if let Ok(mut account) = account
        && ended
        && account.rewind().is_ok()
    {
        // What cannot be read leaves nothing said.
        let _ = account.read_to_string(&mut said);
    }
    assert!(child.wait().unwrap().success(), "extract succeeds");
    let read = said.lines().find_map(|line| line.strip_prefix("rchar: ")).map(|count| count.parse().unwrap());
    if read.is_none() {
        announce_skip(&folder);
    }
    read
}

#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
fn announce_skip(folder: &str) {
    println!("SKIPPED: the system keeps no account of what a program reads ({folder}/io)");
}

/// Sizes within a file.
#[derive(Default)]
struct Needed {
    /// Headers, tables and the arms' images but for the RESOLUTION.
    bytes: u64,
    resolution: u64,
}

impl Needed {
    /// From the headers alone, card by card.
    fn of(path: &Path) -> Self {
        let file = fs_err::read(path).unwrap();
        let (mut needed, mut at) = (Self::default(), 0);
        while at < file.len() {
            let part = Part::at(&file[at..]);
            needed.bytes += part.header as u64;
            if part.is_resolution {
                needed.resolution += part.data as u64;
            } else {
                needed.bytes += part.data as u64;
            }
            at += part.header + part.data;
        }
        needed
    }
}

/// A header and what follows it, in bytes.
struct Part {
    header: usize,
    data: usize,
    is_resolution: bool,
}

impl Part {
    fn at(file: &[u8]) -> Self {
        let text = |card| std::str::from_utf8(card).expect("headers are ASCII");
        let cards: Vec<&str> =
            file.chunks(80).map(text).take_while(|card| card.trim_end() != "END").collect();
        let value = |key: &str| {
            let (_, rest) =
                cards.iter().filter_map(|card| card.split_once('=')).find(|(k, _)| k.trim_end() == key)?;
            rest.split('/').next().map(|value| value.trim().trim_matches('\'').trim_end())
        };
        let number = |key: &str| value(key).map_or(0, |text| text.parse::<usize>().unwrap());
        let bits: usize = value("BITPIX").unwrap().trim_start_matches('-').parse().unwrap();
        let axes = number("NAXIS");
        let elements: usize = (1..=axes).map(|axis| number(&format!("NAXIS{axis}"))).product();
        let data = if axes == 0 { 0 } else { bits / 8 * (elements + number("PCOUNT")) };
        Self {
            header: ((cards.len() + 1) * 80).next_multiple_of(BLOCK),
            data: data.next_multiple_of(BLOCK),
            is_resolution: value("EXTNAME").is_some_and(|name| name.ends_with("_RESOLUTION")),
        }
    }
}
