//! The whole flow against golden values: desispec, desiutil and fastspecfit where they define a
//! quantity, independent f64 statements where they do not (`data-samples/golden/README.md`).
//!
//! The same comparisons serve the project's samples and, where this machine has them, the genuine
//! DESI coadds at every pixel.

mod case;
mod combined;
mod executor;
mod flow;
mod table;

pub(crate) use executor::{Run, coadds, run_file};
pub(crate) use table::Table;

use arrow::array::{Array, Float64Array};
use specmill_kernels::ops::extinction::{ExtinctionCurve, dust_transmission};
use specmill_kernels::{Backend, Cpu, Grid, SpectraBatch};

use case::Case;

/// The largest deviation seen, in units of its tolerance.
#[derive(Debug, Clone, Copy, Default)]
struct Worst {
    share: f64,
    compared: usize,
}

impl Worst {
    /// Compares two numbers; `what` names them where they differ by more than `tolerance`.
    fn compare(&mut self, ours: f64, golden: f64, tolerance: f64, what: impl Fn() -> String) {
        let difference = (ours - golden).abs();
        // Written so that a NaN fails.
        assert!(difference <= tolerance, "{}: {ours} but golden {golden} ± {tolerance:e}", what());
        if tolerance > 0.0 {
            self.share = self.share.max(difference / tolerance);
        }
        self.compared += 1;
    }
}

#[expect(clippy::print_stdout, reason = "how close values are is part of the result")]
fn report(line: &str) {
    println!("{line}");
}

#[test]
fn combined_samples_equal_desispec_under_every_mask_rule() {
    combined::compare(&Case::samples());
}

#[test]
fn combined_genuine_coadds_equal_desispec_under_every_mask_rule() {
    if let Some(case) = Case::real() {
        combined::compare(&case);
    }
}

#[test]
fn golden_samples_hold_the_pixels_on_which_the_rules_differ() {
    combined::check_that_goldens_are_telling(&Case::samples());
}

#[test]
fn features_and_spectra_of_the_samples_equal_their_references() {
    let quantities = flow::compare(&Case::samples());
    // There are 6 S/N, 3 breaks, 25 indices and 3 numbers for each of 29 windows; a few may be NULL everywhere.
    assert!(quantities.len() >= 115, "{quantities:?}");
    for quantity in ["dn4000_w", "d4000", "mgb", "halpha_nii_flux", "mgii_2800_flux", "oiii_5008_ew"] {
        assert!(quantities.contains(quantity), "{quantity}");
    }
}

#[test]
fn features_and_spectra_of_genuine_coadds_equal_their_references() {
    let Some(case) = Case::real() else { return };
    let quantities = flow::compare(&case);
    for quantity in ["dn4000_w", "mgb", "oii_3728_flux", "civ_1549_flux"] {
        assert!(quantities.contains(quantity), "{quantity}");
    }
}

#[test]
fn extinction_equals_desiutil() {
    let golden = Case::samples().golden("dust");
    let (ebv, wave) = (golden.column::<Float64Array>("ebv"), golden.column::<Float64Array>("wave_aa"));
    let transmission = golden.column::<Float64Array>("transmission");
    // Both are f64 statements of one formula; a millionth is far below DESI's calibration.
    const TOLERANCE: f64 = 1e-6;
    let mut formula = Worst::default();
    let mut applied = Worst::default();
    let dev = Cpu::new(1).unwrap();
    let curve = ExtinctionCurve::fitzpatrick99(&Grid::DESI);
    for ebv_wanted in [0.0, 0.01, 0.05, 0.2, 1.0_f32] {
        let mut ones = SpectraBatch {
            n_spectra: 1,
            n_pixels: Grid::DESI.n_pixels,
            flux_sp: vec![1.0; Grid::DESI.n_pixels],
            ivar_sp: vec![1.0; Grid::DESI.n_pixels],
            mask_sp: vec![0; Grid::DESI.n_pixels],
        };
        dev.correct_extinction(&mut ones, &curve, &[ebv_wanted]).unwrap();
        for i in 0..golden.len() {
            if (ebv.value(i) - f64::from(ebv_wanted)).abs() > 1e-6 {
                continue;
            }
            let (wave_aa, expected) = (wave.value(i), transmission.value(i));
            let what = || format!("transmission at {wave_aa} Å for E(B-V) {ebv_wanted}");
            let ours = dust_transmission(wave_aa, ebv.value(i));
            formula.compare(ours, expected, TOLERANCE * expected, what);
            let pixel = combined::pixel_at(wave_aa);
            let through = 1.0 / f64::from(ones.flux_sp[pixel]);
            // E(B-V) itself is f32 here: 6e-8 of an exponent of up to 3.8.
            applied.compare(through, expected, TOLERANCE * expected, what);
            let squared = f64::from(ones.ivar_sp[pixel]);
            applied.compare(squared, expected * expected, 2.0 * TOLERANCE * expected * expected, what);
        }
    }
    assert_eq!(formula.compared, golden.len());
    assert_eq!(transmission.null_count(), 0);
    report(&format!("dust: {formula:?}, applied in f32: {applied:?}"));
}
