//! Divides spectra by their share of a mean spectrum and takes the mean off.
//!
//! # Equation
//! a = Σ w f μ / Σ w μ², the least-squares share of the mean μ in a spectrum; its S/N a·√(Σ w μ²);
//! x = f/a − μ with weights w a².
//!
//! # Masking
//! A pixel counts where it is good and μ is not 0: a mean of 0 says that the model does not cover the
//! pixel. Elsewhere x and its weight are 0, as where either leaves f32. Where a ≤ 0, or nothing determines
//! it (a = 0 then), the whole spectrum has x = 0 and weight 0; a is kept, so that the caller can say why.
//!
//! # Shapes
//! [s, p], μ [p] → [s] and [s, p].
//!
//! # Order of summation
//! Both sums in f64 (w·μ, then fma with f or μ), 32 lanes and the halving tree. a and its S/N rounded to f32;
//! f/a − μ and (w·a)·a in f32 with a as stored.
//!
//! # Bound by
//! Memory: 8 bytes in and 8 out per pixel, about 12 flops.
//!
//! # Source
//! Weighted least squares of one coefficient.

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::error::check_len;
use crate::{Backend, KernelError, Weighted};

pub(crate) const OPERATION: &str = "normalize";

/// Spectra in units of the mean; weight 0 = missing.
pub struct Normalized<B: Backend> {
    /// Number of spectra.
    pub n_spectra: usize,
    /// Pixels per spectrum.
    pub n_pixels: usize,
    /// a [s]; a spectrum of a ≤ 0 has no pixel with weight.
    pub amplitude_s: B::Array<f32>,
    /// a over its error [s].
    pub amplitude_snr_s: B::Array<f32>,
    /// Good pixels where the mean is not 0 [s].
    pub n_good_s: B::Array<u32>,
    /// f/a − μ [s, p].
    pub residual_sp: B::Array<f32>,
    /// w a² [s, p].
    pub weight_sp: B::Array<f32>,
}

impl<B: Backend> Normalized<B> {
    /// The residuals with their weights.
    pub fn weighted(&self) -> Weighted<'_, B> {
        Weighted {
            n_spectra: self.n_spectra,
            n_pixels: self.n_pixels,
            values_sp: &self.residual_sp,
            weight_sp: &self.weight_sp,
        }
    }
}

/// Refuses arrays (flux, ivar, mean) of other lengths than the shape needs.
pub(crate) fn check_lengths(
    (n_spectra, n_pixels): (usize, usize),
    [n_flux, n_ivar, n_mean]: [usize; 3],
) -> Result<(), KernelError> {
    check_len(OPERATION, "flux_sp", "s, p", n_spectra * n_pixels, n_flux)?;
    check_len(OPERATION, "ivar_sp", "s, p", n_spectra * n_pixels, n_ivar)?;
    check_len(OPERATION, "mean_p", "p", n_pixels, n_mean)
}

/// What a mean that is not finite at a pixel is refused with.
pub(crate) fn not_finite(p: usize, mean: f32) -> KernelError {
    KernelError::Domain { operation: OPERATION, what: format!("the mean is {mean} at pixel {p}") }
}
