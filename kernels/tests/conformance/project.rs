//! Properties of `project`.

use proptest::prelude::*;
use specmill_kernels::{Backend, KernelError, Weighted};

use crate::cases::{AWKWARD, Draw, Spectra, check, narrow, take_rows, to_bits};
use crate::reference;

/// Everything that a projection gives, in host memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Host {
    pub(crate) k: usize,
    pub(crate) coeff_sk: Vec<f32>,
    pub(crate) variance_sk: Vec<f32>,
    pub(crate) gain_sk: Vec<f32>,
    pub(crate) chi2_s: Vec<f64>,
    pub(crate) chi2_0_s: Vec<f64>,
    pub(crate) constraint_s: Vec<f32>,
    pub(crate) n_good_s: Vec<u32>,
}

impl Host {
    fn rows(&self, rows: &[usize]) -> Self {
        Self {
            k: self.k,
            coeff_sk: take_rows(&self.coeff_sk, self.k, rows),
            variance_sk: take_rows(&self.variance_sk, self.k, rows),
            gain_sk: take_rows(&self.gain_sk, self.k, rows),
            chi2_s: take_rows(&self.chi2_s, 1, rows),
            chi2_0_s: take_rows(&self.chi2_0_s, 1, rows),
            constraint_s: take_rows(&self.constraint_s, 1, rows),
            n_good_s: take_rows(&self.n_good_s, 1, rows),
        }
    }

    /// Bits that no sign of zero can hide in.
    fn bits(&self) -> Vec<u32> {
        let floats = [&self.coeff_sk, &self.variance_sk, &self.gain_sk, &self.constraint_s];
        let mut bits: Vec<u32> = floats.into_iter().flat_map(|values| to_bits(values)).collect();
        for chi2 in self.chi2_s.iter().chain(&self.chi2_0_s) {
            let [low, high] = [chi2.to_bits() & 0xffff_ffff, chi2.to_bits() >> 32];
            bits.extend([low, high].map(|half| u32::try_from(half).expect("32 bits")));
        }
        bits.extend(&self.n_good_s);
        bits
    }

    fn is_finite(&self) -> bool {
        [&self.coeff_sk, &self.variance_sk, &self.gain_sk, &self.constraint_s]
            .into_iter()
            .all(|values| values.iter().all(|v| v.is_finite()))
            && self.chi2_s.iter().chain(&self.chi2_0_s).all(|chi2| chi2.is_finite())
    }
}

pub(crate) fn project<B: Backend>(dev: &B, spectra: &Spectra, basis_kp: &[f32], k: usize) -> Host {
    let batch = spectra.upload(dev);
    let basis = dev.upload(basis_kp).expect("the device has room");
    let ours = dev.project(&batch.weighted(), &basis, k).expect("the case is valid");
    Host {
        k,
        coeff_sk: dev.download(&ours.coeff_sk).expect("the copy succeeds"),
        variance_sk: dev.download(&ours.variance_sk).expect("the copy succeeds"),
        gain_sk: dev.download(&ours.gain_sk).expect("the copy succeeds"),
        chi2_s: dev.download(&ours.chi2_s).expect("the copy succeeds"),
        chi2_0_s: dev.download(&ours.chi2_0_s).expect("the copy succeeds"),
        constraint_s: dev.download(&ours.constraint_s).expect("the copy succeeds"),
        n_good_s: dev.download(&ours.n_good_s).expect("the copy succeeds"),
    }
}

/// Random components of about the length that orthonormal ones have.
pub(crate) fn random_basis(seed: u64, k: usize, n_pixels: usize) -> Vec<f32> {
    let mut draw = Draw::new(seed);
    let scale = (3.0 / n_pixels.max(1) as f64).sqrt();
    (0..k * n_pixels).map(|_| narrow((2.0 * draw.unit() - 1.0) * scale)).collect()
}

/// What the bits of the instruction sets and thread counts are compared by.
pub(crate) fn bits<B: Backend>(dev: &B) -> Vec<u32> {
    let mut bits = Vec::new();
    for (k, n_spectra, n_pixels) in [(1, 5, 33), (3, 13, 257), (10, 101, 700), (64, 3, 300)] {
        let spectra = Spectra::random(41, n_spectra, n_pixels);
        let ours = project(dev, &spectra, &random_basis(42, k, n_pixels), k);
        let batch = spectra.upload(dev);
        let coeff_sk = dev.upload(&ours.coeff_sk).expect("the device has room");
        let update = dev.update_basis(&batch.weighted(), &coeff_sk, k).expect("the case is valid");
        bits.extend(ours.bits());
        bits.extend(to_bits(&dev.download(&update.basis_kp).expect("the copy succeeds")));
        bits.extend(dev.download(&update.n_spectra_p).expect("the copy succeeds"));
    }
    bits
}

fn judge(
    spectra: &Spectra,
    basis_kp: &[f32],
    ours: &Host,
    least_constraint: f64,
) -> Result<usize, TestCaseError> {
    let (n, k) = (spectra.n_pixels, ours.k);
    let design: Vec<Vec<f64>> =
        basis_kp.chunks_exact(n.max(1)).map(|row| row.iter().map(|&e| f64::from(e)).collect()).collect();
    let mut judged = 0;
    for s in 0..spectra.n_spectra {
        let own = s * n..(s + 1) * n;
        let truth = reference::empca::solve(&spectra.flux_sp[own.clone()], &spectra.ivar_sp[own], &design);
        prop_assert_eq!(ours.n_good_s[s] as usize, truth.n_good);
        if truth.n_good <= k {
            prop_assert!(ours.constraint_s[s] == 0.0, "{} pixels, {k} components", truth.n_good);
            continue;
        }
        // Where one component is hardly constrained the f32 sums decide, as the contract says.
        if truth.constraint < least_constraint {
            continue;
        }
        judged += 1;
        // Chains of 128 roundings of 6e-8 (at random: 7e-7, at worst 8e-6) in every sum, amplified by the
        // condition of the system, which the constraint measures.
        let error = 3e-6 * (k as f64).sqrt() / truth.constraint.min(1.0);
        let near = |ours: f64, truth: f64, scale: f64| (ours - truth).abs() <= error * scale;
        prop_assert!(near(f64::from(ours.constraint_s[s]), truth.constraint, truth.constraint), "constraint");
        prop_assert!(near(ours.chi2_0_s[s], truth.chi2_0, truth.chi2_0), "chi2_0");
        prop_assert!(near(ours.chi2_s[s], truth.chi2, truth.chi2_0), "{} for {}", ours.chi2_s[s], truth.chi2);
        for j in 0..k {
            let at = s * k + j;
            // A coefficient of the size that explains the whole spectrum.
            let scale = (truth.chi2_0 * truth.variance_k[j]).sqrt();
            let (coeff, expected) = (f64::from(ours.coeff_sk[at]), truth.coeff_k[j]);
            prop_assert!(near(coeff, expected, scale), "row {s}: c_{j} is {coeff} for {expected} of {scale}");
            let (variance, expected) = (f64::from(ours.variance_sk[at]), truth.variance_k[j]);
            prop_assert!(near(variance, expected, expected), "row {s}: variance {variance} for {expected}");
            let (gain, expected) = (f64::from(ours.gain_sk[at]), truth.gain_k[j]);
            prop_assert!(near(gain, expected, truth.chi2_0), "row {s}: gain {gain} for {expected}");
        }
    }
    Ok(judged)
}

/// Spectra of every kind: ordinary, of any bits, all missing, with NaN under weight 0, and of numbers that
/// leave f32 when they are multiplied or summed.
pub(crate) fn kinds(seed: u64, n_spectra: usize, n_pixels: usize) -> [Spectra; 5] {
    let ordinary = Spectra::random(seed, n_spectra, n_pixels);
    let mut dark = ordinary.clone();
    dark.ivar_sp.fill(0.0);
    let mut dirty = ordinary.clone();
    let mut huge = ordinary.clone();
    let mut draw = Draw::new(seed);
    for i in 0..ordinary.flux_sp.len() {
        if draw.chance(0.3) {
            (dirty.flux_sp[i], dirty.ivar_sp[i]) = (f32::NAN, 0.0);
            (huge.flux_sp[i], huge.ivar_sp[i]) = [(3e38, 2.0), (1e20, 1e18), (1.0, 3e38)][draw.below(3)];
        }
    }
    [ordinary, Spectra::any_bits(seed, n_spectra, n_pixels), dark, dirty, huge]
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let equal = |spectra: &Spectra, k: usize| {
        let basis_kp = random_basis(2, k, spectra.n_pixels);
        let (ours, truth) = (project(dev, spectra, &basis_kp, k), project(&cpu, spectra, &basis_kp, k));
        assert_eq!(ours.bits(), truth.bits(), "{} x {}, k = {k}", spectra.n_spectra, spectra.n_pixels);
    };
    for (i, n) in AWKWARD.into_iter().enumerate() {
        for spectra in kinds(1, n, 150) {
            equal(&spectra, 3);
        }
        for spectra in kinds(2, 5, n) {
            equal(&spectra, i + 1);
        }
    }
    // About the length of a chain, and every kind of place that a group of sums has.
    for (n_pixels, k) in [(127, 4), (128, 5), (129, 6), (255, 7), (256, 17), (257, 23), (400, 64)] {
        equal(&Spectra::random(3, 3, n_pixels), k);
    }
    equal(&Spectra::random(4, 2, 7781), 10);
    for (spectra, basis_kp, k) in awkward_systems() {
        let (ours, truth) = (project(dev, &spectra, &basis_kp, k), project(&cpu, &spectra, &basis_kp, k));
        assert_eq!(ours.bits(), truth.bits(), "k = {k}");
    }
}

/// Spectra and components: that leave f32 when multiplied; of which one leaves it in its variance alone; that
/// are so alike that the last bits of f64 reach those of f32; and weights so unequal that every order of
/// summation gives other bits.
fn awkward_systems() -> [(Spectra, Vec<f32>, usize); 4] {
    let (n_spectra, n_pixels) = (300, 130);
    let spectra = Spectra::random(5, n_spectra, n_pixels);
    let basis_kp = random_basis(6, 6, n_pixels);
    let huge = basis_kp[..3 * n_pixels].iter().map(|e| e * 1e30).collect();
    let mut tiny = basis_kp[..3 * n_pixels].to_vec();
    tiny[n_pixels..2 * n_pixels].iter_mut().for_each(|e| *e *= 1e-18);
    let mut faint = spectra.clone();
    faint.ivar_sp.iter_mut().for_each(|w| *w *= 1e-4);
    let first = basis_kp[..n_pixels].iter().cycle();
    let alike = basis_kp.iter().zip(first).map(|(own, first)| first + 3e-3 * own).collect();
    let mut unequal = Spectra::random(7, n_spectra, 257);
    let mut draw = Draw::new(8);
    unequal.ivar_sp.iter_mut().for_each(|w| *w = narrow(libm::pow(10.0, 12.0 * draw.unit() - 6.0)));
    let flat = vec![1.0; 257];
    [(spectra.clone(), huge, 3), (faint, tiny, 3), (spectra, alike, 6), (unequal, flat, 1)]
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let cases = (any::<u64>(), 0_usize..14, prop::sample::select(&AWKWARD[..]), 1_usize..8);
    check(100, cases, |(seed, n_spectra, n_pixels, k)| {
        let spectra = Spectra::random(seed, n_spectra, n_pixels);
        let basis_kp = random_basis(seed ^ 1, k, n_pixels);
        judge(&spectra, &basis_kp, &project(dev, &spectra, &basis_kp, k), 1e-2).map(|_| ())
    });
    let spectra = Spectra::random(3, 5, 6100);
    let basis_kp = random_basis(4, 10, 6100);
    let judged = judge(&spectra, &basis_kp, &project(dev, &spectra, &basis_kp, 10), 1e-2).expect("agrees");
    assert_eq!(judged, 5, "every long spectrum is judged");
}

pub(crate) fn most_components_agree_with_the_reference<B: Backend>(dev: &B) {
    let spectra = Spectra::random(5, 3, 900);
    let basis_kp = random_basis(6, 64, 900);
    let judged = judge(&spectra, &basis_kp, &project(dev, &spectra, &basis_kp, 64), 1e-2).expect("agrees");
    assert_eq!(judged, 3, "every spectrum is judged");
}

pub(crate) fn a_combination_of_components_is_found<B: Backend>(dev: &B) {
    let (n, k) = (600, 4);
    let basis_kp = random_basis(8, k, n);
    let mut spectra = Spectra::random(9, 3, n);
    let truth = [[1.0_f32, -2.0, 0.5, 3.0], [0.0, 0.0, 1.0, 0.0], [-7.0, 0.25, 0.0, 1.5]];
    for (flux_p, c_k) in spectra.flux_sp.chunks_exact_mut(n).zip(&truth) {
        for (p, flux) in flux_p.iter_mut().enumerate() {
            *flux = (0..k).map(|j| c_k[j] * basis_kp[j * n + p]).sum();
        }
    }
    let ours = project(dev, &spectra, &basis_kp, k);
    for (s, c_k) in truth.iter().enumerate() {
        for (ours, truth) in ours.coeff_sk[s * k..].iter().zip(c_k) {
            // The spectrum's own rounding of 6e-8 and that of the sums.
            assert!((ours - truth).abs() < 1e-5, "row {s}: {ours} for {truth}");
        }
        assert!(ours.chi2_s[s] < 1e-10 * ours.chi2_0_s[s], "nothing is left");
        assert!(ours.constraint_s[s] > 0.1 && ours.constraint_s[s] < 1.5, "{}", ours.constraint_s[s]);
        let explained: f32 = ours.gain_sk[s * k..(s + 1) * k].iter().sum();
        let chi2_0 = ours.chi2_0_s[s];
        assert!((f64::from(explained) - chi2_0).abs() < 1e-5 * chi2_0, "the gains explain everything");
    }
}

pub(crate) fn missing_pixel_changes_nothing<B: Backend>(dev: &B) {
    let spectra = Spectra::random(10, 7, 257);
    let mut dirty = spectra.clone();
    let garbage = [f32::NAN, f32::INFINITY, -3e38, 0.0, 5.0];
    for i in 0..dirty.flux_sp.len() {
        let (flux, ivar) = (spectra.flux_sp[i], spectra.ivar_sp[i]);
        if !(flux.is_finite() && ivar.is_finite() && ivar > 0.0) {
            (dirty.flux_sp[i], dirty.ivar_sp[i]) = (garbage[i % 5], 0.0);
        }
    }
    let basis_kp = random_basis(11, 5, 257);
    let (clean, dirty) = (project(dev, &spectra, &basis_kp, 5), project(dev, &dirty, &basis_kp, 5));
    assert_eq!(clean.bits(), dirty.bits());
    assert!(clean.constraint_s.iter().all(|&c| c > 0.0));
}

pub(crate) fn permuting_rows_permutes<B: Backend>(dev: &B) {
    let spectra = Spectra::random(12, 110, 129);
    let basis_kp = random_basis(13, 3, 129);
    let order: Vec<usize> = (0..110).map(|s| s * 37 % 110).collect();
    let moved = project(dev, &spectra.rows(&order), &basis_kp, 3);
    assert_eq!(moved.bits(), project(dev, &spectra, &basis_kp, 3).rows(&order).bits());
}

pub(crate) fn one_batch_equals_many<B: Backend>(dev: &B) {
    let spectra = Spectra::random(14, 33, 600);
    let basis_kp = random_basis(15, 6, 600);
    let together = project(dev, &spectra, &basis_kp, 6);
    for s in [0, 11, 12, 31, 32] {
        let alone = project(dev, &spectra.rows(&[s]), &basis_kp, 6);
        assert_eq!(alone.bits(), together.rows(&[s]).bits(), "row {s}");
    }
}

pub(crate) fn scaling_weights_leaves_the_coefficients<B: Backend>(dev: &B) {
    let spectra = Spectra::random(16, 9, 257);
    let basis_kp = random_basis(17, 4, 257);
    let mut heavy = spectra.clone();
    heavy.ivar_sp.iter_mut().for_each(|w| *w *= 4.0);
    let (once, ours) = (project(dev, &spectra, &basis_kp, 4), project(dev, &heavy, &basis_kp, 4));
    // A power of two changes exponents alone.
    assert_eq!(to_bits(&ours.coeff_sk), to_bits(&once.coeff_sk));
    assert_eq!(to_bits(&ours.constraint_s), to_bits(&once.constraint_s));
    let quarter: Vec<f32> = once.variance_sk.iter().map(|v| v / 4.0).collect();
    assert_eq!(to_bits(&ours.variance_sk), to_bits(&quarter));
    let fourfold: Vec<f64> = once.chi2_s.iter().map(|chi2| 4.0 * chi2).collect();
    assert_eq!(ours.chi2_s, fourfold);
}

pub(crate) fn undetermined_systems_give_nothing<B: Backend>(dev: &B) {
    let n = 64;
    let basis_kp = random_basis(18, 3, n);
    let mut spectra = Spectra::random(19, 4, n);
    spectra.flux_sp.fill(1.0);
    spectra.ivar_sp.fill(0.0);
    spectra.ivar_sp[n + 7] = 1.0;
    spectra.ivar_sp[2 * n..2 * n + 3].fill(1.0);
    spectra.ivar_sp[3 * n..3 * n + 8].fill(1.0);
    let ours = project(dev, &spectra, &basis_kp, 3);
    assert_eq!(ours.n_good_s, [0, 1, 3, 8]);
    for s in 0..3 {
        assert!(ours.coeff_sk[s * 3..(s + 1) * 3].iter().all(|&c| c == 0.0), "row {s}");
        assert_eq!((ours.constraint_s[s], ours.chi2_s[s], ours.chi2_0_s[s]), (0.0, 0.0, 0.0), "row {s}");
    }
    assert!(ours.constraint_s[3] > 0.0 && ours.coeff_sk[9] != 0.0, "eight pixels determine three components");
    // Two equal components, one that the pixels do not touch, and one of zeros.
    let mut twice = basis_kp.clone();
    twice.copy_within(0..n, 2 * n);
    let mut untouched = basis_kp.clone();
    untouched[n..n + 8].fill(0.0);
    let mut zeros = basis_kp;
    zeros[..n].fill(0.0);
    for basis_kp in [twice, untouched, zeros] {
        let ours = project(dev, &spectra.rows(&[3]), &basis_kp, 3);
        assert_eq!((ours.constraint_s[0], &ours.coeff_sk[..]), (0.0, &[0.0; 3][..]));
    }
    let none = project(dev, &Spectra::random(20, 2, 0), &[], 2);
    assert_eq!((none.constraint_s, none.n_good_s), (vec![0.0; 2], vec![0; 2]));
    let no_rows = project(dev, &Spectra::random(20, 0, 5), &[1.0; 5], 1);
    assert!(no_rows.coeff_sk.is_empty() && no_rows.chi2_s.is_empty());
}

pub(crate) fn any_bits_give_finite_output<B: Backend>(dev: &B) {
    check(60, (any::<u64>(), 1_usize..5), |(seed, k)| {
        let spectra = Spectra::any_bits(seed, 5, 257);
        prop_assert!(project(dev, &spectra, &random_basis(seed, k, 257), k).is_finite());
        Ok(())
    });
}

pub(crate) fn wrong_parameters_are_refused<B: Backend>(dev: &B) {
    let batch = Spectra::random(21, 2, 33).upload(dev);
    let refused = |basis_kp: &[f32], k| {
        let basis = dev.upload(basis_kp).expect("the device has room");
        dev.project(&batch.weighted(), &basis, k).err().expect("refused")
    };
    assert!(matches!(refused(&[1.0; 32], 1), KernelError::Shape { .. }));
    assert!(matches!(refused(&[], 0), KernelError::Domain { .. }));
    assert!(matches!(refused(&[1.0; 65 * 33], 65), KernelError::Domain { .. }));
    let mut basis_kp = random_basis(22, 2, 33);
    basis_kp[33 + 4] = f32::NAN;
    let message = refused(&basis_kp, 2).to_string();
    assert!(message.contains("component 1") && message.contains("pixel 4"), "{message}");
    let short =
        Weighted::<B> { n_spectra: 3, n_pixels: 33, values_sp: &batch.flux_sp, weight_sp: &batch.ivar_sp };
    let basis = dev.upload(&[1.0; 33]).expect("the device has room");
    assert!(matches!(dev.project(&short, &basis, 1), Err(KernelError::Shape { .. })));
}
