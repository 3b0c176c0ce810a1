//! The redrock file of a unit.

use std::path::Path;

use crate::coadd::primary_cards;
use crate::config::Release;
use crate::error::SimulateError;
use crate::fibermap;
use crate::fits::{Hdu, Value, write_whole};
use crate::plan::Unit;
use crate::record::Record;
use crate::scores::{redshift_columns, tsnr2_columns};
use crate::table::{Style, whole_table};

/// Template names and versions of the releases' fits.
const TEMPLATES: [&str; 10] = [
    "GALAXY",
    "QSO:::HIZ",
    "QSO:::LOZ",
    "STAR:::A",
    "STAR:::B",
    "STAR:::CV",
    "STAR:::F",
    "STAR:::G",
    "STAR:::K",
    "STAR:::M",
];

/// RRVER and the template cards.
pub(crate) fn template_cards(release: Release) -> Vec<(String, Value)> {
    let (version, quasar) = match release {
        Release::Edr => ("0.15.4", "0.1"),
        Release::Dr1 => ("0.17.0", "1.0"),
        Release::Dr2 => ("0.20.2", "1.1"),
    };
    let mut cards: Vec<(String, Value)> = vec![("RRVER".into(), version.into())];
    for (i, name) in TEMPLATES.into_iter().enumerate() {
        let version = match name {
            "GALAXY" => "2.6",
            name if name.starts_with("QSO") => quasar,
            _ => "0.1",
        };
        cards.push((format!("TEMNAM{i:02}"), name.into()));
        cards.push((format!("TEMVER{i:02}"), version.into()));
    }
    cards
}

/// Writes the redrock file of `unit`; returns its length in bytes.
pub(crate) fn write(path: &Path, unit: &Unit, records: &[Record]) -> Result<u64, SimulateError> {
    let release = unit.release;
    let n = records.len();
    // Redrock's copies carry no units, and until 2023 a meaningless TNULL on integer columns.
    let masked = Style { null_junk: release != Release::Dr2, ..Style::default() };
    let plain = Style::default();
    let mut cards = template_cards(release);
    cards.extend(primary_cards(unit, "redrock"));
    let (exposures, exposure_rows) = fibermap::exposure_columns(release, records);
    let hdus = vec![
        (Hdu::primary(&cards), Vec::new()),
        whole_table("REDSHIFTS", &redshift_columns(release, records), n, &masked)?,
        whole_table("FIBERMAP", &fibermap::columns(unit, records), n, &masked)?,
        whole_table("EXP_FIBERMAP", &exposures, exposure_rows, &plain)?,
        whole_table("TSNR2", &tsnr2_columns(release, records), n, &plain)?,
    ];
    write_whole(path, &hdus)
}
