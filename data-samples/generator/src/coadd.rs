//! The coadd file of a unit.

use std::path::PathBuf;

use rayon::prelude::*;

use crate::config::{Release, Resolution, SimulateConfig};
use crate::error::SimulateError;
use crate::fibermap;
use crate::fits::{FitsFile, Hdu, Pixel, Value};
use crate::grid::{ARMS, DIAGONALS};
use crate::noise::{ArmData, Sky};
use crate::plan::{Place, Unit};
use crate::record::{Observed, Record, exposures_of, observe_row};
use crate::sampler::Sampler;
use crate::scores::scores_columns;
use crate::table::{Style, encode_rows, table_hdu};
use crate::truth::{self, TruthRow};

/// Rows held in memory at once.
const BLOCK_ROWS: usize = 32;

/// What every unit is made with.
pub(crate) struct Context<'a> {
    pub(crate) cfg: &'a SimulateConfig,
    pub(crate) sampler: &'a Sampler,
    pub(crate) sky: &'a Sky,
}

/// What is left of a unit once its coadd is written.
pub(crate) struct Written {
    pub(crate) records: Vec<Record>,
    pub(crate) truth: Vec<TruthRow>,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) bytes: u64,
}

/// Writes the coadd file of `unit`.
pub(crate) fn write(context: &Context<'_>, unit: &Unit) -> Result<Written, SimulateError> {
    let path = context.cfg.out.join(format!("{}.fits", unit.stem("coadd")));
    let n = unit.rows.len();
    // The tables come first in the file and last in the making: their sizes need the exposures only.
    let layout = Layout::new(context, unit);
    let mut file = FitsFile::create(&path, &layout.hdus)?;
    for (arm, hdu) in layout.arms.iter().enumerate() {
        let wave: Vec<u8> = ARMS[arm].wave_aa().iter().flat_map(|value| value.to_be_bytes()).collect();
        file.write_at(*hdu, 0, &wave)?;
    }
    let mut records = Vec::with_capacity(n);
    let mut truths = Vec::with_capacity(n);
    for start in (0..n).step_by(BLOCK_ROWS) {
        let end = (start + BLOCK_ROWS).min(n);
        let rows: Vec<(Observed, TruthRow)> = (start..end)
            .into_par_iter()
            .map(|index| {
                let observed = observe_row(context.cfg.seed, context.sampler, context.sky, unit, index);
                let truth = truth::measure(context.sampler, context.cfg.truth, unit, index, &observed);
                (observed, truth)
            })
            .collect();
        let block: Vec<&Observed> = rows.iter().map(|(observed, _)| observed).collect();
        write_block(&mut file, context, &layout, unit, start, &block)?;
        for (observed, truth) in rows {
            records.push(observed.record);
            truths.push(truth);
        }
    }
    write_tables(&mut file, &layout, unit, &records)?;
    let bytes = file.finish()?;
    Ok(Written { records, truth: truths, paths: vec![path], bytes })
}

struct Layout {
    hdus: Vec<Hdu>,
    /// WAVELENGTH HDU of each arm; FLUX, IVAR, MASK and RESOLUTION follow it.
    arms: [usize; 3],
    scores: usize,
}

impl Layout {
    fn new(context: &Context<'_>, unit: &Unit) -> Self {
        let n = unit.rows.len() as u64;
        // Names and kinds of columns do not depend on the rows.
        let none: &[Record] = &[];
        let (exposures, _) = fibermap::exposure_columns(unit.release, none);
        let exposure_rows: usize =
            (0..unit.rows.len()).map(|index| exposures_of(context.cfg.seed, unit, index).len()).sum();
        let mut hdus = vec![
            Hdu::primary(&primary_cards(unit, "coadd")),
            table_hdu("FIBERMAP", &fibermap::columns(unit, none), n, &style(unit.release, true)),
            table_hdu("EXP_FIBERMAP", &exposures, exposure_rows as u64, &style(unit.release, false)),
        ];
        let mut arms = [0; 3];
        for (slot, arm) in arms.iter_mut().zip(&ARMS) {
            *slot = hdus.len();
            hdus.extend(arm_hdus(arm.letter, arm.pixels as u64, n, unit.release));
            if context.cfg.resolution != Resolution::None {
                let axes = [arm.pixels as u64, DIAGONALS as u64, n];
                hdus.push(Hdu::image(&format!("{}_RESOLUTION", arm.letter), Pixel::F32, &axes, None));
            }
        }
        let scores = hdus.len();
        hdus.push(table_hdu("SCORES", &scores_columns(unit.release, none), n, &style(unit.release, false)));
        Self { hdus, arms, scores }
    }
}

/// Style of a table; the coadd's FIBERMAP also announces long strings.
fn style(release: Release, fibermap: bool) -> Style {
    let mut extra: Vec<(String, Value)> = vec![("ENCODING".into(), "ascii".into())];
    if fibermap {
        extra.push(("LONGSTRN".into(), "OGIP 1.0".into()));
    }
    Style { null_junk: false, units: release == Release::Dr2, extra }
}

/// WAVELENGTH, FLUX, IVAR and MASK of one arm.
pub(crate) fn arm_hdus(letter: char, pixels: u64, n: u64, release: Release) -> [Hdu; 4] {
    let mask = if release == Release::Edr { Pixel::U32 } else { Pixel::I32 };
    [
        Hdu::image(&format!("{letter}_WAVELENGTH"), Pixel::F64, &[pixels], Some("Angstrom")),
        Hdu::image(&format!("{letter}_FLUX"), Pixel::F32, &[pixels, n], Some("10**-17 erg/(s cm2 Angstrom)")),
        Hdu::image(
            &format!("{letter}_IVAR"),
            Pixel::F32,
            &[pixels, n],
            Some("10**+34 (s2 cm4 Angstrom2) / erg2"),
        ),
        Hdu::image(&format!("{letter}_MASK"), mask, &[pixels, n], None),
    ]
}

/// Cards that say what the unit is, and which code's layout the file follows.
pub(crate) fn primary_cards(unit: &Unit, kind: &str) -> Vec<(String, Value)> {
    let mut cards: Vec<(String, Value)> = group_cards(unit);
    let (desispec, redrock) = match unit.release {
        Release::Edr => ("0.51.8", "0.15.4"),
        Release::Dr1 => ("0.56.5", "0.17.0"),
        Release::Dr2 => ("0.67.0", "0.20.2"),
    };
    let depends = [
        ("specmill-simulate", env!("CARGO_PKG_VERSION")),
        ("desispec", desispec),
        ("redrock", redrock),
        ("SPECPROD", unit.release.specprod()),
        ("DESI_SPECTRO_REDUX", "/global/cfs/cdirs/desi/spectro/redux"),
    ];
    for (i, (name, version)) in depends.into_iter().enumerate() {
        cards.push((format!("DEPNAM{i:02}"), name.into()));
        cards.push((format!("DEPVER{i:02}"), version.into()));
    }
    if kind == "coadd" {
        let stem = unit.stem("spectra");
        let name = stem.rsplit('/').next().unwrap_or_default();
        let suffix = if unit.release == Release::Edr { "fits" } else { "fits.gz" };
        cards.push(("FIBERMIN".into(), Value::Int(0)));
        cards.push(("INFIL000".into(), format!("{name}.{suffix}").as_str().into()));
    }
    cards.push(("LONGSTRN".into(), "OGIP 1.0".into()));
    cards.push(("COMMENT".into(), Value::Comment("simulated spectra, no observation".into())));
    cards
}

fn group_cards(unit: &Unit) -> Vec<(String, Value)> {
    let card = |keyword: &str, value: Value| (keyword.to_owned(), value);
    match unit.place {
        Place::Healpix { pixel } => {
            let pixel = i64::try_from(pixel).unwrap_or(0);
            // A logical only since desispec 0.60.
            let nest = if unit.release == Release::Dr2 { Value::Logical(true) } else { "True".into() };
            vec![
                card("SPGRP", "healpix".into()),
                card("SPGRPVAL", pixel.into()),
                card("HPXPIXEL", pixel.into()),
                card("HPXNSIDE", 64.into()),
                card("HPXNEST", nest),
                card("SURVEY", unit.survey.name().into()),
                card("PROGRAM", unit.program.name().into()),
            ]
        }
        Place::Tile { tileid, petal, night, .. } => vec![
            card("SPGRP", "cumulative".into()),
            card("SPGRPVAL", i64::from(night).into()),
            card("NIGHT", i64::from(night).into()),
            card("TILEID", i64::from(tileid).into()),
            card("SPECTRO", i64::from(petal).into()),
            card("PETAL", i64::from(petal).into()),
        ],
    }
}

/// FLUX, IVAR and MASK of one spectrum as bytes of the file.
pub(crate) fn arm_bytes(data: &ArmData, release: Release, out: &mut [Vec<u8>; 3]) {
    out[0].extend(data.flux.iter().flat_map(|value| value.to_be_bytes()));
    out[1].extend(data.ivar.iter().flat_map(|value| value.to_be_bytes()));
    // BZERO = 2^31 flips the sign bit of the stored number.
    let flip = if release == Release::Edr { 1 << 31 } else { 0 };
    out[2].extend(data.mask.iter().flat_map(|value| (value ^ flip).to_be_bytes()));
}

fn write_block(
    file: &mut FitsFile,
    context: &Context<'_>,
    layout: &Layout,
    unit: &Unit,
    start: usize,
    rows: &[&Observed],
) -> Result<(), SimulateError> {
    for (a, arm) in ARMS.iter().enumerate() {
        let mut bytes = [Vec::new(), Vec::new(), Vec::new()];
        for observed in rows {
            arm_bytes(&observed.arms[a], unit.release, &mut bytes);
        }
        let offset = (start * arm.pixels * 4) as u64;
        for (i, data) in bytes.iter().enumerate() {
            file.write_at(layout.arms[a] + 1 + i, offset, data)?;
        }
        if context.cfg.resolution == Resolution::Full {
            // A row without data has no response either.
            for (i, observed) in rows.iter().enumerate().filter(|(_, observed)| !observed.record.row.dead) {
                let data = context.sampler.lsf(observed.record.fiber).bytes(a);
                file.write_at(layout.arms[a] + 4, ((start + i) * data.len()) as u64, data)?;
            }
        }
    }
    Ok(())
}

fn write_tables(
    file: &mut FitsFile,
    layout: &Layout,
    unit: &Unit,
    records: &[Record],
) -> Result<(), SimulateError> {
    let n = records.len();
    file.write_at(1, 0, &encode_rows("FIBERMAP", &fibermap::columns(unit, records), n)?)?;
    let (columns, rows) = fibermap::exposure_columns(unit.release, records);
    file.write_at(2, 0, &encode_rows("EXP_FIBERMAP", &columns, rows)?)?;
    file.write_at(layout.scores, 0, &encode_rows("SCORES", &scores_columns(unit.release, records), n)?)
}
