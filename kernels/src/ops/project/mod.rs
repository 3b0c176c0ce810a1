//! Weighted least-squares coefficients of spectra on a few components.
//!
//! # Equation
//! With the components E [k, p], values x and weights W = diag(w) of one spectrum:
//! (E W Eᵀ) c = E W x, solved by Cholesky, E W Eᵀ = L Lᵀ. χ²₀ = Σ w x²; χ² = Σ w (x − Eᵀc)², summed over the
//! residual, never by subtraction. With L y = E W x, component j takes y_j² off χ² after those before it.
//!
//! `constraint` = min_j L_jj² / (Σ w / n_good): L_jj² is the weight left to component j beside those
//! before it, so for orthonormal components it is about the share of the least constrained one that the
//! covered pixels determine; it does not depend on the scale of the weights.
//!
//! # Masking
//! A pixel counts where its value is finite, its weight positive and finite, and w·x finite. A system
//! with n_good ≤ k, with a pivot of at most 1e-6 of its diagonal element (the f32 sums leave errors of a
//! few 1e-7, so it says nothing about the data), or with a result beyond f32 is not solved: constraint 0,
//! and everything else but `n_good` 0. Never a made-up vector.
//!
//! # Shapes
//! values and weights [s, p], basis [k, p], 1 ≤ k ≤ 64 → [s, k] and [s].
//!
//! # Order of summation
//! E_i·E_j and w·x rounded to f32; left = fma(w, E_i·E_j, left) and right = fma(w·x, E_i, right) over each
//! 128 pixels in ascending order from 0; these chunks added in f64 in ascending order. Cholesky, its
//! substitutions and the inverse in f64, each sum one fma chain in ascending order. r = fma(−c_j, E_jp, r) in
//! f32 from r = x, j ascending, c as stored; Σ w and the f32 terms (w·x)·x and (w·r)·r are summed in f64 in
//! 32 lanes and the halving tree. Rounded to f32 at the end.
//!
//! # Bound by
//! Arithmetic: k(k + 1) + 4k flops per pixel. Packing repays over some hundred spectra per call.
//!
//! # Source
//! Bailey 2012, PASP 124 1015 (the E step, with weights).

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::error::check_len;
use crate::weighted_sums::check_components;
use crate::{Backend, KernelError};

pub(crate) const OPERATION: &str = "project";

/// Coefficients of each spectrum; `constraint_s` 0 says that there are none.
pub struct Projection<B: Backend> {
    /// Coefficients [s, k].
    pub coeff_sk: B::Array<f32>,
    /// Their variances, the diagonal of (E W Eᵀ)⁻¹ [s, k].
    pub variance_sk: B::Array<f32>,
    /// What component j takes off χ² after those before it [s, k].
    pub gain_sk: B::Array<f32>,
    /// Σ w (x − Eᵀc)² [s].
    pub chi2_s: B::Array<f64>,
    /// Σ w x² [s].
    pub chi2_0_s: B::Array<f64>,
    /// How far the covered pixels determine the least constrained component [s].
    pub constraint_s: B::Array<f32>,
    /// Pixels that count [s].
    pub n_good_s: B::Array<u32>,
}

/// Refuses a number of components that no model has, and arrays (values, weights, basis) of other shapes.
pub(crate) fn check_shapes(
    (n_spectra, n_pixels): (usize, usize),
    [values, weights, basis]: [usize; 3],
    k: usize,
) -> Result<(), KernelError> {
    check_components(OPERATION, k)?;
    check_len(OPERATION, "values_sp", "s, p", n_spectra * n_pixels, values)?;
    check_len(OPERATION, "weight_sp", "s, p", n_spectra * n_pixels, weights)?;
    check_len(OPERATION, "basis_kp", "k, p", k * n_pixels, basis)
}

/// What is said of an element of a component that is not finite.
pub(crate) fn not_finite(at: usize, element: f32, n_pixels: usize) -> KernelError {
    let what = format!("component {} is {element} at pixel {}", at / n_pixels, at % n_pixels);
    KernelError::Domain { operation: OPERATION, what }
}
