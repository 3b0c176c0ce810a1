//! Properties of `correct_extinction`.

use proptest::prelude::*;
use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::{Backend, Grid, KernelError};

use crate::cases::{AWKWARD, Spectra, check, narrow, to_bits};
use crate::reference;

fn correct<B: Backend>(dev: &B, spectra: &Spectra, ebv_s: &[f32]) -> Spectra {
    let curve = ExtinctionCurve::fitzpatrick99(&grid(spectra.n_pixels));
    let mut batch = spectra.upload(dev);
    dev.correct_extinction(&mut batch, &curve, ebv_s).expect("the case is valid");
    Spectra::download(dev, &batch)
}

/// Pixels spread over DESI's range, however few they are.
fn grid(n_pixels: usize) -> Grid {
    Grid { first_aa: 3600.0, step_aa: 6224.0 / n_pixels.max(1) as f64, n_pixels }
}

fn any_case() -> impl Strategy<Value = (Spectra, Vec<f32>)> {
    (any::<u64>(), prop::collection::vec(0.001..1.0_f32, 0..4), prop::sample::select(&AWKWARD[..]))
        .prop_map(|(seed, ebv_s, n_pixels)| (Spectra::random(seed, ebv_s.len(), n_pixels), ebv_s))
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    // No dust, a little, too much for f32 somewhere or everywhere, and dust that shines.
    let ebv_s = [0.03, 0.0, -0.0, 1.7, -0.02, 18.0, 21.0, -25.0, 1e38, -1e38, 1e-45, 0.4];
    let both = |spectra: &Spectra, ebv_s: &[f32]| {
        let (ours, theirs) = (correct(dev, spectra, ebv_s), correct(&cpu, spectra, ebv_s));
        assert!(ours.bits() == theirs.bits(), "{} of {} pixels", spectra.n_spectra, spectra.n_pixels);
    };
    for n in AWKWARD {
        let of_n: Vec<f32> = ebv_s.iter().copied().cycle().take(n).collect();
        both(&Spectra::random(1, n, 33), &of_n);
        both(&Spectra::any_bits(2, n, 7), &of_n);
        both(&Spectra::random(3, ebv_s.len(), n), &ebv_s);
        both(&Spectra::any_bits(4, ebv_s.len(), n), &ebv_s);
    }
    both(&Spectra::random(5, 3, 7781), &ebv_s[..3]);
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    check(200, any_case(), |(spectra, ebv_s)| {
        let ours = correct(dev, &spectra, &ebv_s);
        let wave_aa: Vec<f64> = grid(spectra.n_pixels).wave_aa().collect();
        for i in 0..spectra.flux_sp.len() {
            let (s, p) = (i / spectra.n_pixels, i % spectra.n_pixels);
            let (flux, ivar) = (spectra.flux_sp[i], spectra.ivar_sp[i]);
            let good = flux.is_finite() && ivar.is_finite() && ivar > 0.0;
            if !good {
                prop_assert_eq!(ours.ivar_sp[i].to_bits(), 0);
                continue;
            }
            let (flux, ivar) = reference::extinction::pixel(wave_aa[p], ebv_s[s], flux, ivar);
            // k and k·E(B−V) round by 6e-8 of an exponent up to 3.7 (E(B−V) = 1 at 3600 Å), exp by 6e-8;
            // ivar takes twice that: 1.2e-6 at worst.
            prop_assert!((f64::from(ours.flux_sp[i]) - flux).abs() <= 6e-7 * flux.abs());
            prop_assert!((f64::from(ours.ivar_sp[i]) - ivar).abs() <= 1.2e-6 * ivar);
        }
        Ok(())
    });
}

pub(crate) fn no_dust_leaves_the_bits<B: Backend>(dev: &B) {
    for n_pixels in AWKWARD {
        let spectra = Spectra::any_bits(5, 3, n_pixels);
        let ours = correct(dev, &spectra, &[0.0, -0.0, 0.0]);
        assert_eq!(ours.bits(), spectra.bits());
    }
}

pub(crate) fn missing_pixel_stays_missing<B: Backend>(dev: &B) {
    let spectra = Spectra {
        n_spectra: 1,
        n_pixels: 4,
        flux_sp: vec![1.0, f32::NAN, f32::INFINITY, 2.0],
        ivar_sp: vec![0.0, 0.0, 1.0, f32::NAN],
        mask_sp: vec![1, 2, 3, 4],
    };
    let ours = correct(dev, &spectra, &[0.2]);
    assert_eq!(ours.ivar_sp, [0.0; 4]);
    assert_eq!(ours.flux_sp[1..], [0.0; 3]);
    assert_eq!(ours.mask_sp, spectra.mask_sp);
}

pub(crate) fn signal_to_noise_is_kept<B: Backend>(dev: &B) {
    check(50, any_case(), |(spectra, ebv_s)| {
        let ours = correct(dev, &spectra, &ebv_s);
        let snr2 = |flux: f32, ivar: f32| f64::from(flux) * f64::from(flux) * f64::from(ivar);
        for i in 0..spectra.flux_sp.len() {
            if ours.ivar_sp[i] > 0.0 {
                let (before, after) =
                    (snr2(spectra.flux_sp[i], spectra.ivar_sp[i]), snr2(ours.flux_sp[i], ours.ivar_sp[i]));
                // The factor e cancels; flux (twice), e·e and the quotient round, 6e-8 each.
                prop_assert!((after / before - 1.0).abs() < 2.5e-7);
            }
        }
        Ok(())
    });
}

pub(crate) fn one_batch_equals_many<B: Backend>(dev: &B) {
    let spectra = Spectra::random(9, 5, 257);
    let ebv_s = [0.01, 0.0, 0.3, 1.7, -0.02];
    let whole = correct(dev, &spectra, &ebv_s);
    for s in 0..5 {
        let alone = correct(dev, &spectra.rows(&[s]), &ebv_s[s..=s]);
        assert_eq!(whole.rows(&[s]).bits(), alone.bits());
    }
}

pub(crate) fn any_bits_give_finite_output<B: Backend>(dev: &B) {
    check(100, (any::<u64>(), -30.0..30.0_f32), |(seed, ebv)| {
        let ours = correct(dev, &Spectra::any_bits(seed, 2, 257), &[ebv, narrow(1e38)]);
        prop_assert!(ebv == 0.0 || ours.is_finite());
        Ok(())
    });
}

pub(crate) fn dust_beyond_f32_is_missing<B: Backend>(dev: &B) {
    let mut spectra = Spectra::random(2, 1, 33);
    spectra.flux_sp.fill(1.0);
    spectra.ivar_sp.fill(1.0);
    let ours = correct(dev, &spectra, &[200.0]);
    assert_eq!(to_bits(&ours.flux_sp), vec![0; 33]);
    assert_eq!(to_bits(&ours.ivar_sp), vec![0; 33]);
}

pub(crate) fn wrong_parameters_are_refused<B: Backend>(dev: &B) {
    let mut batch = Spectra::random(2, 2, 33).upload(dev);
    let curve = ExtinctionCurve::fitzpatrick99(&grid(33));
    let refused = dev.correct_extinction(&mut batch, &curve, &[0.1]);
    assert!(matches!(refused, Err(KernelError::Shape { array: "ebv_s", .. })));
    let refused = dev.correct_extinction(&mut batch, &ExtinctionCurve::fitzpatrick99(&grid(32)), &[0.1, 0.1]);
    assert!(matches!(refused, Err(KernelError::Shape { array: "k_p", .. })));
    let refused = dev.correct_extinction(&mut batch, &curve, &[0.1, f32::NAN]);
    assert!(matches!(refused, Err(KernelError::Domain { .. })));
}
