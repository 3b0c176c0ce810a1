//! FIBERMAP and EXP_FIBERMAP: columns, kinds and order as in genuine files of each release.

use crate::config::Release;
use crate::narrow::f32_of;
use crate::plan::{Survey, Unit};
use crate::record::{Exposure, Record};
use crate::source::{Class, Kind, Program};
use crate::table::{Column, Data};

/// Units of FIBERMAP columns, written since desispec 0.62.
const UNITS: [(&str, &str); 43] = [
    ("TARGET_RA", "deg"),
    ("TARGET_DEC", "deg"),
    ("PMRA", "mas yr-1"),
    ("PMDEC", "mas yr-1"),
    ("REF_EPOCH", "yr"),
    ("LAMBDA_REF", "Angstrom"),
    ("FIBERASSIGN_X", "mm"),
    ("FIBERASSIGN_Y", "mm"),
    ("EBV", "mag"),
    ("FLUX_G", "nanomaggy"),
    ("FLUX_R", "nanomaggy"),
    ("FLUX_Z", "nanomaggy"),
    ("FLUX_W1", "nanomaggy"),
    ("FLUX_W2", "nanomaggy"),
    ("FLUX_IVAR_G", "nanomaggy^-2"),
    ("FLUX_IVAR_R", "nanomaggy^-2"),
    ("FLUX_IVAR_Z", "nanomaggy^-2"),
    ("FLUX_IVAR_W1", "nanomaggy^-2"),
    ("FLUX_IVAR_W2", "nanomaggy^-2"),
    ("FIBERFLUX_G", "nanomaggy"),
    ("FIBERFLUX_R", "nanomaggy"),
    ("FIBERFLUX_Z", "nanomaggy"),
    ("FIBERTOTFLUX_G", "nanomaggy"),
    ("FIBERTOTFLUX_R", "nanomaggy"),
    ("FIBERTOTFLUX_Z", "nanomaggy"),
    ("SHAPE_R", "arcsec"),
    ("GAIA_PHOT_G_MEAN_MAG", "mag"),
    ("GAIA_PHOT_BP_MEAN_MAG", "mag"),
    ("GAIA_PHOT_RP_MEAN_MAG", "mag"),
    ("PARALLAX", "mas"),
    ("PLATE_RA", "deg"),
    ("PLATE_DEC", "deg"),
    ("COADD_EXPTIME", "s"),
    ("MEAN_DELTA_X", "mm"),
    ("RMS_DELTA_X", "mm"),
    ("MEAN_DELTA_Y", "mm"),
    ("RMS_DELTA_Y", "mm"),
    ("MEAN_FIBER_RA", "deg"),
    ("STD_FIBER_RA", "arcsec"),
    ("MEAN_FIBER_DEC", "deg"),
    ("STD_FIBER_DEC", "arcsec"),
    ("MEAN_FIBER_X", "mm"),
    ("MEAN_FIBER_Y", "mm"),
];

/// Units of EXP_FIBERMAP columns that FIBERMAP lacks.
const EXPOSURE_UNITS: [(&str, &str); 8] = [
    ("MJD", "d"),
    ("EXPTIME", "s"),
    ("FIBER_X", "mm"),
    ("FIBER_Y", "mm"),
    ("DELTA_X", "mm"),
    ("DELTA_Y", "mm"),
    ("FIBER_RA", "deg"),
    ("FIBER_DEC", "deg"),
];

/// Builds columns from the rows.
pub(crate) struct Build<'a> {
    pub(crate) records: &'a [Record],
    pub(crate) columns: Vec<Column>,
}

impl<'a> Build<'a> {
    pub(crate) fn new(records: &'a [Record]) -> Self {
        Self { records, columns: Vec::new() }
    }

    fn push(&mut self, name: &'static str, data: Data) {
        let unit =
            UNITS.iter().chain(&EXPOSURE_UNITS).find(|(known, _)| *known == name).map(|(_, unit)| *unit);
        self.columns.push(Column { unit, ..Column::new(name, data) });
    }

    pub(crate) fn logical(&mut self, name: &'static str, of: impl Fn(&Record) -> bool) {
        self.push(name, Data::Logical(self.records.iter().map(of).collect()));
    }

    pub(crate) fn byte(&mut self, name: &'static str, of: impl Fn(&Record) -> u8) {
        self.push(name, Data::U8(self.records.iter().map(of).collect()));
    }

    pub(crate) fn short(&mut self, name: &'static str, of: impl Fn(&Record) -> i16) {
        self.push(name, Data::I16(self.records.iter().map(of).collect()));
    }

    pub(crate) fn int(&mut self, name: &'static str, of: impl Fn(&Record) -> i32) {
        self.push(name, Data::I32(self.records.iter().map(of).collect()));
    }

    pub(crate) fn long(&mut self, name: &'static str, of: impl Fn(&Record) -> i64) {
        self.push(name, Data::I64(self.records.iter().map(of).collect()));
    }

    pub(crate) fn float(&mut self, name: &'static str, of: impl Fn(&Record) -> f64) {
        self.push(name, Data::F32(self.records.iter().map(|record| f32_of(of(record))).collect()));
    }

    pub(crate) fn double(&mut self, name: &'static str, of: impl Fn(&Record) -> f64) {
        self.push(name, Data::F64(self.records.iter().map(of).collect()));
    }

    pub(crate) fn text(&mut self, name: &'static str, width: usize, of: impl Fn(&Record) -> String) {
        self.push(name, Data::Text(width, self.records.iter().map(of).collect()));
    }
}

/// Which target columns a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetColumns {
    /// Those of one survey.
    Of(Survey),
    /// Those of every survey, each filled where it applies.
    All(Survey),
}

/// The FIBERMAP columns of a coadd: 70 or 81 (with DESINAME 71 or 82) for SV surveys, three fewer
/// for the main survey, which has SCND_TARGET instead of four SV columns.
pub(crate) fn columns(unit: &Unit, records: &[Record]) -> Vec<Column> {
    let tile = unit.is_tile();
    let mut build = Build::new(records);
    build.long("TARGETID", |r| r.row.targetid);
    if tile {
        location(&mut build);
    }
    identity(&mut build, tile, unit.release == Release::Dr2);
    imaging(&mut build);
    targeting(&mut build, TargetColumns::Of(unit.survey));
    coadd_summary(&mut build, unit, tile);
    build.columns
}

fn location(build: &mut Build<'_>) {
    build.short("PETAL_LOC", |r| i16::try_from(r.fiber / 500).unwrap_or(0));
    build.int("DEVICE_LOC", |r| r.fiber % 500 + 12);
    build.long("LOCATION", |r| i64::from(r.fiber / 500 * 1000 + r.fiber % 500 + 12));
    build.int("FIBER", |r| r.fiber);
}

/// COADD_FIBERSTATUS to MORPHTYPE.
pub(crate) fn identity(build: &mut Build<'_>, tile: bool, desiname: bool) {
    build.int("COADD_FIBERSTATUS", |r| r.fiberstatus);
    build.double("TARGET_RA", |r| r.row.ra_deg);
    build.double("TARGET_DEC", |r| r.row.dec_deg);
    if desiname {
        build.text("DESINAME", 22, desiname_of);
    }
    build.float("PMRA", |r| if is_star(r) { 9.0 * (r.subpriority - 0.5) } else { 0.0 });
    build.float("PMDEC", |r| if is_star(r) { -14.0 * (r.subpriority - 0.4) } else { 0.0 });
    build.float("REF_EPOCH", |r| if r.row.class.is_object() { 2015.5 } else { 0.0 });
    if tile {
        build.float("LAMBDA_REF", |_| 5400.0);
    }
    build.long("FA_TARGET", desi_target);
    build.byte("FA_TYPE", |r| if is_sky(r) { 4 } else { u8::from(r.row.class.is_object()) });
    build.text("OBJTYPE", 3, |r| {
        let object = r.row.class.is_object();
        if is_sky(r) {
            "SKY"
        } else if object {
            "TGT"
        } else {
            ""
        }
        .to_owned()
    });
    if tile {
        build.float("FIBERASSIGN_X", |r| focal_mm(r).0);
        build.float("FIBERASSIGN_Y", |r| focal_mm(r).1);
        build.int("PRIORITY", priority);
    }
    build.double("SUBPRIORITY", |r| r.subpriority);
    build.int("OBSCONDITIONS", |r| match r.row.chosen_by {
        Program::Dark => 1,
        Program::Bright => 4,
    });
    build.short("RELEASE", |r| {
        i16::try_from((r.row.targetid >> 42) & 0xffff).map_or(0, |v| only_object(r, v))
    });
    build.text("BRICKNAME", 8, brickname);
    build.int("BRICKID", |r| only_object(r, i32::try_from((r.row.targetid >> 22) & 0xf_ffff).unwrap_or(0)));
    build.int("BRICK_OBJID", |r| only_object(r, i32::try_from(r.row.targetid & 0x3f_ffff).unwrap_or(0)));
    build.text("MORPHTYPE", 4, |r| morphology(r).to_owned());
}

/// EBV to NUMOBS_INIT.
pub(crate) fn imaging(build: &mut Build<'_>) {
    build.float("EBV", |r| r.ebv);
    let total = |band: usize| move |r: &Record| r.nanomaggies[band] / r.fibre_share;
    build.float("FLUX_G", total(0));
    build.float("FLUX_R", total(1));
    build.float("FLUX_Z", total(2));
    build.float("FLUX_W1", |r| infrared(r) * r.nanomaggies[2] / r.fibre_share);
    build.float("FLUX_W2", |r| 0.7 * infrared(r) * r.nanomaggies[2] / r.fibre_share);
    let depth = |value: f64| move |r: &Record| if r.row.class.is_object() { value } else { 0.0 };
    for (name, value) in [("FLUX_IVAR_G", 480.0), ("FLUX_IVAR_R", 160.0), ("FLUX_IVAR_Z", 48.0)] {
        build.float(name, depth(value));
    }
    build.float("FLUX_IVAR_W1", depth(3.0));
    build.float("FLUX_IVAR_W2", depth(0.8));
    for (band, name) in ["FIBERFLUX_G", "FIBERFLUX_R", "FIBERFLUX_Z"].into_iter().enumerate() {
        build.float(name, |r| r.nanomaggies[band]);
    }
    for (band, name) in ["FIBERTOTFLUX_G", "FIBERTOTFLUX_R", "FIBERTOTFLUX_Z"].into_iter().enumerate() {
        build.float(name, |r| r.nanomaggies[band]);
    }
    build.short("MASKBITS", |_| 0);
    let extended = |r: &Record| matches!(morphology(r), "SER" | "DEV" | "EXP");
    build.float("SERSIC", move |r| if extended(r) { 1.0 + 3.0 * r.subpriority } else { 0.0 });
    build.float("SHAPE_R", move |r| if extended(r) { 0.3 + 1.6 * (1.0 - r.fibre_share) } else { 0.0 });
    build.float("SHAPE_E1", move |r| if extended(r) { 0.5 * (r.subpriority - 0.5) } else { 0.0 });
    build.float("SHAPE_E2", move |r| if extended(r) { 0.3 * (0.5 - r.subpriority) } else { 0.0 });
    build.long(
        "REF_ID",
        |r| if is_star(r) { 1_580_000_000_000_000_000 + r.row.targetid % 1_000_003 } else { 0 },
    );
    build.text("REF_CAT", 2, |r| if is_star(r) { "G2".to_owned() } else { String::new() });
    let gaia = |shift: f64| move |r: &Record| if is_star(r) { magnitude(r) + shift } else { 0.0 };
    build.float("GAIA_PHOT_G_MEAN_MAG", gaia(0.0));
    build.float("GAIA_PHOT_BP_MEAN_MAG", gaia(0.4));
    build.float("GAIA_PHOT_RP_MEAN_MAG", gaia(-0.6));
    build.float("PARALLAX", |r| if is_star(r) { 0.2 + 0.8 * r.subpriority } else { 0.0 });
    build.text("PHOTSYS", 1, |r| {
        let north = r.row.dec_deg > 32.375;
        if r.row.class.is_object() { if north { "N" } else { "S" } } else { "" }.to_owned()
    });
    build.long("PRIORITY_INIT", |r| i64::from(priority(r)));
    build.long("NUMOBS_INIT", |r| {
        if !r.row.class.is_object() {
            -1
        } else if is_quasar(r) {
            4
        } else {
            1
        }
    });
}

/// The target bit columns.
pub(crate) fn targeting(build: &mut Build<'_>, which: TargetColumns) {
    const SV: [(Survey, [&str; 4]); 2] = [
        (Survey::Sv1, ["SV1_DESI_TARGET", "SV1_BGS_TARGET", "SV1_MWS_TARGET", "SV1_SCND_TARGET"]),
        (Survey::Sv3, ["SV3_DESI_TARGET", "SV3_BGS_TARGET", "SV3_MWS_TARGET", "SV3_SCND_TARGET"]),
    ];
    const SV2: [&str; 4] = ["SV2_DESI_TARGET", "SV2_BGS_TARGET", "SV2_MWS_TARGET", "SV2_SCND_TARGET"];
    let (survey, all) = match which {
        TargetColumns::Of(survey) => (survey, false),
        TargetColumns::All(survey) => (survey, true),
    };
    if all {
        build.long("CMX_TARGET", |_| 0);
    }
    for (of, names) in SV {
        if all || of == survey {
            let here = of == survey;
            build.long(names[0], |r| if here { desi_target(r) } else { 0 });
            build.long(names[1], |r| if here { bgs_target(r) } else { 0 });
            build.long(names[2], |r| if here { mws_target(r) } else { 0 });
            build.long(names[3], |_| 0);
        }
        if all && of == Survey::Sv1 {
            for name in SV2 {
                build.long(name, |_| 0);
            }
        }
    }
    let main = survey == Survey::Main;
    // Sky fibres carry their DESI_TARGET bit in every survey.
    build.long("DESI_TARGET", |r| if main || r.row.class == Class::Sky { desi_target(r) } else { 0 });
    build.long("BGS_TARGET", |r| if main { bgs_target(r) } else { 0 });
    build.long("MWS_TARGET", |r| if main { mws_target(r) } else { 0 });
    if all || main {
        build.long("SCND_TARGET", |_| 0);
    }
}

/// PLATE_RA to the end.
pub(crate) fn coadd_summary(build: &mut Build<'_>, unit: &Unit, tile: bool) {
    build.double("PLATE_RA", |r| r.row.ra_deg);
    build.double("PLATE_DEC", |r| r.row.dec_deg);
    if let (true, crate::plan::Place::Tile { tileid, .. }) = (tile, unit.place) {
        build.int("TILEID", |_| tileid);
    }
    build.short("COADD_NUMEXP", |r| used(r, i16::try_from(r.exposures.len()).unwrap_or(i16::MAX)));
    build.float("COADD_EXPTIME", |r| if r.row.dead { 0.0 } else { r.exposure_s() });
    build.short("COADD_NUMNIGHT", |r| used(r, r.nights()));
    build.short("COADD_NUMTILE", |r| {
        let mut tiles: Vec<i32> = r.exposures.iter().map(|exposure| exposure.tileid).collect();
        tiles.dedup();
        used(r, i16::try_from(tiles.len()).unwrap_or(i16::MAX))
    });
    build.float("MEAN_DELTA_X", |r| mean(r, |e| e.delta_mm.0));
    build.float("RMS_DELTA_X", |r| libm::sqrt(mean(r, |e| e.delta_mm.0 * e.delta_mm.0)));
    build.float("MEAN_DELTA_Y", |r| mean(r, |e| e.delta_mm.1));
    build.float("RMS_DELTA_Y", |r| libm::sqrt(mean(r, |e| e.delta_mm.1 * e.delta_mm.1)));
    build.double("MEAN_FIBER_RA", |r| mean(r, |e| fiber_deg(r, e).0));
    build.float("STD_FIBER_RA", |r| spread_arcsec(r, |e| fiber_deg(r, e).0));
    build.double("MEAN_FIBER_DEC", |r| mean(r, |e| fiber_deg(r, e).1));
    build.float("STD_FIBER_DEC", |r| spread_arcsec(r, |e| fiber_deg(r, e).1));
    build.float("MEAN_PSF_TO_FIBER_SPECFLUX", |r| if r.row.dead { 0.0 } else { 0.78 });
    if tile {
        build.float("MEAN_FIBER_X", |r| focal_mm(r).0 + mean(r, |e| e.delta_mm.0));
        build.float("MEAN_FIBER_Y", |r| focal_mm(r).1 + mean(r, |e| e.delta_mm.1));
    }
}

/// EXP_FIBERMAP: one row per target and exposure; 26 columns, 29 in DR2.
pub(crate) fn exposure_columns(release: Release, records: &[Record]) -> (Vec<Column>, usize) {
    let rows: Vec<Record> = records
        .iter()
        .flat_map(|r| r.exposures.iter().map(|e| Record { exposures: vec![*e], ..r.clone() }))
        .collect();
    let mut build = Build::new(&rows);
    build.long("TARGETID", |r| r.row.targetid);
    build.int("PRIORITY", priority);
    build.double("SUBPRIORITY", |r| r.subpriority);
    build.int("NIGHT", |r| r.exposures[0].night);
    build.int("EXPID", |r| r.exposures[0].expid);
    build.double("MJD", |r| r.exposures[0].mjd);
    build.int("TILEID", |r| r.exposures[0].tileid);
    build.double("EXPTIME", |r| r.exposures[0].exptime_s);
    location(&mut build);
    build.int("FIBERSTATUS", |r| r.fiberstatus);
    build.float("FIBERASSIGN_X", |r| focal_mm(r).0);
    build.float("FIBERASSIGN_Y", |r| focal_mm(r).1);
    build.float("LAMBDA_REF", |_| 5400.0);
    build.double("PLATE_RA", |r| r.row.ra_deg);
    build.double("PLATE_DEC", |r| r.row.dec_deg);
    build.long("NUM_ITER", |_| 2);
    build.double("FIBER_X", |r| focal_mm(r).0 + r.exposures[0].delta_mm.0);
    build.double("FIBER_Y", |r| focal_mm(r).1 + r.exposures[0].delta_mm.1);
    build.double("DELTA_X", |r| r.exposures[0].delta_mm.0);
    build.double("DELTA_Y", |r| r.exposures[0].delta_mm.1);
    build.double("FIBER_RA", |r| fiber_deg(r, &r.exposures[0]).0);
    build.double("FIBER_DEC", |r| fiber_deg(r, &r.exposures[0]).1);
    build.double("PSF_TO_FIBER_SPECFLUX", |r| if r.row.dead { 0.0 } else { 0.78 });
    if release == Release::Dr2 {
        for name in ["IN_COADD_B", "IN_COADD_R", "IN_COADD_Z"] {
            build.logical(name, |r| !r.row.dead);
        }
    }
    let columns = build.columns;
    (columns, rows.len())
}

fn is_star(r: &Record) -> bool {
    matches!(r.row.class, Class::Star(_))
}

fn is_sky(r: &Record) -> bool {
    r.row.class == Class::Sky
}

fn is_quasar(r: &Record) -> bool {
    r.row.class.spectype() == "QSO"
}

fn only_object<T: Default>(r: &Record, value: T) -> T {
    if r.row.class == Class::Stuck { T::default() } else { value }
}

fn used(r: &Record, count: i16) -> i16 {
    if r.row.dead { 0 } else { count }
}

fn magnitude(r: &Record) -> f64 {
    22.5 - 2.5 * libm::log10(r.nanomaggies[1].max(1e-9))
}

/// z-band flux times this is the W1 flux.
fn infrared(r: &Record) -> f64 {
    match r.row.class {
        Class::Galaxy(Kind::Quiescent) => 2.6,
        Class::Quasar | Class::BalQuasar => 1.9,
        Class::Star(_) => 0.35,
        Class::Galaxy(_) | Class::Sky | Class::Stuck => 1.1,
    }
}

fn morphology(r: &Record) -> &'static str {
    match r.row.class {
        Class::Sky | Class::Stuck => "",
        Class::Star(_) | Class::Quasar | Class::BalQuasar => "PSF",
        Class::Galaxy(Kind::Quiescent) => "DEV",
        Class::Galaxy(Kind::PostStarburst) | Class::Galaxy(Kind::Seyfert) => "SER",
        Class::Galaxy(Kind::StarForming) => "EXP",
    }
}

/// DESI_TARGET bits: LRG 0, ELG 1, QSO 2, SKY 32, BGS_ANY 60, MWS_ANY 61.
fn desi_target(r: &Record) -> i64 {
    match (r.row.class, r.row.chosen_by) {
        (Class::Sky, _) => 1 << 32,
        (Class::Stuck, _) => 0,
        (Class::Star(_), _) => 1 << 61,
        (Class::Quasar | Class::BalQuasar, _) => 1 << 2,
        (_, Program::Bright) => 1 << 60,
        (Class::Galaxy(Kind::StarForming), Program::Dark) => 1 << 1,
        (_, Program::Dark) => 1,
    }
}

/// BGS_FAINT is bit 0, BGS_BRIGHT bit 1.
fn bgs_target(r: &Record) -> i64 {
    if desi_target(r) != 1 << 60 {
        return 0;
    }
    if r.nanomaggies[1] / r.fibre_share > 15.85 { 1 << 1 } else { 1 }
}

fn mws_target(r: &Record) -> i64 {
    if desi_target(r) == 1 << 61 { 1 << 8 } else { 0 }
}

fn priority(r: &Record) -> i32 {
    match (r.row.class, r.row.chosen_by) {
        (Class::Sky | Class::Stuck, _) => -1,
        (Class::Quasar | Class::BalQuasar, _) => 3400,
        (Class::Galaxy(Kind::StarForming), Program::Dark) => 3100,
        (Class::Star(_), _) => 1500,
        (_, Program::Bright) => 2100,
        (_, Program::Dark) => 3200,
    }
}

fn brickname(r: &Record) -> String {
    if r.row.class == Class::Stuck {
        return String::new();
    }
    let sign = if r.row.dec_deg < 0.0 { 'm' } else { 'p' };
    let tenths = |degrees: f64| crate::narrow::index_of(degrees.abs() * 10.0);
    format!("{:04}{sign}{:03}", tenths(r.row.ra_deg), tenths(r.row.dec_deg))
}

fn focal_mm(r: &Record) -> (f64, f64) {
    let angle = f64::from(r.fiber) * std::f64::consts::TAU / 5000.0;
    let radius = 60.0 + 330.0 * f64::from(r.fiber * 7 % 97) / 97.0;
    (radius * libm::cos(angle), radius * libm::sin(angle))
}

/// Where a fibre pointed: 0.07 mm on the focal plane are about an arcsecond.
fn fiber_deg(r: &Record, exposure: &Exposure) -> (f64, f64) {
    let degrees = |mm: f64| mm / 0.07 / 3600.0;
    let (dx, dy) = exposure.delta_mm;
    (r.row.ra_deg + degrees(dx) / libm::cos(r.row.dec_deg.to_radians()), r.row.dec_deg + degrees(dy))
}

fn mean(r: &Record, of: impl Fn(&Exposure) -> f64) -> f64 {
    r.exposures.iter().map(of).sum::<f64>() / r.exposures.len().max(1) as f64
}

fn spread_arcsec(r: &Record, of: impl Fn(&Exposure) -> f64) -> f64 {
    let centre = mean(r, &of);
    3600.0 * libm::sqrt(mean(r, |e| (of(e) - centre) * (of(e) - centre)))
}

/// `DESI JXXX.XXXX±YY.YYYY`, coordinates cut off, not rounded.
pub(crate) fn desiname_of(r: &Record) -> String {
    let cut = |degrees: f64| {
        let units = crate::narrow::index_of(degrees.abs() * 10_000.0);
        (units / 10_000, units % 10_000)
    };
    let (ra, dec) = (cut(r.row.ra_deg), cut(r.row.dec_deg));
    let sign = if r.row.dec_deg < 0.0 { '-' } else { '+' };
    format!("DESI J{:03}.{:04}{sign}{:02}.{:04}", ra.0, ra.1, dec.0, dec.1)
}
