//! Properties of `to_rest_frame`.

use proptest::prelude::*;
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_kernels::{Backend, Grid, KernelError};

use crate::cases::{AWKWARD, Draw, Spectra, check, to_bits};
use crate::reference;

fn grid(n_pixels: usize) -> Grid {
    Grid { n_pixels, ..Grid::DESI }
}

fn rest_grid(min_aa: f64, max_aa: f64, dlog10: f64) -> RestGrid {
    RestGrid::log10(min_aa, max_aa, dlog10).expect("the limits are in order")
}

/// Around all that a spectrum of few pixels covers at redshift z.
fn around(n_pixels: usize, z: f64) -> RestGrid {
    let red_aa = 3600.0 + 0.8 * n_pixels as f64;
    rest_grid(3560.0 / (1.0 + z), (red_aa + 40.0) / (1.0 + z), RestGrid::DLOG10)
}

fn resample<B: Backend>(dev: &B, spectra: &Spectra, rows: &[(usize, f64)], rest: &RestGrid) -> Spectra {
    let observed = spectra.upload(dev);
    let moved = dev.to_rest_frame(&observed, &grid(spectra.n_pixels), rows, rest).expect("the case is valid");
    let moved = Spectra::download(dev, &moved);
    assert!(moved.mask_sp.is_empty());
    moved
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let both = |spectra: &Spectra, rows: &[(usize, f64)], rest: &RestGrid| {
        let (ours, theirs) = (resample(dev, spectra, rows, rest), resample(&cpu, spectra, rows, rest));
        let n = (rows.len(), spectra.n_pixels, rest.n_bins());
        assert!(ours.bits() == theirs.bits(), "(rows, pixels, bins) = {n:?}");
    };
    let mut draw = Draw::new(7);
    // Bins of the project's width, of a tenth of a pixel, of many pixels, and fewer than a warp has lanes.
    let grids =
        [(3550.0, 3900.0, 1e-4), (3595.0, 3610.0, 1e-5), (3000.0, 4000.0, 3e-3), (3599.0, 3603.0, 1e-4)];
    for n in AWKWARD {
        let rows: Vec<(usize, f64)> = (0..n).map(|_| (draw.below(5), draw.unit() * 0.1 - 0.02)).collect();
        both(&Spectra::random(1, 5, 33), &rows, &rest_grid(3550.0, 3650.0, 1e-4));
        for (min_aa, max_aa, dlog10) in grids {
            let rest = rest_grid(min_aa, max_aa, dlog10);
            both(&Spectra::random(2, 2, n), &[(1, 0.0), (0, 0.013), (1, -0.001)], &rest);
            both(&Spectra::any_bits(3, 2, n), &[(0, 0.0), (1, 0.002)], &rest);
        }
    }
    let spectra = Spectra::random(4, 3, 7781);
    both(&spectra, &[(2, 0.337), (0, 1.1), (0, 0.0)], &rest_grid(2400.0, 9800.0, RestGrid::DLOG10));
    both(&spectra, &[(1, 2.53), (1, 0.002)], &rest_grid(912.0, 7000.0, RestGrid::DLOG10));
}

/// The flux tolerance's scale: the largest |flux| among the pixels near a bin.
fn local_flux(spectra: &Spectra, s: usize, rest: &RestGrid, b: usize, z: f64) -> f64 {
    let pixel = |edge_aa: f64| (edge_aa * (1.0 + z) - 3600.0) / 0.8;
    let near = pixel(rest.edge_aa()[b]) - 2.0..=pixel(rest.edge_aa()[b + 1]) + 2.0;
    (0..spectra.n_pixels)
        .filter(|&p| near.contains(&(p as f64)))
        .map(|p| f64::from(spectra.flux_sp[s * spectra.n_pixels + p]).abs())
        .filter(|f| f.is_finite())
        .fold(0.0, f64::max)
}

fn judge<B: Backend>(
    dev: &B,
    spectra: &Spectra,
    (s, z): (usize, f64),
    rest: &RestGrid,
) -> Result<(), TestCaseError> {
    let ours = resample(dev, spectra, &[(s, z)], rest);
    let wave_aa: Vec<f64> = grid(spectra.n_pixels).wave_aa().collect();
    let pixels = s * spectra.n_pixels..(s + 1) * spectra.n_pixels;
    let (flux_b, ivar_b) = reference::rest_frame::resample(
        rest.wave_aa(),
        &wave_aa,
        &spectra.flux_sp[pixels.clone()],
        &spectra.ivar_sp[pixels],
        z,
    );
    let most = ivar_b.iter().copied().fold(0.0, f64::max);
    for b in 0..rest.n_bins() {
        // 1e-5 of the maximum, 2e-5 of the flux nearby: the agreed precision of f32 bin sums; bins of
        // less than a millionth of the largest ivar are left out, as their edges decide everything.
        let ivar_error = (f64::from(ours.ivar_sp[b]) - ivar_b[b]).abs();
        prop_assert!(ivar_error <= 1e-5 * most, "ivar of bin {b}, z = {z}: off by {ivar_error} of {most}");
        // All terms are positive, so a dozen roundings of 6e-8 bound the error of the bin itself; the
        // absolute part is the reference's own rounding of edges near 1e4 Å.
        let own_error = 8e-7 * ivar_b[b] + 1e-9 * most;
        prop_assert!(
            ivar_error <= own_error,
            "ivar of bin {b}, z = {z}: off by {ivar_error} of {}",
            ivar_b[b]
        );
        if ivar_b[b] > 1e-6 * most {
            let flux_error = (f64::from(ours.flux_sp[b]) - flux_b[b]).abs();
            let scale = local_flux(spectra, s, rest, b, z) * (1.0 + z);
            prop_assert!(
                flux_error <= 2e-5 * scale,
                "flux of bin {b}, z = {z}: off by {flux_error} of {scale}"
            );
        }
    }
    Ok(())
}

/// At least two pixels: with one, numpy's gradient does not exist.
fn any_case() -> impl Strategy<Value = (Spectra, f64)> {
    (any::<u64>(), prop::sample::select(&AWKWARD[2..]), -0.01..5.0)
        .prop_map(|(seed, n_pixels, z)| (Spectra::random(seed, 1, n_pixels), z))
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    check(200, any_case(), |(spectra, z)| judge(dev, &spectra, (0, z), &around(spectra.n_pixels, z)));
    let spectra = Spectra::random(1, 3, 7781);
    let galaxy = rest_grid(2400.0, 9800.0, RestGrid::DLOG10);
    let qso = rest_grid(912.0, 7000.0, RestGrid::DLOG10);
    for (row, rest) in [((0, 0.0), &galaxy), ((1, 0.337), &galaxy), ((2, 1.1), &galaxy), ((1, 2.53), &qso)] {
        judge(dev, &spectra, row, rest).expect("DESI's own grid agrees too");
    }
}

pub(crate) fn fine_bins_agree_with_the_reference<B: Backend>(dev: &B) {
    // Bins of a tenth of a pixel: most lie inside one cell.
    let spectra = Spectra::random(4, 1, 64);
    for z in [0.0, 0.2, 1.7] {
        let rest = rest_grid(3590.0 / (1.0 + z), 3660.0 / (1.0 + z), 1e-5);
        judge(dev, &spectra, (0, z), &rest).expect("fine bins agree");
    }
    // And bins of many pixels.
    let rest = rest_grid(3500.0, 3700.0, 3e-3);
    judge(dev, &spectra, (0, 0.001), &rest).expect("coarse bins agree");
}

pub(crate) fn masked_pixel_changes_nothing<B: Backend>(dev: &B) {
    check(100, any_case(), |(spectra, z)| {
        let rest = around(spectra.n_pixels, z);
        let mut dirty = spectra.clone();
        let garbage = [f32::NAN, f32::INFINITY, -3e38, 0.0];
        for i in 0..spectra.n_pixels {
            let (flux, ivar) = (spectra.flux_sp[i], spectra.ivar_sp[i]);
            if !(flux.is_finite() && ivar.is_finite() && ivar > 0.0) {
                (dirty.flux_sp[i], dirty.ivar_sp[i]) = (garbage[i % 4], 0.0);
            }
        }
        let (clean, dirty) =
            (resample(dev, &spectra, &[(0, z)], &rest), resample(dev, &dirty, &[(0, z)], &rest));
        prop_assert_eq!(clean.bits(), dirty.bits());
        Ok(())
    });
}

pub(crate) fn constant_flux_stays_constant<B: Backend>(dev: &B) {
    check(50, any_case(), |(mut spectra, z)| {
        spectra.flux_sp.fill(3.0);
        let ours = resample(dev, &spectra, &[(0, z)], &around(spectra.n_pixels, z));
        for (flux, ivar) in ours.flux_sp.iter().zip(&ours.ivar_sp) {
            // Two sums of up to five terms, a quotient and a product: 12 roundings of 6e-8.
            let ratio = f64::from(*flux) / (3.0 * (1.0 + z));
            prop_assert!(*ivar == 0.0 || (ratio - 1.0).abs() < 7e-7, "{ratio}");
        }
        Ok(())
    });
}

pub(crate) fn information_is_conserved<B: Backend>(dev: &B) {
    let one_pixel = (any::<u64>(), -0.01..5.0).prop_map(|(seed, z)| (Spectra::random(seed, 1, 1), z));
    check(150, prop_oneof![any_case(), one_pixel], |(spectra, z)| {
        let ours = resample(dev, &spectra, &[(0, z)], &around(spectra.n_pixels, z));
        let good = |(f, w): (&f32, &f32)| f.is_finite() && w.is_finite() && *w > 0.0;
        let pixels = spectra.flux_sp.iter().zip(&spectra.ivar_sp).filter(|&pixel| good(pixel));
        let before: f64 = pixels.map(|(_, w)| f64::from(*w)).sum();
        let after: f64 = ours.ivar_sp.iter().map(|w| f64::from(*w)).sum::<f64>() * (1.0 + z).powi(2);
        // Every bin's sum rounds by a few 6e-8 of itself.
        prop_assert!((after - before).abs() <= 5e-7 * before, "{before} becomes {after}");
        Ok(())
    });
}

pub(crate) fn scaling_flux_scales<B: Backend>(dev: &B) {
    check(50, any_case(), |(spectra, z)| {
        let rest = around(spectra.n_pixels, z);
        let mut double = spectra.clone();
        double.flux_sp.iter_mut().for_each(|f| *f *= 2.0);
        let (once, twice) =
            (resample(dev, &spectra, &[(0, z)], &rest), resample(dev, &double, &[(0, z)], &rest));
        let expected: Vec<f32> = once.flux_sp.iter().map(|f| 2.0 * f).collect();
        prop_assert_eq!(to_bits(&expected), to_bits(&twice.flux_sp));
        prop_assert_eq!(to_bits(&once.ivar_sp), to_bits(&twice.ivar_sp));
        Ok(())
    });
}

pub(crate) fn rows_are_independent<B: Backend>(dev: &B) {
    let spectra = Spectra::random(6, 5, 257);
    let rest = rest_grid(1800.0, 3900.0, RestGrid::DLOG10);
    let rows = [(3, 0.1), (0, 0.0), (3, 0.5), (4, -0.001), (1, 0.9)];
    let together = resample(dev, &spectra, &rows, &rest);
    for (t, &(s, z)) in rows.iter().enumerate() {
        let alone = resample(dev, &spectra.rows(&[s]), &[(0, z)], &rest);
        assert_eq!(together.rows(&[t]).bits(), alone.bits());
    }
    assert_eq!(resample(dev, &spectra, &[], &rest).flux_sp, Vec::<f32>::new());
}

pub(crate) fn bins_outside_the_data_are_missing<B: Backend>(dev: &B) {
    let mut spectra = Spectra::random(6, 1, 33);
    spectra.flux_sp.fill(1.0);
    spectra.ivar_sp.fill(1.0);
    let rest = rest_grid(1000.0, 9000.0, RestGrid::DLOG10);
    let ours = resample(dev, &spectra, &[(0, 0.0)], &rest);
    for b in 0..rest.n_bins() {
        // The zero nodes stand one pixel beyond the centres of the end pixels.
        let touches = rest.edge_aa()[b + 1] > 3599.2 && rest.edge_aa()[b] < 3600.0 + 33.0 * 0.8;
        assert_eq!(ours.ivar_sp[b] > 0.0, touches, "bin {b} at {} Å", rest.wave_aa()[b]);
        assert_eq!(ours.flux_sp[b] > 0.0, touches);
    }
    let empty = resample(dev, &Spectra::random(6, 2, 0), &[(1, 0.0)], &rest);
    assert!(empty.ivar_sp.iter().all(|&w| w == 0.0));
}

pub(crate) fn any_bits_give_finite_output<B: Backend>(dev: &B) {
    check(100, (any::<u64>(), -0.9..9.0), |(seed, z)| {
        let spectra = Spectra::any_bits(seed, 1, 257);
        let ours = resample(dev, &spectra, &[(0, z)], &around(257, z));
        prop_assert!(ours.is_finite());
        Ok(())
    });
}

pub(crate) fn wrong_parameters_are_refused<B: Backend>(dev: &B) {
    let observed = Spectra::random(6, 2, 33).upload(dev);
    let rest = rest_grid(1000.0, 9000.0, RestGrid::DLOG10);
    let refused = |grid: Grid, row| dev.to_rest_frame(&observed, &grid, &[row], &rest).map(|_| ());
    assert!(matches!(refused(grid(34), (0, 0.0)), Err(KernelError::Shape { .. })));
    assert!(matches!(refused(grid(33), (2, 0.0)), Err(KernelError::Domain { .. })));
    for z in [-1.0, -1.5, f64::NAN, f64::INFINITY] {
        assert!(matches!(refused(grid(33), (0, z)), Err(KernelError::Domain { .. })));
    }
}
