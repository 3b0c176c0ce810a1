//! How fast a card copies: what every memory-bound kernel is measured against.

use std::time::Instant;

use cudarc::driver::CudaSlice;

use super::{Driver, Machine};
use crate::KernelError;

/// Copies of which the fastest counts.
const REPEATS: usize = 8;

/// Bytes per second.
#[derive(Debug, Clone, Copy)]
pub struct CopyRates {
    /// From the host's memory, through page-locked buffers, as every upload goes.
    pub to_card: f64,
    /// To the host's memory, likewise.
    pub from_card: f64,
    /// Within the card; each byte is read and written, and counted once.
    pub on_card: f64,
}

impl Driver {
    /// Measures copies of so many bytes.
    ///
    /// # Errors
    /// [`KernelError::OutOfMemory`] or [`KernelError::Device`].
    pub fn measure_copies(&self, bytes: usize) -> Result<CopyRates, KernelError> {
        let mut host = vec![1_u8; bytes];
        let memory = self.upload(&host)?;
        let mut other = self.allocate(bytes)?;
        Ok(CopyRates {
            to_card: bytes as f64 / self.fastest(|| self.upload(&host).map(drop))?,
            on_card: bytes as f64 / self.fastest(|| self.copy(&memory, &mut other))?,
            from_card: bytes as f64 / self.fastest(|| self.download(&memory, &mut host))?,
        })
    }

    fn copy(&self, from: &CudaSlice<u8>, to: &mut CudaSlice<u8>) -> Result<(), KernelError> {
        let copied = self.stream().memcpy_dtod(from, to);
        self.done("copying", copied)
    }

    fn fastest(&self, mut work: impl FnMut() -> Result<(), KernelError>) -> Result<f64, KernelError> {
        let mut fastest = f64::INFINITY;
        for _ in 0..REPEATS {
            self.synchronize()?;
            let started = Instant::now();
            work()?;
            self.synchronize()?;
            fastest = fastest.min(started.elapsed().as_secs_f64());
        }
        Ok(fastest)
    }
}
