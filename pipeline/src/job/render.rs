//! `job render`: the manifests of a run file, as numbered files.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::yaml::yaml;
use super::{Manifest, Object, manifests};
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

/// A file of the folder.
struct Rendered {
    name: String,
    /// What it is, for whoever rendered it.
    what: String,
    text: String,
}

/// Writes the manifests and says what comes next.
///
/// # Errors
/// Where settings cannot be followed, or the folder cannot be written or holds files of others.
pub(super) fn run(args: &RenderArgs) -> Result<Exit> {
    let run_file = RunFile::read(&args.run_file)?;
    let files = files_of(&run_file, &args.run_file)?;
    let removed = write(&files, &args.out)?;
    let width = files.iter().map(|file| file.name.len()).max().unwrap_or_default();
    let mut text = format!("{}:\n", args.out.display());
    for Rendered { name, what, .. } in &files {
        let _ = writeln!(text, "  {name:width$}  {what}");
    }
    for name in removed {
        let _ = writeln!(text, "  {name:width$}  removed: no longer asked for");
    }
    // `kubectl apply` starts all Jobs at once, and most would find nothing to work on.
    let _ = writeln!(
        text,
        "next: `specmill job submit {}`, or give the folder to Argo CD, which keeps the order as `kubectl apply` does not",
        args.run_file.display()
    );
    print(&text)?;
    Ok(Exit::Complete)
}

/// Every file, the list of them last.
fn files_of(run_file: &RunFile, path: &Path) -> Result<Vec<Rendered>> {
    let manifests = manifests::of(run_file, path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let head = format!("{MARK} from {name}: change that, and render again.\n");
    let resources = manifests.iter().map(|manifest| manifest.file_name.as_str()).collect();
    let kustomization =
        Kustomization { api_version: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", resources };
    let list = Rendered {
        name: KUSTOMIZATION.to_owned(),
        what: "all of them, for kustomize".to_owned(),
        text: format!("{head}{}", yaml(&kustomization)),
    };
    let files = manifests.iter().map(|Manifest { file_name, object }| Rendered {
        name: file_name.clone(),
        what: describe(object),
        text: format!("{head}{}", object.to_yaml()),
    });
    Ok(files.chain(std::iter::once(list)).collect())
}

/// What an object is for, in a few words.
fn describe(object: &Object) -> String {
    match object {
        Object::ServiceAccount(_) => "the account of the pods, without rights".to_owned(),
        Object::ConfigMap(_) => "the run file".to_owned(),
        Object::NetworkPolicy(_) => "what pods may connect to".to_owned(),
        Object::Job(step) => {
            let spec = step.job.spec.as_ref();
            let shards = spec.filter(|spec| spec.backoff_limit_per_index.is_some());
            let pods = shards.and_then(|spec| Some((spec.completions?, spec.parallelism?)));
            match pods {
                Some((all, at_a_time)) => format!("{} in {all} shards, {at_a_time} at a time", step.name),
                None => format!("{} in one pod", step.name),
            }
        }
    }
}

/// Writes the files, and removes those of an earlier rendering that are no more; their names are returned.
fn write(files: &[Rendered], folder: &Path) -> Result<Vec<String>> {
    let cannot = |what: &str| Error::io(format!("cannot {what} {}", folder.display()));
    fs_err::create_dir_all(folder).map_err(cannot("make the folder"))?;
    let mut stale = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(cannot("look into"))? {
        let path = entry.map_err(cannot("look into"))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_wanted = files.iter().any(|file| file.name == name);
        if is_ours(&path)? {
            stale.extend((!is_wanted).then(|| name.to_owned()));
        } else if is_wanted {
            return Err(Error::Argument {
                argument: "--out",
                problem: format!("{} was not written by `job render`: it stays as it is", path.display()),
            });
        }
    }
    stale.sort_unstable();
    for name in &stale {
        fs_err::remove_file(folder.join(name))
            .map_err(cannot("remove a file of an earlier rendering from"))?;
    }
    for Rendered { name, text, .. } in files {
        fs_err::write(folder.join(name), text).map_err(cannot("write manifests into"))?;
    }
    Ok(stale)
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
