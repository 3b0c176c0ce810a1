//! Rest-frame wavelength bands, and where they fall on the observed pixels.

use std::ops::Range;

use crate::error::check_len;
use crate::lanes::{LANES, Lanes};
use crate::simd::{is_good, keep_f64_if, keep_if};
use crate::{Grid, KernelError};

/// A rest-frame wavelength interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Blue end, vacuum Å.
    pub lo_aa: f64,
    /// Red end, vacuum Å.
    pub hi_aa: f64,
}

/// Bits that say why a measured value is missing, or what to know about one that is not.
///
/// The sign of a missing value is ivar 0 (with value 0); where there is no ivar, any bit other than
/// [`flag::PARTIAL`]. A bit says why: it may concern one of an operation's values alone, as
/// [`flag::CONTINUUM`] does the equivalent width beside a sound flux.
pub mod flag {
    use crate::constants;

    /// Some band is not wholly on the grid.
    pub const OUT_OF_RANGE: u8 = constants::FLAG_OUT_OF_RANGE;
    /// Too few good pixels.
    pub const COVERAGE: u8 = constants::FLAG_COVERAGE;
    /// The continuum (or the mean that divides) is not positive.
    pub const CONTINUUM: u8 = constants::FLAG_CONTINUUM;
    /// The window overlaps another line's: measured as a group.
    pub const BLENDED: u8 = constants::FLAG_BLENDED;
    /// Measured, though some pixels inside the window are missing.
    pub const PARTIAL: u8 = constants::FLAG_PARTIAL;
    /// The numbers do not determine a finite value with a positive variance.
    pub const DEGENERATE: u8 = constants::FLAG_DEGENERATE;
}

/// A band on the observed pixels, in edge coordinates: pixel p reaches from p to p + 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Blue end.
    pub(crate) lo: f64,
    /// Red end.
    pub(crate) hi: f64,
    /// First pixel touched.
    pub(crate) first: usize,
    /// One past the last pixel touched.
    pub(crate) end: usize,
}

/// Where rest-frame wavelengths fall: the observed grid and a redshift.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// The observed grid.
    pub(crate) grid: &'a Grid,
    /// Redshift.
    pub(crate) z: f64,
}

impl Frame<'_> {
    /// The band on the pixels.
    #[inline(always)]
    pub(crate) fn span(&self, band: Band) -> Span {
        let (lo, hi) = (self.edge_coordinate(band.lo_aa), self.edge_coordinate(band.hi_aa));
        let (first, end) = (clamp_to_pixel(lo, self.grid), clamp_to_pixel(hi.ceil(), self.grid));
        Span { lo, hi, first, end }
    }

    /// Position of a rest-frame wavelength in edge coordinates.
    #[inline(always)]
    pub(crate) fn edge_coordinate(&self, wave_aa: f64) -> f64 {
        (wave_aa * (1.0 + self.z) - self.grid.first_aa) / self.grid.step_aa + 0.5
    }
}

impl Span {
    /// Whether the whole band lies on the grid.
    pub(crate) fn is_on(&self, grid: &Grid) -> bool {
        self.lo >= 0.0 && self.hi <= grid.n_pixels as f64 && self.lo < self.hi
    }

    /// Width in pixels, parts off the grid included.
    pub(crate) fn width(&self) -> f64 {
        self.hi - self.lo
    }

    /// The fraction of pixel p inside the band, 0 to 1.
    #[inline(always)]
    pub(crate) fn fraction(&self, p: usize) -> f64 {
        let overlap = self.overlap(p as f64);
        if overlap > 0.0 { overlap } else { 0.0 }
    }

    /// How much of the pixel from `left` to `left + 1` lies inside the band; not above 0 where none does.
    #[inline(always)]
    fn overlap(&self, left: f64) -> f64 {
        // Comparisons, because `min` and `max` take further instructions to see to NaN.
        let right = left + 1.0;
        let end = if self.hi < right { self.hi } else { right };
        let start = if self.lo > left { self.lo } else { left };
        end - start
    }

    /// Pixels touched, in whole blocks of 32.
    #[inline(always)]
    pub(crate) fn n_blocks(&self) -> usize {
        self.end.saturating_sub(self.first).div_ceil(LANES)
    }

    /// The pixels that both spans touch.
    pub(crate) fn shared(&self, other: &Self) -> Range<usize> {
        self.first.max(other.first)..self.end.min(other.end)
    }
}

/// One spectrum on the observed grid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// Flux.
    pub(crate) flux_p: &'a [f32],
    /// Inverse variance; 0 = missing.
    pub(crate) ivar_p: &'a [f32],
}

impl<'a> Row<'a> {
    /// Spectrum s of a batch.
    pub(crate) fn of(flux_sp: &'a [f32], ivar_sp: &'a [f32], n_pixels: usize, s: usize) -> Self {
        let pixels = s * n_pixels..(s + 1) * n_pixels;
        Self { flux_p: &flux_sp[pixels.clone()], ivar_p: &ivar_sp[pixels] }
    }

    /// Flux and ivar of pixel p where it is good; a number that is not finite never is.
    #[inline]
    pub(crate) fn good(&self, p: usize) -> Option<(f64, f64)> {
        let (flux, ivar) = (self.flux_p[p], self.ivar_p[p]);
        is_good(flux, ivar).then(|| (f64::from(flux), f64::from(ivar)))
    }
}

/// What a pixel brings to a sum over a span; a missing one brings zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pixel {
    /// Centre, edge coordinate (never 0 for want of data).
    pub(crate) x: f64,
    /// Fraction inside the span.
    pub(crate) part: f64,
    /// Flux.
    pub(crate) flux: f64,
    /// Inverse variance.
    pub(crate) ivar: f64,
    /// 1 / ivar.
    pub(crate) variance: f64,
    /// 1 where the span touches the pixel and it is missing, else 0.
    pub(crate) missing: f64,
}

/// K sums over a span's pixels in f64: lane (pixel − first) mod 32, then the halving tree.
#[inline(always)]
pub(crate) fn span_sums<const K: usize>(
    row: &Row,
    span: &Span,
    terms: impl Fn(Pixel) -> [f64; K],
) -> [f64; K] {
    span_sums_with(row, span, &[], |pixel, _| terms(pixel))
}

/// As [`span_sums`], with a further number per pixel of the span.
///
/// Works in blocks of 32 pixels, those beyond the span as if missing, so that every loop has a
/// fixed length; `terms` should select rather than branch, and must give 0 for a missing pixel.
#[inline(always)]
pub(crate) fn span_sums_with<const K: usize>(
    row: &Row,
    span: &Span,
    more_p: &[f64],
    terms: impl Fn(Pixel, f64) -> [f64; K],
) -> [f64; K] {
    let mut lanes = [Lanes([0.0; LANES]); K];
    let reach = row.flux_p.len().min(span.first + span.n_blocks() * LANES);
    let flux = Blocks::of(&row.flux_p[span.first..reach]);
    let ivar = Blocks::of(&row.ivar_p[span.first..reach]);
    let more = Blocks::of(more_p);
    for b in 0..span.n_blocks() {
        let (flux_l, ivar_l, more_l) = (flux.block(b), ivar.block(b), more.block(b));
        let left = (span.first + b * LANES) as f64;
        for l in 0..LANES {
            let pixel = Pixel::new(span, left + LANE_NUMBERS.0[l], flux_l[l], ivar_l[l]);
            for (sums, term) in lanes.iter_mut().zip(terms(pixel, more_l[l])) {
                sums.0[l] += term;
            }
        }
    }
    let mut sums = [0.0; K];
    for (sum, lanes) in sums.iter_mut().zip(lanes) {
        *sum = lanes.sum();
    }
    sums
}

/// Σ term · variance over the good ones of a few pixels, in order.
pub(crate) fn shared_sum(row: &Row, pixels: Range<usize>, term: impl Fn(usize) -> f64) -> f64 {
    pixels.filter_map(|p| row.good(p).map(|(_, ivar)| term(p) / ivar)).sum()
}

/// 0.0, 1.0, … 31.0.
static LANE_NUMBERS: Lanes<f64> = {
    let mut numbers = [0.0; LANES];
    let mut l = 1;
    while l < LANES {
        numbers[l] = numbers[l - 1] + 1.0;
        l += 1;
    }
    Lanes(numbers)
};

/// Numbers in blocks of 32, zeros after the last; whole blocks are read where they lie.
pub(crate) struct Blocks<'a, T> {
    whole: &'a [[T; LANES]],
    tail: Lanes<T>,
}

impl<'a, T: Copy + Default> Blocks<'a, T> {
    /// All of `values`.
    #[inline(always)]
    pub(crate) fn of(values: &'a [T]) -> Self {
        let (whole, rest) = values.as_chunks();
        let mut tail = Lanes([T::default(); LANES]);
        if !rest.is_empty() {
            tail.0[..rest.len()].copy_from_slice(rest);
        }
        Self { whole, tail }
    }

    /// Block b; zeros after the last.
    #[inline(always)]
    pub(crate) fn block(&self, b: usize) -> &[T; LANES] {
        self.whole.get(b).unwrap_or(&self.tail.0)
    }
}

impl Pixel {
    /// The pixel from `left` to `left + 1`; beyond the span it is as a missing one.
    #[inline(always)]
    fn new(span: &Span, left: f64, flux: f32, ivar: f32) -> Self {
        let overlap = span.overlap(left);
        let touched = overlap > 0.0;
        let good = touched & is_good(flux, ivar);
        Self {
            x: left + 0.5,
            part: keep_f64_if(good, overlap),
            flux: f64::from(keep_if(good, flux)),
            ivar: f64::from(keep_if(good, ivar)),
            variance: keep_f64_if(good, 1.0 / f64::from(ivar)),
            missing: keep_f64_if(touched & !good, 1.0),
        }
    }
}

/// The integer part of a coordinate, clamped to 0..=n.
#[inline(always)]
pub(crate) fn clamp_to_pixel(x: f64, grid: &Grid) -> usize {
    if x >= grid.n_pixels as f64 {
        grid.n_pixels
    } else if x > 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 < x < n_pixels was just checked; the fraction is meant to go"
        )]
        let p = x as usize;
        p
    } else {
        0
    }
}

/// A value and its ivar as stored, or `None` where they are not a finite value with positive ivar.
pub(crate) fn stored(value: f64, variance: f64) -> Option<(f32, f32)> {
    let (value, ivar) = (rounded(value), rounded(1.0 / variance));
    (value.is_finite() && ivar.is_finite() && ivar > 0.0).then_some((value, ivar))
}

/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "storage is f32 by contract; callers test finiteness")]
pub(crate) fn rounded(value: f64) -> f32 {
    value as f32
}

/// Refuses arrays, rows or redshifts that the operation cannot take.
pub(crate) fn check_rows(
    operation: &'static str,
    (n_spectra, n_pixels): (usize, usize),
    lengths: [(&'static str, usize); 2],
    grid: &Grid,
    rows: &[(usize, f64)],
) -> Result<(), KernelError> {
    check_len(operation, "n_pixels", "p", grid.n_pixels, n_pixels)?;
    for (array, actual) in lengths {
        check_len(operation, array, "s, p", n_spectra * n_pixels, actual)?;
    }
    for &(s, z) in rows {
        if s >= n_spectra {
            let what = format!("row {s} of a batch of {n_spectra} spectra");
            return Err(KernelError::Domain { operation, what });
        }
        if !(z.is_finite() && z > -1.0) {
            return Err(KernelError::Domain { operation, what: format!("row {s} has redshift {z}") });
        }
    }
    Ok(())
}

/// Refuses bands that are not intervals.
pub(crate) fn check_bands(
    operation: &'static str,
    bands: impl IntoIterator<Item = Band>,
) -> Result<(), KernelError> {
    for Band { lo_aa, hi_aa } in bands {
        if !(lo_aa.is_finite() && hi_aa.is_finite() && 0.0 < lo_aa && lo_aa < hi_aa) {
            let what = format!("band {lo_aa} to {hi_aa} Å is not an interval");
            return Err(KernelError::Domain { operation, what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same sums pixel by pixel.
    fn plain_sums(row: &Row, span: &Span, more_p: &[f64]) -> [f64; 3] {
        let mut lanes = [[0.0; LANES]; 3];
        for (i, p) in (span.first..span.end).enumerate() {
            let Some((flux, ivar)) = row.good(p).filter(|_| span.fraction(p) > 0.0) else { continue };
            let part = span.fraction(p);
            lanes[0][i % LANES] += part * flux * more_p[i];
            lanes[1][i % LANES] += part * part * (1.0 / ivar);
            lanes[2][i % LANES] += (p as f64 + 0.5) * ivar;
        }
        lanes.map(|sums| Lanes(sums).sum())
    }

    #[test]
    fn blocks_give_the_sums_of_single_pixels() {
        let n = 150;
        let number = |p: usize, factor: f32| libm::sinf(factor * p as f32);
        let flux: Vec<f32> = (0..n).map(|p| 1e3 * number(p, 1.3) + 0.7).collect();
        let ivar: Vec<f32> = (0..n).map(|p| number(p, 2.1).abs() + 0.1).collect();
        let more_p: Vec<f64> = (0..n).map(|p| f64::from(number(p, 0.77)) + 2.0).collect();
        let awkward = [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE / 8.0];
        for every in [1, 2, 7, 40, n + 1] {
            let (mut flux_p, mut ivar_p) = (flux.clone(), ivar.clone());
            for (i, p) in (0..n).step_by(every).enumerate().skip(usize::from(every > n)) {
                let odd = awkward[i % awkward.len()];
                if i % 2 == 0 { flux_p[p] = odd } else { ivar_p[p] = odd }
            }
            let row = Row { flux_p: &flux_p, ivar_p: &ivar_p };
            for first in [0, 1, 31, 86, 117, 118, 149] {
                for width in [0.25, 1.0, 30.5, 31.0, 32.0, 32.75, 64.0, 149.5] {
                    let (lo, hi) = (first as f64 + 0.25, (first as f64 + 0.25 + width).min(n as f64));
                    let grid = Grid { n_pixels: n, ..Grid::DESI };
                    let span = Span { lo, hi, first, end: clamp_to_pixel(hi.ceil(), &grid) };
                    let more_p = &more_p[..span.end - span.first];
                    let sums = span_sums_with(&row, &span, more_p, |p, more| {
                        [p.part * p.flux * more, p.part * p.part * p.variance, p.x * p.ivar]
                    });
                    let plain = plain_sums(&row, &span, more_p);
                    assert_eq!(sums.map(f64::to_bits), plain.map(f64::to_bits), "{first} {width} {every}");
                }
            }
        }
    }
}
