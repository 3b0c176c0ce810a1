//! Launch of `breaks.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn measure_breaks<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _grid: &Grid, _rows: &[(usize, f64)], _breaks: &[BreakBands]) -> Result<Breaks<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "measure_breaks", what: "has no kernel yet".to_owned() })
}
