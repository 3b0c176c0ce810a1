//! Tables as PostgreSQL statements.

use crate::Field;
use crate::relational::{FIRST_TABLES, Relation, relations};

/// A name as SQL writes it; quoted, so that no name is a keyword (`dec` is one).
pub(crate) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn names(columns: &[&str]) -> String {
    columns.iter().map(|column| name(column)).collect::<Vec<_>>().join(", ")
}

/// A column's comment: what it is, then unit, UCD and source where it has them.
pub fn column_comment(field: &Field) -> String {
    let mut text = field.description.clone();
    for (what, value) in [("unit", &*field.unit), ("ucd", &*field.ucd), ("source", &*field.source)] {
        if !value.is_empty() {
            text.push_str(&format!(" [{what}: {value}]"));
        }
    }
    text
}

fn column(field: &Field) -> String {
    let mut text = format!("{} {}", name(&field.name), field.kind.sql());
    if !field.nullable {
        text.push_str(" NOT NULL");
        // Every moment in the database is the one at which its row was made.
        if field.kind == crate::Kind::Timestamp {
            text.push_str(" DEFAULT now()");
        }
    }
    text
}

/// The statements that make one table with its comments.
pub fn create_table(relation: &Relation) -> String {
    let full = relation.full_name();
    let mut items: Vec<String> = relation.table.fields.iter().map(column).collect();
    for (field, expression) in &relation.generated {
        items.push(format!("{} GENERATED ALWAYS AS ({expression}) STORED", column(field)));
    }
    for (rule, expression) in relation.checks {
        items.push(format!("CONSTRAINT {} CHECK ({expression})", name(rule)));
    }
    items.push(format!("PRIMARY KEY ({})", names(relation.key)));
    if let Some((from, to)) = relation.references {
        items.push(format!("FOREIGN KEY ({}) REFERENCES {to} ON DELETE CASCADE", name(from)));
    }
    let partition = relation
        .partitioned_by
        .map(|column| format!(" PARTITION BY LIST ({})", name(column)))
        .unwrap_or_default();
    let mut text = format!("CREATE TABLE {full} (\n    {}\n){partition};\n", items.join(",\n    "));
    text.push_str(&format!("COMMENT ON TABLE {full} IS {};\n", literal(&relation.table.description)));
    for field in relation.columns() {
        text.push_str(&format!(
            "COMMENT ON COLUMN {full}.{} IS {};\n",
            name(&field.name),
            literal(&column_comment(field))
        ));
    }
    text
}

/// The migration that makes the first tables.
pub fn create_tables() -> String {
    let mut text = String::from("-- Every table, from the definitions in schemas/src (`make sql`).\n");
    for relation in relations().iter().filter(|relation| relation.since == FIRST_TABLES) {
        text.push('\n');
        text.push_str(&create_table(relation));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relational::relation;
    use crate::{Kind, Table};

    #[test]
    fn a_comment_has_unit_ucd_and_source_in_this_order() {
        let field = Field::new("ra", Kind::Float64, "right ascension")
            .unit("deg")
            .ucd("pos.eq.ra")
            .source("FIBERMAP");
        assert_eq!(column_comment(&field), "right ascension [unit: deg] [ucd: pos.eq.ra] [source: FIBERMAP]");
        assert_eq!(column_comment(&Field::new("x", Kind::Text, "a thing")), "a thing");
    }

    #[test]
    fn a_table_becomes_its_statement() {
        let mut small = relation("ml.embeddings").unwrap();
        small.table = Table {
            name: "embeddings".into(),
            description: "one row's worth".to_owned(),
            fields: vec![
                Field::new("model_hash", Kind::Text, "hash").required(),
                Field::new("embedding", Kind::Vector(0), "vector"),
            ],
        };
        small.key = &["model_hash"];
        small.checks = &[("rule", "true")];
        let expected = "CREATE TABLE ml.embeddings (\n    \"model_hash\" text NOT NULL,\n    \"embedding\" vector,\n    \
                        CONSTRAINT \"rule\" CHECK (true),\n    PRIMARY KEY (\"model_hash\")\n) PARTITION BY LIST \
                        (\"model_hash\");\nCOMMENT ON TABLE ml.embeddings IS 'one row''s worth';\nCOMMENT ON COLUMN \
                        ml.embeddings.\"model_hash\" IS 'hash';\nCOMMENT ON COLUMN ml.embeddings.\"embedding\" IS 'vector';\n";
        assert_eq!(create_table(&small), expected);
    }
}
