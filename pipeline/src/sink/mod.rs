//! Where results become visible: written aside, synced, renamed.

mod parquet;

pub(crate) use parquet::{Footer, TableWriter, WrittenFile};

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a small file so that it is either whole or absent.
///
/// # Errors
/// Where the folder cannot be made or the file cannot be written.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |source| Error::Io { what: format!("cannot write {}", path.display()), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder).map_err(fail)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    publish(file, path)
}

/// Renames a finished temporary file to its place, readable by all.
pub(crate) fn publish(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let fail = |source| Error::Io { what: format!("cannot write {}", path.display()), source };
    // Temporary files are private to their owner; results are for everyone who may read the folder.
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}
