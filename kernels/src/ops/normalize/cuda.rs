//! Launches of `normalize.cu`.

use super::{Normalized, OPERATION, check_lengths, not_finite};
use crate::cuda::{Arg, Cuda, DeviceArray, Launch, Machine, THREADS, axis};
use crate::{KernelError, SpectraBatch};

pub(crate) fn normalize<M: Machine>(
    dev: &Cuda<M>,
    spectra: &SpectraBatch<Cuda<M>>,
    mean_p: &DeviceArray<f32, M::Memory>,
) -> Result<Normalized<Cuda<M>>, KernelError> {
    let (n_spectra, n_pixels) = (spectra.n_spectra, spectra.n_pixels);
    let lengths = [spectra.flux_sp.len(), spectra.ivar_sp.len(), mean_p.len()];
    check_lengths((n_spectra, n_pixels), lengths)?;
    dev.check_finite(mean_p, not_finite)?;
    let mut out: Normalized<Cuda<M>> = Normalized {
        n_spectra,
        n_pixels,
        amplitude_s: dev.room(n_spectra)?,
        amplitude_snr_s: dev.room(n_spectra)?,
        n_good_s: dev.room(n_spectra)?,
        residual_sp: dev.room(n_spectra * n_pixels)?,
        weight_sp: dev.room(n_spectra * n_pixels)?,
    };
    let shape = [Arg::U32(axis(OPERATION, n_spectra)?), Arg::U32(axis(OPERATION, n_pixels)?)];
    let mut args = vec![spectra.flux_sp.arg(), spectra.ivar_sp.arg(), mean_p.arg()];
    args.extend(shape);
    args.extend([out.amplitude_s.arg_mut(), out.amplitude_snr_s.arg_mut(), out.n_good_s.arg_mut()]);
    // SAFETY: the arguments are the kernel's, in order; the lengths were checked against the shape that it is
    // given, or made from it.
    unsafe { dev.launch(Launch::per_warp("normalize_f32_share", n_spectra), &mut args) }?;
    let shape = [Arg::U32(axis(OPERATION, n_spectra)?), Arg::U32(axis(OPERATION, n_pixels)?)];
    let mut args = vec![spectra.flux_sp.arg(), spectra.ivar_sp.arg(), mean_p.arg(), out.amplitude_s.arg()];
    args.extend(shape);
    args.extend([out.residual_sp.arg_mut(), out.weight_sp.arg_mut()]);
    // SAFETY: as above; the amplitudes are those that the launch before writes.
    unsafe { dev.launch(Launch::per_block("normalize_f32_take_off", n_spectra, THREADS), &mut args) }?;
    Ok(out)
}
