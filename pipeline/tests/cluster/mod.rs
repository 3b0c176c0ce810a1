//! A run as a cluster carries it out: shards in processes of their own, told to end, killed, without disk or input.

mod forty;
mod interrupt;
pub(crate) mod pods;
mod shards;
mod trouble;
