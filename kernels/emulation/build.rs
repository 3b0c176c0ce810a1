//! Compiles the kernels' text as C++ into two shared libraries: a plain one, and one that checks every access.

#![expect(clippy::disallowed_methods, reason = "the environment is how cargo speaks to a build script")]

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

#[path = "../src/constants.rs"]
mod constants;
#[path = "../build/source.rs"]
mod source;

type Failure = Box<dyn std::error::Error>;

/// What nvcc's flags mean to a C++ compiler: IEEE operations, none of them contracted.
const FLAGS: [&str; 8] = [
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-g1",
    "-ffp-contract=off",
    "-fno-fast-math",
    "-Wall",
    "-Wno-unknown-pragmas",
];

fn main() -> Result<(), Failure> {
    let home = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for input in ["../src/constants.rs", "../src/cuda", "../src/ops", "../build", "src", "build.rs"] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rerun-if-env-changed=CXX");
    let kernels = source::flatten(&home.join("../src"), &constants::defines())?;
    let table: String = source::entries(&kernels)
        .iter()
        .map(|(operation, name)| format!("EMULATED({operation}, {name})\n"))
        .collect();
    let text = format!(
        "#include \"emulation.h\"\n{kernels}\n#line 1 \"table\"\nEMULATED_TABLE_BEGIN\n{table}EMULATED_TABLE_END\n"
    );
    let unit = out.join("kernels.cpp");
    fs::write(&unit, text)?;
    compile(&home, &unit, &out.join("libplain.so"), &["-O2"])?;
    let checks =
        ["-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=undefined"];
    compile(&home, &unit, &out.join("libchecked.so"), &checks)?;
    // In a folder of its own: who puts it into LD_LIBRARY_PATH finds a driver, its compiler and its management there and nothing else.
    let driver = out.join("driver");
    fs::create_dir_all(&driver)?;
    let beside = format!("-L{}", out.display());
    let link = ["-O2", &beside, "-l:libplain.so", "-Wl,-rpath,$ORIGIN/.."];
    compile(&home, &home.join("src/driver.cpp"), &driver.join("libcuda.so.1"), &link)?;
    compile(&home, &home.join("src/compiler.cpp"), &driver.join("libnvrtc.so.12"), &["-O2"])?;
    compile(&home, &home.join("src/management.cpp"), &driver.join("libnvidia-ml.so.1"), &["-O2"])?;
    Ok(())
}

fn compile(home: &Path, unit: &Path, library: &Path, flags: &[&str]) -> Result<(), Failure> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    let mut command = Command::new(&compiler);
    command.args(FLAGS);
    // The library runs where it is built; without the instruction each fma is a function call.
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("fma") {
        command.args(["-mavx2", "-mfma"]);
    }
    // Libraries are named after the unit that needs them.
    let (libraries, flags): (Vec<&str>, Vec<&str>) = flags.iter().partition(|flag| flag.starts_with("-l"));
    command.args(flags).arg("-I").arg(home.join("src")).arg(unit).args(libraries).arg("-o").arg(library);
    let output = command.output().map_err(|error| format!("cannot run {compiler}: {error}; install g++"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    for warning in String::from_utf8_lossy(&output.stderr).lines() {
        println!("cargo:warning={warning}");
    }
    Ok(())
}
