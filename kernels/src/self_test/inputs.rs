//! Seeded inputs: few numbers, everything that real files hold.

use std::ops::Range;

use crate::band::rounded;
use crate::ops::breaks::BreakBands;
use crate::ops::continuum::Continuum;
use crate::ops::indices::{IndexBands, IndexKind};
use crate::ops::lines::LineBands;
use crate::{ArmBatch, ArmSpectra, Backend, Band, Grid, KernelError, SpectraBatch};

/// Three arms of 33 to 35 pixels over DESI's wavelengths, and a pixel that none covers.
pub(super) const COARSE: Grid = Grid { first_aa: 3600.0, step_aa: 64.0, n_pixels: 99 };

/// Arms on [`COARSE`]: all three, overlapping, and without r, which leaves a gap.
pub(super) const LAYOUTS: [(&str, [(usize, usize); 3]); 2] =
    [("of three arms", [(0, 33), (31, 33), (63, 35)]), ("without r", [(0, 33), (0, 0), (63, 35)])];

/// Pixels enough for an arm's scale; the bands below fit at some redshifts of [`ROWS`] and not at others.
pub(super) const FINE: Grid = Grid { first_aa: 3600.0, step_aa: 2.0, n_pixels: 1201 };

/// Rows of [`observed`] with a redshift: one of them twice, one without a good pixel.
pub(super) const ROWS: [(usize, f64); 5] = [(0, 0.0), (2, 0.05), (1, 0.3), (3, 0.1), (2, 0.013_7)];

const fn band(lo_aa: f64, hi_aa: f64) -> Band {
    Band { lo_aa, hi_aa }
}

/// Bands of no feature, like all below.
pub(super) const BREAKS: [BreakBands; 2] = [
    BreakBands { blue: band(3800.0, 3900.0), red: band(4000.0, 4101.5) },
    BreakBands { blue: band(4500.0, 4700.3), red: band(4900.0, 5000.0) },
];

pub(super) const INDICES: [IndexBands; 2] = [
    IndexBands {
        band: band(4200.0, 4240.7),
        blue: band(4150.0, 4190.0),
        red: band(4250.0, 4300.0),
        kind: IndexKind::Angstrom,
    },
    // The band shares pixels with both sidebands.
    IndexBands {
        band: band(4700.0, 4751.0),
        blue: band(4680.0, 4703.0),
        red: band(4748.0, 4780.0),
        kind: IndexKind::Ratio,
    },
];

pub(super) const LINES: [LineBands; 3] = [
    LineBands {
        wave_aa: 4401.0,
        window: band(4380.0, 4421.3),
        blue: band(4330.0, 4372.0),
        red: band(4430.0, 4471.0),
        blended: false,
    },
    // The window shares its outermost pixels with the sidebands.
    LineBands {
        wave_aa: 5200.0,
        window: band(5150.0, 5251.0),
        blue: band(5100.0, 5151.0),
        red: band(5249.0, 5300.0),
        blended: false,
    },
    LineBands {
        wave_aa: 3850.0,
        window: band(3840.0, 3860.0),
        blue: band(3800.0, 3830.0),
        red: band(3870.0, 3900.0),
        blended: true,
    },
];

pub(super) const WINDOWS: [Band; 2] = [band(4300.0, 4367.0), band(5400.0, 5500.0)];

/// An arm with enough pixels on [`FINE`], and one with too few.
pub(super) const ARMS: [Range<usize>; 2] = [0..1150, 1150..1183];

/// Wavelengths and responses of two filter curves; the second leaves [`FINE`].
pub(super) const CURVES: [([f64; 4], [f64; 4]); 2] = [
    ([3900.0, 4200.0, 4801.0, 5300.0], [0.0, 1.0, 0.9, 0.0]),
    ([5600.0, 5800.0, 6100.0, 6900.0], [0.0, 0.5, 1.0, 0.0]),
];

/// A small seeded generator (SplitMix64, Steele et al. 2014).
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// `n` numbers, uniform in [−1, 1).
    pub(super) fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| rounded(2.0 * self.unit() - 1.0)).collect()
    }

    /// Flux about `level`, and its ivar; this share of the pixels is missing, in the ways of real files.
    fn pixel(&mut self, level: f64, missing: f64) -> (f32, f32) {
        let sigma = 0.05 + 0.4 * self.unit() * self.unit();
        // Four uniforms less their mean have variance 1/3.
        let noise = 1.7 * ((0..4).map(|_| self.unit()).sum::<f64>() - 2.0);
        let (flux, ivar) = (rounded(level + sigma * noise), rounded(1.0 / (sigma * sigma)));
        match 9.0 / missing * self.unit() {
            w if w < 4.0 => (flux, 0.0),
            w if w < 5.0 => (f32::NAN, 0.0),
            w if w < 6.0 => (f32::NAN, ivar),
            w if w < 7.0 => (f32::NEG_INFINITY, ivar),
            w if w < 8.0 => (flux, -ivar),
            w if w < 9.0 => (flux, f32::NAN),
            _ => (flux, ivar),
        }
    }

    /// A SPECMASK bit in one pixel of four.
    fn mask(&mut self) -> u32 {
        if self.chance(0.25) { 1 << (self.bits() % 12) } else { 0 }
    }
}

/// Three rows of arms on [`COARSE`]: the second without its r arm, the third not to be used.
pub(super) fn arms<B: Backend>(dev: &B, layout_a: [(usize, usize); 3]) -> Result<ArmSpectra<B>, KernelError> {
    let mut draw = Draw::new(1);
    let batches = layout_a.map(|(first_pixel, n_pixels)| {
        let (flux_sp, ivar_sp) = (0..3 * n_pixels).map(|_| draw.pixel(4.0, 0.25)).unzip();
        let mask_sp = (0..3 * n_pixels).map(|_| draw.mask()).collect();
        ArmBatch { first_pixel, n_pixels, flux_sp, ivar_sp, mask_sp }
    });
    ArmSpectra::upload(dev, &batches, &[0, 1 << 23, 1 << 9])
}

/// `n_spectra` spectra that rise and fall; the last one has no good pixel, the one before it starts late, and the
/// first is upside down where `is_signed`.
fn host_spectra(n_spectra: usize, n_pixels: usize, is_signed: bool) -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(2);
    let mut pixels = Vec::with_capacity(n_spectra * n_pixels);
    for s in 0..n_spectra {
        let sign = if is_signed && s == 0 { -1.0 } else { 1.0 };
        for p in 0..n_pixels {
            // A sawtooth over a slope: structure on the scale of bands.
            let level = 4.0 + (p % 37) as f64 / 37.0 + p as f64 / n_pixels as f64;
            let (flux, ivar) = draw.pixel(sign * level, 0.036);
            pixels.push(match n_spectra - s {
                1 => (f32::NAN, 0.0),
                2 if p < n_pixels / 4 => (flux, 0.0),
                _ => (flux, ivar),
            });
        }
    }
    pixels.into_iter().unzip()
}

/// Spectra of any width, some values of either sign.
pub(super) fn spectra<B: Backend>(
    dev: &B,
    n_spectra: usize,
    n_pixels: usize,
) -> Result<SpectraBatch<B>, KernelError> {
    upload(dev, n_spectra, n_pixels, host_spectra(n_spectra, n_pixels, true))
}

/// Four spectra on [`FINE`].
pub(super) fn observed<B: Backend>(dev: &B) -> Result<SpectraBatch<B>, KernelError> {
    upload(dev, 4, FINE.n_pixels, host_spectra(4, FINE.n_pixels, false))
}

fn upload<B: Backend>(
    dev: &B,
    n_spectra: usize,
    n_pixels: usize,
    (flux_sp, ivar_sp): (Vec<f32>, Vec<f32>),
) -> Result<SpectraBatch<B>, KernelError> {
    let mut draw = Draw::new(3);
    let mask_sp: Vec<u32> = flux_sp.iter().map(|_| draw.mask()).collect();
    Ok(SpectraBatch {
        n_spectra,
        n_pixels,
        flux_sp: dev.upload(&flux_sp)?,
        ivar_sp: dev.upload(&ivar_sp)?,
        mask_sp: dev.upload(&mask_sp)?,
    })
}

/// A continuum for [`ROWS`] as no operation made it, so that what reads one is tested by itself.
pub(super) fn continuum<B: Backend>(dev: &B) -> Result<Continuum<B>, KernelError> {
    let mut draw = Draw::new(4);
    let (n_spectra, n_pixels) = (ROWS.len(), FINE.n_pixels);
    let valid_sp: Vec<u8> = (0..n_spectra * n_pixels).map(|_| u8::from(!draw.chance(0.02))).collect();
    let flux_sp: Vec<f32> = valid_sp
        .iter()
        .enumerate()
        .map(|(i, &valid)| rounded(f64::from(valid) * (4.5 + (i % n_pixels) as f64 / n_pixels as f64)))
        .collect();
    Ok(Continuum { n_spectra, n_pixels, flux_sp: dev.upload(&flux_sp)?, valid_sp: dev.upload(&valid_sp)? })
}
