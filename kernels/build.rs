//! Compiles the kernels for every target where a compiler is at hand, and embeds what came out.
//!
//! The compiler is the library named by `SPECMILL_NVRTC`, else the one that `scripts/setup.sh` brings to
//! `.cache/nvrtc`. Without one the crate builds all the same, with the kernels' text alone.

#![expect(clippy::disallowed_methods, reason = "the environment is how cargo speaks to a build script")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

#[path = "src/constants.rs"]
mod constants;
#[path = "src/cuda/nvrtc.rs"]
mod nvrtc;
#[path = "build/registers.rs"]
mod registers;
#[path = "build/source.rs"]
mod source;

/// Cubins for the cards that laboratories and computing centres have; PTX for every other one.
const TARGETS: [&str; 5] = ["sm_75", "sm_80", "sm_86", "sm_90", "compute_75"];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let home = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo:rerun-if-env-changed=SPECMILL_NVRTC");
    for input in ["src/constants.rs", "src/cuda", "src/ops", "build", "build.rs"] {
        println!("cargo:rerun-if-changed={input}");
    }
    let text = source::flatten(&home.join("src"), &constants::defines())?;
    fs::write(out.join("kernels.cu"), &text)?;
    let names: Vec<&str> = source::entries(&text).into_iter().map(|(_, name)| name).collect();
    fs::write(out.join("names.txt"), names.join("\n"))?;
    let (mut images, mut table) = (String::new(), String::new());
    // Where there is none, nothing is watched: a path that is not there would be new at every build.
    // `scripts/setup.sh` touches this file when it brings one.
    if let Some(path) = find_compiler(&home) {
        println!("cargo:rerun-if-changed={}", path.display());
        // The compiler looks for its own headers by their name: a library that is loaded already is found.
        let _builtins = path.parent().and_then(load_builtins);
        let compiler = nvrtc::Nvrtc::open(&path)?;
        for target in TARGETS {
            let compiled = compiler.compile(&text, target)?;
            fs::write(out.join(target), compiled.image)?;
            writeln!(images, "Image {{ target: \"{target}\", bytes: include_bytes!(\"{target}\") }},")?;
            if target.starts_with("sm_") {
                table.push_str(&registers::table(target, &compiled.log)?);
            }
        }
    }
    fs::write(out.join("registers.txt"), table)?;
    fs::write(out.join("images.rs"), format!("&[\n{images}]\n"))?;
    Ok(())
}

fn find_compiler(home: &Path) -> Option<PathBuf> {
    match std::env::var_os("SPECMILL_NVRTC") {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(PathBuf::from(path)),
        None => Some(default_compiler(home)).filter(|path| path.exists()),
    }
}

fn default_compiler(home: &Path) -> PathBuf {
    home.join("../.cache/nvrtc/nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
}

/// The library of headers that lies beside a compiler.
fn load_builtins(folder: &Path) -> Option<libloading::Library> {
    let paths = fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let is_builtins = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("libnvrtc-builtins.so")
    };
    let path = paths.filter(is_builtins).max()?;
    // SAFETY: the library's initialisers are NVIDIA's, and need nothing of us.
    unsafe { libloading::Library::new(path) }.ok()
}
