//! One folder per operation: the contract in `mod.rs`, the CPU's body in `cpu.rs`.

pub mod breaks;
pub mod combine_arms;
pub mod continuum;
pub mod count_pixels;
pub mod extinction;
pub mod indices;
pub mod ivar_scale;
pub mod lines;
pub mod median_snr;
pub mod nearest_neighbors;
pub mod normalize;
pub mod project;
pub mod rest_frame;
pub mod synthetic;
pub mod update_basis;
pub mod window_snr;
