//! `job render`: the manifests of a run file, as numbered files.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::manifests;
use super::yaml::yaml;
use crate::cli::RenderArgs;
use crate::config::RunFile;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::run::print;

/// The first line of every file begins so: it is ours to write again or to remove.
const MARK: &str = "# Written by `specmill job render`";
const KUSTOMIZATION: &str = "kustomization.yaml";

/// What `kubectl kustomize` and Argo CD start from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kustomization<'a> {
    api_version: &'a str,
    kind: &'a str,
    resources: Vec<&'a str>,
}

/// Writes the manifests and says what comes next.
///
/// # Errors
/// Where settings cannot be followed, or the folder cannot be written or holds files of others.
pub(super) fn run(args: &RenderArgs) -> Result<Exit> {
    let run_file = RunFile::read(&args.run_file)?;
    let files = files_of(&run_file, &args.run_file)?;
    let removed = write(&files, &args.out)?;
    let mut text = String::new();
    for (name, _) in &files {
        let _ = writeln!(text, "{}", args.out.join(name).display());
    }
    for name in removed {
        let _ = writeln!(text, "removed: {}", args.out.join(name).display());
    }
    let run_file = args.run_file.display();
    // `kubectl apply` starts all Jobs at once, and most would find nothing to work on.
    let _ = writeln!(
        text,
        "next: specmill job submit {run_file}; or give the folder to Argo CD, which keeps the order (kubectl apply \
         does not)"
    );
    print(&text)?;
    Ok(Exit::Complete)
}

/// Name and text of every file.
fn files_of(run_file: &RunFile, path: &Path) -> Result<Vec<(String, String)>> {
    let manifests = manifests::of(run_file, path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let head = format!("{MARK} from {name}: change that, and render again.\n");
    let resources = manifests.iter().map(|manifest| manifest.file_name.as_str()).collect();
    let kustomization =
        Kustomization { api_version: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", resources };
    let mut files = vec![(KUSTOMIZATION.to_owned(), format!("{head}{}", yaml(&kustomization)))];
    files.extend(
        manifests
            .iter()
            .map(|manifest| (manifest.file_name.clone(), format!("{head}{}", manifest.object.to_yaml()))),
    );
    files.sort_unstable();
    Ok(files)
}

/// Writes the files, and removes those of an earlier rendering that are no more; their names are returned.
fn write(files: &[(String, String)], folder: &Path) -> Result<Vec<String>> {
    let cannot = |what: &str| Error::io(format!("cannot {what} {}", folder.display()));
    fs_err::create_dir_all(folder).map_err(cannot("make the folder"))?;
    let mut ours = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(cannot("look into"))? {
        let path = entry.map_err(cannot("look into"))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_wanted = files.iter().any(|(wanted, _)| wanted == name);
        if is_ours(&path)? {
            ours.extend((!is_wanted).then(|| name.to_owned()));
        } else if is_wanted {
            return Err(Error::Argument {
                argument: "--out",
                problem: format!("{} was not written by `job render`: it stays as it is", path.display()),
            });
        }
    }
    ours.sort_unstable();
    for name in &ours {
        fs_err::remove_file(folder.join(name))
            .map_err(cannot("remove a file of an earlier rendering from"))?;
    }
    for (name, text) in files {
        fs_err::write(folder.join(name), text).map_err(cannot("write manifests into"))?;
    }
    Ok(ours)
}

/// Whether an earlier rendering wrote it: a numbered file, or the list of them, with our first line.
fn is_ours(path: &Path) -> Result<bool> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_numbered = name.ends_with(".yaml")
        && name.as_bytes().get(..2).is_some_and(|number| number.iter().all(u8::is_ascii_digit));
    if !(is_numbered || name == KUSTOMIZATION) || !path.is_file() {
        return Ok(false);
    }
    let bytes = fs_err::read(path).map_err(Error::io("cannot read what the folder already holds"))?;
    Ok(bytes.starts_with(MARK.as_bytes()))
}
