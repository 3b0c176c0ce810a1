//! Settings that a cluster cannot follow, found before anything is applied.

use std::path::{Component, Path};

use super::names::{is_dns_label, is_dns_subdomain, is_label_value};
use super::pod::{CACHE, LAST_SECONDS, TMP};
use crate::config::{JobSettings, RedshiftSource, RunFile, StorageSettings};
use crate::error::Result;
use crate::plan::{check_settings, setting, stages_of};
use crate::shard::Shard;
use crate::stage::Stage;

/// Memory of the largest pod, GiB: no node has more.
const MOST_MEMORY_GIB: u32 = 48;
/// A finished Job is how `job submit` and `job status` know of a step that it is done.
const LEAST_TTL_SECONDS: u32 = 3600;
/// Folders that are the image's, the node's or our own.
const RESERVED: [&str; 8] = [TMP, CACHE, "/etc", "/dev", "/proc", "/sys", "/usr", "/lib"];

/// Checks what `run` in a pod, or the cluster, would refuse; it needs no data at hand.
///
/// # Errors
/// Where a setting cannot be followed: it is named, with the way out.
pub(super) fn check(run_file: &RunFile) -> Result<()> {
    let job = &run_file.job;
    check_pods(job)?;
    check_names(job)?;
    if stages_of(run_file).iter().all(|stage| *stage == Stage::Load) {
        return Err(setting("input", "give `root` (a release tree) or `files`, or a `[[catalog]]`"));
    }
    if run_file.load.enabled && !is_dns_subdomain(&job.database.secret) {
        return Err(setting("job.database.secret", no_name(&job.database.secret, "a Secret")));
    }
    check_mounts(&job.storage)?;
    check_paths(run_file)?;
    check_settings(run_file)
}

fn check_pods(job: &JobSettings) -> Result<()> {
    let shards = usize::try_from(job.shards).unwrap_or(usize::MAX);
    Shard::new(0, shards).map_err(|problem| setting("job.shards", problem))?;
    let at_least_one = [
        ("job.parallelism", job.parallelism),
        ("job.cpu", job.cpu),
        ("job.memory_gib", job.memory_gib),
        ("job.scratch_gib", job.scratch_gib),
        ("job.database.port", job.database.port.into()),
    ];
    if let Some((key, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
        return Err(setting(key, "must be at least 1"));
    }
    if job.memory_gib > MOST_MEMORY_GIB {
        return Err(setting(
            "job.memory_gib",
            format!("{} is more than a node has: {MOST_MEMORY_GIB} at most", job.memory_gib),
        ));
    }
    if job.ttl_seconds < LEAST_TTL_SECONDS {
        return Err(setting(
            "job.ttl_seconds",
            format!("must be at least {LEAST_TTL_SECONDS}: finished Jobs tell `job submit` what is done"),
        ));
    }
    if job.grace_seconds <= LAST_SECONDS {
        return Err(setting(
            "job.grace_seconds",
            format!("must be more than {LAST_SECONDS}: the last seconds are for writing down how it ended"),
        ));
    }
    Ok(())
}

fn check_names(job: &JobSettings) -> Result<()> {
    if job.image.is_empty() || job.image.contains(char::is_whitespace) {
        return Err(setting("job.image", "give the container image, with a tag or digest"));
    }
    if !is_label_value(&job.queue) {
        return Err(setting("job.queue", no_name(&job.queue, "a queue")));
    }
    if !is_label_value(&job.gpu.product) {
        return Err(setting(
            "job.gpu.product",
            format!(
                "`{}` is no value of a label: `kubectl get nodes -L nvidia.com/gpu.product` lists them",
                job.gpu.product
            ),
        ));
    }
    let class = &job.gpu.runtime_class;
    if !class.is_empty() && !is_dns_subdomain(class) {
        return Err(setting("job.gpu.runtime_class", no_name(class, "a RuntimeClass")));
    }
    for (key, claim) in [
        ("job.storage.input_claim", &job.storage.input_claim),
        ("job.storage.lake_claim", &job.storage.lake_claim),
    ] {
        if !is_dns_subdomain(claim) {
            return Err(setting(key, no_name(claim, "a PersistentVolumeClaim")));
        }
    }
    let metrics = &job.metrics;
    if metrics.port != 0 && !is_dns_label(&metrics.namespace) {
        return Err(setting("job.metrics.namespace", no_name(&metrics.namespace, "a namespace")));
    }
    Ok(())
}

fn no_name(name: &str, what: &str) -> String {
    format!("`{name}` cannot be the name of {what}")
}

/// Mounts that hide nothing of each other nor of the image.
fn check_mounts(storage: &StorageSettings) -> Result<()> {
    let mounts =
        [("job.storage.input_path", &storage.input_path), ("job.storage.lake_path", &storage.lake_path)];
    for (key, path) in mounts {
        // A colon parts the two sides of a mount.
        let is_mountable = path.to_str().is_some_and(|text| !text.contains(':'));
        if !is_plain(path) || !is_mountable || path == Path::new("/") {
            let problem = format!("{} is not a place to mount a claim: give one as /input", path.display());
            return Err(setting(key, problem));
        }
        if let Some(taken) = RESERVED.iter().find(|taken| are_nested(path, Path::new(taken))) {
            return Err(setting(
                key,
                format!("{} hides {taken} or lies in it: give another", path.display()),
            ));
        }
    }
    if are_nested(&storage.input_path, &storage.lake_path) {
        return Err(setting(
            "job.storage",
            format!(
                "input_path {} and lake_path {} lie in each other: give two folders of their own",
                storage.input_path.display(),
                storage.lake_path.display()
            ),
        ));
    }
    Ok(())
}

fn are_nested(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// Whether it begins at the root and goes only down.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && only_down(path)
}

fn only_down(path: &Path) -> bool {
    !path.components().any(|part| part == Component::ParentDir)
}

/// Every path of the run file is one that pods have.
fn check_paths(run_file: &RunFile) -> Result<()> {
    let storage = &run_file.job.storage;
    let input = &run_file.input;
    let lies_below = |path: &Path, mount: &Path| is_plain(path) && path.starts_with(mount);
    let folder = &run_file.output.folder;
    if !lies_below(folder, &storage.lake_path) {
        return Err(setting(
            "output.folder",
            format!(
                "{} is not below the lake: in pods it is mounted at {} (job.storage.lake_path)",
                folder.display(),
                storage.lake_path.display()
            ),
        ));
    }
    let given = |path: &'_ Path| !path.as_os_str().is_empty();
    let mut paths: Vec<(&str, &Path)> = Vec::new();
    paths.push(("input.root", &input.root));
    paths.extend(input.files.iter().map(|path| ("input.files", path.as_path())));
    paths.extend(input.declarations.iter().map(|path| ("input.declarations", path.as_path())));
    if run_file.redshifts.source == RedshiftSource::Catalog {
        paths.push(("redshifts.path", &run_file.redshifts.path));
    }
    paths.push(("models.galaxy.folder", &run_file.models.galaxy.folder));
    paths.push(("models.qso.folder", &run_file.models.qso.folder));
    // Those of catalogues are relative to the release, where there is one.
    let catalog_files = run_file.catalog.iter().flat_map(|catalog| &catalog.files);
    let is_of_release = |path: &Path| given(&input.root) && path.is_relative() && only_down(path);
    paths.extend(
        catalog_files.map(|path| ("catalog.files", path.as_path())).filter(|(_, path)| !is_of_release(path)),
    );
    for (key, path) in paths.into_iter().filter(|(_, path)| given(path)) {
        if !lies_below(path, &storage.input_path) && !lies_below(path, &storage.lake_path) {
            return Err(setting(
                key,
                format!(
                    "{} is nowhere in a pod: it has {} (job.storage.input_path) and {} (job.storage.lake_path)",
                    path.display(),
                    storage.input_path.display(),
                    storage.lake_path.display()
                ),
            ));
        }
    }
    Ok(())
}
