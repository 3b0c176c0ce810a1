//! A run file resolved: nothing optional, everything that decides bytes hashed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_kernels::{Device, Grid};
use specmill_schemas::catalogs::{Catalog, CatalogTable};
use specmill_schemas::constants;

use crate::class::Class;
use crate::config::{DigestSetting, GridSetting, ModelSetting, RedshiftSource, RunFile};
use crate::declared::{self, CatalogPlan};
use crate::digest::{sha256_file, sha256_hex};
use crate::error::{Error, Result};
use crate::model::{MAX_COMPONENTS, Model};
use crate::shard::Shard;
use crate::stage::{Stage, StageKind};
use crate::unit::is_plain_name;

/// Neighbours of a target, at most: a bound on what a typing error can allocate.
const MAX_NEIGHBORS: usize = 1000;

/// What a run will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The run file it was made from.
    pub run_file: RunFile,
    /// Run folder.
    pub folder: PathBuf,
    /// Stages in order.
    pub stages: Vec<Stage>,
    /// The share of a map stage's units that is this process's; `None` = all.
    pub shard: Option<Shard>,
    /// Where it computes.
    pub device: Device,
    /// The mask rule.
    pub mask_rule: MaskRule,
    /// The combined observed grid.
    pub grid: Grid,
    /// The rest-frame grid of each class, in the order of [`Class::ALL`].
    pub rest_grids: [RestGrid; 3],
    /// Bit mask of the ZWARN bits that skip a target.
    pub skip_zwarn: i64,
    /// Hash of everything that decides the bytes of `extract`.
    pub extract_hash: String,
    /// The models, in the order of [`Class::ALL`].
    pub models: Vec<ModelPlan>,
    /// Every declaration there is, used or not, by name.
    pub declarations: Vec<Arc<Catalog>>,
    /// The catalogues to take in, in the order of the run file.
    pub catalogs: Vec<CatalogPlan>,
}

/// One class's model.
#[derive(Debug, Clone)]
pub struct ModelPlan {
    /// The class it embeds.
    pub class: Class,
    /// Its name.
    pub name: String,
    /// A folder to take it from and its content hash; `None` = fitted by this run.
    pub given: Option<(PathBuf, String)>,
    /// Components of the basis.
    pub components: usize,
    /// Pixels of the smoothing filter.
    pub smooth_pixels: usize,
}

/// What the command line may say over the run file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--device`.
    pub device: Option<String>,
    /// `--threads`.
    pub threads: Option<usize>,
    /// `--batch-rows`.
    pub batch_rows: Option<usize>,
    /// `--input`.
    pub input: Option<PathBuf>,
    /// `--out`.
    pub folder: Option<PathBuf>,
    /// `--stage`, in the order of [`Stage::ALL`] whatever order they were typed in.
    pub stages: Vec<Stage>,
    /// `--shard`.
    pub shard: Option<Shard>,
}

/// A setting that cannot be followed.
pub(crate) fn setting(setting: &str, problem: impl Into<String>) -> Error {
    Error::Setting { setting: setting.to_owned(), problem: problem.into() }
}

impl Plan {
    /// Reads and resolves a run file.
    ///
    /// # Errors
    /// Where the run file is not valid or its settings are out of range: nothing has been started.
    pub fn read(path: &Path, overrides: &Overrides) -> Result<Self> {
        Self::resolve(RunFile::read(path)?, overrides)
    }

    /// Resolves a run file.
    ///
    /// # Errors
    /// Where settings are out of range or contradict each other.
    pub fn resolve(mut run_file: RunFile, overrides: &Overrides) -> Result<Self> {
        apply(&mut run_file, overrides);
        check_input(&run_file)?;
        let Measures { device, mask_rule, rest_grids, skip_zwarn } = measures(&run_file)?;
        let extract_hash = extract_hash(&run_file)?;
        let declarations = declared::declarations(&run_file)?;
        let catalogs = declared::resolve(&run_file, &declarations)?;
        let models = if run_file.extract.write_spectra { models(&run_file)? } else { Vec::new() };
        let mut stages = overrides.stages.clone();
        stages.sort_unstable();
        stages.dedup();
        check_shard(overrides.shard, &stages)?;
        if stages.is_empty() {
            stages = stages_of(&run_file);
        }
        Ok(Self {
            folder: run_file.output.folder.clone(),
            stages,
            shard: overrides.shard,
            device,
            mask_rule,
            grid: Grid::DESI,
            rest_grids,
            skip_zwarn,
            extract_hash,
            models,
            declarations,
            catalogs,
            run_file,
        })
    }

    /// Whether there are spectra to read, not only catalogues.
    pub fn has_spectra(&self) -> bool {
        has_spectra(&self.run_file)
    }

    /// Every declared table with its catalogue, whether this run reads it or not.
    pub fn declared_tables(&self) -> impl Iterator<Item = (&Catalog, &CatalogTable)> {
        self.declarations
            .iter()
            .flat_map(|catalog| catalog.tables.iter().map(move |table| (catalog.as_ref(), table)))
    }

    /// The grid of a class.
    pub fn rest_grid(&self, class: Class) -> &RestGrid {
        &self.rest_grids[class.index()]
    }

    /// H(stage, its version, the settings of this model's fit, what it is fitted to).
    pub fn fit_hash(&self, model: &ModelPlan) -> String {
        hash_of(
            Stage::FitBasis,
            match &model.given {
                Some((_, model_hash)) => json!({ "given": model_hash }),
                None => json!({
                    "settings": self.run_file.fit_basis,
                "max_variance": self.run_file.embed.max_variance,
                    "class": model.class.name(),
                    "components": model.components,
                    "smooth_pixels": model.smooth_pixels,
                    "extract": self.extract_hash,
                }),
            },
        )
    }

    /// H(stage, its version, its settings, the models' content), where `model_hashes` are names and hashes.
    pub fn embed_hash(&self, model_hashes: &[(String, String)]) -> String {
        hash_of(
            Stage::Embed,
            json!({ "settings": self.run_file.embed, "models": model_hashes, "extract": self.extract_hash }),
        )
    }

    /// H(stage, its version, its settings, the vectors).
    pub fn neighbors_hash(&self, model_hash: &str, embed_hash: &str) -> String {
        hash_of(
            Stage::Neighbors,
            json!({ "settings": self.run_file.neighbors, "model": model_hash, "embed": embed_hash }),
        )
    }

    /// The plan in sentences.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for sentence in self.sentences() {
            let _ = writeln!(text, "{sentence}");
        }
        text
    }

    fn sentences(&self) -> Vec<String> {
        let mut will = if self.has_spectra() { self.spectra_sentences() } else { Vec::new() };
        for catalog in &self.catalogs {
            let (name, n) = (catalog.name(), catalog.files.len());
            let files = if n == 1 { "1 file".to_owned() } else { format!("{n} files") };
            will.push(match catalog.declaration() {
                Some(_) => format!("Will take {} from {files} of {name}.", catalog.tables.join(", ")),
                None => format!("Will take catalog_raw.{name} from {files} as it is."),
            });
        }
        will.push(format!("Will write below {}.", self.folder.display()));
        if self.has_spectra() {
            will.push(format!("Settings hash of extract: {}.", self.extract_hash));
        }
        will
    }

    fn spectra_sentences(&self) -> Vec<String> {
        let run = &self.run_file;
        let mut will = Vec::new();
        if run.input.files.is_empty() {
            will.push(format!("Will read the release tree {}.", run.input.root.display()));
        } else {
            will.push(format!("Will read {} files as named.", run.input.files.len()));
        }
        if !run.input.units.is_empty() {
            will.push(format!("Will read only units that start with {}.", run.input.units.join(", ")));
        }
        will.push(match run.input.digest {
            DigestSetting::Full => "Will take the SHA-256 of every input not seen before.".to_owned(),
            DigestSetting::None => "Will not take digests of the inputs.".to_owned(),
        });
        will.push(match run.redshifts.source {
            RedshiftSource::Redrock => "Will take redshifts from the redrock file of each unit.".to_owned(),
            RedshiftSource::Catalog => {
                format!("Will take redshifts from {} by TARGETID.", run.redshifts.path.display())
            }
        });
        will.push(format!("Will combine the arms under mask rule `{}`.", self.mask_rule));
        will.push(if run.extract.correct_extinction {
            "Will correct for Galactic extinction (Fitzpatrick 1999, R_V = 3.1) where EBV is known."
                .to_owned()
        } else {
            "Will not correct for Galactic extinction.".to_owned()
        });
        let bits: Vec<String> = run.extract.skip_zwarn_bits.iter().map(u8::to_string).collect();
        will.push(format!("Will skip sky fibres and targets with ZWARN bits {}.", bits.join(", ")));
        if run.extract.write_spectra {
            for class in Class::ALL {
                let wave = self.rest_grid(class).wave_aa();
                let (first, last) = (wave.first().copied(), wave.last().copied());
                will.push(format!(
                    "Will write {class} spectra in the rest frame on {} pixels, {:.1} to {:.1} Angstrom.",
                    wave.len(),
                    first.unwrap_or_default(),
                    last.unwrap_or_default(),
                ));
            }
        } else {
            will.push("Will not write spectra.".to_owned());
        }
        will.extend(self.embedding_sentences());
        will
    }
}

impl Plan {
    fn embedding_sentences(&self) -> Vec<String> {
        let run = &self.run_file;
        let mut will = Vec::new();
        for model in &self.models {
            will.push(match &model.given {
                Some((folder, _)) => format!("Will take model {} from {}.", model.name, folder.display()),
                None => format!(
                    "Will fit model {}: {} components to at most {} {} spectra drawn with seed {}.",
                    model.name, model.components, run.fit_basis.sample, model.class, run.fit_basis.seed
                ),
            });
        }
        if self.models.is_empty() {
            will.push("Will not embed spectra.".to_owned());
        } else {
            let metrics: Vec<&str> = run.neighbors.metrics.iter().map(|metric| metric.name()).collect();
            will.push(format!(
                "Will find the {} exact nearest neighbours of every vector ({}).",
                run.neighbors.k,
                metrics.join(", ")
            ));
        }
        will.push(if self.stages.contains(&Stage::Load) {
            "Will load PostgreSQL.".to_owned()
        } else {
            "Will not load PostgreSQL.".to_owned()
        });
        will
    }
}

fn apply(run_file: &mut RunFile, overrides: &Overrides) {
    let resources = &mut run_file.resources;
    if let Some(device) = &overrides.device {
        resources.device.clone_from(device);
    }
    resources.threads = overrides.threads.unwrap_or(resources.threads);
    resources.batch_rows = overrides.batch_rows.unwrap_or(resources.batch_rows);
    if let Some(root) = &overrides.input {
        run_file.input.root.clone_from(root);
    }
    if let Some(folder) = &overrides.folder {
        run_file.output.folder.clone_from(folder);
    }
}

fn check_input(run_file: &RunFile) -> Result<()> {
    let input = &run_file.input;
    match (input.root.as_os_str().is_empty(), input.files.is_empty()) {
        (true, true) if run_file.catalog.is_empty() => {
            return Err(setting("input", "give `root` (a release tree) or `files`, or a `[[catalog]]`"));
        }
        (false, false) => return Err(setting("input", "give `root` or `files`, not both")),
        (false, true) if !input.root.is_dir() => {
            return Err(setting("input.root", format!("{} is not a folder", input.root.display())));
        }
        _ => {}
    }
    Ok(())
}

/// Checks what a run file says by itself, without the data it is about.
pub(crate) fn check_settings(run_file: &RunFile) -> Result<()> {
    measures(run_file)?;
    if run_file.extract.write_spectra {
        model_settings(run_file)?;
    }
    Ok(())
}

/// How spectra are measured, and where.
struct Measures {
    device: Device,
    mask_rule: MaskRule,
    rest_grids: [RestGrid; 3],
    skip_zwarn: i64,
}

fn measures(run_file: &RunFile) -> Result<Measures> {
    let (extract, grids) = (&run_file.extract, &run_file.grids);
    check_redshifts(run_file)?;
    if !(extract.z_min > -1.0 && extract.z_min < extract.z_max && extract.z_max.is_finite()) {
        return Err(setting("extract.z_min, extract.z_max", "need -1 < z_min < z_max"));
    }
    let device = run_file.resources.device.parse();
    let device = device.map_err(|problem: String| setting("resources.device", problem))?;
    let mask_rule =
        extract.mask_rule.parse().map_err(|_| setting("extract.mask_rule", "use dr1, masked or 0.70"))?;
    let rest_grids = [
        rest_grid("grids.galaxy", grids.galaxy)?,
        rest_grid("grids.qso", grids.qso)?,
        rest_grid("grids.star", grids.star)?,
    ];
    let skip_zwarn = zwarn_mask(&extract.skip_zwarn_bits)?;
    check_embedding(run_file)?;
    Ok(Measures { device, mask_rule, rest_grids, skip_zwarn })
}

fn check_redshifts(run_file: &RunFile) -> Result<()> {
    let redshifts = &run_file.redshifts;
    if redshifts.source == RedshiftSource::Catalog {
        if redshifts.path.as_os_str().is_empty() {
            return Err(setting("redshifts.path", "source = \"catalog\" needs the catalogue's path"));
        }
        if redshifts.spectype.is_empty() && redshifts.default_spectype.is_empty() {
            return Err(setting(
                "redshifts",
                "give `spectype` (a column) or `default_spectype` (one class for all)",
            ));
        }
    }
    let default = &redshifts.default_spectype;
    if !default.is_empty() && Class::from_spectype(default).is_none() {
        return Err(setting("redshifts.default_spectype", format!("`{default}` is not GALAXY, QSO or STAR")));
    }
    Ok(())
}

fn rest_grid(name: &str, grid: GridSetting) -> Result<RestGrid> {
    RestGrid::log10(grid.min_aa, grid.max_aa, grid.dlog10).map_err(|error| setting(name, error.to_string()))
}

fn zwarn_mask(bits: &[u8]) -> Result<i64> {
    bits.iter().try_fold(0_i64, |mask, bit| {
        if *bit < 63 {
            Ok(mask | 1 << bit)
        } else {
            Err(setting("extract.skip_zwarn_bits", format!("{bit} is not a ZWARN bit")))
        }
    })
}

/// The models of a run file; a folder that is named must hold one that is whole.
fn models(run_file: &RunFile) -> Result<Vec<ModelPlan>> {
    let mut models = Vec::new();
    for (key, class, model) in model_settings(run_file)? {
        let given = if model.folder.as_os_str().is_empty() {
            None
        } else {
            let given = Model::read(&model.folder)?;
            if given.class(&model.folder)? != class {
                return Err(setting(key, format!("{} is a model for {}", given.card.name, given.card.class)));
            }
            Some((model.folder.clone(), given.card.model_hash))
        };
        models.push(ModelPlan {
            class,
            name: model.name.clone(),
            given,
            components: model.components,
            smooth_pixels: model.smooth_pixels,
        });
    }
    Ok(models)
}

/// The models that are asked for: their key, class and settings.
fn model_settings(run_file: &RunFile) -> Result<Vec<(&'static str, Class, &ModelSetting)>> {
    let mut settings = vec![
        ("models.galaxy", Class::Galaxy, &run_file.models.galaxy),
        ("models.qso", Class::Qso, &run_file.models.qso),
    ];
    settings.retain(|(_, _, model)| !model.name.is_empty());
    for (place, (key, _, model)) in settings.iter().enumerate() {
        let is_taken = settings[..place].iter().any(|(_, _, other)| other.name == model.name);
        if !is_plain_name(&model.name) || is_taken {
            return Err(setting(key, format!("`{}` is not a name of its own for a folder", model.name)));
        }
        if model.folder.as_os_str().is_empty() {
            check_fit(key, model)?;
        }
    }
    Ok(settings)
}

/// Components and filter that can be fitted.
fn check_fit(key: &str, model: &ModelSetting) -> Result<()> {
    if !(1..=MAX_COMPONENTS).contains(&model.components) {
        return Err(setting(key, format!("components must lie between 1 and {MAX_COMPONENTS}")));
    }
    let is_window = |pixels: usize| !pixels.is_multiple_of(2) && (5..=101).contains(&pixels);
    if model.smooth_pixels != 0 && !is_window(model.smooth_pixels) {
        return Err(setting(key, "smooth_pixels must be 0, or odd and between 5 and 101"));
    }
    Ok(())
}

/// Settings of the stages after `extract` that are out of range.
fn check_embedding(run_file: &RunFile) -> Result<()> {
    let (fit, embed, neighbors) = (&run_file.fit_basis, &run_file.embed, &run_file.neighbors);
    let share = 0.0..=1.0;
    if fit.sample == 0 || fit.max_iterations == 0 {
        return Err(setting("fit-basis.sample, fit-basis.max_iterations", "must be at least 1"));
    }
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if !positive(fit.tolerance) || !fit.min_snr.is_finite() || !share.contains(&fit.min_good_fraction) {
        return Err(setting(
            "fit-basis",
            "needs tolerance > 0, a finite min_snr, min_good_fraction from 0 to 1",
        ));
    }
    let is_level = |value: f64| value.is_finite() && value >= 0.0;
    let sound = share.contains(&embed.min_good_fraction)
        && positive(embed.max_variance)
        && is_level(embed.min_amplitude_snr);
    if !sound {
        return Err(setting(
            "embed",
            "needs min_good_fraction from 0 to 1, max_variance > 0, min_amplitude_snr >= 0",
        ));
    }
    if !(1..=MAX_NEIGHBORS).contains(&neighbors.k) || !(1..=neighbors.k).contains(&neighbors.score_k) {
        return Err(setting(
            "neighbors.k, neighbors.score_k",
            format!("need 1 <= score_k <= k <= {MAX_NEIGHBORS}"),
        ));
    }
    let mut metrics = neighbors.metrics.clone();
    metrics.sort_unstable();
    metrics.dedup();
    if metrics.is_empty() || metrics != neighbors.metrics {
        return Err(setting("neighbors.metrics", "use [\"l2\"], [\"cosine\"] or [\"l2\", \"cosine\"]"));
    }
    Ok(())
}

/// A shard is a share of a stage that works unit by unit.
fn check_shard(shard: Option<Shard>, stages: &[Stage]) -> Result<()> {
    let map = |stage: &Stage| stage.kind() == StageKind::Map;
    if shard.is_none() || (!stages.is_empty() && stages.iter().all(map)) {
        return Ok(());
    }
    let names = Stage::ALL.into_iter().filter(map).map(Stage::name).collect::<Vec<_>>().join(", ");
    Err(Error::Argument { argument: "--shard", problem: format!("it needs --stage with one of {names}") })
}

/// The stages that a run file asks for, in order.
pub fn stages_of(run_file: &RunFile) -> Vec<Stage> {
    let models = &run_file.models;
    let embeds =
        run_file.extract.write_spectra && !(models.galaxy.name.is_empty() && models.qso.name.is_empty());
    let mut stages = Stage::ALL.to_vec();
    stages.retain(|stage| match stage {
        Stage::Inventory | Stage::Extract => has_spectra(run_file),
        Stage::Catalog => !run_file.catalog.is_empty(),
        Stage::FitBasis | Stage::Embed | Stage::Neighbors => has_spectra(run_file) && embeds,
        Stage::Load => run_file.load.enabled,
    });
    stages
}

fn has_spectra(run_file: &RunFile) -> bool {
    !run_file.input.root.as_os_str().is_empty() || !run_file.input.files.is_empty()
}

/// The hash of a stage that reads `identity`.
pub(crate) fn hash_of(stage: Stage, identity: serde_json::Value) -> String {
    let identity = json!({ "stage": stage.name(), "version": stage.version(), "reads": identity });
    sha256_hex(identity.to_string().as_bytes())
}

/// H(stage, its version, the settings it reads, its constants, the content of its catalogue).
///
/// Device, threads, batch size, paths and times are not in it: they must not change a byte.
fn extract_hash(run_file: &RunFile) -> Result<String> {
    let redshifts = &run_file.redshifts;
    let redshift_identity = match redshifts.source {
        RedshiftSource::Redrock => json!("redrock"),
        RedshiftSource::Catalog => {
            let sha256 =
                sha256_file(&redshifts.path).map_err(|error| setting("redshifts.path", error.to_string()))?;
            json!({
                "catalog": sha256,
                "columns": [
                    &redshifts.hdu, &redshifts.targetid, &redshifts.z, &redshifts.zerr, &redshifts.zwarn,
                    &redshifts.deltachi2, &redshifts.spectype, &redshifts.subtype, &redshifts.default_spectype,
                ],
            })
        }
    };
    let constants: Vec<String> = constants::FILES.iter().map(|text| sha256_hex(text.as_bytes())).collect();
    let identity = json!({
        "stage": Stage::Extract.name(),
        "version": Stage::Extract.version(),
        "extract": run_file.extract,
        "grids": run_file.grids,
        "specprod": run_file.input.specprod,
        "redshifts": redshift_identity,
        "constants": constants,
    });
    // serde_json's maps are sorted, so this text is canonical.
    Ok(sha256_hex(identity.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_file() -> RunFile {
        let mut run_file = RunFile::default();
        run_file.input.root = std::env::temp_dir();
        run_file
    }

    fn hash(run_file: RunFile) -> String {
        Plan::resolve(run_file, &Overrides::default()).unwrap().extract_hash
    }

    #[test]
    fn device_threads_batches_and_folders_do_not_change_the_hash() {
        let mut other = run_file();
        other.resources.device = "cpu".to_owned();
        other.resources.threads = 7;
        other.resources.batch_rows = 3;
        other.output.folder = PathBuf::from("elsewhere");
        assert_eq!(hash(run_file()), hash(other));
    }

    #[test]
    fn settings_that_decide_bytes_change_the_hash() {
        let mut other = run_file();
        other.extract.mask_rule = "dr1".to_owned();
        assert_ne!(hash(run_file()), hash(other));
        let mut other = run_file();
        other.grids.qso.max_aa = 6000.0;
        assert_ne!(hash(run_file()), hash(other));
    }

    #[test]
    fn a_plan_without_input_is_refused() {
        let error = Plan::resolve(RunFile::default(), &Overrides::default()).unwrap_err();
        assert_eq!(error.exit(), crate::exit::Exit::BadPlan);
        assert!(error.to_string().contains("root"), "{error}");
    }

    #[test]
    fn an_absurd_setting_is_refused_by_its_name() {
        let mut bad = run_file();
        bad.extract.mask_rule = "desi".to_owned();
        let error = Plan::resolve(bad, &Overrides::default()).unwrap_err();
        assert!(error.to_string().contains("extract.mask_rule"), "{error}");
        let mut bad = run_file();
        bad.grids.star.min_aa = -1.0;
        let error = Plan::resolve(bad, &Overrides::default()).unwrap_err();
        assert!(error.to_string().contains("grids.star"), "{error}");
    }
}
