//! Files that are not what they should be: each is a reason in the ledger, and other catalogues go on.

use specmill::ledger::State;

use super::corpus::{Heap, descriptor, latin1};
use super::run::{CatalogRun, refused, refused_as, toy_columns, toy_file};
use crate::fits_bytes::{FitsBytes, TestColumn};

fn assert_says(reason: &str, parts: &[&str]) {
    for part in parts {
        assert!(reason.contains(part), "`{part}` is missing in: {reason}");
    }
}

/// The toy with one column replaced or added.
fn with(column: TestColumn) -> Vec<u8> {
    let rows = i64::try_from(column.cells.len()).unwrap();
    let mut columns = toy_columns(&(0..rows).collect::<Vec<i64>>());
    columns.retain(|other| other.name != column.name);
    columns.push(column);
    toy_file(&columns)
}

#[test]
fn a_missing_column_is_named_with_all_others() {
    let mut columns = toy_columns(&[1]);
    columns.retain(|column| column.name != "DEC" && column.name != "RA");
    let reason = refused(&toy_file(&columns));
    assert_says(&reason, &["HDU 1 (TOY) lacks the columns TARGET_RA or RA (`ra`), DEC (`dec`)", "optional"]);
    let mut columns = toy_columns(&[1]);
    columns.retain(|column| column.name != "FLUX_IVAR");
    assert_says(&refused(&toy_file(&columns)), &["FLUX_IVAR, which says where FLUX stands for nothing"]);
}

#[test]
fn a_column_of_another_kind_is_refused_by_its_format() {
    for (column, wanted) in [
        (TestColumn::f64("TARGETID", &[1.0]), "`targetid` (int64)"),
        (TestColumn::text("FLUX", 4, 0, &["1.5"]), "`flux` (float32)"),
        (TestColumn::i64("CLASS", &[1]), "`class` (text)"),
        (TestColumn::f32("GOOD", &[1.0]), "`good` (boolean)"),
        (TestColumn::new("COEFF", "2E", vec![vec![0; 8]]), "`coeff` (float32[3])"),
        (TestColumn::new("COUNT", "2I", vec![vec![0; 4]]), "`count` (int16)"),
        (TestColumn::new("FLUX", "C", vec![vec![0; 8]]), "`flux` (float32)"),
    ] {
        let (name, tform) = (column.name.clone(), column.tform.clone());
        let reason = refused(&with(column));
        assert_says(&reason, &["HDU 1 (TOY)", &format!("column {name} ({tform}) cannot become {wanted}")]);
    }
}

#[test]
fn a_value_that_does_not_fit_is_named_by_its_row() {
    for (column, problem) in [
        (TestColumn::i32("COUNT", &[1, 40_000]), "row 1: 40000 does not fit its type, Int16"),
        (TestColumn::i32("FLUX", &[0, (1 << 24) + 1]), "row 1: 16777217 does not fit single precision"),
        (
            TestColumn::i64("DEC", &[0, (1 << 53) + 1]),
            "row 1: 9007199254740993 is no double-precision number",
        ),
        (TestColumn::f64("MASS", &[0.0, 1e39]), "row 1: "),
        (TestColumn::new("GOOD", "B", vec![vec![1], vec![2]]), "row 1: 2 is neither 0 nor 1"),
    ] {
        let name = column.name.clone();
        let reason = refused(&with(column));
        assert_says(&reason, &["HDU 1 (TOY)", &format!("column {name}, {problem}")]);
    }
}

#[test]
fn nothing_in_a_column_that_must_have_a_value_is_named_by_its_row() {
    let column = TestColumn::i64("TARGETID", &[5, 6, 7]).with("TNULL", "7");
    assert_says(
        &refused(&with(column)),
        &["HDU 1 (TOY)", "column TARGETID, row 2: its value stands for nothing"],
    );
}

#[test]
fn a_part_of_a_legacy_id_that_does_not_fit_is_named() {
    let mut columns = toy_columns(&[1, 2]);
    let shorts = |values: [i16; 2]| values.iter().map(|v| v.to_be_bytes().to_vec()).collect();
    columns.push(TestColumn::new("RELEASE", "I", shorts([9010, 9010])));
    columns.push(TestColumn::i32("BRICKID", &[1, 1]));
    columns.push(TestColumn::i32("OBJID", &[1, 65_536]));
    let reason = refused(&toy_file(&columns));
    assert_says(&reason, &["column ls_id, row 1: its OBJID 65536 does not fit the 16 bits"]);
}

#[test]
fn a_unit_nobody_declared_is_refused_with_those_that_are() {
    let reason = refused(&with(TestColumn::f64("RADIUS", &[1.0]).with("TUNIT", "'pc      '")));
    assert_says(&reason, &["HDU 1 (TOY): column RADIUS is in `pc`, declared are `Mpc`, `kpc`", "factor"]);
    let reason = refused(&with(TestColumn::f32("MASS", &[1.0]).with("TUNIT", "'solMass '")));
    assert_says(&reason, &["column MASS is in `solMass`, declared are no unit"]);
}

#[test]
fn a_table_that_is_not_there_is_refused_with_those_that_are() {
    let mut file = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    file.table("OTHER", &toy_columns(&[1]), &[], &[]);
    let reason = refused(&file.0);
    assert_says(&reason, &["table toy needs HDU TOY or TOYS; the file has HDU 0, HDU 1 (OTHER)"]);
    // Optional or not, a file of which nothing is taken is not passed over.
    let mut run = CatalogRun::new();
    run.file("toy-iron-main.fits", &file.0);
    run.catalog("name = \"toy\"\ntables = [\"toy_lines\"]", &["toy-iron-main.fits"]);
    run.run(3);
    assert_says(&run.reason("catalog/toy_lines/toy-iron-main/0"), &["the file has HDU 0, HDU 1 (OTHER)"]);
}

#[test]
fn a_file_of_another_release_says_which_it_could_be_and_the_run_file_may_say_it() {
    let mut unknown = FitsBytes::new(&[]);
    unknown.table("TOY", &toy_columns(&[1]), &[], &[]);
    assert_says(&refused(&unknown.0), &["of no release that is declared; it could be toy v1, toy v2"]);
    let mut run = CatalogRun::new();
    run.file("toy-iron-main.fits", &unknown.0);
    run.catalog("name = \"toy\"\nrelease = \"toy v1\"", &["toy-iron-main.fits"]);
    run.run(0);
    let reason = refused(&with(TestColumn::i32("OLD", &[1])));
    assert_says(&reason, &["of release toy v0, which is refused: its fluxes are wrong: take v1"]);
    for (card, taken) in [("'templates-1.2'", true), ("'templates-0.9'", false)] {
        let mut file =
            FitsBytes::new(&[("TOYVER", "'1.0     '"), ("DEPVER03", "'numpy   '"), ("DEPVER17", card)]);
        file.table("TOY", &toy_columns(&[1]), &[], &[]);
        if taken {
            let mut run = CatalogRun::new();
            run.toy(&file.0);
            run.run(0);
        } else {
            assert_says(&refused(&file.0), &["toy v1 of the old templates, which is refused: its masses"]);
        }
    }
}

#[test]
fn what_is_said_of_the_production_must_agree_and_be_said() {
    let bytes = toy_file(&toy_columns(&[1]));
    let reason = refused_as("name = \"toy\"\nspecprod = \"fuji\"", "toy-iron-main.fits", &bytes);
    assert_says(&reason, &["the run file says production fuji, its name says iron"]);
    let mut loa = FitsBytes::new(&[("TOYVER", "'2.0     '")]);
    loa.table("TOY", &toy_columns(&[1]), &[], &[]);
    assert_says(&refused(&loa.0), &["its release says production loa, its name says iron"]);
    let reason = refused_as("name = \"toy\"", "toy.fits", &bytes);
    assert_says(&reason, &["nothing says which production", "`specprod`"]);
}

#[test]
fn a_name_that_fits_no_pattern_is_refused_with_the_patterns() {
    let reason = refused_as("name = \"toy\"", "tay-iron.fits", &toy_file(&toy_columns(&[1])));
    assert_says(
        &reason,
        &["its name fits none of toy-{specprod}-{survey}.fits, toy-{specprod}.fits, toy.fits"],
    );
}

#[test]
fn damaged_files_fail_their_units_by_what_is_damaged() {
    let good = toy_file(&toy_columns(&(0..500).collect::<Vec<i64>>()));
    assert_says(&refused(&good[..good.len() - 5760]), &["HDU 1", "truncated"]);
    assert_says(&refused(b"no FITS"), &["not a FITS file"]);
    let mut billion = toy_file(&toy_columns(&[1]));
    let at = billion.windows(9).position(|window| window == b"NAXIS2  =").unwrap();
    billion[at..at + 80]
        .copy_from_slice(format!("{:<80}", format!("NAXIS2  = {:>20}", 1_000_000_000)).as_bytes());
    assert_says(&refused(&billion), &["HDU 1", "truncated: 32000000000 bytes of data expected"]);
    let mut columns = toy_columns(&[1, 2]);
    let cells = vec![descriptor("1PJ", 1, 0), descriptor("1PJ", 9, 0)];
    columns.push(TestColumn::new("TILES", "1PJ(9)", cells));
    let mut heap = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    heap.table("TOY", &columns, &[0; 8], &[]);
    assert_says(&refused(&heap.0), &["HDU 1 (TOY): column TILES, row 1: points outside the heap"]);
    let mut long = Heap::default();
    let mut columns = toy_columns(&[1]);
    columns.push(long.column("TILES", "1PJ(2)", &[(&[0; 8], 2)]));
    let mut cut = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    cut.table("TOY", &columns, &long.0, &[]);
    assert_says(&refused(&cut.0[..cut.0.len() - 2880]), &["HDU 1", "truncated"]);
}

#[test]
fn text_that_is_not_utf8_is_named_by_its_row() {
    let column = TestColumn::new("CLASS", "4A", vec![b"STAR".to_vec(), b"Caf\xe9".to_vec()]);
    assert_says(&refused(&with(column)), &["HDU 1 (TOY): column CLASS, row 1: the string is not UTF-8"]);
    let mut run = CatalogRun::new();
    run.file("latin1.fits", &latin1());
    run.catalog("raw = \"latin1\"", &["latin1.fits"]);
    run.run(3);
    assert_says(&run.reason("catalog_raw/latin1/latin1/0"), &["column NAME, row 2"]);
}

#[test]
fn a_number_too_large_for_the_database_fails_a_raw_table_by_its_row() {
    let mut file = FitsBytes::new(&[]);
    let huge =
        TestColumn::new("ID", "K", vec![vec![0; 8], vec![0x7f; 8]]).with("TZERO", "9223372036854775808");
    file.table("T", &[huge], &[], &[]);
    let mut run = CatalogRun::new();
    run.file("ids.fits", &file.0);
    run.catalog("raw = \"ids\"", &["ids.fits"]);
    run.run(3);
    assert_says(
        &run.reason("catalog_raw/ids/ids/0"),
        &["HDU 1 (T): column ID, row 0: 9223372036854775808 does not fit"],
    );
}

#[test]
fn a_file_that_does_not_exist_is_missing_for_each_of_its_tables() {
    let mut run = CatalogRun::new();
    run.catalog("name = \"toy\"", &["toy-iron-main.fits"]);
    run.run(3);
    for table in ["toy", "toy_lines"] {
        let row = run.account(&format!("catalog/{table}/toy-iron-main/0"));
        assert_eq!(row.state, State::MissingUpstream);
        assert!(row.reason.unwrap().contains("there is no such file"));
    }
    // Once it is there, it is taken.
    run.file("toy-iron-main.fits", &toy_file(&toy_columns(&[1])));
    run.run(0);
}

#[test]
fn a_unit_that_fails_takes_its_old_rows_away() {
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&toy_columns(&[1])));
    run.run(0);
    assert_eq!(run.lake().len(), 1);
    run.file("toy-iron-main.fits", &with(TestColumn::text("FLUX", 2880, 0, &["x", "y"])));
    run.run(3);
    assert!(run.lake().is_empty());
}

#[test]
fn a_run_file_that_cannot_be_followed_starts_nothing() {
    for (settings, file, problem) in [
        ("name = \"tpy\"", "toy.fits", "`tpy` is not declared; did you mean `toy`?"),
        ("name = \"toy\"\nspecprd = \"iron\"", "toy.fits", "did you mean `catalog.specprod`?"),
        ("name = \"toy\"", "what is this.fits", "its name is part of unit ids"),
    ] {
        let mut run = CatalogRun::new();
        run.catalog(settings, &[file]);
        let said = run.run(2);
        assert!(said.err.contains(problem), "{}", said.err);
        assert!(!run.path("run").exists());
    }
    let mut run = CatalogRun::new();
    run.declare("bad", "title = 5");
    run.catalog("name = \"toy\"", &["toy.fits"]);
    let said = run.run(2);
    assert!(said.err.contains("bad.toml"), "{}", said.err);
}

#[test]
fn no_damage_ends_a_run_or_loses_a_unit() {
    const FILES: u64 = 300;
    let mut heap = Heap::default();
    let mut columns = toy_columns(&[1, 2, 3]);
    let numbers: Vec<u8> = [1_i32, 2, 3].iter().flat_map(|v| v.to_be_bytes()).collect();
    columns.push(heap.column("TILES", "1PJ(3)", &[(&numbers, 3), (&[], 0), (&numbers[..4], 1)]));
    columns.push(TestColumn::new("COEFF", "3E", vec![vec![0x3f; 12]; 3]));
    columns.push(TestColumn::text("CLASS", 5, 0, &["a", "NONE", "c"]));
    let mut file = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    file.table("TOY", &columns, &heap.0, &[]);
    let mut run = CatalogRun::new();
    // Knuth's MMIX generator.
    let mut seed = 7_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let marks = b"0129KJEDALPQX'() =-T\0\xff";
    for n in 0..FILES {
        let mut bytes = file.0.clone();
        for _ in 0..=next(3) {
            // The table's header, its rows and its heap; not the empty blocks between.
            let at =
                if next(3) == 0 { bytes.len() - 2880 + next(200) } else { 2880 + next(bytes.len() - 5760) };
            bytes[at] = marks[next(marks.len())];
        }
        let (declared, raw) = (format!("toy-iron-m{n}.fits"), format!("raw{n}.fits"));
        run.file(&declared, &bytes);
        run.file(&raw, &bytes);
        run.catalog("name = \"toy\"\ntables = [\"toy\"]\nrelease = \"toy v1\"", &[&declared]);
        run.catalog("raw = \"any\"", &[&raw]);
    }
    let said = run.run(3);
    let units = 2 * FILES;
    assert!(said.out.contains(&format!("{units} of {units} units accounted for")), "{}", said.out);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    for n in 0..FILES {
        for unit in [format!("catalog/toy/toy-iron-m{n}/0"), format!("catalog_raw/any/raw{n}/0")] {
            let row = run.account(&unit);
            assert!(row.adds_up());
            match row.state {
                State::Done => assert_eq!(run.rows(&unit).num_rows() as u64, row.rows_in, "{unit}"),
                State::Failed => assert!(row.reason.unwrap().contains(".fits"), "{unit}"),
                State::Empty => assert_eq!(row.rows_in, 0, "{unit}"),
                State::Skipped | State::MissingUpstream => panic!("{unit} is {:?}", row.state),
            }
        }
    }
}
