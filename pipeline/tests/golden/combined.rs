//! Arms combined by the kernel against `combined.parquet`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::{Float32Array, Float64Array, Int32Array, UInt32Array};
use specmill::fits::{CoaddBatch, CoaddFile};
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::{ArmSpectra, Backend, Cpu, Grid, SpectraBatch};

use super::case::Case;
use super::{Worst, coadds, report};

/// Three f32 roundings of the larger of two fluxes (ORACLES: measured 1.7e-7).
const FLUX_TOLERANCE: f64 = 3e-7;
/// Two f32 roundings of a sum of positive numbers (measured 6e-8).
const IVAR_TOLERANCE: f64 = 2e-7;
/// The overlaps of the arms, Å.
const OVERLAPS_AA: [(f64, f64); 2] = [(5760.0, 5800.0), (7520.0, 7620.0)];
const RULES: [MaskRule; 3] = [MaskRule::Dr1, MaskRule::Masked, MaskRule::V070];

/// The pixel of the combined grid centred on a wavelength.
pub(super) fn pixel_at(wave_aa: f64) -> usize {
    (0..Grid::DESI.n_pixels).find(|&p| (Grid::DESI.centre_aa(p) - wave_aa).abs() < 0.1).unwrap()
}

/// All rows of a coadd, combined under each rule.
fn combine(dev: &Cpu, path: &Path) -> BTreeMap<String, SpectraBatch<Cpu>> {
    let mut coadd = CoaddFile::open(path).unwrap();
    let fiberstatus = coadd.fibermap().unwrap().coadd_fiberstatus;
    let fiberstatus = fiberstatus.unwrap_or_else(|| vec![0; coadd.n_rows()]);
    let mut batch = CoaddBatch::default();
    coadd.read_rows(0..coadd.n_rows(), &mut batch).unwrap();
    let arms = ArmSpectra::upload(dev, &batch.arms, &fiberstatus).unwrap();
    let combined = |rule: MaskRule| dev.combine_arms(&arms, &Grid::DESI, rule).unwrap();
    RULES.iter().map(|&rule| (rule.to_string(), combined(rule))).collect()
}

pub(super) fn compare(case: &Case) {
    let golden = case.golden("combined");
    let (unit, rule) = (golden.text("unit"), golden.text("rule"));
    let (row, pixel) = (golden.column::<Int32Array>("row"), golden.column::<Int32Array>("pixel"));
    let (flux, ivar) = (golden.column::<Float64Array>("flux"), golden.column::<Float64Array>("ivar"));
    let mask = golden.column::<UInt32Array>("mask");
    let scale = golden.column::<Float32Array>("flux_scale");

    let dev = Cpu::new(0).unwrap();
    let files: BTreeMap<String, _> =
        coadds(&case.root).into_iter().map(|(unit, path)| (unit.to_string(), combine(&dev, &path))).collect();
    let theirs: BTreeSet<&str> = unit.iter().flatten().collect();
    assert_eq!(theirs, files.keys().map(String::as_str).collect(), "goldens are of another tree");

    let (mut flux_worst, mut ivar_worst) = (Worst::default(), Worst::default());
    for i in 0..golden.len() {
        let spectra = &files[unit.value(i)][rule.value(i)];
        let (row, pixel) = (usize::try_from(row.value(i)).unwrap(), usize::try_from(pixel.value(i)).unwrap());
        let p = row * spectra.n_pixels + pixel;
        let what = || format!("{} row {row} rule {} pixel {pixel}", unit.value(i), rule.value(i));
        let tolerance = FLUX_TOLERANCE * f64::from(scale.value(i));
        flux_worst.compare(f64::from(spectra.flux_sp[p]), flux.value(i), tolerance, || what() + " flux");
        let tolerance = IVAR_TOLERANCE * ivar.value(i);
        ivar_worst.compare(f64::from(spectra.ivar_sp[p]), ivar.value(i), tolerance, || what() + " ivar");
        assert_eq!(spectra.mask_sp[p], mask.value(i), "{} mask", what());
    }
    report(&format!("combined: flux {flux_worst:?}, ivar {ivar_worst:?}"));
}

/// A golden table on which a wrong rule could pass would prove nothing.
pub(super) fn check_that_goldens_are_telling(case: &Case) {
    let golden = case.golden("combined");
    let (unit, rule) = (golden.text("unit"), golden.text("rule"));
    let (row, pixel) = (golden.column::<Int32Array>("row"), golden.column::<Int32Array>("pixel"));
    let (flux, ivar) = (golden.column::<Float64Array>("flux"), golden.column::<Float64Array>("ivar"));
    let mask = golden.column::<UInt32Array>("mask");

    let mut by_pixel: BTreeMap<_, BTreeMap<&str, usize>> = BTreeMap::new();
    for i in 0..golden.len() {
        let key = (unit.value(i), row.value(i), pixel.value(i));
        by_pixel.entry(key).or_default().insert(rule.value(i), i);
    }
    let (mut fell_back, mut lost, mut shared_differ) = (0, 0, 0);
    let mut overlaps = [0; 2];
    for ((.., pixel), at) in &by_pixel {
        assert_eq!(at.len(), RULES.len(), "every rule states every pixel");
        let wave_aa = Grid::DESI.centre_aa(usize::try_from(*pixel).unwrap());
        let overlap = OVERLAPS_AA.iter().position(|(lo, hi)| (*lo..=*hi).contains(&wave_aa));
        let [dr1, masked, v070] = ["dr1", "masked", "0.70"].map(|rule| at[rule]);
        if let Some(overlap) = overlap {
            overlaps[overlap] += usize::from(ivar.value(v070) > 0.0);
            // One arm masked, the other not: every rule but 0.70 leaves the masked arm out.
            let differ = (flux.value(masked) - flux.value(v070)).abs() > 1e-6 * flux.value(v070).abs();
            shared_differ += usize::from(differ && ivar.value(masked) < 0.999 * ivar.value(v070));
        }
        fell_back += usize::from(mask.value(masked) != 0 && ivar.value(masked) > 0.0);
        lost += usize::from(ivar.value(masked) > 0.0 && ivar.value(dr1) == 0.0);
    }
    let counts = format!(
        "mask set and ivar > 0: {fell_back} pixels; lost by dr1 alone: {lost}; overlap pixels: {overlaps:?}; \
         overlap pixels on which an arm is masked: {shared_differ}"
    );
    report(&counts);
    assert!(fell_back >= 20 && lost >= 20 && overlaps.iter().all(|n| *n >= 500), "{counts}");
    assert!(shared_differ >= 1, "{counts}");
}
