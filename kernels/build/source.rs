//! One text of all kernels: the constants, the common headers, then each operation in a namespace of its own.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// The header that all others need.
const FIRST_HEADER: &str = "device.cuh";

/// The text that every compiler is given, `src` being the crate's folder of sources.
///
/// # Errors
/// Where a file cannot be read.
pub(crate) fn flatten(src: &Path, defines: &str) -> io::Result<String> {
    let mut text = defines.to_owned();
    let mut headers = files(&src.join("cuda"), "cuh")?;
    // What the others are written in comes first.
    headers.sort_by_key(|path| !path.ends_with(FIRST_HEADER));
    for header in headers {
        text.push_str(&part(&header)?);
    }
    for kernel in kernels(src)? {
        let operation = kernel.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        text.push_str(&format!("namespace {operation} {{\n{}}}\n", part(&kernel)?));
    }
    Ok(text)
}

/// The `.cu` files, in order of their names: those beside the headers, then those of the operations.
///
/// # Errors
/// Where a folder cannot be read.
pub(crate) fn kernels(src: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = files(&src.join("cuda"), "cu")?;
    for entry in fs::read_dir(src.join("ops"))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, "cu")?);
        }
    }
    found.sort();
    Ok(found)
}

/// The kernels of a text, each with the operation that it belongs to.
pub(crate) fn entries(text: &str) -> Vec<(&str, &str)> {
    let mut operation = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("namespace ") {
            operation = name.trim_end_matches(" {");
        } else if let Some((_, rest)) = line.split_once("extern \"C\" __global__ void ") {
            let bounds = rest.strip_prefix("__launch_bounds__(").and_then(|rest| rest.split_once(") "));
            let declared = bounds.map_or(rest, |(_, declared)| declared);
            found.extend(declared.split('(').next().map(|name| (operation, name)));
        }
    }
    found
}

fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file without its includes, which the text before it holds.
fn part(path: &Path) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!("#line 1 \"{name}\"\n");
    for line in fs::read_to_string(path)?.lines() {
        // An empty line keeps the numbers of those after it.
        text.push_str(if line.starts_with("#include") || line.starts_with("#pragma once") {
            ""
        } else {
            line
        });
        text.push('\n');
    }
    Ok(text)
}
