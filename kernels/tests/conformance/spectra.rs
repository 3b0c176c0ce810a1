//! Inputs for the operations on bands: spectra that look like some, bands, and their results on the host.

use specmill_kernels::ops::breaks::{BreakBands, Breaks};
use specmill_kernels::ops::continuum::Continuum;
use specmill_kernels::ops::indices::{IndexBands, IndexKind, Indices};
use specmill_kernels::ops::ivar_scale::IvarScale;
use specmill_kernels::ops::lines::{LineBands, Lines};
use specmill_kernels::ops::synthetic::Synthetic;
use specmill_kernels::ops::window_snr::WindowSnr;
use specmill_kernels::{Backend, Band, Cpu, Element, Grid, SpectraBatch};

use crate::cases::{AWKWARD, Draw, narrow};

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

/// (row, z) at which every band is measured somewhere and out of range elsewhere.
pub(crate) const ROWS: [(usize, f64); 7] =
    [(0, 0.0), (1, 0.05), (2, 0.1), (3, 0.137_21), (4, 0.4), (0, 0.9), (2, 0.173)];

/// The same for [`Host::extreme`], and redshifts that leave no band on the grid.
pub(crate) const EXTREME_ROWS: [(usize, f64); 6] =
    [(0, 0.1), (1, 0.1), (2, 0.1), (3, 1e6), (3, -0.999_999), (3, 1e300)];

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

    /// Pixels of one level with this share of them missing, in any of the ways of real files.
    pub(crate) fn gappy(grid: Grid, n_spectra: usize, seed: u64, missing: f64) -> Self {
        let mut draw = Draw::new(seed);
        let n = n_spectra * grid.n_pixels;
        let (flux_sp, ivar_sp) = (0..n)
            .map(|_| {
                let (flux, ivar) = (draw.flux() + 8.0, draw.ivar());
                let ways =
                    [(flux, 0.0), (f32::NAN, ivar), (f32::INFINITY, ivar), (flux, -ivar), (flux, f32::NAN)];
                if draw.chance(missing) { ways[draw.below(5)] } else { (flux, ivar) }
            })
            .unzip();
        Self { grid, flux_sp, ivar_sp }
    }

    /// Seeded spectra of huge, tiny and negative numbers, and one that is neither.
    pub(crate) fn extreme(grid: Grid, seed: u64) -> Self {
        let mut host = Host::seeded(grid, 4, seed);
        let n = grid.n_pixels;
        for flux in &mut host.flux_sp[..n] {
            *flux *= 1e37;
        }
        for (flux, ivar) in host.flux_sp[n..2 * n].iter_mut().zip(&mut host.ivar_sp[n..2 * n]) {
            (*flux, *ivar) = (0.0, f32::MIN_POSITIVE * *ivar);
        }
        for (flux, ivar) in host.flux_sp[2 * n..3 * n].iter_mut().zip(&mut host.ivar_sp[2 * n..3 * n]) {
            (*flux, *ivar) = (-*flux, 1e35 * *ivar);
        }
        host
    }

    /// Numbers of any bits at all.
    pub(crate) fn any_bits(grid: Grid, n_spectra: usize, seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let mut any = || (0..n_spectra * grid.n_pixels).map(|_| f32::from_bits(draw.word())).collect();
        Self { grid, flux_sp: any(), ivar_sp: any() }
    }

    /// No good pixel.
    pub(crate) fn missing(grid: Grid, n_spectra: usize) -> Self {
        let n = n_spectra * grid.n_pixels;
        Self { grid, flux_sp: vec![f32::NAN; n], ivar_sp: vec![0.0; n] }
    }

    pub(crate) fn n_spectra(&self) -> usize {
        self.flux_sp.len() / self.grid.n_pixels.max(1)
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

/// A band of an awkward number of pixels (less than one, a warp, just over a warp …), in half the draws of whole
/// pixels, that may leave the grid by a few.
pub(crate) fn any_band(draw: &mut Draw, grid: &Grid) -> Band {
    let pixels = AWKWARD[draw.below(AWKWARD.len())] as f64;
    let (first, pixels) = if draw.chance(0.5) {
        ((draw.unit() * (grid.n_pixels as f64 - pixels)).round() - 1.0, pixels.max(1.0))
    } else {
        (draw.unit() * (grid.n_pixels as f64 + 4.0 - pixels) - 2.0, pixels + 0.01 + draw.unit())
    };
    let edge_aa = |x: f64| grid.first_aa + (x - 0.5) * grid.step_aa;
    band(edge_aa(first), edge_aa(first + pixels))
}

/// Some rows of a batch in no order, at redshifts at and near 0; none where there are no spectra.
pub(crate) fn any_rows(draw: &mut Draw, n_rows: usize, host: &Host) -> Vec<(usize, f64)> {
    let (zs, n_spectra) = ([0.0, 1e-3, 0.004_3, -0.002, 0.02], host.n_spectra());
    let n_rows = if n_spectra == 0 { 0 } else { n_rows };
    (0..n_rows).map(|_| (draw.below(n_spectra), zs[draw.below(zs.len())])).collect()
}

/// Changes three pixels of the first spectrum until a value that is linear in their fluxes all but vanishes.
///
/// What is left of it is the rounding of sums in f64, so that it shows in what order they were added; other
/// results of sums in f64 seldom do once they are stored in f32.
pub(crate) fn leave_roundings(host: &mut Host, pixels: [usize; 3], value: impl Fn(&Host) -> f32) {
    pixels.iter().for_each(|&p| host.flux_sp[p] = 0.0);
    let before = value(host);
    // Each pixel takes away what the roundings of the one before to f32 have left.
    for p in pixels {
        let without = f64::from(value(host));
        host.flux_sp[p] = 1.0;
        let slope = f64::from(value(host)) - without;
        host.flux_sp[p] = narrow(-without / slope);
    }
    let left = value(host);
    assert!(left.abs() < 1e-12 * before.abs(), "{before} became {left}");
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
    /// The bits of every array, for comparisons that must be exact.
    fn bits(&self, dev: &B) -> Vec<Vec<u32>>;
}

/// Numbers whose bits fit 32.
trait Bits: Element {
    fn bits(self) -> u32;
}

impl Bits for f32 {
    fn bits(self) -> u32 {
        self.to_bits()
    }
}

impl Bits for u8 {
    fn bits(self) -> u32 {
        self.into()
    }
}

impl Bits for u32 {
    fn bits(self) -> u32 {
        self
    }
}

fn bits_of<B: Backend, T: Bits>(dev: &B, array: &B::Array<T>) -> Vec<u32> {
    get(dev, array).into_iter().map(Bits::bits).collect()
}

macro_rules! to_host {
    ($($results:ident { $($array:ident),* $(; $($number:ident),*)? })*) => {$(
        impl<B: Backend> ToHost<B> for $results<B> {
            type Host = $results<Cpu>;
            fn to_host(&self, dev: &B) -> $results<Cpu> {
                $results { $($array: get(dev, &self.$array),)* $($($number: self.$number,)*)? }
            }
            fn bits(&self, dev: &B) -> Vec<Vec<u32>> {
                vec![$(bits_of(dev, &self.$array)),*]
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
