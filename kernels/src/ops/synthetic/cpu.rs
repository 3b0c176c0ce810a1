//! The CPU twin.

use rayon::prelude::*;

use super::{FilterCurve, MIN_COVERAGE, Synthetic, check_request};
use crate::band::{Blocks, Row, flag, rounded, stored};
use crate::constants::FLUX_PER_NANOMAGGY;
use crate::lanes::{LANES, Lanes};
use crate::simd::{is_good, keep_f64_if, keep_if, simd_fn};
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
    let [energy, photon, variance] = curve_sums(row, curve);
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

/// Σ λT f, Σ T/λ and Σ (λT)²/ivar over the good pixels.
#[inline(always)]
fn curve_sums(row: &Row, curve: &FilterCurve) -> [f64; 3] {
    let n = curve.energy_p.len();
    let pixels = curve.first_pixel..curve.first_pixel + n;
    let (flux, ivar) = (Blocks::of(&row.flux_p[pixels.clone()]), Blocks::of(&row.ivar_p[pixels]));
    let (energy, photon) = (Blocks::of(&curve.energy_p), Blocks::of(&curve.photon_p));
    let [mut fluxes, mut photons, mut variances] = [Lanes([0.0; LANES]); 3];
    for b in 0..n.div_ceil(LANES) {
        let (flux_l, ivar_l) = (flux.block(b), ivar.block(b));
        let (energy_l, photon_l) = (energy.block(b), photon.block(b));
        for l in 0..LANES {
            let good = is_good(flux_l[l], ivar_l[l]);
            let flux = f64::from(keep_if(good, flux_l[l]));
            let variance = keep_f64_if(good, 1.0 / f64::from(ivar_l[l]));
            fluxes.0[l] += energy_l[l] * flux;
            photons.0[l] += keep_f64_if(good, photon_l[l]);
            variances.0[l] += energy_l[l] * energy_l[l] * variance;
        }
    }
    [fluxes.sum(), photons.sum(), variances.sum()]
}
