//! Properties of `ivar_scale`.

use specmill_kernels::ops::ivar_scale::{ArmRanges, IvarScale};
use specmill_kernels::{Backend, Cpu, Grid, flag};

use crate::cases::{AWKWARD, Draw, narrow, to_bits};
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

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let both = |host: &Host, rows: &[(usize, f64)], arms: &ArmRanges| {
        let (ours, theirs) = (measure(dev, host, rows, arms), measure(&cpu, host, rows, arms));
        assert_eq!(to_bits(&ours.scale_sa), to_bits(&theirs.scale_sa), "{rows:?}");
        assert_eq!((ours.n_pixels_sa, ours.flag_sa), (theirs.n_pixels_sa, theirs.flag_sa), "{rows:?}");
    };
    let mut draw = Draw::new(1);
    let small = Host::seeded(Grid { n_pixels: 70, ..Grid::DESI }, 3, 1);
    for n in AWKWARD {
        let rows: Vec<(usize, f64)> = (0..n).map(|_| (draw.below(3), draw.unit())).collect();
        both(&small, &rows, &ArmRanges { pixels_a: vec![0..70, 3..40, 9..9] });
    }
    both(&small, &[(2, 0.0), (0, 0.5)], &ArmRanges { pixels_a: Vec::new() });
    // Around the fewest pulls, none, and an odd and an even number of them.
    let grid = Grid { n_pixels: 1100, ..Grid::DESI };
    let few = ArmRanges { pixels_a: vec![0..1100, 50..1049, 50..1050, 50..1051, 7..7, 1099..1100] };
    let host = Host::from_flux(grid, |wave| wave * 0.001 + (wave * 1.7).sin());
    both(&host, &[(0, 0.0), (0, 0.3)], &few);
    let mut host = Host::seeded(grid, 2, 2);
    both(&host, &[(1, 0.0), (0, 0.1)], &few);
    // Good pixels where the continuum is not valid.
    for (p, ivar) in host.ivar_sp.iter_mut().enumerate() {
        *ivar = if p % 1100 < 95 && p % 4 > 0 { 0.0 } else { *ivar };
    }
    both(&host, &[(0, 0.0), (1, 0.0)], &few);
    // Ties and signed zeros, then any bits.
    host.flux_sp.iter_mut().for_each(|flux| *flux = [0.0, -0.0, 1.0, -2.0][draw.below(4)]);
    both(&host, &[(0, 0.0), (1, 0.2)], &few);
    host.flux_sp.iter_mut().for_each(|flux| *flux = f32::from_bits(draw.word()));
    host.ivar_sp.iter_mut().for_each(|ivar| *ivar = f32::from_bits(draw.word() >> 1));
    both(&host, &[(1, 0.0), (0, 0.2)], &few);
    // DESI's grid, and more pixels than a kernel keeps at hand.
    let host = noisy([1.0; 3], 3);
    both(&host, &[(0, 0.2)], &arms());
    both(&host, &[(0, 0.0)], &ArmRanges { pixels_a: vec![0..7781, 100..3117] });
}

fn measure<B: Backend>(dev: &B, host: &Host, rows: &[(usize, f64)], arms: &ArmRanges) -> IvarScale<Cpu> {
    let observed = host.upload(dev);
    let continuum = dev.running_median(&observed, &host.grid, rows, 100.0).expect("the case is valid");
    dev.ivar_scale(&observed, rows, &continuum, arms).expect("the case is valid").to_host(dev)
}

pub(crate) fn a_known_misstatement_is_found<B: Backend>(dev: &B) {
    for seed in 0..5 {
        let understated_a = [1.0, 1.21, 0.64];
        let host = noisy(understated_a, 100 + seed);
        let measured = measure(dev, &host, &[(0, 0.2)], &arms());
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
    let rows = [(1, 0.1), (0, 0.3)];
    let measured = measure(dev, &host, &rows, &arms());
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
    let measured = measure(dev, &host, &[(0, 0.2)], &arms());
    assert_eq!(measured.flag_sa, [flag::COVERAGE, 0, flag::DEGENERATE]);
    assert_eq!([measured.scale_sa[0], measured.scale_sa[2]].map(f32::to_bits), [0, 0]);
}
