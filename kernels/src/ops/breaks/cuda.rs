//! Launch of `breaks.cu`.

use super::{BreakBands, Breaks, OPERATION, check_request};
use crate::cuda::{Arg, Cuda, Launch, Machine, Rows, axis};
use crate::{Backend, Grid, KernelError, SpectraBatch};

/// See the module's head.
pub(crate) fn measure_breaks<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    grid: &Grid,
    rows: &[(usize, f64)],
    breaks: &[BreakBands],
) -> Result<Breaks<Cuda<M>>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_request((observed.n_spectra, observed.n_pixels), lengths, grid, rows, breaks)?;
    let n = rows.len() * breaks.len();
    let (n_rows, n_breaks) = (axis(OPERATION, rows.len())?, axis(OPERATION, breaks.len())?);
    let rows = Rows::upload(dev, OPERATION, rows)?;
    let ends = |b: &BreakBands| [b.blue.lo_aa, b.blue.hi_aa, b.red.lo_aa, b.red.hi_aa];
    let bands = dev.upload(&breaks.iter().flat_map(ends).collect::<Vec<f64>>())?;
    let mut out: Breaks<Cuda<M>> = Breaks {
        plain_si: dev.room(n)?,
        plain_ivar_si: dev.room(n)?,
        plain_flag_si: dev.room(n)?,
        weighted_si: dev.room(n)?,
        weighted_ivar_si: dev.room(n)?,
        weighted_flag_si: dev.room(n)?,
    };
    let mut args = vec![observed.flux_sp.arg(), observed.ivar_sp.arg()];
    args.extend([Arg::F64(grid.first_aa), Arg::F64(grid.step_aa), Arg::U32(axis(OPERATION, grid.n_pixels)?)]);
    args.extend([rows.number_s.arg(), rows.z_s.arg(), Arg::U32(n_rows), bands.arg(), Arg::U32(n_breaks)]);
    args.extend([out.plain_si.arg_mut(), out.plain_ivar_si.arg_mut(), out.plain_flag_si.arg_mut()]);
    args.extend([out.weighted_si.arg_mut(), out.weighted_ivar_si.arg_mut(), out.weighted_flag_si.arg_mut()]);
    // SAFETY: the arguments are the kernel's, in order, and blocks have the threads that it has shared memory for;
    // rows lie in the batch, as was checked, there are four ends of bands for every break, and the results have an
    // element for every row and break.
    unsafe { dev.launch(Launch::per_warp("breaks_f32", n), &mut args) }?;
    Ok(out)
}
