//! Rendered Jobs, their pods run as processes: the container's command line, environment, user and limits, its
//! volumes as folders, and the Job's policy for how they end.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::run_folder::{Release, files_below};

/// The account in the image.
const NOBODY: u32 = 65532;

/// A run file rendered, and a place for its pods.
pub(crate) struct Cluster {
    /// Lake, scratch and run file.
    folder: TempDir,
    program: PathBuf,
    /// The ConfigMap's files, by the name of the ConfigMap.
    config: BTreeMap<String, PathBuf>,
    /// Every Job, in the order of the manifests.
    pub(crate) jobs: Vec<Value>,
    /// What `job render` said.
    pub(crate) said: String,
}

/// How a pod ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) index: u64,
    /// As the cluster sees it: 128 + the signal where one ended it.
    pub(crate) code: i32,
    /// What the Job's policy says of it; "" where it is complete.
    pub(crate) action: String,
    /// The termination message.
    pub(crate) message: String,
    pub(crate) log: String,
}

/// Whether this process may become another user.
fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Gives a folder, and nothing around it, to the account of the pods.
fn give(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

impl Cluster {
    /// Renders a run over `release` in so many shards; `settings` are more lines of its run file.
    pub(crate) fn render(release: &Release, shards: usize, settings: &str) -> Self {
        // Nothing may be mounted below a pod's own /tmp.
        let folder = TempDir::new_in("/var/tmp").unwrap();
        for path in [folder.path(), release.root()] {
            fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Where cargo built it no other account may come.
        let program = folder.path().join("specmill");
        // By a process of its own: a file that this one writes to is open in whatever another test starts meanwhile,
        // and cannot be run.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_specmill")).arg(&program).status().unwrap();
        assert!(copied.success());
        let lake = folder.path().join("lake");
        fs_err::create_dir(&lake).unwrap();
        give(&lake);
        let input = folder.path().join("input");
        symlink(release.root(), &input).unwrap();
        let text = format!(
            "input.root = {root:?}\noutput.folder = {run:?}\nresources.threads = 1\njob.name = \"forty\"\n\
             job.namespace = \"mill\"\njob.shards = {shards}\njob.metrics.port = 0\njob.memory_gib = 8\n\
             job.storage.input_path = {root:?}\njob.storage.lake_path = {lake:?}\n{settings}\n",
            root = input,
            run = lake.join("run"),
        );
        let run_file = folder.path().join("run.toml");
        fs_err::write(&run_file, text).unwrap();
        let rendered = folder.path().join("rendered");
        let mut command = Command::new(&program);
        command.arg("job").arg("render").arg(&run_file).arg("--out").arg(&rendered);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let mut cluster = Self { folder, program, config: BTreeMap::new(), jobs: Vec::new(), said };
        for path in files_below(&rendered) {
            let text = fs_err::read_to_string(&path).unwrap();
            let manifest: Value = serde_saphyr::from_str(&text).unwrap();
            match manifest["kind"].as_str().unwrap() {
                "ConfigMap" => cluster.mount_config(&manifest),
                "Job" => cluster.jobs.push(manifest),
                _ => {}
            }
        }
        cluster
    }

    fn mount_config(&mut self, manifest: &Value) {
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let place = self.folder.path().join(&name);
        fs_err::create_dir(&place).unwrap();
        for (file, text) in manifest["data"].as_object().unwrap() {
            fs_err::write(place.join(file), text.as_str().unwrap()).unwrap();
        }
        self.config.insert(name, place);
    }

    /// The run file that was rendered.
    pub(crate) fn run_file(&self) -> PathBuf {
        self.folder.path().join("run.toml")
    }

    /// The run folder.
    pub(crate) fn run_folder(&self) -> PathBuf {
        self.folder.path().join("lake/run")
    }

    /// The Job of a step.
    pub(crate) fn job(&self, step: &str) -> &Value {
        let is_step = |job: &&Value| job["metadata"]["labels"]["app.kubernetes.io/component"] == step;
        self.jobs.iter().find(is_step).unwrap_or_else(|| panic!("no step {step}"))
    }

    /// Starts a pod of a Job.
    pub(crate) fn start(&self, job: &Value, index: u64) -> Pod {
        let spec = &job["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let scratch = TempDir::new_in(self.folder.path()).unwrap();
        fs_err::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        give(scratch.path());
        let message = scratch.path().join("termination-log");
        fs_err::write(&message, "").unwrap();
        give(&message);
        let places = self.places(spec, scratch.path(), &message);
        let in_place = |text: &str| {
            let below = |mount: &str| {
                text.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            places
                .iter()
                .find_map(|(mount, place)| Some(format!("{}{}", place.display(), below(mount)?)))
                .unwrap_or_else(|| text.to_owned())
        };
        let memory = container["resources"]["limits"]["memory"].as_str().unwrap().strip_suffix("Gi").unwrap();
        let bytes = memory.parse::<u64>().unwrap() << 30;
        let mut command = Command::new("prlimit");
        command.arg(format!("--data={bytes}")).arg("--core=0").arg("--").arg(&self.program);
        let index_text = index.to_string();
        for argument in container["args"].as_array().unwrap() {
            let argument = argument.as_str().unwrap().replace("$(JOB_COMPLETION_INDEX)", &index_text);
            command.arg(in_place(&argument));
        }
        // A container has the variables of its image and its own, and no others.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            match variable["value"].as_str() {
                Some(value) => command.env(name, in_place(value)),
                None => {
                    assert_eq!(name, "JOB_COMPLETION_INDEX", "where should its value come from?");
                    command.env(name, &index_text)
                }
            };
        }
        if is_root() {
            let id = |key: &str| u32::try_from(spec["securityContext"][key].as_u64().unwrap()).unwrap();
            command.uid(id("runAsUser")).gid(id("runAsGroup"));
        }
        let log = fs_err::File::create(scratch.path().join("log")).unwrap().into_parts().0;
        command.current_dir(scratch.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Pod { child: command.spawn().unwrap(), index, scratch }
    }

    /// Where the container's paths lie here; the longest first.
    fn places(&self, spec: &Value, scratch: &Path, message: &Path) -> Vec<(String, PathBuf)> {
        let container = &spec["containers"][0];
        let volume = |name: &Value| {
            let all = spec["volumes"].as_array().unwrap();
            all.iter().find(|volume| volume["name"] == *name).unwrap()
        };
        let mut places = Vec::new();
        for mount in container["volumeMounts"].as_array().unwrap() {
            let (path, volume) = (mount["mountPath"].as_str().unwrap(), volume(&mount["name"]));
            if let Some(map) = volume["configMap"]["name"].as_str() {
                places.push((path.to_owned(), self.config[map].clone()));
            } else if volume["emptyDir"].is_object() {
                let place = scratch.join(mount["name"].as_str().unwrap());
                fs_err::create_dir(&place).unwrap();
                give(&place);
                places.push((path.to_owned(), place));
            } else {
                // Claims are mounted where the run file says: at their own place.
                assert!(volume["persistentVolumeClaim"].is_object(), "{volume}");
                assert!(Path::new(path).is_dir(), "{path}");
            }
        }
        places.push((container["terminationMessagePath"].as_str().unwrap().to_owned(), message.to_owned()));
        places.sort_by_key(|(mount, _)| std::cmp::Reverse(mount.len()));
        places
    }

    /// Runs a Job to its end as its controller would; `meddle` sees every pod once it is started, with how many tries
    /// its index has had.
    pub(crate) fn run(&self, job: &Value, meddle: impl Fn(&mut Pod, usize)) -> Vec<Ended> {
        let spec = &job["spec"];
        let pods = spec["completions"].as_u64().unwrap();
        let retries = spec["backoffLimitPerIndex"].as_u64().or(spec["backoffLimit"].as_u64()).unwrap();
        let mut ended = Vec::new();
        let mut started: Vec<(Pod, usize)> = (0..pods).map(|index| (self.start(job, index), 0)).collect();
        started.iter_mut().for_each(|(pod, tries)| meddle(pod, *tries));
        while let Some((pod, tries)) = started.pop() {
            let end = pod.wait(spec);
            let again = end.action == "Count" && (tries as u64) < retries;
            if again {
                let mut pod = self.start(job, end.index);
                meddle(&mut pod, tries + 1);
                started.push((pod, tries + 1));
            }
            ended.push(end);
        }
        ended.sort_by_key(|end| end.index);
        ended
    }
}

/// A pod, running.
pub(crate) struct Pod {
    pub(crate) child: Child,
    pub(crate) index: u64,
    scratch: TempDir,
}

impl Pod {
    /// Waits for it: its exit code, termination message and log.
    pub(crate) fn end(self, job_spec: &Value) -> (i32, String, String) {
        let end = self.wait(job_spec);
        (end.code, end.message, end.log)
    }

    fn wait(mut self, job_spec: &Value) -> Ended {
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        let read = |name: &str| fs_err::read_to_string(self.scratch.path().join(name)).unwrap();
        Ended {
            index: self.index,
            code,
            action: action(job_spec, code),
            message: read("termination-log"),
            log: read("log"),
        }
    }
}

/// The first rule of the Job's podFailurePolicy that fits an exit code; a failure without one counts.
fn action(job_spec: &Value, code: i32) -> String {
    if code == 0 {
        return String::new();
    }
    let rules = job_spec["podFailurePolicy"]["rules"].as_array().unwrap();
    let fits = |rule: &&Value| {
        let codes = &rule["onExitCodes"];
        let named =
            codes["values"].as_array().is_some_and(|all| all.iter().any(|one| *one == i64::from(code)));
        codes.is_object() && (codes["operator"] == "In") == named
    };
    rules.iter().find(fits).map_or("Count", |rule| rule["action"].as_str().unwrap()).to_owned()
}
