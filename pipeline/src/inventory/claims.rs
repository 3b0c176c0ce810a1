//! What a folder, a file name or a header says about a file's unit.

use std::path::Path;

use crate::fits::CoaddKeywords;
use crate::unit::UnitId;

/// NSIDE where nothing states it: every release up to DR2 has it.
const DEFAULT_NSIDE: u32 = 64;

/// The words of a unit id, as far as one source states them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) specprod: Option<String>,
    pub(super) survey: Option<String>,
    pub(super) program: Option<String>,
    pub(super) pixel: Option<String>,
    pub(super) nside: Option<String>,
    pub(super) tileid: Option<String>,
    pub(super) petal: Option<String>,
    pub(super) night: Option<String>,
}

/// A unit, and whether its NSIDE had to be assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identified {
    pub(super) unit: UnitId,
    pub(super) nside_assumed: bool,
}

impl Claims {
    /// From the folders above a file, `<specprod>/healpix/<survey>/<program>/<group>/<pixel>/` or
    /// `<specprod>/tiles/cumulative/<tileid>/<night>/`; empty elsewhere.
    ///
    /// `specprod` is the production's name where the caller knows it better than its folder.
    pub(super) fn of_folder(path: &Path, specprod: Option<&str>) -> Result<Self, String> {
        let folders: Vec<&str> = path
            .parent()
            .into_iter()
            .flat_map(Path::components)
            .filter_map(|c| c.as_os_str().to_str())
            .collect();
        let mut claims = Self { specprod: specprod.map(str::to_owned), ..Self::default() };
        let production = match folders.as_slice() {
            [above @ .., "healpix", survey, program, group, pixel] => {
                check_group(group, pixel)?;
                claims.survey = Some((*survey).to_owned());
                claims.program = Some((*program).to_owned());
                claims.pixel = Some(number(pixel));
                above.last()
            }
            [above @ .., "tiles", "cumulative", tileid, night] => {
                claims.tileid = Some(number(tileid));
                claims.night = Some(number(night));
                above.last()
            }
            _ => None,
        };
        if claims.specprod.is_none() {
            claims.specprod = production.map(|name| (*name).to_owned());
        }
        Ok(claims)
    }

    /// From a name like `coadd-sv3-dark-26065.fits` or `redrock-4-80613-thru20210324.fits`; empty
    /// for any other.
    pub(super) fn of_name(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = name.strip_suffix(".gz").unwrap_or(name);
        let stem = stem.strip_suffix(".fits").unwrap_or(stem);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match stem.split('-').collect::<Vec<_>>().as_slice() {
            [_, petal, tileid, last] if is_number(petal) && is_number(tileid) => {
                match last.strip_prefix("thru") {
                    Some(night) if is_number(night) => Self {
                        petal: Some(number(petal)),
                        tileid: Some(number(tileid)),
                        night: Some(number(night)),
                        ..Self::default()
                    },
                    _ => Self::default(),
                }
            }
            [_, survey, program, pixel] if is_number(pixel) => Self {
                survey: Some((*survey).to_owned()),
                program: Some((*program).to_owned()),
                pixel: Some(number(pixel)),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    /// From a primary header.
    pub(super) fn of_header(keywords: &CoaddKeywords) -> Result<Self, String> {
        if keywords.hpxnest == Some(false) {
            return Err("HPXNEST says that the pixel number is not nested".to_owned());
        }
        let text = |value: Option<i64>| value.map(|number| number.to_string());
        Ok(Self {
            specprod: keywords.specprod.clone(),
            survey: keywords.survey.clone(),
            program: keywords.program.clone(),
            pixel: text(keywords.hpxpixel),
            nside: text(keywords.hpxnside),
            tileid: text(keywords.tileid),
            petal: text(keywords.petal),
            night: text(keywords.night),
        })
    }

    /// Adds what `other` says; a disagreement names both values.
    pub(super) fn merge(mut self, source: &str, other: Self, other_source: &str) -> Result<Self, String> {
        let pairs = [
            ("SPECPROD", &mut self.specprod, other.specprod),
            ("SURVEY", &mut self.survey, other.survey),
            ("PROGRAM", &mut self.program, other.program),
            ("HPXPIXEL", &mut self.pixel, other.pixel),
            ("HPXNSIDE", &mut self.nside, other.nside),
            ("TILEID", &mut self.tileid, other.tileid),
            ("PETAL", &mut self.petal, other.petal),
            ("NIGHT", &mut self.night, other.night),
        ];
        for (word, ours, theirs) in pairs {
            match (&*ours, theirs) {
                (Some(a), Some(b)) if *a != b => {
                    return Err(format!("{word} is {a} by its {source}, {b} by its {other_source}"));
                }
                (None, Some(b)) => *ours = Some(b),
                (_, _) => {}
            }
        }
        Ok(self)
    }

    /// The unit, where enough is stated.
    pub(super) fn identify(&self) -> Result<Identified, String> {
        let missing = |word: &str| format!("nothing states its {word}");
        let word = |value: &Option<String>, word| value.clone().ok_or_else(|| missing(word));
        let specprod = word(&self.specprod, "SPECPROD")?;
        let text = if self.pixel.is_some() {
            let nside = self.nside.clone().unwrap_or_else(|| DEFAULT_NSIDE.to_string());
            let (survey, program) = (word(&self.survey, "SURVEY")?, word(&self.program, "PROGRAM")?);
            format!("{specprod}/healpix/{survey}/{program}/{nside}/{}", word(&self.pixel, "HPXPIXEL")?)
        } else if self.tileid.is_some() {
            let (petal, night) = (word(&self.petal, "PETAL")?, word(&self.night, "NIGHT")?);
            format!("{specprod}/tile/{}/{petal}/{night}", word(&self.tileid, "TILEID")?)
        } else {
            return Err(missing("HPXPIXEL or TILEID"));
        };
        let unit: UnitId = text.parse().map_err(|err: crate::unit::ParseUnitError| err.to_string())?;
        let nside_assumed = matches!(unit, UnitId::Healpix { .. }) && self.nside.is_none();
        check_pixel(&unit)?;
        Ok(Identified { unit, nside_assumed })
    }
}

/// The group folder is the pixel without its last two digits.
fn check_group(group: &str, pixel: &str) -> Result<(), String> {
    let pixel: u64 = pixel.parse().map_err(|_| format!("its folder {pixel} is not a pixel number"))?;
    let expected = (pixel / 100).to_string();
    if group == expected {
        Ok(())
    } else {
        Err(format!("pixel {pixel} belongs in group folder {expected}, it lies in {group}"))
    }
}

/// NSIDE is a power of two and the pixel below 12 NSIDE².
fn check_pixel(unit: &UnitId) -> Result<(), String> {
    let &UnitId::Healpix { nside, pixel, .. } = unit else { return Ok(()) };
    let pixels = 12 * u64::from(nside).pow(2);
    if nside.is_power_of_two() && nside <= 1 << 29 && pixel < pixels {
        Ok(())
    } else {
        Err(format!("HPXPIXEL {pixel} does not exist at HPXNSIDE {nside}"))
    }
}

/// A number without leading zeros; other text unchanged, to be refused later.
fn number(text: &str) -> String {
    text.parse::<u64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
}
