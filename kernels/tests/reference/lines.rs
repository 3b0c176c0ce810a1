//! Line flux and width by definition.

use specmill_kernels::Grid;
use specmill_kernels::ops::lines::LineBands;

use super::bands::{overlaps, wave_aa};

/// Flux, rest-frame EW and continuum of a line; missing pixels are bridged before summing.
pub(crate) fn line(
    grid: &Grid,
    flux_p: &[f64],
    ivar_p: &[f64],
    z: f64,
    bands: &LineBands,
) -> (f64, f64, f64) {
    let wave_p = wave_aa(grid);
    let x0 = bands.wave_aa * (1.0 + z);
    let [mut w, mut wx, mut wxx, mut wf, mut wxf] = [0.0; 5];
    for (p, aa) in [bands.blue, bands.red].into_iter().flat_map(|band| overlaps(grid, band, z)) {
        let (weight, x) = (aa * ivar_p[p], wave_p[p] - x0);
        w += weight;
        wx += weight * x;
        wxx += weight * x * x;
        if weight > 0.0 {
            wf += weight * flux_p[p];
            wxf += weight * x * flux_p[p];
        }
    }
    let slope = (w * wxf - wx * wf) / (w * wxx - wx * wx);
    let level = (wf - slope * wx) / w;
    let window = overlaps(grid, bands.window, z);
    let residual = |p: usize| flux_p[p] - level - slope * (wave_p[p] - x0);
    let flux: f64 = window
        .iter()
        .map(|&(p, aa)| {
            let left = window.iter().map(|&(q, _)| q).rfind(|&q| q <= p && ivar_p[q] > 0.0);
            let right = window.iter().map(|&(q, _)| q).find(|&q| q >= p && ivar_p[q] > 0.0);
            aa * match (left, right) {
                (Some(left), Some(right)) if left < right => {
                    let share = (wave_p[p] - wave_p[left]) / (wave_p[right] - wave_p[left]);
                    residual(left) * (1.0 - share) + residual(right) * share
                }
                (Some(q), _) | (None, Some(q)) => residual(q),
                (None, None) => 0.0,
            }
        })
        .sum();
    (flux, flux / level / (1.0 + z), level)
}
