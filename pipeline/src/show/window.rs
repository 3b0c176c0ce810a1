//! The small panels: a closer look at the strongest lines, and what was measured of them.

use specmill_kernels::flag;
use specmill_schemas::constants::{self, Line, LineKind};

use super::font::Font;
use super::frame::{Frame, Ticks, minus};
use super::gather::{FeatureRow, Measured, Target};
use super::label::greek;
use super::scene::{Ink, Scene, Text};
use super::spectrum::{LEFT, RIGHT};
use super::trace::{Smooth, boxcar_width, quantile, smooth};

/// How many panels there is room for.
pub(super) const PANELS: usize = 4;

const TOP: f64 = 746.0;
const BOTTOM: f64 = 960.0;
/// Room between two panels, for the numbers of the right one.
const BETWEEN: f64 = 52.0;

/// A line that was measured.
pub(super) struct MeasuredLine {
    pub(super) line: Line,
    pub(super) flux: Measured,
    pub(super) ew: Option<Measured>,
    /// Local continuum under it.
    continuum: Option<f64>,
    /// Whether some of its window was bridged.
    bridged: bool,
}

impl MeasuredLine {
    /// Signed signal to noise of the flux.
    pub(super) fn snr(&self) -> f64 {
        self.flux.value / self.flux.err
    }
}

/// The measured lines of highest |S/N|, strongest first.
pub(super) fn strongest(row: &FeatureRow, count: usize) -> Vec<MeasuredLine> {
    let measured = |line: Line| {
        let name = line.name.clone();
        let flags = row.integer(&format!("{name}_flag")).unwrap_or(0);
        Some(MeasuredLine {
            flux: row.with_ivar(&format!("{name}_flux"))?,
            ew: row.with_ivar(&format!("{name}_ew")),
            continuum: row.float(&format!("{name}_cont")),
            bridged: flags & i64::from(flag::PARTIAL) != 0,
            line,
        })
    };
    let mut lines: Vec<MeasuredLine> = constants::lines().into_iter().filter_map(measured).collect();
    lines.sort_by(|a, b| b.snr().abs().total_cmp(&a.snr().abs()));
    lines.truncate(count);
    lines
}

/// A number with its error, both to two digits of the error.
pub(super) fn with_error(measured: Measured) -> String {
    let decimals = if measured.err > 0.0 && measured.err.is_finite() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 6")]
        let decimals = (1.0 - libm::log10(measured.err).floor()).clamp(0.0, 6.0) as usize;
        decimals
    } else {
        2
    };
    format!("{} ± {:.decimals$}", minus(&format!("{:.decimals$}", measured.value)), measured.err)
}

/// Draws a panel for each line, by wavelength.
pub(super) fn draw(scene: &mut Scene, target: &Target, font: &Font, lines: &[MeasuredLine]) {
    let Some(z) = target.z else { return };
    let smoothed = smooth(&target.combined, boxcar_width(&target.combined));
    let mut lines: Vec<&MeasuredLine> = lines.iter().collect();
    lines.sort_by(|a, b| a.line.wave_aa.total_cmp(&b.line.wave_aa));
    let n = PANELS as f64;
    let width = (RIGHT - LEFT - (n - 1.0) * BETWEEN) / n;
    for (i, line) in lines.into_iter().enumerate() {
        let left = LEFT + i as f64 * (width + BETWEEN);
        let view = View::new(target, &smoothed, line, z);
        let frame =
            Frame { left, right: left + width, top: TOP, bottom: BOTTOM, x: view.x, y: view.limits() };
        draw_bands(scene, line, z, &frame);
        view.draw(scene, &frame);
        draw_axes(scene, line, &frame);
        write_numbers(scene, font, line, &frame);
    }
}

/// The light around a line.
struct View {
    /// The line's bands and a little more, observed Å.
    x: (f64, f64),
    half_aa: f64,
    pixels: Vec<ViewPixel>,
}

struct ViewPixel {
    wave_aa: f64,
    /// Flux and its error; `None` where missing.
    own: Option<(f64, f64)>,
    smooth: Option<f64>,
}

impl View {
    /// More pixels than this and steps run into each other: the smoothed spectrum is drawn over them.
    const FEW: usize = 220;

    fn new(target: &Target, smoothed: &[Option<Smooth>], line: &MeasuredLine, z: f64) -> Self {
        const MARGIN: f64 = 0.06;
        let (lo, hi) = (line.line.blue_aa.0 * (1.0 + z), line.line.red_aa.1 * (1.0 + z));
        let beside = MARGIN * (hi - lo);
        let x = (lo - beside, hi + beside);
        let half_aa = 0.5 * target.grid.step_aa;
        let light = target.combined.flux_p.iter().zip(&target.combined.ivar_p).zip(smoothed);
        let pixels = target
            .grid
            .wave_aa()
            .zip(light)
            .filter(|(wave_aa, _)| x.0 + half_aa <= *wave_aa && *wave_aa <= x.1 - half_aa)
            .map(|(wave_aa, ((flux, ivar), smooth))| ViewPixel {
                wave_aa,
                own: (*ivar > 0.0).then(|| (*flux, 1.0 / ivar.sqrt())),
                smooth: smooth.map(|smooth| smooth.flux),
            })
            .collect();
        Self { x, half_aa, pixels }
    }

    fn is_wide(&self) -> bool {
        self.pixels.len() > Self::FEW
    }

    /// All of the light, but for what one bad pixel does.
    fn limits(&self) -> (f64, f64) {
        const MARGIN: f64 = 0.12;
        let own = |pixel: &ViewPixel| pixel.own.map(|(flux, _)| flux);
        let drawn = |pixel: &ViewPixel| if self.is_wide() { pixel.smooth } else { own(pixel) };
        let values: Vec<f64> = self.pixels.iter().filter_map(drawn).collect();
        let medians: Vec<f64> = values.windows(3).filter_map(|three| quantile(three.to_vec(), 0.5)).collect();
        match (quantile(medians.clone(), 0.0), quantile(medians, 1.0)) {
            (Some(lo), Some(hi)) if hi > lo => (lo - MARGIN * (hi - lo), hi + MARGIN * (hi - lo)),
            _ => (-1.0, 1.0),
        }
    }

    fn draw(&self, scene: &mut Scene, frame: &Frame) {
        // Pixels as steps: a flux belongs to the whole width of its pixel.
        let steps = || {
            let ends = |pixel: &ViewPixel| {
                [(-self.half_aa, pixel), (self.half_aa, pixel)].map(|(d, p)| (p.wave_aa + d, p.own))
            };
            self.pixels.iter().flat_map(ends)
        };
        if !self.is_wide() {
            let errors = steps().map(|(x, own)| own.map(|(flux, err)| (x, flux - err, flux + err)));
            for shape in frame.ribbon(errors) {
                scene.polygon(shape, Ink::ERROR);
            }
        }
        let (ink, width) = if self.is_wide() { (Ink::ERROR, 0.7) } else { (Ink::SPECTRUM, 1.2) };
        for piece in frame.curve(steps().map(|(x, own)| own.map(|(flux, _)| (x, flux)))) {
            scene.path(piece, ink, width);
        }
        if self.is_wide() {
            let smooth = self.pixels.iter().map(|pixel| Some((pixel.wave_aa, pixel.smooth?)));
            for piece in frame.curve(smooth) {
                scene.path(piece, Ink::SPECTRUM, 1.2);
            }
        }
    }
}

fn draw_bands(scene: &mut Scene, line: &MeasuredLine, z: f64, frame: &Frame) {
    let bands = [
        (line.line.blue_aa, Ink::SIDEBAND),
        (line.line.red_aa, Ink::SIDEBAND),
        (line.line.window_aa, Ink::WINDOW),
    ];
    for ((lo, hi), ink) in bands {
        if let Some((left, right)) = frame.band((lo * (1.0 + z), hi * (1.0 + z))) {
            scene.rectangle((left, TOP), (right, BOTTOM), ink);
        }
    }
    for wave_aa in members(&line.line) {
        let across = frame.across(wave_aa * (1.0 + z));
        if (frame.left..=frame.right).contains(&across) {
            scene.dashed((across, TOP), (across, BOTTOM), Ink::LINE, 0.9);
        }
    }
}

fn draw_axes(scene: &mut Scene, line: &MeasuredLine, frame: &Frame) {
    if let Some(level) = line.continuum.filter(|level| (frame.y.0..=frame.y.1).contains(level)) {
        let down = frame.down(level);
        scene.dashed((frame.left, down), (frame.right, down), Ink::CONTINUUM, 1.6);
    }
    frame.left_axis(scene, &Ticks::new(frame.y, 4.0));
    frame.bottom_axis(scene, &Ticks::new(frame.x, 3.5));
    frame.outline(scene);
}

/// Wavelengths of the lines behind a measurement.
fn members(line: &Line) -> Vec<f64> {
    if line.kind != LineKind::Group {
        return vec![line.wave_aa];
    }
    let all = constants::lines().into_iter();
    all.filter(|other| other.group.as_ref() == Some(&line.name)).map(|other| other.wave_aa).collect()
}

fn write_numbers(scene: &mut Scene, font: &Font, line: &MeasuredLine, frame: &Frame) {
    let bridged = if line.bridged { ", partly bridged" } else { "" };
    let ew = line.ew.map_or("no EW".to_owned(), |ew| format!("EW {} Å", with_error(ew)));
    let texts = [
        (15.0, Ink::TEXT, greek(&line.line.label)),
        (13.0, Ink::TEXT, format!("flux {}", with_error(line.flux))),
        (13.0, Ink::TEXT, ew),
        (13.0, Ink::FAINT, format!("S/N {}{bridged}", minus(&format!("{:.1}", line.snr())))),
    ];
    let mut down = TOP - 9.0;
    for (size, ink, text) in texts.into_iter().rev() {
        let room = frame.right - frame.left;
        let size = size * (room / font.room(&text, size)).min(1.0);
        scene.text(Text::new((frame.left, down), size, ink, text));
        down -= 16.5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_written_with_two_digits() {
        let text = |value, err| with_error(Measured { value, err });
        assert_eq!(text(123.456, 1.234), "123.5 ± 1.2");
        assert_eq!(text(-0.012_34, 0.000_56), "\u{2212}0.01234 ± 0.00056");
        assert_eq!(text(5123.0, 210.0), "5123 ± 210");
    }

    #[test]
    fn a_group_shows_the_lines_it_blends() {
        let group = constants::lines().into_iter().find(|line| line.name == "halpha_nii").unwrap();
        assert_eq!(members(&group).len(), 3);
    }
}
