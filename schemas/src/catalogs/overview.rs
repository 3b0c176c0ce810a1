//! What is declared, for people: the part of the data dictionary about catalogues.

use std::fmt::Write;

use super::{Catalog, CatalogTable, NamePattern, Release, catalogs};

/// Every catalogue with its releases and tables, as Markdown. Columns are in the declarations, in the comments of the
/// database and in the metadata of the Parquet files: there are thousands.
pub(crate) fn overview() -> String {
    let mut text = String::from(
        "\n# Catalogues\n\nDeclared in `schemas/catalogs/`, one file each, with every column. A table is `catalog.<name>` in the \
         database and `catalog/<name>/` in the lake; before its own columns it has `unit`, `row` and `specprod`, which \
         belongs to every key, and behind them `healpix29` where it has positions.\n",
    );
    for catalog in catalogs() {
        render(&mut text, &catalog);
    }
    text
}

fn render(text: &mut String, catalog: &Catalog) {
    let heading = format!("\n## `{}`\n\n{}\n{}\n\n", catalog.name, catalog.title, catalog.reference);
    text.push_str(&heading);
    let (refused, taken): (Vec<&Release>, Vec<&Release>) =
        catalog.releases.iter().partition(|release| release.refuse.is_some());
    let mut names: Vec<&str> = taken.iter().map(|release| release.name.as_str()).collect();
    names.dedup();
    text.push_str(&format!("- taken: {}\n", names.join("; ")));
    let mut told = Vec::new();
    for release in refused {
        let reason = release.refuse.as_deref().unwrap_or_default();
        if !told.contains(&(&release.name, reason)) {
            told.push((&release.name, reason));
            text.push_str(&format!("- refused: {}: {reason}\n", release.name));
        }
    }
    text.push_str(
        "\n| table | a row | files | HDU | key | columns | in units of h |\n|---|---|---|---|---|---|---|\n",
    );
    for table in &catalog.tables {
        render_table(text, table);
    }
}

fn render_table(text: &mut String, table: &CatalogTable) {
    let list = |items: Vec<String>| items.join(", ").replace('|', "\\|");
    let code = |item: &dyn std::fmt::Display| format!("`{item}`");
    let files = list(table.files.iter().map(|file: &NamePattern| code(file)).collect());
    let hdus = list(table.hdus.iter().map(|hdu| code(hdu)).collect());
    let key = list(table.key.iter().map(|name| code(name)).collect());
    let scaled = table.columns.iter().filter(|column| column.h.is_some()).count();
    writeln!(
        text,
        "| `{}` | {} | {files} | {} | {key}{} | {} | {} |",
        table.name,
        table.description.replace('|', "\\|"),
        if hdus.is_empty() { "the first table" } else { &hdus },
        if table.unique { "" } else { " (not unique)" },
        table.columns.len(),
        if scaled == 0 { String::new() } else { scaled.to_string() },
    )
    .expect("writing to a String cannot fail");
}
