//! The CUDA backend: the kernels' host code, on a card or on an emulation of one.
//!
//! Host code checks shapes, makes room for results and launches; it is the same for every [`Machine`].

mod array;
mod check;
mod copies;
mod driver;
mod images;
mod machine;
mod nvrtc;
mod rows;
mod staging;
mod systems;

use std::ops::Range;

pub use array::DeviceArray;
pub use copies::CopyRates;
pub use driver::Driver;
pub use images::{ImageCache, NoCache, REGISTERS, REGISTERS_HEAD, embedded_targets, kernel_names};
pub use machine::{Arg, Launch, Machine};
pub(crate) use rows::{Rows, row_numbers};
pub(crate) use systems::Layout;

use crate::ops::breaks::{self, BreakBands, Breaks};
use crate::ops::combine_arms::{self, MaskRule};
use crate::ops::continuum::{self, Continuum};
use crate::ops::count_pixels::{self, PixelCounts};
use crate::ops::extinction::{self, ExtinctionCurve};
use crate::ops::indices::{self, IndexBands, Indices};
use crate::ops::ivar_scale::{self, ArmRanges, IvarScale};
use crate::ops::lines::{self, LineBands, Lines};
use crate::ops::median_snr::{self, SnrRanges};
use crate::ops::nearest_neighbors::{self, Neighbors};
use crate::ops::normalize::{self, Normalized};
use crate::ops::project::{self, Projection};
use crate::ops::rest_frame::{self, RestGrid};
use crate::ops::synthetic::{self, FilterCurve, Synthetic};
use crate::ops::update_basis::{self, BasisUpdate};
use crate::ops::window_snr::{self, WindowSnr};
use crate::{
    ArmSpectra, Backend, Band, DeviceInfo, Element, Grid, KernelError, MemoryInfo, SpectraBatch, Weighted,
};

/// A machine as a device.
#[derive(Debug)]
pub struct Cuda<M> {
    machine: M,
}

impl<M: Machine> Cuda<M> {
    /// The machine as a device.
    pub fn new(machine: M) -> Self {
        Self { machine }
    }

    /// What it runs on.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Room for `len` elements of any content.
    pub(crate) fn room<T: Element>(&self, len: usize) -> Result<DeviceArray<T, M::Memory>, KernelError> {
        Ok(DeviceArray::new(self.machine.allocate(len * size_of::<T>())?, len))
    }

    /// `len` zeros.
    pub(crate) fn zeros<T: Element>(&self, len: usize) -> Result<DeviceArray<T, M::Memory>, KernelError> {
        Ok(DeviceArray::new(self.machine.allocate_zeroed(len * size_of::<T>())?, len))
    }

    /// Starts a kernel; a launch without blocks does nothing.
    ///
    /// # Safety
    /// As [`Machine::launch`].
    pub(crate) unsafe fn launch(
        &self,
        launch: Launch,
        args: &mut [Arg<'_, M::Memory>],
    ) -> Result<(), KernelError> {
        if launch.blocks == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.machine.launch(launch, args) }
    }
}

/// Threads of a block where a kernel has no reason for another number.
pub(crate) const THREADS: u32 = crate::constants::THREADS;

/// Most blocks of a launch; kernels walk on from there to any number of elements.
const MOST_BLOCKS: usize = 1 << 20;

impl Launch {
    /// A launch with a thread for every element.
    pub(crate) fn per_thread(kernel: &'static str, n: usize) -> Self {
        Self::in_blocks(kernel, n.div_ceil(THREADS as usize), THREADS)
    }

    /// A launch with a warp for every element.
    pub(crate) fn per_warp(kernel: &'static str, n: usize) -> Self {
        Self::in_blocks(kernel, n.div_ceil(THREADS as usize / crate::lanes::LANES), THREADS)
    }

    /// A launch with a block for every element.
    pub(crate) fn per_block(kernel: &'static str, n: usize, threads: u32) -> Self {
        Self::in_blocks(kernel, n, threads)
    }

    fn in_blocks(kernel: &'static str, blocks: usize, threads: u32) -> Self {
        let blocks = u32::try_from(blocks.min(MOST_BLOCKS)).unwrap_or(u32::MAX);
        Self { kernel, blocks, threads, shared_bytes: 0 }
    }
}

/// A length as kernels take it.
///
/// # Errors
/// [`KernelError::Domain`] beyond 2^32 elements along one axis.
pub(crate) fn axis(operation: &'static str, n: usize) -> Result<u32, KernelError> {
    u32::try_from(n).map_err(|_| KernelError::Domain {
        operation,
        what: format!("an axis of {n} elements is longer than kernels count"),
    })
}

impl<M: Machine> Backend for Cuda<M> {
    type Array<T: Element> = DeviceArray<T, M::Memory>;

    fn info(&self) -> DeviceInfo {
        self.machine.info()
    }

    fn memory(&self) -> Option<MemoryInfo> {
        self.machine.memory()
    }

    fn upload<T: Element>(&self, host: &[T]) -> Result<Self::Array<T>, KernelError> {
        Ok(DeviceArray::new(self.machine.upload(array::bytes(host))?, host.len()))
    }

    fn download<T: Element>(&self, array: &Self::Array<T>) -> Result<Vec<T>, KernelError> {
        let mut host = vec![T::default(); array.len()];
        self.machine.download(array.memory(), array::bytes_mut(&mut host))?;
        Ok(host)
    }

    fn fetch<T: Element>(&self, array: Self::Array<T>) -> Result<Vec<T>, KernelError> {
        self.download(&array)
    }

    fn in_pieces<T: Send, E: Send>(
        &self,
        rows: Range<usize>,
        work: impl Fn(Range<usize>) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        work(rows).map(|all| vec![all])
    }

    fn synchronize(&self) -> Result<(), KernelError> {
        self.machine.synchronize()
    }

    fn combine_arms(
        &self,
        arms: &ArmSpectra<Self>,
        grid: &Grid,
        rule: MaskRule,
    ) -> Result<SpectraBatch<Self>, KernelError> {
        combine_arms::cuda::combine(self, arms, grid, rule)
    }

    fn median_snr_arms(
        &self,
        arms: &ArmSpectra<Self>,
        grid: &Grid,
        ranges: &SnrRanges,
    ) -> Result<Self::Array<f32>, KernelError> {
        median_snr::cuda::median_snr(self, arms, grid, ranges)
    }

    fn count_pixels(&self, spectra: &SpectraBatch<Self>) -> Result<PixelCounts<Self>, KernelError> {
        count_pixels::cuda::count_pixels(self, spectra)
    }

    fn correct_extinction(
        &self,
        spectra: &mut SpectraBatch<Self>,
        curve: &ExtinctionCurve,
        ebv_s: &[f32],
    ) -> Result<(), KernelError> {
        extinction::cuda::correct(self, spectra, curve, ebv_s)
    }

    fn to_rest_frame(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        rest: &RestGrid,
    ) -> Result<SpectraBatch<Self>, KernelError> {
        rest_frame::cuda::resample(self, observed, grid, rows, rest)
    }

    fn measure_breaks(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        breaks: &[BreakBands],
    ) -> Result<Breaks<Self>, KernelError> {
        breaks::cuda::measure_breaks(self, observed, grid, rows, breaks)
    }

    fn measure_indices(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        indices: &[IndexBands],
    ) -> Result<Indices<Self>, KernelError> {
        indices::cuda::measure_indices(self, observed, grid, rows, indices)
    }

    fn measure_lines(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        lines: &[LineBands],
    ) -> Result<Lines<Self>, KernelError> {
        lines::cuda::measure_lines(self, observed, grid, rows, lines)
    }

    fn running_median(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        width_aa: f64,
    ) -> Result<Continuum<Self>, KernelError> {
        continuum::cuda::running_median(self, observed, grid, rows, width_aa)
    }

    fn median_snr_windows(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        windows: &[Band],
    ) -> Result<WindowSnr<Self>, KernelError> {
        window_snr::cuda::median_snr_windows(self, observed, grid, rows, windows)
    }

    fn ivar_scale(
        &self,
        observed: &SpectraBatch<Self>,
        rows: &[(usize, f64)],
        continuum: &Continuum<Self>,
        arms: &ArmRanges,
    ) -> Result<IvarScale<Self>, KernelError> {
        ivar_scale::cuda::ivar_scale(self, observed, rows, continuum, arms)
    }

    fn synthetic_fluxes(
        &self,
        observed: &SpectraBatch<Self>,
        rows: &[usize],
        curves: &[FilterCurve],
    ) -> Result<Synthetic<Self>, KernelError> {
        synthetic::cuda::synthetic_fluxes(self, observed, rows, curves)
    }

    fn normalize(
        &self,
        spectra: &SpectraBatch<Self>,
        mean_p: &Self::Array<f32>,
    ) -> Result<Normalized<Self>, KernelError> {
        normalize::cuda::normalize(self, spectra, mean_p)
    }

    fn project(
        &self,
        data: &Weighted<'_, Self>,
        basis_kp: &Self::Array<f32>,
        k: usize,
    ) -> Result<Projection<Self>, KernelError> {
        project::cuda::project(self, data, basis_kp, k)
    }

    fn update_basis(
        &self,
        data: &Weighted<'_, Self>,
        coeff_sk: &Self::Array<f32>,
        k: usize,
    ) -> Result<BasisUpdate<Self>, KernelError> {
        update_basis::cuda::update_basis(self, data, coeff_sk, k)
    }

    fn nearest_neighbors(
        &self,
        vectors_nd: &Self::Array<f32>,
        d: usize,
        queries: Range<usize>,
        k: usize,
    ) -> Result<Neighbors<Self>, KernelError> {
        nearest_neighbors::cuda::nearest_neighbors(self, vectors_nd, d, queries, k)
    }
}
