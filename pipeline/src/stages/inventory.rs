//! `inventory`: a release tree → `inventory.parquet`.

use std::path::PathBuf;

use crate::config::DigestSetting;
use crate::error::{Error, Result};
use crate::inventory::{Digest, DigestCache, Inventory, Request};
use crate::plan::Plan;
use crate::sink;
use crate::stage::Stage;
use crate::stages::catalog;

/// Digests of files seen before; beside the inventory, because it holds file times.
const CACHE: &str = "inventory-cache.json";

fn request(plan: &Plan, digest: Digest) -> Request {
    let input = &plan.run_file.input;
    Request {
        roots: if input.files.is_empty() { vec![input.root.clone()] } else { Vec::new() },
        files: input.files.clone(),
        specprod: Some(input.specprod.clone()).filter(|name| !name.is_empty()),
        units: input.units.clone(),
        digest,
    }
}

fn path(plan: &Plan) -> PathBuf {
    plan.folder.join("inventory.parquet")
}

/// Takes the inventory and leaves it in the run folder; that of catalogues too, where their own stage is left to others.
///
/// # Errors
/// Where the tree cannot be walked or the run folder cannot be written.
pub fn run(plan: &Plan) -> Result<Inventory> {
    if !plan.catalogs.is_empty() && !plan.stages.contains(&Stage::Catalog) {
        catalog::survey(plan)?;
    }
    if !plan.has_spectra() {
        return Ok(Inventory::default());
    }
    let digest = match plan.run_file.input.digest {
        DigestSetting::Full => Digest::Full,
        DigestSetting::None => Digest::None,
    };
    let cache_path = plan.folder.join(CACHE);
    let (inventory, cache) = Inventory::take(&request(plan, digest), &DigestCache::read(&cache_path))?;
    for note in &inventory.notes {
        tracing::info!("{note}");
    }
    inventory.write(&plan.folder)?;
    sink::write_record(&plan.folder, &cache_path, cache.to_json().as_bytes())?;
    Ok(inventory)
}

/// Looks at the tree without digests and without leaving anything.
///
/// # Errors
/// Where the tree cannot be walked.
pub fn survey(plan: &Plan) -> Result<Inventory> {
    if !plan.has_spectra() {
        return Ok(Inventory::default());
    }
    let (inventory, _) = Inventory::take(&request(plan, Digest::None), &DigestCache::default())?;
    Ok(inventory)
}

/// The inventory an earlier run left; without one it is empty where only catalogues are asked for.
///
/// # Errors
/// Where there is none, or it cannot be understood.
pub fn load(plan: &Plan) -> Result<Inventory> {
    let path = path(plan);
    if !path.exists() {
        let catalogs_alone = plan.stages.iter().all(|stage| matches!(stage, Stage::Catalog | Stage::Load));
        if !plan.has_spectra() || (catalogs_alone && !plan.catalogs.is_empty()) {
            return Ok(Inventory::default());
        }
        return Err(Error::NoInventory { folder: plan.folder.clone() });
    }
    Ok(Inventory::read(&path)?)
}
