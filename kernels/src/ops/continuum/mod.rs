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
//! None: an order statistic of the input, so the algorithm does not show in the bits. The CPU ranks
//! the good pixels block by block and slides a set of ranks along the spectrum; the kernel sorts
//! their bits level by level and searches every window on its own.

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::band::{check_rows, clamp_to_pixel};
use crate::{Backend, Grid, KernelError, SpectraBatch};

const OPERATION: &str = "running_median";

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

/// h: pixels to either side of the window's own.
pub(crate) fn half_width(grid: &Grid, width_aa: f64, z: f64) -> usize {
    clamp_to_pixel(width_aa * (1.0 + z) / (2.0 * grid.step_aa), grid)
}

/// Refuses lengths (flux, ivar), rows and widths that the operation cannot take.
pub(crate) fn check<B: Backend>(
    observed: &SpectraBatch<B>,
    [n_flux, n_ivar]: [usize; 2],
    grid: &Grid,
    rows: &[(usize, f64)],
    width_aa: f64,
) -> Result<(), KernelError> {
    let lengths = [("flux_sp", n_flux), ("ivar_sp", n_ivar)];
    check_rows(OPERATION, (observed.n_spectra, observed.n_pixels), lengths, grid, rows)?;
    if !(width_aa.is_finite() && width_aa > 0.0) {
        return Err(KernelError::Domain { operation: OPERATION, what: format!("width of {width_aa} Å") });
    }
    Ok(())
}
