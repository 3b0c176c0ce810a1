//! Runs as PROV: the rules of PROV-JSON (W3C Member Submission 2013-04-24) that a reader relies on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};
use specmill::ledger::{FileRecord, LedgerRow};
use specmill::stage::Stage;

use super::{RELEASE, RUN, sha256};
use crate::run_folder::{RunFolder, files_below};

/// What a relation's key names, by kind of relation.
const RELATIONS: [(&str, &[(&str, &str)]); 6] = [
    ("used", &[("prov:activity", "activity"), ("prov:entity", "entity")]),
    ("wasGeneratedBy", &[("prov:entity", "entity"), ("prov:activity", "activity")]),
    ("wasAssociatedWith", &[("prov:activity", "activity"), ("prov:agent", "agent"), ("prov:plan", "entity")]),
    ("wasInformedBy", &[("prov:informed", "activity"), ("prov:informant", "activity")]),
    (
        "wasDerivedFrom",
        &[("prov:generatedEntity", "entity"), ("prov:usedEntity", "entity"), ("prov:activity", "activity")],
    ),
    ("hadMember", &[("prov:collection", "entity"), ("prov:entity", "entity")]),
];

/// The documents of a run folder, oldest first.
fn documents(run: &Path) -> Vec<Value> {
    let read = |path| serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    files_below(&run.join("prov")).into_iter().map(read).collect()
}

fn section<'a>(document: &'a Value, name: &str) -> &'a Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    document.get(name).map_or(&EMPTY, |section| section.as_object().expect("a section is an object"))
}

/// Relations of a kind as the values of two of their keys.
fn pairs<'a>(document: &'a Value, name: &str, keys: [&str; 2]) -> Vec<(&'a str, &'a str)> {
    let of = |relation: &'a Value, key: &str| relation[key].as_str().unwrap();
    section(document, name).values().map(|relation| (of(relation, keys[0]), of(relation, keys[1]))).collect()
}

/// Checks what every PROV-JSON document must be.
fn assert_is_prov(document: &Value) {
    let prefixes: BTreeSet<&str> = section(document, "prefix").keys().map(String::as_str).collect();
    assert_eq!(document["prefix"]["prov"], "http://www.w3.org/ns/prov#");
    let known: Vec<&str> = ["prefix", "entity", "activity", "agent"]
        .into_iter()
        .chain(RELATIONS.iter().map(|(name, _)| *name))
        .collect();
    let qualified = |name: &str| {
        let (prefix, local) = name.split_once(':').unwrap_or_else(|| panic!("{name} has no prefix"));
        assert!(prefixes.contains(prefix) || prefix == "_", "{name}: unknown prefix");
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.%@".contains(c);
        assert!(!local.is_empty() && local.chars().all(plain), "{name}: not a local name");
    };
    for (name, section) in document.as_object().unwrap() {
        assert!(known.contains(&name.as_str()), "{name} is no part of PROV-JSON");
        if name == "prefix" {
            continue;
        }
        for (id, attributes) in section.as_object().unwrap() {
            qualified(id);
            for (key, value) in attributes.as_object().unwrap() {
                assert!(key.contains(':') && prefixes.contains(key.split(':').next().unwrap()), "{key}");
                for value in value.as_array().unwrap_or(&vec![value.clone()]) {
                    // A literal, or one with its type.
                    if let Some(typed) = value.as_object() {
                        assert_eq!(typed.keys().collect::<Vec<_>>(), ["$", "type"], "{value}");
                        assert_eq!(typed["type"], "prov:QUALIFIED_NAME");
                        qualified(typed["$"].as_str().unwrap());
                    } else {
                        assert!(value.is_string() || value.is_number(), "{key}: {value}");
                    }
                }
            }
        }
    }
    for (name, keys) in RELATIONS {
        for (id, relation) in section(document, name) {
            assert!(id.starts_with("_:"), "{id}");
            let found: BTreeSet<&str> = relation.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(found, keys.iter().map(|(key, _)| *key).collect(), "{name} {id}");
            for (key, kind) in keys {
                let target = relation[key].as_str().unwrap();
                assert!(
                    section(document, kind).contains_key(target),
                    "{name} {id}: there is no {kind} {target}"
                );
            }
        }
    }
    assert_times(document);
}

/// Activities begin before they end, and those that inform others before these begin.
fn assert_times(document: &Value) {
    let time = |id: &str, key: &str| -> String {
        let text = document["activity"][id][key].as_str().unwrap().to_owned();
        // 2026-11-21T22:35:54.123Z: the order of the text is the order of time.
        assert_eq!(text.len(), 24, "{text}");
        assert!(text.ends_with('Z') && text.starts_with("20") && text.as_bytes()[10] == b'T', "{text}");
        text
    };
    for id in section(document, "activity").keys() {
        assert!(time(id, "prov:startTime") <= time(id, "prov:endTime"), "{id}");
    }
    for (informed, informant) in pairs(document, "wasInformedBy", ["prov:informed", "prov:informant"]) {
        assert!(
            time(informant, "prov:startTime") <= time(informed, "prov:endTime"),
            "{informant} {informed}"
        );
    }
}

/// Entities by the path they are at and the digest they have.
fn by_content(document: &Value) -> BTreeMap<(String, String), &str> {
    section(document, "entity")
        .iter()
        .filter_map(|(id, entity)| {
            let (path, sha256) = (entity["prov:location"].as_str()?, entity["specmill:sha256"].as_str()?);
            Some(((path.to_owned(), sha256.to_owned()), id.as_str()))
        })
        .collect()
}

fn id<'a>(entities: &BTreeMap<(String, String), &'a str>, file: &FileRecord) -> &'a str {
    entities[&(file.path.clone(), file.sha256.clone().unwrap())]
}

#[test]
fn every_file_of_a_run_is_traced_to_what_it_was_made_from() {
    let documents = documents(&RUN.path());
    assert_eq!(documents.len(), 1);
    let document = &documents[0];
    assert_is_prov(document);

    let stages = ["inventory", "extract", "fit-basis", "embed", "neighbors"];
    let activities: BTreeSet<String> = section(document, "activity").keys().cloned().collect();
    assert_eq!(activities, stages.iter().map(|stage| format!("run:{stage}")).collect());
    let informed = pairs(document, "wasInformedBy", ["prov:informant", "prov:informed"]);
    let order: BTreeSet<(String, String)> =
        stages.windows(2).map(|pair| (format!("run:{}", pair[0]), format!("run:{}", pair[1]))).collect();
    assert_eq!(
        informed.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect::<BTreeSet<_>>(),
        order
    );

    let entities = by_content(document);
    let used: BTreeSet<(&str, &str)> =
        pairs(document, "used", ["prov:activity", "prov:entity"]).into_iter().collect();
    let generated: Vec<(&str, &str)> = pairs(document, "wasGeneratedBy", ["prov:entity", "prov:activity"]);
    let by_entity: BTreeMap<&str, &str> = generated.iter().copied().collect();
    assert_eq!(by_entity.len(), generated.len(), "a file is made once");
    let derived: BTreeSet<(&str, &str)> =
        pairs(document, "wasDerivedFrom", ["prov:generatedEntity", "prov:usedEntity"]).into_iter().collect();
    let mut files = 0;
    for row in RUN.accounts() {
        for output in &row.outputs {
            files += 1;
            let made = id(&entities, output);
            assert_eq!(by_entity[made], "run:extract");
            assert_eq!(
                sha256(&fs_err::read(RUN.path().join(&output.path)).unwrap()),
                *output.sha256.as_ref().unwrap()
            );
            for input in &row.inputs {
                let from = id(&entities, input);
                assert!(from.starts_with("input:") && used.contains(&("run:extract", from)), "{from}");
                assert!(derived.contains(&(made, from)), "{made} {from}");
            }
        }
    }
    assert!(files > 5, "{files} files");
    // Vectors come of spectra and a model; the model of what was sampled.
    let embedded: Vec<LedgerRow> = RUN.accounts_of(Stage::Embed);
    let row = embedded.iter().find(|row| !row.outputs.is_empty()).unwrap();
    let vectors = id(&entities, &row.outputs[0]);
    let spectra = id(&entities, &row.inputs[0]);
    assert!(spectra.starts_with("output:") && by_entity[spectra] == "run:extract");
    assert!(derived.contains(&(vectors, spectra)));
    let model = derived.iter().find(|(made, from)| *made == vectors && from.starts_with("model:")).unwrap().1;
    assert_eq!(by_entity[model], "run:fit-basis");
    // The collection that neighbours are found in has every file of vectors.
    let members = pairs(document, "hadMember", ["prov:collection", "prov:entity"]);
    let n_members = members.iter().filter(|(all, _)| all.starts_with("output:all/embeddings/")).count();
    assert_eq!(n_members, embedded.iter().map(|row| row.outputs.len()).sum::<usize>());
}

#[test]
fn a_run_speaks_of_what_it_wrote_alone() {
    let run = RunFolder::over(RELEASE.root());
    run.run(0);
    let unit = &run.units()[0];
    fs_err::remove_file(run.path().join(format!("features/{unit}.parquet"))).unwrap();
    run.run(0);
    let documents = documents(&run.path());
    assert_eq!(documents.len(), 2);
    documents.iter().for_each(assert_is_prov);
    let made = |document: &Value| -> BTreeSet<String> {
        let made = pairs(document, "wasGeneratedBy", ["prov:entity", "prov:activity"]);
        made.into_iter().filter(|(_, by)| *by == "run:extract").map(|(id, _)| id.to_owned()).collect()
    };
    let (first, second) = (made(&documents[0]), made(&documents[1]));
    // The same bytes are the same entities.
    assert_eq!(second.len(), run.account(unit).outputs.len());
    assert!(second.is_subset(&first) && second.len() < first.len());
    // Records of runs are as many as before.
    assert_eq!(files_below(&run.path().join("runs")).len(), 2);
}

#[test]
fn a_run_that_ends_with_an_error_has_its_document_too() {
    let run = RunFolder::over(RELEASE.root());
    run.run(0);
    // A folder where a file must go.
    let unit = &run.units()[0];
    let path = run.path().join(format!("features/{unit}.parquet"));
    fs_err::remove_file(&path).unwrap();
    fs_err::create_dir_all(path.join("in the way")).unwrap();
    assert_eq!(run.call(&["run"]).code, 1);
    let documents = documents(&run.path());
    assert_eq!(documents.len(), 2);
    assert_is_prov(&documents[1]);
    assert!(section(&documents[1], "activity").contains_key("run:inventory"));
}
