//! `specmill doctor` from outside.

use std::process::Command;

use specmill_kernels::cuda::{Driver, NoCache, embedded_targets};
use tempfile::TempDir;

use crate::database::{TestDatabase, bare_command, finish};
use crate::run_folder::{Outcome, files_below};

const SECTIONS: [&str; 6] = ["program", "device", "self-test", "host", "files", "database"];
/// Stands where no output may show it.
const MARKED: &str = "s3cr3t-mark";

/// `specmill doctor <words>` without a run file, in an empty folder that must stay empty.
fn doctor(words: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let folder = TempDir::new().unwrap();
    // For its environment, without any word of a database.
    let bare = bare_command(TempDir::new().unwrap().path(), &["doctor"]);
    let mut command = Command::new(bare.get_program());
    for (name, value) in bare.get_envs() {
        assert!(value.is_none(), "{name:?} is only taken away");
        command.env_remove(name);
    }
    let outcome =
        finish(command.arg("doctor").args(words).envs(variables.iter().copied()).current_dir(folder.path()));
    assert!(files_below(folder.path()).is_empty());
    outcome
}

/// What a section says under a label.
fn said<'a>(outcome: &'a Outcome, section: &str, label: &str) -> &'a str {
    let lines = outcome.stdout.lines().skip_while(|line| *line != section).skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .find_map(|line| line.trim_start().strip_prefix(label))
        .unwrap_or_else(|| panic!("no {label} in {section}:\n{}", outcome.stdout))
        .trim_start()
}

fn assert_whole(outcome: &Outcome) {
    let titles: Vec<&str> = outcome.stdout.lines().filter(|line| !line.starts_with("  ")).collect();
    assert_eq!(titles, SECTIONS, "{}", outcome.stdout);
}

#[test]
fn it_says_what_the_machine_is_fit_for_without_a_run_file() {
    let outcome = doctor(&["--device", "cpu"], &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "");
    assert_whole(&outcome);
    let said = |section, label| said(&outcome, section, label);
    assert!(said("program", "version").starts_with(env!("CARGO_PKG_VERSION")));
    let targets: Vec<&str> = embedded_targets().collect();
    let kernels = if targets.is_empty() { "scripts/setup.sh" } else { &targets.join(", ") };
    assert!(said("program", "kernels").contains(kernels), "{}", outcome.stdout);
    assert_eq!(said("device", "asked for"), "cpu");
    assert!(said("device", "computes").starts_with("cpu: "));
    assert!(!outcome.stdout.contains("fallback"), "{}", outcome.stdout);
    let (passed, of) = said("self-test", "operations").split_once(" of ").unwrap();
    assert_eq!(of.split_once(' '), Some((passed, "agree with the CPU to the bit")));
    assert!(said("host", "processor").contains("portable"));
    assert!(said("host", "memory").ends_with(" available"));
    assert!(said("files", "cfitsio").parse::<f32>().unwrap() > 3.0);
    assert_eq!(said("files", "folder"), ". can be written");
    assert!(said("files", "disk").ends_with(" GiB free"));
    assert!(said("database", "reached").starts_with("no database: "), "{}", outcome.stdout);
    // All text begins in one column.
    let lines = || outcome.stdout.lines().filter(|line| line.starts_with("  "));
    let column = lines().next().unwrap().find(env!("CARGO_PKG_VERSION")).unwrap();
    assert!(lines().all(|line| line[..column].ends_with("  ") && !line[column..].starts_with(' ')));
}

#[test]
fn a_device_that_cannot_be_had_is_said_among_the_rest_and_ends_with_four() {
    // No machine has this many.
    let outcome = doctor(&["--device", "cuda:4000"], &[]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert_whole(&outcome);
    assert_eq!(said(&outcome, "device", "asked for"), "cuda:4000");
    assert!(said(&outcome, "device", "computes").starts_with("nothing: device `cuda:4000` is unavailable: "));
    assert!(said(&outcome, "self-test", "operations").starts_with("not tested"));
    let help: Vec<&str> = outcome.stderr.lines().filter(|line| line.starts_with("help: ")).collect();
    assert!(help.len() == 1 && help[0].contains("--device cpu"), "{}", outcome.stderr);
}

#[test]
fn it_finds_the_card_or_says_why_there_is_none() {
    let outcome = doctor(&[], &[]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(said(&outcome, "device", "asked for"), "auto");
    let computes = said(&outcome, "device", "computes");
    match Driver::open(0, 1, &NoCache) {
        Ok(_) => {
            assert!(computes.starts_with("cuda:0: "), "{}", outcome.stdout);
            assert!(said(&outcome, "device", "driver").starts_with("serves CUDA "));
            assert!(said(&outcome, "device", "kernels").contains("sm_"));
            assert!(said(&outcome, "device", "memory").ends_with(" free"));
            assert_eq!(doctor(&["--device", "cuda:0"], &[]).code, 0);
        }
        Err(error) => {
            assert!(computes.starts_with("cpu: "), "{}", outcome.stdout);
            let fallback = said(&outcome, "device", "fallback");
            assert_eq!(fallback, format!("on the CPU because {error}"));
            assert_eq!(doctor(&["--device", "cuda:0"], &[]).code, 4);
        }
    }
}

/// `specmill doctor <words>` with a driver whose card is an emulation.
fn with_emulated_card(words: &[&str], card: &[(&str, &str)]) -> Outcome {
    let driver = specmill_emulation::driver_folder().to_str().unwrap();
    doctor(words, &[&[("LD_LIBRARY_PATH", driver)], card].concat())
}

#[test]
fn an_emulated_card_is_described_and_passes() {
    let outcome = with_emulated_card(&["--device", "cuda:0"], &[("EMULATED_CARD_SM", "86")]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_whole(&outcome);
    let said = |label| said(&outcome, "device", label);
    assert!(said("computes").starts_with("cuda:0: ") && said("computes").ends_with("sm_86"));
    assert!(said("driver").starts_with("serves CUDA 1"));
    assert!(said("memory").ends_with(" of 1.0 GiB free"), "{}", outcome.stdout);
    if embedded_targets().next().is_some() {
        assert_eq!(said("kernels"), "embedded sm_86");
    }
}

#[test]
fn a_card_that_no_image_serves_gets_kernels_compiled_once_and_kept() {
    let cache = tempfile::tempdir().unwrap();
    // Older than every image.
    let card = [("EMULATED_CARD_SM", "70"), ("XDG_CACHE_HOME", cache.path().to_str().unwrap())];
    for kernels in ["sm_70 compiled at run time", "sm_70 compiled by an earlier run"] {
        let outcome = with_emulated_card(&["--device", "cuda:0"], &card);
        assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(said(&outcome, "device", "kernels"), kernels);
    }
}

#[test]
fn a_card_that_fails_the_self_test_ends_with_one_and_says_where() {
    let outcome = with_emulated_card(&[], &[("EMULATED_CARD_FAILS", "combine_arms_f32")]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert_whole(&outcome);
    let reason = said(&outcome, "self-test", "combine_arms ");
    assert!(reason.starts_with("FAILED: device `cuda:0` failed in "), "{reason}");
    assert!(outcome.stderr.contains("fail the self-test on device `cuda:0`"), "{}", outcome.stderr);
    let help: Vec<&str> = outcome.stderr.lines().filter(|line| line.starts_with("help: ")).collect();
    assert_eq!(help.len(), 1, "{}", outcome.stderr);
}

#[test]
fn a_driver_without_a_card_is_told_from_no_driver() {
    let outcome = with_emulated_card(&[], &[("EMULATED_CARDS", "0")]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(said(&outcome, "device", "computes").starts_with("cpu: "));
    let fallback = said(&outcome, "device", "fallback");
    assert!(
        fallback.contains("`cuda:0` is unavailable") && !fallback.contains("no NVIDIA driver"),
        "{fallback}"
    );
    assert_eq!(with_emulated_card(&["--device", "cuda:0"], &[("EMULATED_CARDS", "0")]).code, 4);
    assert_eq!(with_emulated_card(&["--device", "cuda:1"], &[]).code, 4);
}

#[test]
fn a_run_file_names_device_folder_and_threads_and_nothing_is_made() {
    let folder = TempDir::new().unwrap();
    let run_file = folder.path().join("run.toml");
    let run_folder = folder.path().join("results/run");
    let text = format!(
        "input.root = \"/nowhere\"\noutput.folder = {run_folder:?}\nresources.device = \"cpu\"\nresources.threads = 3\n"
    );
    fs_err::write(&run_file, text).unwrap();
    let outcome = doctor(&[run_file.to_str().unwrap()], &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(said(&outcome, "device", "asked for"), "cpu");
    assert_eq!(said(&outcome, "device", "threads"), "3 of the host");
    let expected = format!("{} is not there yet and can be made", run_folder.display());
    assert_eq!(said(&outcome, "files", "folder"), expected);
    assert!(said(&outcome, "database", "reached").contains(run_folder.to_str().unwrap()));
    assert_eq!(files_below(folder.path()), std::slice::from_ref(&run_file));
    // The command line goes over it.
    let outcome = doctor(&[run_file.to_str().unwrap(), "--device", "cuda:4000"], &[]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
}

#[test]
fn arguments_that_make_no_sense_end_with_two() {
    let folder = TempDir::new().unwrap();
    let run_file = folder.path().join("run.toml");
    fs_err::write(&run_file, "resources.devise = \"cpu\"\n").unwrap();
    for (words, complaint) in [
        (["--device", "gpu"], "--device: `gpu` is not a device"),
        ([run_file.to_str().unwrap(), "--device=cpu"], "resources.device"),
    ] {
        let outcome = doctor(&words, &[]);
        assert_eq!(outcome.code, 2, "{words:?}");
        assert!(
            outcome.stderr.contains(complaint) && outcome.stderr.contains("help: "),
            "{}",
            outcome.stderr
        );
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn help_has_examples_and_says_how_it_ends() {
    let outcome = doctor(&["--help"], &[]);
    assert_eq!(outcome.code, 0);
    assert!(outcome.stdout.contains("EXAMPLES:\n  specmill doctor\n"), "{}", outcome.stdout);
    for code in ["with 0", "with 1", "with 4"] {
        assert!(outcome.stdout.contains(code), "{}", outcome.stdout);
    }
}

#[test]
fn an_unreachable_database_is_a_line_and_its_password_is_in_none() {
    // Nothing listens on port 1.
    let url = format!("postgres://me:{MARKED}@127.0.0.1:1/desi");
    let unparsable = format!("postgres://me:{MARKED}");
    for (url, complaint) in
        [(&url, "cannot reach database desi at 127.0.0.1:1 as me: "), (&unparsable, "DATABASE_URL is not")]
    {
        let variables = [("DATABASE_URL", url.as_str()), ("PGPASSWORD", MARKED), ("RUST_LOG", "trace")];
        let outcome = doctor(&["--device", "cpu"], &variables);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_whole(&outcome);
        assert!(said(&outcome, "database", "reached").starts_with(complaint), "{}", outcome.stdout);
        assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains(MARKED));
    }
}

#[test]
fn a_database_is_described_whether_it_is_fit_for_use_or_not() {
    let Some(fit) = TestDatabase::migrated() else { return };
    let outcome = doctor(&["--device", "cpu"], &[("DATABASE_URL", &fit.url())]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let address = said(&outcome, "database", "address");
    assert!(address.contains(&fit.name) && address.ends_with(", as DATABASE_URL says"), "{address}");
    assert_eq!(said(&outcome, "database", "reached"), "yes");
    assert!(said(&outcome, "database", "server").starts_with("PostgreSQL 1"));
    assert!(said(&outcome, "database", "pgvector").starts_with("0."));
    let schema = said(&outcome, "database", "schema").strip_prefix("migration ").unwrap();
    let (found, known) = schema.split_once(" of ").unwrap();
    assert_eq!(found, known);
    assert_eq!(said(&outcome, "database", "fit for use"), "yes");

    let empty = TestDatabase::empty().unwrap();
    let outcome = doctor(&["--device", "cpu"], &[("DATABASE_URL", &empty.url())]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(said(&outcome, "database", "reached"), "yes");
    assert_eq!(said(&outcome, "database", "pgvector"), "not in this database");
    assert_eq!(said(&outcome, "database", "schema"), "no migration yet");
    assert!(said(&outcome, "database", "fit for use").contains("db migrate"), "{}", outcome.stdout);
}
