//! Properties of `measure_indices`.

use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::{Backend, Grid, flag};

use crate::cases::{AWKWARD, Draw, narrow};
use crate::reference;
use crate::spectra::{
    EXTREME_ROWS, GRID, Host, INDICES, ROWS, ToHost, any_band, any_rows, band, close, leave_roundings,
    normal, waves,
};

/// Bands of awkward widths, apart, touching and overlapping.
fn awkward_indices(draw: &mut Draw, grid: &Grid, n: usize) -> Vec<IndexBands> {
    let kinds = [IndexKind::Angstrom, IndexKind::Ratio];
    (0..n)
        .map(|i| {
            let [band, blue, red] = [0; 3].map(|_| any_band(draw, grid));
            IndexBands { band, blue, red, kind: kinds[i % 2] }
        })
        .collect()
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let compare = |host: &Host, rows: &[(usize, f64)], indices: &[IndexBands]| {
        let grid = &host.grid;
        let ours = dev.measure_indices(&host.upload(dev), grid, rows, indices).expect("the case is valid");
        let expected =
            cpu.measure_indices(&host.upload(&cpu), grid, rows, indices).expect("the case is valid");
        assert_eq!(ours.bits(dev), expected.bits(&cpu), "{} pixels, {} rows", grid.n_pixels, rows.len());
        expected.flag_si
    };
    let mut draw = Draw::new(41);
    let mut flags = Vec::new();
    for n_rows in AWKWARD {
        for missing in [0.0, 0.05, 0.2] {
            let grid = Grid { n_pixels: [257, 300, 700][draw.below(3)], ..GRID };
            let host = Host::gappy(grid, 5, draw.bits(), missing);
            let rows = any_rows(&mut draw, n_rows, &host);
            flags.extend(compare(&host, &rows, &awkward_indices(&mut draw, &grid, 3)));
        }
        for n_pixels in AWKWARD {
            let grid = Grid { n_pixels, ..GRID };
            let host = Host::gappy(grid, 2, draw.bits(), 0.05);
            let rows = any_rows(&mut draw, 2, &host);
            flags.extend(compare(&host, &rows, &awkward_indices(&mut draw, &grid, 2)));
        }
    }
    flags.extend(compare(&Host::seeded(GRID, 5, 42), &ROWS, &INDICES));
    flags.extend(compare(&Host::any_bits(GRID, 5, 43), &ROWS, &INDICES));
    flags.extend(compare(&Host::extreme(GRID, 45), &EXTREME_ROWS, &INDICES));
    flags.extend(compare(&Host::missing(GRID, 5), &ROWS, &INDICES));
    flags.extend(compare(&Host::seeded(Grid::DESI, 5, 44), &ROWS, &INDICES));
    for flag in [0, flag::OUT_OF_RANGE, flag::COVERAGE, flag::CONTINUUM, flag::PARTIAL] {
        let n = flags.iter().filter(|&&own| own == flag).count();
        assert!(n >= 20, "only {n} of {} indices have flag {flag}", flags.len());
    }
}

pub(crate) fn sums_round_as_on_the_cpu<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    // 125 pixels and parts of two more in each band.
    let bands = [IndexBands {
        band: band(4400.5, 4500.9),
        blue: band(4200.5, 4300.9),
        red: band(4600.5, 4700.9),
        kind: IndexKind::Ratio,
    }];
    for seed in 0..8 {
        let mut host = Host::gappy(GRID, 1, seed, 0.05);
        host.ivar_sp[1050..1053].fill(1.0);
        let measure = |host: &Host| {
            cpu.measure_indices(&host.upload(&cpu), &GRID, &[(0, 0.0)], &bands).expect("the case is valid")
        };
        leave_roundings(&mut host, [1050, 1051, 1052], |host| measure(host).value_si[0]);
        let ours =
            dev.measure_indices(&host.upload(dev), &GRID, &[(0, 0.0)], &bands).expect("the case is valid");
        assert_eq!(ours.bits(dev), measure(&host).bits(&cpu), "{seed}");
    }
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 4, 21);
    let rows = [(0, 0.0), (1, 0.037), (2, 0.1), (3, 0.173)];
    let measured = dev
        .measure_indices(&host.upload(dev), &GRID, &rows, &INDICES)
        .expect("the case is valid")
        .to_host(dev);
    let mut n = 0;
    for (i, &(s, z)) in rows.iter().enumerate() {
        let (flux_p, ivar_p) = host.wide(s);
        for (k, bands) in INDICES.iter().enumerate() {
            let at = i * INDICES.len() + k;
            if measured.flag_si[at] & !flag::PARTIAL != 0 {
                assert_eq!(measured.flag_si[at], flag::COVERAGE, "{i} {k}");
                continue;
            }
            n += 1;
            let index = |flux_p: &[f64]| reference::indices::index(&GRID, flux_p, &ivar_p, z, bands);
            // Indices are differences of order-1 ratios times the width: absolute, f32 storage.
            let (value, expected) = (f64::from(measured.value_si[at]), index(&flux_p));
            assert!((value - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{i} {k}: {value} {expected}");
            let pixels = reference::bands::neighbourhood(&GRID, z, bands.blue.lo_aa, bands.red.hi_aa);
            let ivar = 1.0 / reference::bands::variance(&flux_p, &ivar_p, pixels, index);
            assert!(close(f64::from(measured.ivar_si[at]), ivar, 1e-5), "{i} {k}: {ivar}");
        }
    }
    assert!(n >= 10, "only {n} indices were measured");
}

pub(crate) fn rectangular_absorption_gives_its_depth_times_its_width<B: Backend>(dev: &B) {
    // Unit continuum; from 4990 to 5010 Å (rest) the flux is 1 − 0.3.
    let bands = IndexBands {
        band: band(4980.0, 5020.0),
        blue: band(4940.0, 4970.0),
        red: band(5030.0, 5060.0),
        kind: IndexKind::Angstrom,
    };
    let ratio = IndexBands { kind: IndexKind::Ratio, ..bands };
    for z in [0.0_f64, 0.05, 0.1234] {
        let (lo, hi) = (4990.0 * (1.0 + z), 5010.0 * (1.0 + z));
        let depth = |wave: f64| {
            let inside = (hi.min(wave + 0.4) - lo.max(wave - 0.4)).max(0.0) / 0.8;
            1.0 - 0.3 * inside
        };
        // A continuum of another level and slope changes nothing: the index is relative to it.
        for slope in [0.0, 0.5] {
            let host =
                Host::from_flux(GRID, |wave| 7.0 * (1.0 + slope * (wave - 5000.0) / 2000.0) * depth(wave));
            let measured = dev
                .measure_indices(&host.upload(dev), &GRID, &[(0, z)], &[bands, ratio])
                .expect("the case is valid")
                .to_host(dev);
            // Sloped: fractional end pixels take the value of their centre, up to half a pixel
            // away: 0.4 Å of slope in the sideband mean over 30 Å, 1e-5.
            let tolerance = if slope > 0.0 { 3e-4 } else { 1e-6 };
            let [width, mean] = [measured.value_si[0], measured.value_si[1]].map(f64::from);
            assert!(close(width, 6.0, tolerance), "{width} at z = {z}, slope {slope}");
            assert!(close(mean, 1.0 - 6.0 / 40.0, tolerance), "{mean} at z = {z}, slope {slope}");
        }
    }
}

pub(crate) fn stated_error_is_the_scatter<B: Backend>(dev: &B) {
    // 4000 noise draw on one spectrum: the scatter's own error is 1/√8000 = 1.1 %; 4 of them.
    let n = 4000;
    let grid = Grid { first_aa: 4900.0, step_aa: 0.8, n_pixels: 500 };
    let mut draw = Draw::new(5);
    let mut host = Host { grid, flux_sp: Vec::new(), ivar_sp: Vec::new() };
    for _ in 0..n {
        for wave in waves(&grid) {
            let sigma = 0.02 + 0.01 * (wave * 0.1).sin();
            host.flux_sp.push(narrow(1.0 + sigma * normal(&mut draw)));
            host.ivar_sp.push(narrow(1.0 / (sigma * sigma)));
        }
    }
    let rows: Vec<(usize, f64)> = (0..n).map(|s| (s, 0.0)).collect();
    let measured = dev
        .measure_indices(&host.upload(dev), &grid, &rows, &INDICES[1..2])
        .expect("the case is valid")
        .to_host(dev);
    let values: Vec<f64> = measured.value_si.iter().map(|&value| f64::from(value)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    let stated = 1.0 / f64::from(measured.ivar_si[0]);
    assert!(close(variance.sqrt(), stated.sqrt(), 0.045), "{variance} {stated}");
}

pub(crate) fn missing_indices_say_why<B: Backend>(dev: &B) {
    let mut host = Host::from_flux(GRID, |_| 1.0);
    let flags = |host: &Host, z| {
        let measured = dev
            .measure_indices(&host.upload(dev), &GRID, &[(0, z)], &INDICES[1..2])
            .expect("the case is valid")
            .to_host(dev);
        measured.flag_si[0]
    };
    assert_eq!(flags(&host, 0.1), 0);
    assert_eq!(flags(&host, 0.3), flag::OUT_OF_RANGE);
    host.ivar_sp[2600] = 0.0; // 5680 Å: inside Mgb at z = 0.1
    assert_eq!(flags(&host, 0.1), flag::PARTIAL);
    host.ivar_sp[2600..2620].fill(0.0);
    assert_eq!(flags(&host, 0.1), flag::COVERAGE);
    host.ivar_sp.fill(1.0);
    host.flux_sp.fill(-1.0);
    assert_eq!(flags(&host, 0.1), flag::CONTINUUM);
}
