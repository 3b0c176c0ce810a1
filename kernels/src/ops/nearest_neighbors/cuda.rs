//! Launch of `nearest_neighbors.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn nearest_neighbors<M: Machine>(_dev: &Cuda<M>, _vectors_nd: &DeviceArray<f32, M::Memory>, _d: usize, _queries: Range<usize>, _k: usize) -> Result<Neighbors<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "nearest_neighbors", what: "has no kernel yet".to_owned() })
}
