//! From files to units.

use std::collections::BTreeMap;

use super::examine::Examined;
use super::tiles::TileTable;
use super::walk::{FileKind, Production};
use super::{Inventory, InventoryEntry, InventoryError, Request, UnitState};
use crate::unit::UnitId;

/// Joins coadds and redrock files of the same unit.
pub(super) fn assemble(examined: Vec<Examined>, request: &Request) -> Result<Inventory, InventoryError> {
    let mut units: BTreeMap<UnitId, Vec<Examined>> = BTreeMap::new();
    let mut strays = Vec::new();
    let mut notes = Vec::new();
    for file in examined {
        match &file.unit {
            Ok(identified) => {
                if identified.nside_assumed && file.fault.is_none() {
                    notes.push(format!("{}: no HPXNSIDE, 64 assumed", file.file.path.display()));
                }
                units.entry(identified.unit.clone()).or_default().push(file);
            }
            Err(reason) => {
                let reason = reason.clone();
                strays.push(stray(file, reason));
            }
        }
    }
    let mut tables = TileTables::default();
    let mut entries = Vec::with_capacity(units.len());
    for (unit, files) in units {
        if !is_wanted(&unit, request) {
            continue;
        }
        if has_repeats(&files) {
            strays.extend(refuse_repeats(&unit, files));
        } else {
            entries.push(join(unit, files, &mut tables)?);
        }
    }
    strays.sort_by_key(InventoryEntry::describe);
    entries.extend(strays);
    Ok(Inventory { entries, ignored: 0, notes })
}

fn is_wanted(unit: &UnitId, request: &Request) -> bool {
    let id = unit.to_string();
    request.units.is_empty() || request.units.iter().any(|prefix| id.starts_with(prefix))
}

fn has_repeats(files: &[Examined]) -> bool {
    let count = |kind| files.iter().filter(|file| file.kind == kind).count();
    count(FileKind::Coadd) > 1 || count(FileKind::Redrock) > 1
}

/// A unit found twice is no unit: which file is right cannot be known.
fn refuse_repeats(unit: &UnitId, files: Vec<Examined>) -> Vec<InventoryEntry> {
    let paths: Vec<String> = files.iter().map(|file| file.file.path.display().to_string()).collect();
    let reason = format!("unit {unit} is in more than one file: {}", paths.join(", "));
    files.into_iter().map(|file| stray(file, reason.clone())).collect()
}

/// A file without a unit.
fn stray(file: Examined, reason: String) -> InventoryEntry {
    let (coadd, redrock) = match file.kind {
        FileKind::Coadd => (Some(file.file), None),
        FileKind::Redrock => (None, Some(file.file)),
    };
    InventoryEntry {
        unit: None,
        survey: None,
        program: None,
        coadd,
        redrock,
        state: UnitState::Broken(reason),
    }
}

fn join(
    unit: UnitId,
    files: Vec<Examined>,
    tables: &mut TileTables,
) -> Result<InventoryEntry, InventoryError> {
    let production = files.iter().find_map(|file| file.production.clone());
    let (survey, program) = match &unit {
        UnitId::Healpix { survey, program, .. } => (Some(survey.clone()), Some(program.clone())),
        // No file is a model's.
        UnitId::Model { .. } | UnitId::Catalog { .. } => (None, None),
        UnitId::Tile { tileid, .. } => tables.look_up(*tileid, production.as_ref())?,
    };
    let faults: Vec<String> = files.iter().filter_map(|file| file.fault.clone()).collect();
    let (mut coadd, mut redrock) = (None, None);
    for file in files {
        match file.kind {
            FileKind::Coadd => coadd = Some(file.file),
            FileKind::Redrock => redrock = Some(file.file),
        }
    }
    let state = match (faults.is_empty(), &coadd, &redrock) {
        (false, _, _) => UnitState::Broken(faults.join("; ")),
        (true, Some(_), Some(_)) => UnitState::Complete,
        (true, Some(_), None) => UnitState::NoRedrock,
        (true, None, _) => UnitState::NoCoadd,
    };
    Ok(InventoryEntry { unit: Some(unit), survey, program, coadd, redrock, state })
}

/// The tiles tables of the productions met, each read once.
#[derive(Default)]
struct TileTables {
    read: BTreeMap<std::path::PathBuf, Option<TileTable>>,
}

impl TileTables {
    fn look_up(
        &mut self,
        tileid: u32,
        production: Option<&Production>,
    ) -> Result<(Option<String>, Option<String>), InventoryError> {
        let Some(production) = production else { return Ok((None, None)) };
        if !self.read.contains_key(&production.folder) {
            let table = TileTable::read(&production.folder, &production.name)?;
            self.read.insert(production.folder.clone(), table);
        }
        let table = self.read.get(&production.folder).and_then(Option::as_ref);
        Ok(table.map_or((None, None), |table| (table.survey(tileid), table.program(tileid))))
    }
}
