//! Synthetic photometry of the spectra as observed, before extinction is removed.

use specmill_kernels::ops::synthetic::FilterCurve;
use specmill_kernels::{Backend, Grid, KernelError, SpectraBatch};
use specmill_schemas::constants;
use specmill_schemas::features::BANDS;

use crate::columns::Columns;

use super::unit::UnitContext;
use super::windows::MEASURED;

/// Filter curves of both skies of the Legacy Surveys.
pub(super) struct Curves {
    south: Vec<FilterCurve>,
    north: Vec<FilterCurve>,
}

/// Synthetic photometry of one row, in the order of [`BANDS`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Photometry {
    flux_f: [Option<f32>; BANDS.len()],
    ivar_f: [Option<f32>; BANDS.len()],
    coverage_f: [Option<f32>; BANDS.len()],
}

impl Curves {
    /// The curves of this release of the constants, on a grid.
    ///
    /// # Errors
    /// Where a filter curve is unusable.
    pub(super) fn new(grid: &Grid) -> Result<Self, KernelError> {
        let curves = |north| -> Result<Vec<FilterCurve>, KernelError> {
            constants::filters(north)
                .iter()
                .map(|f| FilterCurve::on_grid(grid, &f.wave_aa, &f.response))
                .collect()
        };
        Ok(Self { south: curves(false)?, north: curves(true)? })
    }

    /// One entry per spectrum, empty for those that are not in `rows`; `first_row` is the file's row of the first.
    pub(super) fn measure<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        unit: &UnitContext,
        first_row: usize,
        rows: &[(usize, f64)],
    ) -> Result<Vec<Photometry>, KernelError> {
        let photsys = unit.fibermap.photsys.as_ref();
        let is_north = |s: usize| photsys.is_some_and(|photsys| photsys[first_row + s] == "N");
        let mut photometry_s = vec![Photometry::default(); observed.n_spectra];
        for (curves, north) in [(&self.south, false), (&self.north, true)] {
            let chosen: Vec<usize> = rows.iter().map(|(s, _)| *s).filter(|s| is_north(*s) == north).collect();
            if chosen.is_empty() {
                continue;
            }
            let result = dev.synthetic_fluxes(observed, &chosen, curves)?;
            let (flux, ivar) = (dev.fetch(result.flux_sf)?, dev.fetch(result.ivar_sf)?);
            let (coverage, flags) = (dev.fetch(result.coverage_sf)?, dev.fetch(result.flag_sf)?);
            for (i, s) in chosen.into_iter().enumerate() {
                let of_row = &mut photometry_s[s];
                for f in 0..BANDS.len() {
                    let cell = BANDS.len() * i + f;
                    let measured = flags[cell] & !MEASURED == 0;
                    of_row.flux_f[f] = measured.then_some(flux[cell]);
                    of_row.ivar_f[f] = measured.then_some(ivar[cell]);
                    of_row.coverage_f[f] = Some(coverage[cell]);
                }
            }
        }
        Ok(photometry_s)
    }
}

/// Adds the columns of some rows, of which `first_row` is the first.
pub(super) fn put_photometry(
    columns: &mut Columns,
    unit: &UnitContext,
    first_row: usize,
    photometry_s: &[Photometry],
) {
    let fibermap = &unit.fibermap;
    let fiberflux = [&fibermap.fiberflux_g, &fibermap.fiberflux_r, &fibermap.fiberflux_z];
    for (f, band) in BANDS.iter().enumerate() {
        let each = || photometry_s.iter();
        let ratios = each()
            .enumerate()
            .map(|(s, of_row)| ratio(of_row.flux_f[f], fiberflux[f].as_ref()?.get(first_row + s)));
        columns.float32(format!("synth_fiber_ratio_{band}"), ratios);
        columns.float32(format!("synth_flux_{band}"), each().map(|of_row| of_row.flux_f[f]));
        columns.float32(format!("synth_flux_ivar_{band}"), each().map(|of_row| of_row.ivar_f[f]));
        columns.float32(format!("synth_coverage_{band}"), each().map(|of_row| of_row.coverage_f[f]));
    }
}

fn ratio(synthetic: Option<f32>, fiberflux: Option<&f32>) -> Option<f32> {
    let (synthetic, fiberflux) = (synthetic?, *fiberflux?);
    (fiberflux > 0.0 && fiberflux.is_finite()).then(|| synthetic / fiberflux)
}
