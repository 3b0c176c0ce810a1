//! Moves spectra to the rest frame and rebins them onto a logarithmic grid by exact bin means.
//!
//! # Equation
//! g is piecewise linear through the pixels' centres, with one zero node beyond each end and 0 farther
//! out. On the pixel index axis u = (λ_rest (1+z) − first)/step an output bin is [u_j, u_j+1], its edges
//! the arithmetic midpoints of the centres (end bins symmetric). With A = ∫ f·w du and B = ∫ w du over
//! the bin: flux = (1+z) · A/B, ivar = B / (1+z)². This is `resample_flux`'s S(f·w)/S(w) and
//! S(w/Δx)·Δx_out, because on a uniform input grid the bin widths cancel; the factors are
//! f_rest = (1+z) f and ivar_rest = ivar/(1+z)². Information per Å is conserved, neighbouring bins are
//! correlated, a bin partly outside the data tapers.
//!
//! # Masking
//! A pixel with ivar <= 0, or with flux or ivar not finite, is a node of value 0 in both sums. A bin with
//! B = 0, or whose result leaves f32, is missing (0, 0). The output keeps no mask.
//!
//! # Shapes
//! [s, p] and `rows` (row of the input, redshift) [t] → [t, b].
//!
//! # Order of summation
//! u = fma(edge, (1+z)/step, 1 − first/step) in f64, clamped to [0, p + 1] (node 0 is the left zero
//! node); i = ⌊u⌋; t = u − i and h = (i + 1) − u in f64, each rounded to f32. With g_i the nodes, a bin
//! from edge j to k = j + 1 is, in f32,
//!
//! - across cells (i_j < i_k): R + c_(i_j + 1) + … + c_(i_k − 1) + L, added in this order, of the right
//!   part R = h_j · fma(0.5·h_j, g_i − g_i+1, g_i+1) at i = i_j, whole cells c_i = 0.5·(g_i + g_i+1), and
//!   the left part L = t_k · fma(0.5·t_k, g_i+1 − g_i, g_i) at i = i_k;
//! - inside one cell: f32(u_k − u_j) · fma(0.5·(t_j + t_k), g_i+1 − g_i, g_i).
//!
//! The nodes of A are the f32 products f·w.
//!
//! # Bound by
//! The loads at each edge on the CPU: 62 kB read, 8 bytes per bin written, about 40 flops per bin.
//!
//! # Source
//! `desispec.interpolation.resample_flux`; redrock's `trapz_rebin` is the same mean.

pub(crate) mod cpu;
pub(crate) mod cuda;

use std::ops::RangeInclusive;

use crate::error::check_len;
use crate::{Backend, Grid, KernelError, SpectraBatch};

const OPERATION: &str = "to_rest_frame";

/// A rest-frame grid of bins equally wide in log10 λ; equal widths share their bins.
///
/// Bin b is centred on 10^((first_index + b) · dlog10) Å.
#[derive(Debug, Clone, PartialEq)]
pub struct RestGrid {
    dlog10: f64,
    first_index: i64,
    wave_b: Vec<f64>,
    edge_aa: Vec<f64>,
}

impl RestGrid {
    /// Width of a bin in log10 λ of the project's grids.
    pub const DLOG10: f64 = 1e-4;

    /// The bins whose centres lie in `min_aa..=max_aa`.
    ///
    /// # Errors
    /// [`KernelError::Domain`] where the limits or the width are not positive and finite, or hold fewer
    /// than 2 bins or more than a million.
    pub fn log10(min_aa: f64, max_aa: f64, dlog10: f64) -> Result<Self, KernelError> {
        let refuse = |what: String| Err(KernelError::Domain { operation: OPERATION, what });
        if !(min_aa > 0.0 && max_aa > min_aa && max_aa.is_finite() && dlog10 > 0.0 && dlog10.is_finite()) {
            return refuse(format!("no grid runs from {min_aa} to {max_aa} Å in steps of {dlog10} dex"));
        }
        // A limit that is a centre up to rounding counts as one.
        let first = libm::ceil(libm::log10(min_aa) / dlog10 - 1e-6);
        let last = libm::floor(libm::log10(max_aa) / dlog10 + 1e-6);
        let allowed: RangeInclusive<f64> = 1.0..=1e6;
        if !allowed.contains(&(last - first)) || first.abs() > 1e9 {
            return refuse(format!("{min_aa} to {max_aa} Å in steps of {dlog10} dex is not 2 to 1e6 bins"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "both are whole and within 1e9, checked above")]
        let indices = first as i64..=last as i64;
        let first_index = *indices.start();
        let wave_b: Vec<f64> = indices.map(|i| libm::pow(10.0, i as f64 * dlog10)).collect();
        let edge_aa = edges(&wave_b);
        Ok(Self { dlog10, first_index, wave_b, edge_aa })
    }

    /// Number of bins.
    pub fn n_bins(&self) -> usize {
        self.wave_b.len()
    }

    /// Width of a bin in log10 λ.
    pub fn dlog10(&self) -> f64 {
        self.dlog10
    }

    /// log10 of the first bin's centre in Å.
    pub fn first_log10(&self) -> f64 {
        self.first_index as f64 * self.dlog10
    }

    /// Centres of the bins, vacuum Å, [b].
    pub fn wave_aa(&self) -> &[f64] {
        &self.wave_b
    }

    /// Edges of the bins, vacuum Å, [b + 1].
    pub fn edge_aa(&self) -> &[f64] {
        &self.edge_aa
    }
}

/// Arithmetic midpoints; the end bins are symmetric about their centres.
fn edges(wave_b: &[f64]) -> Vec<f64> {
    let n = wave_b.len();
    let mut edge_aa = Vec::with_capacity(n + 1);
    edge_aa.push(1.5 * wave_b[0] - 0.5 * wave_b[1]);
    edge_aa.extend(wave_b.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])));
    edge_aa.push(1.5 * wave_b[n - 1] - 0.5 * wave_b[n - 2]);
    edge_aa
}

/// The map from rest-frame Å to nodes, and the factors of one redshift.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shift {
    pub(crate) nodes_per_aa: f64,
    pub(crate) node_at_zero: f64,
    pub(crate) flux_factor: f32,
    pub(crate) ivar_factor: f32,
}

impl Shift {
    pub(crate) fn new(grid: &Grid, z: f64) -> Result<Self, KernelError> {
        let one_z = 1.0 + z;
        let (flux_factor, ivar_factor) = factors(one_z);
        if !(one_z > 0.0 && flux_factor.is_normal() && ivar_factor.is_normal()) {
            let what = format!("no spectrum can be moved to the rest frame of z = {z}");
            return Err(KernelError::Domain { operation: OPERATION, what });
        }
        let (nodes_per_aa, node_at_zero) = (one_z / grid.step_aa, 1.0 - grid.first_aa / grid.step_aa);
        if !(nodes_per_aa > 0.0 && nodes_per_aa.is_finite() && node_at_zero.is_finite()) {
            let what = format!("pixels from {} Å in steps of {} Å are no grid", grid.first_aa, grid.step_aa);
            return Err(KernelError::Domain { operation: OPERATION, what });
        }
        Ok(Self { nodes_per_aa, node_at_zero, flux_factor, ivar_factor })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "spectra are stored in f32")]
fn factors(one_z: f64) -> (f32, f32) {
    (one_z as f32, (1.0 / (one_z * one_z)) as f32)
}

/// Every row with its shift; refuses lengths (flux, ivar), rows and redshifts that the operation cannot take.
pub(crate) fn check<B: Backend>(
    observed: &SpectraBatch<B>,
    [n_flux, n_ivar]: [usize; 2],
    grid: &Grid,
    rows: &[(usize, f64)],
) -> Result<Vec<(usize, Shift)>, KernelError> {
    let (n_spectra, n_pixels) = (observed.n_spectra, observed.n_pixels);
    check_len(OPERATION, "grid", "p", n_pixels, grid.n_pixels)?;
    check_len(OPERATION, "flux_sp", "s, p", n_spectra * n_pixels, n_flux)?;
    check_len(OPERATION, "ivar_sp", "s, p", n_spectra * n_pixels, n_ivar)?;
    let shift = |&(s, z): &(usize, f64)| {
        if s >= n_spectra {
            let what = format!("row {s} of {n_spectra} spectra");
            return Err(KernelError::Domain { operation: OPERATION, what });
        }
        Ok((s, Shift::new(grid, z)?))
    };
    rows.iter().map(shift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_of_one_width_share_their_bins() {
        let qso = RestGrid::log10(912.0, 7000.0, RestGrid::DLOG10).expect("a valid grid");
        let galaxy = RestGrid::log10(2400.0, 9800.0, RestGrid::DLOG10).expect("a valid grid");
        let offset = usize::try_from(galaxy.first_index - qso.first_index).expect("galaxies start redder");
        assert_eq!(qso.wave_aa()[offset..][..100], galaxy.wave_aa()[..100]);
        assert!((912.0..912.3).contains(&qso.wave_aa()[0]));
        assert!((6998.0..=7000.0).contains(&qso.wave_aa()[qso.n_bins() - 1]));
        assert_eq!(qso.edge_aa().len(), qso.n_bins() + 1);
    }

    #[test]
    fn limits_that_are_centres_are_included() {
        let grid = RestGrid::log10(1000.0, 10_000.0, 1e-3).expect("a valid grid");
        assert_eq!(grid.n_bins(), 1001);
        assert!((grid.first_log10() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn edges_are_midpoints_and_end_bins_symmetric() {
        let grid = RestGrid::log10(1000.0, 10_000.0, 0.1).expect("a valid grid");
        let (wave, edge) = (grid.wave_aa(), grid.edge_aa());
        let n = grid.n_bins();
        // f64 rounding of a few numbers near 1e4.
        let same = |a: f64, b: f64| (a - b).abs() < 1e-11;
        assert!((1..n).all(|b| same(edge[b] - wave[b - 1], wave[b] - edge[b])));
        assert!(same(wave[0] - edge[0], edge[1] - wave[0]));
        assert!(same(wave[n - 1] - edge[n - 1], edge[n] - wave[n - 1]));
    }

    #[test]
    fn senseless_grids_are_refused() {
        for (min, max, d) in [
            (0.0, 1.0, 1e-4),
            (2.0, 1.0, 1e-4),
            (1.0, f64::NAN, 1e-4),
            (1.0, 2.0, 0.0),
            (1.0, 2.0, 1.0),
            (1.0, 2.0, 1e-9),
        ] {
            assert!(
                matches!(RestGrid::log10(min, max, d), Err(KernelError::Domain { .. })),
                "{min} {max} {d}"
            );
        }
    }

    #[test]
    fn senseless_redshifts_and_pixels_are_refused() {
        for z in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -2.0, 1e30] {
            assert!(matches!(Shift::new(&Grid::DESI, z), Err(KernelError::Domain { .. })), "z = {z}");
        }
        assert!(Shift::new(&Grid::DESI, -0.002).is_ok());
        for step_aa in [0.0, -0.8, f64::NAN, f64::INFINITY] {
            let grid = Grid { step_aa, ..Grid::DESI };
            assert!(matches!(Shift::new(&grid, 0.5), Err(KernelError::Domain { .. })), "step {step_aa}");
        }
    }
}
