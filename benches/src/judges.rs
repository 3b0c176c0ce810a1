//! What must be true of an operation's output before its time means anything: stated plainly, in f64.

use std::ops::Range;

use specmill_kernels::{Cpu, flag};

use crate::device::{Downloaded, Inputs, N_GALAXY, N_GRID, N_PIXELS, NEIGHBOR_D, NEIGHBOR_K};
use crate::operations::OnHost;

/// Single precision, after sums of some thousand terms.
const ROUNDING: f64 = 1e-4;

/// Rows of which everything is computed again.
const ROWS: Range<usize> = 0..4;

/// Judges the output of an operation by its name.
///
/// # Panics
/// Where it is not what the operation must give.
pub fn judge(name: &str, inputs: &Inputs<Cpu>, host: &OnHost, outputs: &[Downloaded]) {
    match name {
        "combine_arms" => combine_arms(inputs, f32s(outputs, 0), f32s(outputs, 1)),
        "median_snr" => median_snr(inputs, f32s(outputs, 0)),
        "count_pixels" => count_pixels(host, u32s(outputs, 0)),
        "extinction" => extinction(host, f32s(outputs, 0)),
        "rest_frame" => rest_frame(inputs, host, f32s(outputs, 0), f32s(outputs, 1)),
        "continuum" => continuum(host, f32s(outputs, 0), u8s(outputs, 1)),
        "breaks" => measured(name, 0.5..3.0, f32s(outputs, 0), u8s(outputs, 2)),
        "indices" => measured(name, -20.0..20.0, f32s(outputs, 0), u8s(outputs, 3)),
        "lines" => measured(name, -100.0..1e4, f32s(outputs, 0), u8s(outputs, 7)),
        "window_snr" => measured(name, 0.0..100.0, f32s(outputs, 0), u8s(outputs, 1)),
        // The simulated noise has the variance that the files say.
        "ivar_scale" => measured(name, 0.5..2.0, f32s(outputs, 0), u8s(outputs, 2)),
        "synthetic" => measured(name, 0.0..1e4, f32s(outputs, 0), u8s(outputs, 3)),
        "normalize" => normalize(f32s(outputs, 0), f32s(outputs, 3), f32s(outputs, 4)),
        "project_10" => project(host, 0, inputs.components[0], f32s(outputs, 0)),
        "project_64" => project(host, 1, inputs.components[1], f32s(outputs, 0)),
        "update_basis_10" => update_basis(inputs, host, 0, f32s(outputs, 0)),
        "update_basis_64" => update_basis(inputs, host, 1, f32s(outputs, 0)),
        "nearest_neighbors" => nearest_neighbors(host, u32s(outputs, 0), f32s(outputs, 1)),
        _ => panic!("nobody judges {name}"),
    }
}

fn f32s(outputs: &[Downloaded], at: usize) -> &[f32] {
    let Downloaded::F32(values) = &outputs[at] else { panic!("output {at} is not f32") };
    values
}

fn u32s(outputs: &[Downloaded], at: usize) -> &[u32] {
    let Downloaded::U32(values) = &outputs[at] else { panic!("output {at} is not u32") };
    values
}

fn u8s(outputs: &[Downloaded], at: usize) -> &[u8] {
    let Downloaded::U8(values) = &outputs[at] else { panic!("output {at} is not u8") };
    values
}

fn row<T>(values: &[T], s: usize, width: usize) -> &[T] {
    &values[s * width..][..width]
}

/// Where one arm alone has a good pixel, it passes unchanged.
fn combine_arms(inputs: &Inputs<Cpu>, flux_sp: &[f32], ivar_sp: &[f32]) {
    let mut n_judged = 0;
    for (a, arm) in inputs.arms.iter().enumerate() {
        let covered = |p: usize| {
            let others = inputs.arms.iter().enumerate().filter(|(other, _)| *other != a);
            others.into_iter().any(|(_, arm)| (arm.first_pixel..arm.first_pixel + arm.n_pixels).contains(&p))
        };
        for (at, (flux, ivar)) in arm.flux_sp.iter().zip(&arm.ivar_sp).enumerate() {
            let (s, p) = (at / arm.n_pixels, arm.first_pixel + at % arm.n_pixels);
            let is_good = arm.mask_sp[at] == 0 && *ivar > 0.0 && ivar.is_finite() && flux.is_finite();
            if is_good && !covered(p) {
                let found = (flux_sp[s * N_PIXELS + p].to_bits(), ivar_sp[s * N_PIXELS + p].to_bits());
                assert_eq!(found, (flux.to_bits(), ivar.to_bits()), "row {s}, pixel {p} of arm {a}");
                n_judged += 1;
            }
        }
    }
    assert!(n_judged > flux_sp.len() / 2, "most pixels are good");
}

fn median_snr(inputs: &Inputs<Cpu>, snr_sa: &[f32]) {
    let layout_a = [0, 1, 2].map(|a| (inputs.arms[a].first_pixel, inputs.arms[a].n_pixels));
    let per_root_aa = 1.0 / inputs.grid.step_aa.sqrt();
    for s in ROWS {
        for (a, arm) in inputs.arms.iter().enumerate() {
            let (flux_p, ivar_p) = (row(&arm.flux_sp, s, arm.n_pixels), row(&arm.ivar_sp, s, arm.n_pixels));
            let pixels = inputs.ranges.pixels(&inputs.grid, a, &layout_a);
            let snr = |p: usize| f64::from(flux_p[p]) * f64::from(ivar_p[p]).sqrt() * per_root_aa;
            let mut values: Vec<f64> = pixels.map(snr).collect();
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            let median = if values.len() % 2 == 1 {
                values[middle]
            } else {
                0.5 * (values[middle - 1] + values[middle])
            };
            let found = f64::from(snr_sa[3 * s + a]);
            assert!(
                (found - median).abs() <= ROUNDING * median.abs(),
                "row {s}, arm {a}: {found}, not {median}"
            );
        }
    }
}

fn count_pixels(host: &OnHost, n_good_s: &[u32]) {
    for (s, &n_good) in n_good_s.iter().enumerate() {
        let good = row(&host.observed.1, s, N_PIXELS).iter().filter(|ivar| **ivar > 0.0).count();
        assert_eq!(n_good as usize, good, "row {s}");
    }
}

/// E(B−V) is 1e-6: every flux grows, by parts in a hundred thousand.
fn extinction(host: &OnHost, flux_sp: &[f32]) {
    for (before, after) in host.observed.0.iter().zip(flux_sp) {
        let (before, after) = (f64::from(before.abs()), f64::from(after.abs()));
        assert!(before <= after && after <= before * (1.0 + ROUNDING), "{before} became {after}");
    }
    assert!(host.observed.0 != flux_sp, "nothing was corrected");
}

/// A bin is a mean: it lies between the least and the greatest of the spectrum.
fn rest_frame(inputs: &Inputs<Cpu>, host: &OnHost, flux_sb: &[f32], ivar_sb: &[f32]) {
    let mut n_judged = 0;
    for &(s, z) in &inputs.rows {
        let (least, greatest) = extremes(host, s);
        let slack = ROUNDING * (greatest - least);
        for (flux, ivar) in row(flux_sb, s, N_GRID).iter().zip(row(ivar_sb, s, N_GRID)) {
            if *ivar > 0.0 {
                let flux = f64::from(*flux) / (1.0 + z);
                assert!(flux >= least - slack && flux <= greatest + slack, "row {s}: {flux}");
                n_judged += 1;
            }
        }
    }
    assert!(n_judged > ivar_sb.len() / 4, "{n_judged} bins have data");
}

/// The least and the greatest flux of a row's good pixels.
fn extremes(host: &OnHost, s: usize) -> (f64, f64) {
    let (flux_p, ivar_p) = (row(&host.observed.0, s, N_PIXELS), row(&host.observed.1, s, N_PIXELS));
    let good = flux_p.iter().zip(ivar_p).filter(|(_, ivar)| **ivar > 0.0).map(|(flux, _)| f64::from(*flux));
    good.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), flux| (lo.min(flux), hi.max(flux)))
}

/// A median is one of the window's values, or between two of them.
fn continuum(host: &OnHost, flux_sp: &[f32], valid_sp: &[u8]) {
    for s in 0..flux_sp.len() / N_PIXELS {
        let (least, greatest) = extremes(host, s);
        for (flux, valid) in row(flux_sp, s, N_PIXELS).iter().zip(row(valid_sp, s, N_PIXELS)) {
            let flux = f64::from(*flux);
            assert!(*valid == 0 || (flux >= least && flux <= greatest), "row {s}: {flux}");
        }
    }
    let n_valid = valid_sp.iter().filter(|valid| **valid == 1).count();
    assert!(n_valid > valid_sp.len() / 2, "{n_valid} pixels have a continuum");
}

/// A third at least is measured, and the middle of what is lies where it does in simulated spectra.
fn measured(name: &str, middle: Range<f32>, values: &[f32], flags: &[u8]) {
    let is_measured = |flags: &u8| flags & !flag::PARTIAL == 0;
    let mut found: Vec<f32> =
        values.iter().zip(flags).filter(|(_, flags)| is_measured(flags)).map(|(value, _)| *value).collect();
    assert!(found.len() > values.len() / 3, "{name}: {} of {} are measured", found.len(), values.len());
    found.sort_by(f32::total_cmp);
    let median = found[found.len() / 2];
    assert!(middle.contains(&median), "{name}: the middle is {median}");
}

/// With a mean of 1 the residuals of a least-squares share have the weighted sum 0.
fn normalize(amplitude_s: &[f32], residual_sp: &[f32], weight_sp: &[f32]) {
    for (s, amplitude) in amplitude_s.iter().enumerate() {
        let (residual_p, weight_p) = (row(residual_sp, s, N_GALAXY), row(weight_sp, s, N_GALAXY));
        let (mut sum, mut size) = (0.0, 0.0);
        for (residual, weight) in residual_p.iter().zip(weight_p) {
            let term = f64::from(*residual) * f64::from(*weight);
            (sum, size) = (sum + term, size + term.abs());
        }
        assert!(*amplitude > 0.0 && size > 0.0 && sum.abs() <= ROUNDING * size, "row {s}: {sum} of {size}");
    }
}

/// What a fit leaves is orthogonal to every component, under the weights.
fn project(host: &OnHost, which: usize, k: usize, coeff_sk: &[f32]) {
    let basis_kp = &host.bases_kp[which];
    for s in ROWS {
        let (x_p, w_p) = (row(&host.spectra.0, s, N_GALAXY), row(&host.spectra.1, s, N_GALAXY));
        let coeff_k = row(coeff_sk, s, k);
        let (mut sum_k, mut size_k) = (vec![0.0; k], vec![0.0; k]);
        for p in 0..N_GALAXY {
            let basis = |j: usize| f64::from(basis_kp[j * N_GALAXY + p]);
            let model: f64 = (0..k).map(|j| f64::from(coeff_k[j]) * basis(j)).sum();
            let (x, w) = (f64::from(x_p[p]), f64::from(w_p[p]));
            for j in 0..k {
                sum_k[j] += w * (x - model) * basis(j);
                size_k[j] += (w * x * basis(j)).abs();
            }
        }
        let worst = sum_k.iter().zip(&size_k).map(|(sum, size)| sum.abs() / size).fold(0.0, f64::max);
        assert!(worst <= ROUNDING && coeff_k.iter().any(|c| *c != 0.0), "row {s}: {worst}");
    }
}

/// What a fit leaves at a pixel is orthogonal to every component's coefficients, under the weights.
fn update_basis(inputs: &Inputs<Cpu>, host: &OnHost, which: usize, basis_kp: &[f32]) {
    let k = inputs.components[which];
    for p in ROWS {
        let (mut sum_k, mut size_k) = (vec![0.0; k], vec![0.0; k]);
        for s in 0..inputs.n_spectra {
            let coeff_k = row(&host.coeffs_sk[which], s, k);
            let model: f64 =
                (0..k).map(|j| f64::from(coeff_k[j]) * f64::from(basis_kp[j * N_GALAXY + p])).sum();
            let at = s * N_GALAXY + p;
            let (x, w) = (f64::from(host.spectra.0[at]), f64::from(host.spectra.1[at]));
            for j in 0..k {
                sum_k[j] += w * (x - model) * f64::from(coeff_k[j]);
                size_k[j] += (w * x * f64::from(coeff_k[j])).abs();
            }
        }
        let worst = sum_k.iter().zip(&size_k).map(|(sum, size)| sum.abs() / size).fold(0.0, f64::max);
        let is_fitted = (0..k).any(|j| basis_kp[j * N_GALAXY + p] != 0.0);
        assert!(worst <= ROUNDING && is_fitted, "pixel {p}: {worst}");
    }
}

/// The distances are those of the rows named, ascend, and no other row is nearer.
fn nearest_neighbors(host: &OnHost, index_qk: &[u32], dist2_qk: &[f32]) {
    for q in ROWS {
        let query_d = row(&host.vectors_nd, q, NEIGHBOR_D);
        let distance = |n: usize| -> f64 {
            let other_d = row(&host.vectors_nd, n, NEIGHBOR_D);
            query_d.iter().zip(other_d).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
        };
        let (index_k, dist2_k) = (row(index_qk, q, NEIGHBOR_K), row(dist2_qk, q, NEIGHBOR_K));
        for (&n, &dist2) in index_k.iter().zip(dist2_k) {
            let expected = distance(n as usize);
            assert!(
                (f64::from(dist2) - expected).abs() <= ROUNDING * expected,
                "{n} is not {dist2} from {q}"
            );
        }
        assert!(dist2_k.is_sorted(), "row {q}: {dist2_k:?}");
        let farthest = f64::from(dist2_k[NEIGHBOR_K - 1]) * (1.0 - ROUNDING);
        let n_rows = host.vectors_nd.len() / NEIGHBOR_D;
        let nearer = (0..n_rows).filter(|&n| n != q && distance(n) < farthest).count();
        assert!(nearer < NEIGHBOR_K, "row {q}: {nearer} rows are nearer than the last neighbour");
    }
}
