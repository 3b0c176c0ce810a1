//! Finding files: fixed depths, sorted order, nothing opened.

use std::path::{Path, PathBuf};

use super::{InventoryError, Request};

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileKind {
    Coadd,
    Redrock,
}

/// A coadd or redrock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// By name; an explicit file of another name is told by its content.
    pub(super) kind: Option<FileKind>,
    /// The `<specprod>` folder it was found under, and the production's name.
    pub(super) production: Option<Production>,
}

/// A `<specprod>` folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Production {
    pub(super) name: String,
    pub(super) folder: PathBuf,
}

/// All candidates in a fixed order, and how many other files were seen.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    pub(super) ignored: u64,
}

/// Folders below `healpix/` and `tiles/cumulative/` down to the files.
const HEALPIX_LEVELS: usize = 4;
const TILE_LEVELS: usize = 2;

/// Lists the files of every root, then the explicit ones.
pub(super) fn find_files(request: &Request) -> Result<Found, InventoryError> {
    let mut found = Found::default();
    for root in &request.roots {
        for production in find_productions(root, request.specprod.as_deref())? {
            let branches = [
                (production.folder.join("healpix"), HEALPIX_LEVELS),
                (production.folder.join("tiles").join("cumulative"), TILE_LEVELS),
            ];
            for (folder, levels) in branches {
                if folder.is_dir() {
                    descend(&folder, levels, &production, &mut found)?;
                }
            }
        }
    }
    for path in &request.files {
        let candidate = Candidate { path: path.clone(), kind: kind_of(path), production: None };
        if !found.candidates.iter().any(|known| known.path == *path) {
            found.candidates.push(candidate);
        }
    }
    Ok(found)
}

/// The kind of a file by its name.
pub(super) fn kind_of(path: &Path) -> Option<FileKind> {
    let name = path.file_name()?.to_str()?;
    if !(name.ends_with(".fits") || name.ends_with(".fits.gz")) {
        return None;
    }
    let prefixes = [("coadd-", FileKind::Coadd), ("redrock-", FileKind::Redrock)];
    prefixes.into_iter().find_map(|(prefix, kind)| name.starts_with(prefix).then_some(kind))
}

/// Productions below a root: `spectro/redux/*`, the root's own folders, or the root itself.
fn find_productions(root: &Path, wanted: Option<&str>) -> Result<Vec<Production>, InventoryError> {
    if is_production(root) {
        // The folder may have any name: what the caller says comes first.
        let own =
            fs_err::canonicalize(root).ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        if let Some(name) = wanted.map(str::to_owned).or(own) {
            return Ok(vec![Production { name, folder: root.to_owned() }]);
        }
    }
    let redux = root.join("spectro").join("redux");
    let parent = if redux.is_dir() { redux } else { root.to_owned() };
    let mut productions = Vec::new();
    for (name, folder) in list(&parent)? {
        if folder.is_dir() && is_production(&folder) && wanted.is_none_or(|wanted| wanted == name) {
            productions.push(Production { name, folder });
        }
    }
    if productions.is_empty() {
        let specprod = wanted.map(str::to_owned);
        return Err(InventoryError::NotARelease { root: root.to_owned(), specprod });
    }
    Ok(productions)
}

fn is_production(folder: &Path) -> bool {
    folder.join("healpix").is_dir() || folder.join("tiles").is_dir()
}

fn descend(
    folder: &Path,
    levels: usize,
    production: &Production,
    found: &mut Found,
) -> Result<(), InventoryError> {
    for (_, path) in list(folder)? {
        if path.is_dir() {
            if levels > 0 {
                descend(&path, levels - 1, production, found)?;
            }
            continue;
        }
        match kind_of(&path) {
            Some(kind) if levels == 0 => found.candidates.push(Candidate {
                path,
                kind: Some(kind),
                production: Some(production.clone()),
            }),
            _ => found.ignored += 1,
        }
    }
    Ok(())
}

/// A folder's entries, sorted by name. Names that are not text are left out: DESI has none.
fn list(folder: &Path) -> Result<Vec<(String, PathBuf)>, InventoryError> {
    let unreadable = |source| InventoryError::Unreadable { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}
