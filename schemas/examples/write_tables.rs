//! Writes the migration that makes the tables to the path given: `cargo run -p specmill-schemas --example write_tables -- schemas/sql/0002_tables.sql`.

use std::error::Error;

#[expect(clippy::disallowed_methods, reason = "fs_err would be this crate's only use of files")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("give the path of the file to write")?;
    std::fs::write(path, specmill_schemas::sql::create_tables())?;
    Ok(())
}
