//! Inputs for the operations on bands: spectra that look like some, bands, and their results on the host.

use specmill_kernels::ops::breaks::{BreakBands, Breaks};
use specmill_kernels::ops::continuum::Continuum;
use specmill_kernels::ops::indices::{IndexBands, IndexKind, Indices};
use specmill_kernels::ops::ivar_scale::IvarScale;
use specmill_kernels::ops::lines::{LineBands, Lines};
use specmill_kernels::ops::synthetic::Synthetic;
use specmill_kernels::ops::window_snr::WindowSnr;
use specmill_kernels::{Backend, Band, Cpu, Element, Grid, SpectraBatch};

use crate::cases::{Draw, narrow};

/// 3200 pixels from 3600 Å: every band below fits at some redshift.
pub(crate) const GRID: Grid = Grid { first_aa: 3600.0, step_aa: 0.8, n_pixels: 3200 };

/// A band's short form.
pub(crate) const fn band(lo_aa: f64, hi_aa: f64) -> Band {
    Band { lo_aa, hi_aa }
}

pub(crate) const BREAKS: [BreakBands; 2] = [
    BreakBands { blue: band(3850.0, 3950.0), red: band(4000.0, 4100.0) },
    BreakBands { blue: band(3750.0, 3950.0), red: band(4050.0, 4250.0) },
];

pub(crate) const INDICES: [IndexBands; 3] = [
    IndexBands {
        band: band(4084.65, 4123.41),
        blue: band(4042.74, 4080.90),
        red: band(4129.66, 4162.17),
        kind: IndexKind::Angstrom,
    },
    // Mgb: the band shares pixels with both sidebands.
    IndexBands {
        band: band(5161.56, 5194.07),
        blue: band(5144.06, 5162.81),
        red: band(5192.82, 5207.82),
        kind: IndexKind::Angstrom,
    },
    IndexBands {
        band: band(4143.29, 4178.30),
        blue: band(4081.28, 4118.79),
        red: band(4245.32, 4285.33),
        kind: IndexKind::Ratio,
    },
];

pub(crate) const LINES: [LineBands; 3] = [
    LineBands {
        wave_aa: 5008.24,
        window: band(4999.89, 5016.59),
        blue: band(4972.0, 4996.0),
        red: band(5024.9, 5050.0),
        blended: false,
    },
    // MgII: the window shares its outermost pixels with the sidebands.
    LineBands {
        wave_aa: 2799.94,
        window: band(2700.0, 2900.0),
        blue: band(2640.0, 2700.0),
        red: band(2900.0, 2960.0),
        blended: false,
    },
    LineBands {
        wave_aa: 3727.1,
        window: band(3720.9, 3733.3),
        blue: band(3696.0, 3714.7),
        red: band(3742.3, 3761.0),
        blended: true,
    },
];

/// Spectra in host memory.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) grid: Grid,
    pub(crate) flux_sp: Vec<f32>,
    pub(crate) ivar_sp: Vec<f32>,
}

impl Host {
    /// One noiseless spectrum with unit ivar: `flux(λ)`.
    pub(crate) fn from_flux(grid: Grid, flux: impl Fn(f64) -> f64) -> Self {
        let flux_sp = waves(&grid).map(|wave| narrow(flux(wave))).collect();
        Self { grid, flux_sp, ivar_sp: vec![1.0; grid.n_pixels] }
    }

    /// Seeded spectra: a rising, stepped continuum with emission and absorption, noise that varies
    /// along the spectrum, and missing pixels, single ones and runs.
    pub(crate) fn seeded(grid: Grid, n_spectra: usize, seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let mut host = Self { grid, flux_sp: Vec::new(), ivar_sp: Vec::new() };
        for _ in 0..n_spectra {
            let (level, slope) = (1.0 + 4.0 * draw.unit(), draw.unit() - 0.5);
            let mut run = 0;
            for wave in waves(&grid) {
                let step = if wave > 5200.0 { 0.6 } else { 0.0 };
                let sigma = 0.05 + 0.2 * draw.unit() * draw.unit();
                let wiggle = 0.3 * (wave * 0.05).sin();
                let flux =
                    level + slope * (wave - 6000.0) / 3000.0 + step + wiggle + sigma * normal(&mut draw);
                if run == 0 && draw.unit() < 0.004 {
                    run = if draw.unit() < 0.5 { 1 } else { 6 };
                }
                let missing = run > 0;
                run -= i32::from(missing);
                host.flux_sp.push(narrow(flux));
                host.ivar_sp.push(if missing { 0.0 } else { narrow(1.0 / (sigma * sigma)) });
            }
        }
        host
    }

    pub(crate) fn n_spectra(&self) -> usize {
        self.flux_sp.len() / self.grid.n_pixels
    }

    pub(crate) fn upload<B: Backend>(&self, dev: &B) -> SpectraBatch<B> {
        SpectraBatch {
            n_spectra: self.n_spectra(),
            n_pixels: self.grid.n_pixels,
            flux_sp: dev.upload(&self.flux_sp).expect("the device has room"),
            ivar_sp: dev.upload(&self.ivar_sp).expect("the device has room"),
            mask_sp: dev.upload(&[]).expect("the device has room"),
        }
    }

    /// Spectrum s in f64: what the judges read.
    pub(crate) fn wide(&self, s: usize) -> (Vec<f64>, Vec<f64>) {
        let pixels = s * self.grid.n_pixels..(s + 1) * self.grid.n_pixels;
        let wide = |array: &[f32]| array[pixels.clone()].iter().map(|&x| f64::from(x)).collect();
        (wide(&self.flux_sp), wide(&self.ivar_sp))
    }
}

/// Pixel centres.
pub(crate) fn waves(grid: &Grid) -> impl Iterator<Item = f64> + use<> {
    let grid = *grid;
    (0..grid.n_pixels).map(move |p| grid.first_aa + p as f64 * grid.step_aa)
}

/// |a − b| ≤ tolerance · max(|a|, |b|).
pub(crate) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

/// Nearly normal: twelve uniforms less six, variance 1.
pub(crate) fn normal(draw: &mut Draw) -> f64 {
    (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0
}

/// Copies an array to the host.
pub(crate) fn get<B: Backend, T: Element>(dev: &B, array: &B::Array<T>) -> Vec<T> {
    dev.download(array).expect("the copy succeeds")
}

/// Results that can be copied to the host.
pub(crate) trait ToHost<B: Backend> {
    /// The same on the host.
    type Host;
    /// Copies them.
    fn to_host(&self, dev: &B) -> Self::Host;
}

macro_rules! to_host {
    ($($results:ident { $($array:ident),* $(; $($number:ident),*)? })*) => {$(
        impl<B: Backend> ToHost<B> for $results<B> {
            type Host = $results<Cpu>;
            fn to_host(&self, dev: &B) -> $results<Cpu> {
                $results { $($array: get(dev, &self.$array),)* $($($number: self.$number,)*)? }
            }
        }
    )*};
}

to_host! {
    Breaks { plain_si, plain_ivar_si, plain_flag_si, weighted_si, weighted_ivar_si, weighted_flag_si }
    Indices { value_si, ivar_si, good_fraction_si, flag_si }
    Lines {
        flux_sl, flux_ivar_sl, ew_sl, ew_ivar_sl, continuum_sl, continuum_ivar_sl, good_fraction_sl, flag_sl
    }
    Continuum { flux_sp, valid_sp; n_spectra, n_pixels }
    WindowSnr { snr_si, flag_si }
    IvarScale { scale_sa, n_pixels_sa, flag_sa }
    Synthetic { flux_sf, ivar_sf, coverage_sf, flag_sf }
}
