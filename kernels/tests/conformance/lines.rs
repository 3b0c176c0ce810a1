//! Properties of `measure_lines`.

use specmill_kernels::ops::lines::LineBands;
use specmill_kernels::{Backend, Grid, flag};

use crate::cases::{AWKWARD, Draw, narrow};
use crate::reference;
use crate::spectra::{
    EXTREME_ROWS, GRID, Host, LINES, ROWS, ToHost, any_band, any_rows, band, close, leave_roundings, normal,
    waves,
};

/// Windows and sidebands of awkward widths, apart, touching and overlapping; the sidebands apart from each other.
fn awkward_lines(draw: &mut Draw, grid: &Grid, n: usize) -> Vec<LineBands> {
    (0..n)
        .map(|_| {
            let window = any_band(draw, grid);
            let (blue, red) = loop {
                let (blue, red) = (any_band(draw, grid), any_band(draw, grid));
                if blue.hi_aa < red.lo_aa {
                    break (blue, red);
                }
            };
            let wave_aa = window.lo_aa + draw.unit() * (window.hi_aa - window.lo_aa);
            LineBands { wave_aa, window, blue, red, blended: draw.chance(0.1) }
        })
        .collect()
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let compare = |host: &Host, rows: &[(usize, f64)], lines: &[LineBands]| {
        let grid = &host.grid;
        let ours = dev.measure_lines(&host.upload(dev), grid, rows, lines).expect("the case is valid");
        let expected = cpu.measure_lines(&host.upload(&cpu), grid, rows, lines).expect("the case is valid");
        assert_eq!(ours.bits(dev), expected.bits(&cpu), "{} pixels, {} rows", grid.n_pixels, rows.len());
        expected.flag_sl
    };
    let mut draw = Draw::new(61);
    let mut flags = Vec::new();
    for n_rows in AWKWARD {
        for missing in [0.0, 0.02, 0.1] {
            let grid = Grid { n_pixels: [257, 300, 700][draw.below(3)], ..GRID };
            let host = Host::gappy(grid, 5, draw.bits(), missing);
            let rows = any_rows(&mut draw, n_rows, &host);
            flags.extend(compare(&host, &rows, &awkward_lines(&mut draw, &grid, 3)));
        }
        for n_pixels in AWKWARD {
            let grid = Grid { n_pixels, ..GRID };
            let host = Host::gappy(grid, 2, draw.bits(), 0.05);
            let rows = any_rows(&mut draw, 2, &host);
            flags.extend(compare(&host, &rows, &awkward_lines(&mut draw, &grid, 2)));
        }
    }
    flags.extend(compare(&Host::seeded(GRID, 5, 62), &ROWS, &LINES));
    flags.extend(compare(&Host::any_bits(GRID, 5, 63), &ROWS, &LINES));
    flags.extend(compare(&Host::extreme(GRID, 66), &EXTREME_ROWS, &LINES));
    flags.extend(compare(&Host::missing(GRID, 5), &ROWS, &LINES));
    flags.extend(compare(&Host::seeded(Grid::DESI, 5, 64), &ROWS, &LINES));
    for flag in [0, flag::OUT_OF_RANGE, flag::COVERAGE, flag::CONTINUUM, flag::BLENDED, flag::PARTIAL] {
        let n = flags.iter().filter(|&&own| own == flag).count();
        assert!(n >= 20, "only {n} of {} lines have flag {flag}", flags.len());
    }
}

/// A gap at every place of a window and of every length, at its ends and in its middle.
pub(crate) fn gaps_are_bridged_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let grid = Grid { n_pixels: 160, ..GRID };
    let at = |p: f64| grid.first_aa + p * grid.step_aa;
    let lines = [LineBands {
        wave_aa: at(80.0),
        window: band(at(40.3), at(120.6)),
        blue: band(at(10.0), at(45.0)),
        red: band(at(110.2), at(150.0)),
        blended: false,
    }];
    let whole = Host::gappy(grid, 1, 65, 0.0);
    let mut host = Host { flux_sp: Vec::new(), ivar_sp: Vec::new(), ..whole.clone() };
    for first in 36..124 {
        for n in [1, 2, 5, 16] {
            let mut ivar_p = whole.ivar_sp.clone();
            ivar_p[first..first + n].fill(0.0);
            ivar_p[(first * 7) % 160] = 0.0;
            host.flux_sp.extend(&whole.flux_sp);
            host.ivar_sp.extend(ivar_p);
        }
    }
    let rows: Vec<(usize, f64)> = (0..host.n_spectra()).map(|s| (s, 0.0)).collect();
    let ours = dev.measure_lines(&host.upload(dev), &grid, &rows, &lines).expect("the case is valid");
    let expected = cpu.measure_lines(&host.upload(&cpu), &grid, &rows, &lines).expect("the case is valid");
    assert_eq!(ours.bits(dev), expected.bits(&cpu));
    let n = expected.flag_sl.iter().filter(|&&own| own == flag::PARTIAL).count();
    assert!(n > 200, "only {n} lines were bridged");
}

pub(crate) fn sums_round_as_on_the_cpu<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    // 125 pixels and parts of two more in window and sidebands.
    let lines = [LineBands {
        wave_aa: 4440.0,
        window: band(4400.5, 4500.9),
        blue: band(4300.3, 4401.2),
        red: band(4500.1, 4600.7),
        blended: false,
    }];
    for seed in 0..8 {
        let mut host = Host::gappy(GRID, 1, seed, 0.03);
        // Shares of a gap of 12 pixels add up to other bits in another order, as those of most gaps do not.
        host.ivar_sp[1020..1032].fill(0.0);
        host.ivar_sp[1050..1053].fill(1.0);
        let measure = |host: &Host| {
            cpu.measure_lines(&host.upload(&cpu), &GRID, &[(0, 0.0)], &lines).expect("the case is valid")
        };
        leave_roundings(&mut host, [1050, 1051, 1052], |host| measure(host).flux_sl[0]);
        let ours =
            dev.measure_lines(&host.upload(dev), &GRID, &[(0, 0.0)], &lines).expect("the case is valid");
        assert_eq!(ours.bits(dev), measure(&host).bits(&cpu), "{seed}");
    }
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 6, 31);
    let rows = [(0, 0.0), (1, 0.083_7), (2, 0.2), (3, 0.4), (4, 0.611), (5, 0.9)];
    let measured =
        dev.measure_lines(&host.upload(dev), &GRID, &rows, &LINES).expect("the case is valid").to_host(dev);
    let (mut n, mut bridged) = (0, 0);
    for (i, &(s, z)) in rows.iter().enumerate() {
        let (flux_p, ivar_p) = host.wide(s);
        for (k, bands) in LINES.iter().enumerate() {
            let at = i * LINES.len() + k;
            if measured.flag_sl[at] & !flag::PARTIAL != 0 {
                continue;
            }
            n += 1;
            bridged += u32::from(measured.flag_sl[at] & flag::PARTIAL != 0);
            let line = |flux_p: &[f64]| reference::lines::line(&GRID, flux_p, &ivar_p, z, bands);
            let (flux, ew, continuum) = line(&flux_p);
            let variance = |pick: fn((f64, f64, f64)) -> f64| {
                let pixels = reference::bands::neighbourhood(&GRID, z, bands.blue.lo_aa, bands.red.hi_aa);
                reference::bands::variance(&flux_p, &ivar_p, pixels, |flux_p| pick(line(flux_p)))
            };
            // A flux is a difference of large sums: rounding counts against the window's total.
            let total = continuum * (bands.window.hi_aa - bands.window.lo_aa) * (1.0 + z);
            let near = |a: f32, b: f64, scale: f64| (f64::from(a) - b).abs() <= 1e-7 * (b.abs() + scale);
            assert!(near(measured.flux_sl[at], flux, total), "flux {i} {k}");
            assert!(near(measured.ew_sl[at], ew, total / continuum), "EW {i} {k}");
            assert!(near(measured.continuum_sl[at], continuum, 0.0), "continuum {i} {k}");
            let ivars = [measured.flux_ivar_sl[at], measured.ew_ivar_sl[at], measured.continuum_ivar_sl[at]];
            let variances = [variance(|v| v.0), variance(|v| v.1), variance(|v| v.2)];
            for (ivar, variance) in ivars.into_iter().zip(variances) {
                // The judge's derivative is numerical.
                assert!(close(f64::from(ivar), 1.0 / variance, 1e-4), "{i} {k}: {ivar} {variance}");
            }
        }
    }
    assert!(n >= 4 && bridged >= 1, "{n} lines, {bridged} with missing pixels");
}

/// A Gaussian line on a straight continuum, its centre and width in the observed frame.
fn injected(grid: Grid, flux: f64, centre_aa: f64, sigma_aa: f64, continuum: impl Fn(f64) -> f64) -> Host {
    Host::from_flux(grid, |wave| {
        let u = (wave - centre_aa) / sigma_aa;
        continuum(wave) + flux / (sigma_aa * std::f64::consts::TAU.sqrt()) * (-0.5 * u * u).exp()
    })
}

pub(crate) fn injected_flux_is_recovered_at_any_pixel_phase<B: Backend>(dev: &B) {
    let oiii = LINES[0];
    let mut draw = Draw::new(77);
    for trial in 0..60 {
        // Random redshifts put the line at random phases of the pixel; σ from 1 pixel (DESI's
        // narrowest) to a sixth of the window's half-width.
        let z = 0.001 + 0.18 * draw.unit();
        let centre = oiii.wave_aa * (1.0 + z);
        let sigma = 0.8 + (centre * 500.0 / 299_792.458 / 6.0 - 0.8) * draw.unit();
        let (flux, level, slope) = (1.0 + 50.0 * draw.unit(), 1.0 + draw.unit(), draw.unit() - 0.5);
        let continuum = |wave: f64| level + slope * (wave - centre) / 100.0;
        let host = injected(GRID, flux, centre, sigma, continuum);
        let measured = dev
            .measure_lines(&host.upload(dev), &GRID, &[(0, z)], &[oiii])
            .expect("the case is valid")
            .to_host(dev);
        assert_eq!(measured.flag_sl[0], 0);
        let (got, ew) = (f64::from(measured.flux_sl[0]), f64::from(measured.ew_sl[0]));
        assert!(close(got, flux, 1e-3), "trial {trial}: {got} for {flux} at z = {z}, σ = {sigma}");
        // One (1 + z), neither two nor none.
        assert!(close(ew, flux / level / (1.0 + z), 1e-3), "trial {trial}: EW {ew}");
        assert!(close(f64::from(measured.continuum_sl[0]), level, 1e-5), "trial {trial}");
    }
}

pub(crate) fn stated_errors_are_the_scatter<B: Backend>(dev: &B) {
    // As for the indices; flux, EW and continuum of a line of 20 σ, 4000 draw: 4 × 1.1 %.
    let n = 4000;
    let grid = Grid { first_aa: 4950.0, step_aa: 0.8, n_pixels: 150 };
    let clean = injected(grid, 10.0, 5008.24, 2.0, |_| 1.0);
    let mut draw = Draw::new(6);
    let mut host = Host { grid, flux_sp: Vec::new(), ivar_sp: Vec::new() };
    for _ in 0..n {
        for (flux, wave) in clean.flux_sp.iter().zip(waves(&grid)) {
            let sigma = 0.1 + 0.05 * (wave * 0.2).sin();
            host.flux_sp.push(flux + narrow(sigma * normal(&mut draw)));
            host.ivar_sp.push(narrow(1.0 / (sigma * sigma)));
        }
    }
    let rows: Vec<(usize, f64)> = (0..n).map(|s| (s, 0.0)).collect();
    let measured = dev
        .measure_lines(&host.upload(dev), &grid, &rows, &LINES[..1])
        .expect("the case is valid")
        .to_host(dev);
    let outputs = [
        ("flux", &measured.flux_sl, &measured.flux_ivar_sl),
        ("EW", &measured.ew_sl, &measured.ew_ivar_sl),
        ("continuum", &measured.continuum_sl, &measured.continuum_ivar_sl),
    ];
    for (name, values, ivars) in outputs {
        let count = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance =
            values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let stated = ivars.iter().map(|&ivar| 1.0 / f64::from(ivar)).sum::<f64>() / count;
        assert!(close(variance.sqrt(), stated.sqrt(), 0.045), "{name}: {variance} {stated}");
    }
}

pub(crate) fn a_missing_pixel_of_a_smooth_line_is_bridged<B: Backend>(dev: &B) {
    // σ = 6 pixels: the parabola's error over one pixel is h²f″/2, at the peak (1/72) of the
    // pixel, which holds 0.8/(15.04·0.8) of the flux: 0.1 %. Leaving it out would cost 6.6 %.
    let (z, sigma) = (0.1, 6.0 * 0.8);
    let wide = LineBands {
        window: band(4980.0, 5036.0),
        blue: band(4950.0, 4975.0),
        red: band(5040.0, 5065.0),
        ..LINES[0]
    };
    let mut host = injected(GRID, 30.0, wide.wave_aa * (1.0 + z), sigma, |_| 2.0);
    let peak = (0..GRID.n_pixels)
        .max_by(|&a, &b| host.flux_sp[a].total_cmp(&host.flux_sp[b]))
        .expect("the case is valid");
    host.ivar_sp[peak] = 0.0;
    let measured = dev
        .measure_lines(&host.upload(dev), &GRID, &[(0, z)], &[wide])
        .expect("the case is valid")
        .to_host(dev);
    assert_eq!(measured.flag_sl[0], flag::PARTIAL);
    assert!(measured.good_fraction_sl[0] < 1.0);
    assert!(close(f64::from(measured.flux_sl[0]), 30.0, 2e-3), "{}", measured.flux_sl[0]);
}

pub(crate) fn missing_lines_say_why<B: Backend>(dev: &B) {
    let mut host = Host::from_flux(GRID, |_| 1.0);
    let flags = |host: &Host, z, line: usize| {
        let measured = dev
            .measure_lines(&host.upload(dev), &GRID, &[(0, z)], &LINES[line..=line])
            .expect("the case is valid")
            .to_host(dev);
        (measured.flag_sl[0], measured.flux_ivar_sl[0] > 0.0, measured.ew_ivar_sl[0] > 0.0)
    };
    assert_eq!(flags(&host, 0.1, 0), (0, true, true));
    assert_eq!(flags(&host, 0.1, 2), (flag::BLENDED, false, false));
    assert_eq!(flags(&host, 0.25, 0), (flag::OUT_OF_RANGE, false, false));
    host.flux_sp.fill(-1.0);
    assert_eq!(flags(&host, 0.1, 0), (flag::CONTINUUM, true, false));
    host.flux_sp.fill(1.0);
    host.ivar_sp[2380..2388].fill(0.0); // 5504 Å on: the middle of the window at z = 0.1
    assert_eq!(flags(&host, 0.1, 0), (flag::COVERAGE, false, false));
    host.ivar_sp.fill(1.0);
    host.ivar_sp[2340..2366].fill(0.0); // the blue sideband alone
    assert_eq!(flags(&host, 0.1, 0), (flag::COVERAGE, false, false));
}
