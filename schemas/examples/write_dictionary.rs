//! Writes the data dictionary to the path given: `cargo run -p specmill-schemas --example write_dictionary -- docs/data-dictionary.md`.

use std::error::Error;

#[expect(clippy::disallowed_methods, reason = "fs_err would be this crate's only use of files")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("give the path of the file to write")?;
    std::fs::write(path, specmill_schemas::data_dictionary())?;
    Ok(())
}
