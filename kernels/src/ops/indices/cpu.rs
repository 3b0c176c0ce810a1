//! The CPU twin.

use rayon::prelude::*;

use super::{IndexBands, IndexKind, Indices, MIN_GOOD};
use crate::band::{Row, Span, check_bands, check_rows, flag, lane_sums, rounded, stored, union_sums};
use crate::{Cpu, Grid, KernelError, SpectraBatch};

/// One index as it is stored.
#[derive(Debug, Clone, Copy, Default)]
struct Index {
    value: f32,
    ivar: f32,
    good_fraction: f32,
    flag: u8,
}

/// The straight line through the sideband means.
#[derive(Debug, Clone, Copy)]
struct PseudoContinuum {
    /// Mean flux of the blue sideband.
    blue: f64,
    /// Red mean − blue mean.
    rise: f64,
    /// Midpoint of the blue sideband, edge coordinate.
    x_blue: f64,
    /// 1 / distance between the midpoints, pixels.
    per_pixel: f64,
}

impl PseudoContinuum {
    /// t = 0 at the blue midpoint, 1 at the red one.
    fn t(&self, p: usize) -> f64 {
        (p as f64 + 0.5 - self.x_blue) * self.per_pixel
    }

    fn at(&self, t: f64) -> f64 {
        self.blue + self.rise * t
    }
}

/// See the module's head.
pub(crate) fn measure_indices(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    indices: &[IndexBands],
) -> Result<Indices<Cpu>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_rows("measure_indices", (observed.n_spectra, observed.n_pixels), lengths, grid, rows)?;
    check_bands("measure_indices", indices.iter().flat_map(|i| [i.band, i.blue, i.red]))?;

    let mut values_si = vec![Index::default(); rows.len() * indices.len()];
    if !values_si.is_empty() {
        cpu.pool().install(|| {
            values_si.par_chunks_mut(indices.len()).zip(rows).for_each(|(values_i, &(s, z))| {
                let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                for (value, bands) in values_i.iter_mut().zip(indices) {
                    *value = measure(&row, grid, z, bands);
                }
            });
        });
    }
    Ok(Indices {
        value_si: values_si.iter().map(|index| index.value).collect(),
        ivar_si: values_si.iter().map(|index| index.ivar).collect(),
        good_fraction_si: values_si.iter().map(|index| index.good_fraction).collect(),
        flag_si: values_si.iter().map(|index| index.flag).collect(),
    })
}

/// One index of one spectrum.
fn measure(row: &Row, grid: &Grid, z: f64, bands: &IndexBands) -> Index {
    let spans = [bands.band, bands.blue, bands.red].map(|band| Span::new(band, grid, z));
    if spans.iter().any(|span| !span.is_on(grid)) {
        return Index { flag: flag::OUT_OF_RANGE, ..Index::default() };
    }
    let good = spans.map(|span| row.good_fraction(&span));
    let missing = |flag| Index { flag, good_fraction: rounded(good[0]), ..Index::default() };
    if good.iter().any(|&share| share < MIN_GOOD) {
        return missing(flag::COVERAGE);
    }
    let (continuum, sideband_parts) = pseudo_continuum(row, &spans);
    let [band, ..] = spans;
    // A straight line is positive over the band where it is so at both ends.
    let lowest = [0.0, 1.0, continuum.t(band.first), continuum.t(band.end - 1)].map(|t| continuum.at(t));
    if !lowest.iter().all(|&level| level > 0.0) {
        return missing(flag::CONTINUUM);
    }
    let (ratio, variance) = mean_ratio(row, &spans, &continuum, sideband_parts);
    let (value, variance) = match bands.kind {
        IndexKind::Ratio => (ratio, variance),
        IndexKind::Angstrom => {
            let width_aa = bands.band.hi_aa - bands.band.lo_aa;
            (width_aa * (1.0 - ratio), width_aa * width_aa * variance)
        }
    };
    let partial = if row.any_missing(&spans) { flag::PARTIAL } else { 0 };
    stored(value, variance).map_or(missing(flag::DEGENERATE), |(value, ivar)| Index {
        value,
        ivar,
        good_fraction: rounded(good[0]),
        flag: partial,
    })
}

/// The line through the sidebands, and Σφ of each.
fn pseudo_continuum(row: &Row, [_, blue, red]: &[Span; 3]) -> (PseudoContinuum, [f64; 2]) {
    let [(blue_mean, blue_parts), (red_mean, red_parts)] = [blue, red].map(|span| {
        let [total, parts] = lane_sums(span.first, span.end, |p| {
            row.good(p).map_or([0.0; 2], |(flux, _)| [span.fraction(p) * flux, span.fraction(p)])
        });
        (total / parts, parts)
    });
    let (x_blue, x_red) = (0.5 * (blue.lo + blue.hi), 0.5 * (red.lo + red.hi));
    let line = PseudoContinuum {
        blue: blue_mean,
        rise: red_mean - blue_mean,
        x_blue,
        per_pixel: 1.0 / (x_red - x_blue),
    };
    (line, [blue_parts, red_parts])
}

/// R = ⟨F/F_c⟩ and its variance.
fn mean_ratio(
    row: &Row,
    spans: &[Span; 3],
    continuum: &PseudoContinuum,
    [blue_parts, red_parts]: [f64; 2],
) -> (f64, f64) {
    let [band, blue, red] = spans;
    let [total, parts, by_blue, by_red] = lane_sums(band.first, band.end, |p| {
        row.good(p).map_or([0.0; 4], |(flux, _)| {
            let (part, t) = (band.fraction(p), continuum.t(p));
            let per_level = 1.0 / continuum.at(t);
            let scaled = part * flux * per_level;
            [scaled, part, scaled * per_level * (1.0 - t), scaled * per_level * t]
        })
    });
    // −∂R/∂F_b and −∂R/∂F_r, per unit of a sideband pixel's fraction.
    let (per_blue, per_red) = (by_blue / (parts * blue_parts), by_red / (parts * red_parts));
    let [variance] = union_sums(spans, |p| {
        row.good(p).map_or([0.0], |(_, ivar)| {
            let part = band.fraction(p);
            let own = if part > 0.0 { part / (parts * continuum.at(continuum.t(p))) } else { 0.0 };
            let coefficient = own - per_blue * blue.fraction(p) - per_red * red.fraction(p);
            [coefficient * coefficient / ivar]
        })
    });
    (total / parts, variance)
}
