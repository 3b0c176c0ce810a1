//! Dashboard, alerts and their README name what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use specmill::error::ErrorClass;
use specmill::observe::METRIC_FAMILIES;
use specmill::stage::Stage;

use super::exposition::Exposition;
use super::query::{check, check_counts_once};
use crate::database::TestDatabase;
use crate::run_folder::{Release, RunFolder};

fn text(name: &str) -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs_err::read_to_string(project.join("jobs/observability").join(name)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("dashboard.json")).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    list(&dashboard["panels"]).iter().filter(|panel| panel["type"] != "row").collect()
}

fn all_names() -> BTreeSet<String> {
    METRIC_FAMILIES.iter().map(|family| family.full_name()).collect()
}

#[test]
fn every_query_of_the_dashboard_names_metrics_that_exist() {
    let dashboard = dashboard();
    let mut shown = BTreeSet::new();
    for panel in panels(&dashboard) {
        let targets = list(&panel["targets"]);
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            shown.extend(check(query));
            check_counts_once(query);
            for variable in ["namespace=~\"$namespace\"", "run=~\"$run\""] {
                assert!(query.contains(variable), "{query} leaves out {variable}");
            }
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if variable["type"] == "query" {
            check(&variable["definition"].as_str().unwrap().replace("${name:regex}", ""));
        }
    }
    // Clocks of runs are for alerts.
    let hidden = ["specmill_run_started_timestamp_seconds", "specmill_run_finished_timestamp_seconds"];
    let missing: Vec<String> =
        all_names().difference(&shown).filter(|name| !hidden.contains(&name.as_str())).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "in no panel");
}

#[test]
fn the_dashboard_is_one_that_grafana_draws() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    assert!(dashboard["uid"].as_str().is_some_and(|uid| uid.len() <= 40));
    let variables: Vec<&str> =
        list(&dashboard["templating"]["list"]).iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(variables, ["datasource", "namespace", "name", "run", "stage"]);
    let all = list(&dashboard["panels"]);
    let ids: BTreeSet<u64> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "ids are not unique");
    let place = |panel: &Value| {
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        (side("x"), side("y"), side("w"), side("h"))
    };
    for (n, panel) in all.iter().enumerate() {
        let (x, y, w, h) = place(panel);
        assert!(w > 0 && h > 0 && x + w <= 24, "{}", panel["title"]);
        for other in &all[..n] {
            let (ox, oy, ow, oh) = place(other);
            let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
            assert!(apart, "{} lies over {}", panel["title"], other["title"]);
        }
    }
    for panel in panels(&dashboard) {
        let mut refs = BTreeSet::new();
        for target in list(&panel["targets"]) {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            assert!(refs.insert(target["refId"].as_str().unwrap()), "{}", panel["title"]);
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
    }
}

#[test]
fn every_alert_names_metrics_that_exist_and_what_to_do() {
    let rules = yaml("alerts.yaml");
    assert_eq!(
        (rules["kind"].as_str(), rules["apiVersion"].as_str()),
        (Some("PrometheusRule"), Some("monitoring.coreos.com/v1"))
    );
    let mut names = BTreeSet::new();
    for rule in list(&rules["spec"]["groups"]).iter().flat_map(|group| list(&group["rules"])) {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} comes twice");
        check(rule["expr"].as_str().unwrap());
        check_counts_once(rule["expr"].as_str().unwrap());
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["info", "warning", "critical"].contains(&severity), "{name}");
        for annotation in ["summary", "description", "action"] {
            let text = rule["annotations"][annotation].as_str().unwrap_or_default();
            assert!(text.len() > 15, "{name} has no {annotation}");
        }
    }
    assert!(names.len() >= 6, "{names:?}");
    // A query may tell stages apart; they are called as they are everywhere.
    let text = text("alerts.yaml");
    for words in text.split("stage=~\"").skip(1).chain(text.split("stage=\"").skip(1)) {
        for word in words.split('"').next().unwrap().split('|') {
            assert!(Stage::ALL.iter().any(|stage| stage.name() == word), "{word} is no stage");
        }
    }
    assert_eq!(yaml("podmonitor.yaml")["spec"]["podMetricsEndpoints"][0]["port"], "metrics");
}

#[test]
fn what_an_alert_tells_to_do_can_be_done() {
    let rules = yaml("alerts.yaml");
    let mut called = 0;
    for rule in list(&rules["spec"]["groups"]).iter().flat_map(|group| list(&group["rules"])) {
        let action = rule["annotations"]["action"].as_str().unwrap();
        let commands = action.split('`').skip(1).step_by(2).filter_map(|text| text.strip_prefix("specmill "));
        for command in commands {
            let words = command.split(' ').take_while(|word| *word != "RUN.toml");
            let mut program = Command::new(env!("CARGO_BIN_EXE_specmill"));
            let help = program.args(words).arg("--help").output().unwrap();
            assert!(help.status.success(), "specmill {command}: {}", String::from_utf8_lossy(&help.stderr));
            called += 1;
        }
        // `submit` has neither stages, nor anything to do for a run that is complete.
        assert!(!action.contains("with the stage"), "{action}");
        let complete =
            ["SpecmillRunPartial", "SpecmillResultsOld"].contains(&rule["alert"].as_str().unwrap());
        let place = |command: &str| action.find(command);
        let (cancel, submit) = (place("`specmill job cancel "), place("`specmill job submit "));
        assert!(!complete || (cancel.is_some() && cancel < submit), "{action}");
    }
    assert!(called >= 6, "{called}");
}

#[test]
fn the_readme_lists_every_metric_with_its_labels_and_every_class() {
    let readme = text("README.md");
    let rows: BTreeMap<String, String> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `specmill_"))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim);
            let name = format!("specmill_{}", cells.next().unwrap().trim_end_matches('`'));
            (name, cells.next().unwrap().to_owned())
        })
        .collect();
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), all_names());
    for family in METRIC_FAMILIES {
        let labels: Vec<String> = family.labels().iter().map(|label| format!("`{label}`")).collect();
        assert_eq!(rows[&family.full_name()], labels.join(", "), "{}", family.full_name());
    }
    for class in ErrorClass::ALL {
        assert!(readme.contains(&format!("`{}`", class.name())), "{}", class.name());
    }
}

#[test]
fn a_run_of_all_stages_has_every_metric_but_those_of_a_card() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut run = RunFolder::with_models_over(Release::shared().root());
    // Models small enough for the few spectra there are.
    run.set("models.galaxy.components", "2").set("models.qso.components", "1");
    run.set("fit-basis.min_snr", "0.0")
        .set("embed.min_good_fraction", "0.1")
        .set("embed.max_variance", "1e9");
    run.set("neighbors.k", "4").set("neighbors.score_k", "2");
    let stages = Stage::ALL.into_iter().filter(|stage| *stage != Stage::Catalog);
    let file = run.path().parent().unwrap().join("last.prom");
    let mut command = run.command(&["run", "--metrics-file"]);
    command.arg(&file).env("DATABASE_URL", database.url());
    for stage in stages.clone() {
        command.args(["--stage", stage.name()]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = Exposition::parse(&fs_err::read_to_string(&file).unwrap());
    found.assert_declared();
    for stage in stages {
        let of_stage = [("stage", stage.name())];
        assert!(found.sum("specmill_stage_seconds", &of_stage) > 0.0, "{stage}");
        assert!(found.sum("specmill_rows_total", &of_stage) > 0.0, "{stage}");
        assert!(found.sum("specmill_units_waiting", &of_stage).abs() < 0.5, "{stage}");
        let accounts = run.accounts_of(stage).len() as f64;
        let units = found.sum("specmill_units", &of_stage);
        assert!(
            stage == Stage::Inventory || (units - accounts).abs() < 0.5,
            "{stage}: {units} of {accounts}"
        );
        assert!(units > 0.5, "{stage}");
    }
    assert_eq!(found.matching("specmill_load_units_waiting", &[]).map(|(_, n)| n).collect::<Vec<_>>(), [0.0]);
    // Of what is loaded nothing is old; no unit has failed.
    let absent: BTreeSet<String> = all_names()
        .into_iter()
        .filter(|name| !name.contains("_device_") && !found.types.contains_key(name))
        .collect();
    let none = ["specmill_errors_total", "specmill_load_oldest_unwritten_seconds"];
    assert_eq!(absent, none.map(str::to_owned).into());
}
