//! DESI catalogues and spectra in, analysis-ready rows out.
//!
//! `main` parses the command line and calls [`run::run`]; from there everything points downwards:
//! run → stages → {fits, inventory, sink, ledger} → error.

mod catalog;
pub mod class;
pub mod cli;
mod columns;
pub mod config;
mod db;
pub mod declared;
mod digest;
mod doctor;
pub mod error;
pub mod exit;
mod export;
mod filter;
pub mod fits;
mod healpix;
mod identity;
mod images;
mod inputs;
mod interrupt;
pub mod inventory;
pub mod job;
mod lake;
pub mod ledger;
pub mod memory;
pub mod model;
pub mod observe;
pub mod plan;
mod provenance;
mod record;
mod report;
mod rerun;
pub mod run;
pub mod server;
pub mod shard;
mod show;
mod similar;
mod simulate;
mod sink;
pub mod stage;
pub mod stages;
pub mod status;
pub mod table_file;
mod termination;
pub mod unit;
mod verify;

pub use sink::postgres::copy;
