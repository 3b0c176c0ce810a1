//! Seeded generator of DESI files in their genuine layouts, with the truth beside them.
//!
//! [`simulate`] writes coadds and redrock files of EDR, DR1 and DR2 as trees of pixels and tiles,
//! redshift catalogues, and one truth table per release. Objects are drawn from a seed and the
//! TARGETID, noise from the seed, the unit and the row, so equal requests give equal bytes on any
//! machine and for any number of threads. Of the code it serves to test only the declarations of
//! catalogues are shared: what a catalogue's files look like is said there, once.

mod catalogs;
mod coadd;
mod config;
mod draw;
mod dust;
mod error;
mod fibermap;
mod fits;
mod galaxy;
mod grid;
mod healpix;
mod indices;
mod lines;
mod narrow;
mod noise;
mod plan;
mod quasar;
mod record;
mod redrock;
mod sampler;
mod samples;
mod scores;
mod simulate;
mod source;
mod stellar;
mod table;
mod template;
mod truth;
mod zcatalog;

pub use config::{Grouping, Release, Resolution, SimulateConfig, SimulateReport, Truth};
pub use error::SimulateError;
pub use samples::write_samples;
pub use simulate::simulate;
