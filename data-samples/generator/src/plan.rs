//! Which units there are and which target each row observes, before anything is computed.

use crate::config::{Grouping, Release, SimulateConfig};
use crate::draw::Draw;
use crate::healpix;
use crate::source::{Class, Kind, Program};
use crate::stellar::STARS;

/// The surveys used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survey {
    Sv1,
    Sv3,
    Main,
}

impl Survey {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sv1 => "sv1",
            Self::Sv3 => "sv3",
            Self::Main => "main",
        }
    }
}

/// Where the spectra of a unit come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    Healpix { pixel: u64 },
    Tile { tileid: i32, petal: i16, night: i32, centre_deg: (f64, f64) },
}

/// One row of a coadd.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) targetid: i64,
    pub(crate) class: Class,
    /// The program that chose the target, which need not be the unit's.
    pub(crate) chosen_by: Program,
    /// The fibre gave no data.
    pub(crate) dead: bool,
    /// The target also has a row in an earlier unit.
    pub(crate) repeat: bool,
    pub(crate) ra_deg: f64,
    pub(crate) dec_deg: f64,
}

/// One coadd file.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) release: Release,
    pub(crate) survey: Survey,
    pub(crate) program: Program,
    pub(crate) place: Place,
    pub(crate) rows: Vec<Row>,
    /// Write the redrock file as `.fits.gz`.
    pub(crate) gzip_redrock: bool,
}

impl Unit {
    /// The unit's identity: `<specprod>/healpix/<survey>/<program>/64/<pixel>` or
    /// `<specprod>/tile/<tileid>/<petal>/<night>`.
    pub(crate) fn id(&self) -> String {
        let specprod = self.release.specprod();
        match self.place {
            Place::Healpix { pixel } => {
                format!("{specprod}/healpix/{}/{}/64/{pixel}", self.survey.name(), self.program.name())
            }
            Place::Tile { tileid, petal, night, .. } => format!("{specprod}/tile/{tileid}/{petal}/{night}"),
        }
    }

    /// Path of a file of the unit below the output folder, without suffix.
    pub(crate) fn stem(&self, kind: &str) -> String {
        let specprod = self.release.specprod();
        let (survey, program) = (self.survey.name(), self.program.name());
        match self.place {
            Place::Healpix { pixel } => format!(
                "spectro/redux/{specprod}/healpix/{survey}/{program}/{}/{pixel}/{kind}-{survey}-{program}-{pixel}",
                pixel / 100
            ),
            Place::Tile { tileid, petal, night, .. } => format!(
                "spectro/redux/{specprod}/tiles/cumulative/{tileid}/{night}/{kind}-{petal}-{tileid}-thru{night}"
            ),
        }
    }

    pub(crate) fn is_tile(&self) -> bool {
        matches!(self.place, Place::Tile { .. })
    }
}

/// TARGETID as desitarget packs it: sky bit 59, release from bit 42, brick from bit 22, object below.
pub(crate) fn pack_targetid(sky: bool, release: i64, brick: i64, object: i64) -> i64 {
    (i64::from(sky) << 59) | (release << 42) | (brick << 22) | object
}

/// Survey and program of successive pixel units. The fourth lies on the pixel of the third.
fn surveys(release: Release) -> [(Survey, Program); 4] {
    match release {
        Release::Edr => [
            (Survey::Sv3, Program::Bright),
            (Survey::Sv1, Program::Bright),
            (Survey::Sv3, Program::Dark),
            (Survey::Sv1, Program::Dark),
        ],
        Release::Dr1 | Release::Dr2 => [
            (Survey::Main, Program::Bright),
            (Survey::Main, Program::Dark),
            (Survey::Main, Program::Dark),
            (Survey::Sv3, Program::Dark),
        ],
    }
}

/// Every unit of a run.
pub(crate) fn plan(cfg: &SimulateConfig) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let releases = cfg.releases.len().max(1);
    for (r, &release) in cfg.releases.iter().enumerate() {
        let share = cfg.n_targets / releases + usize::from(r < cfg.n_targets % releases);
        let start = units.len();
        let mut left = share;
        while left > 0 {
            let n = left.min(cfg.targets_per_unit);
            let ordinal = units.len() - start;
            let unit = next_unit(cfg, release, ordinal, n, &units[start..]);
            units.push(unit);
            left -= n;
        }
    }
    units
}

/// Shape of unit number `ordinal`: how many of its kind came before, and whether it is a tile.
fn kind_of(grouping: Grouping, ordinal: usize) -> (usize, bool) {
    match grouping {
        Grouping::Healpix => (ordinal, false),
        Grouping::Tile => (ordinal, true),
        Grouping::Both => {
            (if ordinal % 4 == 3 { ordinal / 4 } else { ordinal - ordinal / 4 }, ordinal % 4 == 3)
        }
    }
}

fn next_unit(cfg: &SimulateConfig, release: Release, ordinal: usize, n: usize, before: &[Unit]) -> Unit {
    let (of_kind, tile) = kind_of(cfg.grouping, ordinal);
    let donor = before.iter().rev().find(|unit| unit.is_tile() == tile);
    let (unit, period) = if tile { (tile_unit(cfg, release, of_kind), 2) } else { (None, 4) };
    let shares = of_kind % period == period - 1;
    let donor = donor.filter(|_| shares);
    let mut unit = unit.unwrap_or_else(|| healpix_unit(cfg, release, of_kind, donor));
    let there = donor.map(|donor| donor.place);
    if let (
        Place::Tile { centre_deg, petal, .. },
        Some(Place::Tile { centre_deg: same_centre, petal: same_petal, .. }),
    ) = (&mut unit.place, there)
    {
        (*centre_deg, *petal) = (same_centre, same_petal);
    }
    let repeats =
        donor.map_or(0, |_| crate::narrow::index_of(cfg.repeat_fraction * (n * period) as f64 + 0.5));
    let again = donor.map_or(&[][..], |donor| &donor.rows[..]);
    fill(cfg.seed, &mut unit, ordinal, n, again, repeats);
    unit
}

fn healpix_unit(cfg: &SimulateConfig, release: Release, of_kind: usize, donor: Option<&Unit>) -> Unit {
    let (survey, program) = surveys(release)[of_kind % 4];
    let pixel = match donor.map(|unit| unit.place) {
        Some(Place::Healpix { pixel }) => pixel,
        _ => pixel_number(cfg.seed, release, of_kind),
    };
    Unit {
        release,
        survey,
        program,
        place: Place::Healpix { pixel },
        rows: Vec::new(),
        gzip_redrock: cfg.gzip_redrock,
    }
}

/// The pixel of healpix unit number `of_kind`: a walk that meets each pixel of the sky once.
fn pixel_number(seed: u64, release: Release, of_kind: usize) -> u64 {
    const PIXELS: u64 = 49_152;
    let start = Draw::keyed(seed, release.specprod(), 0).below(PIXELS);
    // 18,433 has no factor in common with 49,152 = 2^14 · 3.
    (start + of_kind as u64 * 18_433) % PIXELS
}

fn tile_unit(cfg: &SimulateConfig, release: Release, of_kind: usize) -> Option<Unit> {
    let mut draw = Draw::keyed(cfg.seed, &format!("{}/tile", release.specprod()), of_kind as u64);
    let survey = if release == Release::Edr { Survey::Sv1 } else { Survey::Main };
    let program = if of_kind % 4 < 2 { Program::Dark } else { Program::Bright };
    let number = i32::try_from(of_kind).ok()?;
    let tileid = if survey == Survey::Main { 1000 + number } else { 80_605 + number };
    let petal = i16::try_from(draw.below(10)).ok()?;
    let centre_deg = (draw.range(0.0, 360.0), draw.range(-5.0, 60.0));
    let year = match release {
        Release::Edr => 20_210_000,
        Release::Dr1 => 20_220_000,
        Release::Dr2 => 20_230_000,
    };
    let night = year + 101 + 100 * i32::try_from(draw.below(4)).ok()? + i32::try_from(draw.below(27)).ok()?;
    let place = Place::Tile { tileid, petal, night, centre_deg };
    Some(Unit { release, survey, program, place, rows: Vec::new(), gzip_redrock: cfg.gzip_redrock })
}

fn fill(seed: u64, unit: &mut Unit, ordinal: usize, n: usize, again: &[Row], repeats: usize) {
    let id = unit.id();
    let objects = again.iter().filter(|row| row.class.is_object() && !row.repeat).take(repeats.min(n));
    unit.rows = objects.map(|row| Row { repeat: true, dead: false, ..*row }).collect();
    for index in unit.rows.len()..n {
        let mut draw = Draw::keyed(seed, &format!("row/{id}"), index as u64);
        let class = class(&mut draw, unit.program);
        let dead = class == Class::Stuck || (class.is_object() && draw.uniform() < 0.025);
        let targetid = targetid(unit, class, ordinal, index);
        let (ra_deg, dec_deg) = position(unit, &mut draw);
        let chosen_by = unit.program;
        unit.rows.push(Row { targetid, class, chosen_by, dead, repeat: false, ra_deg, dec_deg });
    }
}

/// A TARGETID no other unit of the run gives; stuck positioners get negative ones, as in DESI.
pub(crate) fn targetid(unit: &Unit, class: Class, ordinal: usize, index: usize) -> i64 {
    let int = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let (release, bricks) = match unit.release {
        Release::Edr => (9010, 0),
        Release::Dr1 => (9011, 200_000),
        Release::Dr2 => (9012, 400_000),
    };
    if class == Class::Stuck {
        return -(1_000_000 + 100_000 * int(ordinal) + int(index));
    }
    pack_targetid(class == Class::Sky, release, bricks + 1000 + int(ordinal), 7 * int(index) + 3)
}

pub(crate) fn position(unit: &Unit, draw: &mut Draw) -> (f64, f64) {
    match unit.place {
        Place::Healpix { pixel } => healpix::position_in_pixel_deg(pixel, draw.uniform()),
        Place::Tile { petal, centre_deg: (ra, dec), .. } => {
            // A petal is a tenth of a disc of 1.6 degrees.
            let angle = (f64::from(petal) + draw.uniform()) * std::f64::consts::TAU / 10.0;
            let radius = 1.6 * libm::sqrt(draw.range(0.02, 1.0));
            let dec_here = dec + radius * libm::sin(angle);
            let ra_here = ra + radius * libm::cos(angle) / libm::cos(dec_here.to_radians());
            (if ra_here < 0.0 { ra_here + 360.0 } else { ra_here % 360.0 }, dec_here)
        }
    }
}

/// Shares of classes. Of quasars above redshift 1.65 roughly a third is BAL: more than in nature,
/// so that small samples hold some.
fn class(draw: &mut Draw, program: Program) -> Class {
    let shares = match program {
        Program::Dark => [0.36, 0.22, 0.03, 0.02, 0.14, 0.05, 0.08, 0.08, 0.02],
        Program::Bright => [0.40, 0.24, 0.03, 0.04, 0.015, 0.005, 0.17, 0.08, 0.02],
    };
    let pick = draw.uniform();
    let mut sum = 0.0;
    let slot = shares.iter().position(|share| {
        sum += share;
        pick < sum
    });
    match slot.unwrap_or(0) {
        0 => Class::Galaxy(Kind::StarForming),
        1 => Class::Galaxy(Kind::Quiescent),
        2 => Class::Galaxy(Kind::PostStarburst),
        3 => Class::Galaxy(Kind::Seyfert),
        4 => Class::Quasar,
        5 => Class::BalQuasar,
        6 => Class::Star(usize::try_from(draw.below(STARS.len() as u64)).unwrap_or(0)),
        7 => Class::Sky,
        _ => Class::Stuck,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn config(n: usize, grouping: Grouping) -> SimulateConfig {
        SimulateConfig {
            releases: Release::ALL.to_vec(),
            targets_per_unit: 40,
            grouping,
            ..SimulateConfig::new("unused", n)
        }
    }

    #[test]
    fn rows_add_up_and_unit_ids_are_unique() {
        for grouping in [Grouping::Healpix, Grouping::Tile, Grouping::Both] {
            let units = plan(&config(1003, grouping));
            assert_eq!(units.iter().map(|unit| unit.rows.len()).sum::<usize>(), 1003);
            let ids: std::collections::BTreeSet<String> = units.iter().map(Unit::id).collect();
            assert_eq!(ids.len(), units.len());
        }
    }

    #[test]
    fn a_targetid_comes_twice_only_as_a_repeat_in_another_unit() {
        let units = plan(&config(4000, Grouping::Both));
        let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
        let mut repeats = 0;
        for (u, unit) in units.iter().enumerate() {
            for row in &unit.rows {
                let earlier = seen.insert(row.targetid, u);
                assert_eq!(earlier.is_some(), row.repeat);
                assert_ne!(earlier, Some(u));
                repeats += usize::from(row.repeat);
            }
        }
        assert!((40..=120).contains(&repeats), "two percent of 4000 were asked for: {repeats}");
    }

    #[test]
    fn some_pixel_is_shared_by_two_surveys() {
        let units = plan(&config(1000, Grouping::Healpix));
        let shared = units.windows(2).filter(|pair| {
            pair[0].place == pair[1].place
                && (pair[0].survey, pair[0].program) != (pair[1].survey, pair[1].program)
        });
        assert!(shared.count() >= 3);
    }

    #[test]
    fn targetids_are_packed_as_in_genuine_files() {
        // The first galaxy of pixel 26065: RELEASE 9010, BRICKID 349954, BRICK_OBJID 2281.
        assert_eq!(pack_targetid(false, 9010, 349_954, 2281), 39_627_866_878_511_337);
        assert_eq!(pack_targetid(true, 9010, 349_955, 556), 616_088_619_186_127_404);
    }
}
