//! Galaxies: a mix of stellar populations, and emission lines with the ratios of nebulae.

use crate::draw::Draw;
use crate::dust::Curve;
use crate::lines::{Emission, LINES, index};
use crate::source::{Body, Class, Kind, Program, Source};
use crate::stellar::GALAXY_Z_MAX;

/// [OIII] 5008/4960 (Storey and Zeippen 2000, MNRAS 312, 813).
pub(crate) const OIII_RATIO: f64 = 2.993;
/// [NII] 6585/6550 (same source).
pub(crate) const NII_RATIO: f64 = 3.049;
/// Hα/Hβ of case B at 10⁴ K (Osterbrock and Ferland 2006).
pub(crate) const BALMER_DECREMENT: f64 = 2.86;

/// Draws a galaxy of the kind.
pub(crate) fn draw(draw: &mut Draw, kind: Kind, program: Program) -> Source {
    let (z, fibre_mag_r) = place(draw, kind, program);
    let weights = mix(draw, kind, program);
    let class = Class::Galaxy(kind);
    let mut source = Source { class, z, fibre_mag_r, body: Body::Galaxy(weights), lines: Vec::new() };
    source.lines = nebula(draw, &source, kind, program);
    source
}

fn place(draw: &mut Draw, kind: Kind, program: Program) -> (f64, f64) {
    let bright = program == Program::Bright;
    let forming = kind == Kind::StarForming;
    let z = if bright {
        0.03 - 0.17 * libm::log(1.0 - draw.uniform())
    } else if forming {
        draw.range(0.6, 1.6)
    } else {
        0.72 + 0.18 * draw.normal()
    };
    let (low, high): (f64, f64) = match (bright, forming) {
        (true, _) => (0.02, 0.55),
        (false, true) => (0.6, 1.6),
        (false, _) => (0.3, 1.1),
    };
    let mag = match (bright, forming) {
        (true, _) => (18.9 + 0.8 * draw.normal()).clamp(16.8, 20.4),
        (false, true) => (23.0 + 0.35 * draw.normal()).clamp(21.8, 23.8),
        (false, _) => (21.6 + 0.6 * draw.normal()).clamp(19.8, 22.8),
    };
    (z.clamp(low, high.min(GALAXY_Z_MAX)), mag)
}

fn mix(draw: &mut Draw, kind: Kind, program: Program) -> Vec<f64> {
    match kind {
        Kind::StarForming => {
            let young = if program == Program::Dark { draw.range(0.2, 0.5) } else { draw.range(0.05, 0.35) };
            vec![
                0.5 * young,
                0.5 * young,
                draw.range(0.10, 0.30),
                draw.range(0.15, 0.35),
                draw.range(0.10, 0.30),
                draw.range(0.05, 0.25),
                0.0,
            ]
        }
        Kind::PostStarburst => {
            vec![0.0, 0.0, draw.range(0.60, 0.80), draw.range(0.05, 0.15), 0.0, draw.range(0.10, 0.30), 0.0]
        }
        Kind::Seyfert => vec![0.02, 0.03, 0.08, 0.20, draw.range(0.2, 0.4), draw.range(0.3, 0.5), 0.0],
        Kind::Quiescent => {
            let rich = draw.uniform();
            vec![0.0, 0.0, 0.0, draw.range(0.0, 0.06), draw.range(0.0, 0.5), 1.0 - rich, rich]
        }
    }
}

/// Line ratios of a nebula.
struct Ratios {
    /// Rest equivalent width of Hα in Å.
    halpha_ew_aa: f64,
    /// log10 of [OIII] 5008/Hβ.
    log_oiii_hbeta: f64,
    /// log10 of [NII] 6585/Hα.
    log_nii_halpha: f64,
    /// [OII] 3727+3730 over Hβ.
    oii_hbeta: f64,
    /// [SII] 6718+6733 over Hα.
    sii_halpha: f64,
    /// [OI] 6302 over Hα.
    oi_halpha: f64,
    /// E(B-V) of the galaxy's own dust, which reddens the lines.
    ebv: f64,
    sigma_kms: f64,
}

fn ratios(draw: &mut Draw, kind: Kind, program: Program) -> Ratios {
    let sigma_kms = draw.range(55.0, 120.0);
    match kind {
        Kind::StarForming => {
            let log_nii_halpha = draw.range(-1.2, -0.35);
            // A little below the curve of Kauffmann et al. 2003.
            let curve = 0.61 / (log_nii_halpha - 0.05) + 1.3;
            let typical = if program == Program::Dark { 90.0 } else { 28.0 };
            Ratios {
                halpha_ew_aa: typical * libm::exp(0.5 * draw.normal()),
                log_oiii_hbeta: curve - 0.25 + 0.08 * draw.normal(),
                log_nii_halpha,
                oii_hbeta: draw.range(2.0, 4.0),
                sii_halpha: draw.range(0.25, 0.45),
                oi_halpha: draw.range(0.02, 0.05),
                ebv: draw.range(0.0, 0.45),
                sigma_kms,
            }
        }
        Kind::Seyfert => Ratios {
            halpha_ew_aa: draw.range(10.0, 40.0),
            log_oiii_hbeta: draw.range(0.75, 1.1),
            log_nii_halpha: draw.range(-0.2, 0.15),
            oii_hbeta: draw.range(2.0, 4.0),
            sii_halpha: draw.range(0.4, 0.6),
            oi_halpha: draw.range(0.10, 0.20),
            ebv: draw.range(0.1, 0.4),
            sigma_kms: draw.range(120.0, 260.0),
        },
        Kind::Quiescent | Kind::PostStarburst => Ratios {
            halpha_ew_aa: draw.range(0.0, if kind == Kind::PostStarburst { 2.0 } else { 1.0 }),
            log_oiii_hbeta: draw.range(0.1, 0.4),
            log_nii_halpha: draw.range(-0.1, 0.2),
            oii_hbeta: draw.range(1.5, 3.0),
            sii_halpha: draw.range(0.4, 0.7),
            oi_halpha: draw.range(0.08, 0.15),
            ebv: 0.1,
            sigma_kms: draw.range(100.0, 200.0),
        },
    }
}

/// Intrinsic fluxes relative to Hβ, by line name.
fn relative_to_hbeta(draw: &mut Draw, ratios: &Ratios) -> Vec<(&'static str, f64)> {
    let halpha = BALMER_DECREMENT;
    let oiii = libm::exp10(ratios.log_oiii_hbeta);
    let nii = halpha * libm::exp10(ratios.log_nii_halpha);
    let oii_ratio = draw.range(1.15, 1.45);
    let sii_ratio = draw.range(1.1, 1.42);
    let oii = ratios.oii_hbeta / (1.0 + oii_ratio);
    let sii = halpha * ratios.sii_halpha / (1.0 + sii_ratio);
    vec![
        ("oii_3727", oii),
        ("oii_3730", oii * oii_ratio),
        ("neiii_3870", 0.075 * oiii),
        ("h6", 0.105),
        ("hepsilon", 0.159),
        ("hdelta", 0.259),
        ("hgamma", 0.468),
        ("oiii_4364", 0.006 * oiii),
        ("hei_4473", 0.04),
        ("hbeta", 1.0),
        ("oiii_4960", oiii / OIII_RATIO),
        ("oiii_5008", oiii),
        ("hei_5877", 0.12),
        ("oi_6302", halpha * ratios.oi_halpha),
        ("siii_6314", 0.01),
        ("nii_6550", nii / NII_RATIO),
        ("halpha", halpha),
        ("nii_6585", nii),
        ("sii_6718", sii * sii_ratio),
        ("sii_6733", sii),
        ("ariii_7138", 0.03 * oiii.min(3.0)),
        ("oii_7322", 0.018 * ratios.oii_hbeta),
        ("oii_7332", 0.015 * ratios.oii_hbeta),
        ("siii_9071", 0.18),
        ("siii_9533", 0.18 * 2.47),
    ]
}

fn nebula(draw: &mut Draw, source: &Source, kind: Kind, program: Program) -> Vec<Emission> {
    let ratios = ratios(draw, kind, program);
    let relative = relative_to_hbeta(draw, &ratios);
    let curve = Curve::new();
    // The galaxy's own dust follows the same curve as the Milky Way's. Lines whose ratio is set by
    // atomic physics are dimmed alike, so that the ratio stays what it is.
    let reddened = |line: usize| {
        let partner = match LINES[line].0 {
            "oiii_4960" => index("oiii_5008"),
            "nii_6550" => index("nii_6585"),
            _ => line,
        };
        libm::exp10(-0.4 * ratios.ebv * curve.per_ebv(LINES[partner].1))
    };
    let halpha = index("halpha");
    let target = ratios.halpha_ew_aa * (1.0 + source.z) * source.continuum(LINES[halpha].1);
    let hbeta = target / (BALMER_DECREMENT * reddened(halpha));
    relative
        .into_iter()
        .map(|(name, ratio)| {
            let line = index(name);
            let flux = hbeta * ratio * reddened(line);
            Emission { line, velocity_kms: 0.0, sigma_kms: ratios.sigma_kms, flux }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doublets_keep_the_ratios_of_atomic_physics() {
        for id in 0..50 {
            let source = Source::new(3, id, Class::Galaxy(Kind::StarForming), Program::Bright);
            let flux = |name| source.lines.iter().find(|e| e.line == index(name)).unwrap().flux;
            assert!((flux("oiii_5008") / flux("oiii_4960") / OIII_RATIO - 1.0).abs() < 1e-12);
            assert!((flux("nii_6585") / flux("nii_6550") / NII_RATIO - 1.0).abs() < 1e-12);
            assert!(flux("halpha") / flux("hbeta") >= BALMER_DECREMENT * (1.0 - 1e-12));
        }
    }
}
