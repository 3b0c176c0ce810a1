//! What decides the bytes of a run, by name: stage hashes, and what they are made of besides settings.

use std::collections::BTreeMap;

use specmill_schemas::constants;

use crate::declared::CatalogPlan;
use crate::digest::sha256_hex;
use crate::plan::Plan;
use crate::stage::Stage;

impl Plan {
    /// The hashes of some stages: by stage, and by stage and catalogue or model where each has its own. `models` are
    /// names and hashes of those that are fitted or given.
    pub(crate) fn stage_hashes(
        &self,
        stages: &[Stage],
        models: &[(String, String)],
    ) -> BTreeMap<String, String> {
        let mut hashes = BTreeMap::new();
        let embed_hash = self.embed_hash(models);
        for &stage in stages {
            let mut put = |of: &str, hash: String| {
                let name =
                    if of.is_empty() { stage.name().to_owned() } else { format!("{}/{of}", stage.name()) };
                hashes.insert(name, hash);
            };
            match stage {
                // They leave nothing that is made under a hash of their own.
                Stage::Inventory | Stage::Load => {}
                Stage::Catalog => self.catalogs.iter().for_each(|of| put(of.name(), of.stage_hash.clone())),
                Stage::Extract => put("", self.extract_hash.clone()),
                Stage::FitBasis => self.models.iter().for_each(|of| put(&of.name, self.fit_hash(of))),
                Stage::Embed => put("", embed_hash.clone()),
                Stage::Neighbors => {
                    models.iter().for_each(|(name, hash)| put(name, self.neighbors_hash(hash, &embed_hash)));
                }
            }
        }
        hashes
    }

    /// What stage hashes are made of besides settings: versions and digests, by name.
    pub(crate) fn contents(&self) -> BTreeMap<String, String> {
        let mut contents = BTreeMap::new();
        for &stage in &self.stages {
            contents.insert(format!("version of {stage}"), stage.version().to_string());
        }
        if self.has_spectra() {
            let digests: Vec<String> =
                constants::FILES.iter().map(|text| sha256_hex(text.as_bytes())).collect();
            contents.insert("constants".to_owned(), sha256_hex(digests.join(" ").as_bytes()));
        }
        if let Some(sha256) = &self.redshifts_sha256 {
            contents.insert("redshift catalogue".to_owned(), sha256.clone());
        }
        for model in &self.models {
            if let Some((_, hash)) = &model.given {
                contents.insert(format!("given model {}", model.name), hash.clone());
            }
        }
        for declaration in self.catalogs.iter().filter_map(CatalogPlan::declaration) {
            let sha256 = sha256_hex(declaration.canonical().as_bytes());
            contents.insert(format!("declaration {}", declaration.name), sha256);
        }
        contents
    }
}
