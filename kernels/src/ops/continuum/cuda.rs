//! Launch of `continuum.cu`.

use super::{Continuum, OPERATION, check, half_width};
use crate::constants::{KEY_BITS, LANES, MANY_THREADS};
use crate::cuda::{Arg, Cuda, DeviceArray, Launch, Machine, axis};
use crate::{Backend, Grid, KernelError, SpectraBatch};

/// Blocks per processor: enough to fill barriers' waits, few enough for their scratch to stay in the caches.
const BLOCKS_PER_PROCESSOR: usize = 2;

/// Levels of bits that a block keeps: those of the keys, and which pixels are good.
const LEVELS: usize = KEY_BITS as usize + 1;

/// 32-bit numbers per word of a level: bits, and ones before them.
const WORD: usize = 2;

pub(crate) fn running_median<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    grid: &Grid,
    rows: &[(usize, f64)],
    width_aa: f64,
) -> Result<Continuum<Cuda<M>>, KernelError> {
    check(observed, [observed.flux_sp.len(), observed.ivar_sp.len()], grid, rows, width_aa)?;
    let n = grid.n_pixels;
    let row_t: Vec<u32> = rows.iter().map(|&(s, _)| axis(OPERATION, s)).collect::<Result<_, _>>()?;
    let halves = rows.iter().map(|&(_, z)| axis(OPERATION, half_width(grid, width_aa, z)));
    let half_t: Vec<u32> = halves.collect::<Result<_, _>>()?;
    let (row_t, half_t) = (dev.upload(&row_t)?, dev.upload(&half_t)?);
    let n_blocks = rows.len().min(dev.machine().processors() as usize * BLOCKS_PER_PROCESSOR);
    let n_words = n / LANES as usize + 1;
    let mut words: DeviceArray<u32, M::Memory> = dev.room(n_blocks * LEVELS * n_words * WORD)?;
    let mut keys: DeviceArray<u32, M::Memory> = dev.room(n_blocks * 2 * n)?;
    let mut out: Continuum<Cuda<M>> = Continuum {
        n_spectra: rows.len(),
        n_pixels: n,
        flux_sp: dev.room(rows.len() * n)?,
        valid_sp: dev.room(rows.len() * n)?,
    };
    let args = &mut [
        observed.flux_sp.arg(),
        observed.ivar_sp.arg(),
        Arg::U32(axis(OPERATION, n)?),
        row_t.arg(),
        half_t.arg(),
        Arg::U32(axis(OPERATION, rows.len())?),
        words.arg_mut(),
        keys.arg_mut(),
        out.flux_sp.arg_mut(),
        out.valid_sp.arg_mut(),
    ];
    // SAFETY: the arguments are the kernel's, in order; lengths and rows were checked, and the scratch is that of
    // as many blocks as are launched.
    unsafe { dev.launch(Launch::per_block("continuum_f32", n_blocks, MANY_THREADS), args) }?;
    Ok(out)
}
