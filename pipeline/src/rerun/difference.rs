//! What is not as it was when a run was recorded, before it is run again.

use std::fmt::Write as _;

use specmill_kernels::Device;

use crate::inputs::{InputDifferences, Inputs};
use crate::plan::Plan;
use crate::record::{GIT_HASH, VERSION};
use crate::report::render_list;
use crate::verify::settings;

use super::original::Original;

/// Characters of a hash.
const HASH: usize = 12;

/// How a line of the table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Same,
    Differs,
    /// Told by the comparison afterwards.
    Later,
    /// Changes no byte.
    Free,
}

/// One thing, then and now.
#[derive(Debug)]
struct Line {
    what: String,
    recorded: String,
    now: String,
    standing: Standing,
}

/// Everything compared.
#[derive(Debug)]
pub(super) struct Differences {
    lines: Vec<Line>,
    /// Settings, versions and contents behind hashes that differ.
    behind: Vec<String>,
    inputs: InputDifferences,
    notes: Vec<String>,
}

impl Differences {
    /// Compares a record and the inputs of its folder with this program and the inputs found.
    pub(super) fn of(original: &Original, plan: &Plan, recorded: Option<Inputs>, now: &Inputs) -> Self {
        let record = &original.record;
        let mut notes = Vec::new();
        let mut lines = vec![
            Line::of("code version", &record.specmill_version, VERSION),
            Line::of("git hash", &record.git_hash, GIT_HASH),
        ];
        lines.extend(hashes(original, plan));
        let inputs = match recorded {
            Some(recorded) => {
                if record.inventory.as_ref().is_some_and(|digest| *digest != recorded.digest()) {
                    notes.push(
                        "the inventory in the original's folder is not the one of this record".to_owned(),
                    );
                }
                lines.push(input_line(&recorded, now));
                recorded.differences(now)
            }
            None => {
                notes
                    .push("the original's folder has no inventory: its inputs cannot be compared".to_owned());
                InputDifferences::default()
            }
        };
        lines.extend(models(original, plan));
        let recorded = format!("{} ({})", record.device, record.device_name);
        let mut now = plan.device.to_string();
        if plan.device == Device::Auto {
            now.push_str(": what is here");
        }
        lines.push(Line { what: "device".to_owned(), recorded, now, standing: Standing::Free });
        Self { behind: behind(original, plan), lines, inputs, notes }
    }

    /// Whether anything is not as it was.
    pub(super) fn any(&self) -> bool {
        self.lines.iter().any(|line| line.standing == Standing::Differs)
            || !self.behind.is_empty()
            || !self.inputs.none()
    }

    /// The table.
    pub(super) fn render(&self, original: &Original) -> String {
        let mut text = format!("rerun of {} in {}\n", original.record.run_id, original.folder.display());
        self.render_table(&mut text);
        render_list(&mut text, "behind the hashes", &self.behind);
        render_list(&mut text, "changed inputs", &self.inputs.changed);
        render_list(&mut text, "missing inputs", &self.inputs.missing);
        render_list(&mut text, "new inputs", &self.inputs.new);
        render_list(&mut text, "notes", &self.notes);
        text
    }

    fn render_table(&self, text: &mut String) {
        let head = ["what", "recorded", "now", ""].map(str::to_owned);
        let rows: Vec<[String; 4]> = self.lines.iter().map(Line::cells).collect();
        let width = |column: usize| {
            let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0) + 2
        };
        let (what, recorded, now) = (width(0), width(1), width(2));
        for [a, b, c, d] in [&head].into_iter().chain(&rows) {
            let line = format!("{a:<what$}{b:<recorded$}{c:<now$}{d}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

impl Line {
    fn of(what: impl Into<String>, recorded: &str, now: &str) -> Self {
        let standing = if recorded == now { Standing::Same } else { Standing::Differs };
        Self { what: what.into(), recorded: recorded.to_owned(), now: now.to_owned(), standing }
    }

    fn cells(&self) -> [String; 4] {
        let standing = match self.standing {
            Standing::Same => "same",
            Standing::Differs => "DIFFERS",
            Standing::Later => "compared afterwards",
            Standing::Free => "changes no byte",
        };
        [self.what.clone(), self.recorded.clone(), self.now.clone(), standing.to_owned()]
    }
}

fn short(hash: &str) -> &str {
    hash.get(..HASH).unwrap_or(hash)
}

/// Stage hashes, those after a fit under the condition that it gives the recorded models again.
fn hashes(original: &Original, plan: &Plan) -> Vec<Line> {
    let models: Vec<(String, String)> = plan
        .models
        .iter()
        .filter_map(|model| Some((model.name.clone(), original.models.get(&model.name)?.clone())))
        .collect();
    let line = |(name, hash): (String, String)| {
        let recorded = original.stage_hashes.get(&name).map_or("unknown", |hash| short(hash));
        Line::of(format!("hash of {name}"), recorded, short(&hash))
    };
    plan.stages.iter().flat_map(|stage| plan.stage_hashes(&[*stage], &models)).map(line).collect()
}

fn input_line(recorded: &Inputs, now: &Inputs) -> Line {
    let found = recorded.differences(now);
    let by_size =
        if found.by_size > 0 { format!(", {} by size alone", found.by_size) } else { String::new() };
    let counts = [("changed", &found.changed), ("missing", &found.missing), ("new", &found.new)];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, files)| !files.is_empty())
        .map(|(word, files)| format!("{} {word}", files.len()))
        .collect();
    let unchanged = format!("{} unchanged{by_size}", found.unchanged);
    Line {
        what: "inputs".to_owned(),
        recorded: format!("{} files", recorded.len()),
        now: [unchanged].into_iter().chain(counts).collect::<Vec<_>>().join(", "),
        standing: if found.none() { Standing::Same } else { Standing::Differs },
    }
}

fn models(original: &Original, plan: &Plan) -> Vec<Line> {
    let line = |model: &crate::plan::ModelPlan| {
        let what = format!("model {}", model.name);
        let recorded = original.models.get(&model.name)?;
        Some(match &model.given {
            Some((_, hash)) => Line::of(what, short(recorded), short(hash)),
            None => Line {
                what,
                recorded: short(recorded).to_owned(),
                now: "fitted again".to_owned(),
                standing: Standing::Later,
            },
        })
    };
    plan.models.iter().filter_map(line).collect()
}

/// What this program reads otherwise than the record says.
fn behind(original: &Original, plan: &Plan) -> Vec<String> {
    let record = &original.record;
    let value = |text: Option<&String>| text.map_or_else(|| "nothing".to_owned(), Clone::clone);
    let mut lines = Vec::new();
    let (recorded, now) = (settings(&record.run_file), settings(&json(plan)));
    let keys: std::collections::BTreeSet<&String> = recorded.keys().chain(now.keys()).collect();
    for key in keys.into_iter().filter(|key| recorded.get(*key) != now.get(*key)) {
        lines.push(format!("{key}: {} -> {}", value(recorded.get(key)), value(now.get(key))));
    }
    let now = plan.contents();
    for (name, recorded) in &record.contents {
        // What the record's stages read and this plan does not is no difference.
        if let Some(found) = now.get(name).filter(|found| *found != recorded) {
            lines.push(format!("{name}: {} -> {}", short(recorded), short(found)));
        }
    }
    lines
}

fn json(plan: &Plan) -> serde_json::Value {
    serde_json::to_value(&plan.run_file).unwrap_or_default()
}
