//! The unit of work: what a result, a ledger row and a load are keyed by.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One coadd file's identity within a release; a model's, whose global results are one unit; or some rows of a
/// catalogue's table.
///
/// The text form, used in every output, is
/// `<specprod>/healpix/<survey>/<program>/<nside>/<pixel>`,
/// `<specprod>/tile/<tileid>/<petal>/<night>`, `model/<name>`, `catalog/<table>/<file>/<block>` or
/// `catalog_raw/<table>/<file>/<block>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitId {
    /// A HEALPix pixel (nested) of one survey and program.
    Healpix {
        /// Spectroscopic production, e.g. `iron`.
        specprod: String,
        /// `cmx`, `sv1`, `sv2`, `sv3`, `main` or `special`.
        survey: String,
        /// `dark`, `bright`, `backup` or `other`.
        program: String,
        /// HEALPix resolution; 64 up to DR2, variable afterwards.
        nside: u32,
        /// Nested pixel number.
        pixel: u64,
    },
    /// One petal of a cumulative tile coadd.
    Tile {
        /// Spectroscopic production, e.g. `iron`.
        specprod: String,
        /// Tile number.
        tileid: u32,
        /// Petal (spectrograph), 0 to 9.
        petal: u8,
        /// Last night included, YYYYMMDD.
        night: u32,
    },
    /// Everything a global stage leaves for one model.
    Model {
        /// The model's name in the run file.
        name: String,
    },
    /// A block of rows of one file's table.
    Catalog {
        /// Whether the table is declared, or taken as it is.
        declared: bool,
        /// The table in the lake and the database.
        table: String,
        /// The file's name without its suffixes.
        file: String,
        /// Which block of its rows, from 0.
        block: u32,
    },
}

/// Text that is not a unit id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a unit id (<specprod>/healpix/<survey>/<program>/<nside>/<pixel>, <specprod>/tile/<tileid>/<petal>/<night>, model/<name> or catalog/<table>/<file>/<block>)"
)]
pub struct ParseUnitError(pub String);

impl UnitId {
    /// The production the unit belongs to; a model and a catalogue belong to none.
    pub fn specprod(&self) -> Option<&str> {
        match self {
            Self::Healpix { specprod, .. } | Self::Tile { specprod, .. } => Some(specprod),
            Self::Model { .. } | Self::Catalog { .. } => None,
        }
    }

    /// The unit's place below an output folder; the last component has no extension.
    pub fn relative_path(&self) -> PathBuf {
        self.to_string().split('/').collect()
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healpix { specprod, survey, program, nside, pixel } => {
                write!(f, "{specprod}/healpix/{survey}/{program}/{nside}/{pixel}")
            }
            Self::Tile { specprod, tileid, petal, night } => {
                write!(f, "{specprod}/tile/{tileid}/{petal}/{night}")
            }
            Self::Model { name } => write!(f, "model/{name}"),
            Self::Catalog { declared, table, file, block } => {
                write!(f, "{}/{table}/{file}/{block}", if *declared { "catalog" } else { "catalog_raw" })
            }
        }
    }
}

/// A name that is safe as one path component, as survey, program and specprod must be.
pub(crate) fn is_plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !text.starts_with('.')
}

impl FromStr for UnitId {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let err = || ParseUnitError(text.to_owned());
        let name = |part: &str| is_plain_name(part).then(|| part.to_owned()).ok_or_else(err);
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [specprod, "healpix", survey, program, nside, pixel] => Ok(Self::Healpix {
                specprod: name(specprod)?,
                survey: name(survey)?,
                program: name(program)?,
                nside: nside.parse().map_err(|_| err())?,
                pixel: pixel.parse().map_err(|_| err())?,
            }),
            [specprod, "tile", tileid, petal, night] => Ok(Self::Tile {
                specprod: name(specprod)?,
                tileid: tileid.parse().map_err(|_| err())?,
                petal: petal.parse().map_err(|_| err())?,
                night: night.parse().map_err(|_| err())?,
            }),
            ["model", model] => Ok(Self::Model { name: name(model)? }),
            [folder @ ("catalog" | "catalog_raw"), table, file, block] => Ok(Self::Catalog {
                declared: *folder == "catalog",
                table: name(table)?,
                file: name(file)?,
                block: block.parse().map_err(|_| err())?,
            }),
            _ => Err(err()),
        }
    }
}

impl Serialize for UnitId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnitId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_ids_survive_a_round_trip_through_text() {
        for text in [
            "iron/healpix/main/dark/64/23040",
            "fuji/tile/80693/1/20210204",
            "model/qso-empca",
            "catalog/zpix/zall-pix-iron/12",
            "catalog_raw/my_table/a.b/0",
        ] {
            assert_eq!(text.parse::<UnitId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_path_that_climbs_is_not_a_unit() {
        for text in
            ["../healpix/main/dark/64/1", "iron/healpix/main/dark/64", "iron/tile/1/2/x", "model/..", ""]
        {
            assert!(text.parse::<UnitId>().is_err(), "{text}");
        }
    }
}
