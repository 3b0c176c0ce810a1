//! Properties of the operations on bands, judged on all their outputs at once.

use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::ops::ivar_scale::ArmRanges;
use specmill_kernels::ops::synthetic::FilterCurve;
use specmill_kernels::{Backend, Grid};

use crate::cases::Draw;
use crate::spectra::{BREAKS, EXTREME_ROWS, GRID, Host, INDICES, LINES, ROWS, ToHost, band, get};

/// All outputs of one row by name, and its bits.
#[derive(Debug, Clone, PartialEq)]
struct Outputs {
    /// (name, bits of the f32 or the flag); floats are marked.
    entries: Vec<(&'static str, bool, u32)>,
}

/// Every operation on chosen rows, by row.
fn measure<B: Backend>(dev: &B, host: &Host, rows: &[(usize, f64)]) -> Vec<Outputs> {
    let observed = host.upload(dev);
    let grid = &host.grid;
    let mut outputs = vec![Outputs { entries: Vec::new() }; rows.len()];
    let mut floats = |name, array: &B::Array<f32>| {
        let values = get(dev, array);
        for (i, row) in outputs.iter_mut().enumerate() {
            let per_row = values.len() / rows.len();
            let own = &values[i * per_row..(i + 1) * per_row];
            row.entries.extend(own.iter().map(|value| (name, true, value.to_bits())));
        }
    };

    let breaks = dev.measure_breaks(&observed, grid, rows, &BREAKS).expect("the case is valid");
    floats("break_plain", &breaks.plain_si);
    floats("break_plain_ivar", &breaks.plain_ivar_si);
    floats("break_weighted", &breaks.weighted_si);
    floats("break_weighted_ivar", &breaks.weighted_ivar_si);
    let indices = dev.measure_indices(&observed, grid, rows, &INDICES).expect("the case is valid");
    floats("index", &indices.value_si);
    floats("index_ivar", &indices.ivar_si);
    floats("index_good", &indices.good_fraction_si);
    let lines = dev.measure_lines(&observed, grid, rows, &LINES).expect("the case is valid");
    floats("line_flux", &lines.flux_sl);
    floats("line_flux_ivar", &lines.flux_ivar_sl);
    floats("line_ew", &lines.ew_sl);
    floats("line_ew_ivar", &lines.ew_ivar_sl);
    floats("line_continuum", &lines.continuum_sl);
    floats("line_continuum_ivar", &lines.continuum_ivar_sl);
    floats("line_good", &lines.good_fraction_sl);
    let continuum = dev.running_median(&observed, grid, rows, 100.0).expect("the case is valid");
    floats("median", &continuum.flux_sp);
    let snr =
        dev.median_snr_windows(&observed, grid, rows, &[band(5050.0, 5150.0)]).expect("the case is valid");
    floats("snr", &snr.snr_si);
    let arms = ArmRanges { pixels_a: vec![100..1600, 1600..3100] };
    let scale = dev.ivar_scale(&observed, rows, &continuum, &arms).expect("the case is valid");
    floats("scale", &scale.scale_sa);
    let curve = FilterCurve::on_grid(grid, &[4000.0, 4400.0, 5000.0, 5600.0], &[0.0, 1.0, 0.9, 0.0])
        .expect("the case is valid");
    let numbers: Vec<usize> = rows.iter().map(|&(s, _)| s).collect();
    let synthetic = dev.synthetic_fluxes(&observed, &numbers, &[curve]).expect("the case is valid");
    floats("synthetic", &synthetic.flux_sf);
    floats("synthetic_ivar", &synthetic.ivar_sf);
    floats("synthetic_coverage", &synthetic.coverage_sf);

    let mut flags = |name, array: &B::Array<u8>| {
        let values = get(dev, array);
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

/// Every output for a few spectra, as bits.
pub(crate) fn bits<B: Backend>(dev: &B) -> Vec<u32> {
    let outputs = measure(dev, &Host::seeded(GRID, 5, 9), &ROWS);
    outputs.iter().flat_map(|row| row.entries.iter().map(|&(_, _, bits)| bits)).collect()
}

pub(crate) fn masked_pixel_changes_nothing<B: Backend>(dev: &B) {
    let clean = Host::seeded(GRID, 5, 1);
    let mut dirty = clean.clone();
    for (p, (flux, ivar)) in dirty.flux_sp.iter_mut().zip(&clean.ivar_sp).enumerate() {
        if *ivar == 0.0 {
            *flux = [f32::NAN, f32::INFINITY, -1e30][p % 3];
        }
    }
    assert_eq!(measure(dev, &clean, &ROWS), measure(dev, &dirty, &ROWS));
}

pub(crate) fn one_batch_equals_many<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 5, 2);
    let together = measure(dev, &host, &ROWS);
    for (row, expected) in ROWS.iter().zip(&together) {
        assert_eq!(&measure(dev, &host, &[*row]), std::slice::from_ref(expected));
    }
}

pub(crate) fn no_rows_give_no_values<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 1, 4);
    assert!(measure(dev, &host, &[]).is_empty());
    let observed = host.upload(dev);
    let of_no_rows = dev.measure_lines(&observed, &GRID, &[], &LINES).expect("no rows are valid");
    assert!(of_no_rows.to_host(dev).flux_sl.is_empty());
    let of_no_lines = dev.measure_lines(&observed, &GRID, &ROWS[..1], &[]).expect("no lines are valid");
    assert!(of_no_lines.to_host(dev).flux_sl.is_empty());
}

pub(crate) fn permuting_rows_permutes<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 5, 3);
    let mut reversed: Vec<(usize, f64)> = ROWS.to_vec();
    reversed.reverse();
    let mut outputs = measure(dev, &host, &reversed);
    outputs.reverse();
    assert_eq!(measure(dev, &host, &ROWS), outputs);
}

pub(crate) fn everything_missing_gives_zero_and_a_flag<B: Backend>(dev: &B) {
    let mut host = Host::seeded(GRID, 1, 5);
    host.ivar_sp.fill(0.0);
    host.flux_sp.fill(f32::NAN);
    let [outputs] = &measure(dev, &host, &[(0, 0.1)])[..] else { panic!("one row") };
    for &(name, float, bits) in &outputs.entries {
        if float || name == "median_valid" {
            assert_eq!(bits, 0, "{name}");
        } else {
            assert_ne!(bits, 0, "{name}");
        }
    }
}

pub(crate) fn extreme_numbers_never_give_nan<B: Backend>(dev: &B) {
    let host = Host::extreme(GRID, 6);
    for (row, outputs) in EXTREME_ROWS.iter().zip(measure(dev, &host, &EXTREME_ROWS)) {
        for (name, float, bits) in outputs.entries {
            assert!(!float || f32::from_bits(bits).is_finite(), "{name} of {row:?}");
        }
    }
}

pub(crate) fn any_bits_give_finite_output<B: Backend>(dev: &B) {
    let mut draw = Draw::new(12);
    for _ in 0..20 {
        let mut any = || (0..GRID.n_pixels).map(|_| f32::from_bits(draw.word())).collect();
        let host = Host { grid: GRID, flux_sp: any(), ivar_sp: any() };
        for (name, float, bits) in &measure(dev, &host, &[(0, 0.1)])[0].entries {
            assert!(!float || f32::from_bits(*bits).is_finite(), "{name}");
        }
    }
}

pub(crate) fn scaling_flux_scales_flux_and_leaves_ratios<B: Backend>(dev: &B) {
    // A power of two scales without rounding, so that equality is exact.
    let host = Host::seeded(GRID, 5, 7);
    let mut scaled = host.clone();
    scaled.flux_sp.iter_mut().for_each(|flux| *flux *= 8.0);
    scaled.ivar_sp.iter_mut().for_each(|ivar| *ivar /= 64.0);
    for (a, b) in measure(dev, &host, &ROWS).iter().zip(measure(dev, &scaled, &ROWS)) {
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

pub(crate) fn some_of_everything_is_measured<B: Backend>(dev: &B) {
    // Guards the properties above against comparing nothing but missing values.
    let outputs = measure(dev, &Host::seeded(GRID, 5, 1), &ROWS);
    for (name, float, _) in &outputs[0].entries {
        let nonzero = outputs.iter().flat_map(|row| &row.entries).any(|(n, _, bits)| n == name && *bits != 0);
        assert!(nonzero || !float, "{name} is 0 in every row");
    }
}

pub(crate) fn impossible_requests_are_refused<B: Backend>(dev: &B) {
    let host = Host::seeded(GRID, 2, 8);
    let observed = host.upload(dev);
    for row in [(2, 0.1), (0, f64::NAN), (0, f64::INFINITY), (0, -1.0)] {
        assert!(dev.measure_breaks(&observed, &GRID, &[row], &BREAKS).is_err(), "{row:?}");
    }
    let longer = Grid { n_pixels: GRID.n_pixels + 1, ..GRID };
    assert!(dev.measure_breaks(&observed, &longer, &[(0, 0.1)], &BREAKS).is_err());
    let reversed = [BreakBands { blue: band(3950.0, 3850.0), ..BREAKS[0] }];
    assert!(dev.measure_breaks(&observed, &GRID, &[(0, 0.1)], &reversed).is_err());
    assert!(dev.running_median(&observed, &GRID, &[(0, 0.1)], 0.0).is_err());
    let arms = ArmRanges { pixels_a: vec![0..100, 0..GRID.n_pixels + 1] };
    let continuum = dev.running_median(&observed, &GRID, &[(0, 0.1)], 100.0).expect("the case is valid");
    assert!(dev.ivar_scale(&observed, &[(0, 0.1)], &continuum, &arms).is_err());
}
