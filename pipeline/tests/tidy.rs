//! Rules of the source tree that no compiler checks.

use std::path::{Path, PathBuf};

use specmill::stage::Stage;

use crate::run_folder::files_below;

/// The project's folder.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the project").to_owned()
}

/// A source file, its path relative to the project.
struct Source {
    path: String,
    text: String,
}

/// Rust files below a folder of the project.
fn sources(folder: &str) -> Vec<Source> {
    let project = project();
    let found: Vec<Source> = files_below(&project.join(folder))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source {
            path: path.strip_prefix(&project).unwrap().to_str().unwrap().to_owned(),
            text: fs_err::read_to_string(path).unwrap(),
        })
        .collect();
    assert!(!found.is_empty(), "{folder} holds no Rust files");
    found
}

impl Source {
    /// Lines before the unit tests, comments removed, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .enumerate()
            .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
    }

    /// Places in the code where one of `words` stands as a whole path or name.
    fn mentions(&self, words: &[&str]) -> Vec<String> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let mentions = |line: &str, word: &str| {
            line.match_indices(word).any(|(at, _)| {
                !line[..at].ends_with(is_name) && !line[at + word.len()..].starts_with(is_name)
            })
        };
        self.code()
            .filter(|(_, line)| words.iter().any(|word| mentions(line, word)))
            .map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim()))
            .collect()
    }
}

fn mentions(folder: &str, words: &[&str]) -> Vec<String> {
    sources(folder).iter().flat_map(|source| source.mentions(words)).collect()
}

#[test]
fn only_the_fits_module_knows_cfitsio() {
    let words = ["fitsio", "fitsio_sys"];
    let elsewhere: Vec<String> = ["kernels", "schemas", "pipeline", "benches", "data-samples/generator"]
        .iter()
        .flat_map(|folder| mentions(folder, &words))
        // This file says its name, as the rule must.
        .filter(|place| {
            !place.starts_with("pipeline/src/fits/") && !place.starts_with("pipeline/tests/tidy.rs")
        })
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
    assert!(!mentions("pipeline/src/fits", &words).is_empty());
}

#[test]
fn only_the_postgres_sink_speaks_sql() {
    let words = ["tokio_postgres", "tokio_postgres_rustls", "rustls", "SELECT", "INSERT", "DELETE"];
    let elsewhere: Vec<String> = mentions("pipeline/src", &words)
        .into_iter()
        .filter(|place| !place.starts_with("pipeline/src/sink/postgres/"))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
    assert!(!mentions("pipeline/src/sink/postgres", &words).is_empty());
}

#[test]
fn kernels_know_no_files_tables_configuration_or_log() {
    let words =
        ["arrow", "parquet", "fitsio", "fs", "fs_err", "tracing", "serde", "toml", "env", "specmill_schemas"];
    assert_eq!(made_here("kernels/src", &words), Vec::<String>::new());
    let manifest = fs_err::read_to_string(project().join("kernels/Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let dependencies: Vec<&str> =
        manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    for name in dependencies {
        let unwelcome = ["arrow", "parquet", "fitsio", "fs-err", "tracing", "serde", "toml", "specmill"];
        assert!(!unwelcome.iter().any(|word| name.starts_with(word)), "kernels depends on {name}");
    }
}

#[test]
fn schemas_and_kernels_do_no_input_or_output() {
    let words = ["fs", "fs_err", "File", "io", "net", "env", "process", "println", "eprintln"];
    for folder in ["kernels/src", "schemas/src"] {
        assert_eq!(made_here(folder, &words), Vec::<String>::new());
    }
}

/// Mentions, but for what the build script made and the compiler includes.
fn made_here(folder: &str, words: &[&str]) -> Vec<String> {
    mentions(folder, words).into_iter().filter(|place| !place.contains("env!(\"OUT_DIR\")")).collect()
}

#[test]
fn the_device_is_matched_once_and_in_run() {
    // An arm of a match, or any other pattern or use of a variant outside the crate that opens devices.
    let places: Vec<String> = mentions("pipeline/src", &["Opened::Cpu", "Opened::Cuda", "Opened::*"])
        .into_iter()
        .filter(|place| !place.contains(" use "))
        .collect();
    assert!(places.iter().all(|place| place.starts_with("pipeline/src/run.rs:")), "{places:?}");
    let cpu: Vec<&String> = places.iter().filter(|place| place.contains("Opened::Cpu")).collect();
    assert_eq!(cpu.len(), 1, "{places:?}");
    assert!(cpu[0].contains("=>"), "{cpu:?}");
    let imports = mentions("pipeline/src", &["Opened"]);
    assert!(imports.iter().all(|place| place.starts_with("pipeline/src/run.rs:")), "{imports:?}");
}

#[test]
fn only_config_reads_the_environment() {
    // `env!` and `option_env!` are read when the program is built.
    let reads = ["env::var", "env::var_os", "env::vars", "env::vars_os", "env::args"];
    let places: Vec<String> = ["kernels/src", "schemas/src", "pipeline/src", "data-samples/generator/src"]
        .iter()
        .flat_map(|folder| mentions(folder, &reads))
        .filter(|place| !place.starts_with("pipeline/src/config/environment.rs:"))
        .collect();
    assert_eq!(places, Vec::<String>::new());
    assert_eq!(mentions("pipeline/src", &reads).len(), 1);
}

#[test]
fn the_commit_is_asked_for_in_one_place() {
    let places = mentions("pipeline/src", &["SPECMILL_GIT_HASH"]);
    assert!(
        places.len() == 1 && places.iter().all(|place| place.starts_with("pipeline/src/record.rs:")),
        "{places:?}"
    );
}

#[test]
fn every_operation_has_its_contract_and_its_twins() {
    let folder = project().join("kernels/src/ops");
    let mut operations = 0;
    for entry in fs_err::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let kernel = format!("{}.cu", path.file_name().unwrap().to_str().unwrap());
            for file in ["mod.rs", "cpu.rs", "cuda.rs", &kernel] {
                assert!(path.join(file).is_file(), "{} has no {file}", path.display());
            }
            operations += 1;
        }
    }
    assert!(operations >= 10, "{operations} operations");
}

#[test]
fn every_kernel_says_what_it_is_in_the_same_order() {
    const HEADINGS: [&str; 9] =
        ["What", "In", "Out", "Launch", "Limits", "Deterministic because", "Bound by", "Twin", "Source"];
    const LINES: usize = 250;
    for path in files_below(&project().join("kernels/src")) {
        if path.extension().is_none_or(|extension| extension != "cu") {
            continue;
        }
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.lines().count() <= LINES, "{}", path.display());
        let head: String = text.lines().take_while(|line| line.starts_with("//")).collect();
        let mut rest = head.as_str();
        for heading in HEADINGS {
            let found = rest.split_once(&format!(" {heading}: "));
            rest = found.unwrap_or_else(|| panic!("{}: no `{heading}: ` in its place", path.display())).1;
        }
    }
}

#[test]
fn every_operation_is_in_the_self_test() {
    // What moves memory, and what tells of it, is used by every other one.
    const DEVICE: [&str; 7] = ["info", "memory", "upload", "download", "fetch", "in_pieces", "synchronize"];
    let text = fs_err::read_to_string(project().join("kernels/src/backend.rs")).unwrap();
    let methods = text.lines().filter_map(|line| line.strip_prefix("    fn ")?.split(['(', '<']).next());
    let operations: Vec<&str> = methods.filter(|name| !DEVICE.contains(name)).collect();
    assert!(operations.len() >= 10, "{operations:?}");
    let cpu = specmill_kernels::Cpu::new(1).unwrap();
    let tested: Vec<&str> =
        specmill_kernels::self_test(&cpu).into_iter().map(|test| test.operation).collect();
    assert_eq!(tested, operations);
}

#[test]
fn files_stay_readable_in_one_sitting() {
    const LINES: usize = 600;
    let long: Vec<String> =
        ["kernels/src", "schemas/src", "pipeline/src", "benches", "data-samples/generator/src"]
            .iter()
            .flat_map(|folder| sources(folder))
            .map(|source| (source.code().count(), source.path))
            .filter(|(lines, _)| *lines > LINES)
            .map(|(lines, path)| format!("{path}: {lines} lines"))
            .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn the_data_dictionary_is_fresh() {
    let text = fs_err::read_to_string(project().join("docs/data-dictionary.md")).unwrap_or_default();
    assert!(
        text == specmill_schemas::data_dictionary(),
        "docs/data-dictionary.md is stale: run `make dictionary`"
    );
}

#[test]
fn the_readme_lists_the_stages_by_their_words() {
    let Ok(readme) = fs_err::read_to_string(project().join("README.md")) else { return };
    let rows = readme.lines().skip_while(|line| !line.starts_with("| stage")).skip(2);
    let words: Vec<&str> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').nth(1).unwrap_or_default().trim().trim_matches('`'))
        .collect();
    assert_eq!(words, Stage::ALL.map(Stage::name), "the table that begins with `| stage`");
}

#[test]
fn missing_is_never_a_number() {
    // Put together here so that this file does not hold it.
    let flag = format!("-{}", 9999);
    for folder in ["kernels", "schemas", "pipeline", "benches", "data-samples/generator", "jobs"] {
        for path in files_below(&project().join(folder)) {
            let is_text = path
                .extension()
                .is_some_and(|extension| ["rs", "toml", "cu"].iter().any(|e| extension == *e));
            if is_text {
                let text = fs_err::read_to_string(&path).unwrap();
                assert!(!text.contains(&flag), "{} holds {flag}", path.display());
            }
        }
    }
}
