//! Digests, their cache, and `inventory.parquet`.

use specmill::inventory::{Digest, DigestCache, Inventory, Request};
use tempfile::TempDir;

use super::tree::{Tree, healpix_path, take};

/// A tree with a whole unit, a coadd alone and a broken file.
fn mixed_tree() -> Tree {
    let tree = Tree::new();
    tree.add_coadd(1);
    tree.add_redrock(1);
    tree.add_coadd(2);
    tree.add(&healpix_path("coadd", 3), b"not FITS at all");
    tree.add("spectro/redux/fuji/healpix/sv3/dark/0/7/coadd-sv3-dark-8.fits", b"nor this");
    tree
}

#[test]
fn the_inventory_survives_a_round_trip_through_parquet() {
    let inventory = mixed_tree().take().unwrap();
    let folder = TempDir::new().unwrap();
    let record = inventory.write(folder.path()).unwrap();
    let path = folder.path().join("inventory.parquet");
    assert_eq!(record.path, "inventory.parquet");
    assert_eq!(record.bytes, fs_err::metadata(&path).unwrap().len());
    assert_eq!(Inventory::read(&path).unwrap(), inventory);
}

#[test]
fn its_bytes_do_not_depend_on_where_and_when_it_was_taken() {
    let bytes = || {
        let inventory = mixed_tree().take().unwrap();
        let folder = TempDir::new().unwrap();
        inventory.write(folder.path()).unwrap();
        fs_err::read(folder.path().join("inventory.parquet")).unwrap()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn digests_are_of_the_whole_file_or_left_out() {
    let tree = mixed_tree();
    let with = tree.take().unwrap();
    assert!(with.entries.iter().flat_map(|entry| entry.files()).all(|file| file.sha256.is_some()));
    let without = take(&Request { digest: Digest::None, ..tree.request() }).unwrap();
    assert!(without.entries.iter().flat_map(|entry| entry.files()).all(|file| file.sha256.is_none()));
    assert_eq!(with.bytes(), without.bytes());
}

#[test]
fn a_cached_digest_is_used_until_size_or_time_change() {
    let tree = Tree::new();
    let path = tree.add_coadd(1);
    let (first, cache) = Inventory::take(&tree.request(), &DigestCache::default()).unwrap();
    let sha256 = first.entries[0].coadd.as_ref().unwrap().sha256.clone().unwrap();
    // A cache that knows another digest for the unchanged file is believed.
    let forged = cache.to_json().replace(&sha256, &"0".repeat(64));
    let folder = TempDir::new().unwrap();
    fs_err::write(folder.path().join("inventory-cache.json"), forged).unwrap();
    let forged = DigestCache::read(&folder.path().join("inventory-cache.json"));
    assert_eq!(forged.len(), 1);
    let digest_with = |cache: &DigestCache| {
        let (inventory, _) = Inventory::take(&tree.request(), cache).unwrap();
        inventory.entries[0].coadd.as_ref().unwrap().sha256.clone().unwrap()
    };
    assert_eq!(digest_with(&forged), "0".repeat(64));
    let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(digest_with(&forged), sha256);
}

#[test]
fn a_file_that_is_no_cache_is_an_empty_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("inventory-cache.json");
    assert!(DigestCache::read(&path).is_empty());
    fs_err::write(&path, b"{not json").unwrap();
    assert!(DigestCache::read(&path).is_empty());
}

#[test]
fn a_damaged_inventory_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("inventory.parquet");
    fs_err::write(&path, b"PAR1 and nothing more").unwrap();
    let err = Inventory::read(&path).unwrap_err();
    assert!(err.to_string().contains("inventory.parquet"), "{err}");
}
