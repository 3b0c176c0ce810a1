//! Properties that every operation of this suite has, judged on all their outputs at once.

use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::ops::ivar_scale::ArmRanges;
use specmill_kernels::ops::lines::LineBands;
use specmill_kernels::ops::synthetic::FilterCurve;
use specmill_kernels::{Backend, Cpu, Grid};

use super::{Host, band};

/// All outputs of one row by name, and its bits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outputs {
    /// (name, bits of the f32 or the flag); floats are marked.
    entries: Vec<(&'static str, bool, u32)>,
}

pub(crate) const BREAKS: [BreakBands; 2] = [
    BreakBands { blue: band(3850.0, 3950.0), red: band(4000.0, 4100.0) },
    BreakBands { blue: band(3750.0, 3950.0), red: band(4050.0, 4250.0) },
];

pub(crate) const INDICES: [IndexBands; 3] = [
    IndexBands {
        band: band(4084.65, 4123.41),
        blue: band(4042.74, 4080.90),
        red: band(4129.66, 4162.17),
        kind: IndexKind::Angstrom,
    },
    // Mgb: the band shares pixels with both sidebands.
    IndexBands {
        band: band(5161.56, 5194.07),
        blue: band(5144.06, 5162.81),
        red: band(5192.82, 5207.82),
        kind: IndexKind::Angstrom,
    },
    IndexBands {
        band: band(4143.29, 4178.30),
        blue: band(4081.28, 4118.79),
        red: band(4245.32, 4285.33),
        kind: IndexKind::Ratio,
    },
];

pub(crate) const LINES: [LineBands; 3] = [
    LineBands {
        wave_aa: 5008.24,
        window: band(4999.89, 5016.59),
        blue: band(4972.0, 4996.0),
        red: band(5024.9, 5050.0),
        blended: false,
    },
    // MgII: the window shares its outermost pixels with the sidebands.
    LineBands {
        wave_aa: 2799.94,
        window: band(2700.0, 2900.0),
        blue: band(2640.0, 2700.0),
        red: band(2900.0, 2960.0),
        blended: false,
    },
    LineBands {
        wave_aa: 3727.1,
        window: band(3720.9, 3733.3),
        blue: band(3696.0, 3714.7),
        red: band(3742.3, 3761.0),
        blended: true,
    },
];

/// Every operation on chosen rows, by row.
fn measure<B: Backend>(dev: &B, host: &Host, rows: &[(usize, f64)]) -> Vec<Outputs> {
    let observed = host.upload(dev);
    let grid = &host.grid;
    let mut outputs = vec![Outputs { entries: Vec::new() }; rows.len()];
    let mut floats = |name, array: &B::Array<f32>| {
        let values = dev.download(array).unwrap();
        for (i, row) in outputs.iter_mut().enumerate() {
            let per_row = values.len() / rows.len();
            let own = &values[i * per_row..(i + 1) * per_row];
            row.entries.extend(own.iter().map(|value| (name, true, value.to_bits())));
        }
    };

    let breaks = dev.measure_breaks(&observed, grid, rows, &BREAKS).unwrap();
    floats("break_plain", &breaks.plain_si);
    floats("break_plain_ivar", &breaks.plain_ivar_si);
    floats("break_weighted", &breaks.weighted_si);
    floats("break_weighted_ivar", &breaks.weighted_ivar_si);
    let indices = dev.measure_indices(&observed, grid, rows, &INDICES).unwrap();
    floats("index", &indices.value_si);
    floats("index_ivar", &indices.ivar_si);
    floats("index_good", &indices.good_fraction_si);
    let lines = dev.measure_lines(&observed, grid, rows, &LINES).unwrap();
    floats("line_flux", &lines.flux_sl);
    floats("line_flux_ivar", &lines.flux_ivar_sl);
    floats("line_ew", &lines.ew_sl);
    floats("line_ew_ivar", &lines.ew_ivar_sl);
    floats("line_continuum", &lines.continuum_sl);
    floats("line_continuum_ivar", &lines.continuum_ivar_sl);
    floats("line_good", &lines.good_fraction_sl);
    let continuum = dev.running_median(&observed, grid, rows, 100.0).unwrap();
    floats("median", &continuum.flux_sp);
    let snr = dev.median_snr_windows(&observed, grid, rows, &[band(5050.0, 5150.0)]).unwrap();
    floats("snr", &snr.snr_si);
    let arms = ArmRanges { pixels_a: vec![100..1600, 1600..3100] };
    let scale = dev.ivar_scale(&observed, rows, &continuum, &arms).unwrap();
    floats("scale", &scale.scale_sa);
    let curve = FilterCurve::on_grid(grid, &[4000.0, 4400.0, 5000.0, 5600.0], &[0.0, 1.0, 0.9, 0.0]).unwrap();
    let numbers: Vec<usize> = rows.iter().map(|&(s, _)| s).collect();
    let synthetic = dev.synthetic_fluxes(&observed, &numbers, &[curve]).unwrap();
    floats("synthetic", &synthetic.flux_sf);
    floats("synthetic_ivar", &synthetic.ivar_sf);
    floats("synthetic_coverage", &synthetic.coverage_sf);

    let mut flags = |name, array: &B::Array<u8>| {
        let values = dev.download(array).unwrap();
        for (i, row) in outputs.iter_mut().enumerate() {
            let per_row = values.len() / rows.len();
            let own = &values[i * per_row..(i + 1) * per_row];
            row.entries.extend(own.iter().map(|&value| (name, false, u32::from(value))));
        }
    };
    flags("break_plain_flag", &breaks.plain_flag_si);
    flags("break_weighted_flag", &breaks.weighted_flag_si);
    flags("index_flag", &indices.flag_si);
    flags("line_flag", &lines.flag_sl);
    flags("median_valid", &continuum.valid_sp);
    flags("snr_flag", &snr.flag_si);
    flags("scale_flag", &scale.flag_sa);
    flags("synthetic_flag", &synthetic.flag_sf);
    outputs
}

/// 3200 pixels from 3600 Å: every band of this suite fits at some redshift of [`ROWS`].
const GRID: Grid = Grid { first_aa: 3600.0, step_aa: 0.8, n_pixels: 3200 };

const ROWS: [(usize, f64); 7] =
    [(0, 0.0), (1, 0.05), (2, 0.1), (3, 0.137_21), (4, 0.4), (0, 0.9), (2, 0.173)];

fn cpu() -> Cpu {
    Cpu::new(2).unwrap()
}

#[test]
fn masked_pixel_changes_nothing() {
    let clean = Host::seeded(GRID, 5, 1);
    let mut dirty = clean.clone();
    for (p, (flux, ivar)) in dirty.flux_sp.iter_mut().zip(&clean.ivar_sp).enumerate() {
        if *ivar == 0.0 {
            *flux = [f32::NAN, f32::INFINITY, -1e30][p % 3];
        }
    }
    assert_eq!(measure(&cpu(), &clean, &ROWS), measure(&cpu(), &dirty, &ROWS));
}

#[test]
fn one_batch_equals_many() {
    let host = Host::seeded(GRID, 5, 2);
    let together = measure(&cpu(), &host, &ROWS);
    for (row, expected) in ROWS.iter().zip(&together) {
        assert_eq!(&measure(&cpu(), &host, &[*row]), std::slice::from_ref(expected));
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let host = Host::seeded(GRID, 5, 3);
    let alone = measure(&Cpu::new(1).unwrap(), &host, &ROWS);
    for threads in [2, 8] {
        assert_eq!(alone, measure(&Cpu::new(threads).unwrap(), &host, &ROWS), "{threads} threads");
    }
}

#[test]
fn no_rows_give_no_values() {
    let host = Host::seeded(GRID, 1, 4);
    let dev = cpu();
    assert!(measure(&dev, &host, &[]).is_empty());
    let observed = host.upload(&dev);
    let lines = dev.measure_lines(&observed, &GRID, &[], &LINES).unwrap();
    assert!(lines.flux_sl.is_empty() && lines.flag_sl.is_empty());
    let none = dev.measure_lines(&observed, &GRID, &ROWS[..1], &[]).unwrap();
    assert!(none.flux_sl.is_empty());
}

#[test]
fn everything_missing_gives_zero_and_a_flag() {
    let mut host = Host::seeded(GRID, 1, 5);
    host.ivar_sp.fill(0.0);
    host.flux_sp.fill(f32::NAN);
    let [outputs] = &measure(&cpu(), &host, &[(0, 0.1)])[..] else { panic!("one row") };
    for &(name, float, bits) in &outputs.entries {
        if float || name == "median_valid" {
            assert_eq!(bits, 0, "{name}");
        } else {
            assert_ne!(bits, 0, "{name}");
        }
    }
}

#[test]
fn extreme_numbers_never_give_nan() {
    let mut host = Host::seeded(GRID, 4, 6);
    let n = GRID.n_pixels;
    for flux in &mut host.flux_sp[..n] {
        *flux *= 1e37;
    }
    for (flux, ivar) in host.flux_sp[n..2 * n].iter_mut().zip(&mut host.ivar_sp[n..2 * n]) {
        (*flux, *ivar) = (0.0, f32::MIN_POSITIVE * *ivar);
    }
    for (flux, ivar) in host.flux_sp[2 * n..3 * n].iter_mut().zip(&mut host.ivar_sp[2 * n..3 * n]) {
        (*flux, *ivar) = (-*flux, 1e35 * *ivar);
    }
    let rows = [(0, 0.1), (1, 0.1), (2, 0.1), (3, 1e6), (3, -0.999_999), (3, 1e300)];
    for (row, outputs) in rows.iter().zip(measure(&cpu(), &host, &rows)) {
        for (name, float, bits) in outputs.entries {
            assert!(!float || f32::from_bits(bits).is_finite(), "{name} of {row:?}");
        }
    }
}

#[test]
fn scaling_flux_scales_flux_and_leaves_ratios() {
    // A power of two scales without rounding, so that equality is exact.
    let host = Host::seeded(GRID, 5, 7);
    let mut scaled = host.clone();
    scaled.flux_sp.iter_mut().for_each(|flux| *flux *= 8.0);
    scaled.ivar_sp.iter_mut().for_each(|ivar| *ivar /= 64.0);
    for (a, b) in measure(&cpu(), &host, &ROWS).iter().zip(measure(&cpu(), &scaled, &ROWS)) {
        for (&(name, float, bits), (_, _, scaled_bits)) in a.entries.iter().zip(b.entries) {
            let factor = match name {
                "line_flux" | "line_continuum" | "median" | "synthetic" => 8.0,
                "line_flux_ivar" | "line_continuum_ivar" | "synthetic_ivar" => 1.0 / 64.0,
                _ => 1.0,
            };
            let expected = if float { (f32::from_bits(bits) * factor).to_bits() } else { bits };
            assert_eq!(expected, scaled_bits, "{name}");
        }
    }
}

#[test]
fn some_of_everything_is_measured() {
    // Guards the properties above against comparing nothing but missing values.
    let outputs = measure(&cpu(), &Host::seeded(GRID, 5, 1), &ROWS);
    for (name, float, _) in &outputs[0].entries {
        let nonzero = outputs.iter().flat_map(|row| &row.entries).any(|(n, _, bits)| n == name && *bits != 0);
        assert!(nonzero || !float, "{name} is 0 in every row");
    }
}

#[test]
fn impossible_requests_are_refused() {
    let host = Host::seeded(GRID, 2, 8);
    let dev = cpu();
    let observed = host.upload(&dev);
    for row in [(2, 0.1), (0, f64::NAN), (0, f64::INFINITY), (0, -1.0)] {
        assert!(dev.measure_breaks(&observed, &GRID, &[row], &BREAKS).is_err(), "{row:?}");
    }
    let longer = Grid { n_pixels: GRID.n_pixels + 1, ..GRID };
    assert!(dev.measure_breaks(&observed, &longer, &[(0, 0.1)], &BREAKS).is_err());
    let reversed = [BreakBands { blue: band(3950.0, 3850.0), ..BREAKS[0] }];
    assert!(dev.measure_breaks(&observed, &GRID, &[(0, 0.1)], &reversed).is_err());
    assert!(dev.running_median(&observed, &GRID, &[(0, 0.1)], 0.0).is_err());
    let arms = ArmRanges { pixels_a: vec![0..GRID.n_pixels + 1] };
    let continuum = dev.running_median(&observed, &GRID, &[(0, 0.1)], 100.0).unwrap();
    assert!(dev.ivar_scale(&observed, &[(0, 0.1)], &continuum, &arms).is_err());
}
