//! Which column of a file becomes which of ours, decided before any row is read.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use specmill_schemas::catalogs::{CatalogColumn, CatalogTable, Origin};
use specmill_schemas::{Element, Kind};

use super::convert::{Rule, can_become};
use super::error::CatalogError;
use super::release::text_of;
use super::survey::TableSurvey;
use crate::error::Result;
use crate::fits::bintable::{ColumnPlan, TableOptions, TableReader, same_unit};
use crate::fits::prescan::{HduInfo, TableInfo};
use crate::fits::{HduLabel, Source};

/// Columns of the file that a message names before it only counts.
const NAMED_COLUMNS: usize = 8;

/// Our columns, and what each is made of.
pub(crate) struct Layout {
    /// What the Parquet file has.
    pub(crate) schema: SchemaRef,
    /// In the order of the schema.
    pub(super) columns: Vec<Bound>,
    /// The columns of the file that are read, in the order in which ours ask for them, and one may come again; `None`
    /// for each once in the file's own order.
    pub(super) inputs: Option<Vec<String>>,
    /// What is worth knowing of the file as a whole.
    pub(super) notes: Vec<String>,
}

/// One of our columns.
pub(super) struct Bound {
    /// What messages call it: the file's name for it, or ours where it follows from several.
    pub(super) label: String,
    /// Where its inputs stand among [`Layout::inputs`].
    pub(super) inputs: Range<usize>,
    pub(super) make: Make,
}

/// How a column is made.
pub(super) enum Make {
    /// The unit's id.
    Unit,
    /// The row's number.
    Row,
    /// The same in every row: an array of one.
    Constant(ArrayRef),
    /// Of one column of the file; where `weighted`, a second says where it stands for nothing.
    Value { rule: Rule, weighted: bool },
    /// Of RELEASE, BRICKID and OBJID.
    LegacyId,
    /// Of right ascension and declination.
    Healpix29 { ra: Box<Rule>, ra_weighted: bool, dec: Box<Rule>, dec_weighted: bool },
}

/// What a table is bound against.
pub(super) struct Binder<'a> {
    pub(super) source: &'a Source,
    pub(super) hdu: &'a HduInfo,
    pub(super) info: &'a TableInfo,
    pub(super) survey: &'a TableSurvey,
    pub(super) specprod: &'a str,
}

/// What a declared column is made of, as far as its cards tell.
struct Plan {
    label: String,
    inputs: Vec<String>,
    make: Make,
}

impl Binder<'_> {
    /// Binds a declared table.
    ///
    /// # Errors
    /// Where the file lacks a column that may not be absent, or has one of another kind or unit.
    pub(super) fn declared(&self, table: &CatalogTable) -> Result<Layout> {
        let plans = self.plan_columns(table)?;
        let mut layout = Layout {
            schema: Arc::new(schema(table)),
            columns: Vec::new(),
            inputs: None,
            notes: [self.left_out(&plans), unweighted(table, &plans)].into_iter().flatten().collect(),
        };
        let mut inputs = Vec::new();
        let leading = [Make::Unit, Make::Row, Make::Constant(text(self.specprod))];
        for (name, make) in ["unit", "row", "specprod"].into_iter().zip(leading) {
            layout.columns.push(Bound { label: name.to_owned(), inputs: 0..0, make });
        }
        let position = table.position.as_ref().map(|position| self.healpix(table, &plans, position));
        for plan in plans.into_iter().chain(position) {
            let first = inputs.len();
            inputs.extend(plan.inputs);
            layout.columns.push(Bound { label: plan.label, inputs: first..inputs.len(), make: plan.make });
        }
        layout.inputs = Some(inputs);
        self.check_kinds(&layout)?;
        Ok(layout)
    }

    /// Every column's plan; all that are missing are named together.
    fn plan_columns(&self, table: &CatalogTable) -> Result<Vec<Plan>> {
        let mut plans = Vec::with_capacity(table.columns.len());
        let mut missing = Vec::new();
        for column in &table.columns {
            match self.plan(table, column)? {
                Some(plan) => plans.push(plan),
                None => missing.push(format!("{} (`{}`)", wanted(column), column.field.name)),
            }
        }
        if missing.is_empty() {
            return Ok(plans);
        }
        let more = missing.len().saturating_sub(NAMED_COLUMNS);
        missing.truncate(NAMED_COLUMNS);
        let mut columns = format!("the columns {}", missing.join(", "));
        if more > 0 {
            columns.push_str(&format!(" and {more} more"));
        }
        Err(self.fault(CatalogError::NoColumn { path: self.path(), hdu: self.hdu.label(), columns }))
    }

    /// What a column is made of; `None` where the file has nothing for it and must.
    fn plan(&self, table: &CatalogTable, column: &CatalogColumn) -> Result<Option<Plan>> {
        let (names, or_name) = match &column.origin {
            Origin::Columns(names) => (names, None),
            Origin::ColumnsOr { columns, name } => (columns, Some(name)),
            Origin::LegacyId(parts) => return Ok(self.legacy_id(column, parts)),
        };
        if let Some(found) = names.iter().find_map(|name| self.info.column(name)) {
            let unit_factor = self.unit_factor(column, &found.name, found.unit.as_deref())?;
            let weights = self.weights(table, column, &found.name)?;
            let rule = rule_of(column, unit_factor);
            let inputs = [Some(found.name.clone()), weights.clone()].into_iter().flatten().collect();
            let make = Make::Value { rule, weighted: weights.is_some() };
            return Ok(Some(Plan { label: found.name.clone(), inputs, make }));
        }
        let constant = match or_name.and_then(|name| self.said(name)) {
            Some(said) => self.constant(column, &said)?,
            None if column.optional => nothing(&column.field.kind.arrow()),
            None => return Ok(None),
        };
        let label = column.field.name.clone();
        Ok(Some(Plan { label, inputs: Vec::new(), make: Make::Constant(constant) }))
    }

    fn legacy_id(&self, column: &CatalogColumn, parts: &[String; 3]) -> Option<Plan> {
        let label = column.field.name.clone();
        let found: Option<Vec<String>> =
            parts.iter().map(|part| Some(self.info.column(part)?.name.clone())).collect();
        match found {
            Some(inputs) => Some(Plan { label, inputs, make: Make::LegacyId }),
            None if column.optional => {
                let make = Make::Constant(nothing(&DataType::Int64));
                Some(Plan { label, inputs: Vec::new(), make })
            }
            None => None,
        }
    }

    /// The factor from the file's unit to ours, where it is not 1.
    fn unit_factor(&self, column: &CatalogColumn, name: &str, unit: Option<&str>) -> Result<Option<f64>> {
        let Some(unit) = unit.map(str::trim).filter(|unit| !unit.is_empty()) else { return Ok(None) };
        if same_unit(unit, &column.field.unit) {
            return Ok(None);
        }
        if let Some((_, &factor)) = column.units.iter().find(|(known, _)| same_unit(unit, known)) {
            #[expect(clippy::float_cmp, reason = "exactly 1 changes nothing")]
            let changes = factor != 1.0;
            return Ok(changes.then_some(factor));
        }
        let mut known = vec![if column.field.unit.is_empty() {
            "no unit".to_owned()
        } else {
            format!("`{}`", column.field.unit)
        }];
        known.extend(column.units.keys().map(|unit| format!("`{unit}`")));
        Err(self.fault(CatalogError::Unit {
            path: self.path(),
            hdu: self.hdu.label(),
            column: name.to_owned(),
            unit: unit.to_owned(),
            known: known.join(", "),
        }))
    }

    /// The column that says where this one stands for nothing. A file may lack it only if a table may.
    fn weights(&self, table: &CatalogTable, column: &CatalogColumn, name: &str) -> Result<Option<String>> {
        let Some(wanted) = &column.null_where_zero else { return Ok(None) };
        if let Some(found) = self.info.column(wanted) {
            return Ok(Some(found.name.clone()));
        }
        let comes_of = |other: &CatalogColumn| match &other.origin {
            Origin::Columns(names) | Origin::ColumnsOr { columns: names, .. } => {
                names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
            }
            Origin::LegacyId(_) => false,
        };
        if table.columns.iter().any(|other| other.optional && comes_of(other)) {
            return Ok(None);
        }
        let columns = format!("the column {wanted}, which says where {name} stands for nothing");
        Err(self.fault(CatalogError::NoColumn { path: self.path(), hdu: self.hdu.label(), columns }))
    }

    /// What the file's name or a keyword says under a name.
    fn said(&self, name: &str) -> Option<String> {
        let keyword = name.to_uppercase();
        let card = |hdu: &HduInfo| hdu.header.get(&keyword).and_then(text_of);
        let named = self.survey.names.get(name).cloned();
        named.or_else(|| card(self.hdu)).or_else(|| self.source.hdus().first().and_then(card))
    }

    /// The value that is said, in the column's type.
    fn constant(&self, column: &CatalogColumn, said: &str) -> Result<ArrayRef> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&text(said), &column.field.kind.arrow(), &options).map_err(|_| {
            self.fault(CatalogError::Constant {
                path: self.path(),
                hdu: self.hdu.label(),
                column: column.field.name.clone(),
                text: said.to_owned(),
                wanted: column.field.kind.label(),
            })
        })
    }

    fn healpix(&self, table: &CatalogTable, plans: &[Plan], position: &[String; 2]) -> Plan {
        let label = "healpix29".to_owned();
        let of = |name: &str| {
            let at = table.columns.iter().position(|column| column.field.name == name)?;
            let plan = plans.get(at)?;
            let Make::Value { rule, weighted } = &plan.make else { return None };
            Some((Box::new(Rule { required: false, ..rule.clone() }), *weighted, &plan.inputs))
        };
        match (of(&position[0]), of(&position[1])) {
            (Some((ra, ra_weighted, ra_inputs)), Some((dec, dec_weighted, dec_inputs))) => Plan {
                label,
                inputs: ra_inputs.iter().chain(dec_inputs).cloned().collect(),
                make: Make::Healpix29 { ra, ra_weighted, dec, dec_weighted },
            },
            // A file without positions.
            _ => Plan { label, inputs: Vec::new(), make: Make::Constant(nothing(&DataType::Int64)) },
        }
    }

    /// Whether the file's columns can be read and become what they are declared as.
    fn check_kinds(&self, layout: &Layout) -> Result<()> {
        let reader = TableReader::new(self.source, self.hdu, &layout.options())?;
        for (bound, field) in layout.columns.iter().zip(layout.schema.fields()) {
            let inputs = &reader.columns()[bound.inputs.clone()];
            let problem = match (&bound.make, inputs) {
                (Make::Value { rule, weighted }, [value, ..]) => {
                    let weights = inputs.last().filter(|_| *weighted);
                    kind_problem(rule, value).map(|problem| (value, problem)).or_else(|| {
                        let weights = weights.filter(|weights| !is_number(weights))?;
                        Some((weights, "it must be a number to say where another stands for nothing"))
                    })
                }
                (Make::LegacyId, parts) => parts
                    .iter()
                    .find(|part| !part.field().data_type().is_integer())
                    .map(|part| (part, "a part of a Legacy id is a whole number")),
                _ => None,
            };
            if let Some((column, problem)) = problem {
                return Err(self.fault(CatalogError::Kind {
                    path: self.path(),
                    hdu: self.hdu.label(),
                    column: column.name().to_owned(),
                    tform: column.tform().to_owned(),
                    wanted: format!("`{}` ({})", field.name(), type_label(field.data_type())),
                    problem,
                }));
            }
        }
        Ok(())
    }

    /// The columns of the file that nothing is made of, in one sentence.
    fn left_out(&self, plans: &[Plan]) -> Option<String> {
        const NAMED: usize = 60;
        let used: BTreeSet<&str> =
            plans.iter().flat_map(|plan| plan.inputs.iter().map(String::as_str)).collect();
        let names: Vec<&str> = self
            .info
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| !used.contains(name))
            .collect();
        let more = names.len().saturating_sub(NAMED);
        let mut sentence =
            format!("columns not declared, left out: {}", names[..names.len() - more].join(", "));
        if more > 0 {
            sentence.push_str(&format!(" and {more} more"));
        }
        (!names.is_empty()).then_some(sentence)
    }

    fn path(&self) -> std::path::PathBuf {
        self.source.path().to_owned()
    }

    fn fault(&self, error: CatalogError) -> crate::error::Error {
        Box::new(error).into()
    }
}

impl Layout {
    /// How the file's columns are read.
    pub(super) fn options(&self) -> TableOptions {
        TableOptions { columns: self.inputs.clone(), ..TableOptions::default() }
    }
}

/// The schema that the declaration says, with what a database has no type for in the fields' metadata.
fn schema(table: &CatalogTable) -> Schema {
    let plain = table.table().arrow_schema();
    let fields = plain.fields().iter().map(|field| {
        let h = table.columns.iter().find(|column| column.field.name == *field.name());
        match h.and_then(|column| column.h.clone()) {
            Some(h) => {
                let mut metadata = field.metadata().clone();
                metadata.insert("h".to_owned(), h);
                Arc::new(field.as_ref().clone().with_metadata(metadata))
            }
            None => Arc::clone(field),
        }
    });
    Schema::new(fields.collect::<Vec<Arc<Field>>>())
}

/// Columns whose weights this file lacks, as it may, in one sentence.
fn unweighted(table: &CatalogTable, plans: &[Plan]) -> Option<String> {
    let bare = |(column, plan): (&CatalogColumn, &Plan)| {
        let is_bare = matches!(plan.make, Make::Value { weighted: false, .. });
        (is_bare && column.null_where_zero.is_some()).then(|| column.field.name.clone())
    };
    let names: Vec<String> = table.columns.iter().zip(plans).filter_map(bare).collect();
    let sentence = format!(
        "no weights in the file, so that nothing says where they stand for nothing: {}",
        names.join(", ")
    );
    (!names.is_empty()).then_some(sentence)
}

/// What the file should have for a column.
fn wanted(column: &CatalogColumn) -> String {
    match &column.origin {
        Origin::Columns(names) => names.join(" or "),
        Origin::ColumnsOr { columns, name } => {
            let mut names = columns.clone();
            names.push(format!("{{{name}}} of the file's name"));
            names.push(format!("keyword {}", name.to_uppercase()));
            names.join(" or ")
        }
        Origin::LegacyId(parts) => parts.join(" and "),
    }
}

fn rule_of(column: &CatalogColumn, unit_factor: Option<f64>) -> Rule {
    let (element, list) = element_of(column.field.kind);
    Rule {
        element,
        list,
        unit_factor,
        multiply: column.multiply,
        add: column.add,
        null_values: column.null_values.clone(),
        null_texts: column.null_texts.clone(),
        keep_nan: false,
        required: !column.field.nullable,
    }
}

/// The type of a column's values, and of its arrays.
fn element_of(kind: Kind) -> (Element, Option<i32>) {
    match kind {
        Kind::Array(element, n) => (element, Some(n)),
        Kind::Bool => (Element::Bool, None),
        Kind::Int16 => (Element::Int16, None),
        Kind::Int32 => (Element::Int32, None),
        Kind::Int64 => (Element::Int64, None),
        Kind::Float32 => (Element::Float32, None),
        Kind::Float64 => (Element::Float64, None),
        Kind::Float32List(n) | Kind::Vector(n) => (Element::Float32, Some(n)),
        // A declaration has no other kinds.
        Kind::Text | Kind::Json | Kind::Timestamp => (Element::Text, None),
    }
}

/// The type of one element.
#[expect(clippy::wildcard_enum_match_arm, reason = "a column becomes no other type of lists")]
pub(super) fn element_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) | DataType::FixedSizeList(item, _) => item.data_type(),
        other => other,
    }
}

fn is_number(column: &ColumnPlan) -> bool {
    element_type(column.field().data_type()).is_numeric()
}

/// Why a column cannot become what it should.
#[expect(clippy::wildcard_enum_match_arm, reason = "a column becomes no other type of lists")]
fn kind_problem(rule: &Rule, column: &ColumnPlan) -> Option<&'static str> {
    let source = column.field().data_type();
    let element = element_type(source);
    if !can_become(rule.element, element) || matches!(element, DataType::Struct(_)) {
        return Some("it holds values of another kind");
    }
    let length = match source {
        DataType::List(_) => return rule.list.is_none().then_some("its rows have any number of values"),
        DataType::FixedSizeList(_, n) => *n,
        _ => 1,
    };
    match rule.list {
        Some(0) => None,
        Some(n) => (n != length).then_some("its rows have another number of values"),
        None => (length != 1).then_some("its rows have several values"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a column becomes no other type of lists")]
fn type_label(data_type: &DataType) -> String {
    match data_type {
        DataType::List(item) => format!("{}[]", type_label(item.data_type())),
        DataType::FixedSizeList(item, n) => format!("{}[{n}]", type_label(item.data_type())),
        DataType::Utf8 => "text".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// A text as an array of one.
pub(super) fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

/// NULL as an array of one.
fn nothing(data_type: &DataType) -> ArrayRef {
    let null = arrow::array::new_null_array(data_type, 1);
    debug_assert_eq!(null.len(), 1, "one value");
    null
}

/// How messages name a place.
pub(super) fn value_fault(
    source: &Source,
    hdu: HduLabel,
    column: &str,
    row: u64,
    problem: String,
) -> crate::error::Error {
    let path = source.path().to_owned();
    Box::new(CatalogError::Value { path, hdu, column: column.to_owned(), row, problem }).into()
}
