//! The CPU twin.

use rayon::prelude::*;

use super::{ArmRanges, IvarScale, MIN_PIXELS, SIGMA_PER_MAD, check};
use crate::band::{Row, flag, median, rounded};
use crate::ops::continuum::Continuum;
use crate::{Cpu, KernelError, SpectraBatch};

/// One arm's scale as it is stored.
#[derive(Debug, Clone, Copy, Default)]
struct Scale {
    scale: f32,
    n_pixels: u32,
    flag: u8,
}

/// See the module's head.
pub(crate) fn ivar_scale(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    rows: &[(usize, f64)],
    continuum: &Continuum<Cpu>,
    arms: &ArmRanges,
) -> Result<IvarScale<Cpu>, KernelError> {
    let of_observed = [observed.flux_sp.len(), observed.ivar_sp.len()];
    let of_continuum =
        [continuum.flux_sp.len(), continuum.valid_sp.len(), continuum.n_spectra * continuum.n_pixels];
    check((observed.n_spectra, observed.n_pixels), of_observed, rows, of_continuum, arms)?;
    let n = observed.n_pixels;
    let arms_a = &arms.pixels_a;
    let mut scales_sa = vec![Scale::default(); rows.len() * arms_a.len()];
    if !scales_sa.is_empty() {
        cpu.pool().install(|| {
            scales_sa.par_chunks_mut(arms_a.len()).enumerate().for_each_init(
                Vec::new,
                |pulls, (i, scales_a)| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, n, rows[i].0);
                    let median_p = &continuum.flux_sp[i * n..(i + 1) * n];
                    let valid_p = &continuum.valid_sp[i * n..(i + 1) * n];
                    for (scale, pixels) in scales_a.iter_mut().zip(arms_a) {
                        pulls.clear();
                        pulls.extend(pixels.clone().filter(|&p| valid_p[p] == 1).filter_map(|p| {
                            let (flux, ivar) = row.good(p)?;
                            Some((flux - f64::from(median_p[p])) * ivar.sqrt())
                        }));
                        *scale = scale_of(pulls);
                    }
                },
            );
        });
    }
    Ok(IvarScale {
        scale_sa: scales_sa.iter().map(|scale| scale.scale).collect(),
        n_pixels_sa: scales_sa.iter().map(|scale| scale.n_pixels).collect(),
        flag_sa: scales_sa.iter().map(|scale| scale.flag).collect(),
    })
}

/// 1 / (1.4826 MAD)² of the pulls, which it reorders and overwrites.
fn scale_of(pulls: &mut [f64]) -> Scale {
    let n_pixels = u32::try_from(pulls.len()).unwrap_or(u32::MAX);
    let missing = |flag| Scale { scale: 0.0, n_pixels, flag };
    if pulls.len() < MIN_PIXELS {
        return missing(flag::COVERAGE);
    }
    let middle = median(pulls);
    for pull in pulls.iter_mut() {
        *pull = (*pull - middle).abs();
    }
    let sigma = SIGMA_PER_MAD * median(pulls);
    let scale = rounded(1.0 / (sigma * sigma));
    if scale.is_finite() && scale > 0.0 {
        Scale { scale, n_pixels, flag: 0 }
    } else {
        missing(flag::DEGENERATE)
    }
}
