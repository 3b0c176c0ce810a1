//! DATASUM and CHECKSUM, to warn by: good files are known to carry wrong ones.
//!
//! Source: FITS standard 4.0, appendix J.

use super::FitsError;
use super::header::Value;
use super::layout::HduInfo;
use super::prescan::{BLOCK_BYTES, ReadAt};
use super::source::Source;

const CHUNK_BLOCKS: u64 = 64;

impl Source {
    /// Says in sentences which checksums of an HDU do not verify; an HDU without them gives none.
    ///
    /// Reads the whole HDU: meant for tables, not for spectra.
    ///
    /// # Errors
    /// [`FitsError::MissingHdu`], and [`FitsError::Io`] where reading fails. A wrong sum is not an
    /// error.
    pub fn checksum_warnings(&self, extname: &str) -> Result<Vec<String>, FitsError> {
        let hdu = self.require(extname)?;
        let end = (hdu.data_offset + hdu.data_bytes).next_multiple_of(BLOCK_BYTES);
        let io_err =
            |source| FitsError::Io { path: self.path().to_owned(), action: "cannot be read", source };
        let data = sum_of(self.file(), hdu.data_offset, end, 0).map_err(io_err)?;
        let mut warnings = Vec::new();
        if let Some(stated) = stated_datasum(hdu)
            && stated != data
        {
            warnings.push(format!("{}: DATASUM is {stated}, the data sum to {data}", hdu.label()));
        }
        if hdu.header.get("CHECKSUM").is_some() {
            let whole = sum_of(self.file(), hdu.header_offset, hdu.data_offset, data).map_err(io_err)?;
            // With a right CHECKSUM the whole HDU sums to all ones, or to zero.
            if whole != u32::MAX && whole != 0 {
                warnings.push(format!("{}: CHECKSUM does not verify", hdu.label()));
            }
        }
        Ok(warnings)
    }
}

/// DATASUM is a number written as a string.
fn stated_datasum(hdu: &HduInfo) -> Option<u32> {
    match hdu.header.get("DATASUM")? {
        Value::Text(text) => text.trim().parse().ok(),
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::Logical(_) | Value::Real(_) | Value::Undefined | Value::Other => None,
    }
}

/// Adds the 32-bit big-endian words from `start` to `end` to `sum`, in ones' complement.
fn sum_of(file: &impl ReadAt, start: u64, end: u64, sum: u32) -> std::io::Result<u32> {
    let mut total = u64::from(sum);
    let mut offset = start;
    while offset < end {
        let length = (end - offset).min(CHUNK_BLOCKS * BLOCK_BYTES);
        let mut chunk = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut chunk, offset)?;
        for word in chunk.as_chunks::<4>().0 {
            total += u64::from(u32::from_be_bytes(*word));
        }
        offset += length;
    }
    while total > u64::from(u32::MAX) {
        total = (total & u64::from(u32::MAX)) + (total >> 32);
    }
    Ok(u32::try_from(total).expect("folded below 2^32"))
}
