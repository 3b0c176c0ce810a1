//! What `kubectl kustomize` makes of the committed manifests, for Argo CD.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::schema::{MINORS, validate};
use super::{files_of, project};

/// Kustomize of older ones reads other patches.
const OLDEST_MINOR: u32 = 30;

/// The objects of a folder, and their text; `None`, after saying so, where there is no kubectl for it.
fn kustomize(folder: &Path) -> Option<(Vec<Value>, String)> {
    match minor_of_kubectl() {
        Some(minor) if minor >= OLDEST_MINOR => {}
        found => {
            // Unlike the schemas it cannot be brought along.
            skip_kubectl(&format!("kubectl 1.{OLDEST_MINOR} or newer is needed, found {found:?}"));
            return None;
        }
    }
    let output = Command::new("kubectl").arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let objects = text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    Some((objects, text))
}

fn minor_of_kubectl() -> Option<u32> {
    let output = Command::new("kubectl").args(["version", "--client", "--output", "json"]).output().ok()?;
    let version: Value = serde_json::from_slice(&output.stdout).ok()?;
    let version = version["clientVersion"]["gitVersion"].as_str()?.strip_prefix("v1.")?.to_owned();
    version.split('.').next()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
fn skip_kubectl(reason: &str) {
    println!("SKIPPED: {reason}");
}

fn name(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

#[test]
fn the_rendered_example_is_the_same_objects_through_kustomize() {
    let folder = project().join("jobs/rendered");
    let Some((objects, _)) = kustomize(&folder) else { return };
    let mut committed: Vec<Value> = files_of(&folder)
        .into_iter()
        .filter(|(name, _)| name != "kustomization.yaml")
        .map(|(_, text)| serde_saphyr::from_str(&text).unwrap())
        .collect();
    let mut found = objects;
    found.sort_by_key(name);
    committed.sort_by_key(name);
    assert_eq!(found, committed);
}

#[test]
fn the_overlay_makes_jobs_hooks_of_a_sync_and_says_the_registry() {
    let Some((objects, text)) = kustomize(&project().join("jobs/overlays/argocd")) else { return };
    let committed = files_of(&project().join("jobs/rendered")).len() - 1;
    assert_eq!(objects.len(), committed);
    let mut waves = BTreeSet::new();
    for object in &objects {
        let annotations = &object["metadata"]["annotations"];
        let hook = annotations["argocd.argoproj.io/hook"].as_str();
        let policy = annotations["argocd.argoproj.io/hook-delete-policy"].as_str();
        if object["kind"] == "Job" {
            assert_eq!((hook, policy), (Some("Sync"), Some("BeforeHookCreation")), "{}", name(object));
            let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
            assert!(image.starts_with("registry.example.org/specmill:"), "{image}");
            assert!(
                waves.insert(annotations["argocd.argoproj.io/sync-wave"].as_str().unwrap()),
                "{}",
                name(object)
            );
        } else {
            assert_eq!((hook, policy), (None, None), "{}", name(object));
        }
        assert_eq!(object["metadata"]["namespace"], "specmill", "{}", name(object));
    }
    assert_eq!(waves.len(), 9);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("overlay.yaml");
    fs_err::write(&file, text).unwrap();
    let Some(verdict) = validate(&[file]) else { return };
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert_eq!(verdict.checks, objects.len() * MINORS.len());
}
