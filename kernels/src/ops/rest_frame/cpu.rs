//! CPU body: nodes, then edges, then bins; each a loop over arrays in a worker's own scratch.

use rayon::prelude::*;

use super::{OPERATION, RestGrid, Shift};
use crate::error::check_len;
use crate::simd::simd_fn;
use crate::{Cpu, Grid, KernelError, SpectraBatch};

pub(crate) fn resample(
    dev: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    rest: &RestGrid,
) -> Result<SpectraBatch<Cpu>, KernelError> {
    let n_pixels = observed.n_pixels;
    check_len(OPERATION, "grid", "p", n_pixels, grid.n_pixels)?;
    check_len(OPERATION, "flux_sp", "s, p", observed.n_spectra * n_pixels, observed.flux_sp.len())?;
    check_len(OPERATION, "ivar_sp", "s, p", observed.n_spectra * n_pixels, observed.ivar_sp.len())?;
    let shifts: Vec<(usize, Shift)> =
        rows.iter().map(|&row| check_row(observed.n_spectra, grid, row)).collect::<Result<_, _>>()?;
    let n_bins = rest.n_bins();
    let mut flux_tb = vec![0.0; rows.len() * n_bins];
    let mut ivar_tb = vec![0.0; rows.len() * n_bins];
    dev.pool().install(|| {
        flux_tb.par_chunks_mut(n_bins).zip(ivar_tb.par_chunks_mut(n_bins)).zip(&shifts).for_each_init(
            Scratch::default,
            |scratch, ((flux_b, ivar_b), &(s, shift))| {
                let pixels = s * n_pixels..(s + 1) * n_pixels;
                scratch.set_nodes(&observed.flux_sp[pixels.clone()], &observed.ivar_sp[pixels]);
                resample_row(dev.simd(), scratch, rest.edge_aa(), &shift, flux_b, ivar_b);
            },
        );
    });
    Ok(SpectraBatch {
        n_spectra: rows.len(),
        n_pixels: n_bins,
        flux_sp: flux_tb,
        ivar_sp: ivar_tb,
        mask_sp: Vec::new(),
    })
}

fn check_row(n_spectra: usize, grid: &Grid, (s, z): (usize, f64)) -> Result<(usize, Shift), KernelError> {
    if s >= n_spectra {
        let what = format!("row {s} of {n_spectra} spectra");
        return Err(KernelError::Domain { operation: OPERATION, what });
    }
    Ok((s, Shift::new(grid, z)?))
}

/// What one worker reuses from spectrum to spectrum.
#[derive(Default)]
struct Scratch {
    /// Nodes of w and f·w, with the zero node at each end.
    ivar_i: Vec<f32>,
    flux_ivar_i: Vec<f32>,
}

impl Scratch {
    fn set_nodes(&mut self, flux_p: &[f32], ivar_p: &[f32]) {
        let n = flux_p.len();
        // One zero node on the left; on the right one, and one more for an edge upon it.
        for nodes in [&mut self.ivar_i, &mut self.flux_ivar_i] {
            nodes.clear();
            nodes.resize(n + 3, 0.0);
        }
        for p in 0..n {
            let (flux, ivar) = (flux_p[p], ivar_p[p]);
            let good = flux.is_finite() && ivar.is_finite() && ivar > 0.0;
            self.ivar_i[p + 1] = if good { ivar } else { 0.0 };
            self.flux_ivar_i[p + 1] = if good { flux * ivar } else { 0.0 };
        }
    }
}

simd_fn! {
    fn resample_row(
        scratch: &Scratch,
        edge_aa: &[f64],
        shift: &Shift,
        flux_b: &mut [f32],
        ivar_b: &mut [f32],
    ) = resample_row_body;
}

#[inline(always)]
fn resample_row_body(
    scratch: &Scratch,
    edge_aa: &[f64],
    shift: &Shift,
    flux_b: &mut [f32],
    ivar_b: &mut [f32],
) {
    let (w, fw) = (&scratch.ivar_i[..], &scratch.flux_ivar_i[..]);
    let last = (w.len() - 2) as f64;
    let place = |edge: f64| locate(edge.mul_add(shift.nodes_per_aa, shift.node_at_zero).clamp(0.0, last));
    let mut lower = place(edge_aa[0]);
    for b in 0..flux_b.len() {
        let upper = place(edge_aa[b + 1]);
        let (sum_fw, sum_w) = (integral(fw, lower, upper), integral(w, lower, upper));
        let (flux, ivar) = (sum_fw / sum_w * shift.flux_factor, sum_w * shift.ivar_factor);
        let good = flux.is_finite() && ivar.is_finite() && ivar > 0.0;
        (flux_b[b], ivar_b[b]) = if good { (flux, ivar) } else { (0.0, 0.0) };
        lower = upper;
    }
}

/// Cell and fraction of a position inside the nodes.
#[inline(always)]
fn locate(u: f64) -> (usize, f32) {
    let cell = u.floor();
    #[expect(clippy::cast_possible_truncation, reason = "the fraction is rounded to f32")]
    let t = (u - cell) as f32;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the nodes: whole, not negative, small"
    )]
    let cell = cell as usize;
    (cell, t)
}

#[inline(always)]
fn integral(g: &[f32], (i0, t0): (usize, f32), (i1, t1): (usize, f32)) -> f32 {
    if i0 == i1 {
        return (t1 - t0) * (0.5 * (t0 + t1)).mul_add(g[i0 + 1] - g[i0], g[i0]);
    }
    let h = 1.0 - t0;
    let mut sum = h * (0.5 * h).mul_add(g[i0] - g[i0 + 1], g[i0 + 1]);
    for i in i0 + 1..i1 {
        sum += 0.5 * (g[i] + g[i + 1]);
    }
    sum + t1 * (0.5 * t1).mul_add(g[i1 + 1] - g[i1], g[i1])
}
