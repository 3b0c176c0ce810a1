//! Synthetic AB photometry through filter curves.
//!
//! ⟨f_ν⟩ = Σ f λ T / (c Σ T/λ) over the good pixels: the photon-counting mean, for which a source of
//! constant f_ν gives that f_ν. In nanomaggies (AB zero point 3631 Jy); f in 1e-17 erg s⁻¹ cm⁻² Å⁻¹.
//! var = Σ (λT)²/ivar / (c Σ T/λ)². The pixel width is common and cancels.
//!
//! Missing pixels, and the part of a curve that lies off the grid, are left out of both sums:
//! coverage = Σ T/λ over good pixels / Σ T/λ over the whole curve says how much was there.
//!
//! # Shapes
//! rows [s], curves [f] → each output [s, f].
//! # Masking
//! Coverage below [`MIN_COVERAGE`] leaves the flux missing ([`flag::COVERAGE`](crate::flag)).
//! # Order of summation
//! f64; 32 lanes, lane = (pixel − first pixel of the curve) mod 32, then the halving tree.
//! # Source
//! Fukugita et al. 1996 AJ 111 1748 eq. 7; Bessell & Murphy 2012 PASP 124 140 (photon weighting);
//! Oke & Gunn 1983 ApJ 266 713 (AB).

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::band::check_rows;
use crate::error::check_len;
use crate::{Backend, Grid, KernelError, constants};

/// Least share of a curve's weight on good pixels (a z band that ends at 9824 Å has 0.9).
pub const MIN_COVERAGE: f64 = constants::CURVE_MIN_COVERAGE;

const OPERATION: &str = "synthetic_fluxes";

/// A filter curve on the pixels of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterCurve {
    /// First pixel with a response.
    pub(crate) first_pixel: usize,
    /// λT per pixel from there on.
    pub(crate) energy_p: Vec<f64>,
    /// T/λ per pixel.
    pub(crate) photon_p: Vec<f64>,
    /// Σ T/λ over the whole curve, in steps of the grid's pixel.
    pub(crate) total_photon: f64,
    /// Pixels of the grid it was made for.
    pub(crate) n_pixels: usize,
}

/// Synthetic fluxes, [s, f] each; missing = value 0, ivar 0 and a flag.
pub struct Synthetic<B: Backend> {
    /// Nanomaggies.
    pub flux_sf: B::Array<f32>,
    /// Their inverse variance.
    pub ivar_sf: B::Array<f32>,
    /// Share of the curve's weight on good pixels.
    pub coverage_sf: B::Array<f32>,
    /// [`flag`](crate::flag) bits.
    pub flag_sf: B::Array<u8>,
}

/// Refuses arrays, rows or curves that the operation cannot take.
pub(crate) fn check_request(
    (n_spectra, n_pixels): (usize, usize),
    lengths: [(&'static str, usize); 2],
    rows: &[usize],
    curves: &[FilterCurve],
) -> Result<(), KernelError> {
    let grid = Grid { n_pixels, ..Grid::DESI };
    let at_rest: Vec<(usize, f64)> = rows.iter().map(|&s| (s, 0.0)).collect();
    check_rows(OPERATION, (n_spectra, n_pixels), lengths, &grid, &at_rest)?;
    curves.iter().try_for_each(|curve| check_len(OPERATION, "curve", "p", n_pixels, curve.n_pixels))
}

impl FilterCurve {
    /// The curve given by samples (linear between, 0 outside) at the grid's pixel centres, and at
    /// the same spacing beyond the grid's ends.
    ///
    /// # Errors
    /// [`KernelError::Domain`] where there are fewer than two samples, wavelengths do not increase,
    /// a number is not finite, a response is negative or zero throughout, or there is none at a pixel's centre.
    pub fn on_grid(grid: &Grid, wave_aa: &[f64], response: &[f64]) -> Result<Self, KernelError> {
        let operation = "FilterCurve::on_grid";
        let domain = |what: String| Err(KernelError::Domain { operation, what });
        let (&[first_aa, .., last_aa], true) = (wave_aa, wave_aa.len() == response.len()) else {
            return domain(format!("{} wavelengths for {} responses", wave_aa.len(), response.len()));
        };
        let increasing = wave_aa.windows(2).all(|pair| pair[0] < pair[1]);
        if !increasing || first_aa <= 0.0 || !last_aa.is_finite() {
            return domain("wavelengths that do not increase from above 0".to_owned());
        }
        if !response.iter().all(|t| t.is_finite() && *t >= 0.0) || response.iter().all(|&t| t <= 0.0) {
            return domain("responses that are negative, not finite, or 0 throughout".to_owned());
        }
        // Pixels before the grid have negative numbers: count them from the curve's first.
        let before = ((grid.first_aa - first_aa) / grid.step_aa).ceil().max(0.0);
        let start_aa = grid.first_aa - before * grid.step_aa;
        let mut curve = Self {
            first_pixel: grid.n_pixels,
            energy_p: Vec::new(),
            photon_p: Vec::new(),
            total_photon: 0.0,
            n_pixels: grid.n_pixels,
        };
        let waves = (0_u32..).map(|i| (i, start_aa + f64::from(i) * grid.step_aa));
        for (i, wave) in waves.take_while(|&(_, wave)| wave <= last_aa) {
            let t = interpolated(wave, wave_aa, response);
            curve.total_photon += t / wave;
            let pixel = f64::from(i) - before;
            if pixel < 0.0 || pixel >= grid.n_pixels as f64 {
                continue;
            }
            if t > 0.0 || !curve.energy_p.is_empty() {
                curve.energy_p.push(wave * t);
                curve.photon_p.push(t / wave);
                curve.first_pixel = curve.first_pixel.min(crate::band::clamp_to_pixel(pixel, grid));
            }
        }
        if !(curve.total_photon > 0.0 && curve.total_photon.is_finite()) {
            return domain(format!("responses at the pixels' centres that add up to {}", curve.total_photon));
        }
        Ok(curve)
    }
}

/// Linear between samples, 0 outside.
fn interpolated(x: f64, x_i: &[f64], y_i: &[f64]) -> f64 {
    let after = x_i.partition_point(|&sample| sample <= x);
    match after {
        0 => 0.0,
        i if i == x_i.len() => {
            if x > x_i[i - 1] {
                0.0
            } else {
                y_i[i - 1]
            }
        }
        i => {
            let share = (x - x_i[i - 1]) / (x_i[i] - x_i[i - 1]);
            y_i[i - 1] + share * (y_i[i] - y_i[i - 1])
        }
    }
}
