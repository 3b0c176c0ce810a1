//! Spectral operations with one answer everywhere: numbers in, numbers out.
//!
//! Every operation is declared once in [`Backend`], has one folder under `ops/`, and gives the
//! same bits for any batch size, thread count and device. This crate knows no files, tables,
//! databases, configuration or logging.

mod backend;
mod band;
mod cholesky;
#[expect(
    dead_code,
    reason = "the definitions for kernels are for the build scripts, which include this file"
)]
mod constants;
mod cpu;
pub mod cuda;
mod device;
mod dust;
pub mod empca;
mod error;
mod exp;
pub mod lanes;
pub mod ops;
mod selection;
mod self_test;
mod shape;
mod simd;
mod weighted_sums;

pub use backend::{Backend, Element};
pub use band::{Band, flag};
pub use cpu::Cpu;
pub use device::{Device, DeviceInfo, MemoryInfo, Opened};
pub use error::KernelError;
pub use self_test::{OperationTest, self_test};
pub use shape::{ArmBatch, ArmSpectra, Grid, SpectraBatch, Weighted};
pub use simd::Simd;
