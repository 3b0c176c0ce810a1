//! A FITS writer (Pence et al. 2010, A&A 524, A42) for files whose layout is known before their data.
//!
//! Every header is laid out first, so any part of any data unit can be written at its place: memory
//! is bounded by the block in hand, and data never written are holes that read as zero. A file is
//! written aside and renamed when whole.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::SimulateError;

/// Size of a FITS block in bytes.
pub(crate) const BLOCK: u64 = 2880;

/// The value of a header card.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    Logical(bool),
    /// Commentary: the text follows the keyword without a value indicator.
    Comment(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// Header cards in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header {
    cards: Vec<u8>,
}

impl Header {
    /// Appends one card; a text longer than a card goes on in CONTINUE cards.
    pub(crate) fn push(&mut self, keyword: &str, value: impl Into<Value>) -> &mut Self {
        match value.into() {
            Value::Int(number) => self.card(&format!("{keyword:<8}= {number:>20}")),
            Value::Logical(flag) => {
                self.card(&format!("{keyword:<8}= {:>20}", if flag { "T" } else { "F" }));
            }
            Value::Comment(text) => self.card(&format!("{keyword:<8}{text}")),
            Value::Text(text) => self.text(keyword, &text.replace('\'', "''")),
        }
        self
    }

    fn text(&mut self, keyword: &str, escaped: &str) {
        // 80 less keyword, indicator and quotes; one more column is kept for the & of a part.
        const LINE: usize = 68;
        if escaped.len() <= LINE {
            self.card(&format!("{keyword:<8}= '{escaped:<8}'"));
            return;
        }
        let mut rest = escaped;
        let mut lead = format!("{keyword:<8}= ");
        while rest.len() > LINE {
            let (part, tail) = rest.split_at(LINE - 1);
            self.card(&format!("{lead}'{part}&'"));
            "CONTINUE  ".clone_into(&mut lead);
            rest = tail;
        }
        self.card(&format!("{lead}'{rest}'"));
    }

    fn card(&mut self, text: &str) {
        self.cards.extend(text.bytes().chain(std::iter::repeat(b' ')).take(80));
    }

    /// The header as bytes: END card, blanks up to a whole block.
    fn to_blocks(&self) -> Vec<u8> {
        let mut bytes = self.cards.clone();
        bytes.extend(b"END".iter().copied().chain(std::iter::repeat(b' ')).take(80));
        while !(bytes.len() as u64).is_multiple_of(BLOCK) {
            bytes.push(b' ');
        }
        bytes
    }
}

/// One header and the length of the data behind it.
#[derive(Clone, Debug)]
pub(crate) struct Hdu {
    pub(crate) header: Header,
    pub(crate) data_len: u64,
}

/// The kind of number an image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pixel {
    F64,
    F32,
    I32,
    /// Unsigned by BZERO = 2^31.
    U32,
}

impl Pixel {
    fn bitpix(self) -> i64 {
        match self {
            Self::F64 => -64,
            Self::F32 => -32,
            Self::I32 | Self::U32 => 32,
        }
    }

    fn bytes(self) -> u64 {
        self.bitpix().unsigned_abs() / 8
    }
}

impl Hdu {
    /// An empty primary HDU with `extra` cards.
    pub(crate) fn primary(extra: &[(String, Value)]) -> Self {
        let mut header = Header::default();
        header
            .push("SIMPLE", Value::Logical(true))
            .push("BITPIX", 8)
            .push("NAXIS", 0)
            .push("EXTEND", Value::Logical(true));
        for (keyword, value) in extra {
            header.push(keyword, value.clone());
        }
        Self { header, data_len: 0 }
    }

    /// An image extension; `axes` as in NAXIS1, NAXIS2, ...
    pub(crate) fn image(name: &str, pixel: Pixel, axes: &[u64], unit: Option<&str>) -> Self {
        let mut header = Header::default();
        header
            .push("XTENSION", "IMAGE")
            .push("BITPIX", pixel.bitpix())
            .push("NAXIS", i64::try_from(axes.len()).unwrap_or(0));
        for (i, &axis) in axes.iter().enumerate() {
            header.push(&format!("NAXIS{}", i + 1), i64::try_from(axis).unwrap_or(i64::MAX));
        }
        header.push("PCOUNT", 0).push("GCOUNT", 1);
        if pixel == Pixel::U32 {
            header.push("BSCALE", 1).push("BZERO", 2_147_483_648);
        }
        header.push("EXTNAME", name);
        if let Some(unit) = unit {
            header.push("BUNIT", unit);
        }
        Self { header, data_len: axes.iter().product::<u64>() * pixel.bytes() }
    }

    fn block_len(&self) -> u64 {
        self.header.to_blocks().len() as u64 + self.data_len.div_ceil(BLOCK) * BLOCK
    }
}

/// A file being written aside.
pub(crate) struct FitsFile {
    path: PathBuf,
    aside: PathBuf,
    file: fs_err::File,
    /// Start and length of each data unit.
    data: Vec<(u64, u64)>,
    len: u64,
}

impl FitsFile {
    /// Lays the HDUs out and writes their headers.
    pub(crate) fn create(path: &Path, hdus: &[Hdu]) -> Result<Self, SimulateError> {
        let wrap = |source| SimulateError::write(path, source);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder).map_err(wrap)?;
        }
        let aside = aside_of(path);
        let mut file = fs_err::File::create(&aside).map_err(wrap)?;
        let mut data = Vec::with_capacity(hdus.len());
        let mut at = 0;
        for hdu in hdus {
            let header = hdu.header.to_blocks();
            file.seek(SeekFrom::Start(at)).map_err(wrap)?;
            file.write_all(&header).map_err(wrap)?;
            data.push((at + header.len() as u64, hdu.data_len));
            at += hdu.block_len();
        }
        file.set_len(at).map_err(wrap)?;
        Ok(Self { path: path.to_owned(), aside, file, data, len: at })
    }

    /// Writes `bytes` at `offset` of the data unit of HDU number `hdu`.
    pub(crate) fn write_at(&mut self, hdu: usize, offset: u64, bytes: &[u8]) -> Result<(), SimulateError> {
        let (start, len) = self.data.get(hdu).copied().unwrap_or((0, 0));
        let end = offset + bytes.len() as u64;
        if end > len {
            let what = format!("bytes {offset}..{end} of HDU {hdu}, which holds {len}");
            return Err(SimulateError::Layout { path: self.path.clone(), what });
        }
        let wrap = |source| SimulateError::write(&self.path, source);
        self.file.seek(SeekFrom::Start(start + offset)).map_err(wrap)?;
        self.file.write_all(bytes).map_err(wrap)
    }

    /// Gives the file its name and returns its length in bytes.
    pub(crate) fn finish(mut self) -> Result<u64, SimulateError> {
        let wrap = |source| SimulateError::write(&self.path, source);
        self.file.flush().map_err(wrap)?;
        fs_err::rename(&self.aside, &self.path).map_err(wrap)?;
        Ok(self.len)
    }
}

/// Writes a file of whole HDUs, gzipped if the name ends in `.gz`; returns its length in bytes.
pub(crate) fn write_whole(path: &Path, hdus: &[(Hdu, Vec<u8>)]) -> Result<u64, SimulateError> {
    if path.extension().is_some_and(|ext| ext == "gz") {
        return write_gzip(path, hdus);
    }
    let layout: Vec<Hdu> = hdus.iter().map(|(hdu, _)| hdu.clone()).collect();
    let mut file = FitsFile::create(path, &layout)?;
    for (i, (_, data)) in hdus.iter().enumerate() {
        file.write_at(i, 0, data)?;
    }
    file.finish()
}

fn write_gzip(path: &Path, hdus: &[(Hdu, Vec<u8>)]) -> Result<u64, SimulateError> {
    let mut plain = Vec::new();
    for (hdu, data) in hdus {
        plain.extend(hdu.header.to_blocks());
        plain.extend(data);
        while !(plain.len() as u64).is_multiple_of(BLOCK) {
            plain.push(0);
        }
    }
    let wrap = |source| SimulateError::write(path, source);
    // The builder's default header carries no time and no name: equal data give equal bytes.
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(&plain).map_err(wrap)?;
    let packed = encoder.finish().map_err(wrap)?;
    write_bytes(path, &packed)?;
    Ok(packed.len() as u64)
}

/// A text file written aside, piece by piece.
pub(crate) struct TextFile {
    path: PathBuf,
    aside: PathBuf,
    file: std::io::BufWriter<fs_err::File>,
    len: u64,
}

impl TextFile {
    pub(crate) fn create(path: &Path) -> Result<Self, SimulateError> {
        let wrap = |source| SimulateError::write(path, source);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder).map_err(wrap)?;
        }
        let aside = aside_of(path);
        let file = std::io::BufWriter::new(fs_err::File::create(&aside).map_err(wrap)?);
        Ok(Self { path: path.to_owned(), aside, file, len: 0 })
    }

    pub(crate) fn append(&mut self, text: &str) -> Result<(), SimulateError> {
        self.len += text.len() as u64;
        self.file.write_all(text.as_bytes()).map_err(|source| SimulateError::write(&self.path, source))
    }

    /// Gives the file its name; returns its path and length.
    pub(crate) fn finish(mut self) -> Result<(PathBuf, u64), SimulateError> {
        let wrap = |source| SimulateError::write(&self.path, source);
        self.file.flush().map_err(wrap)?;
        fs_err::rename(&self.aside, &self.path).map_err(wrap)?;
        Ok((self.path, self.len))
    }
}

/// The name a file has while it is being written.
fn aside_of(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".partial");
    PathBuf::from(aside)
}

/// Writes a small file aside and renames it.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), SimulateError> {
    let wrap = |source| SimulateError::write(path, source);
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder).map_err(wrap)?;
    }
    let aside = aside_of(path);
    fs_err::write(&aside, bytes).map_err(wrap)?;
    fs_err::rename(&aside, path).map_err(wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_files_are_whole_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        let hdus = [
            Hdu::primary(&[("SURVEY".into(), "sv3".into())]),
            Hdu::image("B_FLUX", Pixel::F32, &[7, 3], None),
        ];
        let mut file = FitsFile::create(&path, &hdus).unwrap();
        file.write_at(1, 4, &1.5_f32.to_be_bytes()).unwrap();
        let len = file.finish().unwrap();
        let bytes = fs_err::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, len);
        assert_eq!(len, 3 * BLOCK);
        assert_eq!(&bytes[5760 + 4..5760 + 8], &1.5_f32.to_be_bytes());
        assert!(bytes[5760 + 8..].iter().all(|&byte| byte == 0));
        assert!(bytes.windows(20).any(|card| card == b"SURVEY  = 'sv3     '"));
    }

    #[test]
    fn writing_past_a_data_unit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        let hdus = [Hdu::image("A", Pixel::I32, &[2], None)];
        let mut file = FitsFile::create(&path, &hdus).unwrap();
        assert!(matches!(file.write_at(0, 5, &[0; 4]), Err(SimulateError::Layout { .. })));
    }

    #[test]
    fn long_texts_go_on_in_continue_cards() {
        let mut header = Header::default();
        header.push("DEPVER21", "x".repeat(150).as_str());
        let blocks = header.to_blocks();
        let cards: Vec<&str> = blocks.chunks(80).map(|card| std::str::from_utf8(card).unwrap()).collect();
        assert!(cards[0].ends_with("&'"));
        assert!(cards[1].starts_with("CONTINUE  '"));
        let joined: usize = cards.iter().take(3).map(|card| card.matches('x').count()).sum();
        assert_eq!(joined, 150);
    }
}
