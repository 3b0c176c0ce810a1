//! Running-median continuum on the observed pixels.
//!
//! c_p = median of the good pixels q with |q − p| ≤ h, h = ⌊width (1 + z) / (2 Δ)⌋ pixels: those whose
//! centres lie within half the rest-frame width of pixel p's. Near the ends of the grid the window
//! is what lies on it. An even number averages the middle two (½a + ½b in f32). −0 counts as +0.
//!
//! # Shapes
//! rows [s] → flux [s, p], valid [s, p].
//! # Masking
//! Valid where at least half of the window's pixels on the grid are good; elsewhere flux 0, valid 0.
//! # Order of summation
//! None: an order statistic of the input, so the algorithm does not show in the bits. This twin
//! ranks the good pixels once and slides a set of ranks along the spectrum.

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::Backend;

/// Running medians of chosen rows, [s, p] each.
pub struct Continuum<B: Backend> {
    /// Number of rows.
    pub n_spectra: usize,
    /// Pixels per row.
    pub n_pixels: usize,
    /// The median; 0 where not valid.
    pub flux_sp: B::Array<f32>,
    /// 1 where at least half of the window is good, else 0.
    pub valid_sp: B::Array<u8>,
}
