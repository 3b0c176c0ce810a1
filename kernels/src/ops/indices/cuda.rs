//! Launch of `indices.cu`.

use super::{IndexBands, IndexKind, Indices, OPERATION, check_request};
use crate::constants::{INDEX_ANGSTROM, INDEX_RATIO};
use crate::cuda::{Arg, Cuda, Launch, Machine, Rows, axis};
use crate::{Backend, Grid, KernelError, SpectraBatch};

/// See the module's head.
pub(crate) fn measure_indices<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    grid: &Grid,
    rows: &[(usize, f64)],
    indices: &[IndexBands],
) -> Result<Indices<Cuda<M>>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_request((observed.n_spectra, observed.n_pixels), lengths, grid, rows, indices)?;
    let n = rows.len() * indices.len();
    let (n_rows, n_indices) = (axis(OPERATION, rows.len())?, axis(OPERATION, indices.len())?);
    let rows = Rows::upload(dev, OPERATION, rows)?;
    let bands: Vec<f64> = indices
        .iter()
        .flat_map(|i| [i.band, i.blue, i.red])
        .flat_map(|band| [band.lo_aa, band.hi_aa])
        .collect();
    let kinds: Vec<u32> = indices.iter().map(|i| number(i.kind)).collect();
    let (bands, kinds) = (dev.upload(&bands)?, dev.upload(&kinds)?);
    let mut out: Indices<Cuda<M>> = Indices {
        value_si: dev.room(n)?,
        ivar_si: dev.room(n)?,
        good_fraction_si: dev.room(n)?,
        flag_si: dev.room(n)?,
    };
    let mut args = vec![observed.flux_sp.arg(), observed.ivar_sp.arg()];
    args.extend([Arg::F64(grid.first_aa), Arg::F64(grid.step_aa), Arg::U32(axis(OPERATION, grid.n_pixels)?)]);
    args.extend([rows.number_s.arg(), rows.z_s.arg(), Arg::U32(n_rows)]);
    args.extend([bands.arg(), kinds.arg(), Arg::U32(n_indices)]);
    args.extend([out.value_si.arg_mut(), out.ivar_si.arg_mut()]);
    args.extend([out.good_fraction_si.arg_mut(), out.flag_si.arg_mut()]);
    // SAFETY: the arguments are the kernel's, in order; rows lie in the batch, as was checked, there are six ends
    // of bands and a kind for every index, and the results have an element for every row and index.
    unsafe { dev.launch(Launch::per_warp("indices_f32", n), &mut args) }?;
    Ok(out)
}

/// A kind as kernels know it.
fn number(kind: IndexKind) -> u32 {
    match kind {
        IndexKind::Angstrom => INDEX_ANGSTROM,
        IndexKind::Ratio => INDEX_RATIO,
    }
}
