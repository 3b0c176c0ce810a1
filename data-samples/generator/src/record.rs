//! One observed row: what the tables say of it, and its pixels.

use crate::draw::Draw;
use crate::grid::ARMS;
use crate::narrow::f32_of;
use crate::noise::{ArmData, Conditions, Sky, dead, observe};
use crate::plan::{Row, Unit};
use crate::sampler::{Noiseless, Sampler};
use crate::source::{Class, Program, Source};

/// One exposure of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposure {
    pub(crate) night: i32,
    pub(crate) expid: i32,
    pub(crate) mjd: f64,
    pub(crate) tileid: i32,
    pub(crate) exptime_s: f64,
    pub(crate) delta_mm: (f64, f64),
}

/// The fit of a redshift, in Redrock's terms.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) z: f64,
    pub(crate) zerr: f64,
    pub(crate) zwarn: i64,
    pub(crate) chi2: f64,
    pub(crate) deltachi2: f64,
    pub(crate) npixels: i64,
    pub(crate) coeff: [f64; 10],
    pub(crate) ncoeff: i64,
    pub(crate) spectype: &'static str,
    pub(crate) subtype: &'static str,
    pub(crate) method: &'static str,
}

/// Scores of one arm.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scores {
    pub(crate) integral: f32,
    pub(crate) median_flux: f32,
    pub(crate) median_snr: f32,
}

/// What the tables hold for one row.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) row: Row,
    pub(crate) fiber: i32,
    pub(crate) fiberstatus: i32,
    pub(crate) ebv: f64,
    pub(crate) nanomaggies: [f64; 3],
    /// Share of the total flux that falls into the fibre.
    pub(crate) fibre_share: f64,
    pub(crate) subpriority: f64,
    pub(crate) exposures: Vec<Exposure>,
    pub(crate) fit: Fit,
    pub(crate) scores: [Scores; 3],
    /// TSNR2 by type (order of [`TSNR2_TYPES`]) and arm.
    pub(crate) tsnr2: [[f32; 3]; 8],
}

/// The types of TSNR2 in the order of fuji and iron.
pub(crate) const TSNR2_TYPES: [&str; 8] =
    ["GPBDARK", "ELG", "GPBBRIGHT", "LYA", "BGS", "GPBBACKUP", "QSO", "LRG"];

/// TSNR2 of a fibre of mean throughput after 1,000 s of dark sky, per type and arm.
const TSNR2_PER_1000S: [[f64; 3]; 8] = [
    [240.0, 16_000.0, 3.8e-5],
    [0.19, 34.0, 123.0],
    [44.0, 2750.0, 6.8e-6],
    [127.0, 0.089, 0.0],
    [975.0, 3060.0, 5530.0],
    [277.0, 15_460.0, 4.1e-5],
    [5.0, 10.3, 26.0],
    [2.0, 48.9, 59.4],
];

/// One row with its pixels and the object behind them.
pub(crate) struct Observed {
    pub(crate) record: Record,
    pub(crate) arms: [ArmData; 3],
    pub(crate) source: Source,
    pub(crate) noiseless: Noiseless,
    /// Inverse variance before defects and rounding.
    pub(crate) ivar: [Vec<f64>; 3],
}

impl Record {
    pub(crate) fn exposure_s(&self) -> f64 {
        self.exposures.iter().map(|exposure| exposure.exptime_s).sum()
    }

    pub(crate) fn nights(&self) -> i16 {
        let mut nights: Vec<i32> = self.exposures.iter().map(|exposure| exposure.night).collect();
        nights.dedup();
        i16::try_from(nights.len()).unwrap_or(i16::MAX)
    }
}

/// E(B-V) towards a target, the same whenever it is observed.
fn ebv_towards(seed: u64, targetid: i64) -> f64 {
    let mut draw = Draw::keyed(seed, "sightline", targetid.cast_unsigned());
    // Rounded to f32 so that the file's EBV is exactly what was applied.
    f64::from(f32_of((0.04 * libm::exp(0.7 * draw.normal())).clamp(0.004, 0.35)))
}

/// Observes row `index` of a unit.
pub(crate) fn observe_row(seed: u64, sampler: &Sampler, sky: &Sky, unit: &Unit, index: usize) -> Observed {
    let row = unit.rows[index];
    let mut draw = Draw::keyed(seed, &format!("observe/{}", unit.id()), index as u64);
    let fiber = i32::try_from((index * 37 + 11) % 500).unwrap_or(0) + 500 * petal(unit, index);
    let exposures = exposures_of(seed, unit, index);
    let throughput = (1.0 + 0.08 * draw.normal()).clamp(0.7, 1.25);
    let fibre_share = if matches!(row.class, Class::Star(_) | Class::Quasar | Class::BalQuasar) {
        0.78
    } else {
        draw.range(0.3, 0.65)
    };
    let subpriority = draw.uniform();
    let ebv = if row.class.is_object() { ebv_towards(seed, row.targetid) } else { 0.0 };
    let mut source = Source::new(seed, row.targetid, row.class, row.chosen_by);
    let noiseless = sampler.noiseless(&mut source, ebv, fiber);
    let exposure_s = exposures.iter().map(|exposure| exposure.exptime_s).sum();
    let conditions = Conditions { exposure_s, program: unit.program, throughput };
    let ivar = [0, 1, 2].map(|arm| sky.ivar(arm, &noiseless.flux[arm], &conditions));
    let arms = [0, 1, 2].map(|arm| {
        if row.dead {
            return dead(ARMS[arm].pixels);
        }
        observe(&noiseless.flux[arm], &ivar[arm], &mut draw)
    });
    let fit = fit(&source, &row, &noiseless, &arms, &mut draw);
    let scores = [0, 1, 2].map(|arm| scores(arm, &arms[arm]));
    let record = Record {
        row,
        fiber,
        fiberstatus: fiberstatus(&row, &mut draw),
        ebv,
        nanomaggies: noiseless.nanomaggies,
        fibre_share,
        subpriority,
        exposures,
        fit,
        scores,
        tsnr2: tsnr2(&conditions, &mut draw),
    };
    Observed { record, arms, source, noiseless, ivar }
}

/// What the tables say of row `index` where nobody looks at its pixels: the same target and exposures, a fit by the
/// target's magnitude alone, no scores.
pub(crate) fn unseen_row(seed: u64, unit: &Unit, index: usize) -> Record {
    let row = unit.rows[index];
    let mut draw = Draw::keyed(seed, &format!("unseen/{}", unit.id()), index as u64);
    let exposures = exposures_of(seed, unit, index);
    let source = Source::new(seed, row.targetid, row.class, row.chosen_by);
    let ebv = if row.class.is_object() { ebv_towards(seed, row.targetid) } else { 0.0 };
    let exposure_s = exposures.iter().map(|exposure| exposure.exptime_s).sum::<f64>();
    let conditions = Conditions { exposure_s, program: unit.program, throughput: 1.0 };
    // g - r and r - z of old galaxies are near 1; of the others both are bluer.
    let colour = if matches!(row.class, Class::Galaxy(_)) { 0.9 } else { 0.3 };
    let of_mag = |mag: f64| libm::exp10(0.4 * (22.5 - mag));
    let nanomaggies = [colour, 0.0, -0.7 * colour].map(|shift| of_mag(source.fibre_mag_r + shift));
    // A spectrum of magnitude 20 has a signal to noise ratio near 5 in each of 7,781 pixels after 1,000 s.
    let power = 2e5 * exposure_s / 1000.0 * libm::exp10(-0.8 * (source.fibre_mag_r - 20.0).max(-4.0));
    let npixels = if row.dead { 0 } else { 7781 };
    let chi2 = 7781.0 + 125.0 * draw.normal();
    Record {
        row,
        fiber: i32::try_from((index * 37 + 11) % 500).unwrap_or(0) + 500 * petal(unit, index),
        fiberstatus: fiberstatus(&row, &mut draw),
        ebv,
        nanomaggies: if row.class.is_object() { nanomaggies } else { [0.0; 3] },
        fibre_share: draw.range(0.3, 0.78),
        subpriority: draw.uniform(),
        fit: settle(&source, &row, (npixels, chi2, power), &mut draw),
        scores: [Scores::default(); 3],
        tsnr2: tsnr2(&conditions, &mut draw),
        exposures,
    }
}

fn petal(unit: &Unit, index: usize) -> i32 {
    match unit.place {
        crate::plan::Place::Tile { petal, .. } => i32::from(petal),
        crate::plan::Place::Healpix { pixel } => {
            i32::try_from((pixel + index as u64 / 500) % 10).unwrap_or(0)
        }
    }
}

/// The exposures of row `index`.
pub(crate) fn exposures_of(seed: u64, unit: &Unit, index: usize) -> Vec<Exposure> {
    let mut draw = Draw::keyed(seed, &format!("exposures/{}", unit.id()), index as u64);
    let (night, tileid, same) = match unit.place {
        crate::plan::Place::Tile { tileid, night, .. } => (night, tileid, true),
        crate::plan::Place::Healpix { pixel } => {
            (20_210_405, 200 + i32::try_from(pixel % 700).unwrap_or(0), false)
        }
    };
    let count = if same { 2 } else { 1 + draw.below(3) };
    let length_s = match unit.program {
        Program::Dark => 1000.0,
        Program::Bright => 320.0,
    };
    (0..count)
        .map(|i| {
            let step = i32::try_from(i).unwrap_or(0);
            Exposure {
                night: if same { night } else { night + step },
                expid: 70_000 + (night % 100) * 60 + tileid % 1000 + step,
                mjd: 59_309.2 + f64::from(night % 100) + f64::from(step) * 0.0131,
                tileid: if same { tileid } else { tileid + step / 2 },
                exptime_s: length_s * draw.range(0.85, 1.2),
                delta_mm: (0.004 * draw.normal(), 0.004 * draw.normal()),
            }
        })
        .collect()
}

/// Fibre status: zero, or one of the values seen on rows without data.
fn fiberstatus(row: &Row, draw: &mut Draw) -> i32 {
    if !row.dead {
        return 0;
    }
    if row.class == Class::Stuck {
        return 1033;
    }
    [513, 515, 520, 1033][crate::narrow::index_of(draw.uniform() * 4.0).min(3)]
}

fn tsnr2(conditions: &Conditions, draw: &mut Draw) -> [[f32; 3]; 8] {
    let moon = match conditions.program {
        Program::Dark => 1.0,
        Program::Bright => 3.0,
    };
    let scale = conditions.exposure_s / 1000.0 * conditions.throughput * conditions.throughput / moon;
    TSNR2_PER_1000S.map(|per_arm| per_arm.map(|value| f32_of(value * scale * (1.0 + 0.01 * draw.normal()))))
}

/// Median of the values; the mean of the middle two for an even count.
fn median(mut values: Vec<f64>) -> f64 {
    let half = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if odd {
        return middle;
    }
    let under = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    0.5 * (under + middle)
}

/// Scores as desispec computes them from the written numbers: half-open ranges, zeros counted.
fn scores(arm: usize, data: &ArmData) -> Scores {
    let (low, high) = [(4000.0, 5800.0), (5800.0, 7600.0), (7600.0, 9800.0)][arm];
    let wave = ARMS[arm].wave_aa();
    let n = wave.len();
    let gradient = |p: usize| match p {
        0 => wave[1] - wave[0],
        p if p == n - 1 => wave[p] - wave[p - 1],
        p => 0.5 * (wave[p + 1] - wave[p - 1]),
    };
    let inside: Vec<usize> = (0..n).filter(|&p| wave[p] >= low && wave[p] < high).collect();
    let flux = |p: usize| f64::from(data.flux[p]);
    let snr = |p: usize| libm::sqrt(f64::from(data.ivar[p])) * flux(p) / libm::sqrt(gradient(p));
    Scores {
        integral: f32_of(inside.iter().map(|&p| flux(p) * gradient(p)).sum()),
        median_flux: f32_of(median(inside.iter().map(|&p| flux(p)).collect())),
        median_snr: f32_of(median(inside.iter().map(|&p| snr(p)).collect())),
    }
}

fn fit(source: &Source, row: &Row, noiseless: &Noiseless, arms: &[ArmData; 3], draw: &mut Draw) -> Fit {
    let (mut npixels, mut chi2, mut power) = (0_i64, 0.0, 0.0);
    for (arm, truth) in arms.iter().zip(&noiseless.flux) {
        for (p, model) in truth.iter().enumerate() {
            if arm.mask[p] == 0 && arm.ivar[p] > 0.0 {
                let (weight, residual) = (f64::from(arm.ivar[p]), f64::from(arm.flux[p]) - model);
                npixels += 1;
                chi2 += weight * residual * residual;
                power += weight * model * model;
            }
        }
    }
    settle(source, row, (npixels, chi2, power), draw)
}

/// The fit that so many pixels, their chi2 and the power of the spectrum lead to.
fn settle(source: &Source, row: &Row, (npixels, chi2, power): (i64, f64, f64), draw: &mut Draw) -> Fit {
    if npixels == 0 {
        return no_fit(row);
    }
    // A template of the wrong kind or redshift misses about a twelfth of the power of a spectrum.
    let deltachi2 = power / 12.0 + 4.0 * draw.normal().abs();
    let mut zwarn = if deltachi2 < 9.0 { 1 << 2 } else { 0 };
    let spectype = source.class.spectype();
    let quasar = spectype == "QSO";
    let floor_kms = if quasar { 120.0 } else { 4.0 };
    let sigma_kms = floor_kms + 80.0 / libm::sqrt(1.0 + deltachi2 / 50.0);
    let zerr = (1.0 + source.z) * sigma_kms / crate::stellar::C_KMS;
    let mut z = source.z + zerr * draw.normal();
    if row.class == Class::Sky {
        zwarn |= 1;
    }
    if deltachi2 < 9.0 {
        // Nothing to hold on to: any redshift of the scan may win.
        z = draw.range(-0.005, 1.6);
    }
    let ncoeff = match spectype {
        "STAR" => 5,
        "QSO" => 4,
        _ => 10,
    };
    let scale = libm::sqrt(power);
    let mut coeff = [0.0; 10];
    for slot in coeff.iter_mut().take(usize::try_from(ncoeff).unwrap_or(0)) {
        *slot = scale * draw.normal();
    }
    coeff[0] = scale;
    let subtype = if let Class::Star(kind) = source.class {
        crate::stellar::STARS[kind].name
    } else if quasar {
        if source.z > 1.6 { "HIZ" } else { "LOZ" }
    } else {
        ""
    };
    Fit { z, zerr, zwarn, chi2, deltachi2, npixels, coeff, ncoeff, spectype, subtype, method: "PCA" }
}

/// What Redrock writes where there is no pixel to fit.
fn no_fit(row: &Row) -> Fit {
    // SKY, LITTLE_COVERAGE, SMALL_DELTA_CHI2 and NODATA.
    let sky = i64::from(row.class == Class::Sky);
    Fit {
        z: -0.001_391_175_283_363_133,
        zerr: 0.151_874_709_106_546_32,
        zwarn: sky | (1 << 1) | (1 << 2) | (1 << 9),
        chi2: 9_999_998.999_999_996,
        deltachi2: 1.862_645_149_230_957e-9,
        npixels: 0,
        coeff: [0.0; 10],
        ncoeff: 10,
        spectype: "GALAXY",
        subtype: "",
        method: "NONE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Release, SimulateConfig};
    use crate::noise::MASKED_WITH_IVAR;
    use crate::plan;

    #[test]
    fn pulls_of_good_pixels_are_standard_normal() {
        let n = 24;
        let cfg = SimulateConfig {
            releases: vec![Release::Dr2],
            targets_per_unit: n,
            ..SimulateConfig::new("unused", n)
        };
        let units = plan::plan(&cfg);
        let (sampler, sky) = (crate::sampler::shared(), Sky::new());
        let (mut count, mut sum, mut square, mut masked) = (0.0, 0.0, 0.0, 0.0);
        for index in 0..n {
            let observed = observe_row(cfg.seed, sampler, &sky, &units[0], index);
            for (data, truth) in observed.arms.iter().zip(&observed.noiseless.flux) {
                for (p, model) in truth.iter().enumerate() {
                    let ivar = f64::from(data.ivar[p]);
                    if ivar > 0.0 && data.mask[p] != 0 {
                        masked += 1.0;
                    } else if ivar > 0.0 {
                        let pull = (f64::from(data.flux[p]) - model) * ivar.sqrt();
                        count += 1.0;
                        sum += pull;
                        square += pull * pull;
                    }
                }
            }
        }
        assert!(count > 1e5);
        // Five standard errors of the mean, of the variance, and of a Poisson count.
        assert!((sum / count).abs() < 5.0 / count.sqrt(), "{}", sum / count);
        assert!((square / count - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{}", square / count);
        let expected = MASKED_WITH_IVAR * count;
        assert!((masked - expected).abs() < 5.0 * expected.sqrt(), "{masked} {expected}");
    }

    #[test]
    fn a_dead_row_has_no_data_and_says_so() {
        let cfg = SimulateConfig { releases: vec![Release::Edr], ..SimulateConfig::new("unused", 5) };
        let mut unit = plan::plan(&cfg).remove(0);
        unit.rows[2].dead = true;
        let observed = observe_row(1, crate::sampler::shared(), &Sky::new(), &unit, 2);
        for data in &observed.arms {
            assert!(data.flux.iter().chain(&data.ivar).all(|value| *value == 0.0));
            assert!(data.mask.iter().all(|bits| *bits == 0));
        }
        assert_ne!(observed.record.fiberstatus, 0);
        assert_eq!(observed.record.fit.zwarn & (1 << 9), 1 << 9);
    }

    #[test]
    fn median_of_an_even_count_averages_the_middle_two() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-15);
        assert!((median(vec![9.0, 1.0, 3.0]) - 3.0).abs() < 1e-15);
    }
}
