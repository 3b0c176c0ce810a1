//! The CPU twin.

use rayon::prelude::*;

use super::{ArmRanges, IvarScale, MIN_PIXELS, SIGMA_PER_MAD, check};
use crate::band::{Row, flag, rounded};
use crate::ops::continuum::Continuum;
use crate::selection::{Keys, MISSING, from_key, to_key};
use crate::simd::{Simd, is_good, keep_if, simd_fn};
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
                Pulls::default,
                |pulls, (i, scales_a)| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, n, rows[i].0);
                    let median_p = &continuum.flux_sp[i * n..(i + 1) * n];
                    let valid_p = &continuum.valid_sp[i * n..(i + 1) * n];
                    for (scale, pixels) in scales_a.iter_mut().zip(arms_a) {
                        let own = pixels.clone();
                        let row = Row { flux_p: &row.flux_p[own.clone()], ivar_p: &row.ivar_p[own.clone()] };
                        pulls.set(cpu.simd(), &row, &median_p[own.clone()], &valid_p[own]);
                        *scale = pulls.scale(cpu.simd());
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

/// The pulls of an arm.
#[derive(Default)]
struct Pulls {
    /// Their keys, or [`MISSING`].
    keys: Keys,
    /// Those that are not missing.
    n_pixels: usize,
}

impl Pulls {
    /// Takes an arm's pixels.
    fn set(&mut self, simd: Simd, row: &Row<'_>, median_p: &[f32], valid_p: &[u8]) {
        self.keys.resize(row.flux_p.len());
        self.n_pixels = fill_pulls(simd, row, median_p, valid_p, &mut self.keys.whole);
    }

    /// 1 / (1.4826 MAD)², overwriting the pulls.
    fn scale(&mut self, simd: Simd) -> Scale {
        let n_pixels = u32::try_from(self.n_pixels).unwrap_or(u32::MAX);
        let missing = |flag| Scale { scale: 0.0, n_pixels, flag };
        if self.n_pixels < MIN_PIXELS {
            return missing(flag::COVERAGE);
        }
        let middle = self.keys.median(simd, self.n_pixels);
        take_off(simd, middle, &mut self.keys.whole);
        let sigma = SIGMA_PER_MAD * self.keys.median(simd, self.n_pixels);
        let scale = rounded(1.0 / (sigma * sigma));
        if scale.is_finite() && scale > 0.0 {
            Scale { scale, n_pixels, flag: 0 }
        } else {
            missing(flag::DEGENERATE)
        }
    }
}

simd_fn! {
    fn fill_pulls(row: &Row<'_>, median_p: &[f32], valid_p: &[u8], key_p: &mut [i64]) -> usize = fill_pulls_body;
}

/// Sets the keys of (f − c) √w, and counts those that are not missing.
#[inline(always)]
fn fill_pulls_body(row: &Row<'_>, median_p: &[f32], valid_p: &[u8], key_p: &mut [i64]) -> usize {
    let n = key_p.len();
    let (flux_p, ivar_p, median_p, valid_p) =
        (&row.flux_p[..n], &row.ivar_p[..n], &median_p[..n], &valid_p[..n]);
    let mut n_pixels = 0;
    for p in 0..n {
        let counts = is_good(flux_p[p], ivar_p[p]) & (valid_p[p] == 1);
        let root = f64::from(keep_if(counts, ivar_p[p])).sqrt();
        let pull = (f64::from(flux_p[p]) - f64::from(median_p[p])) * root;
        key_p[p] = if counts { to_key(pull) } else { MISSING };
        n_pixels += usize::from(counts);
    }
    n_pixels
}

simd_fn! {
    fn take_off(middle: f64, key_p: &mut [i64]) = take_off_body;
}

/// |pull − middle| of those that are not missing.
#[inline(always)]
fn take_off_body(middle: f64, key_p: &mut [i64]) {
    for key in key_p {
        let away = to_key((from_key(*key) - middle).abs());
        *key = if *key == MISSING { MISSING } else { away };
    }
}
