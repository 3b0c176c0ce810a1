//! What the stages before have left, as their accounts say.

use crate::class::Class;
use crate::digest::sha256_hex;
use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::ledger::{FileRecord, Ledger, LedgerRow, State};
use crate::model::Model;
use crate::plan::{ModelPlan, Plan};
use crate::stage::Stage;
use crate::unit::UnitId;

use super::extract::output_path;

/// Accounts of the inventory's units that were extracted under the present settings and whose files stand, in the
/// order of the units' text, which is the order of every key.
///
/// # Errors
/// Where the ledger cannot be read.
pub(crate) fn extracted(plan: &Plan, inventory: &Inventory) -> Result<Vec<LedgerRow>> {
    let ledger = Ledger::of_run(&plan.folder);
    let mut rows = Vec::new();
    for unit in inventory.entries.iter().filter_map(|entry| entry.unit.as_ref()) {
        let row = ledger.read(Stage::Extract, unit)?;
        rows.extend(row.filter(|row| {
            row.state == State::Done && row.stage_hash == plan.extract_hash && row.outputs_stand(&plan.folder)
        }));
    }
    rows.sort_by_cached_key(|row| row.unit.to_string());
    Ok(rows)
}

/// The spectra of a class that an extraction left.
pub(super) fn spectra_of(row: &LedgerRow, class: Class) -> Option<&FileRecord> {
    let path = output_path(Some(class), &row.unit);
    row.outputs.iter().find(|file| path == std::path::Path::new(&file.path))
}

/// The features that an extraction left.
pub(super) fn features_of(row: &LedgerRow) -> Option<&FileRecord> {
    let path = output_path(None, &row.unit);
    row.outputs.iter().find(|file| path == std::path::Path::new(&file.path))
}

/// Many files as one record: their number of bytes, and the digest of their paths and digests.
pub(crate) fn as_one(path: &str, files: &[&FileRecord]) -> FileRecord {
    let text: String = files
        .iter()
        .map(|file| format!("{} {} {}\n", file.path, file.bytes, file.sha256.as_deref().unwrap_or("-")))
        .collect();
    FileRecord {
        path: path.to_owned(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        sha256: Some(sha256_hex(text.as_bytes())),
    }
}

/// The unit of a model's global results.
pub(crate) fn model_unit(name: &str) -> UnitId {
    UnitId::Model { name: name.to_owned() }
}

/// A model that this run has, ready for use.
pub(crate) struct ReadyModel<'a> {
    pub(crate) plan: &'a ModelPlan,
    pub(crate) model: Model,
}

/// The models of the plan that are fitted under the present settings; a class too small for one has none.
///
/// # Errors
/// Where a model folder is damaged.
pub(crate) fn ready_models(plan: &Plan) -> Result<Vec<ReadyModel<'_>>> {
    let ledger = Ledger::of_run(&plan.folder);
    let mut ready = Vec::new();
    for model in &plan.models {
        let row = ledger.read(Stage::FitBasis, &model_unit(&model.name))?;
        let done = row.is_some_and(|row| row.state == State::Done && row.stage_hash == plan.fit_hash(model));
        if done {
            let folder = crate::model::folder(&plan.folder, &model.name);
            ready.push(ReadyModel { plan: model, model: Model::read(&folder)? });
        }
    }
    Ok(ready)
}

/// Refuses to go on where nobody has tried to fit a model of the plan: its absence would be taken for a class too
/// small for one.
///
/// # Errors
/// [`Error::NotFitted`], or where the ledger cannot be read.
pub(crate) fn expect_fits(plan: &Plan) -> Result<()> {
    let ledger = Ledger::of_run(&plan.folder);
    for model in &plan.models {
        let row = ledger.read(Stage::FitBasis, &model_unit(&model.name))?;
        if row.is_none_or(|row| row.stage_hash != plan.fit_hash(model)) {
            return Err(Error::NotFitted { model: model.name.clone(), folder: plan.folder.clone() });
        }
    }
    Ok(())
}

/// Names and hashes of models, as hashes of later stages hold them.
pub(crate) fn model_hashes(models: &[ReadyModel<'_>]) -> Vec<(String, String)> {
    models.iter().map(|ready| (ready.plan.name.clone(), ready.model.card.model_hash.clone())).collect()
}
