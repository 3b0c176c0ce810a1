//! Breaks, indices, lines, continuum, S/N, photometry: against naive f64 judges, and by property.

mod breaks;
mod continuum;
mod everything;
mod indices;
mod ivar_scale;
mod lines;
mod reference;
mod snr;
mod synthetic;

use specmill_kernels::{Backend, Band, Grid, SpectraBatch};

/// A band's short form.
pub(crate) const fn band(lo_aa: f64, hi_aa: f64) -> Band {
    Band { lo_aa, hi_aa }
}

/// Seeded numbers that need no library: a 64-bit linear congruential generator (Knuth's MMIX
/// constants), of which the upper 32 bits are used. `golden/make_dn4000.py` has the same.
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in [0, 1), a multiple of 2⁻³².
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as f64 / 4_294_967_296.0
    }

    /// Nearly normal: twelve uniforms less six, variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Spectra in host memory.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) grid: Grid,
    pub(crate) flux_sp: Vec<f32>,
    pub(crate) ivar_sp: Vec<f32>,
}

#[expect(clippy::cast_possible_truncation, reason = "test spectra are made in f64 and stored in f32")]
pub(crate) fn single(value: f64) -> f32 {
    value as f32
}

impl Host {
    /// One noiseless spectrum with unit ivar: `flux(λ)`.
    pub(crate) fn from_flux(grid: Grid, flux: impl Fn(f64) -> f64) -> Self {
        let flux_sp = waves(&grid).map(|wave| single(flux(wave))).collect();
        Self { grid, flux_sp, ivar_sp: vec![1.0; grid.n_pixels] }
    }

    /// Seeded spectra: a rising, stepped continuum with emission and absorption, noise that varies
    /// along the spectrum, and missing pixels, single ones and runs.
    pub(crate) fn seeded(grid: Grid, n_spectra: usize, seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let mut host = Self { grid, flux_sp: Vec::new(), ivar_sp: Vec::new() };
        for _ in 0..n_spectra {
            let (level, slope) = (1.0 + 4.0 * draws.uniform(), draws.uniform() - 0.5);
            let mut run = 0;
            for wave in waves(&grid) {
                let step = if wave > 5200.0 { 0.6 } else { 0.0 };
                let sigma = 0.05 + 0.2 * draws.uniform() * draws.uniform();
                let wiggle = 0.3 * (wave * 0.05).sin();
                let flux = level + slope * (wave - 6000.0) / 3000.0 + step + wiggle + sigma * draws.normal();
                if run == 0 && draws.uniform() < 0.004 {
                    run = if draws.uniform() < 0.5 { 1 } else { 6 };
                }
                let missing = run > 0;
                run -= i32::from(missing);
                host.flux_sp.push(single(flux));
                host.ivar_sp.push(if missing { 0.0 } else { single(1.0 / (sigma * sigma)) });
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
            flux_sp: dev.upload(&self.flux_sp).unwrap(),
            ivar_sp: dev.upload(&self.ivar_sp).unwrap(),
            mask_sp: dev.upload(&[]).unwrap(),
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
