//! Joins: rows of one table with what others say of the same targets; defined once, for SQL views and for polars.
//!
//! A join keeps every row of its base and multiplies none: every other table is joined from the left, and by columns
//! that are a unique key of it.

mod ard;
mod builder;
mod expr;
mod quality;
mod sql;

use std::borrow::Cow;

use crate::catalogs::{Catalog, CatalogTable, catalogs};
use crate::relational::Relation;
use crate::{Field, Kind, Table, features};

pub use expr::{Comparison, Expr, Operation, case, column, first_of, text};
pub use sql::{create_view, create_views, drop_views};

/// A join: a view of the database, and the same rows from the lake.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Its schema in the database.
    pub schema: &'static str,
    /// Its name there, and as in `export --join`.
    pub name: &'static str,
    /// What a row is.
    pub description: String,
    /// The table whose rows it has, one each.
    pub base: Joined,
    /// Which of them; all where `None`.
    pub filter: Option<Expr>,
    /// The tables joined to it; each may ask for columns of those before it.
    pub tables: Vec<Joined>,
    /// Questions about tables as a whole.
    pub presences: Vec<Presence>,
    /// Values that columns are made of; each may ask for those before it.
    pub derived: Vec<Derived>,
    /// Its columns, in order, each with what it is made of.
    pub columns: Vec<(Field, Expr)>,
    /// The columns that name a row, in the order in which rows are written.
    pub key: &'static [&'static str],
}

/// A table of a join.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// What expressions call it.
    pub alias: &'static str,
    /// Which one.
    pub source: Source,
    /// Its columns and what they must equal; none for the base. NULL equals nothing.
    pub on: Vec<(String, Expr)>,
}

/// Whether a table has rows of a kind at all: what it says nothing of is unknown only where it was never loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Presence {
    /// What [`Expr::Present`] calls it.
    pub alias: &'static str,
    /// The table.
    pub source: Source,
    /// Its columns and the base's that they must equal.
    pub on: Vec<(String, Expr)>,
}

/// Values of a row with names, so that what is used often is said once.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What expressions call them together, as if they were a table.
    pub alias: &'static str,
    /// Name, type, and what it is made of.
    pub values: Vec<(&'static str, Kind, Expr)>,
}

/// A table that is in the lake and in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its schema in the database.
    pub schema: &'static str,
    /// Its columns.
    pub table: Table,
    /// Groups of columns that no two rows share.
    pub unique: Vec<Vec<String>>,
}

/// A join that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("join `{join}`: {problem}")]
pub struct JoinError {
    /// The join.
    pub join: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// Tables of catalogues, and columns besides their keys that no two rows may share: joins ask by them. The database
/// makes sure by a unique index each (`db index`), the join without a server by counting rows.
const ALSO_UNIQUE: [(&str, &[&str]); 2] = [
    ("gfinder_galaxies", &["specprod", "ls_id"]),
    ("v2_galzone", &["specprod", "sample", "algorithm", "cap", "targetid"]),
];

/// Tables of catalogues with the columns, besides their keys, that no two of their rows may share.
pub fn also_unique() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ALSO_UNIQUE.into_iter()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Source {
    /// The measured features.
    pub fn features() -> Self {
        Self { schema: "spectra", table: features::table(), unique: vec![owned(&["unit", "targetid"])] }
    }

    /// A table of a catalogue; within a `specprod` its key names a row, and so do some other columns.
    pub fn catalog(declared: &CatalogTable) -> Self {
        let key = || std::iter::once("specprod".to_owned()).chain(declared.key.iter().cloned()).collect();
        let mut unique: Vec<Vec<String>> = declared.unique.then(key).into_iter().collect();
        let others = ALSO_UNIQUE.iter().filter(|(table, _)| declared.name == *table);
        unique.extend(others.map(|(_, columns)| owned(columns)));
        Self { schema: "catalog", table: declared.table(), unique }
    }

    /// As in `catalog.zpix`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.table.name)
    }

    /// Where its files are in a run folder.
    pub fn folder(&self) -> String {
        match self.schema {
            "catalog" => format!("catalog/{}", self.table.name),
            _ => self.table.name.to_string(),
        }
    }
}

impl Join {
    /// As in `ard.galaxy_ard`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Its columns as a table.
    pub fn table(&self) -> Table {
        Table {
            name: Cow::Borrowed(self.name),
            description: self.description.clone(),
            fields: self.columns.iter().map(|(field, _)| field.clone()).collect(),
        }
    }

    /// The view, for whoever reads tables of the database.
    pub fn relation(&self) -> Relation {
        Relation::new(self.schema, self.table(), self.key)
    }

    /// The base, then the tables joined to it.
    pub fn joined(&self) -> impl Iterator<Item = &Joined> {
        std::iter::once(&self.base).chain(&self.tables)
    }

    /// The type of a column of a table, or of a derived value.
    pub fn kind_of(&self, alias: &str, name: &str) -> Option<Kind> {
        let derived = self.derived.iter().filter(|derived| derived.alias == alias);
        if let Some((_, kind, _)) = derived.flat_map(|derived| &derived.values).find(|(own, ..)| *own == name)
        {
            return Some(*kind);
        }
        let table = &self.joined().find(|joined| joined.alias == alias)?.source.table;
        table.index_of(name).map(|at| table.fields[at].kind)
    }

    /// Every expression of the join.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let on = self.tables.iter().flat_map(|joined| &joined.on);
        let asked = self.presences.iter().flat_map(|presence| &presence.on);
        self.filter
            .iter()
            .chain(on.chain(asked).map(|(_, expr)| expr))
            .chain(self.derived.iter().flat_map(|derived| &derived.values).map(|(.., expr)| expr))
            .chain(self.columns.iter().map(|(_, expr)| expr))
    }

    /// The columns of a table that the join reads, in the table's order.
    pub fn needed<'a>(&self, joined: &'a Joined) -> Vec<&'a Field> {
        let mut names: Vec<&str> = joined.on.iter().map(|(name, _)| name.as_str()).collect();
        for expr in self.expressions() {
            expr.visit(&mut |part| {
                if let Expr::Column { alias, name } = part
                    && *alias == joined.alias
                {
                    names.push(name);
                }
            });
        }
        let fields = joined.source.table.fields.iter();
        fields.filter(|field| names.contains(&field.name.as_str())).collect()
    }
}

/// Every join of the catalogues that come with the program.
///
/// # Panics
/// Never: a test makes them all.
pub fn joins() -> Vec<Join> {
    joins_of(&catalogs()).unwrap_or_else(|error| panic!("{error}"))
}

/// The join of a name as in `galaxy_ard` or `ard.galaxy_ard`.
pub fn join(name: &str) -> Option<Join> {
    joins().into_iter().find(|join| join.name == name || join.full_name() == name)
}

fn joins_of(catalogs: &[Catalog]) -> Result<Vec<Join>, JoinError> {
    Ok(vec![quality::zpix_quality(catalogs)?, ard::galaxy(catalogs)?, ard::qso(catalogs)?])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_join_names_what_is_declared_and_is_found_by_its_name() {
        let names: Vec<String> = joins_of(&catalogs()).unwrap().iter().map(Join::full_name).collect();
        assert_eq!(names, ["catalog.zpix_quality", "ard.galaxy_ard", "ard.qso_ard"]);
        assert_eq!(join("galaxy_ard"), join("ard.galaxy_ard"));
        assert_eq!(join("galaxy"), None);
    }

    #[test]
    fn a_join_reads_no_column_that_it_does_not_need() {
        for join in joins() {
            for joined in join.joined() {
                let needed: BTreeSet<&str> =
                    join.needed(joined).iter().map(|field| field.name.as_str()).collect();
                let on = joined.on.iter().all(|(name, _)| needed.contains(name.as_str()));
                assert!(on && !needed.is_empty(), "{} {}", join.name, joined.alias);
            }
        }
    }

    #[test]
    fn analysis_ready_rows_have_every_feature() {
        for name in ["galaxy_ard", "qso_ard"] {
            let table = join(name).unwrap().table();
            for (found, field) in table.fields.iter().zip(features::table().fields) {
                assert_eq!(*found, field);
            }
            let physics = &table.fields[table.index_of("halpha_nii_pull").unwrap_or(0)];
            assert!(name == "qso_ard" || physics.kind == Kind::Float64);
        }
    }

    #[test]
    fn a_declaration_without_what_a_join_names_is_refused() {
        let mut changed = catalogs();
        let table =
            changed.iter_mut().flat_map(|catalog| &mut catalog.tables).find(|table| table.name == "qso");
        table.unwrap().unique = false;
        let problem = joins_of(&changed).unwrap_err().to_string();
        assert!(problem.contains("is no unique key of catalog.qso"), "{problem}");
        let table =
            changed.iter_mut().flat_map(|catalog| &mut catalog.tables).find(|table| table.name == "zpix");
        table.unwrap().columns.retain(|column| column.field.name != "deltachi2");
        let problem = joins_of(&changed).unwrap_err().to_string();
        assert!(problem.contains("there is no column zpix.deltachi2"), "{problem}");
        changed.retain(|catalog| catalog.table("zpix").is_none());
        assert!(joins_of(&changed).unwrap_err().to_string().contains("no declaration has a table `zpix`"));
    }
}
