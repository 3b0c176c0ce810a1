//! The redshift catalogue of a production: every pixel unit's redshifts joined with its fibermap.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::Release;
use crate::error::SimulateError;
use crate::fibermap::{self, Build, TargetColumns};
use crate::fits::{FitsFile, Hdu, Value};
use crate::plan::{Place, Survey, Unit};
use crate::record::Record;
use crate::redrock::template_cards;
use crate::scores;
use crate::table::{Column, Data, Style, column_offset, encode_rows, row_bytes, table_hdu};

/// How often a target occurs: in the SV surveys, in the main survey.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    sv: i16,
    main: i16,
}

/// A row that competes to be its target's primary one.
struct Contender {
    row: u64,
    sv: bool,
    good: bool,
    tsnr2: f64,
}

/// A catalogue being written.
pub(crate) struct Catalogue {
    release: Release,
    file: FitsFile,
    path: PathBuf,
    /// Columns without rows, for places and widths.
    shape: Vec<Column>,
    next_row: u64,
    /// Targets with more than one row.
    counts: BTreeMap<i64, Count>,
    contenders: BTreeMap<i64, Vec<Contender>>,
}

fn survey_is_sv(unit: &Unit) -> bool {
    unit.survey != Survey::Main
}

impl Catalogue {
    /// Lays out the catalogue of one release; nothing where the release has no pixel unit.
    pub(crate) fn create(
        out: &Path,
        release: Release,
        units: &[Unit],
    ) -> Result<Option<Self>, SimulateError> {
        let mine = || units.iter().filter(|unit| unit.release == release && !unit.is_tile());
        let Some(first) = mine().next() else { return Ok(None) };
        let rows: u64 = mine().map(|unit| unit.rows.len() as u64).sum();
        let mut counts: BTreeMap<i64, Count> = BTreeMap::new();
        for row in mine().flat_map(|unit| &unit.rows).filter(|row| row.repeat) {
            counts.insert(row.targetid, Count::default());
        }
        for unit in mine() {
            for row in &unit.rows {
                if let Some(count) = counts.get_mut(&row.targetid) {
                    *(if survey_is_sv(unit) { &mut count.sv } else { &mut count.main }) += 1;
                }
            }
        }
        let specprod = release.specprod();
        // Flat in the early release, versioned since.
        let folder = if release == Release::Edr { "zcatalog" } else { "zcatalog/v1" };
        let path = out.join(format!("spectro/redux/{specprod}/{folder}/zall-pix-{specprod}.fits"));
        let shape = columns(release, first, &[], &counts);
        let mut extra = template_cards(release);
        extra.extend([("SPGRP".to_owned(), "healpix".into()), ("HPXNSIDE".to_owned(), 64.into())]);
        extra.push(("HPXNEST".to_owned(), Value::Logical(true)));
        let style = Style { extra, ..Style::default() };
        let version: Vec<(String, Value)> =
            if release == Release::Edr { Vec::new() } else { vec![("ZCATVER".into(), "v1".into())] };
        let hdus = [Hdu::primary(&version), table_hdu("ZCATALOG", &shape, rows, &style)];
        let file = FitsFile::create(&path, &hdus)?;
        let contenders = BTreeMap::new();
        Ok(Some(Self { release, file, path, shape, next_row: 0, counts, contenders }))
    }

    /// Appends the rows of a unit.
    pub(crate) fn append(&mut self, unit: &Unit, records: &[Record]) -> Result<(), SimulateError> {
        let columns = columns(self.release, unit, records, &self.counts);
        let bytes = encode_rows("ZCATALOG", &columns, records.len())?;
        self.file.write_at(1, self.next_row * row_bytes(&self.shape), &bytes)?;
        for (row, record) in (self.next_row..).zip(records) {
            if self.counts.contains_key(&record.row.targetid) {
                let good = record.fit.zwarn == 0;
                let tsnr2 = scores::tsnr2_total(record, "LRG");
                let contender = Contender { row, sv: survey_is_sv(unit), good, tsnr2 };
                self.contenders.entry(record.row.targetid).or_default().push(contender);
            }
        }
        self.next_row += records.len() as u64;
        Ok(())
    }

    /// Settles which rows are primary and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<(PathBuf, u64), SimulateError> {
        let contenders = std::mem::take(&mut self.contenders);
        for rivals in contenders.values() {
            self.settle("ZCAT_PRIMARY", rivals.iter())?;
            self.settle("SV_PRIMARY", rivals.iter().filter(|rival| rival.sv))?;
            if self.release != Release::Edr {
                self.settle("MAIN_PRIMARY", rivals.iter().filter(|rival| !rival.sv))?;
            }
        }
        let bytes = self.file.finish()?;
        Ok((self.path, bytes))
    }

    /// The best of the rivals (a good redshift first, then the larger TSNR2_LRG) stays primary.
    fn settle<'a>(
        &mut self,
        column: &'static str,
        rivals: impl Iterator<Item = &'a Contender> + Clone,
    ) -> Result<(), SimulateError> {
        let best = rivals.clone().max_by(|a, b| a.good.cmp(&b.good).then(a.tsnr2.total_cmp(&b.tsnr2)));
        let Some(best) = best.map(|best| best.row) else { return Ok(()) };
        let offset = column_offset(&self.shape, column);
        for rival in rivals.filter(|rival| rival.row != best) {
            self.file.write_at(1, rival.row * row_bytes(&self.shape) + offset, b"F")?;
        }
        Ok(())
    }
}

/// The columns: 136 in DR1, with FITMETHOD 137 in DR2; EDR lacks MAIN_*, the MJDs and DESINAME.
fn columns(release: Release, unit: &Unit, records: &[Record], counts: &BTreeMap<i64, Count>) -> Vec<Column> {
    let later = release != Release::Edr;
    let pixel = match unit.place {
        Place::Healpix { pixel } => i32::try_from(pixel).unwrap_or(0),
        Place::Tile { .. } => 0,
    };
    let mut build = Build::new(records);
    build.long("TARGETID", |r| r.row.targetid);
    build.text("SURVEY", 7, |_| unit.survey.name().to_owned());
    build.text("PROGRAM", 6, |_| unit.program.name().to_owned());
    build.int("HEALPIX", |_| pixel);
    build.int("SPGRPVAL", |_| pixel);
    scores::redshifts(&mut build, release);
    fibermap::identity(&mut build, false, false);
    fibermap::imaging(&mut build);
    fibermap::targeting(&mut build, TargetColumns::All(unit.survey));
    fibermap::coadd_summary(&mut build, unit, false);
    if later {
        let mjd = |fold: fn(f64, f64) -> f64, start: f64| {
            move |r: &Record| r.exposures.iter().map(|exposure| exposure.mjd).fold(start, fold)
        };
        build.double("MIN_MJD", mjd(f64::min, f64::MAX));
        build.double("MAX_MJD", mjd(f64::max, 0.0));
        build.double("MEAN_MJD", |r| {
            r.exposures.iter().map(|exposure| exposure.mjd).sum::<f64>() / r.exposures.len().max(1) as f64
        });
    }
    scores::tsnr2(&mut build, release);
    let sv = survey_is_sv(unit);
    let here = Count { sv: i16::from(sv), main: i16::from(!sv) };
    let count = |r: &Record| counts.get(&r.row.targetid).copied().unwrap_or(here);
    short(&mut build, "SV_NSPEC", |r| count(r).sv);
    build.logical("SV_PRIMARY", |_| sv);
    if later {
        short(&mut build, "MAIN_NSPEC", |r| count(r).main);
        build.logical("MAIN_PRIMARY", |_| !sv);
    }
    short(&mut build, "ZCAT_NSPEC", |r| count(r).sv + count(r).main);
    build.logical("ZCAT_PRIMARY", |_| true);
    if later {
        build.text("DESINAME", 22, fibermap::desiname_of);
    }
    build.columns
}

fn short(build: &mut Build<'_>, name: &'static str, of: impl Fn(&Record) -> i16) {
    let values = build.records.iter().map(of).collect();
    build.columns.push(Column::new(name, Data::I16(values)));
}

/// Writes `tiles-<specprod>.csv`: one row per tile that a unit or an exposure names.
pub(crate) fn tiles_csv(release: Release, tiles: &BTreeMap<i32, TileRow>) -> (String, String) {
    let specprod = release.specprod();
    let mut text = String::from(
        "TILEID,SURVEY,PROGRAM,FAPRGRM,FAFLAVOR,NEXP,EXPTIME,TILERA,TILEDEC,EFFTIME_ETC,EFFTIME_SPEC,\
         EFFTIME_GFA,GOALTIME,OBSSTATUS,LRG_EFFTIME_DARK,ELG_EFFTIME_DARK,BGS_EFFTIME_BRIGHT,\
         LYA_EFFTIME_DARK,GOALTYPE,MINTFRAC,LASTNIGHT\n",
    );
    for (tileid, tile) in tiles {
        let (survey, program) = (tile.survey.name(), tile.program);
        let (time, effective) = (tile.exptime_s, 0.9 * tile.exptime_s);
        text.push_str(&format!(
            "{tileid},{survey},{program},{program},{survey}{program},{},{time:.1},{:.3},{:.3},{effective:.1},\
             {effective:.1},{effective:.1},1000.0,obsend,{effective:.1},{effective:.1},{effective:.1},\
             {effective:.1},{program},0.9,{}\n",
            tile.nexp, tile.centre_deg.0, tile.centre_deg.1, tile.last_night
        ));
    }
    (format!("spectro/redux/{specprod}/tiles-{specprod}.csv"), text)
}

/// What the tiles table says of a tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileRow {
    pub(crate) survey: Survey,
    pub(crate) program: &'static str,
    pub(crate) nexp: usize,
    pub(crate) exptime_s: f64,
    pub(crate) centre_deg: (f64, f64),
    pub(crate) last_night: i32,
}

/// Adds the tile of a tile unit.
pub(crate) fn add_tile(tiles: &mut BTreeMap<i32, TileRow>, unit: &Unit, records: &[Record]) {
    let Place::Tile { tileid, night, centre_deg, .. } = unit.place else { return };
    let most = records.iter().max_by_key(|record| record.exposures.len());
    let (nexp, exptime_s) = most.map_or((0, 0.0), |record| (record.exposures.len(), record.exposure_s()));
    let (survey, program) = (unit.survey, unit.program.name());
    tiles.insert(tileid, TileRow { survey, program, nexp, exptime_s, centre_deg, last_night: night });
}
