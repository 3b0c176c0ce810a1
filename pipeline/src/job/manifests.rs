//! A run file as objects of a cluster, in the order in which they are applied.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};

use super::names::Names;
use super::pod::{Pods, RUN_FILE};
use super::steps::steps_of;
use super::{Manifest, Object, Step, network, settings};
use crate::config::RunFile;
use crate::error::{Error, Result};
use crate::plan::setting;

/// A ConfigMap holds 1 MiB; this leaves room for its names.
const MOST_BYTES: usize = 1_000_000;

/// The objects of a run file; `path` is where it was read from.
///
/// # Errors
/// Where its settings cannot be followed in a cluster.
pub(crate) fn of(run_file: &RunFile, path: &Path) -> Result<Vec<Manifest>> {
    settings::check(run_file)?;
    let names = Names::of(run_file, path)?;
    let text = fs_err::read_to_string(path)
        .map_err(|source| Error::RunFileUnreadable { path: path.to_owned(), source })?;
    let config_map = config_map(&names, text)?;
    let run_file_name = config_map.metadata.name.clone().unwrap_or_default();
    let pods = Pods { run_file, names: &names, config_map: &run_file_name };
    let mut manifests = vec![
        manifest(0, "service-account", Object::ServiceAccount(Box::new(service_account(&names)))),
        manifest(1, "run-file", Object::ConfigMap(Box::new(config_map))),
    ];
    let job = &run_file.job;
    let all = network::policy_of_all(&names, &job.metrics, 2)?;
    manifests.push(manifest(2, "network-policy", Object::NetworkPolicy(Box::new(all))));
    if run_file.load.enabled {
        let load = network::policy_of_load(&names, &job.database, 3)?;
        manifests.push(manifest(3, "network-policy-load", Object::NetworkPolicy(Box::new(load))));
    }
    for planned in steps_of(run_file) {
        let name = planned.task.name();
        let step = Step { name: name.to_owned(), job: pods.job(planned) };
        manifests.push(manifest(planned.number, name, Object::Job(Box::new(step))));
    }
    Ok(manifests)
}

fn manifest(number: u8, name: &str, object: Object) -> Manifest {
    Manifest { file_name: format!("{number:02}-{name}.yaml"), object }
}

/// Pods speak to no API server.
fn service_account(names: &Names) -> ServiceAccount {
    ServiceAccount {
        automount_service_account_token: Some(false),
        metadata: names.metadata(names.run.clone(), 0),
        ..ServiceAccount::default()
    }
}

/// The run file as it was written; Jobs of another text have another ConfigMap.
fn config_map(names: &Names, text: String) -> Result<ConfigMap> {
    if text.len() > MOST_BYTES {
        return Err(setting(
            "job",
            format!("the run file has {} bytes: in a cluster it has {MOST_BYTES} at most", text.len()),
        ));
    }
    let name = names.with_digest("run-file", text.as_bytes());
    Ok(ConfigMap {
        data: Some(BTreeMap::from([(RUN_FILE.to_owned(), text)])),
        immutable: Some(true),
        metadata: names.metadata(name, 1),
        ..ConfigMap::default()
    })
}
