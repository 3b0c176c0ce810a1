//! What objects of a run are called, and the labels they are found by.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::config::RunFile;
use crate::digest::sha256_hex;
use crate::error::Result;
use crate::plan::setting;

/// Label of every object: the program.
const PROGRAM: &str = "app.kubernetes.io/name";
/// Label of every object: the run. Helm gives it to its objects, too, and Argo CD overwrites it: nothing is found by it.
const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label of every object: the run, and what its objects are found by.
const PART_OF: &str = "app.kubernetes.io/part-of";
/// Label of Jobs and pods: the step.
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";
/// Label of every object: who made it.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Argo CD applies waves one after the other, and waits for each.
const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";

/// Hexadecimal digits of a content's digest in a name.
const DIGEST_DIGITS: usize = 8;
/// Characters of a run's name, at most: a pod's host name is a DNS label of 63. `<name>-catalog-keys-<digest>-<five of
/// the cluster's>` is the longest; a shard's, `<name>-extract-<digest>-<shard>`, is shorter.
pub(super) const MOST_CHARACTERS: usize = 63 - "-catalog-keys-".len() - DIGEST_DIGITS - "-xxxxx".len();

/// What the objects of one run are called.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// The run's name: `[job] name`, else the run file's stem.
    pub(crate) run: String,
    /// The namespace.
    pub(crate) namespace: String,
}

impl Names {
    /// The names of a run.
    ///
    /// # Errors
    /// Where they are none that Kubernetes takes.
    pub(crate) fn of(run_file: &RunFile, path: &Path) -> Result<Self> {
        let job = &run_file.job;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let run = if job.name.is_empty() { stem } else { job.name.clone() };
        if !is_dns_label(&run) || run.len() > MOST_CHARACTERS {
            let whence = if job.name.is_empty() { ", the run file's name," } else { "" };
            return Err(setting(
                "job.name",
                format!(
                    "`{run}`{whence} cannot name Jobs: give one of 1 to {MOST_CHARACTERS} lower-case letters, digits \
                     and hyphens, as iron-dark"
                ),
            ));
        }
        if !is_dns_label(&job.namespace) {
            return Err(setting("job.namespace", format!("`{}` cannot be a namespace", job.namespace)));
        }
        Ok(Self { run, namespace: job.namespace.clone() })
    }

    /// Name, namespace and labels of an object that is applied in a wave.
    pub(super) fn metadata(&self, name: String, wave: u8) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            annotations: Some(BTreeMap::from([(SYNC_WAVE.to_owned(), wave.to_string())])),
            ..ObjectMeta::default()
        }
    }

    /// Labels of every object.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let instance = [(INSTANCE.to_owned(), self.run.clone())];
        self.run_labels().into_iter().chain(instance).collect()
    }

    /// Labels of a step's Job and pods.
    pub(super) fn step_labels(&self, step: &str) -> BTreeMap<String, String> {
        let component = [(COMPONENT.to_owned(), step.to_owned())];
        self.labels().into_iter().chain(component).collect()
    }

    /// The pods of the run, of one step or of all.
    pub(super) fn selector(&self, step: Option<&str>) -> LabelSelector {
        let component = step.map(|step| (COMPONENT.to_owned(), step.to_owned()));
        let labels = self.run_labels().into_iter().chain(component).collect();
        LabelSelector { match_labels: Some(labels), match_expressions: None }
    }

    /// A selector of the run's objects, whatever its settings, and of nobody else's.
    pub(super) fn query(&self) -> String {
        let labels = self.run_labels();
        labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    fn run_labels(&self) -> BTreeMap<String, String> {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let ours = [label(PROGRAM, "specmill"), label(MANAGED_BY, "specmill"), label(PART_OF, &self.run)];
        BTreeMap::from(ours)
    }

    /// `<run>-<what>-<digest>`: unchanged as long as the content is, another where that is another.
    pub(super) fn with_digest(&self, what: &str, content: &[u8]) -> String {
        let digest = sha256_hex(content);
        format!("{}-{what}-{}", self.run, &digest[..DIGEST_DIGITS])
    }
}

/// Whether it is a DNS label: the name of a namespace.
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether it is DNS labels with dots between: the name of a claim, a Secret or a RuntimeClass.
pub(super) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// Whether it can be the value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let outer = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= 63 && text.bytes().all(inner) && outer(bytes.first()) && outer(bytes.last())
}
