//! Looking into one file: its size, its header, its number of rows, its unit.

use std::error::Error;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::error::reason_of;
use crate::fits::{CoaddKeywords, OpenOptions, Source, coadd_rows, redrock_rows};

use super::claims::{Claims, Identified};
use super::walk::{Candidate, FileKind, Production};
use super::{InventoryFile, Request, relative_path};

/// A file and what it says about itself.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) kind: FileKind,
    pub(super) file: InventoryFile,
    pub(super) unit: Result<Identified, String>,
    /// Damage that leaves its unit known.
    pub(super) fault: Option<String>,
    pub(super) production: Option<Production>,
}

/// Examines every file, in the order given.
pub(super) fn examine_all(candidates: &[Candidate], request: &Request) -> Vec<Examined> {
    candidates.par_iter().map(|candidate| examine(candidate, request)).collect()
}

fn examine(candidate: &Candidate, request: &Request) -> Examined {
    let path = &candidate.path;
    let relative = relative_path(request, path);
    let bytes = fs_err::metadata(path).map_or(0, |metadata| metadata.len());
    let source = Source::open(path, &OpenOptions::default());
    let kind = candidate.kind.unwrap_or_else(|| kind_by_content(source.as_ref().ok()));
    // Reasons go into the inventory, whose bytes do not depend on where the release lies.
    let in_words = |err: &dyn Error| {
        reason_of(err).replace(&path.display().to_string(), &relative.display().to_string())
    };
    let (rows, header, fault) = match &source {
        Ok(source) => {
            let rows = match kind {
                FileKind::Coadd => coadd_rows(source),
                FileKind::Redrock => redrock_rows(source),
            };
            let header = Some(CoaddKeywords::read(source));
            match rows {
                Ok(rows) => (Some(rows), header, None),
                Err(err) => (None, header, Some(in_words(&err))),
            }
        }
        Err(err) => (None, None, Some(in_words(err))),
    };
    let unit = identify(candidate, header.as_ref(), request).map_err(|reason| {
        // A file that cannot be opened has that as its first reason.
        fault.clone().unwrap_or_else(|| format!("{}: {reason}", relative.display()))
    });
    let file = InventoryFile { path: relative, bytes, rows, sha256: None };
    Examined { kind, file, unit, fault, production: production_of(candidate) }
}

fn identify(
    candidate: &Candidate,
    header: Option<&CoaddKeywords>,
    request: &Request,
) -> Result<Identified, String> {
    let specprod = match &candidate.production {
        Some(production) => Some(production.name.as_str()),
        None => request.specprod.as_deref(),
    };
    let folder = Claims::of_folder(&candidate.path, specprod)?;
    let name = Claims::of_name(&candidate.path);
    let mut claims = folder.merge("folder", name, "name")?;
    if let Some(header) = header {
        claims = claims.merge("path", Claims::of_header(header)?, "header")?;
    }
    claims.identify()
}

/// The `<specprod>` folder of an explicit file that lies in a tree.
fn production_of(candidate: &Candidate) -> Option<Production> {
    if let Some(production) = &candidate.production {
        return Some(production.clone());
    }
    let folder: PathBuf = candidate
        .path
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "healpix" || name == "tiles"))?
        .parent()?
        .to_owned();
    let name = folder.file_name()?.to_str()?.to_owned();
    Some(Production { name, folder })
}

/// An explicit file whose name says nothing: redshifts are redrock, anything else a coadd.
fn kind_by_content(source: Option<&Source>) -> FileKind {
    let has = |name: &str| source.is_some_and(|source| source.find(name).is_some());
    if has("REDSHIFTS") || has("ZBEST") { FileKind::Redrock } else { FileKind::Coadd }
}
