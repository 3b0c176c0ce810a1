//! The integration tests, in one binary.

mod fits;
mod fits_bytes;
mod inventory;
mod real;
