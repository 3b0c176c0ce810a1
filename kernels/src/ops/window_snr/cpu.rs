//! The CPU twin.

use rayon::prelude::*;

use super::WindowSnr;
use crate::band::{Frame, Row, Span, check_bands, check_rows, clamp_to_pixel, flag, median, rounded};
use crate::{Band, Cpu, Grid, KernelError, SpectraBatch};

/// See the module's head.
pub(crate) fn median_snr_windows(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    windows: &[Band],
) -> Result<WindowSnr<Cpu>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_rows("median_snr_windows", (observed.n_spectra, observed.n_pixels), lengths, grid, rows)?;
    check_bands("median_snr_windows", windows.iter().copied())?;

    let mut values_si = vec![(0.0, 0); rows.len() * windows.len()];
    if !values_si.is_empty() {
        cpu.pool().install(|| {
            values_si.par_chunks_mut(windows.len()).zip(rows).for_each_init(
                Vec::new,
                |snr_p, (values_i, &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                    for (value, &window) in values_i.iter_mut().zip(windows) {
                        *value = measure(&row, grid, &Frame { grid, z }.span(window), snr_p);
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
fn measure(row: &Row, grid: &Grid, span: &Span, snr_p: &mut Vec<f64>) -> (f32, u8) {
    if !span.is_on(grid) {
        return (0.0, flag::OUT_OF_RANGE);
    }
    // Pixel p is centred on p + 1/2.
    let pixels = clamp_to_pixel((span.lo - 0.5).ceil(), grid)..clamp_to_pixel((span.hi - 0.5).ceil(), grid);
    let (n, mut good) = (pixels.len(), 0);
    snr_p.clear();
    for p in pixels {
        snr_p.push(row.good(p).map_or(0.0, |(flux, ivar)| {
            good += 1;
            flux * ivar.sqrt() / grid.step_aa.sqrt()
        }));
    }
    if good == 0 || 2 * good < n {
        return (0.0, flag::COVERAGE);
    }
    let snr = rounded(median(snr_p));
    if snr.is_finite() { (snr, 0) } else { (0.0, flag::DEGENERATE) }
}
