//! Which release a file is of, and which production its targets are of.

use std::path::Path;

use specmill_schemas::catalogs::{Catalog, Mark, Release};

use super::error::CatalogError;
use super::survey::{file_name, tables};
use crate::error::Result;
use crate::fits::{Card, Source, Value};
use crate::unit::is_plain_name;

/// The release of a file: the one that the run file names, or the first whose marks it bears.
///
/// # Errors
/// Where it bears none's, or its release is refused.
pub(super) fn release_of<'c>(
    source: &Source,
    catalog: &'c Catalog,
    named: Option<&str>,
) -> Result<&'c Release> {
    let path = source.path();
    let is_it = |release: &&Release| match named {
        Some(name) => release.name == name,
        None => release.marks.iter().all(|mark| bears(source, mark)),
    };
    let Some(release) = catalog.releases.iter().find(is_it) else {
        let taken = catalog.releases.iter().filter(|release| release.refuse.is_none());
        let known: Vec<&str> = taken.map(|release| release.name.as_str()).collect();
        return Err(Box::new(CatalogError::Release { path: path.to_owned(), known: known.join(", ") }).into());
    };
    match &release.refuse {
        Some(reason) => Err(Box::new(CatalogError::Refused {
            path: path.to_owned(),
            release: release.name.clone(),
            reason: reason.clone(),
        })
        .into()),
        None => Ok(release),
    }
}

fn bears(source: &Source, mark: &Mark) -> bool {
    let has_column = |name: &str| tables(source).any(|(_, table)| table.column(name).is_some());
    match mark {
        Mark::Keyword { keyword, value } => {
            let stem = keyword.strip_suffix('*');
            let named = |card: &&Card| match stem {
                Some(stem) => card.keyword.starts_with(stem),
                None => card.keyword == *keyword,
            };
            let fits =
                |card: &Card| text_of(&card.value).is_some_and(|text| text.starts_with(value.as_str()));
            source.hdus().iter().any(|hdu| hdu.header.cards().iter().filter(named).any(fits))
        }
        Mark::Hdu(name) => source.find(name).is_some(),
        Mark::NoHdu(name) => source.find(name).is_none(),
        Mark::Column(name) => has_column(name),
        Mark::NoColumn(name) => !has_column(name),
        Mark::Name(pattern) => pattern.matches(file_name(source.path())).is_some(),
    }
}

/// The value of a card as text.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.trim().to_owned()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Logical(truth) => Some(if *truth { "T" } else { "F" }.to_owned()),
        Value::Undefined | Value::Other => None,
    }
}

/// The production that the run file, the release and the file's name agree on.
///
/// # Errors
/// Where two disagree or none says.
pub(super) fn specprod_of(
    path: &Path,
    run_file: Option<&str>,
    release: &Release,
    name: Option<&str>,
) -> Result<String> {
    let said = [("the run file", run_file), ("its release", release.specprod.as_deref()), ("its name", name)];
    let mut said = said.into_iter().filter_map(|(who, specprod)| Some((who, specprod?)));
    let Some((a, first)) = said.next() else {
        return Err(Box::new(CatalogError::NoSpecprod { path: path.to_owned() }).into());
    };
    if let Some((b, second)) = said.find(|(_, second)| *second != first) {
        let (first, second) = (first.to_owned(), second.to_owned());
        return Err(
            Box::new(CatalogError::TwoSpecprods { path: path.to_owned(), a, first, b, second }).into()
        );
    }
    if !is_plain_name(first) {
        return Err(Box::new(CatalogError::NoSpecprod { path: path.to_owned() }).into());
    }
    Ok(first.to_owned())
}
