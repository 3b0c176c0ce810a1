//! The data dictionary: what people read, made from the same definitions as the files.

use std::fmt::Write;

use crate::{Table, features, inventory, spectra};

/// The data dictionary as Markdown.
pub fn data_dictionary() -> String {
    let mut text = String::from(
        "# Data dictionary\n\nGenerated from `schemas/` (`make dictionary`); a test fails where it is stale. Missing \
         is NULL, never a flag value.\n",
    );
    for table in [inventory::table(), features::table(), spectra::table(0)] {
        render_table(&mut text, &table);
    }
    text
}

fn render_table(text: &mut String, table: &Table) {
    let heading = format!(
        "\n## `{}`\n\n{}\n\n| column | type | unit | UCD | null | description | source |\n|---|---|---|---|---|---|---|\n",
        table.name, table.description
    );
    text.push_str(&heading);
    for field in &table.fields {
        // The grid's length is a setting: the dictionary says so instead of a number.
        let kind = field.kind.label().replace("[0]", "[grid]");
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
