//! SHA-256 in the one form it is written in: lower-case hexadecimal.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// The SHA-256 of some bytes.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a file, read once in a stream.
///
/// # Errors
/// Where the file cannot be read.
pub(crate) fn sha256_file(path: &std::path::Path) -> io::Result<String> {
    let mut writer = DigestWriter::new(io::sink());
    io::copy(&mut fs_err::File::open(path)?, &mut writer)?;
    Ok(writer.finish().2.unwrap_or_default())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A writer that knows the length and, where it is asked for, the digest of what went through it.
#[derive(Debug)]
pub(crate) struct DigestWriter<W> {
    inner: W,
    sha256: Option<Sha256>,
    bytes: u64,
}

impl<W: Write> DigestWriter<W> {
    /// Wraps a writer.
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, sha256: Some(Sha256::new()), bytes: 0 }
    }

    /// Wraps a writer whose bytes nobody will look up by their digest.
    pub(crate) fn without_digest(inner: W) -> Self {
        Self { inner, sha256: None, bytes: 0 }
    }

    /// The wrapped writer.
    pub(crate) fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The wrapped writer, the bytes written and their digest, where one was taken.
    pub(crate) fn finish(self) -> (W, u64, Option<String>) {
        (self.inner, self.bytes, self.sha256.map(|sha256| hex(&sha256.finalize())))
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&buf[..written]);
        }
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_the_published_value_for_abc() {
        // FIPS 180-4 test vector.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), abc);
        let mut writer = DigestWriter::new(Vec::new());
        writer.write_all(b"abc").unwrap();
        assert_eq!(writer.finish(), (b"abc".to_vec(), 3, Some(abc.to_owned())));
    }
}
