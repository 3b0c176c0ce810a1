//! Rows of every table that joins name, by chance: keys that often meet, values at the edges, NULLs everywhere they may be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::Schema;
use specmill_schemas::joins::{Join, Source};
use specmill_schemas::{Field, Kind, Table};

/// Numbers that follow from a seed (SplitMix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.number() % n as u64).unwrap()
    }

    pub(super) fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Text(String),
    Bool(bool),
    Int(i64),
    Real(f64),
    Single(f32),
}

impl Value {
    /// As an SQL literal that the server reads as the same bits.
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => format!("'{value}'"),
            Self::Real(value) => format!("'{value:?}'"),
            Self::Single(value) => format!("'{value:?}'"),
        }
    }
}

/// Some rows of a table: the columns that joins need, and those that are never NULL.
pub(super) struct Rows {
    pub(super) table: Table,
    pub(super) rows: Vec<Vec<Value>>,
}

const TEXTS: [(&str, &[&str]); 7] = [
    ("specprod", &["iron", "iron", "fuji"]),
    ("survey", &["main", "main", "sv1", "sv3", "special", "cmx"]),
    ("program", &["dark", "bright"]),
    ("spectype", &["GALAXY", "GALAXY", "QSO", "QSO", "STAR"]),
    ("sample", &["DESIVAST_BGS_VOLLIM", "DESIVAST_BGS_VOLLIM", "other"]),
    ("algorithm", &["VIDE", "REVOLVER", "ZOBOV"]),
    ("cap", &["NGC", "SGC"]),
];
const OTHER_TEXTS: [&str; 4] = ["", "it's", "é", "PSF"];
const TARGETS: [i64; 9] =
    [-2_713_437, 0, 1, 39_627_640_566_453_451, 616_088_619_186_127_404, i64::MIN, i64::MAX, 7, 8];
const BITS: [i64; 10] = [0, 1, 2, 4, 1 << 60, (1 << 60) | 5, 6, -1, i64::MIN, 1 << 62];
const SMALL: [i64; 7] = [0, 0, 0, 1, 2, 4, 2048];
const REALS: [f64; 16] =
    [0.0, -0.0, 1.0, -1.5, 14.9, 15.0, 15.1, 39.9, 40.0, 40.1, 1.499, 1.5, 1e4, 1e300, -1e-300, 5e-324];
const SINGLES: [f32; 14] =
    [0.0, -0.0, 1.0, -1.5, 3.25, 7.1, 123.456, 0.1, 1e-3, 1e30, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45];
/// Parts of Legacy Surveys ids, some of which cannot be.
const PARTS: [i64; 5] = [0, 9010, 9011, 3, -1];

fn text(chance: &mut Chance, name: &str) -> Value {
    let known = TEXTS.iter().find(|(column, _)| *column == name).map_or(&OTHER_TEXTS[..], |(_, texts)| texts);
    Value::Text((*chance.one(known)).to_owned())
}

fn integer(chance: &mut Chance, name: &str) -> i64 {
    match name {
        "targetid" => *chance.one(&TARGETS),
        "healpix" => *chance.one(&[5, 6, 1000]),
        "release" | "brickid" | "brick_objid" => *chance.one(&PARTS),
        "ls_id" => {
            let mut part = || chance.one(&PARTS[..4]).wrapping_abs();
            (part() << 40) | (part() << 16) | part()
        }
        name if name.ends_with("desi_target") => *chance.one(&BITS),
        "igal" | "igrp" | "gal" | "zone" => i64::try_from(chance.below(8)).unwrap(),
        _ => *chance.one(&SMALL),
    }
}

fn value(chance: &mut Chance, field: &Field) -> Value {
    if field.nullable && chance.below(6) == 0 {
        return Value::Null;
    }
    if field.unit == "deg" {
        return Value::Real(f64::from(u32::try_from(chance.below(90)).unwrap()));
    }
    match field.kind {
        Kind::Text => text(chance, &field.name),
        Kind::Bool => Value::Bool(chance.below(2) == 0),
        Kind::Int16 | Kind::Int32 | Kind::Int64 => Value::Int(integer(chance, &field.name)),
        Kind::Float32 if chance.below(2) == 0 => Value::Single(*chance.one(&SINGLES)),
        Kind::Float32 => Value::Single(f32::from(i16::try_from(chance.below(20_000)).unwrap()) / 7.0 - 500.0),
        Kind::Float64 if chance.below(2) == 0 => Value::Real(*chance.one(&REALS)),
        Kind::Float64 => Value::Real(f64::from(u32::try_from(chance.below(1_000_000)).unwrap()) / 7e4),
        Kind::Array(..) | Kind::Float32List(_) | Kind::Vector(_) | Kind::Json | Kind::Timestamp => {
            panic!("{} is not joined", field.name)
        }
    }
}

/// The columns of each table that some join needs, or that are never NULL, by the table's name.
pub(super) fn sources(joins: &[Join]) -> BTreeMap<String, (Source, BTreeSet<String>)> {
    let mut all: BTreeMap<String, (Source, BTreeSet<String>)> = BTreeMap::new();
    let mut add = |source: &Source, names: &[&str]| {
        let entry = all.entry(source.full_name()).or_insert_with(|| (source.clone(), BTreeSet::new()));
        entry.1.extend(names.iter().map(|name| (*name).to_owned()));
        let required = source.table.fields.iter().filter(|field| !field.nullable);
        entry.1.extend(required.map(|field| field.name.clone()));
    };
    for join in joins {
        for joined in join.joined() {
            let names: Vec<&str> = join.needed(joined).iter().map(|field| field.name.as_str()).collect();
            add(&joined.source, &names);
        }
        for presence in &join.presences {
            let names: Vec<&str> = presence.on.iter().map(|(name, _)| name.as_str()).collect();
            add(&presence.source, &names);
        }
    }
    all
}

impl Rows {
    /// About `n` rows, none with a key of another.
    pub(super) fn random(chance: &mut Chance, source: &Source, names: &BTreeSet<String>, n: usize) -> Self {
        let mut table = source.table.clone();
        table.fields.retain(|field| names.contains(&field.name));
        let mut seen = BTreeSet::new();
        let mut rows = Vec::new();
        for at in 0..n {
            let mut row: Vec<Value> = table.fields.iter().map(|field| value(chance, field)).collect();
            row[table.index_of("unit").unwrap()] = Value::Text(unit(source, at * 5 / n));
            row[table.index_of("row").unwrap()] = Value::Int(i64::try_from(at).unwrap());
            let keys: Vec<String> =
                source.unique.iter().filter_map(|key| key_of(&table, &row, key)).collect();
            if !keys.iter().any(|key| seen.contains(key)) {
                seen.extend(keys);
                rows.push(row);
            }
        }
        Self { table, rows }
    }

    /// Rows of a unit, as its file has them.
    pub(super) fn of_unit(&self, unit: &str) -> RecordBatch {
        let at = self.table.index_of("unit").unwrap();
        let rows: Vec<&Vec<Value>> =
            self.rows.iter().filter(|row| row[at] == Value::Text(unit.to_owned())).collect();
        let column = |at: usize| array(self.table.fields[at].kind, rows.iter().map(|row| &row[at]));
        let columns = (0..self.table.fields.len()).map(column).collect();
        let schema: Arc<Schema> = Arc::new(self.table.arrow_schema());
        RecordBatch::try_new(schema, columns).unwrap()
    }

    pub(super) fn units(&self) -> BTreeSet<String> {
        let at = self.table.index_of("unit").unwrap();
        let unit = |row: &Vec<Value>| {
            let Value::Text(unit) = &row[at] else { panic!("{:?}", row[at]) };
            unit.clone()
        };
        self.rows.iter().map(unit).collect()
    }

    /// The statement that puts them into the database.
    pub(super) fn insert(&self, full_name: &str) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let names: Vec<String> =
            self.table.fields.iter().map(|field| format!("\"{}\"", field.name)).collect();
        let row =
            |row: &Vec<Value>| format!("({})", row.iter().map(Value::sql).collect::<Vec<_>>().join(", "));
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        format!("INSERT INTO {full_name} ({}) VALUES {};", names.join(", "), rows.join(", "))
    }
}

fn unit(source: &Source, at: usize) -> String {
    match source.schema {
        "catalog" => format!("catalog/{}/file/{at}", source.table.name),
        // Not in the order of their numbers, and of different lengths.
        _ => format!("iron/healpix/main/dark/64/{}", [9, 10, 100, 2, 23_040][at]),
    }
}

/// A key as text; `None` where a part is NULL, which is no other's.
fn key_of(table: &Table, row: &[Value], key: &[String]) -> Option<String> {
    let part = |name: &String| {
        let value = &row[table.index_of(name)?];
        (*value != Value::Null).then(|| value.sql())
    };
    let parts: Option<Vec<String>> = key.iter().map(part).collect();
    parts.map(|parts| format!("{key:?} {}", parts.join(" ")))
}

fn array<'a>(kind: Kind, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
    fn some<'a, T>(
        values: impl Iterator<Item = &'a Value>,
        get: impl Fn(&'a Value) -> Option<T>,
    ) -> impl Iterator<Item = Option<T>> {
        let some = move |value| get(value).unwrap_or_else(|| panic!("{value:?}"));
        values.map(move |value| (*value != Value::Null).then(|| some(value)))
    }
    let int = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
    match kind {
        Kind::Text => Arc::new(
            some(values, |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
                .collect::<StringArray>(),
        ),
        Kind::Bool => Arc::new(
            some(values, |value| if let Value::Bool(value) = value { Some(*value) } else { None })
                .collect::<BooleanArray>(),
        ),
        Kind::Int16 => Arc::new(some(values, |value| int(value)?.try_into().ok()).collect::<Int16Array>()),
        Kind::Int32 => Arc::new(some(values, |value| int(value)?.try_into().ok()).collect::<Int32Array>()),
        Kind::Int64 => Arc::new(some(values, int).collect::<Int64Array>()),
        Kind::Float32 => Arc::new(
            some(values, |value| if let Value::Single(value) = value { Some(*value) } else { None })
                .collect::<Float32Array>(),
        ),
        Kind::Float64 => Arc::new(
            some(values, |value| if let Value::Real(value) = value { Some(*value) } else { None })
                .collect::<Float64Array>(),
        ),
        Kind::Array(..) | Kind::Float32List(_) | Kind::Vector(_) | Kind::Json | Kind::Timestamp => {
            panic!("{} is not joined", kind.label())
        }
    }
}
