//! Smoothing of a component by local polynomials (Savitzky–Golay) over the covered pixels.

use std::ops::Range;

use super::refuse;
use crate::KernelError;

/// Most coefficients of a local polynomial: a cubic.
const MOST_COEFFICIENTS: usize = 4;

/// Widest window.
const MOST_PIXELS: usize = 1001;

/// The weights that smooth one spectrum's worth of pixels.
///
/// A pixel takes the value, at its place, of the cubic (a parabola for a window of 5) that fits best the
/// covered pixels of the window around it: the classic filter where the window is full, one-sided at the
/// ends and beside gaps. Where a window holds fewer than two more covered pixels than the polynomial has
/// coefficients, and where a pixel is not covered, nothing is changed.
///
/// # Source
/// Savitzky & Golay 1964, Anal. Chem. 36 1627.
#[derive(Debug, Clone)]
pub struct Smoother {
    half: usize,
    /// Weights of a full window.
    full: Vec<f64>,
    /// Pixel by pixel what to do.
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    Leave,
    Full,
    /// Weights from the first pixel of the window inside the spectrum.
    Own(Vec<f64>),
}

impl Smoother {
    /// The smoothing of covered pixels with a window of `window` pixels; 0 = none.
    ///
    /// # Errors
    /// [`KernelError::Domain`] where the window is neither 0 nor an odd number from 5 to 1001.
    pub fn new(is_covered_p: &[bool], window: usize) -> Result<Self, KernelError> {
        if window == 0 {
            return Ok(Self { half: 0, full: Vec::new(), rules: vec![Rule::Leave; is_covered_p.len()] });
        }
        if !(5..=MOST_PIXELS).contains(&window) || window.is_multiple_of(2) {
            return refuse(format!(
                "a smoothing window of {window} pixels: give 0 or an odd number from 5 to 1001"
            ));
        }
        let half = window / 2;
        let n_coefficients = if window == 5 { 3 } else { MOST_COEFFICIENTS };
        let mut smoother = Self { half, full: Vec::new(), rules: Vec::with_capacity(is_covered_p.len()) };
        smoother.full = weights(&vec![true; window], half, n_coefficients).unwrap_or_default();
        for (p, &is_covered) in is_covered_p.iter().enumerate() {
            let around = smoother.window(p, is_covered_p.len());
            let own = &is_covered_p[around.clone()];
            smoother.rules.push(if !is_covered {
                Rule::Leave
            } else if own.len() == window && own.iter().all(|&covered| covered) {
                Rule::Full
            } else {
                weights(own, p - around.start, n_coefficients).map_or(Rule::Leave, Rule::Own)
            });
        }
        Ok(smoother)
    }

    fn window(&self, p: usize, n: usize) -> Range<usize> {
        p.saturating_sub(self.half)..n.min(p + self.half + 1)
    }

    /// Smooths one component.
    ///
    /// # Panics
    /// Where it has not the pixels that the smoothing was made for.
    pub fn smooth(&self, component_p: &mut [f64]) {
        assert_eq!(component_p.len(), self.rules.len(), "one rule per pixel");
        let before = component_p.to_vec();
        for (p, rule) in self.rules.iter().enumerate() {
            let weights = match rule {
                Rule::Leave => continue,
                Rule::Full => &self.full,
                Rule::Own(weights) => weights,
            };
            let window = &before[self.window(p, before.len())];
            component_p[p] = weights.iter().zip(window).fold(0.0, |sum, (w, x)| w.mul_add(*x, sum));
        }
    }
}

/// Weights of the covered pixels of a window for the polynomial's value at pixel `at`.
fn weights(is_covered: &[bool], at: usize, n_coefficients: usize) -> Option<Vec<f64>> {
    if is_covered.iter().filter(|&&covered| covered).count() < n_coefficients + 2 {
        return None;
    }
    // Powers of the distance in half windows: the equations stay well conditioned.
    let scale = 2.0 / is_covered.len() as f64;
    let powers = |i: usize| {
        let x = (i as f64 - at as f64) * scale;
        [1.0, x, x * x, x * x * x]
    };
    let mut left = [[0.0; MOST_COEFFICIENTS]; MOST_COEFFICIENTS];
    for i in (0..is_covered.len()).filter(|&i| is_covered[i]) {
        let x = powers(i);
        for a in 0..n_coefficients {
            for b in 0..n_coefficients {
                left[a][b] += x[a] * x[b];
            }
        }
    }
    // The value at distance 0 is the constant coefficient: one row of the inverse.
    let row = solve_for_first(left, n_coefficients);
    let weight = |i: usize| {
        let x = powers(i);
        let sum = (0..n_coefficients).fold(0.0, |sum: f64, a| row[a].mul_add(x[a], sum));
        if is_covered[i] { sum } else { 0.0 }
    };
    Some((0..is_covered.len()).map(weight).collect())
}

/// The first column of a positive definite matrix's inverse, by elimination without exchanges.
fn solve_for_first(
    mut left: [[f64; MOST_COEFFICIENTS]; MOST_COEFFICIENTS],
    n: usize,
) -> [f64; MOST_COEFFICIENTS] {
    let mut right = [1.0, 0.0, 0.0, 0.0];
    for a in 0..n {
        for b in a + 1..n {
            let share = left[b][a] / left[a][a];
            let pivot_row = left[a];
            left[b].iter_mut().zip(pivot_row).for_each(|(element, above)| *element -= share * above);
            right[b] -= share * right[a];
        }
    }
    for a in (0..n).rev() {
        for b in a + 1..n {
            right[a] -= left[a][b] * right[b];
        }
        right[a] /= left[a][a];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_windows_are_the_classic_filters() {
        // Tables I and II of Savitzky & Golay: quadratic and cubic, 5 and 7 points.
        let classic = [
            (5, vec![-3.0, 12.0, 17.0, 12.0, -3.0], 35.0),
            (7, vec![-2.0, 3.0, 6.0, 7.0, 6.0, 3.0, -2.0], 21.0),
        ];
        for (window, weights, norm) in classic {
            let smoother = Smoother::new(&[true; 20], window).expect("the window is odd");
            for (ours, expected) in smoother.full.iter().zip(&weights) {
                // A system of four equations in f64.
                assert!((ours - expected / norm).abs() < 1e-14, "{window}: {ours} for {expected}/{norm}");
            }
        }
    }

    #[test]
    fn cubics_are_kept_beside_gaps_and_ends() {
        let is_covered: Vec<bool> = (0..80).map(|p| !(30..37).contains(&p) && p != 50).collect();
        let cubic = |p: usize| {
            let x = p as f64 / 40.0 - 1.0;
            if is_covered[p] { 1.0 + x * (2.0 - x * (0.5 + x)) } else { 0.0 }
        };
        let mut component: Vec<f64> = (0..80).map(cubic).collect();
        Smoother::new(&is_covered, 15).expect("the window is odd").smooth(&mut component);
        for (p, value) in component.iter().enumerate() {
            // One-sided windows amplify the rounding of f64 a hundredfold or so.
            assert!((value - cubic(p)).abs() < 1e-12, "pixel {p}: {value}");
        }
    }

    #[test]
    fn too_few_pixels_are_left_alone() {
        let mut is_covered = [false; 40];
        is_covered[10..15].fill(true);
        let mut component: Vec<f64> =
            (0..40).map(|p| if is_covered[p] { (p % 3) as f64 } else { 0.0 }).collect();
        let before = component.clone();
        Smoother::new(&is_covered, 9).expect("the window is odd").smooth(&mut component);
        assert_eq!(component, before);
        Smoother::new(&[true; 40], 0).expect("no smoothing").smooth(&mut component);
        assert_eq!(component, before);
    }

    #[test]
    fn senseless_windows_are_refused() {
        for window in [1, 3, 4, 6, 1003] {
            assert!(matches!(Smoother::new(&[true; 9], window), Err(KernelError::Domain { .. })), "{window}");
        }
    }
}
