//! CPU body: one pass over each spectrum.

use rayon::prelude::*;

use super::{PixelCounts, check_shapes};
use crate::simd::simd_fn;
use crate::{Cpu, KernelError, SpectraBatch};

pub(crate) fn count_pixels(dev: &Cpu, spectra: &SpectraBatch<Cpu>) -> Result<PixelCounts<Cpu>, KernelError> {
    let (n_spectra, n_pixels) = (spectra.n_spectra, spectra.n_pixels);
    check_shapes((n_spectra, n_pixels), spectra.ivar_sp.len(), spectra.mask_sp.len())?;
    let mut counts_s = vec![[0; 2]; n_spectra];
    if n_pixels > 0 {
        dev.pool().install(|| {
            spectra
                .ivar_sp
                .par_chunks(n_pixels)
                .zip(spectra.mask_sp.par_chunks(n_pixels))
                .zip(&mut counts_s)
                .for_each(|((ivar_p, mask_p), counts)| *counts = count(dev.simd(), ivar_p, mask_p));
        });
    }
    Ok(PixelCounts {
        n_good_s: counts_s.iter().map(|[good, _]| *good).collect(),
        n_masked_s: counts_s.iter().map(|[_, masked]| *masked).collect(),
    })
}

simd_fn! {
    fn count(ivar_p: &[f32], mask_p: &[u32]) -> [u32; 2] = count_body;
}

#[inline(always)]
fn count_body(ivar_p: &[f32], mask_p: &[u32]) -> [u32; 2] {
    let [mut good, mut masked] = [0, 0];
    for (&ivar, &mask) in ivar_p.iter().zip(mask_p) {
        let is_good = u32::from(ivar > 0.0);
        good += is_good;
        masked += is_good & u32::from(mask != 0);
    }
    [good, masked]
}
