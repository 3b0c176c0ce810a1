//! Each operation on its inputs, all outputs kept. None needs another to work.

use super::inputs::{
    ARMS, BREAKS, COARSE, CURVES, Draw, FINE, INDICES, LAYOUTS, LINES, ROWS, WINDOWS, arms, continuum,
    observed, spectra,
};
use super::{Output, Outputs};
use crate::ops::combine_arms::MaskRule;
use crate::ops::extinction::ExtinctionCurve;
use crate::ops::ivar_scale::ArmRanges;
use crate::ops::median_snr::SnrRanges;
use crate::ops::rest_frame::RestGrid;
use crate::ops::synthetic::FilterCurve;
use crate::{Backend, Grid, KernelError};

type Result<T> = std::result::Result<T, KernelError>;

/// An operation on its inputs.
type Run<B> = fn(&B) -> Result<Vec<Output>>;

/// Every operation under its name, in the order of [`Backend`].
pub(super) fn all<B: Backend>() -> [(&'static str, Run<B>); 16] {
    [
        ("combine_arms", combine_arms),
        ("median_snr_arms", median_snr_arms),
        ("count_pixels", count_pixels),
        ("correct_extinction", correct_extinction),
        ("to_rest_frame", to_rest_frame),
        ("measure_breaks", measure_breaks),
        ("measure_indices", measure_indices),
        ("measure_lines", measure_lines),
        ("running_median", running_median),
        ("median_snr_windows", median_snr_windows),
        ("ivar_scale", ivar_scale),
        ("synthetic_fluxes", synthetic_fluxes),
        ("normalize", normalize),
        ("project", project),
        ("update_basis", update_basis),
        ("nearest_neighbors", nearest_neighbors),
    ]
}

fn combine_arms<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let mut outputs = Outputs::of(dev);
    for (layout, layout_a) in LAYOUTS {
        let arms = arms(dev, layout_a)?;
        for rule in [MaskRule::Dr1, MaskRule::Masked, MaskRule::V070] {
            let combined = dev.combine_arms(&arms, &COARSE, rule)?;
            let case = format!("{layout} under `{rule}`");
            outputs.keep(format!("flux_sp {case}"), COARSE.n_pixels, &combined.flux_sp)?;
            outputs.keep(format!("ivar_sp {case}"), COARSE.n_pixels, &combined.ivar_sp)?;
            outputs.keep(format!("mask_sp {case}"), COARSE.n_pixels, &combined.mask_sp)?;
        }
    }
    Ok(outputs.kept)
}

fn median_snr_arms<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let mut outputs = Outputs::of(dev);
    for (layout, layout_a) in LAYOUTS {
        let snr_sa = dev.median_snr_arms(&arms(dev, layout_a)?, &COARSE, &SnrRanges::default())?;
        outputs.keep(format!("snr_sa {layout}"), 3, &snr_sa)?;
    }
    Ok(outputs.kept)
}

fn count_pixels<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let counts = dev.count_pixels(&spectra(dev, 5, 133)?)?;
    let mut outputs = Outputs::of(dev);
    outputs.keep("n_good_s", 1, &counts.n_good_s)?;
    outputs.keep("n_masked_s", 1, &counts.n_masked_s)?;
    Ok(outputs.kept)
}

fn correct_extinction<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let mut spectra = spectra(dev, 5, COARSE.n_pixels)?;
    let curve = ExtinctionCurve::fitzpatrick99(&COARSE);
    dev.correct_extinction(&mut spectra, &curve, &[0.31, 0.0, 1.7, 0.02, 0.1])?;
    let mut outputs = Outputs::of(dev);
    outputs.keep("flux_sp", COARSE.n_pixels, &spectra.flux_sp)?;
    outputs.keep("ivar_sp", COARSE.n_pixels, &spectra.ivar_sp)?;
    outputs.keep("mask_sp", COARSE.n_pixels, &spectra.mask_sp)?;
    Ok(outputs.kept)
}

fn to_rest_frame<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let grid = Grid { n_pixels: 133, ..FINE };
    let observed = spectra(dev, 4, grid.n_pixels)?;
    // Bins wider and narrower than a pixel, and some beyond the data.
    let mut outputs = Outputs::of(dev);
    for (bins, dlog10) in [("wide", 1e-3), ("narrow", 1e-4)] {
        let rest = RestGrid::log10(3150.0, 3450.0, dlog10)?;
        let moved =
            dev.to_rest_frame(&observed, &grid, &[(0, 0.15), (2, 0.1), (3, 0.13), (1, 0.162)], &rest)?;
        outputs.keep(format!("flux_sp of {bins} bins"), rest.n_bins(), &moved.flux_sp)?;
        outputs.keep(format!("ivar_sp of {bins} bins"), rest.n_bins(), &moved.ivar_sp)?;
    }
    Ok(outputs.kept)
}

fn measure_breaks<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let breaks = dev.measure_breaks(&observed(dev)?, &FINE, &ROWS, &BREAKS)?;
    let (mut outputs, n) = (Outputs::of(dev), BREAKS.len());
    outputs.keep("plain_si", n, &breaks.plain_si)?;
    outputs.keep("plain_ivar_si", n, &breaks.plain_ivar_si)?;
    outputs.keep("plain_flag_si", n, &breaks.plain_flag_si)?;
    outputs.keep("weighted_si", n, &breaks.weighted_si)?;
    outputs.keep("weighted_ivar_si", n, &breaks.weighted_ivar_si)?;
    outputs.keep("weighted_flag_si", n, &breaks.weighted_flag_si)?;
    Ok(outputs.kept)
}

fn measure_indices<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let indices = dev.measure_indices(&observed(dev)?, &FINE, &ROWS, &INDICES)?;
    let (mut outputs, n) = (Outputs::of(dev), INDICES.len());
    outputs.keep("value_si", n, &indices.value_si)?;
    outputs.keep("ivar_si", n, &indices.ivar_si)?;
    outputs.keep("good_fraction_si", n, &indices.good_fraction_si)?;
    outputs.keep("flag_si", n, &indices.flag_si)?;
    Ok(outputs.kept)
}

fn measure_lines<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let lines = dev.measure_lines(&observed(dev)?, &FINE, &ROWS, &LINES)?;
    let (mut outputs, n) = (Outputs::of(dev), LINES.len());
    outputs.keep("flux_sl", n, &lines.flux_sl)?;
    outputs.keep("flux_ivar_sl", n, &lines.flux_ivar_sl)?;
    outputs.keep("ew_sl", n, &lines.ew_sl)?;
    outputs.keep("ew_ivar_sl", n, &lines.ew_ivar_sl)?;
    outputs.keep("continuum_sl", n, &lines.continuum_sl)?;
    outputs.keep("continuum_ivar_sl", n, &lines.continuum_ivar_sl)?;
    outputs.keep("good_fraction_sl", n, &lines.good_fraction_sl)?;
    outputs.keep("flag_sl", n, &lines.flag_sl)?;
    Ok(outputs.kept)
}

fn running_median<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let continuum = dev.running_median(&observed(dev)?, &FINE, &ROWS, 100.0)?;
    let mut outputs = Outputs::of(dev);
    outputs.keep("flux_sp", FINE.n_pixels, &continuum.flux_sp)?;
    outputs.keep("valid_sp", FINE.n_pixels, &continuum.valid_sp)?;
    Ok(outputs.kept)
}

fn median_snr_windows<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let snr = dev.median_snr_windows(&observed(dev)?, &FINE, &ROWS, &WINDOWS)?;
    let mut outputs = Outputs::of(dev);
    outputs.keep("snr_si", WINDOWS.len(), &snr.snr_si)?;
    outputs.keep("flag_si", WINDOWS.len(), &snr.flag_si)?;
    Ok(outputs.kept)
}

fn ivar_scale<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let arms = ArmRanges { pixels_a: ARMS.to_vec() };
    let scale = dev.ivar_scale(&observed(dev)?, &ROWS, &continuum(dev)?, &arms)?;
    let mut outputs = Outputs::of(dev);
    outputs.keep("scale_sa", ARMS.len(), &scale.scale_sa)?;
    outputs.keep("n_pixels_sa", ARMS.len(), &scale.n_pixels_sa)?;
    outputs.keep("flag_sa", ARMS.len(), &scale.flag_sa)?;
    Ok(outputs.kept)
}

fn synthetic_fluxes<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let curves: Vec<FilterCurve> = CURVES
        .iter()
        .map(|(wave_aa, response)| FilterCurve::on_grid(&FINE, wave_aa, response))
        .collect::<Result<_>>()?;
    let rows = ROWS.map(|(row, _)| row);
    let synthetic = dev.synthetic_fluxes(&observed(dev)?, &rows, &curves)?;
    let (mut outputs, n) = (Outputs::of(dev), curves.len());
    outputs.keep("flux_sf", n, &synthetic.flux_sf)?;
    outputs.keep("ivar_sf", n, &synthetic.ivar_sf)?;
    outputs.keep("coverage_sf", n, &synthetic.coverage_sf)?;
    outputs.keep("flag_sf", n, &synthetic.flag_sf)?;
    Ok(outputs.kept)
}

fn normalize<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let n_pixels = 133;
    let mut mean_p = Draw::new(5).numbers(n_pixels);
    for (p, mean) in mean_p.iter_mut().enumerate() {
        // The model does not cover its first pixels.
        *mean = if p < 3 { 0.0 } else { *mean + 4.0 };
    }
    let normalized = dev.normalize(&spectra(dev, 5, n_pixels)?, &dev.upload(&mean_p)?)?;
    let mut outputs = Outputs::of(dev);
    outputs.keep("amplitude_s", 1, &normalized.amplitude_s)?;
    outputs.keep("amplitude_snr_s", 1, &normalized.amplitude_snr_s)?;
    outputs.keep("n_good_s", 1, &normalized.n_good_s)?;
    outputs.keep("residual_sp", n_pixels, &normalized.residual_sp)?;
    outputs.keep("weight_sp", n_pixels, &normalized.weight_sp)?;
    Ok(outputs.kept)
}

fn project<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    // More than one chunk of 128 pixels, and not a whole number of them.
    let n_pixels = 161;
    let spectra = spectra(dev, 7, n_pixels)?;
    let mut outputs = Outputs::of(dev);
    for k in [1, 5, 33] {
        let basis_kp = dev.upload(&Draw::new(6).numbers(k * n_pixels))?;
        let projection = dev.project(&spectra.weighted(), &basis_kp, k)?;
        outputs.keep(format!("coeff_sk of {k}"), k, &projection.coeff_sk)?;
        outputs.keep(format!("variance_sk of {k}"), k, &projection.variance_sk)?;
        outputs.keep(format!("gain_sk of {k}"), k, &projection.gain_sk)?;
        outputs.keep(format!("chi2_s of {k}"), 1, &projection.chi2_s)?;
        outputs.keep(format!("chi2_0_s of {k}"), 1, &projection.chi2_0_s)?;
        outputs.keep(format!("constraint_s of {k}"), 1, &projection.constraint_s)?;
        outputs.keep(format!("n_good_s of {k}"), 1, &projection.n_good_s)?;
    }
    Ok(outputs.kept)
}

fn update_basis<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    // More than one chunk of 128 spectra, and not a whole number of them.
    let (n_spectra, n_pixels) = (131, 35);
    let spectra = spectra(dev, n_spectra, n_pixels)?;
    let mut outputs = Outputs::of(dev);
    for k in [1, 5] {
        let mut coeff_sk = Draw::new(7).numbers(n_spectra * k);
        coeff_sk[3 * k..4 * k].fill(0.0);
        let update = dev.update_basis(&spectra.weighted(), &dev.upload(&coeff_sk)?, k)?;
        outputs.keep(format!("basis_kp of {k}"), n_pixels, &update.basis_kp)?;
        outputs.keep(format!("n_spectra_p of {k}"), n_pixels, &update.n_spectra_p)?;
    }
    Ok(outputs.kept)
}

fn nearest_neighbors<B: Backend>(dev: &B) -> Result<Vec<Output>> {
    let (n, d) = (71, 7);
    let mut vectors_nd = Draw::new(8).numbers(n * d);
    // Equal vectors are neighbours at 0, in order of rows.
    vectors_nd.copy_within(2 * d..3 * d, 9 * d);
    vectors_nd.copy_within(2 * d..3 * d, 40 * d);
    let vectors_nd = dev.upload(&vectors_nd)?;
    let mut outputs = Outputs::of(dev);
    // The second asks for more than there are.
    for k in [3, 75] {
        let nearest = dev.nearest_neighbors(&vectors_nd, d, 1..42, k)?;
        outputs.keep(format!("index_qk of {k}"), k, &nearest.index_qk)?;
        outputs.keep(format!("dist2_qk of {k}"), k, &nearest.dist2_qk)?;
    }
    Ok(outputs.kept)
}
