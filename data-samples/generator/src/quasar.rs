//! Quasars: a broken power law, iron, broad lines, absorption troughs and the Lyman-α forest.

use crate::draw::Draw;
use crate::lines::{Emission, LINES, index};
use crate::source::{Body, Class, Source};
use crate::stellar::C_KMS;

/// Where the power law is pinned, and where it breaks (van den Berk et al. 2001, AJ 122, 549).
const PIVOT_AA: f64 = 2500.0;
const BREAK_AA: f64 = 5600.0;
const LYMAN_ALPHA_AA: f64 = 1215.67;

/// Iron and Balmer-continuum bumps: rest centre (Å), height against the power law, σ (Å).
const BUMPS: [(f64, f64, f64); 13] = [
    (2250.0, 0.12, 60.0),
    (2400.0, 0.20, 60.0),
    (2500.0, 0.20, 50.0),
    (2600.0, 0.14, 40.0),
    (2930.0, 0.09, 50.0),
    (3050.0, 0.14, 330.0),
    (3200.0, 0.06, 60.0),
    (4500.0, 0.08, 40.0),
    (4570.0, 0.12, 45.0),
    (4650.0, 0.08, 30.0),
    (5190.0, 0.09, 40.0),
    (5280.0, 0.12, 40.0),
    (5360.0, 0.07, 40.0),
];

/// Broad lines: name, typical rest EW (Å), typical σ (km/s), whether it blows towards us.
const BROAD: [(&str, f64, f64, bool); 13] = [
    ("lyalpha", 75.0, 2200.0, false),
    ("nv_1240", 14.0, 2400.0, true),
    ("siliv_1397", 9.0, 2300.0, true),
    ("civ_1549", 32.0, 2100.0, true),
    ("heii_1640", 5.0, 2600.0, true),
    ("aliii_1857", 2.5, 1700.0, false),
    ("siliii_1892", 3.0, 1500.0, false),
    ("ciii_1909", 18.0, 2300.0, false),
    ("mgii_2796", 18.0, 1500.0, false),
    ("mgii_2804", 15.0, 1500.0, false),
    ("hgamma", 14.0, 1700.0, false),
    ("hbeta", 45.0, 1700.0, false),
    ("halpha", 190.0, 1600.0, false),
];

/// Narrow lines: name and typical rest EW (Å).
const NARROW: [(&str, f64); 7] = [
    ("nev_3347", 0.3),
    ("nev_3427", 0.9),
    ("oii_3727", 0.7),
    ("oii_3730", 0.8),
    ("neiii_3870", 1.2),
    ("oiii_4960", 5.0 / 2.993),
    ("oiii_5008", 5.0),
];

/// One outflow: absorption centred on a velocity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trough {
    /// Outflow velocity of the centre; positive is towards us.
    pub(crate) centre_kms: f64,
    half_width_kms: f64,
    depth: f64,
}

impl Trough {
    /// Residual light at outflow velocity `v_kms` for a line with `share` of the full depth.
    fn passes(&self, v_kms: f64, share: f64) -> f64 {
        let t = (v_kms - self.centre_kms) / self.half_width_kms;
        let t2 = t * t;
        if t2 > 36.0 { 1.0 } else { 1.0 - share * self.depth * libm::exp(-t2 * t2) }
    }
}

/// Lines an outflow absorbs in (CIV, SiIV, NV, Lyα; Å), with the share of the CIV depth.
const TROUGH_LINES: [(f64, f64); 4] =
    [(1549.06, 1.0), (1396.76, 0.55), (1240.14, 0.7), (LYMAN_ALPHA_AA, 0.4)];

/// One cloud of the forest.
#[derive(Clone, Copy, Debug)]
struct Cloud {
    observed_aa: f64,
    sigma_aa: f64,
    depth: f64,
}

/// Everything of a quasar but its emission lines.
#[derive(Clone, Debug)]
pub(crate) struct Quasar {
    /// Power law at 2500 Å rest, in 1e-17 erg/s/cm²/Å observed.
    pub(crate) amplitude: f64,
    slope_blue: f64,
    slope_red: f64,
    bumps: f64,
    z: f64,
    pub(crate) troughs: Vec<Trough>,
    clouds: Vec<Cloud>,
}

/// Draws a quasar.
pub(crate) fn draw(draw: &mut Draw, class: Class) -> Source {
    let bal = class == Class::BalQuasar;
    let z = if bal {
        (2.3 + 0.45 * draw.normal()).clamp(1.65, 3.6)
    } else {
        (1.6 + 0.75 * draw.normal()).clamp(0.35, 3.6)
    };
    let fibre_mag_r = (21.0 + 0.9 * draw.normal()).clamp(18.2, 22.8);
    let troughs = if bal { draw_troughs(draw) } else { Vec::new() };
    let quasar = Quasar {
        amplitude: 1.0,
        slope_blue: -1.55 + 0.3 * draw.normal(),
        slope_red: -0.45,
        bumps: draw.range(0.4, 1.5),
        z,
        troughs,
        clouds: draw_clouds(draw, z),
    };
    let mut source =
        Source { class, z, fibre_mag_r, body: Body::Quasar(Box::new(quasar)), lines: Vec::new() };
    source.lines = draw_lines(draw, &source);
    source
}

fn draw_troughs(draw: &mut Draw) -> Vec<Trough> {
    let count = 1 + draw.poisson(0.6).min(2);
    (0..count)
        .map(|_| Trough {
            centre_kms: draw.range(4500.0, 20_000.0),
            half_width_kms: draw.range(1400.0, 3200.0),
            depth: draw.range(0.5, 0.95),
        })
        .collect()
}

fn draw_clouds(draw: &mut Draw, z: f64) -> Vec<Cloud> {
    let (low, high) = (3590.0_f64.max(1030.0 * (1.0 + z)), LYMAN_ALPHA_AA * (1.0 + z) * 0.99);
    if high <= low {
        return Vec::new();
    }
    // A candidate every 1.3 Å; the number that exist grows as (1+z)^2.5.
    let candidates = crate::narrow::index_of((high - low) / 1.3);
    let mut clouds = Vec::new();
    for _ in 0..candidates {
        let observed_aa = draw.range(low, high);
        let sigma_kms = draw.range(18.0, 40.0);
        // Few clouds are opaque: the depth follows a steep power law.
        let depth = 0.25 / libm::pow(1.0 - 0.97 * draw.uniform(), 0.9);
        if draw.uniform() < libm::pow(observed_aa / (4.3 * LYMAN_ALPHA_AA), 2.5) {
            clouds.push(Cloud { observed_aa, sigma_aa: observed_aa * sigma_kms / C_KMS, depth });
        }
    }
    clouds
}

fn draw_lines(draw: &mut Draw, source: &Source) -> Vec<Emission> {
    let strength = libm::exp(0.25 * draw.normal());
    let width = libm::exp(0.22 * draw.normal());
    let wind_kms = draw.range(100.0, 1900.0);
    let narrow_kms = draw.range(120.0, 280.0);
    let narrow_strength = libm::exp(0.6 * draw.normal());
    let flux = |line: usize, ew_aa: f64| ew_aa * (1.0 + source.z) * source.continuum(LINES[line].1);
    let broad = BROAD.iter().map(|&(name, ew_aa, sigma_kms, blown)| {
        let line = index(name);
        let velocity_kms = if blown { -wind_kms } else { 0.0 };
        Emission { line, velocity_kms, sigma_kms: sigma_kms * width, flux: flux(line, ew_aa * strength) }
    });
    let oiii = flux(index("oiii_5008"), 5.0 * narrow_strength);
    let narrow = NARROW.iter().map(|&(name, ew_aa)| {
        let line = index(name);
        let flux = match name {
            "oiii_5008" => oiii,
            "oiii_4960" => oiii / crate::galaxy::OIII_RATIO,
            _ => flux(line, ew_aa * narrow_strength),
        };
        Emission { line, velocity_kms: 0.0, sigma_kms: narrow_kms, flux }
    });
    broad.chain(narrow).collect()
}

/// Outflow velocity in km/s at which `line_aa` lands on `rest_aa`; positive is towards us.
pub(crate) fn outflow_kms(line_aa: f64, rest_aa: f64) -> f64 {
    let ratio = line_aa / rest_aa;
    C_KMS * (ratio * ratio - 1.0) / (ratio * ratio + 1.0)
}

impl Quasar {
    /// Power law and bumps at a rest wavelength.
    pub(crate) fn continuum(&self, rest_aa: f64) -> f64 {
        self.amplitude * self.shape(rest_aa, libm::log(rest_aa / PIVOT_AA))
    }

    fn shape(&self, rest_aa: f64, ln_ratio: f64) -> f64 {
        let ln_break = 0.806_475_865_866_949; // ln(5600/2500)
        let law = if rest_aa < BREAK_AA {
            libm::exp(self.slope_blue * ln_ratio)
        } else {
            libm::exp(self.slope_blue * ln_break + self.slope_red * (ln_ratio - ln_break))
        };
        let mut bumps = 0.0;
        for (centre, height, sigma) in BUMPS {
            let t = (rest_aa - centre) / sigma;
            if t * t < 50.0 {
                bumps += height * libm::exp(-0.5 * t * t);
            }
        }
        law * (1.0 + self.bumps * bumps)
    }

    /// Share of light that the outflows let through at a rest wavelength.
    fn absorbed(&self, rest_aa: f64) -> f64 {
        let mut passes = 1.0;
        for trough in &self.troughs {
            for (line_aa, share) in TROUGH_LINES {
                // 30,000 km/s bound every trough.
                if rest_aa < line_aa * 1.01 && rest_aa > line_aa * 0.89 {
                    passes *= trough.passes(outflow_kms(line_aa, rest_aa), share);
                }
            }
        }
        passes
    }

    /// Residual CIV light at outflow velocity `v_kms`.
    pub(crate) fn civ_residual(&self, v_kms: f64) -> f64 {
        self.troughs.iter().map(|trough| trough.passes(v_kms, 1.0)).product()
    }

    /// Mean light per pixel between uniform `edges_aa` (with logarithms): `means` holds the emission
    /// lines on entry. Smooth factors are averaged by Simpson's rule, the forest on 16 steps a pixel.
    pub(crate) fn fill_pixels(&self, edges_aa: &[f64], ln_edges: &[f64], means: &mut [f64]) {
        let stretch = 1.0 + self.z;
        let ln_scale = libm::log(stretch * PIVOT_AA);
        let at = |observed_aa: f64, ln_observed: f64| {
            let rest_aa = observed_aa / stretch;
            (self.amplitude * self.shape(rest_aa, ln_observed - ln_scale), self.absorbed(rest_aa))
        };
        let half = 0.5 * (edges_aa[1] - edges_aa[0]);
        let mut left = at(edges_aa[0], ln_edges[0]);
        for (p, mean) in means.iter_mut().enumerate() {
            let centre = edges_aa[p] + half;
            // ln of the centre from the edge: two terms leave (1e-4)³/3.
            let t = half / edges_aa[p];
            let middle = at(centre, ln_edges[p] + t - 0.5 * t * t);
            let right = at(edges_aa[p + 1], ln_edges[p + 1]);
            let light = (left.0 * left.1 + 4.0 * middle.0 * middle.1 + right.0 * right.1) / 6.0;
            *mean = *mean * (left.1 + 4.0 * middle.1 + right.1) / 6.0 + light;
            left = right;
        }
        self.forest(edges_aa, means);
    }

    fn forest(&self, edges_aa: &[f64], means: &mut [f64]) {
        const STEPS: usize = 16;
        let end = edges_aa.partition_point(|&edge| edge < LYMAN_ALPHA_AA * (1.0 + self.z));
        if end == 0 {
            return;
        }
        let pixels = end.min(means.len());
        let step = (edges_aa[1] - edges_aa[0]) / STEPS as f64;
        let mut tau = vec![0.0; pixels * STEPS];
        for cloud in &self.clouds {
            let place = |wave: f64| crate::narrow::index_of((wave - edges_aa[0]) / step);
            let reach = 6.0 * cloud.sigma_aa;
            let last = place(cloud.observed_aa + reach).min(tau.len());
            for (i, value) in tau.iter_mut().enumerate().take(last).skip(place(cloud.observed_aa - reach)) {
                let t = (edges_aa[0] + (i as f64 + 0.5) * step - cloud.observed_aa) / cloud.sigma_aa;
                *value += cloud.depth * libm::exp(-0.5 * t * t);
            }
        }
        for (p, mean) in means.iter_mut().enumerate().take(pixels) {
            // A third of the mean decrement of Faucher-Giguère et al. 2008 (ApJ 681, 831) is smooth.
            let ratio = edges_aa[p] / LYMAN_ALPHA_AA;
            let smooth = 0.3 * 0.0018 * libm::pow(ratio, 3.92);
            let slice = &tau[p * STEPS..(p + 1) * STEPS];
            let passes = slice.iter().map(|value| libm::exp(-value - smooth)).sum::<f64>() / STEPS as f64;
            *mean *= passes;
        }
    }
}

/// BI (Weymann et al. 1991) and AI (Hall et al. 2002) of the CIV troughs, in km/s.
pub(crate) fn balnicity_kms(quasar: &Quasar) -> (f64, f64) {
    (index_kms(quasar, 3000, 2000, false), index_kms(quasar, 0, 450, true))
}

/// ∫ (1 − f/0.9) dv up to 25,000 km/s where f < 0.9 over at least `least_kms`; `whole` counts a
/// trough from its start, otherwise only beyond its first `least_kms`.
fn index_kms(quasar: &Quasar, from_kms: i32, least_kms: i32, whole: bool) -> f64 {
    let mut total = 0.0;
    let (mut run, mut run_sum) = (0, 0.0);
    for v_kms in from_kms..25_000 {
        let term = 1.0 - quasar.civ_residual(f64::from(v_kms) + 0.5) / 0.9;
        if term <= 0.0 {
            (run, run_sum) = (0, 0.0);
            continue;
        }
        run += 1;
        run_sum += term;
        if run > least_kms {
            total += term;
        } else if run == least_kms && whole {
            total += run_sum;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Program;

    #[test]
    fn a_box_like_trough_has_the_balnicity_of_its_area() {
        let mut source = Source::new(1, 5, Class::BalQuasar, Program::Dark);
        let Body::Quasar(quasar) = &mut source.body else { panic!("a quasar was asked for") };
        quasar.troughs = vec![Trough { centre_kms: 10_000.0, half_width_kms: 3000.0, depth: 0.9 }];
        let (bi, ai) = balnicity_kms(quasar);
        // Between the full width at f < 0.9 (about 7,300 km/s) less 2,000 and all of it.
        assert!(bi > 2000.0 && bi < ai && ai < 7300.0, "{bi} {ai}");
        quasar.troughs.clear();
        assert!(balnicity_kms(quasar).1.abs() < f64::EPSILON);
    }

    #[test]
    fn outflow_velocity_is_relativistic() {
        // beta = 0.1 shifts by sqrt(0.9/1.1).
        let rest = 1549.06 * (0.9_f64 / 1.1).sqrt();
        assert!((outflow_kms(1549.06, rest) / C_KMS - 0.1).abs() < 1e-12);
    }
}
