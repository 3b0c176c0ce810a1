//! Launch of `count_pixels.cu`.

use super::{OPERATION, PixelCounts, check_shapes};
use crate::cuda::{Arg, Cuda, Launch, Machine, axis};
use crate::{KernelError, SpectraBatch};

pub(crate) fn count_pixels<M: Machine>(
    dev: &Cuda<M>,
    spectra: &SpectraBatch<Cuda<M>>,
) -> Result<PixelCounts<Cuda<M>>, KernelError> {
    let (n_spectra, n_pixels) = (spectra.n_spectra, spectra.n_pixels);
    check_shapes((n_spectra, n_pixels), spectra.ivar_sp.len(), spectra.mask_sp.len())?;
    let mut out: PixelCounts<Cuda<M>> =
        PixelCounts { n_good_s: dev.room(n_spectra)?, n_masked_s: dev.room(n_spectra)? };
    let mut args = [
        spectra.ivar_sp.arg(),
        spectra.mask_sp.arg(),
        Arg::U32(axis(OPERATION, n_spectra)?),
        Arg::U32(axis(OPERATION, n_pixels)?),
        out.n_good_s.arg_mut(),
        out.n_masked_s.arg_mut(),
    ];
    // SAFETY: the arguments are the kernel's, in order, and their lengths were checked or made from its shapes.
    unsafe { dev.launch(Launch::per_warp("count_pixels_u32", n_spectra), &mut args) }?;
    Ok(out)
}
