//! What the FITS reader must survive, and what it must refuse.

pub(crate) mod files;
pub(crate) mod fuzz;
mod layouts;
mod real_files;
mod refusals;
mod tables;
