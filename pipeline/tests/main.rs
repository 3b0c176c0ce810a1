//! The integration tests, in one binary.

// `cfg(test)` lets functions that are not tests themselves unwrap.
#[cfg(test)]
mod fits;
#[cfg(test)]
mod fits_bytes;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod real;
