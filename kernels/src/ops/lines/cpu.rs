//! The CPU twin.

use rayon::prelude::*;

use super::{LineBands, Lines, MIN_GOOD_SIDEBAND, MIN_GOOD_WINDOW, check_request};
use crate::band::{Frame, Row, Span, flag, rounded, shared_sum, span_sums, span_sums_with, stored};
use crate::lanes::LANES;
use crate::simd::simd_fn;
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

/// The local continuum: θ, M⁻¹ and Σ φ² w (1, x)(1, x)ᵀ (symmetric: 00, 01, 11).
#[derive(Debug, Clone, Copy)]
struct Continuum {
    theta: [f64; 2],
    inverse: [f64; 3],
    noise: [f64; 3],
}

impl Continuum {
    #[inline(always)]
    fn at(&self, x: f64) -> f64 {
        self.theta[0] + self.theta[1] * x
    }

    /// aᵀ M⁻¹.
    fn times_inverse(&self, [a0, a1]: [f64; 2]) -> [f64; 2] {
        let [m00, m01, m11] = self.inverse;
        [a0 * m00 + a1 * m01, a0 * m01 + a1 * m11]
    }

    /// Covariance of Σ (aᵀ(1, x)) φ w f and Σ (bᵀ(1, x)) φ w f over the sidebands.
    fn covariance(&self, [a0, a1]: [f64; 2], [b0, b1]: [f64; 2]) -> f64 {
        let [n00, n01, n11] = self.noise;
        a0 * b0 * n00 + (a0 * b1 + a1 * b0) * n01 + a1 * b1 * n11
    }
}

/// A line's bands on the pixels of one spectrum.
#[derive(Debug, Clone, Copy)]
struct Placed {
    window: Span,
    blue: Span,
    red: Span,
    /// Centre of the window: the origin of x, edge coordinate.
    centre: f64,
    /// x of the line.
    x_line: f64,
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
    check_request((observed.n_spectra, observed.n_pixels), lengths, grid, rows, lines)?;

    let mut values_sl = vec![Line::default(); rows.len() * lines.len()];
    if !values_sl.is_empty() {
        cpu.pool().install(|| {
            values_sl.par_chunks_mut(lines.len()).zip(rows).for_each_init(
                Vec::new,
                |weight_p, (values_l, &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, grid.n_pixels, s);
                    measure_row(cpu.simd(), &row, Frame { grid, z }, lines, weight_p, values_l);
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

simd_fn! {
    fn measure_row(
        row: &Row,
        frame: Frame,
        lines: &[LineBands],
        weight_p: &mut Vec<f64>,
        values_l: &mut [Line],
    ) = measure_row_body;
}

#[inline(always)]
fn measure_row_body(
    row: &Row,
    frame: Frame,
    lines: &[LineBands],
    weight_p: &mut Vec<f64>,
    values_l: &mut [Line],
) {
    for (value, bands) in values_l.iter_mut().zip(lines) {
        *value = measure(row, frame, bands, weight_p);
    }
}

/// One line of one spectrum; `weight_p` is scratch.
#[inline(always)]
fn measure(row: &Row, frame: Frame, bands: &LineBands, weight_p: &mut Vec<f64>) -> Line {
    if bands.blended {
        return Line { flag: flag::BLENDED, ..Line::default() };
    }
    let spans @ [window, blue, red] =
        [frame.span(bands.window), frame.span(bands.blue), frame.span(bands.red)];
    if spans.iter().any(|span| !span.is_on(frame.grid)) {
        return Line { flag: flag::OUT_OF_RANGE, ..Line::default() };
    }
    let centre = 0.5 * (window.lo + window.hi);
    let x_line = frame.edge_coordinate(bands.wave_aa) - centre;
    let placed = Placed { window, blue, red, centre, x_line };

    let [part, n_missing] = span_sums(row, &window, |p| [p.part, p.missing]);
    let good = part / window.width();
    let missing = |flag| Line { flag, good_fraction: rounded(good), ..Line::default() };
    // Not by `map`: its closure may stay a function of its own, and then has no vectors.
    let (from_blue, from_red) = (sideband_sums(row, &blue, centre), sideband_sums(row, &red, centre));
    let sidebands = (from_blue[0] / blue.width()).min(from_red[0] / red.width());
    if good < MIN_GOOD_WINDOW || sidebands < MIN_GOOD_SIDEBAND {
        return missing(flag::COVERAGE);
    }
    let Some(continuum) = fit_continuum(from_blue, from_red) else {
        return missing(flag::DEGENERATE);
    };
    weigh(row, &window, n_missing > 0.0, weight_p);
    let sums = WindowSums::of(row, &placed, &continuum, weight_p);
    let line = sums.finish(frame.grid.step_aa, 1.0 + frame.z);
    let partial = if n_missing > 0.0 { flag::PARTIAL } else { 0 };
    Line { good_fraction: rounded(good), flag: line.flag | partial, ..line }
}

/// Σ φ, then Σ φw (1, x, x²), Σ φwf (1, x), Σ φ²w (1, x, x²).
type SidebandSums = [f64; 9];

#[inline(always)]
fn sideband_sums(row: &Row, span: &Span, centre: f64) -> SidebandSums {
    span_sums(row, span, |p| {
        let (weight, x) = (p.part * p.ivar, p.x - centre);
        let (weight_x, noise) = (weight * x, p.part * weight);
        let noise_x = noise * x;
        [
            p.part,
            weight,
            weight_x,
            weight_x * x,
            weight * p.flux,
            weight_x * p.flux,
            noise,
            noise_x,
            noise_x * x,
        ]
    })
}

/// The weighted straight line through both sidebands, unless they do not determine one.
fn fit_continuum(from_blue: SidebandSums, from_red: SidebandSums) -> Option<Continuum> {
    let mut sums = from_blue;
    for (sum, other) in sums.iter_mut().zip(from_red) {
        *sum += other;
    }
    let [_, w, wx, wxx, wf, wfx, noise @ ..] = sums;
    let determinant = w * wxx - wx * wx;
    (determinant > 0.0).then(|| {
        let inverse = [wxx / determinant, -wx / determinant, w / determinant];
        let line = Continuum { theta: [0.0; 2], inverse, noise };
        Continuum { theta: line.times_inverse([wf, wfx]), ..line }
    })
}

/// Fills `weight_p` with g, one per pixel of the window and zeros up to whole blocks.
#[inline(always)]
fn weigh(row: &Row, window: &Span, any_missing: bool, weight_p: &mut Vec<f64>) {
    weight_p.resize(window.n_blocks() * LANES, 0.0);
    for (i, weight) in weight_p.iter_mut().enumerate() {
        *weight = window.fraction(window.first + i);
    }
    if any_missing {
        bridge(row, window, &mut weight_p[..window.end - window.first]);
    }
}

/// Gives each missing pixel's weight to the good ones on either side.
fn bridge(row: &Row, window: &Span, weight_p: &mut [f64]) {
    let mut last_good = None;
    for i in 0..weight_p.len() {
        if row.good(window.first + i).is_none() {
            continue;
        }
        // The run of missing pixels that ends here.
        for gap in last_good.map_or(0, |left: usize| left + 1)..i {
            let part = std::mem::take(&mut weight_p[gap]);
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
            weight_p[left] += std::mem::take(&mut weight_p[gap]);
        }
    }
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

impl WindowSums {
    /// The sums over the window, and their covariance over window and sidebands.
    #[inline(always)]
    fn of(row: &Row, placed: &Placed, continuum: &Continuum, weight_p: &[f64]) -> Self {
        let Placed { window, centre, .. } = placed;
        let [flux, sum_g, sum_gx, noise] = span_sums_with(row, window, weight_p, |p, weight| {
            let (x, g) = (p.x - centre, if p.part > 0.0 { weight } else { 0.0 });
            [g * (p.flux - continuum.at(x)), g, g * x, g * g * p.variance]
        });
        // F = Σ g f − Σ u φ w f and C = Σ v φ w f with u, v linear in x.
        let u = continuum.times_inverse([sum_g, sum_gx]);
        let v = continuum.times_inverse([1.0, placed.x_line]);
        let beside = |side: &Span, [a0, a1]: [f64; 2]| {
            shared_sum(row, window.shared(side), |p| {
                let ivar = f64::from(row.ivar_p[p]);
                let x = p as f64 + 0.5 - centre;
                weight_p[p - window.first] * (a0 + a1 * x) * side.fraction(p) * ivar
            })
        };
        let shared = |a| beside(&placed.blue, a) + beside(&placed.red, a);
        let (with_u, with_v) = (shared(u), shared(v));
        let covariance = [
            noise - 2.0 * with_u + continuum.covariance(u, u),
            with_v - continuum.covariance(u, v),
            continuum.covariance(v, v),
        ];
        Self { flux, continuum: continuum.at(placed.x_line), covariance }
    }

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
