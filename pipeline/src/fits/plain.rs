//! Images stored as they are used, read from where the scan found their data.
//!
//! cfitsio gives the same numbers (a test compares the bits); it takes longer, for it goes over a whole request twice
//! and parses an HDU's header again whenever it comes from another.

use super::FitsError;
use super::layout::{HduInfo, HduKind};
use super::prescan::ReadAt;
use super::source::Source;

/// Bytes read at once: few enough to be in the first caches still when they are turned round.
const CHUNK: usize = 32 << 10;

/// A 32-bit number by its big-endian bytes.
pub(super) trait Plain: Copy {
    /// BITPIX of such images.
    const BITPIX: i64;

    /// The number; `flipped` bits are another than stored.
    fn from_stored(bytes: [u8; 4], flipped: u32) -> Self;
}

impl Plain for f32 {
    const BITPIX: i64 = -32;

    fn from_stored(bytes: [u8; 4], _flipped: u32) -> Self {
        Self::from_be_bytes(bytes)
    }
}

impl Plain for u32 {
    const BITPIX: i64 = 32;

    fn from_stored(bytes: [u8; 4], flipped: u32) -> Self {
        Self::from_be_bytes(bytes) ^ flipped
    }
}

/// Whether an image's pixels are stored as `T`: uncompressed, unscaled; unsigned ones with their customary offset.
#[expect(clippy::float_cmp, reason = "the offsets are exact powers of two")]
pub(super) fn is_plain<T: Plain>(hdu: &HduInfo) -> bool {
    let HduKind::Image(image) = &hdu.kind else { return false };
    let offset = image.bzero == 0.0 || T::BITPIX > 0 && image.bzero == UNSIGNED;
    image.bitpix == T::BITPIX && image.bscale == 1.0 && offset
}

/// BZERO of unsigned 32-bit integers (FITS standard 4.0, table 11).
const UNSIGNED: f64 = 2_147_483_648.0;

/// Reads pixels of an image that [`is_plain`]; signed integers keep their bits.
///
/// # Errors
/// [`FitsError::Io`] where the file has become shorter, or cannot be read.
pub(super) fn read_plain<T: Plain>(
    source: &Source,
    hdu: &HduInfo,
    first: u64,
    out: &mut [T],
) -> Result<(), FitsError> {
    let is_unsigned = matches!(&hdu.kind, HduKind::Image(image) if image.bzero > 0.0);
    // Adding 2^31 to a 32-bit number turns its uppermost bit.
    let flipped = u32::from(is_unsigned) << 31;
    let mut chunk = [0; CHUNK];
    let mut at = hdu.data_offset + 4 * first;
    for out in out.chunks_mut(CHUNK / 4) {
        let bytes = &mut chunk[..4 * out.len()];
        source.file().read_exact_at(bytes, at).map_err(|error| FitsError::Io {
            path: source.path().to_owned(),
            action: "cannot be read",
            source: error,
        })?;
        for (number, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
            *number = T::from_stored(*bytes, flipped);
        }
        at += bytes.len() as u64;
    }
    Ok(())
}
