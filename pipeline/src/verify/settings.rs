//! What decided the stage hashes of two runs, as their records say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::report::{SettingDifference, SettingKind, Side};
use super::table::changes;
use crate::record::RunRecord;
use crate::stage::Stage;

/// Keys of a run file that change no byte of the lake: where things are, what a run may use, where results go next.
const FREE: [&str; 11] = [
    "job",
    "resources",
    "output",
    "load",
    "index",
    "input.root",
    "input.files",
    "input.declarations",
    "redshifts.path",
    "models.galaxy.folder",
    "models.qso.folder",
];

/// The records of a run folder.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Oldest first.
    records: Vec<RunRecord>,
    /// Folders whose names say where a run lay, each with a slash at its end.
    places: Vec<String>,
}

impl Records {
    /// Reads them; what cannot be read goes into `notes`.
    pub(super) fn read(folder: &Path, notes: &mut Vec<String>) -> Self {
        let mut records = Vec::new();
        for record in RunRecord::each(folder) {
            match record {
                Ok(record) => records.push(record),
                Err(error) => notes.push(format!("a run record is left out: {error}")),
            }
        }
        let mut places = BTreeSet::from([folder.display().to_string()]);
        for record in &records {
            for key in ["/input/root", "/output/folder"] {
                let Some(place) = record.run_file.pointer(key).and_then(Value::as_str) else { continue };
                let whole = record.working_folder.join(place).display().to_string();
                places.extend([whole, place.to_owned()]);
            }
        }
        let mut places: Vec<String> = places
            .into_iter()
            .map(|place| place.trim_end_matches('/').to_owned())
            .filter(|place| !place.is_empty() && place != ".")
            .map(|place| place + "/")
            .collect();
        // The longest first: one may lie in another.
        places.sort_by_key(|place| std::cmp::Reverse(place.len()));
        Self { records, places }
    }

    /// The newest record of a run of `stage`; without one, the newest.
    fn newest(&self, stage: Option<Stage>) -> Option<&RunRecord> {
        self.records.iter().rev().find(|record| stage.is_none_or(|stage| record.ran(stage)))
    }

    /// The folder as reports name it.
    pub(super) fn side(&self, folder: &Path) -> Side {
        let code: BTreeSet<String> = self.records.iter().map(code).collect();
        Side {
            folder: folder.display().to_string(),
            run_id: self.newest(None).map(|record| record.run_id.clone()),
            code: code.into_iter().collect(),
        }
    }

    /// A text without the folders that a run was made in.
    pub(super) fn placeless(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for place in &self.places {
            text = text.replace(place, "");
        }
        text
    }

    /// What the newest runs of some stages, or the newest of all, were told otherwise than those of `other`.
    pub(super) fn differences(&self, other: &Self, stages: &BTreeSet<Stage>) -> Vec<SettingDifference> {
        let wanted: Vec<Option<Stage>> =
            if stages.is_empty() { vec![None] } else { stages.iter().map(|stage| Some(*stage)).collect() };
        let mut found: BTreeMap<(u8, String), SettingDifference> = BTreeMap::new();
        for stage in wanted {
            let (Some(a), Some(b)) = (self.newest(stage), other.newest(stage)) else { continue };
            let settings = changes("", &settings(&a.run_file), &settings(&b.run_file));
            let settings = settings.into_iter().map(|change| (SettingKind::Setting, change));
            // A record that does not say is not one that says otherwise.
            let contents = changes("", &a.contents, &b.contents).into_iter();
            let contents = contents
                .filter(|change| change.a.is_some() && change.b.is_some())
                .map(|change| (content_kind(&change.name), change));
            for (kind, change) in settings.chain(contents) {
                let key = (u8::from(kind != SettingKind::Setting), change.name.clone());
                found.entry(key).or_insert(SettingDifference { kind, change });
            }
        }
        found.into_values().collect()
    }
}

fn content_kind(name: &str) -> SettingKind {
    if name == "constants" || name.starts_with("version of ") {
        SettingKind::Code
    } else {
        SettingKind::Content
    }
}

/// The program that made a record.
fn code(record: &RunRecord) -> String {
    format!("{} ({})", record.specmill_version, record.git_hash)
}

/// The settings of a run file that can decide bytes, by key.
pub(crate) fn settings(run_file: &Value) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    collect(run_file, "", &mut keys);
    keys
}

fn collect(value: &Value, key: &str, keys: &mut BTreeMap<String, String>) {
    let of = |part: &str| if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") };
    let is_free = FREE.contains(&key) || (key.starts_with("catalog.") && key.ends_with(".files"));
    match value {
        _ if is_free => {}
        Value::Object(map) => map.iter().for_each(|(part, value)| collect(value, &of(part), keys)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(n, value)| collect(value, &of(&n.to_string()), keys));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            keys.insert(key.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_only_say_where_or_how_fast_are_left_out() {
        let run_file = json!({
            "extract": { "mask_rule": "dr1", "skip_zwarn_bits": [0, 7] },
            "input": { "root": "/a", "specprod": "iron" },
            "catalog": [{ "name": "zpix", "files": ["a.fits"] }],
            "job": { "shards": 3 },
            "resources": { "threads": 1 },
        });
        let found: Vec<(String, String)> = settings(&run_file).into_iter().collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            found,
            [
                pair("catalog.0.name", "\"zpix\""),
                pair("extract.mask_rule", "\"dr1\""),
                pair("extract.skip_zwarn_bits", "[0,7]"),
                pair("input.specprod", "\"iron\""),
            ]
        );
    }

    #[test]
    fn a_reason_is_the_same_wherever_the_run_lay() {
        let records =
            Records { records: Vec::new(), places: vec!["/home/her/dr1/".to_owned(), "dr1/".to_owned()] };
        for text in ["/home/her/dr1/a.fits: truncated", "dr1/a.fits: truncated"] {
            assert_eq!(records.placeless(text), "a.fits: truncated");
        }
    }
}
