//! What the judges of operations on bands share: errors, overlaps, medians.

use std::ops::Range;

use specmill_kernels::{Band, Grid};

/// Pixel centres, Å.
pub(crate) fn wave_aa(grid: &Grid) -> Vec<f64> {
    (0..grid.n_pixels).map(|p| grid.first_aa + p as f64 * grid.step_aa).collect()
}

/// The pixels that bands within `lo_aa` to `hi_aa` (rest frame) can depend on, and a margin.
pub(crate) fn neighbourhood(grid: &Grid, z: f64, lo_aa: f64, hi_aa: f64) -> Range<usize> {
    let wave_aa = wave_aa(grid);
    let first = wave_aa.partition_point(|&wave| wave < (lo_aa - 5.0) * (1.0 + z));
    first..wave_aa.partition_point(|&wave| wave < (hi_aa + 5.0) * (1.0 + z))
}

/// Variance of `quantity` from the noise of `pixels`; it is linearised by central differences of a thousandth of a sigma.
pub(crate) fn variance(
    flux_p: &[f64],
    ivar_p: &[f64],
    pixels: Range<usize>,
    quantity: impl Fn(&[f64]) -> f64,
) -> f64 {
    let mut flux_p = flux_p.to_vec();
    let mut total = 0.0;
    for p in pixels {
        if ivar_p[p] > 0.0 {
            let (sigma, kept) = (1.0 / ivar_p[p].sqrt(), flux_p[p]);
            flux_p[p] = kept + 1e-3 * sigma;
            let above = quantity(&flux_p);
            flux_p[p] = kept - 1e-3 * sigma;
            let below = quantity(&flux_p);
            flux_p[p] = kept;
            total += ((above - below) / 2e-3).powi(2);
        }
    }
    total
}

/// Å of each pixel inside the band at redshift z, with the pixel's number.
pub(crate) fn overlaps(grid: &Grid, band: Band, z: f64) -> Vec<(usize, f64)> {
    let (lo, hi) = (band.lo_aa * (1.0 + z), band.hi_aa * (1.0 + z));
    let half = 0.5 * grid.step_aa;
    wave_aa(grid)
        .into_iter()
        .enumerate()
        .map(|(p, wave)| (p, (wave + half).min(hi) - (wave - half).max(lo)))
        .filter(|&(_, overlap)| overlap > 0.0)
        .collect()
}

/// Median by sorting.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n % 2 == 1 { values[n / 2] } else { (values[n / 2 - 1] + values[n / 2]) / 2.0 }
}
