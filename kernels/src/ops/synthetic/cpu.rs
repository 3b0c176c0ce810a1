//! The CPU twin.

use rayon::prelude::*;

use super::{FLUX_PER_NANOMAGGY, FilterCurve, MIN_COVERAGE, Synthetic};
use crate::band::{Row, check_rows, flag, lane_sums, rounded, stored};
use crate::{Cpu, Grid, KernelError, SpectraBatch};

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
    let operation = "synthetic_fluxes";
    let n = observed.n_pixels;
    let grid = Grid { n_pixels: n, ..Grid::DESI };
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    let at_rest: Vec<(usize, f64)> = rows.iter().map(|&s| (s, 0.0)).collect();
    check_rows(operation, (observed.n_spectra, n), lengths, &grid, &at_rest)?;
    for curve in curves {
        let (expected, actual) = (n, curve.n_pixels);
        if actual != expected {
            return Err(KernelError::Shape { operation, array: "curve", axes: "p", expected, actual });
        }
    }

    let mut values_sf = vec![Flux::default(); rows.len() * curves.len()];
    if !values_sf.is_empty() {
        cpu.pool().install(|| {
            values_sf.par_chunks_mut(curves.len()).zip(rows).for_each(|(values_f, &s)| {
                let row = Row::of(&observed.flux_sp, &observed.ivar_sp, n, s);
                for (value, curve) in values_f.iter_mut().zip(curves) {
                    *value = measure(&row, curve);
                }
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

/// One curve on one spectrum.
fn measure(row: &Row, curve: &FilterCurve) -> Flux {
    let first = curve.first_pixel;
    let [energy, photon, variance] = lane_sums(first, first + curve.energy_p.len(), |p| {
        row.good(p).map_or([0.0; 3], |(flux, ivar)| {
            let weight = curve.energy_p[p - first];
            [weight * flux, curve.photon_p[p - first], weight * weight / ivar]
        })
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
