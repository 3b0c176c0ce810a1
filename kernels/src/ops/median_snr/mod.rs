//! Median signal-to-noise of each arm, before the arms are combined, as DESI's SCORES define it.
//!
//! # Equation
//! median over the arm's pixels inside its range of √ivar · flux / √Δλ, per √Å; f64 from the stored f32,
//! then rounded to f32. Δλ is the grid's step (`numpy.gradient` of a uniform grid). Of an even count,
//! the mean of the middle two.
//!
//! # Masking
//! A pixel with ivar <= 0, or with flux or ivar not finite, counts as 0. MASK plays no part.
//! An arm that is absent, or has no pixel in its range, gives 0: the caller knows it from the layout
//! ([`SnrRanges::pixels`] is empty) and stores NULL.
//!
//! # Shapes
//! Per arm [s, p_arm] → [s, 3] in the order b, r, z.
//!
//! # Order of summation
//! None: a median is the same in any order (values are ordered by `total_cmp`, −0 counts as 0).
//!
//! # Bound by
//! Selection: about 60 kB read and 3 selections among 2250 to 2750 values per spectrum.
//!
//! # Source
//! `desispec.specscore`: MEDIAN_COADD_SNR_{B,R,Z}.

pub(crate) mod cpu;
pub(crate) mod cuda;

use std::ops::Range;

use crate::error::check_len;
use crate::{ArmSpectra, Backend, Grid, KernelError};

const OPERATION: &str = "median_snr_arms";

/// Half-open wavelength ranges of the three arms, Å.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SnrRanges {
    /// Per arm b, r, z: from (included) and to (excluded), vacuum Å.
    pub range_aa: [(f64, f64); 3],
}

impl Default for SnrRanges {
    /// SCORES' ranges: b [4000, 5800), r [5800, 7600), z [7600, 9800).
    fn default() -> Self {
        Self { range_aa: [(4000.0, 5800.0), (5800.0, 7600.0), (7600.0, 9800.0)] }
    }
}

impl SnrRanges {
    /// The pixels of `arm` (0 to 2), counted from its own first pixel, whose centres lie in its range.
    ///
    /// Empty where the arm is absent. A centre within 1e-6 pixel of a limit counts as on it, as
    /// wavelengths read from files carry rounding.
    pub fn pixels(&self, grid: &Grid, arm: usize, layout_a: &[(usize, usize); 3]) -> Range<usize> {
        let (first_pixel, n_pixels) = layout_a[arm];
        let (from_aa, to_aa) = self.range_aa[arm];
        let below = |limit_aa: f64| {
            let slack_aa = 1e-6 * grid.step_aa;
            (0..n_pixels).take_while(|p| grid.centre_aa(first_pixel + p) < limit_aa - slack_aa).count()
        };
        let from = below(from_aa);
        from..below(to_aa).max(from)
    }
}

/// 1 / √Δλ.
pub(crate) fn per_root_aa(grid: &Grid) -> f64 {
    1.0 / grid.step_aa.sqrt()
}

/// Refuses arms whose lengths (flux, ivar) are not what their layout needs.
pub(crate) fn check<B: Backend>(arms: &ArmSpectra<B>, lengths_a: [[usize; 2]; 3]) -> Result<(), KernelError> {
    for ((_, n), [n_flux, n_ivar]) in arms.layout_a.iter().zip(lengths_a) {
        check_len(OPERATION, "flux_asp", "s, p", arms.n_spectra * n, n_flux)?;
        check_len(OPERATION, "ivar_asp", "s, p", arms.n_spectra * n, n_ivar)?;
    }
    Ok(())
}
