//! Median signal-to-noise ratio in rest-frame windows of the combined spectrum.
//!
//! S/N = median of f √w / √Δ over the observed pixels whose centres λ satisfy
//! lo (1 + z) ≤ λ < hi (1 + z): the quantity that SCORES calls MEDIAN_COADD_SNR, per √Å, in another
//! window. Missing pixels count, as zeros, as they do there. An even number averages the middle two.
//!
//! # Shapes
//! rows [s], windows [i] → each output [s, i].
//! # Masking
//! The window must lie wholly on the grid (else [`flag::OUT_OF_RANGE`](crate::flag)) with at least half
//! of its pixels good (else `COVERAGE`: the zeros would be the median).
//! # Order of summation
//! None: an order statistic, in f64, rounded to f32 once.
//! # Source
//! desispec `specscore` (the definition); windows: Shen et al. 2011 ApJS 194 45 and this project.

pub(crate) mod cpu;
pub(crate) mod cuda;

use crate::Backend;

/// Median S/N per window, [s, i] each; missing = 0 and a flag.
pub struct WindowSnr<B: Backend> {
    /// Median S/N per √Å.
    pub snr_si: B::Array<f32>,
    /// [`flag`](crate::flag) bits.
    pub flag_si: B::Array<u8>,
}
