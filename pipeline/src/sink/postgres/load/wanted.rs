//! What the database should hold, as the run folder's ledger accounts for it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::declared::{CatalogFile, CatalogPlan};
use crate::digest::sha256_hex;
use crate::error::Result;
use crate::ledger::{FileRecord, Ledger, LedgerRow, State};
use crate::model::Card;
use crate::plan::{ModelPlan, Plan};
use crate::sink::postgres::quote_name;
use crate::stage::Stage;
use crate::stages::upstream::{as_one, model_unit};
use crate::stages::{catalog, inventory};
use crate::unit::UnitId;

/// A table that lake files are loaded into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Dataset {
    /// `ml.models`
    Models,
    /// `spectra.features`
    Features,
    /// `ml.embeddings`
    Embeddings,
    /// `ml.neighbors`
    Neighbors,
    /// `ml.scores`
    Scores,
    /// `catalog.<table>`
    Catalog(String),
    /// `catalog_raw.<table>`
    CatalogRaw(String),
}

impl Dataset {
    /// The table of a catalogue that a unit's rows go to.
    fn of_catalog(unit: &UnitId) -> Option<Self> {
        match unit {
            UnitId::Catalog { declared: true, table, .. } => Some(Self::Catalog(table.clone())),
            UnitId::Catalog { table, .. } => Some(Self::CatalogRaw(table.clone())),
            UnitId::Healpix { .. } | UnitId::Tile { .. } | UnitId::Model { .. } => None,
        }
    }

    /// The dataset of a unit's rows that goes by this name in `ops.load`.
    pub(super) fn of_name(name: &str, unit: &UnitId) -> Option<Self> {
        [Some(Self::Features), Some(Self::Embeddings), Self::of_catalog(unit)]
            .into_iter()
            .flatten()
            .find(|dataset| dataset.name() == name)
    }

    /// Its lake folder.
    pub(super) fn folder(&self) -> &'static str {
        match self {
            Self::Catalog(_) => "catalog",
            Self::CatalogRaw(_) => "catalog_raw",
            Self::Models => "models",
            Self::Features => "features",
            Self::Embeddings => "embeddings",
            Self::Neighbors => "neighbors",
            Self::Scores => "scores",
        }
    }

    /// The table with its schema: its name in `ops.load`.
    pub(super) fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Catalog(table) | Self::CatalogRaw(table) => {
                return Cow::Owned(format!("{}.{table}", self.folder()));
            }
            Self::Models => "ml.models",
            Self::Features => "spectra.features",
            Self::Embeddings => "ml.embeddings",
            Self::Neighbors => "ml.neighbors",
            Self::Scores => "ml.scores",
        })
    }

    /// The table as statements write it.
    pub(super) fn sql_table(&self) -> String {
        match self {
            Self::Catalog(table) | Self::CatalogRaw(table) => {
                format!("{}.{}", self.folder(), quote_name(table))
            }
            Self::Models | Self::Features | Self::Embeddings | Self::Neighbors | Self::Scores => {
                self.name().into_owned()
            }
        }
    }
}

/// One unit's rows of one table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) dataset: Dataset,
    /// The model its rows belong to.
    pub(super) model: Option<ModelKey>,
    /// The file that holds them.
    pub(super) file: FileRecord,
    /// The settings they were made under.
    pub(super) stage_hash: String,
}

impl Part {
    /// The model's hash as `ops.load` keeps it: empty where there is none.
    pub(super) fn model_hash(&self) -> &str {
        self.model.as_ref().map_or("", |model| model.hash.as_str())
    }
}

/// What a vector needs to know of its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelKey {
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) dimension: i32,
}

/// One transaction's worth: everything the database should hold of a unit.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) unit: UnitId,
    pub(super) parts: Vec<Part>,
    /// The unit's accounts of earlier stages, which go along.
    pub(super) accounts: Vec<LedgerRow>,
    /// A model's card; only a model's unit has one.
    pub(super) card: Option<Box<(Card, String)>>,
    /// Why nothing of the unit can be loaded.
    pub(super) fault: Option<String>,
    /// Results that no longer follow from what they were made of and are left out, and the way to new ones.
    pub(super) outdated: Option<&'static str>,
    /// Nothing says what should be there of the unit: what the database holds is left alone.
    pub(super) unaccounted: bool,
    /// The file has fewer blocks of rows than it had.
    pub(super) vanished: bool,
}

impl Work {
    fn of(unit: UnitId) -> Self {
        Self {
            unit,
            parts: Vec::new(),
            accounts: Vec::new(),
            card: None,
            fault: None,
            outdated: None,
            unaccounted: false,
            vanished: false,
        }
    }

    /// Makes vectors of models that the database does not have the unit's fault: nobody could tell what they are.
    pub(super) fn refuse_vectors_of(&mut self, absent: &[ModelKey]) {
        let lost = self.parts.iter().find(|part| part.model.as_ref().is_some_and(|key| absent.contains(key)));
        if let Some(Part { file, model: Some(model), .. }) = lost {
            self.fault =
                Some(format!("{}: its model `{}` could not be loaded, see model/{1}", file.path, model.name));
        }
    }

    /// What was read, as the local account of the load keeps it.
    pub(super) fn inputs(&self) -> Vec<FileRecord> {
        self.parts.iter().map(|part| part.file.clone()).collect()
    }

    /// How the unit ends where the database holds all there is of it, and why that is not much.
    pub(super) fn outcome(&self) -> (State, Option<String>) {
        if self.unaccounted {
            let stage = upstream(&self.unit);
            let reason = format!("{stage} has no account of it; what the database holds was left alone");
            return (State::MissingUpstream, Some(reason));
        }
        if !self.parts.is_empty() {
            return (State::Done, None);
        }
        if self.vanished {
            return (State::Empty, Some("its file has no such rows any more".to_owned()));
        }
        let lost = self.accounts.iter().find(|row| row.state.is_partial());
        match lost {
            Some(row) => {
                (State::MissingUpstream, Some(format!("{} is {} for it", row.stage, row.state.name())))
            }
            None => (State::Empty, Some("the stages before left nothing to load".to_owned())),
        }
    }

    /// H(what is loaded): the same for the same parts.
    pub(super) fn load_hash(&self) -> String {
        let line = |part: &Part| {
            let digest = part.file.sha256.as_deref().unwrap_or("-");
            format!("{} {} {} {digest}\n", part.dataset.name(), part.model_hash(), part.stage_hash)
        };
        let text: String = self.parts.iter().map(line).collect();
        sha256_hex(format!("load {}\n{text}", Stage::Load.version()).as_bytes())
    }
}

/// Everything a run folder has for the database.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Models with their global results.
    pub(super) models: Vec<Work>,
    /// What every unit's embeddings are held against.
    pub(super) fits: Fits,
    /// The inventory's units of features and embeddings, then those of catalogues; [`unit_work`] reads what each has.
    pub(super) units: Vec<UnitId>,
    /// Rows of all units, as their accounts say; models come on top.
    pub(super) rows: u64,
}

/// The models as they are fitted now.
#[derive(Debug)]
pub(super) struct Fits {
    /// Those whose card could be read.
    pub(super) keys: Vec<ModelKey>,
    /// The hash of present embeddings; `None` where a card that decides it cannot be read.
    embed_hash: Option<String>,
    /// Units of catalogues as their files were last looked into.
    surveyed: BTreeSet<UnitId>,
}

impl Fits {
    fn is_present(&self, row: &LedgerRow) -> bool {
        self.embed_hash.as_ref().is_none_or(|hash| row.stage_hash == *hash)
    }
}

impl Wanted {
    /// Reads the ledger's accounts of the models and of the inventory's units.
    ///
    /// # Errors
    /// Where the inventory or the ledger cannot be read.
    pub(super) fn read(plan: &Plan) -> Result<Self> {
        let ledger = Ledger::of_run(&plan.folder);
        let mut units = accounted_units(&ledger, plan)?;
        units.extend(catalog_units(&ledger, plan)?);
        let mut models = Vec::new();
        let mut hashes = Some(Vec::new());
        for model in &plan.models {
            let Some(work) = model_work(&ledger, plan, model)? else { continue };
            let fitted = work.accounts.first();
            if fitted.is_some_and(|row| row.state == State::Done && row.stage_hash == plan.fit_hash(model)) {
                hashes = hashes.zip(model_key(&work)).map(|(mut hashes, key)| {
                    hashes.push((model.name.clone(), key.hash));
                    hashes
                });
            }
            models.push(work);
        }
        let keys = models.iter().filter_map(model_key).collect();
        let embed_hash = hashes.map(|hashes| plan.embed_hash(&hashes));
        let surveyed = catalog::expected(plan)?.0.into_iter().map(|expected| expected.unit).collect();
        let fits = Fits { keys, embed_hash, surveyed };
        let mut wanted = Self { models: Vec::new(), fits, units, rows: 0 };
        let vectors = wanted.vectors(&ledger)?;
        for mut work in models {
            add_global_results(&mut work, &ledger, plan, &wanted.fits, &vectors)?;
            wanted.models.push(work);
        }
        Ok(wanted)
    }

    /// Whether the run folder has nothing for the database.
    pub(super) fn is_empty(&self) -> bool {
        self.models.is_empty() && self.units.is_empty()
    }

    /// The files of present embeddings by model, in the order of their units' text; counts rows on the way.
    fn vectors(&mut self, ledger: &Ledger) -> Result<BTreeMap<String, Vec<FileRecord>>> {
        let mut vectors: BTreeMap<String, Vec<FileRecord>> = BTreeMap::new();
        for unit in &self.units {
            let work = unit_work(ledger, unit, &self.fits)?;
            self.rows += work.accounts.iter().map(LedgerRow::rows_accounted).sum::<u64>();
            let parts = if work.unaccounted { left_alone(ledger, unit, &self.fits)? } else { work.parts };
            for part in parts {
                if let Some(model) = part.model {
                    vectors.entry(model.name).or_default().push(part.file);
                }
            }
        }
        Ok(vectors)
    }
}

/// The inventory's units that a stage has come to, in the order of their text. Those of another input stay as they
/// are, here and in the database.
fn accounted_units(ledger: &Ledger, plan: &Plan) -> Result<Vec<UnitId>> {
    let mut accounted = BTreeSet::new();
    for stage in [Stage::Extract, Stage::Embed, Stage::Load] {
        accounted.extend(ledger.units(stage)?);
    }
    let present = inventory::load(plan)?.entries.into_iter().filter_map(|entry| entry.unit);
    let mut units: Vec<UnitId> = present.filter(|unit| accounted.contains(unit)).collect();
    units.sort_by_cached_key(ToString::to_string);
    units.dedup();
    Ok(units)
}

/// The units of the run file's catalogues that a stage has come to. Those of files that it does not name any more stay
/// as they are, here and in the database.
fn catalog_units(ledger: &Ledger, plan: &Plan) -> Result<Vec<UnitId>> {
    let mut units: BTreeSet<UnitId> = ledger.units(Stage::Catalog)?.into_iter().collect();
    let loaded = ledger.units(Stage::Load)?;
    units.extend(loaded.into_iter().filter(|unit| matches!(unit, UnitId::Catalog { .. })));
    units.retain(|unit| plan.catalogs.iter().any(|catalog| holds(catalog, unit)));
    Ok(units.into_iter().collect())
}

/// Whether a unit may be of one of a catalogue's files.
fn holds(catalog: &CatalogPlan, unit: &UnitId) -> bool {
    let UnitId::Catalog { declared, table, file, .. } = unit else { return false };
    let is_its = |own: &CatalogFile| own.stem == *file && catalog.tables_of(own).contains(&table.as_str());
    *declared == catalog.declaration().is_some() && catalog.files.iter().any(is_its)
}

/// The stage without whose account nothing is known of a unit.
fn upstream(unit: &UnitId) -> Stage {
    if matches!(unit, UnitId::Catalog { .. }) { Stage::Catalog } else { Stage::Extract }
}

fn model_key(work: &Work) -> Option<ModelKey> {
    let (card, _) = work.card.as_deref()?;
    Some(ModelKey {
        name: card.name.clone(),
        hash: card.model_hash.clone(),
        dimension: i32::try_from(card.dimension).ok()?,
    })
}

/// A model's transaction, without its global results yet; `None` where the run has not come to the model.
fn model_work(ledger: &Ledger, plan: &Plan, model: &ModelPlan) -> Result<Option<Work>> {
    let unit = model_unit(&model.name);
    let Some(fitted) = ledger.read(Stage::FitBasis, &unit)? else { return Ok(None) };
    let mut work = Work::of(unit);
    if !fitted.outputs.is_empty() {
        match read_card(&plan.folder, &fitted) {
            Ok(card) => work.card = Some(Box::new(card)),
            Err(fault) => work.fault = Some(fault),
        }
    }
    if let Some(key) = model_key(&work) {
        let files: Vec<&FileRecord> = fitted.outputs.iter().collect();
        work.parts.push(Part {
            dataset: Dataset::Models,
            model: Some(key),
            file: as_one(&format!("models/{}", model.name), &files),
            stage_hash: fitted.stage_hash.clone(),
        });
    }
    work.accounts.push(fitted);
    Ok(Some(work))
}

/// Adds a model's neighbours and scores where they are of the present vectors.
fn add_global_results(
    work: &mut Work,
    ledger: &Ledger,
    plan: &Plan,
    fits: &Fits,
    vectors: &BTreeMap<String, Vec<FileRecord>>,
) -> Result<()> {
    let Some(row) = ledger.read(Stage::Neighbors, &work.unit)? else { return Ok(()) };
    let Some(key) = model_key(work) else { return Ok(()) };
    let files: Vec<&FileRecord> = vectors.get(&key.name).into_iter().flatten().collect();
    let hash = fits.embed_hash.as_ref().map(|embed_hash| plan.neighbors_hash(&key.hash, embed_hash));
    let follows = hash.is_none_or(|hash| row.stage_hash == hash)
        && row.inputs == [as_one(&format!("embeddings/{}", key.name), &files)];
    if !follows {
        work.outdated =
            Some("its neighbours and scores are of earlier vectors and are left out; run neighbors again");
        return Ok(());
    }
    for (dataset, file) in global_results(&row) {
        let stage_hash = row.stage_hash.clone();
        work.parts.push(Part { dataset, model: Some(key.clone()), file: file.clone(), stage_hash });
    }
    work.accounts.push(row);
    Ok(())
}

fn global_results(row: &LedgerRow) -> impl Iterator<Item = (Dataset, &FileRecord)> {
    row.outputs.iter().filter_map(|file| {
        let dataset = [Dataset::Neighbors, Dataset::Scores]
            .into_iter()
            .find(|dataset| Path::new(&file.path).starts_with(dataset.folder()))?;
        Some((dataset, file))
    })
}

/// The card that an account of `fit-basis` names, with its Markdown.
fn read_card(folder: &Path, row: &LedgerRow) -> std::result::Result<(Card, String), String> {
    let text_of = |name: &str| {
        let record = row.outputs.iter().find(|file| Path::new(&file.path).ends_with(name));
        let record = record.ok_or_else(|| format!("the account of {} names no {name}", row.unit))?;
        let text = fs_err::read_to_string(folder.join(&record.path)).map_err(|error| error.to_string())?;
        let found = sha256_hex(text.as_bytes());
        if record.sha256.as_ref().is_some_and(|recorded| *recorded != found) {
            return Err(format!("{} is not the file that the ledger accounts for", record.path));
        }
        Ok((text, record.path.clone()))
    };
    let (toml, path) = text_of("card.toml")?;
    let (markdown, _) = text_of("card.md")?;
    let card = toml::from_str(&toml).map_err(|error| format!("{path}: {}", error.message()))?;
    Ok((card, markdown))
}

/// Everything the run folder has of one unit.
///
/// # Errors
/// Where the ledger cannot be read.
pub(super) fn unit_work(ledger: &Ledger, unit: &UnitId, fits: &Fits) -> Result<Work> {
    let mut work = Work::of(unit.clone());
    let Some(extracted) = ledger.read(upstream(unit), unit)? else {
        work.vanished = !fits.surveyed.contains(unit) && has_vanished(ledger, unit)?;
        work.unaccounted = !work.vanished;
        return Ok(work);
    };
    if let Some(dataset) = Dataset::of_catalog(unit) {
        work.parts = extracted.outputs.iter().map(|file| catalog_part(&extracted, file, &dataset)).collect();
        work.accounts.push(extracted);
        return Ok(work);
    }
    let embedded = ledger.read(Stage::Embed, unit)?;
    let follows = |row: &LedgerRow| {
        fits.is_present(row) && row.inputs.iter().all(|input| extracted.outputs.contains(input))
    };
    if embedded.as_ref().is_some_and(|row| !follows(row)) {
        work.outdated =
            Some("its embeddings are of earlier spectra or models and are left out; run embed again");
    }
    let embedded = embedded.filter(follows);
    work.accounts = [Some(extracted), embedded].into_iter().flatten().collect();
    for row in &work.accounts {
        for file in &row.outputs {
            match part(row, file, &fits.keys) {
                Ok(part) => work.parts.extend(part),
                Err(fault) => work.fault = Some(fault),
            }
        }
    }
    Ok(work)
}

/// The vectors of a unit that the database keeps for want of an account of the spectra.
fn left_alone(ledger: &Ledger, unit: &UnitId, fits: &Fits) -> Result<Vec<Part>> {
    let Some(row) = ledger.read(Stage::Embed, unit)?.filter(|row| fits.is_present(row)) else {
        return Ok(Vec::new());
    };
    let parts = row.outputs.iter().filter_map(|file| part(&row, file, &fits.keys).ok().flatten());
    Ok(parts.collect())
}

/// Whether a unit without an account is a block of a file that has been looked into: beyond its last, or of a file that
/// cannot be taken any more, whose first block says so. Its blocks go together.
fn has_vanished(ledger: &Ledger, unit: &UnitId) -> Result<bool> {
    let UnitId::Catalog { declared, table, file, .. } = unit else { return Ok(false) };
    let first = UnitId::Catalog { declared: *declared, table: table.clone(), file: file.clone(), block: 0 };
    Ok(ledger.read(Stage::Catalog, &first)?.is_some())
}

fn catalog_part(row: &LedgerRow, file: &FileRecord, dataset: &Dataset) -> Part {
    Part { dataset: dataset.clone(), model: None, file: file.clone(), stage_hash: row.stage_hash.clone() }
}

/// What a unit's output is to the database; spectra stay in the lake.
fn part(
    row: &LedgerRow,
    file: &FileRecord,
    models: &[ModelKey],
) -> std::result::Result<Option<Part>, String> {
    let part = |dataset: Dataset, model| {
        Ok(Some(Part { dataset, model, file: file.clone(), stage_hash: row.stage_hash.clone() }))
    };
    if Path::new(&file.path).starts_with(Dataset::Features.folder()) {
        return part(Dataset::Features, None);
    }
    let Some(rest) = file.path.strip_prefix("embeddings/") else { return Ok(None) };
    let name = rest.strip_suffix(&format!("/{}.parquet", row.unit)).unwrap_or(rest);
    match models.iter().find(|model| model.name == name) {
        Some(model) => part(Dataset::Embeddings, Some(model.clone())),
        None => {
            Err(format!("{}: this run has no model `{name}`; run the stages up to embed again", file.path))
        }
    }
}
