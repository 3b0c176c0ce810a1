//! The kernels compiled ahead of time, and which of them a card gets.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaFunction, CudaModule};
use cudarc::nvrtc::Ptx;

use super::driver::says;
use super::nvrtc::{self, Nvrtc};

/// Kernels compiled for a target.
struct Image {
    /// `sm_*` is a cubin, `compute_*` is PTX.
    target: &'static str,
    bytes: &'static [u8],
}

/// Empty where there was no compiler when this crate was built.
const IMAGES: &[Image] = include!(concat!(env!("OUT_DIR"), "/images.rs"));

/// The kernels' text, for cards that no image serves.
const SOURCE: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.cu"));

/// The names of all kernels, one per line.
const NAMES: &str = include_str!(concat!(env!("OUT_DIR"), "/names.txt"));

/// Registers and memory of every kernel on every target, as the assembler reported them; empty where there
/// was no compiler when this crate was built.
pub const REGISTERS: &str = include_str!(concat!(env!("OUT_DIR"), "/registers.txt"));

/// The head of a table of [`REGISTERS`].
pub const REGISTERS_HEAD: &str = "\
# What NVRTC 12.2.140 makes of each kernel; written by `make registers`. A build that takes more fails its tests.
# target  kernel                          registers spilled   stack   shared
";

/// Keeps what was compiled at run time; a cache that keeps nothing is slower, no more.
pub trait ImageCache {
    /// The image kept under a key.
    fn read(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps an image.
    fn write(&self, key: &str, image: &[u8]);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

impl ImageCache for NoCache {
    fn read(&self, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn write(&self, _key: &str, _image: &[u8]) {}
}

/// The targets that were compiled when this crate was built.
pub fn embedded_targets() -> impl Iterator<Item = &'static str> {
    IMAGES.iter().map(|image| image.target)
}

/// The names of all kernels.
pub fn kernel_names() -> impl Iterator<Item = &'static str> {
    NAMES.lines()
}

/// The kernels on a card, and where they came from.
pub(super) struct Loaded {
    pub(super) functions: HashMap<&'static str, CudaFunction>,
    pub(super) image: String,
}

/// Loads the best image: a cubin of this architecture, one of an older minor version of it, PTX for the
/// driver to compile, or the text through a compiler found on the machine.
pub(super) fn load(
    context: &Arc<CudaContext>,
    capability: (i32, i32),
    cache: &dyn ImageCache,
) -> Result<Loaded, String> {
    let mut refusals = Vec::new();
    for image in candidates(capability) {
        match load_image(context, image.target, image.bytes) {
            Ok(functions) => return Ok(Loaded { functions, image: format!("embedded {}", image.target) }),
            Err(reason) => refusals.push(format!("{}: {reason}", image.target)),
        }
    }
    match compile(context, capability, cache) {
        Ok(loaded) => Ok(loaded),
        Err(reason) => {
            refusals.push(reason);
            Err(refusals.join("; "))
        }
    }
}

/// The embedded images that may serve a card, best first.
fn candidates(capability: (i32, i32)) -> Vec<&'static Image> {
    let version = |image: &Image| -> Option<(i32, i32)> {
        let number: i32 = image.target.split_once('_')?.1.parse().ok()?;
        Some((number / 10, number % 10))
    };
    let is_cubin = |image: &Image| image.target.starts_with("sm_");
    let mut cubins: Vec<&Image> = IMAGES
        .iter()
        .filter(|image| is_cubin(image))
        .filter(|image| version(image).is_some_and(|own| own.0 == capability.0 && own.1 <= capability.1))
        .collect();
    cubins.sort_by_key(|image| std::cmp::Reverse(version(image)));
    let ptx =
        IMAGES.iter().filter(|image| !is_cubin(image) && version(image).is_some_and(|own| own <= capability));
    cubins.into_iter().chain(ptx).collect()
}

fn load_image(
    context: &Arc<CudaContext>,
    target: &str,
    bytes: &[u8],
) -> Result<HashMap<&'static str, CudaFunction>, String> {
    let image = if target.starts_with("sm_") {
        Ptx::from_binary(bytes.to_vec())
    } else {
        Ptx::from_src(String::from_utf8_lossy(bytes).trim_end_matches('\0'))
    };
    let module: Arc<CudaModule> = context.load_module(image).map_err(|error| says(&error))?;
    kernel_names()
        .map(|name| module.load_function(name).map(|function| (name, function)).map_err(|error| says(&error)))
        .collect()
}

/// Compiles the text here, unless an earlier run has kept the result.
fn compile(
    context: &Arc<CudaContext>,
    (major, minor): (i32, i32),
    cache: &dyn ImageCache,
) -> Result<Loaded, String> {
    let target = format!("sm_{major}{minor}");
    let key = format!("{target}-{:016x}", fingerprint(&[SOURCE, &nvrtc::OPTIONS.join(" ")]));
    if let Some(kept) = cache.read(&key)
        && let Ok(functions) = load_image(context, &target, &kept)
    {
        return Ok(Loaded { functions, image: format!("{target} compiled by an earlier run") });
    }
    // Names that the system's loader, or LD_LIBRARY_PATH, may know.
    let names = ["libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.so"];
    let compiler = names.iter().find_map(|name| Nvrtc::open(Path::new(name)).ok());
    let compiler = compiler.ok_or("no embedded kernels serve it, and libnvrtc is not found")?;
    let compiled = compiler.compile(SOURCE, &target)?;
    let functions = load_image(context, &target, &compiled.image)
        .map_err(|reason| format!("{reason}; the compiler had said: {}", compiled.log))?;
    cache.write(&key, &compiled.image);
    Ok(Loaded { functions, image: format!("{target} compiled at run time") })
}

/// FNV-1a (Fowler, Noll and Vo) of some texts; it tells versions of the kernels apart, no more.
fn fingerprint(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_gets_its_own_cubin_then_an_older_one_then_ptx() {
        let names = |capability| -> Vec<&str> {
            candidates(capability).into_iter().map(|image| image.target).collect()
        };
        if IMAGES.is_empty() {
            return;
        }
        assert_eq!(names((8, 6)), ["sm_86", "sm_80", "compute_75"]);
        assert_eq!(names((8, 9)), ["sm_86", "sm_80", "compute_75"]);
        assert_eq!(names((8, 0)), ["sm_80", "compute_75"], "a cubin does not run on an older minor version");
        assert_eq!(names((7, 5)), ["sm_75", "compute_75"]);
        assert_eq!(names((9, 0)), ["sm_90", "compute_75"]);
        assert_eq!(names((12, 0)), ["compute_75"]);
        assert_eq!(names((7, 0)), Vec::<&str>::new());
    }

    #[test]
    fn fingerprints_tell_texts_and_their_borders_apart() {
        assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["ab", ""]));
        assert_ne!(fingerprint(&["a"]), fingerprint(&["b"]));
    }
}
