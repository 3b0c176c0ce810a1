//! `similar`: the spectra most like one target's, as a table and a picture.

use std::fmt::Write as _;
use std::path::Path;

use crate::class::Class;
use crate::cli::SimilarArgs;
use crate::config::{Environment, RunFile};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::filter::Filter;
use crate::run::print;
use crate::show::{Seen, draw_similar};
use crate::sink::postgres::Database;
use crate::sink::postgres::query::{Answer, Known, Question, filter_table, similar};

/// Carries out `similar`.
///
/// # Errors
/// Where the filter or the target is not right, the database cannot be asked, or the picture cannot be written.
pub(crate) fn run(args: &SimilarArgs, environment: &Environment) -> Result<Exit> {
    let run_file = RunFile::read(&args.run_file)?;
    let folder = args.run_folder.clone().unwrap_or(run_file.output.folder);
    let unfit = |argument, problem| Error::Argument { argument, problem };
    let filter = args
        .filter
        .as_deref()
        .map(|text| Filter::parse(text, &filter_table()))
        .transpose()
        .map_err(|error| unfit("--where", error.to_string()))?;
    let Some(metric) = run_file.neighbors.metrics.first().copied() else {
        let setting = "neighbors.metrics".to_owned();
        return Err(Error::Setting { setting, problem: "names no metric".to_owned() });
    };
    let question = Question {
        targetid: args.target,
        unit: args.unit.as_deref(),
        model: args.model.as_deref(),
        k: args.k,
        filter: filter.as_ref(),
        metric,
    };
    let database = Database::open(environment, &folder)?;
    let answer = similar(&database, &question)
        .map_err(Box::new)?
        .map_err(|reason| unfit("--target", reason.to_string()))?;
    let mut text = render(&answer, &question);
    if let Some(out) = &args.out {
        draw(&answer, &folder, out)?;
        let _ = writeln!(text, "drew {}", out.display());
    }
    print(&text)?;
    Ok(Exit::Complete)
}

/// The answer as people read it.
fn render(answer: &Answer, question: &Question<'_>) -> String {
    let Answer { model, model_hash, class, index, target, neighbors } = answer;
    let hash = model_hash.get(..12).unwrap_or(model_hash);
    let how = match index {
        Some(index) => format!("by index {index}"),
        None => "by comparing every vector".to_owned(),
    };
    let metric = question.metric.name();
    let mut text = format!(
        "model {model} ({class}, {hash}), {metric} distance, {how}\ntarget {} of {}, z {:.4}, {}\n\n",
        target.targetid,
        target.unit,
        target.z,
        kind(target),
    );
    let wide = neighbors.iter().map(|known| known.unit.len()).max().unwrap_or(0).max(4);
    let _ = writeln!(
        text,
        "rank  {:<wide$}  {:>19}  {:>8}  {:>9}  same  {:<10}{:<12}{:>7}{:>7}{:>7}",
        "unit", "targetid", "z", "distance", "spectype", "subtype", "snr_b", "snr_r", "snr_z"
    );
    for (rank, known) in (1..).zip(neighbors) {
        let same = if known.targetid == target.targetid { "yes" } else { "" };
        let [b, r, z] = known.snr.map(|snr| snr.map_or_else(|| "-".to_owned(), |snr| format!("{snr:.2}")));
        let _ = writeln!(
            text,
            "{rank:>4}  {:<wide$}  {:>19}  {:>8.4}  {:>9.5}  {same:<4}  {:<10}{:<12}{b:>7}{r:>7}{z:>7}",
            known.unit,
            known.targetid,
            known.z,
            known.distance.unwrap_or_default(),
            known.spectype.as_deref().unwrap_or("-"),
            known.subtype.as_deref().unwrap_or("-"),
        );
    }
    if neighbors.len() < usize::from(question.k) {
        let _ = writeln!(text, "there are no more");
    }
    text
}

fn kind(known: &Known) -> String {
    [known.spectype.as_deref(), known.subtype.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn draw(answer: &Answer, folder: &Path, out: &Path) -> Result<()> {
    let fail = |reason: String| Error::Drawing { path: out.to_owned(), reason };
    let class = Class::from_spectype(&answer.class)
        .ok_or_else(|| fail(format!("`{}` is not a class", answer.class)))?;
    let seen = |known: &Known| -> Result<Seen> {
        Ok(Seen {
            unit: known.unit.parse().map_err(|error: crate::unit::ParseUnitError| fail(error.to_string()))?,
            targetid: known.targetid,
            z: known.z,
            distance: known.distance,
            same_target: known.distance.is_some() && known.targetid == answer.target.targetid,
        })
    };
    let spectra =
        [&answer.target].into_iter().chain(&answer.neighbors).map(seen).collect::<Result<Vec<_>>>()?;
    draw_similar(folder, class, &answer.model, &spectra, out)
}
