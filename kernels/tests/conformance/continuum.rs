//! Properties of `running_median`.

use proptest::prelude::*;
use specmill_kernels::{Backend, Grid};

use crate::cases::{AWKWARD, Draw, check, narrow, to_bits};
use crate::reference;
use crate::spectra::{Host, ToHost};

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let both = |host: &Host, rows: &[(usize, f64)], width_aa: f64| {
        let refused = "the case is valid";
        let ours = dev.running_median(&host.upload(dev), &host.grid, rows, width_aa).expect(refused);
        let theirs = cpu.running_median(&host.upload(&cpu), &host.grid, rows, width_aa).expect(refused);
        let ours = ours.to_host(dev);
        let n = (rows.len(), host.grid.n_pixels, width_aa);
        assert_eq!((ours.n_spectra, ours.n_pixels), (theirs.n_spectra, theirs.n_pixels));
        assert!(to_bits(&ours.flux_sp) == to_bits(&theirs.flux_sp), "(rows, pixels, width) = {n:?}");
        assert!(ours.valid_sp == theirs.valid_sp, "(rows, pixels, width) = {n:?}");
    };
    let mut draw = Draw::new(3);
    let grid_of = |n_pixels: usize| Grid { n_pixels, ..Grid::DESI };
    for n in AWKWARD {
        let rows: Vec<(usize, f64)> = (0..n).map(|_| (draw.below(3), draw.unit() * 5.0)).collect();
        both(&Host::seeded(grid_of(70), 3, 1), &rows, 10.0);
        if n == 0 {
            continue;
        }
        let mut host = Host::seeded(grid_of(n), 3, 2);
        let rows = [(2, 0.0), (0, 9.0), (1, 0.3)];
        for width_aa in [1.0, 8.0, 60.0, 1e6] {
            both(&host, &rows, width_aa);
        }
        // Ties and signed zeros in gaps; then any bits; then nothing good.
        for (flux, ivar) in host.flux_sp.iter_mut().zip(&mut host.ivar_sp) {
            (*flux, *ivar) =
                ([0.0, -0.0, 1.0, -2.0][draw.below(4)], if draw.chance(0.5) { 0.0 } else { 1.0 });
        }
        both(&host, &rows, 8.0);
        host.flux_sp.iter_mut().for_each(|flux| *flux = f32::from_bits(draw.word()));
        both(&host, &rows, 8.0);
        host.ivar_sp.fill(0.0);
        both(&host, &rows, 8.0);
    }
    both(&Host::seeded(Grid::DESI, 2, 4), &[(1, 0.0), (0, 3.5)], 200.0);
}

/// Compares with sorting every window: bits, since both pick elements of the input.
fn assert_matches_sorting<B: Backend>(dev: &B, host: &Host, z: f64, width_aa: f64) {
    let measured = dev
        .running_median(&host.upload(dev), &host.grid, &[(0, z)], width_aa)
        .expect("the case is valid")
        .to_host(dev);
    let (flux_p, ivar_p) = host.wide(0);
    let half = (0..host.grid.n_pixels)
        .take_while(|&d| d as f64 * host.grid.step_aa <= 0.5 * width_aa * (1.0 + z))
        .count()
        .saturating_sub(1);
    let expected = reference::continuum::running_median(&flux_p, &ivar_p, half);
    for (p, expected) in expected.into_iter().enumerate() {
        assert_eq!(measured.valid_sp[p] == 1, expected.is_some(), "pixel {p}");
        // Even windows: halving and adding in f32 rounds once.
        let value = narrow(expected.unwrap_or(0.0));
        let (a, b) = (measured.flux_sp[p], value + 0.0);
        assert!((a - b).abs() <= f32::EPSILON * b.abs(), "pixel {p}: {a} {b}");
    }
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let grid = Grid { n_pixels: 1500, ..Grid::DESI };
    for (seed, z, width_aa) in [(1, 0.0, 100.0), (2, 0.37, 100.0), (3, 2.1, 200.0), (4, 9.0, 200.0)] {
        assert_matches_sorting(dev, &Host::seeded(grid, 1, seed), z, width_aa);
    }
}

pub(crate) fn agrees_with_the_reference_for_any_length_and_gaps<B: Backend>(dev: &B) {
    let lengths = prop::sample::select(vec![1_usize, 2, 31, 32, 33, 63, 64, 65, 257]);
    let strategy = (lengths, 0_u32..140, 0.0..1.0_f64, 1_u32..40, any::<u64>());
    check(100, strategy, |(n_pixels, half, missing, levels, seed)| {
        // Few levels make many ties; ±0 among them.
        let mut draw = Draw::new(seed);
        let grid = Grid { n_pixels, ..Grid::DESI };
        let mut host = Host { grid, flux_sp: Vec::new(), ivar_sp: Vec::new() };
        for _ in 0..n_pixels {
            let level = (f64::from(levels) * (draw.unit() - 0.5)).round();
            host.flux_sp.push(narrow(level));
            host.ivar_sp.push(if draw.chance(missing) { 0.0 } else { 1.0 });
        }
        assert_matches_sorting(dev, &host, 0.0, 1.6 * (f64::from(half) + 0.25));
        Ok(())
    });
}

pub(crate) fn narrow_lines_leave_the_continuum_alone<B: Backend>(dev: &B) {
    let grid = Grid { n_pixels: 2000, ..Grid::DESI };
    let mut host = Host::from_flux(grid, |_| 3.0);
    host.flux_sp[1000..1008].fill(1e4);
    host.ivar_sp[400..420].fill(0.0);
    let measured = dev
        .running_median(&host.upload(dev), &grid, &[(0, 0.0)], 100.0)
        .expect("the case is valid")
        .to_host(dev);
    assert!(measured.flux_sp.iter().all(|&flux| flux.to_bits() == 3.0_f32.to_bits()));
    host.ivar_sp[400..500].fill(0.0);
    let gap = dev
        .running_median(&host.upload(dev), &grid, &[(0, 0.0)], 100.0)
        .expect("the case is valid")
        .to_host(dev);
    // 125 pixels in the window, 63 needed: the middle of a 100-pixel gap sees 25.
    assert_eq!((gap.valid_sp[450], gap.flux_sp[450].to_bits()), (0, 0));
}
