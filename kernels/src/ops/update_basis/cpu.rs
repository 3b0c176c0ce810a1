//! CPU body: a block of pixels at a time, the sums by tiles over spectra.

use rayon::prelude::*;

use super::{BasisUpdate, check_shapes, not_finite};
use crate::band::rounded;
use crate::cholesky::{SYSTEMS, Systems};
use crate::simd::Simd;
use crate::weighted_sums::{Design, PIXELS, Sums, Terms, set_line};
use crate::{Cpu, KernelError, Weighted};

pub(crate) fn update_basis(
    dev: &Cpu,
    data: &Weighted<'_, Cpu>,
    coeff_sk: &[f32],
    k: usize,
) -> Result<BasisUpdate<Cpu>, KernelError> {
    let (n_spectra, n_pixels) = (data.n_spectra, data.n_pixels);
    let lengths = [data.values_sp.len(), data.weight_sp.len(), coeff_sk.len()];
    check_shapes((n_spectra, n_pixels), lengths, k)?;
    if let Some(at) = coeff_sk.iter().position(|c| !c.is_finite()) {
        return Err(not_finite(at, coeff_sk[at], k));
    }
    let design = Design::new(n_spectra, k, |s, j| coeff_sk[s * k + j]);
    let is_used_s: Vec<bool> = coeff_sk.chunks_exact(k).map(|c_k| c_k.iter().any(|&c| c != 0.0)).collect();
    let sample = Sample { data, design: &design, is_used_s: &is_used_s };
    let mut basis_pk = vec![0.0; n_pixels * k];
    let mut n_spectra_p = vec![0; n_pixels];
    dev.pool().install(|| {
        basis_pk
            .par_chunks_mut(PIXELS * k)
            .zip(n_spectra_p.par_chunks_mut(PIXELS))
            .enumerate()
            .for_each_init(
                || (Sums::new(&design, [Terms::by_term(), Terms::by_term()]), Systems::new(k)),
                |(sums, systems), (i, (basis_pk, n_spectra_p))| {
                    let mut block = Block { first_pixel: i * PIXELS, basis_pk, n_spectra_p };
                    sum_systems(dev.simd(), &sample, sums, &mut block);
                    solve_systems(dev.simd(), sums, systems, &mut block);
                },
            );
    });
    let basis_kp = (0..k).flat_map(|j| basis_pk.iter().skip(j).step_by(k).copied()).collect();
    Ok(BasisUpdate { basis_kp, n_spectra_p })
}

/// What all pixels share.
struct Sample<'a> {
    data: &'a Weighted<'a, Cpu>,
    design: &'a Design,
    /// Whether any coefficient is other than 0.
    is_used_s: &'a [bool],
}

/// The results of a block of pixels.
struct Block<'a> {
    first_pixel: usize,
    basis_pk: &'a mut [f32],
    n_spectra_p: &'a mut [u32],
}

fn sum_systems(simd: Simd, sample: &Sample<'_>, sums: &mut Sums, block: &mut Block<'_>) {
    let (n_pixels, n_rows) = (sample.data.n_pixels, block.n_spectra_p.len());
    sums.clear();
    for span in sums.spans(sample.design) {
        for (t, s) in span.clone().enumerate() {
            let own = s * n_pixels + block.first_pixel..s * n_pixels + block.first_pixel + n_rows;
            let (values, weights) = (&sample.data.values_sp[own.clone()], &sample.data.weight_sp[own]);
            let [left, right] = &mut sums.terms;
            set_line(simd, values, weights, left.line(t), right.line(t));
            if sample.is_used_s[s] {
                for (n, &w) in block.n_spectra_p.iter_mut().zip(&*left.line(t)) {
                    *n += u32::from(w > 0.0);
                }
            }
        }
        sums.add_span(simd, sample.design, &span, n_rows);
    }
}

fn solve_systems(simd: Simd, sums: &Sums, systems: &mut Systems, block: &mut Block<'_>) {
    let n_rows = block.n_spectra_p.len();
    let k = block.basis_pk.len() / n_rows;
    for first in (0..n_rows).step_by(SYSTEMS) {
        let rows = first..n_rows.min(first + SYSTEMS);
        for p in rows.clone() {
            systems.set(p - first, sums.row(p));
        }
        systems.solve(simd);
        for p in rows {
            let (lane, element_k) = (p - first, &mut block.basis_pk[p * k..(p + 1) * k]);
            for (j, element) in element_k.iter_mut().enumerate() {
                *element = rounded(systems.solution(lane, j));
            }
            let is_enough = f64::from(block.n_spectra_p[p]) >= k as f64;
            if !(is_enough && systems.is_determined(lane) && element_k.iter().all(|e| e.is_finite())) {
                element_k.fill(0.0);
                block.n_spectra_p[p] = 0;
            }
        }
    }
}
