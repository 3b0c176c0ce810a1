//! Small release trees on disk.

use std::path::{Path, PathBuf};

use specmill::inventory::{DigestCache, Inventory, InventoryEntry, InventoryError, Request};
use tempfile::TempDir;

use crate::fits_bytes::{FitsBytes, TARGETIDS, TestCoadd, TestColumn};

/// A release root that goes away with the test.
pub(crate) struct Tree {
    folder: TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the root.
    pub(crate) fn add(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Adds a coadd of pixel `pixel` under fuji/sv3/dark, with the header's own pixel number.
    pub(crate) fn add_coadd(&self, pixel: u64) -> PathBuf {
        let coadd = TestCoadd::default().with_card("HPXPIXEL", &pixel.to_string());
        self.add(&healpix_path("coadd", pixel), &coadd.bytes())
    }

    /// Adds a redrock file of pixel `pixel`.
    pub(crate) fn add_redrock(&self, pixel: u64) -> PathBuf {
        self.add(&healpix_path("redrock", pixel), &redrock(pixel))
    }

    pub(crate) fn request(&self) -> Request {
        Request { roots: vec![self.root().to_owned()], ..Request::default() }
    }

    pub(crate) fn take(&self) -> Result<Inventory, InventoryError> {
        take(&self.request())
    }
}

pub(crate) fn take(request: &Request) -> Result<Inventory, InventoryError> {
    Inventory::take(request, &DigestCache::default()).map(|(inventory, _)| inventory)
}

/// Where DESI puts a healpix file of fuji, sv3, dark.
pub(crate) fn healpix_path(kind: &str, pixel: u64) -> String {
    format!("spectro/redux/fuji/healpix/sv3/dark/{}/{pixel}/{kind}-sv3-dark-{pixel}.fits", pixel / 100)
}

/// A redrock file with the keywords of a healpix unit.
pub(crate) fn redrock(pixel: u64) -> Vec<u8> {
    let pixel = pixel.to_string();
    let mut file = FitsBytes::new(&[
        ("HPXPIXEL", &pixel),
        ("HPXNSIDE", "64"),
        ("SURVEY", "'sv3     '"),
        ("PROGRAM", "'dark    '"),
    ]);
    file.table(
        "REDSHIFTS",
        &[TestColumn::i64("TARGETID", &TARGETIDS), TestColumn::f64("Z", &[0.5; 5])],
        &[],
        &[],
    );
    file.0
}

/// A tile coadd's keywords instead of a pixel's.
pub(crate) fn tile_coadd(tileid: u32, petal: u8, night: u32) -> TestCoadd {
    let mut coadd = TestCoadd::default();
    coadd.cards.retain(|(keyword, _)| keyword.starts_with("DEP"));
    coadd
        .with_card("TILEID", &tileid.to_string())
        .with_card("PETAL", &petal.to_string())
        .with_card("NIGHT", &night.to_string())
}

/// The ids of all entries, broken files by their path.
pub(crate) fn names(inventory: &Inventory) -> Vec<String> {
    inventory.entries.iter().map(InventoryEntry::describe).collect()
}

/// Why the only broken entry is broken.
pub(crate) fn only_reason(inventory: &Inventory) -> String {
    let reasons: Vec<&str> = inventory.entries.iter().filter_map(|entry| entry.state.reason()).collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons[0].to_owned()
}
