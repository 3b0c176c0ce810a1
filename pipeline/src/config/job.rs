//! `[job]`: how a run becomes Kubernetes Jobs. Nothing in it changes a byte of the result.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[job]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobSettings {
    /// First part of every object's name; the run file's stem where empty.
    pub name: String,
    /// The namespace; it must exist.
    pub namespace: String,
    /// The container image, with a tag or digest.
    pub image: String,
    /// Pods of a map stage, each with its shard; never changes a byte of the result.
    pub shards: u32,
    /// Of them at a time, at most.
    pub parallelism: u32,
    /// How often one shard is started again after errors that may pass.
    pub retries_per_shard: u32,
    /// Shards that may fail for good before the others are stopped.
    pub max_failed_shards: u32,
    /// Where stages that compute run.
    pub profile: JobProfile,
    /// CPU cores of a pod.
    pub cpu: u32,
    /// Memory of a pod, GiB; at most 48.
    pub memory_gib: u32,
    /// Scratch space of a pod, GiB.
    pub scratch_gib: u32,
    /// Seconds between SIGTERM and SIGKILL; the unit in hand is finished within them or abandoned.
    pub grace_seconds: u32,
    /// Seconds after which a finished Job is removed from the cluster.
    pub ttl_seconds: u32,
    /// Kueue's local queue; none where empty.
    pub queue: String,
    /// `[job.gpu]`.
    pub gpu: GpuSettings,
    /// `[job.storage]`.
    pub storage: StorageSettings,
    /// `[job.database]`.
    pub database: DatabaseSettings,
    /// `[job.metrics]`.
    pub metrics: MetricsSettings,
}

/// Where stages that compute run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobProfile {
    /// `--device cpu`.
    #[default]
    Cpu,
    /// `--device cuda:0` on a node with a card, and nowhere else.
    Gpu,
}

/// `[job.gpu]`: which nodes have the card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuSettings {
    /// Value of the node label `nvidia.com/gpu.product`; any card where empty.
    pub product: String,
    /// RuntimeClass of pods with a card; the cluster's default where empty.
    pub runtime_class: String,
}

/// `[job.storage]`: PersistentVolumeClaims and where pods find them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSettings {
    /// Claim that holds the release, mounted read-only.
    pub input_claim: String,
    /// Where; every path of `[input]`, `[redshifts]` and `[models]` must lie below it or below the lake.
    pub input_path: PathBuf,
    /// Claim that the run folder is on, shared by all pods (ReadWriteMany).
    pub lake_claim: String,
    /// Where; `[output] folder` must lie below it.
    pub lake_path: PathBuf,
}

/// `[job.database]`: where `load` finds PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseSettings {
    /// Secret whose keys become the environment of `load`: `DATABASE_URL`, or `PGHOST`, `PGUSER`, `PGPASSWORD`, …
    pub secret: String,
    /// Addresses `load` may connect to, as CIDR blocks.
    pub cidr: Vec<String>,
    /// Port of the server.
    pub port: u16,
}

/// `[job.metrics]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricsSettings {
    /// Port that Prometheus scrapes; 0 = none.
    pub port: u16,
    /// Namespace that Prometheus scrapes from.
    pub namespace: String,
    /// Pushgateway for what a pod counted last, as http://HOST:PORT; none where empty.
    pub pushgateway: String,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: "specmill".to_owned(),
            image: format!("specmill:{}", env!("CARGO_PKG_VERSION")),
            shards: 16,
            parallelism: 4,
            retries_per_shard: 3,
            max_failed_shards: 2,
            profile: JobProfile::Cpu,
            cpu: 8,
            memory_gib: 16,
            scratch_gib: 4,
            grace_seconds: 120,
            ttl_seconds: 604_800,
            queue: String::new(),
            gpu: GpuSettings::default(),
            storage: StorageSettings::default(),
            database: DatabaseSettings::default(),
            metrics: MetricsSettings::default(),
        }
    }
}

impl Default for GpuSettings {
    fn default() -> Self {
        Self { product: String::new(), runtime_class: "nvidia".to_owned() }
    }
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            input_claim: "desi-input".to_owned(),
            input_path: PathBuf::from("/input"),
            lake_claim: "specmill-lake".to_owned(),
            lake_path: PathBuf::from("/lake"),
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { secret: "specmill-database".to_owned(), cidr: Vec::new(), port: 5432 }
    }
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { port: 9464, namespace: "monitoring".to_owned(), pushgateway: String::new() }
    }
}
