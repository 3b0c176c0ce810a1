//! Our rates on a folder of coadds, one thread: reading, combining, the rest frame, and breaks, indices and lines
//! together; JSON on standard output.
//!
//! `spectra_rates FOLDER REPEATS`: the same steps on the same rows as `benches/peers/spectra.py`, for a ratio in one
//! run. The redshift of a file's row r is r / 1000.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use specmill::fits::{CoaddBatch, CoaddFile};
use specmill_benches::bands::Bands;
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_kernels::{ArmSpectra, Backend, Cpu, Grid, KernelError, SpectraBatch};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows per batch, as `run` uses by default.
const BATCH_ROWS: usize = 64;

/// Bytes of FLUX, IVAR and MASK per target over the three arms.
const BYTES_PER_TARGET: f64 = 7958.0 * 12.0;

/// Difference of two rows' redshifts.
const REDSHIFT_STEP: f64 = 1e-3;

fn main() -> Result<()> {
    specmill::memory::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: spectra_rates FOLDER REPEATS")?);
    let repeats: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let files = find_coadds(&folder)?;
    let rest = RestGrid::log10(2400.0, 9800.0, RestGrid::DLOG10)?;
    let bands = (Bands::of_extract(), rest);
    let (dev, mut batch) = (Cpu::new(1)?, CoaddBatch::default());
    let (mut best, mut targets): (Vec<Seconds>, usize) = (Vec::new(), 0);
    for _ in 0..repeats {
        let mut pass = Vec::new();
        targets = 0;
        for path in &files {
            targets += one_file(&dev, path, &bands, &mut batch, &mut pass)?;
        }
        // Each batch at its best pass, as the peers' script does: what the machine can do when left alone.
        best = if best.is_empty() { pass } else { best.iter().zip(&pass).map(|(a, b)| a.least(b)).collect() };
    }
    let rate = |step: fn(&Seconds) -> f64| targets as f64 / best.iter().map(step).sum::<f64>();
    let read = rate(|best| best.read);
    writeln!(
        std::io::stdout(),
        "{{\"targets\": {targets}, \"files\": {}, \"repeats\": {repeats}, \"read_per_s\": {:.0}, \
         \"read_mb_per_s\": {:.0}, \"combine_per_s\": {:.0}, \"rest_frame_per_s\": {:.0}, \"windows_per_s\": {:.0}, \
         \"bands\": {}}}",
        files.len(),
        read,
        read * BYTES_PER_TARGET / 1e6,
        rate(|best| best.combine),
        rate(|best| best.rest_frame),
        rate(|best| best.windows),
        bands.0.count(),
    )?;
    Ok(())
}

/// Seconds of each step.
#[derive(Default)]
struct Seconds {
    read: f64,
    combine: f64,
    rest_frame: f64,
    windows: f64,
}

impl Seconds {
    fn least(&self, other: &Self) -> Self {
        Self {
            read: self.read.min(other.read),
            combine: self.combine.min(other.combine),
            rest_frame: self.rest_frame.min(other.rest_frame),
            windows: self.windows.min(other.windows),
        }
    }
}

/// Runs every step over a file once: seconds of each batch, opening the file by itself; gives the targets.
fn one_file(
    dev: &Cpu,
    path: &Path,
    tables: &(Bands, RestGrid),
    batch: &mut CoaddBatch,
    pass: &mut Vec<Seconds>,
) -> Result<usize> {
    let start = Instant::now();
    let mut coadd = CoaddFile::open(path)?;
    pass.push(Seconds { read: start.elapsed().as_secs_f64(), ..Seconds::default() });
    for first in (0..coadd.n_rows()).step_by(BATCH_ROWS) {
        let mut seconds = Seconds::default();
        let rows = first..coadd.n_rows().min(first + BATCH_ROWS);
        let start = Instant::now();
        coadd.read_rows(rows, batch)?;
        seconds.read = start.elapsed().as_secs_f64();
        let n = batch.rows.len();
        let arms = ArmSpectra::upload(dev, &batch.arms, &vec![0; n])?;
        let observed;
        (seconds.combine, observed) = at_hand(|| dev.combine_arms(&arms, &Grid::DESI, MaskRule::Masked))?;
        assert_eq!(observed.n_spectra, n, "every row is combined");
        let rows: Vec<(usize, f64)> = (0..n).map(|s| (s, REDSHIFT_STEP * (first + s) as f64)).collect();
        measure(dev, &observed, &rows, tables, &mut seconds)?;
        pass.push(seconds);
    }
    Ok(coadd.n_rows())
}

/// Seconds of some work, and what it gave, done once before, so that its input lies in the caches as the peers' does.
fn at_hand<T>(work: impl Fn() -> std::result::Result<T, KernelError>) -> Result<(f64, T)> {
    drop(work()?);
    let start = Instant::now();
    let done = work()?;
    Ok((start.elapsed().as_secs_f64(), done))
}

/// The rest frame of some spectra, and their breaks, indices and lines.
fn measure(
    dev: &Cpu,
    observed: &SpectraBatch<Cpu>,
    rows: &[(usize, f64)],
    tables: &(Bands, RestGrid),
    seconds: &mut Seconds,
) -> Result<()> {
    let (bands, rest_grid) = tables;
    let rest;
    (seconds.rest_frame, rest) = at_hand(|| dev.to_rest_frame(observed, &Grid::DESI, rows, rest_grid))?;
    assert!(rest.ivar_sp.iter().any(|ivar| *ivar > 0.0), "spectra fall on the rest-frame grid");
    let (breaks, indices, lines);
    (seconds.windows, (breaks, indices, lines)) = at_hand(|| {
        let breaks = dev.measure_breaks(observed, &Grid::DESI, rows, &bands.breaks)?;
        let indices = dev.measure_indices(observed, &Grid::DESI, rows, &bands.indices)?;
        Ok((breaks, indices, dev.measure_lines(observed, &Grid::DESI, rows, &bands.lines)?))
    })?;
    let measured = [breaks.plain_si.as_slice(), &indices.value_si, &lines.flux_sl];
    let each_has_values = measured.iter().all(|values| values.iter().any(|value| *value != 0.0));
    assert!(each_has_values, "breaks, indices and lines are measured");
    Ok(())
}

fn find_coadds(folder: &Path) -> Result<Vec<PathBuf>> {
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
