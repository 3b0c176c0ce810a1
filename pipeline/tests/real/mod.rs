//! The genuine DESI files, where this machine has them.

use std::path::{Path, PathBuf};

/// A file below the folder of real data; `None`, after saying so, where it is not there.
///
/// The folder is `SPECMILL_REAL_DATA`, or `../shared/desi-real` beside the project.
/// `SPECMILL_REQUIRE_REAL_DATA=1` makes its absence a failure.
#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment alone")]
pub(crate) fn real_data(relative: &str) -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the project");
    let folder = std::env::var_os("SPECMILL_REAL_DATA")
        .map_or_else(|| project.join("../shared/desi-real"), PathBuf::from);
    let path = folder.join(relative);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("SPECMILL_REQUIRE_REAL_DATA").is_some_and(|value| value == "1");
    assert!(!required, "SPECMILL_REQUIRE_REAL_DATA is set and {} does not exist", path.display());
    announce_skip(&path);
    None
}

#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
fn announce_skip(path: &Path) {
    println!("SKIPPED: {} does not exist", path.display());
}
