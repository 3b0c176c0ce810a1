//! Launch of `lines.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn measure_lines<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _grid: &Grid, _rows: &[(usize, f64)], _lines: &[LineBands]) -> Result<Lines<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "measure_lines", what: "has no kernel yet".to_owned() })
}
