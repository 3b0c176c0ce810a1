//! No kernel spills, and none takes more registers than the committed table says.

use std::collections::BTreeMap;

use specmill_kernels::cuda::{REGISTERS, REGISTERS_HEAD, embedded_targets, kernel_names};

use crate::devices::{setting, skipped};

const COMMITTED: &str = include_str!("../../registers.txt");

/// Registers, spilled bytes, stack and shared memory by target and kernel.
fn rows(table: &str) -> BTreeMap<(&str, &str), [u32; 4]> {
    table
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |i: usize| words[i].parse().expect("a number stands here");
            ((words[0], words[1]), [number(2), number(3), number(4), number(5)])
        })
        .collect()
}

#[test]
fn no_kernel_costs_more_than_the_table_says() {
    if REGISTERS.is_empty() {
        let required = setting("SPECMILL_REQUIRE_KERNELS").is_some_and(|value| value == "1");
        assert!(!required, "no kernel was compiled, though there is a compiler");
        skipped("this build has no compiled kernels");
        return;
    }
    let committed = rows(COMMITTED.strip_prefix(REGISTERS_HEAD).expect("the table has its head"));
    let built = rows(REGISTERS);
    let targets: Vec<&str> = embedded_targets().filter(|target| target.starts_with("sm_")).collect();
    assert_eq!(built.len(), targets.len() * kernel_names().count(), "every kernel on every target");
    for (kernel, cost) in &built {
        let allowed = committed.get(kernel).unwrap_or_else(|| panic!("{kernel:?} is not in the table"));
        let within = cost.iter().zip(allowed).all(|(own, allowed)| own <= allowed);
        assert!(within, "{kernel:?}: {cost:?}, in the table {allowed:?}; `make registers` accepts it");
    }
    let gone: Vec<_> = committed.keys().filter(|kernel| !built.contains_key(*kernel)).collect();
    assert!(gone.is_empty(), "{gone:?} are in the table alone: `make registers`");
}

#[test]
fn no_committed_kernel_spills() {
    for (kernel, [_, spilled, _, _]) in
        rows(COMMITTED.strip_prefix(REGISTERS_HEAD).expect("the table has its head"))
    {
        assert_eq!(spilled, 0, "{kernel:?}");
    }
}
