//! The integration tests, in one binary.

// `cfg(test)` lets functions that are not tests themselves unwrap.
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bytes_read;
#[cfg(test)]
mod card;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod database;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod embedding;
#[cfg(test)]
mod fits;
#[cfg(test)]
mod fits_bytes;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod injection;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod job;
#[cfg(test)]
mod job_cluster;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod real;
#[cfg(test)]
mod run_folder;
#[cfg(test)]
mod show;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod verify;
