//! The files of two run folders: whole, accounted for, of the same bytes, and if not, how they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;

use super::accounts::Output;
use super::report::{Damage, Degree, FileDifference, Stray, Which};
use super::table::{self, Left, changes};
use crate::digest::sha256_file;
use crate::error::{Error, Result};
use crate::ledger::{FileRecord, Ledger};
use crate::stage::Stage;

/// Folders that hold nothing but results.
const RESULTS: [&str; 8] =
    ["features", "spectra", "models", "embeddings", "neighbors", "scores", "catalog", "catalog_raw"];
pub(super) const INVENTORY: &str = "inventory.parquet";
pub(super) const LEDGER: &str = "ledger.parquet";
pub(super) const SURVEY: &str = "catalog-inventory.json";
pub(super) const KEYS: &str = "catalog-keys.json";
/// Files of a run folder that no account names; two folders are compared in those that both have, and it is said where
/// one lacks them.
const UNACCOUNTED: [&str; 4] = [INVENTORY, LEDGER, SURVEY, KEYS];

/// What was found of the files.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) equal: u64,
    pub(super) different: Vec<FileDifference>,
    pub(super) damaged: Vec<Damage>,
    pub(super) stray: Vec<Stray>,
    pub(super) notes: Vec<String>,
}

/// What became of one path.
enum Outcome {
    Equal,
    Different(Box<FileDifference>),
    /// In one folder, whole.
    Alone,
}

/// Reads every file again and compares those of one path.
///
/// # Errors
/// Where a folder cannot be listed.
pub(super) fn compare(a: &Path, b: &Path, outputs: &BTreeMap<String, Output>, max_ulp: u64) -> Result<Files> {
    let outputs: Vec<(&String, &Output)> = outputs.iter().collect();
    let outcomes: Vec<(Vec<Damage>, Outcome)> = outputs
        .par_iter()
        // A file at a time: their sizes differ by orders of magnitude.
        .with_max_len(1)
        .map(|(path, output)| compare_output(a, b, path, output, max_ulp))
        .collect();
    let mut files = Files::default();
    for (damaged, outcome) in outcomes {
        files.damaged.extend(damaged);
        match outcome {
            Outcome::Equal => files.equal += 1,
            Outcome::Different(difference) => files.different.push(*difference),
            Outcome::Alone => {}
        }
    }
    for name in UNACCOUNTED {
        compare_unaccounted(a, b, name, max_ulp, &mut files)?;
    }
    for (side, folder) in [(Which::A, a), (Which::B, b)] {
        let known: BTreeSet<&str> = outputs
            .iter()
            .filter(|(_, output)| match side {
                Which::A => output.a.is_some(),
                Which::B => output.b.is_some(),
            })
            .map(|(path, _)| path.as_str())
            .collect();
        files.stray.extend(stray(side, folder, &known)?);
    }
    Ok(files)
}

/// One of the files that no account names.
fn compare_unaccounted(
    a: &Path,
    b: &Path,
    name: &'static str,
    max_ulp: u64,
    files: &mut Files,
) -> Result<()> {
    let (side, folder) = match (a.join(name).exists(), b.join(name).exists()) {
        (false, false) => return Ok(()),
        (true, true) => {
            let digest = |folder: &Path| {
                sha256_file(&folder.join(name)).map_err(Error::io("cannot read a file of a run folder"))
            };
            if digest(a)? == digest(b)? {
                files.equal += 1;
            } else {
                files.different.push(compare_files(a, b, name, max_ulp));
            }
            return Ok(());
        }
        (true, false) => (Which::B, b),
        (false, true) => (Which::A, a),
    };
    // Spectra are never extracted without an inventory.
    if name == INVENTORY && !Ledger::of_run(folder).units(Stage::Extract)?.is_empty() {
        let problem = "it is not there, but accounts of extract are".to_owned();
        files.damaged.push(Damage { side, path: name.to_owned(), problem });
    } else {
        files.notes.push(format!("{name} is not in {side:?}, and not compared"));
    }
    Ok(())
}

fn compare_output(a: &Path, b: &Path, path: &str, output: &Output, max_ulp: u64) -> (Vec<Damage>, Outcome) {
    let check = |side: Which, folder: &Path, record: &Option<FileRecord>| {
        let digest = digest_as_recorded(folder, record.as_ref()?);
        Some(digest.map_err(|problem| Damage { side, path: path.to_owned(), problem }))
    };
    let outcome = match (check(Which::A, a, &output.a), check(Which::B, b, &output.b)) {
        (Some(Ok(of_a)), Some(Ok(of_b))) if of_a == of_b => Outcome::Equal,
        (Some(Ok(_)), Some(Ok(_))) => Outcome::Different(Box::new(compare_files(a, b, path, max_ulp))),
        // What a damaged file holds is no result.
        (of_a, of_b) => {
            let damaged = [of_a, of_b].into_iter().flatten().filter_map(std::result::Result::err);
            return (damaged.collect(), Outcome::Alone);
        }
    };
    (Vec::new(), outcome)
}

/// The digest of a file, which must be the account's; else what is wrong.
fn digest_as_recorded(folder: &Path, record: &FileRecord) -> std::result::Result<String, String> {
    let path = folder.join(&record.path);
    let bytes = match fs_err::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("it is not there".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    if bytes != record.bytes {
        return Err(format!("{bytes} bytes, but its account says {}", record.bytes));
    }
    let sha256 = sha256_file(&path).map_err(|error| error.to_string())?;
    match &record.sha256 {
        Some(recorded) if *recorded != sha256 => {
            Err(format!("its SHA-256 is {sha256}, but its account says {recorded}"))
        }
        _ => Ok(sha256),
    }
}

/// Two whole files of other bytes.
fn compare_files(a: &Path, b: &Path, path: &str, max_ulp: u64) -> FileDifference {
    let (file_a, file_b) = (a.join(path), b.join(path));
    let bytes = |file: &Path| fs_err::metadata(file).map_or(0, |found| found.len());
    let mut found = FileDifference {
        path: path.to_owned(),
        bytes: [bytes(&file_a), bytes(&file_b)],
        degree: Degree::OtherValues,
        problem: None,
        table: None,
        keys: Vec::new(),
        first_byte: None,
    };
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    let compared = match extension {
        Some("parquet") => compare_tables(&file_a, &file_b, path, max_ulp, &mut found),
        Some("json" | "toml") => compare_keys(&file_a, &file_b, &mut found),
        _ => Ok(()),
    };
    if let Err(error) = compared {
        found.problem = Some(error.to_string());
    }
    if found.table.is_none() && found.keys.is_empty() && found.problem.is_none() {
        match first_byte(&file_a, &file_b) {
            Ok(place) => found.first_byte = place,
            Err(error) => found.problem = Some(error.to_string()),
        }
    }
    found
}

fn compare_tables(a: &Path, b: &Path, path: &str, max_ulp: u64, found: &mut FileDifference) -> Result<()> {
    // Where an input lay, and what lay beside it, is no result.
    let left = match path {
        INVENTORY => Left { columns: &["_path"], footer: Some("ignored_files") },
        // Accounts are compared one by one, with a better eye for places.
        LEDGER => Left { columns: &["inputs", "reason", "notes"], footer: None },
        _ => Left::default(),
    };
    let table = table::compare(a, b, left)?;
    found.degree = table.degree(max_ulp);
    found.table = Some(table);
    Ok(())
}

/// Keys of two JSON or TOML files.
fn compare_keys(a: &Path, b: &Path, found: &mut FileDifference) -> Result<()> {
    let keys = |path: &Path| -> Result<BTreeMap<String, String>> {
        let text = fs_err::read_to_string(path).map_err(Error::io("cannot read a file of a run folder"))?;
        let value: Value = if path.extension().is_some_and(|extension| extension == "toml") {
            let lake =
                |error: toml::de::Error| Error::Lake { path: path.to_owned(), problem: error.to_string() };
            toml::from_str(&text).map_err(lake)?
        } else {
            serde_json::from_str(&text)
                .map_err(|source| Error::Record { path: path.to_owned(), source: Box::new(source) })?
        };
        let mut keys = BTreeMap::new();
        collect(&value, "", &mut keys);
        Ok(keys)
    };
    found.keys = changes("", &keys(a)?, &keys(b)?);
    if found.path == SURVEY {
        found.keys.retain(|key| !key.name.ends_with(".record.path") && !key.name.ends_with(".problem.1"));
    }
    if found.keys.is_empty() {
        found.degree = Degree::SameValues;
    }
    Ok(())
}

fn collect(value: &Value, key: &str, keys: &mut BTreeMap<String, String>) {
    let of = |part: &str| if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(part, value)| collect(value, &of(part), keys)),
        Value::Array(items) => {
            keys.insert(of("length"), items.len().to_string());
            items.iter().enumerate().for_each(|(n, value)| collect(value, &of(&n.to_string()), keys));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            keys.insert(key.to_owned(), value.to_string());
        }
    }
}

/// The place of the first byte that differs, or of the end of the shorter file.
fn first_byte(a: &Path, b: &Path) -> std::io::Result<Option<u64>> {
    use std::io::Read as _;

    const CHUNK: usize = 1 << 20;
    let (mut a, mut b) = (fs_err::File::open(a)?, fs_err::File::open(b)?);
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    let mut place = 0_u64;
    loop {
        of_a.clear();
        of_b.clear();
        a.by_ref().take(CHUNK as u64).read_to_end(&mut of_a)?;
        b.by_ref().take(CHUNK as u64).read_to_end(&mut of_b)?;
        let same = of_a.iter().zip(&of_b).take_while(|(a, b)| a == b).count();
        place += same as u64;
        if same < of_a.len().max(of_b.len()) {
            return Ok(Some(place));
        }
        if of_a.is_empty() {
            return Ok(None);
        }
    }
}

/// Files in the folders of results that are not known.
fn stray(side: Which, folder: &Path, known: &BTreeSet<&str>) -> Result<Vec<Stray>> {
    let list = |source| Error::Io { what: "cannot list a run folder".to_owned(), source };
    let mut stray = Vec::new();
    let mut folders: Vec<PathBuf> =
        RESULTS.iter().map(|name| folder.join(name)).filter(|path| path.is_dir()).collect();
    while let Some(inner) = folders.pop() {
        for entry in fs_err::read_dir(&inner).map_err(list)? {
            let path = entry.map_err(list)?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            if !known.contains(name.as_str()) {
                stray.push(Stray { side, path: name });
            }
        }
    }
    stray.sort();
    Ok(stray)
}
