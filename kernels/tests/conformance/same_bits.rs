//! The CPU gives the same bits on every instruction set and any number of threads.

use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::ops::median_snr::SnrRanges;
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_kernels::{Backend, Cpu, Simd, SpectraBatch};

use crate::cases::{ArmCase, Spectra, to_bits};

/// Everything that the operations give for a few DESI-like spectra, as bits.
fn everything(dev: &Cpu) -> Vec<u32> {
    let case = ArmCase::desi(17, 9);
    let arms = case.upload(dev);
    let rest = RestGrid::log10(2400.0, 9800.0, RestGrid::DLOG10).expect("the limits are in order");
    let rows: Vec<(usize, f64)> = (0_u8..9).map(|s| (usize::from(s), 0.21 * f64::from(s))).collect();
    let ebv_s = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6];
    let mut bits = Vec::new();
    for rule in [MaskRule::Dr1, MaskRule::Masked, MaskRule::V070] {
        let mut spectra = dev.combine_arms(&arms, &case.grid, rule).expect("the case is valid");
        let mut keep = |spectra: &SpectraBatch<Cpu>| {
            let spectra = Spectra::download(dev, spectra);
            let (flux, ivar, mask) = spectra.bits();
            bits.extend(flux.into_iter().chain(ivar).chain(mask));
        };
        keep(&spectra);
        let curve = ExtinctionCurve::fitzpatrick99(&case.grid);
        dev.correct_extinction(&mut spectra, &curve, &ebv_s).expect("the case is valid");
        keep(&spectra);
        keep(&dev.to_rest_frame(&spectra, &case.grid, &rows, &rest).expect("the case is valid"));
    }
    let snr_sa = dev.median_snr_arms(&arms, &case.grid, &SnrRanges::default()).expect("the case is valid");
    bits.extend(to_bits(&snr_sa));
    bits.extend(crate::measured::bits(dev));
    bits.extend(crate::project::bits(dev));
    bits.extend(crate::empca::bits(dev));
    bits.extend(crate::nearest_neighbors::bits(dev));
    bits
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let sets = Simd::available();
    let expected = everything(&Cpu::with_simd(1, sets[0]).expect("a thread starts"));
    for set in &sets[1..] {
        let ours = everything(&Cpu::with_simd(1, *set).expect("a thread starts"));
        assert!(ours == expected, "{set} differs from {}", sets[0]);
    }
}

#[test]
fn every_number_of_threads_gives_the_same_bits() {
    let expected = everything(&Cpu::new(1).expect("a thread starts"));
    for threads in [2, 8] {
        let ours = everything(&Cpu::new(threads).expect("threads start"));
        assert!(ours == expected, "{threads} threads differ from one");
    }
}

#[test]
fn info_names_what_runs() {
    let info = Cpu::new(3).expect("threads start").info();
    assert_eq!((info.device.as_str(), info.threads), ("cpu", 3));
    assert_eq!(info.name, Simd::detect().to_string());
}
