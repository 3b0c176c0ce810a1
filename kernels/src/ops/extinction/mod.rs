//! Removes Galactic extinction from spectra in the observed frame, in place.
//!
//! # Equation
//! A(λ) = 1.029 · E(B−V) · F99(λ) / F99(1 µm); T = 10^(−0.4 A). flux ← flux / T, ivar ← ivar · T².
//! Per pixel k = 0.4 ln 10 · A / E(B−V) is a table (f64, rounded to f32); per spectrum and pixel
//! e = exp(k · E(B−V)) in f32, flux ← flux · e, ivar ← ivar / (e · e).
//!
//! # Masking
//! E(B−V) = 0 leaves the row's bits as they are. A pixel whose flux or ivar leaves f32, or that is not
//! finite, becomes missing (0, 0); an ivar of 0 stays 0. The mask is untouched.
//!
//! # Shapes
//! [s, p] in place; `ebv_s` [s], SFD magnitudes, finite. |E(B−V)| is limited by k · E(B−V) <= 87, which
//! is 20 mag and more for optical light: beyond it a pixel is missing.
//!
//! # Bound by
//! Memory: 62 kB read, 62 kB written per DESI spectrum; 26 flops per pixel.
//!
//! # Source
//! Fitzpatrick (1999, PASP 111, 63), R_V = 3.1; the SFD scale after Schlafly & Finkbeiner (2011, ApJ
//! 737, 103) as `desiutil.dust.dust_transmission` applies it.

pub(crate) mod cpu;
pub(crate) mod cuda;

use std::f64::consts::LN_10;

use crate::dust::f99_over_av;
use crate::error::check_len;
use crate::{Backend, Grid, KernelError, SpectraBatch};

const OPERATION: &str = "correct_extinction";

/// Scale of SFD's E(B−V) where the curve is normalised at 1 µm (Schlafly & Finkbeiner 2011).
const SFD_SCALE: f64 = 1.029;

/// Wavelength of the normalisation, Å.
const NORM_AA: f64 = 10_000.0;

/// Extinction per unit E(B−V) on a grid, ready to apply.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtinctionCurve {
    /// ln(1/T) per unit E(B−V), [p].
    k_p: Vec<f32>,
}

impl ExtinctionCurve {
    /// The Fitzpatrick (1999) curve, R_V = 3.1, at the pixels of `grid`.
    ///
    /// # Source
    /// [`dust_transmission`], whose logarithm this is.
    pub fn fitzpatrick99(grid: &Grid) -> Self {
        Self { k_p: grid.wave_aa().map(|wave_aa| to_f32(ln_inverse_transmission(wave_aa))).collect() }
    }

    /// ln(1/T) per unit E(B−V), [p].
    pub fn k_p(&self) -> &[f32] {
        &self.k_p
    }
}

/// Share of the light that Galactic dust lets through at a vacuum wavelength, for SFD's E(B−V).
///
/// # Source
/// Fitzpatrick (1999) with R_V = 3.1, A(λ) = 1.029 E(B−V) F99(λ)/F99(1 µm) after Schlafly &
/// Finkbeiner (2011).
pub fn dust_transmission(wave_aa: f64, ebv: f64) -> f64 {
    libm::exp(-ln_inverse_transmission(wave_aa) * ebv)
}

fn ln_inverse_transmission(wave_aa: f64) -> f64 {
    0.4 * LN_10 * SFD_SCALE * f99_over_av(wave_aa) / f99_over_av(NORM_AA)
}

#[expect(clippy::cast_possible_truncation, reason = "the table is stored in f32")]
fn to_f32(k: f64) -> f32 {
    k as f32
}

/// Refuses arrays of other lengths (flux, ivar) than the spectra need, and E(B−V) that is not finite.
pub(crate) fn check<B: Backend>(
    spectra: &SpectraBatch<B>,
    [n_flux, n_ivar]: [usize; 2],
    curve: &ExtinctionCurve,
    ebv_s: &[f32],
) -> Result<(), KernelError> {
    let n = spectra.n_spectra * spectra.n_pixels;
    check_len(OPERATION, "ebv_s", "s", spectra.n_spectra, ebv_s.len())?;
    check_len(OPERATION, "k_p", "p", spectra.n_pixels, curve.k_p.len())?;
    check_len(OPERATION, "flux_sp", "s, p", n, n_flux)?;
    check_len(OPERATION, "ivar_sp", "s, p", n, n_ivar)?;
    if let Some(s) = ebv_s.iter().position(|ebv| !ebv.is_finite()) {
        let what = format!("E(B-V) of row {s} is {}", ebv_s[s]);
        return Err(KernelError::Domain { operation: OPERATION, what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transmission_equals_desiutil() {
        // desiutil 4.0.1, dust_transmission(wave, 0.3); both sides are f64, hence 1e-12.
        let expected = [
            (1200.0, 0.076142765675802),
            (1800.0, 0.15335306634576143),
            (2175.0, 0.0982213411645315),
            (2700.0, 0.21770052340971324),
            (2701.0, 0.21785991491804854),
            (3600.0, 0.31173066918009557),
            (4110.0, 0.3499344714701666),
            (4800.0, 0.40874097551303606),
            (5470.0, 0.4755003522612085),
            (6563.0, 0.5634190973517993),
            (7600.0, 0.6346821526482352),
            (9824.0, 0.7458302905442828),
            (15000.0, 0.865700206838212),
            (30000.0, 0.9463037011065791),
        ];
        for (wave_aa, transmission) in expected {
            let ours = dust_transmission(wave_aa, 0.3);
            assert!((ours / transmission - 1.0).abs() < 1e-12, "{wave_aa} Å: {ours}");
        }
    }

    #[test]
    fn table_is_the_logarithm_of_the_transmission() {
        let curve = ExtinctionCurve::fitzpatrick99(&Grid::DESI);
        assert_eq!(curve.k_p().len(), 7781);
        for (k, wave_aa) in curve.k_p().iter().zip(Grid::DESI.wave_aa()) {
            // Half an ulp of f32.
            assert!((f64::from(*k) / -libm::log(dust_transmission(wave_aa, 1.0)) - 1.0).abs() < 6e-8);
        }
    }
}
