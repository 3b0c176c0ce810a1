//! How far the stated inverse variances are from the observed scatter, per arm.
//!
//! Over the good pixels of an arm's range where the running-median continuum c is valid, the pulls
//! are r = (f − c) √w. With m = median(r), S = 1.4826 · median|r − m| is their robust standard deviation
//! (1.4826… = 1/Φ⁻¹(¾)), and the scale is s = 1/S²: the ivar that fits the scatter is s · ivar. s < 1
//! where the noise is understated, and also where the spectrum has structure narrower than the
//! median's width: read it on faint or smooth spectra. For n pixels of pure noise s scatters by
//! 2 · 1.167/√n about 1; the continuum's own noise adds 0.4/window, which is left out.
//!
//! # Shapes
//! rows [s] (those that the continuum was made for), arms [a] → each output [s, a].
//! # Masking
//! Fewer than [`MIN_PIXELS`] pulls leave the scale missing ([`flag::COVERAGE`](crate::flag)), a scatter of
//! 0 too (`DEGENERATE`).
//! # Order of summation
//! None: order statistics, in f64 (even numbers average the middle two), rounded to f32 once.
//! # Source
//! Hampel 1974 JASA 69 383 (the median absolute deviation).

pub(crate) mod cpu;
pub(crate) mod cuda;

use std::ops::Range;

use crate::band::check_rows;
use crate::error::check_len;
use crate::{Backend, Grid, KernelError, constants};

const OPERATION: &str = "ivar_scale";

/// Fewest pulls that determine a scale (7 % at this number).
pub const MIN_PIXELS: usize = constants::SCALE_MIN_PIXELS as usize;

/// 1 / Φ⁻¹(3/4): standard deviations per median absolute deviation of a normal variable.
pub const SIGMA_PER_MAD: f64 = constants::SIGMA_PER_MAD;

/// Pixels of each arm on the combined grid that no other arm shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmRanges {
    /// Pixel ranges.
    pub pixels_a: Vec<Range<usize>>,
}

/// ivar scales, [s, a] each; missing = 0 and a flag.
pub struct IvarScale<B: Backend> {
    /// s: multiply ivar by it.
    pub scale_sa: B::Array<f32>,
    /// Pixels it rests on.
    pub n_pixels_sa: B::Array<u32>,
    /// [`flag`](crate::flag) bits.
    pub flag_sa: B::Array<u8>,
}

/// Refuses lengths (flux, ivar; the continuum's flux, valid and own shape), rows and arms that do not belong
/// together.
pub(crate) fn check(
    (n_spectra, n_pixels): (usize, usize),
    [n_flux, n_ivar]: [usize; 2],
    rows: &[(usize, f64)],
    of_continuum: [usize; 3],
    arms: &ArmRanges,
) -> Result<(), KernelError> {
    let grid = Grid { n_pixels, ..Grid::DESI };
    let lengths = [("flux_sp", n_flux), ("ivar_sp", n_ivar)];
    check_rows(OPERATION, (n_spectra, n_pixels), lengths, &grid, rows)?;
    let names = ["continuum.flux_sp", "continuum.valid_sp", "continuum.n_pixels"];
    for (array, actual) in names.into_iter().zip(of_continuum) {
        check_len(OPERATION, array, "s, p", rows.len() * n_pixels, actual)?;
    }
    for Range { start, end } in &arms.pixels_a {
        if start > end || *end > n_pixels {
            let what = format!("arm of pixels {start} to {end} on a grid of {n_pixels}");
            return Err(KernelError::Domain { operation: OPERATION, what });
        }
    }
    Ok(())
}
