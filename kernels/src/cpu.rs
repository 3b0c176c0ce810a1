//! The CPU backend: spectra spread over threads, pixels over vector lanes.

use std::ops::Range;
use std::thread::available_parallelism;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

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
use crate::simd::Simd;
use crate::{
    ArmSpectra, Backend, Band, DeviceInfo, Element, Grid, KernelError, MemoryInfo, SpectraBatch, Weighted,
};

/// Rows of a piece: what is made of this many of DESI's spectra lies in a core's second cache.
const PIECE_ROWS: usize = 8;

/// The CPU as a device; a spectrum is computed by one thread, so their number changes no bit.
#[derive(Debug)]
pub struct Cpu {
    pool: ThreadPool,
    simd: Simd,
}

impl Cpu {
    /// A pool of `threads` workers (0 = one per core) on the widest instruction set.
    ///
    /// # Errors
    /// [`KernelError::Threads`] where the system refuses the threads.
    pub fn new(threads: usize) -> Result<Self, KernelError> {
        Self::with_simd(threads, Simd::detect())
    }

    /// As [`Cpu::new`] on a chosen instruction set; every set gives the same bits.
    ///
    /// # Errors
    /// [`KernelError::Threads`] where the system refuses the threads.
    pub fn with_simd(threads: usize, simd: Simd) -> Result<Self, KernelError> {
        let threads = match threads {
            0 => available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("kernel-{i}"))
            .build()
            .map_err(|source| KernelError::Threads { threads, source })?;
        Ok(Self { pool, simd })
    }

    pub(crate) fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    pub(crate) fn simd(&self) -> Simd {
        self.simd
    }
}

impl Backend for Cpu {
    type Array<T: Element> = Vec<T>;

    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            device: "cpu".to_owned(),
            name: self.simd.to_string(),
            threads: self.pool.current_num_threads(),
            driver: None,
            image: None,
        }
    }

    fn memory(&self) -> Option<MemoryInfo> {
        None
    }

    fn upload<T: Element>(&self, host: &[T]) -> Result<Vec<T>, KernelError> {
        Ok(host.to_vec())
    }

    fn download<T: Element>(&self, array: &Vec<T>) -> Result<Vec<T>, KernelError> {
        Ok(array.clone())
    }

    fn fetch<T: Element>(&self, array: Vec<T>) -> Result<Vec<T>, KernelError> {
        Ok(array)
    }

    fn in_pieces<T: Send, E: Send>(
        &self,
        rows: Range<usize>,
        work: impl Fn(Range<usize>) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let piece = |i: usize| {
            let start = rows.start + i * PIECE_ROWS;
            work(start..rows.end.min(start + PIECE_ROWS))
        };
        let pieces = 0..rows.len().div_ceil(PIECE_ROWS);
        // One by one, so that no thread waits for the others' pieces. All of them, so that of several errors the
        // first is told whatever the threads do.
        let results: Vec<Result<T, E>> =
            self.pool.install(|| pieces.into_par_iter().with_max_len(1).map(piece).collect());
        results.into_iter().collect()
    }

    fn synchronize(&self) -> Result<(), KernelError> {
        Ok(())
    }

    fn combine_arms(
        &self,
        arms: &ArmSpectra<Self>,
        grid: &Grid,
        rule: MaskRule,
    ) -> Result<SpectraBatch<Self>, KernelError> {
        combine_arms::cpu::combine(self, arms, grid, rule)
    }

    fn median_snr_arms(
        &self,
        arms: &ArmSpectra<Self>,
        grid: &Grid,
        ranges: &SnrRanges,
    ) -> Result<Vec<f32>, KernelError> {
        median_snr::cpu::median_snr(self, arms, grid, ranges)
    }

    fn count_pixels(&self, spectra: &SpectraBatch<Self>) -> Result<PixelCounts<Self>, KernelError> {
        count_pixels::cpu::count_pixels(self, spectra)
    }

    fn correct_extinction(
        &self,
        spectra: &mut SpectraBatch<Self>,
        curve: &ExtinctionCurve,
        ebv_s: &[f32],
    ) -> Result<(), KernelError> {
        extinction::cpu::correct(self, spectra, curve, ebv_s)
    }

    fn to_rest_frame(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        rest: &RestGrid,
    ) -> Result<SpectraBatch<Self>, KernelError> {
        rest_frame::cpu::resample(self, observed, grid, rows, rest)
    }

    fn measure_breaks(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        breaks: &[BreakBands],
    ) -> Result<Breaks<Self>, KernelError> {
        breaks::cpu::measure_breaks(self, observed, grid, rows, breaks)
    }

    fn measure_indices(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        indices: &[IndexBands],
    ) -> Result<Indices<Self>, KernelError> {
        indices::cpu::measure_indices(self, observed, grid, rows, indices)
    }

    fn measure_lines(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        lines: &[LineBands],
    ) -> Result<Lines<Self>, KernelError> {
        lines::cpu::measure_lines(self, observed, grid, rows, lines)
    }

    fn running_median(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        width_aa: f64,
    ) -> Result<Continuum<Self>, KernelError> {
        continuum::cpu::running_median(self, observed, grid, rows, width_aa)
    }

    fn median_snr_windows(
        &self,
        observed: &SpectraBatch<Self>,
        grid: &Grid,
        rows: &[(usize, f64)],
        windows: &[Band],
    ) -> Result<WindowSnr<Self>, KernelError> {
        window_snr::cpu::median_snr_windows(self, observed, grid, rows, windows)
    }

    fn ivar_scale(
        &self,
        observed: &SpectraBatch<Self>,
        rows: &[(usize, f64)],
        continuum: &Continuum<Self>,
        arms: &ArmRanges,
    ) -> Result<IvarScale<Self>, KernelError> {
        ivar_scale::cpu::ivar_scale(self, observed, rows, continuum, arms)
    }

    fn synthetic_fluxes(
        &self,
        observed: &SpectraBatch<Self>,
        rows: &[usize],
        curves: &[FilterCurve],
    ) -> Result<Synthetic<Self>, KernelError> {
        synthetic::cpu::synthetic_fluxes(self, observed, rows, curves)
    }

    fn normalize(
        &self,
        spectra: &SpectraBatch<Self>,
        mean_p: &Vec<f32>,
    ) -> Result<Normalized<Self>, KernelError> {
        normalize::cpu::normalize(self, spectra, mean_p)
    }

    fn project(
        &self,
        data: &Weighted<'_, Self>,
        basis_kp: &Vec<f32>,
        k: usize,
    ) -> Result<Projection<Self>, KernelError> {
        project::cpu::project(self, data, basis_kp, k)
    }

    fn update_basis(
        &self,
        data: &Weighted<'_, Self>,
        coeff_sk: &Vec<f32>,
        k: usize,
    ) -> Result<BasisUpdate<Self>, KernelError> {
        update_basis::cpu::update_basis(self, data, coeff_sk, k)
    }

    fn nearest_neighbors(
        &self,
        vectors_nd: &Vec<f32>,
        d: usize,
        queries: Range<usize>,
        k: usize,
    ) -> Result<Neighbors<Self>, KernelError> {
        nearest_neighbors::cpu::nearest_neighbors(self, vectors_nd, d, queries, k)
    }
}
