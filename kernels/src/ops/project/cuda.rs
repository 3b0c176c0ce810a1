//! Launch of `project.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn project<M: Machine>(_dev: &Cuda<M>, _data: &Weighted<'_, Cuda<M>>, _basis_kp: &DeviceArray<f32, M::Memory>, _k: usize) -> Result<Projection<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "project", what: "has no kernel yet".to_owned() })
}
