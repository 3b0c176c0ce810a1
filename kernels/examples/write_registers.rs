//! Writes what each kernel costs to the path given: `cargo run -p specmill-kernels --example write_registers -- kernels/registers.txt`.

use std::error::Error;

use specmill_kernels::cuda::{REGISTERS, REGISTERS_HEAD};

#[expect(clippy::disallowed_methods, reason = "fs_err would be this crate's only use of files")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("give the path of the file to write")?;
    if REGISTERS.is_empty() {
        return Err("no kernel was compiled: scripts/setup.sh brings the compiler".into());
    }
    std::fs::write(path, format!("{REGISTERS_HEAD}{REGISTERS}"))?;
    Ok(())
}
