//! Measurements in windows of the combined spectrum: which bands, and their results as columns.

use std::sync::Arc;

use arrow::array::Int16Array;
use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::ops::ivar_scale::ArmRanges;
use specmill_kernels::ops::lines::LineBands;
use specmill_kernels::{Backend, Band, Grid, KernelError, SpectraBatch, flag};
use specmill_schemas::constants::{self, Break, Index, Line};
use specmill_schemas::features::{ARMS, SNR_WINDOWS_AA};

use crate::class::Class;
use crate::columns::Columns;

use super::measure::chosen;
use super::photometry::Curves;
use super::target::Verdict;

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
pub(super) const MEASURED: u8 = flag::PARTIAL;

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
    pub(super) curves: Curves,
}

/// Numbers that the same bands gave, [s, i] each, and the flags they share.
#[derive(Debug)]
struct Values<const K: usize> {
    values: [Vec<f32>; K],
    flags: Vec<u8>,
}

/// What the bands of some rows gave; but for the last, of the measured ones alone.
#[derive(Debug, Default)]
pub(super) struct BandNumbers {
    /// Value and ivar, plain and weighted.
    breaks: [Values<2>; 2],
    /// Value, its error and the share of good pixels.
    indices: Values<3>,
    /// In the order of [`LINE_VALUES`], then the share of good pixels.
    lines: Values<6>,
    snr: Values<1>,
    /// Of every row, [s, a].
    ivar_scale_sa: Vec<[Option<f32>; 3]>,
}

/// What there is of each line, as its columns end.
const LINE_VALUES: [&str; 5] = ["flux", "flux_ivar", "ew", "ew_ivar", "cont"];

impl<const K: usize> Default for Values<K> {
    fn default() -> Self {
        Self { values: [const { Vec::new() }; K], flags: Vec::new() }
    }
}

impl<const K: usize> Values<K> {
    fn new<B: Backend>(
        dev: &B,
        values: [B::Array<f32>; K],
        flags: B::Array<u8>,
    ) -> Result<Self, KernelError> {
        let mut host = Self { flags: dev.fetch(flags)?, ..Self::default() };
        for (host, values) in host.values.iter_mut().zip(values) {
            *host = dev.fetch(values)?;
        }
        Ok(host)
    }

    fn append(&mut self, next: Self) {
        for (values, next) in self.values.iter_mut().zip(next.values) {
            values.extend(next);
        }
        self.flags.extend(next.flags);
    }

    /// Value `k` of cell `i`; `None` where its flag says that it was not measured.
    fn measured(&self, k: usize, i: usize) -> Option<f32> {
        let value = self.values[k][i];
        (self.flags[i] & !MEASURED == 0 && value.is_finite()).then_some(value)
    }

    /// Value `k` of cell `i`; `None` only where the bands leave the spectrum.
    fn on_spectrum(&self, k: usize, i: usize) -> Option<f32> {
        (self.flags[i] & flag::OUT_OF_RANGE == 0).then_some(self.values[k][i])
    }
}

impl BandNumbers {
    /// Adds the rows that follow.
    pub(super) fn append(&mut self, next: Self) {
        for (values, next) in self.breaks.iter_mut().zip(next.breaks) {
            values.append(next);
        }
        self.indices.append(next.indices);
        self.lines.append(next.lines);
        self.snr.append(next.snr);
        self.ivar_scale_sa.extend(next.ivar_scale_sa);
    }
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
            curves: Curves::new(grid)?,
            breaks,
            indices,
            lines,
        })
    }

    /// Measures every window of the spectra that are to be measured.
    ///
    /// # Errors
    /// Where the device fails.
    pub(super) fn measure<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        verdict_s: &[Verdict],
    ) -> Result<BandNumbers, KernelError> {
        let rows = chosen(verdict_s, None);
        let breaks = dev.measure_breaks(observed, grid, &rows, &self.break_bands)?;
        let lines = dev.measure_lines(observed, grid, &rows, &self.line_bands)?;
        let line_values = [
            lines.flux_sl,
            lines.flux_ivar_sl,
            lines.ew_sl,
            lines.ew_ivar_sl,
            lines.continuum_sl,
            lines.good_fraction_sl,
        ];
        let snr = dev.median_snr_windows(observed, grid, &rows, &self.snr_bands)?;
        Ok(BandNumbers {
            breaks: [
                Values::new(dev, [breaks.plain_si, breaks.plain_ivar_si], breaks.plain_flag_si)?,
                Values::new(dev, [breaks.weighted_si, breaks.weighted_ivar_si], breaks.weighted_flag_si)?,
            ],
            indices: self.measure_indices(dev, observed, grid, &rows)?,
            lines: Values::new(dev, line_values, lines.flag_sl)?,
            snr: Values::new(dev, [snr.snr_si], snr.flag_si)?,
            ivar_scale_sa: self.measure_ivar_scale(dev, observed, grid, verdict_s)?,
        })
    }

    fn measure_indices<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        rows: &[(usize, f64)],
    ) -> Result<Values<3>, KernelError> {
        let result = dev.measure_indices(observed, grid, rows, &self.index_bands)?;
        let values = [result.value_si, result.ivar_si, result.good_fraction_si];
        let mut indices = Values::new(dev, values, result.flag_si)?;
        let [value, err, _] = &mut indices.values;
        for (cell, (value, err)) in value.iter_mut().zip(err).enumerate() {
            if indices.flags[cell] & !MEASURED == 0 {
                let is_magnitude = self.indices[cell % self.indices.len()].is_magnitude;
                (*value, *err) = index_and_error(*value, *err, is_magnitude);
            }
        }
        Ok(indices)
    }

    /// Of every row, measured or not, [s, a].
    fn measure_ivar_scale<B: Backend>(
        &self,
        dev: &B,
        observed: &SpectraBatch<B>,
        grid: &Grid,
        verdict_s: &[Verdict],
    ) -> Result<Vec<[Option<f32>; 3]>, KernelError> {
        let mut ivar_scale_sa = vec![[None; 3]; verdict_s.len()];
        for class in Class::ALL {
            let rows = chosen(verdict_s, Some(class));
            if rows.is_empty() {
                continue;
            }
            let continuum = dev.running_median(observed, grid, &rows, median_width_aa(class))?;
            let scale = dev.ivar_scale(observed, &rows, &continuum, &self.arm_ranges)?;
            let (scale_sa, flag_sa) = (dev.fetch(scale.scale_sa)?, dev.fetch(scale.flag_sa)?);
            for (i, (s, _)) in rows.iter().enumerate() {
                for (a, scale) in ivar_scale_sa[*s].iter_mut().enumerate() {
                    *scale = (flag_sa[3 * i + a] == 0).then_some(scale_sa[3 * i + a]);
                }
            }
        }
        Ok(ivar_scale_sa)
    }

    /// Adds the columns of some rows.
    pub(super) fn put_columns(&self, columns: &mut Columns, numbers: &BandNumbers, verdict_s: &[Verdict]) {
        let mut out = Scatter { index_s: measured_index(verdict_s), columns };
        for (suffix, values) in ["", "_w"].iter().zip(&numbers.breaks) {
            for (i, item) in self.breaks.iter().enumerate() {
                let (name, cell) = (format!("{}{suffix}", item.name), |s: usize| s * self.breaks.len() + i);
                out.floats(format!("{name}_ivar"), |s| values.measured(1, cell(s)));
                out.flags(format!("{name}_flag"), |s| values.flags[cell(s)]);
                out.floats(name, |s| values.measured(0, cell(s)));
            }
        }
        self.put_indices(&mut out, &numbers.indices);
        self.put_lines(&mut out, &numbers.lines);
        for (i, (wave, ..)) in SNR_WINDOWS_AA.iter().enumerate() {
            out.floats(format!("snr_{wave}"), |s| numbers.snr.measured(0, s * SNR_WINDOWS_AA.len() + i));
        }
        for (a, arm) in ARMS.iter().enumerate() {
            let scales = numbers.ivar_scale_sa.iter().map(|scale_a| scale_a[a]);
            out.columns.float32(format!("ivar_scale_{arm}"), scales);
        }
    }

    fn put_indices(&self, out: &mut Scatter<'_>, values: &Values<3>) {
        let n = self.indices.len();
        let mut names = Vec::with_capacity(n);
        for (i, item) in self.indices.iter().enumerate() {
            let (name, cell) = (specmill_schemas::features::index_column(&item.name), |s: usize| s * n + i);
            out.floats(format!("{name}_err"), |s| values.measured(1, cell(s)));
            out.floats(format!("{name}_good"), |s| values.on_spectrum(2, cell(s)));
            out.flags(format!("{name}_flag"), |s| values.flags[cell(s)]);
            out.floats(name.as_str(), |s| values.measured(0, cell(s)));
            names.push(name);
        }
        let place = |name: &str| names.iter().position(|own| own == name);
        let [Some(mgb), Some(fe5270), Some(fe5335)] = ["lick_mgb", "lick_fe5270", "lick_fe5335"].map(place)
        else {
            return;
        };
        // ⟨Fe⟩ and [MgFe] (González 1993), [MgFe]′ (Thomas et al. 2003).
        let mut derived = |name: &str, formula: fn(f32, f32, f32) -> Option<f32>| {
            let value = |s: usize, i: usize| values.measured(0, s * n + i);
            out.floats(name, |s| formula(value(s, mgb)?, value(s, fe5270)?, value(s, fe5335)?));
        };
        derived("lick_fe_mean", |_, fe5270, fe5335| Some(0.5 * (fe5270 + fe5335)));
        derived("lick_mgfe", |mgb, fe5270, fe5335| square_root(mgb * (0.5 * (fe5270 + fe5335))));
        derived("lick_mgfe_prime", |mgb, fe5270, fe5335| square_root(mgb * (0.72 * fe5270 + 0.28 * fe5335)));
    }

    fn put_lines(&self, out: &mut Scatter<'_>, values: &Values<6>) {
        let measured = |k: usize, cell: usize| {
            // A continuum that is not positive spoils the width, not the flux.
            let spoils =
                if LINE_VALUES[k].starts_with("ew") { !MEASURED } else { !MEASURED & !flag::CONTINUUM };
            let value = values.values[k][cell];
            (values.flags[cell] & spoils == 0 && value.is_finite()).then_some(value)
        };
        for (l, item) in self.lines.iter().enumerate() {
            let cell = |s: usize| s * self.lines.len() + l;
            for (k, suffix) in LINE_VALUES.iter().enumerate() {
                out.floats(format!("{}_{suffix}", item.name), |s| measured(k, cell(s)));
            }
            out.floats(format!("{}_good", item.name), |s| values.on_spectrum(LINE_VALUES.len(), cell(s)));
            out.flags(format!("{}_flag", item.name), |s| values.flags[cell(s)]);
        }
    }
}

/// Pixels whose centres lie in a half-open range of observed wavelengths.
fn pixels(grid: &Grid, (lo_aa, hi_aa): (f64, f64)) -> std::ops::Range<usize> {
    let count_below = |limit: f64| (0..grid.n_pixels).take_while(|p| grid.centre_aa(*p) < limit).count();
    count_below(lo_aa)..count_below(hi_aa)
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

/// For each row, which of the measured ones it is.
fn measured_index(verdict_s: &[Verdict]) -> Vec<Option<usize>> {
    let mut next = 0..;
    verdict_s
        .iter()
        .map(|verdict| match verdict {
            Verdict::Measure { .. } => next.next(),
            Verdict::Leave(..) => None,
        })
        .collect()
}

/// Spreads results of the measured rows over all rows.
struct Scatter<'a> {
    index_s: Vec<Option<usize>>,
    columns: &'a mut Columns,
}

impl Scatter<'_> {
    fn floats(&mut self, name: impl Into<String>, value: impl Fn(usize) -> Option<f32>) {
        self.columns.float32(name, self.index_s.iter().map(|s| value((*s)?)));
    }

    fn flags(&mut self, name: String, flags: impl Fn(usize) -> u8) {
        let column: Int16Array = self.index_s.iter().map(|s| Some(i16::from(flags((*s)?)))).collect();
        self.columns.put(name, Arc::new(column));
    }
}

/// The root of a product that noise may have made negative.
fn square_root(product: f32) -> Option<f32> {
    (product >= 0.0).then(|| product.sqrt())
}
