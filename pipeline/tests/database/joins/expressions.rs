//! Expressions by chance: both engines mean the same by each, to the bit.

use std::collections::BTreeSet;

use specmill_joins::SLICE_ROWS;
use specmill_schemas::joins::{Expr, Join, Joined, Source, case, column, create_view, first_of, text};
use specmill_schemas::{Field, Kind};
use tempfile::TempDir;

use super::random::Chance;
use super::{bits, collect, lake, load, write};

/// How deep expressions are nested.
const DEPTH: usize = 3;
/// Columns of each kind.
const COLUMNS: usize = 60;

/// A number that neither overflows nor vanishes where eight of its like meet: a server stops at either.
fn tame(value: Expr) -> Expr {
    let size = case(
        vec![(value.clone().below(Expr::Real(0.0)), Expr::Real(0.0).minus(value.clone()))],
        value.clone(),
    );
    let fits = size.within(Expr::Real(1e-6), Expr::Real(1e6));
    case(vec![(value.clone().is_null(), Expr::Null(Kind::Float64)), (fits, value)], Expr::Real(0.0))
}

fn real(chance: &mut Chance, depth: usize) -> Expr {
    if depth == 0 {
        return match chance.below(5) {
            0 => Expr::Real(f64::from(u16::try_from(chance.below(1000)).unwrap()) / 8.0 - 60.0),
            1 => Expr::Null(Kind::Float64),
            2 => tame(column("f", "z").wide()),
            _ => tame(column("zpix", "flux_g").wide()),
        };
    }
    let (a, b) = (real(chance, depth - 1), real(chance, depth - 1));
    match chance.below(7) {
        0 => a.plus(b),
        1 => a.minus(b),
        2 => a.times(b),
        3 => {
            let size = b.clone().times(b.clone()).above(Expr::Real(1e-6));
            a.over(case(vec![(size, b)], Expr::Real(2.0)))
        }
        4 => case(vec![(a.clone().above(Expr::Real(0.0)), a.sqrt())], b),
        5 => first_of(vec![a, b]),
        _ => case(vec![(condition(chance, depth - 1), a)], b),
    }
}

fn integer(chance: &mut Chance, depth: usize) -> Expr {
    if depth == 0 {
        return match chance.below(4) {
            0 => Expr::Int(i64::try_from(chance.below(9)).unwrap() - 4),
            1 => Expr::Null(Kind::Int64),
            2 => column("f", "flags").wide(),
            _ => column("zpix", "healpix").wide(),
        };
    }
    let (a, b) = (integer(chance, depth - 1), integer(chance, depth - 1));
    match chance.below(5) {
        0 => a.plus(b),
        1 => a.minus(b),
        2 => a.times(Expr::Int(3)),
        3 => first_of(vec![a, b]),
        _ => case(vec![(condition(chance, depth - 1), a)], b),
    }
}

fn condition(chance: &mut Chance, depth: usize) -> Expr {
    if depth == 0 {
        return match chance.below(6) {
            0 => Expr::Bool(chance.below(2) == 0),
            1 => Expr::Null(Kind::Bool),
            2 => column("f", "spectype").equals(text("QSO")),
            3 => column("zpix", "targetid").is_null(),
            4 => column("zpix", "survey").equals(column("f", "survey")),
            _ => column("f", "desi_target").wide().bit(u32::try_from(chance.below(63)).unwrap()),
        };
    }
    let deeper = depth - 1;
    match chance.below(10) {
        0 | 1 => Expr::And(vec![condition(chance, deeper), condition(chance, deeper)]),
        2 | 3 => {
            Expr::Or(vec![condition(chance, deeper), condition(chance, deeper), condition(chance, deeper)])
        }
        4 => condition(chance, deeper).negated(),
        5 => condition(chance, deeper).is_null(),
        6 => real(chance, deeper).above(real(chance, deeper)),
        7 => real(chance, deeper).equals(real(chance, deeper)),
        8 => integer(chance, deeper).within(integer(chance, deeper), integer(chance, deeper)),
        _ => case(
            vec![(condition(chance, deeper), condition(chance, deeper))],
            integer(chance, deeper).below(Expr::Int(2)),
        ),
    }
}

/// Features with the redshift catalogue, and columns of every kind by chance.
fn by_chance(seed: u64) -> Join {
    let mut chance = Chance(seed);
    let template = specmill_schemas::joins::join("galaxy_ard").unwrap();
    let zpix: Joined = template.tables.iter().find(|joined| joined.alias == "zpix").unwrap().clone();
    let on = zpix.on.iter().map(|(name, _)| (name.clone(), column("f", name.as_str()))).collect();
    let key = |name: &str, kind| (Field::new(name, kind, "key").required(), column("f", name));
    let mut columns = vec![key("unit", Kind::Text), key("targetid", Kind::Int64)];
    for at in 0..COLUMNS {
        let mut add = |name: &str, kind, expr| {
            columns.push((Field::new(format!("{name}_{at}"), kind, "by chance"), expr))
        };
        add("real", Kind::Float64, real(&mut chance, DEPTH));
        add("int", Kind::Int64, integer(&mut chance, DEPTH));
        add("bool", Kind::Bool, condition(&mut chance, DEPTH));
    }
    Join {
        name: "by_chance",
        key: &["unit", "targetid"],
        description: "by chance".to_owned(),
        base: Joined { alias: "f", source: Source::features(), on: Vec::new() },
        filter: Some(Expr::Or(vec![
            column("f", "spectype").is_null(),
            column("f", "flags").wide().bit(0).negated(),
        ])),
        tables: vec![Joined { on, ..zpix }],
        presences: Vec::new(),
        derived: Vec::new(),
        columns,
        ..template
    }
}

#[test]
fn both_engines_mean_the_same_by_every_expression() {
    let lake = lake(21, 80, |_| true);
    let Some(database) = load(&lake) else { return };
    let folder = TempDir::new().unwrap();
    let files = write(&lake, folder.path());
    let mut session = database.session();
    let mut values = BTreeSet::new();
    for seed in 0..8 {
        let join = by_chance(seed);
        session.run(&create_view(&join));
        let columns: Vec<String> = join
            .columns
            .iter()
            .map(|(field, _)| {
                let is_float = field.kind == Kind::Float64;
                if is_float {
                    format!("encode(float8send({}), 'hex')", field.name)
                } else {
                    format!("{}::text", field.name)
                }
            })
            .collect();
        let query = format!(
            "SELECT {} FROM {} t ORDER BY t.unit COLLATE \"C\", t.targetid",
            columns.join(", "),
            join.full_name()
        );
        let expected = session.rows(&query);
        let (found, _) = collect(&join, &files, SLICE_ROWS).unwrap();
        assert_eq!(found.num_rows(), expected.len(), "seed {seed}");
        for (at, (field, expr)) in join.columns.iter().enumerate() {
            let found = bits(found.column(at)).into_iter().map(|text| text.replace("NULL", ""));
            for (row, (found, expected)) in found.zip(&expected).enumerate() {
                assert_eq!(found, expected[at], "seed {seed}, row {row}, {}: {expr:?}", field.name);
                values.insert(found);
            }
        }
        session.run(&format!("DROP VIEW {}", join.full_name()));
    }
    assert!(values.len() > 500, "the expressions have {} values only", values.len());
}
