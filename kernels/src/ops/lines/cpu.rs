//! The CPU twin.

use rayon::prelude::*;

use super::{LineBands, Lines, MIN_GOOD_SIDEBAND, MIN_GOOD_WINDOW};
use crate::band::{
    Row, Span, check_bands, check_rows, edge_coordinate, flag, lane_sums, rounded, stored, union_sums,
};
use crate::{Cpu, Grid, KernelError, SpectraBatch};

/// One line as it is stored.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    flux: (f32, f32),
    ew: (f32, f32),
    continuum: (f32, f32),
    good_fraction: f32,
    flag: u8,
}

/// The local continuum: θ and M⁻¹ (symmetric: 00, 01, 11).
#[derive(Debug, Clone, Copy)]
struct Continuum {
    theta: [f64; 2],
    inverse: [f64; 3],
}

impl Continuum {
    fn at(&self, x: f64) -> f64 {
        self.theta[0] + self.theta[1] * x
    }

    /// (a0, a1) M⁻¹.
    fn times_inverse(&self, [a0, a1]: [f64; 2]) -> [f64; 2] {
        let [m00, m01, m11] = self.inverse;
        [a0 * m00 + a1 * m01, a0 * m01 + a1 * m11]
    }
}

/// A line's bands on the pixels of one spectrum.
#[derive(Debug, Clone, Copy)]
struct Placed {
    /// Window, blue, red.
    spans: [Span; 3],
    /// Centre of the window: the origin of x, edge coordinate.
    centre: f64,
    /// x of the line.
    x_line: f64,
}

impl Placed {
    fn x(&self, p: usize) -> f64 {
        p as f64 + 0.5 - self.centre
    }

    /// Fraction of pixel p inside either sideband.
    fn sideband_fraction(&self, p: usize) -> f64 {
        let [_, blue, red] = &self.spans;
        blue.fraction(p) + red.fraction(p)
    }
}

/// See the module's head.
pub(crate) fn measure_lines(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    lines: &[LineBands],
) -> Result<Lines<Cpu>, KernelError> {
    let lengths = [("flux_sp", observed.flux_sp.len()), ("ivar_sp", observed.ivar_sp.len())];
    check_rows("measure_lines", (observed.n_spectra, observed.n_pixels), lengths, grid, rows)?;
    check_bands("measure_lines", lines.iter().flat_map(|l| [l.window, l.blue, l.red]))?;

    let mut values_sl = vec![Line::default(); rows.len() * lines.len()];
    if !values_sl.is_empty() {
        cpu.pool().install(|| {
            values_sl.par_chunks_mut(lines.len()).zip(rows).for_each_init(
                Vec::new,
                |weight_p, (values_l, &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                    for (value, bands) in values_l.iter_mut().zip(lines) {
                        *value = measure(&row, grid, z, bands, weight_p);
                    }
                },
            );
        });
    }
    Ok(Lines {
        flux_sl: values_sl.iter().map(|line| line.flux.0).collect(),
        flux_ivar_sl: values_sl.iter().map(|line| line.flux.1).collect(),
        ew_sl: values_sl.iter().map(|line| line.ew.0).collect(),
        ew_ivar_sl: values_sl.iter().map(|line| line.ew.1).collect(),
        continuum_sl: values_sl.iter().map(|line| line.continuum.0).collect(),
        continuum_ivar_sl: values_sl.iter().map(|line| line.continuum.1).collect(),
        good_fraction_sl: values_sl.iter().map(|line| line.good_fraction).collect(),
        flag_sl: values_sl.iter().map(|line| line.flag).collect(),
    })
}

/// One line of one spectrum; `weight_p` is scratch.
fn measure(row: &Row, grid: &Grid, z: f64, bands: &LineBands, weight_p: &mut Vec<f64>) -> Line {
    if bands.blended {
        return Line { flag: flag::BLENDED, ..Line::default() };
    }
    let spans = [bands.window, bands.blue, bands.red].map(|band| Span::new(band, grid, z));
    if spans.iter().any(|span| !span.is_on(grid)) {
        return Line { flag: flag::OUT_OF_RANGE, ..Line::default() };
    }
    let [window, ..] = spans;
    let good = spans.map(|span| row.good_fraction(&span));
    let missing = |flag| Line { flag, good_fraction: rounded(good[0]), ..Line::default() };
    if good[0] < MIN_GOOD_WINDOW || good[1].min(good[2]) < MIN_GOOD_SIDEBAND {
        return missing(flag::COVERAGE);
    }
    let centre = 0.5 * (window.lo + window.hi);
    let x_line = edge_coordinate(bands.wave_aa * (1.0 + z), grid) - centre;
    let placed = Placed { spans, centre, x_line };
    let Some(continuum) = fit_continuum(row, &placed) else {
        return missing(flag::DEGENERATE);
    };
    let bridged = bridge(row, &window, weight_p);
    let sums = window_sums(row, &placed, &continuum, weight_p);
    let mut line = Line { good_fraction: rounded(good[0]), ..sums.finish(grid.step_aa, 1.0 + z) };
    if bridged {
        line.flag |= flag::PARTIAL;
    }
    line
}

/// The weighted straight line through both sidebands, unless they do not determine one.
fn fit_continuum(row: &Row, placed: &Placed) -> Option<Continuum> {
    let [_, blue, red] = &placed.spans;
    let [from_blue, from_red] = [blue, red].map(|span| {
        lane_sums(span.first, span.end, |p| {
            row.good(p).map_or([0.0; 5], |(flux, ivar)| {
                let (weight, x) = (span.fraction(p) * ivar, placed.x(p));
                [weight, weight * x, weight * x * x, weight * flux, weight * flux * x]
            })
        })
    });
    let mut sums = from_blue;
    for (sum, other) in sums.iter_mut().zip(from_red) {
        *sum += other;
    }
    let [w, wx, wxx, wf, wfx] = sums;
    let determinant = w * wxx - wx * wx;
    (determinant > 0.0).then(|| {
        let inverse = [wxx / determinant, -wx / determinant, w / determinant];
        let mut line = Continuum { theta: [0.0; 2], inverse };
        line.theta = line.times_inverse([wf, wfx]);
        line
    })
}

/// Fills `weight_p` (one per pixel of the window) with g; says whether any pixel was bridged.
fn bridge(row: &Row, window: &Span, weight_p: &mut Vec<f64>) -> bool {
    weight_p.clear();
    weight_p.resize(window.end - window.first, 0.0);
    let mut last_good = None;
    let mut bridged = false;
    for (i, p) in (window.first..window.end).enumerate() {
        if row.good(p).is_none() {
            bridged = true;
            continue;
        }
        weight_p[i] += window.fraction(p);
        // The run of missing pixels that ends here.
        for gap in last_good.map_or(0, |left: usize| left + 1)..i {
            let part = window.fraction(window.first + gap);
            let share = last_good.map_or(1.0, |left| (gap - left) as f64 / (i - left) as f64);
            weight_p[i] += share * part;
            if let Some(left) = last_good {
                weight_p[left] += (1.0 - share) * part;
            }
        }
        last_good = Some(i);
    }
    if let Some(left) = last_good {
        for gap in left + 1..weight_p.len() {
            weight_p[left] += window.fraction(window.first + gap);
        }
    }
    bridged
}

/// What flux and width are made of, in flux units × pixels.
#[derive(Debug, Clone, Copy)]
struct WindowSums {
    /// Σ g (f − c).
    flux: f64,
    /// C.
    continuum: f64,
    /// var(F), cov(F, C), var(C).
    covariance: [f64; 3],
}

/// The sums over the window, and their covariance over window and sidebands.
fn window_sums(row: &Row, placed: &Placed, continuum: &Continuum, weight_p: &[f64]) -> WindowSums {
    let [window, ..] = &placed.spans;
    let [flux, sum_g, sum_gx] = lane_sums(window.first, window.end, |p| {
        row.good(p).map_or([0.0; 3], |(flux, _)| {
            let (g, x) = (weight_p[p - window.first], placed.x(p));
            [g * (flux - continuum.at(x)), g, g * x]
        })
    });
    let under_window = continuum.times_inverse([sum_g, sum_gx]);
    let at_line = continuum.times_inverse([1.0, placed.x_line]);
    let covariance = union_sums(&placed.spans, |p| {
        row.good(p).map_or([0.0; 3], |(_, ivar)| {
            let (x, in_continuum) = (placed.x(p), placed.sideband_fraction(p) * ivar);
            let g = if window.touches(p) { weight_p[p - window.first] } else { 0.0 };
            let a = g - (under_window[0] + under_window[1] * x) * in_continuum;
            let b = (at_line[0] + at_line[1] * x) * in_continuum;
            [a * a / ivar, a * b / ivar, b * b / ivar]
        })
    });
    WindowSums { flux, continuum: continuum.at(placed.x_line), covariance }
}

impl WindowSums {
    /// Flux, equivalent width and continuum as stored.
    fn finish(&self, step_aa: f64, one_plus_z: f64) -> Line {
        let [var_f, cov_fc, var_c] = self.covariance;
        let flux = stored(self.flux * step_aa, var_f * step_aa * step_aa);
        let continuum = stored(self.continuum, var_c);
        let (Some(flux), Some(continuum)) = (flux, continuum) else {
            return Line { flag: flag::DEGENERATE, ..Line::default() };
        };
        let line = Line { flux, continuum, ..Line::default() };
        if self.continuum <= 0.0 {
            return Line { flag: flag::CONTINUUM, ..line };
        }
        let ratio = self.flux / self.continuum;
        let per_width = step_aa / one_plus_z;
        let variance = (var_f - 2.0 * ratio * cov_fc + ratio * ratio * var_c) * per_width * per_width
            / (self.continuum * self.continuum);
        match stored(ratio * per_width, variance) {
            Some(ew) => Line { ew, ..line },
            None => Line { flag: flag::DEGENERATE, ..line },
        }
    }
}
