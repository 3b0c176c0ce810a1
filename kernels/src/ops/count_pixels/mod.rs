//! Counts the good pixels of spectra, and the masked ones among them.
//!
//! # Equation
//! n_good = number of pixels with ivar > 0; n_masked = number of those with mask ≠ 0.
//!
//! # Shapes
//! [s, p] → [s] each.
//!
//! # Order of summation
//! Whole numbers: any order gives the same.
//!
//! # Bound by
//! Memory: 8 bytes read per pixel. It spares the bus what two numbers per spectrum can say.
//!
//! # Source
//! –

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::error::check_len;
use crate::{Backend, KernelError};

pub(crate) const OPERATION: &str = "count_pixels";

/// Numbers of pixels, [s] each.
pub struct PixelCounts<B: Backend> {
    /// Pixels with a positive ivar.
    pub n_good_s: B::Array<u32>,
    /// Those of them whose mask is not 0.
    pub n_masked_s: B::Array<u32>,
}

/// Refuses spectra whose arrays are not what their axes need.
pub(crate) fn check_shapes(
    (n_spectra, n_pixels): (usize, usize),
    n_ivar: usize,
    n_mask: usize,
) -> Result<(), KernelError> {
    check_len(OPERATION, "ivar_sp", "s, p", n_spectra * n_pixels, n_ivar)?;
    check_len(OPERATION, "mask_sp", "s, p", n_spectra * n_pixels, n_mask)
}
