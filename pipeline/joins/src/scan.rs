//! The tables of a join as lazy scans of their files.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::{
    DataFrame, DataType, Expr as Polars, Field as PolarsField, IntoLazy, LazyFrame, PlRefPath, PolarsResult,
    Scalar, ScanArgsParquet, Schema, all, col, len, lit,
};
use specmill_schemas::joins::{Expr, Join, Joined, Source};
use specmill_schemas::{Field, Kind};

use crate::UnitFile;
use crate::error::{JoinFailure, failed};
use crate::expr::{data_type, expression, mark, scoped};

/// What a key column of a table is called while rows are joined.
pub(crate) fn key_name(alias: &str, name: &str) -> String {
    format!("key.{alias}.{name}")
}

/// The files of every table of a join.
pub(crate) struct Tables<'a> {
    join: &'a Join,
    base: Vec<UnitFile>,
    rights: BTreeMap<&'a str, Vec<UnitFile>>,
    /// Distinct keys of the tables that are asked for their presence; few.
    presences: BTreeMap<&'a str, DataFrame>,
}

/// Some units of the base.
pub(crate) struct Slice {
    files: Vec<UnitFile>,
    /// Rows of the join.
    pub(crate) rows: u64,
    /// The least and the greatest value of integer columns, by name; absent where all are NULL.
    ranges: BTreeMap<String, (i64, i64)>,
}

impl<'a> Tables<'a> {
    /// Finds the files and looks at their columns.
    pub(crate) fn open(
        join: &'a Join,
        files: &dyn Fn(&Source) -> Vec<UnitFile>,
    ) -> Result<Self, JoinFailure> {
        let mut base = files(&join.base.source);
        base.sort();
        let rights = join.tables.iter().map(|joined| (joined.alias, files(&joined.source))).collect();
        let mut tables = Self { join, base, rights, presences: BTreeMap::new() };
        for presence in &join.presences {
            let names: Vec<Polars> = presence.on.iter().map(|(name, _)| col(name.as_str())).collect();
            let keys: Vec<Polars> = presence
                .on
                .iter()
                .map(|(name, _)| as_key(&presence.source, name).alias(key_name(presence.alias, name)))
                .collect();
            let asked = presence.on.iter().map(|(name, _)| name.as_str()).collect();
            let query = scan(&presence.source, &asked, &files(&presence.source))?
                .group_by(names)
                .agg([len().alias("rows")])
                .select([keys, vec![lit(true).alias(mark(presence.alias))]].concat());
            tables.presences.insert(presence.alias, crate::collect(join, query)?);
        }
        Ok(tables)
    }

    /// The base cut into slices of whole files, in the order of their units.
    pub(crate) fn slices(&self, slice_rows: usize) -> Result<Vec<Slice>, JoinFailure> {
        let mut slices = Vec::new();
        let mut files = Vec::new();
        let mut rows = 0;
        for file in &self.base {
            files.push(file.clone());
            rows += rows_of(file)?;
            if rows >= slice_rows {
                slices.push(self.slice(std::mem::take(&mut files))?);
                rows = 0;
            }
        }
        if !files.is_empty() {
            slices.push(self.slice(files)?);
        }
        Ok(slices)
    }

    fn slice(&self, files: Vec<UnitFile>) -> Result<Slice, JoinFailure> {
        let names = self.ranged();
        let mut asked = vec![len().cast(DataType::Int64).alias("rows")];
        for name in &names {
            let value = || col(scoped(self.join.base.alias, name)).cast(DataType::Int64);
            asked.push(value().min().alias(format!("min.{name}")));
            asked.push(value().max().alias(format!("max.{name}")));
        }
        let mut slice = Slice { files, rows: 0, ranges: BTreeMap::new() };
        let found = crate::collect(self.join, self.base(&slice)?.select(asked))?;
        let value = |name: &str| -> PolarsResult<Option<i64>> { Ok(found.column(name)?.i64()?.get(0)) };
        let doing = || format!("counting rows of {}", self.join.base.source.full_name());
        slice.rows =
            value("rows").map_err(failed(doing()))?.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0);
        for name in names {
            let (least, most) = (format!("min.{name}"), format!("max.{name}"));
            let range =
                value(&least).and_then(|least| Ok((least, value(&most)?))).map_err(failed(doing()))?;
            if let (Some(least), Some(most)) = range {
                slice.ranges.insert(name.to_owned(), (least, most));
            }
        }
        Ok(slice)
    }

    /// Integer columns of the base that tables are joined by.
    fn ranged(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = self
            .join
            .tables
            .iter()
            .flat_map(|joined| &joined.on)
            .filter_map(|(_, expr)| self.plain(expr))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The integer column of the base that an expression is.
    fn plain<'b>(&self, expr: &'b Expr) -> Option<&'b str> {
        let Expr::Column { alias, name } = expr else { return None };
        let kind = crate::expr::kind(expr, self.join)?;
        let is_integer = matches!(kind, Kind::Int16 | Kind::Int32 | Kind::Int64);
        (*alias == self.join.base.alias && is_integer).then_some(name.as_str())
    }

    /// The rows of the base in a slice.
    pub(crate) fn base(&self, slice: &Slice) -> Result<LazyFrame, JoinFailure> {
        let base = &self.join.base;
        let rows = scan(&base.source, &self.needed(base), &slice.files)?.select(self.columns(base));
        Ok(match &self.join.filter {
            Some(filter) => rows.filter(expression(filter, self.join)),
            None => rows,
        })
    }

    fn needed<'b>(&self, joined: &'b Joined) -> BTreeSet<&'b str> {
        self.join.needed(joined).into_iter().map(|field| field.name.as_str()).collect()
    }

    fn columns(&self, joined: &Joined) -> Vec<Polars> {
        let needed = self.join.needed(joined);
        needed.iter().map(|field| col(field.name.as_str()).alias(scoped(joined.alias, &field.name))).collect()
    }

    /// The rows of a table that a slice may ask for.
    pub(crate) fn right(&self, joined: &Joined, slice: &Slice) -> Result<LazyFrame, JoinFailure> {
        let files = self.rights.get(joined.alias).map_or(&[][..], Vec::as_slice);
        let mut rows = scan(&joined.source, &self.needed(joined), files)?;
        for (name, expr) in &joined.on {
            let Some(plain) = self.plain(expr) else { continue };
            // Nothing equals NULL. Files and row groups out of range are not even decoded.
            let (least, most) = slice.ranges.get(plain).copied().unwrap_or((1, 0));
            rows = rows.filter(between(field_of(&joined.source, name), least, most));
        }
        let keys = joined
            .on
            .iter()
            .map(|(name, _)| as_key(&joined.source, name).alias(key_name(joined.alias, name)));
        Ok(rows.select(self.columns(joined).into_iter().chain(keys).collect::<Vec<_>>()))
    }

    /// The keys of a table that is asked for its presence, each with a mark.
    pub(crate) fn presence(&self, alias: &str) -> Result<LazyFrame, JoinFailure> {
        let missing = || JoinFailure::Kind { join: self.join.name, column: mark(alias) };
        Ok(self.presences.get(alias).ok_or_else(missing)?.clone().lazy())
    }

    /// A key that several rows of a table have, as text; the least, so that it is the same every time.
    pub(crate) fn repeated_key(&self, joined: &Joined, slice: &Slice) -> Result<Option<String>, JoinFailure> {
        let names: Vec<&str> = joined.on.iter().map(|(name, _)| name.as_str()).collect();
        let keys: Vec<Polars> =
            names.iter().map(|name| col(key_name(joined.alias, name)).alias(*name)).collect();
        let query = self
            .right(joined, slice)?
            .select(keys)
            .group_by(names.iter().map(|name| col(*name)).collect::<Vec<_>>())
            .agg([len().alias("rows of the key")])
            .filter(col("rows of the key").gt(lit(1)))
            .sort(names.clone(), Default::default())
            .limit(1)
            .select([all().as_expr()]);
        let found = crate::collect(self.join, query)?;
        if found.height() == 0 {
            return Ok(None);
        }
        let doing = format!("looking for repeated keys of {}", joined.source.full_name());
        let value = |name: &&str| Ok(format!("{name} = {}", found.column(name)?.get(0)?.str_value()));
        let values: PolarsResult<Vec<String>> = names.iter().map(value).collect();
        Ok(Some(values.map_err(failed(doing))?.join(", ")))
    }
}

fn field_of<'a>(source: &'a Source, name: &str) -> Option<&'a Field> {
    source.table.index_of(name).map(|at| &source.table.fields[at])
}

/// A key column, integers as 64 bits.
fn as_key(source: &Source, name: &str) -> Polars {
    match field_of(source, name).map(|field| field.kind) {
        Some(Kind::Int16 | Kind::Int32) => col(name).cast(DataType::Int64),
        _ => col(name),
    }
}

/// A condition on an integer column, in its own width, so that a file's statistics tell.
fn between(field: Option<&Field>, least: i64, most: i64) -> Polars {
    let Some(field) = field else { return lit(true) };
    let (name, kind) = (field.name.as_str(), field.kind);
    let (lowest, highest) = if kind == Kind::Int16 {
        (i64::from(i16::MIN), i64::from(i16::MAX))
    } else if kind == Kind::Int32 {
        (i64::from(i32::MIN), i64::from(i32::MAX))
    } else {
        (i64::MIN, i64::MAX)
    };
    if least > most || most < lowest || least > highest {
        return lit(false);
    }
    let bound = |value: i64| {
        lit(Scalar::from(value.clamp(lowest, highest))).cast(data_type(kind).unwrap_or(DataType::Int64))
    };
    col(name).gt_eq(bound(least)).and(col(name).lt_eq(bound(most)))
}

/// Some columns of a table's files, or of a table without rows; they are as declared.
fn scan(source: &Source, names: &BTreeSet<&str>, files: &[UnitFile]) -> Result<LazyFrame, JoinFailure> {
    let doing = || format!("opening the files of {}", source.full_name());
    let fields = source.table.fields.iter().filter(|field| names.contains(field.name.as_str()));
    let known = fields.filter_map(|field| Some((field, data_type(field.kind)?)));
    if files.is_empty() {
        let fields = known.map(|(field, data_type)| PolarsField::new(field.name.as_str().into(), data_type));
        return Ok(DataFrame::empty_with_schema(&fields.collect::<Schema>()).lazy());
    }
    let paths: PolarsResult<Vec<PlRefPath>> =
        files.iter().map(|file| PlRefPath::try_from_path(&file.path)).collect();
    let args = ScanArgsParquet { glob: false, cache: false, ..Default::default() };
    let mut rows = paths
        .and_then(|paths| LazyFrame::scan_parquet_files(paths.into_iter().collect(), args))
        .map_err(failed(doing()))?;
    let schema = rows.collect_schema().map_err(failed(doing()))?;
    for (field, wanted) in known {
        let found = schema.get(&field.name);
        if found != Some(&wanted) {
            return Err(JoinFailure::Column {
                table: source.full_name(),
                column: field.name.clone(),
                found: found.map_or("nothing".to_owned(), ToString::to_string),
                wanted: field.kind.label(),
            });
        }
    }
    Ok(rows.select(names.iter().map(|name| col(*name)).collect::<Vec<_>>()))
}

/// Rows of a file, by its footer.
fn rows_of(file: &UnitFile) -> Result<usize, JoinFailure> {
    use polars::prelude::{ParquetReader, SerReader};

    let doing = || format!("opening {}", file.path.display());
    let opened = fs_err::File::open(&file.path).map_err(|error| failed(doing())(error.into()))?;
    ParquetReader::new(opened.into_parts().0).num_rows().map_err(failed(doing()))
}
