//! Lists `catalogs/*.toml`, so that adding a catalogue is adding a file.

#![expect(clippy::disallowed_methods, reason = "the environment is how cargo speaks to a build script")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("catalogs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut text = String::from("const DECLARATIONS: &[(&str, &str)] = &[\n");
    for path in &files {
        let name =
            path.file_stem().and_then(|stem| stem.to_str()).ok_or("a declaration's name is no text")?;
        writeln!(text, "    ({name:?}, include_str!({path:?})),")?;
    }
    text.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("catalogs.rs"), text)?;
    Ok(())
}
