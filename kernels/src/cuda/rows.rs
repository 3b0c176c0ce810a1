//! Rows of a batch as kernels take them.

use super::{Cuda, DeviceArray, Machine, axis};
use crate::{Backend, KernelError};

/// Some rows of a batch, each with its redshift.
pub(crate) struct Rows<M: Machine> {
    /// Numbers of the rows [s].
    pub(crate) number_s: DeviceArray<u32, M::Memory>,
    /// Redshifts [s].
    pub(crate) z_s: DeviceArray<f64, M::Memory>,
}

impl<M: Machine> Rows<M> {
    /// Copies them to the device.
    ///
    /// # Errors
    /// Where a number is too large or the device refuses the memory.
    pub(crate) fn upload(
        dev: &Cuda<M>,
        operation: &'static str,
        rows: &[(usize, f64)],
    ) -> Result<Self, KernelError> {
        let z_s: Vec<f64> = rows.iter().map(|&(_, z)| z).collect();
        Ok(Self {
            number_s: row_numbers(dev, operation, rows.iter().map(|&(s, _)| s))?,
            z_s: dev.upload(&z_s)?,
        })
    }
}

/// Copies numbers of rows to the device.
///
/// # Errors
/// Where a number is too large or the device refuses the memory.
pub(crate) fn row_numbers<M: Machine>(
    dev: &Cuda<M>,
    operation: &'static str,
    rows: impl Iterator<Item = usize>,
) -> Result<DeviceArray<u32, M::Memory>, KernelError> {
    let numbers = rows.map(|s| axis(operation, s)).collect::<Result<Vec<u32>, KernelError>>()?;
    dev.upload(&numbers)
}
