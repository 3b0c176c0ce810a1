//! What the FITS reader must survive, and what it must refuse.

mod files;
mod fuzz;
mod layouts;
mod real_files;
mod refusals;
mod tables;
