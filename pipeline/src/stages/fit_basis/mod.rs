//! `fit-basis`: a seeded sample of each class's spectra → `models/<name>/`.

mod sample;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use specmill_kernels::empca::{Fitted, Settings, fit_basis};
use specmill_kernels::{Backend, SpectraBatch};
use specmill_schemas::model::sample as sample_table;

pub(super) use sample::check_width;

use crate::columns::Columns;
use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::ledger::{FileRecord, Ledger, LedgerRow, RowCounts, State};
use crate::model as models;
use crate::model::{Card, EMBEDDER, EMBEDDER_VERSION, GridCard, Model, SAMPLE, Training};
use crate::observe::Progress;
use crate::plan::{ModelPlan, Plan};
use crate::sink::{Footer, TableWriter};
use crate::stage::Stage;
use crate::stages::upstream::{as_one, extracted, features_of, model_unit, spectra_of};
use crate::stages::{self, StageReport, StepSeconds};

use sample::Sample;

/// Fewer spectra than this many times the components say nothing about them.
const SPECTRA_PER_COMPONENT: usize = 2;

const SAMPLE_ROWS_PER_GROUP: usize = 65_536;

const NORMALIZATION: &str = "amplitude a fitted to the mean spectrum with ivar weights over covered pixels; \
                             the components describe flux / a - mean";

/// Fits the models that are not fitted yet under the present settings and spectra.
///
/// # Errors
/// Where the run folder cannot be written or read, or memory does not suffice for the sample.
pub fn run<B: Backend>(
    dev: &B,
    plan: &Plan,
    inventory: &Inventory,
    progress: &Progress,
) -> Result<StageReport> {
    let ledger = Ledger::of_run(&plan.folder);
    let units = extracted(plan, inventory)?;
    let mut report = StageReport::default();
    progress.start(0, plan.models.len(), 0);
    for model in &plan.models {
        let _of_unit = tracing::error_span!("unit", unit = %model_unit(&model.name)).entered();
        let inputs = inputs(&units, model);
        let hash = plan.fit_hash(model);
        let row = ledger.read(Stage::FitBasis, &model_unit(&model.name))?;
        if row.is_some_and(|row| row.settles(&hash, &inputs) && row.outputs_stand(&plan.folder)) {
            report.settled += 1;
            progress.settled();
            continue;
        }
        let started = Instant::now();
        ledger.retract(Stage::FitBasis, &model_unit(&model.name))?;
        let outcome = match &model.given {
            Some((folder, _)) => take(plan, model, folder)?,
            None => {
                models::remove(&plan.folder, &model.name)?;
                fit(dev, plan, model, &units, &mut report.seconds)?
            }
        };
        let row = outcome.into_row(plan, model, inputs, started.elapsed().as_secs_f64());
        ledger.commit(&row)?;
        // How many rows a fit looks at is known when it has.
        progress.start(row.rows_in, 0, 0);
        progress.advance(row.rows_in);
        report.written.push(progress.account(row));
    }
    progress.finish();
    Ok(report)
}

/// How a model ended.
struct Outcome {
    state: State,
    reason: Option<String>,
    rows_in: u64,
    rows: RowCounts,
    outputs: Vec<FileRecord>,
    notes: Vec<String>,
}

impl Outcome {
    fn into_row(self, plan: &Plan, model: &ModelPlan, inputs: Vec<FileRecord>, seconds: f64) -> LedgerRow {
        LedgerRow {
            stage: Stage::FitBasis,
            unit: model_unit(&model.name),
            stage_hash: plan.fit_hash(model),
            state: self.state,
            reason: self.reason,
            rows_in: self.rows_in,
            rows: self.rows,
            inputs,
            outputs: self.outputs,
            notes: self.notes,
            seconds,
        }
    }
}

/// What a fit reads, as one record each for spectra and features.
fn inputs(units: &[LedgerRow], model: &ModelPlan) -> Vec<FileRecord> {
    if model.given.is_some() {
        return Vec::new();
    }
    let with_spectra = || units.iter().filter(|row| spectra_of(row, model.class).is_some());
    let spectra: Vec<&FileRecord> = with_spectra().filter_map(|row| spectra_of(row, model.class)).collect();
    let features: Vec<&FileRecord> = with_spectra().filter_map(features_of).collect();
    vec![as_one(&format!("spectra/{}", model.class), &spectra), as_one("features", &features)]
}

/// Takes over a model made elsewhere: its folder, under this run's name for it.
fn take(plan: &Plan, model: &ModelPlan, folder: &Path) -> Result<Outcome> {
    let mut given = Model::read(folder)?;
    given.card.name.clone_from(&model.name);
    let grid = plan.rest_grid(model.class);
    check_grid(&given, plan, model, folder)?;
    let outputs = given.write(&plan.folder, grid, footer(plan, model, &given.card))?;
    Ok(Outcome {
        state: State::Done,
        reason: None,
        rows_in: 0,
        rows: RowCounts::new(),
        outputs,
        notes: vec![format!("model {} as given", given.card.model_hash)],
    })
}

/// Refuses a model on another grid than the run's spectra.
fn check_grid(given: &Model, plan: &Plan, model: &ModelPlan, folder: &Path) -> Result<()> {
    let (card, grid) = (&given.card.grid, grid_card(plan, model));
    if *card == grid {
        return Ok(());
    }
    Err(Error::Model {
        folder: folder.to_owned(),
        problem: format!(
            "its grid is {} pixels from log10 {} in steps of {}, but [grids.{}] makes {} from {} in steps of {}",
            card.n_pixels,
            card.log10_first,
            card.dlog10,
            model.class,
            grid.n_pixels,
            grid.log10_first,
            grid.dlog10
        ),
    })
}

fn grid_card(plan: &Plan, model: &ModelPlan) -> GridCard {
    let grid = plan.rest_grid(model.class);
    GridCard { log10_first: grid.first_log10(), dlog10: grid.dlog10(), n_pixels: grid.n_bins() }
}

fn footer(plan: &Plan, model: &ModelPlan, card: &Card) -> Footer {
    let own = [("specmill.model", card.name.clone()), ("specmill.model_hash", card.model_hash.clone())];
    stages::footer(Stage::FitBasis, &plan.fit_hash(model), own)
}

/// Draws the sample, fits, and writes the model folder.
fn fit<B: Backend>(
    dev: &B,
    plan: &Plan,
    model: &ModelPlan,
    units: &[LedgerRow],
    seconds: &mut StepSeconds,
) -> Result<Outcome> {
    let reading = Instant::now();
    let sample = Sample::read(plan, units, model.class)?;
    seconds.read += reading.elapsed().as_secs_f64();
    let (n_spectra, least) = (sample.spectra.len(), SPECTRA_PER_COMPONENT * model.components);
    if n_spectra < least {
        let reason = format!(
            "{n_spectra} {} spectra are good enough, {} components need at least {least}",
            model.class, model.components
        );
        return Ok(empty(&sample, reason));
    }
    let computing = Instant::now();
    let fitted = fit_basis(dev, &upload(dev, plan, model, &sample)?, &settings(plan, model));
    seconds.compute += computing.elapsed().as_secs_f64();
    let fitted = match fitted {
        Ok(fitted) => fitted,
        Err(error @ specmill_kernels::KernelError::Domain { .. }) => {
            return Ok(empty(&sample, error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let writing = Instant::now();
    let outcome = write(plan, model, &sample, fitted);
    seconds.write += writing.elapsed().as_secs_f64();
    outcome
}

fn empty(sample: &Sample, reason: String) -> Outcome {
    tracing::warn!("no model: {reason}");
    Outcome {
        state: State::Empty,
        reason: Some(reason),
        rows_in: sample.rows_in,
        rows: sample.account(0, "no_fit"),
        outputs: Vec::new(),
        notes: Vec::new(),
    }
}

fn settings(plan: &Plan, model: &ModelPlan) -> Settings {
    let fit = &plan.run_file.fit_basis;
    Settings {
        components: model.components,
        smooth_pixels: model.smooth_pixels,
        max_iterations: fit.max_iterations,
        mean_iterations: fit.max_iterations,
        max_variance: plan.run_file.embed.max_variance,
        tolerance: fit.tolerance,
        seed: fit.seed,
    }
}

fn upload<B: Backend>(dev: &B, plan: &Plan, model: &ModelPlan, sample: &Sample) -> Result<SpectraBatch<B>> {
    Ok(SpectraBatch {
        n_spectra: sample.spectra.len(),
        n_pixels: plan.rest_grid(model.class).n_bins(),
        flux_sp: dev.upload(&sample.spectra.flux_sp)?,
        ivar_sp: dev.upload(&sample.spectra.ivar_sp)?,
        mask_sp: dev.upload(&[])?,
    })
}

fn write(plan: &Plan, model: &ModelPlan, sample: &Sample, fitted: Fitted) -> Result<Outcome> {
    let used = fitted.amplitude_s.iter().filter(|&&amplitude| amplitude > 0.0).count() as u64;
    let sample_record = write_sample(plan, model, sample, &fitted.amplitude_s)?;
    let mut notes = Vec::new();
    if !(fitted.converged && fitted.mean_converged) {
        notes.push(format!("not converged after {} iterations", plan.run_file.fit_basis.max_iterations));
        tracing::warn!(model = model.name, "the fit did not converge: raise fit-basis.max_iterations");
    }
    let chi2 = fitted.chi2_by_iteration.last().copied().unwrap_or(0.0);
    let mut fitted = Model {
        card: card(plan, model, sample, &fitted),
        mean_p: fitted.mean_p,
        n_spectra_p: fitted.n_spectra_p,
        basis_kp: fitted.basis_kp,
    };
    fitted.card.model_hash = fitted.content_hash();
    let card = &fitted.card;
    tracing::info!(
        model = card.name,
        hash = card.model_hash,
        iterations = card.training.chi2_by_iteration.len(),
        chi2_per_pixel = chi2 / sample.good_pixels.max(1) as f64,
        explained = card.explained_variance.last(),
        "basis fitted"
    );
    let mut outputs = vec![sample_record];
    outputs.extend(fitted.write(&plan.folder, plan.rest_grid(model.class), footer(plan, model, card))?);
    Ok(Outcome {
        state: State::Done,
        reason: None,
        rows_in: sample.rows_in,
        rows: sample.account(used, "amplitude"),
        outputs,
        notes,
    })
}

fn card(plan: &Plan, model: &ModelPlan, sample: &Sample, fitted: &Fitted) -> Card {
    let fit = &plan.run_file.fit_basis;
    let specprods: BTreeSet<String> =
        sample.unit_s.iter().filter_map(|unit| Some(unit.split('/').next()?.to_owned())).collect();
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Card {
        name: model.name.clone(),
        model_hash: String::new(),
        embedder: EMBEDDER.to_owned(),
        embedder_version: EMBEDDER_VERSION,
        class: model.class.name().to_owned(),
        dimension: model.components,
        normalization: NORMALIZATION.to_owned(),
        component_sd: fitted.component_sd_k.clone(),
        explained_variance: fitted.explained_k.clone(),
        intended_use: lines(&[
            "finding spectra of like shape among spectra of the same class, embedded under this model hash",
            "raw scores of strangeness: reconstruction chi-square and distance to neighbours",
        ]),
        not_for: lines(&[
            "comparing vectors of different model hashes, or of different classes",
            "line fluxes, redshifts or physical parameters: components are not physics",
            "probabilities: scores are not calibrated for redshift or signal-to-noise",
        ]),
        limits: lines(&[
            "linear: what moves in wavelength (absorption troughs, velocity shifts, wrong redshifts) takes many components",
            "vectors of one target at different redshift ranges rest on different pixels; embedding_variance says how well \
             each element is known",
            "the sample is what the run had: a class or redshift that is rare in it is rare in the components",
        ]),
        grid: grid_card(plan, model),
        training: Training {
            extract_hash: plan.extract_hash.clone(),
            specprods: specprods.into_iter().collect(),
            seed: fit.seed,
            candidates: sample.candidates,
            sample: sample.spectra.len() as u64,
            sample_sha256: sample.sha256.clone(),
            min_snr: fit.min_snr,
            min_good_fraction: fit.min_good_fraction,
            smooth_pixels: model.smooth_pixels,
            tolerance: fit.tolerance,
            converged: fitted.converged && fitted.mean_converged,
            chi2_by_iteration: fitted.chi2_by_iteration.clone(),
            good_pixels: sample.good_pixels,
        },
    }
}

fn write_sample(plan: &Plan, model: &ModelPlan, sample: &Sample, amplitude_s: &[f32]) -> Result<FileRecord> {
    let path = models::folder(&plan.folder, &model.name).join(SAMPLE);
    let footer = vec![("specmill.sample_sha256".to_owned(), sample.sha256.clone())];
    let mut writer =
        TableWriter::create(&path, &plan.folder, &sample_table(), SAMPLE_ROWS_PER_GROUP, footer)?;
    let mut columns = Columns::new(sample.spectra.len());
    columns.text("unit", sample.unit_s.iter().map(Some));
    columns.int64("targetid", sample.spectra.targetid_s.iter().copied().map(Some));
    columns.int32("row", sample.spectra.row_s.iter().copied().map(Some));
    columns.float64("z", sample.spectra.z_s.iter().copied().map(Some));
    columns.float32("amplitude", amplitude_s.iter().copied().map(Some));
    let batch = columns
        .into_batch(writer.schema())
        .map_err(|source| Error::Batch { path: path.clone(), source: Box::new(source) })?;
    writer.append(batch)?;
    writer.finish()?.commit(&plan.folder)
}
