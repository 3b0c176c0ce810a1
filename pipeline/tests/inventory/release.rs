//! Whole roots: what is found, in which order, and in which state.

use std::path::PathBuf;

use specmill::inventory::{Digest, InventoryError, Request, UnitState};

use crate::fits_bytes::TestCoadd;
use crate::real::real_data;

use super::tree::{Tree, healpix_path, names, only_reason, take, tile_coadd};

#[test]
fn units_come_in_their_own_order_and_other_files_are_counted() {
    let tree = Tree::new();
    for pixel in [26_065, 9, 120, 26_064] {
        tree.add_coadd(pixel);
    }
    let tile = "spectro/redux/fuji/tiles/cumulative/80613/20210324";
    tree.add(&format!("{tile}/coadd-4-80613-thru20210324.fits"), &tile_coadd(80_613, 4, 20_210_324).bytes());
    for other in ["spectra-sv3-dark-9.fits.gz", "hpixexp-sv3-dark-9.csv", "coadd-sv3-dark-9.log", "README"] {
        tree.add(&format!("spectro/redux/fuji/healpix/sv3/dark/0/9/{other}"), b"anything");
    }
    tree.add("spectro/redux/fuji/healpix/tilepix.fits", b"not a coadd");
    tree.add("spectro/redux/fuji/healpix/sv3/dark/0/9/logs/coadd-sv3-dark-9.fits", b"too deep");
    let inventory = tree.take().unwrap();
    let expected = [
        "fuji/healpix/sv3/dark/64/9",
        "fuji/healpix/sv3/dark/64/120",
        "fuji/healpix/sv3/dark/64/26064",
        "fuji/healpix/sv3/dark/64/26065",
        "fuji/tile/80613/4/20210324",
    ];
    assert_eq!(names(&inventory), expected);
    assert_eq!(inventory.ignored, 5);
}

#[test]
fn every_kind_of_root_gives_the_same_units() {
    let tree = Tree::new();
    tree.add_coadd(26_065);
    let roots = ["", "spectro/redux", "spectro/redux/fuji"].map(|below| tree.root().join(below));
    for root in roots {
        let request = Request { roots: vec![root.clone()], ..Request::default() };
        let inventory = take(&request).unwrap();
        assert_eq!(names(&inventory), ["fuji/healpix/sv3/dark/64/26065"], "{}", root.display());
        let path = &inventory.entries[0].coadd.as_ref().unwrap().path;
        assert!(path.is_relative() && root.join(path).is_file());
    }
}

#[test]
fn several_productions_and_several_roots_are_kept_apart() {
    let (first, second) = (Tree::new(), Tree::new());
    first.add_coadd(26_065);
    let iron = TestCoadd::default().with_card("DEPVER00", "'iron    '").bytes();
    let path = healpix_path("coadd", 26_065).replace("fuji", "iron");
    first.add(&path, &iron);
    assert_eq!(first.take().unwrap().entries.len(), 2);
    let only = Request { specprod: Some("iron".to_owned()), ..first.request() };
    assert_eq!(names(&take(&only).unwrap()), ["iron/healpix/sv3/dark/64/26065"]);
    second.add_coadd(9);
    let both =
        Request { roots: vec![first.root().to_owned(), second.root().to_owned()], ..Request::default() };
    assert_eq!(take(&both).unwrap().entries.len(), 3);
}

#[test]
fn a_folder_without_a_release_is_an_error() {
    let tree = Tree::new();
    assert!(matches!(tree.take(), Err(InventoryError::NotARelease { .. })));
    tree.add_coadd(26_065);
    let other = Request { specprod: Some("loa".to_owned()), ..tree.request() };
    let err = take(&other).unwrap_err();
    assert!(err.to_string().contains("loa"), "{err}");
    assert!(matches!(take(&Request::default()), Err(InventoryError::NoInput)));
    let missing = Request { roots: vec![PathBuf::from("/does/not/exist")], ..Request::default() };
    assert!(matches!(take(&missing), Err(InventoryError::Unreadable { .. })));
}

#[test]
fn a_production_folder_of_another_name_is_called_what_the_caller_says() {
    let tree = Tree::new();
    let bytes = TestCoadd::default().bytes();
    tree.add("subset/healpix/sv3/dark/260/26065/coadd-sv3-dark-26065.fits", &bytes);
    let root = tree.root().join("subset");
    let named =
        Request { roots: vec![root.clone()], specprod: Some("fuji".to_owned()), ..Request::default() };
    assert_eq!(names(&take(&named).unwrap()), ["fuji/healpix/sv3/dark/64/26065"]);
    let unnamed = Request { roots: vec![root], ..Request::default() };
    assert!(
        only_reason(&take(&unnamed).unwrap()).contains("SPECPROD is subset by its path, fuji by its header")
    );
}

#[test]
fn states_say_which_file_is_there() {
    let tree = Tree::new();
    tree.add_coadd(1);
    tree.add_redrock(2);
    tree.add_coadd(3);
    tree.add_redrock(3);
    let inventory = tree.take().unwrap();
    let states: Vec<&UnitState> = inventory.entries.iter().map(|entry| &entry.state).collect();
    assert_eq!(states, [&UnitState::NoRedrock, &UnitState::NoCoadd, &UnitState::Complete]);
}

#[test]
fn a_damaged_file_breaks_its_unit_and_no_other() {
    let tree = Tree::new();
    let path = tree.add_coadd(1);
    tree.add_redrock(1);
    tree.add_coadd(2);
    let bytes = fs_err::read(&path).unwrap();
    // Inside the data of the last HDU.
    fs_err::write(&path, &bytes[..bytes.len() - 2000]).unwrap();
    let inventory = tree.take().unwrap();
    assert_eq!(names(&inventory), ["fuji/healpix/sv3/dark/64/1", "fuji/healpix/sv3/dark/64/2"]);
    let reason = only_reason(&inventory);
    assert!(reason.contains("truncated") && reason.starts_with("spectro/redux/fuji"), "{reason}");
    assert!(inventory.entries[0].redrock.is_some());
    assert_eq!(inventory.entries[1].state, UnitState::NoRedrock);
}

#[test]
fn a_coadd_cut_between_two_hdus_of_an_arm_is_broken_too() {
    let tree = Tree::new();
    let path = tree.add_coadd(1);
    let bytes = fs_err::read(&path).unwrap();
    let ivar = bytes.windows(7).position(|window| window == b"'R_IVAR").unwrap();
    fs_err::write(&path, &bytes[..ivar - ivar % 2880]).unwrap();
    let reason = only_reason(&tree.take().unwrap());
    assert!(reason.contains("no HDU R_IVAR"), "{reason}");
}

#[test]
fn units_can_be_chosen_by_the_start_of_their_id() {
    let tree = Tree::new();
    for pixel in [1, 2, 120] {
        tree.add_coadd(pixel);
    }
    let request = Request { units: vec!["fuji/healpix/sv3/dark/64/1".to_owned()], ..tree.request() };
    assert_eq!(
        names(&take(&request).unwrap()),
        ["fuji/healpix/sv3/dark/64/1", "fuji/healpix/sv3/dark/64/120"]
    );
}

#[test]
fn the_genuine_tree_has_its_three_units() {
    let Some(root) = real_data("tree") else { return };
    let request = Request { roots: vec![root], digest: Digest::Full, ..Request::default() };
    let inventory = take(&request).unwrap();
    let expected =
        ["fuji/healpix/sv3/dark/64/26065", "fuji/tile/80693/1/20210204", "iron/tile/80613/4/20210324"];
    assert_eq!(names(&inventory), expected);
    let states: Vec<&UnitState> = inventory.entries.iter().map(|entry| &entry.state).collect();
    assert_eq!(states, [&UnitState::NoRedrock, &UnitState::NoRedrock, &UnitState::Complete]);
    // Published with the file.
    let sha256 = "34aecaf8a439b8dd8d351fe2e5b74f80fd82b6b455c2d9488555103e4faedd3c";
    assert_eq!(inventory.entries[0].coadd.as_ref().unwrap().sha256.as_deref(), Some(sha256));
    assert_eq!(inventory.ignored, 1);
}
