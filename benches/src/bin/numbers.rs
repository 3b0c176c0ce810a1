//! The README's table, from the newest record beside the peers.
//!
//! `numbers README RUNS` writes the table of the newest `peers.json` below RUNS between the marks of README.

use std::error::Error;
use std::path::Path;

use specmill_benches::numbers::refreshed;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [readme, runs] = &arguments[..] else { return Err("usage: numbers README RUNS".into()) };
    let text = refreshed(&fs_err::read_to_string(readme)?, Path::new(runs))?;
    fs_err::write(readme, text)?;
    Ok(())
}
