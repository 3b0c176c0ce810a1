//! Launches of `update_basis.cu`.

use std::ops::Range;

use super::{BasisUpdate, OPERATION, check_shapes, not_finite};
use crate::cuda::{Arg, Cuda, DeviceArray, Layout, Machine, axis};
use crate::{KernelError, Weighted};

pub(crate) fn update_basis<M: Machine>(
    dev: &Cuda<M>,
    data: &Weighted<'_, Cuda<M>>,
    coeff_sk: &DeviceArray<f32, M::Memory>,
    k: usize,
) -> Result<BasisUpdate<Cuda<M>>, KernelError> {
    let (n_spectra, n_pixels) = (data.n_spectra, data.n_pixels);
    let lengths = [data.values_sp.len(), data.weight_sp.len(), coeff_sk.len()];
    check_shapes((n_spectra, n_pixels), lengths, k)?;
    dev.check_finite(coeff_sk, |at, value| not_finite(at, value, k))?;
    let mut out = BasisUpdate { basis_kp: dev.room(n_pixels * k)?, n_spectra_p: dev.room(n_pixels)? };
    let layout = Layout::new(k, 0);
    for pixels in layout.parts(n_pixels, dev.machine().scratch_bytes()) {
        solve_systems(dev, data, coeff_sk, (layout, k, &pixels), &mut out)?;
    }
    Ok(out)
}

fn solve_systems<M: Machine>(
    dev: &Cuda<M>,
    data: &Weighted<'_, Cuda<M>>,
    coeff_sk: &DeviceArray<f32, M::Memory>,
    (layout, k, pixels): (Layout, usize, &Range<usize>),
    out: &mut BasisUpdate<Cuda<M>>,
) -> Result<(), KernelError> {
    let (n_rows, k) = (pixels.len(), axis(OPERATION, k)?);
    let mut systems = dev.room::<f64>(layout.len(n_rows))?;
    let (launch, n_groups) = layout.sums(dev, "update_basis_f32_sums", n_rows);
    let args = &mut [
        data.values_sp.arg(),
        data.weight_sp.arg(),
        coeff_sk.arg(),
        Arg::U64(pixels.start as u64),
        Arg::U64(n_rows as u64),
        Arg::U64(data.n_spectra as u64),
        Arg::U64(data.n_pixels as u64),
        Arg::U32(k),
        Arg::U32(n_groups),
        systems.arg_mut(),
        out.n_spectra_p.arg_mut(),
    ];
    // SAFETY: the arguments are the kernel's, in order; lengths were checked or made from the same shape, these
    // pixels are among all, and the systems have room for their sums.
    unsafe { dev.launch(launch, args) }?;
    let args = &mut [
        systems.arg_mut(),
        Arg::U64(pixels.start as u64),
        Arg::U64(n_rows as u64),
        Arg::U64(data.n_pixels as u64),
        Arg::U32(k),
        out.basis_kp.arg_mut(),
        out.n_spectra_p.arg_mut(),
    ];
    // SAFETY: as above; the layout has k numbers per system for the solution.
    unsafe { dev.launch(Layout::solve("update_basis_f32_solve", n_rows), args) }
}
