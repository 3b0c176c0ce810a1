//! Catalogues as declared: one TOML file each in `schemas/catalogs/`, and any that a run file names.
//!
//! A declaration says which files it is for, how to tell their release, and for each table the HDU, the columns with
//! our names, types and units, what stands for nothing, and the key. The lake's Parquet files and the database's
//! tables both follow from it.

mod names;
mod overview;
mod sql;
mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{Field, Kind, Table};

pub use names::NamePattern;
pub(crate) use overview::overview;
pub use sql::{CatalogRelation, Column, RAW_SCHEMA, SCHEMA};
pub use text::{DeclarationError, LONGEST_NAME, is_sql_name};

/// A catalogue: one declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// Its name, as in run files; the stem of its declaration's file.
    pub name: String,
    /// What it is, in a sentence.
    pub title: String,
    /// The publication to cite, with a link.
    pub reference: String,
    /// The releases it fits; the first whose marks a file bears is the file's.
    pub releases: Vec<Release>,
    /// Its tables.
    pub tables: Vec<CatalogTable>,
    /// See [`Catalog::canonical`].
    text: String,
}

/// A release of a catalogue, and how its files show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// As in `iron v1`.
    pub name: String,
    /// The production whose targets it describes, where that is always the same.
    pub specprod: Option<String>,
    /// All of these must hold of a file.
    pub marks: Vec<Mark>,
    /// Why such files are not taken, and what to take instead.
    pub refuse: Option<String>,
    /// Rows as published, by file name; by `FILE:TABLE` where a file's tables differ.
    pub rows: BTreeMap<String, u64>,
}

/// What tells a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A keyword of any header of the file has a value that begins with this text.
    Keyword {
        /// The keyword; any that begins so where it ends in `*`, as in DEPVERnn.
        keyword: String,
        /// How its value begins.
        value: String,
    },
    /// The file has an HDU of this EXTNAME.
    Hdu(String),
    /// The file has none of this EXTNAME.
    NoHdu(String),
    /// Some table of the file has this column.
    Column(String),
    /// No table of the file has it.
    NoColumn(String),
    /// The file's name fits this pattern.
    Name(NamePattern),
}

/// A table of a catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogTable {
    /// `catalog.<name>` in the database, `catalog/<name>/` in the lake.
    pub name: String,
    /// What a row is.
    pub description: String,
    /// Names of the files that hold it; what their placeholders match may fill columns.
    pub files: Vec<NamePattern>,
    /// EXTNAME of its HDU; the first that a file has, where releases differ. Empty text: the first binary table.
    pub hdus: Vec<String>,
    /// The columns that name a row, `specprod` apart.
    pub key: Vec<String>,
    /// Whether no two rows have the same key within a `specprod`.
    pub unique: bool,
    /// Right ascension and declination in degrees, from which `healpix29` follows.
    pub position: Option<[String; 2]>,
    /// Files without it are complete.
    pub optional: bool,
    /// Its columns, placeholders expanded.
    pub columns: Vec<CatalogColumn>,
}

/// A column of a catalogue's table.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogColumn {
    /// Name, type, unit, UCD, description, source, and whether it may be NULL.
    pub field: Field,
    /// Where its values come from.
    pub origin: Origin,
    /// Units that the file may state, with the factor to ours; where it states none, it is ours.
    pub units: BTreeMap<String, f64>,
    /// Multiplied with every value (after the unit's factor).
    pub multiply: Option<f64>,
    /// Added to every value (after that).
    pub add: Option<f64>,
    /// Values of the file that stand for nothing.
    pub null_values: Vec<f64>,
    /// Texts of the file that stand for nothing, blanks cut.
    pub null_texts: Vec<String>,
    /// A column of the file: where it is 0, this one stands for nothing (an inverse variance).
    pub null_where_zero: Option<String>,
    /// A file may lack it: then it is NULL.
    pub optional: bool,
    /// What its codes or bits mean, where it has any.
    pub codes: BTreeMap<i64, String>,
    /// The Hubble constant it assumes, in units of 100 km/s/Mpc, where it depends on one.
    pub h: Option<String>,
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The first of these columns that the file has (TTYPE, any case).
    Columns(Vec<String>),
    /// As above; else what this placeholder of the file's name matched, or this keyword of the table's or the
    /// primary header says.
    ColumnsOr {
        /// Columns of the file.
        columns: Vec<String>,
        /// Placeholder of [`CatalogTable::files`] and, in capitals, the keyword.
        name: String,
    },
    /// (RELEASE << 40) | (BRICKID << 16) | OBJID: columns of the file, in this order.
    LegacyId([String; 3]),
}

/// The first columns of every declared table, before its own.
///
/// `specprod` is part of every key: two productions number the same targets.
pub fn leading_fields() -> Vec<Field> {
    vec![
        Field::new("unit", Kind::Text, "unit of work the row belongs to").ucd("meta.id.part").required(),
        Field::new("row", Kind::Int64, "row of the file's table, from 0").ucd("meta.record").required(),
        Field::new("specprod", Kind::Text, "spectroscopic production the row's targets are of")
            .ucd("meta.version")
            .required(),
    ]
}

/// The last column of a table with positions.
pub fn healpix29_field() -> Field {
    Field::new("healpix29", Kind::Int64, "nested HEALPix pixel of the position at order 29")
        .ucd("pos.healpix")
        .source("Gorski et al. 2005")
}

impl Catalog {
    /// Reads a declaration; `name` is the stem of its file.
    ///
    /// # Errors
    /// [`DeclarationError`] with the table, the column and the way out.
    pub fn parse(name: &str, text: &str) -> Result<Self, DeclarationError> {
        text::parse(name, text)
    }

    /// What it says, in one spelling: what its rows depend on.
    pub fn canonical(&self) -> &str {
        &self.text
    }

    /// The table of a name.
    pub fn table(&self, name: &str) -> Option<&CatalogTable> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl CatalogTable {
    /// Everything a row has, in the lake and in the database: [`leading_fields`], its own, `healpix29`.
    pub fn table(&self) -> Table {
        let mut fields = leading_fields();
        fields.extend(self.columns.iter().map(|column| column.field.clone()));
        fields.extend(self.position.as_ref().map(|_| healpix29_field()));
        Table { name: Cow::Owned(self.name.clone()), description: self.description.clone(), fields }
    }
}

/// Every catalogue that comes with the program, by name.
///
/// # Panics
/// Never: a test reads them all.
pub fn catalogs() -> Vec<Catalog> {
    DECLARATIONS
        .iter()
        .map(|(name, text)| {
            Catalog::parse(name, text).unwrap_or_else(|error| panic!("schemas/catalogs/{name}.toml: {error}"))
        })
        .collect()
}

// `DECLARATIONS`: names and texts of schemas/catalogs/*.toml, in order (build.rs).
include!(concat!(env!("OUT_DIR"), "/catalogs.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declaration_that_comes_along_can_be_read() {
        let names: Vec<String> = catalogs().into_iter().map(|catalog| catalog.name).collect();
        assert!(names.contains(&"zall-pix".to_owned()), "{names:?}");
    }
}
