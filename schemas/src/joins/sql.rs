//! Joins as views.

use super::{Comparison, Expr, Join, Operation, joins};
use crate::Kind;
use crate::sql::{column_comment, literal, name};

/// The statements that remove every view, before the tables that they stand on are changed.
///
/// A view that others stand on is not removed: the database then refuses, and says which.
pub fn drop_views() -> String {
    joins().iter().map(|join| format!("DROP VIEW IF EXISTS {};\n", join.full_name())).collect()
}

/// The statements that make every view; whoever carries them out owns the views.
pub fn create_views() -> String {
    joins().iter().map(create_view).collect()
}

/// The statements that make one view with its comments.
pub fn create_view(join: &Join) -> String {
    let full = join.full_name();
    let columns: Vec<String> = join
        .columns
        .iter()
        .map(|(field, expr)| format!("{} AS {}", expr.sql(join), name(&field.name)))
        .collect();
    let mut text = format!("CREATE VIEW {full} AS\nSELECT\n    {}\n", columns.join(",\n    "));
    text.push_str(&format!("FROM {} {}\n", join.base.source.full_name(), join.base.alias));
    for joined in &join.tables {
        let on = on(joined.alias, &joined.on, join);
        text.push_str(&format!("LEFT JOIN {} {} ON {on}\n", joined.source.full_name(), joined.alias));
    }
    for derived in &join.derived {
        let values: Vec<String> = derived
            .values
            .iter()
            .map(|(own, _, expr)| format!("{} AS {}", expr.sql(join), name(own)))
            .collect();
        let values = values.join(",\n    ");
        text.push_str(&format!("CROSS JOIN LATERAL (\n    SELECT {values}\n) {}\n", derived.alias));
    }
    if let Some(filter) = &join.filter {
        text.push_str(&format!("WHERE {}\n", filter.sql(join)));
    }
    text.push_str(&format!(";\nCOMMENT ON VIEW {full} IS {};\n", literal(&join.description)));
    for (field, _) in &join.columns {
        text.push_str(&format!(
            "COMMENT ON COLUMN {full}.{} IS {};\n",
            name(&field.name),
            literal(&column_comment(field))
        ));
    }
    text
}

fn on(alias: &str, pairs: &[(String, Expr)], join: &Join) -> String {
    let pair = |(column, expr): &(String, Expr)| format!("{alias}.{} = {}", name(column), expr.sql(join));
    pairs.iter().map(pair).collect::<Vec<_>>().join(" AND ")
}

impl Expr {
    /// As SQL, in parentheses where it is more than a name or a literal.
    fn sql(&self, join: &Join) -> String {
        let list = |all: &[Self], word: &str| {
            let parts: Vec<String> = all.iter().map(|one| one.sql(join)).collect();
            format!("({})", parts.join(word))
        };
        match self {
            Self::Column { alias, name: column } => format!("{alias}.{}", name(column)),
            Self::Text(value) => literal(value),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => format!("{}::bigint", literal(&value.to_string())),
            Self::Real(value) => format!("{}::double precision", literal(&format!("{value:?}"))),
            Self::Null(kind) => format!("NULL::{}", kind.sql()),
            Self::Present(alias) => exists(alias, join),
            Self::Wide(inner) => format!("{}::{}", inner.sql(join), wide(inner, join)),
            Self::Bit(inner, bit) => {
                format!("(({} & {}) <> 0)", inner.sql(join), Self::Int(1_i64 << bit).sql(join))
            }
            Self::Compare(left, comparison, right) => {
                let sign = match comparison {
                    Comparison::Equal => "=",
                    Comparison::Less => "<",
                    Comparison::Greater => ">",
                    Comparison::AtMost => "<=",
                    Comparison::AtLeast => ">=",
                };
                format!("({} {sign} {})", left.sql(join), right.sql(join))
            }
            Self::Arithmetic(left, operation, right) => {
                let sign = match operation {
                    Operation::Plus => "+",
                    Operation::Minus => "-",
                    Operation::Times => "*",
                    Operation::Over => "/",
                };
                format!("({} {sign} {})", left.sql(join), right.sql(join))
            }
            Self::Sqrt(inner) => format!("sqrt({})", inner.sql(join)),
            Self::And(all) => list(all, " AND "),
            Self::Or(all) => list(all, " OR "),
            Self::Not(inner) => {
                if let Self::IsNull(inner) = &**inner {
                    return format!("({} IS NOT NULL)", inner.sql(join));
                }
                format!("(NOT {})", inner.sql(join))
            }
            Self::IsNull(inner) => format!("({} IS NULL)", inner.sql(join)),
            Self::Case(whens, otherwise) => {
                let part =
                    |(when, then): &(Self, Self)| format!(" WHEN {} THEN {}", when.sql(join), then.sql(join));
                let whens: String = whens.iter().map(part).collect();
                format!("(CASE{whens} ELSE {} END)", otherwise.sql(join))
            }
        }
    }
}

/// A condition of a row of its own, which the server answers by a look into an index, or once for all rows.
fn exists(alias: &str, join: &Join) -> String {
    let asked = join.presences.iter().find(|presence| presence.alias == alias);
    asked.map_or_else(String::new, |presence| {
        let on = on(alias, &presence.on, join);
        format!("EXISTS (SELECT FROM {} {alias} WHERE {on})", presence.source.full_name())
    })
}

/// The type that a number becomes.
fn wide(inner: &Expr, join: &Join) -> String {
    match inner.kind(&|alias, name| join.kind_of(alias, name)) {
        Ok(Kind::Float32 | Kind::Float64) => Kind::Float64.sql(),
        _ => Kind::Int64.sql(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joins::{case, column, join, text};

    #[test]
    fn an_expression_becomes_its_text() {
        let join = join("galaxy_ard").unwrap();
        let z = || column("features", "z").wide();
        for (expr, expected) in [
            (z().above(Expr::Real(-1e-7)), "(features.\"z\"::double precision > '-1e-7'::double precision)"),
            (z().is_null().negated(), "(features.\"z\"::double precision IS NOT NULL)"),
            (
                column("features", "row").wide().bit(60),
                "((features.\"row\"::bigint & '1152921504606846976'::bigint) <> 0)",
            ),
            (
                case(vec![(Expr::Bool(true), text("it's"))], Expr::Null(Kind::Text)),
                "(CASE WHEN true THEN 'it''s' ELSE NULL::text END)",
            ),
            (
                z().times(Expr::Real(2.0)).minus(z().sqrt()),
                "((features.\"z\"::double precision * '2.0'::double precision) - sqrt(features.\"z\"::double precision))",
            ),
            (
                Expr::Present("qso_any"),
                "EXISTS (SELECT FROM catalog.qso qso_any WHERE qso_any.\"specprod\" = features.\"specprod\" AND \
                 qso_any.\"survey\" = features.\"survey\" AND qso_any.\"program\" = features.\"program\")",
            ),
        ] {
            assert_eq!(expr.sql(&join), expected);
        }
    }

    #[test]
    fn a_join_becomes_a_view_with_a_comment_for_every_column() {
        let join = join("galaxy_ard").unwrap();
        let view = create_view(&join);
        assert!(
            view.starts_with("CREATE VIEW ard.galaxy_ard AS\nSELECT\n    features.\"unit\" AS \"unit\",")
        );
        assert!(view.contains(
            "\nFROM spectra.features features\nLEFT JOIN catalog.emline emline ON emline.\"specprod\" = "
        ));
        assert!(view.contains(
            "\nWHERE (features.\"spectype\" = 'GALAXY')\n;\nCOMMENT ON VIEW ard.galaxy_ard IS 'One row "
        ));
        assert_eq!(view.matches("COMMENT ON COLUMN ard.galaxy_ard.").count(), join.columns.len());
        assert_eq!(view.matches("LEFT JOIN ").count(), join.tables.len());
        let all = create_views();
        assert!(joins().iter().all(|join| all.contains(&create_view(join))));
        assert_eq!(drop_views().lines().count(), joins().len());
    }

    #[test]
    fn what_is_unique_besides_keys_are_columns() {
        let declared = crate::catalogs::catalogs();
        for (table, columns) in crate::joins::also_unique() {
            let found = declared.iter().find_map(|catalog| catalog.table(table)).unwrap().table();
            assert!(columns.iter().all(|column| found.index_of(column).is_some()), "{table}");
        }
    }
}
