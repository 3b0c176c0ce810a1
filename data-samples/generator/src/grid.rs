//! The pixels of the three arms, and the line-spread function that blurs them.

use crate::narrow::f32_of;

/// Pixel width in Å.
pub(crate) const STEP_AA: f64 = 0.8;
/// Diagonals of a RESOLUTION matrix.
pub(crate) const DIAGONALS: usize = 11;
const HALF: usize = DIAGONALS / 2;
/// How many different line-spread functions the fibres share.
pub(crate) const LSF_CLASSES: usize = 8;

/// One arm of the spectrograph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arm {
    pub(crate) letter: char,
    pub(crate) start_aa: f64,
    pub(crate) pixels: usize,
    /// Gaussian σ in Å at the blue end, the middle and the red end.
    sigma_aa: [f64; 3],
}

/// Blue, red and near infrared.
pub(crate) const ARMS: [Arm; 3] = [
    Arm { letter: 'B', start_aa: 3600.0, pixels: 2751, sigma_aa: [0.80, 0.68, 0.64] },
    Arm { letter: 'R', start_aa: 5760.0, pixels: 2326, sigma_aa: [0.64, 0.61, 0.63] },
    Arm { letter: 'Z', start_aa: 7520.0, pixels: 2881, sigma_aa: [0.66, 0.70, 0.84] },
];

impl Arm {
    /// Pixel centres in Å, with the rounding of `numpy.arange` that genuine files carry.
    pub(crate) fn wave_aa(&self) -> Vec<f64> {
        let step = (self.start_aa + STEP_AA) - self.start_aa;
        (0..self.pixels).map(|i| self.start_aa + i as f64 * step).collect()
    }

    /// Pixel edges in Å, one more than pixels.
    pub(crate) fn edges_aa(&self) -> Vec<f64> {
        (0..=self.pixels).map(|i| self.start_aa + (i as f64 - 0.5) * STEP_AA).collect()
    }

    /// σ of the line-spread function in Å at pixel `p`: a parabola through the three anchors.
    fn sigma_at(&self, p: usize, scale: f64) -> f64 {
        let t = p as f64 / (self.pixels - 1) as f64;
        let [blue, middle, red] = self.sigma_aa;
        let curve =
            blue * (2.0 * t - 1.0) * (t - 1.0) + middle * 4.0 * t * (1.0 - t) + red * t * (2.0 * t - 1.0);
        curve * scale
    }
}

/// The resolution matrices of one class of fibres.
pub(crate) struct Lsf {
    /// Per arm, diagonal by diagonal (offsets 5 … −5), as the file holds them.
    bands_kp: [Vec<f32>; 3],
    /// The same, big-endian.
    bytes: [Vec<u8>; 3],
}

impl Lsf {
    /// The matrices of class `class` of [`LSF_CLASSES`]; σ varies by ±3 % between classes.
    pub(crate) fn new(class: usize) -> Self {
        let spread = class as f64 / (LSF_CLASSES - 1) as f64 - 0.5;
        let bands_kp = ARMS.map(|arm| bands(&arm, 1.0 + 0.06 * spread));
        let bytes = [0, 1, 2].map(|a| bands_kp[a].iter().flat_map(|value| value.to_be_bytes()).collect());
        Self { bands_kp, bytes }
    }

    /// The RESOLUTION data of one spectrum in arm `arm`, as bytes of the file.
    pub(crate) fn bytes(&self, arm: usize) -> &[u8] {
        &self.bytes[arm]
    }

    /// The matrix of arm `arm` times the pixel means `model_p`.
    pub(crate) fn apply(&self, arm: usize, model_p: &[f64]) -> Vec<f64> {
        let n = model_p.len();
        let mut out_p = vec![0.0; n];
        for (k, band) in self.bands_kp[arm].chunks_exact(n).enumerate() {
            // Element (k, p) is the response of pixel p + k − 5 to the light at p.
            let first = HALF.saturating_sub(k);
            let last = (n + HALF - k).min(n);
            let to = first + k - HALF;
            for ((out, value), weight) in
                out_p[to..].iter_mut().zip(&model_p[first..last]).zip(&band[first..last])
            {
                *out += value * f64::from(*weight);
            }
        }
        out_p
    }
}

/// Diagonals of an arm's matrix. Column p is the share of a line at the centre of pixel p that falls
/// into each pixel around it, so columns add up to one. Rows within five pixels of an end, which
/// miss the light from beyond it, are scaled to add up to one: a flat spectrum stays flat.
fn bands(arm: &Arm, scale: f64) -> Vec<f32> {
    let n = arm.pixels;
    let mut band_kp = vec![0.0_f64; DIAGONALS * n];
    for p in 0..n {
        let sigma_pixels = arm.sigma_at(p, scale) / STEP_AA;
        let edge = |k: usize| gauss_cdf((k as f64 - HALF as f64 - 0.5) / sigma_pixels);
        let total = edge(DIAGONALS) - edge(0);
        for k in 0..DIAGONALS {
            band_kp[k * n + p] = (edge(k + 1) - edge(k)) / total;
        }
    }
    for row in (0..HALF).chain(n - HALF..n) {
        let inside = |k: &usize| row + HALF >= *k && row + HALF - *k < n;
        let total: f64 = (0..DIAGONALS).filter(inside).map(|k| band_kp[k * n + row + HALF - k]).sum();
        for k in (0..DIAGONALS).filter(inside) {
            band_kp[k * n + row + HALF - k] /= total;
        }
    }
    band_kp.into_iter().map(f32_of).collect()
}

/// Share of a unit Gaussian below `x`.
pub(crate) fn gauss_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_spectrum_stays_flat_and_a_line_keeps_its_flux() {
        let lsf = Lsf::new(3);
        for (a, arm) in ARMS.iter().enumerate() {
            let flat = lsf.apply(a, &vec![1.0; arm.pixels]);
            // σ drifts along the arm, so inner rows add up to one only nearly: 1e-3 over five pixels.
            assert!(flat.iter().all(|value| (value - 1.0).abs() < 1e-3));
            let mut line = vec![0.0; arm.pixels];
            line[arm.pixels / 2] = 1.0;
            let total: f64 = lsf.apply(a, &line).iter().sum();
            // Columns are normalised in f64 and rounded to f32: 11 roundings of 6e-8.
            assert!((total - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn diagonals_run_from_offset_five_to_minus_five() {
        // Light at p must reach p − 5 by diagonal 0 and p + 5 by diagonal 10.
        let lsf = Lsf::new(0);
        let n = ARMS[2].pixels;
        let mut line = vec![0.0; n];
        line[1000] = 1.0;
        let out = lsf.apply(2, &line);
        assert!((out[995] - f64::from(lsf.bands_kp[2][1000])).abs() < 1e-15);
        assert!((out[1005] - f64::from(lsf.bands_kp[2][10 * n + 1000])).abs() < 1e-15);
        assert!(out[994].abs() < 1e-15);
    }

    #[test]
    fn the_blue_grid_ends_where_genuine_files_end() {
        let wave = ARMS[0].wave_aa();
        assert!((wave[2750] - 5_800.000_000_000_5).abs() < 1e-11);
    }
}
