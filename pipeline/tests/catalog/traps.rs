//! What tables of DESI files do: TNULL that means nothing, NaN, padding, odd logicals.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _, BooleanArray};
use arrow::datatypes::{Float32Type, Int16Type, Int32Type, Int64Type, UInt8Type};
use specmill::fits::FitsError;
use specmill::fits::bintable::{NanPolicy, Policy, TableOptions, TextPolicy, TnullPolicy};

use super::corpus::{heap, latin1, scalars, scaled, strings, tnull};
use super::{read, read_plain};
use crate::fits_bytes::{FitsBytes, TestColumn};

fn with(policy: Policy) -> TableOptions {
    TableOptions { policy, ..TableOptions::default() }
}

#[test]
fn tnull_of_masked_tables_erases_nothing_and_its_values_are_counted() {
    let whole = read_plain(&tnull());
    for (name, kept) in [("TARGETID", 1), ("JUNK_J", 2), ("JUNK_I", 1), ("JUNK_B", 3)] {
        assert_eq!(whole.column(name).null_count(), 0, "{name}");
        assert_eq!(whole.note(name).tnull_kept, kept, "{name}");
    }
    assert_eq!(whole.column("JUNK_B").as_primitive::<UInt8Type>().values()[..], [63, 63, 63, 1]);
    assert_eq!(whole.card("JUNK_I", "fits.tnull").as_deref(), Some("16959: kept"));
}

#[test]
fn tnull_that_names_a_value_of_its_own_is_null_and_one_outside_the_type_is_ignored() {
    let whole = read_plain(&tnull());
    let meant: Vec<Option<i32>> = whole.column("MEANT").as_primitive::<Int32Type>().iter().collect();
    assert_eq!(meant, [None, Some(1), None, Some(3)]);
    // 999999 does not fit 16 bits, and what cutting it to them leaves, 16959, is a value.
    let outside: Vec<Option<i16>> = whole.column("OUTSIDE").as_primitive::<Int16Type>().iter().collect();
    assert_eq!(outside, [Some(1), Some(16_959), Some(3), Some(4)]);
    assert_eq!(whole.column("TEXTUAL").null_count(), 0);
    // TNULL is compared with what is stored, before TZERO.
    assert!(whole.column("UNSIGNED").is_null(0) && whole.column("UNSIGNED").null_count() == 1);
}

#[test]
fn tnull_can_be_followed_or_ignored_by_declaration() {
    let honor = Policy { tnull: TnullPolicy::Honor, ..Policy::default() };
    let whole = read(&tnull(), &with(honor)).unwrap();
    assert_eq!(whole.column("JUNK_B").null_count(), 3);
    let ignore = Policy { tnull: TnullPolicy::Ignore, ..Policy::default() };
    let whole = read(&tnull(), &with(ignore)).unwrap();
    assert_eq!((whole.column("MEANT").null_count(), whole.note("MEANT").tnull_kept), (0, 2));
    let exceptions = BTreeMap::from([("MEANT".to_owned(), ignore)]);
    let options = TableOptions { policy: honor, exceptions, ..TableOptions::default() };
    let whole = read(&tnull(), &options).unwrap();
    assert_eq!((whole.column("MEANT").null_count(), whole.column("JUNK_J").null_count()), (0, 2));
}

#[test]
fn nan_is_kept_to_the_bit_or_becomes_null_and_nothing_else_does() {
    let odd_nan = f32::from_bits(0xffc0_1234);
    let mut file = FitsBytes::new(&[]);
    let column = TestColumn::f32("F", &[odd_nan, 1.0, f32::INFINITY]);
    file.table("TABLE", &[column], &[], &[]);
    let kept = read_plain(&file.0);
    assert_eq!(kept.column("F").as_primitive::<Float32Type>().value(0).to_bits(), odd_nan.to_bits());
    assert_eq!(kept.column("F").null_count(), 0);
    let null = Policy { nan: NanPolicy::Null, ..Policy::default() };
    let cut: Vec<Option<f32>> =
        read(&file.0, &with(null)).unwrap().column("F").as_primitive::<Float32Type>().iter().collect();
    assert_eq!(cut, [None, Some(1.0), Some(f32::INFINITY)]);
    let (scalars, heap, scaled) = (scalars(), heap('P'), scaled());
    for (bytes, column) in [(&scalars, "DOUBLE"), (&scaled, "SCALED")] {
        assert_eq!(read(bytes, &with(null)).unwrap().column(column).null_count(), 1, "{column}");
    }
    let whole = read(&heap, &with(null)).unwrap();
    assert_eq!(whole.column("FLOATS").as_list::<i32>().values().null_count(), 1);
    assert_eq!(whole.card("FLOATS", "fits.nan").as_deref(), Some("NULL"));
}

#[test]
fn strings_end_at_the_first_nul_and_lose_their_padding() {
    let whole = read_plain(&strings());
    let texts = |name: &str| -> Vec<String> {
        whole.column(name).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
    };
    assert_eq!(texts("NULS"), ["QSO", "", "GALAXY"]);
    assert_eq!(texts("BLANKS"), ["QSO", "", "GALAXY"]);
    assert_eq!(texts("INNER"), ["ab", "", " a"]);
    assert_eq!(texts("ACCENTS"), ["café", "", "abcde"]);
    assert_eq!(whole.card("ACCENTS", "description").as_deref(), Some("names of things"));
}

#[test]
fn a_string_that_is_not_utf8_is_named_with_its_row_or_replaced_and_counted() {
    let error = read(&latin1(), &TableOptions::default()).err().unwrap();
    assert!(matches!(&error, FitsError::NotUtf8 { column, row: 2, .. } if column == "NAME"), "{error}");
    let text = error.to_string();
    assert!(text.contains("table.fits: HDU 1 (TABLE): column NAME, row 2"), "{text}");
    let replace = Policy { text: TextPolicy::Replace, ..Policy::default() };
    let whole = read(&latin1(), &with(replace)).unwrap();
    assert_eq!(whole.column("NAME").as_string::<i32>().value(2), "caf\u{fffd}");
    assert_eq!((whole.note("NAME").replaced_text, whole.note("ID").replaced_text), (1, 0));
}

#[test]
fn logicals_are_t_f_or_null_and_others_are_counted() {
    let mut file = FitsBytes::new(&[]);
    let cells = [b"T", b"F", b"\0", b"\x01", b"t"].map(|cell| cell.to_vec()).to_vec();
    file.table("TABLE", &[TestColumn::new("PRIMARY", "L", cells)], &[], &[]);
    let whole = read_plain(&file.0);
    let expected = BooleanArray::from(vec![Some(true), Some(false), None, None, None]);
    assert_eq!(whole.column("PRIMARY").as_boolean(), &expected);
    assert_eq!(whole.note("PRIMARY").odd_logicals, 2);
}

#[test]
fn target_ids_never_pass_through_a_float() {
    let ids = [-2_713_437, 616_088_619_186_127_404, (1 << 53) + 1, i64::MAX];
    let mut file = FitsBytes::new(&[]);
    file.table("TABLE", &[TestColumn::i64("TARGETID", &ids).with("TNULL", "999999")], &[], &[]);
    let whole = read_plain(&file.0);
    assert_eq!(whole.column("TARGETID").as_primitive::<Int64Type>().values()[..], ids);
}
