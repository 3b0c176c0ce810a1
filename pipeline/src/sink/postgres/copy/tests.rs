//! Frames held against the documentation, and against an encoder that takes value after value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, StringArray,
};
use arrow::datatypes::Float32Type;

use super::*;

fn table() -> Table {
    Table {
        name: "things".into(),
        description: String::new(),
        fields: vec![
            Field::new("unit", Kind::Text, "").required(),
            Field::new("deep", Kind::Bool, ""),
            Field::new("rank", Kind::Int16, ""),
            Field::new("row", Kind::Int32, ""),
            Field::new("targetid", Kind::Int64, ""),
            Field::new("snr", Kind::Float32, ""),
            Field::new("z", Kind::Float64, ""),
            Field::new("variance", Kind::Float32List(2), ""),
            Field::new("embedding", Kind::Vector(2), ""),
        ],
    }
}

fn lists(rows: &[Option<[f32; 2]>]) -> ArrayRef {
    let rows = rows.iter().map(|row| row.map(|values| values.map(Some)));
    let made = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2);
    let (_, len, values, nulls) = made.into_parts();
    Arc::new(FixedSizeListArray::new(Arc::new(specmill_schemas::list_item()), len, values, nulls))
}

fn batch(snr: f32, vector: [f32; 2]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["ab", "ab"])),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(Int16Array::from(vec![Some(-2), None])),
        Arc::new(Int32Array::from(vec![Some(3), None])),
        Arc::new(Int64Array::from(vec![Some(1 << 40), None])),
        Arc::new(Float32Array::from(vec![Some(snr), None])),
        Arc::new(Float64Array::from(vec![Some(-1.0), None])),
        lists(&[Some([1.0, -2.0]), None]),
        lists(&[Some(vector), None]),
    ];
    RecordBatch::try_new(Arc::new(table().arrow_schema()), columns).unwrap()
}

fn encode(batches: &[RecordBatch], expected: &[(&'static str, String)]) -> Result<Vec<u8>, CopyError> {
    let mut encoder = RowEncoder::new(&table(), &table().arrow_schema(), Numbers::Finite, expected)?;
    let mut bytes = Vec::new();
    for batch in batches {
        encoder.append(batch, &mut |chunk: Bytes| {
            bytes.extend_from_slice(&chunk);
            Ok::<(), CopyError>(())
        })?;
    }
    bytes.extend_from_slice(&encoder.finish());
    Ok(bytes)
}

#[test]
fn every_type_stands_in_the_documented_bytes() {
    // PostgreSQL documentation, COPY, "Binary Format"; array_send and vector_send for the last two.
    let mut expected: Vec<u8> = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    let fields: [&[u8]; 9] = [
        b"ab",
        &[1],
        &[0xff, 0xfe],
        &[0, 0, 0, 3],
        &[0, 0, 1, 0, 0, 0, 0, 0],
        &[0x3f, 0, 0, 0],
        &[0xbf, 0xf0, 0, 0, 0, 0, 0, 0],
        &[
            0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0xbc, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0x3f, 0x80, 0, 0, 0,
            0, 0, 4, 0xc0, 0, 0, 0,
        ],
        &[0, 2, 0, 0, 0x40, 0x40, 0, 0, 0x40, 0x80, 0, 0],
    ];
    expected.extend([0, 9]);
    for field in fields {
        expected.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        expected.extend(field);
    }
    expected.extend([0, 9, 0, 0, 0, 2, b'a', b'b']);
    for _ in 1..9 {
        expected.extend([0xff; 4]);
    }
    expected.extend([0xff, 0xff]);
    assert_eq!(encode(&[batch(0.5, [3.0, 4.0])], &[]).unwrap(), expected);
}

#[test]
fn slices_and_many_batches_give_the_same_bytes_as_one() {
    let whole = batch(0.5, [3.0, 4.0]);
    let halves = [whole.slice(0, 1), whole.slice(1, 1)];
    assert_eq!(encode(&halves, &[]), encode(&[whole], &[]));
}

#[test]
fn chunks_leave_as_they_fill_and_hold_whole_rows() {
    let many = vec![batch(0.5, [3.0, 4.0]); 12_000];
    let mut encoder = RowEncoder::new(&table(), &table().arrow_schema(), Numbers::Finite, &[]).unwrap();
    let mut chunks = Vec::new();
    for batch in &many {
        encoder
            .append(batch, &mut |chunk| {
                chunks.push(chunk);
                Ok::<(), CopyError>(())
            })
            .unwrap();
    }
    assert_eq!(encoder.rows(), 24_000);
    chunks.push(encoder.finish());
    assert!(chunks.len() > 1);
    for chunk in &chunks[..chunks.len() - 1] {
        assert!((CHUNK_BYTES..CHUNK_BYTES + 1024).contains(&chunk.len()), "{}", chunk.len());
    }
    assert_eq!(chunks.concat(), encode(&many, &[]).unwrap());
}

#[test]
fn a_number_that_is_not_one_is_refused_by_row_and_column() {
    let good = batch(0.5, [3.0, 4.0]);
    let fault = encode(&[good.clone(), batch(0.5, [3.0, f32::NAN])], &[]).unwrap_err();
    assert_eq!(fault.to_string(), "row 2, column `embedding`: NaN is not a finite number");
    let fault = encode(&[good.clone(), batch(0.5, [f32::NEG_INFINITY, 1.0])], &[]).unwrap_err();
    assert_eq!(fault.to_string(), "row 2, column `embedding`: -inf is not a finite number");
    let fault = encode(&[batch(f32::INFINITY, [3.0, 4.0])], &[]).unwrap_err();
    assert_eq!(fault.to_string(), "row 0, column `snr`: inf is not a finite number");
}

#[test]
fn a_row_of_another_unit_is_refused() {
    let expect = |text: &str| encode(&[batch(0.5, [3.0, 4.0])], &[("unit", text.to_owned())]);
    assert!(expect("ab").is_ok());
    let fault = expect("cd").unwrap_err();
    assert_eq!(fault.to_string(), "row 0, column `unit`: `ab` where the file is accounted for as `cd`");
}

#[test]
fn a_file_with_other_columns_is_refused() {
    let mut other = table();
    other.fields.swap(0, 1);
    let fault = RowEncoder::new(&table(), &other.arrow_schema(), Numbers::Finite, &[]).unwrap_err();
    assert!(fault.to_string().contains("`deep` stands where `unit` should"), "{fault}");
    other.fields.swap(0, 1);
    other.fields[8].kind = Kind::Vector(3);
    let fault = RowEncoder::new(&table(), &other.arrow_schema(), Numbers::Finite, &[]).unwrap_err();
    assert!(fault.to_string().contains("`embedding` is"), "{fault}");
    other.fields.pop();
    let fault = RowEncoder::new(&table(), &other.arrow_schema(), Numbers::Finite, &[]).unwrap_err();
    assert!(fault.to_string().contains("8 instead of 9"), "{fault}");
}

#[test]
fn names_that_are_sql_words_are_quoted() {
    let text = statement("ml.things", &table());
    assert!(text.starts_with("COPY ml.things (\"unit\", \"deep\", \"rank\", \"row\""), "{text}");
}

/// A value as the documentation has it, `None` for NULL: no batches, no tiles, nothing at once.
fn naive_value(array: &ArrayRef, row: usize) -> Option<Vec<u8>> {
    use arrow::array::Array;
    use arrow::datatypes::{Float64Type, Int16Type, Int32Type, Int64Type};
    if array.is_null(row) {
        return None;
    }
    let items = array
        .as_list_opt::<i32>()
        .map(|lists| lists.value(row))
        .or_else(|| array.as_fixed_size_list_opt().map(|lists| lists.value(row)));
    if let Some(items) = items {
        let (oid, has_nulls) = (oid_of(&items), items.null_count() > 0);
        let mut bytes = Vec::new();
        let dimensions = u32::from(!items.is_empty());
        for word in [dimensions, u32::from(has_nulls), oid] {
            bytes.extend(word.to_be_bytes());
        }
        if dimensions > 0 {
            bytes.extend(u32::try_from(items.len()).unwrap().to_be_bytes());
            bytes.extend(1_u32.to_be_bytes());
        }
        for at in 0..items.len() {
            naive_field(naive_value(&items, at), &mut bytes);
        }
        return Some(bytes);
    }
    Some(if let Some(texts) = array.as_string_opt::<i32>() {
        texts.value(row).as_bytes().to_vec()
    } else if let Some(bools) = array.as_boolean_opt() {
        vec![u8::from(bools.value(row))]
    } else if let Some(numbers) = array.as_primitive_opt::<Int16Type>() {
        numbers.value(row).to_be_bytes().to_vec()
    } else if let Some(numbers) = array.as_primitive_opt::<Int32Type>() {
        numbers.value(row).to_be_bytes().to_vec()
    } else if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
        numbers.value(row).to_be_bytes().to_vec()
    } else if let Some(numbers) = array.as_primitive_opt::<Float32Type>() {
        numbers.value(row).to_be_bytes().to_vec()
    } else {
        array.as_primitive::<Float64Type>().value(row).to_be_bytes().to_vec()
    })
}

/// As `SELECT oid, typname FROM pg_type` says.
fn oid_of(items: &ArrayRef) -> u32 {
    use arrow::datatypes::DataType;
    let numbers = [
        (DataType::Boolean, 16),
        (DataType::Int64, 20),
        (DataType::Int16, 21),
        (DataType::Int32, 23),
        (DataType::Utf8, 25),
        (DataType::Float32, 700),
        (DataType::Float64, 701),
    ];
    numbers.iter().find(|(kind, _)| kind == items.data_type()).unwrap().1
}

fn naive_field(value: Option<Vec<u8>>, out: &mut Vec<u8>) {
    let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap());
    out.extend(length.to_be_bytes());
    out.extend(value.unwrap_or_default());
}

fn naive(batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    for batch in batches {
        for row in 0..batch.num_rows() {
            out.extend(i16::try_from(batch.num_columns()).unwrap().to_be_bytes());
            for column in batch.columns() {
                naive_field(naive_value(column, row), &mut out);
            }
        }
    }
    out.extend(TRAILER);
    out
}

/// Rows of every type and of arrays of every type, with NULLs on both levels.
fn wide(rows: usize, seed: u64) -> (Table, RecordBatch) {
    use arrow::array::{ListBuilder, StringBuilder};
    let mut state = seed;
    let mut next = || {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut some = |_| Some(next()).filter(|value| value % 4 > 0);
    let numbers: Vec<Option<u64>> = (0..rows).map(&mut some).collect();
    let items: Vec<Option<u64>> = (0..2 * rows).map(&mut some).collect();
    let small = |value: &Option<u64>| value.map(|value| i16::try_from(value % 100).unwrap());
    let text = |value: &Option<u64>| value.map(|value| "é".repeat(usize::try_from(value % 9).unwrap()));
    let real = |value: &Option<u64>| value.map(|value| value as f64 / 7.0);
    let scalars = |values: &[Option<u64>]| -> Vec<ArrayRef> {
        vec![
            Arc::new(values.iter().map(|value| value.map(|value| value % 8 > 3)).collect::<BooleanArray>()),
            Arc::new(values.iter().map(small).collect::<Int16Array>()),
            Arc::new(values.iter().map(|value| small(value).map(i32::from)).collect::<Int32Array>()),
            Arc::new(
                values.iter().map(|value| value.map(|value| -value.cast_signed())).collect::<Int64Array>(),
            ),
            Arc::new(
                values
                    .iter()
                    .map(|value| small(value).map(|value| f32::from(value) / 7.0))
                    .collect::<Float32Array>(),
            ),
            Arc::new(values.iter().map(real).collect::<Float64Array>()),
            Arc::new(values.iter().map(text).collect::<StringArray>()),
        ]
    };
    let mut columns = scalars(&numbers);
    for items in scalars(&items) {
        let item = Arc::new(arrow::datatypes::Field::new("item", items.data_type().clone(), true));
        let nulls = arrow::buffer::NullBuffer::from_iter(numbers.iter().map(Option::is_some));
        columns.push(Arc::new(FixedSizeListArray::new(item, 2, items, Some(nulls))));
    }
    let mut ragged = ListBuilder::new(StringBuilder::new());
    for value in &numbers {
        (0..value.unwrap_or(0) % 4).for_each(|n| ragged.values().append_option((n != 1).then_some("a b")));
        ragged.append(value.is_none_or(|value| value % 5 > 0));
    }
    columns.push(Arc::new(ragged.finish()));
    let fields = columns
        .iter()
        .enumerate()
        .map(|(n, array)| Field::new(format!("c{n}"), Kind::from_arrow(array.data_type()).unwrap(), ""));
    let table = Table { name: "wide".into(), description: String::new(), fields: fields.collect() };
    let schema = Arc::new(table.arrow_schema());
    (table, RecordBatch::try_new(schema, columns).unwrap())
}

fn frames(table: &Table, batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder = RowEncoder::new(table, &table.arrow_schema(), Numbers::Finite, &[]).unwrap();
    let mut bytes = Vec::new();
    for batch in batches {
        let mut send = |chunk: Bytes| {
            bytes.extend_from_slice(&chunk);
            Ok::<(), CopyError>(())
        };
        encoder.append(batch, &mut send).unwrap();
    }
    bytes.extend_from_slice(&encoder.finish());
    bytes
}

#[test]
fn tiles_and_slices_of_every_type_are_the_bytes_of_value_after_value() {
    // Of 1, some, and more rows than a tile holds.
    for (rows, seed) in [(0, 1), (1, 2), (33, 3), (1500, 4)] {
        let (table, batch) = wide(rows, seed);
        assert_eq!(
            frames(&table, std::slice::from_ref(&batch)),
            naive(std::slice::from_ref(&batch)),
            "{rows} rows"
        );
        if rows > 2 {
            let parts = [batch.slice(0, rows / 3), batch.slice(rows / 3, rows - rows / 3)];
            assert_eq!(frames(&table, &parts), naive(&[batch]), "{rows} rows in two parts");
        }
    }
}

#[test]
fn an_element_that_is_no_number_is_refused_unless_the_table_is_taken_as_it_is() {
    let (table, batch) = wide(40, 7);
    let at = table.index_of("c12").unwrap();
    let lists = batch.column(at).as_fixed_size_list().clone();
    let (field, len, _, nulls) = lists.into_parts();
    let row = (5..40).find(|row| nulls.as_ref().unwrap().is_valid(*row)).unwrap();
    let mut values = vec![Some(1.0); 80];
    values[2 * row + 1] = Some(f64::NAN);
    let items: ArrayRef = Arc::new(Float64Array::from(values));
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(FixedSizeListArray::new(field, len, items, nulls));
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let encode = |numbers| {
        let mut encoder = RowEncoder::new(&table, &table.arrow_schema(), numbers, &[]).unwrap();
        encoder.append(&batch, &mut |_| Ok::<(), CopyError>(()))
    };
    let fault = encode(Numbers::Finite).unwrap_err();
    assert_eq!(fault.to_string(), format!("row {row}, column `c12`: NaN is not a finite number"));
    assert_eq!(encode(Numbers::Any), Ok(()));
}

#[test]
fn a_missing_value_where_one_is_required_is_refused_by_its_row() {
    let (mut table, batch) = wide(40, 9);
    table.fields[3].nullable = false;
    let row = (0..40).find(|row| arrow::array::Array::is_null(batch.column(3), *row)).unwrap();
    let mut encoder = RowEncoder::new(&table, &table.arrow_schema(), Numbers::Finite, &[]).unwrap();
    let fault = encoder.append(&batch, &mut |_| Ok::<(), CopyError>(())).unwrap_err();
    assert_eq!(fault.to_string(), format!("row {row}, column `c3`: no value where one is required"));
}
