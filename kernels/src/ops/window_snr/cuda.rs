//! Launch of `window_snr.cu`.

use super::{OPERATION, WindowSnr, check, pixels};
use crate::band::Frame;
use crate::cuda::{Arg, Cuda, Launch, Machine, axis};
use crate::{Backend, Band, Grid, KernelError, SpectraBatch};

/// Threads of a block: windows are short.
const THREADS: u32 = 128;

/// Pixels of a window that is not on the grid.
const NOT_ON_GRID: [u32; 2] = [1, 0];

pub(crate) fn median_snr_windows<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    grid: &Grid,
    rows: &[(usize, f64)],
    windows: &[Band],
) -> Result<WindowSnr<Cuda<M>>, KernelError> {
    check(observed, [observed.flux_sp.len(), observed.ivar_sp.len()], grid, rows, windows)?;
    let row_s: Vec<u32> = rows.iter().map(|&(s, _)| axis(OPERATION, s)).collect::<Result<_, _>>()?;
    let mut pixels_si = Vec::with_capacity(2 * rows.len() * windows.len());
    for &(_, z) in rows {
        for &window in windows {
            let own = pixels(&Frame { grid, z }, window);
            pixels_si.extend(match own {
                Some(own) => [axis(OPERATION, own.start)?, axis(OPERATION, own.end)?],
                None => NOT_ON_GRID,
            });
        }
    }
    let n = rows.len() * windows.len();
    let mut measured: WindowSnr<Cuda<M>> = WindowSnr { snr_si: dev.room(n)?, flag_si: dev.room(n)? };
    let (row_s, pixels_si) = (dev.upload(&row_s)?, dev.upload(&pixels_si)?);
    let args = &mut [
        observed.flux_sp.arg(),
        observed.ivar_sp.arg(),
        Arg::U32(axis(OPERATION, observed.n_pixels)?),
        row_s.arg(),
        pixels_si.arg(),
        Arg::U32(axis(OPERATION, windows.len())?),
        Arg::U64(n as u64),
        Arg::F64(grid.step_aa.sqrt()),
        measured.snr_si.arg_mut(),
        measured.flag_si.arg_mut(),
    ];
    // SAFETY: the arguments are the kernel's, in order; lengths and rows were checked, and the pixels lie on the
    // grid; there is a result for every row and window.
    unsafe { dev.launch(Launch::per_block("window_snr_f32", n, THREADS), args) }?;
    Ok(measured)
}
