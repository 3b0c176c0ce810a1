//! Launch of `extinction.cu`.

use crate::cuda::*;
use crate::ops::*;
use crate::*;
use super::*;
use std::ops::Range;

pub(crate) fn correct<M: Machine>(_dev: &Cuda<M>, _spectra: &mut SpectraBatch<Cuda<M>>, _curve: &ExtinctionCurve, _ebv_s: &[f32]) -> Result<(), KernelError> {
    Err(KernelError::Domain { operation: "correct_extinction", what: "has no kernel yet".to_owned() })
}
