//! Spectra of known content, and what the definitions of breaks and lines say about them.
//!
//! Light is what reaches the pixels after the line-spread function. Its smooth part (continuum,
//! absorption, broad lines) is linear between the edges of the 0.8 Å pixels; its narrow lines are
//! Gaussians. Both are integrated over pixels exactly. Truth is evaluated in f64 on samples 0.04 Å
//! apart by code that shares nothing with the kernels: only the bands come from the same tables.

use specmill_schemas::constants::{Line, LineKind};

/// The combined grid: first centre and step in Å, number of pixels.
pub(crate) const FIRST_AA: f64 = 3600.0;
pub(crate) const STEP_AA: f64 = 0.8;
pub(crate) const N_PIXELS: usize = 7781;
const SAMPLES: usize = 20;
const SAMPLE_AA: f64 = STEP_AA / SAMPLES as f64;
const C_KMS: f64 = 299_792.458;

/// Gaussian σ of the line-spread function in each arm, Å; some spectra get one much narrower than a
/// pixel, which no sum over a window may mind.
const LSF_AA: [f64; 3] = [0.72, 0.62, 0.72];
const SHARP_AA: f64 = 0.2;

/// What narrow lines a spectrum has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// None.
    Quiet,
    /// σ of a quarter of a pixel.
    Sharp,
    /// As DESI resolves them: σ of 0.6 Å and more.
    Resolved,
}

/// Numbers that look random (SplitMix64).
pub(crate) struct Draw(u64);

impl Draw {
    /// A sequence of its own for each name.
    pub(crate) fn named(name: &str) -> Self {
        // FNV-1a.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// Between 0 and 1, never 0.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Evenly spread in the logarithm.
    pub(crate) fn log_range(&mut self, low: f64, high: f64) -> f64 {
        libm::exp(self.range(libm::log(low), libm::log(high)))
    }

    /// Two independent standard normal numbers (Box & Muller 1958).
    pub(crate) fn normals(&mut self) -> [f64; 2] {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * self.uniform());
        [radius * cos, radius * sin]
    }
}

/// A narrow line: observed centre, σ before the line-spread function, flux.
#[derive(Debug, Clone, Copy)]
struct Narrow {
    centre_aa: f64,
    sigma_aa: f64,
    flux: f64,
}

/// One noiseless spectrum.
pub(crate) struct Light {
    one_plus_z: f64,
    pub(crate) lines: Lines,
    lsf_aa: [f64; 3],
    /// At the edges of the pixels.
    smooth_e: Vec<f64>,
    narrow: Vec<Narrow>,
}

/// Left edge of a pixel of the combined grid, Å.
fn edge_aa(p: usize) -> f64 {
    FIRST_AA + (p as f64 - 0.5) * STEP_AA
}

fn gauss(t: f64) -> f64 {
    if t.abs() < 8.0 { libm::exp(-0.5 * t * t) } else { 0.0 }
}

/// Continuum and absorption of a galaxy, or of a quasar, at a rest wavelength.
struct Shape {
    slope: f64,
    jump: f64,
    balmer: f64,
    /// Centre (Å), σ (Å), height.
    broad: Vec<(f64, f64, f64)>,
}

impl Shape {
    fn draw(draw: &mut Draw, is_quasar: bool, lines: &[Line]) -> Self {
        if !is_quasar {
            let (slope, jump, balmer) = (draw.range(-2.0, 1.0), draw.range(0.1, 0.6), draw.range(0.02, 0.35));
            return Self { slope, jump, balmer, broad: Vec::new() };
        }
        let mut shape = Self { slope: draw.range(-2.0, -1.0), jump: 0.0, balmer: 0.0, broad: Vec::new() };
        for line in lines.iter().filter(|line| line.kind == LineKind::Broad) {
            let (ew_aa, sigma_kms) = (draw.log_range(5.0, 60.0), draw.range(1200.0, 2600.0));
            let sigma_aa = line.wave_aa * sigma_kms / C_KMS;
            let height = ew_aa * shape.at(line.wave_aa) / (sigma_aa * libm::sqrt(std::f64::consts::TAU));
            shape.broad.push((line.wave_aa, sigma_aa, height));
        }
        shape
    }

    fn at(&self, rest_aa: f64) -> f64 {
        // Hα, Hβ, Hγ, Hδ, Hε, H6 in vacuum.
        const BALMER_AA: [f64; 6] = [6564.6, 4862.7, 4341.7, 4102.9, 3971.2, 3890.2];
        let law = libm::pow(rest_aa / 4000.0, self.slope);
        let below = self.jump / (1.0 + libm::exp(((rest_aa - 3985.0) / 10.0).min(500.0)));
        let near = |centre: f64| gauss((rest_aa - centre) / 5.0);
        let absorbed: f64 = BALMER_AA.iter().map(|centre| self.balmer * near(*centre)).sum();
        let broad = |&(centre, sigma, height): &(f64, f64, f64)| height * gauss((rest_aa - centre) / sigma);
        law * (1.0 - below) * (1.0 - absorbed) + self.broad.iter().map(broad).sum::<f64>()
    }
}

impl Light {
    /// A galaxy or quasar at redshift `z`, as bright as a median S/N of 2 to 60 per pixel asks for
    /// at the ivar given; unless it is quiet, with every narrow line of the table at 1.5 to 80 Å of
    /// rest-frame width.
    pub(crate) fn draw(draw: &mut Draw, is_quasar: bool, z: f64, lines: &[Line], ivar_p: &[f64]) -> Self {
        let one_plus_z = 1.0 + z;
        let shape = Shape::draw(draw, is_quasar, lines);
        let mut smooth_e: Vec<f64> = (0..=N_PIXELS).map(|p| shape.at(edge_aa(p) / one_plus_z)).collect();
        let mut snr_p: Vec<f64> =
            smooth_e.iter().zip(ivar_p).map(|(f, ivar)| f * libm::sqrt(*ivar)).collect();
        let (_, median, _) = snr_p.select_nth_unstable_by(N_PIXELS / 2, f64::total_cmp);
        let amplitude = draw.log_range(2.0, 60.0) / *median;
        smooth_e.iter_mut().for_each(|value| *value *= amplitude);

        let kind = match draw.uniform() {
            u if u < 0.3 => Lines::Quiet,
            u if u < 0.5 => Lines::Sharp,
            _ => Lines::Resolved,
        };
        let (lsf_aa, sigma_kms) = match kind {
            Lines::Sharp => ([SHARP_AA; 3], 5.0),
            Lines::Quiet | Lines::Resolved => (LSF_AA, draw.log_range(10.0, 130.0)),
        };
        let narrow = lines
            .iter()
            .filter(|line| line.kind == LineKind::Narrow && kind != Lines::Quiet)
            .map(|line| {
                let level = amplitude * shape.at(line.wave_aa);
                Narrow {
                    centre_aa: line.wave_aa * one_plus_z,
                    sigma_aa: line.wave_aa * one_plus_z * sigma_kms / C_KMS,
                    flux: level * one_plus_z * draw.log_range(1.5, 80.0),
                }
            })
            .collect();
        Self { one_plus_z, lines: kind, lsf_aa, smooth_e, narrow }
    }

    /// Mean light in the pixels of an arm.
    pub(crate) fn pixel_means(&self, arm: usize, first_pixel: usize, n_pixels: usize) -> Vec<f64> {
        let smooth_e = &self.smooth_e[first_pixel..=first_pixel + n_pixels];
        let mut means: Vec<f64> = smooth_e.windows(2).map(|edges| 0.5 * (edges[0] + edges[1])).collect();
        for line in &self.narrow {
            let sigma = libm::hypot(line.sigma_aa, self.lsf_aa[arm]);
            let below = |p: usize| {
                0.5 * libm::erfc(
                    (line.centre_aa - edge_aa(first_pixel + p)) / sigma / std::f64::consts::SQRT_2,
                )
            };
            for (p, mean) in means.iter_mut().enumerate() {
                if (edge_aa(first_pixel + p) - line.centre_aa).abs() < 8.0 * sigma + STEP_AA {
                    *mean += line.flux * (below(p + 1) - below(p)) / STEP_AA;
                }
            }
        }
        means
    }

    /// The spectrum on samples of 0.04 Å, with the ivar (0 where missing) that weighs each pixel.
    pub(crate) fn fine<'a>(&self, ivar_p: &'a [f64]) -> Fine<'a> {
        let mut flux_i = Vec::with_capacity(N_PIXELS * SAMPLES);
        for edges in self.smooth_e.windows(2) {
            let share = |i: usize| (i as f64 + 0.5) / SAMPLES as f64;
            flux_i.extend((0..SAMPLES).map(|i| edges[0] + (edges[1] - edges[0]) * share(i)));
        }
        for line in &self.narrow {
            // In an overlap either arm's line-spread function: a line's flux is the same in both.
            let arm = usize::from(line.centre_aa > 5780.0) + usize::from(line.centre_aa > 7570.0);
            let sigma = libm::hypot(line.sigma_aa, self.lsf_aa[arm]);
            let peak = line.flux / (sigma * libm::sqrt(std::f64::consts::TAU));
            let (first, end) =
                (sample_at(line.centre_aa - 8.0 * sigma), sample_at(line.centre_aa + 8.0 * sigma));
            for (i, value) in flux_i.iter_mut().enumerate().take(end).skip(first) {
                *value += peak * gauss((sample_aa(i) - line.centre_aa) / sigma);
            }
        }
        Fine { flux_i, ivar_p, one_plus_z: self.one_plus_z }
    }
}

/// Centre of a sample, Å.
fn sample_aa(i: usize) -> f64 {
    edge_aa(0) + (i as f64 + 0.5) * SAMPLE_AA
}

/// The sample that holds a wavelength, clamped to the grid.
fn sample_at(wave_aa: f64) -> usize {
    let last = N_PIXELS * SAMPLES;
    let x = ((wave_aa - edge_aa(0)) / SAMPLE_AA).clamp(0.0, last as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=last")]
    let i = x as usize;
    i.min(last - 1)
}

/// A noiseless spectrum as good as continuous.
pub(crate) struct Fine<'a> {
    flux_i: Vec<f64>,
    ivar_p: &'a [f64],
    one_plus_z: f64,
}

/// What the definition of a line window gives without noise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineTruth {
    pub(crate) flux: f64,
    pub(crate) continuum: f64,
    /// What the sidebands' ivar leaves uncertain of it.
    pub(crate) continuum_sigma: f64,
    pub(crate) ew_aa: f64,
    /// Observed ends of the window, Å.
    pub(crate) window_aa: (f64, f64),
}

impl Fine<'_> {
    /// A rest-frame band's observed ends, where the grid holds it.
    fn observed(&self, (low, high): (f64, f64)) -> Option<(f64, f64)> {
        let (low, high) = (low * self.one_plus_z, high * self.one_plus_z);
        (low >= edge_aa(0) && high <= edge_aa(N_PIXELS)).then_some((low, high))
    }

    /// Σ g(λ, flux, ivar) dλ over an observed band.
    fn integrate<const K: usize>(
        &self,
        (low, high): (f64, f64),
        g: impl Fn(f64, f64, f64) -> [f64; K],
    ) -> [f64; K] {
        let mut sums = [0.0; K];
        for i in sample_at(low)..=sample_at(high) {
            let wave_aa = sample_aa(i);
            let left = wave_aa - 0.5 * SAMPLE_AA;
            let width = (high.min(left + SAMPLE_AA) - low.max(left)).max(0.0);
            for (sum, term) in sums.iter_mut().zip(g(wave_aa, self.flux_i[i], self.ivar_p[i / SAMPLES])) {
                *sum += width * term;
            }
        }
        sums
    }

    /// Flux above the ivar-weighted straight line through both sidebands.
    pub(crate) fn line(&self, line: &Line) -> Option<LineTruth> {
        let window_aa = self.observed(line.window_aa)?;
        let origin = line.wave_aa * self.one_plus_z;
        let mut sums = [0.0; 5];
        for side in [line.blue_aa, line.red_aa] {
            let terms = |wave: f64, flux: f64, w: f64| {
                let x = wave - origin;
                [w, w * x, w * x * x, w * flux, w * x * flux]
            };
            let of_side = self.integrate(self.observed(side)?, terms);
            sums.iter_mut().zip(of_side).for_each(|(sum, own)| *sum += own);
        }
        let [w, wx, wxx, wf, wxf] = sums;
        let determinant = w * wxx - wx * wx;
        let (level, slope) = ((wxx * wf - wx * wxf) / determinant, (w * wxf - wx * wf) / determinant);
        let [flux] = self.integrate(window_aa, |wave, flux, _| [flux - level - slope * (wave - origin)]);
        let ew_aa = flux / level / self.one_plus_z;
        // The sums are over Å; information comes in pixels.
        let continuum_sigma = libm::sqrt(wxx / determinant * STEP_AA);
        let truth = LineTruth { flux, continuum: level, continuum_sigma, ew_aa, window_aa };
        level.is_finite().then_some(truth)
    }

    /// Ratio of mean f_ν (∝ λ² f_λ) of two bands: plain, then weighted by the ivar of f_ν.
    pub(crate) fn breaks(&self, blue: (f64, f64), red: (f64, f64)) -> Option<[f64; 2]> {
        let mut means = [[0.0; 2]; 2];
        for (mean, band) in means.iter_mut().zip([blue, red]) {
            let terms = |wave: f64, flux: f64, ivar: f64| {
                let (fnu, weight) = (wave * wave * flux, ivar / (wave * wave * wave * wave));
                [1.0, fnu, weight, weight * fnu]
            };
            let [width, plain, weight, weighted] = self.integrate(self.observed(band)?, terms);
            *mean = [plain / width, weighted / weight];
        }
        Some([means[1][0] / means[0][0], means[1][1] / means[0][1]])
    }
}
