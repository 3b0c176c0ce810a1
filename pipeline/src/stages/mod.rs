//! The stages' bodies.

pub mod extract;
pub mod inventory;
