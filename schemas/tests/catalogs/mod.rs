//! Declared catalogues.

mod galaxies;
mod targets;
