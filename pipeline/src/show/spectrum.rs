//! The large panel: arms, combined spectrum, continuum, lines, bands and missing pixels.

use specmill_schemas::constants::{self, Line, LineKind};
use specmill_schemas::features::{ARMS, index_column};

use crate::stages::extract::median_width_aa;

use super::font::Font;
use super::frame::{Frame, Ticks};
use super::gather::Target;
use super::label::{greek, rows, spread};
use super::scene::{Ink, Scene, Text};
use super::trace::{Smooth, boxcar_width, limits, smooth};

/// Left and right side of the panel.
pub(super) const LEFT: f64 = 86.0;
pub(super) const RIGHT: f64 = 1236.0;

const TOP: f64 = 116.0;
const LEGEND_DOWN: f64 = 64.0;
const SMALL: f64 = 13.0;

/// Height of one row of band names, of one row of the strip of bad pixels, and the room above them.
const BAND_ROW: f64 = 18.0;
const STRIP_ROW: f64 = 14.0;
const LANE_GAP: f64 = 5.0;

/// Longest name written in full beside a line.
const LONG_NAME: usize = 16;

/// Draws the panel down to `bottom`, where its lower axis stands.
pub(super) fn draw(scene: &mut Scene, target: &Target, font: &Font, bottom: f64) {
    let width = boxcar_width(&target.combined);
    let smoothed = smooth(&target.combined, width);
    let grid = &target.grid;
    let half = 0.5 * grid.step_aa;
    let x = (grid.first_aa - half, grid.centre_aa(grid.n_pixels - 1) + half);
    let y = light_limits(target, &smoothed);
    let whole = Frame { left: LEFT, right: RIGHT, top: TOP, bottom, x, y };

    let lines = target.z.map_or_else(Vec::new, |z| lines_in_range(z, &whole));
    let bands = measured_bands(target, &whole, font);
    let strip = 2.0 * STRIP_ROW + LANE_GAP;
    let data =
        Frame { top: TOP + names_height(&lines, font), bottom: bottom - strip - bands.height(), ..whole };
    let ticks = Ticks::new(data.y, (data.bottom - data.top) / 70.0);
    bands.shade(scene, &data);
    data.rules(scene, &ticks);
    draw_lines(scene, &lines, &data);
    draw_data(scene, target, &smoothed, &data);
    if target.combined.ivar_p.iter().all(|ivar| *ivar <= 0.0) {
        let middle = (0.5 * (LEFT + RIGHT), 0.5 * (data.top + data.bottom) - 14.0);
        scene.text(Text::new(middle, 18.0, Ink::FAINT, "no good pixels").centred());
    }
    bands.draw(scene, &data);
    draw_strip(scene, target, &Frame { top: bottom - strip, ..whole });
    data.left_axis(scene, &ticks);
    whole.outline(scene);
    draw_axes(scene, target, &whole, &data);
    draw_legend(scene, target, font, width);
}

/// The range of the combined spectrum, or of the arms where none of it is left.
fn light_limits(target: &Target, smoothed: &[Option<Smooth>]) -> (f64, f64) {
    let arms = || target.arms.iter().flatten().filter_map(|arm| limits(arm, &smooth(arm, boxcar_width(arm))));
    let widest = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
    limits(&target.combined, smoothed).or_else(|| arms().reduce(widest)).unwrap_or((-1.0, 1.0))
}

fn draw_data(scene: &mut Scene, target: &Target, smoothed: &[Option<Smooth>], data: &Frame) {
    let wave_aa: Vec<f64> = target.grid.wave_aa().collect();
    // Noise that fills the panel must not hide what it surrounds.
    let share = if boxcar_width(&target.combined) > 5 { 0.22 } else { 0.4 };
    for (arm, ink) in target.arms.iter().zip(Ink::ARMS) {
        let Some(arm) = arm else { continue };
        let good = arm.flux_p.iter().zip(&arm.ivar_p).map(|(flux, ivar)| (*ivar > 0.0).then_some(*flux));
        for piece in data.curve(wave_aa.iter().zip(good).map(|(x, flux)| Some((*x, flux?)))) {
            scene.path(piece, ink.tint(share), 0.7);
        }
    }
    let band = wave_aa.iter().zip(smoothed).map(|(x, pixel)| {
        let Smooth { flux, err } = (*pixel)?;
        Some((*x, flux - err, flux + err))
    });
    for shape in data.ribbon(band) {
        scene.polygon(shape, Ink::ERROR);
    }
    let curve = wave_aa.iter().zip(smoothed).map(|(x, pixel)| Some((*x, pixel.as_ref()?.flux)));
    for piece in data.curve(curve) {
        scene.path(piece, Ink::SPECTRUM, 1.0);
    }
    let continuum = wave_aa.iter().zip(&target.continuum_p).map(|(x, flux)| Some((*x, (*flux)?)));
    for piece in data.curve(continuum) {
        scene.path(piece, Ink::CONTINUUM, 1.9);
    }
    draw_cut_peaks(scene, target, smoothed, data);
}

/// Small arrows where a peak leaves the panel; neither noise nor a masked pixel earns one.
fn draw_cut_peaks(scene: &mut Scene, target: &Target, smoothed: &[Option<Smooth>], data: &Frame) {
    /// Peaks nearer than this share an arrow, Å.
    const APART_AA: f64 = 20.0;
    const SIGMAS: f64 = 5.0;
    /// Masked pixels reach this far when smoothed.
    const NEAR: usize = 8;

    let mut last_aa = f64::NEG_INFINITY;
    for (p, (wave_aa, pixel)) in target.grid.wave_aa().zip(smoothed).enumerate() {
        let Some(Smooth { flux, err }) = pixel else { continue };
        let near = p.saturating_sub(NEAR)..target.masked_p.len().min(p + NEAR + 1);
        if flux - SIGMAS * err > data.y.1 && !target.masked_p[near].contains(&true) {
            if wave_aa - last_aa > APART_AA {
                let (right, top) = (data.across(wave_aa), data.top);
                let arrow = vec![(right, top), (right - 5.0, top + 9.0), (right + 5.0, top + 9.0)];
                scene.polygon(arrow, Ink::SPECTRUM);
            }
            last_aa = wave_aa;
        }
    }
}

/// An emission line on the panel.
pub(super) struct LineMark {
    across: f64,
    /// Blended lines have none: their group carries it.
    name: Option<String>,
    /// Groups stand at the mean of their members and have no line of their own.
    is_line: bool,
}

/// Lines within the spectrum at the target's redshift, by wavelength; none without a redshift.
pub(super) fn lines_in_range(z: f64, frame: &Frame) -> Vec<LineMark> {
    let mut lines = constants::lines();
    lines.sort_by(|a, b| a.wave_aa.total_cmp(&b.wave_aa));
    let mark = |line: &Line| {
        let across = frame.across(line.wave_aa * (1.0 + z));
        let name = line.group.is_none().then(|| short_name(&line.label));
        let mark = LineMark { across, name, is_line: line.kind != LineKind::Group };
        (LEFT..=RIGHT).contains(&across).then_some(mark)
    };
    lines.iter().filter_map(mark).collect()
}

/// A name in Greek; long ones, which are blends, without their wavelengths.
pub(super) fn short_name(label: &str) -> String {
    let name = greek(label);
    if name.chars().count() <= LONG_NAME {
        return name;
    }
    let words = name.split(' ').filter(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// Room for names that read upwards, and for the leaders below them.
pub(super) fn names_height(lines: &[LineMark], font: &Font) -> f64 {
    const LEADER: f64 = 34.0;
    let names = lines.iter().filter_map(|line| line.name.as_deref());
    let longest = names.map(|name| font.room(name, SMALL)).fold(0.0, f64::max);
    if longest > 0.0 { longest + LEADER } else { 0.0 }
}

pub(super) fn draw_lines(scene: &mut Scene, lines: &[LineMark], data: &Frame) {
    const LEADER: f64 = 16.0;
    const ROOM: f64 = 15.0;
    let named: Vec<(&LineMark, &String)> =
        lines.iter().filter_map(|line| Some((line, line.name.as_ref()?))).collect();
    let wanted: Vec<f64> = named.iter().map(|(line, _)| line.across).collect();
    let places = spread(&wanted, ROOM, (LEFT + ROOM, RIGHT - 0.5 * ROOM));
    for ((line, name), place) in named.into_iter().zip(places) {
        let foot = (place, data.top - LEADER);
        scene.segment(foot, (line.across, data.top), Ink::LINE, 0.8);
        scene.text(
            Text::new((place + 4.5, data.top - LEADER - 3.0), SMALL, Ink::TEXT, name.as_str()).upwards(),
        );
    }
    for line in lines.iter().filter(|line| line.is_line) {
        scene.dashed((line.across, data.top), (line.across, data.bottom), Ink::LINE.tint(0.7), 0.9);
    }
}

/// Bands of breaks and indices that were measured, in rows with their names.
struct Bands {
    marks: Vec<BandMark>,
    row_of: Vec<usize>,
    n_rows: usize,
}

struct BandMark {
    name: String,
    /// Left and right ends on the picture.
    pieces: Vec<(f64, f64)>,
    ink: Ink,
    /// What bars and name take up together.
    taken: (f64, f64),
}

fn measured_bands(target: &Target, frame: &Frame, font: &Font) -> Bands {
    let mut marks = Vec::new();
    if let Some(z) = target.z {
        let mut add = |column: &str, label: &str, bands_aa: &[(f64, f64)], ink: Ink| {
            let pieces: Vec<(f64, f64)> =
                bands_aa.iter().filter_map(|(lo, hi)| frame.band((lo * (1.0 + z), hi * (1.0 + z)))).collect();
            let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return };
            if target.row.float(column).is_none() {
                return;
            }
            let name = greek(label);
            let centre = 0.5 * (first.0 + last.1);
            let half = 0.5 * font.room(&name, SMALL).max(last.1 - first.0);
            marks.push(BandMark { name, pieces, ink, taken: (centre - half, centre + half) });
        };
        for item in constants::breaks() {
            add(&item.name, &item.label, &[item.blue_aa, item.red_aa], Ink::BREAK);
        }
        for item in constants::indices() {
            add(&index_column(&item.name), &item.label, &[item.band_aa], Ink::INDEX);
        }
    }
    marks.sort_by(|a, b| a.taken.0.total_cmp(&b.taken.0));
    let taken: Vec<(f64, f64)> = marks.iter().map(|mark| mark.taken).collect();
    let (row_of, n_rows) = rows(&taken, 6.0);
    Bands { marks, row_of, n_rows }
}

impl Bands {
    fn height(&self) -> f64 {
        if self.n_rows == 0 { 0.0 } else { self.n_rows as f64 * BAND_ROW + LANE_GAP }
    }

    fn shade(&self, scene: &mut Scene, data: &Frame) {
        for mark in &self.marks {
            for (left, right) in &mark.pieces {
                scene.rectangle((*left, data.top), (*right, data.bottom), mark.ink.tint(0.1));
            }
        }
    }

    fn draw(&self, scene: &mut Scene, data: &Frame) {
        if self.n_rows == 0 {
            return;
        }
        scene.segment((LEFT, data.bottom), (RIGHT, data.bottom), Ink::FRAME, 0.8);
        for (mark, row) in self.marks.iter().zip(&self.row_of) {
            let top = data.bottom + LANE_GAP + *row as f64 * BAND_ROW;
            for (left, right) in &mark.pieces {
                scene.rectangle((*left, top), (right.max(left + 1.0), top + 4.0), mark.ink);
            }
            let centre = 0.5 * (mark.taken.0 + mark.taken.1);
            scene.text(Text::new((centre, top + 15.0), SMALL, Ink::TEXT, mark.name.as_str()).centred());
        }
        let middle = data.bottom + LANE_GAP + 0.5 * self.n_rows as f64 * BAND_ROW + 4.0;
        scene.text(Text::new((LEFT - 8.0, middle), SMALL, Ink::FAINT, "bands").right());
    }
}

/// Two rows below the data: where a mask is set, and where nothing is left.
fn draw_strip(scene: &mut Scene, target: &Target, strip: &Frame) {
    scene.segment((LEFT, strip.top), (RIGHT, strip.top), Ink::FRAME, 0.8);
    let missing_p: Vec<bool> = target.combined.ivar_p.iter().map(|ivar| *ivar <= 0.0).collect();
    let strips = [("masked", &target.masked_p, Ink::MASKED), ("missing", &missing_p, Ink::MISSING)];
    for (i, (name, bad_p, ink)) in strips.into_iter().enumerate() {
        let top = strip.top + 0.5 * LANE_GAP + i as f64 * STRIP_ROW;
        for (first, end) in runs(bad_p) {
            let half = 0.5 * target.grid.step_aa;
            let band = (target.grid.centre_aa(first) - half, target.grid.centre_aa(end - 1) + half);
            let Some((left, right)) = strip.band(band) else { continue };
            // A lone pixel is narrower than what the eye sees.
            let right = right.max(left + 1.0).min(RIGHT);
            scene.rectangle((left, top + 2.0), (right, top + STRIP_ROW - 2.0), ink);
        }
        scene.text(Text::new((LEFT - 8.0, top + STRIP_ROW - 2.0), SMALL, Ink::FAINT, name).right());
    }
}

/// Beginning and end of every run of `true`.
fn runs(values: &[bool]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (p, _) in values.iter().enumerate().filter(|(_, value)| **value) {
        match runs.last_mut() {
            Some((_, end)) if *end == p => *end = p + 1,
            _ => runs.push((p, p + 1)),
        }
    }
    runs
}

fn draw_axes(scene: &mut Scene, target: &Target, whole: &Frame, data: &Frame) {
    let middle = 0.5 * (LEFT + RIGHT);
    whole.bottom_axis(scene, &Ticks::new(whole.x, 13.0));
    let title = Text::new((middle, whole.bottom + 40.0), 15.0, Ink::TEXT, "observed wavelength, vacuum (Å)");
    scene.text(title.centred());
    let title = "flux density (1e\u{2212}17 erg / s / cm² / Å)";
    scene.text(Text::new((26.0, 0.5 * (data.top + data.bottom)), 15.0, Ink::TEXT, title).centred().upwards());
    if let Some(z) = target.z {
        let rest = (whole.x.0 / (1.0 + z), whole.x.1 / (1.0 + z));
        whole.top_axis(scene, &Ticks::new(rest, 13.0), |rest_aa| rest_aa * (1.0 + z));
        let title = "rest wavelength, vacuum (Å)";
        scene.text(Text::new((middle, TOP - 28.0), 15.0, Ink::TEXT, title).centred());
    }
}

/// What the lines of the panel are, in one row above it.
fn draw_legend(scene: &mut Scene, target: &Target, font: &Font, width: usize) {
    let mut entries: Vec<(Ink, f64, String)> = Vec::new();
    for ((arm, name), ink) in target.arms.iter().zip(ARMS).zip(Ink::ARMS) {
        if arm.is_some() {
            entries.push((ink.tint(0.5), 3.0, format!("{name} arm")));
        }
    }
    entries.push((Ink::SPECTRUM, 1.6, format!("combined, inverse-variance boxcar of {width} pixels")));
    entries.push((Ink::ERROR, 7.0, "its ±1σ".to_owned()));
    if let Some(class) = target.class {
        let text = format!("running median over {} Å rest", median_width_aa(class));
        entries.push((Ink::CONTINUUM, 2.4, text));
    }
    let mut left = LEFT;
    for (ink, thickness, text) in entries {
        scene.segment((left, LEGEND_DOWN - 5.0), (left + 22.0, LEGEND_DOWN - 5.0), ink, thickness);
        left += 28.0;
        scene.text(Text::new((left, LEGEND_DOWN), 14.0, Ink::TEXT, text.as_str()));
        left += font.room(&text, 14.0) + 20.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bad_pixels_are_found_whole() {
        assert_eq!(runs(&[true, true, false, true]), [(0, 2), (3, 4)]);
        assert_eq!(runs(&[false; 3]), []);
    }

    #[test]
    fn only_long_names_lose_their_wavelengths() {
        assert_eq!(short_name("Halpha + [NII] 6550,6585"), "Hα + [NII]");
        assert_eq!(short_name("[OII] 3727,3730"), "[OII] 3727,3730");
        assert_eq!(short_name("[OI] 6302 + [SIII] 6314"), "[OI] + [SIII]");
    }

    #[test]
    fn every_name_on_the_panel_is_in_the_font() {
        let font = Font::embedded();
        let lines = constants::lines().into_iter().map(|line| line.label);
        let indices = constants::indices().into_iter().map(|index| index.label);
        let breaks = constants::breaks().into_iter().map(|item| item.label);
        for label in lines.chain(indices).chain(breaks) {
            assert!(greek(&label).chars().all(|c| font.has(c)), "{label}");
        }
    }
}
