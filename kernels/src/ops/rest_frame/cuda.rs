//! Launch of `rest_frame.cu`.

use super::{OPERATION, RestGrid, check};
use crate::cuda::{Arg, Cuda, Launch, Machine, THREADS, axis};
use crate::{Backend, Grid, KernelError, SpectraBatch};

pub(crate) fn resample<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    grid: &Grid,
    rows: &[(usize, f64)],
    rest: &RestGrid,
) -> Result<SpectraBatch<Cuda<M>>, KernelError> {
    let shifts = check(observed, [observed.flux_sp.len(), observed.ivar_sp.len()], grid, rows)?;
    let n_bins = rest.n_bins();
    let row_t: Vec<u32> = shifts.iter().map(|&(s, _)| axis(OPERATION, s)).collect::<Result<_, _>>()?;
    let shift_t: Vec<f64> =
        shifts.iter().flat_map(|(_, shift)| [shift.nodes_per_aa, shift.node_at_zero]).collect();
    let factor_t: Vec<f32> =
        shifts.iter().flat_map(|(_, shift)| [shift.flux_factor, shift.ivar_factor]).collect();
    let edge_aa = dev.upload(rest.edge_aa())?;
    let (row_t, shift_t, factor_t) = (dev.upload(&row_t)?, dev.upload(&shift_t)?, dev.upload(&factor_t)?);
    // The last node of an edge upon the end has a number too.
    axis(OPERATION, observed.n_pixels + 2)?;
    let mut moved: SpectraBatch<Cuda<M>> = SpectraBatch {
        n_spectra: rows.len(),
        n_pixels: n_bins,
        flux_sp: dev.room(rows.len() * n_bins)?,
        ivar_sp: dev.room(rows.len() * n_bins)?,
        mask_sp: dev.room(0)?,
    };
    let args = &mut [
        observed.flux_sp.arg(),
        observed.ivar_sp.arg(),
        Arg::U32(axis(OPERATION, observed.n_pixels)?),
        edge_aa.arg(),
        Arg::U32(axis(OPERATION, n_bins)?),
        row_t.arg(),
        shift_t.arg(),
        factor_t.arg(),
        Arg::U32(axis(OPERATION, rows.len())?),
        moved.flux_sp.arg_mut(),
        moved.ivar_sp.arg_mut(),
    ];
    // SAFETY: the arguments are the kernel's, in order; rows lie within the spectra and lengths are the shape's,
    // both checked; edges are one more than bins.
    unsafe { dev.launch(Launch::per_block("rest_frame_f32", rows.len(), THREADS), args) }?;
    Ok(moved)
}
