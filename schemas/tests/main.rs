//! The integration tests of the definitions: one binary.

mod catalogs;
mod data_tables;
