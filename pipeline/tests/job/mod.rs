//! `job render`: run files as manifests.

mod cluster;
mod folder;
mod kustomize;
mod meaning;
mod refusals;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A run over spectra on the CPU; what a test sets comes below.
pub(super) const SPECTRA: &str = "input.root = \"/input\"\noutput.folder = \"/lake/run\"\n";
/// A run over one catalogue and nothing else.
pub(super) const CATALOG: &str = "output.folder = \"/lake/run\"\n[[catalog]]\nname = \"zall-pix\"\nfiles = [\"/input/zall-pix-iron.fits\"]\n";
/// What `load` needs.
pub(super) const LOAD: &str = "load.enabled = true\njob.database.cidr = [\"192.0.2.10/32\"]\n";
/// A card.
pub(super) const GPU: &str = "job.profile = \"gpu\"\njob.gpu.product = \"NVIDIA-RTX-A4000\"\n";

/// The project's folder.
pub(super) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `specmill job render RUN.toml --out OUT`.
pub(super) fn render(run_file: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_specmill"));
    command.args(["job", "render"]).arg(run_file).arg("--out").arg(out);
    command.env_remove("RUST_LOG").output().unwrap()
}

/// A run file and the folder of its manifests.
pub(super) struct Rendering {
    folder: TempDir,
}

impl Rendering {
    /// Of a run file with this text, called `iron.toml`.
    pub(super) fn of(text: &str) -> Self {
        let rendering = Self { folder: TempDir::new().unwrap() };
        let output = rendering.again(text);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        rendering
    }

    /// What a run file is refused with: bad plans exit with 2.
    pub(super) fn refused(text: &str) -> String {
        let rendering = Self { folder: TempDir::new().unwrap() };
        let output = rendering.again(text);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}\n{said}");
        assert!(!rendering.path().exists(), "{text} left something");
        said
    }

    /// Renders another text into the same folder.
    pub(super) fn again(&self, text: &str) -> Output {
        let run_file = self.folder.path().join("iron.toml");
        fs_err::write(&run_file, text).unwrap();
        render(&run_file, &self.path())
    }

    /// The folder of the manifests.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("rendered")
    }

    /// Every file's text, by name.
    pub(super) fn files(&self) -> BTreeMap<String, String> {
        files_of(&self.path())
    }

    /// Every object, by the name of its file without number and extension.
    pub(super) fn objects(&self) -> BTreeMap<String, Value> {
        objects_of(&self.files())
    }

    /// Every Job, by its step.
    pub(super) fn jobs(&self) -> BTreeMap<String, Value> {
        self.objects().into_iter().filter(|(_, object)| object["kind"] == "Job").collect()
    }
}

/// The objects of manifests, by the names of their files without number and extension.
pub(super) fn objects_of(files: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let manifests = files.iter().filter(|(name, _)| *name != "kustomization.yaml");
    manifests
        .map(|(name, text)| {
            let name = name.strip_suffix(".yaml").unwrap()[3..].to_owned();
            (name, serde_saphyr::from_str(text).unwrap())
        })
        .collect()
}

/// Every file of a folder, by name.
pub(super) fn files_of(folder: &Path) -> BTreeMap<String, String> {
    fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs_err::read_to_string(path).unwrap())
        })
        .collect()
}

/// Says that a test is skipped, or fails where it must not be.
#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment alone")]
#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
pub(super) fn skip(reason: &str) {
    let required = std::env::var_os("SPECMILL_REQUIRE_KUBERNETES").is_some_and(|value| value == "1");
    assert!(!required, "SPECMILL_REQUIRE_KUBERNETES is set and {reason}");
    println!("SKIPPED: {reason}");
}
