//! Writes small FITS files byte by byte, the odd ones included.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 2880;

/// A FITS file in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct FitsBytes(pub(crate) Vec<u8>);

/// A column of a table: its cards and each row's bytes.
#[derive(Debug, Clone)]
pub(crate) struct TestColumn {
    pub(crate) name: String,
    pub(crate) tform: String,
    /// More cards without their number: `("TNULL", "63")`.
    pub(crate) cards: Vec<(String, String)>,
    pub(crate) cells: Vec<Vec<u8>>,
}

impl TestColumn {
    pub(crate) fn new(name: &str, tform: &str, cells: Vec<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), tform: tform.to_owned(), cards: Vec::new(), cells }
    }

    pub(crate) fn with(mut self, stem: &str, value: &str) -> Self {
        self.cards.push((stem.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn i64(name: &str, values: &[i64]) -> Self {
        Self::new(name, "K", values.iter().map(|v| v.to_be_bytes().to_vec()).collect())
    }

    pub(crate) fn i32(name: &str, values: &[i32]) -> Self {
        Self::new(name, "J", values.iter().map(|v| v.to_be_bytes().to_vec()).collect())
    }

    pub(crate) fn f32(name: &str, values: &[f32]) -> Self {
        Self::new(name, "E", values.iter().map(|v| v.to_be_bytes().to_vec()).collect())
    }

    pub(crate) fn f64(name: &str, values: &[f64]) -> Self {
        Self::new(name, "D", values.iter().map(|v| v.to_be_bytes().to_vec()).collect())
    }

    /// Strings padded to `width` with `padding`.
    pub(crate) fn text(name: &str, width: usize, padding: u8, values: &[&str]) -> Self {
        let cell = |text: &&str| {
            let mut cell = text.as_bytes().to_vec();
            cell.resize(width, padding);
            cell
        };
        Self::new(name, &format!("{width}A"), values.iter().map(cell).collect())
    }
}

/// A card: `keyword`, and the value as written after `= `.
pub(crate) type TestCard<'a> = (&'a str, &'a str);

/// A string value as a card holds it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{:<8}'", text.replace('\'', "''"))
}

impl FitsBytes {
    /// A file that begins with an empty primary HDU.
    pub(crate) fn new(cards: &[TestCard<'_>]) -> Self {
        let mut file = Self::default();
        file.header(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")], cards);
        file
    }

    /// Appends a header of structural cards, then others.
    pub(crate) fn header(&mut self, structure: &[TestCard<'_>], others: &[TestCard<'_>]) {
        let mut text = String::new();
        for (keyword, value) in structure.iter().chain(others) {
            let card = if *keyword == "CONTINUE" {
                format!("CONTINUE  {value}")
            } else {
                format!("{keyword:<8}= {value:>20}")
            };
            let _ = write!(text, "{card:<80}");
        }
        let _ = write!(text, "{:<80}", "END");
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        self.0.append(&mut bytes);
    }

    /// Appends data and their padding.
    pub(crate) fn data(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    /// Appends an image extension; `shape` in NumPy order.
    pub(crate) fn image(
        &mut self,
        extname: &str,
        bitpix: i32,
        shape: &[usize],
        data: &[u8],
        cards: &[TestCard<'_>],
    ) -> &mut Self {
        let (bitpix, naxis) = (bitpix.to_string(), shape.len().to_string());
        let axes: Vec<(String, String)> =
            shape.iter().rev().enumerate().map(|(i, n)| (format!("NAXIS{}", i + 1), n.to_string())).collect();
        let extname = quoted(extname);
        let mut structure = vec![("XTENSION", "'IMAGE   '"), ("BITPIX", &bitpix), ("NAXIS", &naxis)];
        structure.extend(axes.iter().map(|(keyword, n)| (keyword.as_str(), n.as_str())));
        structure.extend([("PCOUNT", "0"), ("GCOUNT", "1")]);
        if !extname.trim_matches(['\'', ' ']).is_empty() {
            structure.push(("EXTNAME", &extname));
        }
        self.header(&structure, cards);
        self.data(data);
        self
    }

    /// Appends an image of floats.
    pub(crate) fn image_f32(&mut self, extname: &str, shape: &[usize], values: &[f32]) -> &mut Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
        self.image(extname, -32, shape, &bytes, &[])
    }

    /// Appends a binary table, with a heap after its rows.
    pub(crate) fn table(
        &mut self,
        extname: &str,
        columns: &[TestColumn],
        heap: &[u8],
        cards: &[TestCard<'_>],
    ) -> &mut Self {
        let rows = columns.first().map_or(0, |column| column.cells.len());
        let mut data = Vec::new();
        for row in 0..rows {
            columns.iter().for_each(|column| data.extend_from_slice(&column.cells[row]));
        }
        let width = data.len().checked_div(rows).unwrap_or(0);
        data.extend_from_slice(heap);
        let mut column_cards = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            column_cards.push((format!("TTYPE{}", i + 1), quoted(&column.name)));
            column_cards.push((format!("TFORM{}", i + 1), quoted(&column.tform)));
            for (stem, value) in &column.cards {
                column_cards.push((format!("{stem}{}", i + 1), value.clone()));
            }
        }
        let numbers = [width, rows, heap.len(), columns.len()].map(|n| n.to_string());
        let extname = quoted(extname);
        let mut structure = vec![
            ("XTENSION", "'BINTABLE'"),
            ("BITPIX", "8"),
            ("NAXIS", "2"),
            ("NAXIS1", &numbers[0]),
            ("NAXIS2", &numbers[1]),
            ("PCOUNT", &numbers[2]),
            ("GCOUNT", "1"),
            ("TFIELDS", &numbers[3]),
        ];
        structure.extend(column_cards.iter().map(|(keyword, value)| (keyword.as_str(), value.as_str())));
        structure.push(("EXTNAME", &extname));
        self.header(&structure, cards);
        self.data(&data);
        self
    }

    /// Appends a GZIP_1 tile-compressed image of 32-bit integers, one row per tile.
    pub(crate) fn compressed_image(
        &mut self,
        extname: &str,
        rows: &[Vec<i32>],
        bzero: Option<&str>,
    ) -> &mut Self {
        let mut heap = Vec::new();
        let mut cells = Vec::new();
        for row in rows {
            let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_be_bytes()).collect();
            let tile = gzip(&bytes);
            let descriptor = [tile.len(), heap.len()].map(|n| u32::try_from(n).unwrap().to_be_bytes());
            cells.push(descriptor.concat());
            heap.extend_from_slice(&tile);
        }
        let longest = heap.len().to_string();
        let axes = [rows[0].len().to_string(), rows.len().to_string()];
        let column = TestColumn::new("COMPRESSED_DATA", &format!("1PB({longest})"), cells);
        let mut cards = vec![
            ("ZIMAGE", "T"),
            ("ZTENSION", "'IMAGE   '"),
            ("ZBITPIX", "32"),
            ("ZNAXIS", "2"),
            ("ZNAXIS1", axes[0].as_str()),
            ("ZNAXIS2", axes[1].as_str()),
            ("ZPCOUNT", "0"),
            ("ZGCOUNT", "1"),
            ("ZTILE1", axes[0].as_str()),
            ("ZTILE2", "1"),
            ("ZCMPTYPE", "'GZIP_1  '"),
        ];
        if let Some(bzero) = bzero {
            cards.extend([("BSCALE", "1"), ("BZERO", bzero)]);
        }
        self.table(extname, &[column], &heap, &cards)
    }
}

/// One gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// How a test coadd stores MASK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaskForm {
    /// BITPIX 32 with BZERO 2^31.
    Unsigned,
    /// BITPIX 32 alone.
    Signed,
    /// GZIP_1 tiles in a BINTABLE.
    Tiles,
    /// No HDU.
    Absent,
}

/// A coadd with arms of a few pixels on DESI's grid.
#[derive(Debug, Clone)]
pub(crate) struct TestCoadd {
    pub(crate) cards: Vec<(String, String)>,
    pub(crate) fibermap: Vec<TestColumn>,
    /// Name, first pixel, number of pixels.
    pub(crate) arms: Vec<(&'static str, usize, usize)>,
    pub(crate) mask: MaskForm,
    pub(crate) scores: Option<Vec<TestColumn>>,
}

/// The TARGETIDs of the first five rows of pixel 26065 of the early data release.
pub(crate) const TARGETIDS: [i64; 5] =
    [-2_713_437, -2_713_415, 39_627_866_878_511_337, 616_088_619_186_127_404, 39_627_866_878_514_741];

impl Default for TestCoadd {
    fn default() -> Self {
        let card = |keyword: &str, value: &str| (keyword.to_owned(), value.to_owned());
        Self {
            cards: vec![
                card("HPXPIXEL", "26065"),
                card("HPXNSIDE", "64"),
                card("HPXNEST", "'True    '"),
                card("SURVEY", "'sv3     '"),
                card("PROGRAM", "'dark    '"),
                card("DEPNAM00", "'SPECPROD'"),
                card("DEPVER00", "'fuji    '"),
            ],
            fibermap: vec![
                TestColumn::i64("TARGETID", &TARGETIDS),
                TestColumn::i32("COADD_FIBERSTATUS", &[1, 1033, 0, 520, 0]),
            ],
            arms: vec![("B", 0, 40), ("R", 30, 33), ("Z", 60, 31)],
            mask: MaskForm::Unsigned,
            scores: None,
        }
    }
}

/// The flux that every test coadd has in a row and pixel of an arm.
pub(crate) fn test_flux(row: usize, pixel: usize) -> f32 {
    f32::from(u16::try_from(100 * row + pixel).unwrap()) - 50.5
}

/// The mask that every test coadd has; some values need all 32 bits.
pub(crate) fn test_mask(row: usize, pixel: usize) -> u32 {
    match (row + pixel) % 7 {
        0 => 512,
        1 => 1 << 31,
        2 => u32::MAX,
        _ => 0,
    }
}

impl TestCoadd {
    pub(crate) fn rows(&self) -> usize {
        self.fibermap[0].cells.len()
    }

    /// Without this card.
    pub(crate) fn without_card(mut self, keyword: &str) -> Self {
        self.cards.retain(|(name, _)| name != keyword);
        self
    }

    /// With this card.
    pub(crate) fn with_card(self, keyword: &str, value: &str) -> Self {
        let mut coadd = self.without_card(keyword);
        coadd.cards.push((keyword.to_owned(), value.to_owned()));
        coadd
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let cards: Vec<TestCard<'_>> = self.cards.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut file = FitsBytes::new(&cards);
        file.table("FIBERMAP", &self.fibermap, &[], &[]);
        for &(name, first, n) in &self.arms {
            self.arm(&mut file, name, first, n);
        }
        if let Some(scores) = &self.scores {
            file.table("SCORES", scores, &[], &[]);
        }
        file.0
    }

    fn arm(&self, file: &mut FitsBytes, name: &str, first: usize, n: usize) {
        let rows = self.rows();
        let wave: Vec<u8> = (first..first + n)
            .flat_map(|p| (3600.0 + 0.8 * f64::from(u16::try_from(p).unwrap())).to_be_bytes())
            .collect();
        file.image(&format!("{name}_WAVELENGTH"), -64, &[n], &wave, &[]);
        let cells = || (0..rows).flat_map(move |row| (0..n).map(move |p| (row, p)));
        let flux: Vec<f32> = cells().map(|(row, p)| test_flux(row, p)).collect();
        let ivar: Vec<f32> =
            cells().map(|(row, p)| if row < 2 { 0.0 } else { test_flux(row, p).abs() }).collect();
        file.image_f32(&format!("{name}_FLUX"), &[rows, n], &flux);
        file.image_f32(&format!("{name}_IVAR"), &[rows, n], &ivar);
        let mask = format!("{name}_MASK");
        let words = |flip: u32| cells().map(move |(row, p)| test_mask(row, p) ^ flip);
        let bytes = |flip| words(flip).flat_map(u32::to_be_bytes).collect::<Vec<u8>>();
        match self.mask {
            MaskForm::Signed => {
                file.image(&mask, 32, &[rows, n], &bytes(0), &[]);
            }
            MaskForm::Unsigned => {
                let scale = [("BSCALE", "1"), ("BZERO", "2147483648")];
                file.image(&mask, 32, &[rows, n], &bytes(1 << 31), &scale);
            }
            MaskForm::Tiles => {
                let stored: Vec<i32> = words(1 << 31).map(u32::cast_signed).collect();
                let tiles: Vec<Vec<i32>> = stored.chunks(n).map(<[i32]>::to_vec).collect();
                file.compressed_image(&mask, &tiles, Some("2147483648"));
            }
            MaskForm::Absent => {}
        }
        // A RESOLUTION whose pixels are all NaN: nothing may touch it.
        let resolution = vec![f32::NAN; rows * 3 * n];
        file.image_f32(&format!("{name}_RESOLUTION"), &[rows, 3, n], &resolution);
    }
}
