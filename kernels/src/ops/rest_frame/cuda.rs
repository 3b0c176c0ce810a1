//! Launch of `rest_frame.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn resample<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _grid: &Grid, _rows: &[(usize, f64)], _rest: &RestGrid) -> Result<SpectraBatch<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "to_rest_frame", what: "has no kernel yet".to_owned() })
}
