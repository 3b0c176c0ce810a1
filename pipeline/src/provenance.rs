//! A run record as PROV: what was made from what, by which step, under which settings.
//!
//! The form is PROV-JSON (W3C Member Submission, 2013) with the terms of PROV-DM (W3C Recommendation, 2013); what the
//! IVOA's Provenance Data Model (Recommendation 1.0, 2020) has a name for carries that too, as `voprov:`. One activity
//! is a stage of the run, one entity a file, named by its path and the beginning of its SHA-256, so that documents of
//! several runs fit together. Only what this run wrote is in it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow::temporal_conversions::timestamp_ms_to_datetime;
use serde_json::{Value, json};

use crate::digest::{sha256_file, sha256_hex};
use crate::error::{Error, Result};
use crate::ledger::{FileRecord, LedgerRow};
use crate::record::{RunRecord, StageRecord};
use crate::sink;
use crate::stage::Stage;

/// Where the documents stand in a run folder.
const FOLDER: &str = "prov";
const AGENT: &str = "run:specmill";
const SETTINGS: &str = "run:settings";

/// Writes `prov/<run id>.json` and says where.
///
/// # Errors
/// Where the run folder cannot be written.
pub(crate) fn write(record: &RunRecord, run_folder: &Path) -> Result<PathBuf> {
    let path = run_folder.join(FOLDER).join(format!("{}.json", record.run_id));
    let inventory = if record.ran(Stage::Inventory) { inventory(run_folder)? } else { None };
    let run = Run::new(record, inventory);
    sink::write_streamed(run_folder, &path, |out| run.write(out))?;
    Ok(path)
}

/// The inventory has no account; it is a file of the run like the others.
fn inventory(run_folder: &Path) -> Result<Option<FileRecord>> {
    let path = run_folder.join("inventory.parquet");
    if !path.exists() {
        return Ok(None);
    }
    let cannot = || Error::io("cannot read the inventory");
    let bytes = fs_err::metadata(&path).map_err(cannot())?.len();
    let sha256 = sha256_file(&path).map_err(cannot())?;
    Ok(Some(FileRecord { path: "inventory.parquet".to_owned(), bytes, sha256: Some(sha256) }))
}

/// What a file is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Of the release, or a catalogue.
    Input,
    /// Of the run folder.
    Output,
    /// Many files of the run folder as one.
    Collection,
}

/// A run about to be written.
struct Run<'a> {
    record: &'a RunRecord,
    inventory: Option<FileRecord>,
    /// By stage, then unit.
    rows: Vec<&'a LedgerRow>,
}

/// A relation, without its number.
type Relation = Value;

impl<'a> Run<'a> {
    fn new(record: &'a RunRecord, inventory: Option<FileRecord>) -> Self {
        let mut rows: Vec<&LedgerRow> = record.written.iter().collect();
        rows.sort_by(|a, b| (a.stage, &a.unit).cmp(&(b.stage, &b.unit)));
        // A unit may get an account twice: the keys of a catalogue are checked after its rows are written.
        rows.reverse();
        rows.dedup_by(|later, kept| (later.stage, &later.unit) == (kept.stage, &kept.unit));
        rows.reverse();
        Self { record, inventory, rows }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut document = Document { out, begun: false };
        let prefixes = self.prefixes();
        document.section("prefix", prefixes.into_iter())?;
        document.section("entity", self.entities().into_iter())?;
        document.section("activity", self.record.stages.iter().map(|stage| self.activity(stage)))?;
        document.section("agent", [(AGENT.to_owned(), self.agent())].into_iter())?;
        document.relations("wasAssociatedWith", "a", self.associations())?;
        document.relations("wasInformedBy", "i", self.order())?;
        document.relations("used", "u", self.usages())?;
        document.relations("wasGeneratedBy", "g", self.generations())?;
        document.relations("wasDerivedFrom", "d", self.derivations())?;
        document.relations("hadMember", "m", self.members())?;
        document.end()
    }

    fn prefixes(&self) -> Vec<(String, Value)> {
        [
            ("prov", "http://www.w3.org/ns/prov#".to_owned()),
            ("xsd", "http://www.w3.org/2001/XMLSchema#".to_owned()),
            ("voprov", "http://www.ivoa.net/documents/ProvenanceDM/index.html#".to_owned()),
            ("specmill", "urn:specmill:terms:".to_owned()),
            ("run", format!("urn:specmill:run:{}:", local_name(&self.record.run_id))),
            ("input", "urn:specmill:input:".to_owned()),
            ("output", "urn:specmill:output:".to_owned()),
            ("model", "urn:specmill:model:".to_owned()),
        ]
        .map(|(prefix, uri)| (prefix.to_owned(), json!(uri)))
        .into()
    }

    /// Every entity once, in the order of their names.
    fn entities(&self) -> BTreeMap<String, Value> {
        let mut entities = BTreeMap::new();
        let settings = self.record.run_file.to_string();
        entities.insert(
            SETTINGS.to_owned(),
            json!({
                "prov:type": types(&["prov:Plan", "voprov:ConfigFile"]),
                "voprov:name": "run file as resolved",
                "prov:location": format!("runs/{}.json", self.record.run_id),
                "specmill:sha256": sha256_hex(settings.as_bytes()),
            }),
        );
        for (name, hash) in &self.record.models {
            let attributes = json!({
                "prov:type": types(&["voprov:DatasetEntity"]),
                "voprov:name": name,
                "prov:location": format!("models/{name}"),
                "specmill:model_hash": hash,
            });
            entities.insert(model_id(name, hash), attributes);
        }
        let mut add = |role: Role, file: &FileRecord| {
            entities.entry(file_id(role, file)).or_insert_with(|| attributes(role, file));
        };
        self.inventory.iter().for_each(|file| add(Role::Output, file));
        for row in &self.rows {
            row.inputs.iter().for_each(|file| add(input_role(row.stage, file), file));
            row.outputs.iter().for_each(|file| add(Role::Output, file));
        }
        entities
    }

    fn activity(&self, stage: &StageRecord) -> (String, Value) {
        let hashes: BTreeMap<&String, &String> = self
            .record
            .stage_hashes
            .iter()
            .filter(|(name, _)| name.split('/').next() == Some(&stage.stage))
            .collect();
        let mut attributes = json!({
            "prov:type": types(&["voprov:Activity"]),
            "voprov:name": stage.stage,
            "prov:startTime": iso_time(stage.started_unix_ms),
            "prov:endTime": iso_time(stage.ended_unix_ms),
            "specmill:units": stage.units,
            "specmill:rows_in": stage.rows_in,
            "specmill:device": self.record.device,
            "specmill:host": self.record.host,
        });
        if !hashes.is_empty() {
            let hashes: Vec<String> = hashes.iter().map(|(name, hash)| format!("{name} {hash}")).collect();
            attributes["specmill:stage_hash"] = json!(hashes);
        }
        (activity_id(&stage.stage), attributes)
    }

    fn agent(&self) -> Value {
        json!({
            "prov:type": types(&["prov:SoftwareAgent"]),
            "voprov:name": "specmill",
            "specmill:version": self.record.specmill_version,
            "specmill:git_hash": self.record.git_hash,
        })
    }

    fn associations(&self) -> impl Iterator<Item = Relation> + '_ {
        self.record.stages.iter().map(|stage| {
            json!({ "prov:activity": activity_id(&stage.stage), "prov:agent": AGENT, "prov:plan": SETTINGS })
        })
    }

    /// Stages follow each other.
    fn order(&self) -> impl Iterator<Item = Relation> + '_ {
        self.record.stages.windows(2).map(|pair| {
            json!({
                "prov:informed": activity_id(&pair[1].stage),
                "prov:informant": activity_id(&pair[0].stage),
            })
        })
    }

    fn usages(&self) -> impl Iterator<Item = Relation> + '_ {
        let usage = |stage: Stage, entity: String| json!({ "prov:activity": activity_id(stage.name()), "prov:entity": entity });
        // What several units of a stage were made from is used once.
        let mut used: Vec<(Stage, String)> = self
            .rows
            .iter()
            .flat_map(|row| {
                row.inputs.iter().map(|file| (row.stage, file_id(input_role(row.stage, file), file)))
            })
            .collect();
        for stage in [Stage::Embed, Stage::Neighbors].into_iter().filter(|stage| self.record.ran(*stage)) {
            used.extend(self.record.models.iter().map(|(name, hash)| (stage, model_id(name, hash))));
        }
        used.sort();
        used.dedup();
        used.into_iter().map(move |(stage, entity)| usage(stage, entity))
    }

    fn generations(&self) -> impl Iterator<Item = Relation> + '_ {
        let generation = |stage: Stage, entity: String| json!({ "prov:entity": entity, "prov:activity": activity_id(stage.name()) });
        let inventory = self.inventory.iter().map(|file| (Stage::Inventory, file_id(Role::Output, file)));
        let fitted = self.rows.iter().filter(|row| row.stage == Stage::FitBasis).filter_map(|row| {
            let name = row.unit.to_string();
            let (name, hash) = self.record.models.get_key_value(name.strip_prefix("model/")?)?;
            Some((Stage::FitBasis, model_id(name, hash)))
        });
        let outputs = self
            .rows
            .iter()
            .flat_map(|row| row.outputs.iter().map(|file| (row.stage, file_id(Role::Output, file))));
        inventory.chain(fitted).chain(outputs).map(move |(stage, entity)| generation(stage, entity))
    }

    /// Every output of a unit is derived from every input of it; a vector from its model, too.
    fn derivations(&self) -> impl Iterator<Item = Relation> + '_ {
        let derivation = |stage: Stage, made: &FileRecord, from: String| {
            json!({
                "prov:generatedEntity": file_id(Role::Output, made),
                "prov:usedEntity": from,
                "prov:activity": activity_id(stage.name()),
            })
        };
        self.rows.iter().flat_map(move |row| {
            let stage = row.stage;
            row.outputs.iter().flat_map(move |made| {
                let files = row.inputs.iter().map(move |file| file_id(input_role(stage, file), file));
                files.chain(self.model_of(stage, made)).map(move |from| derivation(stage, made, from))
            })
        })
    }

    /// The model that a file of vectors was made under.
    fn model_of(&self, stage: Stage, made: &FileRecord) -> Option<String> {
        let name =
            made.path.strip_prefix("embeddings/").filter(|_| stage == Stage::Embed)?.split('/').next()?;
        self.record.models.get_key_value(name).map(|(name, hash)| model_id(name, hash))
    }

    /// Files of this run in the collections that later stages of it read.
    fn members(&self) -> impl Iterator<Item = Relation> + '_ {
        let mut collections: BTreeMap<&str, String> = BTreeMap::new();
        for row in &self.rows {
            for file in row.inputs.iter().filter(|file| input_role(row.stage, file) == Role::Collection) {
                // Of these folders a stage reads every file; of others, some.
                if file.path.starts_with("spectra/") || file.path.starts_with("embeddings/") {
                    collections.insert(&file.path, file_id(Role::Collection, file));
                }
            }
        }
        let outputs = self.rows.iter().flat_map(|row| &row.outputs);
        outputs.filter_map(move |file| {
            let folder = file.path.match_indices('/').nth(1).map(|(end, _)| &file.path[..end])?;
            let collection = collections.get(folder)?;
            Some(json!({ "prov:collection": collection, "prov:entity": file_id(Role::Output, file) }))
        })
    }
}

fn input_role(stage: Stage, file: &FileRecord) -> Role {
    match stage {
        Stage::Inventory | Stage::Catalog | Stage::Extract => Role::Input,
        Stage::FitBasis | Stage::Neighbors => Role::Collection,
        Stage::Load if file.path.starts_with("models/") => Role::Collection,
        Stage::Embed | Stage::Load => Role::Output,
    }
}

fn attributes(role: Role, file: &FileRecord) -> Value {
    let (class, digest) = match role {
        Role::Input | Role::Output => ("voprov:DatasetEntity", "specmill:sha256"),
        Role::Collection => ("prov:Collection", "specmill:list_sha256"),
    };
    let mut attributes = json!({
        "prov:type": types(&[class]),
        "prov:location": file.path,
        "specmill:bytes": file.bytes,
    });
    if let Some(sha256) = &file.sha256 {
        attributes[digest] = json!(sha256);
    }
    attributes
}

fn types(names: &[&str]) -> Value {
    let names: Vec<Value> =
        names.iter().map(|name| json!({ "$": name, "type": "prov:QUALIFIED_NAME" })).collect();
    json!(names)
}

fn file_id(role: Role, file: &FileRecord) -> String {
    let prefix = match role {
        Role::Input => "input",
        Role::Output => "output",
        Role::Collection => "output:all",
    };
    let separator = if role == Role::Collection { '/' } else { ':' };
    format!("{prefix}{separator}{}{}", local_name(&file.path), short(file.sha256.as_deref()))
}

fn model_id(name: &str, hash: &str) -> String {
    format!("model:{}{}", local_name(name), short(Some(hash)))
}

/// Enough of a digest to tell files apart.
fn short(sha256: Option<&str>) -> String {
    sha256.and_then(|text| text.get(..16)).map_or_else(String::new, |text| format!("@{text}"))
}

fn activity_id(stage: &str) -> String {
    format!("run:{stage}")
}

/// Text as the local part of a qualified name: what has a meaning of its own there is percent-encoded.
fn local_name(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let text = text.trim_start_matches('/');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Milliseconds since 1970 as ISO 8601, UTC.
fn iso_time(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(timestamp_ms_to_datetime);
    time.map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// A PROV-JSON document being written, an entry a line.
struct Document<'a> {
    out: &'a mut dyn Write,
    begun: bool,
}

impl Document<'_> {
    /// One key of the document; nothing where there are no entries.
    fn section(&mut self, name: &str, entries: impl Iterator<Item = (String, Value)>) -> io::Result<()> {
        let mut empty = true;
        for (id, attributes) in entries {
            let before = match (empty, self.begun) {
                (false, _) => ",\n".to_owned(),
                (true, true) => format!(",\n\"{name}\": {{\n"),
                (true, false) => format!("{{\n\"{name}\": {{\n"),
            };
            write!(self.out, "{before}  {}: {attributes}", json!(id))?;
            (empty, self.begun) = (false, true);
        }
        if empty { Ok(()) } else { write!(self.out, "\n}}") }
    }

    /// A kind of relation, each with a number for a name.
    fn relations(
        &mut self,
        name: &str,
        letter: &str,
        relations: impl Iterator<Item = Relation>,
    ) -> io::Result<()> {
        let named = relations.enumerate().map(|(n, relation)| (format!("_:{letter}{}", n + 1), relation));
        self.section(name, named)
    }

    fn end(self) -> io::Result<()> {
        writeln!(self.out, "\n}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_8601_in_utc() {
        // 2000-02-29 12:34:56.789, the leap day of a century that has one.
        assert_eq!(iso_time(951_827_696_789), "2000-02-29T12:34:56.789Z");
    }

    #[test]
    fn a_path_becomes_a_name_that_cannot_be_read_otherwise() {
        assert_eq!(local_name("spectro/redux/iron/a-1.fits"), "spectro/redux/iron/a-1.fits");
        assert_eq!(local_name("/data/a b:c%"), "data/a%20b%3Ac%25");
    }
}
