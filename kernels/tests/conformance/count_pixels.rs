//! Properties of `count_pixels`.

use specmill_kernels::{Backend, KernelError};

use crate::cases::{AWKWARD, Draw, Spectra};

fn counts<B: Backend>(dev: &B, spectra: &Spectra) -> (Vec<u32>, Vec<u32>) {
    let counts = dev.count_pixels(&spectra.upload(dev)).expect("the case is valid");
    let get = |array| dev.download(array).expect("the copy succeeds");
    (get(&counts.n_good_s), get(&counts.n_masked_s))
}

fn case(seed: u64, n_spectra: usize, n_pixels: usize) -> Spectra {
    let mut draw = Draw::new(seed);
    let mut spectra = Spectra::random(seed, n_spectra, n_pixels);
    for mask in &mut spectra.mask_sp {
        *mask = if draw.chance(0.3) { draw.word() } else { 0 };
    }
    spectra
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    for n_spectra in AWKWARD {
        for n_pixels in AWKWARD {
            let spectra = case(1, n_spectra, n_pixels);
            assert_eq!(counts(dev, &spectra), counts(&cpu, &spectra), "{n_spectra} x {n_pixels}");
        }
    }
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    for n_pixels in AWKWARD {
        let spectra = case(2, 3, n_pixels);
        let (good_s, masked_s) = counts(dev, &spectra);
        for s in 0..3 {
            let pixels = s * n_pixels..(s + 1) * n_pixels;
            let good = |i: &usize| spectra.ivar_sp[*i] > 0.0;
            assert_eq!(good_s[s] as usize, pixels.clone().filter(good).count());
            let masked = pixels.filter(good).filter(|i| spectra.mask_sp[*i] != 0).count();
            assert_eq!(masked_s[s] as usize, masked);
        }
    }
}

pub(crate) fn wrong_lengths_are_refused<B: Backend>(dev: &B) {
    let mut spectra = case(3, 2, 5);
    spectra.mask_sp.pop();
    let refused = dev.count_pixels(&spectra.upload(dev));
    assert!(matches!(refused, Err(KernelError::Shape { array: "mask_sp", expected: 10, actual: 9, .. })));
}
