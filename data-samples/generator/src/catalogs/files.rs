//! Which files a catalogue has, what they are called, and which tables each of them holds.

use std::collections::{BTreeMap, BTreeSet};

use specmill_schemas::catalogs::{
    Catalog, CatalogColumn, CatalogTable, Mark, NamePattern, Origin, Release as DeclaredRelease,
};

use super::Sky;
use super::chance::mix;
use super::host::Host;
use super::layout::{Layout, MOST_COLUMNS, Reads};
use super::rows::{self, Scope, Slot};
use crate::config::Release;
use crate::draw::fnv1a;
use crate::error::SimulateError;
use crate::fits::Value;

/// The void finders of DESIVAST's V2 algorithm.
const ALGORITHMS: [&str; 3] = ["REVOLVER", "VIDE", "ZOBOV"];

/// A file to be written.
pub(super) struct CatalogFile<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) release: &'a DeclaredRelease,
    /// Below the output folder.
    pub(super) path: String,
    /// What the placeholders of its name stand for.
    placeholders: BTreeMap<String, String>,
    /// What is the same for all its targets, whether its pattern says so or not.
    known: BTreeMap<String, String>,
    tables: Vec<&'a CatalogTable>,
    /// The targets it is about, by position.
    hosts: Vec<u32>,
}

/// The files of a catalogue in a release; none where it declares no such release.
pub(super) fn files<'a>(catalog: &'a Catalog, release: Release, sky: Sky<'_>) -> Vec<CatalogFile<'a>> {
    // The redshift catalogue has its own writer, but for the layout in several files.
    if catalog.name == "zall-pix" && release != Release::Dr2 {
        return Vec::new();
    }
    let mut files: BTreeMap<String, CatalogFile<'a>> = BTreeMap::new();
    for table in &catalog.tables {
        for (known, hosts) in groups(catalog, table, sky) {
            let Some(named) = name(catalog, table, release, &known) else { continue };
            let first = hosts.first().and_then(|index| sky.hosts.get(*index as usize));
            let Some(first) = first else { continue };
            let path = format!("{}/{}", folder(catalog, named.release, release, first, sky), named.name);
            let file = files.entry(path.clone()).or_insert_with(|| CatalogFile {
                catalog,
                release: named.release,
                path,
                placeholders: named.placeholders,
                known,
                tables: Vec::new(),
                hosts: Vec::new(),
            });
            // The first table says what the file is about, in one group of targets or several.
            if file.tables.first().is_none_or(|other| other.name == table.name) {
                file.hosts.extend(hosts);
            }
            if file.tables.iter().all(|other| other.name != table.name) {
                file.tables.push(table);
            }
        }
    }
    for file in files.values_mut() {
        file.hosts.sort_unstable();
    }
    files.into_values().collect()
}

/// The releases whose layout may be written, the best first: of this production, the last by name, not refused.
fn releases(catalog: &Catalog, release: Release) -> Vec<&DeclaredRelease> {
    let fits = |declared: &&DeclaredRelease| {
        let specprod = declared.specprod.as_deref();
        declared.refuse.is_none() && specprod.is_none_or(|specprod| specprod == release.specprod())
    };
    let mut found: Vec<&DeclaredRelease> = catalog.releases.iter().filter(fits).collect();
    // Those of no production stay in the order in which they are declared.
    found.sort_by(|a, b| {
        let by_name = if a.specprod.is_some() { b.name.cmp(&a.name) } else { std::cmp::Ordering::Equal };
        a.specprod.is_none().cmp(&b.specprod.is_none()).then(by_name)
    });
    found
}

/// EXTNAME of a table in a release; nothing where the release does not have it.
fn hdu_of<'a>(table: &'a CatalogTable, release: &DeclaredRelease) -> Option<&'a str> {
    if table.hdus.is_empty() {
        return Some("");
    }
    let absent =
        |hdu: &str| release.marks.iter().any(|mark| matches!(mark, Mark::NoHdu(name) if name == hdu));
    table.hdus.iter().map(String::as_str).find(|hdu| !absent(hdu))
}

/// What the names of a catalogue's files say in the releases, where its patterns leave that open.
fn usual_pattern(catalog: &Catalog) -> Option<NamePattern> {
    NamePattern::new(match catalog.name.as_str() {
        "fastspecfit" => "fastspec-{specprod}-{survey}-{program}.fits",
        "fastspecfit-tile" => "fastspec-{petal}-{tileid}-thru{night}.fits",
        _ => return None,
    })
}

/// The targets by what the placeholders of the table's file names stand for.
fn groups(
    catalog: &Catalog,
    table: &CatalogTable,
    sky: Sky<'_>,
) -> Vec<(BTreeMap<String, String>, Vec<u32>)> {
    let of_tiles = table.key.iter().any(|name| name == "tileid")
        || table.files.iter().all(|pattern| pattern.placeholders().any(|name| name == "tileid"));
    let usual = usual_pattern(catalog);
    // Of several patterns the first is meant; the others are of other releases.
    let pattern = usual.as_ref().or(table.files.first());
    let mut wanted: BTreeSet<&str> = pattern.iter().flat_map(|pattern| pattern.placeholders()).collect();
    // Whether they stand in the pattern or not: releases are called after them.
    wanted.extend(["specprod", "release"]);
    let mut groups: BTreeMap<BTreeMap<String, String>, Vec<u32>> = BTreeMap::new();
    for (index, host) in (0_u32..).zip(sky.hosts) {
        let Some(unit) = sky.units.get(host.unit).filter(|unit| unit.is_tile() == of_tiles) else { continue };
        let one = |name: &&str| Some(((*name).to_owned(), host.placeholder(name, unit)?));
        let known: BTreeMap<String, String> = wanted.iter().filter_map(one).collect();
        if wanted.contains("algorithm") {
            for algorithm in ALGORITHMS {
                let mut known = known.clone();
                known.insert("algorithm".to_owned(), algorithm.to_owned());
                groups.entry(known).or_default().push(index);
            }
        } else {
            groups.entry(known).or_default().push(index);
        }
    }
    groups.into_iter().collect()
}

/// A file name with the release it is of.
struct Named<'a> {
    name: String,
    release: &'a DeclaredRelease,
    placeholders: BTreeMap<String, String>,
}

/// A file name that the table and a release accept, and what its placeholders say.
fn name<'a>(
    catalog: &'a Catalog,
    table: &CatalogTable,
    release: Release,
    known: &BTreeMap<String, String>,
) -> Option<Named<'a>> {
    let usual = usual_pattern(catalog);
    releases(catalog, release).into_iter().find_map(|declared| {
        let marks = || {
            let pattern = |mark: &'a Mark| if let Mark::Name(pattern) = mark { Some(pattern) } else { None };
            declared.marks.iter().filter_map(pattern)
        };
        if !has_its_hdus(catalog, table, declared) {
            return None;
        }
        let made = usual.iter().chain(&table.files).chain(marks()).flat_map(|pattern| filled(pattern, known));
        let published = declared.rows.keys().map(|name| name.split(':').next().unwrap_or(name).to_owned());
        made.chain(published).find_map(|name| {
            let placeholders = table.files.iter().find_map(|pattern| pattern.matches(&name))?;
            let same = |key: &String, value: &String| {
                known.get(key).is_none_or(|known| known.eq_ignore_ascii_case(value))
            };
            let agrees = placeholders.iter().all(|(key, value)| same(key, value));
            let named = Named { name: name.clone(), release: declared, placeholders };
            (agrees && marks().all(|pattern| pattern.matches(&name).is_some())).then_some(named)
        })
    })
}

/// Whether the table, and with it every HDU that tells the release, is in the release's files of this kind.
fn has_its_hdus(catalog: &Catalog, table: &CatalogTable, release: &DeclaredRelease) -> bool {
    let beside = || catalog.tables.iter().filter(|other| other.files == table.files);
    let there = |hdu: &String| beside().any(|table| table.hdus.contains(hdu));
    let marked = release.marks.iter().all(|mark| if let Mark::Hdu(hdu) = mark { there(hdu) } else { true });
    marked && hdu_of(table, release).is_some()
}

/// A pattern with its placeholders filled in; some releases are called in capitals.
fn filled(pattern: &NamePattern, known: &BTreeMap<String, String>) -> Vec<String> {
    let mut names = vec![pattern.to_string()];
    for placeholder in pattern.placeholders() {
        let Some(value) = known.get(placeholder) else { return Vec::new() };
        let mut values = vec![value.clone()];
        if placeholder == "release" {
            values.push(value.to_uppercase());
        }
        let braced = format!("{{{placeholder}}}");
        names =
            names.iter().flat_map(|name| values.iter().map(|value| name.replace(&braced, value))).collect();
    }
    for name in &mut names {
        while let Some(at) = name.find('*') {
            let loose = name[..at].ends_with(['_', '-']);
            name.replace_range(at..=at, if loose { "v1.0" } else { "" });
        }
    }
    names
}

/// What a release is called in public.
pub(super) fn public_name(release: Release) -> &'static str {
    match release {
        Release::Edr => "edr",
        Release::Dr1 => "dr1",
        Release::Dr2 => "dr2",
    }
}

/// Where the releases keep such files.
fn folder(
    catalog: &Catalog,
    declared: &DeclaredRelease,
    release: Release,
    host: &Host,
    sky: Sky<'_>,
) -> String {
    let specprod = release.specprod();
    match catalog.name.as_str() {
        "zall-pix" => return format!("spectro/redux/{specprod}/zcatalog/v2/zall"),
        "ztile" => return format!("spectro/redux/{specprod}/zcatalog/v1"),
        "emline" => {
            let stem = sky.units.get(host.unit).map(|unit| unit.stem("emline")).unwrap_or_default();
            return stem.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default();
        }
        _ => {}
    }
    let public = public_name(release);
    // `iron v3.0` lies in `v3.0`.
    let version = declared.name.split_whitespace().next_back().unwrap_or("v1.0");
    format!("vac/{public}/{}/{specprod}/{version}", catalog.name)
}

impl CatalogFile<'_> {
    /// Whether files of this release lack a column that the declaration has for others.
    fn lacks(&self, table: &CatalogTable, column: &CatalogColumn) -> bool {
        let Origin::Columns(names) = &column.origin else { return false };
        // Of a table in several files, a column is in one of them.
        let split = |other: &&CatalogTable| {
            other.name != table.name
                && other.files != table.files
                && other.key.iter().any(|name| name == "row")
        };
        let elsewhere = || {
            let of =
                |other: &CatalogColumn| matches!(&other.origin, Origin::Columns(theirs) if theirs == names);
            self.catalog.tables.iter().filter(split).any(|other| other.columns.iter().any(of))
        };
        // Bits of a survey's targets are in its own files, and in those of all surveys.
        let survey = self.known.get("survey").map_or("", String::as_str);
        let other_survey = ["cmx", "sv1", "sv2", "sv3"].iter().any(|of| {
            names[0].to_lowercase().starts_with(&format!("{of}_")) && !survey.is_empty() && survey != *of
        });
        column.optional
            && (other_survey || !is_in_era(self.release, &column.field.description) || elsewhere())
    }

    /// Keywords of the primary header: those that tell the release, and what the file's name could say but does not.
    pub(super) fn cards(&self) -> Vec<(String, Value)> {
        let mut cards = Vec::new();
        for mark in &self.release.marks {
            if let Mark::Keyword { keyword, value } = mark {
                // A pattern of keywords, as DEPVER*, is fulfilled by the first of them.
                cards.push((keyword.replace('*', "00"), value.as_str().into()));
            }
        }
        for (name, value) in self.known.iter().filter(|(name, _)| !self.placeholders.contains_key(*name)) {
            let named = |column: &CatalogColumn| matches!(&column.origin, Origin::ColumnsOr { name: other, .. } if other == name);
            if self.tables.iter().any(|table| table.columns.iter().any(named)) {
                cards.push((name.to_uppercase(), value.as_str().into()));
            }
        }
        cards
    }

    /// Columns that the release must not have, or that would make the file one of another release.
    fn absent(&self) -> BTreeSet<String> {
        let mut absent = BTreeSet::new();
        let mut own = BTreeSet::new();
        for release in &self.catalog.releases {
            let mine = release == self.release;
            for mark in &release.marks {
                if let Mark::Column(name) = mark {
                    let names = if mine { &mut own } else { &mut absent };
                    names.insert(name.to_lowercase());
                } else if let (Mark::NoColumn(name), true) = (mark, mine) {
                    absent.insert(name.to_lowercase());
                }
            }
        }
        absent.retain(|name| !own.contains(name));
        absent
    }

    /// Its tables with their rows, in the order of the declaration; tables of one HDU share their columns.
    pub(super) fn tables(&self, sky: Sky<'_>) -> Result<Vec<(Layout, Vec<Slot>)>, SimulateError> {
        let hosts: Vec<(u32, &Host)> =
            self.hosts.iter().filter_map(|index| Some((*index, sky.hosts.get(*index as usize)?))).collect();
        let said = |name: &str| self.placeholders.get(name).map_or("", String::as_str);
        let scope = Scope { seed: sky.seed, cap: said("cap"), algorithm: said("algorithm") };
        let absent = self.absent();
        let mut tables: Vec<(Layout, Vec<Slot>)> = Vec::new();
        for table in &self.tables {
            let hdu = hdu_of(table, self.release).unwrap_or_default();
            let at = tables.iter().position(|(layout, _)| layout.extname == hdu).unwrap_or_else(|| {
                let seed = mix(sky.seed, fnv1a(&self.catalog.name));
                tables.push((Layout::new(hdu, seed), rows::rows(table, scope, &hosts)));
                tables.len() - 1
            });
            tables[at].0.add(table, &absent, &|column| self.lacks(table, column));
        }
        if let Some((layout, _)) = tables.first_mut() {
            layout.add_marks(self.release);
        }
        for (layout, _) in &mut tables {
            for declared in &mut layout.declared {
                if let Reads::Placeholder(name) = &declared.reads {
                    let value = self.placeholders.get(name).or(self.known.get(name));
                    declared.reads = value.map_or(Reads::Nothing, |value| Reads::Placeholder(value.clone()));
                }
            }
        }
        match tables.iter().find(|(layout, _)| layout.columns.len() > MOST_COLUMNS) {
            None => Ok(tables),
            Some((layout, _)) => {
                let (n, hdu) = (layout.columns.len(), &layout.extname);
                let what = format!("{n} columns of HDU {hdu}, where FITS has {MOST_COLUMNS} at most");
                Err(SimulateError::Layout { path: self.path.clone().into(), what })
            }
        }
    }
}

/// Whether a column of which a description says `up to v2` or `from v3 on` is in a release.
fn is_in_era(release: &DeclaredRelease, description: &str) -> bool {
    let number =
        |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
    let Some(version) = release.name.rsplit_once(" v").and_then(|(_, version)| number(version)) else {
        return true;
    };
    // What lacks an HDU is of before it came, whatever number its own production gave it.
    let old = release.marks.iter().any(|mark| matches!(mark, Mark::NoHdu(_)));
    let version = if old { version.min(2) } else { version };
    let said = |words: &str| description.split_once(words).and_then(|(_, rest)| number(rest));
    said("up to v").is_none_or(|last| version <= last) && said("from v").is_none_or(|first| version >= first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_other_versions_are_left_out() {
        let release = |name: &str| DeclaredRelease {
            name: name.to_owned(),
            specprod: None,
            marks: Vec::new(),
            refuse: None,
            rows: BTreeMap::new(),
        };
        let (old, new) = (release("iron v2.1"), release("iron v3.0"));
        for (description, in_old, in_new) in [
            ("its width; up to v2", true, false),
            ("its width; from v3 on", false, true),
            ("its width", true, true),
        ] {
            assert_eq!((is_in_era(&old, description), is_in_era(&new, description)), (in_old, in_new));
        }
        assert!(is_in_era(&release("any"), "its width; up to v2"));
    }
}
