//! Launch of `update_basis.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn update_basis<M: Machine>(_dev: &Cuda<M>, _data: &Weighted<'_, Cuda<M>>, _coeff_sk: &DeviceArray<f32, M::Memory>, _k: usize) -> Result<BasisUpdate<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "update_basis", what: "has no kernel yet".to_owned() })
}
