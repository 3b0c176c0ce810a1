//! The self-test that `specmill doctor` runs.

use specmill_kernels::{Backend, Cpu, Simd, self_test};

/// What failed, a line per operation.
fn failures<B: Backend>(dev: &B) -> Vec<String> {
    let tests = self_test(dev);
    assert!(!tests.is_empty());
    tests
        .into_iter()
        .filter_map(|test| Some(format!("{}: {}", test.operation, test.outcome.err()?)))
        .collect()
}

pub(crate) fn every_operation_passes<B: Backend>(dev: &B) {
    let failures = failures(dev);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_instruction_set_passes() {
    for simd in Simd::available() {
        for threads in [1, 3] {
            let cpu = Cpu::with_simd(threads, simd).expect("threads start");
            assert_eq!(failures(&cpu), Vec::<String>::new(), "{simd}");
        }
    }
}
