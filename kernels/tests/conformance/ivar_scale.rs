//! Properties of `ivar_scale`.

use specmill_kernels::ops::ivar_scale::ArmRanges;
use specmill_kernels::{Backend, Grid, flag};

use crate::cases::{Draw, narrow};
use crate::reference;
use crate::spectra::{Host, ToHost, close, normal, waves};

fn arms() -> ArmRanges {
    ArmRanges { pixels_a: vec![0..2700, 2752..4900, 5027..7781] }
}

/// Noise whose variance is `understated_a` times what ivar says, arm by arm.
fn noisy(understated_a: [f64; 3], seed: u64) -> Host {
    let mut draw = Draw::new(seed);
    let mut host = Host { grid: Grid::DESI, flux_sp: Vec::new(), ivar_sp: Vec::new() };
    for (p, wave) in waves(&Grid::DESI).enumerate() {
        let arm = arms().pixels_a.iter().position(|pixels| p < pixels.end).expect("the case is valid");
        let sigma = 0.3 + 0.1 * (wave * 0.01).cos();
        let flux = 2.0 + wave * 1e-4 + sigma * understated_a[arm].sqrt() * normal(&mut draw);
        host.flux_sp.push(narrow(flux));
        host.ivar_sp.push(narrow(1.0 / (sigma * sigma)));
    }
    host
}

pub(crate) fn a_known_misstatement_is_found<B: Backend>(dev: &B) {
    for seed in 0..5 {
        let understated_a = [1.0, 1.21, 0.64];
        let host = noisy(understated_a, 100 + seed);
        let (observed, rows) = (host.upload(dev), [(0, 0.2)]);
        let continuum = dev.running_median(&observed, &host.grid, &rows, 100.0).expect("the case is valid");
        let measured =
            dev.ivar_scale(&observed, &rows, &continuum, &arms()).expect("the case is valid").to_host(dev);
        for (a, understated) in understated_a.into_iter().enumerate() {
            assert_eq!(measured.n_pixels_sa[a], [2700, 2148, 2754][a]);
            // 2 · 1.167/√n ≤ 5 % is one sigma; four.
            let (got, n) = (f64::from(measured.scale_sa[a]), f64::from(measured.n_pixels_sa[a]));
            assert!(close(got, 1.0 / understated, 4.0 * 2.334 / n.sqrt()), "seed {seed} arm {a}: {got}");
        }
    }
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let host = Host::seeded(Grid::DESI, 2, 9);
    let (observed, rows) = (host.upload(dev), [(1, 0.1), (0, 0.3)]);
    let continuum = dev.running_median(&observed, &host.grid, &rows, 100.0).expect("the case is valid");
    let measured =
        dev.ivar_scale(&observed, &rows, &continuum, &arms()).expect("the case is valid").to_host(dev);
    for (i, &(s, z)) in rows.iter().enumerate() {
        let (flux_p, ivar_p) = host.wide(s);
        let half = [68, 81][i];
        assert!((100.0 * (1.0 + z) / 1.6 - f64::from(half)).abs() < 1.0);
        let median_p = reference::continuum::running_median(
            &flux_p,
            &ivar_p,
            usize::try_from(half).expect("the case is valid"),
        );
        for (a, pixels) in arms().pixels_a.into_iter().enumerate() {
            let good = pixels.filter(|&p| ivar_p[p] > 0.0 && median_p[p].is_some());
            let mut pulls: Vec<f64> = good
                .map(|p| (flux_p[p] - median_p[p].expect("the case is valid")) * ivar_p[p].sqrt())
                .collect();
            let middle = reference::bands::median(&mut pulls);
            let mut away: Vec<f64> = pulls.iter().map(|pull| (pull - middle).abs()).collect();
            let expected = (1.482_602_218_505_602 * reference::bands::median(&mut away)).powi(-2);
            // The continuum is stored in f32: 6e-8 of a flux that is up to 100 sigma.
            assert!(close(f64::from(measured.scale_sa[3 * i + a]), expected, 1e-4), "{i} {a}");
        }
    }
}

pub(crate) fn too_little_to_judge_is_said<B: Backend>(dev: &B) {
    let mut host = noisy([1.0; 3], 4);
    host.ivar_sp[..2000].fill(0.0);
    host.flux_sp[5000..].fill(1.0);
    let (observed, rows) = (host.upload(dev), [(0, 0.2)]);
    let continuum = dev.running_median(&observed, &host.grid, &rows, 100.0).expect("the case is valid");
    let measured =
        dev.ivar_scale(&observed, &rows, &continuum, &arms()).expect("the case is valid").to_host(dev);
    assert_eq!(measured.flag_sa, [flag::COVERAGE, 0, flag::DEGENERATE]);
    assert_eq!([measured.scale_sa[0], measured.scale_sa[2]].map(f32::to_bits), [0, 0]);
}
