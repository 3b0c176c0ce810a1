//! Breaks and Lick indices of a noiseless spectrum, by direct integration in f64.

use crate::template::Fine;

/// How an index is expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ∫ (1 − F/F_c) dλ in Å.
    Angstrom,
    /// −2.5 log10 of the mean of F/F_c.
    Magnitude,
}

/// Bands in air (Å): Worthey et al. 1994, Worthey and Ottaviani 1997, Trager et al. 1998.
pub(crate) struct Lick {
    pub(crate) name: &'static str,
    band: [f64; 2],
    blue: [f64; 2],
    red: [f64; 2],
    kind: Kind,
}

const fn lick(name: &'static str, band: [f64; 2], blue: [f64; 2], red: [f64; 2], kind: Kind) -> Lick {
    Lick { name, band, blue, red, kind }
}

use Kind::{Angstrom, Magnitude};

/// The 25 indices.
pub(crate) const LICK: [Lick; 25] = [
    lick("hdelta_a", [4083.500, 4122.250], [4041.600, 4079.750], [4128.500, 4161.000], Angstrom),
    lick("hdelta_f", [4091.000, 4112.250], [4057.250, 4088.500], [4114.750, 4137.250], Angstrom),
    lick("hgamma_a", [4319.750, 4363.500], [4283.500, 4319.750], [4367.250, 4419.750], Angstrom),
    lick("hgamma_f", [4331.250, 4352.250], [4283.500, 4319.750], [4354.750, 4384.750], Angstrom),
    lick("cn1", [4142.125, 4177.125], [4080.125, 4117.625], [4244.125, 4284.125], Magnitude),
    lick("cn2", [4142.125, 4177.125], [4083.875, 4096.375], [4244.125, 4284.125], Magnitude),
    lick("ca4227", [4222.250, 4234.750], [4211.000, 4219.750], [4241.000, 4251.000], Angstrom),
    lick("g4300", [4281.375, 4316.375], [4266.375, 4282.625], [4318.875, 4335.125], Angstrom),
    lick("fe4383", [4369.125, 4420.375], [4359.125, 4370.375], [4442.875, 4455.375], Angstrom),
    lick("ca4455", [4452.125, 4474.625], [4445.875, 4454.625], [4477.125, 4492.125], Angstrom),
    lick("fe4531", [4514.250, 4559.250], [4504.250, 4514.250], [4560.500, 4579.250], Angstrom),
    lick("fe4668", [4634.000, 4720.250], [4611.500, 4630.250], [4742.750, 4756.500], Angstrom),
    lick("hbeta", [4847.875, 4876.625], [4827.875, 4847.875], [4876.625, 4891.625], Angstrom),
    lick("fe5015", [4977.750, 5054.000], [4946.500, 4977.750], [5054.000, 5065.250], Angstrom),
    lick("mg1", [5069.125, 5134.125], [4895.125, 4957.625], [5301.125, 5366.125], Magnitude),
    lick("mg2", [5154.125, 5196.625], [4895.125, 4957.625], [5301.125, 5366.125], Magnitude),
    lick("mgb", [5160.125, 5192.625], [5142.625, 5161.375], [5191.375, 5206.375], Angstrom),
    lick("fe5270", [5245.650, 5285.650], [5233.150, 5248.150], [5285.650, 5318.150], Angstrom),
    lick("fe5335", [5312.125, 5352.125], [5304.625, 5315.875], [5353.375, 5363.375], Angstrom),
    lick("fe5406", [5387.500, 5415.000], [5376.250, 5387.500], [5415.000, 5425.000], Angstrom),
    lick("fe5709", [5696.625, 5720.375], [5672.875, 5696.625], [5722.875, 5736.625], Angstrom),
    lick("fe5782", [5776.625, 5796.625], [5765.375, 5775.375], [5797.875, 5811.625], Angstrom),
    lick("nad", [5876.875, 5909.375], [5860.625, 5875.625], [5922.125, 5948.125], Angstrom),
    lick("tio1", [5936.625, 5994.125], [5816.625, 5849.125], [6038.625, 6103.625], Magnitude),
    lick("tio2", [6189.625, 6272.125], [6066.625, 6141.625], [6372.625, 6415.125], Magnitude),
];

/// Vacuum wavelength of an air wavelength, both in Å (Morton 2000, ApJS 130, 403, inverted).
pub(crate) fn vacuum_aa(air_aa: f64) -> f64 {
    let refraction = |vacuum: f64| {
        let s2 = 1e8 / (vacuum * vacuum);
        1.0 + 8.342_54e-5 + 2.406_147e-2 / (130.0 - s2) + 1.5998e-4 / (38.9 - s2)
    };
    // The refraction varies by 1e-8 over the shift, so three rounds reach f64.
    let mut vacuum = air_aa;
    for _ in 0..3 {
        vacuum = air_aa * refraction(vacuum);
    }
    vacuum
}

/// A spectrum that can be integrated over a rest-frame band.
pub(crate) trait Integrable {
    /// ∫ g(λ, F) dλ over the rest-frame band, or nothing where the spectrum does not cover it.
    fn integral(&self, band: [f64; 2], g: impl Fn(f64, f64) -> f64) -> Option<f64>;
}

/// A fine spectrum, trusted only where the spectrograph looks.
pub(crate) struct Covered<'a> {
    pub(crate) fine: &'a Fine,
    pub(crate) rest_aa: [f64; 2],
}

impl Integrable for Covered<'_> {
    fn integral(&self, band: [f64; 2], g: impl Fn(f64, f64) -> f64) -> Option<f64> {
        let inside = band[0] >= self.rest_aa[0] && band[1] <= self.rest_aa[1];
        inside.then(|| self.fine.integrate(band[0], band[1], g))
    }
}

/// Noiseless pixels: constant within each pixel, fractions of pixels at the ends of a band.
pub(crate) struct Pixels<'a> {
    /// Rest-frame pixel edges, one more than pixels.
    pub(crate) edges_aa: &'a [f64],
    pub(crate) flux: &'a [f64],
}

impl Integrable for Pixels<'_> {
    fn integral(&self, band: [f64; 2], g: impl Fn(f64, f64) -> f64) -> Option<f64> {
        let first = self.edges_aa.partition_point(|&edge| edge <= band[0]);
        let last = self.edges_aa.partition_point(|&edge| edge < band[1]);
        if first == 0 || last >= self.edges_aa.len() {
            return None;
        }
        let share = |p: usize| {
            let (low, high) = (self.edges_aa[p].max(band[0]), self.edges_aa[p + 1].min(band[1]));
            let centre = 0.5 * (self.edges_aa[p] + self.edges_aa[p + 1]);
            (high - low) * g(centre, self.flux[p])
        };
        Some((first - 1..last).map(share).sum())
    }
}

fn mean(spectrum: &impl Integrable, band: [f64; 2]) -> Option<f64> {
    Some(spectrum.integral(band, |_, flux| flux)? / (band[1] - band[0]))
}

impl Lick {
    /// The index of a spectrum.
    pub(crate) fn measure(&self, spectrum: &impl Integrable) -> Option<f64> {
        let shifted = |band: [f64; 2]| band.map(vacuum_aa);
        let (band, blue, red) = (shifted(self.band), shifted(self.blue), shifted(self.red));
        let (low, high) = (mean(spectrum, blue)?, mean(spectrum, red)?);
        let (x0, x1) = (0.5 * (blue[0] + blue[1]), 0.5 * (red[0] + red[1]));
        let line = |wave: f64| low + (high - low) * (wave - x0) / (x1 - x0);
        let width = band[1] - band[0];
        let ratio = spectrum.integral(band, |wave, flux| flux / line(wave))? / width;
        match self.kind {
            Kind::Angstrom => Some(width * (1.0 - ratio)),
            Kind::Magnitude if ratio > 0.0 => Some(-2.5 * libm::log10(ratio)),
            Kind::Magnitude => None,
        }
    }
}

/// D4000: narrow (Balogh et al. 1999) and wide (Bruzual 1983), plain means of f_ν. The published
/// limits are taken as vacuum, as FastSpecFit does.
pub(crate) fn breaks(spectrum: &impl Integrable) -> [Option<f64>; 2] {
    let mean_nu = |band: [f64; 2]| {
        let sum = spectrum.integral(band, |wave, flux| flux * wave * wave)?;
        Some(sum / (band[1] - band[0]))
    };
    [([3850.0, 3950.0], [4000.0, 4100.0]), ([3750.0, 3950.0], [4050.0, 4250.0])]
        .map(|(blue, red)| Some(mean_nu(red)? / mean_nu(blue)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn air_bands_move_to_vacuum_by_the_known_amount() {
        // [OIII] 5006.843 Å in air is 5008.240 Å in vacuum.
        assert!((vacuum_aa(5006.843) - 5008.240).abs() < 2e-3);
    }

    #[test]
    fn a_notch_in_a_flat_spectrum_has_its_own_width() {
        let wave_aa: Vec<f64> = (0..80_000).map(|i| 3700.0 + 0.02 * f64::from(i)).collect();
        let centre = vacuum_aa(5176.0);
        let flux = wave_aa
            .iter()
            .map(|wave| 1.0 - 0.5 * (-0.5 * ((wave - centre) / 2.0) * ((wave - centre) / 2.0)).exp())
            .collect();
        let fine = Fine { wave_aa, flux };
        let mgb = LICK.iter().find(|index| index.name == "mgb").unwrap();
        let covered = Covered { fine: &fine, rest_aa: [3700.5, 5299.0] };
        let width = mgb.measure(&covered).unwrap();
        // Area of the notch: 0.5 · 2 · √(2π); the sidebands lie seven σ away and more.
        assert!((width - (2.0 * std::f64::consts::PI).sqrt()).abs() < 1e-6, "{width}");
    }

    #[test]
    fn a_step_of_two_at_4000_is_a_break_of_two() {
        let edges_aa: Vec<f64> = (0..2000).map(|i| 3700.0 + 0.7 * f64::from(i)).collect();
        let flux: Vec<f64> = edges_aa
            .windows(2)
            .map(|edge| {
                let centre = 0.5 * (edge[0] + edge[1]);
                (if centre < 3975.0 { 1.0 } else { 2.0 }) / (centre * centre)
            })
            .collect();
        let breaks = breaks(&Pixels { edges_aa: &edges_aa, flux: &flux });
        for value in breaks {
            assert!((value.unwrap() - 2.0).abs() < 1e-12);
        }
    }
}
