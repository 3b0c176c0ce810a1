//! Rest-frame wavelength bands, and where they fall on the observed pixels.

use crate::lanes::fold_many_f64;
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
/// A value is missing where any bit other than [`flag::PARTIAL`] stands for it; it is then stored
/// as 0 with ivar 0.
pub mod flag {
    /// Some band is not wholly on the grid.
    pub const OUT_OF_RANGE: u8 = 1;
    /// Too few good pixels.
    pub const COVERAGE: u8 = 2;
    /// The continuum (or the mean that divides) is not positive.
    pub const CONTINUUM: u8 = 4;
    /// The window overlaps another line's: measured as a group.
    pub const BLENDED: u8 = 8;
    /// Measured, though some pixels inside the window are missing.
    pub const PARTIAL: u8 = 16;
    /// The numbers do not determine a finite value with a positive variance.
    pub const DEGENERATE: u8 = 32;
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

impl Span {
    /// Moves a rest-frame band to redshift z.
    pub(crate) fn new(band: Band, grid: &Grid, z: f64) -> Self {
        let lo = edge_coordinate(band.lo_aa * (1.0 + z), grid);
        let hi = edge_coordinate(band.hi_aa * (1.0 + z), grid);
        Self { lo, hi, first: clamp_to_pixel(lo, grid), end: clamp_to_pixel(hi.ceil(), grid) }
    }

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

    /// Whether pixel p is one of the span's.
    pub(crate) fn touches(&self, p: usize) -> bool {
        (self.first..self.end).contains(&p)
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

    /// Flux and ivar of pixel p where it is good.
    pub(crate) fn good(&self, p: usize) -> Option<(f64, f64)> {
        let ivar = self.ivar_p[p];
        (ivar > 0.0).then(|| (f64::from(self.flux_p[p]), f64::from(ivar)))
    }

    /// The share of the span's width that good pixels cover.
    pub(crate) fn good_fraction(&self, span: &Span) -> f64 {
        let [covered] =
            lane_sums(span.first, span.end, |p| [if self.ivar_p[p] > 0.0 { span.fraction(p) } else { 0.0 }]);
        covered / span.width()
    }

    /// Whether a pixel that any span touches is missing.
    pub(crate) fn any_missing(&self, spans: &[Span]) -> bool {
        spans.iter().any(|span| (span.first..span.end).any(|p| self.good(p).is_none()))
    }
}

/// Position of an observed wavelength in edge coordinates.
pub(crate) fn edge_coordinate(wave_aa: f64, grid: &Grid) -> f64 {
    (wave_aa - grid.first_aa) / grid.step_aa + 0.5
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

/// K sums over elements first..end in f64: lane (i - first) mod 32, then the halving tree.
#[inline]
pub(crate) fn lane_sums<const K: usize>(
    first: usize,
    end: usize,
    terms: impl Fn(usize) -> [f64; K],
) -> [f64; K] {
    fold_many_f64(end.saturating_sub(first), |i, mut sums| {
        for (sum, term) in sums.iter_mut().zip(terms(first + i)) {
            *sum += term;
        }
        sums
    })
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
    for (array, actual) in lengths.into_iter().chain([("n_pixels", n_spectra * n_pixels)]) {
        let expected = n_spectra * grid.n_pixels;
        if actual != expected {
            return Err(KernelError::Shape { operation, array, axes: "s, p", expected, actual });
        }
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

/// K sums over the union of three spans in f64: one [`lane_sums`] per span, a pixel of an earlier
/// span adding 0 in a later one, the three added in order.
pub(crate) fn union_sums<const K: usize>(spans: &[Span; 3], terms: impl Fn(usize) -> [f64; K]) -> [f64; K] {
    let mut totals = [0.0; K];
    for (i, span) in spans.iter().enumerate() {
        let sums = lane_sums(span.first, span.end, |p| {
            if spans[..i].iter().any(|earlier| earlier.touches(p)) { [0.0; K] } else { terms(p) }
        });
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    totals
}

/// The median of at least one value, which it reorders; an even number averages the middle two.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
    0.5 * (lower + upper)
}
