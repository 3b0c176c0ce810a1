//! Which cluster: `KUBECONFIG`, else the kubeconfig of the home folder, else the one this pod is in.

use std::path::PathBuf;
use std::time::Duration;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::error::JobError;
use crate::config::Environment;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take: every question here is a small one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How to reach the cluster that the environment names.
///
/// # Errors
/// Where nothing names one, or what does cannot be used.
pub(super) async fn configuration(
    environment: &Environment,
    context: Option<&str>,
) -> Result<Config, JobError> {
    let mut config = match read(environment)? {
        Some((path, kubeconfig)) => {
            let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
            let proxy = proxy_of(&kubeconfig, context);
            let unusable = |error| JobError::Kubeconfig { path, problem: problem_of(&error) };
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)?;
            // The library takes one from the environment, too, and compares the proxy's name with NO_PROXY's, not the
            // cluster's: a cluster on the same campus would be looked for outside.
            config.proxy_url = config.proxy_url.filter(|_| proxy.is_some());
            config
        }
        None => Config::incluster().map_err(|error| {
            let listed = environment.kubeconfig.as_ref();
            let looked = listed.map_or_else(
                || "neither KUBECONFIG nor HOME is set".to_owned(),
                |path| format!("no file {}", path.display()),
            );
            JobError::NoCluster { tried: vec![looked, format!("not in a pod of one ({error})")] }
        })?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(ANSWER_TIMEOUT);
    // A connection that lay idle between two looks has not been slow to answer.
    config.reset_reader_on_write = true;
    // Failures are waited for here, and told.
    config.default_retry = false;
    Ok(config)
}

/// The files that `KUBECONFIG` lists, as one; those that are not there are passed over, as kubectl does.
fn read(environment: &Environment) -> Result<Option<(PathBuf, Kubeconfig)>, JobError> {
    let Some(listed) = &environment.kubeconfig else { return Ok(None) };
    let mut merged: Option<Kubeconfig> = None;
    for path in std::env::split_paths(listed).filter(|path| path.is_file()) {
        let unusable = |error| JobError::Kubeconfig { path: path.clone(), problem: problem_of(&error) };
        let next = Kubeconfig::read_from(&path).map_err(unusable)?;
        merged = Some(match merged {
            None => next,
            Some(before) => before.merge(next).map_err(unusable)?,
        });
    }
    Ok(merged.map(|kubeconfig| (listed.clone(), kubeconfig)))
}

/// The proxy that the kubeconfig itself names for a context's cluster.
fn proxy_of(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let named = kubeconfig.contexts.iter().find(|named| named.name == context)?;
    let cluster = &named.context.as_ref()?.cluster;
    let named = kubeconfig.clusters.iter().find(|named| named.name == *cluster)?;
    named.cluster.as_ref()?.proxy_url.clone().filter(|url| !url.is_empty())
}

/// What is wrong, without the file's text.
fn problem_of(error: &KubeconfigError) -> String {
    if let KubeconfigError::Parse(_) = error {
        // The parser's message quotes lines, and a line may be a token.
        return "is not a kubeconfig in YAML".to_owned();
    }
    crate::error::reason_of(error)
}
