//! What the database should hold, as the run folder's ledger accounts for it.

use std::path::Path;

use crate::digest::sha256_hex;
use crate::error::{Error, Result};
use crate::ledger::{FileRecord, Ledger, LedgerRow, State};
use crate::model::Card;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::unit::UnitId;

/// A table that lake files are loaded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
}

impl Dataset {
    /// Its lake folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Features => "features",
            Self::Embeddings => "embeddings",
            Self::Neighbors => "neighbors",
            Self::Scores => "scores",
        }
    }

    /// The table with its schema, also its name in `ops.load`.
    pub(super) fn sql_table(self) -> &'static str {
        match self {
            Self::Models => "ml.models",
            Self::Features => "spectra.features",
            Self::Embeddings => "ml.embeddings",
            Self::Neighbors => "ml.neighbors",
            Self::Scores => "ml.scores",
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
    /// Its embeddings are of earlier spectra, and left out.
    pub(super) outdated: bool,
}

impl Work {
    fn of(unit: UnitId) -> Self {
        Self { unit, parts: Vec::new(), accounts: Vec::new(), card: None, fault: None, outdated: false }
    }

    /// What was read, as the local account of the load keeps it.
    pub(super) fn inputs(&self) -> Vec<FileRecord> {
        self.parts.iter().map(|part| part.file.clone()).collect()
    }

    /// How the unit ends where the database holds all there is of it, and why that is not much.
    pub(super) fn outcome(&self) -> (State, Option<String>) {
        if !self.parts.is_empty() {
            return (State::Done, None);
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
            format!("{} {} {} {digest}\n", part.dataset.sql_table(), part.model_hash(), part.stage_hash)
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
    pub(super) keys: Vec<ModelKey>,
    /// Units of features and embeddings; [`unit_work`] reads what each has.
    pub(super) units: Vec<UnitId>,
}

impl Wanted {
    /// Reads the ledger.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub(super) fn read(plan: &Plan) -> Result<Self> {
        let ledger = Ledger::of_run(&plan.folder);
        let mut models = Vec::new();
        for model in &plan.models {
            models.extend(model_work(&ledger, &plan.folder, &model.name)?);
        }
        let mut ids = ledger.units(Stage::Extract)?;
        ids.extend(ledger.units(Stage::Embed)?);
        ids.sort();
        ids.dedup();
        let keys = models.iter().filter_map(model_key).collect();
        let units: Vec<UnitId> = ids.into_iter().filter(|unit| unit.specprod().is_some()).collect();
        if models.is_empty() && units.is_empty() {
            return Err(Error::NoInventory { folder: plan.folder.clone() });
        }
        Ok(Self { models, keys, units })
    }
}

fn model_key(work: &Work) -> Option<ModelKey> {
    let (card, _) = work.card.as_deref()?;
    Some(ModelKey {
        name: card.name.clone(),
        hash: card.model_hash.clone(),
        dimension: i32::try_from(card.dimension).ok()?,
    })
}

/// A model's transaction; `None` where the run has not come to the model yet.
fn model_work(ledger: &Ledger, folder: &Path, name: &str) -> Result<Option<Work>> {
    let unit = UnitId::Model { name: name.to_owned() };
    let Some(fitted) = ledger.read(Stage::FitBasis, &unit)? else { return Ok(None) };
    let neighbors = ledger.read(Stage::Neighbors, &unit)?;
    let mut work = Work::of(unit);
    if !fitted.outputs.is_empty() {
        match read_card(folder, &fitted) {
            Ok(card) => work.card = Some(Box::new(card)),
            Err(fault) => work.fault = Some(fault),
        }
    }
    let key = model_key(&work);
    if let Some(key) = &key {
        work.parts.push(Part {
            dataset: Dataset::Models,
            model: Some(key.clone()),
            file: as_one(&format!("models/{name}"), &fitted.outputs),
            stage_hash: fitted.stage_hash.clone(),
        });
        for (dataset, file) in neighbors.iter().flat_map(global_results) {
            let stage_hash = neighbors.as_ref().map(|row| row.stage_hash.clone()).unwrap_or_default();
            work.parts.push(Part { dataset, model: Some(key.clone()), file: file.clone(), stage_hash });
        }
    }
    work.accounts = [Some(fitted), neighbors].into_iter().flatten().collect();
    Ok(Some(work))
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

/// Many files as one record.
fn as_one(path: &str, files: &[FileRecord]) -> FileRecord {
    let line = |file: &FileRecord| format!("{} {}\n", file.path, file.sha256.as_deref().unwrap_or("-"));
    let text: String = files.iter().map(line).collect();
    FileRecord {
        path: path.to_owned(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        sha256: Some(sha256_hex(text.as_bytes())),
    }
}

/// Everything the run folder has of one unit.
///
/// # Errors
/// Where the ledger cannot be read.
pub(super) fn unit_work(ledger: &Ledger, unit: &UnitId, models: &[ModelKey]) -> Result<Work> {
    let extracted = ledger.read(Stage::Extract, unit)?;
    let embedded = ledger.read(Stage::Embed, unit)?;
    let mut work = Work::of(unit.clone());
    let follows = |row: &LedgerRow| {
        let spectra = extracted.as_ref().map(|row| row.outputs.as_slice()).unwrap_or_default();
        row.inputs.iter().all(|input| spectra.contains(input))
    };
    work.outdated = embedded.as_ref().is_some_and(|row| !follows(row));
    let embedded = embedded.filter(follows);
    work.accounts = [extracted, embedded].into_iter().flatten().collect();
    for row in &work.accounts {
        for file in &row.outputs {
            match part(row, file, models) {
                Ok(part) => work.parts.extend(part),
                Err(fault) => work.fault = Some(fault),
            }
        }
    }
    Ok(work)
}

/// What a unit's output is to the database; spectra stay in the lake.
fn part(
    row: &LedgerRow,
    file: &FileRecord,
    models: &[ModelKey],
) -> std::result::Result<Option<Part>, String> {
    let part = |dataset, model| {
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
