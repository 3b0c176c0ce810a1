//! Properties of `median_snr_windows`.

use specmill_kernels::{Backend, Band, Grid, flag};

use crate::cases::{AWKWARD, Draw, narrow, to_bits};
use crate::reference;
use crate::spectra::{GRID, Host, ToHost, band, close, waves};

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let both = |host: &Host, rows: &[(usize, f64)], windows: &[Band]| {
        let refused = "the case is valid";
        let ours = dev.median_snr_windows(&host.upload(dev), &host.grid, rows, windows).expect(refused);
        let theirs = cpu.median_snr_windows(&host.upload(&cpu), &host.grid, rows, windows).expect(refused);
        let ours = ours.to_host(dev);
        assert_eq!(to_bits(&ours.snr_si), to_bits(&theirs.snr_si), "{rows:?}");
        assert_eq!(ours.flag_si, theirs.flag_si, "{rows:?}");
    };
    let mut draw = Draw::new(1);
    let grid = Grid { n_pixels: 300, ..GRID };
    // A part of a pixel, one or two pixels, a warp's, an even and an odd number of them, and ones off the grid.
    let windows = [
        band(3640.1, 3640.3),
        band(3640.0, 3640.8),
        band(3640.0, 3641.7),
        band(3650.0, 3675.6),
        band(3650.0, 3676.4),
        band(3600.0, 3830.0),
        band(3500.0, 3700.0),
        band(3820.0, 3900.0),
    ];
    for n in AWKWARD {
        let mut host = Host::seeded(grid, 3, 5);
        for ivar in &mut host.ivar_sp {
            *ivar = if draw.chance(0.45) { 0.0 } else { *ivar };
        }
        let rows: Vec<(usize, f64)> = (0..n).map(|_| (draw.below(3), draw.unit() * 0.02 - 0.01)).collect();
        both(&host, &rows, &windows);
        both(&host, &rows, &[]);
    }
    // Ties, signed zeros, and any bits.
    let rows = [(0, 0.0), (1, 0.001), (2, 0.002)];
    let levels = [0.0, -0.0, 2.0, narrow(-1e30)];
    let mut host = Host::seeded(grid, 3, 6);
    host.flux_sp.iter_mut().for_each(|flux| *flux = levels[draw.below(4)]);
    both(&host, &rows, &windows);
    host.flux_sp.iter_mut().for_each(|flux| *flux = f32::from_bits(draw.word()));
    both(&host, &rows, &windows);
    host.ivar_sp.iter_mut().for_each(|ivar| *ivar = f32::from_bits(draw.word() >> 1));
    both(&host, &rows, &windows);
    // DESI's grid, and more pixels than a kernel keeps at hand.
    both(
        &Host::seeded(Grid::DESI, 2, 7),
        &[(1, 0.3), (0, 0.0)],
        &[band(5050.0, 5150.0), band(4000.0, 7000.0)],
    );
}

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
