//! What a run was made from, wherever it lay: every input by unit and file name, or where it has no unit by its path in
//! the release, with its size and digest.

use std::collections::BTreeMap;

use crate::digest::sha256_hex;
use crate::error::Result;
use crate::inventory::InventoryFile;
use crate::ledger::{FileRecord, State};
use crate::plan::Plan;
use crate::stages::catalog::{FileSurvey, Survey, TableSurvey};
use crate::stages::inventory;
use crate::unit::UnitId;

/// Every input of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// By unit, or catalogue, and file name; without a unit by the path in the release.
    files: BTreeMap<(String, String), Content>,
}

/// What a file held.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    bytes: u64,
    /// SHA-256, where it was taken.
    sha256: Option<String>,
}

/// One set of inputs against another; each list in order.
#[derive(Debug, Default)]
pub(crate) struct InputDifferences {
    /// Files of the same content.
    pub(crate) unchanged: usize,
    /// Of these, files of which only the sizes could be compared.
    pub(crate) by_size: usize,
    /// Files of another content.
    pub(crate) changed: Vec<String>,
    /// Files that are no longer there.
    pub(crate) missing: Vec<String>,
    /// Files that were not there.
    pub(crate) new: Vec<String>,
}

impl Content {
    /// Whether it is the same; by its size where one of the two has no digest.
    fn is(&self, other: &Self) -> bool {
        let differ = self.sha256.is_some() && other.sha256.is_some() && self.sha256 != other.sha256;
        self.bytes == other.bytes && !differ
    }
}

impl Inputs {
    /// What the inventory and the list of catalogues in the plan's folder say; `None` where there is neither.
    ///
    /// # Errors
    /// Where one of them cannot be understood.
    pub(crate) fn of_folder(plan: &Plan) -> Result<Option<Self>> {
        let mut inputs = Self::default();
        let has_inventory = plan.folder.join("inventory.parquet").exists();
        if has_inventory {
            // Single files lie anywhere.
            let in_release = plan.run_file.input.files.is_empty();
            for entry in inventory::load(plan)?.entries {
                for file in entry.files() {
                    inputs.add(entry.unit.as_ref(), file, in_release);
                }
            }
        }
        let survey = Survey::read(plan)?;
        for file in survey.files.iter().filter(|file| !is_absent(file)) {
            let FileRecord { path, bytes, sha256 } = &file.record;
            let of = format!("catalogue of {}", file.wanted.join(", "));
            inputs.insert(of, file_name(path), Content { bytes: *bytes, sha256: sha256.clone() });
        }
        Ok((has_inventory || !survey.files.is_empty()).then_some(inputs))
    }

    fn add(&mut self, unit: Option<&UnitId>, file: &InventoryFile, in_release: bool) {
        let path = file.path.display().to_string();
        let name = if unit.is_none() && in_release { path } else { file_name(&path) };
        let of = unit.map_or_else(String::new, ToString::to_string);
        self.insert(of, name, Content { bytes: file.bytes, sha256: file.sha256.clone() });
    }

    /// Files of one name, from several folders, are numbered.
    fn insert(&mut self, of: String, name: String, content: Content) {
        let mut key = (of, name);
        let mut n = 1_usize;
        let name = key.1.clone();
        while self.files.contains_key(&key) {
            n += 1;
            key.1 = format!("{name} ({n})");
        }
        self.files.insert(key, content);
    }

    /// Number of files.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// One digest of all of them.
    pub(crate) fn digest(&self) -> String {
        let line = |((of, name), content): (&(String, String), &Content)| {
            format!("{of} {name} {} {}\n", content.bytes, content.sha256.as_deref().unwrap_or("-"))
        };
        sha256_hex(self.files.iter().map(line).collect::<String>().as_bytes())
    }

    /// What became of these files in `now`.
    pub(crate) fn differences(&self, now: &Self) -> InputDifferences {
        let mut differences = InputDifferences::default();
        for (key, content) in &self.files {
            match now.files.get(key) {
                None => differences.missing.push(describe(key)),
                Some(found) if !found.is(content) => differences.changed.push(describe(key)),
                Some(found) => {
                    differences.unchanged += 1;
                    let by_size = found.sha256.is_none() || content.sha256.is_none();
                    differences.by_size += usize::from(by_size);
                }
            }
        }
        differences.new =
            now.files.keys().filter(|key| !self.files.contains_key(key)).map(describe).collect();
        differences
    }
}

impl InputDifferences {
    /// Whether every file is as it was.
    pub(crate) fn none(&self) -> bool {
        self.changed.is_empty() && self.missing.is_empty() && self.new.is_empty()
    }
}

/// A file that the run file names and nobody found.
fn is_absent(file: &FileSurvey) -> bool {
    let absent = |table: &TableSurvey| matches!(table.problem, Some((State::MissingUpstream, _)));
    file.record.bytes == 0 && !file.tables.is_empty() && file.tables.iter().all(absent)
}

fn describe((of, name): &(String, String)) -> String {
    if of.is_empty() { name.clone() } else { format!("{name} of {of}") }
}

/// The last part of a path: the rest is where it lay.
fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(files: &[(&str, u64, Option<&str>)]) -> Inputs {
        let file = |(name, bytes, sha256): &(&str, u64, Option<&str>)| {
            let content = Content { bytes: *bytes, sha256: sha256.map(str::to_owned) };
            (("iron/healpix/main/dark/64/1".to_owned(), (*name).to_owned()), content)
        };
        Inputs { files: files.iter().map(file).collect() }
    }

    #[test]
    fn what_changed_went_and_came_is_told_apart() {
        let before = inputs(&[("a", 1, Some("x")), ("b", 1, Some("x")), ("c", 1, Some("x")), ("d", 2, None)]);
        let now = inputs(&[("a", 1, Some("x")), ("b", 1, Some("y")), ("d", 2, Some("x")), ("e", 1, None)]);
        let found = before.differences(&now);
        assert_eq!((found.unchanged, found.by_size), (2, 1));
        assert_eq!(found.changed, ["b of iron/healpix/main/dark/64/1"]);
        assert_eq!(found.missing, ["c of iron/healpix/main/dark/64/1"]);
        assert_eq!(found.new, ["e of iron/healpix/main/dark/64/1"]);
        assert!(!found.none() && before.differences(&before).none());
    }

    #[test]
    fn files_of_one_name_do_not_take_each_others_place() {
        let file = |path: &str| InventoryFile { path: path.into(), bytes: 1, rows: None, sha256: None };
        let names = |in_release: bool| -> Vec<String> {
            let mut inputs = Inputs::default();
            for path in ["/a/coadd.fits", "/b/coadd.fits", "/c/coadd.fits"] {
                inputs.add(None, &file(path), in_release);
            }
            inputs.files.into_keys().map(|(_, name)| name).collect()
        };
        assert_eq!(names(true), ["/a/coadd.fits", "/b/coadd.fits", "/c/coadd.fits"]);
        // Single files may lie elsewhere the next time.
        assert_eq!(names(false), ["coadd.fits", "coadd.fits (2)", "coadd.fits (3)"]);
    }

    #[test]
    fn a_digest_is_of_names_sizes_and_contents() {
        let one = inputs(&[("a", 1, Some("x"))]).digest();
        for other in [("b", 1, Some("x")), ("a", 2, Some("x")), ("a", 1, Some("y")), ("a", 1, None)] {
            assert_ne!(inputs(&[other]).digest(), one);
        }
    }
}
