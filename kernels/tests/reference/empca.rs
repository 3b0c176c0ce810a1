//! Weighted least squares by elimination with exchanges, and what follows from it, in f64.

/// What one spectrum's coefficients come with.
#[derive(Debug)]
pub(crate) struct Solution {
    pub(crate) coeff_k: Vec<f64>,
    pub(crate) variance_k: Vec<f64>,
    pub(crate) gain_k: Vec<f64>,
    pub(crate) chi2: f64,
    pub(crate) chi2_0: f64,
    pub(crate) constraint: f64,
    pub(crate) n_good: usize,
}

/// Good pixels as (value, weight, place).
pub(crate) fn good(values: &[f32], weights: &[f32]) -> Vec<(f64, f64, usize)> {
    let pixels = values.iter().zip(weights).map(|(&x, &w)| (f64::from(x), f64::from(w)));
    pixels
        .enumerate()
        .filter(|(_, (x, w))| x.is_finite() && w.is_finite() && *w > 0.0)
        .map(|(i, (x, w))| (x, w, i))
        .collect()
}

/// Minimises Σ w (x − Σ_j c_j d_j)² over the good terms, `design[j][t]`.
pub(crate) fn solve(values: &[f32], weights: &[f32], design: &[Vec<f64>]) -> Solution {
    let (terms, k) = (good(values, weights), design.len());
    let chi2_with = |c: &[f64]| -> f64 {
        let residual = |x: f64, t: usize| x - (0..c.len()).map(|j| c[j] * design[j][t]).sum::<f64>();
        terms.iter().map(|&(x, w, t)| w * residual(x, t).powi(2)).sum()
    };
    let left = |n: usize| -> Vec<Vec<f64>> {
        let element =
            |i: usize, j: usize| terms.iter().map(|&(_, w, t)| w * design[i][t] * design[j][t]).sum();
        (0..n).map(|i| (0..n).map(|j| element(i, j)).collect()).collect()
    };
    let right: Vec<f64> = (0..k).map(|i| terms.iter().map(|&(x, w, t)| w * x * design[i][t]).sum()).collect();
    let unit = |n: usize, j: usize| -> Vec<f64> { (0..n).map(|i| if i == j { 1.0 } else { 0.0 }).collect() };
    let coeff_k = eliminate(left(k), right.clone());
    let variance_k = (0..k).map(|j| eliminate(left(k), unit(k, j))[j]).collect();
    // What each component takes off, and the weight left to it, from the fits with fewer components.
    let nested: Vec<f64> = (0..=k).map(|n| chi2_with(&eliminate(left(n), right[..n].to_vec()))).collect();
    let mean_weight = terms.iter().map(|&(_, w, _)| w).sum::<f64>() / terms.len() as f64;
    let own_weight = |j: usize| 1.0 / eliminate(left(j + 1), unit(j + 1, j))[j];
    Solution {
        chi2: chi2_with(&coeff_k),
        chi2_0: chi2_with(&[]),
        constraint: (0..k).map(own_weight).fold(f64::INFINITY, f64::min) / mean_weight,
        n_good: terms.len(),
        gain_k: nested.windows(2).map(|pair| pair[0] - pair[1]).collect(),
        coeff_k,
        variance_k,
    }
}

/// Solves a square system.
fn eliminate(mut left: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for a in 0..n {
        let best = (a..n).max_by(|&b, &c| left[b][a].abs().total_cmp(&left[c][a].abs())).expect("not empty");
        left.swap(a, best);
        right.swap(a, best);
        for b in 0..n {
            if b != a {
                let share = left[b][a] / left[a][a];
                let pivot_row = left[a].clone();
                left[b].iter_mut().zip(pivot_row).for_each(|(element, pivot)| *element -= share * pivot);
                right[b] -= share * right[a];
            }
        }
    }
    (0..n).map(|a| right[a] / left[a][a]).collect()
}

/// The largest sine of an angle between two subspaces of orthonormal rows [k, p], by f64 projection:
/// the largest length that a unit vector of one has outside the other, bounded by the Frobenius norm.
pub(crate) fn largest_sine(a_kp: &[f64], b_kp: &[f64], n_pixels: usize) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut outside = 0.0;
    for a in a_kp.chunks_exact(n_pixels) {
        let mut rest = a.to_vec();
        for b in b_kp.chunks_exact(n_pixels) {
            let along = dot(a, b);
            rest.iter_mut().zip(b).for_each(|(r, e)| *r -= along * e);
        }
        outside += dot(&rest, &rest);
    }
    outside.sqrt()
}
