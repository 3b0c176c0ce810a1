//! Launches of `project.cu`.

use std::ops::Range;

use super::{OPERATION, Projection, check_shapes, not_finite};
use crate::cuda::{Arg, Cuda, DeviceArray, Launch, Layout, Machine};
use crate::{KernelError, Weighted};

/// Spectra of a warp that takes residuals.
const SPECTRA: usize = 4;

pub(crate) fn project<M: Machine>(
    dev: &Cuda<M>,
    data: &Weighted<'_, Cuda<M>>,
    basis_kp: &DeviceArray<f32, M::Memory>,
    k: usize,
) -> Result<Projection<Cuda<M>>, KernelError> {
    let (n_spectra, n_pixels) = (data.n_spectra, data.n_pixels);
    let lengths = [data.values_sp.len(), data.weight_sp.len(), basis_kp.len()];
    check_shapes((n_spectra, n_pixels), lengths, k)?;
    dev.check_finite(basis_kp, |at, value| not_finite(at, value, n_pixels))?;
    let mut out = Projection {
        coeff_sk: dev.zeros(n_spectra * k)?,
        variance_sk: dev.zeros(n_spectra * k)?,
        gain_sk: dev.zeros(n_spectra * k)?,
        chi2_s: dev.zeros(n_spectra)?,
        chi2_0_s: dev.zeros(n_spectra)?,
        constraint_s: dev.zeros(n_spectra)?,
        n_good_s: dev.zeros(n_spectra)?,
    };
    if n_pixels == 0 {
        return Ok(out);
    }
    let call = Call { dev, data, basis_kp, k: crate::cuda::axis(OPERATION, k)? };
    let mut scratch = Scratch { weight_s: dev.room(n_spectra)?, least_pivot_s: dev.room(n_spectra)? };
    call.sum_weights(&mut scratch, &mut out)?;
    let layout = Layout::new(k, 1);
    for rows in layout.parts(n_spectra, dev.machine().scratch_bytes()) {
        call.solve_systems(layout, &rows, &mut scratch, &mut out)?;
    }
    call.sum_residuals(&scratch, &mut out)?;
    Ok(out)
}

/// What every pass is given.
struct Call<'a, M: Machine> {
    dev: &'a Cuda<M>,
    data: &'a Weighted<'a, Cuda<M>>,
    basis_kp: &'a DeviceArray<f32, M::Memory>,
    k: u32,
}

/// What the passes leave each other.
struct Scratch<M: Machine> {
    weight_s: DeviceArray<f64, M::Memory>,
    least_pivot_s: DeviceArray<f64, M::Memory>,
}

impl<M: Machine> Call<'_, M> {
    fn sum_weights(
        &self,
        scratch: &mut Scratch<M>,
        out: &mut Projection<Cuda<M>>,
    ) -> Result<(), KernelError> {
        let n_spectra = self.data.n_spectra;
        let args = &mut [
            self.data.values_sp.arg(),
            self.data.weight_sp.arg(),
            Arg::U64(n_spectra as u64),
            Arg::U64(self.data.n_pixels as u64),
            scratch.weight_s.arg_mut(),
            out.chi2_0_s.arg_mut(),
            out.n_good_s.arg_mut(),
        ];
        // SAFETY: the arguments are the kernel's, in order; the pixels' lengths were checked and the results
        // made from the same shape.
        unsafe { self.dev.launch(Launch::per_warp("project_f32_weights", n_spectra), args) }
    }

    fn solve_systems(
        &self,
        layout: Layout,
        rows: &Range<usize>,
        scratch: &mut Scratch<M>,
        out: &mut Projection<Cuda<M>>,
    ) -> Result<(), KernelError> {
        let (first, n_rows) = (Arg::U64(rows.start as u64), rows.len());
        let mut systems = self.dev.room::<f64>(layout.len(n_rows))?;
        let (launch, n_groups) = layout.sums(self.dev, "project_f32_sums", n_rows);
        let args = &mut [
            self.data.values_sp.arg(),
            self.data.weight_sp.arg(),
            self.basis_kp.arg(),
            Arg::U64(rows.start as u64),
            Arg::U64(n_rows as u64),
            Arg::U64(self.data.n_pixels as u64),
            Arg::U32(self.k),
            Arg::U32(n_groups),
            systems.arg_mut(),
        ];
        // SAFETY: the arguments are the kernel's, in order; lengths were checked, the rows are among them, and
        // the systems have room for the sums of all these rows.
        unsafe { self.dev.launch(launch, args) }?;
        let args = &mut [
            systems.arg_mut(),
            first,
            Arg::U64(n_rows as u64),
            Arg::U32(self.k),
            scratch.least_pivot_s.arg_mut(),
            out.coeff_sk.arg_mut(),
            out.variance_sk.arg_mut(),
            out.gain_sk.arg_mut(),
        ];
        // SAFETY: as above; the layout has k numbers per system for the solution and k for a column of the
        // inverse, and the results have room for every spectrum.
        unsafe { self.dev.launch(Layout::solve("project_f32_solve", n_rows), args) }
    }

    fn sum_residuals(&self, scratch: &Scratch<M>, out: &mut Projection<Cuda<M>>) -> Result<(), KernelError> {
        let n_spectra = self.data.n_spectra;
        let args = &mut [
            self.data.values_sp.arg(),
            self.data.weight_sp.arg(),
            self.basis_kp.arg(),
            Arg::U64(n_spectra as u64),
            Arg::U64(self.data.n_pixels as u64),
            Arg::U32(self.k),
            scratch.weight_s.arg(),
            scratch.least_pivot_s.arg(),
            out.n_good_s.arg(),
            out.coeff_sk.arg_mut(),
            out.variance_sk.arg_mut(),
            out.gain_sk.arg_mut(),
            out.chi2_s.arg_mut(),
            out.chi2_0_s.arg_mut(),
            out.constraint_s.arg_mut(),
        ];
        let launch = Launch::per_warp("project_f32_residuals", n_spectra.div_ceil(SPECTRA));
        // SAFETY: the arguments are the kernel's, in order; lengths were checked or made from the same shape.
        unsafe { self.dev.launch(launch, args) }
    }
}
