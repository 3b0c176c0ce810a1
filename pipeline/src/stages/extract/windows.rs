//! Measurements in windows of the combined spectrum: which bands, and their results as columns.

use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::ops::ivar_scale::ArmRanges;
use specmill_kernels::ops::lines::LineBands;
use specmill_kernels::ops::synthetic::FilterCurve;
use specmill_kernels::{Backend, Band, Grid, KernelError, SpectraBatch, flag};
use specmill_schemas::constants::{self, Break, Index, Line};
use specmill_schemas::features::{BANDS, SNR_WINDOWS_AA};

use crate::class::Class;

use super::measure::chosen;
use super::target::Verdict;
use super::unit::UnitContext;

/// Rest-frame width of the running median, Å: wide enough to span narrow lines, narrow enough to
/// follow a galaxy's continuum; QSOs have broad lines and smoother continua.
pub(crate) fn median_width_aa(class: Class) -> f64 {
    match class {
        Class::Galaxy | Class::Star => 100.0,
        Class::Qso => 200.0,
    }
}

/// Observed wavelengths that only one arm covers, Å, away from the overlaps and from the detector
/// edges' worst noise.
const LONE_ARM_AA: [(f64, f64); 3] = [(3800.0, 5760.0), (5800.0, 7520.0), (7620.0, 9700.0)];

/// Bits that leave a value in its column.
const MEASURED: u8 = flag::PARTIAL;

/// The bands of every measurement, as kernels want them, beside the names of their columns.
pub(super) struct WindowTables {
    pub(super) breaks: Vec<Break>,
    pub(super) indices: Vec<Index>,
    pub(super) lines: Vec<Line>,
    break_bands: Vec<BreakBands>,
    index_bands: Vec<IndexBands>,
    line_bands: Vec<LineBands>,
    snr_bands: Vec<Band>,
    arm_ranges: ArmRanges,
    south: Vec<FilterCurve>,
    north: Vec<FilterCurve>,
}

/// A value per row of the batch; `None` for rows and values that were not measured.
pub(super) type OptionalColumn = Vec<Option<f32>>;

/// Columns of one batch, by name, with one entry per row of the batch.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub(super) floats: Vec<(String, OptionalColumn)>,
    pub(super) flags: Vec<(String, Vec<Option<i16>>)>,
}

fn band((lo_aa, hi_aa): (f64, f64)) -> Band {
    Band { lo_aa, hi_aa }
}

impl WindowTables {
    /// The tables of this release of the constants, for a grid.
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
        let (breaks, indices, lines) = (constants::breaks(), constants::indices(), constants::lines());
        Ok(Self {
            break_bands: breaks
                .iter()
                .map(|item| BreakBands { blue: band(item.blue_aa), red: band(item.red_aa) })
                .collect(),
            index_bands: indices
                .iter()
                .map(|item| IndexBands {
                    band: band(item.band_aa),
                    blue: band(item.blue_aa),
                    red: band(item.red_aa),
                    kind: if item.is_magnitude { IndexKind::Ratio } else { IndexKind::Angstrom },
                })
                .collect(),
            line_bands: lines
                .iter()
                .map(|item| LineBands {
                    wave_aa: item.wave_aa,
                    window: band(item.window_aa),
                    blue: band(item.blue_aa),
                    red: band(item.red_aa),
                    blended: item.group.is_some(),
                })
                .collect(),
            snr_bands: SNR_WINDOWS_AA.iter().map(|(_, lo, hi)| band((*lo, *hi))).collect(),
            arm_ranges: ArmRanges {
                pixels_a: LONE_ARM_AA.iter().map(|range| pixels(grid, *range)).collect(),
            },
            south: curves(false)?,
            north: curves(true)?,
            breaks,
            indices,
            lines,
        })
    }

    /// Measures every window of the batch's chosen rows.
    pub(super) fn measure<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        verdict_s: &[Verdict],
    ) -> Result<Windows, KernelError> {
        let rows = chosen(verdict_s, None);
        let mut out = Scatter { rows: &rows, n_rows: verdict_s.len(), windows: Windows::default() };
        self.measure_breaks(dev, observed, grid, &mut out)?;
        self.measure_indices(dev, observed, grid, &mut out)?;
        self.measure_lines(dev, observed, grid, &mut out)?;
        let snr = dev.median_snr_windows(observed, grid, &rows, &self.snr_bands)?;
        let (value, flags) = (dev.download(&snr.snr_si)?, dev.download(&snr.flag_si)?);
        for (i, (wave, ..)) in SNR_WINDOWS_AA.iter().enumerate() {
            out.value(format!("snr_{wave}"), (&value, &flags), i, SNR_WINDOWS_AA.len());
        }
        let mut windows = out.windows;
        self.measure_ivar_scale(dev, observed, grid, verdict_s, &mut windows)?;
        Ok(windows)
    }

    fn measure_breaks<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        out: &mut Scatter<'_>,
    ) -> Result<(), KernelError> {
        let result = dev.measure_breaks(observed, grid, out.rows, &self.break_bands)?;
        let kinds = [
            ("", &result.plain_si, &result.plain_ivar_si, &result.plain_flag_si),
            ("_w", &result.weighted_si, &result.weighted_ivar_si, &result.weighted_flag_si),
        ];
        let n = self.breaks.len();
        for (suffix, value, ivar, flags) in kinds {
            let (value, ivar, flags) = (dev.download(value)?, dev.download(ivar)?, dev.download(flags)?);
            for (i, item) in self.breaks.iter().enumerate() {
                let name = format!("{}{suffix}", item.name);
                out.value(format!("{name}_ivar"), (&ivar, &flags), i, n);
                out.flags(format!("{name}_flag"), &flags, i, n);
                out.value(name, (&value, &flags), i, n);
            }
        }
        Ok(())
    }

    fn measure_indices<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        out: &mut Scatter<'_>,
    ) -> Result<(), KernelError> {
        let result = dev.measure_indices(observed, grid, out.rows, &self.index_bands)?;
        let mut value = dev.download(&result.value_si)?;
        let mut err: Vec<f32> = dev.download(&result.ivar_si)?;
        let good = dev.download(&result.good_fraction_si)?;
        let flags = dev.download(&result.flag_si)?;
        let n = self.indices.len();
        for (cell, (value, err)) in value.iter_mut().zip(&mut err).enumerate() {
            if flags[cell] & !MEASURED == 0 {
                (*value, *err) = index_and_error(*value, *err, self.indices[cell % n].is_magnitude);
            }
        }
        for (i, item) in self.indices.iter().enumerate() {
            let name = specmill_schemas::features::index_column(&item.name);
            out.value(format!("{name}_err"), (&err, &flags), i, n);
            out.on_spectrum(format!("{name}_good"), (&good, &flags), i, n);
            out.flags(format!("{name}_flag"), &flags, i, n);
            out.value(name, (&value, &flags), i, n);
        }
        out.windows.add_derived_indices();
        Ok(())
    }

    fn measure_lines<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        out: &mut Scatter<'_>,
    ) -> Result<(), KernelError> {
        let result = dev.measure_lines(observed, grid, out.rows, &self.line_bands)?;
        let flags = dev.download(&result.flag_sl)?;
        let n = self.lines.len();
        // A continuum that is not positive spoils the width, not the flux.
        let but_continuum: Vec<u8> = flags.iter().map(|bits| bits & !flag::CONTINUUM).collect();
        let columns = [
            ("flux", dev.download(&result.flux_sl)?, &but_continuum),
            ("flux_ivar", dev.download(&result.flux_ivar_sl)?, &but_continuum),
            ("ew", dev.download(&result.ew_sl)?, &flags),
            ("ew_ivar", dev.download(&result.ew_ivar_sl)?, &flags),
            ("cont", dev.download(&result.continuum_sl)?, &but_continuum),
        ];
        let good = dev.download(&result.good_fraction_sl)?;
        for (l, item) in self.lines.iter().enumerate() {
            for (suffix, values, flags) in &columns {
                out.value(format!("{}_{suffix}", item.name), (values, flags), l, n);
            }
            out.on_spectrum(format!("{}_good", item.name), (&good, &flags), l, n);
            out.flags(format!("{}_flag", item.name), &flags, l, n);
        }
        Ok(())
    }

    fn measure_ivar_scale<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        verdict_s: &[Verdict],
        windows: &mut Windows,
    ) -> Result<(), KernelError> {
        let mut columns: [OptionalColumn; 3] = [(); 3].map(|()| vec![None; verdict_s.len()]);
        for class in Class::ALL {
            let rows = chosen(verdict_s, Some(class));
            if rows.is_empty() {
                continue;
            }
            let continuum = dev.running_median(observed, grid, &rows, median_width_aa(class))?;
            let scale = dev.ivar_scale(observed, &rows, &continuum, &self.arm_ranges)?;
            let (scale_sa, flag_sa) = (dev.download(&scale.scale_sa)?, dev.download(&scale.flag_sa)?);
            for (i, (s, _)) in rows.iter().enumerate() {
                for (a, column) in columns.iter_mut().enumerate() {
                    column[*s] = (flag_sa[3 * i + a] == 0).then_some(scale_sa[3 * i + a]);
                }
            }
        }
        for (arm, column) in specmill_schemas::features::ARMS.iter().zip(columns) {
            windows.floats.push((format!("ivar_scale_{arm}"), column));
        }
        Ok(())
    }

    /// Synthetic photometry of the spectra as observed, before extinction is removed.
    pub(super) fn measure_synthetic<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        unit: &UnitContext,
        first_row: usize,
        rows: &[(usize, f64)],
    ) -> Result<Windows, KernelError> {
        let fibermap = &unit.fibermap;
        let is_north =
            |s: usize| fibermap.photsys.as_ref().is_some_and(|photsys| photsys[first_row + s] == "N");
        let n_rows = observed.n_spectra;
        let empty = || vec![None; n_rows];
        let mut flux_f = [empty(), empty(), empty()];
        let mut ivar_f = [empty(), empty(), empty()];
        let mut coverage_f = [empty(), empty(), empty()];
        for (curves, north) in [(&self.south, false), (&self.north, true)] {
            let chosen: Vec<usize> = rows.iter().map(|(s, _)| *s).filter(|s| is_north(*s) == north).collect();
            let result = dev.synthetic_fluxes(observed, &chosen, curves)?;
            let (flux, ivar) = (dev.download(&result.flux_sf)?, dev.download(&result.ivar_sf)?);
            let (coverage, flags) = (dev.download(&result.coverage_sf)?, dev.download(&result.flag_sf)?);
            for (i, s) in chosen.iter().enumerate() {
                for f in 0..BANDS.len() {
                    let cell = BANDS.len() * i + f;
                    let measured = flags[cell] & !MEASURED == 0;
                    flux_f[f][*s] = measured.then_some(flux[cell]);
                    ivar_f[f][*s] = measured.then_some(ivar[cell]);
                    coverage_f[f][*s] = Some(coverage[cell]);
                }
            }
        }
        let fiberflux = [&fibermap.fiberflux_g, &fibermap.fiberflux_r, &fibermap.fiberflux_z];
        let mut windows = Windows::default();
        for (f, band) in BANDS.iter().enumerate() {
            let ratio = (0..n_rows).map(|s| ratio(flux_f[f][s], fiberflux[f].as_ref()?.get(first_row + s)));
            windows.floats.push((format!("synth_fiber_ratio_{band}"), ratio.collect()));
        }
        for (f, band) in BANDS.iter().enumerate() {
            windows.floats.push((format!("synth_flux_{band}"), std::mem::take(&mut flux_f[f])));
            windows.floats.push((format!("synth_flux_ivar_{band}"), std::mem::take(&mut ivar_f[f])));
            windows.floats.push((format!("synth_coverage_{band}"), std::mem::take(&mut coverage_f[f])));
        }
        Ok(windows)
    }
}

/// Pixels whose centres lie in a half-open range of observed wavelengths.
fn pixels(grid: &Grid, (lo_aa, hi_aa): (f64, f64)) -> std::ops::Range<usize> {
    let count_below = |limit: f64| (0..grid.n_pixels).take_while(|p| grid.centre_aa(*p) < limit).count();
    count_below(lo_aa)..count_below(hi_aa)
}

fn ratio(synthetic: Option<f32>, fiberflux: Option<&f32>) -> Option<f32> {
    let (synthetic, fiberflux) = (synthetic?, *fiberflux?);
    (fiberflux > 0.0 && fiberflux.is_finite()).then(|| synthetic / fiberflux)
}

/// The index and its standard error from the kernel's value and ivar.
///
/// A molecular index is −2.5 log10 of the kernel's ratio (Worthey et al. 1994); its error follows
/// to first order.
fn index_and_error(value: f32, ivar: f32, is_magnitude: bool) -> (f32, f32) {
    let err = 1.0 / f64::from(ivar).sqrt();
    let value = f64::from(value);
    let (value, err) = if is_magnitude {
        (-2.5 * libm::log10(value), 2.5 / std::f64::consts::LN_10 * err / value)
    } else {
        (value, err)
    };
    #[expect(clippy::cast_possible_truncation, reason = "the column is single precision")]
    let rounded = (value as f32, err as f32);
    rounded
}

/// Spreads results of the chosen rows over all rows of the batch.
struct Scatter<'a> {
    rows: &'a [(usize, f64)],
    n_rows: usize,
    windows: Windows,
}

impl Scatter<'_> {
    fn spread<T: Copy>(&self, cell: impl Fn(usize) -> Option<T>) -> Vec<Option<T>> {
        let mut column = vec![None; self.n_rows];
        for (i, (s, _)) in self.rows.iter().enumerate() {
            column[*s] = cell(i);
        }
        column
    }

    /// A value that is NULL where its flag says it was not measured.
    fn value(&mut self, name: String, (values, flags): (&[f32], &[u8]), item: usize, n_items: usize) {
        let column = self.spread(|i| {
            let cell = i * n_items + item;
            (flags[cell] & !MEASURED == 0 && values[cell].is_finite()).then_some(values[cell])
        });
        self.windows.floats.push((name, column));
    }

    /// A value that is NULL only where the bands leave the spectrum.
    fn on_spectrum(&mut self, name: String, (values, flags): (&[f32], &[u8]), item: usize, n_items: usize) {
        let column = self.spread(|i| {
            let cell = i * n_items + item;
            (flags[cell] & flag::OUT_OF_RANGE == 0).then_some(values[cell])
        });
        self.windows.floats.push((name, column));
    }

    fn flags(&mut self, name: String, flags: &[u8], item: usize, n_items: usize) {
        let column = self.spread(|i| Some(i16::from(flags[i * n_items + item])));
        self.windows.flags.push((name, column));
    }
}

impl Windows {
    fn column(&self, name: &str) -> Option<&OptionalColumn> {
        self.floats.iter().find(|(own, _)| own == name).map(|(_, column)| column)
    }

    /// ⟨Fe⟩ and [MgFe] (González 1993), [MgFe]′ (Thomas et al. 2003).
    fn add_derived_indices(&mut self) {
        let columns = ["lick_mgb", "lick_fe5270", "lick_fe5335"].map(|name| self.column(name).cloned());
        let [Some(mgb), Some(fe5270), Some(fe5335)] = columns else { return };
        let each = |formula: fn(f32, f32, f32) -> Option<f32>| -> OptionalColumn {
            mgb.iter()
                .zip(fe5270.iter().zip(&fe5335))
                .map(|(mgb, (fe5270, fe5335))| formula((*mgb)?, (*fe5270)?, (*fe5335)?))
                .collect()
        };
        let fe_mean = each(|_, fe5270, fe5335| Some(0.5 * (fe5270 + fe5335)));
        let mgfe = each(|mgb, fe5270, fe5335| square_root(mgb * (0.5 * (fe5270 + fe5335))));
        let mgfe_prime = each(|mgb, fe5270, fe5335| square_root(mgb * (0.72 * fe5270 + 0.28 * fe5335)));
        self.floats.push(("lick_fe_mean".to_owned(), fe_mean));
        self.floats.push(("lick_mgfe".to_owned(), mgfe));
        self.floats.push(("lick_mgfe_prime".to_owned(), mgfe_prime));
    }
}

/// The root of a product that noise may have made negative.
fn square_root(product: f32) -> Option<f32> {
    (product >= 0.0).then(|| product.sqrt())
}
