//! Properties of `median_snr_windows`.

use specmill_kernels::{Backend, flag};

use crate::reference;
use crate::spectra::{GRID, Host, ToHost, band, close, waves};

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 3, 41);
    let windows = [band(5050.0, 5150.0), band(1420.0, 1480.0)];
    let rows = [(0, 0.0), (1, 0.1), (2, 1.9)];
    let measured = dev
        .median_snr_windows(&host.upload(dev), &GRID, &rows, &windows)
        .expect("the case is valid")
        .to_host(dev);
    let mut n = 0;
    for (i, &(s, z)) in rows.iter().enumerate() {
        let (flux_p, ivar_p) = host.wide(s);
        for (k, window) in windows.iter().enumerate() {
            if measured.flag_si[2 * i + k] != 0 {
                assert_eq!(measured.flag_si[2 * i + k], flag::OUT_OF_RANGE);
                continue;
            }
            n += 1;
            let mut snr: Vec<f64> = waves(&GRID)
                .enumerate()
                .filter(|(_, wave)| (window.lo_aa..window.hi_aa).contains(&(wave / (1.0 + z))))
                .map(|(p, _)| flux_p[p] * ivar_p[p].sqrt() / GRID.step_aa.sqrt())
                .collect();
            let expected = reference::bands::median(&mut snr);
            // SCORES's tolerance: f64, rounded to f32 once.
            assert!(close(f64::from(measured.snr_si[2 * i + k]), expected, 2e-7), "{i} {k}");
        }
    }
    assert_eq!(n, 3);
}

pub(crate) fn window_half_missing_is_not_measured<B: Backend>(dev: &B) {
    let mut host = Host::from_flux(GRID, |_| 2.0);
    let window = [band(5050.0, 5150.0)];
    host.ivar_sp[1800..1860].fill(0.0); // 60 of the 125 pixels from 1812.5 on
    let some = dev
        .median_snr_windows(&host.upload(dev), &GRID, &[(0, 0.0)], &window)
        .expect("the case is valid")
        .to_host(dev);
    assert_eq!(some.flag_si, [0]);
    assert!(close(f64::from(some.snr_si[0]), 2.0 / 0.8_f64.sqrt(), 1e-7));
    host.ivar_sp[1800..1880].fill(0.0);
    let few = dev
        .median_snr_windows(&host.upload(dev), &GRID, &[(0, 0.0)], &window)
        .expect("the case is valid")
        .to_host(dev);
    assert_eq!((few.flag_si[0], few.snr_si[0].to_bits()), (flag::COVERAGE, 0));
}
