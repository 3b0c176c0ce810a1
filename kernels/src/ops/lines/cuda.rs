//! Launch of `lines.cu`.

use super::{LineBands, Lines, OPERATION, check_request};
use crate::cuda::{Arg, Cuda, Launch, Machine, Rows, axis};
use crate::{Backend, Grid, KernelError, SpectraBatch};

/// See the module's head.
pub(crate) fn measure_lines<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    grid: &Grid,
    rows: &[(usize, f64)],
    lines: &[LineBands],
) -> Result<Lines<Cuda<M>>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_request((observed.n_spectra, observed.n_pixels), lengths, grid, rows, lines)?;
    let n = rows.len() * lines.len();
    let (n_rows, n_lines) = (axis(OPERATION, rows.len())?, axis(OPERATION, lines.len())?);
    let rows = Rows::upload(dev, OPERATION, rows)?;
    let ends = |line: &LineBands| {
        let LineBands { wave_aa, window, blue, red, .. } = *line;
        [wave_aa, window.lo_aa, window.hi_aa, blue.lo_aa, blue.hi_aa, red.lo_aa, red.hi_aa]
    };
    let bands = dev.upload(&lines.iter().flat_map(ends).collect::<Vec<f64>>())?;
    let blended = dev.upload(&lines.iter().map(|line| u8::from(line.blended)).collect::<Vec<u8>>())?;
    let mut out: Lines<Cuda<M>> = Lines {
        flux_sl: dev.room(n)?,
        flux_ivar_sl: dev.room(n)?,
        ew_sl: dev.room(n)?,
        ew_ivar_sl: dev.room(n)?,
        continuum_sl: dev.room(n)?,
        continuum_ivar_sl: dev.room(n)?,
        good_fraction_sl: dev.room(n)?,
        flag_sl: dev.room(n)?,
    };
    let mut args = vec![observed.flux_sp.arg(), observed.ivar_sp.arg()];
    args.extend([Arg::F64(grid.first_aa), Arg::F64(grid.step_aa), Arg::U32(axis(OPERATION, grid.n_pixels)?)]);
    args.extend([rows.number_s.arg(), rows.z_s.arg(), Arg::U32(n_rows)]);
    args.extend([bands.arg(), blended.arg(), Arg::U32(n_lines)]);
    args.extend([
        out.flux_sl.arg_mut(),
        out.flux_ivar_sl.arg_mut(),
        out.ew_sl.arg_mut(),
        out.ew_ivar_sl.arg_mut(),
    ]);
    args.extend([out.continuum_sl.arg_mut(), out.continuum_ivar_sl.arg_mut()]);
    args.extend([out.good_fraction_sl.arg_mut(), out.flag_sl.arg_mut()]);
    // SAFETY: the arguments are the kernel's, in order; rows lie in the batch, as was checked, there are seven
    // wavelengths and a mark for every line, and the results have an element for every row and line.
    unsafe { dev.launch(Launch::per_warp("lines_f32", n), &mut args) }?;
    Ok(out)
}
