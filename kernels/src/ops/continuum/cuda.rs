//! Launch of `continuum.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn running_median<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _grid: &Grid, _rows: &[(usize, f64)], _width_aa: f64) -> Result<Continuum<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "running_median", what: "has no kernel yet".to_owned() })
}
