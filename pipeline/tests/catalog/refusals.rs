//! What is refused, and how the message names file, HDU, column and row.

use specmill::fits::bintable::{TableOptions, TableReader};
use specmill::fits::{FitsError, Source};

use super::corpus::{Heap, descriptor};
use super::read;
use crate::fits::files::{in_full, scanned};
use crate::fits_bytes::{FitsBytes, TestColumn};

fn table(columns: &[TestColumn], heap: &[u8]) -> FitsBytes {
    let mut file = FitsBytes::new(&[]);
    file.table("CAT", columns, heap, &[]);
    file
}

fn refusal(bytes: &[u8]) -> String {
    match read(bytes, &TableOptions::default()) {
        Ok(_) => panic!("the table was accepted"),
        Err(error) => in_full(&error),
    }
}

/// Replaces the value of the last card of `keyword`.
fn replace_card(bytes: &mut [u8], keyword: &str, value: &str) {
    let start = format!("{keyword:<8}= ");
    let at = bytes.windows(start.len()).rposition(|window| window == start.as_bytes()).unwrap();
    bytes[at..at + 80].copy_from_slice(format!("{:<80}", format!("{start}{value:>20}")).as_bytes());
}

#[test]
fn a_billion_rows_in_a_small_file_are_refused_before_any_is_read() {
    let mut bytes = table(&[TestColumn::i64("TARGETID", &[1, 2])], &[]).0;
    replace_card(&mut bytes, "NAXIS2", "1000000000");
    let text = refusal(&bytes);
    assert!(text.contains("table.fits") && text.contains("HDU 1"), "{text}");
    assert!(text.contains("truncated: 8000000000 bytes of data expected"), "{text}");
}

#[test]
fn a_truncated_heap_is_refused() {
    let mut heap = Heap::default();
    let column = heap.column("WAVE", "1PD(500)", &[(&[1; 4000], 500), (&[2; 4000], 500)]);
    let bytes = table(&[column], &heap.0).0;
    let text = refusal(&bytes[..bytes.len() - 2880]);
    assert!(text.contains("truncated"), "{text}");
}

#[test]
fn a_cell_outside_the_heap_is_named_by_column_and_row() {
    for tform in ["1PE(9)", "1QE(9)"] {
        let good = descriptor(tform, 2, 0);
        for (n, at) in [(3, 0), (1, 5), (0x7fff_ffff, 0), (1, 0xffff_ffff)] {
            let column = TestColumn::new("WAVE", tform, vec![good.clone(), descriptor(tform, n, at)]);
            let text = refusal(&table(&[column], &[0; 8]).0);
            assert!(text.contains("HDU 1 (CAT): column WAVE, row 1: points outside the heap"), "{text}");
        }
    }
    // Lengths and offsets that overflow when they are added or multiplied.
    for words in [[u64::MAX, 0], [1, u64::MAX], [u64::MAX / 2, u64::MAX / 2]] {
        let cell = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let text = refusal(&table(&[TestColumn::new("WAVE", "1QD", vec![cell])], &[0; 8]).0);
        assert!(text.contains("column WAVE, row 0: points outside the heap"), "{text}");
    }
}

#[test]
fn rows_that_share_a_heap_cannot_grow_without_bound() {
    // A hundred rows, each the whole heap of a thousand bytes.
    let cells = vec![descriptor("1PB", 1000, 0); 100];
    let text = refusal(&table(&[TestColumn::new("BYTES", "1PB", cells)], &[0; 1000]).0);
    assert!(
        text.contains("column BYTES: up to row 16 its cells ask for more than 16 times the heap"),
        "{text}"
    );
    let few = vec![descriptor("1PB", 1000, 0); 16];
    assert!(
        read(&table(&[TestColumn::new("BYTES", "1PB", few)], &[0; 1000]).0, &TableOptions::default()).is_ok()
    );
}

#[test]
fn a_block_ends_before_its_cells_fill_the_memory() {
    // Three rows of 40 MB each, the second and third sharing the first's: two do not fit one block.
    let cells = vec![descriptor("1QB", 40_000_000, 0); 3];
    let bytes = table(&[TestColumn::new("BYTES", "1QB", cells)], &vec![5; 40_000_000]).0;
    let (_file, source) = scanned(&bytes);
    let source = source.unwrap();
    let reader = TableReader::new(&source, &source.hdus()[1], &TableOptions::default()).unwrap();
    let mut rows = Vec::new();
    reader
        .stream(|block| {
            rows.push(block.rows());
            Ok::<(), FitsError>(())
        })
        .unwrap();
    assert_eq!(rows, [1, 1, 1]);
}

#[test]
fn columns_that_cannot_be_read_are_named_and_the_others_can_be_read_without_them() {
    let bytes =
        table(&[TestColumn::i64("TARGETID", &[5]), TestColumn::i32("FLAT", &[1]).with("TSCAL", "0.0")], &[])
            .0;
    let text = refusal(&bytes);
    assert!(text.contains("column FLAT: TSCAL is 0"), "{text}");
    let options = TableOptions { columns: Some(vec!["TARGETID".to_owned()]), ..TableOptions::default() };
    assert_eq!(read(&bytes, &options).unwrap().batch.num_rows(), 1);
    let missing = TableOptions { columns: Some(vec!["Z".to_owned()]), ..TableOptions::default() };
    let error = read(&bytes, &missing).err().unwrap();
    assert!(matches!(&error, FitsError::MissingColumn { column, .. } if column == "Z"), "{error}");
    let complex = TestColumn::new("WAVE", "C", vec![vec![0; 8]]).with("TSCAL", "2.0");
    assert!(refusal(&table(&[complex], &[]).0).contains("complex numbers with TSCAL"), "complex");
}

#[test]
fn a_whole_number_beyond_64_bits_is_named_with_its_row() {
    let column = TestColumn::i64("ID", &[1, i64::MAX]).with("TZERO", "1");
    let text = refusal(&table(&[column], &[]).0);
    assert!(text.contains("column ID, row 1: 9223372036854775807 is out of range"), "{text}");
}

#[test]
fn images_ascii_tables_and_compressed_tables_are_no_tables() {
    let mut image = FitsBytes::new(&[]);
    image.image_f32("FLUX", &[2, 2], &[0.0; 4]);
    assert!(refusal(&image.0).contains("is an image, not a binary table"), "image");
    let mut tiles = FitsBytes::new(&[]);
    tiles.compressed_image("MASK", &[vec![1, 2, 3]], None);
    assert!(refusal(&tiles.0).contains("is an image, not a binary table"), "tiles");
    let mut packed = FitsBytes::new(&[]);
    packed.table("CAT", &[TestColumn::i64("TARGETID", &[1])], &[], &[("ZTABLE", "T")]);
    assert!(refusal(&packed.0).contains("compressed table (funpack"), "packed");
}

#[test]
fn every_truncation_of_a_table_is_refused() {
    let whole = super::corpus::heap('P');
    for cut in (2880..whole.len()).step_by(61) {
        let (_file, source) = scanned(&whole[..cut]);
        let Ok(source): Result<Source, FitsError> = source else { continue };
        // What is left is whole: the primary HDU, or all but padding.
        assert!(source.hdus().len() == 1 || cut > whole.len() - 2880, "cut at {cut}");
    }
}
