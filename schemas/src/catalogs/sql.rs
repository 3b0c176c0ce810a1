//! Tables of catalogues as PostgreSQL statements.

use std::fmt::Write as _;

use super::{CatalogColumn, CatalogTable};
use crate::relational::Relation;
use crate::sql::{column_comment, literal, name};
use crate::{Field, Table};

/// The schema of declared tables.
pub const SCHEMA: &str = "catalog";
/// The schema of tables that are taken as they are.
pub const RAW_SCHEMA: &str = "catalog_raw";

/// A table of a catalogue in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogRelation {
    /// [`SCHEMA`] or [`RAW_SCHEMA`].
    pub schema: &'static str,
    /// Its name there.
    pub name: String,
    /// What a row is.
    pub description: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// The columns that name a row, `specprod` apart; none where nobody has said so.
    pub key: Vec<String>,
    /// Whether no two rows of a `specprod` have the same key.
    pub is_unique: bool,
    /// Right ascension and declination in degrees, where the table has `healpix29`.
    pub position: Option<[String; 2]>,
}

/// A column of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What it is.
    pub field: Field,
    /// What its comment says.
    pub comment: String,
}

impl Column {
    /// A column with nothing to say but what every column says.
    pub fn plain(field: Field) -> Self {
        let comment = column_comment(&field);
        Self { field, comment }
    }

    /// A declared column: its comment also has the Hubble constant and what its codes mean.
    pub fn declared(column: &CatalogColumn) -> Self {
        let mut comment = column_comment(&column.field);
        if let Some(h) = &column.h {
            comment.push_str(&format!(" [h: {h}]"));
        }
        if !column.codes.is_empty() {
            let codes: Vec<String> =
                column.codes.iter().map(|(code, meaning)| format!("{code} = {meaning}")).collect();
            comment.push_str(&format!(" [codes: {}]", codes.join(", ")));
        }
        Self { field: column.field.clone(), comment }
    }

    fn definition(&self) -> String {
        let null = if self.field.nullable { "" } else { " NOT NULL" };
        format!("{} {}{null}", name(&self.field.name), self.field.kind.sql())
    }
}

impl CatalogRelation {
    /// Of a declared table.
    pub fn declared(table: &CatalogTable) -> Self {
        let whole = table.table();
        let column = |field: Field| match table.columns.iter().find(|own| own.field.name == field.name) {
            Some(own) => Column::declared(own),
            None => Column::plain(field),
        };
        Self {
            schema: SCHEMA,
            name: table.name.clone(),
            description: table.description.clone(),
            columns: whole.fields.into_iter().map(column).collect(),
            key: table.key.clone(),
            is_unique: table.unique,
            position: table.position.clone(),
        }
    }

    /// Of a table that is taken as it is: every column may be NULL.
    pub fn raw(name: &str, fields: Vec<Field>) -> Self {
        let column = |field: Field| Column::plain(Field { nullable: true, ..field });
        Self {
            schema: RAW_SCHEMA,
            name: name.to_owned(),
            description: "A table of a file, as it is.".to_owned(),
            columns: fields.into_iter().map(column).collect(),
            key: Vec::new(),
            is_unique: false,
            position: None,
        }
    }

    /// As in `catalog.zpix`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The same as statements write it.
    pub fn sql_name(&self) -> String {
        format!("{}.{}", self.schema, name(&self.name))
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.field.name == name)
    }

    /// Its columns as every output format needs them.
    pub fn table(&self) -> Table {
        Table {
            name: self.name.clone().into(),
            description: self.description.clone(),
            fields: self.columns.iter().map(|column| column.field.clone()).collect(),
        }
    }

    /// The same among the tables of the database; every row has a place of its own in its unit.
    pub fn relation(&self) -> Relation {
        Relation::new(self.schema, self.table(), &["unit", "row"])
    }

    /// The statement that makes the table. It has no index yet: rows come faster without.
    pub fn create(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(Column::definition).collect();
        format!("CREATE TABLE {} (\n    {}\n);\n", self.sql_name(), columns.join(",\n    "))
    }

    /// The statement that adds a column.
    pub fn add_column(&self, column: &Column) -> String {
        format!("ALTER TABLE {} ADD COLUMN {};\n", self.sql_name(), column.definition())
    }

    /// The statements that describe the table and all of its columns.
    pub fn comments(&self) -> String {
        let mut text = format!("COMMENT ON TABLE {} IS {};\n", self.sql_name(), literal(&self.description));
        for column in &self.columns {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "COMMENT ON COLUMN {}.{} IS {};",
                self.sql_name(),
                name(&column.field.name),
                literal(&column.comment)
            );
        }
        text
    }

    /// The name of its cone search, as in `catalog.cone_zpix`; `None` without positions.
    pub fn cone(&self) -> Option<String> {
        self.position.as_ref().map(|_| format!("{}.{}", self.schema, name(&format!("cone_{}", self.name))))
    }

    /// The statements that make its cone search, where it has positions.
    pub fn create_cone(&self) -> Option<String> {
        let (cone, [ra, dec]) = (self.cone()?, self.position.as_ref()?);
        let (table, ra, dec) = (self.sql_name(), name(ra), name(dec));
        let comment = format!(
            "Rows of {full} within radius_deg of (ra, dec), with their distance (deg), in no order: \
             SELECT (c.found).*, c.distance FROM {cone}(150, 2.2, 0.1) c.",
            full = self.full_name()
        );
        Some(format!(
            "CREATE OR REPLACE FUNCTION {cone}(ra double precision, \"dec\" double precision, radius_deg double precision)
RETURNS TABLE (found {table}, distance double precision)
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
#variable_conflict use_column
DECLARE
    at_ra CONSTANT double precision := $1;
    at_dec CONSTANT double precision := $2;
    radius CONSTANT double precision := $3;
    span record;
BEGIN
    -- A range at a time: each is a plain search of the B-tree, whatever the planner thinks of joins.
    FOR span IN SELECT r.lo, r.hi FROM catalog.cone_ranges(at_ra, at_dec, radius) r LOOP
        RETURN QUERY
        SELECT t, catalog.angular_distance(at_ra, at_dec, t.{ra}, t.{dec})
        FROM {table} t
        WHERE t.healpix29 BETWEEN span.lo AND span.hi
            AND catalog.angular_distance(at_ra, at_dec, t.{ra}, t.{dec}) <= radius;
    END LOOP;
END $$;
COMMENT ON FUNCTION {cone} IS {};
",
            literal(&comment)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::catalogs::{Catalog, catalogs};

    const TEXT: &str = r#"
        title = "Things."
        reference = "nobody 2026"
        files = ["things-{specprod}.fits"]
        [[release]]
        name = "v1"
        [[table]]
        name = "things"
        description = "One thing's row."
        hdu = "THINGS"
        key = ["targetid"]
        position = ["ra", "decl"]
        source = "THINGS"
        columns = [
            { fits = "TARGETID", type = "int64", required = true, description = "target" },
            { fits = "RA", type = "float64", unit = "deg", description = "right ascension" },
            { fits = "DECL", type = "float64", unit = "deg", description = "declination" },
            { fits = "MASS", type = "float32", unit = "solMass", h = "0.7", description = "mass" },
            { fits = "WHICH", type = "int16", codes = { 1 = "a void's", 0 = "none" }, description = "which" },
            { fits = "P", type = "float64[4]", description = "points" },
        ]
    "#;

    fn things() -> CatalogRelation {
        CatalogRelation::declared(&Catalog::parse("things", TEXT).unwrap().tables[0])
    }

    #[test]
    fn a_declared_table_becomes_its_statements() {
        let things = things();
        assert_eq!(
            things.create(),
            "CREATE TABLE catalog.\"things\" (\n    \"unit\" text NOT NULL,\n    \"row\" bigint NOT NULL,\n    \
             \"specprod\" text NOT NULL,\n    \"targetid\" bigint NOT NULL,\n    \"ra\" double precision,\n    \
             \"decl\" double precision,\n    \"mass\" real,\n    \"which\" smallint,\n    \
             \"p\" double precision[],\n    \"healpix29\" bigint\n);\n"
        );
        let comments = things.comments();
        for expected in [
            "COMMENT ON TABLE catalog.\"things\" IS 'One thing''s row.';",
            "\"mass\" IS 'mass [unit: solMass] [source: THINGS] [h: 0.7]';",
            "\"which\" IS 'which [source: THINGS] [codes: 0 = none, 1 = a void''s]';",
        ] {
            assert!(comments.contains(expected), "{comments}");
        }
        let added = things.add_column(things.column("mass").unwrap());
        assert_eq!(added, "ALTER TABLE catalog.\"things\" ADD COLUMN \"mass\" real;\n");
        let cone = things.create_cone().unwrap();
        assert!(cone.contains("catalog.\"cone_things\"") && cone.contains("t.\"ra\", t.\"decl\""), "{cone}");
    }

    #[test]
    fn a_table_as_it_is_may_be_null_everywhere() {
        let raw = CatalogRelation::raw("x", vec![Field::new("unit", Kind::Text, "").required()]);
        assert_eq!(raw.create(), "CREATE TABLE catalog_raw.\"x\" (\n    \"unit\" text\n);\n");
        assert_eq!(raw.create_cone(), None);
    }

    #[test]
    fn no_two_declarations_that_come_along_have_a_table_of_one_name() {
        let mut names: Vec<String> =
            catalogs().into_iter().flat_map(|catalog| catalog.tables).map(|table| table.name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
