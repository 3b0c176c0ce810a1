//! Launch of `extinction.cu`.

use super::{ExtinctionCurve, OPERATION, check};
use crate::cuda::{Arg, Cuda, Launch, Machine, THREADS, axis};
use crate::{Backend, KernelError, SpectraBatch};

pub(crate) fn correct<M: Machine>(
    dev: &Cuda<M>,
    spectra: &mut SpectraBatch<Cuda<M>>,
    curve: &ExtinctionCurve,
    ebv_s: &[f32],
) -> Result<(), KernelError> {
    check(spectra, [spectra.flux_sp.len(), spectra.ivar_sp.len()], curve, ebv_s)?;
    let (k_p, on_device_s) = (dev.upload(&curve.k_p)?, dev.upload(ebv_s)?);
    let args = &mut [
        k_p.arg(),
        on_device_s.arg(),
        Arg::U32(axis(OPERATION, spectra.n_spectra)?),
        Arg::U32(axis(OPERATION, spectra.n_pixels)?),
        spectra.flux_sp.arg_mut(),
        spectra.ivar_sp.arg_mut(),
    ];
    // SAFETY: the arguments are the kernel's, in order; every length was checked against the shape it is given.
    unsafe { dev.launch(Launch::per_block("extinction_f32", spectra.n_spectra, THREADS), args) }
}
