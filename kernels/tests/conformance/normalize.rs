//! Properties of `normalize`.

use proptest::prelude::*;
use specmill_kernels::{Backend, KernelError};

use crate::cases::{AWKWARD, Draw, Spectra, check, narrow, take_rows, to_bits};

/// Everything that a normalisation gives, in host memory.
#[derive(Debug, Clone, PartialEq)]
struct Host {
    n_pixels: usize,
    amplitude_s: Vec<f32>,
    amplitude_snr_s: Vec<f32>,
    n_good_s: Vec<u32>,
    residual_sp: Vec<f32>,
    weight_sp: Vec<f32>,
}

impl Host {
    fn rows(&self, rows: &[usize]) -> Self {
        Self {
            n_pixels: self.n_pixels,
            amplitude_s: take_rows(&self.amplitude_s, 1, rows),
            amplitude_snr_s: take_rows(&self.amplitude_snr_s, 1, rows),
            n_good_s: take_rows(&self.n_good_s, 1, rows),
            residual_sp: take_rows(&self.residual_sp, self.n_pixels, rows),
            weight_sp: take_rows(&self.weight_sp, self.n_pixels, rows),
        }
    }

    fn bits(&self) -> Vec<u32> {
        let floats = [&self.amplitude_s, &self.amplitude_snr_s, &self.residual_sp, &self.weight_sp];
        floats.into_iter().flat_map(|values| to_bits(values)).chain(self.n_good_s.iter().copied()).collect()
    }
}

fn normalize<B: Backend>(dev: &B, spectra: &Spectra, mean_p: &[f32]) -> Host {
    let mean = dev.upload(mean_p).expect("the device has room");
    let ours = dev.normalize(&spectra.upload(dev), &mean).expect("the case is valid");
    assert_eq!((ours.n_spectra, ours.n_pixels), (spectra.n_spectra, spectra.n_pixels));
    Host {
        n_pixels: spectra.n_pixels,
        amplitude_s: dev.download(&ours.amplitude_s).expect("the copy succeeds"),
        amplitude_snr_s: dev.download(&ours.amplitude_snr_s).expect("the copy succeeds"),
        n_good_s: dev.download(&ours.n_good_s).expect("the copy succeeds"),
        residual_sp: dev.download(&ours.residual_sp).expect("the copy succeeds"),
        weight_sp: dev.download(&ours.weight_sp).expect("the copy succeeds"),
    }
}

/// A positive mean with a pixel in eight that the model does not cover.
fn random_mean(seed: u64, n_pixels: usize) -> Vec<f32> {
    let mut draw = Draw::new(seed);
    (0..n_pixels).map(|_| if draw.chance(0.125) { 0.0 } else { narrow(0.5 + draw.unit()) }).collect()
}

/// Positive flux around twice the mean, so that amplitudes are well determined.
fn bright(seed: u64, n_spectra: usize, mean_p: &[f32]) -> Spectra {
    let mut spectra = Spectra::random(seed, n_spectra, mean_p.len());
    for (flux, mean) in spectra.flux_sp.iter_mut().zip(mean_p.iter().cycle()) {
        *flux = 2.0 * mean + 0.05 * *flux;
    }
    spectra
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let both = |spectra: &Spectra, mean_p: &[f32]| {
        let (ours, theirs) = (normalize(dev, spectra, mean_p), normalize(&cpu, spectra, mean_p));
        assert!(ours.bits() == theirs.bits(), "{} of {} pixels", spectra.n_spectra, spectra.n_pixels);
    };
    for n in AWKWARD {
        for (n_spectra, n_pixels) in [(n, 33), (5, n), (3, 32 * n + 1)] {
            let mean_p = random_mean(1, n_pixels);
            both(&bright(2, n_spectra, &mean_p), &mean_p);
            both(&Spectra::any_bits(3, n_spectra, n_pixels), &mean_p);
            both(&Spectra::random(4, n_spectra, n_pixels), &vec![0.0; n_pixels]);
        }
    }
    let mut mean_p = random_mean(5, 7781);
    both(&bright(6, 3, &mean_p), &mean_p);
    // Each pixel and its opposite: what is left of the sum is the rounding of its every step.
    let mut draw = Draw::new(8);
    for n in [34, 258, 7780] {
        let mut spectra = Spectra::random(9, 1, n);
        for p in 0..n / 2 {
            spectra.flux_sp[p] *= narrow(libm::pow(10.0, 24.0 * draw.unit()));
            spectra.flux_sp[n - 1 - p] = -spectra.flux_sp[p];
            spectra.ivar_sp[n - 1 - p] = spectra.ivar_sp[p];
        }
        both(&spectra, &vec![0.7; n]);
    }
    // Means of either sign and of any size.
    mean_p.iter_mut().step_by(3).for_each(|mean| *mean *= -1e30);
    both(&Spectra::random(7, 9, 7781), &mean_p);
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let lengths = prop::sample::select(&AWKWARD[..]);
    check(100, (any::<u64>(), 0_usize..5, lengths), |(seed, n_spectra, n)| {
        let mean_p = random_mean(seed ^ 1, n);
        let spectra = bright(seed, n_spectra, &mean_p);
        let ours = normalize(dev, &spectra, &mean_p);
        for s in 0..n_spectra {
            let own = s * n..(s + 1) * n;
            let pixels: Vec<(f64, f64, f64, usize)> =
                crate::reference::empca::good(&spectra.flux_sp[own.clone()], &spectra.ivar_sp[own])
                    .into_iter()
                    .map(|(f, w, p)| (f, w, f64::from(mean_p[p]), p))
                    .filter(|&(_, _, mean, _)| mean != 0.0)
                    .collect();
            prop_assert_eq!(ours.n_good_s[s] as usize, pixels.len());
            if pixels.is_empty() {
                prop_assert_eq!((ours.amplitude_s[s], ours.amplitude_snr_s[s]), (0.0, 0.0));
                continue;
            }
            let along: f64 = pixels.iter().map(|(f, w, mean, _)| w * f * mean).sum();
            let size: f64 = pixels.iter().map(|(f, w, mean, _)| w * f.abs() * mean).sum();
            let norm: f64 = pixels.iter().map(|(_, w, mean, _)| w * mean * mean).sum();
            let (amplitude, scale) = (along / norm, size / norm);
            // Summed in f64, rounded once to f32.
            let error = (f64::from(ours.amplitude_s[s]) - amplitude).abs();
            prop_assert!(error <= 7e-8 * scale, "amplitude {} for {amplitude}", ours.amplitude_s[s]);
            let snr = f64::from(ours.amplitude_snr_s[s]);
            prop_assert!((snr - along / norm.sqrt()).abs() <= 7e-8 * size / norm.sqrt(), "S/N {snr}");
            if amplitude <= 0.0 {
                continue;
            }
            for &(f, w, mean, p) in &pixels {
                let (residual, weight) = (ours.residual_sp[s * n + p], ours.weight_sp[s * n + p]);
                // Three roundings of 6e-8, that of the amplitude included, each of a term of this size.
                let bound = 2e-7 * ((f / amplitude).abs() * (scale / amplitude) + mean);
                prop_assert!((f64::from(residual) - (f / amplitude - mean)).abs() <= bound, "pixel {p}");
                let expected = w * amplitude * amplitude;
                let bound = 3e-7 * expected * (scale / amplitude);
                prop_assert!((f64::from(weight) - expected).abs() <= bound, "weight of pixel {p}");
            }
            let n_weights = ours.weight_sp[s * n..(s + 1) * n].iter().filter(|&&w| w > 0.0).count();
            prop_assert_eq!(n_weights, pixels.len());
        }
        Ok(())
    });
}

pub(crate) fn a_multiple_of_the_mean_leaves_nothing<B: Backend>(dev: &B) {
    let mean_p = random_mean(1, 257);
    let mut spectra = Spectra::random(2, 3, 257);
    for (flux, mean) in spectra.flux_sp.iter_mut().zip(mean_p.iter().cycle()) {
        *flux = 8.0 * mean;
    }
    let ours = normalize(dev, &spectra, &mean_p);
    assert_eq!(ours.amplitude_s, [8.0; 3]);
    assert!(ours.residual_sp.iter().all(|&x| x == 0.0));
}

pub(crate) fn scaling_flux_scales_the_amplitude_alone<B: Backend>(dev: &B) {
    let mean_p = random_mean(3, 600);
    let spectra = bright(4, 5, &mean_p);
    let mut scaled = spectra.clone();
    scaled.flux_sp.iter_mut().for_each(|f| *f *= 16.0);
    scaled.ivar_sp.iter_mut().for_each(|w| *w /= 256.0);
    let (once, ours) = (normalize(dev, &spectra, &mean_p), normalize(dev, &scaled, &mean_p));
    let expected: Vec<f32> = once.amplitude_s.iter().map(|a| 16.0 * a).collect();
    // Powers of two change exponents alone.
    assert_eq!(to_bits(&ours.amplitude_s), to_bits(&expected));
    assert_eq!(to_bits(&ours.residual_sp), to_bits(&once.residual_sp));
    assert_eq!(to_bits(&ours.weight_sp), to_bits(&once.weight_sp));
    assert_eq!(to_bits(&ours.amplitude_snr_s), to_bits(&once.amplitude_snr_s));
}

pub(crate) fn missing_pixel_changes_nothing<B: Backend>(dev: &B) {
    let mean_p = random_mean(5, 257);
    let spectra = bright(6, 4, &mean_p);
    let mut dirty = spectra.clone();
    let garbage = [f32::NAN, f32::NEG_INFINITY, 3e38, 0.0, -7.0];
    for i in 0..dirty.flux_sp.len() {
        let (flux, ivar) = (spectra.flux_sp[i], spectra.ivar_sp[i]);
        if !(flux.is_finite() && ivar.is_finite() && ivar > 0.0) {
            (dirty.flux_sp[i], dirty.ivar_sp[i]) = (garbage[i % 5], 0.0);
        }
    }
    assert_eq!(normalize(dev, &dirty, &mean_p).bits(), normalize(dev, &spectra, &mean_p).bits());
}

pub(crate) fn spectra_without_a_positive_amplitude_have_no_weight<B: Backend>(dev: &B) {
    let n = 40;
    let mut spectra = Spectra::random(7, 4, n);
    spectra.flux_sp.fill(-3.0);
    spectra.ivar_sp.fill(1.0);
    spectra.ivar_sp[n..2 * n].fill(0.0);
    spectra.flux_sp[2 * n..3 * n].fill(0.0);
    spectra.flux_sp[3 * n..].fill(3.0);
    let ours = normalize(dev, &spectra, &[1.0; 40]);
    assert_eq!(ours.amplitude_s, [-3.0, 0.0, 0.0, 3.0]);
    assert_eq!(ours.n_good_s, [40, 0, 40, 40]);
    assert!(ours.weight_sp[..3 * n].iter().chain(&ours.residual_sp).all(|&x| x == 0.0));
    assert_eq!(ours.weight_sp[3 * n..], [9.0; 40]);
    let nothing = normalize(dev, &spectra, &[0.0; 40]);
    assert_eq!((nothing.amplitude_s, nothing.n_good_s), (vec![0.0; 4], vec![0; 4]));
}

pub(crate) fn one_batch_equals_many<B: Backend>(dev: &B) {
    let mean_p = random_mean(8, 129);
    let spectra = bright(9, 33, &mean_p);
    let together = normalize(dev, &spectra, &mean_p);
    for s in [0, 16, 32] {
        assert_eq!(normalize(dev, &spectra.rows(&[s]), &mean_p).bits(), together.rows(&[s]).bits());
    }
    assert!(normalize(dev, &spectra.rows(&[]), &mean_p).bits().is_empty());
}

pub(crate) fn any_bits_give_finite_output<B: Backend>(dev: &B) {
    check(100, any::<u64>(), |seed| {
        let ours = normalize(dev, &Spectra::any_bits(seed, 3, 257), &random_mean(seed, 257));
        let floats = [&ours.amplitude_s, &ours.amplitude_snr_s, &ours.residual_sp, &ours.weight_sp];
        prop_assert!(floats.into_iter().all(|values| values.iter().all(|v| v.is_finite())));
        prop_assert!(ours.weight_sp.iter().all(|&w| w >= 0.0));
        Ok(())
    });
}

pub(crate) fn wrong_parameters_are_refused<B: Backend>(dev: &B) {
    let batch = Spectra::random(10, 2, 33).upload(dev);
    let refused = |mean_p: &[f32]| {
        let mean = dev.upload(mean_p).expect("the device has room");
        dev.normalize(&batch, &mean).err().expect("refused")
    };
    assert!(matches!(refused(&[1.0; 32]), KernelError::Shape { .. }));
    let mut mean_p = [1.0; 33];
    mean_p[5] = f32::INFINITY;
    assert!(refused(&mean_p).to_string().contains("pixel 5"));
}
