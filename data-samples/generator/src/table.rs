//! Binary tables built column by column and encoded row by row.

use crate::error::SimulateError;
use crate::fits::{Hdu, Header, Value};

/// The values of one column.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Logical(Vec<bool>),
    U8(Vec<u8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// `width` numbers per row, rows one after the other.
    F64s(usize, Vec<f64>),
    /// Text in `width` bytes, padded with NUL.
    Text(usize, Vec<String>),
}

impl Data {
    fn rows(&self) -> usize {
        match self {
            Self::Logical(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::F64s(width, values) => values.len() / (*width).max(1),
            Self::Text(_, values) => values.len(),
        }
    }

    fn form(&self) -> String {
        match self {
            Self::Logical(_) => "L".into(),
            Self::U8(_) => "B".into(),
            Self::I16(_) => "I".into(),
            Self::I32(_) => "J".into(),
            Self::I64(_) => "K".into(),
            Self::F32(_) => "E".into(),
            Self::F64(_) => "D".into(),
            Self::F64s(width, _) => format!("{width}D"),
            Self::Text(width, _) => format!("{width}A"),
        }
    }

    /// The TNULL that astropy's masked tables used to leave on integer columns.
    fn null(&self) -> Option<i64> {
        match self {
            Self::U8(_) => Some(63),
            Self::I16(_) => Some(16959),
            Self::I32(_) | Self::I64(_) => Some(999_999),
            Self::Logical(_) | Self::F32(_) | Self::F64(_) | Self::F64s(..) | Self::Text(..) => None,
        }
    }

    fn width(&self) -> u64 {
        match self {
            Self::Logical(_) | Self::U8(_) => 1,
            Self::I16(_) => 2,
            Self::I32(_) | Self::F32(_) => 4,
            Self::I64(_) | Self::F64(_) => 8,
            Self::F64s(width, _) => *width as u64 * 8,
            Self::Text(width, _) => *width as u64,
        }
    }

    fn encode(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Logical(values) => out.push(if values[row] { b'T' } else { b'F' }),
            Self::U8(values) => out.push(values[row]),
            Self::I16(values) => out.extend(values[row].to_be_bytes()),
            Self::I32(values) => out.extend(values[row].to_be_bytes()),
            Self::I64(values) => out.extend(values[row].to_be_bytes()),
            Self::F32(values) => out.extend(values[row].to_be_bytes()),
            Self::F64(values) => out.extend(values[row].to_be_bytes()),
            Self::F64s(width, values) => {
                out.extend(
                    values[row * width..(row + 1) * width].iter().flat_map(|value| value.to_be_bytes()),
                );
            }
            Self::Text(width, values) => {
                out.extend(values[row].bytes().chain(std::iter::repeat(0)).take(*width));
            }
        }
    }
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) data: Data,
    pub(crate) unit: Option<&'static str>,
    /// Write TDIM = '(n)' on a vector.
    pub(crate) dim: bool,
}

impl Column {
    pub(crate) fn new(name: &'static str, data: Data) -> Self {
        Self { name, data, unit: None, dim: false }
    }
}

/// What a table's header says besides its columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Style {
    /// Leave a meaningless TNULL on every integer column.
    pub(crate) null_junk: bool,
    /// Write the columns' units.
    pub(crate) units: bool,
    /// Cards after the column descriptions.
    pub(crate) extra: Vec<(String, Value)>,
}

/// Bytes of one row.
pub(crate) fn row_bytes(columns: &[Column]) -> u64 {
    columns.iter().map(|column| column.data.width()).sum()
}

/// Where a column starts within a row; the row's length where there is no such column.
pub(crate) fn column_offset(columns: &[Column], name: &str) -> u64 {
    columns.iter().take_while(|column| column.name != name).map(|column| column.data.width()).sum()
}

/// The HDU of a table of `rows` rows with these columns.
pub(crate) fn table_hdu(name: &str, columns: &[Column], rows: u64, style: &Style) -> Hdu {
    let width = row_bytes(columns);
    let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut header = Header::default();
    header
        .push("XTENSION", "BINTABLE")
        .push("BITPIX", 8)
        .push("NAXIS", 2)
        .push("NAXIS1", int(width))
        .push("NAXIS2", int(rows))
        .push("PCOUNT", 0)
        .push("GCOUNT", 1)
        .push("TFIELDS", int(columns.len() as u64));
    for (i, column) in columns.iter().enumerate() {
        let n = i + 1;
        header
            .push(&format!("TTYPE{n}"), column.name)
            .push(&format!("TFORM{n}"), column.data.form().as_str());
        if let (true, Some(unit)) = (style.units, column.unit) {
            header.push(&format!("TUNIT{n}"), unit);
        }
        if let (true, Some(null)) = (style.null_junk, column.data.null()) {
            header.push(&format!("TNULL{n}"), null);
        }
        if let (true, Data::F64s(width, _)) = (column.dim, &column.data) {
            header.push(&format!("TDIM{n}"), format!("({width})").as_str());
        }
    }
    header.push("EXTNAME", name);
    for (keyword, value) in &style.extra {
        header.push(keyword, value.clone());
    }
    Hdu { header, data_len: width * rows }
}

/// The rows as bytes.
pub(crate) fn encode_rows(hdu: &str, columns: &[Column], rows: usize) -> Result<Vec<u8>, SimulateError> {
    for column in columns {
        if column.data.rows() != rows {
            let found = column.data.rows();
            return Err(SimulateError::Ragged {
                hdu: hdu.to_owned(),
                column: column.name,
                found,
                expected: rows,
            });
        }
    }
    let mut out = Vec::with_capacity(usize::try_from(row_bytes(columns)).unwrap_or(0) * rows);
    for row in 0..rows {
        for column in columns {
            column.data.encode(row, &mut out);
        }
    }
    Ok(out)
}

/// A whole table: its HDU and its bytes.
pub(crate) fn whole_table(
    name: &str,
    columns: &[Column],
    rows: usize,
    style: &Style,
) -> Result<(Hdu, Vec<u8>), SimulateError> {
    let data = encode_rows(name, columns, rows)?;
    Ok((table_hdu(name, columns, rows as u64, style), data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_big_endian_and_texts_end_in_nul() {
        let columns = [
            Column::new("TARGETID", Data::I64(vec![-2_713_437])),
            Column::new("OBJTYPE", Data::Text(3, vec!["TG".into()])),
            Column::new("MASKBITS", Data::I16(vec![258])),
        ];
        let (hdu, bytes) = whole_table("FIBERMAP", &columns, 1, &Style::default()).unwrap();
        assert_eq!(hdu.data_len, 13);
        assert_eq!(bytes[..8], (-2_713_437_i64).to_be_bytes());
        assert_eq!(&bytes[8..], b"TG\0\x01\x02");
    }

    #[test]
    fn a_column_of_the_wrong_length_is_named() {
        let columns =
            [Column::new("TARGETID", Data::I64(vec![1, 2])), Column::new("Z", Data::F64(vec![0.5]))];
        let error = encode_rows("REDSHIFTS", &columns, 2).unwrap_err();
        assert_eq!(error.to_string(), "column Z of REDSHIFTS has 1 values for 2 rows");
    }
}
