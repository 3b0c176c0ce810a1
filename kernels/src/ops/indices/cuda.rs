//! Launch of `indices.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn measure_indices<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _grid: &Grid, _rows: &[(usize, f64)], _indices: &[IndexBands]) -> Result<Indices<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "measure_indices", what: "has no kernel yet".to_owned() })
}
