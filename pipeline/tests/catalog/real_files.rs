//! The genuine tables, where this machine has them; benches/peers/check_tables.py compares their values.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Float32Type, Float64Type, Int64Type};
use specmill::fits::bintable::{TableOptions, TableReader, Tnull};
use specmill::fits::{OpenOptions, Source};

use super::{Whole, read_source};
use crate::real::real_data;

fn read_real(relative: &str) -> Option<Whole> {
    let source = Source::open(real_data(relative)?, &OpenOptions::default()).unwrap();
    Some(read_source(&source, &TableOptions::default()).unwrap())
}

#[test]
fn the_quasar_catalogue_keeps_its_nan_its_repeated_targets_and_its_strings_in_the_heap() {
    let Some(whole) = read_real("catalogs/qso/QSO_cat_fuji_cumulative.fits") else { return };
    let ids = whole.column("TARGETID").as_primitive::<Int64Type>();
    let distinct: std::collections::HashSet<i64> = ids.values().iter().copied().collect();
    assert_eq!((ids.len(), distinct.len()), (5314, 2478));
    let (mut nan, mut infinite) = (0, 0);
    let mut count = |value: f64| {
        nan += usize::from(value.is_nan());
        infinite += usize::from(value.is_infinite());
    };
    for column in whole.batch.columns() {
        assert_eq!(column.null_count(), 0);
        if let Some(values) = column.as_primitive_opt::<Float32Type>() {
            values.values().iter().for_each(|&value| count(f64::from(value)));
        } else if let Some(values) = column.as_primitive_opt::<Float64Type>() {
            values.values().iter().for_each(|&value| count(value));
        }
    }
    assert_eq!((nan, infinite), (7294, 42));
    let classes: std::collections::BTreeSet<&str> =
        whole.column("SPECTYPE").as_string::<i32>().iter().flatten().collect();
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), ["GALAXY", "QSO", "STAR"]);
}

#[test]
fn tnull_of_genuine_redrock_files_erases_nothing() {
    let path = "tree/spectro/redux/iron/tiles/cumulative/80613/20210324/redrock-4-80613-thru20210324.fits";
    let Some(path) = real_data(path) else { return };
    let source = Source::open(&path, &OpenOptions::default()).unwrap();
    let mut cards = 0;
    for hdu in &source.hdus()[1..] {
        let reader = TableReader::new(&source, hdu, &TableOptions::default()).unwrap();
        for plan in reader.columns() {
            assert!(matches!(plan.tnull(), Tnull::Absent | Tnull::Kept(999_999 | 16_959 | 63)), "{plan:?}");
            cards += usize::from(plan.tnull() != Tnull::Absent);
        }
    }
    assert!(cards > 20, "{cards} TNULL cards");
}

#[test]
fn the_widest_genuine_table_has_every_column() {
    let Some(path) = real_data("made-here/fastspec-4-80613-thru20210324.fits") else { return };
    let source = Source::open(&path, &OpenOptions::default()).unwrap();
    let reader =
        TableReader::new(&source, source.require("FASTSPEC").unwrap(), &TableOptions::default()).unwrap();
    assert_eq!((reader.rows(), reader.columns().len()), (1, 889));
}
