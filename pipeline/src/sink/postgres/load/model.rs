//! A model's transaction: its row, the partition its vectors go to, and its neighbours and scores as whole
//! partitions, made beside the old ones and attached in their place.

use tokio_postgres::types::ToSql;

use super::part::{Copied, Source};
use super::unit::{Ending, LoadedParts, Patience, in_transaction, loaded_parts, lock, stands};
use super::wanted::{Dataset, Part, Wanted, Work};
use super::{Database, DatabaseError, Fault, Shop, accounts};
use crate::model::Card;
use crate::sink::postgres::quote_name;

const KNOWN: &str = "SELECT 1 FROM ml.models WHERE model_hash = $1";
const REMOVE: &str = "DELETE FROM ml.models WHERE model_hash = $1";
const INSERT: &str = "INSERT INTO ml.models (model_hash, name, version, class, embedder, dimension, n_pixels, \
     grid_log10_first, grid_dlog10, sample_sha256, explained_variance, card, card_markdown) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const SUPERSEDED: &str = "SELECT m.model_hash FROM ml.models m WHERE m.name = $1 AND m.model_hash <> $2 \
     AND NOT EXISTS (SELECT FROM ops.load l WHERE l.dataset = 'ml.embeddings' AND l.model_hash = m.model_hash)";

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
    if let Some(rows) = settled(database, work)? {
        return Ok(Ending::Settled { rows });
    }
    if let Some((card, _)) = work.card.as_deref() {
        let dimension = i32::try_from(card.dimension).unwrap_or(i32::MAX);
        let doing = format!("opening the partition of {}", work.unit);
        database.query(&doing, "SELECT ml.open_model($1, $2)", &[&card.model_hash, &dimension])?;
    }
    in_transaction(database, || {
        if !lock(database, work, patience)? {
            return Ok(Ending::Busy);
        }
        if let Some(rows) = settled(database, work)? {
            return Ok(Ending::Settled { rows });
        }
        replace(database, shop, work).map(Ending::Loaded)
    })
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
    for dataset in [Dataset::Neighbors, Dataset::Scores] {
        let vanished = loaded.keys().find(|(name, _)| name == dataset.sql_table());
        if let Some((_, model_hash)) = vanished
            && !work.parts.iter().any(|part| part.dataset == dataset)
        {
            drop_partition(database, dataset, model_hash)?;
            accounts::remove_part(database, work, dataset, model_hash)?;
        }
    }
    let mut total = Copied::default();
    for part in work.parts.iter().filter(|part| !stands(&loaded, part)) {
        let copied = match part.dataset {
            Dataset::Models => insert_model(database, work)?,
            Dataset::Features | Dataset::Embeddings | Dataset::Neighbors | Dataset::Scores => {
                replace_partition(database, shop, work, part)?
            }
        };
        accounts::remove_part(database, work, part.dataset, part.model_hash())?;
        accounts::insert_part(database, work, part, copied.rows)?;
        total.rows += copied.rows;
        total.read_seconds += copied.read_seconds;
        total.seconds += copied.seconds;
    }
    accounts::replace(database, work)?;
    Ok(total)
}

/// The model's row, and the partition that its vectors need.
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
            explained_variance: card.explained_variance.iter().map(|share| single(*share)).collect(),
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

#[expect(clippy::cast_possible_truncation, reason = "a share; the card holds it in full")]
fn single(share: f64) -> f32 {
    share as f32
}

fn replace_partition(
    database: &Database,
    shop: &Shop<'_>,
    work: &Work,
    part: &Part,
) -> Result<Copied, Fault> {
    let source = Source::open(&shop.plan.folder, &work.unit, part)?;
    let table = prepare_replacement(database, part.dataset, part.model_hash())?;
    let share = shop.wal.take(source.wal_bytes());
    let copied = source.copy_into(database, &table)?;
    drop(share);
    attach_replacement(database, part.dataset, part.model_hash())?;
    Ok(copied)
}

/// A table beside the partition of a model; nobody else sees it.
fn prepare_replacement(
    database: &Database,
    dataset: Dataset,
    model_hash: &str,
) -> Result<String, DatabaseError> {
    let doing = format!("making a partition of {}", dataset.sql_table());
    let prepare = "SELECT ml.prepare_replacement($1, $2)";
    let row = database.query_one(&doing, prepare, &[&dataset.folder(), &model_hash])?;
    Ok(format!("ml.{}", quote_name(row.get(0))))
}

/// Puts that table in the partition's place.
fn attach_replacement(database: &Database, dataset: Dataset, model_hash: &str) -> Result<(), DatabaseError> {
    let doing = format!("attaching a partition of {}", dataset.sql_table());
    let attach = "SELECT ml.attach_replacement($1, $2)";
    database.query(&doing, attach, &[&dataset.folder(), &model_hash])?;
    Ok(())
}

/// Removes a model's partition.
fn drop_partition(database: &Database, dataset: Dataset, model_hash: &str) -> Result<(), DatabaseError> {
    let doing = format!("removing a partition of {}", dataset.sql_table());
    let remove = "SELECT ml.drop_partition($1, $2)";
    database.query(&doing, remove, &[&dataset.folder(), &model_hash])?;
    Ok(())
}

/// Removes models that this run has fitted anew, once no vector of theirs is left.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn retire(database: &Database, wanted: &Wanted) -> Result<(), DatabaseError> {
    let doing = "removing a superseded model";
    for key in &wanted.keys {
        for row in database.query(doing, SUPERSEDED, &[&key.name, &key.hash])? {
            let model_hash: String = row.get(0);
            tracing::info!(model = key.name, model_hash, "removing the model's earlier fit");
            database.batch(doing, "BEGIN")?;
            for dataset in [Dataset::Embeddings, Dataset::Neighbors, Dataset::Scores] {
                drop_partition(database, dataset, &model_hash)?;
            }
            for table in ["ml.models", "ops.load"] {
                let remove = format!("DELETE FROM {table} WHERE model_hash = $1");
                database.execute(doing, &remove, &[&model_hash])?;
            }
            database.batch(doing, "COMMIT")?;
        }
    }
    Ok(())
}
