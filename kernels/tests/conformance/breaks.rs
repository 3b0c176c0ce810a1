//! Properties of `measure_breaks`.

use specmill_kernels::ops::breaks::{BreakBands, Breaks};
use specmill_kernels::{Backend, Cpu, Grid, flag};

use crate::cases::{AWKWARD, Draw, narrow};
use crate::reference;
use crate::spectra::{
    BREAKS, EXTREME_ROWS, GRID, Host, ROWS, ToHost, any_band, any_rows, band, close, leave_roundings,
};

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let compare = |host: &Host, rows: &[(usize, f64)], breaks: &[BreakBands]| {
        let grid = &host.grid;
        let ours = dev.measure_breaks(&host.upload(dev), grid, rows, breaks).expect("the case is valid");
        let expected = cpu.measure_breaks(&host.upload(&cpu), grid, rows, breaks).expect("the case is valid");
        assert_eq!(ours.bits(dev), expected.bits(&cpu), "{} pixels, {} rows", grid.n_pixels, rows.len());
        expected.plain_flag_si.into_iter().zip(expected.weighted_flag_si).collect::<Vec<_>>()
    };
    let mut draw = Draw::new(71);
    let mut any_break =
        |grid: &Grid| BreakBands { blue: any_band(&mut draw, grid), red: any_band(&mut draw, grid) };
    let mut rows_draw = Draw::new(72);
    let mut flags = Vec::new();
    for n_rows in AWKWARD {
        // Means about 0 in one of three cases.
        for (missing, level) in [(0.0, 0.0), (0.02, 12.0), (0.08, 0.0)] {
            let grid = Grid { n_pixels: [270, 300, 700][rows_draw.below(3)], ..GRID };
            let mut host = Host::gappy(grid, 5, rows_draw.bits(), missing);
            let rows = any_rows(&mut rows_draw, n_rows, &host);
            host.flux_sp.iter_mut().for_each(|flux| *flux -= level);
            flags.extend(compare(&host, &rows, &[any_break(&grid), any_break(&grid), any_break(&grid)]));
        }
        for n_pixels in AWKWARD {
            let grid = Grid { n_pixels, ..GRID };
            let host = Host::gappy(grid, 2, rows_draw.bits(), 0.05);
            let rows = any_rows(&mut rows_draw, 2, &host);
            flags.extend(compare(&host, &rows, &[any_break(&grid), any_break(&grid)]));
        }
    }
    flags.extend(compare(&Host::seeded(GRID, 5, 73), &ROWS, &BREAKS));
    flags.extend(compare(&Host::any_bits(GRID, 5, 74), &ROWS, &BREAKS));
    flags.extend(compare(&Host::extreme(GRID, 77), &EXTREME_ROWS, &BREAKS));
    flags.extend(compare(&Host::missing(GRID, 5), &ROWS, &BREAKS));
    flags.extend(compare(&Host::seeded(Grid::DESI, 5, 75), &ROWS, &BREAKS));
    let both = |flag| (flag, flag);
    let missing = [flag::OUT_OF_RANGE, flag::COVERAGE, flag::CONTINUUM].map(both);
    for flag in [both(0), (0, flag::DEGENERATE)].into_iter().chain(missing) {
        let n = flags.iter().filter(|&&own| own == flag).count();
        assert!(n >= 20, "only {n} of {} breaks have flags {flag:?}", flags.len());
    }
}

/// Points of every number from one pixel between two ends to more than a ring of them, with gaps at every place.
pub(crate) fn any_number_of_points_equals_the_cpu<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let grid = Grid { n_pixels: 500, ..GRID };
    let mut host = Host::gappy(grid, 1, 76, 0.02);
    host.flux_sp.iter_mut().for_each(|flux| *flux = flux.abs());
    let at = |p: f64| grid.first_aa + p * grid.step_aa;
    let breaks: Vec<BreakBands> = (1..450)
        .map(|n| BreakBands {
            blue: band(at(10.0 + f64::from(n % 13)), at(10.4 + f64::from(n % 13 + n))),
            red: band(at(480.3 - f64::from(n % 7 + n)), at(480.3)),
        })
        .collect();
    let ours = dev.measure_breaks(&host.upload(dev), &grid, &[(0, 0.0)], &breaks).expect("the case is valid");
    let expected =
        cpu.measure_breaks(&host.upload(&cpu), &grid, &[(0, 0.0)], &breaks).expect("the case is valid");
    assert_eq!(ours.bits(dev), expected.bits(&cpu));
    let n = expected.weighted_flag_si.iter().filter(|&&flag| flag == 0).count();
    assert!(n > 300, "only {n} breaks were measured");
}

pub(crate) fn sums_round_as_on_the_cpu<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    for seed in 0..8 {
        let clean = Host::gappy(GRID, 1, seed, 0.03);
        let measure = |host: &Host| {
            cpu.measure_breaks(&host.upload(&cpu), &GRID, &[(0, 0.0)], &BREAKS[..1])
                .expect("the case is valid")
        };
        // Inside the red band; each of the two means in turn.
        for value in [|b: &Breaks<Cpu>| b.plain_si[0], |b: &Breaks<Cpu>| b.weighted_si[0]] {
            let mut host = clean.clone();
            host.ivar_sp[550..553].fill(1.0);
            leave_roundings(&mut host, [550, 551, 552], |host| value(&measure(host)));
            let ours = dev
                .measure_breaks(&host.upload(dev), &GRID, &[(0, 0.0)], &BREAKS[..1])
                .expect("the case is valid");
            assert_eq!(ours.bits(dev), measure(&host).bits(&cpu), "{seed}");
        }
    }
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 4, 11);
    let rows = [(0, 0.0), (1, 0.083_7), (2, 0.2), (3, 0.411)];
    let measured =
        dev.measure_breaks(&host.upload(dev), &GRID, &rows, &BREAKS).expect("the case is valid").to_host(dev);
    for (i, &(s, z)) in rows.iter().enumerate() {
        let (flux_p, ivar_p) = host.wide(s);
        for (k, bands) in BREAKS.iter().enumerate() {
            let at = i * BREAKS.len() + k;
            assert_eq!((measured.plain_flag_si[at], measured.weighted_flag_si[at]), (0, 0));
            let plain = |flux_p: &[f64]| reference::breaks::plain(&GRID, flux_p, &ivar_p, z, bands);
            let weighted = |flux_p: &[f64]| reference::breaks::weighted(&GRID, flux_p, &ivar_p, z, bands);
            // f32 storage of the result: 6e-8; errors also carry the finite difference.
            let near = |a: f32, b: f64, tolerance| close(f64::from(a), b, tolerance);
            assert!(near(measured.plain_si[at], plain(&flux_p), 1e-6), "plain {i} {k}");
            assert!(near(measured.weighted_si[at], weighted(&flux_p), 1e-6), "weighted {i} {k}");
            let pixels = || reference::bands::neighbourhood(&GRID, z, bands.blue.lo_aa, bands.red.hi_aa);
            let plain_ivar = 1.0 / reference::bands::variance(&flux_p, &ivar_p, pixels(), plain);
            assert!(near(measured.plain_ivar_si[at], plain_ivar, 1e-5), "plain ivar {i} {k}");
            let weighted_ivar = 1.0 / reference::bands::variance(&flux_p, &ivar_p, pixels(), weighted);
            assert!(near(measured.weighted_ivar_si[at], weighted_ivar, 1e-5), "weighted ivar {i} {k}");
        }
    }
}

pub(crate) fn weighted_break_matches_fastspecfit<B: Backend>(dev: &B) {
    // seed, z, Dn(4000) by FastSpecFit on the spectrum that `golden_spectrum` makes: written by
    // golden/make_dn4000.py.
    let golden = include_str!("../golden/dn4000.csv");
    let mut n = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [seed, z, expected] = fields[..] else { panic!("three columns: {line}") };
        let host = golden_spectrum(seed.parse().expect("a seed"));
        let rows = [(0, z.parse().expect("a redshift"))];
        let measured = dev
            .measure_breaks(&host.upload(dev), &GRID, &rows, &BREAKS[..1])
            .expect("the case is valid")
            .to_host(dev);
        let expected: f64 = expected.parse().expect("a ratio");
        // The definition is the same, so only rounding differs (f32 result: 6e-8).
        let value = measured.weighted_si[0];
        assert!(close(f64::from(value), expected, 1e-6), "seed {seed}: {value} for {expected}");
        n += 1;
    }
    assert!(n >= 20, "{n} golden spectra");
}

/// The spectrum of golden/make_dn4000.py: exact in binary floating point, so equal in both.
fn golden_spectrum(seed: u64) -> Host {
    let mut draw = Draw::new(seed);
    let mut host = Host { grid: GRID, flux_sp: Vec::new(), ivar_sp: Vec::new() };
    for p in 0..GRID.n_pixels {
        let base = 1.0 + p as f64 / 4096.0;
        let sigma = 0.125 + 0.25 * draw.unit();
        let noise = draw.unit() + draw.unit() + draw.unit() - 1.5;
        let missing = draw.unit() < 0.02;
        host.flux_sp.push(narrow(base + 2.0 * sigma * noise));
        host.ivar_sp.push(if missing { 0.0 } else { narrow(1.0 / (sigma * sigma)) });
    }
    host
}

pub(crate) fn flat_f_nu_has_no_break<B: Backend>(dev: &B) {
    // f_λ ∝ λ⁻² at unit ivar: f_ν is constant, so both means equal it whatever the weights.
    let host = Host::from_flux(GRID, |wave| 1e8 / (wave * wave));
    for z in [0.0, 0.123, 0.4] {
        let measured = dev
            .measure_breaks(&host.upload(dev), &GRID, &[(0, z)], &BREAKS)
            .expect("the case is valid")
            .to_host(dev);
        for &value in measured.plain_si.iter().chain(&measured.weighted_si) {
            // The flux is stored in f32 (6e-8 per pixel).
            assert!(close(f64::from(value), 1.0, 1e-7), "{value} at z = {z}");
        }
    }
}

pub(crate) fn ends_on_a_pixel_centre_are_harmless<B: Backend>(dev: &B) {
    // z chosen so that 4000 Å falls within rounding of a pixel's centre, from either side.
    let host = Host::seeded(GRID, 1, 3);
    let observed = host.upload(dev);
    let at = |z| {
        dev.measure_breaks(&observed, &GRID, &[(0, z)], &BREAKS[..1])
            .expect("the case is valid")
            .to_host(dev)
            .weighted_si[0]
    };
    for pixel in 600..660_u32 {
        let z = (3600.0 + 0.8 * f64::from(pixel)) / 4000.0 - 1.0;
        let (left, middle, right) = (at(z - 1e-9), at(z), at(z + 1e-9));
        // Simpson's sum changes with the parity of its points: by noise/√n, not by more.
        assert!((left - middle).abs() < 0.05 && (right - middle).abs() < 0.05, "{left} {middle} {right}");
    }
}

pub(crate) fn missing_breaks_say_why<B: Backend>(dev: &B) {
    let mut host = Host::from_flux(GRID, |_| 1.0);
    let flags = |host: &Host, z| {
        let measured = dev
            .measure_breaks(&host.upload(dev), &GRID, &[(0, z)], &BREAKS[..1])
            .expect("the case is valid")
            .to_host(dev);
        assert_eq!(measured.plain_flag_si, measured.weighted_flag_si);
        if measured.plain_flag_si[0] != 0 {
            let values = [measured.plain_si[0], measured.plain_ivar_si[0], measured.weighted_ivar_si[0]];
            assert_eq!(values.map(f32::to_bits), [0; 3]);
        }
        measured.plain_flag_si[0]
    };
    assert_eq!(flags(&host, 0.1), 0);
    assert_eq!(flags(&host, 0.6), flag::OUT_OF_RANGE);
    assert_eq!(flags(&host, -0.1), flag::OUT_OF_RANGE);
    let blue = 793..930; // 3850 to 3950 Å at z = 0.1
    for p in blue.clone().step_by(8) {
        host.ivar_sp[p] = 0.0;
    }
    assert_eq!(flags(&host, 0.1), flag::COVERAGE);
    host.ivar_sp.fill(1.0);
    host.flux_sp[blue].fill(-1.0);
    assert_eq!(flags(&host, 0.1), flag::CONTINUUM);
    let thin = [BreakBands { blue: band(3850.0, 3850.2), red: band(4000.0, 4100.0) }];
    let measured = dev
        .measure_breaks(&host.upload(dev), &GRID, &[(0, 0.2)], &thin)
        .expect("the case is valid")
        .to_host(dev);
    assert_eq!(measured.weighted_flag_si[0], flag::DEGENERATE, "no pixel between the ends");
}
