//! What every property is run on.

use std::sync::OnceLock;

use specmill_emulation::{Build, Emulated, Turns};
use specmill_kernels::cuda::{Cuda, Driver, NoCache};
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
    let build = match setting("SPECMILL_EMULATION").as_deref() {
        Some("checked") => Build::Checked,
        Some("plain") | None => Build::Plain,
        Some(other) => panic!("SPECMILL_EMULATION is {other}: use plain or checked"),
    };
    Some(Cuda::new(Emulated::open(build, turns).expect("the build script made the library")))
}

/// The first card, or `None` with the reason; with `SPECMILL_REQUIRE_CUDA=1` there has to be one.
pub(crate) fn cuda() -> Option<&'static Cuda<Driver>> {
    static CARD: OnceLock<Result<Cuda<Driver>, String>> = OnceLock::new();
    let card =
        CARD.get_or_init(|| Driver::open(0, 1, &NoCache).map(Cuda::new).map_err(|error| error.to_string()));
    match card {
        Ok(card) => Some(card),
        Err(reason) if setting("SPECMILL_REQUIRE_CUDA").is_some_and(|value| value == "1") => {
            panic!("{reason}")
        }
        Err(reason) => {
            skipped(reason);
            None
        }
    }
}

/// Says why a test that passes has tested nothing.
#[expect(clippy::print_stdout, reason = "a test's output is where its reader looks")]
pub(crate) fn skipped(reason: &str) {
    println!("SKIPPED: {reason}");
}

#[expect(clippy::disallowed_methods, reason = "the tests' own switches")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
