//! Launch of `synthetic.cu`.

use super::{FilterCurve, OPERATION, Synthetic, check_request};
use crate::cuda::{Arg, Cuda, DeviceArray, Launch, Machine, axis, row_numbers};
use crate::{Backend, KernelError, SpectraBatch};

/// Curves on the device, the samples of all of them in a row.
struct Curves<M: Machine> {
    first_f: DeviceArray<u32, M::Memory>,
    /// Where each curve's samples begin, and where the last one's end.
    start_f: DeviceArray<u32, M::Memory>,
    total_photon_f: DeviceArray<f64, M::Memory>,
    energy: DeviceArray<f64, M::Memory>,
    photon: DeviceArray<f64, M::Memory>,
}

/// See the module's head.
pub(crate) fn synthetic_fluxes<M: Machine>(
    dev: &Cuda<M>,
    observed: &SpectraBatch<Cuda<M>>,
    rows: &[usize],
    curves: &[FilterCurve],
) -> Result<Synthetic<Cuda<M>>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_request((observed.n_spectra, observed.n_pixels), lengths, rows, curves)?;
    let n = rows.len() * curves.len();
    let numbers = row_numbers(dev, OPERATION, rows.iter().copied())?;
    let (n_rows, n_curves) = (axis(OPERATION, rows.len())?, axis(OPERATION, curves.len())?);
    let n_pixels = axis(OPERATION, observed.n_pixels)?;
    let curves = upload(dev, curves)?;
    let mut out: Synthetic<Cuda<M>> = Synthetic {
        flux_sf: dev.room(n)?,
        ivar_sf: dev.room(n)?,
        coverage_sf: dev.room(n)?,
        flag_sf: dev.room(n)?,
    };
    let mut args = vec![observed.flux_sp.arg(), observed.ivar_sp.arg(), Arg::U32(n_pixels)];
    args.extend([numbers.arg(), Arg::U32(n_rows), curves.first_f.arg(), curves.start_f.arg()]);
    args.extend([curves.total_photon_f.arg(), Arg::U32(n_curves), curves.energy.arg(), curves.photon.arg()]);
    args.extend([out.flux_sf.arg_mut(), out.ivar_sf.arg_mut()]);
    args.extend([out.coverage_sf.arg_mut(), out.flag_sf.arg_mut()]);
    // SAFETY: the arguments are the kernel's, in order; rows lie in the batch and curves on its pixels, as was
    // checked, and the results have an element for every row and curve.
    unsafe { dev.launch(Launch::per_warp("synthetic_f32", n), &mut args) }?;
    Ok(out)
}

fn upload<M: Machine>(dev: &Cuda<M>, curves: &[FilterCurve]) -> Result<Curves<M>, KernelError> {
    let firsts = curves.iter().map(|curve| axis(OPERATION, curve.first_pixel));
    let mut starts = vec![0];
    let mut n = 0;
    for curve in curves {
        n += curve.energy_p.len();
        starts.push(axis(OPERATION, n)?);
    }
    let totals: Vec<f64> = curves.iter().map(|curve| curve.total_photon).collect();
    let energy: Vec<f64> = curves.iter().flat_map(|curve| curve.energy_p.iter().copied()).collect();
    let photon: Vec<f64> = curves.iter().flat_map(|curve| curve.photon_p.iter().copied()).collect();
    Ok(Curves {
        first_f: dev.upload(&firsts.collect::<Result<Vec<u32>, KernelError>>()?)?,
        start_f: dev.upload(&starts)?,
        total_photon_f: dev.upload(&totals)?,
        energy: dev.upload(&energy)?,
        photon: dev.upload(&photon)?,
    })
}
