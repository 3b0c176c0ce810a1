//! Running median by definition.

use super::bands::median;

/// Running median by sorting every window.
pub(crate) fn running_median(flux_p: &[f64], ivar_p: &[f64], half: usize) -> Vec<Option<f64>> {
    (0..flux_p.len())
        .map(|p| {
            let window = p.saturating_sub(half)..(p + half + 1).min(flux_p.len());
            let mut good: Vec<f64> = window.clone().filter(|&q| ivar_p[q] > 0.0).map(|q| flux_p[q]).collect();
            (!good.is_empty() && 2 * good.len() >= window.len()).then(|| median(&mut good))
        })
        .collect()
}
