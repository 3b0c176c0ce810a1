//! Where results become visible: written aside, synced, renamed.

mod parquet;
pub(crate) mod postgres;
mod wide;

pub(crate) use parquet::{Footer, TableWriter, WrittenFile};
pub(crate) use wide::WideWriter;

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where a run folder keeps files that are not whole yet.
const PARTIAL: &str = ".partial";

fn partial_folder(run_folder: &Path) -> PathBuf {
    run_folder.join(PARTIAL)
}

/// Removes unfinished files: those of a run that was killed, and the folder for them.
///
/// # Errors
/// Where the disk refuses.
pub(crate) fn remove_partial(run_folder: &Path) -> Result<()> {
    match fs_err::remove_dir_all(partial_folder(run_folder)) {
        // A run folder below something that is no folder is for the first write to complain about.
        Err(error)
            if !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            Err(Error::Io { what: "cannot remove unfinished files".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Writes a small file of a run folder so that it is either whole or absent.
///
/// # Errors
/// Where a folder cannot be made or the file cannot be written.
pub(crate) fn write_record(run_folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    write_aside(&partial_folder(run_folder), path, |file| file.write_all(bytes))
}

/// Writes a file of a run folder piece by piece so that it is either whole or absent.
///
/// # Errors
/// Where a folder cannot be made or the file cannot be written.
pub(crate) fn write_streamed(
    run_folder: &Path,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    write_aside(&partial_folder(run_folder), path, |file| {
        let mut buffer = std::io::BufWriter::new(file);
        fill(&mut buffer)?;
        buffer.flush()
    })
}

/// Writes a small file outside any run folder so that it is either whole or absent.
///
/// # Errors
/// Where the folder cannot be made or the file cannot be written.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    write_aside(folder.unwrap_or(Path::new(".")), path, |file| file.write_all(bytes))
}

fn write_aside(
    temporary_folder: &Path,
    path: &Path,
    fill: impl FnOnce(&mut tempfile::NamedTempFile) -> std::io::Result<()>,
) -> Result<()> {
    let fail = |source| Error::Io { what: format!("cannot write {}", path.display()), source };
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    for folder in parent.into_iter().chain([temporary_folder]) {
        fs_err::create_dir_all(folder).map_err(fail)?;
    }
    let mut file = tempfile::NamedTempFile::new_in(temporary_folder).map_err(fail)?;
    fill(&mut file).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    publish(file, path)
}

/// Removes an output that its stage no longer vouches for, where it is there.
///
/// # Errors
/// Where the disk refuses.
pub(crate) fn remove_stale(path: &Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { what: "cannot remove a stale output".to_owned(), source: error })
        }
        _ => Ok(()),
    }
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
