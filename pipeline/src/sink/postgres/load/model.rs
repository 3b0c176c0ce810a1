//! A model's transaction: its row, the partition its vectors go to, and its neighbours and scores as whole
//! partitions, made beside the old ones and attached in their place.

use tokio_postgres::types::ToSql;

use super::part::{Copied, Source};
use super::unit::{
    Ending, LoadedParts, Patience, in_transaction, loaded_parts, lock, stands, unless_settled,
};
use super::wanted::{Dataset, ModelKey, Part, Work};
use super::{Database, DatabaseError, Fault, Shop, accounts};
use crate::columns::to_f32;
use crate::model::Card;
use crate::sink::postgres::quote_name;
use crate::unit::UnitId;

/// Tables that hold a partition of each model, in the order in which every loader touches them.
const GLOBAL: [Dataset; 2] = [Dataset::Neighbors, Dataset::Scores];

const KNOWN: &str = "SELECT 1 FROM ml.models WHERE model_hash = $1";
const REMOVE: &str = "DELETE FROM ml.models WHERE model_hash = $1";
const INSERT: &str = "INSERT INTO ml.models (model_hash, name, version, class, embedder, dimension, n_pixels, \
     grid_log10_first, grid_dlog10, sample_sha256, explained_variance, card, card_markdown) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
/// Other fits of a model's name that no unit has vectors of; $2 is the present hash, empty where there is none.
const SUPERSEDED: &str = "SELECT m.model_hash FROM ml.models m WHERE m.name = $1 AND m.model_hash <> $2 \
     AND NOT EXISTS (SELECT FROM ops.load l WHERE l.dataset = 'ml.embeddings' AND l.model_hash = m.model_hash)";
/// As long as the session lasts.
const HOLD: &str = "SELECT pg_advisory_lock_shared(hashtextextended('specmill model ' || $1, 0))";
const TRY_RETIRE: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('specmill model ' || $1, 0))";
const RETIRING: &str = "removing a superseded model";

/// Loads a model's unit.
///
/// # Errors
/// Where a file or a row is at fault, or the database refuses or is lost: then the database holds what it held.
pub(super) fn load(
    database: &Database,
    shop: &Shop<'_>,
    work: &Work,
    patience: Patience,
) -> Result<Ending, Fault> {
    let settled = || settled(database, work);
    unless_settled(database, work, patience, settled, || replace(database, shop, work))
}

/// What the database holds of the model under its present hash.
fn present(database: &Database, work: &Work) -> Result<LoadedParts, DatabaseError> {
    let hash = work.parts.first().map(Part::model_hash).unwrap_or_default();
    let mut loaded = loaded_parts(database, work)?;
    loaded.retain(|(_, model_hash), _| model_hash == hash);
    Ok(loaded)
}

/// Rows that the database holds, where it holds exactly what it should.
fn settled(database: &Database, work: &Work) -> Result<Option<u64>, Fault> {
    let loaded = present(database, work)?;
    let is_settled = loaded.len() == work.parts.len()
        && work.parts.iter().all(|part| stands(&loaded, part))
        && accounts::stand(database, work)?;
    Ok(is_settled.then(|| loaded.values().map(|part| part.rows).sum()))
}

fn replace(database: &Database, shop: &Shop<'_>, work: &Work) -> Result<Copied, Fault> {
    let loaded = present(database, work)?;
    let changed: Vec<&Part> = work.parts.iter().filter(|part| !stands(&loaded, part)).collect();
    let mut total = Copied::default();
    for part in &changed {
        let copied = match part.dataset {
            Dataset::Models => insert_model(database, work)?,
            Dataset::Features
            | Dataset::Embeddings
            | Dataset::Neighbors
            | Dataset::Scores
            | Dataset::Catalog(_)
            | Dataset::CatalogRaw(_) => copy_aside(database, shop, work, part)?,
        };
        accounts::remove_part(database, work, &part.dataset, part.model_hash())?;
        accounts::insert_part(database, work, part, copied.rows)?;
        total.rows += copied.rows;
        total.read_seconds += copied.read_seconds;
        total.seconds += copied.seconds;
    }
    accounts::replace(database, work)?;
    // What stops other sessions comes last, and in one order for all loaders.
    for dataset in GLOBAL {
        let vanished = loaded.keys().find(|(name, _)| *name == dataset.name());
        if let Some(part) = changed.iter().find(|part| part.dataset == dataset) {
            attach_replacement(database, &dataset, part.model_hash())?;
        } else if let Some((_, model_hash)) = vanished
            && !work.parts.iter().any(|part| part.dataset == dataset)
        {
            drop_partition(database, &dataset, model_hash)?;
            accounts::remove_part(database, work, &dataset, model_hash)?;
        }
    }
    open_embeddings(database, work)?;
    Ok(total)
}

/// Makes the partition for the model's vectors, with the model or not at all.
fn open_embeddings(database: &Database, work: &Work) -> Result<(), Fault> {
    let Some((card, _)) = work.card.as_deref() else { return Ok(()) };
    let dimension = i32::try_from(card.dimension).unwrap_or(i32::MAX);
    let doing = format!("opening the partition of {}", work.unit);
    database.query(&doing, "SELECT ml.open_model($1, $2)", &[&card.model_hash, &dimension])?;
    Ok(())
}

/// The model's row.
fn insert_model(database: &Database, work: &Work) -> Result<Copied, Fault> {
    let Some((card, markdown)) = work.card.as_deref() else { return Ok(Copied::default()) };
    let doing = format!("writing the card of {}", work.unit);
    if !database.query(&doing, KNOWN, &[&card.model_hash])?.is_empty() {
        database.execute(&doing, REMOVE, &[&card.model_hash])?;
    }
    let columns = ModelColumns::of(card).map_err(Fault::File)?;
    database.execute(&doing, INSERT, &columns.parameters(card, markdown))?;
    Ok(Copied { rows: 1, ..Copied::default() })
}

/// A card's numbers in the types of their columns.
struct ModelColumns {
    version: i32,
    dimension: i32,
    n_pixels: i32,
    class: String,
    explained_variance: Vec<f32>,
    card: serde_json::Value,
}

impl ModelColumns {
    fn of(card: &Card) -> Result<Self, String> {
        let int = |what: &str, value: usize| {
            i32::try_from(value).map_err(|_| format!("the card's {what} is out of range: {value}"))
        };
        Ok(Self {
            version: i32::try_from(card.embedder_version).map_err(|error| error.to_string())?,
            dimension: int("dimension", card.dimension)?,
            n_pixels: int("number of pixels", card.grid.n_pixels)?,
            class: card.class.to_uppercase(),
            explained_variance: card.explained_variance.iter().map(|share| to_f32(*share)).collect(),
            card: serde_json::to_value(card).map_err(|error| error.to_string())?,
        })
    }

    fn parameters<'a>(&'a self, card: &'a Card, markdown: &'a String) -> [&'a (dyn ToSql + Sync); 13] {
        [
            &card.model_hash,
            &card.name,
            &self.version,
            &self.class,
            &card.embedder,
            &self.dimension,
            &self.n_pixels,
            &card.grid.log10_first,
            &card.grid.dlog10,
            &card.training.sample_sha256,
            &self.explained_variance,
            &self.card,
            markdown,
        ]
    }
}

/// Copies a part's rows into a table beside the model's partition.
fn copy_aside(database: &Database, shop: &Shop<'_>, work: &Work, part: &Part) -> Result<Copied, Fault> {
    let source = Source::open(&shop.plan.folder, &work.unit, part)?;
    let table = prepare_replacement(database, &part.dataset, part.model_hash())?;
    let share = shop.wal.take(source.wal_bytes());
    let copied = source.copy_into(database, &table)?;
    drop(share);
    Ok(copied)
}

/// A table beside the partition of a model; nobody else sees it.
fn prepare_replacement(
    database: &Database,
    dataset: &Dataset,
    model_hash: &str,
) -> Result<String, DatabaseError> {
    let doing = format!("making a partition of {}", dataset.sql_table());
    let prepare = "SELECT ml.prepare_replacement($1, $2)";
    let row = database.query_one(&doing, prepare, &[&dataset.folder(), &model_hash])?;
    Ok(format!("ml.{}", quote_name(row.get(0))))
}

/// Puts that table in the partition's place.
fn attach_replacement(database: &Database, dataset: &Dataset, model_hash: &str) -> Result<(), DatabaseError> {
    let doing = format!("attaching a partition of {}", dataset.sql_table());
    let attach = "SELECT ml.attach_replacement($1, $2)";
    database.query(&doing, attach, &[&dataset.folder(), &model_hash])?;
    Ok(())
}

/// Removes a model's partition.
fn drop_partition(database: &Database, dataset: &Dataset, model_hash: &str) -> Result<(), DatabaseError> {
    let doing = format!("removing a partition of {}", dataset.sql_table());
    let remove = "SELECT ml.drop_partition($1, $2)";
    database.query(&doing, remove, &[&dataset.folder(), &model_hash])?;
    Ok(())
}

/// Keeps other loaders from retiring models that this one is still loading vectors of.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn hold(database: &Database, keys: &[ModelKey]) -> Result<(), DatabaseError> {
    for key in keys {
        database.query("announcing a model", HOLD, &[&key.hash])?;
    }
    Ok(())
}

/// Those of the models that the database does not have.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn absent(database: &Database, keys: &[ModelKey]) -> Result<Vec<ModelKey>, DatabaseError> {
    let mut absent = Vec::new();
    for key in keys {
        if database.query("looking for a model", KNOWN, &[&key.hash])?.is_empty() {
            absent.push(key.clone());
        }
    }
    Ok(absent)
}

/// Removes earlier fits of models that stand as they should, once no vector of theirs is left and nobody is loading
/// any.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn retire<'a>(
    database: &Database,
    models: impl Iterator<Item = &'a Work>,
) -> Result<(), DatabaseError> {
    for work in models {
        if superseded(database, work)?.is_empty() {
            continue;
        }
        let outcome = in_transaction(database, || {
            lock(database, work, Patience::Wait)?;
            for model_hash in superseded(database, work)? {
                if database.query_one(RETIRING, TRY_RETIRE, &[&model_hash])?.get(0) {
                    tracing::info!(unit = %work.unit, model_hash, "removing the model's earlier fit");
                    remove_fit(database, &model_hash)?;
                } else {
                    tracing::info!(unit = %work.unit, model_hash, "another loader is at the model's other fit; it stays");
                }
            }
            Ok(())
        });
        outcome.map_err(|fault| match fault {
            Fault::Database(error) => error,
            Fault::File(reason) | Fault::Row(reason) => {
                DatabaseError::RowRefused { doing: RETIRING.to_owned(), reason }
            }
        })?;
    }
    Ok(())
}

/// Hashes of a model's superseded fits.
fn superseded(database: &Database, work: &Work) -> Result<Vec<String>, DatabaseError> {
    let UnitId::Model { name } = &work.unit else { return Ok(Vec::new()) };
    let present = work.card.as_deref().map_or("", |(card, _)| card.model_hash.as_str());
    let rows = database.query(RETIRING, SUPERSEDED, &[name, &present])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Removes everything of one fit, in the order in which models are loaded.
fn remove_fit(database: &Database, model_hash: &str) -> Result<(), DatabaseError> {
    for dataset in [Dataset::Neighbors, Dataset::Scores, Dataset::Embeddings] {
        drop_partition(database, &dataset, model_hash)?;
    }
    for table in ["ml.models", "ops.load"] {
        let remove = format!("DELETE FROM {table} WHERE model_hash = $1");
        database.execute(RETIRING, &remove, &[&model_hash])?;
    }
    Ok(())
}
