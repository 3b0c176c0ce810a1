//! From a noiseless object to what the pixels of the three arms would hold without noise.

use crate::dust::Curve;
use crate::grid::{ARMS, LSF_CLASSES, Lsf};
use crate::source::{Body, Source};
use crate::stellar::{self, C_KMS};
use crate::template::Library;

/// Filter edges in Å of the synthetic photometry: trapezoids (foot, shoulder, shoulder, foot) close
/// to the g, r and z bands of the Legacy Surveys, cut at the end of the spectrograph.
const FILTERS: [[f64; 4]; 3] =
    [[3950.0, 4200.0, 5350.0, 5550.0], [5620.0, 5780.0, 7000.0, 7180.0], [8350.0, 8600.0, 9800.0, 9824.0]];

/// Pixel edges of an arm and what depends on them alone.
struct Pixels {
    edges_aa: Vec<f64>,
    ln_edges: Vec<f64>,
    /// ln of the transmission for an SFD E(B-V) of one.
    dust_ln: Vec<f64>,
    /// Weight of the pixel's flux in the g, r, z fluxes, in nanomaggies per 1e-17 erg/s/cm²/Å.
    photometry: [Vec<f64>; 3],
}

/// Everything that targets share.
pub(crate) struct Sampler {
    galaxies: Library,
    stars: Library,
    lsf: Vec<Lsf>,
    pixels: Vec<Pixels>,
}

/// A noiseless spectrum, per arm.
pub(crate) struct Noiseless {
    /// Pixel means of the light that enters, times the resolution matrix.
    pub(crate) flux: [Vec<f64>; 3],
    /// g, r, z in the fibre, in nanomaggies.
    pub(crate) nanomaggies: [f64; 3],
}

impl Sampler {
    pub(crate) fn new() -> Self {
        let curve = Curve::new();
        let norms = FILTERS.map(|filter| filter_norm(&filter));
        let pixels = (0..3).map(|arm| Pixels::new(arm, &curve, norms)).collect();
        Self {
            galaxies: stellar::galaxies(),
            stars: stellar::stars(),
            lsf: (0..LSF_CLASSES).map(Lsf::new).collect(),
            pixels,
        }
    }

    /// The line-spread function of a fibre.
    pub(crate) fn lsf(&self, fiber: i32) -> &Lsf {
        let class = usize::try_from(fiber.unsigned_abs()).unwrap_or(0) % LSF_CLASSES;
        &self.lsf[class]
    }

    /// The templates a body is mixed from, if it is.
    pub(crate) fn library(&self, body: &Body) -> Option<&Library> {
        match body {
            Body::Galaxy(_) => Some(&self.galaxies),
            Body::Star(_) => Some(&self.stars),
            Body::Nothing | Body::Quasar(_) => None,
        }
    }

    /// Fraction of light that the Milky Way lets through at the pixel centres of an arm.
    pub(crate) fn transmissions(&self, arm: usize, ebv: f64) -> Vec<f64> {
        self.pixels[arm].dust_ln.iter().map(|dust_ln| libm::exp(ebv * dust_ln)).collect()
    }

    /// Pixel means behind the Milky Way.
    pub(crate) fn light(&self, source: &Source, arm: usize, ebv: f64) -> Vec<f64> {
        let mut means = self.means(source, arm);
        for (mean, through) in means.iter_mut().zip(self.transmissions(arm, ebv)) {
            *mean *= through;
        }
        means
    }

    /// Scales `source` to its magnitude behind E(B-V) `ebv` and gives its noiseless spectrum.
    pub(crate) fn noiseless(&self, source: &mut Source, ebv: f64, fiber: i32) -> Noiseless {
        let mut model = [0, 1, 2].map(|arm| self.light(source, arm, ebv));
        let mut nanomaggies = [0, 1, 2].map(|band| self.photometry(band, &model));
        if nanomaggies[1] > 0.0 {
            let factor = libm::exp10(0.4 * (22.5 - source.fibre_mag_r)) / nanomaggies[1];
            source.scale(factor);
            model.iter_mut().flatten().for_each(|value| *value *= factor);
            nanomaggies.iter_mut().for_each(|value| *value *= factor);
        }
        let lsf = self.lsf(fiber);
        let flux = [0, 1, 2].map(|arm| lsf.apply(arm, &model[arm]));
        Noiseless { flux, nanomaggies }
    }

    fn photometry(&self, band: usize, model: &[Vec<f64>; 3]) -> f64 {
        let of_arm = |(means, pixels): (&Vec<f64>, &Pixels)| -> f64 {
            means.iter().zip(&pixels.photometry[band]).map(|(mean, weight)| mean * weight).sum()
        };
        model.iter().zip(&self.pixels).map(of_arm).sum()
    }

    /// Pixel means in one arm, before the Milky Way.
    fn means(&self, source: &Source, arm: usize) -> Vec<f64> {
        let Pixels { edges_aa, ln_edges, .. } = &self.pixels[arm];
        let mut means = match &source.body {
            Body::Galaxy(weights) => self.galaxies.pixel_means(weights, edges_aa, ln_edges, source.z),
            Body::Star(weights) => self.stars.pixel_means(weights, edges_aa, ln_edges, source.z),
            Body::Nothing | Body::Quasar(_) => vec![0.0; ARMS[arm].pixels],
        };
        for line in &source.lines {
            line.add_to_pixels(source.z, edges_aa, &mut means);
        }
        if let Body::Quasar(quasar) = &source.body {
            quasar.fill_pixels(edges_aa, ln_edges, &mut means);
        }
        means
    }
}

impl Pixels {
    fn new(arm: usize, curve: &Curve, norms: [f64; 3]) -> Self {
        let edges_aa = ARMS[arm].edges_aa();
        let ln_edges = edges_aa.iter().map(|&edge| libm::log(edge)).collect();
        let centres: Vec<f64> = edges_aa.windows(2).map(|edge| 0.5 * (edge[0] + edge[1])).collect();
        let per_magnitude = -0.4 * std::f64::consts::LN_10;
        let dust_ln =
            centres.iter().map(|&wave| per_magnitude * curve.extinction_per_sfd_ebv(wave)).collect();
        // Where arms overlap the bluer one counts up to the middle.
        let (low, high) = [(0.0, 5780.0), (5780.0, 7570.0), (7570.0, f64::MAX)][arm];
        let weight = |band: usize, wave: f64| {
            if wave < low || wave >= high { 0.0 } else { filter(&FILTERS[band], wave) * wave / norms[band] }
        };
        let photometry = [0, 1, 2].map(|band| centres.iter().map(|&wave| weight(band, wave)).collect());
        Self { edges_aa, ln_edges, dust_ln, photometry }
    }
}

fn filter(edges: &[f64; 4], wave: f64) -> f64 {
    let [a, b, c, d] = *edges;
    ((wave - a) / (b - a)).min((d - wave) / (d - c)).clamp(0.0, 1.0)
}

/// What Σ flux·λ·R must be divided by to give nanomaggies (AB).
fn filter_norm(edges: &[f64; 4]) -> f64 {
    // One nanomaggy is 3.631e-29 erg/s/cm²/Hz, and f_λ = f_ν c/λ².
    let scale = 3.631e-29 * C_KMS * 1e13 / 1e-17;
    (0..7781).map(|i| 3600.0 + 0.8 * f64::from(i)).map(|wave| filter(edges, wave) / wave).sum::<f64>() * scale
}

/// One sampler for all tests: building the templates takes longer than most of them.
#[cfg(test)]
pub(crate) fn shared() -> &'static Sampler {
    static SHARED: std::sync::OnceLock<Sampler> = std::sync::OnceLock::new();
    SHARED.get_or_init(Sampler::new)
}
