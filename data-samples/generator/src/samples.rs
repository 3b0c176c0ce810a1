//! The small committed sample: every layout and every class in a handful of rows.

use std::path::Path;

use crate::config::{Grouping, Release, Resolution, SimulateConfig, SimulateReport, Truth};
use crate::draw::Draw;
use crate::error::SimulateError;
use crate::plan::{self, Place, Row, Survey, Unit};
use crate::simulate::write_all;
use crate::source::{Class, Kind, Program, Source};

/// The seed of the sample.
const SEED: u64 = 20_260_101;
/// The pixel on which two surveys of DR1 meet.
const SHARED_PIXEL: u64 = 9722;

/// What a row of the sample should look at.
struct Wish {
    class: Class,
    dead: bool,
    z: (f64, f64),
    /// Faintest magnitude.
    mag: f64,
}

const fn wish(class: Class, z: (f64, f64), mag: f64) -> Wish {
    Wish { class, dead: false, z, mag }
}

const fn dead(class: Class) -> Wish {
    Wish { class, dead: true, z: (-1.0, 9.0), mag: 100.0 }
}

const SKY: Wish = wish(Class::Sky, (-1.0, 9.0), 100.0);

/// Writes the sample set: full RESOLUTION, EDR and DR1 as pixel and tile, DR1 with two surveys on
/// one pixel that share a target, DR2 as pixel with a gzipped redrock file.
///
/// # Errors
///
/// Where a file cannot be written.
pub fn write_samples(out: &Path) -> Result<SimulateReport, SimulateError> {
    let cfg = SimulateConfig {
        seed: SEED,
        releases: Release::ALL.to_vec(),
        grouping: Grouping::Both,
        resolution: Resolution::Full,
        truth: Truth::Full,
        ..SimulateConfig::new(out, 1)
    };
    write_all(&cfg, &units())
}

pub(crate) fn units() -> Vec<Unit> {
    let healpix = |release, survey, program, pixel| Unit {
        release,
        survey,
        program,
        place: Place::Healpix { pixel },
        rows: Vec::new(),
        gzip_redrock: false,
    };
    let tile = |release, survey, tileid, night, program| Unit {
        release,
        survey,
        program,
        place: Place::Tile { tileid, petal: 3, night, centre_deg: (183.0, 21.0) },
        rows: Vec::new(),
        gzip_redrock: false,
    };
    let any = (-1.0, 9.0);
    let mut units = vec![
        filled(
            healpix(Release::Edr, Survey::Sv3, Program::Dark, 10_378),
            &[
                wish(Class::BalQuasar, (1.9, 2.6), 20.3),
                wish(Class::Galaxy(Kind::Quiescent), (0.4, 0.8), 20.6),
                dead(Class::Sky),
            ],
        ),
        filled(
            tile(Release::Edr, Survey::Sv1, 80_605, 20_210_205, Program::Dark),
            &[wish(Class::Quasar, (2.2, 3.2), 20.5), wish(Class::Star(2), any, 19.5)],
        ),
        filled(
            healpix(Release::Dr1, Survey::Main, Program::Dark, SHARED_PIXEL),
            &[
                wish(Class::Quasar, (0.8, 1.4), 20.3),
                wish(Class::Galaxy(Kind::StarForming), (0.7, 1.0), 22.6),
                dead(Class::Galaxy(Kind::Quiescent)),
            ],
        ),
    ];
    let shared = units[2].rows[0];
    let mut bright = healpix(Release::Dr1, Survey::Sv3, Program::Bright, SHARED_PIXEL);
    bright.rows.push(Row { repeat: true, ..shared });
    units.push(filled(bright, &[wish(Class::Galaxy(Kind::PostStarburst), (0.05, 0.3), 18.4)]));
    units.push(filled(
        tile(Release::Dr1, Survey::Sv1, 80_617, 20_210_324, Program::Bright),
        &[wish(Class::Galaxy(Kind::Seyfert), (0.05, 0.25), 18.5), SKY],
    ));
    let mut last = healpix(Release::Dr2, Survey::Sv3, Program::Bright, 27_245);
    last.gzip_redrock = true;
    units.push(filled(
        last,
        &[
            wish(Class::Galaxy(Kind::StarForming), (0.05, 0.2), 18.0),
            wish(Class::Galaxy(Kind::Quiescent), (0.05, 0.3), 18.2),
        ],
    ));
    units
}

/// Adds a row for each wish: the first object in the order of its numbers that fulfils it.
fn filled(mut unit: Unit, wishes: &[Wish]) -> Unit {
    let ordinal = usize::try_from(crate::draw::fnv1a(&unit.id()) % 5000).unwrap_or(0);
    for (i, wish) in wishes.iter().enumerate() {
        let fits = |targetid: &i64| {
            let source = Source::new(SEED, *targetid, wish.class, unit.program);
            source.z >= wish.z.0 && source.z <= wish.z.1 && source.fibre_mag_r <= wish.mag
        };
        let numbers = (0..5000).map(|n| plan::targetid(&unit, wish.class, ordinal, i + wishes.len() * n));
        let first = plan::targetid(&unit, wish.class, ordinal, i);
        let targetid = numbers.into_iter().find(fits).unwrap_or(first);
        let mut draw = Draw::keyed(SEED, &format!("row/{}", unit.id()), i as u64);
        let (ra_deg, dec_deg) = plan::position(&unit, &mut draw);
        let (class, chosen_by, dead) = (wish.class, unit.program, wish.dead);
        unit.rows.push(Row { targetid, class, chosen_by, dead, repeat: false, ra_deg, dec_deg });
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_in_the_repository_is_what_this_code_writes() {
        let here = tempfile::tempdir().unwrap();
        let report = write_samples(here.path()).unwrap();
        assert_eq!((report.units, report.targets, report.repeats), (6, 14, 1));
        // What the repository can afford.
        assert!(report.bytes <= 7_759_462, "{}", report.bytes);
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for path in &report.files {
            let name = path.strip_prefix(here.path()).unwrap();
            let (ours, theirs) = (fs_err::read(path).unwrap(), fs_err::read(kept.join(name)).unwrap());
            assert!(ours == theirs, "{} differs: write the sample anew", name.display());
        }
    }

    #[test]
    fn the_sample_holds_every_class_and_one_target_twice() {
        let units = units();
        let rows: Vec<Row> = units.iter().flat_map(|unit| unit.rows.clone()).collect();
        for label in ["galaxy", "qso", "star", "sky"] {
            assert!(rows.iter().any(|row| row.class.label() == label && !row.dead), "{label}");
        }
        for kind in ["star_forming", "quiescent", "post_starburst", "seyfert", "plain", "bal"] {
            assert!(rows.iter().any(|row| row.class.sublabel() == kind && !row.dead), "{kind}");
        }
        assert_eq!(rows.iter().filter(|row| row.dead).count(), 2);
        assert_eq!(units[2].rows[0].targetid, units[3].rows[0].targetid);
        assert_eq!(units[2].place, units[3].place);
        assert_ne!(units[2].survey, units[3].survey);
    }
}
