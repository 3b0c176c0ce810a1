//! A table as it is: its own columns under names that need no quotes, in types that the database has.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use specmill_schemas::catalogs::{LONGEST_NAME, leading_fields};
use specmill_schemas::{Element, Kind, Table};

use super::bind::{Binder, Bound, Layout, Make, element_type};
use super::convert::Rule;
use crate::error::Result;
use crate::fits::bintable::{ColumnPlan, TableOptions, TableReader};

impl Binder<'_> {
    /// Binds a table as it is.
    ///
    /// # Errors
    /// Where a column cannot be read at all.
    pub(super) fn raw(&self) -> Result<Layout> {
        let reader = TableReader::new(self.source, self.hdu, &TableOptions::default())?;
        // Nothing says which production the rows are of.
        let leading: Vec<_> = leading_fields().into_iter().filter(|field| field.name != "specprod").collect();
        let mut taken: HashSet<String> = leading.iter().map(|field| field.name.clone()).collect();
        let leading = Table { name: "".into(), description: String::new(), fields: leading };
        let mut fields: Vec<Arc<Field>> = leading.arrow_schema().fields().iter().cloned().collect();
        let mut columns: Vec<Bound> = [("unit", Make::Unit), ("row", Make::Row)]
            .into_iter()
            .map(|(label, make)| Bound { label: label.to_owned(), inputs: 0..0, make })
            .collect();
        for (i, plan) in reader.columns().iter().enumerate() {
            let rule = rule_of(plan);
            let kind = rule.list.map_or(rule.element.kind(), |n| Kind::Array(rule.element, n));
            let name = free_name(plan.field().name(), &mut taken);
            let metadata = plan.field().metadata().clone();
            fields.push(Arc::new(Field::new(name, kind.arrow(), true).with_metadata(metadata)));
            let make = Make::Value { rule, weighted: false };
            columns.push(Bound { label: plan.name().to_owned(), inputs: i..i + 1, make });
        }
        Ok(Layout { schema: Arc::new(Schema::new(fields)), columns, inputs: None, notes: Vec::new() })
    }
}

/// The type that holds all values of a column, and signed, as PostgreSQL has them.
#[expect(clippy::wildcard_enum_match_arm, reason = "a column becomes no other type of lists")]
fn rule_of(plan: &ColumnPlan) -> Rule {
    let source = plan.field().data_type();
    let (element, parts) = element_of(element_type(source));
    let list = match source {
        DataType::List(_) => Some(0),
        DataType::FixedSizeList(_, n) => Some(n.saturating_mul(parts)),
        _ if parts > 1 => Some(parts),
        _ => None,
    };
    Rule {
        element,
        list,
        unit_factor: None,
        multiply: None,
        add: None,
        null_values: Vec::new(),
        null_texts: Vec::new(),
        keep_nan: true,
        required: false,
    }
}

/// The type of a value, and how many a complex number takes.
#[expect(clippy::wildcard_enum_match_arm, reason = "a column becomes no other type")]
fn element_of(source: &DataType) -> (Element, i32) {
    match source {
        DataType::Boolean => (Element::Bool, 1),
        DataType::UInt8 | DataType::Int8 | DataType::Int16 => (Element::Int16, 1),
        DataType::UInt16 | DataType::Int32 => (Element::Int32, 1),
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => (Element::Int64, 1),
        DataType::Float32 => (Element::Float32, 1),
        DataType::Float64 => (Element::Float64, 1),
        DataType::Struct(parts) if parts.iter().any(|part| *part.data_type() == DataType::Float64) => {
            (Element::Float64, 2)
        }
        DataType::Struct(_) => (Element::Float32, 2),
        _ => (Element::Text, 1),
    }
}

/// A name without capitals, signs or a digit in front, and no other column's.
fn free_name(name: &str, taken: &mut HashSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let mut wanted: String = name.chars().map(plain).collect();
    if !wanted.starts_with(|c: char| c.is_ascii_lowercase()) {
        wanted.insert_str(0, "c_");
    }
    wanted.truncate(LONGEST_NAME);
    let mut free = wanted.clone();
    let mut copies = 1;
    while !taken.insert(free.clone()) {
        copies += 1;
        let end = format!("_{copies}");
        wanted.truncate(LONGEST_NAME - end.len());
        free = format!("{wanted}{end}");
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quotes_and_are_each_their_own() {
        let mut taken = HashSet::from(["row".to_owned()]);
        let names = ["ROW", "Z", "z", "2MASS", "Δχ2", "FLUX G", &"A".repeat(70), &"a".repeat(64)];
        let free: Vec<String> = names.iter().map(|name| free_name(name, &mut taken)).collect();
        assert_eq!(free[..6], ["row_2", "z", "z_2", "c_2mass", "c___2", "flux_g"]);
        assert_eq!(free[6], "a".repeat(63));
        assert_eq!(free[7], format!("{}_2", "a".repeat(61)));
    }
}
