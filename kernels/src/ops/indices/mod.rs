//! Absorption indices of the Lick kind: how much a band lies below its pseudo-continuum.
//!
//! The pseudo-continuum is the straight line through the mean fluxes of two sidebands, placed at
//! the sidebands' midpoints: F_c(λ) = F_b + (F_r − F_b)(λ − λ_b)/(λ_r − λ_b). With
//! R = ⟨F/F_c⟩ over the band's good pixels (weights φ, the fraction of each pixel inside the band):
//!
//! - [`IndexKind::Angstrom`]: I = (rest-frame width of the band) · (1 − R), Å, > 0 for absorption;
//! - [`IndexKind::Ratio`]: R itself; the magnitude −2.5 log₁₀ R is the host's, because no logarithm
//!   is shared between devices.
//!
//! Errors: a pixel's coefficient ∂R/∂F_p is the sum of its parts: φ/(F_c Σφ) in the band, and in a
//! sideband −b φ/Σφ or −r φ/Σφ with b = ⟨F(1 − t)/F_c²⟩, r = ⟨F t/F_c²⟩, t = (λ − λ_b)/(λ_r − λ_b).
//! var(R) = Σ (∂R/∂F_p)²/ivar_p: the three bands' own sums of squares, and twice the products over
//! the pixels that two bands share (Hβ, Mgb, Fe5270 … touch or overlap their sidebands). This is
//! the first order of Cardiel et al. (1998), without their assumption of disjoint bands.
//!
//! # Shapes
//! rows [s], indices [i] → each output [s, i].
//! # Masking
//! All three bands must lie wholly on the grid (else [`flag::OUT_OF_RANGE`](crate::flag)), each with
//! at least [`MIN_GOOD`] of its width covered by good pixels (else `COVERAGE`); missing pixels are
//! left out of the means. F_c must be positive at both sidebands and over the band (else
//! `CONTINUUM`). `PARTIAL` marks values with missing pixels in any of the bands.
//! # Order of summation
//! f64; 32 lanes, lane = (pixel − first pixel of that band) mod 32, then the halving tree; the
//! products over shared pixels add in order of pixels.
//! # Source
//! Worthey et al. 1994 ApJS 94 687 eqs. 1–3; Cardiel et al. 1998 A&AS 127 597.

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::band::{check_bands, check_rows};
use crate::{Backend, Band, Grid, KernelError, constants};

/// Least share of each band's width that good pixels must cover.
pub const MIN_GOOD: f64 = constants::INDEX_MIN_GOOD;

const OPERATION: &str = "measure_indices";

/// What an index is expressed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// Equivalent width, rest-frame Å.
    Angstrom,
    /// Mean ratio of flux to pseudo-continuum.
    Ratio,
}

/// The bands of an index, rest frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexBands {
    /// The feature.
    pub band: Band,
    /// The blue sideband.
    pub blue: Band,
    /// The red sideband.
    pub red: Band,
    /// What it is expressed as.
    pub kind: IndexKind,
}

/// Measured indices, [s, i] each; missing = value 0, ivar 0 and a flag.
pub struct Indices<B: Backend> {
    /// The index.
    pub value_si: B::Array<f32>,
    /// Its inverse variance.
    pub ivar_si: B::Array<f32>,
    /// Share of the feature band's width that good pixels cover; 0 where a band is off the grid.
    pub good_fraction_si: B::Array<f32>,
    /// [`flag`](crate::flag) bits.
    pub flag_si: B::Array<u8>,
}

/// Refuses arrays, rows or bands that the operation cannot take.
pub(crate) fn check_request(
    shape: (usize, usize),
    lengths: [(&'static str, usize); 2],
    grid: &Grid,
    rows: &[(usize, f64)],
    indices: &[IndexBands],
) -> Result<(), KernelError> {
    check_rows(OPERATION, shape, lengths, grid, rows)?;
    check_bands(OPERATION, indices.iter().flat_map(|i| [i.band, i.blue, i.red]))
}
