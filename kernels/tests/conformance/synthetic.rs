//! Properties of `synthetic_fluxes`.

use specmill_kernels::ops::synthetic::FilterCurve;
use specmill_kernels::{Backend, Grid, flag};

use crate::cases::AWKWARD;
use crate::reference;
use crate::spectra::{Host, ToHost, close, leave_roundings, waves};

/// A curve inside the grid, and one that leaves it on the red side.
const CURVES: [(&[f64], &[f64]); 2] = [
    (&[4000.0, 4400.0, 5000.0, 5600.0], &[0.0, 1.0, 0.9, 0.0]),
    (&[8400.0, 8600.0, 9600.0, 9900.0], &[0.0, 0.5, 0.5, 0.0]),
];

fn curves(grid: &Grid) -> Vec<FilterCurve> {
    CURVES
        .iter()
        .map(|(wave_aa, response)| FilterCurve::on_grid(grid, wave_aa, response).expect("the case is valid"))
        .collect()
}

/// A curve of every awkward length (off the grid, one pixel, just over a warp …) at changing places.
fn awkward_curves(grid: &Grid) -> Vec<FilterCurve> {
    let curve = |(i, n): (usize, &usize)| {
        let first = if *n == 0 { 3000.0 } else { grid.centre_aa(5 * i) - 0.3 };
        let wave_aa = [first, first + 0.4 * *n as f64 + 0.2, first + 0.8 * *n as f64 + 1.0];
        FilterCurve::on_grid(grid, &wave_aa, &[0.2, 1.0, 0.1]).expect("the case is valid")
    };
    AWKWARD.iter().enumerate().map(curve).chain(curves(grid)).collect()
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let compare = |host: &Host, rows: &[usize], curves: &[FilterCurve]| {
        let ours = dev.synthetic_fluxes(&host.upload(dev), rows, curves).expect("the case is valid");
        let expected = cpu.synthetic_fluxes(&host.upload(&cpu), rows, curves).expect("the case is valid");
        assert_eq!(ours.bits(dev), expected.bits(&cpu), "{} pixels, {} rows", host.grid.n_pixels, rows.len());
        expected.flag_sf.iter().filter(|&&flag| flag == 0).count()
    };
    let mut n = 0;
    for n_pixels in AWKWARD {
        let grid = Grid { n_pixels, ..Grid::DESI };
        let rows: Vec<usize> = (0..n_pixels).map(|i| 3 * i % 7).collect();
        let curves = awkward_curves(&grid);
        n += compare(&Host::gappy(grid, 7, 1, 0.1), &rows[..n_pixels.min(9)], &curves);
        n += compare(&Host::any_bits(grid, 7, 2), &rows[..n_pixels.min(9)], &curves);
        // Awkward numbers of rows, and one curve of a warp and a pixel.
        let narrow = Grid { n_pixels: 80, ..Grid::DESI };
        n += compare(&Host::gappy(narrow, 7, 3, 0.1), &rows, &awkward_curves(&narrow)[6..7]);
    }
    n += compare(&Host::seeded(Grid::DESI, 3, 4), &[2, 0, 1], &curves(&Grid::DESI));
    n += compare(&Host::extreme(Grid::DESI, 5), &[0, 1, 2, 3], &curves(&Grid::DESI));
    compare(&Host::missing(Grid::DESI, 1), &[0], &curves(&Grid::DESI));
    assert!(n > 100, "only {n} fluxes were measured");
}

pub(crate) fn sums_round_as_on_the_cpu<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let curves = curves(&Grid::DESI);
    for seed in 0..4 {
        let mut host = Host::gappy(Grid::DESI, 1, seed, 0.05);
        host.ivar_sp[800..803].fill(1.0);
        let measure = |host: &Host| {
            cpu.synthetic_fluxes(&host.upload(&cpu), &[0], &curves[..1]).expect("the case is valid")
        };
        leave_roundings(&mut host, [800, 801, 802], |host| measure(host).flux_sf[0]);
        let ours = dev.synthetic_fluxes(&host.upload(dev), &[0], &curves[..1]).expect("the case is valid");
        assert_eq!(ours.bits(dev), measure(&host).bits(&cpu), "{seed}");
    }
}

pub(crate) fn constant_f_nu_gives_that_f_nu<B: Backend>(dev: &B) {
    // 10 nanomaggies: f_ν = 3.631e-28, f_λ = f_ν c/λ² = 1088.55/λ[Å]² erg s⁻¹ cm⁻² Å⁻¹ · 1e-8…
    let f_nu = 10.0 * 3.631e-29;
    let host = Host::from_flux(Grid::DESI, |wave| f_nu * 2.997_924_58e18 / (wave * wave) / 1e-17);
    let measured = dev
        .synthetic_fluxes(&host.upload(dev), &[0], &curves(&Grid::DESI))
        .expect("the case is valid")
        .to_host(dev);
    for (flux, flag) in measured.flux_sf.iter().zip(&measured.flag_sf) {
        assert!(close(f64::from(*flux), 10.0, 1e-6), "{flux}");
        assert_eq!(*flag, 0);
    }
    assert!(close(f64::from(measured.coverage_sf[0]), 1.0, 1e-6));
    assert!(measured.coverage_sf[1] < 0.9999 && measured.coverage_sf[1] > 0.98);
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let host = Host::seeded(Grid::DESI, 3, 51);
    let rows = [2, 0];
    let measured = dev
        .synthetic_fluxes(&host.upload(dev), &rows, &curves(&Grid::DESI))
        .expect("the case is valid")
        .to_host(dev);
    for (i, &s) in rows.iter().enumerate() {
        let (flux_p, ivar_p) = host.wide(s);
        for (k, (wave_aa, response)) in CURVES.iter().enumerate() {
            let at = |wave: f64| {
                let after = wave_aa.iter().position(|&w| w > wave)?;
                let before = after.checked_sub(1)?;
                let share = (wave - wave_aa[before]) / (wave_aa[after] - wave_aa[before]);
                Some(response[before] * (1.0 - share) + response[after] * share)
            };
            let mean = |flux_p: &[f64]| {
                let (mut top, mut bottom) = (0.0, 0.0);
                for (p, wave) in waves(&Grid::DESI).enumerate().filter(|&(p, _)| ivar_p[p] > 0.0) {
                    let t = at(wave).unwrap_or(0.0);
                    top += flux_p[p] * 1e-17 * wave * t;
                    bottom += t / wave;
                }
                top / bottom / 2.997_924_58e18 / 3.631e-29
            };
            let index = 2 * i + k;
            assert!(close(f64::from(measured.flux_sf[index]), mean(&flux_p), 1e-6), "{i} {k}");
            let (first_aa, last_aa) = (wave_aa[0], wave_aa[wave_aa.len() - 1]);
            let pixels = reference::bands::neighbourhood(&Grid::DESI, 0.0, first_aa, last_aa);
            let ivar = 1.0 / reference::bands::variance(&flux_p, &ivar_p, pixels, mean);
            assert!(close(f64::from(measured.ivar_sf[index]), ivar, 1e-5), "{i} {k}");
        }
    }
}

pub(crate) fn uncovered_curves_say_so<B: Backend>(dev: &B) {
    let mut host = Host::from_flux(Grid::DESI, |_| 1.0);
    host.ivar_sp[1000..1500].fill(0.0);
    let measured = dev
        .synthetic_fluxes(&host.upload(dev), &[0], &curves(&Grid::DESI))
        .expect("the case is valid")
        .to_host(dev);
    assert_eq!(measured.flag_sf, [flag::COVERAGE, 0]);
    assert_eq!(measured.flux_sf[0].to_bits(), 0);
    assert!(measured.coverage_sf[0] > 0.5 && measured.coverage_sf[0] < 0.8);
    // A curve wholly off the grid.
    let far = FilterCurve::on_grid(&Grid::DESI, &[2000.0, 2500.0, 3000.0], &[0.0, 1.0, 0.0])
        .expect("the case is valid");
    let none = dev.synthetic_fluxes(&host.upload(dev), &[0], &[far]).expect("the case is valid").to_host(dev);
    assert_eq!((none.flag_sf[0], none.coverage_sf[0].to_bits()), (flag::COVERAGE, 0));
}

pub(crate) fn impossible_curves_are_refused<B: Backend>(_: &B) {
    let refused =
        |wave_aa: &[f64], response: &[f64]| FilterCurve::on_grid(&Grid::DESI, wave_aa, response).is_err();
    assert!(refused(&[], &[]));
    assert!(refused(&[5000.0], &[1.0]));
    assert!(refused(&[5000.0, 4000.0], &[1.0, 1.0]));
    assert!(refused(&[4000.0, 5000.0], &[1.0]));
    assert!(refused(&[4000.0, 5000.0], &[0.0, 0.0]));
    assert!(refused(&[4000.0, 5000.0], &[1.0, f64::NAN]));
    assert!(refused(&[4000.0, f64::INFINITY], &[1.0, 1.0]));
    // Between the centres of two pixels, and more than f64 holds.
    assert!(refused(&[4000.1, 4000.3], &[1.0, 1.0]));
    assert!(refused(&[1.0, 5000.0], &[1e308, 1e308]));
}
