//! The pod of a step: the program over the run file, with a card or without, and with no rights at all.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvFromSource,
    EnvVar, EnvVarSource, ObjectFieldSelector, PersistentVolumeClaimVolumeSource, PodSecurityContext,
    PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile, SecretEnvSource, SecretVolumeSource,
    SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::names::Names;
use super::steps::Task;
use crate::config::RunFile;
use crate::stage::Stage;

/// The one container of every pod.
pub(super) const CONTAINER: &str = "specmill";
/// The run file's key in the ConfigMap.
pub(super) const RUN_FILE: &str = "run.toml";
/// Its port that Prometheus scrapes.
pub(super) const METRICS_PORT: &str = "metrics";

/// Where the run file is.
pub(super) const RUN_FILE_FOLDER: &str = "/etc/specmill";
/// Where the keys of the database's Secret are as files, for PGSSLROOTCERT.
pub(super) const SECRET_FOLDER: &str = "/etc/specmill-database";
/// Scratch space.
pub(super) const TMP: &str = "/tmp";
/// What may be kept between a pod's containers: kernels compiled at run time.
pub(super) const CACHE: &str = "/cache";
const TERMINATION_MESSAGE: &str = "/dev/termination-log";

/// Seconds of the grace period that are left to writing down how it ended.
pub(super) const LAST_SECONDS: u32 = 10;
/// The account in the image, without rights and without a name.
const NOBODY: i64 = 65532;
/// The variable that holds a pod's share.
const SHARD: &str = "JOB_COMPLETION_INDEX";

/// What pods of a run have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pods<'a> {
    pub(super) run_file: &'a RunFile,
    pub(super) names: &'a Names,
    /// The ConfigMap with the run file.
    pub(super) config_map: &'a str,
}

impl Pods<'_> {
    /// The pods of a step.
    pub(super) fn template(&self, task: Task) -> PodTemplateSpec {
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.names.step_labels(task.name())),
                ..ObjectMeta::default()
            }),
            spec: Some(self.spec(task)),
        }
    }

    fn spec(&self, task: Task) -> PodSpec {
        let job = &self.run_file.job;
        let on_card = task.is_on_card(job.profile);
        let label = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let gpu = Some(&job.gpu).filter(|_| on_card);
        PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![self.container(task)],
            // Addresses of other Services are no business of theirs.
            enable_service_links: Some(false),
            node_selector: gpu
                .filter(|gpu| !gpu.product.is_empty())
                .map(|gpu| label("nvidia.com/gpu.product", &gpu.product)),
            restart_policy: Some("Never".to_owned()),
            runtime_class_name: gpu
                .filter(|gpu| !gpu.runtime_class.is_empty())
                .map(|gpu| gpu.runtime_class.clone()),
            security_context: Some(pod_security()),
            service_account_name: Some(self.names.run.clone()),
            termination_grace_period_seconds: Some(i64::from(job.grace_seconds)),
            tolerations: gpu.map(|_| {
                vec![Toleration {
                    key: Some("nvidia.com/gpu".to_owned()),
                    operator: Some("Exists".to_owned()),
                    effect: Some("NoSchedule".to_owned()),
                    ..Toleration::default()
                }]
            }),
            volumes: Some(self.volumes(task)),
            ..PodSpec::default()
        }
    }

    fn container(&self, task: Task) -> Container {
        let job = &self.run_file.job;
        let listens = job.metrics.port != 0 && task != Task::Account;
        let secret = || EnvFromSource {
            secret_ref: Some(SecretEnvSource { name: job.database.secret.clone(), optional: Some(false) }),
            ..EnvFromSource::default()
        };
        Container {
            args: Some(self.arguments(task)),
            env: Some(self.environment(task)),
            env_from: is_load(task).then(|| vec![secret()]),
            image: Some(job.image.clone()),
            image_pull_policy: Some("IfNotPresent".to_owned()),
            name: CONTAINER.to_owned(),
            ports: listens.then(|| {
                vec![ContainerPort {
                    container_port: i32::from(job.metrics.port),
                    name: Some(METRICS_PORT.to_owned()),
                    protocol: Some("TCP".to_owned()),
                    ..ContainerPort::default()
                }]
            }),
            resources: Some(self.resources(task)),
            security_context: Some(container_security()),
            termination_message_path: Some(TERMINATION_MESSAGE.to_owned()),
            termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
            volume_mounts: Some(self.mounts(task)),
            ..Container::default()
        }
    }

    /// The command line after the program's name.
    fn arguments(&self, task: Task) -> Vec<String> {
        let job = &self.run_file.job;
        let run_file = format!("{RUN_FILE_FOLDER}/{RUN_FILE}");
        let stage = match task {
            Task::Account => {
                return ["status", &run_file, "--merge", "--tidy", "--accept-partial"]
                    .map(str::to_owned)
                    .to_vec();
            }
            Task::Shards(stage) | Task::Whole(stage) => stage,
            Task::CatalogKeys => Stage::Catalog,
        };
        let mut arguments = ["run", &run_file, "--stage", stage.name()].map(str::to_owned).to_vec();
        let mut add = |key: &str, value: String| arguments.extend([key.to_owned(), value]);
        if task.is_indexed() {
            add("--shard", format!("$({SHARD})/{}", job.shards));
        }
        add("--device", if task.is_on_card(job.profile) { "cuda:0" } else { "cpu" }.to_owned());
        if job.metrics.port != 0 {
            add("--metrics-listen", format!("0.0.0.0:{}", job.metrics.port));
        }
        if !job.metrics.pushgateway.is_empty() {
            add("--metrics-push", job.metrics.pushgateway.clone());
        }
        arguments.push("--accept-partial".to_owned());
        arguments
    }

    fn environment(&self, task: Task) -> Vec<EnvVar> {
        let job = &self.run_file.job;
        let variable = |name: &str, value: &str| EnvVar {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        };
        let grace = job.grace_seconds.saturating_sub(LAST_SECONDS).to_string();
        let mut variables = vec![
            variable("HOME", TMP),
            variable("TMPDIR", TMP),
            variable("XDG_CACHE_HOME", CACHE),
            variable("SPECMILL_LOG_FORMAT", "json"),
            variable("SPECMILL_TERMINATION_MESSAGE", TERMINATION_MESSAGE),
            variable("SPECMILL_GRACE_SECONDS", &grace),
        ];
        if task.is_on_card(job.profile) {
            variables.push(variable("CUDA_CACHE_PATH", &format!("{CACHE}/cuda")));
            variables.push(variable("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"));
        }
        if task.is_indexed() {
            // Arguments can only name variables that stand here.
            let field_path = "metadata.annotations['batch.kubernetes.io/job-completion-index']".to_owned();
            let field_ref = Some(ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path });
            let value_from = Some(EnvVarSource { field_ref, ..EnvVarSource::default() });
            variables.push(EnvVar { name: SHARD.to_owned(), value: None, value_from });
        }
        variables
    }

    /// Requests are limits: nobody else's load changes what a pod has.
    fn resources(&self, task: Task) -> ResourceRequirements {
        let job = &self.run_file.job;
        let gib = |n: u32| format!("{n}Gi");
        let card = task.is_on_card(job.profile).then(|| ("nvidia.com/gpu", "1".to_owned()));
        let amounts: BTreeMap<String, Quantity> = [
            ("cpu", job.cpu.to_string()),
            ("memory", gib(job.memory_gib)),
            ("ephemeral-storage", gib(job.scratch_gib)),
        ]
        .into_iter()
        .chain(card)
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .collect();
        ResourceRequirements { claims: None, limits: Some(amounts.clone()), requests: Some(amounts) }
    }

    fn volumes(&self, task: Task) -> Vec<Volume> {
        let job = &self.run_file.job;
        let storage = &job.storage;
        let volume = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
        let claim = |name: &str, claim: &str, read_only: Option<bool>| Volume {
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim.to_owned(),
                read_only,
            }),
            ..volume(name)
        };
        // Both together are bounded by the container's ephemeral-storage.
        let scratch = |name: &str| Volume {
            empty_dir: Some(EmptyDirVolumeSource {
                medium: None,
                size_limit: Some(Quantity(format!("{}Gi", job.scratch_gib))),
            }),
            ..volume(name)
        };
        let run_file = ConfigMapVolumeSource { name: self.config_map.to_owned(), ..Default::default() };
        let mut volumes = vec![
            Volume { config_map: Some(run_file), ..volume("run-file") },
            claim("input", &storage.input_claim, Some(true)),
            claim("lake", &storage.lake_claim, None),
            scratch("tmp"),
            scratch("cache"),
        ];
        if is_load(task) {
            let secret =
                SecretVolumeSource { secret_name: Some(job.database.secret.clone()), ..Default::default() };
            volumes.push(Volume { secret: Some(secret), ..volume("database") });
        }
        volumes
    }

    fn mounts(&self, task: Task) -> Vec<VolumeMount> {
        let storage = &self.run_file.job.storage;
        let mount = |name: &str, path: &Path, read_only: bool| VolumeMount {
            name: name.to_owned(),
            mount_path: path.display().to_string(),
            read_only: read_only.then_some(true),
            ..VolumeMount::default()
        };
        let mut mounts = vec![
            mount("run-file", Path::new(RUN_FILE_FOLDER), true),
            mount("input", &storage.input_path, true),
            mount("lake", &storage.lake_path, false),
            mount("tmp", Path::new(TMP), false),
            mount("cache", Path::new(CACHE), false),
        ];
        if is_load(task) {
            mounts.push(mount("database", Path::new(SECRET_FOLDER), true));
        }
        mounts
    }
}

/// Whether it speaks to the database.
fn is_load(task: Task) -> bool {
    task == Task::Whole(Stage::Load)
}

/// Pod Security `restricted`, and files of volumes that are the account's.
fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        fs_group: Some(NOBODY),
        // Without it the lake's every file is touched before each pod.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        run_as_group: Some(NOBODY),
        run_as_non_root: Some(true),
        run_as_user: Some(NOBODY),
        seccomp_profile: Some(SeccompProfile { localhost_profile: None, type_: "RuntimeDefault".to_owned() }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        ..SecurityContext::default()
    }
}
