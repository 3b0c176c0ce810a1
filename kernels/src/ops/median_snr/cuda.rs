//! Launches of `median_snr.cu`.

use super::{OPERATION, SnrRanges, check, per_root_aa};
use crate::cuda::{Arg, Cuda, DeviceArray, Launch, Machine, THREADS, axis};
use crate::{ArmSpectra, Grid, KernelError};

pub(crate) fn median_snr<M: Machine>(
    dev: &Cuda<M>,
    arms: &ArmSpectra<Cuda<M>>,
    grid: &Grid,
    ranges: &SnrRanges,
) -> Result<DeviceArray<f32, M::Memory>, KernelError> {
    check(arms, [0, 1, 2].map(|a| [arms.flux_asp[a].len(), arms.ivar_asp[a].len()]))?;
    let mut snr_sa = dev.room(arms.n_spectra * 3)?;
    for (arm, a) in (0_u32..).zip(0..3) {
        let pixels = ranges.pixels(grid, a, &arms.layout_a);
        let args = &mut [
            arms.flux_asp[a].arg(),
            arms.ivar_asp[a].arg(),
            Arg::U32(axis(OPERATION, arms.n_spectra)?),
            Arg::U32(axis(OPERATION, arms.layout_a[a].1)?),
            Arg::U32(axis(OPERATION, pixels.start)?),
            Arg::U32(axis(OPERATION, pixels.len())?),
            Arg::F64(per_root_aa(grid)),
            Arg::U32(arm),
            snr_sa.arg_mut(),
        ];
        // SAFETY: the arguments are the kernel's, in order; the arm's lengths were checked, the range lies within
        // the arm, and there are three results per spectrum.
        unsafe { dev.launch(Launch::per_block("median_snr_f32", arms.n_spectra, THREADS), args) }?;
    }
    Ok(snr_sa)
}
