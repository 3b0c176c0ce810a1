//! The CPU twin.

use rayon::prelude::*;

use super::{BreakBands, Breaks, MIN_GOOD, PAD_AA, check_request};
use crate::band::{Frame, Row, Span, clamp_to_pixel, flag, span_sums, stored};
use crate::constants::BREAK_END_TOLERANCE;
use crate::lanes::fold_many_f64;
use crate::simd::simd_fn;
use crate::{Band, Cpu, Grid, KernelError, SpectraBatch};

/// One ratio as it is stored.
#[derive(Debug, Clone, Copy, Default)]
struct Ratio {
    value: f32,
    ivar: f32,
    flag: u8,
}

/// A mean f_ν and its variance, in arbitrary but common units.
#[derive(Debug, Clone, Copy)]
struct Mean {
    value: f64,
    variance: f64,
}

/// The points of one Simpson integral; reused between bands.
#[derive(Debug, Default)]
struct Points {
    /// Edge coordinate.
    x_i: Vec<f64>,
    /// f_ν.
    f_i: Vec<f64>,
    /// ivar of f_ν.
    w_i: Vec<f64>,
    /// Simpson coefficient.
    simpson_i: Vec<f64>,
}

/// Shares of the two pixels that an interpolated end is made of: (inner, outer and its ivar).
#[derive(Debug, Clone, Copy)]
struct End {
    inner: f64,
    outer: f64,
    outer_w: f64,
}

/// See the module's head.
pub(crate) fn measure_breaks(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    breaks: &[BreakBands],
) -> Result<Breaks<Cpu>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_request((observed.n_spectra, observed.n_pixels), lengths, grid, rows, breaks)?;

    let mut ratios_si = vec![[Ratio::default(); 2]; rows.len() * breaks.len()];
    if !ratios_si.is_empty() {
        cpu.pool().install(|| {
            ratios_si.par_chunks_mut(breaks.len()).zip(rows).for_each_init(
                Points::default,
                |points, (ratios_i, &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                    measure_row(cpu.simd(), &row, Frame { grid, z }, breaks, points, ratios_i);
                },
            );
        });
    }
    Ok(Breaks {
        plain_si: ratios_si.iter().map(|[plain, _]| plain.value).collect(),
        plain_ivar_si: ratios_si.iter().map(|[plain, _]| plain.ivar).collect(),
        plain_flag_si: ratios_si.iter().map(|[plain, _]| plain.flag).collect(),
        weighted_si: ratios_si.iter().map(|[_, weighted]| weighted.value).collect(),
        weighted_ivar_si: ratios_si.iter().map(|[_, weighted]| weighted.ivar).collect(),
        weighted_flag_si: ratios_si.iter().map(|[_, weighted]| weighted.flag).collect(),
    })
}

simd_fn! {
    fn measure_row(
        row: &Row,
        frame: Frame,
        breaks: &[BreakBands],
        points: &mut Points,
        ratios_i: &mut [[Ratio; 2]],
    ) = measure_row_body;
}

#[inline(always)]
fn measure_row_body(
    row: &Row,
    frame: Frame,
    breaks: &[BreakBands],
    points: &mut Points,
    ratios_i: &mut [[Ratio; 2]],
) {
    for (ratios, bands) in ratios_i.iter_mut().zip(breaks) {
        *ratios = measure(row, frame, bands, points);
    }
}

/// The plain and the weighted ratio of one spectrum.
#[inline(always)]
fn measure(row: &Row, frame: Frame, bands: &BreakBands, points: &mut Points) -> [Ratio; 2] {
    let grid = frame.grid;
    let sides = [bands.blue, bands.red].map(|band| (band, frame.span(band)));
    let padded = sides.map(|(band, _)| padded_pixels(band, frame));
    let missing = |flag| [Ratio { flag, ..Ratio::default() }; 2];
    let [Some(blue_pad), Some(red_pad)] = padded else { return missing(flag::OUT_OF_RANGE) };
    if [blue_pad, red_pad].iter().any(|&pixels| too_few_good(row, pixels)) {
        return missing(flag::COVERAGE);
    }
    let [(_, blue), (_, red)] = sides;
    [
        ratio(plain_mean(row, grid, &blue), plain_mean(row, grid, &red)),
        ratio(
            weighted_mean(row, grid, &blue, blue_pad, points),
            weighted_mean(row, grid, &red, red_pad, points),
        ),
    ]
}

/// First and one-past-last pixel whose centre lies strictly inside the padded band, where the
/// grid reaches beyond it on both sides.
fn padded_pixels(band: Band, frame: Frame) -> Option<(usize, usize)> {
    let padded = Band { lo_aa: band.lo_aa - PAD_AA, hi_aa: band.hi_aa + PAD_AA };
    let (Span { lo, hi, .. }, grid) = (frame.span(padded), frame.grid);
    let on_grid = lo >= 0.5 && hi <= grid.n_pixels as f64 - 0.5;
    on_grid.then(|| (clamp_to_pixel((lo + 0.5).floor(), grid), clamp_to_pixel((hi - 0.5).ceil(), grid)))
}

/// Whether fewer than [`MIN_GOOD`] of the pixels are good.
fn too_few_good(row: &Row, (first, end): (usize, usize)) -> bool {
    let good = (first..end).filter(|&p| row.good(p).is_some()).count();
    good == 0 || (good as f64) < MIN_GOOD * (end - first) as f64
}

/// λ² at an edge coordinate: f_ν over f, up to a constant.
#[inline(always)]
fn wave2(grid: &Grid, x: f64) -> f64 {
    let wave_aa = grid.first_aa + (x - 0.5) * grid.step_aa;
    wave_aa * wave_aa
}

/// Unweighted mean f_ν over the good pixels.
#[inline(always)]
fn plain_mean(row: &Row, grid: &Grid, span: &Span) -> Option<Mean> {
    let [total, norm, variance] = span_sums(row, span, |p| {
        let coefficient = p.part * wave2(grid, p.x);
        [coefficient * p.flux, p.part, coefficient * coefficient * p.variance]
    });
    (norm > 0.0).then(|| Mean { value: total / norm, variance: variance / (norm * norm) })
}

/// ivar-weighted mean f_ν by Simpson sums.
fn weighted_mean(
    row: &Row,
    grid: &Grid,
    span: &Span,
    (first, end): (usize, usize),
    points: &mut Points,
) -> Option<Mean> {
    let [lo, hi] = points.fill(row, grid, span, (first, end))?;
    points.fill_simpson();
    let n = points.x_i.len();
    let [total, norm] = fold_many_f64(n, |i, [total, norm]| {
        let weight = points.simpson_i[i] * points.w_i[i];
        [total + weight * points.f_i[i], norm + weight]
    });
    // Coefficients of the pixels themselves: an end's share goes to the two it interpolates.
    let first_weight = points.simpson_i[0] * points.w_i[0];
    let last_weight = points.simpson_i[n - 1] * points.w_i[n - 1];
    let [inner] = fold_many_f64(n - 2, |i, [inner]| {
        let w = points.w_i[i + 1];
        let from_lo = if i == 0 { first_weight * lo.inner } else { 0.0 };
        let from_hi = if i == n - 3 { last_weight * hi.inner } else { 0.0 };
        let coefficient = points.simpson_i[i + 1] * w + from_lo + from_hi;
        [inner + coefficient * coefficient / w]
    });
    let outer = |weight: f64, end: End| {
        let coefficient = weight * end.outer;
        if end.outer_w > 0.0 { coefficient * coefficient / end.outer_w } else { 0.0 }
    };
    let variance = inner + outer(first_weight, lo) + outer(last_weight, hi);
    (norm > 0.0).then(|| Mean { value: total / norm, variance: variance / (norm * norm) })
}

impl Points {
    /// The interpolated ends and the good pixels between them; returns what the ends are made of,
    /// or nothing where no pixel lies between.
    fn fill(
        &mut self,
        row: &Row,
        grid: &Grid,
        span: &Span,
        (first, end): (usize, usize),
    ) -> Option<[End; 2]> {
        for list in [&mut self.x_i, &mut self.f_i, &mut self.w_i] {
            list.clear();
            list.push(0.0); // the blue end, known once its neighbours are
        }
        let (mut before, mut after) = (None, None);
        for p in first..end {
            let Some((flux, ivar)) = row.good(p) else { continue };
            let x = p as f64 + 0.5;
            let fnu_per_flux = wave2(grid, x);
            let point = (x, flux * fnu_per_flux, ivar / (fnu_per_flux * fnu_per_flux));
            if point.0 <= span.lo + BREAK_END_TOLERANCE {
                before = Some(point);
            } else if point.0 < span.hi - BREAK_END_TOLERANCE {
                self.push(point);
            } else {
                after = after.or(Some(point));
            }
        }
        let n = self.x_i.len();
        if n < 2 {
            return None;
        }
        let (lo_point, lo) = interpolated(span.lo, before, self.point(1));
        let (hi_point, hi) = interpolated(span.hi, after, self.point(n - 1));
        (self.x_i[0], self.f_i[0], self.w_i[0]) = lo_point;
        self.push(hi_point);
        Some([lo, hi])
    }

    fn push(&mut self, (x, f, w): (f64, f64, f64)) {
        self.x_i.push(x);
        self.f_i.push(f);
        self.w_i.push(w);
    }

    fn point(&self, i: usize) -> (f64, f64, f64) {
        (self.x_i[i], self.f_i[i], self.w_i[i])
    }

    /// Coefficients of the composite Simpson sum over `x_i`.
    fn fill_simpson(&mut self) {
        let (x_i, n) = (&self.x_i, self.x_i.len());
        self.simpson_i.clear();
        self.simpson_i.resize(n, 0.0);
        let odd_n = if n % 2 == 1 { n } else { n - 1 };
        for i in (0..odd_n - 1).step_by(2) {
            let (h0, h1) = (x_i[i + 1] - x_i[i], x_i[i + 2] - x_i[i + 1]);
            let sixth = (h0 + h1) / 6.0;
            self.simpson_i[i] += sixth * (2.0 - h1 / h0);
            self.simpson_i[i + 1] += sixth * (h0 + h1) * (h0 + h1) / (h0 * h1);
            self.simpson_i[i + 2] += sixth * (2.0 - h0 / h1);
        }
        if odd_n < n {
            let (h0, h1) = (x_i[n - 2] - x_i[n - 3], x_i[n - 1] - x_i[n - 2]);
            self.simpson_i[n - 1] += h1 * (2.0 * h1 + 3.0 * h0) / (6.0 * (h0 + h1));
            self.simpson_i[n - 2] += h1 * (h1 + 3.0 * h0) / (6.0 * h0);
            self.simpson_i[n - 3] -= h1 * h1 * h1 / (6.0 * h0 * (h0 + h1));
        }
    }
}

/// A band's end between the pixel outside it, where there is a good one, and the one inside.
fn interpolated(x: f64, outside: Option<(f64, f64, f64)>, inside: (f64, f64, f64)) -> ((f64, f64, f64), End) {
    let Some((x_out, f_out, w_out)) = outside else {
        let (_, f_in, w_in) = inside;
        return ((x, f_in, w_in), End { inner: 1.0, outer: 0.0, outer_w: 0.0 });
    };
    let (x_in, f_in, w_in) = inside;
    let share = (x - x_out) / (x_in - x_out);
    // A pixel on the end itself may lie inside by less than the tolerance.
    let inner = if share > 0.0 { share } else { 0.0 };
    let outer = 1.0 - inner;
    ((x, outer * f_out + inner * f_in, outer * w_out + inner * w_in), End { inner, outer, outer_w: w_out })
}

/// red / blue with its propagated error.
fn ratio(blue: Option<Mean>, red: Option<Mean>) -> Ratio {
    let degenerate = Ratio { flag: flag::DEGENERATE, ..Ratio::default() };
    let (Some(blue), Some(red)) = (blue, red) else { return degenerate };
    if blue.value <= 0.0 {
        return Ratio { flag: flag::CONTINUUM, ..Ratio::default() };
    }
    let value = red.value / blue.value;
    let variance = (red.variance + value * value * blue.variance) / (blue.value * blue.value);
    stored(value, variance).map_or(degenerate, |(value, ivar)| Ratio { value, ivar, flag: 0 })
}
