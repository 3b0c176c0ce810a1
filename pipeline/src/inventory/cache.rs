//! Digests, and the cache that spares reading a file again.
//!
//! The cache knows modification times and is a file of its own: `inventory.parquet` has the same
//! bytes wherever and whenever it is made.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::digest::sha256_file;
use crate::error::reason_of;

use super::{Digest, Inventory, InventoryEntry, InventoryFile, Request, UnitState};

/// Digests of files by path, valid while size and time are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DigestCache {
    files: BTreeMap<String, CachedDigest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CachedDigest {
    bytes: u64,
    mtime_ns: i64,
    sha256: String,
}

impl DigestCache {
    /// Reads a cache; anything that is not one is an empty cache.
    pub fn read(path: &Path) -> Self {
        fs_err::read_to_string(path)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// The cache as JSON.
    pub fn to_json(&self) -> String {
        // Numbers and strings always serialise; an empty text would read as an empty cache.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Number of files known.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether no file is known.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The SHA-256 of the file at `path`, which is known here as `name`; read where it is not, and then kept.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(crate) fn digest(&mut self, name: &str, path: &Path) -> std::io::Result<String> {
        let digest = self.digest_of(name, path)?;
        let sha256 = digest.sha256.clone();
        self.files.insert(name.to_owned(), digest);
        Ok(sha256)
    }

    fn digest_of(&self, name: &str, path: &Path) -> std::io::Result<CachedDigest> {
        let metadata = fs_err::metadata(path)?;
        let bytes = metadata.len();
        let mtime_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        if let Some(known) = self.get(name, bytes, mtime_ns) {
            return Ok(known.clone());
        }
        let sha256 = sha256_file(path)?;
        Ok(CachedDigest { bytes, mtime_ns, sha256 })
    }

    fn get(&self, path: &str, bytes: u64, mtime_ns: i64) -> Option<&CachedDigest> {
        self.files.get(path).filter(|known| known.bytes == bytes && known.mtime_ns == mtime_ns)
    }
}

/// Fills in the digests; a file that cannot be read to its end breaks its entry.
pub(super) fn add_digests(inventory: &mut Inventory, request: &Request, known: &DigestCache) -> DigestCache {
    if request.digest == Digest::None {
        return DigestCache::default();
    }
    let results: Vec<Vec<(String, CachedDigest)>> = inventory
        .entries
        .par_iter_mut()
        .map(|entry| {
            let mut fresh = Vec::new();
            let InventoryEntry { coadd, redrock, state, .. } = entry;
            for file in [coadd, redrock].into_iter().flatten() {
                match digest(file, request, known) {
                    Ok(digest) => {
                        file.sha256 = Some(digest.sha256.clone());
                        fresh.push((file.path.display().to_string(), digest));
                    }
                    Err(err) => {
                        let reason = format!("{}: {}", file.path.display(), reason_of(&err));
                        if state.reason().is_none() {
                            *state = UnitState::Broken(reason);
                        }
                    }
                }
            }
            fresh
        })
        .collect();
    DigestCache { files: results.into_iter().flatten().collect() }
}

fn digest(file: &InventoryFile, request: &Request, known: &DigestCache) -> std::io::Result<CachedDigest> {
    let path = match request.roots.first() {
        Some(root) => root.join(&file.path),
        None => file.path.clone(),
    };
    known.digest_of(&file.path.display().to_string(), &path)
}
