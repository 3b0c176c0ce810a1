//! `verify`: two run folders compared.

use crate::cli::VerifyRunsArgs;
use crate::error::Result;
use crate::exit::Exit;

/// Compares two run folders and prints the verdict.
///
/// # Errors
/// Where one of them cannot be read.
pub(crate) fn run(_args: &VerifyRunsArgs) -> Result<Exit> {
    Ok(Exit::Unexpected)
}
