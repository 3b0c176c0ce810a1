//! The recipe book: every operation once, no default bodies.

use std::ops::Range;

use crate::ops::breaks::{BreakBands, Breaks};
use crate::ops::combine_arms::MaskRule;
use crate::ops::continuum::Continuum;
use crate::ops::count_pixels::PixelCounts;
use crate::ops::extinction::ExtinctionCurve;
use crate::ops::indices::{IndexBands, Indices};
use crate::ops::ivar_scale::{ArmRanges, IvarScale};
use crate::ops::lines::{LineBands, Lines};
use crate::ops::median_snr::SnrRanges;
use crate::ops::nearest_neighbors::Neighbors;
use crate::ops::normalize::Normalized;
use crate::ops::project::Projection;
use crate::ops::rest_frame::RestGrid;
use crate::ops::synthetic::{FilterCurve, Synthetic};
use crate::ops::update_basis::BasisUpdate;
use crate::ops::window_snr::WindowSnr;
use crate::{ArmSpectra, Band, DeviceInfo, Grid, KernelError, MemoryInfo, SpectraBatch, Weighted};

/// A number that lives in device memory.
pub trait Element: Copy + Default + Send + Sync + PartialEq + std::fmt::Debug + 'static {}

impl Element for f32 {}
impl Element for f64 {}
impl Element for u8 {}
impl Element for u32 {}
impl Element for u64 {}
impl Element for i32 {}

/// A device that can do everything: every implementation gives the same bits.
///
/// Each operation's contract (equation, shapes, order of summation, source) stands at the head of
/// its folder under `ops/`.
pub trait Backend: Sync + Sized {
    /// Memory of the device.
    type Array<T: Element>: Send + Sync;

    /// What this backend runs on.
    fn info(&self) -> DeviceInfo;

    /// The device's memory, where it has its own.
    fn memory(&self) -> Option<MemoryInfo>;

    /// Copies host memory to the device.
    ///
    /// # Errors
    /// Where the device refuses the memory.
    fn upload<T: Element>(&self, host: &[T]) -> Result<Self::Array<T>, KernelError>;

    /// Copies device memory to the host.
    ///
    /// # Errors
    /// Where the copy fails.
    fn download<T: Element>(&self, array: &Self::Array<T>) -> Result<Vec<T>, KernelError>;

    /// Moves device memory to the host; no copy where they are the same.
    ///
    /// # Errors
    /// Where the copy fails.
    fn fetch<T: Element>(&self, array: Self::Array<T>) -> Result<Vec<T>, KernelError>;

    /// Does `work` on some rows in pieces that suit the device, and returns what they gave in the order of the
    /// rows: on the CPU a piece stays in the caches of the one thread that works on it, a card takes all at once.
    ///
    /// # Errors
    /// That of the first piece with one.
    fn in_pieces<T: Send, E: Send>(
        &self,
        rows: Range<usize>,
        work: impl Fn(Range<usize>) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E>;

    /// Waits until every operation asked for so far is done.
    ///
    /// # Errors
    /// Where one of them failed.
    fn synchronize(&self) -> Result<(), KernelError>;

    /// Combines the arms into one spectrum on `grid`: [`crate::ops::combine_arms`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn combine_arms(
        &self,
        arms: &ArmSpectra<Self>,
        grid: &Grid,
        rule: MaskRule,
    ) -> Result<SpectraBatch<Self>, KernelError>;

    /// Median S/N of each arm as SCORES defines it, [s, 3]: [`crate::ops::median_snr`].
    ///
    /// # Errors
    /// [`KernelError::Shape`].
    fn median_snr_arms(
        &self,
        arms: &ArmSpectra<Self>,
        grid: &Grid,
        ranges: &SnrRanges,
    ) -> Result<Self::Array<f32>, KernelError>;

    /// Good and masked pixels of each spectrum, [s]: [`crate::ops::count_pixels`].
    ///
    /// # Errors
    /// [`KernelError::Shape`].
    fn count_pixels(&self, spectra: &SpectraBatch<Self>) -> Result<PixelCounts<Self>, KernelError>;

    /// Removes Galactic extinction in place: [`crate::ops::extinction`].
    ///
    /// # Errors
    /// [`KernelError::Shape`].
    fn correct_extinction(
        &self,
        spectra: &mut SpectraBatch<Self>,
        curve: &ExtinctionCurve,
        ebv_s: &[f32],
    ) -> Result<(), KernelError>;

    /// Rebins chosen rows onto a rest-frame grid: [`crate::ops::rest_frame`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn to_rest_frame(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        rest: &RestGrid,
    ) -> Result<SpectraBatch<Self>, KernelError>;

    /// D4000-like breaks of chosen rows (row, z), [s, i]: [`crate::ops::breaks`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn measure_breaks(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        breaks: &[BreakBands],
    ) -> Result<Breaks<Self>, KernelError>;

    /// Absorption indices of chosen rows (row, z), [s, i]: [`crate::ops::indices`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn measure_indices(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        indices: &[IndexBands],
    ) -> Result<Indices<Self>, KernelError>;

    /// Line fluxes and widths of chosen rows (row, z), [s, l]: [`crate::ops::lines`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn measure_lines(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        lines: &[LineBands],
    ) -> Result<Lines<Self>, KernelError>;

    /// Running-median continuum of chosen rows (row, z), [s, p]: [`crate::ops::continuum`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn running_median(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        width_aa: f64,
    ) -> Result<Continuum<Self>, KernelError>;

    /// Median S/N in rest-frame windows of chosen rows (row, z), [s, i]: [`crate::ops::window_snr`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn median_snr_windows(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        windows: &[Band],
    ) -> Result<WindowSnr<Self>, KernelError>;

    /// ivar scale per arm of the rows that `continuum` was made for: [`crate::ops::ivar_scale`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn ivar_scale(
        &self,
        observed: &SpectraBatch<Self>,
        rows: &[(usize, f64)],
        continuum: &Continuum<Self>,
        arms: &ArmRanges,
    ) -> Result<IvarScale<Self>, KernelError>;

    /// Synthetic AB fluxes of chosen rows, [s, f]: [`crate::ops::synthetic`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn synthetic_fluxes(
        &self,
        observed: &SpectraBatch<Self>,
        rows: &[usize],
        curves: &[FilterCurve],
    ) -> Result<Synthetic<Self>, KernelError>;

    /// Divides spectra by their share of a mean and takes it off: [`crate::ops::normalize`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn normalize(
        &self,
        spectra: &SpectraBatch<Self>,
        mean_p: &Self::Array<f32>,
    ) -> Result<Normalized<Self>, KernelError>;

    /// Weighted least-squares coefficients on `k` components, [s, k]: [`crate::ops::project`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn project(
        &self,
        data: &Weighted<'_, Self>,
        basis_kp: &Self::Array<f32>,
        k: usize,
    ) -> Result<Projection<Self>, KernelError>;

    /// The `k` components that fit best for given coefficients, [k, p]: [`crate::ops::update_basis`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn update_basis(
        &self,
        data: &Weighted<'_, Self>,
        coeff_sk: &Self::Array<f32>,
        k: usize,
    ) -> Result<BasisUpdate<Self>, KernelError>;

    /// The `k` nearest other rows of some rows, exactly, [q, k]: [`crate::ops::nearest_neighbors`].
    ///
    /// # Errors
    /// [`KernelError::Shape`] or [`KernelError::Domain`].
    fn nearest_neighbors(
        &self,
        vectors_nd: &Self::Array<f32>,
        d: usize,
        queries: Range<usize>,
        k: usize,
    ) -> Result<Neighbors<Self>, KernelError>;
}
