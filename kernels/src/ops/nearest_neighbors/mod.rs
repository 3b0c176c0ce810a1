//! The nearest other rows of some rows among all rows, exactly.
//!
//! # Equation
//! dist2 = Σ_d (x_d − y_d)²; neighbours ascend by (dist2, row). A row is never its own neighbour; an equal
//! vector in another row is one at exactly 0.
//!
//! # Missing
//! Where there are fewer than k other rows, the places left over hold row [`NO_ROW`] and dist2 0. Every
//! number must be finite: a missing vector is left out by the caller. A row whose distance leaves f32 is no
//! neighbour.
//!
//! # Shapes
//! vectors [n, d], queries a range of rows [q], 1 ≤ k ≤ 1024 → [q, k].
//!
//! # Order of summation
//! One f32 chain over d in ascending order from 0: difference rounded, then fma(difference, difference, sum).
//! Neither tiles nor threads change it.
//!
//! # Bound by
//! Arithmetic: 3·d flops per pair, in two instructions. A call rearranges all vectors once: ask for many
//! queries at a time.
//!
//! # Source
//! Exhaustive search.

pub(crate) mod cpu;
pub(crate) mod cuda;

use std::ops::Range;

use crate::{Backend, KernelError, constants};

pub(crate) const OPERATION: &str = "nearest_neighbors";

/// Most neighbours of a row.
pub(crate) const MAX_NEIGHBORS: usize = 1024;

/// The row of a neighbour that does not exist.
pub const NO_ROW: u32 = constants::NO_ROW;

/// The nearest rows of each query, nearest first.
pub struct Neighbors<B: Backend> {
    /// Rows [q, k]; [`NO_ROW`] where there are no more.
    pub index_qk: B::Array<u32>,
    /// Squared distances [q, k].
    pub dist2_qk: B::Array<f32>,
}

/// Vectors of length 1, [n, d]: half their squared distance is the cosine distance.
///
/// Σ x² in f64 in 32 lanes, x / √Σx² in f64, rounded to f32.
///
/// # Errors
/// [`KernelError::Shape`] where `d` does not divide the vectors, [`KernelError::Domain`] naming the row
/// where one is zero or not finite.
pub fn unit_vectors(vectors_nd: &[f32], d: usize) -> Result<Vec<f32>, KernelError> {
    check_finite("unit_vectors", vectors_nd, d)?;
    let mut unit_nd = Vec::with_capacity(vectors_nd.len());
    for (row, vector_d) in vectors_nd.chunks_exact(d).enumerate() {
        let square = |i: usize, sum: f64| f64::from(vector_d[i]).mul_add(f64::from(vector_d[i]), sum);
        let norm = crate::lanes::fold_f64(d, square).sqrt();
        if norm <= 0.0 {
            let what = format!("row {row} is a zero vector, which has no direction: leave it out");
            return Err(KernelError::Domain { operation: "unit_vectors", what });
        }
        unit_nd.extend(vector_d.iter().map(|&x| crate::band::rounded(f64::from(x) / norm)));
    }
    Ok(unit_nd)
}

/// Refuses vectors that are not rows of `d` finite numbers.
pub(crate) fn check_finite(operation: &'static str, vectors_nd: &[f32], d: usize) -> Result<(), KernelError> {
    check_rows(operation, vectors_nd.len(), d)?;
    let Some(at) = vectors_nd.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    Err(not_finite(operation, at, vectors_nd[at], d))
}

/// The number of rows of `d` numbers; refuses a length that is no whole number of them.
pub(crate) fn check_rows(operation: &'static str, len: usize, d: usize) -> Result<usize, KernelError> {
    if d == 0 {
        return Err(KernelError::Domain { operation, what: "vectors of no dimension".to_owned() });
    }
    let n = len / d;
    crate::error::check_len(operation, "vectors_nd", "n, d", n * d, len)?;
    Ok(n)
}

/// What is said of a number that is not finite.
pub(crate) fn not_finite(operation: &'static str, at: usize, value: f32, d: usize) -> KernelError {
    let what = format!("row {} has {value} in column {}: leave it out", at / d, at % d);
    KernelError::Domain { operation, what }
}

/// Refuses what cannot be asked of `n` rows.
pub(crate) fn check_request(n: usize, queries: &Range<usize>, k: usize) -> Result<(), KernelError> {
    let refuse = |what: String| Err(KernelError::Domain { operation: OPERATION, what });
    if !(1..=MAX_NEIGHBORS).contains(&k) {
        return refuse(format!("{k} neighbours, where 1 to {MAX_NEIGHBORS} are possible"));
    }
    if queries.start > queries.end || queries.end > n {
        return refuse(format!("queries {} to {} of {n} rows", queries.start, queries.end));
    }
    if u32::try_from(n).map_or(true, |n| n == NO_ROW) {
        return refuse(format!("{n} rows, where rows are numbered in 32 bits"));
    }
    Ok(())
}
