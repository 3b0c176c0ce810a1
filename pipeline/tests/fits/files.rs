//! Test files on disk, gone when the test ends.

use std::path::PathBuf;

use specmill::fits::{CoaddBatch, CoaddFile, FitsError, OpenOptions, Source};
use tempfile::TempDir;

use crate::fits_bytes::TestCoadd;

/// A file in a folder of its own.
pub(crate) struct OnDisk {
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

/// Writes `bytes` under `name`.
pub(crate) fn on_disk(name: &str, bytes: &[u8]) -> OnDisk {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs_err::write(&path, bytes).unwrap();
    OnDisk { path, _folder: folder }
}

/// Writes a coadd under the usual name.
pub(crate) fn coadd_on_disk(coadd: &TestCoadd) -> OnDisk {
    on_disk("coadd-sv3-dark-26065.fits", &coadd.bytes())
}

/// Opens bytes as a scanned file.
pub(crate) fn scanned(bytes: &[u8]) -> (OnDisk, Result<Source, FitsError>) {
    let file = on_disk("table.fits", bytes);
    let source = Source::open(&file.path, &OpenOptions::default());
    (file, source)
}

/// Opens a coadd and reads all its rows at once.
pub(crate) fn read_whole(coadd: &TestCoadd) -> (CoaddFile, CoaddBatch) {
    let file = coadd_on_disk(coadd);
    let mut coadd = CoaddFile::open(&file.path).unwrap();
    let mut batch = CoaddBatch::default();
    coadd.read_rows(0..coadd.n_rows(), &mut batch).unwrap();
    (coadd, batch)
}

/// An error and its causes in one text.
pub(crate) fn in_full(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        text.push_str(&format!(": {err}"));
        cause = err.source();
    }
    text
}
