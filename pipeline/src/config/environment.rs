//! What the environment says: the one place that reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the environment says, read once. It holds secrets: no `Debug`.
#[derive(Clone, Default)]
pub struct Environment {
    /// `RUST_LOG`: the log filter.
    pub log_filter: Option<String>,
    /// `SPECMILL_LOG_FORMAT`: `json` for JSON lines.
    pub log_format: Option<String>,
    /// `DATABASE_URL`: wins over everything else that says where the database is.
    pub database_url: Option<String>,
    /// `PGHOST`, `PGPORT`, …: libpq's variables that are set, by name.
    pub libpq: BTreeMap<String, String>,
    /// `SPECMILL_POSTGRES`: a PostgreSQL installation for the private server.
    pub postgres: Option<PathBuf>,
    /// `KUBECONFIG`, else `HOME/.kube/config`: which cluster `job` speaks to.
    pub kubeconfig: Option<PathBuf>,
    /// `SPECMILL_TERMINATION_MESSAGE`: the file that tells the cluster how a command ended.
    pub termination_message: Option<PathBuf>,
    /// `SPECMILL_GRACE_SECONDS`: how long a unit in hand may take after SIGTERM.
    pub grace: Option<Duration>,
    /// `XDG_CACHE_HOME`, else `HOME/.cache`: where kernels that were compiled at run time are kept.
    pub cache: Option<PathBuf>,
}

/// libpq's variables that are honoured.
const LIBPQ: [&str; 7] =
    ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"];

impl Environment {
    /// Whether log lines are JSON.
    pub(crate) fn logs_json(&self) -> bool {
        self.log_format.as_deref() == Some("json")
    }

    /// Reads the environment.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn read() -> Self {
        let get = |key: &str| std::env::var(key).ok();
        let libpq = LIBPQ.iter().filter_map(|key| Some(((*key).to_owned(), get(key)?))).collect();
        Self {
            log_filter: get("RUST_LOG"),
            log_format: get("SPECMILL_LOG_FORMAT"),
            database_url: get("DATABASE_URL").filter(|url| !url.is_empty()),
            libpq,
            postgres: get("SPECMILL_POSTGRES").filter(|path| !path.is_empty()).map(PathBuf::from),
            kubeconfig: get("KUBECONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .or_else(|| Some(Path::new(&get("HOME")?).join(".kube/config"))),
            termination_message: get("SPECMILL_TERMINATION_MESSAGE").map(PathBuf::from),
            grace: get("SPECMILL_GRACE_SECONDS")
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            cache: get("XDG_CACHE_HOME")
                .filter(|path| path.starts_with('/'))
                .map(PathBuf::from)
                .or_else(|| Some(Path::new(&get("HOME")?).join(".cache"))),
        }
    }
}
