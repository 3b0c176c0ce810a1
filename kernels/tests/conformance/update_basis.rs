//! Properties of `update_basis`.

use proptest::prelude::*;
use specmill_kernels::{Backend, KernelError};

use crate::cases::{AWKWARD, Draw, Spectra, check, narrow, to_bits};
use crate::project::{kinds, random_basis};
use crate::reference;

/// Components [k, p] and spectra per pixel [p].
fn update<B: Backend>(dev: &B, spectra: &Spectra, coeff_sk: &[f32], k: usize) -> (Vec<f32>, Vec<u32>) {
    let batch = spectra.upload(dev);
    let coeff = dev.upload(coeff_sk).expect("the device has room");
    let ours = dev.update_basis(&batch.weighted(), &coeff, k).expect("the case is valid");
    let basis_kp = dev.download(&ours.basis_kp).expect("the copy succeeds");
    (basis_kp, dev.download(&ours.n_spectra_p).expect("the copy succeeds"))
}

fn random_coefficients(seed: u64, n_spectra: usize, k: usize) -> Vec<f32> {
    let mut draw = Draw::new(seed);
    (0..n_spectra * k).map(|_| narrow(4.0 * draw.unit() - 2.0)).collect()
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let equal = |spectra: &Spectra, coeff_sk: &[f32], k: usize| {
        let (ours, truth) = (update(dev, spectra, coeff_sk, k), update(&cpu, spectra, coeff_sk, k));
        assert_eq!(to_bits(&ours.0), to_bits(&truth.0), "{} x {}", spectra.n_spectra, spectra.n_pixels);
        assert_eq!(ours.1, truth.1, "{} x {}, k = {k}", spectra.n_spectra, spectra.n_pixels);
    };
    for (i, n) in AWKWARD.into_iter().enumerate() {
        for (k, spectra) in
            kinds(1, n, 70).into_iter().map(|s| (3, s)).chain(kinds(2, 60, n).map(|s| (i + 1, s)))
        {
            let mut coeff_sk = random_coefficients(3, spectra.n_spectra, k);
            // Every third spectrum takes no part.
            coeff_sk.chunks_exact_mut(3 * k).for_each(|rows| rows[..k].fill(0.0));
            equal(&spectra, &coeff_sk, k);
        }
    }
    for (n_spectra, k) in [(127, 4), (128, 5), (129, 6), (257, 23), (300, 64)] {
        equal(&Spectra::random(4, n_spectra, 9), &random_coefficients(5, n_spectra, k), k);
    }
    equal(&Spectra::random(6, 12, 7781), &random_coefficients(7, 12, 4), 4);
    let huge: Vec<f32> = random_coefficients(8, 40, 2).iter().map(|c| c * 1e30).collect();
    equal(&Spectra::random(9, 40, 33), &huge, 2);
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let lengths = prop::sample::select(&[0_usize, 1, 31, 32, 33, 140, 300][..]);
    let cases = (any::<u64>(), lengths, prop::sample::select(&[0_usize, 1, 33, 200][..]), 1_usize..6);
    check(60, cases, |(seed, n_spectra, n_pixels, k)| {
        let spectra = Spectra::random(seed, n_spectra, n_pixels);
        let coeff_sk = random_coefficients(seed ^ 1, n_spectra, k);
        let (basis_kp, n_spectra_p) = update(dev, &spectra, &coeff_sk, k);
        let design: Vec<Vec<f64>> =
            (0..k).map(|j| coeff_sk.iter().skip(j).step_by(k).map(|&c| f64::from(c)).collect()).collect();
        for p in 0..n_pixels {
            let column =
                |values: &[f32]| -> Vec<f32> { values.iter().skip(p).step_by(n_pixels).copied().collect() };
            let truth =
                reference::empca::solve(&column(&spectra.flux_sp), &column(&spectra.ivar_sp), &design);
            if truth.n_good < k {
                prop_assert_eq!(n_spectra_p[p], 0);
                prop_assert!((0..k).all(|j| basis_kp[j * n_pixels + p] == 0.0));
                continue;
            }
            // As for `project`: hardly constrained systems are decided by rounding.
            if truth.constraint.is_nan() || truth.constraint < 1e-2 {
                continue;
            }
            prop_assert_eq!(n_spectra_p[p] as usize, truth.n_good);
            for j in 0..k {
                // The tolerance of `project`, for the same sums over spectra instead of pixels.
                let scale = (truth.chi2_0 * truth.variance_k[j]).sqrt();
                let error = (f64::from(basis_kp[j * n_pixels + p]) - truth.coeff_k[j]).abs();
                let bound = 3e-6 * (k as f64).sqrt() / truth.constraint.min(1.0) * scale;
                prop_assert!(error <= bound, "pixel {p}, component {j}: off by {error} of {scale}");
            }
        }
        Ok(())
    });
}

pub(crate) fn known_components_come_back<B: Backend>(dev: &B) {
    let (n_spectra, n_pixels, k) = (150, 97, 5);
    let (truth_kp, coeff_sk) = (random_basis(1, k, n_pixels), random_coefficients(2, n_spectra, k));
    let mut spectra = Spectra::random(3, n_spectra, n_pixels);
    for s in 0..n_spectra {
        for p in 0..n_pixels {
            spectra.flux_sp[s * n_pixels + p] =
                (0..k).map(|j| coeff_sk[s * k + j] * truth_kp[j * n_pixels + p]).sum();
        }
    }
    let (basis_kp, n_spectra_p) = update(dev, &spectra, &coeff_sk, k);
    for (ours, truth) in basis_kp.iter().zip(&truth_kp) {
        // Roundings of the spectra and of the sums, a few 1e-7 of components of about 0.1 each.
        assert!((ours - truth).abs() < 2e-6, "{ours} for {truth}");
    }
    assert!(n_spectra_p.iter().all(|&n| n > 100 && n < 150), "{n_spectra_p:?}");
}

pub(crate) fn one_block_of_pixels_equals_many<B: Backend>(dev: &B) {
    let (n_spectra, n_pixels, k) = (270, 401, 3);
    let spectra = Spectra::random(4, n_spectra, n_pixels);
    let coeff_sk = random_coefficients(5, n_spectra, k);
    let (together, _) = update(dev, &spectra, &coeff_sk, k);
    for p in [0, 11, 12, 191, 192, 400] {
        let column = |values: &[f32]| values.iter().skip(p).step_by(n_pixels).copied().collect::<Vec<_>>();
        let alone = Spectra {
            n_spectra,
            n_pixels: 1,
            flux_sp: column(&spectra.flux_sp),
            ivar_sp: column(&spectra.ivar_sp),
            mask_sp: Vec::new(),
        };
        let (basis_k, _) = update(dev, &alone, &coeff_sk, k);
        let expected: Vec<f32> = (0..k).map(|j| together[j * n_pixels + p]).collect();
        assert_eq!(to_bits(&basis_k), to_bits(&expected), "pixel {p}");
    }
}

pub(crate) fn pixels_without_enough_spectra_are_zero<B: Backend>(dev: &B) {
    let (n_spectra, n_pixels, k) = (6, 5, 2);
    let mut spectra = Spectra::random(6, n_spectra, n_pixels);
    spectra.flux_sp.fill(1.5);
    spectra.ivar_sp.fill(1.0);
    let mut coeff_sk = random_coefficients(7, n_spectra, k);
    // Pixel 0: nobody; pixel 1: one spectrum; pixel 2: two; pixel 3: the two of equal coefficients.
    for s in 0..n_spectra {
        for p in 0..4 {
            let is_seen = match p {
                0 => false,
                1 => s == 0,
                2 => s < 2,
                _ => s == 4 || s == 5,
            };
            spectra.ivar_sp[s * n_pixels + p] = if is_seen { 2.0 } else { 0.0 };
        }
    }
    coeff_sk.copy_within(4 * k..5 * k, 5 * k);
    let (basis_kp, n_spectra_p) = update(dev, &spectra, &coeff_sk, k);
    assert_eq!(n_spectra_p, [0, 0, 2, 0, 6]);
    let is_zero = |p: usize| (0..k).all(|j| basis_kp[j * n_pixels + p] == 0.0);
    assert_eq!([0, 1, 2, 3, 4].map(is_zero), [true, true, false, true, false]);
    // Spectra without coefficients do not count.
    coeff_sk[..2 * k].fill(0.0);
    assert_eq!(update(dev, &spectra, &coeff_sk, k).1, [0, 0, 0, 0, 4]);
}

pub(crate) fn any_bits_give_finite_output<B: Backend>(dev: &B) {
    check(60, (any::<u64>(), 1_usize..4), |(seed, k)| {
        let spectra = Spectra::any_bits(seed, 40, 33);
        let (basis_kp, _) = update(dev, &spectra, &random_coefficients(seed, 40, k), k);
        prop_assert!(basis_kp.iter().all(|e| e.is_finite()));
        Ok(())
    });
}

pub(crate) fn wrong_parameters_are_refused<B: Backend>(dev: &B) {
    let batch = Spectra::random(8, 4, 9).upload(dev);
    let refused = |coeff_sk: &[f32], k| {
        let coeff = dev.upload(coeff_sk).expect("the device has room");
        dev.update_basis(&batch.weighted(), &coeff, k).err().expect("refused")
    };
    assert!(matches!(refused(&[1.0; 7], 2), KernelError::Shape { .. }));
    assert!(matches!(refused(&[], 0), KernelError::Domain { .. }));
    let message = refused(&[1.0, 1.0, 1.0, f32::NAN, 1.0, 1.0, 1.0, 1.0], 2).to_string();
    assert!(message.contains("coefficient 1 of row 1"), "{message}");
}
