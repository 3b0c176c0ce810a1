//! One definition of every table: Arrow schemas, units, UCDs, descriptions, and the data dictionary.
//!
//! Constants of the field (line list, index bands, filter curves) have their one home here, as data
//! files with their source. This crate does no I/O.

pub mod catalogs;
pub mod constants;
mod dictionary;
pub mod embeddings;
pub mod features;
mod field;
pub mod inventory;
pub mod joins;
pub mod model;
pub mod neighbors;
pub mod relational;
pub mod spectra;
pub mod sql;

pub use dictionary::data_dictionary;
pub use field::{Element, Field, Kind, Table, array_item, list_item};
