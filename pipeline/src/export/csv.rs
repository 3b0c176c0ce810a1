//! CSV after RFC 4180, as PostgreSQL reads it back: NULL is nothing, empty text is `""`, a vector is `[1,2]`, a list
//! `{1,2}`, a moment `2026-01-31T12:00:00.000000Z`.

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use specmill_schemas::{Field, Kind, Table};

/// A CSV file being written.
pub(super) struct CsvWriter<W> {
    out: W,
    line: String,
    /// What stands around the elements of each column, where it holds lists.
    brackets: Vec<[char; 2]>,
}

impl<W: Write> CsvWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn begin(out: W, table: &Table) -> io::Result<Self> {
        let is_vector = |field: &Field| matches!(field.kind, Kind::Vector(_));
        let brackets_of = |field| if is_vector(field) { ['[', ']'] } else { ['{', '}'] };
        let brackets = table.fields.iter().map(brackets_of).collect();
        let mut writer = Self { out, line: String::new(), brackets };
        for (at, field) in table.fields.iter().enumerate() {
            if at > 0 {
                writer.line.push(',');
            }
            push_text(&mut writer.line, &field.name);
        }
        writer.end_line()?;
        Ok(writer)
    }

    /// Writes rows.
    ///
    /// # Errors
    /// Where the disk refuses, or a column has a type that no table has.
    pub(super) fn append(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            for (at, (column, brackets)) in batch.columns().iter().zip(&self.brackets).enumerate() {
                if at > 0 {
                    self.line.push(',');
                }
                if column.is_valid(row) {
                    push_value(&mut self.line, column, row, *brackets)?;
                }
            }
            self.end_line()?;
        }
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push_str("\r\n");
        self.out.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

fn push_text(line: &mut String, text: &str) {
    if text.is_empty() || text.contains([',', '"', '\r', '\n']) {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}

fn push_value(line: &mut String, column: &ArrayRef, row: usize, [open, close]: [char; 2]) -> io::Result<()> {
    // Rust writes numbers with the fewest digits that read back as the same bits.
    let text = if let Some(array) = column.as_string_opt::<i32>() {
        push_text(line, array.value(row));
        return Ok(());
    } else if let Some(array) = column.as_boolean_opt() {
        array.value(row).to_string()
    } else if let Some(array) = column.as_primitive_opt::<Int16Type>() {
        array.value(row).to_string()
    } else if let Some(array) = column.as_primitive_opt::<Int32Type>() {
        array.value(row).to_string()
    } else if let Some(array) = column.as_primitive_opt::<Int64Type>() {
        array.value(row).to_string()
    } else if let Some(array) = column.as_primitive_opt::<Float32Type>() {
        array.value(row).to_string()
    } else if let Some(array) = column.as_primitive_opt::<Float64Type>() {
        array.value(row).to_string()
    } else if let Some(array) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        moment(array.value(row))
    } else if let Some(list) = list(column, row) {
        let elements: Vec<String> =
            (0..list.len()).map(|at| element(&list, at)).collect::<io::Result<_>>()?;
        push_text(line, &format!("{open}{}{close}", elements.join(",")));
        return Ok(());
    } else {
        return Err(io::Error::other(format!("no CSV form of {}", column.data_type())));
    };
    line.push_str(&text);
    Ok(())
}

/// An element of a list as it stands between the brackets.
fn element(list: &ArrayRef, at: usize) -> io::Result<String> {
    if list.is_null(at) {
        return Ok("NULL".to_owned());
    }
    if let Some(texts) = list.as_string_opt::<i32>() {
        return Ok(format!("\"{}\"", texts.value(at).replace('\\', "\\\\").replace('"', "\\\"")));
    }
    let mut text = String::new();
    push_value(&mut text, list, at, ['{', '}'])?;
    Ok(text)
}

/// The row's list, where the column holds lists.
fn list(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    let fixed = column.as_fixed_size_list_opt().map(|lists| lists.value(row));
    fixed.or_else(|| column.as_list_opt::<i32>().map(|lists| lists.value(row)))
}

/// A moment of UTC in the calendar everybody uses.
fn moment(microseconds: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let (days, rest) = (microseconds.div_euclid(DAY), microseconds.rem_euclid(DAY));
    // Years that begin in March have their leap day last; 400 of them repeat.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + 400 * era + i64::from(month <= 2);
    let (seconds, micro) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{FixedSizeListArray, Float32Array, StringArray};

    use super::*;

    #[test]
    fn separators_quotes_and_line_ends_are_quoted_and_null_is_not_empty_text() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a,b"),
            Some("say \"so\""),
            Some("two\nlines"),
            Some(""),
            None,
        ]));
        let number: ArrayRef =
            Arc::new(Float32Array::from(vec![Some(0.1), Some(-1e-30), Some(3.0), None, Some(16_777_216.0)]));
        let table = Table {
            name: "things".into(),
            description: String::new(),
            fields: vec![Field::new("text", Kind::Text, ""), Field::new("x,y", Kind::Float32, "")],
        };
        let batch = RecordBatch::try_new(Arc::new(table.arrow_schema()), vec![text, number]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = CsvWriter::begin(&mut bytes, &table).unwrap();
        writer.append(&batch).unwrap();
        writer.finish().unwrap();
        let expected = "text,\"x,y\"\r\n\"a,b\",0.1\r\n\"say \"\"so\"\"\",-0.000000000000000000000000000001\r\n\
                        \"two\nlines\",3\r\n\"\",\r\n,16777216\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn vectors_and_lists_are_written_as_postgresql_reads_them() {
        let fields = vec![Field::new("v", Kind::Vector(2), ""), Field::new("l", Kind::Float32List(2), "")];
        let table = Table { name: "things".into(), description: String::new(), fields };
        let values: ArrayRef = Arc::new(Float32Array::from(vec![1.0, -0.5]));
        let item = Arc::new(specmill_schemas::list_item());
        let list: ArrayRef = Arc::new(FixedSizeListArray::new(item, 2, values, None));
        let columns = vec![Arc::clone(&list), list];
        let batch = RecordBatch::try_new(Arc::new(table.arrow_schema()), columns).unwrap();
        let mut bytes = Vec::new();
        CsvWriter::begin(&mut bytes, &table).unwrap().append(&batch).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "v,l\r\n\"[1,-0.5]\",\"{1,-0.5}\"\r\n");
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        // `date -u -d @SECONDS`
        for (microseconds, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_827_696_000_001, "2000-02-29T12:34:56.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (4_107_542_399_000_000, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(moment(microseconds), expected);
        }
    }
}
