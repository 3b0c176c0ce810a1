//! CPU body: one vector loop per spectrum.

use rayon::prelude::*;

use super::{ExtinctionCurve, check};
use crate::exp::{EXP_MAX, exp_f32};
use crate::simd::{keep_if, simd_fn};
use crate::{Cpu, KernelError, SpectraBatch};

pub(crate) fn correct(
    dev: &Cpu,
    spectra: &mut SpectraBatch<Cpu>,
    curve: &ExtinctionCurve,
    ebv_s: &[f32],
) -> Result<(), KernelError> {
    check(spectra, [spectra.flux_sp.len(), spectra.ivar_sp.len()], curve, ebv_s)?;
    let row_len = spectra.n_pixels.max(1);
    dev.pool().install(|| {
        spectra
            .flux_sp
            .par_chunks_mut(row_len)
            .zip(spectra.ivar_sp.par_chunks_mut(row_len))
            .zip(ebv_s)
            .filter(|&(_, &ebv)| ebv != 0.0)
            .for_each(|((flux_p, ivar_p), &ebv)| deredden_row(dev.simd(), &curve.k_p, ebv, flux_p, ivar_p));
    });
    Ok(())
}

simd_fn! {
    fn deredden_row(k_p: &[f32], ebv: f32, flux_p: &mut [f32], ivar_p: &mut [f32]) = deredden_row_body;
}

#[inline(always)]
fn deredden_row_body(k_p: &[f32], ebv: f32, flux_p: &mut [f32], ivar_p: &mut [f32]) {
    let n = k_p.len();
    let (flux_p, ivar_p) = (&mut flux_p[..n], &mut ivar_p[..n]);
    for p in 0..n {
        let x = k_p[p] * ebv;
        let e = exp_f32(x);
        let flux = flux_p[p] * e;
        let ivar = ivar_p[p] / (e * e);
        let good = (x.abs() <= EXP_MAX) & flux.is_finite() & ivar.is_finite();
        flux_p[p] = keep_if(good, flux);
        ivar_p[p] = keep_if(good & (ivar > 0.0), ivar);
    }
}
