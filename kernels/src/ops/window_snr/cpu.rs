//! The CPU twin.

use rayon::prelude::*;

use super::{WindowSnr, check, pixels};
use crate::band::{Frame, Row, flag, rounded};
use crate::selection::{Keys, to_key};
use crate::simd::{Simd, is_good, keep_if, simd_fn};
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
                Keys::default,
                |keys, (values_i, &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                    for (value, &window) in values_i.iter_mut().zip(windows) {
                        *value = measure(cpu.simd(), &row, &Frame { grid, z }, window, keys);
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

/// One window of one spectrum.
fn measure(simd: Simd, row: &Row, frame: &Frame, window: Band, keys: &mut Keys) -> (f32, u8) {
    let Some(pixels) = pixels(frame, window) else {
        return (0.0, flag::OUT_OF_RANGE);
    };
    let n = pixels.len();
    keys.resize(n);
    let row = Row { flux_p: &row.flux_p[pixels.clone()], ivar_p: &row.ivar_p[pixels] };
    let good = fill_snr(simd, &row, frame.grid.step_aa.sqrt(), &mut keys.whole);
    if good == 0 || 2 * good < n {
        return (0.0, flag::COVERAGE);
    }
    let snr = rounded(keys.median(simd, n));
    if snr.is_finite() { (snr, 0) } else { (0.0, flag::DEGENERATE) }
}

simd_fn! {
    fn fill_snr(row: &Row<'_>, root_aa: f64, key_p: &mut [i64]) -> usize = fill_snr_body;
}

/// Sets the keys of f √w / √Δ, those of missing pixels as of 0, and counts the good ones.
#[inline(always)]
fn fill_snr_body(row: &Row<'_>, root_aa: f64, key_p: &mut [i64]) -> usize {
    let n = key_p.len();
    let (flux_p, ivar_p) = (&row.flux_p[..n], &row.ivar_p[..n]);
    let mut n_good = 0;
    for p in 0..n {
        let good = is_good(flux_p[p], ivar_p[p]);
        let (flux, ivar) = (keep_if(good, flux_p[p]), keep_if(good, ivar_p[p]));
        key_p[p] = to_key(f64::from(flux) * f64::from(ivar).sqrt() / root_aa);
        n_good += usize::from(good);
    }
    n_good
}
