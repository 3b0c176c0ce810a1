//! Properties of `combine_arms`.

use proptest::prelude::*;
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::{ArmBatch, ArmSpectra, Backend, Grid, KernelError};

use crate::cases::{AWKWARD, ArmCase, Draw, Spectra, check, narrow, to_bits};
use crate::reference;

const RULES: [MaskRule; 3] = [MaskRule::Dr1, MaskRule::Masked, MaskRule::V070];

fn combine<B: Backend>(dev: &B, case: &ArmCase, rule: MaskRule) -> Spectra {
    let combined = dev.combine_arms(&case.upload(dev), &case.grid, rule).expect("the case is valid");
    Spectra::download(dev, &combined)
}

fn any_case() -> impl Strategy<Value = ArmCase> {
    (any::<u64>(), 0..4_usize).prop_map(|(seed, n)| ArmCase::random(seed, n))
}

fn judge(case: &ArmCase, rule: MaskRule, ours: &Spectra) -> Result<(), TestCaseError> {
    for s in 0..case.n_spectra() {
        for p in 0..case.grid.n_pixels {
            let i = s * case.grid.n_pixels + p;
            let truth = reference::combine_arms::pixel(&case.arms, case.fiberstatus_s[s], rule, s, p);
            let at = format!("{rule}, row {s}, pixel {p}");
            // Weight sum, ratio, product and sum each round once: 4 half-ulps of 6e-8 at most.
            let flux_error = (f64::from(ours.flux_sp[i]) - truth.flux).abs();
            prop_assert!(flux_error <= 3e-7 * truth.largest_flux, "flux, {at}");
            // A sum of three numbers rounds twice.
            prop_assert!((f64::from(ours.ivar_sp[i]) - truth.ivar).abs() <= 2e-7 * truth.ivar, "ivar, {at}");
            prop_assert_eq!(ours.mask_sp[i], truth.mask, "mask, {}", at);
        }
    }
    Ok(())
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    for n_spectra in AWKWARD {
        for seed in 0..4 {
            let case = ArmCase::random(seed, n_spectra);
            for rule in RULES {
                assert_eq!(combine(dev, &case, rule).bits(), combine(&cpu, &case, rule).bits(), "{rule}");
            }
        }
    }
    let case = ArmCase::desi(3, 2);
    for rule in RULES {
        assert_eq!(combine(dev, &case, rule).bits(), combine(&cpu, &case, rule).bits(), "{rule}");
    }
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    check(200, any_case(), |case| {
        RULES.into_iter().try_for_each(|rule| judge(&case, rule, &combine(dev, &case, rule)))
    });
    let case = ArmCase::desi(1, 3);
    for rule in RULES {
        judge(&case, rule, &combine(dev, &case, rule)).expect("DESI's own layout agrees too");
    }
}

pub(crate) fn one_arm_is_copied_bit_for_bit<B: Backend>(dev: &B) {
    for n in AWKWARD {
        let mut draw = Draw::new(7);
        let arm = ArmBatch {
            first_pixel: 0,
            n_pixels: n,
            flux_sp: (0..n).map(|_| draw.flux()).collect(),
            ivar_sp: (0..n).map(|_| draw.ivar()).collect(),
            mask_sp: vec![0; n],
        };
        let grid = Grid { n_pixels: n, ..Grid::DESI };
        let arms = [arm.clone(), ArmBatch::default(), ArmBatch::default()];
        let case = ArmCase { grid, arms, fiberstatus_s: vec![0] };
        for rule in RULES {
            let ours = combine(dev, &case, rule);
            assert_eq!(to_bits(&ours.flux_sp), to_bits(&arm.flux_sp), "{rule}, {n} pixels");
            assert_eq!(to_bits(&ours.ivar_sp), to_bits(&arm.ivar_sp), "{rule}, {n} pixels");
        }
    }
}

pub(crate) fn masked_pixel_changes_nothing<B: Backend>(dev: &B) {
    check(100, any_case(), |case| {
        // Missing by ivar, whatever the rule; and by mask where the rule never falls back.
        let garbage = [f32::NAN, f32::INFINITY, -7e30, 0.0];
        for rule in [MaskRule::Dr1, MaskRule::Masked] {
            let mut draw = Draw::new(3);
            let dirty = case.clone().map(|_, flux, ivar, mask| {
                let missing = !(flux.is_finite() && ivar.is_finite() && ivar > 0.0);
                match (missing, mask != 0 && rule == MaskRule::Dr1) {
                    (true, _) => (garbage[draw.below(4)], 0.0, mask),
                    (false, true) => (garbage[draw.below(4)], ivar * 3.0, mask),
                    (false, false) => (flux, ivar, mask),
                }
            });
            let (clean, dirty) = (combine(dev, &case, rule), combine(dev, &dirty, rule));
            prop_assert_eq!(clean.bits(), dirty.bits(), "{}", rule);
        }
        Ok(())
    });
}

pub(crate) fn scaling_flux_scales<B: Backend>(dev: &B) {
    check(50, any_case(), |case| {
        let doubled = case.clone().map(|_, flux, ivar, mask| (2.0 * flux, ivar, mask));
        for rule in RULES {
            let (once, twice) = (combine(dev, &case, rule), combine(dev, &doubled, rule));
            let expected: Vec<f32> = once.flux_sp.iter().map(|f| 2.0 * f).collect();
            prop_assert_eq!(to_bits(&expected), to_bits(&twice.flux_sp));
            prop_assert_eq!(to_bits(&once.ivar_sp), to_bits(&twice.ivar_sp));
        }
        Ok(())
    });
}

pub(crate) fn permuting_rows_permutes<B: Backend>(dev: &B) {
    check(50, any::<u64>(), |seed| {
        let case = ArmCase::random(seed, 5);
        let order = [3, 0, 4, 1, 2];
        for rule in RULES {
            let permuted = combine(dev, &case.rows(&order), rule);
            prop_assert_eq!(combine(dev, &case, rule).rows(&order).bits(), permuted.bits());
        }
        Ok(())
    });
}

pub(crate) fn one_batch_equals_many<B: Backend>(dev: &B) {
    check(50, any::<u64>(), |seed| {
        let case = ArmCase::random(seed, 5);
        let whole = combine(dev, &case, MaskRule::default());
        for s in 0..5 {
            let alone = combine(dev, &case.rows(&[s]), MaskRule::default());
            prop_assert_eq!(whole.rows(&[s]).bits(), alone.bits());
        }
        Ok(())
    });
}

pub(crate) fn extreme_weights_keep_the_flux<B: Backend>(dev: &B) {
    // Equal weights from the smallest subnormal to where the sum just fits: the mean stays the mean.
    for ivar in [1e-45, 1e-40, 1e-30, 1.0, 1e30, 1.6e38] {
        for rule in RULES {
            let arm = |flux| ArmBatch {
                first_pixel: 0,
                n_pixels: 1,
                flux_sp: vec![flux],
                ivar_sp: vec![ivar],
                mask_sp: vec![0],
            };
            let arms = [arm(1e30), arm(3e30), ArmBatch::default()];
            let case = ArmCase { grid: Grid { n_pixels: 1, ..Grid::DESI }, arms, fiberstatus_s: vec![0] };
            let ours = combine(dev, &case, rule);
            assert_eq!((ours.flux_sp[0], ours.ivar_sp[0]), (2e30, 2.0 * ivar), "{rule}, ivar {ivar}");
        }
    }
}

pub(crate) fn fatal_fiberstatus_equals_a_dead_arm<B: Backend>(dev: &B) {
    check(100, any_case(), |case| {
        for (a, bit) in [(0, 22), (1, 23), (2, 24)] {
            let mut fatal = case.clone();
            fatal.fiberstatus_s.fill(1 << bit);
            let mut dead = case.clone().map(
                |arm, flux, ivar, mask| {
                    if arm == a { (f32::NAN, 0.0, 0) } else { (flux, ivar, mask) }
                },
            );
            dead.fiberstatus_s.fill(0);
            for rule in [MaskRule::Dr1, MaskRule::Masked] {
                prop_assert_eq!(combine(dev, &fatal, rule).bits(), combine(dev, &dead, rule).bits());
            }
            let mut ignored = case.clone();
            ignored.fiberstatus_s.fill(0);
            let (with, without) =
                (combine(dev, &fatal, MaskRule::V070), combine(dev, &ignored, MaskRule::V070));
            prop_assert_eq!(with.bits(), without.bits());
        }
        Ok(())
    });
}

pub(crate) fn any_bits_give_finite_output<B: Backend>(dev: &B) {
    check(100, any_case(), |case| {
        let mut draw = Draw::new(11);
        let wild = case.map(|_, _, _, mask| (f32::from_bits(draw.word()), f32::from_bits(draw.word()), mask));
        for rule in RULES {
            let ours = combine(dev, &wild, rule);
            prop_assert!(ours.is_finite());
            if rule != MaskRule::V070 {
                prop_assert!(ours.flux_sp.iter().zip(&ours.ivar_sp).all(|(&f, &w)| w > 0.0 || f == 0.0));
            }
        }
        Ok(())
    });
}

pub(crate) fn no_arm_gives_missing_pixels<B: Backend>(dev: &B) {
    let case = ArmCase { grid: Grid::DESI, arms: Default::default(), fiberstatus_s: vec![0, 0] };
    for rule in RULES {
        let ours = combine(dev, &case, rule);
        assert_eq!(ours.flux_sp, vec![0.0; 2 * 7781]);
        assert_eq!(ours.ivar_sp, vec![0.0; 2 * 7781]);
        assert_eq!(ours.mask_sp, vec![0; 2 * 7781]);
    }
}

pub(crate) fn wrong_lengths_are_refused<B: Backend>(dev: &B) {
    let case = ArmCase::desi(1, 2);
    let mut short = case.clone();
    short.arms[1].ivar_sp.pop();
    let upload = ArmSpectra::upload(dev, &short.arms, &short.fiberstatus_s).map(|_| ());
    assert!(matches!(upload, Err(KernelError::Shape { array: "ivar_sp", expected: 4652, actual: 4651, .. })));

    let mut arms = case.upload(dev);
    arms.flux_asp[2] = dev.upload(&[narrow(1.0)]).expect("the device has room");
    let combined = dev.combine_arms(&arms, &case.grid, MaskRule::Dr1).map(|_| ());
    assert!(matches!(combined, Err(KernelError::Shape { array: "flux_asp", .. })));

    let small = Grid { n_pixels: 7780, ..Grid::DESI };
    let combined = dev.combine_arms(&case.upload(dev), &small, MaskRule::Dr1).map(|_| ());
    assert!(matches!(combined, Err(KernelError::Domain { .. })));
}
