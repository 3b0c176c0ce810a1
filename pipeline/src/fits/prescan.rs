//! The bounded header scan that every file passes before cfitsio sees it.
//!
//! It reads headers only, by positional reads, checks every declared size against the length of
//! the file, and refuses what it cannot account for. Its work and memory are bounded by
//! [`ScanLimits`], whatever the file says.

use std::io;

use super::HduLabel;
use super::header::{Header, Record, parse_record};
use super::layout::interpret;
pub use super::layout::{Column, HduInfo, HduKind, ImageInfo, TableInfo};
use super::tform::TFormError;

/// FITS files are sequences of blocks of this many bytes.
pub const BLOCK_BYTES: u64 = 2880;
const RECORD_BYTES: usize = 80;
/// Headers are fetched this many bytes at a time: most fit in one read.
const CHUNK_BYTES: u64 = 5 * BLOCK_BYTES;

/// Positional reads over something of known length.
pub trait ReadAt {
    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the storage reports.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// Whatever the storage reports; `UnexpectedEof` past the end.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for std::fs::File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let start = usize::try_from(offset).map_err(|_| eof())?;
        let end = start.checked_add(buffer.len()).ok_or_else(eof)?;
        buffer.copy_from_slice(self.get(start..end).ok_or_else(eof)?);
        Ok(())
    }
}

/// How much a file may ask of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// HDUs in a file.
    pub max_hdus: usize,
    /// 2880-byte blocks in one header.
    pub max_header_blocks: u64,
    /// Header bytes in the whole file.
    pub max_header_bytes: u64,
    /// Axes of an image.
    pub max_axes: usize,
    /// Pixels of a compressed tile.
    pub max_tile_pixels: u64,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            max_hdus: 1000,
            max_header_blocks: 1000,
            max_header_bytes: 16 << 20,
            max_axes: 32,
            max_tile_pixels: 1 << 16,
        }
    }
}

/// A refused file: the HDU and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{hdu}: {fault}")]
pub struct ScanError {
    /// The HDU.
    pub hdu: HduLabel,
    /// The reason.
    #[source]
    pub fault: ScanFault,
}

/// Why an HDU was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanFault {
    /// The storage failed.
    #[error("the header could not be read")]
    Read(#[source] io::Error),
    /// No SIMPLE card at the start.
    #[error("the file does not begin with SIMPLE = T")]
    NotFits,
    /// Something after the last HDU that is no extension.
    #[error("bytes after the previous HDU are not an extension header")]
    NotAnExtension,
    /// No END card before the end of the file.
    #[error("the file ends inside the header ({present} bytes of it)")]
    HeaderCut {
        /// Bytes of header present.
        present: u64,
    },
    /// More header than allowed.
    #[error("the header is longer than {limit} bytes")]
    HeaderTooLong {
        /// The limit.
        limit: u64,
    },
    /// More HDUs than allowed.
    #[error("the file has more than {limit} HDUs")]
    TooManyHdus {
        /// The limit.
        limit: usize,
    },
    /// A required card is absent or out of order.
    #[error("card {keyword} is missing or out of place")]
    MissingCard {
        /// Its keyword.
        keyword: String,
    },
    /// A card has a value that it cannot have.
    #[error("card {keyword} has a value that it cannot have")]
    BadValue {
        /// Its keyword.
        keyword: String,
    },
    /// A structural card occurs twice.
    #[error("card {keyword} occurs twice")]
    Duplicate {
        /// Its keyword.
        keyword: String,
    },
    /// A structural card is not in its standard form.
    #[error("card {keyword} is not in its standard form")]
    Irregular {
        /// Its keyword.
        keyword: String,
    },
    /// A column format that cannot be parsed.
    #[error("column {number}")]
    BadTForm {
        /// The column, from 1.
        number: usize,
        /// The format.
        #[source]
        source: TFormError,
    },
    /// NAXIS1 is not the sum of the columns' widths.
    #[error("rows are {declared} bytes wide, their columns {columns}")]
    RowWidth {
        /// NAXIS1.
        declared: u64,
        /// Sum over the columns.
        columns: u64,
    },
    /// The declared size does not fit 64 bits.
    #[error("the declared size does not fit 64 bits")]
    Absurd,
    /// The data run past the end of the file.
    #[error("truncated: {expected} bytes of data expected, {present} present")]
    Truncated {
        /// Declared bytes.
        expected: u64,
        /// Bytes present.
        present: u64,
    },
    /// A feature that no DESI file uses.
    #[error("{what} are not supported")]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
}

/// Walks the HDUs of `file`.
///
/// # Errors
/// [`ScanError`] naming the first HDU that is malformed, truncated or beyond `limits`.
pub fn scan(file: &(impl ReadAt + ?Sized), limits: &ScanLimits) -> Result<Vec<HduInfo>, ScanError> {
    let label = |index| HduLabel { index, extname: None };
    let size = file.size().map_err(|err| ScanError { hdu: label(0), fault: ScanFault::Read(err) })?;
    let mut hdus: Vec<HduInfo> = Vec::new();
    let mut header_budget = limits.max_header_bytes;
    let mut offset = 0;
    while offset < size || hdus.is_empty() {
        let index = hdus.len();
        if index > 0 && is_filler(file, offset, size) {
            break;
        }
        if index >= limits.max_hdus {
            let fault = ScanFault::TooManyHdus { limit: limits.max_hdus };
            return Err(ScanError { hdu: label(index), fault });
        }
        let bounds = HeaderBounds { size, budget: header_budget, limits };
        let (header, data_offset) = read_header(file, offset, index, &bounds)
            .map_err(|fault| ScanError { hdu: label(index), fault })?;
        header_budget = header_budget.saturating_sub(data_offset - offset);
        let extname = header.text("EXTNAME").map(str::to_owned);
        let hdu = interpret(header, index, (offset, data_offset), size, limits)
            .map_err(|fault| ScanError { hdu: HduLabel { index, extname }, fault })?;
        // Truncation was checked: the sum is at most `size`, so rounding up cannot overflow.
        offset = (hdu.data_offset + hdu.data_bytes).next_multiple_of(BLOCK_BYTES);
        hdus.push(hdu);
    }
    Ok(hdus)
}

/// What bounds the reading of one header.
struct HeaderBounds<'a> {
    size: u64,
    budget: u64,
    limits: &'a ScanLimits,
}

/// Whether the block after the last HDU holds nothing (some writers pad files with zeros or blanks).
fn is_filler(file: &(impl ReadAt + ?Sized), offset: u64, size: u64) -> bool {
    let mut block = vec![0; usize::try_from((size - offset).min(BLOCK_BYTES)).unwrap_or(0)];
    file.read_exact_at(&mut block, offset).is_ok() && block.iter().all(|&b| matches!(b, 0 | b' '))
}

/// Reads cards up to END; gives them and the offset of the data.
fn read_header(
    file: &(impl ReadAt + ?Sized),
    offset: u64,
    index: usize,
    bounds: &HeaderBounds<'_>,
) -> Result<(Header, u64), ScanFault> {
    let limit = bounds.limits.max_header_blocks.saturating_mul(BLOCK_BYTES).min(bounds.budget);
    let mut header = Header::default();
    let mut at = offset;
    loop {
        if at - offset >= limit {
            return Err(ScanFault::HeaderTooLong { limit });
        }
        let present = bounds.size.saturating_sub(at);
        let length =
            CHUNK_BYTES.min(present - present % BLOCK_BYTES).min(limit.next_multiple_of(BLOCK_BYTES));
        if at == offset {
            check_start(file, offset, index, present)?;
        }
        if length == 0 {
            return Err(ScanFault::HeaderCut { present: at - offset + present });
        }
        let mut chunk = vec![0; usize::try_from(length).map_err(|_| ScanFault::Absurd)?];
        file.read_exact_at(&mut chunk, at).map_err(ScanFault::Read)?;
        if let Some(records) = collect_records(&chunk, &mut header)? {
            let header_bytes = at - offset + (records * RECORD_BYTES) as u64;
            return Ok((header, offset + header_bytes.next_multiple_of(BLOCK_BYTES)));
        }
        at += length;
    }
}

/// The first bytes of an HDU, before anything is made of the rest.
fn check_start(
    file: &(impl ReadAt + ?Sized),
    offset: u64,
    index: usize,
    present: u64,
) -> Result<(), ScanFault> {
    let wanted: &[u8] = if index == 0 { b"SIMPLE  =" } else { b"XTENSION=" };
    let mut start = [0; 9];
    let readable = present >= start.len() as u64;
    if readable {
        file.read_exact_at(&mut start, offset).map_err(ScanFault::Read)?;
    }
    if readable && start == wanted {
        return Ok(());
    }
    Err(if index == 0 { ScanFault::NotFits } else { ScanFault::NotAnExtension })
}

/// Adds a chunk's cards; gives the number of records up to END once it is there.
fn collect_records(chunk: &[u8], header: &mut Header) -> Result<Option<usize>, ScanFault> {
    for (i, record) in chunk.chunks_exact(RECORD_BYTES).enumerate() {
        match parse_record(record) {
            Record::Card(card) => header.push(card),
            Record::Continue(piece) => header.extend_last(&piece),
            Record::End => return Ok(Some(i + 1)),
            Record::Comment => {}
            Record::Irregular(keyword) => return Err(ScanFault::Irregular { keyword }),
        }
    }
    Ok(None)
}
