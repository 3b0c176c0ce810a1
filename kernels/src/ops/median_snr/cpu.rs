//! CPU body: per spectrum and arm, values into a reused buffer, then selection.

use rayon::prelude::*;

use super::{SnrRanges, check, per_root_aa};
use crate::band::rounded;
use crate::selection::{Keys, to_key};
use crate::simd::{is_good, keep_if, simd_fn};
use crate::{ArmSpectra, Cpu, Grid, KernelError};

pub(crate) fn median_snr(
    dev: &Cpu,
    arms: &ArmSpectra<Cpu>,
    grid: &Grid,
    ranges: &SnrRanges,
) -> Result<Vec<f32>, KernelError> {
    check(arms, [0, 1, 2].map(|a| [arms.flux_asp[a].len(), arms.ivar_asp[a].len()]))?;
    let pixels_a = [0, 1, 2].map(|a| ranges.pixels(grid, a, &arms.layout_a));
    let per_root_aa = per_root_aa(grid);
    let mut snr_sa = vec![0.0; arms.n_spectra * 3];
    dev.pool().install(|| {
        snr_sa.par_chunks_mut(3).enumerate().for_each_init(Keys::default, |keys, (s, snr_a)| {
            for (a, snr) in snr_a.iter_mut().enumerate() {
                let row = s * arms.layout_a[a].1;
                let pixels = row + pixels_a[a].start..row + pixels_a[a].end;
                let (flux_p, ivar_p) = (&arms.flux_asp[a][pixels.clone()], &arms.ivar_asp[a][pixels]);
                let n = flux_p.len();
                keys.resize(n);
                fill_snr(dev.simd(), flux_p, ivar_p, per_root_aa, &mut keys.whole);
                if n > 0 {
                    // +0 for −0.
                    *snr = rounded(keys.median(dev.simd(), n)) + 0.0;
                }
            }
        });
    });
    Ok(snr_sa)
}

simd_fn! {
    fn fill_snr(flux_p: &[f32], ivar_p: &[f32], per_root_aa: f64, key_p: &mut [i64]) = fill_snr_body;
}

#[inline(always)]
fn fill_snr_body(flux_p: &[f32], ivar_p: &[f32], per_root_aa: f64, key_p: &mut [i64]) {
    let n = key_p.len();
    let (flux_p, ivar_p) = (&flux_p[..n], &ivar_p[..n]);
    for p in 0..n {
        let (flux, ivar) = (flux_p[p], ivar_p[p]);
        // A pixel that does not count is one of flux and ivar 0.
        let good = is_good(flux, ivar);
        let (flux, ivar) = (keep_if(good, flux), keep_if(good, ivar));
        key_p[p] = to_key(f64::from(ivar).sqrt() * f64::from(flux) * per_root_aa);
    }
}
