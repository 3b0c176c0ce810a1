//! Emission lines in windows: direct flux and equivalent width above a local linear continuum.
//!
//! On the observed pixels, x = pixel centre − centre of the window (pixels), φ the fraction of a
//! pixel inside a band, w its ivar, Δ the pixel width (Å):
//!
//! 1. **Continuum** c(x) = θ₀ + θ₁x minimises Σ φ w (f − c)² over the good pixels of both sidebands
//!    (2 × 2 normal equations M θ = Σ φ w f (1, x)).
//! 2. **Bridging.** A missing pixel inside the window takes the straight line in (f − c) between the
//!    nearest good pixels of the window on either side (the nearest one where the other side has
//!    none). Each good pixel so gets a weight g ≥ φ: its own fraction plus its shares of the pixels
//!    that it stands in for.
//! 3. **Flux** F = Δ Σ g (f − c) over the window's good pixels.
//! 4. **Equivalent width** EW = F / (C (1 + z)), emission > 0, rest frame, with C = c at the line's
//!    wavelength.
//!
//! Errors: F/Δ = Σ g f − Σ (uᵀ(1, x)) φ w f and C = Σ (vᵀ(1, x)) φ w f, the latter sums over the sidebands,
//! with u = M⁻¹ (Σg, Σgx) and v = M⁻¹ (1, x_line). With N = Σ φ² w (1, x)(1, x)ᵀ over the sidebands and
//! s(a) = Σ g (aᵀ(1, x)) φ over the pixels that window and sidebands share:
//! var(F/Δ) = Σ g²/w − 2 s(u) + uᵀNu, cov(F/Δ, C) = s(v) − uᵀNv, var(C) = vᵀNv, and
//! var(EW) = (var(F) − 2 (F/C) cov(F, C) + (F/C)² var(C)) / (C (1 + z))².
//!
//! # Shapes
//! rows [s], lines [l] → each output [s, l].
//! # Units
//! Flux: flux unit × Å, observed frame. EW: rest-frame Å. Continuum: flux unit.
//! # Masking
//! Window and sidebands must lie wholly on the grid (else [`flag::OUT_OF_RANGE`](crate::flag)); good
//! pixels must cover [`MIN_GOOD_WINDOW`] of the window and [`MIN_GOOD_SIDEBAND`] of each sideband (else
//! `COVERAGE`). C ≤ 0 leaves EW alone missing (`CONTINUUM`). `PARTIAL`: some of the window was
//! bridged. Lines declared blended are not measured (`BLENDED`).
//! # Order of summation
//! f64; 32 lanes, lane = (pixel − first pixel of that band) mod 32, then the halving tree. Sums over
//! both sidebands add blue, then red; bridging and sums over shared pixels go in order of pixels.
//! # Source
//! Definition of the direct flux and its error terms: Bolton et al. 2012 AJ 144 144 and
//! Cardiel et al. 1998 A&AS 127 597, with the continuum's covariance kept.

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::band::{check_bands, check_rows};
use crate::{Backend, Band, Grid, KernelError, constants};

/// Least share of the window's width that good pixels must cover.
pub const MIN_GOOD_WINDOW: f64 = constants::LINE_MIN_GOOD_WINDOW;

/// Least share of each sideband's width that good pixels must cover.
pub const MIN_GOOD_SIDEBAND: f64 = constants::LINE_MIN_GOOD_SIDEBAND;

const OPERATION: &str = "measure_lines";

/// The bands of a line, rest frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineBands {
    /// Where the continuum of the equivalent width is taken, vacuum Å.
    pub wave_aa: f64,
    /// What the flux is summed over.
    pub window: Band,
    /// The blue sideband.
    pub blue: Band,
    /// The red sideband.
    pub red: Band,
    /// Its window overlaps another line's, and a group measures both.
    pub blended: bool,
}

/// Measured lines, [s, l] each; missing = value 0, ivar 0 and a flag.
pub struct Lines<B: Backend> {
    /// Flux above the continuum.
    pub flux_sl: B::Array<f32>,
    /// Its inverse variance.
    pub flux_ivar_sl: B::Array<f32>,
    /// Rest-frame equivalent width, emission > 0.
    pub ew_sl: B::Array<f32>,
    /// Its inverse variance.
    pub ew_ivar_sl: B::Array<f32>,
    /// Continuum at the line.
    pub continuum_sl: B::Array<f32>,
    /// Its inverse variance.
    pub continuum_ivar_sl: B::Array<f32>,
    /// Share of the window's width that good pixels cover; 0 where a band is off the grid.
    pub good_fraction_sl: B::Array<f32>,
    /// [`flag`](crate::flag) bits.
    pub flag_sl: B::Array<u8>,
}

/// Refuses arrays, rows or bands that the operation cannot take.
pub(crate) fn check_request(
    shape: (usize, usize),
    lengths: [(&'static str, usize); 2],
    grid: &Grid,
    rows: &[(usize, f64)],
    lines: &[LineBands],
) -> Result<(), KernelError> {
    check_rows(OPERATION, shape, lengths, grid, rows)?;
    check_bands(OPERATION, lines.iter().flat_map(|l| [l.window, l.blue, l.red]))?;
    if let Some(line) = lines.iter().find(|line| line.blue.hi_aa >= line.red.lo_aa) {
        let what = format!("sidebands of the line at {} Å overlap", line.wave_aa);
        return Err(KernelError::Domain { operation: OPERATION, what });
    }
    Ok(())
}
