//! Catalogues into the lake: what becomes of every kind of column.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use specmill::ledger::State;

use super::corpus::Heap;
use super::run::{CatalogRun, toy_columns, toy_file};
use crate::fits_bytes::{FitsBytes, TestColumn, gzip};

const UNIT: &str = "catalog/toy/toy-iron-main/0";

fn reals(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    let column = batch.column_by_name(name).unwrap();
    match column.as_primitive_opt::<Float32Type>() {
        Some(values) => values.iter().map(|value| value.map(f64::from)).collect(),
        None => column.as_primitive::<Float64Type>().iter().collect(),
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    batch
        .column_by_name(name)
        .unwrap()
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(str::to_owned))
        .collect()
}

fn shorts(values: &[i16]) -> Vec<Vec<u8>> {
    values.iter().map(|v| v.to_be_bytes().to_vec()).collect()
}

fn toy(columns: Vec<TestColumn>) -> (CatalogRun, RecordBatch) {
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&columns));
    run.run(0);
    let rows = run.rows(UNIT);
    (run, rows)
}

#[test]
fn every_row_says_what_it_is_and_every_column_what_it_means() {
    let ids = [-2_713_437, 616_088_619_186_127_404, 7, 8];
    let (run, rows) = toy(toy_columns(&ids));
    assert_eq!(texts(&rows, "unit"), vec![Some(UNIT.to_owned()); 4]);
    assert_eq!(rows.column_by_name("row").unwrap().as_primitive::<Int64Type>().values()[..], [0, 1, 2, 3]);
    assert_eq!(texts(&rows, "specprod"), vec![Some("iron".to_owned()); 4]);
    assert_eq!(texts(&rows, "survey"), vec![Some("main".to_owned()); 4]);
    assert_eq!(rows.column_by_name("targetid").unwrap().as_primitive::<Int64Type>().values()[..], ids);
    let schema = rows.schema();
    let metadata = |name: &str, key: &str| schema.field_with_name(name).unwrap().metadata().get(key).cloned();
    assert_eq!(metadata("ra", "unit").as_deref(), Some("deg"));
    assert_eq!(metadata("radius", "h").as_deref(), Some("1"));
    assert_eq!(metadata("flux", "source").as_deref(), Some("TOY"));
    assert!(!schema.field_with_name("targetid").unwrap().is_nullable());
    // The whole table is there, whatever the file lacks.
    assert_eq!(rows.column_by_name("radius").unwrap().null_count(), 4);
    assert_eq!(schema.fields().last().unwrap().name(), "healpix29");
    let footer = run.footer(UNIT);
    let expected = [
        ("specmill.stage", "catalog"),
        ("specmill.unit", UNIT),
        ("specmill.catalog", "toy"),
        ("specmill.release", "toy v1"),
        ("specmill.file", "toy-iron-main.fits"),
        ("specmill.hdu", "TOY"),
        ("specmill.first_row", "0"),
        ("specmill.rows", "4"),
    ];
    for (key, value) in expected {
        assert_eq!(footer.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(footer["specmill.stage_hash"], run.account(UNIT).stage_hash);
}

#[test]
fn what_stands_for_nothing_is_null_and_counted_by_its_reason() {
    let mut columns = toy_columns(&[1, 2, 3, 4]);
    columns[3] = TestColumn::f32("FLUX", &[1.5, f32::NAN, 0.0, f32::INFINITY]).with("TUNIT", "'nmgy    '");
    columns[4] = TestColumn::f32("FLUX_IVAR", &[4.0, 4.0, 0.0, 4.0]);
    columns.push(TestColumn::f64("MASS", &[-1.0, 0.1, 2.0, f64::NEG_INFINITY]));
    columns.push(TestColumn::text("CLASS", 6, b' ', &["NONE", "", "STAR", " NONE"]));
    columns.push(TestColumn::new("GOOD", "L", vec![b"T".to_vec(), b"F".to_vec(), vec![0], b"x".to_vec()]));
    columns.push(TestColumn::new("COUNT", "I", shorts(&[-1, 63, 16_959, 12])).with("TNULL", "12"));
    columns.push(TestColumn::i32("LEFTOVER", &[1, 2, 3, 4]));
    let (run, rows) = toy(columns);
    assert_eq!(reals(&rows, "flux"), [Some(1.5), None, None, None]);
    assert_eq!(reals(&rows, "flux_ivar"), [Some(4.0), Some(4.0), Some(0.0), Some(4.0)]);
    assert_eq!(reals(&rows, "mass"), [None, None, Some(2.0), None]);
    assert_eq!(texts(&rows, "class"), [None, Some(String::new()), Some("STAR".to_owned()), None]);
    let good: Vec<Option<bool>> = rows.column_by_name("good").unwrap().as_boolean().iter().collect();
    assert_eq!(good, [Some(true), Some(false), None, None]);
    let count: Vec<Option<i16>> =
        rows.column_by_name("count").unwrap().as_primitive::<Int16Type>().iter().collect();
    assert_eq!(count, [None, Some(63), Some(16_959), None]);
    let expected = [
        "columns not declared, left out: LEFTOVER",
        "NULL where the file has none itself: good 1, count 1",
        "NULL for NaN: flux 1",
        "NULL for an infinity: flux 1, mass 1",
        "NULL for a value that stands for nothing: mass 2, class 2, count 1",
        "NULL where the weight is 0: flux 1",
        "NULL for a logical neither T nor F nor 0: good 1",
    ];
    assert_eq!(run.account(UNIT).notes, expected);
}

#[test]
fn units_are_converted_once_in_double_precision_and_untouched_values_keep_their_bits() {
    let mut columns = toy_columns(&[1, 2, 3]);
    let flux = [f32::from_bits(1), -0.0, 1.0 / 3.0];
    columns[3] = TestColumn::f32("FLUX", &flux).with("TUNIT", "'nanomaggy'");
    columns.push(TestColumn::f32("RADIUS", &[0.1, 7.0, 1e30]).with("TUNIT", "'kpc     '"));
    let (_, rows) = toy(columns);
    let found = rows.column_by_name("flux").unwrap().as_primitive::<Float32Type>();
    assert!(found.values().iter().zip(flux).all(|(found, flux)| found.to_bits() == flux.to_bits()));
    let expected: Vec<Option<f64>> =
        [0.1_f32, 7.0, 1e30].iter().map(|&v| Some(f64::from(v) * 0.001 * 2.0 + 1.0)).collect();
    assert_eq!(reals(&rows, "radius"), expected);
}

#[test]
fn numbers_of_another_width_are_taken_where_nothing_is_lost() {
    let mut columns = toy_columns(&[0]);
    columns[0] = TestColumn::i32("targetid", &[5]);
    columns[1] = TestColumn::f32("TARGET_RA", &[10.5]);
    columns[3] = TestColumn::new("FLUX", "I", shorts(&[-7]));
    columns.push(TestColumn::f64("MASS", &[1e-3]));
    columns.push(TestColumn::new("GOOD", "B", vec![vec![1]]));
    columns.push(TestColumn::i64("COUNT", &[32_767]));
    columns.push(TestColumn::new(
        "COEFF",
        "3D",
        vec![[1.0_f64, f64::NAN, 3.0].map(f64::to_be_bytes).concat()],
    ));
    columns.push(TestColumn::new("TILES", "2I", vec![[1_i16, -2].map(i16::to_be_bytes).concat()]));
    let (_, rows) = toy(columns);
    assert_eq!(rows.column_by_name("targetid").unwrap().as_primitive::<Int64Type>().values()[..], [5]);
    assert_eq!(reals(&rows, "ra"), [Some(10.5)]);
    assert_eq!(reals(&rows, "flux"), [Some(-7.0)]);
    #[expect(clippy::cast_possible_truncation, reason = "what single precision makes of it")]
    let single = f64::from(1e-3_f64 as f32);
    assert_eq!(reals(&rows, "mass"), [Some(single)]);
    assert_eq!(rows.column_by_name("count").unwrap().as_primitive::<Int16Type>().value(0), i16::MAX);
    let coeff = rows.column_by_name("coeff").unwrap().as_fixed_size_list().value(0);
    let coeff: Vec<Option<f32>> = coeff.as_primitive::<Float32Type>().iter().collect();
    assert_eq!(coeff, [Some(1.0), None, Some(3.0)]);
    let tiles = rows.column_by_name("tiles").unwrap().as_list::<i32>().value(0);
    assert_eq!(tiles.as_primitive::<Int32Type>().values()[..], [1, -2]);
}

#[test]
fn arrays_of_any_length_come_from_the_heap() {
    let mut heap = Heap::default();
    let numbers = |n: &[i32]| n.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
    let (a, b) = (numbers(&[1, 2, 3]), numbers(&[9]));
    let mut columns = toy_columns(&[1, 2, 3]);
    columns.push(heap.column("TILES", "1PJ(3)", &[(&a, 3), (&[], 0), (&b, 1)]));
    let mut file = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    file.table("TOY", &columns, &heap.0, &[]);
    let mut run = CatalogRun::new();
    run.toy(&file.0);
    run.run(0);
    let rows = run.rows(UNIT);
    let tiles = rows.column_by_name("tiles").unwrap().as_list::<i32>();
    let found: Vec<Vec<i32>> =
        tiles.iter().map(|row| row.unwrap().as_primitive::<Int32Type>().values().to_vec()).collect();
    assert_eq!(found, [vec![1, 2, 3], vec![], vec![9]]);
}

#[test]
fn legacy_ids_are_packed_and_positions_have_their_pixel() {
    let mut columns = toy_columns(&[1, 2, 3]);
    columns[1] = TestColumn::f64("RA", &[45.0, f64::NAN, 0.0]);
    columns[2] = TestColumn::f64("DEC", &[90.0, 0.0, -90.0]);
    columns.push(TestColumn::new("RELEASE", "I", shorts(&[9010, 9011, 9012])));
    columns.push(TestColumn::i32("BRICKID", &[1, 330_368, (1 << 24) - 1]));
    columns.push(TestColumn::i32("OBJID", &[65_535, 0, 3]));
    let (_, rows) = toy(columns);
    let ids = rows.column_by_name("ls_id").unwrap().as_primitive::<Int64Type>();
    let packed = |release: i64, brick: i64, object: i64| (release << 40) | (brick << 16) | object;
    let expected = [packed(9010, 1, 65_535), packed(9011, 330_368, 0), packed(9012, (1 << 24) - 1, 3)];
    assert_eq!(ids.values()[..], expected);
    let pixels: Vec<Option<i64>> =
        rows.column_by_name("healpix29").unwrap().as_primitive::<Int64Type>().iter().collect();
    // The poles are the last pixel of face 0 and the first of face 8; a position that is none has no pixel.
    assert_eq!(pixels, [Some((1 << 58) - 1), None, Some(8 << 58)]);
}

#[test]
fn a_file_may_say_a_column_by_its_name_or_a_keyword() {
    let mut run = CatalogRun::new();
    let mut by_card = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    by_card.table("TOYS", &toy_columns(&[1]), &[], &[("SURVEY", "'sv3     '")]);
    run.file("toy-fuji.fits", &by_card.0);
    let mut columns = toy_columns(&[1]);
    columns.push(TestColumn::text("SURVEY", 7, 0, &["special"]));
    run.file("toy-iron-main.fits", &toy_file(&columns));
    run.catalog("name = \"toy\"", &["toy-fuji.fits", "toy-iron-main.fits"]);
    run.run(0);
    let survey = |unit: &str| texts(&run.rows(unit), "survey")[0].clone();
    assert_eq!(survey("catalog/toy/toy-fuji/0").as_deref(), Some("sv3"));
    assert_eq!(survey(UNIT).as_deref(), Some("special"), "a column of the file comes first");
}

#[test]
fn a_second_run_writes_nothing_and_other_settings_or_another_file_write_again() {
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&toy_columns(&[1, 2])));
    run.run(0);
    let inode = |run: &CatalogRun| {
        std::os::unix::fs::MetadataExt::ino(
            &fs_err::metadata(run.path(&format!("run/{UNIT}.parquet"))).unwrap(),
        )
    };
    let (first, bytes) = (inode(&run), run.lake());
    let said = run.run(0);
    assert_eq!(inode(&run), first, "{}", said.out);
    assert!(said.out.contains("1 of 1 units accounted for"), "{}", said.out);
    run.declare("toy", &super::run::TOY.replace("A row per target.", "One row per target."));
    run.run(0);
    assert_ne!(inode(&run), first);
    run.declare("toy", super::run::TOY);
    run.run(0);
    assert!(run.lake() == bytes);
    run.file("toy-iron-main.fits", &toy_file(&toy_columns(&[1, 2, 3])));
    // Three rows fit in the padding of two: the size is the same, the rows are not.
    run.run(0);
    assert_eq!(run.rows(UNIT).num_rows(), 3);
    run.digest = "full";
    run.run(0);
    run.file("toy-iron-main.fits", &toy_file(&toy_columns(&[1, 2, 4])));
    run.run(0);
    let ids =
        run.rows(UNIT).column_by_name("targetid").unwrap().as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ids, [1, 2, 4]);
}

#[test]
fn a_gzip_file_and_any_number_of_threads_give_the_same_rows_and_bytes() {
    let ids: Vec<i64> = (0..5000).collect();
    let bytes = toy_file(&toy_columns(&ids));
    let mut lakes = Vec::new();
    for threads in [1, 8] {
        let mut run = CatalogRun::new();
        run.more = format!("[resources]\nthreads = {threads}\n");
        for part in ["a", "b", "c"] {
            let name = format!("toy-iron-{part}.fits");
            run.file(&name, &bytes);
            run.catalog("name = \"toy\"", &[&name]);
        }
        run.run(0);
        lakes.push(run.lake());
    }
    assert_eq!(lakes[0].len(), 3);
    assert!(lakes[0] == lakes[1]);
    let mut run = CatalogRun::new();
    run.file("toy-iron-a.fits.gz", &gzip(&bytes));
    run.catalog("name = \"toy\"", &["toy-iron-a.fits.gz"]);
    run.run(0);
    let expected = arrow_of(&lakes[0]);
    assert_eq!(run.rows("catalog/toy/toy-iron-a/0").columns(), expected.columns());
}

fn arrow_of(lake: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>) -> RecordBatch {
    let bytes = lake.values().next().unwrap().clone();
    let file = super::on_disk("a.parquet", &bytes);
    crate::run_folder::read_table(&file.path)
}

#[test]
fn an_empty_table_is_empty_and_an_optional_one_may_be_absent() {
    let mut file = FitsBytes(toy_file(&toy_columns(&[1])));
    let lines = [TestColumn::i64("TARGETID", &[2]), TestColumn::f64("Z", &[0.5])];
    file.table("LINES", &lines, &[], &[]);
    let card = file.0.windows(9).rposition(|window| window == b"NAXIS2  =").unwrap();
    file.0[card..card + 80].copy_from_slice(format!("{:<80}", format!("NAXIS2  = {:>20}", 0)).as_bytes());
    file.0.truncate(file.0.len() - 2880);
    let mut run = CatalogRun::new();
    run.toy(&file.0);
    let said = run.run(0);
    let row = run.account("catalog/toy_lines/toy-iron-main/0");
    assert_eq!((row.state, row.rows_in, row.outputs.len()), (State::Empty, 0, 0));
    assert!(said.out.contains("2 of 2 units accounted for"), "{}", said.out);
    let mut without = CatalogRun::new();
    without.toy(&toy_file(&toy_columns(&[1])));
    let said = without.run(0);
    assert!(said.out.contains("1 of 1 units accounted for"), "{}", said.out);
    let mut one = CatalogRun::new();
    one.file("toy-iron-main.fits", &file.0);
    one.catalog("name = \"toy\"\ntables = [\"toy_lines\"]", &["toy-iron-main.fits"]);
    one.run(0);
    assert!(one.lake().is_empty());
}

/// Rows of a mebibyte each, nearly all of it a hole: many units without many bytes.
fn sparse(run: &CatalogRun, rows: usize) {
    use std::os::unix::fs::FileExt as _;
    const ROW_BYTES: usize = 1 << 20;
    let mut columns = toy_columns(&[0]);
    let used: usize = columns.iter().map(|column| column.cells[0].len()).sum();
    columns.push(TestColumn::new("HOLE", &format!("{}B", ROW_BYTES - used), vec![vec![0; ROW_BYTES - used]]));
    let mut bytes = toy_file(&columns);
    let text = String::from_utf8_lossy(&bytes[..4 * 2880]).into_owned();
    let card = text.find("NAXIS2  =").unwrap();
    bytes[card..card + 80].copy_from_slice(format!("{:<80}", format!("NAXIS2  = {rows:>20}")).as_bytes());
    let data = bytes.len() - ROW_BYTES.next_multiple_of(2880);
    let path = run.file("toy-iron-main.fits", &bytes[..data]);
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((data + (rows * ROW_BYTES).next_multiple_of(2880)) as u64).unwrap();
    for row in 0..rows {
        let id = i64::try_from(row).unwrap();
        let cells: Vec<u8> = toy_columns(&[id]).iter().flat_map(|column| column.cells[0].clone()).collect();
        file.write_all_at(&cells, (data + row * ROW_BYTES) as u64).unwrap();
    }
}

#[test]
fn a_large_table_is_cut_into_units_that_are_made_apart_and_go_when_the_file_shrinks() {
    let mut run = CatalogRun::new();
    sparse(&run, 1100);
    run.catalog("name = \"toy\"", &["toy-iron-main.fits"]);
    run.run(0);
    let mut next = 0;
    for (block, rows) in [512, 512, 76].into_iter().enumerate() {
        let unit = format!("catalog/toy/toy-iron-main/{block}");
        let batch = run.rows(&unit);
        assert_eq!(batch.num_rows(), rows);
        for name in ["row", "targetid"] {
            let values = batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
            assert!(
                values.values().iter().copied().eq(next..next + i64::try_from(rows).unwrap()),
                "{unit} {name}"
            );
        }
        assert_eq!(run.footer(&unit)["specmill.first_row"], next.to_string());
        next += i64::try_from(rows).unwrap();
    }
    let lost = run.path("run/catalog/toy/toy-iron-main/1.parquet");
    let bytes = run.lake();
    fs_err::remove_file(&lost).unwrap();
    assert_eq!(run.call(&["status"]).code, 3, "a lost output is work to do");
    run.run(0);
    assert!(run.lake() == bytes);
    sparse(&run, 600);
    run.run(0);
    assert!(!run.path("run/catalog/toy/toy-iron-main/2.parquet").exists());
    assert_eq!(run.lake().len(), 2);
}

#[test]
fn a_raw_table_keeps_its_columns_its_nan_and_gets_names_without_quotes() {
    let mut run = CatalogRun::new();
    run.file("any.fits", &super::corpus::scalars());
    run.catalog("raw = \"any\"", &["any.fits"]);
    run.run(0);
    let rows = run.rows("catalog_raw/any/any/0");
    let schema = rows.schema();
    let kinds: Vec<(String, DataType)> =
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let array = |kind: DataType| {
        DataType::FixedSizeList(std::sync::Arc::new(arrow::datatypes::Field::new("item", kind, true)), 2)
    };
    let expected = [
        ("unit", DataType::Utf8),
        ("row", DataType::Int64),
        ("logical", DataType::Boolean),
        ("bit", DataType::Boolean),
        ("byte", DataType::Int16),
        ("short", DataType::Int16),
        ("int", DataType::Int32),
        ("long", DataType::Int64),
        ("float", DataType::Float32),
        ("double", DataType::Float64),
        ("text", DataType::Utf8),
        ("complex", array(DataType::Float32)),
        ("dcomplex", array(DataType::Float64)),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
    let float = rows.column_by_name("float").unwrap().as_primitive::<Float32Type>();
    assert!(float.value(1).is_nan() && float.value(2) == f32::NEG_INFINITY && float.null_count() == 0);
    let complex = rows.column_by_name("complex").unwrap().as_fixed_size_list().value(0);
    assert_eq!(complex.as_primitive::<Float32Type>().values()[..], [1.0, -2.0]);
    assert_eq!(schema.field_with_name("int").unwrap().metadata()["unit"], "km.s**-1");
}

#[test]
fn every_table_of_the_corpus_can_be_taken_as_it_is() {
    let mut run = CatalogRun::new();
    for (name, bytes) in super::corpus::files() {
        // A string that is not UTF-8, and a number beyond 2^63: these have their own tests.
        if ["latin1.fits", "scaled.fits"].contains(&name) {
            continue;
        }
        run.file(name, &bytes);
        let table = name.strip_suffix(".fits").unwrap();
        run.catalog(&format!("raw = \"{table}\"\nhdu = \"1\""), &[name]);
    }
    run.run(0);
    let said = run.call(&["catalog", "verify"]);
    assert_eq!(said.code, 0, "{}", said.out);
}

#[test]
fn the_plan_says_what_will_be_taken_and_starts_nothing() {
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&toy_columns(&[1, 2])));
    run.catalog("raw = \"gone\"", &["gone.fits"]);
    let said = run.call(&["plan"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for part in [
        "Will take toy, toy_lines from 1 file of toy.",
        "of release toy v1 for iron: 2 rows, 0.0 MB.",
        "Will take catalog_raw.gone from 1 file as it is.",
        "Will not take gone from",
    ] {
        assert!(said.out.contains(part), "`{part}` is missing in\n{}", said.out);
    }
    assert!(!run.path("run").exists());
}

#[test]
fn spectra_and_catalogues_of_one_release_come_in_by_one_run() {
    let release = crate::run_folder::Release::shared();
    let path = release.files("zall-pix-").pop().expect("the release has a catalogue");
    let name = path.strip_prefix(release.root()).unwrap().to_str().unwrap().to_owned();
    let mut run = crate::run_folder::RunFolder::over(release.root());
    run.set("catalog", &format!("[{{ name = \"zall-pix\", files = [{name:?}] }}]"));
    let said = run.run(0).stdout;
    assert!(said.contains("catalog: 1 of 1 units accounted for"), "{said}");
    assert!(said.contains("units: 5 in the inventory, 5 accounted for"), "{said}");
    let accounts = run.accounts_of(specmill::stage::Stage::Catalog);
    assert_eq!(accounts.len(), 1);
    assert!(accounts[0].rows_in > 0 && accounts[0].outputs.len() == 1);
    assert_eq!(accounts[0].inputs[0].path, name, "relative to the root, as everything is");
    assert!(accounts[0].inputs[0].sha256.is_some());
    run.assert_nothing_partial();
}

#[test]
fn weights_that_a_file_may_lack_are_missed_aloud() {
    let mut columns = toy_columns(&[1]);
    columns[3] = TestColumn::f32("FLUX", &[0.0]);
    columns.retain(|column| column.name != "FLUX_IVAR");
    let mut run = CatalogRun::new();
    let weights = "unit = \"nanomaggy-2\"";
    run.declare("toy", &super::run::TOY.replace(weights, &format!("{weights}, optional = true")));
    run.toy(&toy_file(&columns));
    run.run(0);
    assert_eq!(reals(&run.rows(UNIT), "flux"), [Some(0.0)]);
    let note = "no weights in the file, so that nothing says where they stand for nothing: flux";
    assert_eq!(run.account(UNIT).notes, [note]);
}

#[test]
fn one_weight_a_row_is_that_of_all_its_values_whatever_the_lengths() {
    let mut heap = Heap::default();
    let numbers = |n: &[i32]| n.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
    let (one, two) = (numbers(&[7]), numbers(&[8, 9]));
    let mut columns = toy_columns(&[1, 2, 3]);
    columns[4] = TestColumn::f32("FLUX_IVAR", &[0.0, 1.0, 0.0]);
    // As many values as rows, by chance.
    columns.push(heap.column("TILES", "1PJ(2)", &[(&[], 0), (&one, 1), (&two, 2)]));
    let mut file = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    file.table("TOY", &columns, &heap.0, &[]);
    let mut run = CatalogRun::new();
    let tiles = "type = \"int32[]\"";
    run.declare("toy", &super::run::TOY.replace(tiles, &format!("{tiles}, null_where_zero = \"FLUX_IVAR\"")));
    run.toy(&file.0);
    run.run(0);
    let rows = run.rows(UNIT);
    let found: Vec<Vec<Option<i32>>> = rows
        .column_by_name("tiles")
        .unwrap()
        .as_list::<i32>()
        .iter()
        .map(|row| row.unwrap().as_primitive::<Int32Type>().iter().collect())
        .collect();
    assert_eq!(found, [vec![], vec![Some(7)], vec![None, None]]);
}

#[test]
fn a_table_without_a_name_is_the_first_of_its_file() {
    let mut file = FitsBytes::new(&[("TOYVER", "'1.0     '")]);
    file.image_f32("FLUX", &[1], &[0.0]);
    file.table("", &toy_columns(&[3]), &[], &[]);
    let mut run = CatalogRun::new();
    run.declare("toy", &super::run::TOY.replace("hdu = [\"TOY\", \"TOYS\"]", "hdu = \"\""));
    run.toy(&file.0);
    run.run(0);
    assert_eq!(run.rows(UNIT).num_rows(), 1);
    assert_eq!(run.footer(UNIT)["specmill.hdu"], "2");
}
