//! The CPU twin.

use rayon::prelude::*;

use super::{IndexBands, IndexKind, Indices, MIN_GOOD, check_request};
use crate::band::{Frame, Row, Span, flag, rounded, shared_sum, span_sums, stored};
use crate::simd::simd_fn;
use crate::{Cpu, Grid, KernelError, SpectraBatch};

/// One index as it is stored.
#[derive(Debug, Clone, Copy, Default)]
struct Index {
    value: f32,
    ivar: f32,
    good_fraction: f32,
    flag: u8,
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
    check_request((observed.n_spectra, observed.n_pixels), lengths, grid, rows, indices)?;

    let mut values_si = vec![Index::default(); rows.len() * indices.len()];
    if !values_si.is_empty() {
        cpu.pool().install(|| {
            values_si.par_chunks_mut(indices.len()).zip(rows).for_each(|(values_i, &(s, z))| {
                let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                measure_row(cpu.simd(), &row, Frame { grid, z }, indices, values_i);
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

simd_fn! {
    fn measure_row(row: &Row, frame: Frame, indices: &[IndexBands], values_i: &mut [Index])
        = measure_row_body;
}

#[inline(always)]
fn measure_row_body(row: &Row, frame: Frame, indices: &[IndexBands], values_i: &mut [Index]) {
    for (value, bands) in values_i.iter_mut().zip(indices) {
        *value = measure(row, frame, bands);
    }
}

/// One index of one spectrum.
#[inline(always)]
fn measure(row: &Row, frame: Frame, bands: &IndexBands) -> Index {
    let spans @ [band, blue, red] = [frame.span(bands.band), frame.span(bands.blue), frame.span(bands.red)];
    if spans.iter().any(|span| !span.is_on(frame.grid)) {
        return Index { flag: flag::OUT_OF_RANGE, ..Index::default() };
    }
    let sides = [Sideband::of(row, &blue), Sideband::of(row, &red)];
    let continuum = PseudoContinuum::through(&spans, &sides);
    let sums = BandSums::of(row, &band, &continuum);

    let good = sums.part / band.width();
    let missing = |flag| Index { flag, good_fraction: rounded(good), ..Index::default() };
    let covered = [good, sides[0].part / blue.width(), sides[1].part / red.width()];
    if covered.iter().any(|&share| share < MIN_GOOD) {
        return missing(flag::COVERAGE);
    }
    if !continuum.is_positive(&band) {
        return missing(flag::CONTINUUM);
    }
    let ratio = sums.scaled / sums.part;
    let variance = variance(row, &spans, &sides, &continuum, &sums);
    let (value, variance) = match bands.kind {
        IndexKind::Ratio => (ratio, variance),
        IndexKind::Angstrom => {
            let width_aa = bands.band.hi_aa - bands.band.lo_aa;
            (width_aa * (1.0 - ratio), width_aa * width_aa * variance)
        }
    };
    let any_missing = sums.missing + sides[0].missing + sides[1].missing > 0.0;
    stored(value, variance).map_or(missing(flag::DEGENERATE), |(value, ivar)| Index {
        value,
        ivar,
        good_fraction: rounded(good),
        flag: if any_missing { flag::PARTIAL } else { 0 },
    })
}

/// Sums over a sideband.
#[derive(Debug, Clone, Copy)]
struct Sideband {
    /// Mean flux.
    mean: f64,
    /// Σ φ.
    part: f64,
    /// Σ φ² var.
    variance: f64,
    /// Missing pixels.
    missing: f64,
}

impl Sideband {
    #[inline(always)]
    fn of(row: &Row, span: &Span) -> Self {
        let [total, part, variance, missing] =
            span_sums(row, span, |p| [p.part * p.flux, p.part, p.part * p.part * p.variance, p.missing]);
        Self { mean: total / part, part, variance, missing }
    }
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
    fn through([_, blue, red]: &[Span; 3], sides: &[Sideband; 2]) -> Self {
        let (x_blue, x_red) = (0.5 * (blue.lo + blue.hi), 0.5 * (red.lo + red.hi));
        let [blue_mean, red_mean] = [sides[0].mean, sides[1].mean];
        Self { blue: blue_mean, rise: red_mean - blue_mean, x_blue, per_pixel: 1.0 / (x_red - x_blue) }
    }

    /// t = 0 at the blue midpoint, 1 at the red one.
    #[inline(always)]
    fn t(&self, x: f64) -> f64 {
        (x - self.x_blue) * self.per_pixel
    }

    /// 1 / F_c.
    #[inline(always)]
    fn inverse(&self, t: f64) -> f64 {
        1.0 / (self.blue + self.rise * t)
    }

    /// Whether the line is positive at both midpoints and over the band's pixels: a straight line
    /// is so wherever it is at both ends.
    fn is_positive(&self, band: &Span) -> bool {
        let first_last = [band.first, band.end - 1].map(|p| self.t(p as f64 + 0.5));
        [0.0, 1.0, first_last[0], first_last[1]].iter().all(|t| self.blue + self.rise * t > 0.0)
    }
}

/// Sums over the feature band.
#[derive(Debug, Clone, Copy)]
struct BandSums {
    /// Σ φ F/F_c.
    scaled: f64,
    /// Σ φ.
    part: f64,
    /// Σ φ F (1 − t)/F_c².
    by_blue: f64,
    /// Σ φ F t/F_c².
    by_red: f64,
    /// Σ (φ/F_c)² var.
    variance: f64,
    /// Missing pixels.
    missing: f64,
}

impl BandSums {
    #[inline(always)]
    fn of(row: &Row, band: &Span, continuum: &PseudoContinuum) -> Self {
        let [scaled, part, by_blue, by_red, variance, missing] = span_sums(row, band, |p| {
            let t = continuum.t(p.x);
            // A pixel outside the band may lie where the line crosses 0.
            let own = if p.part > 0.0 { p.part * continuum.inverse(t) } else { 0.0 };
            let scaled = own * p.flux;
            let slope = if p.part > 0.0 { scaled * continuum.inverse(t) } else { 0.0 };
            [scaled, p.part, slope * (1.0 - t), slope * t, own * own * p.variance, p.missing]
        });
        Self { scaled, part, by_blue, by_red, variance, missing }
    }
}

/// var(R).
fn variance(
    row: &Row,
    [band, blue, red]: &[Span; 3],
    sides: &[Sideband; 2],
    continuum: &PseudoContinuum,
    sums: &BandSums,
) -> f64 {
    // Coefficients: own per φ/F_c of the band, −per_blue per φ of the blue sideband, −per_red alike.
    let own = 1.0 / sums.part;
    let (per_blue, per_red) = (sums.by_blue * own / sides[0].part, sums.by_red * own / sides[1].part);
    let disjoint = own * own * sums.variance
        + per_blue * per_blue * sides[0].variance
        + per_red * per_red * sides[1].variance;
    let band_part = |p: usize| band.fraction(p) * continuum.inverse(continuum.t(p as f64 + 0.5));
    let with_blue = shared_sum(row, band.shared(blue), |p| band_part(p) * blue.fraction(p));
    let with_red = shared_sum(row, band.shared(red), |p| band_part(p) * red.fraction(p));
    let both = shared_sum(row, blue.shared(red), |p| blue.fraction(p) * red.fraction(p));
    disjoint - 2.0 * own * (per_blue * with_blue + per_red * with_red) + 2.0 * per_blue * per_red * both
}
