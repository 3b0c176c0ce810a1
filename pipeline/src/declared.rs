//! `[[catalog]]` resolved: what each is declared as, and which tables its files hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use specmill_schemas::catalogs::{Catalog, CatalogTable, catalogs, is_sql_name};

use crate::config::{CatalogInput, RunFile};
use crate::error::Result;
use crate::plan::{hash_of, setting};
use crate::stage::Stage;
use crate::unit::is_plain_name;

/// One `[[catalog]]` of the run file.
#[derive(Debug, Clone)]
pub struct CatalogPlan {
    /// What its tables are.
    pub kind: CatalogKind,
    /// Its files.
    pub files: Vec<CatalogFile>,
    /// The release that the run file names.
    pub release: Option<String>,
    /// The production that the run file names.
    pub specprod: Option<String>,
    /// The declared tables that are wanted.
    pub tables: Vec<String>,
    /// H(stage, its version, the declaration, the settings that decide rows).
    pub stage_hash: String,
}

/// What the tables of a catalogue are.
#[derive(Debug, Clone)]
pub enum CatalogKind {
    /// As declared.
    Declared(Arc<Catalog>),
    /// One table, its columns as they are.
    Raw {
        /// `catalog_raw.<table>`
        table: String,
        /// Its HDU; the only table of a file where none is named.
        hdu: Option<String>,
    },
}

/// A file of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogFile {
    /// As the run file names it: relative to `[input] root`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its name without suffixes, as in unit ids.
    pub stem: String,
}

impl CatalogPlan {
    /// Its name for people.
    pub fn name(&self) -> &str {
        match &self.kind {
            CatalogKind::Declared(catalog) => &catalog.name,
            CatalogKind::Raw { table, .. } => table,
        }
    }

    /// Its declaration, where it has one.
    pub fn declaration(&self) -> Option<&Catalog> {
        match &self.kind {
            CatalogKind::Declared(catalog) => Some(catalog),
            CatalogKind::Raw { .. } => None,
        }
    }

    /// The declared tables that are wanted.
    pub(crate) fn wanted_tables(&self) -> impl Iterator<Item = &CatalogTable> {
        let tables = self.declaration().map_or(&[][..], |catalog| &catalog.tables);
        tables.iter().filter(|table| self.tables.contains(&table.name))
    }

    /// The tables that a file should hold by its name; all that are wanted where its name fits none.
    pub(crate) fn tables_of(&self, file: &CatalogFile) -> Vec<&str> {
        match &self.kind {
            CatalogKind::Raw { table, .. } => vec![table],
            CatalogKind::Declared(_) => {
                let fits = |table: &&CatalogTable| placeholders(table, file).is_some();
                let fitting: Vec<&str> =
                    self.wanted_tables().filter(fits).map(|table| table.name.as_str()).collect();
                if fitting.is_empty() { self.tables.iter().map(String::as_str).collect() } else { fitting }
            }
        }
    }
}

/// What the placeholders of a table's file names stand for in this one; `None` where it fits none of them.
pub(crate) fn placeholders(table: &CatalogTable, file: &CatalogFile) -> Option<BTreeMap<String, String>> {
    let name = file.path.file_name()?.to_str()?;
    table.files.iter().find_map(|pattern| pattern.matches(name))
}

/// The declarations that come along and those of the run file, by name.
///
/// # Errors
/// Where one cannot be read, or a catalogue or a table is declared twice.
pub(crate) fn declarations(run_file: &RunFile) -> Result<Vec<Arc<Catalog>>> {
    let fault = |problem: String| setting("input.declarations", problem);
    let mut all: BTreeMap<String, (Arc<Catalog>, String)> = BTreeMap::new();
    let along = catalogs().into_iter().map(|catalog| (catalog, "the program".to_owned()));
    let mut found: Vec<(Catalog, String)> = along.collect();
    for path in declaration_files(&run_file.input.declarations)? {
        let text = fs_err::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let catalog =
            Catalog::parse(name, &text).map_err(|error| fault(format!("{}: {error}", path.display())))?;
        found.push((catalog, path.display().to_string()));
    }
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    for (catalog, origin) in found {
        for table in &catalog.tables {
            if let Some(other) = tables.insert(table.name.clone(), catalog.name.clone()) {
                let (table, name) = (&table.name, &catalog.name);
                return Err(fault(format!(
                    "`{other}` and `{name}` of {origin} both declare the table {table}"
                )));
            }
        }
        if let Some((_, other)) = all.get(&catalog.name) {
            return Err(fault(format!("`{}` is declared by {other} and by {origin}", catalog.name)));
        }
        all.insert(catalog.name.clone(), (Arc::new(catalog), origin));
    }
    Ok(all.into_values().map(|(catalog, _)| catalog).collect())
}

/// The files named, and the `*.toml` of the folders named, in order.
fn declaration_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let fault = |error: std::io::Error| setting("input.declarations", error.to_string());
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs_err::read_dir(path).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                inside.push(path);
            }
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// Resolves every `[[catalog]]`.
///
/// # Errors
/// Where one names nothing that is declared, has no files, or two files would be the same unit.
pub(crate) fn resolve(run_file: &RunFile, declarations: &[Arc<Catalog>]) -> Result<Vec<CatalogPlan>> {
    let plans: Vec<CatalogPlan> = run_file
        .catalog
        .iter()
        .map(|input| resolve_one(run_file, input, declarations))
        .collect::<Result<_>>()?;
    refuse_equal_units(&plans)?;
    Ok(plans)
}

fn resolve_one(
    run_file: &RunFile,
    input: &CatalogInput,
    declarations: &[Arc<Catalog>],
) -> Result<CatalogPlan> {
    let kind = resolve_kind(input, declarations)?;
    let label = if input.name.is_empty() { &input.raw } else { &input.name };
    if input.files.is_empty() {
        return Err(setting("catalog.files", format!("`{label}` has no files")));
    }
    let tables = match &kind {
        CatalogKind::Declared(catalog) => {
            check_declared(catalog, input)?;
            wanted_tables(catalog, input)?
        }
        CatalogKind::Raw { .. } => {
            check_raw(label, input)?;
            Vec::new()
        }
    };
    let mut files = Vec::new();
    for named in &input.files {
        for file in matching(&run_file.input.root, named)? {
            files.push(resolve_file(run_file, &file)?);
        }
    }
    let (release, specprod) = (given(&input.release), given(&input.specprod));
    let identity = match &kind {
        CatalogKind::Declared(catalog) => json!({
            "name": catalog.name,
            "declaration": catalog.canonical(),
            "release": release,
            "specprod": specprod,
        }),
        CatalogKind::Raw { table, hdu } => json!({ "raw": table, "hdu": hdu }),
    };
    let stage_hash = hash_of(Stage::Catalog, identity);
    Ok(CatalogPlan { kind, files, release, specprod, tables, stage_hash })
}

fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn resolve_kind(input: &CatalogInput, declarations: &[Arc<Catalog>]) -> Result<CatalogKind> {
    match (input.name.as_str(), input.raw.as_str()) {
        ("", "") => Err(setting("catalog", "give `name` (a declaration) or `raw` (a table)")),
        ("", raw) if is_sql_name(raw) => {
            Ok(CatalogKind::Raw { table: raw.to_owned(), hdu: given(&input.hdu) })
        }
        ("", raw) => {
            let rule = "use lower-case letters, digits and _, a letter first, 63 characters at most";
            Err(setting("catalog.raw", format!("`{raw}` is no name of a table: {rule}")))
        }
        (name, "") => Ok(CatalogKind::Declared(find(name, declarations)?)),
        (name, raw) => Err(setting("catalog", format!("`{name}` is declared or `{raw}` is raw, not both"))),
    }
}

fn check_declared(catalog: &Catalog, input: &CatalogInput) -> Result<()> {
    let label = &catalog.name;
    if !input.hdu.is_empty() {
        let problem = format!("the declaration of `{label}` says which HDU it reads");
        return Err(setting("catalog.hdu", problem));
    }
    let releases: Vec<&str> = catalog.releases.iter().map(|release| release.name.as_str()).collect();
    if !input.release.is_empty() && !releases.contains(&input.release.as_str()) {
        let known = releases.join(", ");
        let problem = format!("`{label}` has no release `{}`; it has {known}", input.release);
        return Err(setting("catalog.release", problem));
    }
    if !input.specprod.is_empty() && !is_plain_name(&input.specprod) {
        return Err(setting("catalog.specprod", format!("`{}` is no name of a production", input.specprod)));
    }
    Ok(())
}

fn check_raw(label: &str, input: &CatalogInput) -> Result<()> {
    let settings =
        [("release", &input.release), ("specprod", &input.specprod), ("tables", &input.tables.concat())];
    match settings.into_iter().find(|(_, value)| !value.is_empty()) {
        Some((key, _)) => {
            let problem = format!("`{label}` is raw: this is for declared catalogues");
            Err(setting(&format!("catalog.{key}"), problem))
        }
        None => Ok(()),
    }
}

fn find(name: &str, declarations: &[Arc<Catalog>]) -> Result<Arc<Catalog>> {
    declarations.iter().find(|catalog| catalog.name == name).cloned().ok_or_else(|| {
        let names = declarations.iter().map(|catalog| catalog.name.as_str());
        setting("catalog.name", format!("`{name}` is not declared{}", suggestion(name, names)))
    })
}

fn wanted_tables(catalog: &Catalog, input: &CatalogInput) -> Result<Vec<String>> {
    let names = || catalog.tables.iter().map(|table| table.name.as_str());
    if let Some(wrong) = input.tables.iter().find(|table| catalog.table(table).is_none()) {
        let problem = format!("`{}` has no table `{wrong}`{}", catalog.name, suggestion(wrong, names()));
        return Err(setting("catalog.tables", problem));
    }
    Ok(names()
        .filter(|name| input.tables.is_empty() || input.tables.iter().any(|wanted| wanted == name))
        .map(str::to_owned)
        .collect())
}

/// The name that was probably meant.
fn suggestion<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| (strsim::jaro_winkler(name, wrong), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

/// The files of a name with `*`, `?` or `[…]`, in order, as the run file could have named them; of any other that name.
fn matching(root: &Path, named: &Path) -> Result<Vec<PathBuf>> {
    let text = named.display().to_string();
    let whole = root.join(named);
    if !text.contains(['*', '?', '[']) || whole.exists() {
        return Ok(vec![named.to_owned()]);
    }
    let fault = |problem: String| setting("catalog.files", format!("{text}: {problem}"));
    // What the root is called is no pattern.
    let pattern = if named.is_absolute() || root.as_os_str().is_empty() {
        text.clone()
    } else {
        format!("{}/{text}", glob::Pattern::escape(&root.display().to_string()))
    };
    let mut found = Vec::new();
    for path in glob::glob(&pattern).map_err(|error| fault(error.to_string()))? {
        let path = path.map_err(|error| fault(error.to_string()))?;
        if path.is_file() {
            let below = if named.is_absolute() { &path } else { path.strip_prefix(root).unwrap_or(&path) };
            found.push(below.to_owned());
        }
    }
    found.sort();
    if found.is_empty() { Err(fault("no file has such a name".to_owned())) } else { Ok(found) }
}

fn resolve_file(run_file: &RunFile, file: &Path) -> Result<CatalogFile> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    let stem = [".fits", ".fit", ".fts"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
    if !is_plain_name(stem) {
        let rule = "its name is part of unit ids: use letters, digits, `_`, `-` and `.`, 64 at most";
        return Err(setting("catalog.files", format!("{}: {rule}", file.display())));
    }
    let path = run_file.input.root.join(file);
    Ok(CatalogFile { name: file.display().to_string(), path, stem: stem.to_owned() })
}

/// A unit is a table and a file's stem: no two files may share both.
fn refuse_equal_units(plans: &[CatalogPlan]) -> Result<()> {
    let mut seen: BTreeMap<(bool, &str, &str), &CatalogFile> = BTreeMap::new();
    for plan in plans {
        for file in &plan.files {
            for table in plan.tables_of(file) {
                let unit = (plan.declaration().is_some(), table, file.stem.as_str());
                if let Some(other) = seen.insert(unit, file) {
                    let (a, b) = (&other.name, &file.name);
                    return Err(setting(
                        "catalog.files",
                        format!(
                            "{a} and {b} have the same name for table {table}: rename one, by a link say"
                        ),
                    ));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_file(text: &str) -> RunFile {
        RunFile::parse(text, Path::new("run.toml")).unwrap()
    }

    fn problem(text: &str) -> String {
        let run_file = run_file(text);
        let error = declarations(&run_file).and_then(|known| resolve(&run_file, &known)).unwrap_err();
        assert_eq!(error.exit(), crate::exit::Exit::BadPlan);
        error.to_string()
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused_before_anything_starts() {
        let files = "files = [\"zall-pix-iron.fits\"]\n";
        for (text, expected) in [
            ("name = \"zall-pxi\"\n", "`zall-pxi` is not declared; did you mean `zall-pix`?"),
            ("", "give `name` (a declaration) or `raw` (a table)"),
            ("name = \"zall-pix\"\nraw = \"x\"\n", "not both"),
            ("raw = \"My Table\"\n", "is no name of a table"),
            ("raw = \"x\"\ntables = [\"y\"]\n", "this is for declared catalogues"),
            ("name = \"zall-pix\"\ntables = [\"zpx\"]\n", "has no table `zpx`; did you mean `zpix`?"),
            ("name = \"zall-pix\"\nrelease = \"iron v9\"\n", "has no release `iron v9`; it has "),
            ("name = \"zall-pix\"\nhdu = \"ZCATALOG\"\n", "says which HDU it reads"),
            ("name = \"zall-pix\"\nspecprod = \"a/b\"\n", "is no name of a production"),
        ] {
            let text = problem(&format!("[[catalog]]\n{text}{files}"));
            assert!(text.contains(expected), "{text}");
        }
        let text = problem("[[catalog]]\nname = \"zall-pix\"\n");
        assert!(text.contains("`zall-pix` has no files"), "{text}");
    }

    #[test]
    fn a_pattern_stands_for_the_files_that_fit_it_in_order() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a[1]");
        for name in ["b/emline-2.fits", "a/emline-1.fits", "a/other.fits", "emline-0.fits"] {
            let path = folder.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let found = |named: &str| matching(&folder, Path::new(named));
        let names: Vec<PathBuf> = ["a/emline-1.fits", "b/emline-2.fits"].map(PathBuf::from).to_vec();
        assert_eq!(found("*/emline-*.fits").unwrap(), names);
        // A plain name may be of a file that is not there: that is found out when it is wanted.
        assert_eq!(found("gone.fits").unwrap(), [PathBuf::from("gone.fits")]);
        assert!(found("*/none-*.fits").unwrap_err().to_string().contains("no file has such a name"));
    }

    #[test]
    fn two_files_of_one_name_are_refused_with_both() {
        let text = problem(
            "[[catalog]]\nname = \"zall-pix\"\nfiles = [\"a/zall-pix-iron.fits\", \"b/zall-pix-iron.fits.gz\"]\n",
        );
        assert!(text.contains("a/zall-pix-iron.fits and b/zall-pix-iron.fits.gz"), "{text}");
        let raw = "[[catalog]]\nraw = \"mine\"\nfiles = [\"a/zall-pix-iron.fits\"]\n";
        let declared = "[[catalog]]\nname = \"zall-pix\"\nfiles = [\"a/zall-pix-iron.fits\"]\n";
        let run_file = run_file(&format!("{raw}{declared}"));
        let plans = resolve(&run_file, &declarations(&run_file).unwrap()).unwrap();
        assert_eq!(plans.iter().map(CatalogPlan::name).collect::<Vec<_>>(), ["mine", "zall-pix"]);
    }

    #[test]
    fn a_declaration_of_the_run_file_is_one_among_the_others_and_none_is_declared_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mine.toml");
        let table = |name: &str| {
            format!(
                "title = \"a\"\nreference = \"b\"\nfiles = [\"mine.fits\"]\n[[release]]\nname = \"first\"\n[[table]]\n\
                 name = \"{name}\"\ndescription = \"c\"\nkey = [\"id\"]\ncolumns = [{{ fits = \"ID\", type = \"int64\", \
                 required = true, description = \"d\" }}]\n"
            )
        };
        fs_err::write(&mine, table("mine")).unwrap();
        let mut run_file = RunFile::default();
        run_file.input.declarations = vec![folder.path().to_owned()];
        let names: Vec<String> =
            declarations(&run_file).unwrap().iter().map(|catalog| catalog.name.clone()).collect();
        assert!(names.contains(&"mine".to_owned()) && names.contains(&"zall-pix".to_owned()), "{names:?}");
        fs_err::write(&mine, table("zpix")).unwrap();
        let text = declarations(&run_file).unwrap_err().to_string();
        assert!(text.contains("both declare the table zpix"), "{text}");
        fs_err::write(&mine, table("mine")).unwrap();
        run_file.input.declarations.push(mine);
        assert!(declarations(&run_file).is_err());
    }

    #[test]
    fn only_what_decides_rows_is_in_the_hash() {
        let hash = |text: &str| {
            let run_file = run_file(&format!("[[catalog]]\nname = \"zall-pix\"\n{text}"));
            resolve(&run_file, &declarations(&run_file).unwrap()).unwrap()[0].stage_hash.clone()
        };
        let plain = hash("files = [\"zall-pix-iron.fits\"]\n");
        assert_eq!(plain, hash("files = [\"x/zpix-main-dark.fits\"]\ntables = [\"zpix\"]\n"));
        assert_ne!(plain, hash("files = [\"zall-pix-iron.fits\"]\nspecprod = \"iron\"\n"));
    }
}
