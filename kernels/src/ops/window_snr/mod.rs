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

use std::ops::Range;

use crate::band::{Frame, check_bands, check_rows, clamp_to_pixel};
use crate::{Backend, Band, Grid, KernelError, SpectraBatch};

const OPERATION: &str = "median_snr_windows";

/// Median S/N per window, [s, i] each; missing = 0 and a flag.
pub struct WindowSnr<B: Backend> {
    /// Median S/N per √Å.
    pub snr_si: B::Array<f32>,
    /// [`flag`](crate::flag) bits.
    pub flag_si: B::Array<u8>,
}

/// The pixels whose centres lie in a window, `None` where it is not wholly on the grid.
pub(crate) fn pixels(frame: &Frame<'_>, window: Band) -> Option<Range<usize>> {
    let span = frame.span(window);
    // Pixel p is centred on p + 1/2.
    let from = |edge: f64| clamp_to_pixel((edge - 0.5).ceil(), frame.grid);
    span.is_on(frame.grid).then(|| from(span.lo)..from(span.hi))
}

/// Refuses lengths (flux, ivar), rows and windows that the operation cannot take.
pub(crate) fn check<B: Backend>(
    observed: &SpectraBatch<B>,
    [n_flux, n_ivar]: [usize; 2],
    grid: &Grid,
    rows: &[(usize, f64)],
    windows: &[Band],
) -> Result<(), KernelError> {
    let lengths = [("flux_sp", n_flux), ("ivar_sp", n_ivar)];
    check_rows(OPERATION, (observed.n_spectra, observed.n_pixels), lengths, grid, rows)?;
    check_bands(OPERATION, windows.iter().copied())
}
