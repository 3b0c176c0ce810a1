//! Tables and redshifts: the columns of releases and third-party catalogues.

use specmill::fits::{
    CatalogColumns, ColumnValues, FitsError, Lookup, OpenOptions, Source, TextColumn, Want, read_redrock,
    read_redshift_catalog, read_table,
};

use crate::fits_bytes::{FitsBytes, TARGETIDS, TestColumn};

use super::files::{OnDisk, on_disk};

fn table_file(columns: &[TestColumn], heap: &[u8]) -> OnDisk {
    let mut file = FitsBytes::new(&[]);
    file.table("T", columns, heap, &[]);
    on_disk("table.fits", &file.0)
}

fn read_one(file: &OnDisk, name: &str, want: Want) -> Result<Option<ColumnValues>, FitsError> {
    let source = Source::open(&file.path, &OpenOptions::default())?;
    let hdu = source.require("T")?;
    Ok(read_table(&source, hdu, &[(name, want)])?.remove(0))
}

fn texts(values: Option<ColumnValues>) -> Vec<String> {
    let Some(ColumnValues::Text(column)) = values else { panic!("not text: {values:?}") };
    TextColumn::iter(&column).map(str::to_owned).collect()
}

#[test]
fn vectors_with_and_without_tdim_do_not_move_the_columns_after_them() {
    let columns = [
        TestColumn::new("COEFF", "10D", vec![vec![1; 80]; 2]).with("TDIM", "'(10)    '"),
        TestColumn::new("XTRACE", "1000D", vec![vec![2; 8000]; 2]).with("TDIM", "'( 2, 500)'"),
        TestColumn::new("SLOPES", "5E", vec![vec![3; 20]; 2]),
        TestColumn::new("BITS", "11X", vec![vec![0xff; 2]; 2]),
        TestColumn::new("PAIR", "M", vec![vec![4; 16]; 2]),
        TestColumn::i64("TARGETID", &[7, -8]),
    ];
    let file = table_file(&columns, &[]);
    assert_eq!(read_one(&file, "TARGETID", Want::I64).unwrap(), Some(ColumnValues::I64(vec![7, -8])));
    let err = read_one(&file, "COEFF", Want::F64).unwrap_err();
    assert!(matches!(err, FitsError::WrongColumnType { .. }), "{err}");
    assert!(err.to_string().contains("COEFF") && err.to_string().contains("10D"), "{err}");
}

#[test]
fn strings_end_at_the_first_nul_or_before_trailing_blanks() {
    let columns = [
        TestColumn::text("NUL", 6, 0, &["QSO", "", "GALAXY"]),
        TestColumn::text("BLANK", 96, b' ', &["QSO", "", "GALAXY"]),
        TestColumn::new("BOTH", "6A", vec![b"AB\0XYZ".to_vec(), b"  A   ".to_vec(), vec![0; 6]]),
    ];
    let file = table_file(&columns, &[]);
    for name in ["NUL", "BLANK"] {
        assert_eq!(texts(read_one(&file, name, Want::Text).unwrap()), ["QSO", "", "GALAXY"], "{name}");
    }
    assert_eq!(texts(read_one(&file, "BOTH", Want::Text).unwrap()), ["AB", "  A", ""]);
}

#[test]
fn strings_of_variable_length_come_from_the_heap() {
    let heap = b"GALAXYQSO";
    let descriptor = |length: u32, start: u32| [length.to_be_bytes(), start.to_be_bytes()].concat();
    let cells = vec![descriptor(3, 6), descriptor(0, 0), descriptor(6, 0)];
    let file = table_file(&[TestColumn::new("SPECTYPE", "1PA(6)", cells)], heap);
    assert_eq!(texts(read_one(&file, "SPECTYPE", Want::Text).unwrap()), ["QSO", "", "GALAXY"]);
}

#[test]
fn a_descriptor_outside_the_heap_is_an_error() {
    for (length, start) in [(4_u32, 6_u32), (u32::MAX, 0), (1, u32::MAX)] {
        let cell = [length.to_be_bytes(), start.to_be_bytes()].concat();
        let file = table_file(&[TestColumn::new("SPECTYPE", "1PA(6)", vec![cell])], b"GALAXYQSO");
        let err = read_one(&file, "SPECTYPE", Want::Text).unwrap_err();
        assert!(matches!(err, FitsError::OutsideHeap { row: 0, .. }), "{err}");
    }
}

#[test]
fn logicals_are_true_false_or_null() {
    let cells = [b'T', b'F', 0].map(|byte| vec![byte]).to_vec();
    let file = table_file(&[TestColumn::new("ZCAT_PRIMARY", "L", cells)], &[]);
    let expected = ColumnValues::Logical(vec![Some(true), Some(false), None]);
    assert_eq!(read_one(&file, "ZCAT_PRIMARY", Want::Logical).unwrap(), Some(expected));
}

#[test]
fn unsigned_columns_have_their_own_values() {
    let columns = [
        TestColumn::new("B", "B", vec![vec![200], vec![0]]),
        TestColumn::new("I", "I", vec![vec![0x7f, 0xff], vec![0x80, 0]]).with("TZERO", "32768"),
        TestColumn::new("J", "J", vec![vec![0x7f, 0xff, 0xff, 0xff], vec![0x80, 0, 0, 0]])
            .with("TSCAL", "1")
            .with("TZERO", "2147483648"),
    ];
    let file = table_file(&columns, &[]);
    for (name, values) in [("B", [200, 0]), ("I", [65_535, 0]), ("J", [4_294_967_295, 0])] {
        let read = read_one(&file, name, Want::I64).unwrap();
        assert_eq!(read, Some(ColumnValues::I64(values.to_vec())), "{name}");
    }
}

#[test]
fn scaled_integers_are_numbers_but_not_whole_ones() {
    let column = TestColumn::new("S", "I", vec![vec![0, 4]]).with("TSCAL", "0.5").with("TZERO", "10");
    let file = table_file(&[column], &[]);
    assert_eq!(read_one(&file, "S", Want::F64).unwrap(), Some(ColumnValues::F64(vec![12.0])));
    assert!(matches!(read_one(&file, "S", Want::I64), Err(FitsError::WrongColumnType { .. })));
}

#[test]
fn identifiers_never_come_from_floats() {
    let file = table_file(&[TestColumn::f64("TARGETID", &[1.0])], &[]);
    let err = read_one(&file, "TARGETID", Want::I64).unwrap_err();
    assert!(matches!(err, FitsError::WrongColumnType { .. }), "{err}");
}

#[test]
fn null_values_declared_for_columns_without_nulls_stay_values() {
    let columns = [
        TestColumn::i64("TARGETID", &[999_999, 1]).with("TNULL", "999999"),
        TestColumn::i32("J", &[999_999, 2]).with("TNULL", "999999"),
        TestColumn::new("I", "I", vec![16_959_i16.to_be_bytes().to_vec(), vec![0, 3]]).with("TNULL", "16959"),
        TestColumn::new("B", "B", vec![vec![63], vec![4]]).with("TNULL", "63"),
    ];
    let file = table_file(&columns, &[]);
    for (name, first) in [("TARGETID", 999_999), ("J", 999_999), ("I", 16_959), ("B", 63)] {
        let Some(ColumnValues::I64(values)) = read_one(&file, name, Want::I64).unwrap() else { panic!() };
        assert_eq!(values[0], first, "{name}");
        let Some(ColumnValues::F64(values)) = read_one(&file, name, Want::F64).unwrap() else { panic!() };
        assert_eq!(values[0].to_string(), first.to_string(), "{name}");
    }
}

#[test]
fn redshifts_that_are_not_numbers_are_none() {
    let z = [0.5, f64::NAN, f64::INFINITY];
    let columns = [
        TestColumn::i64("TARGETID", &[1, 2, 3]),
        TestColumn::f64("Z", &z),
        TestColumn::f64("ZERR", &[f64::NAN; 3]),
    ];
    let mut file = FitsBytes::new(&[]);
    file.table("REDSHIFTS", &columns, &[], &[]);
    let file = on_disk("redrock.fits", &file.0);
    let table = read_redrock(&file.path).unwrap();
    let read: Vec<Option<f64>> = (0..3).map(|row| table.row(row).z).collect();
    assert_eq!(read, [Some(0.5), None, None]);
    assert_eq!(table.row(0).zerr, None);
    assert_eq!(table.row(0).zwarn, None);
    assert_eq!(table.absent, ["ZWARN", "DELTACHI2", "SPECTYPE", "SUBTYPE"]);
}

#[test]
fn a_repeated_target_is_found_where_its_rows_agree_and_ambiguous_elsewhere() {
    let columns = [
        TestColumn::i64("TARGETID", &[9, -1, 9, 7, -1]),
        TestColumn::f64("Z", &[1.0, 2.0, 1.0, 3.0, 2.5]),
        TestColumn::text("SPECTYPE", 6, 0, &["QSO", "STAR", "GALAXY", "", "STAR"]),
    ];
    let mut file = FitsBytes::new(&[]);
    file.table("ZBEST", &columns, &[], &[]);
    let file = on_disk("zbest.fits", &file.0);
    let table = read_redrock(&file.path).unwrap();
    assert!(
        matches!(table.lookup(9), Lookup::Found(found) if found.row == 0 && found.spectype == Some("QSO"))
    );
    assert_eq!(table.lookup(-1), Lookup::Ambiguous { rows: 2 });
    assert!(matches!(table.lookup(7), Lookup::Found(found) if found.spectype.is_none()));
    assert_eq!(table.lookup(8), Lookup::Missing);
    // Listed in the coadd's order, each row keeps its own redshift.
    let rows = table.for_targets(&[9, -1, 9, 7, -1]);
    assert!(matches!(rows[4], Lookup::Found(found) if found.z == Some(2.5)));
}

#[test]
fn catalogue_columns_mean_what_the_caller_says() {
    // In DESIVAST tables Z is a coordinate in Mpc/h and the redshift is called REDSHIFT.
    let columns = [
        TestColumn::i64("TARGET", &TARGETIDS),
        TestColumn::f64("Z", &[-312.5; 5]),
        TestColumn::f64("REDSHIFT", &[0.125; 5]),
        TestColumn::i32("ZWARN", &[4; 5]),
    ];
    let mut file = FitsBytes::new(&[]);
    file.table("OTHER", &[TestColumn::i64("TARGET", &[1])], &[], &[]);
    file.table("VOIDS", &columns, &[], &[]);
    let file = on_disk("voids.fits", &file.0);
    let named = CatalogColumns {
        hdu: Some("VOIDS".to_owned()),
        targetid: "TARGET".to_owned(),
        z: "REDSHIFT".to_owned(),
        zwarn: Some("ZWARN".to_owned()),
        ..CatalogColumns::default()
    };
    let table = read_redshift_catalog(&file.path, &named).unwrap();
    assert!(matches!(
        table.lookup(616_088_619_186_127_404),
        Lookup::Found(found) if found.z == Some(0.125) && found.zwarn == Some(4)
    ));
    let misspelt = CatalogColumns { zerr: Some("ZERROR".to_owned()), ..named };
    let err = read_redshift_catalog(&file.path, &misspelt).unwrap_err();
    assert!(matches!(err, FitsError::MissingColumn { ref column, .. } if column == "ZERROR"), "{err}");
}

#[test]
fn unknown_units_are_kept_as_text() {
    let units = ["10**-17 erg/(s cm2 Angstrom)", "nmgy", "furlong/fortnight"];
    let columns = units.map(|unit| TestColumn::f64("A", &[1.0]).with("TUNIT", &format!("'{unit}'")));
    let file = table_file(&columns, &[]);
    let source = Source::open(&file.path, &OpenOptions::default()).unwrap();
    let specmill::fits::prescan::HduKind::Table(table) = &source.hdus()[1].kind else { panic!() };
    let read: Vec<Option<&str>> = table.columns.iter().map(|column| column.unit.as_deref()).collect();
    assert_eq!(read, units.map(Some));
}

#[test]
fn a_wrong_checksum_is_a_warning() {
    let mut bytes = FitsBytes::new(&[]);
    let column = TestColumn::i64("TARGETID", &[1, 2, 3]);
    // The words of the data sum to 6.
    bytes.table("RIGHT", std::slice::from_ref(&column), &[], &[("DATASUM", "'6       '")]);
    bytes.table("WRONG", &[column], &[], &[("DATASUM", "'7       '"), ("CHECKSUM", "'0000000000000000'")]);
    let file = on_disk("table.fits", &bytes.0);
    let source = Source::open(&file.path, &OpenOptions::default()).unwrap();
    assert_eq!(source.checksum_warnings("RIGHT").unwrap(), Vec::<String>::new());
    let warnings = source.checksum_warnings("WRONG").unwrap();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("HDU 2 (WRONG)") && warnings[0].contains('7'), "{warnings:?}");
}

#[test]
fn the_widest_table_that_fits_allows_is_read_by_subset() {
    let columns: Vec<TestColumn> =
        (0..999).map(|i| TestColumn::i32(&format!("C{i}"), &[i, -i, 2 * i])).collect();
    let file = table_file(&columns, &[]);
    let read = read_one(&file, "C998", Want::I64).unwrap();
    assert_eq!(read, Some(ColumnValues::I64(vec![998, -998, 1996])));
}

#[test]
fn lower_case_formats_and_names_are_accepted() {
    let mut column = TestColumn::i64("targetid", &[5, 6]);
    column.tform = "k".to_owned();
    let mut z = TestColumn::f64("z", &[0.5, 1.5]);
    z.tform = "1d".to_owned();
    let file = table_file(&[column, z], &[]);
    let table = read_redshift_catalog(&file.path, &CatalogColumns::default()).unwrap();
    assert_eq!((table.targetid, table.z), (vec![5, 6], vec![0.5, 1.5]));
}

#[test]
fn the_exact_spelling_wins_over_another_case() {
    let columns = [TestColumn::f64("z", &[1.0]), TestColumn::f64("Z", &[2.0])];
    let file = table_file(&columns, &[]);
    assert_eq!(read_one(&file, "Z", Want::F64).unwrap(), Some(ColumnValues::F64(vec![2.0])));
    assert_eq!(read_one(&file, "z", Want::F64).unwrap(), Some(ColumnValues::F64(vec![1.0])));
}

#[test]
fn long_tables_are_read_in_runs_without_a_seam() {
    let n = 40_000_i64;
    let ids: Vec<i64> = (0..n).map(|i| i * 3 - n).collect();
    let names: Vec<String> = (0..n).map(|i| format!("N{}", i % 17)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let columns = [TestColumn::i64("TARGETID", &ids), TestColumn::text("NAME", 5, 0, &names)];
    let file = table_file(&columns, &[]);
    assert_eq!(read_one(&file, "TARGETID", Want::I64).unwrap(), Some(ColumnValues::I64(ids)));
    assert_eq!(texts(read_one(&file, "NAME", Want::Text).unwrap()), names);
}
