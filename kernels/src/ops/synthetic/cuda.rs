//! Launch of `synthetic.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn synthetic_fluxes<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _rows: &[usize], _curves: &[FilterCurve]) -> Result<Synthetic<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "synthetic_fluxes", what: "has no kernel yet".to_owned() })
}
