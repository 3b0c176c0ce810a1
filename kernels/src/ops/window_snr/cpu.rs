//! The CPU twin.

use rayon::prelude::*;

use super::{WindowSnr, check, pixels};
use crate::band::{Frame, Row, flag, median, rounded};
use crate::{Band, Cpu, Grid, KernelError, SpectraBatch};

/// See the module's head.
pub(crate) fn median_snr_windows(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    windows: &[Band],
) -> Result<WindowSnr<Cpu>, KernelError> {
    check(observed, [observed.flux_sp.len(), observed.ivar_sp.len()], grid, rows, windows)?;
    let mut values_si = vec![(0.0, 0); rows.len() * windows.len()];
    if !values_si.is_empty() {
        cpu.pool().install(|| {
            values_si.par_chunks_mut(windows.len()).zip(rows).for_each_init(
                Vec::new,
                |snr_p, (values_i, &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                    for (value, &window) in values_i.iter_mut().zip(windows) {
                        *value = measure(&row, &Frame { grid, z }, window, snr_p);
                    }
                },
            );
        });
    }
    Ok(WindowSnr {
        snr_si: values_si.iter().map(|&(snr, _)| snr).collect(),
        flag_si: values_si.iter().map(|&(_, flag)| flag).collect(),
    })
}

/// One window of one spectrum; `snr_p` is scratch.
fn measure(row: &Row, frame: &Frame, window: Band, snr_p: &mut Vec<f64>) -> (f32, u8) {
    let Some(pixels) = pixels(frame, window) else {
        return (0.0, flag::OUT_OF_RANGE);
    };
    let (n, mut good) = (pixels.len(), 0);
    let root_aa = frame.grid.step_aa.sqrt();
    snr_p.clear();
    for p in pixels {
        snr_p.push(row.good(p).map_or(0.0, |(flux, ivar)| {
            good += 1;
            flux * ivar.sqrt() / root_aa
        }));
    }
    if good == 0 || 2 * good < n {
        return (0.0, flag::COVERAGE);
    }
    let snr = rounded(median(snr_p));
    if snr.is_finite() { (snr, 0) } else { (0.0, flag::DEGENERATE) }
}
