//! Small symmetric systems, solved side by side in f64 on the CPU. Twin: cuda/cholesky.cuh.
//!
//! Cholesky L·Lᵀ of a packed lower triangle (element i, j at i·(i + 1)/2 + j). Every sum is one fma chain
//! in ascending order, so a system's bits do not depend on those beside it.

use crate::constants::LEAST_PIVOT;
use crate::simd::{Simd, simd_fn};

/// Systems side by side.
pub(crate) const SYSTEMS: usize = 16;

/// One number of each system.
type Lanes = [f64; SYSTEMS];

/// Systems of k equations and what is made of them.
pub(crate) struct Systems {
    k: usize,
    /// The left sides, then L.
    factor: Vec<Lanes>,
    /// The right sides, then y with L·y = b.
    half: Vec<Lanes>,
    /// c with Lᵀ·c = y.
    solution: Vec<Lanes>,
    /// Diagonal of (L·Lᵀ)⁻¹.
    variance: Vec<Lanes>,
    column: Vec<Lanes>,
    is_determined: [bool; SYSTEMS],
}

impl Systems {
    /// Room for systems of k equations.
    pub(crate) fn new(k: usize) -> Self {
        let zero = [0.0; SYSTEMS];
        Self {
            k,
            factor: vec![zero; k * (k + 1) / 2],
            half: vec![zero; k],
            solution: vec![zero; k],
            variance: vec![zero; k],
            column: vec![zero; k],
            is_determined: [false; SYSTEMS],
        }
    }

    /// Puts a system's two sides into a lane.
    pub(crate) fn set(&mut self, lane: usize, (left, right): (&[f64], &[f64])) {
        for (element, &value) in self.factor.iter_mut().zip(left) {
            element[lane] = value;
        }
        for (element, &value) in self.half.iter_mut().zip(right) {
            element[lane] = value;
        }
    }

    /// Whether a lane's left side is positive definite by more than its rounding.
    pub(crate) fn is_determined(&self, lane: usize) -> bool {
        self.is_determined[lane]
    }

    /// Element i of a lane's solution.
    pub(crate) fn solution(&self, lane: usize, i: usize) -> f64 {
        self.solution[i][lane]
    }

    /// Element i of a lane's half-way solution y; y_i² is what component i adds after those before it.
    pub(crate) fn half(&self, lane: usize, i: usize) -> f64 {
        self.half[i][lane]
    }

    /// Element i of the diagonal of a lane's inverse.
    pub(crate) fn variance(&self, lane: usize, i: usize) -> f64 {
        self.variance[i][lane]
    }

    /// The smallest L_ii² of a lane.
    pub(crate) fn least_pivot(&self, lane: usize) -> f64 {
        let pivots = (0..self.k).map(|i| self.factor[i * (i + 1) / 2 + i][lane]);
        pivots.map(|l| l * l).fold(f64::INFINITY, f64::min)
    }

    /// Factors the left sides and solves.
    pub(crate) fn solve(&mut self, simd: Simd) {
        factorize(simd, self);
        substitute(simd, self);
    }

    /// The diagonals of the inverses, after [`Systems::solve`].
    pub(crate) fn invert(&mut self, simd: Simd) {
        invert(simd, self);
    }

    #[inline(always)]
    fn factorize_body(&mut self) {
        self.is_determined = [true; SYSTEMS];
        for i in 0..self.k {
            let (above, rest) = self.factor.split_at_mut(i * (i + 1) / 2);
            let row = &mut rest[..=i];
            for j in 0..i {
                let other = &above[j * (j + 1) / 2..][..=j];
                let sum = minus_products(row[j], &row[..j], &other[..j]);
                for s in 0..SYSTEMS {
                    row[j][s] = sum[s] / other[j][s];
                }
            }
            let diagonal = row[i];
            let pivot = minus_products(diagonal, &row[..i], &row[..i]);
            for s in 0..SYSTEMS {
                let is_sound = (pivot[s] > LEAST_PIVOT * diagonal[s]) & (pivot[s] <= f64::MAX);
                self.is_determined[s] &= is_sound;
                row[i][s] = if is_sound { pivot[s] } else { 1.0 }.sqrt();
            }
        }
    }

    #[inline(always)]
    fn substitute_body(&mut self) {
        for i in 0..self.k {
            let row = &self.factor[i * (i + 1) / 2..][..=i];
            let sum = minus_products(self.half[i], &row[..i], &self.half[..i]);
            for s in 0..SYSTEMS {
                self.half[i][s] = sum[s] / row[i][s];
            }
        }
        for i in (0..self.k).rev() {
            let mut sum = self.half[i];
            for m in i + 1..self.k {
                let (l, c) = (&self.factor[m * (m + 1) / 2 + i], &self.solution[m]);
                for s in 0..SYSTEMS {
                    sum[s] = (-l[s]).mul_add(c[s], sum[s]);
                }
            }
            let pivot = &self.factor[i * (i + 1) / 2 + i];
            for s in 0..SYSTEMS {
                self.solution[i][s] = sum[s] / pivot[s];
            }
        }
    }

    /// The squares of column j of L⁻¹, summed.
    #[inline(always)]
    fn invert_body(&mut self) {
        for j in 0..self.k {
            let mut sum = [0.0; SYSTEMS];
            for i in j..self.k {
                let row = &self.factor[i * (i + 1) / 2..][..=i];
                let unit = [if i == j { 1.0 } else { 0.0 }; SYSTEMS];
                let own = minus_products(unit, &row[j..i], &self.column[j..i]);
                for s in 0..SYSTEMS {
                    let element = own[s] / row[i][s];
                    self.column[i][s] = element;
                    sum[s] = element.mul_add(element, sum[s]);
                }
            }
            self.variance[j] = sum;
        }
    }
}

simd_fn! {
    fn factorize(systems: &mut Systems) = Systems::factorize_body;
}

simd_fn! {
    fn substitute(systems: &mut Systems) = Systems::substitute_body;
}

simd_fn! {
    fn invert(systems: &mut Systems) = Systems::invert_body;
}

/// `from` − Σ_m a_m·b_m, one fma chain.
#[inline(always)]
fn minus_products(from: Lanes, a: &[Lanes], b: &[Lanes]) -> Lanes {
    let mut sum = from;
    for (a, b) in a.iter().zip(b) {
        for s in 0..SYSTEMS {
            sum[s] = (-a[s]).mul_add(b[s], sum[s]);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A·Aᵀ of a triangle with ones on its diagonal: its factor is that triangle.
    #[test]
    fn known_factor_gives_known_solution_and_inverse() {
        let mut systems = Systems::new(2);
        // [[4, 2], [2, 10]] = [[2, 0], [1, 3]] · its transpose; inverse [[10, -2], [-2, 4]] / 36.
        systems.set(3, (&[4.0, 2.0, 10.0], &[8.0, 22.0]));
        systems.solve(Simd::detect());
        systems.invert(Simd::detect());
        assert!(systems.is_determined(3));
        assert!(!systems.is_determined(0), "a system of zeros is not determined");
        // Numbers of a few bits: exact up to one rounding of the quotients.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-15;
        assert!(close(systems.solution(3, 0), 1.0) && close(systems.solution(3, 1), 2.0));
        assert!(close(systems.half(3, 0), 4.0) && close(systems.half(3, 1), 6.0));
        assert!(close(systems.variance(3, 0), 10.0 / 36.0) && close(systems.variance(3, 1), 4.0 / 36.0));
        assert!(close(systems.least_pivot(3), 4.0));
    }

    #[test]
    fn dependent_equations_are_not_determined() {
        let mut systems = Systems::new(2);
        systems.set(0, (&[1.0, 1.0, 1.0], &[1.0, 1.0]));
        systems.set(1, (&[1.0, 1.0, 1.0 + 1e-5], &[1.0, 1.0]));
        systems.set(2, (&[1.0, f64::NAN, 1.0], &[1.0, 1.0]));
        systems.solve(Simd::detect());
        assert_eq!([0, 1, 2].map(|lane| systems.is_determined(lane)), [false, true, false]);
    }
}
