//! One unit on its way through `extract`: what is known once its tables are read.

use std::path::PathBuf;

use crate::config::{RedshiftSource, RunFile};
use crate::fits::{CoaddFile, Fibermap, FitsError, Lookup, RedshiftTable, read_redrock};
use crate::inventory::InventoryEntry;
use crate::ledger::FileRecord;
use crate::unit::UnitId;

use super::target::{self, Known};

/// A unit of the inventory with absolute paths.
#[derive(Debug, Clone)]
pub(super) struct UnitInput {
    pub(super) id: UnitId,
    pub(super) survey: Option<String>,
    pub(super) program: Option<String>,
    pub(super) coadd: Option<PathBuf>,
    pub(super) redrock: Option<PathBuf>,
    /// Rows the inventory saw.
    pub(super) rows: u64,
    /// Input files as recorded in the ledger.
    pub(super) files: Vec<FileRecord>,
    /// Why the inventory could not accept it.
    pub(super) broken: Option<String>,
}

impl UnitInput {
    /// From an inventory entry; nothing where the entry has no unit. Paths outside `root` are kept.
    pub(super) fn new(entry: &InventoryEntry, root: &std::path::Path) -> Option<Self> {
        let records = [&entry.coadd, &entry.redrock];
        Some(Self {
            id: entry.unit.clone()?,
            survey: entry.survey.clone(),
            program: entry.program.clone(),
            coadd: entry.coadd.as_ref().map(|file| root.join(&file.path)),
            redrock: entry.redrock.as_ref().map(|file| root.join(&file.path)),
            rows: entry.coadd.as_ref().and_then(|file| file.rows).unwrap_or(0),
            files: records
                .into_iter()
                .flatten()
                .map(|file| FileRecord {
                    path: file.path.display().to_string(),
                    bytes: file.bytes,
                    sha256: file.sha256.clone(),
                })
                .collect(),
            broken: entry.state.reason().map(str::to_owned),
        })
    }

    /// The coadd's digest, where the inventory took one.
    pub(super) fn coadd_sha256(&self) -> Option<&str> {
        self.coadd.as_ref()?;
        self.files.first()?.sha256.as_deref()
    }
}

/// A target's redshift, owned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TargetRedshift {
    pub(super) z: Option<f64>,
    pub(super) zerr: Option<f64>,
    pub(super) zwarn: Option<i64>,
    pub(super) deltachi2: Option<f64>,
    pub(super) spectype: String,
    pub(super) subtype: Option<String>,
    pub(super) ambiguous: bool,
}

/// A unit whose tables have been read.
#[derive(Debug)]
pub(super) struct UnitContext {
    pub(super) input: UnitInput,
    pub(super) fibermap: Fibermap,
    pub(super) redshifts: Vec<Option<TargetRedshift>>,
    pub(super) repeats: Vec<bool>,
    pub(super) arm_present: [bool; 3],
    /// Whether the unit's own redrock file was expected and is not there.
    pub(super) no_redrock: bool,
    pub(super) notes: Vec<String>,
}

impl UnitContext {
    /// Opens a unit's coadd and gathers its tables.
    pub(super) fn open(
        input: UnitInput,
        coadd_path: &std::path::Path,
        run_file: &RunFile,
        catalog: Option<&RedshiftTable>,
    ) -> Result<(Self, CoaddFile), FitsError> {
        let mut coadd = CoaddFile::open(coadd_path)?;
        let fibermap = coadd.fibermap()?;
        let mut notes: Vec<String> = fibermap.warnings.clone();
        if !fibermap.absent.is_empty() {
            notes.push(format!("not in the file: {}", fibermap.absent.join(", ")));
        }
        let own;
        let expects_redrock = run_file.redshifts.source == RedshiftSource::Redrock;
        let table = match (&input.redrock, expects_redrock) {
            (Some(path), true) => {
                own = read_redrock(path)?;
                Some(&own)
            }
            (None, true) => None,
            (_, false) => catalog,
        };
        let default_spectype = &run_file.redshifts.default_spectype;
        let redshifts = match table {
            Some(table) => table
                .for_targets(&fibermap.targetid)
                .into_iter()
                .map(|lookup| target_redshift(lookup, default_spectype))
                .collect(),
            None => vec![None; fibermap.targetid.len()],
        };
        let context = Self {
            repeats: target::repeats(&fibermap.targetid),
            arm_present: coadd.arms().map(|arm| arm.is_some()),
            no_redrock: expects_redrock && input.redrock.is_none(),
            input,
            fibermap,
            redshifts,
            notes,
        };
        Ok((context, coadd))
    }

    /// What is known of a row before its spectrum is read.
    pub(super) fn known(&self, row: usize) -> Known<'_> {
        Known {
            objtype: self.fibermap.objtype.as_ref().map(|objtype| objtype[row].as_str()),
            redshift: self.redshifts[row].as_ref().map(|redshift| target::Redshift {
                // A redshift that is not finite is out of every range.
                z: redshift.z.unwrap_or(f64::NAN),
                zwarn: redshift.zwarn,
                spectype: &redshift.spectype,
                ambiguous: redshift.ambiguous,
            }),
            is_repeat: self.repeats[row],
        }
    }
}

fn target_redshift(lookup: Lookup<'_>, default_spectype: &str) -> Option<TargetRedshift> {
    match lookup {
        Lookup::Missing => None,
        Lookup::Ambiguous { .. } => Some(TargetRedshift {
            z: None,
            zerr: None,
            zwarn: None,
            deltachi2: None,
            spectype: default_spectype.to_owned(),
            subtype: None,
            ambiguous: true,
        }),
        Lookup::Found(found) => Some(TargetRedshift {
            z: found.z,
            zerr: found.zerr,
            zwarn: found.zwarn,
            deltachi2: found.deltachi2,
            spectype: found.spectype.unwrap_or(default_spectype).to_owned(),
            subtype: found.subtype.map(str::to_owned),
            ambiguous: false,
        }),
    }
}
