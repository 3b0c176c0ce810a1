//! CPU body: one spectrum at a time, first the sums, then the pixels.

use rayon::prelude::*;

use super::{Normalized, check_lengths, not_finite};
use crate::band::rounded;
use crate::lanes::fold_many_f64;
use crate::simd::{is_good, keep_if, simd_fn};
use crate::{Cpu, KernelError, SpectraBatch};

pub(crate) fn normalize(
    dev: &Cpu,
    spectra: &SpectraBatch<Cpu>,
    mean_p: &[f32],
) -> Result<Normalized<Cpu>, KernelError> {
    let (n_spectra, n_pixels) = (spectra.n_spectra, spectra.n_pixels);
    check_lengths((n_spectra, n_pixels), [spectra.flux_sp.len(), spectra.ivar_sp.len(), mean_p.len()])?;
    if let Some(p) = mean_p.iter().position(|mean| !mean.is_finite()) {
        return Err(not_finite(p, mean_p[p]));
    }
    let mut residual_sp = vec![0.0; n_spectra * n_pixels];
    let mut weight_sp = vec![0.0; n_spectra * n_pixels];
    let mut shares = vec![Share::default(); n_spectra];
    if n_pixels > 0 {
        let pixels = spectra.flux_sp.par_chunks(n_pixels).zip(spectra.ivar_sp.par_chunks(n_pixels));
        let outputs = residual_sp.par_chunks_mut(n_pixels).zip(weight_sp.par_chunks_mut(n_pixels));
        dev.pool().install(|| {
            pixels.zip(outputs).zip(&mut shares).for_each(
                |(((flux_p, ivar_p), (residual_p, weight_p)), share)| {
                    *share = take_share(dev.simd(), flux_p, ivar_p, mean_p);
                    if share.amplitude > 0.0 {
                        take_off(dev.simd(), &Row { flux_p, ivar_p, mean_p }, share, residual_p, weight_p);
                    }
                },
            );
        });
    }
    Ok(Normalized {
        n_spectra,
        n_pixels,
        amplitude_s: shares.iter().map(|share| share.amplitude).collect(),
        amplitude_snr_s: shares.iter().map(|share| share.snr).collect(),
        n_good_s: shares.iter().map(|share| share.n_good).collect(),
        residual_sp,
        weight_sp,
    })
}

/// What there is of the mean in one spectrum.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    amplitude: f32,
    snr: f32,
    n_good: u32,
}

/// One spectrum and the mean.
struct Row<'a> {
    flux_p: &'a [f32],
    ivar_p: &'a [f32],
    mean_p: &'a [f32],
}

simd_fn! {
    fn take_share(flux_p: &[f32], ivar_p: &[f32], mean_p: &[f32]) -> Share = take_share_body;
}

#[inline(always)]
fn take_share_body(flux_p: &[f32], ivar_p: &[f32], mean_p: &[f32]) -> Share {
    let n = flux_p.len();
    let (ivar_p, mean_p) = (&ivar_p[..n], &mean_p[..n]);
    let [along, norm, n_good] = fold_many_f64(n, |p, [along, norm, n_good]| {
        let counts = is_good(flux_p[p], ivar_p[p]) & (mean_p[p] != 0.0);
        let flux = f64::from(keep_if(counts, flux_p[p]));
        let (ivar, mean) = (f64::from(keep_if(counts, ivar_p[p])), f64::from(mean_p[p]));
        let weight = ivar * mean;
        [weight.mul_add(flux, along), weight.mul_add(mean, norm), n_good + f64::from(u8::from(counts))]
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of pixels")]
    let n_good = n_good as u32;
    let (amplitude, snr) = (rounded(along / norm), rounded(along / norm * norm.sqrt()));
    if amplitude.is_finite() && snr.is_finite() {
        Share { amplitude, snr, n_good }
    } else {
        Share { n_good, ..Share::default() }
    }
}

simd_fn! {
    fn take_off(
        row: &Row<'_>,
        share: &Share,
        residual_p: &mut [f32],
        weight_p: &mut [f32],
    ) = take_off_body;
}

#[inline(always)]
fn take_off_body(row: &Row<'_>, share: &Share, residual_p: &mut [f32], weight_p: &mut [f32]) {
    let n = residual_p.len();
    let (flux_p, ivar_p, mean_p) = (&row.flux_p[..n], &row.ivar_p[..n], &row.mean_p[..n]);
    let (weight_p, a) = (&mut weight_p[..n], share.amplitude);
    for p in 0..n {
        let (residual, weight) = (flux_p[p] / a - mean_p[p], ivar_p[p] * a * a);
        let counts = is_good(flux_p[p], ivar_p[p]) & (mean_p[p] != 0.0) & is_good(residual, weight);
        residual_p[p] = keep_if(counts, residual);
        weight_p[p] = keep_if(counts, weight);
    }
}
