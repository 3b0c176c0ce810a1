//! Properties of `median_snr_arms`.

use proptest::prelude::*;
use specmill_kernels::ops::median_snr::SnrRanges;
use specmill_kernels::{ArmBatch, Backend, Grid, KernelError};

use crate::cases::{AWKWARD, ArmCase, Draw, check, to_bits};
use crate::reference;

fn median_snr<B: Backend>(dev: &B, case: &ArmCase, ranges: &SnrRanges) -> Vec<f32> {
    let snr_sa = dev.median_snr_arms(&case.upload(dev), &case.grid, ranges).expect("the case is valid");
    dev.download(&snr_sa).expect("the copy succeeds")
}

fn reference_of(case: &ArmCase, ranges: &SnrRanges, s: usize, a: usize) -> f64 {
    let arm = &case.arms[a];
    let wave_aa: Vec<f64> = case.grid.wave_aa().skip(arm.first_pixel).take(arm.n_pixels).collect();
    let pixels = s * arm.n_pixels..(s + 1) * arm.n_pixels;
    let (flux_p, ivar_p) = (&arm.flux_sp[pixels.clone()], &arm.ivar_sp[pixels]);
    reference::median_snr::median_snr(&wave_aa, flux_p, ivar_p, ranges.range_aa[a])
}

/// Ranges that cut a small case somewhere inside.
fn small_ranges(from: f64, to: f64) -> SnrRanges {
    SnrRanges { range_aa: [(0.0, 3600.0 + to), (3600.0 + from, 9000.0), (3600.0 + from, 3600.0 + from + to)] }
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let both = |case: &ArmCase, ranges: &SnrRanges| {
        let (ours, theirs) = (median_snr(dev, case, ranges), median_snr(&cpu, case, ranges));
        assert_eq!(to_bits(&ours), to_bits(&theirs), "{} spectra", case.n_spectra());
    };
    let all = SnrRanges { range_aa: [(0.0, 1e5); 3] };
    for n in AWKWARD {
        both(&ArmCase::random(1, n), &small_ranges(5.0, 60.0));
        let mut draw = Draw::new(2);
        let (flux, ivar): (Vec<_>, Vec<_>) = (0..n).map(|_| draw.pixel()).unzip();
        both(&one_arm(flux, ivar.clone()), &all);
        // Any bits; then few levels, so that there are ties of every number, at either side of the middle.
        both(&one_arm((0..n).map(|_| f32::from_bits(draw.word())).collect(), ivar.clone()), &all);
        for levels in [1, 2, 3] {
            let flux = (0..n).map(|_| [0.0, -0.0, -1.5][draw.below(levels)]).collect();
            both(&one_arm(flux, ivar.clone()), &all);
        }
        // Neighbours in the last bits of the key, of an odd and an even number.
        for n in [n, n + 1] {
            let flux = (0..n).map(|_| f32::from_bits(0x3f80_0000 + draw.word() % 8)).collect();
            both(&one_arm(flux, vec![1.0; n]), &all);
        }
    }
    both(&ArmCase::desi(3, 2), &SnrRanges::default());
    // More pixels than a kernel keeps at hand.
    let mut draw = Draw::new(4);
    let (flux, ivar): (Vec<_>, Vec<_>) = (0..4001).map(|_| draw.pixel()).unzip();
    both(&one_arm(flux, ivar), &all);
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    check(200, (any::<u64>(), 0..4_usize, 0.0..200.0, 0.0..200.0), |(seed, n_spectra, from, to)| {
        let (case, ranges) = (ArmCase::random(seed, n_spectra), small_ranges(from, to));
        let snr_sa = median_snr(dev, &case, &ranges);
        prop_assert_eq!(snr_sa.len(), 3 * n_spectra);
        for (i, snr) in snr_sa.iter().enumerate() {
            let truth = reference_of(&case, &ranges, i / 3, i % 3);
            // One rounding to f32.
            prop_assert!((f64::from(*snr) - truth).abs() <= 6e-8 * truth.abs(), "{snr} for {truth}");
        }
        Ok(())
    });
    let case = ArmCase::desi(1, 3);
    let snr_sa = median_snr(dev, &case, &SnrRanges::default());
    for (i, snr) in snr_sa.iter().enumerate() {
        let truth = reference_of(&case, &SnrRanges::default(), i / 3, i % 3);
        assert!((f64::from(*snr) - truth).abs() <= 6e-8 * truth.abs(), "{snr} for {truth}");
    }
}

fn one_arm(flux_sp: Vec<f32>, ivar_sp: Vec<f32>) -> ArmCase {
    let n_pixels = flux_sp.len();
    let arm = ArmBatch { first_pixel: 0, n_pixels, mask_sp: vec![0; n_pixels], flux_sp, ivar_sp };
    ArmCase {
        grid: Grid { n_pixels, ..Grid::DESI },
        arms: [arm, ArmBatch::default(), ArmBatch::default()],
        fiberstatus_s: vec![0],
    }
}

pub(crate) fn zeros_count_and_the_middle_two_are_averaged<B: Backend>(dev: &B) {
    let all = SnrRanges { range_aa: [(0.0, 1e5); 3] };
    let per_pixel = 0.8_f64.sqrt();
    let cases = [
        (vec![4.0, 9.0, 1.0], vec![1.0, 1.0, 1.0], 4.0),
        // Ivar 0, negative, and a flux that is no number: three zeros, so the median is 0.
        (vec![4.0, 9.0, 1.0, 5.0, f32::NAN], vec![1.0, 1.0, 0.0, -1.0, 1.0], 0.0),
        (vec![4.0, 9.0, 1.0, 5.0], vec![1.0, 1.0, 1.0, 1.0], 4.5),
        (vec![-4.0, 9.0], vec![0.0, 4.0], 9.0),
        (vec![-4.0], vec![0.0], 0.0),
    ];
    for (flux, ivar, expected) in cases {
        let snr = median_snr(dev, &one_arm(flux.clone(), ivar), &all)[0];
        // sqrt(0.8) and the result round to f64 and f32.
        assert!((f64::from(snr) * per_pixel - expected).abs() <= 6e-8 * expected, "{flux:?} gives {snr}");
    }
    let negative_zero = median_snr(dev, &one_arm(vec![-0.0], vec![1.0]), &all);
    assert_eq!(to_bits(&negative_zero[..1]), [0]);
}

pub(crate) fn mask_plays_no_part<B: Backend>(dev: &B) {
    let case = ArmCase::desi(4, 2);
    let mut other = case.clone().map(|_, flux, ivar, mask| (flux, ivar, !mask));
    other.fiberstatus_s.fill(-1);
    let ranges = SnrRanges::default();
    assert_eq!(to_bits(&median_snr(dev, &case, &ranges)), to_bits(&median_snr(dev, &other, &ranges)));
}

pub(crate) fn absent_arm_gives_zero<B: Backend>(dev: &B) {
    let mut case = ArmCase::desi(4, 2);
    let whole = median_snr(dev, &case, &SnrRanges::default());
    case.arms[1] = ArmBatch::default();
    let without = median_snr(dev, &case, &SnrRanges::default());
    assert_eq!(vec![whole[0], 0.0, whole[2], whole[3], 0.0, whole[5]], without);
    let layout_a = case.arms.clone().map(|arm| (arm.first_pixel, arm.n_pixels));
    let n_a = [0, 1, 2].map(|a| SnrRanges::default().pixels(&case.grid, a, &layout_a).len());
    assert_eq!(n_a, [2250, 0, 2750]);
}

pub(crate) fn permuting_pixels_changes_nothing<B: Backend>(dev: &B) {
    let mut draw = Draw::new(8);
    for n in [1, 2, 31, 32, 33, 257] {
        let (flux, ivar): (Vec<_>, Vec<_>) = (0..n).map(|_| draw.pixel()).unzip();
        let reversed = one_arm(flux.iter().rev().copied().collect(), ivar.iter().rev().copied().collect());
        let all = SnrRanges { range_aa: [(0.0, 1e5); 3] };
        let forward = median_snr(dev, &one_arm(flux, ivar), &all);
        assert_eq!(to_bits(&forward), to_bits(&median_snr(dev, &reversed, &all)));
    }
}

pub(crate) fn any_bits_give_no_nan<B: Backend>(dev: &B) {
    check(50, any::<u64>(), |seed| {
        let mut draw = Draw::new(seed);
        let wild = ArmCase::random(seed, 2)
            .map(|_, _, _, mask| (f32::from_bits(draw.word()), f32::from_bits(draw.word()), mask));
        let snr_sa = median_snr(dev, &wild, &small_ranges(5.0, 100.0));
        prop_assert!(snr_sa.iter().all(|snr| !snr.is_nan()));
        Ok(())
    });
}

pub(crate) fn wrong_lengths_are_refused<B: Backend>(dev: &B) {
    let case = ArmCase::desi(4, 2);
    let mut arms = case.upload(dev);
    arms.ivar_asp[1] = dev.upload(&[]).expect("the device has room");
    let refused = dev.median_snr_arms(&arms, &case.grid, &SnrRanges::default()).map(|_| ());
    assert!(matches!(refused, Err(KernelError::Shape { array: "ivar_asp", .. })));
}
