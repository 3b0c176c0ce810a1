//! What a column's cells are made of, from its name, its unit and its kind.

use specmill_schemas::catalogs::{CatalogColumn, CatalogTable};
use specmill_schemas::{Element, Kind};

use super::rows::Link;

/// How the cells of a column come about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Recipe {
    /// TARGETID of the row's target.
    Targetid,
    /// What the name of a file would say under this placeholder: survey, program, healpix, tileid, petal, night.
    Place(&'static str),
    Fiber,
    Ra,
    Dec,
    Redshift,
    RedshiftError,
    Zwarn,
    Deltachi2,
    Spectype,
    Subtype,
    Ebv,
    /// RELEASE, BRICKID, BRICK_OBJID.
    Legacy(usize),
    /// All three in one number.
    PackedLegacy,
    /// A coordinate of the row's place in Mpc/h.
    Cartesian(usize),
    /// The place's distance in Mpc/h.
    Distance,
    /// The number of the row: within its target, else within its table.
    Ordinal,
    /// What the row belongs to.
    Link(Link),
    /// A redshift in front of the target's, another for each ordinal.
    Absorber,
    Codes(Vec<i64>),
    Normal(f64, f64),
    /// Median and spread of the logarithm.
    LogNormal(f64, f64),
    Uniform(f64, f64),
    Count(u64),
    Flag(f64),
    /// One of eight words.
    Word(String),
    /// A list of tiles, as text.
    Tiles,
}

/// The recipe of a column of a table.
pub(super) fn recipe(table: &CatalogTable, column: &CatalogColumn, file_name: &str) -> Recipe {
    let (ours, theirs) = (column.field.name.as_str(), file_name.to_lowercase());
    let element = element_of(column.field.kind);
    let unit = column.field.unit.as_ref();
    if let Some(link) = super::rows::link_of(&table.name, ours, &theirs) {
        return link;
    }
    let is_key = table.key.iter().any(|name| name == ours);
    if let Some(known) = by_name(ours, &theirs, element, unit) {
        return if is_key && table.name.contains("absorber") && known == Recipe::Redshift {
            Recipe::Absorber
        } else {
            known
        };
    }
    if !column.codes.is_empty() && element != Element::Text {
        return Recipe::Codes(column.codes.keys().copied().collect());
    }
    match element {
        Element::Bool => Recipe::Flag(0.6),
        Element::Text if theirs.contains("tileid") => Recipe::Tiles,
        Element::Text => Recipe::Word(theirs.chars().take(9).collect()),
        Element::Int16 | Element::Int32 | Element::Int64 if is_key => Recipe::Ordinal,
        Element::Int16 | Element::Int32 | Element::Int64 => Recipe::Count(60),
        Element::Float32 | Element::Float64 if is_key => Recipe::Absorber,
        Element::Float32 | Element::Float64 => by_unit(&theirs, unit),
    }
}

/// The element of a column's kind.
pub(super) fn element_of(kind: Kind) -> Element {
    match kind {
        Kind::Array(element, _) => element,
        Kind::Text | Kind::Json => Element::Text,
        Kind::Bool => Element::Bool,
        Kind::Int16 => Element::Int16,
        Kind::Int32 => Element::Int32,
        Kind::Int64 | Kind::Timestamp => Element::Int64,
        Kind::Float32 | Kind::Float32List(_) | Kind::Vector(_) => Element::Float32,
        Kind::Float64 => Element::Float64,
    }
}

fn by_name(ours: &str, theirs: &str, element: Element, unit: &str) -> Option<Recipe> {
    let float = matches!(element, Element::Float32 | Element::Float64);
    let axis = ["x", "y", "z"].iter().position(|axis| theirs == *axis);
    if let (Some(axis), true) = (axis, unit.contains("Mpc")) {
        return Some(Recipe::Cartesian(axis));
    }
    if float {
        return float_by_name(ours, theirs, unit);
    }
    if element == Element::Text {
        return match theirs {
            "survey" => Some(Recipe::Place("survey")),
            "program" | "faprgrm" => Some(Recipe::Place("program")),
            "spgrp" => Some(Recipe::Place("spgrp")),
            "spectype" => Some(Recipe::Spectype),
            "subtype" => Some(Recipe::Subtype),
            _ => None,
        };
    }
    Some(match theirs {
        "targetid" | "target" | "target_id" => Recipe::Targetid,
        _ if ours == "targetid" => Recipe::Targetid,
        "healpix" | "hpxpixel" => Recipe::Place("healpix"),
        "spgrpval" => Recipe::Place("spgrpval"),
        "tileid" => Recipe::Place("tileid"),
        "lastnight" | "night" => Recipe::Place("night"),
        "petal" | "petal_loc" => Recipe::Place("petal"),
        "fiber" => Recipe::Fiber,
        "zwarn" => Recipe::Zwarn,
        "release" => Recipe::Legacy(0),
        "brickid" => Recipe::Legacy(1),
        "brick_objid" | "objid" => Recipe::Legacy(2),
        _ if ours == "legacy_id" || theirs == "legacy_id" || theirs == "ls_id" => Recipe::PackedLegacy,
        _ => return None,
    })
}

fn float_by_name(ours: &str, theirs: &str, unit: &str) -> Option<Recipe> {
    let either = |names: &[&str]| names.iter().any(|name| *name == ours || *name == theirs);
    let (degrees, length) = (unit == "deg", unit.contains("Mpc"));
    Some(if degrees && (theirs == "ra" || theirs.ends_with("_ra")) {
        Recipe::Ra
    } else if degrees && (theirs == "dec" || theirs.ends_with("_dec")) {
        Recipe::Dec
    } else if either(&["z", "redshift", "z_rr", "z_qso", "z_pipe", "z_desi", "zspec", "z_redrock", "grp_z"]) {
        Recipe::Redshift
    } else if either(&["zerr", "z_err"]) {
        Recipe::RedshiftError
    } else if either(&["deltachi2"]) {
        Recipe::Deltachi2
    } else if either(&["ebv"]) {
        Recipe::Ebv
    } else if theirs.starts_with("z_abs") || theirs.starts_with("zabs") {
        Recipe::Absorber
    } else if length && either(&["r", "distance"]) {
        Recipe::Distance
    } else if length && theirs.starts_with('r') {
        Recipe::Uniform(8.0, 30.0)
    } else {
        return None;
    })
}

/// Orders of magnitude, nothing finer.
fn by_unit(name: &str, unit: &str) -> Recipe {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["ivar"]) || unit.starts_with("10**+") {
        Recipe::LogNormal(4.0, 1.0)
    } else if has(&["prob", "frac", "conf"]) {
        Recipe::Uniform(0.0, 1.0)
    } else if has(&["chi2"]) {
        Recipe::LogNormal(1.0, 0.3)
    } else if has(&["logm", "mass", "mstar"]) {
        Recipe::Normal(10.4, 0.7)
    } else if unit.starts_with("mag") {
        Recipe::Normal(20.0, 1.5)
    } else if unit.starts_with("km") {
        if has(&["shift"]) { Recipe::Normal(0.0, 80.0) } else { Recipe::Uniform(40.0, 400.0) }
    } else if unit == "deg" {
        if has(&["dec"]) { Recipe::Uniform(-30.0, 80.0) } else { Recipe::Uniform(0.0, 360.0) }
    } else if unit.contains("erg") {
        Recipe::LogNormal(2.0, 1.2)
    } else if unit == "d" {
        Recipe::Uniform(59_197.0, 59_743.0)
    } else if unit.starts_with("Angstrom") {
        Recipe::LogNormal(8.0, 1.0)
    } else {
        Recipe::Normal(0.8, 1.1)
    }
}
