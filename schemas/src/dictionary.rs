//! The data dictionary: what people read, made from the same definitions as the files.

use std::fmt::Write;

use crate::joins::joins;
use crate::relational::relations;
use crate::{Table, catalogs, embeddings, features, inventory, model, neighbors, spectra};

/// The data dictionary as Markdown.
pub fn data_dictionary() -> String {
    let mut text = String::from(
        "# Data dictionary\n\nGenerated from `schemas/` (`make dictionary`); a test fails where it is stale. Missing \
         is NULL, never a flag value.\n",
    );
    let tables = [
        inventory::table(),
        features::table(),
        spectra::table(0),
        model::basis(1),
        model::sample(),
        embeddings::table(0),
        neighbors::neighbors(),
        neighbors::scores(),
    ];
    for table in &tables {
        render_table(&mut text, &table.name, table);
    }
    text.push_str(
        "\n# In the database\n\n`features` is `spectra.features` there; `embeddings`, `neighbors` and `scores` are in schema \
         `ml`, with a partition for each model. Beside them:\n",
    );
    let (same, other): (Vec<_>, Vec<_>) =
        relations().into_iter().partition(|relation| tables.contains(&relation.table));
    for relation in other {
        render_table(&mut text, &relation.full_name(), &relation.table);
    }
    for relation in same.iter().filter(|relation| !relation.generated.is_empty()) {
        let computed = Table {
            name: relation.table.name.clone(),
            description: "Columns that the database computes.".to_owned(),
            fields: relation.generated.iter().map(|(field, _)| field.clone()).collect(),
        };
        render_table(&mut text, &relation.full_name(), &computed);
    }
    text.push_str(&catalogs::overview());
    text.push_str(
        "\n# Joins\n\nViews of the database; `export --join` makes the same rows without one. Columns of the table whose rows they \
         have are not said again.\n",
    );
    for join in joins() {
        let mut table = join.table();
        let base = &join.base.source.table.fields;
        table.fields.retain(|field| !base.contains(field));
        render_table(&mut text, &join.full_name(), &table);
    }
    text
}

fn render_table(text: &mut String, name: &str, table: &Table) {
    let heading = format!(
        "\n## `{}`\n\n{}\n\n| column | type | unit | UCD | null | description | source |\n|---|---|---|---|---|---|---|\n",
        name, table.description
    );
    text.push_str(&heading);
    for field in &table.fields {
        // These lengths are settings: the dictionary says so instead of a number.
        let of = if table.name == "spectra" { "[grid]" } else { "[components]" };
        let kind = field.kind.label().replace("[0]", of);
        let null = if field.nullable { "yes" } else { "no" };
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {} |",
            field.name,
            kind,
            field.unit,
            field.ucd,
            null,
            field.description.replace('|', "\\|"),
            field.source.replace('|', "\\|")
        )
        .expect("writing to a String cannot fail");
    }
}
