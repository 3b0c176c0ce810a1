//! Whole runs on a card: an emulated one, behind a CUDA driver of its own, on machines without a GPU too.
//!
//! The emulated driver does nothing before something waits for it, so a missing wait would show as other bytes.

use std::collections::BTreeMap;
use std::process::Command;

use specmill::ledger::State;
use specmill::stage::Stage;

use crate::embedding::small;
use crate::run_folder::{Outcome, Release, RunFolder, files_below};

/// Targets in many small units: the emulation takes thousands of times longer than a card.
fn release() -> Release {
    Release::simulate(24, 3)
}

/// Units of [`release`].
const UNITS: usize = 8;

/// A command on the emulated card.
fn on_card(mut command: Command, settings: &[(&str, &str)]) -> Outcome {
    command.env("LD_LIBRARY_PATH", specmill_emulation::driver_folder()).env_remove("XDG_CACHE_HOME");
    let output = command.envs(settings.iter().copied()).output().unwrap();
    Outcome {
        code: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn digests_of(run: &RunFolder, outcome: &Outcome) -> BTreeMap<String, String> {
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    run.digests()
}

#[test]
fn a_whole_run_on_a_card_leaves_the_cpu_s_bytes() {
    let release = Release::shared();
    let cpu = small(release.root());
    let expected = digests_of(&cpu, &cpu.call(&["run"]));
    assert!(expected.keys().any(|name| name.starts_with("neighbors/")), "{:?}", expected.keys());

    let mut card = small(release.root());
    // Three lanes, on as many streams.
    card.set("resources.threads", "6");
    // `auto` takes the card, and has nothing to warn of.
    let outcome = on_card(card.command(&["run", "--device", "auto"]), &[]);
    assert_eq!(digests_of(&card, &outcome), expected);
    assert!(!outcome.stderr.contains("computing on the CPU"), "{}", outcome.stderr);
    let record = fs_err::read_to_string(files_below(&card.path().join("runs")).remove(0)).unwrap();
    let says = |what: &str| assert!(record.contains(what), "{what}: {record}");
    says("\"device\": \"cuda:0\"");
    says("emulated card, sm_86");
    says("\"driver\": \"CUDA 12.8\"");
}

#[test]
fn a_card_with_little_memory_gets_smaller_batches_and_leaves_the_same_bytes() {
    let release = Release::simulate(40, 40);
    let cpu = RunFolder::over(release.root());
    let expected = digests_of(&cpu, &cpu.call(&["run"]));
    let card = RunFolder::over(release.root());
    // Room for some targets: each takes 95 kB as read, and several times that with what is made of it.
    let words = ["run", "--device", "cuda:0", "--batch-rows", "40"];
    let outcome = on_card(card.command(&words), &[("EMULATED_CARD_BYTES", "7000000")]);
    assert_eq!(digests_of(&card, &outcome), expected);
    assert!(
        outcome.stderr.contains("the device has no room for 40 rows at a time: now 20"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_kernel_that_is_refused_fails_its_units_with_the_reason_and_ends_with_3() {
    let release = release();
    let card = RunFolder::over(release.root());
    let words = ["run", "--device", "cuda:0"];
    let outcome = on_card(card.command(&words), &[("EMULATED_CARD_REFUSES", "combine_arms_f32")]);
    assert_eq!(outcome.code, 3, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(card.accounts_of(Stage::Extract).len(), UNITS);
    for account in card.accounts_of(Stage::Extract) {
        assert_eq!(account.state, State::Failed);
        let reason = account.reason.unwrap();
        assert!(reason.contains("combine_arms_f32: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"), "{reason}");
    }
}

#[test]
fn a_card_that_dies_fails_the_units_in_hand_leaves_the_others_and_ends_with_4() {
    let release = release();
    let card = RunFolder::over(release.root());
    let words = ["run", "--device", "cuda:0"];
    let outcome = on_card(card.command(&words), &[("EMULATED_CARD_FAILS", "combine_arms_f32")]);
    assert_eq!(outcome.code, 4, "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stderr.contains("help: `specmill doctor` tests the device"), "{}", outcome.stderr);
    let accounts = card.accounts_of(Stage::Extract);
    assert!((1..UNITS).contains(&accounts.len()), "{} of {UNITS} units were begun", accounts.len());
    for account in accounts {
        assert_eq!(account.state, State::Failed);
        let reason = account.reason.unwrap();
        assert!(reason.contains("cuda:0") && reason.contains("CUDA_ERROR_LAUNCH_FAILED"), "{reason}");
    }
    // The same command on a sound card does what is left.
    let outcome = on_card(card.command(&words), &[]);
    let cpu = RunFolder::over(release.root());
    assert_eq!(digests_of(&card, &outcome), digests_of(&cpu, &cpu.call(&["run"])));
}

#[test]
fn a_driver_without_a_card_is_a_reason_and_no_panic() {
    let release = release();
    let run = RunFolder::over(release.root());
    let outcome = on_card(run.command(&["run", "--device", "cuda:0"]), &[("EMULATED_CARDS", "0")]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("CUDA_ERROR_NO_DEVICE"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    let outcome = on_card(run.command(&["run", "--device", "cuda:1"]), &[]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the last card that the driver has is cuda:0"), "{}", outcome.stderr);
}
