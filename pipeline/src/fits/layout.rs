//! What the cards of one HDU say about its data, every size checked.

use super::HduLabel;
use super::header::{Card, Header, Value, is_structural};
use super::prescan::{ScanFault, ScanLimits};
use super::tform::TForm;

/// What an HDU holds.
#[derive(Debug, Clone, PartialEq)]
pub enum HduKind {
    /// An array, or nothing (no axes).
    Image(ImageInfo),
    /// A binary table.
    Table(TableInfo),
    /// An image stored as a table of compressed tiles.
    CompressedImage {
        /// The image as it is once decompressed.
        image: ImageInfo,
        /// ZCMPTYPE.
        algorithm: String,
        /// The table that holds it.
        table: TableInfo,
    },
    /// ASCII tables and extensions of other kinds: skipped.
    Other {
        /// XTENSION.
        xtension: String,
    },
}

/// An image's layout.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageInfo {
    /// Bits per pixel, negative for floats.
    pub bitpix: i64,
    /// Axes in NumPy order, slowest first.
    pub shape: Vec<u64>,
    /// BSCALE.
    pub bscale: f64,
    /// BZERO.
    pub bzero: f64,
}

/// A binary table's layout.
#[derive(Debug, Clone, PartialEq)]
pub struct TableInfo {
    /// NAXIS2.
    pub rows: u64,
    /// NAXIS1.
    pub row_bytes: u64,
    /// PCOUNT: bytes after the rows.
    pub pcount: u64,
    /// Where the heap begins, from the start of the data.
    pub heap_offset: u64,
    /// The columns, in file order.
    pub columns: Vec<Column>,
}

/// A column of a binary table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// TTYPEn, empty where absent.
    pub name: String,
    /// Position, from 0.
    pub index: usize,
    /// TFORMn as written.
    pub tform: String,
    /// TFORMn parsed.
    pub form: TForm,
    /// First byte within a row.
    pub offset: u64,
    /// TSCALn.
    pub tscal: f64,
    /// TZEROn.
    pub tzero: f64,
    /// TUNITn.
    pub unit: Option<String>,
    /// TDIMn.
    pub tdim: Option<String>,
}

/// One HDU that passed.
#[derive(Debug, Clone, PartialEq)]
pub struct HduInfo {
    /// Position in the file; the primary HDU is 0.
    pub index: usize,
    /// EXTNAME, trailing blanks removed.
    pub extname: Option<String>,
    /// What it holds.
    pub kind: HduKind,
    /// First byte of the header.
    pub header_offset: u64,
    /// First byte of the data.
    pub data_offset: u64,
    /// Bytes of data, padding excluded.
    pub data_bytes: u64,
    /// The cards.
    pub header: Header,
}

impl HduInfo {
    /// How messages name this HDU.
    pub fn label(&self) -> HduLabel {
        HduLabel { index: self.index, extname: self.extname.clone() }
    }
}

impl TableInfo {
    /// The column of this name: the exact spelling first, then regardless of case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name == name)
            .or_else(|| self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)))
    }
}

/// Makes an HDU of its cards and checks its size against the file.
pub(super) fn interpret(
    header: Header,
    index: usize,
    (header_offset, data_offset): (u64, u64),
    size: u64,
    limits: &ScanLimits,
) -> Result<HduInfo, ScanFault> {
    refuse_duplicates(&header)?;
    let xtension = match header.cards().first().map(|card| &card.value) {
        Some(Value::Logical(true)) if index == 0 => "IMAGE".to_owned(),
        Some(Value::Text(name)) if index > 0 => name.trim().to_owned(),
        _ if index == 0 => return Err(ScanFault::NotFits),
        _ => return Err(bad("XTENSION")),
    };
    if matches!(header.get("GROUPS"), Some(value) if *value != Value::Logical(false)) {
        return Err(ScanFault::Unsupported { what: "random groups" });
    }
    let axes = read_axes(&header, limits)?;
    let bitpix = integer(&header, "BITPIX")?;
    let pcount = optional_size(&header, "PCOUNT", 0)?;
    let gcount = optional_size(&header, "GCOUNT", 1)?;
    let data_bytes = data_size(bitpix, &axes, pcount, gcount).ok_or(ScanFault::Absurd)?;
    let kind = match xtension.as_str() {
        "IMAGE" | "IUEIMAGE" => {
            if index > 0 && (pcount != 0 || gcount != 1) {
                return Err(bad("PCOUNT"));
            }
            HduKind::Image(image_info(&header, bitpix, axes, ["BSCALE", "BZERO"])?)
        }
        "BINTABLE" | "A3DTABLE" => table_kind(&header, bitpix, &axes, pcount, limits)?,
        "TABLE" => {
            check_table_cards(&header, bitpix, &axes, gcount)?;
            HduKind::Other { xtension }
        }
        _ => HduKind::Other { xtension },
    };
    let present = size.saturating_sub(data_offset);
    if data_bytes > present {
        return Err(ScanFault::Truncated { expected: data_bytes, present });
    }
    let extname = header.text("EXTNAME").map(str::to_owned);
    Ok(HduInfo { index, extname, kind, header_offset, data_offset, data_bytes, header })
}

fn refuse_duplicates(header: &Header) -> Result<(), ScanFault> {
    let mut seen: Vec<&str> = header
        .cards()
        .iter()
        .map(|card| card.keyword.as_str())
        .filter(|keyword| is_structural(keyword))
        .collect();
    seen.sort_unstable();
    match seen.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ScanFault::Duplicate { keyword: pair[0].to_owned() }),
        None => Ok(()),
    }
}

/// BITPIX, NAXIS and NAXISn, in the places the standard gives them; FITS order.
fn read_axes(header: &Header, limits: &ScanLimits) -> Result<Vec<u64>, ScanFault> {
    card_at(header, 1, "BITPIX")?;
    card_at(header, 2, "NAXIS")?;
    let naxis = usize::try_from(integer(header, "NAXIS")?).map_err(|_| bad("NAXIS"))?;
    if naxis > limits.max_axes {
        return Err(bad("NAXIS"));
    }
    (1..=naxis)
        .map(|i| {
            let keyword = format!("NAXIS{i}");
            card_at(header, 2 + i, &keyword)?;
            size_of(header, &keyword)
        })
        .collect()
}

fn card_at<'h>(header: &'h Header, position: usize, keyword: &str) -> Result<&'h Card, ScanFault> {
    header
        .cards()
        .get(position)
        .filter(|card| card.keyword == keyword)
        .ok_or_else(|| ScanFault::MissingCard { keyword: keyword.to_owned() })
}

/// |BITPIX| / 8 × GCOUNT × (PCOUNT + ∏ NAXISn) bytes (FITS standard 4.0, equation 2).
fn data_size(bitpix: i64, axes: &[u64], pcount: u64, gcount: u64) -> Option<u64> {
    let pixels = if axes.is_empty() {
        0
    } else {
        axes.iter().try_fold(1_u64, |product, &n| product.checked_mul(n))?
    };
    let bytes = (bitpix.unsigned_abs() / 8).checked_mul(gcount)?.checked_mul(pcount.checked_add(pixels)?)?;
    // cfitsio and file offsets are signed.
    i64::try_from(bytes).ok().filter(|&signed| signed < i64::MAX / 4).map(|_| bytes)
}

fn image_info(
    header: &Header,
    bitpix: i64,
    axes: Vec<u64>,
    [bscale, bzero]: [&str; 2],
) -> Result<ImageInfo, ScanFault> {
    if ![8, 16, 32, 64, -32, -64].contains(&bitpix) {
        return Err(bad("BITPIX"));
    }
    let mut shape = axes;
    shape.reverse();
    Ok(ImageInfo { bitpix, shape, bscale: scale(header, bscale, 1.0)?, bzero: scale(header, bzero, 0.0)? })
}

fn check_table_cards(header: &Header, bitpix: i64, axes: &[u64], gcount: u64) -> Result<usize, ScanFault> {
    if bitpix != 8 {
        return Err(bad("BITPIX"));
    }
    if axes.len() != 2 {
        return Err(bad("NAXIS"));
    }
    for (position, keyword) in [(5, "PCOUNT"), (6, "GCOUNT"), (7, "TFIELDS")] {
        card_at(header, position, keyword)?;
    }
    if gcount != 1 {
        return Err(bad("GCOUNT"));
    }
    let tfields = integer(header, "TFIELDS")?;
    usize::try_from(tfields).ok().filter(|&n| n <= 999).ok_or_else(|| bad("TFIELDS"))
}

fn table_kind(
    header: &Header,
    bitpix: i64,
    axes: &[u64],
    pcount: u64,
    limits: &ScanLimits,
) -> Result<HduKind, ScanFault> {
    let gcount = optional_size(header, "GCOUNT", 1)?;
    let tfields = check_table_cards(header, bitpix, axes, gcount)?;
    let &[row_bytes, rows] = axes else { return Err(bad("NAXIS")) };
    let columns = read_columns(header, tfields)?;
    let width = columns
        .iter()
        .try_fold(0_u64, |sum, column| sum.checked_add(column.form.row_bytes()?))
        .ok_or(ScanFault::Absurd)?;
    if width != row_bytes || (row_bytes == 0 && rows > 0) {
        return Err(ScanFault::RowWidth { declared: row_bytes, columns: width });
    }
    let table_bytes = row_bytes.checked_mul(rows).ok_or(ScanFault::Absurd)?;
    let heap_offset = optional_size(header, "THEAP", table_bytes)?;
    if heap_offset < table_bytes || heap_offset - table_bytes > pcount {
        return Err(bad("THEAP"));
    }
    let table = TableInfo { rows, row_bytes, pcount, heap_offset, columns };
    match header.get("ZIMAGE") {
        None | Some(Value::Logical(false)) => Ok(HduKind::Table(table)),
        Some(Value::Logical(true)) => compressed_kind(header, table, limits),
        Some(_) => Err(bad("ZIMAGE")),
    }
}

/// The TxxxxN cards of one column.
#[derive(Default, Clone)]
struct ColumnCards {
    name: String,
    tform: Option<String>,
    tscal: Option<f64>,
    tzero: Option<f64>,
    unit: Option<String>,
    tdim: Option<String>,
}

fn read_columns(header: &Header, tfields: usize) -> Result<Vec<Column>, ScanFault> {
    let mut cards = vec![ColumnCards::default(); tfields];
    for card in header.cards() {
        collect_column_card(card, &mut cards)?;
    }
    let mut offset = 0_u64;
    let mut columns = Vec::with_capacity(tfields);
    for (index, cards) in cards.into_iter().enumerate() {
        let number = index + 1;
        let tform =
            cards.tform.ok_or_else(|| ScanFault::MissingCard { keyword: format!("TFORM{number}") })?;
        let form = TForm::parse(&tform).map_err(|source| ScanFault::BadTForm { number, source })?;
        let width = form.row_bytes().ok_or(ScanFault::Absurd)?;
        columns.push(Column {
            name: cards.name,
            index,
            tform,
            form,
            offset,
            tscal: cards.tscal.unwrap_or(1.0),
            tzero: cards.tzero.unwrap_or(0.0),
            unit: cards.unit,
            tdim: cards.tdim,
        });
        offset = offset.checked_add(width).ok_or(ScanFault::Absurd)?;
    }
    Ok(columns)
}

fn collect_column_card(card: &Card, columns: &mut [ColumnCards]) -> Result<(), ScanFault> {
    let Some(split) = card.keyword.find(|c: char| c.is_ascii_digit()) else { return Ok(()) };
    let (stem, number) = card.keyword.split_at(split);
    if !matches!(stem, "TTYPE" | "TFORM" | "TSCAL" | "TZERO" | "TUNIT" | "TDIM") {
        return Ok(());
    }
    if number.starts_with('0') {
        return Err(ScanFault::Irregular { keyword: card.keyword.clone() });
    }
    let Some(column) =
        number.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).and_then(|n| columns.get_mut(n))
    else {
        return Ok(());
    };
    match (stem, &card.value) {
        ("TTYPE", Value::Text(text)) => column.name.clone_from(text),
        ("TFORM", Value::Text(text)) => column.tform = Some(text.clone()),
        ("TUNIT", Value::Text(text)) => column.unit = Some(text.clone()),
        ("TDIM", Value::Text(text)) => column.tdim = Some(text.clone()),
        ("TSCAL", value) => column.tscal = Some(value.as_real().ok_or_else(|| bad(&card.keyword))?),
        ("TZERO", value) => column.tzero = Some(value.as_real().ok_or_else(|| bad(&card.keyword))?),
        ("TUNIT", _) => {}
        _ => return Err(bad(&card.keyword)),
    }
    Ok(())
}

/// The image inside a table of compressed tiles, every size checked: cfitsio divides by some of them.
fn compressed_kind(header: &Header, table: TableInfo, limits: &ScanLimits) -> Result<HduKind, ScanFault> {
    let naxis = usize::try_from(integer(header, "ZNAXIS")?).map_err(|_| bad("ZNAXIS"))?;
    if !(1..=6).contains(&naxis) {
        return Err(bad("ZNAXIS"));
    }
    let mut axes = Vec::with_capacity(naxis);
    let mut tiles = 1_u64;
    let mut tile_pixels = 1_u64;
    for i in 1..=naxis {
        let (axis, tile) = (format!("ZNAXIS{i}"), format!("ZTILE{i}"));
        let length = size_of(header, &axis)?;
        let side = optional_size(header, &tile, if i == 1 { length } else { 1 })?;
        if length == 0 || i32::try_from(length).is_err() {
            return Err(bad(&axis));
        }
        if side == 0 || side > length {
            return Err(bad(&tile));
        }
        tiles = tiles.checked_mul(length.div_ceil(side)).ok_or(ScanFault::Absurd)?;
        tile_pixels = tile_pixels.checked_mul(side).ok_or(ScanFault::Absurd)?;
        axes.push(length);
    }
    if tiles != table.rows {
        return Err(bad("NAXIS2"));
    }
    if tile_pixels > limits.max_tile_pixels {
        return Err(bad("ZTILE1"));
    }
    let data = table.column("COMPRESSED_DATA");
    if !data.is_some_and(|column| column.form.descriptor_bytes.is_some() && column.form.repeat == 1) {
        return Err(ScanFault::MissingCard { keyword: "TTYPE COMPRESSED_DATA".to_owned() });
    }
    let algorithm =
        header.text("ZCMPTYPE").ok_or_else(|| ScanFault::MissingCard { keyword: "ZCMPTYPE".to_owned() })?;
    let bitpix = integer(header, "ZBITPIX")?;
    let image = image_info(header, bitpix, axes, ["BSCALE", "BZERO"]).map_err(|_| bad("ZBITPIX"))?;
    Ok(HduKind::CompressedImage { image, algorithm: algorithm.to_owned(), table })
}

fn bad(keyword: &str) -> ScanFault {
    ScanFault::BadValue { keyword: keyword.to_owned() }
}

fn integer(header: &Header, keyword: &str) -> Result<i64, ScanFault> {
    match header.get(keyword) {
        Some(&Value::Integer(number)) => Ok(number),
        Some(_) => Err(bad(keyword)),
        None => Err(ScanFault::MissingCard { keyword: keyword.to_owned() }),
    }
}

fn size_of(header: &Header, keyword: &str) -> Result<u64, ScanFault> {
    u64::try_from(integer(header, keyword)?).map_err(|_| bad(keyword))
}

fn optional_size(header: &Header, keyword: &str, default: u64) -> Result<u64, ScanFault> {
    if header.get(keyword).is_some() { size_of(header, keyword) } else { Ok(default) }
}

fn scale(header: &Header, keyword: &str, default: f64) -> Result<f64, ScanFault> {
    match header.get(keyword) {
        None => Ok(default),
        Some(value) => value.as_real().ok_or_else(|| bad(keyword)),
    }
}
