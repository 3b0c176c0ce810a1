//! Joins, put together and checked: a column that is not declared, a key that is not unique or a type that is another
//! is an error, not a surprise of the database.

use std::collections::BTreeSet;

use super::{Derived, Expr, Join, JoinError, Joined, Presence, Source, column};
use crate::catalogs::{Catalog, CatalogColumn, CatalogTable};
use crate::{Field, Kind};

/// Most columns of a view (MaxTupleAttributeNumber is 1664, but tables made of it end at 1600).
const MOST_COLUMNS: usize = 1600;

type Outcome<T> = Result<T, JoinError>;

/// A join in the making.
pub(super) struct Builder<'a> {
    catalogs: &'a [Catalog],
    join: Join,
}

impl<'a> Builder<'a> {
    /// Every row of `source`, called `alias`.
    pub(super) fn over(catalogs: &'a [Catalog], named: (&'static str, &'static str), base: Joined) -> Self {
        let join = Join {
            schema: named.0,
            name: named.1,
            description: String::new(),
            base,
            filter: None,
            tables: Vec::new(),
            presences: Vec::new(),
            derived: Vec::new(),
            columns: Vec::new(),
            key: &[],
        };
        Self { catalogs, join }
    }

    fn fault(&self, problem: impl Into<String>) -> JoinError {
        JoinError { join: self.join.name, problem: problem.into() }
    }

    /// What a row is.
    pub(super) fn describe(&mut self, description: &str, key: &'static [&'static str]) {
        self.join.description = description.to_owned();
        self.join.key = key;
    }

    /// Only the rows for which this is true.
    pub(super) fn only(&mut self, filter: Expr) {
        self.join.filter = Some(filter);
    }

    /// A declared table.
    pub(super) fn declared(&self, table: &str) -> Outcome<&'a CatalogTable> {
        let mut tables = self.catalogs.iter().filter_map(|catalog| catalog.table(table));
        tables.next().ok_or_else(|| self.fault(format!("no declaration has a table `{table}`")))
    }

    /// The row of `table` whose columns have these values.
    pub(super) fn left(
        &mut self,
        alias: &'static str,
        table: &str,
        on: Vec<(&'static str, Expr)>,
    ) -> Outcome<()> {
        let source = Source::catalog(self.declared(table)?);
        let on = on.into_iter().map(|(name, expr)| (name.to_owned(), expr)).collect();
        self.join.tables.push(Joined { alias, source, on });
        Ok(())
    }

    /// Whether `table` has any row with these values.
    pub(super) fn ask(
        &mut self,
        alias: &'static str,
        table: &str,
        on: Vec<(&'static str, Expr)>,
    ) -> Outcome<()> {
        let source = Source::catalog(self.declared(table)?);
        let on = on.into_iter().map(|(name, expr)| (name.to_owned(), expr)).collect();
        self.join.presences.push(Presence { alias, source, on });
        Ok(())
    }

    /// Values for expressions to come.
    pub(super) fn derive(&mut self, alias: &'static str, values: Vec<(&'static str, Expr)>) -> Outcome<()> {
        let known: Vec<&str> = self.aliases().collect();
        let typed = values.into_iter().map(|(name, expr)| Ok((name, self.kind(&expr, &known)?, expr)));
        let values = typed.collect::<Outcome<_>>()?;
        self.join.derived.push(Derived { alias, values });
        Ok(())
    }

    /// What tables and derived values are called.
    fn aliases(&self) -> impl Iterator<Item = &'static str> {
        let derived = self.join.derived.iter().map(|derived| derived.alias);
        self.join.joined().map(|joined| joined.alias).chain(derived)
    }

    /// A column.
    pub(super) fn add(&mut self, field: Field, expr: Expr) {
        self.join.columns.push((field, expr));
    }

    /// Every column of the base.
    pub(super) fn carry_base(&mut self) {
        let alias = self.join.base.alias;
        for field in &self.join.base.source.table.fields {
            self.join.columns.push((field.clone(), column(alias, field.name.as_str())));
        }
    }

    /// A column of a table, under a name; it keeps its unit, UCD, description and source, and says which h it assumes.
    pub(super) fn carry(&mut self, alias: &'static str, name: &str, as_name: &str) -> Outcome<()> {
        self.carry_as(alias, name, as_name, column(alias, name))
    }

    /// What a column of a table describes, made in another way.
    pub(super) fn carry_as(
        &mut self,
        alias: &'static str,
        name: &str,
        as_name: &str,
        expr: Expr,
    ) -> Outcome<()> {
        let missing = || self.fault(format!("there is no column {alias}.{name}"));
        let joined = self.join.joined().find(|joined| joined.alias == alias).ok_or_else(missing)?;
        let at = joined.source.table.index_of(name).ok_or_else(missing)?;
        let mut field = joined.source.table.fields[at].clone();
        if alias != self.join.base.alias {
            let declared = self.declared(&joined.source.table.name)?;
            let of = |column: &&CatalogColumn| column.field.name == name;
            if let Some(h) = declared.columns.iter().find(of).and_then(|column| column.h.as_deref())
                && !field.description.contains("h = ")
            {
                field.description.push_str(&format!(" (h = {h})"));
            }
            // Where there is no such row there is no value.
            field.nullable = true;
        }
        as_name.clone_into(&mut field.name);
        self.add(field, expr);
        Ok(())
    }

    /// Columns of a table, each under its name after a prefix.
    pub(super) fn carry_all(&mut self, alias: &'static str, prefix: &str, names: &[&str]) -> Outcome<()> {
        names.iter().try_for_each(|name| self.carry(alias, name, &format!("{prefix}{name}")))
    }

    /// The join, where everything it names is there and fits.
    pub(super) fn finish(self) -> Outcome<Join> {
        self.check_tables()?;
        self.check_columns()?;
        Ok(self.join)
    }

    fn kind(&self, expr: &Expr, known: &[&str]) -> Outcome<Kind> {
        let find = |alias: &str, name: &str| {
            let kind = known.contains(&alias).then(|| self.join.kind_of(alias, name));
            kind.flatten()
        };
        let kind = expr.kind(&find).map_err(|problem| self.fault(problem))?;
        let mut stranger = None;
        expr.visit(&mut |part| {
            if let Expr::Present(alias) = part
                && !self.join.presences.iter().any(|presence| presence.alias == *alias)
            {
                stranger = Some(*alias);
            }
        });
        match stranger {
            Some(alias) => Err(self.fault(format!("nothing asks for `{alias}`"))),
            None => Ok(kind),
        }
    }

    /// Every table is joined by a unique key of its own, to columns of the tables before it.
    fn check_tables(&self) -> Outcome<()> {
        let mut known = vec![self.join.base.alias];
        for joined in &self.join.tables {
            let asked: BTreeSet<&str> = joined.on.iter().map(|(name, _)| name.as_str()).collect();
            let mut unique = joined.source.unique.iter().map(|columns| columns.iter().map(String::as_str));
            if !unique.any(|columns| columns.collect::<BTreeSet<_>>() == asked)
                || asked.len() != joined.on.len()
            {
                let name = joined.source.full_name();
                return Err(self.fault(format!("`{}`: {asked:?} is no unique key of {name}", joined.alias)));
            }
            self.check_on(&joined.source, &joined.on, &known)?;
            known.push(joined.alias);
        }
        let aliases: BTreeSet<&str> = self.aliases().collect();
        if aliases.len() != self.aliases().count() {
            return Err(self.fault("two tables have one name"));
        }
        for presence in &self.join.presences {
            self.check_on(&presence.source, &presence.on, &known[..1])?;
        }
        Ok(())
    }

    fn check_on(&self, source: &Source, on: &[(String, Expr)], known: &[&str]) -> Outcome<()> {
        for (name, expr) in on {
            let Some(at) = source.table.index_of(name) else {
                return Err(self.fault(format!("{} has no column `{name}`", source.full_name())));
            };
            let (found, wanted) = (self.kind(expr, known)?, source.table.fields[at].kind);
            if !is_key(wanted) || !is_key(found) || (found == Kind::Text) != (wanted == Kind::Text) {
                let text = format!("{}.{name} is {}, but", source.full_name(), wanted.label());
                return Err(self.fault(format!("{text} {expr:?} is {}", found.label())));
            }
        }
        Ok(())
    }

    /// Every column has the type its field says and a name of its own; those of the key are never NULL.
    fn check_columns(&self) -> Outcome<()> {
        let known: Vec<&str> = self.aliases().collect();
        let mut names = BTreeSet::new();
        for (field, expr) in &self.join.columns {
            let kind = self.kind(expr, &known)?;
            if kind != field.kind {
                let text = format!("`{}` is {}, not {}", field.name, field.kind.label(), kind.label());
                return Err(self.fault(text));
            }
            if matches!(kind, Kind::Array(..) | Kind::Float32List(_) | Kind::Vector(_)) {
                return Err(self.fault(format!("`{}` is a list: it stays in its own table", field.name)));
            }
            if !names.insert(field.name.as_str()) {
                return Err(self.fault(format!("there are two columns `{}`", field.name)));
            }
        }
        if names.len() > MOST_COLUMNS {
            return Err(self.fault(format!("{} columns are too many", names.len())));
        }
        let is_required =
            |name: &&str| self.join.columns.iter().any(|(field, _)| field.name == **name && !field.nullable);
        if self.join.key.is_empty() || !self.join.key.iter().all(is_required) {
            return Err(self.fault("its key names a column that is not there or may be NULL"));
        }
        match &self.join.filter {
            Some(filter) if self.kind(filter, &known[..1])? != Kind::Bool => {
                Err(self.fault("its filter is no condition"))
            }
            _ => Ok(()),
        }
    }
}

/// What rows are joined by: texts, and integers of any width.
fn is_key(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Int16 | Kind::Int32 | Kind::Int64)
}
