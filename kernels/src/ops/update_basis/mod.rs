//! The components that fit best for given coefficients: the M step.
//!
//! # Equation
//! Per pixel p, with the coefficients c_s, values x and weights w of all spectra:
//! (Σ_s w_sp c_s c_sᵀ) e_p = Σ_s w_sp x_sp c_s. This is the exact minimiser of Σ w (x − Eᵀc)² for fixed
//! coefficients, so no update raises χ². Bailey (2012) updates one component after another, each from what
//! those before it leave: the minimiser only where the coefficients are uncorrelated under the weights.
//! With gaps and unequal errors that iteration comes to rest at a higher χ², in another subspace.
//!
//! # Masking
//! A pixel of a spectrum counts as in [`crate::ops::project`]. Where fewer than k spectra with a coefficient
//! other than 0 count, a pivot is at most 1e-6 of its diagonal element, or a result leaves f32, all
//! components are 0 at that pixel and it is not determined.
//!
//! # Shapes
//! values and weights [s, p], coefficients [s, k], 1 ≤ k ≤ 64 → [k, p] and [p].
//!
//! # Order of summation
//! c_i·c_j and w·x rounded to f32; fma chains over each 128 spectra in ascending order from 0, these chunks
//! added in f64 in ascending order; Cholesky and substitutions in f64 as in [`crate::ops::project`]. Threads
//! share out pixels, never spectra.
//!
//! # Bound by
//! Arithmetic: k(k + 1) + 2k flops per pixel of a spectrum.
//!
//! # Source
//! Bailey 2012, PASP 124 1015 (the M step).

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::error::check_len;
use crate::weighted_sums::check_components;
use crate::{Backend, KernelError};

pub(crate) const OPERATION: &str = "update_basis";

/// Components as fitted; neither smooth nor orthonormal.
pub struct BasisUpdate<B: Backend> {
    /// Components [k, p].
    pub basis_kp: B::Array<f32>,
    /// Spectra with a coefficient other than 0 that count at each pixel [p]; 0 where it is not determined.
    pub n_spectra_p: B::Array<u32>,
}

/// Refuses a number of components that no model has, and arrays (values, weights, coefficients) of other shapes.
pub(crate) fn check_shapes(
    (n_spectra, n_pixels): (usize, usize),
    [values, weights, coefficients]: [usize; 3],
    k: usize,
) -> Result<(), KernelError> {
    check_components(OPERATION, k)?;
    check_len(OPERATION, "values_sp", "s, p", n_spectra * n_pixels, values)?;
    check_len(OPERATION, "weight_sp", "s, p", n_spectra * n_pixels, weights)?;
    check_len(OPERATION, "coeff_sk", "s, k", n_spectra * k, coefficients)
}

/// What is said of a coefficient that is not finite.
pub(crate) fn not_finite(at: usize, coefficient: f32, k: usize) -> KernelError {
    let what = format!("coefficient {} of row {} is {coefficient}", at % k, at / k);
    KernelError::Domain { operation: OPERATION, what }
}
