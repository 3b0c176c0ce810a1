//! The CPU twin.

use rayon::prelude::*;

use super::{FilterCurve, MIN_COVERAGE, Synthetic, check_request};
use crate::band::{Row, Span, flag, rounded, span_sums_with, stored};
use crate::constants::FLUX_PER_NANOMAGGY;
use crate::simd::simd_fn;
use crate::{Cpu, KernelError, SpectraBatch};

/// One synthetic flux as it is stored.
#[derive(Debug, Clone, Copy, Default)]
struct Flux {
    flux: f32,
    ivar: f32,
    coverage: f32,
    flag: u8,
}

/// See the module's head.
pub(crate) fn synthetic_fluxes(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    rows: &[usize],
    curves: &[FilterCurve],
) -> Result<Synthetic<Cpu>, KernelError> {
    let n = observed.n_pixels;
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_request((observed.n_spectra, n), lengths, rows, curves)?;

    let mut values_sf = vec![Flux::default(); rows.len() * curves.len()];
    if !values_sf.is_empty() {
        cpu.pool().install(|| {
            values_sf.par_chunks_mut(curves.len()).zip(rows).for_each(|(values_f, &s)| {
                let row = Row::of(&observed.flux_sp, &observed.ivar_sp, n, s);
                measure_row(cpu.simd(), &row, curves, values_f);
            });
        });
    }
    Ok(Synthetic {
        flux_sf: values_sf.iter().map(|value| value.flux).collect(),
        ivar_sf: values_sf.iter().map(|value| value.ivar).collect(),
        coverage_sf: values_sf.iter().map(|value| value.coverage).collect(),
        flag_sf: values_sf.iter().map(|value| value.flag).collect(),
    })
}

simd_fn! {
    fn measure_row(row: &Row, curves: &[FilterCurve], values_f: &mut [Flux]) = measure_row_body;
}

#[inline(always)]
fn measure_row_body(row: &Row, curves: &[FilterCurve], values_f: &mut [Flux]) {
    for (value, curve) in values_f.iter_mut().zip(curves) {
        *value = measure(row, curve);
    }
}

/// One curve on one spectrum.
#[inline(always)]
fn measure(row: &Row, curve: &FilterCurve) -> Flux {
    let pixels = Span::of_pixels(curve.first_pixel, curve.first_pixel + curve.energy_p.len());
    let responses = [&curve.energy_p[..], &curve.photon_p[..]];
    let [energy, photon, variance] = span_sums_with(row, &pixels, responses, |p, [energy, photon]| {
        [energy * p.flux, photon * p.part, energy * energy * p.variance]
    });
    let coverage = photon / curve.total_photon;
    let missing = |flag| Flux { flag, coverage: rounded(coverage), ..Flux::default() };
    if coverage < MIN_COVERAGE {
        return missing(flag::COVERAGE);
    }
    let norm = FLUX_PER_NANOMAGGY * photon;
    stored(energy / norm, variance / (norm * norm)).map_or(missing(flag::DEGENERATE), |(flux, ivar)| Flux {
        flux,
        ivar,
        coverage: rounded(coverage),
        flag: 0,
    })
}
