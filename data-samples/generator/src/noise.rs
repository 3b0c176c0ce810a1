//! The noise model: sky, read-out and the photons of the object itself.

use crate::draw::Draw;
use crate::grid::ARMS;
use crate::narrow::f32_of;
use crate::source::Program;

/// Sky variance per pixel after 1,000 s on a dark sky, at anchors in Å, in (1e-17 erg/s/cm²/Å)².
/// Read off a genuine coadd of the early data release.
const SKY: [(f64, f64); 14] = [
    (3600.0, 3.6),
    (3750.0, 2.0),
    (4000.0, 0.62),
    (4300.0, 0.36),
    (4700.0, 0.20),
    (5200.0, 0.125),
    (5800.0, 0.105),
    (6300.0, 0.060),
    (6900.0, 0.043),
    (7500.0, 0.042),
    (8200.0, 0.028),
    (8900.0, 0.026),
    (9400.0, 0.040),
    (9830.0, 0.075),
];

/// Strong night-sky lines: vacuum wavelength in Å and how much variance they add to the sky's.
const SKY_LINES: [(f64, f64); 56] = [
    (5578.9, 40.0),
    (5891.6, 3.0),
    (5897.6, 2.0),
    (6302.0, 14.0),
    (6365.5, 5.0),
    (6500.5, 1.0),
    (6535.0, 1.6),
    (6555.0, 1.2),
    (6865.7, 3.0),
    (6902.0, 1.5),
    (6925.0, 3.0),
    (6950.9, 2.5),
    (7277.9, 4.0),
    (7318.3, 4.0),
    (7342.9, 5.0),
    (7371.3, 3.0),
    (7403.9, 1.5),
    (7718.0, 3.0),
    (7752.8, 7.0),
    (7796.4, 8.0),
    (7823.5, 6.0),
    (7843.0, 3.0),
    (7855.4, 3.0),
    (7915.9, 8.0),
    (7923.0, 4.0),
    (7966.8, 9.0),
    (7995.6, 8.0),
    (8027.9, 4.0),
    (8064.5, 2.5),
    (8290.6, 4.0),
    (8301.0, 4.5),
    (8347.0, 9.0),
    (8355.0, 3.0),
    (8401.5, 12.0),
    (8417.5, 4.0),
    (8432.7, 12.0),
    (8454.7, 6.0),
    (8467.8, 10.0),
    (8496.0, 6.0),
    (8507.3, 7.0),
    (8764.0, 4.0),
    (8770.1, 8.0),
    (8780.4, 10.0),
    (8793.5, 9.0),
    (8829.5, 9.0),
    (8839.0, 5.0),
    (8852.3, 10.0),
    (8870.1, 5.0),
    (8888.3, 14.0),
    (8905.9, 7.0),
    (8922.4, 14.0),
    (8945.6, 8.0),
    (8960.7, 12.0),
    (9378.7, 9.0),
    (9442.9, 9.0),
    (9793.0, 9.0),
];

/// Variance per unit of flux after 1,000 s: the photons of the object.
const PHOTON_VARIANCE: [f64; 3] = [0.040, 0.026, 0.024];

/// Sky variance per pixel, arm by arm, for 1,000 s.
pub(crate) struct Sky {
    dark: [Vec<f64>; 3],
}

/// How long and under what sky a target was observed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) exposure_s: f64,
    pub(crate) program: Program,
    /// Fibre-to-fibre throughput against the mean.
    pub(crate) throughput: f64,
}

/// What one arm of one spectrum holds in the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArmData {
    pub(crate) flux: Vec<f32>,
    pub(crate) ivar: Vec<f32>,
    pub(crate) mask: Vec<u32>,
}

impl Sky {
    pub(crate) fn new() -> Self {
        Self { dark: ARMS.map(|arm| arm.wave_aa().into_iter().map(dark_variance).collect()) }
    }

    /// Inverse variance of a noiseless spectrum in one arm.
    pub(crate) fn ivar(&self, arm: usize, noiseless: &[f64], conditions: &Conditions) -> Vec<f64> {
        let moon = match conditions.program {
            Program::Dark => 1.0,
            Program::Bright => 3.0,
        };
        let scale = 1000.0 / (conditions.exposure_s * conditions.throughput);
        self.dark[arm]
            .iter()
            .zip(noiseless)
            .map(|(sky, flux)| 1.0 / (scale * (moon * sky + PHOTON_VARIANCE[arm] * flux.max(0.0))))
            .collect()
    }
}

fn dark_variance(wave_aa: f64) -> f64 {
    let hi = SKY.iter().position(|anchor| anchor.0 > wave_aa).unwrap_or(SKY.len() - 1).max(1);
    let ((w0, v0), (w1, v1)) = (SKY[hi - 1], SKY[hi]);
    let t = (wave_aa - w0) / (w1 - w0);
    let smooth = libm::exp(libm::log(v0) * (1.0 - t) + libm::log(v1) * t);
    let lines: f64 = SKY_LINES
        .iter()
        .filter(|line| (line.0 - wave_aa).abs() < 8.0)
        .map(|&(centre, strength)| {
            let u = (wave_aa - centre) / 1.0;
            strength * libm::exp(-0.5 * u * u)
        })
        .sum();
    smooth * (1.0 + lines)
}

/// Share of pixels masked in every exposure but left with their ivar, and share left without.
pub(crate) const MASKED_WITH_IVAR: f64 = 8e-4;
const MASKED_WITHOUT_IVAR: f64 = 2e-3;

/// SPECMASK bits (desispec's names SOMEBADPIX, COSMIC, BADCOLUMN).
const MASK_BITS: [u32; 3] = [1, 1 << 2, 1 << 10];

/// Adds noise of exactly the written inverse variance, then defects.
pub(crate) fn observe(noiseless: &[f64], ivar: &[f64], draw: &mut Draw) -> ArmData {
    let mut data = ArmData::default();
    for (value, weight) in noiseless.iter().zip(ivar) {
        let weight = f32_of(*weight);
        let sigma = 1.0 / libm::sqrt(f64::from(weight));
        let noisy = value + sigma * draw.normal();
        let fate = draw.uniform();
        if fate >= MASKED_WITH_IVAR + MASKED_WITHOUT_IVAR {
            data.flux.push(f32_of(noisy));
            data.ivar.push(weight);
            data.mask.push(0);
            continue;
        }
        let bit = MASK_BITS[crate::narrow::index_of(draw.uniform() * 3.0).min(2)];
        data.mask.push(bit);
        if fate < MASKED_WITH_IVAR {
            // What a cosmic ray leaves behind: the flux is wrong, the ivar does not know.
            data.flux.push(f32_of(noisy + sigma * draw.range(8.0, 60.0)));
            data.ivar.push(weight);
        } else {
            data.flux.push(0.0);
            data.ivar.push(0.0);
        }
    }
    data
}

/// A spectrum without any data, as a broken fibre leaves it: MASK does not say so.
pub(crate) fn dead(pixels: usize) -> ArmData {
    ArmData { flux: vec![0.0; pixels], ivar: vec![0.0; pixels], mask: vec![0; pixels] }
}
