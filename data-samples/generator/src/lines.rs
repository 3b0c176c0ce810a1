//! Emission lines: the list, and Gaussians integrated over pixels.

use crate::grid::gauss_cdf;
use crate::stellar::C_KMS;

/// Name and vacuum rest wavelength in Å of every line with truth (as in FastSpecFit's line list;
/// van den Berk et al. 2001 for the broad lines).
pub(crate) const LINES: [(&str, f64); 39] = [
    ("lyalpha", 1215.67),
    ("nv_1240", 1240.14),
    ("siliv_1397", 1396.76),
    ("civ_1549", 1549.06),
    ("heii_1640", 1640.42),
    ("aliii_1857", 1857.40),
    ("siliii_1892", 1892.03),
    ("ciii_1909", 1908.734),
    ("mgii_2796", 2796.3511),
    ("mgii_2804", 2803.5324),
    ("nev_3347", 3346.7828),
    ("nev_3427", 3426.8637),
    ("oii_3727", 3727.0919),
    ("oii_3730", 3729.8750),
    ("neiii_3870", 3869.8611),
    ("h6", 3890.1576),
    ("hepsilon", 3971.195),
    ("hdelta", 4102.892),
    ("hgamma", 4341.684),
    ("oiii_4364", 4364.4351),
    ("hei_4473", 4472.7290),
    ("heii_4687", 4686.8655),
    ("hbeta", 4862.683),
    ("oiii_4960", 4960.2937),
    ("oiii_5008", 5008.2383),
    ("nii_5756", 5756.1887),
    ("hei_5877", 5877.2690),
    ("oi_6302", 6302.0435),
    ("siii_6314", 6313.8062),
    ("nii_6550", 6549.8578),
    ("halpha", 6564.613),
    ("nii_6585", 6585.2696),
    ("sii_6718", 6718.2913),
    ("sii_6733", 6732.6705),
    ("ariii_7138", 7137.770),
    ("oii_7322", 7321.731),
    ("oii_7332", 7332.199),
    ("siii_9071", 9071.103),
    ("siii_9533", 9533.227),
];

/// Index of a line in [`LINES`].
///
/// # Panics
///
/// Where the name is not in the list, which is a mistake in this crate.
pub(crate) fn index(name: &str) -> usize {
    LINES.iter().position(|(known, _)| *known == name).expect("the line is in the list")
}

/// One Gaussian component of an emission line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emission {
    /// Index in [`LINES`].
    pub(crate) line: usize,
    /// Velocity of the component against the object's redshift; negative is towards us.
    pub(crate) velocity_kms: f64,
    /// Gaussian σ.
    pub(crate) sigma_kms: f64,
    /// Flux in 1e-17 erg/s/cm² before Milky Way extinction.
    pub(crate) flux: f64,
}

impl Emission {
    /// Observed centre and σ in Å at redshift `z`.
    pub(crate) fn observed_aa(&self, z: f64) -> (f64, f64) {
        let centre = LINES[self.line].1 * (1.0 + z) * (1.0 + self.velocity_kms / C_KMS);
        (centre, centre * self.sigma_kms / C_KMS)
    }

    /// Adds the line's mean in each pixel between neighbouring edges of a uniform grid.
    pub(crate) fn add_to_pixels(&self, z: f64, edges_aa: &[f64], means: &mut [f64]) {
        let (centre, sigma) = self.observed_aa(z);
        let reach = 8.0 * sigma;
        let width = edges_aa[1] - edges_aa[0];
        let first = edges_aa.partition_point(|&edge| edge < centre - reach).saturating_sub(1);
        let last = edges_aa.partition_point(|&edge| edge <= centre + reach).min(means.len());
        if first >= last {
            return;
        }
        if sigma < 6.0 * width {
            let mut below = gauss_cdf((edges_aa[first] - centre) / sigma);
            for p in first..last {
                let upto = gauss_cdf((edges_aa[p + 1] - centre) / sigma);
                means[p] += self.flux * (upto - below) / width;
                below = upto;
            }
        } else {
            // Simpson's rule: relative error (width/σ)⁴/2880 < 3e-7 of the peak.
            let mut left = self.density(edges_aa[first], centre, sigma);
            for p in first..last {
                let middle = self.density(edges_aa[p] + 0.5 * width, centre, sigma);
                let right = self.density(edges_aa[p + 1], centre, sigma);
                means[p] += (left + 4.0 * middle + right) / 6.0;
                left = right;
            }
        }
    }

    fn density(&self, wave: f64, centre: f64, sigma: f64) -> f64 {
        let t = (wave - centre) / sigma;
        self.flux / (sigma * 2.506_628_274_631_000_5) * libm::exp(-0.5 * t * t)
    }

    /// Adds the line to a fine rest-frame spectrum in observed flux units.
    pub(crate) fn add_to_fine(&self, z: f64, wave_aa: &[f64], flux: &mut [f64]) {
        let (centre, sigma) = self.observed_aa(z);
        let stretch = 1.0 + z;
        let first = wave_aa.partition_point(|&wave| wave * stretch < centre - 8.0 * sigma);
        let last = wave_aa.partition_point(|&wave| wave * stretch <= centre + 8.0 * sigma);
        for (value, wave) in flux[first..last].iter_mut().zip(&wave_aa[first..last]) {
            *value += self.density(wave * stretch, centre, sigma);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_hold_the_whole_line_whatever_its_width_or_phase() {
        let edges: Vec<f64> = (0..6000).map(|i| 5000.0 + 0.8 * f64::from(i)).collect();
        for (sigma_kms, velocity_kms) in [(5.0, 0.0), (60.0, 13.0), (110.0, 31.0), (2500.0, -900.0)] {
            let line = Emission { line: index("hbeta"), velocity_kms, sigma_kms, flux: 3.0 };
            let mut means = vec![0.0; edges.len() - 1];
            line.add_to_pixels(0.5, &edges, &mut means);
            let total: f64 = means.iter().map(|mean| mean * 0.8).sum();
            // Eight σ leave 1e-15; Simpson's rule cancels over a whole Gaussian.
            assert!((total / 3.0 - 1.0).abs() < 1e-9, "{sigma_kms} {total}");
        }
    }
}
