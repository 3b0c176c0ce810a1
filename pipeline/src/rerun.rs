//! `rerun`: a recorded run once more, and the two compared.

use crate::cli::RerunArgs;
use crate::config::Environment;
use crate::error::Result;
use crate::exit::Exit;

/// Says what differs, runs again and compares.
///
/// # Errors
/// Where the record cannot be followed.
pub(crate) fn run(_args: &RerunArgs, _environment: &Environment) -> Result<Exit> {
    Ok(Exit::Unexpected)
}
