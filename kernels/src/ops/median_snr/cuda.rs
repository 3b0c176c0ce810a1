//! Launch of `median_snr.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn median_snr<M: Machine>(_dev: &Cuda<M>, _arms: &ArmSpectra<Cuda<M>>, _grid: &Grid, _ranges: &SnrRanges) -> Result<DeviceArray<f32, M::Memory>, KernelError> {
    Err(KernelError::Domain { operation: "median_snr_arms", what: "has no kernel yet".to_owned() })
}
