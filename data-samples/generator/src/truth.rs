//! The truth beside the files: one row per coadd row, from the noiseless spectrum.
//!
//! Columns of `truth/truth-<specprod>.csv`; an empty field means that the quantity does not exist.
//!
//! | column | what |
//! |---|---|
//! | `unit`, `row`, `targetid` | where the spectrum is: unit id, row of the coadd from 0, TARGETID |
//! | `class`, `subtype` | `galaxy` (`star_forming`, `quiescent`, `post_starburst`, `seyfert`), `qso` (`plain`, `bal`), `star` (Redrock's letter), `sky`, `stuck` |
//! | `dead`, `repeat` | 1 where the fibre gave no data; 1 where the target was observed in an earlier unit |
//! | `z`, `ebv`, `fibre_mag_r` | true redshift, E(B-V) applied, AB magnitude in the fibre behind the Milky Way |
//! | `snr_b`, `snr_r`, `snr_z` | MEDIAN_COADD_SNR_X as written |
//! | `dn4000`, `d4000` | breaks of the noiseless spectrum before the Milky Way, emission lines included |
//! | `dn4000_stellar`, `d4000_stellar` | the same without emission lines |
//! | `dn4000_lsf`, `d4000_lsf` | the same of the noiseless 0.8 Å pixels: after Milky Way, resolution matrix, and division by the transmission at pixel centres |
//! | `lick_X`, `lick_X_stellar`, `lick_X_lsf` | the 25 Lick indices in the same three senses |
//! | `cont_1450`, `cont_3000`, `cont_4000`, `cont_5100` | continuum without features and lines at a rest wavelength, observed frame, 1e-17 erg/s/cm²/Å |
//! | `bi_civ_kms`, `ai_civ_kms` | balnicity and absorption index of BAL quasars |
//! | `<line>_flux`, `<line>_ew_aa` | flux of the emission line (all its components; 1e-17 erg/s/cm², before the Milky Way and before any absorption) and flux/(continuum (1+z)) |
//!
//! `_lsf` pixels of two arms that overlap are averaged with the inverse variances of the noise
//! model, as a coadd of the arms does.

use crate::config::Truth;
use crate::grid::{ARMS, STEP_AA};
use crate::indices::{Covered, Integrable, LICK, Pixels, breaks};
use crate::lines::LINES;
use crate::plan::Unit;
use crate::quasar::balnicity_kms;
use crate::record::Observed;
use crate::sampler::Sampler;
use crate::source::{Body, Source};
use crate::template::Fine;

/// One line of the truth table.
pub(crate) struct TruthRow {
    pub(crate) line: String,
}

/// Continuum samples, rest frame, Å.
const CONTINUUM_AA: [f64; 4] = [1450.0, 3000.0, 4000.0, 5100.0];
/// First and last observed wavelength, Å.
const OBSERVED_AA: [f64; 2] = [3599.6, 9824.4];
/// Pixels of the three arms combined.
const COMBINED: usize = 7781;
/// Rest range that breaks and indices need, Å.
const FEATURES_AA: [f64; 2] = [3745.0, 6420.0];

/// The column names, as the first line of the table.
pub(crate) fn header() -> String {
    let mut names: Vec<String> = [
        "unit",
        "row",
        "targetid",
        "class",
        "subtype",
        "dead",
        "repeat",
        "z",
        "ebv",
        "fibre_mag_r",
        "snr_b",
        "snr_r",
        "snr_z",
    ]
    .map(String::from)
    .to_vec();
    for sense in ["", "_stellar", "_lsf"] {
        names.extend([format!("dn4000{sense}"), format!("d4000{sense}")]);
        names.extend(LICK.iter().map(|index| format!("lick_{}{sense}", index.name)));
    }
    names.extend(CONTINUUM_AA.map(|wave| format!("cont_{wave:.0}")));
    names.extend(["bi_civ_kms".to_owned(), "ai_civ_kms".to_owned()]);
    for (name, _) in LINES {
        names.extend([format!("{name}_flux"), format!("{name}_ew_aa")]);
    }
    names.join(",") + "\n"
}

/// Fields of one row, written as they come.
struct Fields(String);

impl Fields {
    fn text(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push(',');
    }

    /// Six significant digits say more than any measurement can.
    fn number(&mut self, value: Option<f64>) {
        match value {
            Some(value) if value.is_finite() => self.text(&format!("{value:.6e}")),
            _ => self.text(""),
        }
    }

    fn finish(mut self) -> String {
        self.0.pop();
        self.0.push('\n');
        self.0
    }
}

/// Measures the noiseless spectrum behind row `index` of a unit.
pub(crate) fn measure(
    sampler: &Sampler,
    level: Truth,
    unit: &Unit,
    index: usize,
    observed: &Observed,
) -> TruthRow {
    if level == Truth::None {
        return TruthRow { line: String::new() };
    }
    let mut fields = Fields(String::new());
    identity(&mut fields, unit, index, observed);
    let source = &observed.source;
    let full = level == Truth::Full && source.class.is_object();
    if full && sampler.library(&source.body).is_some() {
        features(&mut fields, sampler, observed);
    } else {
        (0..3 * (2 + LICK.len())).for_each(|_| fields.number(None));
    }
    emission(&mut fields, source, full);
    TruthRow { line: fields.finish() }
}

fn identity(fields: &mut Fields, unit: &Unit, index: usize, observed: &Observed) {
    let (row, source) = (&observed.record.row, &observed.source);
    fields.text(&unit.id());
    fields.text(&index.to_string());
    fields.text(&row.targetid.to_string());
    fields.text(source.class.label());
    fields.text(source.class.sublabel());
    fields.text(if row.dead { "1" } else { "0" });
    fields.text(if row.repeat { "1" } else { "0" });
    if source.class.is_object() {
        // Enough digits to give back the f64.
        fields.text(&format!("{:.17e}", source.z));
        fields.text(&format!("{:.9e}", observed.record.ebv));
        fields.number(Some(source.fibre_mag_r));
    } else {
        (0..3).for_each(|_| fields.text(""));
    }
    for scores in &observed.record.scores {
        fields.number(Some(f64::from(scores.median_snr)));
    }
}

fn features(fields: &mut Fields, sampler: &Sampler, observed: &Observed) {
    let source = &observed.source;
    let stretch = 1.0 + source.z;
    let covered = OBSERVED_AA.map(|wave| wave / stretch);
    let range = [FEATURES_AA[0].max(covered[0]), FEATURES_AA[1].min(covered[1])];
    let weights = match &source.body {
        Body::Galaxy(weights) | Body::Star(weights) => weights.as_slice(),
        Body::Nothing | Body::Quasar(_) => &[],
    };
    let library = sampler.library(&source.body).filter(|_| range[1] > range[0]);
    let mut fine = library.map(|library| library.fine(weights, range[0], range[1]));
    let of_fine = |fine: &Option<Fine>| {
        let covered = fine.as_ref().map(|fine| Covered { fine, rest_aa: covered });
        covered.map_or_else(|| vec![None; 2 + LICK.len()], |covered| every_feature(&covered))
    };
    let stellar = of_fine(&fine);
    if let Some(fine) = &mut fine {
        for line in &source.lines {
            line.add_to_fine(source.z, &fine.wave_aa, &mut fine.flux);
        }
    }
    let intrinsic = if source.lines.is_empty() { stellar.clone() } else { of_fine(&fine) };
    let (edges_aa, flux) = combined(sampler, observed);
    let lsf = every_feature(&Pixels { edges_aa: &edges_aa, flux: &flux });
    for value in intrinsic.into_iter().chain(stellar).chain(lsf) {
        fields.number(value);
    }
}

/// Both breaks and the Lick indices.
fn every_feature(spectrum: &impl Integrable) -> Vec<Option<f64>> {
    breaks(spectrum).into_iter().chain(LICK.iter().map(|index| index.measure(spectrum))).collect()
}

/// Noiseless pixels of the three arms combined, Milky Way divided out, with rest-frame edges.
fn combined(sampler: &Sampler, observed: &Observed) -> (Vec<f64>, Vec<f64>) {
    let stretch = 1.0 + observed.source.z;
    let edges = (0..=COMBINED).map(|i| (OBSERVED_AA[0] + i as f64 * STEP_AA) / stretch).collect();
    let (mut sum, mut weight) = (vec![0.0; COMBINED], vec![0.0; COMBINED]);
    for (a, arm) in ARMS.iter().enumerate() {
        let first = crate::narrow::index_of((arm.start_aa - ARMS[0].start_aa) / STEP_AA + 0.5);
        let through = sampler.transmissions(a, observed.record.ebv);
        for p in 0..arm.pixels {
            let ivar = observed.ivar[a][p];
            sum[first + p] += ivar * observed.noiseless.flux[a][p] / through[p];
            weight[first + p] += ivar;
        }
    }
    let flux = sum.iter().zip(&weight).map(|(sum, weight)| sum / weight).collect();
    (edges, flux)
}

fn emission(fields: &mut Fields, source: &Source, full: bool) {
    let stretch = 1.0 + source.z;
    let seen = |rest: f64| rest * stretch > OBSERVED_AA[0] && rest * stretch < OBSERVED_AA[1];
    for wave in CONTINUUM_AA {
        fields.number((full && seen(wave)).then(|| source.continuum(wave)));
    }
    let mut troughs = None;
    if let Body::Quasar(quasar) = &source.body {
        troughs = (full && !quasar.troughs.is_empty()).then(|| balnicity_kms(quasar));
    }
    fields.number(troughs.map(|both| both.0));
    fields.number(troughs.map(|both| both.1));
    for (index, (_, wave)) in LINES.iter().enumerate() {
        let mut flux = source.lines.iter().filter(|line| line.line == index).map(|line| line.flux).peekable();
        let there = full && seen(*wave) && flux.peek().is_some();
        let total: f64 = flux.sum();
        fields.number(there.then_some(total));
        fields.number(there.then(|| total / (source.continuum(*wave) * stretch)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Release, SimulateConfig};
    use crate::noise::Sky;
    use crate::plan;
    use crate::record::observe_row;
    use std::collections::BTreeMap;

    fn rows(n: usize) -> Vec<(Observed, BTreeMap<String, String>)> {
        let cfg = SimulateConfig {
            releases: vec![Release::Dr1],
            targets_per_unit: n,
            ..SimulateConfig::new("unused", n)
        };
        let units = plan::plan(&cfg);
        let (sampler, sky) = (crate::sampler::shared(), Sky::new());
        let names: Vec<String> = header().trim_end().split(',').map(str::to_owned).collect();
        (0..n)
            .map(|index| {
                let observed = observe_row(cfg.seed, sampler, &sky, &units[0], index);
                let row = measure(sampler, Truth::Full, &units[0], index, &observed);
                let fields: Vec<&str> = row.line.trim_end().split(',').collect();
                assert_eq!(fields.len(), names.len());
                (observed, names.iter().cloned().zip(fields.into_iter().map(str::to_owned)).collect())
            })
            .collect()
    }

    #[test]
    fn truth_of_lines_and_indices_is_sane() {
        let (mut ratios, mut breaks) = (0, 0);
        for (observed, row) in rows(60) {
            let value = |name: &str| row[name].parse::<f64>().ok();
            if let (Some(strong), Some(weak)) = (value("oiii_5008_flux"), value("oiii_4960_flux")) {
                // Seven digits are written.
                assert!((strong / weak / 2.993 - 1.0).abs() < 2e-6);
                ratios += 1;
            }
            let galaxy = observed.source.class.label() == "galaxy";
            if let (true, Some(intrinsic), Some(lsf)) = (galaxy, value("dn4000_stellar"), value("dn4000_lsf"))
            {
                assert!((0.9..2.3).contains(&intrinsic), "{intrinsic}");
                // Bands of 100 Å do not feel a resolution of 2 Å: lines near the edges add a little.
                assert!((value("dn4000").unwrap() / lsf - 1.0).abs() < 5e-3, "{row:?}");
                if observed.source.class.sublabel() == "quiescent" {
                    assert!(intrinsic > 1.5, "{intrinsic}");
                }
                breaks += 1;
            }
        }
        assert!(ratios > 5 && breaks > 10, "{ratios} {breaks}");
    }

    #[test]
    fn noiseless_pixels_hold_the_true_line_flux() {
        let mut checked = 0;
        for (observed, row) in rows(60) {
            let Some(flux) = row["oiii_5008_flux"].parse::<f64>().ok() else { continue };
            let centre = 5008.2383 * (1.0 + observed.source.z);
            let Some(a) = ARMS.iter().position(|arm| {
                centre > arm.start_aa + 60.0 && centre < arm.start_aa + 0.8 * arm.pixels as f64 - 60.0
            }) else {
                continue;
            };
            if observed.source.class.spectype() != "GALAXY" || flux < 1e-3 {
                continue;
            }
            let sampler = crate::sampler::shared();
            let mut bare = observed.source.clone();
            bare.lines.clear();
            let through = sampler.transmissions(a, observed.record.ebv);
            let smooth = sampler.light(&bare, a, observed.record.ebv);
            let smooth = sampler.lsf(observed.record.fiber).apply(a, &smooth);
            let first = crate::narrow::index_of((centre - 25.0 - ARMS[a].start_aa) / 0.8);
            let sum: f64 = (first..first + 63)
                .map(|p| (observed.noiseless.flux[a][p] - smooth[p]) / through[p] * 0.8)
                .sum();
            // Dust varies over the line by 1e-4 and the matrix keeps flux to 1e-6.
            assert!((sum / flux - 1.0).abs() < 1e-3, "{sum} {flux}");
            checked += 1;
            if checked == 3 {
                return;
            }
        }
        panic!("no galaxy with [OIII] was found");
    }
}
