//! `catalog inspect` and `catalog convert`, as people run them.

use std::path::Path;
use std::process::{Command, Output};

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use specmill::fits::bintable::{Policy, TableOptions, TextPolicy};

use super::corpus::{files, scalars, tnull};
use super::read;
use crate::fits::files::on_disk;
use crate::fits_bytes::{FitsBytes, TestColumn, gzip};

fn catalog(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_specmill")).arg("catalog").args(arguments).output().unwrap()
}

fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn complaint(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn read_parquet(path: &Path) -> RecordBatch {
    let file = bytes::Bytes::from(fs_err::read(path).unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

#[test]
fn every_table_of_the_corpus_comes_back_from_parquet_as_it_was_read() {
    let policy = Policy { text: TextPolicy::Replace, ..Policy::default() };
    for (name, bytes) in files() {
        let file = on_disk(name, &bytes);
        let out = file.path.with_extension("parquet");
        let (from, to) = (file.path.to_str().unwrap(), out.to_str().unwrap());
        let said = printed(&catalog(&["convert", from, "--replace-text", "--out", to]));
        let expected = read(&bytes, &TableOptions { policy, ..TableOptions::default() }).unwrap().batch;
        let found = read_parquet(&out);
        assert_eq!(found.columns(), expected.columns(), "{name}");
        assert_eq!(found.schema().fields(), expected.schema().fields(), "{name}");
        assert!(said.contains(&format!(
            "wrote {} rows x {} columns",
            expected.num_rows(),
            expected.num_columns()
        )));
    }
}

#[test]
fn the_same_table_is_the_same_bytes_plain_or_gzip_once_or_again() {
    let bytes = scalars();
    let (plain, packed) = (on_disk("a.fits", &bytes), on_disk("b.fits.gz", &gzip(&bytes)));
    let folder = tempfile::TempDir::new().unwrap();
    let mut made = Vec::new();
    for (i, path) in [&plain.path, &plain.path, &packed.path].iter().enumerate() {
        let out = folder.path().join(format!("{i}.parquet"));
        printed(&catalog(&["convert", path.to_str().unwrap(), "--out", out.to_str().unwrap()]));
        made.push(fs_err::read(out).unwrap());
    }
    assert!(made[0] == made[1] && made[0] == made[2]);
}

#[test]
fn columns_are_chosen_in_the_order_given_and_tnull_is_told() {
    let file = on_disk("t.fits", &tnull());
    let out = file.path.with_extension("parquet");
    let arguments = ["convert", file.path.to_str().unwrap(), "--columns", "MEANT,targetid", "--hdu", "table"];
    let said = printed(&catalog(&[&arguments[..], &["--out", out.to_str().unwrap()]].concat()));
    let schema = read_parquet(&out).schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["MEANT", "TARGETID"]);
    assert!(said.contains("TARGETID: 1 values equal to a TNULL that was not followed"), "{said}");
}

#[test]
fn inspect_lists_hdus_and_columns_and_counts_on_demand() {
    let mut more = FitsBytes(scalars());
    more.image_f32("FLUX", &[2, 3], &[0.0; 6]);
    let file = on_disk("two.fits", &more.0);
    let path = file.path.to_str().unwrap();
    let text = printed(&catalog(&["inspect", path]));
    for part in ["3 HDUs", "table, 3 rows x 11 columns", "image, float32 2 x 3", "complex float32", "km s-1"]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("NaN"), "{text}");
    let text = printed(&catalog(&["inspect", path, "--hdu", "1", "--counts"]));
    let line = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("LOGICAL"), ["LOGICAL", "L", "bool", "-", "1", "-", "-", "F", "T"]);
    assert_eq!(line("FLOAT"), ["FLOAT", "E", "float32", "mas", "yr^-1", "0", "1", "1", "-inf", "1.5"]);
    assert_eq!(line("BYTE"), ["BYTE", "B", "uint8", "-", "0", "-", "-", "0", "255"]);
    assert_eq!(line("LONG")[7..], ["-9223372036854775808", "616088619186127404"]);
    let text = printed(&catalog(&["inspect", path, "--hdu", "FLUX"]));
    assert_eq!(text, "HDU 2 (FLUX): image, float32 2 x 3, 24 B\n");
}

#[test]
fn a_table_that_cannot_be_read_does_not_hide_the_others() {
    let mut file = FitsBytes::new(&[]);
    let outside = TestColumn::new("WAVE", "1PE", vec![super::corpus::descriptor("1PE", 9, 0)]);
    file.table("DAMAGED", &[outside], &[], &[]);
    file.table("WHOLE", &[TestColumn::i64("TARGETID", &[7])], &[], &[]);
    let file = on_disk("two.fits", &file.0);
    let path = file.path.to_str().unwrap();
    let output = catalog(&["inspect", path, "--counts"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("HDU 1 (DAMAGED): column WAVE, row 0: points outside the heap"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("TARGETID  K       int64")), "{text}");
    complaint(&catalog(&["inspect", path, "--hdu", "DAMAGED", "--counts"]), 1);
    // Without counts the heap is not looked at.
    printed(&catalog(&["inspect", path]));
}

#[test]
fn wrong_arguments_say_what_there_is() {
    let mut file = FitsBytes(scalars());
    file.table("SECOND", &[TestColumn::i64("TARGETID", &[1])], &[], &[]);
    let file = on_disk("two.fits", &file.0);
    let path = file.path.to_str().unwrap();
    let out = file.path.with_extension("parquet");
    let convert = |arguments: &[&str]| {
        catalog(&[&["convert", path, "--out", out.to_str().unwrap()], arguments].concat())
    };
    let text = complaint(&convert(&[]), 2);
    assert!(text.contains("--hdu: choose one of HDU 0, HDU 1 (TABLE), HDU 2 (SECOND)"), "{text}");
    let text = complaint(&convert(&["--hdu", "ZCATALOG"]), 2);
    assert!(text.contains("has no HDU ZCATALOG; it has HDU 0, HDU 1 (TABLE)"), "{text}");
    let text = complaint(&convert(&["--hdu", "SECOND", "--columns", "TARGETD"]), 2);
    assert!(text.contains("there is no column TARGETD; did you mean TARGETID?"), "{text}");
    let text = complaint(&convert(&["--hdu", "0"]), 2);
    assert!(text.contains("HDU 0 is no binary table"), "{text}");
    let text = complaint(&catalog(&["convert", path, "--hdu", "1", "--out", path]), 2);
    assert!(text.contains("this is the file to convert"), "{text}");
    assert!(!out.exists());
}

#[test]
fn a_conversion_that_fails_leaves_nothing_and_says_where() {
    let file = on_disk("latin1.fits", &super::corpus::latin1());
    let out = file.path.with_extension("parquet");
    let text =
        complaint(&catalog(&["convert", file.path.to_str().unwrap(), "--out", out.to_str().unwrap()]), 1);
    assert!(text.contains("HDU 1 (TABLE): column NAME, row 2: the string is not UTF-8"), "{text}");
    assert!(text.contains("--replace-text"), "{text}");
    let left: Vec<_> =
        fs_err::read_dir(file.path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.as_slice(), std::slice::from_ref(&file.path));
}

#[test]
fn as_many_columns_as_fits_allows_are_converted_and_some_of_them_chosen() {
    let columns: Vec<TestColumn> =
        (0..999_i16).map(|i| TestColumn::f32(&format!("LINE{i}_FLUX"), &[f32::from(i), 0.5])).collect();
    let mut wide = FitsBytes::new(&[]);
    wide.table("FASTSPEC", &columns, &[], &[]);
    let file = on_disk("wide.fits", &wide.0);
    let out = file.path.with_extension("parquet");
    let (from, to) = (file.path.to_str().unwrap(), out.to_str().unwrap());
    printed(&catalog(&["convert", from, "--out", to]));
    let found = read_parquet(&out);
    assert_eq!((found.num_rows(), found.num_columns()), (2, 999));
    for (i, column) in found.columns().iter().enumerate() {
        let values = column.as_primitive::<Float32Type>().values();
        assert_eq!(values[..], [f32::from(i16::try_from(i).unwrap()), 0.5]);
    }
    printed(&catalog(&["convert", from, "--columns", "LINE998_FLUX,LINE3_FLUX", "--out", to]));
    let few = read_parquet(&out);
    assert_eq!(few.columns(), [found.column(998).clone(), found.column(3).clone()]);
}
