//! Launch of `ivar_scale.cu`.

use super::{ArmRanges, IvarScale, OPERATION, check};
use crate::cuda::{Arg, Cuda, Launch, Machine, THREADS, axis};
use crate::ops::continuum::Continuum;
use crate::{Backend, KernelError, SpectraBatch};

pub(crate) fn ivar_scale<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    rows: &[(usize, f64)],
    continuum: &Continuum<Cuda<M>>,
    arms: &ArmRanges,
) -> Result<IvarScale<Cuda<M>>, KernelError> {
    let of_observed = [observed.flux_sp.len(), observed.ivar_sp.len()];
    let of_continuum =
        [continuum.flux_sp.len(), continuum.valid_sp.len(), continuum.n_spectra * continuum.n_pixels];
    check((observed.n_spectra, observed.n_pixels), of_observed, rows, of_continuum, arms)?;
    let row_s: Vec<u32> = rows.iter().map(|&(s, _)| axis(OPERATION, s)).collect::<Result<_, _>>()?;
    let ends = arms.pixels_a.iter().flat_map(|pixels| [pixels.start, pixels.end]);
    let pixels_a: Vec<u32> = ends.map(|end| axis(OPERATION, end)).collect::<Result<_, _>>()?;
    let (row_s, pixels_a) = (dev.upload(&row_s)?, dev.upload(&pixels_a)?);
    let n = rows.len() * arms.pixels_a.len();
    let mut measured: IvarScale<Cuda<M>> =
        IvarScale { scale_sa: dev.room(n)?, n_pixels_sa: dev.room(n)?, flag_sa: dev.room(n)? };
    let args = &mut [
        observed.flux_sp.arg(),
        observed.ivar_sp.arg(),
        Arg::U32(axis(OPERATION, observed.n_pixels)?),
        row_s.arg(),
        continuum.flux_sp.arg(),
        continuum.valid_sp.arg(),
        pixels_a.arg(),
        Arg::U32(axis(OPERATION, arms.pixels_a.len())?),
        Arg::U64(n as u64),
        measured.scale_sa.arg_mut(),
        measured.n_pixels_sa.arg_mut(),
        measured.flag_sa.arg_mut(),
    ];
    // SAFETY: the arguments are the kernel's, in order; lengths, rows and the arms' pixels were checked; there is
    // a result for every row and arm.
    unsafe { dev.launch(Launch::per_block("ivar_scale_f32", n, THREADS), args) }?;
    Ok(measured)
}
