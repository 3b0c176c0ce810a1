//! CPU body: a block of spectra at a time; sums by tiles, systems side by side, then the residuals.

use rayon::prelude::*;

use super::{Projection, check_shapes, not_finite};
use crate::band::rounded;
use crate::cholesky::{SYSTEMS, Systems};
use crate::lanes::{LANES, sum_f64};
use crate::simd::{Simd, is_good, keep_if, simd_fn};
use crate::weighted_sums::{Design, SPECTRA, Sums, Terms, rows_per_task, set_line};
use crate::{Cpu, KernelError, Weighted};

/// Pixels whose residuals are taken for one spectrum after another.
const ROUND: usize = 256;

/// Pixels whose residuals are taken at once.
const SHORT: usize = 64;

pub(crate) fn project(
    dev: &Cpu,
    data: &Weighted<'_, Cpu>,
    basis_kp: &[f32],
    k: usize,
) -> Result<Projection<Cpu>, KernelError> {
    let (n_spectra, n_pixels) = (data.n_spectra, data.n_pixels);
    let lengths = [data.values_sp.len(), data.weight_sp.len(), basis_kp.len()];
    check_shapes((n_spectra, n_pixels), lengths, k)?;
    if let Some(at) = basis_kp.iter().position(|e| !e.is_finite()) {
        return Err(not_finite(at, basis_kp[at], n_pixels));
    }
    let mut out = Projection {
        coeff_sk: vec![0.0; n_spectra * k],
        variance_sk: vec![0.0; n_spectra * k],
        gain_sk: vec![0.0; n_spectra * k],
        chi2_s: vec![0.0; n_spectra],
        chi2_0_s: vec![0.0; n_spectra],
        constraint_s: vec![0.0; n_spectra],
        n_good_s: vec![0; n_spectra],
    };
    if n_pixels == 0 {
        return Ok(out);
    }
    let design = Design::new(n_pixels, k, |p, j| basis_kp[j * n_pixels + p]);
    let rows = rows_per_task(n_spectra, dev.pool().current_num_threads());
    dev.pool().install(|| {
        blocks(data, &mut out, rows, k).into_par_iter().for_each_init(
            || Scratch::new(&design),
            |scratch, (pixels, mut block)| {
                sum_weights(dev.simd(), &pixels, &mut scratch.weight_r, &mut block);
                sum_systems(dev.simd(), &design, &pixels, &mut scratch.sums);
                solve_systems(dev.simd(), scratch, &mut block);
                sum_residuals(dev.simd(), basis_kp, &pixels, &mut scratch.lanes_r, &block);
                finish(scratch, &mut block);
            },
        );
    });
    Ok(out)
}

/// The pixels of a block of spectra.
struct Pixels<'a> {
    n_pixels: usize,
    values_rp: &'a [f32],
    weight_rp: &'a [f32],
}

/// The results of a block of spectra.
struct Block<'a> {
    coeff_rk: &'a mut [f32],
    variance_rk: &'a mut [f32],
    gain_rk: &'a mut [f32],
    chi2_r: &'a mut [f64],
    chi2_0_r: &'a mut [f64],
    constraint_r: &'a mut [f32],
    n_good_r: &'a mut [u32],
}

/// The spectra and their results, `rows` at a time.
fn blocks<'a>(
    data: &'a Weighted<'_, Cpu>,
    out: &'a mut Projection<Cpu>,
    rows: usize,
    k: usize,
) -> Vec<(Pixels<'a>, Block<'a>)> {
    let n_pixels = data.n_pixels;
    let pixels = data.values_sp.chunks(rows * n_pixels).zip(data.weight_sp.chunks(rows * n_pixels));
    let per_component = out
        .coeff_sk
        .chunks_mut(rows * k)
        .zip(out.variance_sk.chunks_mut(rows * k))
        .zip(out.gain_sk.chunks_mut(rows * k));
    let per_spectrum = out
        .chi2_s
        .chunks_mut(rows)
        .zip(out.chi2_0_s.chunks_mut(rows))
        .zip(out.constraint_s.chunks_mut(rows))
        .zip(out.n_good_s.chunks_mut(rows));
    pixels
        .zip(per_component.zip(per_spectrum))
        .map(|((values_rp, weight_rp), (components, spectra))| {
            let ((coeff_rk, variance_rk), gain_rk) = components;
            let (((chi2_r, chi2_0_r), constraint_r), n_good_r) = spectra;
            let pixels = Pixels { n_pixels, values_rp, weight_rp };
            let block = Block { coeff_rk, variance_rk, gain_rk, chi2_r, chi2_0_r, constraint_r, n_good_r };
            (pixels, block)
        })
        .collect()
}

/// What one worker reuses from block to block.
struct Scratch {
    sums: Sums,
    systems: Systems,
    weight_r: [f64; SPECTRA],
    least_pivot_r: [f64; SPECTRA],
    /// Σ w r² of each spectrum by lane.
    lanes_r: [[f64; LANES]; SPECTRA],
}

impl Scratch {
    fn new(design: &Design) -> Self {
        Self {
            sums: Sums::new(design, [Terms::by_row(), Terms::by_row()]),
            systems: Systems::new(design.n_components()),
            weight_r: [0.0; SPECTRA],
            least_pivot_r: [0.0; SPECTRA],
            lanes_r: [[0.0; LANES]; SPECTRA],
        }
    }
}

/// Σ w, Σ w x² and the number of good pixels: first, because whole rows are what memory reads fastest.
fn sum_weights(simd: Simd, pixels: &Pixels<'_>, weight_r: &mut [f64; SPECTRA], block: &mut Block<'_>) {
    let n = pixels.n_pixels;
    let rows = pixels.values_rp.chunks_exact(n).zip(pixels.weight_rp.chunks_exact(n));
    for (r, (values_p, weight_p)) in rows.enumerate() {
        (weight_r[r], block.chi2_0_r[r], block.n_good_r[r]) = add_weights(simd, values_p, weight_p);
    }
}

simd_fn! {
    fn add_weights(values_p: &[f32], weight_p: &[f32]) -> (f64, f64, u32) = add_weights_body;
}

#[inline(always)]
fn add_weights_body(values_p: &[f32], weight_p: &[f32]) -> (f64, f64, u32) {
    let (mut weight, mut before, mut n_good) = ([0.0; LANES], [0.0; LANES], [0_u32; LANES]);
    for at in (0..values_p.len()).step_by(LANES) {
        let (x, w) = (lanes_of(values_p, at), lanes_of(weight_p, at));
        for l in 0..LANES {
            let counts = is_good(x[l], w[l]) & ((w[l] * x[l]).abs() <= f32::MAX);
            n_good[l] += u32::from(counts);
            weight[l] += f64::from(keep_if(counts, w[l]));
            before[l] += f64::from(keep_if(counts, w[l] * x[l] * x[l]));
        }
    }
    (sum_f64(&weight), sum_f64(&before), n_good.iter().sum())
}

fn sum_systems(simd: Simd, design: &Design, pixels: &Pixels<'_>, sums: &mut Sums) {
    let n = pixels.n_pixels;
    let n_rows = pixels.values_rp.len() / n;
    sums.clear();
    for span in sums.spans(design) {
        for r in 0..n_rows {
            let own = r * n + span.start..r * n + span.end;
            let [left, right] = &mut sums.terms;
            let (values, weights) = (&pixels.values_rp[own.clone()], &pixels.weight_rp[own]);
            set_line(simd, values, weights, left.line(r), right.line(r));
        }
        sums.add_span(simd, design, &span, n_rows);
    }
}

/// Coefficients, variances and gains; all 0 where a system is not determined.
fn solve_systems(simd: Simd, scratch: &mut Scratch, block: &mut Block<'_>) {
    let (n_rows, systems) = (block.chi2_r.len(), &mut scratch.systems);
    let k = block.coeff_rk.len() / n_rows;
    for first in (0..n_rows).step_by(SYSTEMS) {
        let rows = first..n_rows.min(first + SYSTEMS);
        for r in rows.clone() {
            systems.set(r - first, scratch.sums.row(r));
        }
        systems.solve(simd);
        systems.invert(simd);
        for r in rows {
            let lane = r - first;
            let is_determined = systems.is_determined(lane);
            scratch.least_pivot_r[r] = if is_determined { systems.least_pivot(lane) } else { 0.0 };
            for j in 0..k {
                let half = systems.half(lane, j);
                let keep = |value: f64| if is_determined { rounded(value) } else { 0.0 };
                block.coeff_rk[r * k + j] = keep(systems.solution(lane, j));
                block.variance_rk[r * k + j] = keep(systems.variance(lane, j));
                block.gain_rk[r * k + j] = keep(half * half);
            }
        }
    }
}

/// Σ w r² by lane.
fn sum_residuals(
    simd: Simd,
    basis_kp: &[f32],
    pixels: &Pixels<'_>,
    lanes_r: &mut [[f64; LANES]; SPECTRA],
    block: &Block<'_>,
) {
    let n = pixels.n_pixels;
    let k = block.coeff_rk.len() / block.chi2_r.len();
    lanes_r.fill([0.0; LANES]);
    let mut residual = [0.0; ROUND];
    for start in (0..n).step_by(ROUND) {
        let end = n.min(start + ROUND);
        for (r, coeff_k) in block.coeff_rk.chunks_exact(k).enumerate() {
            let own = r * n + start..r * n + end;
            let (values, weights) = (&pixels.values_rp[own.clone()], &pixels.weight_rp[own]);
            set_residuals(simd, basis_kp, coeff_k, (values, start, n), &mut residual);
            add_residuals(simd, values, weights, &residual, &mut lanes_r[r]);
        }
    }
}

simd_fn! {
    fn set_residuals(
        basis_kp: &[f32],
        coeff_k: &[f32],
        values: (&[f32], usize, usize),
        residual: &mut [f32; ROUND],
    ) = set_residuals_body;
}

/// x − Σ_j c_j E_jp of the pixels from `start` on, of `n`.
#[inline(always)]
fn set_residuals_body(
    basis_kp: &[f32],
    coeff_k: &[f32],
    (values, start, n): (&[f32], usize, usize),
    residual: &mut [f32; ROUND],
) {
    let (whole, rest) = values.as_chunks::<SHORT>();
    for ((i, x), residual) in whole.iter().enumerate().zip(residual.as_chunks_mut::<SHORT>().0) {
        let components = basis_kp.chunks_exact(n).map(|component_p| &component_p[start + i * SHORT..]);
        take_off(components.zip(coeff_k), x, residual);
    }
    let first = values.len() - rest.len();
    for (i, &x) in rest.iter().enumerate() {
        let components = basis_kp.chunks_exact(n).map(|component_p| component_p[start + first + i]);
        residual[first + i] = components.zip(coeff_k).fold(x, |left, (e, &c)| (-c).mul_add(e, left));
    }
}

/// As many pixels at once as stay in registers.
#[inline(always)]
fn take_off<'a>(
    components: impl Iterator<Item = (&'a [f32], &'a f32)>,
    x: &[f32; SHORT],
    residual: &mut [f32; SHORT],
) {
    let mut left = *x;
    for (component_p, &c) in components {
        let Some(component_p) = component_p.first_chunk::<SHORT>() else { return };
        for l in 0..SHORT {
            left[l] = (-c).mul_add(component_p[l], left[l]);
        }
    }
    *residual = left;
}

simd_fn! {
    fn add_residuals(
        values: &[f32],
        weights: &[f32],
        residual: &[f32; ROUND],
        lanes: &mut [f64; LANES],
    ) = add_residuals_body;
}

/// Adds up to [`ROUND`] pixels, the first of which belongs to lane 0.
#[inline(always)]
fn add_residuals_body(values: &[f32], weights: &[f32], residual: &[f32; ROUND], lanes: &mut [f64; LANES]) {
    let mut after = *lanes;
    for at in (0..values.len()).step_by(LANES) {
        let (x, w, residual) = (lanes_of(values, at), lanes_of(weights, at), lanes_of(residual, at));
        for l in 0..LANES {
            let counts = is_good(x[l], w[l]) & ((w[l] * x[l]).abs() <= f32::MAX);
            after[l] += f64::from(keep_if(counts, w[l] * residual[l] * residual[l]));
        }
    }
    *lanes = after;
}

/// The 32 numbers from `at` on, zeros behind the last.
#[inline(always)]
fn lanes_of(values: &[f32], at: usize) -> [f32; LANES] {
    let rest = &values[at..];
    if let Some(whole) = rest.first_chunk() {
        return *whole;
    }
    let mut lanes = [0.0; LANES];
    lanes[..rest.len()].copy_from_slice(rest);
    lanes
}

/// Sums the lanes, and takes back every result of a spectrum that cannot be given.
fn finish(scratch: &Scratch, block: &mut Block<'_>) {
    let k = block.coeff_rk.len() / block.chi2_r.len();
    for r in 0..block.chi2_r.len() {
        let (after, before) = (sum_f64(&scratch.lanes_r[r]), block.chi2_0_r[r]);
        let n_good = block.n_good_r[r];
        let constraint = rounded(scratch.least_pivot_r[r] / (scratch.weight_r[r] / f64::from(n_good)));
        let own = r * k..(r + 1) * k;
        let (coeff_k, variance_k) = (&mut block.coeff_rk[own.clone()], &mut block.variance_rk[own.clone()]);
        let gain_k = &mut block.gain_rk[own];
        let is_finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        let is_sound = f64::from(n_good) > k as f64
            && constraint > 0.0
            && constraint.is_finite()
            && before.is_finite()
            && after.is_finite()
            && is_finite(coeff_k)
            && is_finite(variance_k)
            && is_finite(gain_k);
        if is_sound {
            (block.chi2_r[r], block.constraint_r[r]) = (after, constraint);
        } else {
            block.chi2_0_r[r] = 0.0;
            coeff_k.fill(0.0);
            variance_k.fill(0.0);
            gain_k.fill(0.0);
        }
    }
}
