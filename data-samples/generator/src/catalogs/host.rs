//! The rows of a production as catalogues see them.

use crate::plan::{Place, Row, Unit};
use crate::record::Record;
use crate::source::{Class, Program};

/// One row of a coadd with its fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    /// Its unit, by position in the plan.
    pub(crate) unit: usize,
    pub(crate) row: Row,
    pub(crate) fiber: i32,
    pub(crate) z: f64,
    pub(crate) zerr: f64,
    pub(crate) zwarn: i64,
    pub(crate) deltachi2: f64,
    pub(crate) spectype: &'static str,
    pub(crate) subtype: &'static str,
    pub(crate) ebv: f64,
}

impl Host {
    pub(crate) fn new(unit: usize, record: &Record) -> Self {
        let fit = &record.fit;
        Self {
            unit,
            row: record.row,
            fiber: record.fiber,
            z: fit.z,
            zerr: fit.zerr,
            zwarn: fit.zwarn,
            deltachi2: fit.deltachi2,
            spectype: fit.spectype,
            subtype: fit.subtype,
            ebv: record.ebv,
        }
    }

    /// An object whose spectrum was fitted, of this type and between these redshifts.
    pub(crate) fn is(&self, spectypes: &[&str], z: (f64, f64)) -> bool {
        self.row.class.is_object()
            && !self.row.dead
            && spectypes.contains(&self.spectype)
            && self.z >= z.0
            && self.z < z.1
    }

    /// RELEASE, BRICKID and BRICK_OBJID as the fibermap has them.
    pub(crate) fn legacy(&self) -> [i64; 3] {
        if self.row.class == Class::Stuck {
            return [0; 3];
        }
        let id = self.row.targetid;
        [(id >> 42) & 0xffff, (id >> 22) & 0xf_ffff, id & 0x3f_ffff]
    }

    /// Whether it lies in the north galactic cap: the pole is at (192.86, 27.13) degrees.
    pub(crate) fn is_north(&self) -> bool {
        let (ra, dec) = ((self.row.ra_deg - 192.86).to_radians(), self.row.dec_deg.to_radians());
        let pole = 27.13_f64.to_radians();
        libm::sin(pole) * libm::sin(dec) + libm::cos(pole) * libm::cos(dec) * libm::cos(ra) > 0.0
    }

    /// What a placeholder of a file name stands for; nothing where it does not depend on the target.
    pub(crate) fn placeholder(&self, name: &str, unit: &Unit) -> Option<String> {
        Some(match (name, unit.place) {
            ("specprod", _) => unit.release.specprod().to_owned(),
            ("survey", _) => unit.survey.name().to_owned(),
            ("program", _) => unit.program.name().to_owned(),
            ("healpix" | "pixel" | "hpx", Place::Healpix { pixel }) => pixel.to_string(),
            ("tileid" | "tile", Place::Tile { tileid, .. }) => tileid.to_string(),
            ("petal", Place::Tile { petal, .. }) => petal.to_string(),
            ("night" | "lastnight", Place::Tile { night, .. }) => night.to_string(),
            ("release", _) => super::files::public_name(unit.release).to_owned(),
            ("spgrp", Place::Tile { .. }) => "cumulative".to_owned(),
            ("spgrp", Place::Healpix { .. }) => "healpix".to_owned(),
            ("spgrpval", Place::Tile { night, .. }) => night.to_string(),
            ("spgrpval", Place::Healpix { pixel }) => pixel.to_string(),
            // The galaxies that DESIVAST looks at.
            ("sample", _) => "DESIVAST_BGS_VOLLIM".to_owned(),
            ("cap", _) => if self.is_north() { "NGC" } else { "SGC" }.to_owned(),
            _ => return None,
        })
    }

    /// Whether a bright program chose it.
    pub(crate) fn is_bright(&self) -> bool {
        self.row.chosen_by == Program::Bright
    }
}
