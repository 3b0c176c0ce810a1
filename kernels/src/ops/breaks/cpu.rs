//! The CPU twin.

use std::ops::Range;

use rayon::prelude::*;

use super::{BreakBands, Breaks, MIN_GOOD, PAD_AA, check_request};
use crate::band::{Frame, Row, Span, clamp_to_pixel, flag, span_sums, stored};
use crate::constants::BREAK_END_TOLERANCE;
use crate::lanes::sum_f64;
use crate::simd::{is_good, simd_fn};
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

/// Room for the points of one Simpson integral; reused between bands.
#[derive(Debug, Default)]
struct Points {
    /// Edge coordinate of the padded band's good pixels, between two places for the band's ends.
    x_i: Vec<f64>,
    /// f_ν.
    f_i: Vec<f64>,
    /// ivar of f_ν.
    w_i: Vec<f64>,
    /// Simpson coefficient per point of the integral, then what it makes of the ivar.
    weight_i: Vec<f64>,
    /// What is to be summed.
    term_i: Vec<f64>,
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
    let missing = |flag| [Ratio { flag, ..Ratio::default() }; 2];
    let (Some(blue_pad), Some(red_pad)) = (padded_pixels(bands.blue, frame), padded_pixels(bands.red, frame))
    else {
        return missing(flag::OUT_OF_RANGE);
    };
    if too_few_good(row, &blue_pad) || too_few_good(row, &red_pad) {
        return missing(flag::COVERAGE);
    }
    let (blue, red) = (frame.span(bands.blue), frame.span(bands.red));
    [
        ratio(plain_mean(row, grid, &blue), plain_mean(row, grid, &red)),
        ratio(
            weighted_mean(row, grid, &blue, blue_pad, points),
            weighted_mean(row, grid, &red, red_pad, points),
        ),
    ]
}

/// The pixels whose centres lie strictly inside the padded band, where the grid reaches beyond it on
/// both sides.
#[inline(always)]
fn padded_pixels(band: Band, frame: Frame) -> Option<Range<usize>> {
    let padded = Band { lo_aa: band.lo_aa - PAD_AA, hi_aa: band.hi_aa + PAD_AA };
    let (Span { lo, hi, .. }, grid) = (frame.span(padded), frame.grid);
    let on_grid = lo >= 0.5 && hi <= grid.n_pixels as f64 - 0.5;
    let first = clamp_to_pixel((lo + 0.5).floor(), grid);
    on_grid.then(|| first..clamp_to_pixel((hi - 0.5).ceil(), grid).max(first))
}

/// Whether fewer than [`MIN_GOOD`] of the pixels are good.
#[inline(always)]
fn too_few_good(row: &Row, pixels: &Range<usize>) -> bool {
    let mut good = 0_u32;
    for (&flux, &ivar) in row.flux_p[pixels.clone()].iter().zip(&row.ivar_p[pixels.clone()]) {
        good += u32::from(is_good(flux, ivar));
    }
    good == 0 || f64::from(good) < MIN_GOOD * pixels.len() as f64
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
#[inline(always)]
fn weighted_mean(
    row: &Row,
    grid: &Grid,
    span: &Span,
    padded: Range<usize>,
    points: &mut Points,
) -> Option<Mean> {
    let (integral, [lo, hi]) = points.fill(row, grid, span, padded)?;
    points.weigh(integral.clone());
    let (f_i, w_i) = (&points.f_i[integral.clone()], &points.w_i[integral]);
    let (weight_i, n) = (&mut points.weight_i[..], f_i.len());
    let term_i = &mut points.term_i[..n];
    for ((term, weight), f) in term_i.iter_mut().zip(&*weight_i).zip(f_i) {
        *term = weight * f;
    }
    let (total, norm) = (sum_f64(term_i), sum_f64(weight_i));
    // Coefficients of the pixels themselves: an end's share goes to the two it interpolates.
    let (first_weight, last_weight) = (weight_i[0], weight_i[n - 1]);
    weight_i[1] += first_weight * lo.inner;
    weight_i[n - 2] += last_weight * hi.inner;
    for ((term, coefficient), w) in term_i.iter_mut().zip(&*weight_i).zip(w_i) {
        *term = coefficient * coefficient / w;
    }
    let inner = sum_f64(&term_i[1..n - 1]);
    let outer = |weight: f64, end: End| {
        let coefficient = weight * end.outer;
        if end.outer_w > 0.0 { coefficient * coefficient / end.outer_w } else { 0.0 }
    };
    let variance = inner + outer(first_weight, lo) + outer(last_weight, hi);
    (norm > 0.0).then(|| Mean { value: total / norm, variance: variance / (norm * norm) })
}

impl Points {
    /// The integral's points: the good pixels inside the band between its interpolated ends. Returns
    /// where they stand and what the ends are made of, or nothing where no pixel lies inside.
    #[inline(always)]
    fn fill(
        &mut self,
        row: &Row,
        grid: &Grid,
        span: &Span,
        padded: Range<usize>,
    ) -> Option<(Range<usize>, [End; 2])> {
        let end = 1 + self.gather(row, grid, padded);
        let good_i = &self.x_i[1..end];
        let (lo, hi) = (span.lo + BREAK_END_TOLERANCE, span.hi - BREAK_END_TOLERANCE);
        let from = 1 + good_i.partition_point(|&x| x <= lo);
        let to = 1 + good_i.partition_point(|&x| x <= lo || x < hi);
        if from == to {
            return None;
        }
        let before = (from > 1).then(|| self.point(from - 1));
        let after = (to < end).then(|| self.point(to));
        let (lo_point, lo) = interpolated(span.lo, before, self.point(from));
        let (hi_point, hi) = interpolated(span.hi, after, self.point(to - 1));
        self.set_point(from - 1, lo_point);
        self.set_point(to, hi_point);
        Some((from - 1..to + 1, [lo, hi]))
    }

    /// Puts the good ones of some pixels in order, from place 1 on, and says how many they are.
    #[inline(always)]
    fn gather(&mut self, row: &Row, grid: &Grid, pixels: Range<usize>) -> usize {
        let (first, n) = (pixels.start, pixels.len());
        for list in [&mut self.x_i, &mut self.f_i, &mut self.w_i] {
            list.resize(n + 2, 0.0);
        }
        let (x_i, f_i, w_i) = (&mut self.x_i[1..=n], &mut self.f_i[1..=n], &mut self.w_i[1..=n]);
        let (flux_p, ivar_p) = (&row.flux_p[pixels.clone()], &row.ivar_p[pixels]);
        for i in 0..n {
            let x = (first + i) as f64 + 0.5;
            let fnu_per_flux = wave2(grid, x);
            x_i[i] = x;
            f_i[i] = f64::from(flux_p[i]) * fnu_per_flux;
            w_i[i] = f64::from(ivar_p[i]) / (fnu_per_flux * fnu_per_flux);
        }
        // Without a branch: a missing pixel's place is the next one's.
        let mut n_good = 0;
        for i in 0..n {
            (x_i[n_good], f_i[n_good], w_i[n_good]) = (x_i[i], f_i[i], w_i[i]);
            n_good += usize::from(is_good(flux_p[i], ivar_p[i]));
        }
        n_good
    }

    fn point(&self, i: usize) -> (f64, f64, f64) {
        (self.x_i[i], self.f_i[i], self.w_i[i])
    }

    fn set_point(&mut self, i: usize, point: (f64, f64, f64)) {
        (self.x_i[i], self.f_i[i], self.w_i[i]) = point;
    }

    /// Weights of the composite Simpson sum over the integral's points: coefficient times ivar.
    #[inline(always)]
    fn weigh(&mut self, integral: Range<usize>) {
        let (x_i, w_i, n) = (&self.x_i[integral.clone()], &self.w_i[integral.clone()], integral.len());
        self.term_i.resize(n, 0.0);
        self.weight_i.resize(n, 0.0);
        let weight_i = &mut self.weight_i[..n];
        let odd_n = if n % 2 == 1 { n } else { n - 1 };
        // What a pair of intervals leaves for the next one's first point.
        let mut carried = 0.0;
        for i in (0..odd_n - 1).step_by(2) {
            let [left, middle, right] = simpson(x_i[i + 1] - x_i[i], x_i[i + 2] - x_i[i + 1]);
            (weight_i[i], weight_i[i + 1]) = (carried + left, middle);
            carried = right;
        }
        weight_i[odd_n - 1] = carried;
        if odd_n < n {
            let (h0, h1) = (x_i[n - 2] - x_i[n - 3], x_i[n - 1] - x_i[n - 2]);
            weight_i[n - 1] = h1 * (2.0 * h1 + 3.0 * h0) / (6.0 * (h0 + h1));
            weight_i[n - 2] += h1 * (h1 + 3.0 * h0) / (6.0 * h0);
            weight_i[n - 3] -= h1 * h1 * h1 / (6.0 * h0 * (h0 + h1));
        }
        for (weight, w) in weight_i.iter_mut().zip(w_i) {
            *weight *= w;
        }
    }
}

/// Simpson's coefficients of three points h0 and h1 apart.
#[inline(always)]
#[expect(clippy::float_cmp, reason = "neighbouring pixels are 1 apart to the bit; others take the formula")]
fn simpson(h0: f64, h1: f64) -> [f64; 3] {
    // Nearly all points are neighbouring pixels, and three divisions cost more than the rest of their sums.
    const OF_NEIGHBOURS: [f64; 3] = simpson_formula(1.0, 1.0);
    if h0 == 1.0 && h1 == 1.0 { OF_NEIGHBOURS } else { simpson_formula(h0, h1) }
}

const fn simpson_formula(h0: f64, h1: f64) -> [f64; 3] {
    let sixth = (h0 + h1) / 6.0;
    [sixth * (2.0 - h1 / h0), sixth * (h0 + h1) * (h0 + h1) / (h0 * h1), sixth * (2.0 - h0 / h1)]
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
