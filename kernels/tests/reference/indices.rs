//! Indices by definition.

use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::{Band, Grid};

use super::bands::{overlaps, wave_aa};

/// A Lick-like index.
pub(crate) fn index(grid: &Grid, flux_p: &[f64], ivar_p: &[f64], z: f64, bands: &IndexBands) -> f64 {
    let good = |band| overlaps(grid, band, z).into_iter().filter(|&(p, _)| ivar_p[p] > 0.0);
    let mean = |band| {
        good(band).map(|(p, aa)| aa * flux_p[p]).sum::<f64>() / good(band).map(|(_, aa)| aa).sum::<f64>()
    };
    let middle = |band: Band| 0.5 * (band.lo_aa + band.hi_aa) * (1.0 + z);
    let (x_blue, x_red) = (middle(bands.blue), middle(bands.red));
    let (blue, red) = (mean(bands.blue), mean(bands.red));
    let wave_p = wave_aa(grid);
    let ratio: f64 = good(bands.band)
        .map(|(p, aa)| aa * flux_p[p] / (blue + (red - blue) * (wave_p[p] - x_blue) / (x_red - x_blue)))
        .sum::<f64>()
        / good(bands.band).map(|(_, aa)| aa).sum::<f64>();
    match bands.kind {
        IndexKind::Ratio => ratio,
        IndexKind::Angstrom => (bands.band.hi_aa - bands.band.lo_aa) * (1.0 - ratio),
    }
}
