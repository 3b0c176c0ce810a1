//! Judges: each quantity as its definition reads, in f64, pixel by pixel, sharing no code with the
//! crate. Errors come from the numerical derivative by every pixel.

use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::ops::lines::LineBands;
use specmill_kernels::{Band, Grid};

use super::waves;

/// Variance of `quantity`, which is linearised by central differences of a thousandth of a sigma.
pub(crate) fn variance(flux_p: &[f64], ivar_p: &[f64], quantity: impl Fn(&[f64]) -> f64) -> f64 {
    let mut flux_p = flux_p.to_vec();
    let mut total = 0.0;
    for p in 0..flux_p.len() {
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
fn overlaps(grid: &Grid, band: Band, z: f64) -> Vec<(usize, f64)> {
    let (lo, hi) = (band.lo_aa * (1.0 + z), band.hi_aa * (1.0 + z));
    let half = 0.5 * grid.step_aa;
    waves(grid)
        .enumerate()
        .map(|(p, wave)| (p, (wave + half).min(hi) - (wave - half).max(lo)))
        .filter(|&(_, overlap)| overlap > 0.0)
        .collect()
}

/// ⟨f_ν⟩ ratio of unweighted means.
pub(crate) fn plain_break(grid: &Grid, flux_p: &[f64], ivar_p: &[f64], z: f64, bands: &BreakBands) -> f64 {
    let wave_p: Vec<f64> = waves(grid).collect();
    let mean = |band| {
        let good = || overlaps(grid, band, z).into_iter().filter(|&(p, _)| ivar_p[p] > 0.0);
        let total: f64 = good().map(|(p, aa)| aa * flux_p[p] * wave_p[p] * wave_p[p]).sum();
        total / good().map(|(_, aa)| aa).sum::<f64>()
    };
    mean(bands.red) / mean(bands.blue)
}

/// ⟨f_ν⟩ ratio of ivar-weighted Simpson means, in the rest frame.
pub(crate) fn weighted_break(
    grid: &Grid,
    flux_p: &[f64],
    ivar_p: &[f64],
    z: f64,
    bands: &BreakBands,
) -> f64 {
    let mean = |band: Band| {
        let points: Vec<(f64, f64, f64)> = waves(grid)
            .zip(flux_p.iter().zip(ivar_p))
            .map(|(wave, (&flux, &ivar))| (wave / (1.0 + z), flux, ivar))
            .filter(|&(x, _, ivar)| ivar > 0.0 && x > band.lo_aa - 2.0 && x < band.hi_aa + 2.0)
            .map(|(x, flux, ivar)| (x, flux * x * x, ivar / x.powi(4)))
            .collect();
        let at = |x: f64, of: fn(&(f64, f64, f64)) -> f64| {
            let after = points.partition_point(|point| point.0 <= x);
            if after == 0 || after == points.len() {
                return of(&points[after.min(points.len() - 1)]);
            }
            let (left, right) = (&points[after - 1], &points[after]);
            of(left) + (of(right) - of(left)) * (x - left.0) / (right.0 - left.0)
        };
        let end = |x| (x, at(x, |point| point.1), at(x, |point| point.2));
        let mut inside = vec![end(band.lo_aa)];
        inside.extend(points.iter().filter(|point| point.0 > band.lo_aa && point.0 < band.hi_aa));
        inside.push(end(band.hi_aa));
        let x: Vec<f64> = inside.iter().map(|point| point.0).collect();
        let fw: Vec<f64> = inside.iter().map(|point| point.1 * point.2).collect();
        let w: Vec<f64> = inside.iter().map(|point| point.2).collect();
        simpson(&x, &fw) / simpson(&x, &w)
    };
    mean(bands.red) / mean(bands.blue)
}

/// Parabolas through points 0–1–2, 2–3–4, …; an interval left over takes the last three points'.
fn simpson(x: &[f64], y: &[f64]) -> f64 {
    let mut total = 0.0;
    let mut i = 0;
    while i + 2 < x.len() {
        total += parabola(&x[i..i + 3], &y[i..i + 3], x[i], x[i + 2]);
        i += 2;
    }
    if i + 1 < x.len() {
        let n = x.len();
        total += parabola(&x[n - 3..], &y[n - 3..], x[n - 2], x[n - 1]);
    }
    total
}

/// Integral from a to b of the parabola through three points (Newton's form).
fn parabola(x: &[f64], y: &[f64], a: f64, b: f64) -> f64 {
    let first = (y[1] - y[0]) / (x[1] - x[0]);
    let second = ((y[2] - y[1]) / (x[2] - x[1]) - first) / (x[2] - x[0]);
    let d = x[1] - x[0];
    let antiderivative = |t: f64| {
        let u = t - x[0];
        y[0] * u + first * u * u / 2.0 + second * (u * u * u / 3.0 - d * u * u / 2.0)
    };
    antiderivative(b) - antiderivative(a)
}

/// A Lick-like index.
pub(crate) fn index(grid: &Grid, flux_p: &[f64], ivar_p: &[f64], z: f64, bands: &IndexBands) -> f64 {
    let good = |band| overlaps(grid, band, z).into_iter().filter(|&(p, _)| ivar_p[p] > 0.0);
    let mean = |band| {
        good(band).map(|(p, aa)| aa * flux_p[p]).sum::<f64>() / good(band).map(|(_, aa)| aa).sum::<f64>()
    };
    let middle = |band: Band| 0.5 * (band.lo_aa + band.hi_aa) * (1.0 + z);
    let (x_blue, x_red) = (middle(bands.blue), middle(bands.red));
    let (blue, red) = (mean(bands.blue), mean(bands.red));
    let wave_p: Vec<f64> = waves(grid).collect();
    let ratio: f64 = good(bands.band)
        .map(|(p, aa)| aa * flux_p[p] / (blue + (red - blue) * (wave_p[p] - x_blue) / (x_red - x_blue)))
        .sum::<f64>()
        / good(bands.band).map(|(_, aa)| aa).sum::<f64>();
    match bands.kind {
        IndexKind::Ratio => ratio,
        IndexKind::Angstrom => (bands.band.hi_aa - bands.band.lo_aa) * (1.0 - ratio),
    }
}

/// Flux, rest-frame EW and continuum of a line; missing pixels are bridged before summing.
pub(crate) fn line(
    grid: &Grid,
    flux_p: &[f64],
    ivar_p: &[f64],
    z: f64,
    bands: &LineBands,
) -> (f64, f64, f64) {
    let wave_p: Vec<f64> = waves(grid).collect();
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

/// Running median by sorting every window.
pub(crate) fn running_median(flux_p: &[f64], ivar_p: &[f64], half: usize) -> Vec<Option<f64>> {
    (0..flux_p.len())
        .map(|p| {
            let window = p.saturating_sub(half)..(p + half + 1).min(flux_p.len());
            let mut good: Vec<f64> =
                window.clone().filter(|&q| ivar_p[q] > 0.0).map(|q| flux_p[q]).collect();
            (!good.is_empty() && 2 * good.len() >= window.len()).then(|| median(&mut good))
        })
        .collect()
}

/// Median by sorting.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n % 2 == 1 { values[n / 2] } else { (values[n / 2 - 1] + values[n / 2]) / 2.0 }
}
