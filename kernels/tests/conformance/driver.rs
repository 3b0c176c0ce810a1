//! The card's own code (streams, copies, memory, launches) on a driver whose card is the emulation.

use std::process::Command;

/// Every property of `cuda::`, in a process that finds the emulated driver. It does nothing before something waits
/// for it: a missing wait reads old memory.
#[test]
fn every_property_holds_behind_an_emulated_driver() {
    let this = std::env::current_exe().expect("a test knows its own file");
    let output = Command::new(this)
        .args(["cuda::", "--test-threads", "2"])
        .env("LD_LIBRARY_PATH", specmill_emulation::driver_folder())
        .env("SPECMILL_REQUIRE_CUDA", "1")
        .output()
        .expect("a test can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text.rsplit("test result: ok. ").next().and_then(|rest| rest.split(' ').next());
    let passed: usize = passed.and_then(|count| count.parse().ok()).expect("the result is counted");
    assert!(passed > 100, "{passed} properties of cuda::");
}
