//! CPU body: per spectrum and arm, values into a reused buffer, then selection.

use std::ops::Range;

use rayon::prelude::*;

use super::{OPERATION, SnrRanges};
use crate::error::check_len;
use crate::simd::simd_fn;
use crate::{ArmSpectra, Cpu, Grid, KernelError};

pub(crate) fn median_snr(
    dev: &Cpu,
    arms: &ArmSpectra<Cpu>,
    grid: &Grid,
    ranges: &SnrRanges,
) -> Result<Vec<f32>, KernelError> {
    for (a, (_, n)) in arms.layout_a.iter().enumerate() {
        check_len(OPERATION, "flux_asp", "s, p", arms.n_spectra * n, arms.flux_asp[a].len())?;
        check_len(OPERATION, "ivar_asp", "s, p", arms.n_spectra * n, arms.ivar_asp[a].len())?;
    }
    let pixels_a = [0, 1, 2].map(|a| ranges.pixels(grid, a, &arms.layout_a));
    let per_root_aa = 1.0 / grid.step_aa.sqrt();
    let mut snr_sa = vec![0.0; arms.n_spectra * 3];
    dev.pool().install(|| {
        snr_sa.par_chunks_mut(3).enumerate().for_each_init(Vec::new, |snr_p, (s, snr_a)| {
            for (a, snr) in snr_a.iter_mut().enumerate() {
                let row = |array: &[f32], n: usize| -> Range<usize> {
                    debug_assert!(array.len() >= (s + 1) * n);
                    s * n + pixels_a[a].start..s * n + pixels_a[a].end
                };
                let n = arms.layout_a[a].1;
                let flux_p = &arms.flux_asp[a][row(&arms.flux_asp[a], n)];
                let ivar_p = &arms.ivar_asp[a][row(&arms.ivar_asp[a], n)];
                snr_p.clear();
                snr_p.resize(flux_p.len(), 0.0);
                fill_snr(dev.simd(), flux_p, ivar_p, per_root_aa, snr_p);
                *snr = median(snr_p);
            }
        });
    });
    Ok(snr_sa)
}

simd_fn! {
    fn fill_snr(flux_p: &[f32], ivar_p: &[f32], per_root_aa: f64, snr_p: &mut [f64]) = fill_snr_body;
}

#[inline(always)]
fn fill_snr_body(flux_p: &[f32], ivar_p: &[f32], per_root_aa: f64, snr_p: &mut [f64]) {
    let n = snr_p.len();
    let (flux_p, ivar_p) = (&flux_p[..n], &ivar_p[..n]);
    for p in 0..n {
        let (flux, ivar) = (flux_p[p], ivar_p[p]);
        let good = flux.is_finite() && ivar.is_finite() && ivar > 0.0;
        let snr = f64::from(ivar).sqrt() * f64::from(flux) * per_root_aa;
        snr_p[p] = if good { snr } else { 0.0 };
    }
}

/// The median, reordering `values`; 0 of none.
fn median(values: &mut [f64]) -> f32 {
    let n = values.len();
    if n == 0 {
        return 0.0;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    let median = if n % 2 == 1 {
        upper
    } else {
        let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
        (lower + upper) / 2.0
    };
    #[expect(clippy::cast_possible_truncation, reason = "SCORES stores f32")]
    let median = median as f32;
    // +0 for −0.
    median + 0.0
}
