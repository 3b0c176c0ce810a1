//! Launch of `ivar_scale.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn ivar_scale<M: Machine>(_dev: &Cuda<M>, _observed: &SpectraBatch<Cuda<M>>, _rows: &[(usize, f64)], _continuum: &continuum::Continuum<Cuda<M>>, _arms: &ArmRanges) -> Result<IvarScale<Cuda<M>>, KernelError> {
    Err(KernelError::Domain { operation: "ivar_scale", what: "has no kernel yet".to_owned() })
}
