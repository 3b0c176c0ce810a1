//! Why a file's table, or some of its rows, did not become a catalogue's.

use std::path::PathBuf;

use crate::fits::HduLabel;

/// A catalogue's file that is not what its declaration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The name says nothing.
    #[error(
        "{}: its name fits none of {patterns}: give it such a name, by a link say, or take it with `raw`",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
        /// The names that its tables' files have.
        patterns: String,
    },
    /// No release bears such marks.
    #[error(
        "{}: of no release that is declared; it could be {known}: where it is one, say so by `release` in its \
         [[catalog]]",
        path.display()
    )]
    Release {
        /// The file.
        path: PathBuf,
        /// The declared releases.
        known: String,
    },
    /// A release that is not taken.
    #[error("{}: of release {release}, which is refused: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The release.
        release: String,
        /// Why, and what to take instead.
        reason: String,
    },
    /// Nothing says which production its targets are of.
    #[error(
        "{}: nothing says which production its targets are of: give `specprod` in its [[catalog]]",
        path.display()
    )]
    NoSpecprod {
        /// The file.
        path: PathBuf,
    },
    /// Two things said about the production.
    #[error("{}: {a} says production {first}, {b} says {second}: correct the one that is wrong", path.display())]
    TwoSpecprods {
        /// The file.
        path: PathBuf,
        /// Who says the first.
        a: &'static str,
        /// The first.
        first: String,
        /// Who says the second.
        b: &'static str,
        /// The second.
        second: String,
    },
    /// The table is not there.
    #[error("{}: table {table} needs HDU {wanted}; the file has {found}", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// The EXTNAMEs that would do.
        wanted: String,
        /// The HDUs there are.
        found: String,
    },
    /// Columns that the file lacks.
    #[error(
        "{}: {hdu} lacks {columns}: take a file of a release that is declared, or declare them `optional`",
        path.display()
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// The columns, and what they would become.
        columns: String,
    },
    /// A column that cannot become what it is declared as.
    #[error("{}: {hdu}: column {column} ({tform}) cannot become {wanted}: {problem}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// TTYPE.
        column: String,
        /// TFORM.
        tform: String,
        /// The declared type.
        wanted: String,
        /// Why.
        problem: &'static str,
    },
    /// A unit that nobody declared.
    #[error(
        "{}: {hdu}: column {column} is in `{unit}`, declared are {known}: add it to the column's `units` with its \
         factor",
        path.display()
    )]
    Unit {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// TTYPE.
        column: String,
        /// TUNIT.
        unit: String,
        /// Our unit and the others that are declared.
        known: String,
    },
    /// A value that cannot be.
    #[error("{}: {hdu}: column {column}, row {row}: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// TTYPE, or our name where the value follows from several.
        column: String,
        /// The row, from 0.
        row: u64,
        /// What is wrong.
        problem: String,
    },
    /// A constant column that the file's name or a keyword gives.
    #[error("{}: {hdu}: `{text}` for column {column} is no {wanted}", path.display())]
    Constant {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: HduLabel,
        /// Our name of the column.
        column: String,
        /// What stands there.
        text: String,
        /// The declared type.
        wanted: String,
    },
    /// A key that another row has already.
    #[error(
        "{}: {hdu}: row {row} has the key {key} of {other}{more}: a table with such keys must be declared \
         `unique = false`, and a file that repeats another be left out",
        path.display()
    )]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The row, from 0.
        row: u64,
        /// Names and values of the key.
        key: String,
        /// The row that it repeats.
        other: String,
        /// How many more rows of this unit do.
        more: String,
    },
}
