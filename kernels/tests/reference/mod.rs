//! Plain f64 statements of the operations: slow, obvious, and used only to judge.

pub(crate) mod bands;
pub(crate) mod breaks;
pub(crate) mod combine_arms;
pub(crate) mod continuum;
pub(crate) mod empca;
pub(crate) mod extinction;
pub(crate) mod indices;
pub(crate) mod lines;
pub(crate) mod median_snr;
pub(crate) mod nearest_neighbors;
pub(crate) mod rest_frame;
