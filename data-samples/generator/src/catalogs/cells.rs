//! The values of a row.

use specmill_schemas::Element;

use super::chance::{below, mix, normal, uniform};
use super::host::Host;
use super::layout::{Cells, FileColumn, Layout};
use super::recipe::Recipe;
use super::rows::{Link, Slot};
use crate::narrow::f32_of;
use crate::plan::Unit;

/// One element of a column, as stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Flag(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Many(Vec<Cell>),
}

/// A row about to be written.
pub(super) struct Row<'a> {
    /// Its number in the table.
    pub(super) number: u64,
    pub(super) slot: Slot,
    pub(super) host: Option<&'a Host>,
    pub(super) unit: Option<&'a Unit>,
    /// What everything random of it follows from.
    pub(super) key: u64,
}

/// Share of rows where a weight is 0.
const ZERO_WEIGHT: f64 = 0.12;
/// Share of cells that hold a value that stands for nothing.
const SENTINEL: f64 = 0.04;
/// Shares of cells that are no number, and of those that are infinite.
const NOT_A_NUMBER: f64 = 0.003;
const INFINITE: f64 = 0.0005;
/// Galaxies beyond are not in the local web.
const WEB_DEPTH: f64 = 0.24;
/// c/H0 in Mpc/h.
const HUBBLE_MPC: f64 = 2_997.924_58;

impl Row<'_> {
    /// The cells of a row, in the order of the columns.
    pub(super) fn cells(&self, layout: &Layout, out: &mut Vec<Cell>) {
        out.clear();
        out.extend(layout.columns.iter().map(|column| {
            let one = |element: u64| self.element(layout, column, element);
            match column.cells {
                Cells::One => one(0),
                Cells::Vector(n) => Cell::Many((0..n as u64).map(one).collect()),
                Cells::Heap => Cell::Many((0..self.number % 4).map(one).collect()),
            }
        }));
    }

    fn element(&self, layout: &Layout, column: &FileColumn, element: u64) -> Cell {
        let partner = column.partner.map(|partner| &layout.columns[partner]);
        if column.is_partner && self.is_zero(column, element) {
            return stored(column, Cell::Int(0));
        }
        if partner.is_some_and(|partner| self.is_zero(partner, element)) {
            // What FastSpecFit leaves where a width was not measured; nothing else has a default.
            let default = if column.name.starts_with("VDISP") { 125 } else { 0 };
            return stored(column, Cell::Int(default));
        }
        let hash = mix(mix(self.key, column.salt), element);
        if column.nullable
            && let Some(odd) = odd(column, hash)
        {
            return stored(column, odd);
        }
        stored(column, self.value(column, hash))
    }

    /// Whether a weight is 0 here; a weight that is no vector is so for every element.
    fn is_zero(&self, weight: &FileColumn, element: u64) -> bool {
        let element = if weight.cells == Cells::One { 0 } else { element };
        uniform(mix(mix(self.key, weight.salt ^ 0x1e20), element)) < ZERO_WEIGHT
    }

    fn value(&self, column: &FileColumn, hash: u64) -> Cell {
        let Some(host) = self.host else { return self.hostless(column, hash) };
        let row = &host.row;
        let number = match &column.recipe {
            Recipe::Targetid => return Cell::Int(row.targetid),
            Recipe::Fiber => return Cell::Int(i64::from(host.fiber)),
            Recipe::Zwarn => return Cell::Int(host.zwarn),
            Recipe::Spectype => return Cell::Text(host.spectype.to_owned()),
            Recipe::Subtype => return Cell::Text(host.subtype.to_owned()),
            Recipe::Legacy(part) => return Cell::Int(host.legacy()[*part]),
            Recipe::PackedLegacy => {
                let [release, brick, object] = host.legacy();
                return Cell::Int((release << 40) | (brick << 16) | (object & 0xffff));
            }
            Recipe::Ra => row.ra_deg,
            Recipe::Dec => row.dec_deg,
            Recipe::Redshift => host.z,
            Recipe::RedshiftError => host.zerr,
            Recipe::Deltachi2 => host.deltachi2,
            Recipe::Ebv => host.ebv,
            Recipe::Absorber => {
                // Each ordinal has a tenth of the way to itself, so that no two are equal.
                host.z * (0.45 + 0.1 * (f64::from(self.slot.ordinal) + 0.9 * uniform(hash)))
            }
            Recipe::Distance => mpc(host.z),
            Recipe::Cartesian(axis) => {
                let (ra, dec) = (row.ra_deg.to_radians(), row.dec_deg.to_radians());
                let flat = libm::cos(dec);
                mpc(host.z.min(WEB_DEPTH))
                    * [flat * libm::cos(ra), flat * libm::sin(ra), libm::sin(dec)][*axis]
            }
            Recipe::Place(_)
            | Recipe::Ordinal
            | Recipe::Link(_)
            | Recipe::Codes(_)
            | Recipe::Normal(..)
            | Recipe::LogNormal(..)
            | Recipe::Uniform(..)
            | Recipe::Count(_)
            | Recipe::Flag(_)
            | Recipe::Word(_)
            | Recipe::Tiles => return self.hostless(column, hash),
        };
        Cell::Float(number)
    }

    /// What does not need a target.
    fn hostless(&self, column: &FileColumn, hash: u64) -> Cell {
        Cell::Float(match &column.recipe {
            Recipe::Ordinal => return Cell::Int(i64::from(self.slot.ordinal)),
            Recipe::Link(Link::First) => return Cell::Int(i64::from(self.slot.links[0])),
            Recipe::Link(Link::Second) => return Cell::Int(i64::from(self.slot.links[1])),
            Recipe::Place(name) => return self.place(column, name),
            Recipe::Codes(codes) => {
                let at = usize::try_from(below(hash, codes.len() as u64)).unwrap_or(0);
                return Cell::Int(codes.get(at).copied().unwrap_or(0));
            }
            Recipe::Count(n) => return Cell::Int(i64::try_from(below(hash, *n)).unwrap_or(0)),
            Recipe::Flag(share) => return Cell::Flag(uniform(hash) < *share),
            Recipe::Word(stem) => return Cell::Text(format!("{stem}-{}", below(hash, 8))),
            Recipe::Tiles => {
                let n = 1 + below(hash, 4);
                let tiles: Vec<String> =
                    (0..n).map(|i| (1000 + below(mix(hash, i), 9000)).to_string()).collect();
                return Cell::Text(tiles.join(" "));
            }
            Recipe::Normal(mean, sigma) => mean + sigma * normal(hash),
            Recipe::LogNormal(median, sigma) => median * libm::exp(sigma * normal(hash)),
            Recipe::Uniform(low, high) => low + (high - low) * uniform(hash),
            // A place in the web where there is no target to lie near.
            Recipe::Ra => 360.0 * uniform(hash),
            Recipe::Dec => 90.0 * (uniform(hash) - 0.3),
            Recipe::Redshift => WEB_DEPTH * uniform(hash),
            // What only a target has.
            Recipe::Targetid
            | Recipe::Fiber
            | Recipe::Zwarn
            | Recipe::Deltachi2
            | Recipe::Spectype
            | Recipe::Subtype
            | Recipe::Ebv
            | Recipe::Legacy(_)
            | Recipe::PackedLegacy
            | Recipe::RedshiftError
            | Recipe::Absorber
            | Recipe::Cartesian(_)
            | Recipe::Distance => uniform(hash),
        })
    }

    fn place(&self, column: &FileColumn, name: &str) -> Cell {
        let text = self
            .host
            .zip(self.unit)
            .and_then(|(host, unit)| host.placeholder(name, unit))
            .unwrap_or_default();
        if column.element == Element::Text { Cell::Text(text) } else { Cell::Int(text.parse().unwrap_or(0)) }
    }
}

/// What a nullable column holds now and then.
fn odd(column: &FileColumn, hash: u64) -> Option<Cell> {
    let chance = uniform(mix(hash, 0x0dd));
    let pick = |n: usize| usize::try_from(below(hash, n as u64)).unwrap_or(0);
    let float = matches!(column.element, Element::Float32 | Element::Float64);
    if chance < SENTINEL && !column.null_values.is_empty() {
        Some(Cell::Float(column.null_values[pick(column.null_values.len())]))
    } else if chance < SENTINEL && !column.null_texts.is_empty() {
        Some(Cell::Text(column.null_texts[pick(column.null_texts.len())].clone()))
    } else if float && chance > 1.0 - INFINITE {
        Some(Cell::Float(if hash & 1 == 0 { f64::INFINITY } else { f64::NEG_INFINITY }))
    } else if float && chance > 1.0 - INFINITE - NOT_A_NUMBER {
        Some(Cell::Float(f64::NAN))
    } else {
        None
    }
}

/// A value as the column's format holds it.
fn stored(column: &FileColumn, cell: Cell) -> Cell {
    let int = |value: i64| match column.element {
        Element::Int16 => value.clamp(i64::from(i16::MIN), i64::from(i16::MAX)),
        Element::Int32 => value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)),
        Element::Bool | Element::Int64 | Element::Float32 | Element::Float64 | Element::Text => value,
    };
    match (column.element, cell) {
        (Element::Float32, Cell::Float(value)) => Cell::Float(f64::from(f32_of(value))),
        (Element::Float32, Cell::Int(value)) => Cell::Float(f64::from(f32_of(value as f64))),
        (Element::Float64, Cell::Int(value)) => Cell::Float(value as f64),
        (Element::Int16 | Element::Int32 | Element::Int64, Cell::Int(value)) => Cell::Int(int(value)),
        (Element::Int16 | Element::Int32 | Element::Int64, Cell::Float(value)) => {
            Cell::Int(int(whole(value)))
        }
        (Element::Int16 | Element::Int32 | Element::Int64, Cell::Flag(value)) => Cell::Int(i64::from(value)),
        (Element::Bool, Cell::Int(value)) => Cell::Flag(value != 0),
        (Element::Bool, Cell::Float(value)) => Cell::Flag(value > 0.5),
        (Element::Text, Cell::Int(value)) => Cell::Text(value.to_string()),
        (_, cell) => cell,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as documented")]
fn whole(value: f64) -> i64 {
    value as i64
}

/// Comoving distance in Mpc/h, to second order in z with Ωm = 0.315.
fn mpc(z: f64) -> f64 {
    HUBBLE_MPC * z * (1.0 - 0.236 * z)
}

/// Appends a cell as FITS stores it; a text in `width` bytes, padded with NUL.
pub(super) fn encode(column: &FileColumn, cell: &Cell, out: &mut Vec<u8>) {
    match cell {
        Cell::Flag(value) => out.push(if *value { b'T' } else { b'F' }),
        Cell::Float(value) if column.element == Element::Float32 => out.extend(f32_of(*value).to_be_bytes()),
        Cell::Float(value) => out.extend(value.to_be_bytes()),
        Cell::Int(value) => {
            let bytes = value.to_be_bytes();
            // Two's complement: the low bytes of a number that fits are the narrower number.
            let width = usize::try_from(column.element_bytes()).unwrap_or(8);
            out.extend(&bytes[8 - width..]);
        }
        Cell::Text(text) => out.extend(text.bytes().chain(std::iter::repeat(0)).take(column.width)),
        Cell::Many(cells) => cells.iter().for_each(|cell| encode(column, cell, out)),
    }
}
