//! Folder, name and header: together, alone, and against each other.

use specmill::inventory::{Request, UnitState};

use crate::fits_bytes::{FitsBytes, TestCoadd, TestColumn};

use super::tree::{Tree, healpix_path, names, only_reason, take, tile_coadd};

#[test]
fn path_and_header_together_make_the_unit() {
    let tree = Tree::new();
    tree.add_coadd(26_065);
    tree.add_redrock(26_065);
    let inventory = tree.take().unwrap();
    assert_eq!(names(&inventory), ["fuji/healpix/sv3/dark/64/26065"]);
    let entry = &inventory.entries[0];
    assert_eq!(entry.state, UnitState::Complete);
    assert_eq!((entry.survey.as_deref(), entry.program.as_deref()), (Some("sv3"), Some("dark")));
    let coadd = entry.coadd.as_ref().unwrap();
    assert_eq!(coadd.path.to_str().unwrap(), healpix_path("coadd", 26_065));
    assert_eq!((coadd.rows, entry.redrock.as_ref().unwrap().rows), (Some(5), Some(5)));
    assert!(inventory.notes.is_empty());
}

#[test]
fn a_header_that_contradicts_the_path_breaks_the_file_and_names_both() {
    let cases = [
        ("HPXPIXEL", "26066", "HPXPIXEL is 26065 by its path, 26066 by its header"),
        ("SURVEY", "'main    '", "SURVEY is sv3 by its path, main by its header"),
        ("PROGRAM", "'bright  '", "PROGRAM is dark by its path, bright by its header"),
        ("SPECPROD", "'iron    '", "SPECPROD is fuji by its path, iron by its header"),
    ];
    for (keyword, value, expected) in cases {
        let tree = Tree::new();
        let coadd = TestCoadd::default().with_card(keyword, value);
        tree.add(&healpix_path("coadd", 26_065), &coadd.bytes());
        let inventory = tree.take().unwrap();
        let reason = only_reason(&inventory);
        assert!(reason.contains(expected) && reason.contains("coadd-sv3-dark-26065.fits"), "{reason}");
        assert!(inventory.entries[0].unit.is_none() && inventory.entries[0].coadd.is_some());
    }
}

#[test]
fn a_name_that_contradicts_its_folder_breaks_the_file() {
    let tree = Tree::new();
    let path = "spectro/redux/fuji/healpix/sv3/dark/260/26065/coadd-sv3-dark-26066.fits";
    tree.add(path, &TestCoadd::default().bytes());
    let reason = only_reason(&tree.take().unwrap());
    assert!(reason.contains("HPXPIXEL is 26065 by its folder, 26066 by its name"), "{reason}");
}

#[test]
fn a_pixel_in_the_wrong_group_folder_breaks_the_file() {
    let tree = Tree::new();
    let path = "spectro/redux/fuji/healpix/sv3/dark/26/26065/coadd-sv3-dark-26065.fits";
    tree.add(path, &TestCoadd::default().bytes());
    let reason = only_reason(&tree.take().unwrap());
    assert!(reason.contains("belongs in group folder 260, it lies in 26"), "{reason}");
}

#[test]
fn a_header_that_says_nothing_leaves_the_path_alone_and_nside_assumed() {
    let tree = Tree::new();
    let mut coadd = TestCoadd::default();
    coadd.cards.clear();
    tree.add(&healpix_path("coadd", 26_065), &coadd.bytes());
    let inventory = tree.take().unwrap();
    assert_eq!(names(&inventory), ["fuji/healpix/sv3/dark/64/26065"]);
    assert_eq!(inventory.entries[0].state, UnitState::NoRedrock);
    assert!(inventory.notes[0].contains("no HPXNSIDE, 64 assumed"), "{:?}", inventory.notes);
}

#[test]
fn nside_comes_from_the_header() {
    let tree = Tree::new();
    let coadd = TestCoadd::default().with_card("HPXNSIDE", "128");
    tree.add(&healpix_path("coadd", 26_065), &coadd.bytes());
    assert_eq!(names(&tree.take().unwrap()), ["fuji/healpix/sv3/dark/128/26065"]);
}

#[test]
fn pixels_that_do_not_exist_and_ring_numbers_break_the_file() {
    for (keyword, value, expected) in [
        ("HPXNSIDE", "16", "does not exist"),
        ("HPXNSIDE", "60", "does not exist"),
        ("HPXNEST", "F", "not nested"),
    ] {
        let tree = Tree::new();
        let coadd = TestCoadd::default().with_card(keyword, value);
        tree.add(&healpix_path("coadd", 26_065), &coadd.bytes());
        let reason = only_reason(&tree.take().unwrap());
        assert!(reason.contains(expected), "{keyword} = {value}: {reason}");
    }
}

#[test]
fn two_surveys_on_one_pixel_are_two_units() {
    let tree = Tree::new();
    tree.add_coadd(26_065);
    let other = TestCoadd::default().with_card("SURVEY", "'main    '");
    tree.add("spectro/redux/fuji/healpix/main/dark/260/26065/coadd-main-dark-26065.fits", &other.bytes());
    let inventory = tree.take().unwrap();
    assert_eq!(names(&inventory), ["fuji/healpix/main/dark/64/26065", "fuji/healpix/sv3/dark/64/26065"]);
}

#[test]
fn a_unit_in_two_files_breaks_both() {
    let tree = Tree::new();
    tree.add_coadd(26_065);
    let folder = "spectro/redux/fuji/healpix/sv3/dark/260/26065";
    tree.add(&format!("{folder}/coadd-sv3-dark-26065.fits.gz"), &TestCoadd::default().bytes());
    let inventory = tree.take().unwrap();
    assert_eq!(inventory.entries.len(), 2);
    for entry in &inventory.entries {
        let reason = entry.state.reason().unwrap();
        assert!(entry.unit.is_none() && reason.contains("more than one file"), "{reason}");
        assert!(reason.contains("26065.fits.gz"), "{reason}");
    }
}

#[test]
fn a_tile_takes_survey_and_program_from_the_tiles_table() {
    let path = "spectro/redux/fuji/tiles/cumulative/80613/20210324/coadd-4-80613-thru20210324.fits";
    let bytes = tile_coadd(80_613, 4, 20_210_324).bytes();
    let csv = "TILEID,SURVEY,PROGRAM,FAFLAVOR\n1,main,dark,\"a,b\"\n80613,sv1,bright,sv1bgsmws\n";
    let mut fits = FitsBytes::new(&[]);
    let columns = [
        TestColumn::i32("TILEID", &[80_613, 1]),
        TestColumn::text("SURVEY", 20, 0, &["sv1", ""]),
        TestColumn::text("PROGRAM", 6, 0, &["bright", "dark"]),
    ];
    fits.table("TILE_COMPLETENESS", &columns, &[], &[]);
    for table in [Some(("csv", csv.as_bytes())), Some(("fits", fits.0.as_slice())), None] {
        let tree = Tree::new();
        tree.add(path, &bytes);
        if let Some((suffix, bytes)) = table {
            tree.add(&format!("spectro/redux/fuji/tiles-fuji.{suffix}"), bytes);
        }
        let inventory = tree.take().unwrap();
        assert_eq!(names(&inventory), ["fuji/tile/80613/4/20210324"]);
        let stated = table.map(|_| ("sv1", "bright"));
        let entry = &inventory.entries[0];
        assert_eq!(entry.survey.as_deref().zip(entry.program.as_deref()), stated);
    }
}

#[test]
fn a_malformed_tiles_table_is_an_error() {
    for csv in ["TILEID,PROGRAM\n1,dark\n", "TILEID,SURVEY,PROGRAM\nx,main,dark\n", ""] {
        let tree = Tree::new();
        let bytes = tile_coadd(80_613, 4, 20_210_324).bytes();
        tree.add(
            "spectro/redux/fuji/tiles/cumulative/80613/20210324/coadd-4-80613-thru20210324.fits",
            &bytes,
        );
        let table = tree.add("spectro/redux/fuji/tiles-fuji.csv", csv.as_bytes());
        let err = tree.take().unwrap_err();
        assert!(err.to_string().contains(table.to_str().unwrap()), "{err}");
    }
}

#[test]
fn a_single_file_is_known_by_its_header_and_the_callers_specprod() {
    let tree = Tree::new();
    let file = tree.add("anywhere/x.fits", &TestCoadd::default().without_card("DEPNAM00").bytes());
    let request = Request { files: vec![file], specprod: Some("mine".to_owned()), ..Request::default() };
    let inventory = take(&request).unwrap();
    assert_eq!(names(&inventory), ["mine/healpix/sv3/dark/64/26065"]);
    let unnamed = Request { specprod: None, ..request };
    assert!(only_reason(&take(&unnamed).unwrap()).contains("SPECPROD"));
}

#[test]
fn a_single_file_inside_a_tree_must_agree_with_it() {
    let tree = Tree::new();
    let right = tree.add_coadd(26_065);
    let wrong = tree.add(&healpix_path("coadd", 26_070), &TestCoadd::default().bytes());
    let request = Request { files: vec![right.clone(), wrong, right], ..Request::default() };
    let inventory = take(&request).unwrap();
    assert_eq!(inventory.entries.len(), 2);
    assert_eq!(names(&inventory)[0], "fuji/healpix/sv3/dark/64/26065");
    assert!(only_reason(&inventory).contains("26070 by its path, 26065 by its header"));
}

#[test]
fn a_header_with_names_that_climb_is_no_unit() {
    let tree = Tree::new();
    let coadd = TestCoadd::default().with_card("SURVEY", "'../..'");
    let file = tree.add("x.fits", &coadd.bytes());
    let request = Request { files: vec![file], ..Request::default() };
    assert!(only_reason(&take(&request).unwrap()).contains("is not a unit id"));
}
