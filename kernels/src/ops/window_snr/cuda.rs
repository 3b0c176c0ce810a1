//! Launch of `window_snr.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn median_snr_windows<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _grid: &Grid, _rows: &[(usize, f64)], _windows: &[Band]) -> Result<WindowSnr<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "median_snr_windows", what: "has no kernel yet".to_owned() })
}
