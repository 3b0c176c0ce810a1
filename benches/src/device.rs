//! Inputs of every operation, made from a seed: the same numbers for every device and for the peers.

use std::sync::{Mutex, PoisonError};

use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::ops::continuum::Continuum;
use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::ops::ivar_scale::ArmRanges;
use specmill_kernels::ops::lines::LineBands;
use specmill_kernels::ops::median_snr::SnrRanges;
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_kernels::ops::synthetic::FilterCurve;
use specmill_kernels::{ArmBatch, ArmSpectra, Backend, Band, Grid, KernelError, SpectraBatch, Weighted};

/// Pixels of the combined grid.
pub const N_PIXELS: usize = Grid::DESI.n_pixels;
/// Bins of the rest-frame grid that spectra are moved to.
pub const N_GRID: usize = 6110;
/// Pixels of the spectra that bases are fitted to.
pub const N_GALAXY: usize = N_GRID;
/// Vectors among which neighbours are searched.
pub const N_NEIGHBORS: usize = 100_000;
/// Their elements.
pub const NEIGHBOR_D: usize = 64;
/// Neighbours of each.
pub const NEIGHBOR_K: usize = 16;

/// Everything the operations take.
pub struct Inputs<B: Backend> {
    /// Spectra.
    pub n_spectra: usize,
    /// DESI's grid.
    pub grid: Grid,
    /// Arms on the host.
    pub arms: [ArmBatch; 3],
    /// No bit set.
    pub fiberstatus_s: Vec<i32>,
    /// SCORES' ranges.
    pub ranges: SnrRanges,
    /// Fitzpatrick's.
    pub curve: ExtinctionCurve,
    /// So small that correcting again and again changes little.
    pub ebv_s: Vec<f32>,
    /// (row, redshift).
    pub rows: Vec<(usize, f64)>,
    /// The galaxies' grid.
    pub rest: RestGrid,
    /// Two.
    pub breaks: Vec<BreakBands>,
    /// Twenty-five of the widths of Lick's.
    pub indices: Vec<IndexBands>,
    /// Twenty-five of 500 km/s with their sidebands.
    pub lines: Vec<LineBands>,
    /// g, r and z, roughly.
    pub curves: Vec<FilterCurve>,
    /// Components of the two bases.
    pub components: [usize; 2],
    pub(crate) arm_ranges: ArmRanges,
    pub(crate) on_device: ArmSpectra<B>,
    pub(crate) observed: SpectraBatch<B>,
    /// Corrected again and again.
    pub(crate) reddened: Mutex<SpectraBatch<B>>,
    pub(crate) continuum: Continuum<B>,
    pub(crate) spectra: SpectraBatch<B>,
    pub(crate) mean_p: B::Array<f32>,
    pub(crate) bases_kp: [B::Array<f32>; 2],
    pub(crate) coeffs_sk: [B::Array<f32>; 2],
    pub(crate) vectors_nd: B::Array<f32>,
}

/// An array that an operation gave.
pub enum Output<B: Backend> {
    /// Single precision.
    F32(B::Array<f32>),
    /// Double precision.
    F64(B::Array<f64>),
    /// Flags.
    U8(B::Array<u8>),
    /// Counts and masks.
    U32(B::Array<u32>),
}

/// The same in host memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Downloaded {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Flags.
    U8(Vec<u8>),
    /// Counts and masks.
    U32(Vec<u32>),
}

impl<B: Backend> Output<B> {
    /// Copies it to the host.
    ///
    /// # Errors
    /// Where the copy fails.
    pub fn download(&self, dev: &B) -> Result<Downloaded, KernelError> {
        Ok(match self {
            Self::F32(array) => Downloaded::F32(dev.download(array)?),
            Self::F64(array) => Downloaded::F64(dev.download(array)?),
            Self::U8(array) => Downloaded::U8(dev.download(array)?),
            Self::U32(array) => Downloaded::U32(dev.download(array)?),
        })
    }
}

impl<B: Backend> Inputs<B> {
    /// Inputs of so many spectra, on the device.
    ///
    /// # Errors
    /// Where the device has no room.
    ///
    /// # Panics
    /// Where a constant of this file is wrong.
    pub fn new(dev: &B, n_spectra: usize) -> Result<Self, KernelError> {
        let rows = (0..n_spectra).map(|s| (s, 0.3 * s as f64 / n_spectra as f64)).collect();
        Self::of(dev, arms(n_spectra), rows)
    }

    /// The same of given arms, and a redshift for each of their rows.
    ///
    /// # Errors
    /// Where the device has no room.
    ///
    /// # Panics
    /// Where a constant of this file is wrong.
    pub fn of(dev: &B, arms: [ArmBatch; 3], rows: Vec<(usize, f64)>) -> Result<Self, KernelError> {
        let grid = Grid::DESI;
        let n_spectra = rows.len();
        let fiberstatus_s = vec![0; n_spectra];
        let on_device = ArmSpectra::upload(dev, &arms, &fiberstatus_s)?;
        let observed = dev.combine_arms(&on_device, &grid, MaskRule::Masked)?;
        let reddened = Mutex::new(dev.combine_arms(&on_device, &grid, MaskRule::Masked)?);
        let rest = RestGrid::log10(2400.0, 9800.0, RestGrid::DLOG10)?;
        assert_eq!(rest.n_bins(), N_GRID, "the grid of the table");
        let continuum = dev.running_median(&observed, &grid, &rows, 100.0)?;
        let components = [10, 64];
        let basis = |k: usize| dev.upload(&spread(3, k * N_GALAXY, 0.05, -0.025));
        let coeff = |k: usize| dev.upload(&spread(4, k * n_spectra, 2.0, -1.0));
        // One weight in ten is 0.
        let ivar_sp: Vec<f32> =
            spread(2, n_spectra * N_GALAXY, 1.0, -0.1).iter().map(|w| w.max(0.0)).collect();
        Ok(Self {
            n_spectra,
            grid,
            fiberstatus_s,
            ranges: SnrRanges::default(),
            curve: ExtinctionCurve::fitzpatrick99(&grid),
            ebv_s: vec![1e-6; n_spectra],
            breaks: breaks(),
            indices: indices(),
            lines: lines(),
            curves: curves(&grid)?,
            components,
            arm_ranges: ArmRanges { pixels_a: vec![100..2600, 2800..4800, 5100..7700] },
            spectra: SpectraBatch {
                n_spectra,
                n_pixels: N_GALAXY,
                flux_sp: dev.upload(&spread(1, n_spectra * N_GALAXY, 1.0, 0.5))?,
                ivar_sp: dev.upload(&ivar_sp)?,
                mask_sp: dev.upload(&[])?,
            },
            mean_p: dev.upload(&vec![1.0; N_GALAXY])?,
            bases_kp: [basis(components[0])?, basis(components[1])?],
            coeffs_sk: [coeff(components[0])?, coeff(components[1])?],
            vectors_nd: dev.upload(&spread(5, N_NEIGHBORS * NEIGHBOR_D, 2.0, -1.0))?,
            arms,
            on_device,
            observed,
            reddened,
            continuum,
            rows,
            rest,
        })
    }

    fn weighted(&self) -> Weighted<'_, B> {
        self.spectra.weighted()
    }
}

/// One launch each, and the arrays that it gives.
macro_rules! launches {
    ($($(#[$attr:meta])* $name:ident($self:ident, $dev:ident) = $call:expr => [$($kind:ident $field:ident),*];)*) => {
        impl<B: Backend> Inputs<B> {
            $($(#[$attr])*
            ///
            /// # Errors
            /// Where the device fails.
            pub fn $name(&$self, $dev: &B) -> Result<Vec<Output<B>>, KernelError> {
                let found = $call?;
                Ok(vec![$(Output::$kind(found.$field)),*])
            })*
        }
    };
}

launches! {
    /// Combines the arms.
    combine(self, dev) = dev.combine_arms(&self.on_device, &self.grid, MaskRule::Masked)
        => [F32 flux_sp, F32 ivar_sp, U32 mask_sp];
    /// Good and masked pixels.
    count_pixels(self, dev) = dev.count_pixels(&self.observed) => [U32 n_good_s, U32 n_masked_s];
    /// Moves every spectrum to the rest frame.
    rest_frame(self, dev) = dev.to_rest_frame(&self.observed, &self.grid, &self.rows, &self.rest)
        => [F32 flux_sp, F32 ivar_sp];
    /// Running medians.
    continuum(self, dev) = dev.running_median(&self.observed, &self.grid, &self.rows, 100.0)
        => [F32 flux_sp, U8 valid_sp];
    /// Breaks.
    breaks(self, dev) = dev.measure_breaks(&self.observed, &self.grid, &self.rows, &self.breaks)
        => [F32 plain_si, F32 plain_ivar_si, U8 plain_flag_si, F32 weighted_si, F32 weighted_ivar_si, U8 weighted_flag_si];
    /// Indices.
    indices(self, dev) = dev.measure_indices(&self.observed, &self.grid, &self.rows, &self.indices)
        => [F32 value_si, F32 ivar_si, F32 good_fraction_si, U8 flag_si];
    /// Lines.
    lines(self, dev) = dev.measure_lines(&self.observed, &self.grid, &self.rows, &self.lines)
        => [F32 flux_sl, F32 flux_ivar_sl, F32 ew_sl, F32 ew_ivar_sl, F32 continuum_sl, F32 continuum_ivar_sl,
            F32 good_fraction_sl, U8 flag_sl];
    /// Median S/N in a window.
    window_snr(self, dev) = dev.median_snr_windows(
        &self.observed,
        &self.grid,
        &self.rows,
        &[Band { lo_aa: 5050.0, hi_aa: 5150.0 }],
    ) => [F32 snr_si, U8 flag_si];
    /// Scales of ivar.
    ivar_scale(self, dev) = dev.ivar_scale(&self.observed, &self.rows, &self.continuum, &self.arm_ranges)
        => [F32 scale_sa, U32 n_pixels_sa, U8 flag_sa];
    /// Synthetic fluxes.
    synthetic(self, dev) =
        dev.synthetic_fluxes(&self.observed, &(0..self.n_spectra).collect::<Vec<_>>(), &self.curves)
        => [F32 flux_sf, F32 ivar_sf, F32 coverage_sf, U8 flag_sf];
    /// Shares of the mean.
    normalize(self, dev) = dev.normalize(&self.spectra, &self.mean_p)
        => [F32 amplitude_s, F32 amplitude_snr_s, U32 n_good_s, F32 residual_sp, F32 weight_sp];
    /// Neighbours of the first vectors.
    neighbors(self, dev) =
        dev.nearest_neighbors(&self.vectors_nd, NEIGHBOR_D, 0..self.n_spectra.min(N_NEIGHBORS), NEIGHBOR_K)
        => [U32 index_qk, F32 dist2_qk];
}

impl<B: Backend> Inputs<B> {
    /// Median S/N of the arms.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn median_snr(&self, dev: &B) -> Result<Vec<Output<B>>, KernelError> {
        Ok(vec![Output::F32(dev.median_snr_arms(&self.on_device, &self.grid, &self.ranges)?)])
    }

    /// Extinction, in place: it gives nothing.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn extinction(&self, dev: &B) -> Result<Vec<Output<B>>, KernelError> {
        let mut reddened = self.reddened.lock().unwrap_or_else(PoisonError::into_inner);
        dev.correct_extinction(&mut reddened, &self.curve, &self.ebv_s)?;
        Ok(Vec::new())
    }

    /// Coefficients on one of the bases.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn project(&self, dev: &B, which: usize) -> Result<Vec<Output<B>>, KernelError> {
        let found = dev.project(&self.weighted(), &self.bases_kp[which], self.components[which])?;
        Ok(vec![
            Output::F32(found.coeff_sk),
            Output::F32(found.variance_sk),
            Output::F32(found.gain_sk),
            Output::F64(found.chi2_s),
            Output::F64(found.chi2_0_s),
            Output::F32(found.constraint_s),
            Output::U32(found.n_good_s),
        ])
    }

    /// One of the bases from coefficients.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn update_basis(&self, dev: &B, which: usize) -> Result<Vec<Output<B>>, KernelError> {
        let found = dev.update_basis(&self.weighted(), &self.coeffs_sk[which], self.components[which])?;
        Ok(vec![Output::F32(found.basis_kp), Output::U32(found.n_spectra_p)])
    }
}

fn arms(n_spectra: usize) -> [ArmBatch; 3] {
    [(0_u8, 0, 2751), (1, 2700, 2326), (2, 4900, 2881)].map(|(a, first_pixel, n_pixels)| ArmBatch {
        first_pixel,
        n_pixels,
        flux_sp: spread(10 + u64::from(a), n_spectra * n_pixels, 8.0, -2.0),
        ivar_sp: spread(20 + u64::from(a), n_spectra * n_pixels, 4.0, 0.01),
        mask_sp: spread(30 + u64::from(a), n_spectra * n_pixels, 1.0, 0.0)
            .into_iter()
            .map(|x| u32::from(x > 0.998))
            .collect(),
    })
}

fn band(lo_aa: f64, hi_aa: f64) -> Band {
    Band { lo_aa, hi_aa }
}

fn breaks() -> Vec<BreakBands> {
    vec![
        BreakBands { blue: band(3850.0, 3950.0), red: band(4000.0, 4100.0) },
        BreakBands { blue: band(3750.0, 3950.0), red: band(4050.0, 4250.0) },
    ]
}

fn indices() -> Vec<IndexBands> {
    let bands = |i: u8| {
        let start = 4000.0 + 90.0 * f64::from(i);
        IndexBands {
            blue: band(start, start + 25.0),
            band: band(start + 25.0, start + 60.0),
            red: band(start + 60.0, start + 85.0),
            kind: IndexKind::Angstrom,
        }
    };
    (0..25).map(bands).collect()
}

fn lines() -> Vec<LineBands> {
    let bands = |i: u8| {
        let wave_aa = 3800.0 + 130.0 * f64::from(i);
        let half = wave_aa * 500.0 / 299_792.458;
        LineBands {
            wave_aa,
            window: band(wave_aa - half, wave_aa + half),
            blue: band(wave_aa - 5.0 * half, wave_aa - 2.0 * half),
            red: band(wave_aa + 2.0 * half, wave_aa + 5.0 * half),
            blended: false,
        }
    };
    (0..25).map(bands).collect()
}

fn curves(grid: &Grid) -> Result<Vec<FilterCurve>, KernelError> {
    [(4000.0, 5500.0), (5600.0, 7100.0), (8200.0, 9800.0)]
        .iter()
        .map(|(lo, hi)| {
            FilterCurve::on_grid(grid, &[*lo, lo + 200.0, hi - 200.0, *hi], &[0.0, 1.0, 1.0, 0.0])
        })
        .collect()
}

/// Numbers spread over `size` from `least` on (SplitMix64, Steele et al. 2014).
pub fn spread(seed: u64, n: usize, size: f32, least: f32) -> Vec<f32> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 16 bits are enough, and exact.
        let [low, high, ..] = (x ^ (x >> 31)).to_le_bytes();
        f32::from(u16::from_le_bytes([low, high])) / 65536.0
    };
    (0..n).map(|_| size.mul_add(draw(), least)).collect()
}
