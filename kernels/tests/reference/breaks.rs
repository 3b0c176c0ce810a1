//! Breaks by definition, in the rest frame.

use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::{Band, Grid};

use super::bands::{overlaps, wave_aa};

/// ⟨f_ν⟩ ratio of unweighted means.
pub(crate) fn plain(grid: &Grid, flux_p: &[f64], ivar_p: &[f64], z: f64, bands: &BreakBands) -> f64 {
    let wave_p = wave_aa(grid);
    let mean = |band| {
        let good = || overlaps(grid, band, z).into_iter().filter(|&(p, _)| ivar_p[p] > 0.0);
        let total: f64 = good().map(|(p, aa)| aa * flux_p[p] * wave_p[p] * wave_p[p]).sum();
        total / good().map(|(_, aa)| aa).sum::<f64>()
    };
    mean(bands.red) / mean(bands.blue)
}

/// ⟨f_ν⟩ ratio of ivar-weighted Simpson means, in the rest frame.
pub(crate) fn weighted(grid: &Grid, flux_p: &[f64], ivar_p: &[f64], z: f64, bands: &BreakBands) -> f64 {
    let mean = |band: Band| {
        let points: Vec<(f64, f64, f64)> = wave_aa(grid)
            .into_iter()
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
