//! A declared table as columns of a FITS table, and back: what each declared column reads.

use std::collections::BTreeSet;

use specmill_schemas::catalogs::{CatalogColumn, CatalogTable, Mark, Origin, Release};
use specmill_schemas::{Element, Kind};

use super::chance::mix;
use super::recipe::{Recipe, element_of, recipe};
use crate::draw::fnv1a;
use crate::fits::{Hdu, Header};

/// How many elements a cell has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    One,
    Vector(usize),
    /// Of any number, in the heap: cell `n` has `n % 4` elements.
    Heap,
}

/// Elements of the first `rows` cells in the heap.
pub(super) fn heap_elements(rows: u64) -> u64 {
    rows / 4 * 6 + [0, 0, 1, 3][usize::try_from(rows % 4).unwrap_or(0)]
}

/// A column of the file.
#[derive(Clone, Debug)]
pub(super) struct FileColumn {
    pub(super) name: String,
    pub(super) element: Element,
    pub(super) cells: Cells,
    /// Bytes of a text.
    pub(super) width: usize,
    pub(super) unit: String,
    pub(super) recipe: Recipe,
    pub(super) null_values: Vec<f64>,
    pub(super) null_texts: Vec<String>,
    /// The column at whose zeros this one says nothing.
    pub(super) partner: Option<usize>,
    /// Some other column says nothing at this one's zeros.
    pub(super) is_partner: bool,
    /// It may hold NaN, infinities and what stands for nothing.
    pub(super) nullable: bool,
    pub(super) salt: u64,
}

/// Where a declared column's values come from in these files.
#[derive(Clone, Debug)]
pub(super) enum Reads {
    Column(usize),
    Legacy([usize; 3]),
    /// A placeholder of the file's name.
    Placeholder(String),
    /// The file has no such column.
    Nothing,
}

/// A declared column and what becomes of the file's values.
#[derive(Clone, Debug)]
pub(super) struct DeclaredColumn {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) reads: Reads,
    /// Of the unit that the file states, where it is another.
    pub(super) factor: Option<f64>,
    pub(super) multiply: Option<f64>,
    pub(super) add: Option<f64>,
    pub(super) null_values: Vec<f64>,
    pub(super) null_texts: Vec<String>,
    pub(super) partner: Option<usize>,
}

/// A table of a file.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) extname: String,
    pub(super) columns: Vec<FileColumn>,
    pub(super) declared: Vec<DeclaredColumn>,
    seed: u64,
}

/// Bytes of a text of which nothing is known: an integer of 64 bits fits.
const OTHER_WIDTH: usize = 20;
/// Elements of COEFF, whose number depends on the templates.
const COEFFICIENTS: usize = 10;
/// Most columns that FITS allows.
pub(super) const MOST_COLUMNS: usize = 999;

impl Layout {
    pub(super) fn new(extname: &str, seed: u64) -> Self {
        Self { extname: extname.to_owned(), columns: Vec::new(), declared: Vec::new(), seed }
    }

    /// Adds what a declared table reads.
    pub(super) fn add(
        &mut self,
        table: &CatalogTable,
        absent: &BTreeSet<String>,
        lacks: &dyn Fn(&CatalogColumn) -> bool,
    ) {
        let mut partners = Vec::new();
        // The parts of an identifier stand where they are declared themselves, else behind everything.
        let packed = |column: &&CatalogColumn| matches!(column.origin, Origin::LegacyId(_));
        let plain = table.columns.iter().filter(|column| !packed(column));
        for column in plain.chain(table.columns.iter().filter(packed)) {
            let reads = self.reads(table, column, absent, lacks(column));
            if let (Reads::Column(at), Some(partner)) = (&reads, &column.null_where_zero) {
                partners.push((self.declared.len(), *at, partner.clone()));
            }
            let stated = if let Reads::Column(at) = reads { self.columns[at].unit.as_str() } else { "" };
            self.declared.push(DeclaredColumn {
                table: table.name.clone(),
                name: column.field.name.clone(),
                kind: column.field.kind,
                factor: column.units.get(stated).copied().filter(|_| !stated.is_empty()),
                multiply: column.multiply,
                add: column.add,
                null_values: column.null_values.clone(),
                null_texts: column.null_texts.clone(),
                partner: None,
                reads,
            });
        }
        for (declared, at, name) in partners {
            let weight = Recipe::LogNormal(4.0, 1.0);
            let partner =
                self.find(&name).unwrap_or_else(|| self.push_plain(&name, Element::Float32, weight));
            self.columns[partner].is_partner = true;
            self.columns[at].partner = Some(partner);
            self.declared[declared].partner = Some(partner);
        }
    }

    /// Where a declared column's values are, the columns of the file made for it.
    fn reads(
        &mut self,
        table: &CatalogTable,
        column: &CatalogColumn,
        absent: &BTreeSet<String>,
        lacking: bool,
    ) -> Reads {
        let there = |name: &&String| !lacking && !absent.contains(&name.to_lowercase());
        match &column.origin {
            Origin::LegacyId(names) => {
                let [release, brick, object] = names;
                Reads::Legacy([
                    self.ensure_legacy(table, release, 0),
                    self.ensure_legacy(table, brick, 1),
                    self.ensure_legacy(table, object, 2),
                ])
            }
            Origin::ColumnsOr { columns: names, name } => match names.iter().find(there) {
                Some(name) => Reads::Column(self.ensure(table, column, name)),
                None => Reads::Placeholder(name.clone()),
            },
            // A column that every file must have is there, whatever tells the releases apart.
            Origin::Columns(names) => {
                match names.iter().find(there).or(names.first().filter(|_| !column.optional)) {
                    Some(name) => Reads::Column(self.ensure(table, column, name)),
                    None => Reads::Nothing,
                }
            }
        }
    }

    /// Adds the columns by which the release is told.
    pub(super) fn add_marks(&mut self, release: &Release) {
        for mark in &release.marks {
            if let Mark::Column(name) = mark
                && self.find(name).is_none()
            {
                self.push_plain(name, Element::Float32, Recipe::Normal(0.8, 1.1));
            }
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    fn ensure(&mut self, table: &CatalogTable, column: &CatalogColumn, name: &str) -> usize {
        if let Some(at) = self.find(name) {
            return at;
        }
        let element = element_of(column.field.kind);
        let recipe = recipe(table, column, name);
        let salt = mix(self.seed, fnv1a(name));
        let is_place = table.position.iter().flatten().any(|place| *place == column.field.name);
        self.columns.push(FileColumn {
            name: name.to_owned(),
            element,
            cells: cells_of(column.field.kind, name),
            width: column.null_texts.iter().map(String::len).fold(width_of(&recipe), usize::max),
            unit: stated_unit(column, salt),
            null_values: column.null_values.clone(),
            null_texts: column.null_texts.clone(),
            partner: None,
            is_partner: false,
            // What says where a row lies or whose it is says so in every row.
            nullable: column.field.nullable && !is_place && can_be_odd(&recipe),
            recipe,
            salt,
        });
        self.columns.len() - 1
    }

    fn ensure_legacy(&mut self, table: &CatalogTable, name: &str, part: usize) -> usize {
        let declared = table.columns.iter().find(|column| {
            matches!(&column.origin, Origin::Columns(names) if names.iter().any(|one| one.eq_ignore_ascii_case(name)))
        });
        let at = match (self.find(name), declared) {
            (Some(at), _) => at,
            (None, Some(column)) => self.ensure(table, column, name),
            (None, None) => self.push_plain(name, Element::Int32, Recipe::Legacy(part)),
        };
        self.columns[at].recipe = Recipe::Legacy(part);
        (self.columns[at].nullable, self.columns[at].null_values) = (false, Vec::new());
        at
    }

    /// A column that no declaration describes.
    fn push_plain(&mut self, name: &str, element: Element, recipe: Recipe) -> usize {
        self.columns.push(FileColumn {
            name: name.to_owned(),
            element,
            cells: Cells::One,
            width: width_of(&recipe),
            unit: String::new(),
            recipe,
            null_values: Vec::new(),
            null_texts: Vec::new(),
            partner: None,
            is_partner: false,
            nullable: false,
            salt: mix(self.seed, fnv1a(name)),
        });
        self.columns.len() - 1
    }

    /// Bytes of a row.
    pub(super) fn row_bytes(&self) -> u64 {
        self.columns.iter().map(FileColumn::bytes).sum()
    }

    /// Bytes of the heap behind `rows` rows.
    pub(super) fn heap_bytes(&self, rows: u64) -> u64 {
        self.heap_columns().map(|column| heap_elements(rows) * column.element_bytes()).sum()
    }

    /// Columns whose cells lie in the heap, in the order in which they lie there.
    pub(super) fn heap_columns(&self) -> impl Iterator<Item = &FileColumn> {
        self.columns.iter().filter(|column| column.cells == Cells::Heap)
    }

    /// The header and the length of its data.
    pub(super) fn hdu(&self, rows: u64) -> Hdu {
        let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (width, heap) = (self.row_bytes(), self.heap_bytes(rows));
        let mut header = Header::default();
        header
            .push("XTENSION", "BINTABLE")
            .push("BITPIX", 8)
            .push("NAXIS", 2)
            .push("NAXIS1", int(width))
            .push("NAXIS2", int(rows))
            .push("PCOUNT", int(heap))
            .push("GCOUNT", 1)
            .push("TFIELDS", int(self.columns.len() as u64));
        for (i, column) in self.columns.iter().enumerate() {
            let n = i + 1;
            header.push(&format!("TTYPE{n}"), column.name.as_str());
            header.push(&format!("TFORM{n}"), column.form().as_str());
            if !column.unit.is_empty() {
                header.push(&format!("TUNIT{n}"), column.unit.as_str());
            }
        }
        if !self.extname.is_empty() {
            header.push("EXTNAME", self.extname.as_str());
        }
        Hdu { header, data_len: width * rows + heap }
    }
}

impl FileColumn {
    pub(super) fn element_bytes(&self) -> u64 {
        match self.element {
            Element::Bool => 1,
            Element::Int16 => 2,
            Element::Int32 | Element::Float32 => 4,
            Element::Int64 | Element::Float64 => 8,
            Element::Text => self.width as u64,
        }
    }

    /// Bytes in a row.
    fn bytes(&self) -> u64 {
        match self.cells {
            Cells::One => self.element_bytes(),
            Cells::Vector(n) => n as u64 * self.element_bytes(),
            // Number and place of the elements, 64 bits each.
            Cells::Heap => 16,
        }
    }

    fn form(&self) -> String {
        let letter = match self.element {
            Element::Bool => 'L',
            Element::Int16 => 'I',
            Element::Int32 => 'J',
            Element::Int64 => 'K',
            Element::Float32 => 'E',
            Element::Float64 => 'D',
            Element::Text => 'A',
        };
        match (self.cells, self.element) {
            (Cells::One, Element::Text) => format!("{}A", self.width),
            (Cells::Vector(n), Element::Text) => format!("{}A{}", n * self.width, self.width),
            (Cells::One, _) => letter.to_string(),
            (Cells::Vector(n), _) => format!("{n}{letter}"),
            (Cells::Heap, _) => format!("1Q{letter}(3)"),
        }
    }
}

fn cells_of(kind: Kind, name: &str) -> Cells {
    match kind {
        Kind::Array(_, 0) if name == "COEFF" => Cells::Vector(COEFFICIENTS),
        Kind::Array(_, 0) => Cells::Heap,
        Kind::Array(_, n) | Kind::Float32List(n) | Kind::Vector(n) => {
            Cells::Vector(usize::try_from(n).unwrap_or(1))
        }
        Kind::Text | Kind::Json | Kind::Bool | Kind::Timestamp => Cells::One,
        Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Float32 | Kind::Float64 => Cells::One,
    }
}

/// The declared unit; in one column of four another that the declaration accepts.
fn stated_unit(column: &CatalogColumn, salt: u64) -> String {
    let other = column.units.keys().nth(usize::try_from(salt >> 33).unwrap_or(0) % column.units.len().max(1));
    match other {
        Some(other) if column.field.unit.is_empty() || salt.is_multiple_of(4) => other.clone(),
        _ => column.field.unit.clone().into_owned(),
    }
}

/// Bytes of the texts that a recipe makes, as wide as in genuine files where those are known.
fn width_of(recipe: &Recipe) -> usize {
    if let Recipe::Word(stem) = recipe {
        return stem.len() + 2;
    }
    let known = [
        (Recipe::Place("survey"), 7),
        (Recipe::Place("program"), 6),
        (Recipe::Place("spgrp"), 10),
        (Recipe::Spectype, 6),
        (Recipe::Subtype, 20),
        (Recipe::Tiles, 40),
    ];
    known.iter().find(|(other, _)| other == recipe).map_or(OTHER_WIDTH, |(_, width)| *width)
}

/// Whether a column may hold what stands for nothing.
fn can_be_odd(recipe: &Recipe) -> bool {
    matches!(
        recipe,
        Recipe::Codes(_)
            | Recipe::Normal(..)
            | Recipe::LogNormal(..)
            | Recipe::Uniform(..)
            | Recipe::Count(_)
            | Recipe::Word(_)
            | Recipe::Distance
            | Recipe::Cartesian(_)
            | Recipe::RedshiftError
            | Recipe::Ebv
    )
}
