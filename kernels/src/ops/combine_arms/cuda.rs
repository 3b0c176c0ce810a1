//! Launch of `combine_arms.cu`.

use super::{MaskRule, OPERATION, check_shapes, runs};
use crate::constants::{RULE_070, RULE_DR1, RULE_MASKED};
use crate::cuda::{Arg, Cuda, Launch, Machine, THREADS, axis};
use crate::{ArmSpectra, Grid, KernelError, SpectraBatch};

pub(crate) fn combine<M: Machine>(
    dev: &Cuda<M>,
    arms: &ArmSpectra<Cuda<M>>,
    grid: &Grid,
    rule: MaskRule,
) -> Result<SpectraBatch<Cuda<M>>, KernelError> {
    let (n_spectra, n_pixels) = (arms.n_spectra, grid.n_pixels);
    let lengths = |a: usize| [arms.flux_asp[a].len(), arms.ivar_asp[a].len(), arms.mask_asp[a].len()];
    check_shapes(n_spectra, &arms.layout_a, arms.fiberstatus_s.len(), [0, 1, 2].map(lengths))?;
    runs(&arms.layout_a, n_pixels)?;
    let n = n_spectra * n_pixels;
    let mut out: SpectraBatch<Cuda<M>> = SpectraBatch {
        n_spectra,
        n_pixels,
        flux_sp: dev.room(n)?,
        ivar_sp: dev.room(n)?,
        mask_sp: dev.room(n)?,
    };
    let mut args = Vec::new();
    for a in 0..3 {
        let (first, n) = arms.layout_a[a];
        args.extend([arms.flux_asp[a].arg(), arms.ivar_asp[a].arg(), arms.mask_asp[a].arg()]);
        args.extend([Arg::U32(axis(OPERATION, first)?), Arg::U32(axis(OPERATION, n)?)]);
    }
    let rule = match rule {
        MaskRule::Dr1 => RULE_DR1,
        MaskRule::Masked => RULE_MASKED,
        MaskRule::V070 => RULE_070,
    };
    args.extend([arms.fiberstatus_s.arg(), Arg::U32(rule)]);
    args.extend([Arg::U32(axis(OPERATION, n_spectra)?), Arg::U32(axis(OPERATION, n_pixels)?)]);
    args.extend([out.flux_sp.arg_mut(), out.ivar_sp.arg_mut(), out.mask_sp.arg_mut()]);
    // SAFETY: the arguments are the kernel's, in order; the lengths of arms, rows and results were checked or
    // made from the shapes that the kernel is given.
    unsafe { dev.launch(Launch::per_block("combine_arms_f32", n_spectra, THREADS), &mut args) }?;
    Ok(out)
}
