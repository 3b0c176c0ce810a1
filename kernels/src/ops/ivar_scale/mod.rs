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

use crate::Backend;

/// Fewest pulls that determine a scale (7 % at this number).
pub const MIN_PIXELS: usize = 1000;

/// 1 / Φ⁻¹(3/4): standard deviations per median absolute deviation of a normal variable.
pub const SIGMA_PER_MAD: f64 = 1.482_602_218_505_602;

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
