//! Manifests against the schemas of the Kubernetes minors that are supported, by `kubernetes-validate` (PyPI).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::{CATALOG, GPU, LOAD, Rendering, SPECTRA, project, skip};

/// The minors that a cluster may have.
pub(super) const MINORS: [&str; 5] = ["1.30", "1.31", "1.32", "1.33", "1.34"];

/// What `validate.py` says.
#[derive(Deserialize)]
pub(super) struct Verdict {
    /// The documents of every file, as PyYAML reads them.
    documents: BTreeMap<PathBuf, Vec<Value>>,
    pub(super) problems: Vec<String>,
    /// Documents that fulfil a schema, each counted once a minor.
    pub(super) checks: usize,
}

/// Validates files against all minors, strictly; `None`, after saying so, where the tool is not installed.
pub(super) fn validate(files: &[PathBuf]) -> Option<Verdict> {
    let Some(python) = python() else {
        skip(
            "kubernetes-validate is not installed: `make test` does it, else set SPECMILL_KUBERNETES_VALIDATE",
        );
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/job/validate.py");
    let output = Command::new(python).arg(script).arg(MINORS.join(",")).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A Python that has kubernetes-validate: the environment's, or what the setup script left in the project.
#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment alone")]
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("SPECMILL_KUBERNETES_VALIDATE").filter(|path| !path.is_empty());
    let brought = project().join(".cache/kubernetes/bin/python");
    named.map(PathBuf::from).or_else(|| brought.exists().then_some(brought))
}

/// The manifests of a folder.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let paths = crate::run_folder::files_below(folder);
    let is_manifest = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    // That kind is kustomize's, and no cluster's.
    paths.into_iter().filter(is_manifest).filter(|path| !path.ends_with("kustomization.yaml")).collect()
}

#[test]
fn everything_in_jobs_is_what_every_minor_takes() {
    let mut files = manifests(&project().join("jobs/rendered"));
    files.extend(manifests(&project().join("jobs/cluster")));
    assert!(files.len() >= 15, "{files:?}");
    let Some(verdict) = validate(&files) else { return };
    assert_eq!(verdict.problems, Vec::<String>::new());
    let documents: usize = verdict.documents.values().map(Vec::len).sum();
    assert!(documents > files.len(), "some hold several");
    assert_eq!(verdict.checks, documents * MINORS.len());
}

#[test]
fn whatever_a_run_file_asks_for_every_minor_takes_it() {
    let table = CATALOG.split_once('\n').unwrap().1;
    let texts = [
        format!("{GPU}{LOAD}{SPECTRA}{table}"),
        format!("job.shards = 1\njob.queue = \"research\"\njob.metrics.port = 0\n{SPECTRA}"),
        format!("job.metrics.pushgateway = \"http://192.0.2.7:9091\"\n{CATALOG}"),
    ];
    let renderings = texts.map(|text| Rendering::of(&text));
    let files: Vec<PathBuf> = renderings.iter().flat_map(|rendering| manifests(&rendering.path())).collect();
    let Some(verdict) = validate(&files) else { return };
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert_eq!(verdict.checks, files.len() * MINORS.len());
}

#[test]
fn another_reader_of_yaml_reads_the_same() {
    // What YAML 1.1 takes for a number, a truth value or a time of day must stay text.
    let names = "job.name = \"0x1f\"\njob.queue = \"1e3\"\njob.namespace = \"no\"\n";
    let text = format!("# yes: no\n#on\n{names}{LOAD}{SPECTRA}");
    let rendering = Rendering::of(&text);
    let files = manifests(&rendering.path());
    let Some(verdict) = validate(&files) else { return };
    for file in files {
        let ours: Value = serde_saphyr::from_str(&fs_err::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(verdict.documents[&file], std::slice::from_ref(&ours), "{}", file.display());
        assert_eq!(ours["metadata"]["namespace"], "no");
    }
}

#[test]
fn a_misspelt_field_and_a_value_of_the_wrong_kind_are_refused() {
    let folder = TempDir::new().unwrap();
    let sound = fs_err::read_to_string(project().join("jobs/rendered/30-extract.yaml")).unwrap();
    for (name, right, wrong) in [
        ("field", "  parallelism:", "  parallelsim:"),
        ("kind", "value: \"110\"", "value: 110"),
        ("minor", "apiVersion: batch/v1", "apiVersion: batch/v9"),
    ] {
        assert_eq!(sound.matches(right).count(), 1, "{right}");
        let file = folder.path().join(format!("{name}.yaml"));
        fs_err::write(&file, sound.replace(right, wrong)).unwrap();
        let Some(verdict) = validate(&[file]) else { return };
        assert_eq!(verdict.problems.len(), MINORS.len(), "{name}: {:?}", verdict.problems);
        assert_eq!(verdict.checks, 0, "{name}");
    }
}
