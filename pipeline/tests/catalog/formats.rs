//! Every column format as the Arrow type it must become, value by value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, StringArray, StructArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use proptest::prelude::*;
use specmill::fits::bintable::{Block, TableOptions, TableReader};

use super::corpus::{heap, oddities, scalars, scaled, vectors};
use super::{Whole, read, read_plain};
use crate::fits::files::scanned;
use crate::fits_bytes::{FitsBytes, TestColumn};

fn assert_column(whole: &Whole, name: &str, expected: impl Array + 'static) {
    let expected: ArrayRef = Arc::new(expected);
    assert_eq!(whole.column(name).as_ref(), expected.as_ref(), "{name}");
}

/// The elements of a list column, and where each row's end.
fn flat(array: &ArrayRef) -> (ArrayRef, Vec<usize>) {
    if let DataType::FixedSizeList(_, n) = array.data_type() {
        let n = usize::try_from(*n).unwrap();
        let ends = (1..=array.len()).map(|row| n * row).collect();
        return (Arc::clone(array.as_fixed_size_list().values()), ends);
    }
    let list = array.as_list::<i32>();
    let ends = list.offsets().iter().skip(1).map(|&end| usize::try_from(end).unwrap()).collect();
    (Arc::clone(list.values()), ends)
}

fn assert_list(whole: &Whole, name: &str, ends: &[usize], expected: impl Array + 'static) {
    let (values, found_ends) = flat(whole.column(name));
    let expected: ArrayRef = Arc::new(expected);
    assert_eq!((values, found_ends), (expected, ends.to_vec()), "{name}");
}

fn complex(array: &ArrayRef) -> Vec<(f64, f64)> {
    let parts: &StructArray = array.as_struct();
    let part = |name: &str| -> Vec<f64> {
        let part = parts.column_by_name(name).unwrap();
        let double = arrow::compute::cast(part, &DataType::Float64).unwrap();
        double.as_primitive::<Float64Type>().values().to_vec()
    };
    part("re").into_iter().zip(part("im")).collect()
}

#[test]
fn scalars_of_every_kind_keep_every_bit() {
    let whole = read_plain(&scalars());
    assert_column(&whole, "LOGICAL", BooleanArray::from(vec![Some(true), Some(false), None]));
    assert_column(&whole, "BIT", BooleanArray::from(vec![true, false, true]));
    assert_column(&whole, "BYTE", UInt8Array::from(vec![0, 63, 255]));
    assert_column(&whole, "SHORT", Int16Array::from(vec![i16::MIN, 0, i16::MAX]));
    assert_column(&whole, "INT", Int32Array::from(vec![i32::MIN, -1, i32::MAX]));
    assert_column(&whole, "LONG", Int64Array::from(vec![-2_713_437, 616_088_619_186_127_404, i64::MIN]));
    assert_column(&whole, "TEXT", StringArray::from(vec!["GALAXY", "", "QSO"]));
    let bits: Vec<u32> =
        whole.column("FLOAT").as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [1.5, f32::NAN, f32::NEG_INFINITY].map(f32::to_bits));
    let bits: Vec<u64> =
        whole.column("DOUBLE").as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [-0.0, 1e-310, f64::NAN].map(f64::to_bits));
    assert_eq!(complex(whole.column("COMPLEX")), [(1.0, -2.0), (0.0, f64::INFINITY), (3.5, 0.25)]);
    assert_eq!(complex(whole.column("DCOMPLEX")), [(1.0, -2.0), (0.1, 0.2), (3.5, -0.0)]);
    let nullable: Vec<String> = whole
        .batch
        .schema()
        .fields()
        .iter()
        .filter(|field| field.is_nullable())
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(nullable, ["LOGICAL"]);
}

#[test]
fn vectors_become_lists_of_fixed_size() {
    let whole = read_plain(&vectors());
    let logicals = vec![Some(true), Some(false), None, Some(false), Some(false), Some(true)];
    assert_list(&whole, "LOGICALS", &[3, 6], BooleanArray::from(logicals));
    let bits = "1010010111100000000001";
    assert_list(&whole, "BITS", &[11, 22], BooleanArray::from_iter(bits.chars().map(|c| Some(c == '1'))));
    assert_list(&whole, "BYTES", &[3, 6], UInt8Array::from(vec![1, 2, 255, 0, 0, 0]));
    assert_list(&whole, "SHORTS", &[2, 4], Int16Array::from(vec![i16::MIN, 1, i16::MAX, -1]));
    assert_list(&whole, "LONGS", &[2, 4], Int64Array::from(vec![7, -7, 7, -7]));
    assert_list(
        &whole,
        "GRID",
        &[6, 12],
        Float32Array::from_iter_values((0..6_u8).chain(0..6).map(f32::from)),
    );
    assert_eq!(whole.card("GRID", "fits.tdim").as_deref(), Some("( 2, 3)"));
    let names = ["ab", "cd", "", "efgh", "ijkl", "mnop"];
    assert_list(&whole, "NAMES", &[3, 6], StringArray::from(names.to_vec()));
    // TDIM cuts strings too: `abc`, `d`, NUL.
    assert_list(&whole, "CODES", &[3, 6], StringArray::from(vec!["abc", "d", "f", "", "", ""]));
    let (pairs, ends) = flat(whole.column("PAIRS"));
    assert_eq!((complex(&pairs), ends), (vec![(1.0, 2.0), (3.0, 4.0), (1.0, 2.0), (3.0, 4.0)], vec![2, 4]));
    let (coeff, _) = flat(whole.column("COEFF"));
    assert_eq!(coeff.as_primitive::<Float64Type>().value(17).to_bits(), (7.0_f64 / 3.0).to_bits());
}

#[test]
fn cells_of_the_heap_have_their_own_lengths() {
    for letter in ['P', 'Q'] {
        let whole = read_plain(&heap(letter));
        let logicals = vec![Some(true), Some(false), None, Some(true)];
        assert_list(&whole, "LOGICALS", &[3, 3, 4], BooleanArray::from(logicals));
        let bits = "101001011111";
        assert_list(
            &whole,
            "BITS",
            &[11, 12, 12],
            BooleanArray::from_iter(bits.chars().map(|c| Some(c == '1'))),
        );
        assert_list(&whole, "BYTES", &[2, 3, 3], UInt8Array::from(vec![1, 255, 0]));
        assert_list(&whole, "SHORTS", &[0, 2, 3], Int16Array::from(vec![i16::MIN, 1, 5]));
        assert_list(&whole, "INTS", &[1, 1, 2], Int32Array::from(vec![i32::MIN, 5]));
        assert_list(&whole, "LONGS", &[1, 1, 2], Int64Array::from(vec![-5, 7]));
        let (floats, ends) = flat(whole.column("FLOATS"));
        assert!(floats.as_primitive::<Float32Type>().value(1).is_nan());
        assert_eq!((floats.len(), ends), (4, vec![3, 3, 4]));
        assert_list(&whole, "DOUBLES", &[0, 0, 2], Float64Array::from(vec![0.1, 0.2]));
        assert_column(&whole, "TEXT", StringArray::from(vec!["GALAXY", "", "QSO"]));
        let (pairs, ends) = flat(whole.column("PAIRS"));
        assert_eq!((complex(&pairs), ends), (vec![(1.0, 2.0)], vec![1, 1, 1]));
    }
}

#[test]
fn unsigned_numbers_are_exact_and_real_scales_are_doubles() {
    let whole = read_plain(&scaled());
    assert_column(&whole, "I8", Int8Array::from(vec![-128, 0, 127]));
    assert_column(&whole, "U16", UInt16Array::from(vec![0, 32_768, u16::MAX]));
    assert_column(&whole, "U32", UInt32Array::from(vec![0, 1 << 31, u32::MAX]));
    assert_column(&whole, "U64", UInt64Array::from(vec![0, 1 << 63, u64::MAX]));
    assert_column(&whole, "MOVED", Int64Array::from(vec![995, 1000, i64::from(i32::MAX) + 1000]));
    assert_column(&whole, "REAL", Float64Array::from(vec![10.5, 11.0, 9.5]));
    let scaled = whole.column("SCALED").as_primitive::<Float64Type>().clone();
    assert_eq!((scaled.value(0), scaled.value(2)), (2.0, -4.0));
    assert!(scaled.value(1).is_nan());
    assert_list(&whole, "VECTOR", &[2, 4, 6], Float64Array::from(vec![0.25, 0.5, 0.75, 1.0, 1.25, 1.5]));
}

#[test]
fn columns_without_a_name_of_their_own_get_one_and_empty_cells_are_empty() {
    let whole = read_plain(&oddities());
    let names: Vec<String> = whole.batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["COL1", "X", "X_2", "x", "NOTHING", "NO_TEXT", "NO_CELLS", "BAD_TDIM"]);
    assert_eq!(whole.card("X_2", "fits.ttype").as_deref(), Some("X"));
    assert_column(&whole, "x", Float32Array::from(vec![4.0, 4.0]));
    assert_list(&whole, "NOTHING", &[0, 0], Float32Array::from(Vec::<f32>::new()));
    assert_list(&whole, "NO_CELLS", &[0, 0], Float32Array::from(Vec::<f32>::new()));
    assert_column(&whole, "NO_TEXT", StringArray::from(vec!["", ""]));
    assert_column(&whole, "BAD_TDIM", StringArray::from(vec!["abcd", "abcd"]));
}

#[test]
fn units_are_kept_as_written_and_normalized_where_they_are_known() {
    let whole = read_plain(&scalars());
    let unit = |name: &str| (whole.card(name, "unit"), whole.card(name, "fits.tunit"));
    let texts = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
    assert_eq!(unit("INT"), texts("km.s**-1", "km s-1"));
    assert_eq!(unit("FLOAT"), texts("mas.yr**-1", "mas yr^-1"));
    assert_eq!(unit("DOUBLE"), texts("furlong", "furlong"));
    assert_eq!(unit("LONG"), (None, None));
    assert_eq!(whole.card("LONG", "fits.tform").as_deref(), Some("K"));
}

/// A table of many rows, to be cut in several blocks: a number, a vector and strings in the heap.
fn long_table(rows: usize) -> Vec<u8> {
    let numbers: Vec<i64> = (0..i64::try_from(rows).unwrap()).collect();
    let filler = TestColumn::new("FILLER", "400D", vec![vec![1; 3200]; rows]);
    let mut heap = super::corpus::Heap::default();
    let texts: Vec<String> = numbers.iter().map(|n| format!("row {n}")).collect();
    let cells: Vec<(&[u8], usize)> = texts.iter().map(|text| (text.as_bytes(), text.len())).collect();
    let names = heap.column("NAME", "1PA(12)", &cells);
    let mut file = FitsBytes::new(&[]);
    file.table("TABLE", &[filler, TestColumn::i64("N", &numbers), names], &heap.0, &[]);
    file.0
}

#[test]
fn blocks_follow_each_other_and_column_subsets_give_the_same_values() {
    let rows = 6000;
    let bytes = long_table(rows);
    let (_file, source) = scanned(&bytes);
    let source = source.unwrap();
    let hdu = &source.hdus()[1];
    let reader = TableReader::new(&source, hdu, &TableOptions::default()).unwrap().with_block_bytes(8 << 20);
    assert!(reader.rows_per_block() < rows as u64 && reader.rows_per_block().is_multiple_of(1024));
    let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); 3];
    let mut seen = 0;
    reader
        .stream(|block: &Block| {
            assert_eq!(block.first(), seen);
            seen += block.rows() as u64;
            // Column by column, as tasks of their own do.
            for (i, parts) in parts.iter_mut().enumerate() {
                parts.push(Arc::clone(&reader.decode(block, i..i + 1)?[0].array));
            }
            Ok::<(), specmill::fits::FitsError>(())
        })
        .unwrap();
    assert_eq!(seen, rows as u64);
    let whole = read_plain(&bytes);
    for (parts, column) in parts.iter().zip(whole.batch.columns()) {
        assert!(parts.len() > 2, "{} blocks", parts.len());
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        assert_eq!(arrow::compute::concat(&parts).unwrap().as_ref(), column.as_ref());
    }
    let columns = Some(vec!["NAME".to_owned(), "N".to_owned()]);
    let few = read(&bytes, &TableOptions { columns, ..TableOptions::default() }).unwrap();
    assert_eq!(few.batch.num_columns(), 2);
    for name in ["N", "NAME"] {
        assert_eq!(few.column(name), whole.column(name), "{name}");
    }
    assert_eq!(whole.column("NAME").as_string::<i32>().value(5999), "row 5999");
}

#[test]
fn narrow_columns_of_wide_rows_are_read_apart() {
    // Rows of 80 kB of which 8 bytes are wanted.
    let rows = 300;
    let columns = [
        TestColumn::new("FILLER", "10000D", vec![vec![7; 80_000]; rows]),
        TestColumn::i64("N", &(0..300).collect::<Vec<i64>>()),
    ];
    let mut file = FitsBytes::new(&[]);
    file.table("TABLE", &columns, &[], &[]);
    let options = TableOptions { columns: Some(vec!["n".to_owned()]), ..TableOptions::default() };
    let whole = read(&file.0, &options).unwrap();
    assert_column(&whole, "N", Int64Array::from_iter_values(0..300));
    let (_file, source) = scanned(&file.0);
    let source = source.unwrap();
    let reader = TableReader::new(&source, &source.hdus()[1], &options).unwrap().with_block_bytes(8 << 20);
    // Had whole rows been read, a block would hold a hundred.
    assert!(reader.rows_per_block() > 300);
}

proptest! {
    #[test]
    fn any_numbers_come_back(values in proptest::collection::vec(any::<(i64, u32, f64, [u8; 5])>(), 1..40)) {
        let columns = [
            TestColumn::i64("A", &values.iter().map(|v| v.0).collect::<Vec<_>>()),
            TestColumn::new("B", "J", values.iter().map(|v| (v.1 ^ 1 << 31).to_be_bytes().to_vec()).collect())
                .with("TZERO", "2147483648"),
            TestColumn::f64("C", &values.iter().map(|v| v.2).collect::<Vec<_>>()),
            TestColumn::new("D", "5B", values.iter().map(|v| v.3.to_vec()).collect()),
        ];
        let mut file = FitsBytes::new(&[]);
        file.table("TABLE", &columns, &[], &[]);
        let whole = read_plain(&file.0);
        assert_column(&whole, "A", Int64Array::from_iter_values(values.iter().map(|v| v.0)));
        assert_column(&whole, "B", UInt32Array::from_iter_values(values.iter().map(|v| v.1)));
        let bits: Vec<u64> =
            whole.column("C").as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect();
        prop_assert_eq!(bits, values.iter().map(|v| v.2.to_bits()).collect::<Vec<_>>());
        let (bytes, _) = flat(whole.column("D"));
        let expected: ArrayRef = Arc::new(UInt8Array::from_iter_values(values.iter().flat_map(|v| v.3)));
        prop_assert_eq!(bytes.as_ref(), expected.as_ref());
    }
}
