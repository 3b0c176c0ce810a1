//! One unit's transaction: what changed goes, what is new comes, or nothing happens at all.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::part::{Copied, Source};
use super::wanted::{Dataset, Part, Work};
use super::{Database, Fault, Shop, accounts};
use crate::sink::postgres::{DatabaseError, quote_name};

/// How a unit's load ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// The database held all of it already.
    Settled {
        /// Rows it holds.
        rows: u64,
    },
    /// The database holds all of it now.
    Loaded(Copied),
    /// Another loader is at it.
    Busy,
}

/// Whether to wait for another loader that is at the same unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Leave it for later.
    None,
    /// Wait.
    Wait,
}

/// What `ops.load` knows of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loaded {
    sha256: String,
    stage_hash: String,
    pub(super) rows: u64,
    /// The name of its model, where it has one that is known.
    model: Option<String>,
}

/// By dataset and model hash.
pub(super) type LoadedParts = BTreeMap<(String, String), Loaded>;

const LOADED: &str = "SELECT l.dataset, l.model_hash, l.sha256, l.stage_hash, l.rows, m.name \
                      FROM ops.load l LEFT JOIN ml.models m USING (model_hash) WHERE l.unit = $1";
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('specmill load ' || $1, 0))";
const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('specmill load ' || $1, 0))";

/// Loads a unit of features and embeddings, or of a catalogue.
///
/// # Errors
/// Where a file or a row is at fault, or the database refuses or is lost: then the database holds what it held.
pub(super) fn load(
    database: &Database,
    shop: &Shop<'_>,
    work: &Work,
    patience: Patience,
) -> Result<Ending, Fault> {
    let settled = || settled(database, shop, work);
    unless_settled(database, work, patience, settled, || replace_parts(database, shop, work))
}

/// Replaces what the database holds of `work`, in a transaction that holds its lock, unless it is `settled`.
pub(super) fn unless_settled(
    database: &Database,
    work: &Work,
    patience: Patience,
    settled: impl Fn() -> Result<Option<u64>, Fault>,
    replace: impl FnOnce() -> Result<Copied, Fault>,
) -> Result<Ending, Fault> {
    if let Some(rows) = settled()? {
        return Ok(Ending::Settled { rows });
    }
    in_transaction(database, || {
        if !lock(database, work, patience)? {
            return Ok(Ending::Busy);
        }
        // Another loader may have been here since.
        if let Some(rows) = settled()? {
            return Ok(Ending::Settled { rows });
        }
        replace().map(Ending::Loaded)
    })
}

/// Carries out `body` in a transaction, which is undone where `body` fails.
pub(super) fn in_transaction<T>(
    database: &Database,
    body: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    // Once the unit is locked, its statements must see what the loader before them committed.
    database.batch("beginning a transaction", "BEGIN ISOLATION LEVEL READ COMMITTED")?;
    let outcome = body();
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    match (outcome, database.batch("ending a transaction", end)) {
        (Ok(value), Ok(())) => Ok(value),
        (Ok(_), Err(error)) => Err(error.into()),
        // Over a lost connection nothing has to be undone.
        (Err(fault), _) => Err(fault),
    }
}

/// Takes the unit for this transaction; false where another loader has it.
///
/// # Errors
/// Where the database is lost.
pub(super) fn lock(database: &Database, work: &Work, patience: Patience) -> Result<bool, Fault> {
    let doing = "waiting for another loader";
    let unit = work.unit.to_string();
    if patience == Patience::Wait {
        database.query_one(doing, LOCK, &[&unit])?;
        return Ok(true);
    }
    Ok(database.query_one(doing, TRY_LOCK, &[&unit])?.get(0))
}

/// Rows that the database holds of the unit, where it holds exactly what it should.
fn settled(database: &Database, shop: &Shop<'_>, work: &Work) -> Result<Option<u64>, Fault> {
    let loaded = loaded_parts(database, work)?;
    let is_settled = stale(&loaded, shop, work).is_empty()
        && work.parts.iter().all(|part| stands(&loaded, part))
        && accounts::stand(database, work)?;
    Ok(is_settled.then(|| work.parts.iter().filter_map(|part| loaded.get(&key(part))).map(|l| l.rows).sum()))
}

/// What the database holds of a unit.
///
/// # Errors
/// Where the database refuses or is lost.
pub(super) fn loaded_parts(database: &Database, work: &Work) -> Result<LoadedParts, DatabaseError> {
    let rows = database.query("reading what is loaded", LOADED, &[&work.unit.to_string()])?;
    let part = |row: &Row| {
        let loaded = Loaded {
            sha256: row.get("sha256"),
            stage_hash: row.get("stage_hash"),
            rows: u64::try_from(row.get::<_, i64>("rows")).unwrap_or(0),
            model: row.get("name"),
        };
        ((row.get("dataset"), row.get("model_hash")), loaded)
    };
    Ok(rows.iter().map(part).collect())
}

fn key(part: &Part) -> (String, String) {
    (part.dataset.name().into_owned(), part.model_hash().to_owned())
}

/// Whether the database holds a part as it should be.
pub(super) fn stands(loaded: &LoadedParts, part: &Part) -> bool {
    loaded.get(&key(part)).is_some_and(|loaded| {
        Some(&loaded.sha256) == part.file.sha256.as_ref() && loaded.stage_hash == part.stage_hash
    })
}

/// Parts that the database holds and the run folder does not have: vanished, or of a model that this run has
/// fitted anew. Those of models that this run knows nothing of are another run's.
fn stale(loaded: &LoadedParts, shop: &Shop<'_>, work: &Work) -> Vec<(Dataset, String)> {
    let is_ours = |model_hash: &str, loaded: &Loaded| match &loaded.model {
        Some(name) => shop.plan.models.iter().any(|model| model.name == *name),
        None => model_hash.is_empty(),
    };
    loaded
        .iter()
        .filter(|(found, loaded)| {
            is_ours(&found.1, loaded) && !work.parts.iter().any(|part| key(part) == **found)
        })
        .filter_map(|((dataset, model_hash), _)| {
            Some((Dataset::of_name(dataset, &work.unit)?, model_hash.clone()))
        })
        .collect()
}

fn replace_parts(database: &Database, shop: &Shop<'_>, work: &Work) -> Result<Copied, Fault> {
    let loaded = loaded_parts(database, work)?;
    for (dataset, model_hash) in stale(&loaded, shop, work) {
        delete(database, work, &dataset, &model_hash)?;
    }
    let mut total = Copied::default();
    for part in &work.parts {
        if stands(&loaded, part) {
            total.rows += loaded.get(&key(part)).map_or(0, |loaded| loaded.rows);
            continue;
        }
        let source = Source::open(&shop.plan.folder, &work.unit, part)?;
        check_catalog(database, part, &source)?;
        if loaded.contains_key(&key(part)) {
            delete(database, work, &part.dataset, part.model_hash())?;
        }
        let share = shop.wal.take(source.wal_bytes());
        let copied = source.copy_into(database, &target(database, part)?)?;
        drop(share);
        accounts::insert_part(database, work, part, copied.rows)?;
        total.rows += copied.rows;
        total.read_seconds += copied.read_seconds;
        total.seconds += copied.seconds;
    }
    accounts::replace(database, work)?;
    Ok(total)
}

/// Whether a catalogue's table can take a file's columns: all of the table's, where it is declared.
fn check_catalog(database: &Database, part: &Part, source: &Source) -> Result<(), Fault> {
    if !matches!(part.dataset, Dataset::Catalog(_) | Dataset::CatalogRaw(_)) {
        return Ok(());
    }
    let is_declared = matches!(part.dataset, Dataset::Catalog(_));
    let name = part.dataset.name();
    let way_out = if is_declared {
        "run `specmill db migrate RUN.toml`, then load again"
    } else {
        "run `specmill db migrate RUN.toml` and load again, or give it another `raw` name"
    };
    let refuse = |problem: String| Err(Fault::File(format!("{}: {problem}; {way_out}", part.file.path)));
    let Some(table) = database.catalog_table(&name)?.map(|recorded| recorded.relation) else {
        return refuse(format!("the database has no table {name}"));
    };
    for field in &source.table().fields {
        match table.column(&field.name).map(|column| &column.field) {
            None => return refuse(format!("{name} has no column `{}`", field.name)),
            Some(own) if own.kind.sql() != field.kind.sql() => {
                let (file, table) = (field.kind.label(), own.kind.label());
                return refuse(format!("its column `{}` is {file}, that of {name} is {table}", field.name));
            }
            Some(own) if is_declared && own.unit != field.unit => {
                let (file, table) = (&field.unit, &own.unit);
                let name = format!("its column `{}` is in `{file}`, that of {name} in `{table}`", field.name);
                return refuse(name);
            }
            Some(_) => {}
        }
    }
    let absent = table.columns.iter().find(|column| source.table().index_of(&column.field.name).is_none());
    match absent {
        Some(absent) if is_declared => Err(Fault::File(format!(
            "{}: it has no column `{}`, which {name} has; run the stage catalog again under the declaration that made the \
             table",
            part.file.path, absent.field.name
        ))),
        _ => Ok(()),
    }
}

/// The table that a part's rows go to. A model's own partition spares the server from looking for it row by row.
fn target(database: &Database, part: &Part) -> Result<String, DatabaseError> {
    let Some(model) = &part.model else { return Ok(part.dataset.sql_table()) };
    let name = "SELECT ml.partition_name($1, $2)";
    let row = database.query_one("looking for a partition", name, &[&part.dataset.folder(), &model.hash])?;
    Ok(format!("ml.{}", quote_name(row.get(0))))
}

/// Removes a part with its account.
fn delete(database: &Database, work: &Work, dataset: &Dataset, model_hash: &str) -> Result<(), Fault> {
    let unit = work.unit.to_string();
    let doing = format!("removing old rows of {unit}");
    match dataset {
        Dataset::Features | Dataset::Catalog(_) | Dataset::CatalogRaw(_) => {
            let remove = format!("DELETE FROM {} WHERE unit = $1", dataset.sql_table());
            database.execute(&doing, &remove, &[&unit])?
        }
        Dataset::Embeddings => database.execute(
            &doing,
            "DELETE FROM ml.embeddings WHERE unit = $1 AND model_hash = $2",
            &[&unit, &model_hash],
        )?,
        // A model's results are replaced as whole partitions.
        Dataset::Models | Dataset::Neighbors | Dataset::Scores => 0,
    };
    accounts::remove_part(database, work, dataset, model_hash)?;
    Ok(())
}
