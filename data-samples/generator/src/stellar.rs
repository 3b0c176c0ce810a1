//! Stellar light: the populations galaxies are mixed from, and single stars.
//!
//! A black body is cut by a Balmer jump and a 4000 Å break, then by absorption features, each
//! a Gaussian that takes away a share of the light. The features are those the Lick indices
//! measure; depths are chosen so that D4000 and the indices fall where real galaxies lie.

use crate::template::{Library, Nodes};

/// Speed of light in km/s.
pub(crate) const C_KMS: f64 = 299_792.458;

/// Light of one age, or of one kind of star.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Population {
    pub(crate) name: &'static str,
    temperature_k: f64,
    /// Share of light lost below the Balmer limit.
    balmer_jump: f64,
    /// Share of light lost below 4000 Å.
    break_4000: f64,
    /// Depth of the Balmer lines, 1 for the strongest.
    balmer: f64,
    /// Depth of the metal features, 1 for an old metal-rich population.
    metals: f64,
    sigma_kms: f64,
}

const fn population(name: &'static str, temperature_k: f64, shape: [f64; 5]) -> Population {
    let [balmer_jump, break_4000, balmer, metals, sigma_kms] = shape;
    Population { name, temperature_k, balmer_jump, break_4000, balmer, metals, sigma_kms }
}

/// The populations of galaxies, youngest first.
pub(crate) const POPULATIONS: [Population; 7] = [
    population("10 Myr", 26_000.0, [0.05, 0.00, 0.18, 0.02, 70.0]),
    population("100 Myr", 14_000.0, [0.20, 0.02, 0.45, 0.05, 70.0]),
    population("500 Myr", 9_300.0, [0.45, 0.06, 1.00, 0.12, 90.0]),
    population("1.5 Gyr", 7_300.0, [0.25, 0.14, 0.62, 0.35, 110.0]),
    population("4 Gyr", 5_800.0, [0.08, 0.24, 0.25, 0.70, 130.0]),
    population("10 Gyr", 4_900.0, [0.03, 0.25, 0.12, 0.90, 170.0]),
    population("10 Gyr, metal rich", 4_700.0, [0.02, 0.29, 0.10, 1.08, 250.0]),
];

/// Kinds of stars, hottest first; names as Redrock's subtypes.
pub(crate) const STARS: [Population; 6] = [
    population("WD", 16_000.0, [0.35, 0.00, 1.15, 0.00, 600.0]),
    population("A", 9_000.0, [0.45, 0.04, 1.05, 0.08, 30.0]),
    population("F", 6_900.0, [0.22, 0.12, 0.55, 0.35, 15.0]),
    population("G", 5_700.0, [0.08, 0.22, 0.25, 0.70, 10.0]),
    population("K", 4_500.0, [0.02, 0.32, 0.08, 1.05, 10.0]),
    population("M", 3_300.0, [0.00, 0.34, 0.03, 1.20, 10.0]),
];

/// Balmer series in vacuum (Å), with the depth relative to Hδ.
const BALMER: [(f64, f64); 11] = [
    (6564.61, 0.75),
    (4862.68, 0.95),
    (4341.68, 1.0),
    (4102.89, 1.0),
    (3971.20, 0.95),
    (3890.16, 0.90),
    (3836.48, 0.85),
    (3798.98, 0.75),
    (3771.71, 0.62),
    (3751.22, 0.50),
    (3735.43, 0.38),
];

/// Metal features: vacuum centre (Å), depth in an old population, own width σ (Å).
const METALS: [(f64, f64, f64); 34] = [
    (3647.5, 0.18, 9.0),
    (3720.0, 0.20, 8.0),
    (3735.8, 0.22, 5.0),
    (3821.0, 0.26, 5.0),
    (3862.0, 0.30, 20.0),
    (3934.78, 0.55, 5.5),
    (3969.59, 0.50, 5.5),
    (4046.9, 0.12, 3.0),
    (4064.7, 0.10, 3.0),
    (4133.0, 0.08, 4.0),
    (4162.0, 0.10, 15.0),
    (4206.0, 0.09, 12.0),
    (4227.92, 0.28, 2.2),
    (4272.9, 0.14, 3.5),
    (4305.6, 0.26, 10.0),
    (4385.0, 0.22, 8.0),
    (4456.0, 0.14, 3.5),
    (4533.0, 0.12, 10.0),
    (4670.0, 0.09, 22.0),
    (5017.0, 0.12, 15.0),
    (5140.0, 0.10, 32.0),
    (5168.74, 0.20, 3.2),
    (5174.14, 0.24, 3.2),
    (5185.05, 0.24, 3.2),
    (5271.0, 0.16, 8.0),
    (5331.5, 0.15, 7.5),
    (5403.0, 0.12, 5.5),
    (5711.0, 0.08, 4.5),
    (5787.5, 0.06, 4.0),
    (5891.58, 0.32, 2.3),
    (5897.56, 0.28, 2.3),
    (5966.0, 0.03, 22.0),
    (6232.0, 0.06, 28.0),
    (6497.0, 0.09, 5.0),
];

/// Infrared calcium triplet and sodium doublet, in the same form.
const RED_METALS: [(f64, f64, f64); 5] = [
    (8190.0, 0.09, 5.0),
    (8500.36, 0.22, 3.2),
    (8544.44, 0.34, 3.8),
    (8664.52, 0.30, 3.5),
    (7150.0, 0.05, 45.0),
];

impl Population {
    /// Light without absorption features, equal to one at 5500 Å before breaks.
    pub(crate) fn smooth(&self, wave_aa: f64) -> f64 {
        let planck = |wave: f64| {
            let x = 1.438_777e8 / (wave * self.temperature_k);
            let w = wave / 5500.0;
            1.0 / (w * w * w * w * w * (libm::exp(x) - 1.0))
        };
        let below = |edge: f64, width: f64| 1.0 / (1.0 + libm::exp(((wave_aa - edge) / width).min(700.0)));
        planck(wave_aa) / planck(5500.0)
            * (1.0 - self.balmer_jump * below(3680.0, 22.0))
            * (1.0 - self.break_4000 * below(3988.0, 9.0))
    }

    /// Centre, depth and width σ in Å of every absorption feature, blurred by the stars' motions.
    fn features(&self) -> Vec<(f64, f64, f64)> {
        let mut list = Vec::new();
        for (wave, strength) in BALMER {
            list.push((wave, 0.42 * self.balmer.min(1.2) * strength, 4.5));
            list.push((wave, 0.24 * self.balmer * self.balmer.min(1.2) * strength, 14.0));
        }
        for (wave, depth, sigma) in METALS.iter().chain(&RED_METALS) {
            list.push((*wave, depth * self.metals, *sigma));
        }
        if self.temperature_k < 4000.0 {
            for (wave, depth, sigma) in [(4770.0, 0.25, 30.0), (5230.0, 0.25, 40.0), (6200.0, 0.30, 60.0)] {
                list.push((wave, depth, sigma));
            }
            list.extend([(7120.0, 0.45, 50.0), (7680.0, 0.40, 60.0), (8450.0, 0.30, 40.0)]);
        }
        for feature in &mut list {
            let blur = feature.0 * self.sigma_kms / C_KMS;
            let wide = libm::sqrt(feature.2 * feature.2 + blur * blur);
            feature.1 = (feature.1 * feature.2 / wide).min(0.95);
            feature.2 = wide;
        }
        list
    }

    fn template(&self, nodes: &Nodes) -> Vec<f64> {
        let mut flux: Vec<f64> = nodes.wave_aa.iter().map(|&wave| self.smooth(wave)).collect();
        for (centre, depth, sigma) in self.features() {
            // Beyond seven σ less than 3e-11 of the depth is left.
            let first = nodes.wave_aa.partition_point(|&wave| wave < centre - 7.0 * sigma);
            let last = nodes.wave_aa.partition_point(|&wave| wave <= centre + 7.0 * sigma);
            for (value, wave) in flux[first..last].iter_mut().zip(&nodes.wave_aa[first..last]) {
                let t = (wave - centre) / sigma;
                *value *= 1.0 - depth * libm::exp(-0.5 * t * t);
            }
        }
        flux
    }
}

fn library(populations: &[Population], low_aa: f64, high_aa: f64) -> Library {
    let nodes = Nodes::new(low_aa, high_aa);
    let fluxes = populations.iter().map(|population| population.template(&nodes)).collect();
    Library::new(nodes, fluxes)
}

/// What galaxies are mixed from: 1300–9900 Å, so redshifts −0.005 to 1.76.
pub(crate) fn galaxies() -> Library {
    library(&POPULATIONS, 1300.0, 9900.0)
}

/// What stars are: 3580–9850 Å, so velocities up to 1500 km/s.
pub(crate) fn stars() -> Library {
    library(&STARS, 3580.0, 9880.0)
}

/// Highest redshift of a galaxy.
pub(crate) const GALAXY_Z_MAX: f64 = 1.7;
