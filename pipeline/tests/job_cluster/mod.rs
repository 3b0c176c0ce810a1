//! `job submit`, `status`, `logs` and `cancel` as processes, before a stand-in for a cluster.

mod access;
mod controller;
mod interruption;
mod looks;
mod researcher;
mod server;
mod submit;
mod trouble;
mod world;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::run_folder::Outcome;
use server::Server;
use world::{NAMESPACE, World, without_digest};

/// What nothing here comes near to.
const DEADLINE: Duration = Duration::from_secs(30);

/// A run file, a kubeconfig, and the cluster it leads to.
struct Site {
    server: Server,
    folder: TempDir,
    lines: Vec<String>,
    /// The cluster's entry in the kubeconfig, where it is not this server.
    cluster: Option<String>,
    /// The user's.
    user: String,
}

impl Site {
    /// Inventory, four shards of extract, account.
    fn new() -> Self {
        let lines = [
            "input.root = \"/input\"",
            "output.folder = \"/lake/runs/demo\"",
            "models.galaxy.name = \"\"",
            "models.qso.name = \"\"",
            "load.enabled = false",
            "job.name = \"demo\"",
            "job.shards = 4",
            "job.parallelism = 3",
            "job.retries_per_shard = 1",
        ];
        let mut lines = lines.map(str::to_owned).to_vec();
        lines.push(format!("job.namespace = {NAMESPACE:?}"));
        Self {
            server: Server::start(),
            folder: TempDir::new().unwrap(),
            lines,
            cluster: None,
            user: "{}".to_owned(),
        }
    }

    /// Sets a key of the run file to a TOML value.
    fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.lines.retain(|line| !line.starts_with(&format!("{key} =")));
        self.lines.push(format!("{key} = {value}"));
        self
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.server.world()
    }

    fn kubeconfig(&self) -> PathBuf {
        let path = self.folder.path().join("kubeconfig");
        let here = format!("{{server: {:?}}}", self.server.url());
        let cluster = self.cluster.as_ref().unwrap_or(&here);
        let user = &self.user;
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n- name: here\n  context: {{cluster: c, user: \
             ada}}\nclusters:\n- name: c\n  cluster: {cluster}\nusers:\n- name: ada\n  user: {user}\n"
        );
        fs_err::write(&path, text).unwrap();
        path
    }

    fn run_file(&self) -> PathBuf {
        let path = self.folder.path().join("run.toml");
        fs_err::write(&path, self.lines.join("\n")).unwrap();
        path
    }

    /// `specmill job <word> RUN.toml <rest>`, looking fifty times a second.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_specmill"));
        command
            .args(["job", words[0]])
            .arg(self.run_file())
            .args(["--poll-seconds", "0.02"])
            .args(&words[1..]);
        command.env("KUBECONFIG", self.kubeconfig());
        for variable in ["RUST_LOG", "SPECMILL_LOG_FORMAT", "KUBERNETES_SERVICE_HOST"] {
            command.env_remove(variable);
        }
        // A proxy of the environment is none of ours.
        command.env("HTTPS_PROXY", "http://192.0.2.1:9");
        command
    }

    fn start(&self, words: &[&str]) -> Process {
        Process::start(self.command(words))
    }

    /// Runs a command to its end.
    fn call(&self, words: &[&str]) -> Outcome {
        self.start(words).end()
    }

    /// Runs a command, which must end with `code`.
    fn ends(&self, words: &[&str], code: i32) -> Outcome {
        let outcome = self.call(words);
        assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
        outcome
    }

    /// Waits until something is so in the cluster.
    fn until(&self, what: &str, is_so: impl Fn(&World) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.world()) {
            assert!(begun.elapsed() < DEADLINE, "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The steps whose Jobs were made, in order.
    fn made(&self) -> Vec<String> {
        let world = self.world();
        let deeds = world.deeds.iter().filter_map(|deed| deed.strip_prefix("create jobs demo-"));
        deeds.map(without_digest).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let world = self.world();
            assert_eq!(world.violations, Vec::<String>::new(), "the Role does not allow it");
        }
    }
}

/// A command on its way.
struct Process(Option<Child>);

impl Process {
    fn start(mut command: Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// SIGKILL.
    fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits for it; what it says is less than a pipe holds.
    fn end(self) -> Outcome {
        self.end_within(DEADLINE)
    }

    fn end_within(mut self, deadline: Duration) -> Outcome {
        let begun = Instant::now();
        while !self.has_ended() {
            assert!(begun.elapsed() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        Outcome {
            code: output.status.code().expect("ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Fails where a text lacks one of these.
#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
}
