//! Rest-frame wavelength bands, and where they fall on the observed pixels.

use std::ops::Range;

use crate::error::check_len;
use crate::lanes::{LANES, sum_f64};
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
    pub(crate) fn span(&self, band: Band) -> Span {
        let (lo, hi) = (self.edge_coordinate(band.lo_aa), self.edge_coordinate(band.hi_aa));
        let (first, end) = (clamp_to_pixel(lo, self.grid), clamp_to_pixel(hi.ceil(), self.grid));
        Span { lo, hi, first, end }
    }

    /// Position of a rest-frame wavelength in edge coordinates.
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
    pub(crate) fn fraction(&self, p: usize) -> f64 {
        let left = p as f64;
        let overlap = self.hi.min(left + 1.0) - self.lo.max(left);
        if overlap > 0.0 { overlap } else { 0.0 }
    }

    /// The pixels that both spans touch.
    pub(crate) fn shared(&self, other: &Self) -> Range<usize> {
        self.first.max(other.first)..self.end.min(other.end)
    }

    /// The pixels from `first` to before `end`, whole.
    pub(crate) fn of_pixels(first: usize, end: usize) -> Self {
        Self { lo: first as f64, hi: end as f64, first, end }
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
    span_sums_with(row, span, [], |pixel, []| terms(pixel))
}

/// As [`span_sums`], with further numbers per pixel of the span.
///
/// Works in blocks of 32 pixels, those beyond the span as if missing, so that every loop has a
/// fixed length; `terms` should select rather than branch, and must give 0 for a missing pixel.
#[inline(always)]
pub(crate) fn span_sums_with<const K: usize, const A: usize>(
    row: &Row,
    span: &Span,
    more_ap: [&[f64]; A],
    terms: impl Fn(Pixel, [f64; A]) -> [f64; K],
) -> [f64; K] {
    let mut lanes = [[0.0; LANES]; K];
    for start in (span.first..span.end).step_by(LANES) {
        let (flux_l, ivar_l) = (block(row.flux_p, start), block(row.ivar_p, start));
        let more_al = more_ap.map(|more_p| block(more_p, start - span.first));
        let left = start as f64;
        for l in 0..LANES {
            let pixel = Pixel::new(span, left + LANE_NUMBERS[l], flux_l[l], ivar_l[l]);
            let more_a = std::array::from_fn(|a| more_al[a][l]);
            for (sums, term) in lanes.iter_mut().zip(terms(pixel, more_a)) {
                sums[l] += term;
            }
        }
    }
    lanes.map(|sums| sum_f64(&sums))
}

/// Σ term · variance over the good ones of a few pixels, in order.
pub(crate) fn shared_sum(row: &Row, pixels: Range<usize>, term: impl Fn(usize) -> f64) -> f64 {
    pixels.filter_map(|p| row.good(p).map(|(_, ivar)| term(p) / ivar)).sum()
}

/// 0.0, 1.0, … 31.0.
const LANE_NUMBERS: [f64; LANES] = {
    let mut numbers = [0.0; LANES];
    let mut l = 1;
    while l < LANES {
        numbers[l] = numbers[l - 1] + 1.0;
        l += 1;
    }
    numbers
};

/// The 32 numbers from `start` on, zeros after the last.
#[inline(always)]
fn block<T: Copy + Default>(values: &[T], start: usize) -> [T; LANES] {
    let rest = &values[start..];
    if let Some(whole) = rest.first_chunk() {
        return *whole;
    }
    let mut block = [T::default(); LANES];
    block[..rest.len()].copy_from_slice(rest);
    block
}

impl Pixel {
    /// The pixel from `left` to `left + 1`; beyond the span it is as a missing one.
    #[inline(always)]
    fn new(span: &Span, left: f64, flux: f32, ivar: f32) -> Self {
        let overlap = span.hi.min(left + 1.0) - span.lo.max(left);
        let touched = overlap > 0.0;
        let good = touched && is_good(flux, ivar);
        let ivar = if good { f64::from(ivar) } else { 1.0 };
        Self {
            x: left + 0.5,
            part: if good { overlap } else { 0.0 },
            flux: if good { f64::from(flux) } else { 0.0 },
            ivar: if good { ivar } else { 0.0 },
            variance: if good { 1.0 / ivar } else { 0.0 },
            missing: if touched && !good { 1.0 } else { 0.0 },
        }
    }
}

/// Whether a pixel counts; a number that is not finite never does.
#[inline(always)]
pub(crate) fn is_good(flux: f32, ivar: f32) -> bool {
    ivar > 0.0 && ivar < f32::INFINITY && flux.abs() < f32::INFINITY
}

/// The integer part of a coordinate, clamped to 0..=n.
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
