//! Indexes of catalogues' tables: made after the load, and kept by every later one.

use std::fmt::Write as _;
use std::time::Instant;

use specmill_schemas::Kind;
use specmill_schemas::catalogs::CatalogRelation;
use specmill_schemas::joins;

use super::build::{rolled_back_on_error, set_local, telling_progress};
use super::means::Means;
use super::predict::Cost;
use crate::digest::sha256_hex;
use crate::sink::postgres::{Database, DatabaseError, quote_name};

type Result<T> = std::result::Result<T, DatabaseError>;

/// Most characters of a name in PostgreSQL.
const LONGEST_NAME: usize = 63;
/// The indexes of a table: name, whether unique, whether usable, columns in order.
const STANDING: &str = "SELECT c.relname::text, i.indisunique, i.indisvalid, \
     (SELECT coalesce(array_agg(a.attname::text ORDER BY k.place), '{}') \
      FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place) \
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::text::regclass";
const ROWS: &str = "SELECT coalesce(sum(rows), 0)::bigint FROM ops.load WHERE dataset = $1";

/// An index that a table should have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: String,
    columns: Vec<String>,
    is_unique: bool,
}

/// What became of the indexes of one table.
struct Line {
    table: String,
    rows: u64,
    built: Vec<String>,
    stand: usize,
    seconds: f64,
}

/// Makes the indexes that the tables with rows lack, and counts these for the planner; gives a report to print.
///
/// # Errors
/// Where a key that is declared unique repeats, once all other indexes are made, or the database refuses or is lost.
pub(super) fn run(database: &Database) -> Result<String> {
    let (mut lines, mut repeated) = (Vec::new(), None);
    for recorded in database.catalog_tables()? {
        let table = recorded.relation;
        let any = format!("SELECT EXISTS (SELECT FROM {})", table.sql_name());
        if !database.query_one("looking for rows", &any, &[])?.get::<_, bool>(0) {
            continue;
        }
        let rows: i64 = database.query_one("counting rows", ROWS, &[&table.full_name()])?.get(0);
        let mut line = Line {
            table: table.full_name(),
            rows: u64::try_from(rows).unwrap_or(0),
            built: Vec::new(),
            stand: 0,
            seconds: 0.0,
        };
        let started = Instant::now();
        for wanted in wanted(&table) {
            match line.make(database, &table, wanted) {
                Err(error @ DatabaseError::Repeated { .. }) => {
                    repeated.get_or_insert(error);
                }
                outcome => outcome?,
            }
        }
        database.batch("counting rows for the planner", &format!("ANALYZE {}", table.sql_name()))?;
        line.seconds = started.elapsed().as_secs_f64();
        lines.push(line);
    }
    match repeated {
        Some(error) => Err(error),
        None => Ok(render(&lines)),
    }
}

/// By key, by unit, and by what other tables and the sky are searched with.
fn wanted(table: &CatalogRelation) -> Vec<Wanted> {
    let has = |name: &str| table.column(name).is_some();
    let mut wanted = Vec::new();
    let mut want = |what: &str, columns: Vec<String>, is_unique| {
        if columns.iter().all(|name| has(name)) {
            wanted.push(Wanted { name: index_name(&table.name, what), columns, is_unique });
        }
    };
    if !table.key.is_empty() {
        let columns = ["specprod".to_owned()].into_iter().chain(table.key.iter().cloned());
        want("key", columns.collect(), table.is_unique);
    }
    for name in ["unit", "healpix29", "targetid"] {
        want(name, vec![name.to_owned()], false);
    }
    // What views join by, besides keys.
    for (_, columns) in joins::also_unique().filter(|(of, _)| *of == table.name) {
        let what = format!("one_{}", columns.last().copied().unwrap_or_default());
        want(&what, columns.iter().map(|name| (*name).to_owned()).collect(), true);
    }
    wanted
}

/// `<table>_<what>`, cut where that is too long for a name, with a digest in the place of what is missing.
fn index_name(table: &str, what: &str) -> String {
    let name = format!("{table}_{what}");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let digest = sha256_hex(table.as_bytes());
    format!("{}_{}_{what}", &table[..table.floor_char_boundary(32)], &digest[..12])
}

impl Line {
    /// Makes an index, where it does not stand as it should.
    fn make(&mut self, database: &Database, table: &CatalogRelation, wanted: Wanted) -> Result<()> {
        let doing = format!("making index {} on {}", wanted.name, self.table);
        let standing = database.query(&doing, STANDING, &[&table.sql_name()])?;
        let mut is_other = false;
        for row in standing.iter().filter(|row| row.get::<_, String>(0) == wanted.name) {
            let (unique, valid, columns): (bool, bool, Vec<String>) = (row.get(1), row.get(2), row.get(3));
            if unique == wanted.is_unique && valid && columns == wanted.columns {
                self.stand += 1;
                return Ok(());
            }
            is_other = true;
        }
        let columns: Vec<String> = wanted.columns.iter().map(|name| quote_name(name)).collect();
        let (name, columns) = (quote_name(&wanted.name), columns.join(", "));
        let session = Means::read(database)?.session(&cost(table, &wanted, self.rows));
        tracing::debug!(
            rows = self.rows,
            maintenance_work_mem_mb = session.memory >> 20,
            workers = session.workers,
            "index {} on {} ({columns})",
            wanted.name,
            self.table
        );
        let outcome = rolled_back_on_error(database, || {
            database.batch(&doing, &set_local(&session))?;
            if is_other {
                database.batch(&doing, &format!("DROP INDEX {}.{name}", table.schema))?;
            }
            let unique = if wanted.is_unique { "UNIQUE " } else { "" };
            let create = format!("CREATE {unique}INDEX {name} ON {} ({columns})", table.sql_name());
            telling_progress(database, || database.batch(&doing, &create))
        });
        if let Err(DatabaseError::DuplicateKey { reason, .. }) = outcome {
            return Err(repeated(database, table, &wanted, reason)?);
        }
        outcome?;
        self.built.push(wanted.name);
        Ok(())
    }
}

/// What sorting the index's entries takes: each with its header, its place and the sort's own record of it.
fn cost(table: &CatalogRelation, wanted: &Wanted, rows: u64) -> Cost {
    const BESIDES: f64 = 40.0;
    let width = |name: &String| match table.column(name).map(|column| column.field.kind) {
        Some(Kind::Bool | Kind::Int16 | Kind::Int32 | Kind::Float32) => 4.0,
        Some(Kind::Int64 | Kind::Float64) => 8.0,
        // Units, surveys and programs: some tens of letters.
        _ => 40.0,
    };
    let entry: f64 = BESIDES + wanted.columns.iter().map(width).sum::<f64>();
    Cost { disk_bytes: rows as f64 * entry, memory_bytes: rows as f64 * entry }
}

/// Which rows have the same key: the first ones, and how many keys there are of the kind.
fn repeated(
    database: &Database,
    table: &CatalogRelation,
    wanted: &Wanted,
    reason: String,
) -> Result<DatabaseError> {
    const SHOWN: usize = 3;
    let columns: Vec<String> = wanted.columns.iter().map(|name| quote_name(name)).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT count(*) OVER (), concat_ws(', ', {columns}), \
         array_to_string((array_agg(unit || ' row ' || \"row\" ORDER BY unit, \"row\"))[1:5], ' and ') \
         FROM {} GROUP BY {columns} HAVING count(*) > 1 ORDER BY {columns} LIMIT {SHOWN}",
        table.sql_name()
    );
    let rows = database.query("looking for the rows of a repeated key", &sql, &[])?;
    let keys = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    let mut text = rows
        .iter()
        .map(|row| format!("({}) is the key of {}", row.get::<_, String>(1), row.get::<_, String>(2)))
        .collect::<Vec<_>>()
        .join("; ");
    let more = keys - i64::try_from(rows.len()).unwrap_or(0);
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {more} more keys repeat");
    }
    // Somebody may have removed them meanwhile.
    let text = if text.is_empty() { reason } else { text };
    Ok(DatabaseError::Repeated { table: table.full_name(), columns: wanted.columns.join(", "), rows: text })
}

fn render(lines: &[Line]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{:<34}{:>10}  indexes\n", "catalogue", "rows");
    for Line { table, rows, built, stand, seconds } in lines {
        let mut said: Vec<String> = Vec::new();
        if !built.is_empty() {
            said.push(format!("{} built in {seconds:.1} s", built.join(", ")));
        }
        if *stand > 0 {
            said.push(format!("{stand} stand"));
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{table:<34}{rows:>10}  {}", said.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_a_name_that_postgresql_keeps_whole_and_tells_from_others() {
        assert_eq!(index_name("zpix", "key"), "zpix_key");
        let long = |last: char| format!("{}{last}", "t".repeat(62));
        let (one, other) = (index_name(&long('a'), "healpix29"), index_name(&long('b'), "healpix29"));
        assert!(one != other && one.len() <= LONGEST_NAME && one.ends_with("_healpix29"), "{one}");
    }
}
