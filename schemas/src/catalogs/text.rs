//! The text of a declaration: TOML, checked as it is read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Catalog, CatalogColumn, CatalogTable, Mark, NamePattern, Origin, Release, leading_fields};
use crate::{Element, Field, Kind};

/// Most characters of a name in PostgreSQL.
pub const LONGEST_NAME: usize = 63;
/// Most columns of a table in PostgreSQL, where every one of them may be NULL.
const MOST_COLUMNS: usize = 1600;

/// What is wrong with a declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{problem}")]
pub struct DeclarationError {
    place: String,
    problem: String,
}

impl DeclarationError {
    fn new(place: &str, problem: impl Into<String>) -> Self {
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        Self { place, problem: problem.into() }
    }
}

type Outcome<T> = Result<T, DeclarationError>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogText {
    title: String,
    reference: String,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    lists: BTreeMap<String, Vec<String>>,
    /// What an item of a list is called in a description, where not by its own name.
    #[serde(default)]
    labels: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    release: Vec<ReleaseText>,
    #[serde(default)]
    table: Vec<TableText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseText {
    name: String,
    specprod: Option<String>,
    #[serde(default)]
    keyword: BTreeMap<String, String>,
    #[serde(default)]
    hdu: Vec<String>,
    #[serde(default)]
    no_hdu: Vec<String>,
    #[serde(default)]
    column: Vec<String>,
    #[serde(default)]
    no_column: Vec<String>,
    file: Option<String>,
    refuse: Option<String>,
    #[serde(default)]
    rows: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableText {
    name: String,
    description: String,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    hdu: OneOrMore,
    key: Vec<String>,
    #[serde(default = "yes")]
    unique: bool,
    position: Option<[String; 2]>,
    #[serde(default)]
    optional: bool,
    /// Of the columns that name none.
    #[serde(default)]
    source: String,
    columns: Vec<ColumnText>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    #[default]
    None,
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum NullValue {
    Number(f64),
    Text(String),
}

/// A column, or with `each` a group of them for every item of a list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnText {
    each: Option<String>,
    #[serde(default)]
    columns: Vec<ColumnText>,
    #[serde(default)]
    fits: OneOrMore,
    name: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    ucd: String,
    #[serde(default)]
    description: String,
    source: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    units: BTreeMap<String, f64>,
    multiply: Option<f64>,
    add: Option<f64>,
    #[serde(default)]
    null: Vec<NullValue>,
    null_where_zero: Option<String>,
    #[serde(default)]
    codes: BTreeMap<String, String>,
    h: Option<String>,
    or_name: Option<String>,
    legacy_id: Option<[String; 3]>,
}

/// Reads a declaration.
pub(super) fn parse(name: &str, text: &str) -> Outcome<Catalog> {
    let fault = |problem: String| DeclarationError::new("", problem);
    let value: toml::Table = text.parse().map_err(|error: toml::de::Error| fault(error.to_string()))?;
    let read: CatalogText =
        CatalogText::deserialize(value.clone()).map_err(|error| fault(error.message().to_owned()))?;
    check_name("the file's name", &name.replace('-', "_"))?;
    let files = patterns("files", &read.files)?;
    let lists = Lists { items: read.lists, labels: read.labels };
    let tables: Vec<CatalogTable> =
        read.table.into_iter().map(|table| read_table(table, &files, &lists)).collect::<Outcome<_>>()?;
    if tables.is_empty() {
        return Err(fault("it declares no table".to_owned()));
    }
    let releases: Vec<Release> = read.release.into_iter().map(read_release).collect::<Outcome<_>>()?;
    if releases.is_empty() {
        return Err(fault("it names no release".to_owned()));
    }
    Ok(Catalog {
        name: name.to_owned(),
        title: read.title,
        reference: read.reference,
        releases,
        tables,
        text: value.to_string(),
    })
}

fn patterns(place: &str, texts: &[String]) -> Outcome<Vec<NamePattern>> {
    let pattern = |text: &String| {
        NamePattern::new(text)
            .ok_or_else(|| DeclarationError::new(place, format!("`{text}` is no pattern of file names")))
    };
    texts.iter().map(pattern).collect()
}

fn read_release(text: ReleaseText) -> Outcome<Release> {
    let place = format!("release `{}`", text.name);
    let mut marks: Vec<Mark> =
        text.keyword.into_iter().map(|(keyword, value)| Mark::Keyword { keyword, value }).collect();
    marks.extend(text.hdu.into_iter().map(Mark::Hdu));
    marks.extend(text.no_hdu.into_iter().map(Mark::NoHdu));
    marks.extend(text.column.into_iter().map(Mark::Column));
    marks.extend(text.no_column.into_iter().map(Mark::NoColumn));
    marks.extend(patterns(&place, text.file.as_slice())?.into_iter().map(Mark::Name));
    Ok(Release { name: text.name, specprod: text.specprod, marks, refuse: text.refuse, rows: text.rows })
}

fn read_table(text: TableText, files: &[NamePattern], lists: &Lists) -> Outcome<CatalogTable> {
    let place = format!("table `{}`", text.name);
    let fault = |problem: String| Err(DeclarationError::new(&place, problem));
    check_name(&place, &text.name)?;
    let files = if text.files.is_empty() { files.to_vec() } else { patterns(&place, &text.files)? };
    if files.is_empty() {
        return fault("no `files` say what its files are called".to_owned());
    }
    let mut columns = Vec::new();
    for column in text.columns {
        expand(&place, column, lists, &mut columns)?;
    }
    let columns: Vec<CatalogColumn> = columns
        .into_iter()
        .map(|column| read_column(&place, column, &text.source))
        .collect::<Outcome<_>>()?;
    let table = CatalogTable {
        name: text.name,
        description: text.description,
        files,
        hdus: text.hdu.into_vec(),
        key: text.key,
        unique: text.unique,
        position: text.position,
        optional: text.optional,
        columns,
    };
    check_table(&place, &table)?;
    Ok(table)
}

/// The names of a table do not clash, and those of its key and position are there and fit.
fn check_table(place: &str, table: &CatalogTable) -> Outcome<()> {
    let fault = |problem: String| Err(DeclarationError::new(place, problem));
    let mut names = BTreeSet::new();
    let whole = table.table();
    for field in &whole.fields {
        check_name(place, &field.name)?;
        if !names.insert(&field.name) {
            return fault(format!("there are two columns `{}`", field.name));
        }
    }
    if whole.fields.len() > MOST_COLUMNS {
        return fault(format!("{} columns are more than PostgreSQL's {MOST_COLUMNS}", whole.fields.len()));
    }
    if table.key.is_empty() {
        return fault("its `key` names no column".to_owned());
    }
    let field = |name: &String| whole.fields.iter().find(|field| field.name == *name);
    for name in &table.key {
        match field(name) {
            None => return fault(format!("its key names `{name}`, which is no column")),
            Some(field) if field.nullable => {
                return fault(format!("`{name}` is in its key and must be `required`"));
            }
            Some(_) => {}
        }
    }
    for name in table.position.iter().flatten() {
        if field(name).is_none_or(|field| field.kind != Kind::Float64 || field.unit != "deg") {
            return fault(format!("its position needs a float64 column `{name}` in deg"));
        }
    }
    let placeholders: BTreeSet<&str> = table.files.iter().flat_map(NamePattern::placeholders).collect();
    for column in &table.columns {
        if let Origin::ColumnsOr { name, .. } = &column.origin
            && !placeholders.contains(name.as_str())
        {
            return fault(format!("`{}`: no file name has a placeholder {{{name}}}", column.field.name));
        }
    }
    Ok(())
}

/// Whether a table or column may be called so: lower case, digits and underscores, which nobody has to quote.
pub fn is_sql_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn check_name(place: &str, name: &str) -> Outcome<()> {
    if is_sql_name(name) {
        return Ok(());
    }
    let rule = "lower-case letters, digits and _ only, a letter first, 63 characters at most";
    Err(DeclarationError::new(place, format!("`{name}` is no name: {rule}")))
}

struct Lists {
    items: BTreeMap<String, Vec<String>>,
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// Makes one column of each that a group stands for.
fn expand(place: &str, column: ColumnText, lists: &Lists, out: &mut Vec<ColumnText>) -> Outcome<()> {
    let Some(list) = &column.each else {
        out.push(column);
        return Ok(());
    };
    let Some(items) = lists.items.get(list) else {
        return Err(DeclarationError::new(place, format!("`each` names `{list}`, which is no list")));
    };
    for item in items {
        let label = lists.labels.get(list).and_then(|labels| labels.get(item)).unwrap_or(item);
        for inner in &column.columns {
            expand(place, inner.with(list, item, label), lists, out)?;
        }
    }
    Ok(())
}

impl ColumnText {
    /// With an item in place of the list's name: `{LINE}` as it is, `{line}` in lower case, in texts its label.
    fn with(&self, list: &str, item: &str, label: &str) -> Self {
        let (upper, lower) = (format!("{{{list}}}"), format!("{{{}}}", list.to_lowercase()));
        let item_lower = item.to_lowercase();
        let put = |text: &str| text.replace(&upper, item).replace(&lower, &item_lower);
        let say = |text: &str| text.replace(&upper, label).replace(&lower, &item_lower);
        let fits = match &self.fits {
            OneOrMore::None => OneOrMore::None,
            OneOrMore::One(text) => OneOrMore::One(put(text)),
            OneOrMore::More(texts) => OneOrMore::More(texts.iter().map(|text| put(text)).collect()),
        };
        Self {
            columns: self.columns.iter().map(|inner| inner.with(list, item, label)).collect(),
            fits,
            name: self.name.as_deref().map(put),
            description: say(&self.description),
            source: self.source.as_deref().map(say),
            null_where_zero: self.null_where_zero.as_deref().map(put),
            ..self.clone()
        }
    }
}

fn read_column(table: &str, text: ColumnText, source: &str) -> Outcome<CatalogColumn> {
    let fits = text.fits.into_vec();
    let name = text.name.or_else(|| fits.first().map(|name| name.to_lowercase())).unwrap_or_default();
    let place = format!("{table}, column `{name}`");
    let fault = |problem: String| Err(DeclarationError::new(&place, problem));
    let Some(kind) = read_kind(&text.kind) else {
        return fault(format!(
            "`{}` is no type: use text, bool, int16, … float64, or one with [n]",
            text.kind
        ));
    };
    if text.description.is_empty() {
        return fault("it has no description".to_owned());
    }
    let origin = match (text.legacy_id, text.or_name) {
        (Some(parts), None) if fits.is_empty() && kind == Kind::Int64 => Origin::LegacyId(parts),
        (Some(_), _) => {
            return fault("`legacy_id` goes with type int64 and nothing from the file".to_owned());
        }
        (None, Some(name)) => Origin::ColumnsOr { columns: fits, name },
        (None, None) if fits.is_empty() => return fault("`fits` does not say what it comes from".to_owned()),
        (None, None) => Origin::Columns(fits),
    };
    let mut codes = BTreeMap::new();
    for (code, meaning) in text.codes {
        let Ok(number) = code.parse() else { return fault(format!("the code `{code}` is no whole number")) };
        codes.insert(number, meaning);
    }
    let mut column = CatalogColumn {
        field: Field::new(name.as_str(), kind, text.description)
            .unit(text.unit)
            .ucd(text.ucd)
            .source(text.source.unwrap_or_else(|| source.to_owned())),
        origin,
        units: text.units,
        multiply: text.multiply,
        add: text.add,
        null_values: Vec::new(),
        null_texts: Vec::new(),
        null_where_zero: text.null_where_zero,
        optional: text.optional,
        codes,
        h: text.h,
    };
    for null in text.null {
        match null {
            NullValue::Number(number) => column.null_values.push(number),
            NullValue::Text(text) => column.null_texts.push(text),
        }
    }
    check_column(&place, &column, text.required)?;
    column.field.nullable = !text.required;
    Ok(column)
}

/// What a column says of itself agrees.
fn check_column(place: &str, column: &CatalogColumn, required: bool) -> Outcome<()> {
    let fault = |problem: &str| Err(DeclarationError::new(place, problem));
    let element =
        if let Kind::Array(element, _) = column.field.kind { element.kind() } else { column.field.kind };
    let is_float = matches!(element, Kind::Float32 | Kind::Float64);
    if required && column.optional {
        return fault("`required` and `optional` exclude each other");
    }
    if !is_float && (column.multiply.is_some() || column.add.is_some() || !column.units.is_empty()) {
        return fault("only floating-point columns are converted");
    }
    if element == Kind::Text && !column.null_values.is_empty() {
        return fault("the `null` of a text is a text");
    }
    if element != Kind::Text && !column.null_texts.is_empty() {
        return fault("the `null` of a number is a number");
    }
    if leading_fields().iter().any(|field| field.name == column.field.name) {
        return fault("every table has a column of this name already");
    }
    Ok(())
}

fn read_kind(text: &str) -> Option<Kind> {
    let element = |name: &str| {
        Some(match name {
            "text" => Element::Text,
            "bool" => Element::Bool,
            "int16" => Element::Int16,
            "int32" => Element::Int32,
            "int64" => Element::Int64,
            "float32" => Element::Float32,
            "float64" => Element::Float64,
            _ => return None,
        })
    };
    match text.split_once('[') {
        None => Some(element(text)?.kind()),
        Some((name, length)) => {
            let length = length.strip_suffix(']')?;
            let length = if length.is_empty() { 0 } else { length.parse().ok().filter(|&n: &i32| n > 0)? };
            Some(Kind::Array(element(name)?, length))
        }
    }
}
