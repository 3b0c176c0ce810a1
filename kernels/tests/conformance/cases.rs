//! Inputs for the properties: seeded, of awkward lengths, with everything that real files hold.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use specmill_kernels::{ArmBatch, ArmSpectra, Backend, Grid, SpectraBatch};

/// Lengths at and around the widths of vectors, warps and blocks.
pub(crate) const AWKWARD: [usize; 9] = [0, 1, 2, 7, 31, 32, 33, 64, 257];

/// Runs a property on `cases` draws of a strategy, always the same ones.
pub(crate) fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config =
        Config { cases, rng_seed: RngSeed::Fixed(0x5eed), failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(&strategy, property) {
        panic!("{error}");
    }
}

/// A small seeded generator (SplitMix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in this share of the draws.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// An index below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.bits() % u64::try_from(n.max(1)).expect("a length fits u64"))
            .expect("smaller than a length")
    }

    /// Any 32 bits.
    pub(crate) fn word(&mut self) -> u32 {
        u32::try_from(self.bits() >> 32).expect("32 bits are left")
    }

    /// Flux of either sign, of the size of DESI's.
    pub(crate) fn flux(&mut self) -> f32 {
        narrow((self.unit() - 0.3) * 20.0)
    }

    /// A positive ivar over six decades.
    pub(crate) fn ivar(&mut self) -> f32 {
        narrow(libm::pow(10.0, 6.0 * self.unit() - 4.0))
    }

    /// Flux and ivar of a pixel, one in eight of them missing in one of the ways of real files.
    pub(crate) fn pixel(&mut self) -> (f32, f32) {
        let (flux, ivar) = (self.flux(), self.ivar());
        if !self.chance(0.125) {
            return (flux, ivar);
        }
        [
            (flux, 0.0),
            (f32::NAN, 0.0),
            (f32::NAN, ivar),
            (f32::INFINITY, ivar),
            (flux, -ivar),
            (flux, f32::NAN),
        ][self.below(6)]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "test values are drawn in f64 and stored in f32")]
pub(crate) fn narrow(x: f64) -> f32 {
    x as f32
}

/// Arms as read, with the combined grid they lie on.
#[derive(Debug, Clone)]
pub(crate) struct ArmCase {
    pub(crate) grid: Grid,
    pub(crate) arms: [ArmBatch; 3],
    pub(crate) fiberstatus_s: Vec<i32>,
}

impl ArmCase {
    /// Arms of awkward lengths in a random arrangement: apart, overlapping, absent.
    pub(crate) fn random(seed: u64, n_spectra: usize) -> Self {
        let mut draw = Draw::new(seed);
        let n_a = [0, 1, 2].map(|_| AWKWARD[draw.below(AWKWARD.len())]);
        let first_a = [0, draw.below(n_a[0] + 3), draw.below(n_a[0] + n_a[1] + 3)];
        let n_pixels = (0..3).map(|a| first_a[a] + n_a[a]).max().unwrap_or(0) + draw.below(3);
        Self::with_layout(&mut draw, n_spectra, [0, 1, 2].map(|a| (first_a[a], n_a[a])), n_pixels)
    }

    /// DESI's arms and grid.
    pub(crate) fn desi(seed: u64, n_spectra: usize) -> Self {
        let layout_a = [(0, 2751), (2700, 2326), (4900, 2881)];
        Self::with_layout(&mut Draw::new(seed), n_spectra, layout_a, 7781)
    }

    fn with_layout(
        draw: &mut Draw,
        n_spectra: usize,
        layout_a: [(usize, usize); 3],
        n_pixels: usize,
    ) -> Self {
        let arms = layout_a.map(|(first_pixel, n)| {
            let (flux_sp, ivar_sp) = (0..n_spectra * n).map(|_| draw.pixel()).unzip();
            let mask_sp = (0..n_spectra * n).map(|_| if draw.chance(0.1) { 1 << draw.below(12) } else { 0 });
            ArmBatch { first_pixel, n_pixels: n, flux_sp, ivar_sp, mask_sp: mask_sp.collect() }
        });
        let fiberstatus_s =
            (0..n_spectra).map(|_| if draw.chance(0.4) { 1 << draw.below(25) } else { 0 }).collect();
        Self { grid: Grid { n_pixels, ..Grid::DESI }, arms, fiberstatus_s }
    }

    pub(crate) fn n_spectra(&self) -> usize {
        self.fiberstatus_s.len()
    }

    pub(crate) fn upload<B: Backend>(&self, dev: &B) -> ArmSpectra<B> {
        ArmSpectra::upload(dev, &self.arms, &self.fiberstatus_s).expect("the case has consistent lengths")
    }

    /// These rows, in this order.
    pub(crate) fn rows(&self, rows: &[usize]) -> Self {
        let arms = self.arms.clone().map(|arm| ArmBatch {
            flux_sp: take_rows(&arm.flux_sp, arm.n_pixels, rows),
            ivar_sp: take_rows(&arm.ivar_sp, arm.n_pixels, rows),
            mask_sp: take_rows(&arm.mask_sp, arm.n_pixels, rows),
            ..arm
        });
        Self { grid: self.grid, arms, fiberstatus_s: take_rows(&self.fiberstatus_s, 1, rows) }
    }

    /// Replaces every pixel by what `change(arm, flux, ivar, mask)` gives.
    pub(crate) fn map(mut self, mut change: impl FnMut(usize, f32, f32, u32) -> (f32, f32, u32)) -> Self {
        for (a, arm) in self.arms.iter_mut().enumerate() {
            for i in 0..arm.flux_sp.len() {
                (arm.flux_sp[i], arm.ivar_sp[i], arm.mask_sp[i]) =
                    change(a, arm.flux_sp[i], arm.ivar_sp[i], arm.mask_sp[i]);
            }
        }
        self
    }
}

/// These rows of a row-major array, in this order.
pub(crate) fn take_rows<T: Copy>(array: &[T], row_len: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|&s| array[s * row_len..(s + 1) * row_len].iter().copied()).collect()
}

/// Spectra on one grid, in host memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spectra {
    pub(crate) n_spectra: usize,
    pub(crate) n_pixels: usize,
    pub(crate) flux_sp: Vec<f32>,
    pub(crate) ivar_sp: Vec<f32>,
    pub(crate) mask_sp: Vec<u32>,
}

impl Spectra {
    pub(crate) fn random(seed: u64, n_spectra: usize, n_pixels: usize) -> Self {
        let mut draw = Draw::new(seed);
        let (flux_sp, ivar_sp): (Vec<_>, Vec<_>) = (0..n_spectra * n_pixels).map(|_| draw.pixel()).unzip();
        let mask_sp = vec![0; flux_sp.len()];
        Self { n_spectra, n_pixels, flux_sp, ivar_sp, mask_sp }
    }

    /// Numbers of any bits at all.
    pub(crate) fn any_bits(seed: u64, n_spectra: usize, n_pixels: usize) -> Self {
        let mut draw = Draw::new(seed);
        let mut any = || (0..n_spectra * n_pixels).map(|_| f32::from_bits(draw.word())).collect();
        let (flux_sp, ivar_sp) = (any(), any());
        Self { n_spectra, n_pixels, flux_sp, ivar_sp, mask_sp: vec![0; n_spectra * n_pixels] }
    }

    pub(crate) fn upload<B: Backend>(&self, dev: &B) -> SpectraBatch<B> {
        SpectraBatch {
            n_spectra: self.n_spectra,
            n_pixels: self.n_pixels,
            flux_sp: dev.upload(&self.flux_sp).expect("the device has room"),
            ivar_sp: dev.upload(&self.ivar_sp).expect("the device has room"),
            mask_sp: dev.upload(&self.mask_sp).expect("the device has room"),
        }
    }

    pub(crate) fn download<B: Backend>(dev: &B, spectra: &SpectraBatch<B>) -> Self {
        Self {
            n_spectra: spectra.n_spectra,
            n_pixels: spectra.n_pixels,
            flux_sp: dev.download(&spectra.flux_sp).expect("the copy succeeds"),
            ivar_sp: dev.download(&spectra.ivar_sp).expect("the copy succeeds"),
            mask_sp: dev.download(&spectra.mask_sp).expect("the copy succeeds"),
        }
    }

    /// These rows, in this order.
    pub(crate) fn rows(&self, rows: &[usize]) -> Self {
        let mask_len = if self.mask_sp.is_empty() { 0 } else { self.n_pixels };
        Self {
            n_spectra: rows.len(),
            n_pixels: self.n_pixels,
            flux_sp: take_rows(&self.flux_sp, self.n_pixels, rows),
            ivar_sp: take_rows(&self.ivar_sp, self.n_pixels, rows),
            mask_sp: take_rows(&self.mask_sp, mask_len, rows),
        }
    }

    /// The bits of everything, for comparisons that must be exact.
    pub(crate) fn bits(&self) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        (to_bits(&self.flux_sp), to_bits(&self.ivar_sp), self.mask_sp.clone())
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.flux_sp.iter().all(|f| f.is_finite()) && self.ivar_sp.iter().all(|w| w.is_finite() && *w >= 0.0)
    }
}

/// The bits of each number.
pub(crate) fn to_bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
