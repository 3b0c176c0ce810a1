//! Dereddening of one pixel in f64.

use specmill_kernels::ops::extinction::dust_transmission;

/// Flux and ivar of a pixel at `wave_aa` before dust.
pub(crate) fn pixel(wave_aa: f64, ebv: f32, flux: f32, ivar: f32) -> (f64, f64) {
    let t = dust_transmission(wave_aa, f64::from(ebv));
    (f64::from(flux) / t, f64::from(ivar) * t * t)
}
