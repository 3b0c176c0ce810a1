//! Our rates of reading and of combining, one thread, on a folder of coadds; JSON on standard output.
//!
//! `read_combine FOLDER REPEATS`: the same steps as `benches/peers/read_combine.py`, for a ratio in one run.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use specmill::fits::{CoaddBatch, CoaddFile};
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::{ArmSpectra, Backend, Cpu, Grid};

/// Rows per batch, as `run` uses by default.
const BATCH_ROWS: usize = 64;

/// Bytes of FLUX, IVAR and MASK per target over the three arms.
const BYTES_PER_TARGET: f64 = 7958.0 * 12.0;

fn main() -> Result<(), Box<dyn Error>> {
    specmill::memory::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: read_combine FOLDER REPEATS")?);
    let repeats: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let files = find_coadds(&folder)?;
    let (mut read, mut combine) = (Vec::new(), Vec::new());
    let mut targets = 0;
    for _ in 0..repeats {
        let (read_seconds, combine_seconds, count) = one_pass(&files)?;
        read.push(read_seconds);
        combine.push(combine_seconds);
        targets = count;
    }
    // The best pass, as the peers' script reports: what the machine can do when left alone.
    let rate = |seconds: &[f64]| targets as f64 / seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let (read, combine) = (rate(&read), rate(&combine));
    writeln!(
        std::io::stdout(),
        "{{\"targets\": {targets}, \"files\": {}, \"repeats\": {repeats}, \"read_per_s\": {read:.0}, \
         \"read_mb_per_s\": {:.0}, \"combine_per_s\": {combine:.0}}}",
        files.len(),
        read * BYTES_PER_TARGET / 1e6,
    )?;
    Ok(())
}

/// Reads and combines everything once: seconds reading, seconds combining, targets.
fn one_pass(files: &[PathBuf]) -> Result<(f64, f64, usize), Box<dyn Error>> {
    let dev = Cpu::new(1)?;
    let (mut read_seconds, mut combine_seconds, mut targets) = (0.0, 0.0, 0);
    let mut batch = CoaddBatch::default();
    for file in files {
        let start = Instant::now();
        let mut coadd = CoaddFile::open(file)?;
        read_seconds += start.elapsed().as_secs_f64();
        for first in (0..coadd.n_rows()).step_by(BATCH_ROWS) {
            let rows = first..coadd.n_rows().min(first + BATCH_ROWS);
            let start = Instant::now();
            coadd.read_rows(rows, &mut batch)?;
            read_seconds += start.elapsed().as_secs_f64();
            let n = batch.rows.len();
            let arms = ArmSpectra::upload(&dev, &batch.arms, &vec![0; n])?;
            let start = Instant::now();
            let combined = dev.combine_arms(&arms, &Grid::DESI, MaskRule::Masked)?;
            combine_seconds += start.elapsed().as_secs_f64();
            assert_eq!(combined.n_spectra, n, "every row is combined");
            targets += n;
        }
    }
    Ok((read_seconds, combine_seconds, targets))
}

fn find_coadds(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(specmill_benches::coadds(&found))
}
