//! Spectral breaks such as D4000: the ratio of the mean f_ν redwards to that bluewards.
//!
//! D = ⟨f_ν⟩(red) / ⟨f_ν⟩(blue), with f_ν ∝ f λ² (all constants cancel in the ratio, so observed
//! wavelengths serve). Two means, both on the observed pixels with the bands moved by (1 + z):
//!
//! - **plain**: ⟨f_ν⟩ = Σ φ f_ν / Σ φ over good pixels, φ the fraction of the pixel inside the band;
//!   variance Σ φ² var(f_ν) / (Σ φ)².
//! - **weighted**: ⟨f_ν⟩ = ∫ f_ν w dλ / ∫ w dλ with w = ivar(f_ν), as FastSpecFit defines Dn(4000).
//!   Both integrals are composite Simpson sums over the good pixels strictly inside the band and its
//!   two ends, where f_ν and w are each interpolated linearly between the nearest good pixels within
//!   the padded band (constant beyond the outermost of them). An even number of points takes
//!   Cartwright's correction in the last interval. Fractional-pixel sums would differ: Simpson's
//!   alternating weights reweigh the noise itself, by more than 1e-3 at survey S/N. The variance
//!   propagates the pixels' own through the resulting linear coefficients, interpolated ends
//!   included (FastSpecFit's 1/∫ w dλ lacks the pixel width, so the errors differ by its root).
//!
//! var(D) = (var(red) + D² var(blue)) / ⟨f_ν⟩(blue)².
//!
//! # Shapes
//! rows [s], breaks [i] → each output [s, i].
//! # Masking
//! Each band, padded by [`PAD_AA`] rest-frame Å, must lie on the grid (else
//! [`flag::OUT_OF_RANGE`](crate::flag)) with at least [`MIN_GOOD`] of its pixels good (else `COVERAGE`).
//! A blue mean ≤ 0 leaves that ratio missing (`CONTINUUM`). Plain and weighted have a flag each.
//! # Order of summation
//! f64; 32 lanes, lane = (pixel − first pixel of the band) mod 32 (plain), lane = point mod 32
//! (weighted), then the halving tree.
//! # Source
//! Bruzual 1983 ApJ 273 105 eq. 11; Balogh et al. 1999 ApJ 527 54; Cartwright 2017
//! J. Math. Sci. Math. Educ. 12(2) 1 (Simpson's rule on irregular points).

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::band::{check_bands, check_rows};
use crate::{Backend, Band, Grid, KernelError, constants};

/// Rest-frame padding of a band within which pixels count for coverage and for its ends, Å.
pub const PAD_AA: f64 = constants::BREAK_PAD_AA;

/// Least share of good pixels in a padded band.
pub const MIN_GOOD: f64 = constants::BREAK_MIN_GOOD;

const OPERATION: &str = "measure_breaks";

/// The two bands of a break, rest frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakBands {
    /// The band that divides.
    pub blue: Band,
    /// The band that is divided.
    pub red: Band,
}

/// Measured breaks, [s, i] each; missing = value 0, ivar 0 and a flag.
pub struct Breaks<B: Backend> {
    /// Ratio of unweighted means.
    pub plain_si: B::Array<f32>,
    /// Its inverse variance.
    pub plain_ivar_si: B::Array<f32>,
    /// [`flag`](crate::flag) bits of the plain ratio.
    pub plain_flag_si: B::Array<u8>,
    /// Ratio of ivar-weighted means.
    pub weighted_si: B::Array<f32>,
    /// Its inverse variance.
    pub weighted_ivar_si: B::Array<f32>,
    /// [`flag`](crate::flag) bits of the weighted ratio.
    pub weighted_flag_si: B::Array<u8>,
}

/// Refuses arrays, rows or bands that the operation cannot take.
pub(crate) fn check_request(
    shape: (usize, usize),
    lengths: [(&'static str, usize); 2],
    grid: &Grid,
    rows: &[(usize, f64)],
    breaks: &[BreakBands],
) -> Result<(), KernelError> {
    check_rows(OPERATION, shape, lengths, grid, rows)?;
    check_bands(OPERATION, breaks.iter().flat_map(|b| [b.blue, b.red]))
}
