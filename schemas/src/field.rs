//! A column and a table, as every output format needs them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Schema, TimeUnit};

/// What the elements of an array may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// True or false.
    Bool,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// Single precision.
    Float32,
    /// Double precision.
    Float64,
    /// UTF-8 text.
    Text,
}

impl Element {
    /// The element of this type, where there is one.
    pub fn of(kind: Kind) -> Option<Self> {
        let all =
            [Self::Bool, Self::Int16, Self::Int32, Self::Int64, Self::Float32, Self::Float64, Self::Text];
        all.into_iter().find(|element| element.kind() == kind)
    }

    /// The type of a column that holds one of them.
    pub fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int16 => Kind::Int16,
            Self::Int32 => Kind::Int32,
            Self::Int64 => Kind::Int64,
            Self::Float32 => Kind::Float32,
            Self::Float64 => Kind::Float64,
            Self::Text => Kind::Text,
        }
    }
}

/// The types a column may have; all exist in Arrow, Parquet and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// Single precision.
    Float32,
    /// Double precision.
    Float64,
    /// True or false.
    Bool,
    /// A fixed-size list of this many single-precision numbers.
    Float32List(i32),
    /// A list of this many elements, of any number where 0; any element may be NULL.
    Array(Element, i32),
    /// A point in an embedding space of this dimension; in files a list like any other.
    Vector(i32),
    /// JSON; text in files.
    Json,
    /// A moment, to the microsecond (UTC).
    Timestamp,
}

impl Kind {
    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Float32List(len) | Self::Vector(len) => DataType::FixedSizeList(Arc::new(list_item()), len),
            Self::Array(element, 0) => DataType::List(Arc::new(array_item(element))),
            Self::Array(element, len) => DataType::FixedSizeList(Arc::new(array_item(element)), len),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// The PostgreSQL type; a vector of dimension 0 may have any.
    pub fn sql(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Int16 => "smallint".to_owned(),
            Self::Int32 => "integer".to_owned(),
            Self::Int64 => "bigint".to_owned(),
            Self::Float32 => "real".to_owned(),
            Self::Float64 => "double precision".to_owned(),
            Self::Bool => "boolean".to_owned(),
            Self::Float32List(_) => "real[]".to_owned(),
            Self::Array(element, _) => format!("{}[]", element.kind().sql()),
            Self::Vector(0) => "vector".to_owned(),
            Self::Vector(len) => format!("vector({len})"),
            Self::Json => "jsonb".to_owned(),
            Self::Timestamp => "timestamp with time zone".to_owned(),
        }
    }

    /// How the data dictionary names it.
    pub fn label(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Int16 => "int16".to_owned(),
            Self::Int32 => "int32".to_owned(),
            Self::Int64 => "int64".to_owned(),
            Self::Float32 => "float32".to_owned(),
            Self::Float64 => "float64".to_owned(),
            Self::Bool => "boolean".to_owned(),
            Self::Float32List(len) => format!("float32[{len}]"),
            Self::Array(element, 0) => format!("{}[]", element.kind().label()),
            Self::Array(element, len) => format!("{}[{len}]", element.kind().label()),
            Self::Vector(len) => format!("vector[{len}]"),
            Self::Json => "json".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
        }
    }
}

impl Kind {
    /// The type that [`Kind::label`] names, where a catalogue may have it: a list is an array.
    pub fn from_label(label: &str) -> Option<Self> {
        if let Some((element, length)) = label.split_once('[') {
            let length = length.strip_suffix(']')?;
            let length = if length.is_empty() { 0 } else { length.parse().ok().filter(|&n: &i32| n > 0)? };
            return Some(Self::Array(Element::of(Self::from_label(element)?)?, length));
        }
        let scalars =
            [Self::Text, Self::Int16, Self::Int32, Self::Int64, Self::Float32, Self::Float64, Self::Bool];
        scalars.into_iter().find(|kind| kind.label() == label)
    }

    /// The type of a file's column, where a catalogue may have it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a catalogue has no other types")]
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        let element = |item: &ArrowField| Element::of(Self::from_arrow(item.data_type())?);
        Some(match data_type {
            DataType::Utf8 => Self::Text,
            DataType::Boolean => Self::Bool,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::List(item) => Self::Array(element(item)?, 0),
            DataType::FixedSizeList(item, len) if *len > 0 => Self::Array(element(item)?, *len),
            _ => return None,
        })
    }
}

/// The item of every list column; spectra hold no nulls, a missing pixel has ivar 0.
pub fn list_item() -> ArrowField {
    ArrowField::new("item", DataType::Float32, false)
}

/// The item of an array of a catalogue.
pub fn array_item(element: Element) -> ArrowField {
    ArrowField::new("item", element.kind().arrow(), true)
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Column name.
    pub name: String,
    /// Type.
    pub kind: Kind,
    /// VOUnit string; empty where dimensionless.
    pub unit: Cow<'static, str>,
    /// IVOA UCD1+ word(s); empty where none fits.
    pub ucd: Cow<'static, str>,
    /// What it is.
    pub description: String,
    /// Where the definition or the value comes from.
    pub source: String,
    /// Whether the column may be NULL.
    pub nullable: bool,
}

impl Field {
    /// A nullable column.
    pub fn new(name: impl Into<String>, kind: Kind, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            unit: Cow::Borrowed(""),
            ucd: Cow::Borrowed(""),
            description: description.into(),
            source: String::new(),
            nullable: true,
        }
    }

    /// With a unit.
    pub fn unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = unit.into();
        self
    }

    /// With a UCD.
    pub fn ucd(mut self, ucd: impl Into<Cow<'static, str>>) -> Self {
        self.ucd = ucd.into();
        self
    }

    /// With a source.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Never NULL.
    pub fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// The column that a file describes so, where a catalogue may have it.
    pub fn from_arrow(field: &ArrowField) -> Option<Self> {
        let text = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
        let kind = Kind::from_arrow(field.data_type())?;
        let made = Self::new(field.name(), kind, text("description"))
            .unit(text("unit"))
            .ucd(text("ucd"))
            .source(text("source"));
        Some(if field.is_nullable() { made } else { made.required() })
    }

    fn arrow(&self) -> ArrowField {
        let metadata: HashMap<String, String> = [
            ("unit", self.unit.as_ref()),
            ("ucd", self.ucd.as_ref()),
            ("description", self.description.as_str()),
            ("source", self.source.as_str()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        ArrowField::new(&self.name, self.kind.arrow(), self.nullable).with_metadata(metadata)
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Table name, also the lake folder.
    pub name: Cow<'static, str>,
    /// What a row is.
    pub description: String,
    /// Columns in order.
    pub fields: Vec<Field>,
}

impl Table {
    /// The Arrow schema, with unit, UCD, description and source as field metadata.
    pub fn arrow_schema(&self) -> Schema {
        Schema::new(self.fields.iter().map(Field::arrow).collect::<Vec<_>>())
    }

    /// The position of a column.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_a_catalogue_survives_its_label_and_its_arrow_type() {
        let elements = ["text", "boolean", "int16", "int32", "int64", "float32", "float64"];
        for element in elements {
            for label in [element.to_owned(), format!("{element}[]"), format!("{element}[3]")] {
                let kind = Kind::from_label(&label).unwrap();
                assert_eq!(kind.label(), label);
                let field = Field::new("x", kind, "a thing").unit("deg").ucd("pos").source("here");
                assert_eq!(Field::from_arrow(&field.arrow()), Some(field.clone()), "{label}");
                assert_eq!(Field::from_arrow(&field.clone().required().arrow()), Some(field.required()));
            }
        }
        for label in ["", "float", "float32[0]", "float32[-1]", "float32[", "float32[2][2]", "vector[2]"] {
            assert_eq!(Kind::from_label(label), None, "{label}");
        }
    }
}
