//! A target's spectrum above those of its neighbours, all in the rest frame, one below the other.

use std::path::Path;

use arrow::datatypes::Int64Type;

use crate::class::Class;
use crate::error::{Error, Result};
use crate::lake::LakeFile;
use crate::stages::extract::output_path;
use crate::unit::UnitId;

use super::font::Font;
use super::frame::{Frame, Ticks};
use super::gather::Pixels;
use super::paint::Format;
use super::scene::{HEIGHT, Ink, Scene, Text, WIDTH};
use super::spectrum::{LEFT, RIGHT, draw_lines, lines_in_range, names_height};
use super::trace::{Smooth, boxcar_width, limits, smooth};

/// Neighbours drawn at most: more would leave each a few pixels.
const MOST: usize = 12;
const TOP: f64 = 62.0;
const BOTTOM: f64 = HEIGHT - 62.0;

/// A spectrum to draw, and what to write beside it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) unit: UnitId,
    pub(crate) targetid: i64,
    pub(crate) z: f64,
    /// Distance from the target; `None` for the target itself.
    pub(crate) distance: Option<f64>,
    /// Another observation of the target.
    pub(crate) same_target: bool,
}

/// A spectrum of the lake on its rest-frame grid.
struct Rest {
    wave_p: Vec<f64>,
    pixels: Pixels,
}

/// Draws the target (first) and its neighbours, nearest first.
///
/// # Errors
/// Where a file of the lake is damaged or the picture cannot be written; a spectrum that the run folder does not hold is
/// drawn as absent.
pub(crate) fn draw_similar(
    run_folder: &Path,
    class: Class,
    model: &str,
    spectra: &[Seen],
    out: &Path,
) -> Result<()> {
    let format = Format::of(out)?;
    let font = Font::embedded();
    let shown = &spectra[..spectra.len().min(MOST + 1)];
    let rest: Vec<Option<Rest>> =
        shown.iter().map(|seen| read(run_folder, class, seen)).collect::<Result<_>>()?;
    let scene = draw(class, model, shown, &rest, &font);
    let drawing = |reason: String| Error::Drawing { path: out.to_owned(), reason };
    match format {
        Format::Svg => super::write_text(out, &super::paint::svg(&scene).map_err(drawing)?),
        Format::Png => super::paint::write_png(&scene, &font, out),
    }
}

/// Reads a spectrum; nothing where the run folder does not hold it.
fn read(run_folder: &Path, class: Class, seen: &Seen) -> Result<Option<Rest>> {
    let path = run_folder.join(output_path(Some(class), &seen.unit));
    if !path.exists() {
        return Ok(None);
    }
    let file = LakeFile::open(&path)?;
    let Some(position) = position(&file, seen.targetid)? else { return Ok(None) };
    let number = |key: &str| -> Result<f64> {
        let text = file.footer(key).unwrap_or_default();
        text.parse().map_err(|_| file.wrong(format!("its footer has no number under {key}")))
    };
    let (first, step) = (number("grid_log10_first")?, number("grid_dlog10")?);
    let Some(spectrum) = file.spectra(Some(&[position]), 1)?.next().transpose()? else { return Ok(None) };
    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
    let wave = |p: usize| libm::pow(10.0, first + step * p as f64);
    Ok(Some(Rest {
        wave_p: (0..spectrum.flux_sp.len()).map(wave).collect(),
        pixels: Pixels { flux_p: wide(&spectrum.flux_sp), ivar_p: wide(&spectrum.ivar_sp) },
    }))
}

fn position(file: &LakeFile, targetid: i64) -> Result<Option<usize>> {
    let mut before = 0;
    for rows in file.read(&["targetid"], 4096)? {
        let rows = rows?;
        if let Some(at) = rows.values::<Int64Type>("targetid")?.iter().position(|id| *id == targetid) {
            return Ok(Some(before + at));
        }
        before += rows.len();
    }
    Ok(None)
}

/// Rest wavelengths from the first to the last good pixel.
fn range(rest: &Rest) -> Option<(f64, f64)> {
    let mut good = rest.wave_p.iter().zip(&rest.pixels.ivar_p).filter(|(_, ivar)| **ivar > 0.0);
    let first = *good.next()?.0;
    let last = good.next_back().map_or(first, |(wave, _)| *wave);
    (first < last).then_some((first, last))
}

fn draw(class: Class, model: &str, shown: &[Seen], rest: &[Option<Rest>], font: &Font) -> Scene {
    let mut scene = Scene::default();
    let x = rest.iter().flatten().find_map(range).unwrap_or((1000.0, 10_000.0));
    let whole = Frame { left: LEFT, right: RIGHT, top: TOP, bottom: BOTTOM, x, y: (0.0, 1.0) };
    headline(&mut scene, class, model, shown);
    let lines = lines_in_range(0.0, &whole);
    let top = TOP + names_height(&lines, font);
    draw_lines(&mut scene, &lines, &Frame { top, ..whole });
    let count = f64::from(u32::try_from(shown.len().max(1)).unwrap_or(1));
    let height = (BOTTOM - top) / count;
    let mut panel_top = top;
    for (place, (seen, rest)) in shown.iter().zip(rest).enumerate() {
        let panel = Frame { top: panel_top, bottom: panel_top + height, ..whole };
        draw_panel(&mut scene, &panel, place, seen, rest.as_ref());
        panel_top += height;
    }
    whole.bottom_axis(&mut scene, &Ticks::new(x, 8.0));
    let label =
        Text::new((0.5 * (LEFT + RIGHT), BOTTOM + 44.0), 15.0, Ink::TEXT, "rest wavelength, vacuum (Å)");
    scene.text(label.centred());
    let label = "flux density, each on its own scale from 0, smoothed; grey: standard error";
    scene.text(Text::new((36.0, 0.5 * (top + BOTTOM)), 15.0, Ink::TEXT, label).centred().upwards());
    scene
}

fn headline(scene: &mut Scene, class: Class, model: &str, shown: &[Seen]) {
    let Some(target) = shown.first() else { return };
    let text = format!(
        "{} TARGETID {} at z = {:.4} and the spectra most like it",
        class.name().to_uppercase(),
        target.targetid,
        target.z
    );
    scene.text(Text::new((16.0, 34.0), 23.0, Ink::TEXT, text));
    scene.text(Text::new((WIDTH - 16.0, 34.0), 15.0, Ink::FAINT, model).right());
}

fn draw_panel(scene: &mut Scene, panel: &Frame, place: usize, seen: &Seen, rest: Option<&Rest>) {
    // The target's own panel stands out.
    let ink = if place == 0 { Ink::ARMS[0] } else { Ink::SPECTRUM };
    let drawn = rest.and_then(|rest| {
        let smoothed = smooth(&rest.pixels, boxcar_width(&rest.pixels));
        Some((rest, limits(&rest.pixels, &smoothed)?, smoothed))
    });
    match drawn {
        Some((rest, y, smoothed)) => draw_spectrum(scene, &Frame { y, ..*panel }, rest, &smoothed, ink),
        None => {
            let middle = (0.5 * (LEFT + RIGHT), 0.5 * (panel.top + panel.bottom) + 5.0);
            let text = "not among the spectra of this run folder";
            scene.text(Text::new(middle, 14.0, Ink::FAINT, text).centred());
        }
    }
    panel.outline(scene);
    let apart = match seen.distance {
        None => "the target".to_owned(),
        Some(distance) if seen.same_target => format!("{place}   distance {distance:.3}   the same target"),
        Some(distance) => format!("{place}   distance {distance:.3}"),
    };
    let left = RIGHT + 14.0;
    let middle = 0.5 * (panel.top + panel.bottom);
    scene.text(Text::new((left, middle - 12.0), 15.0, ink, format!("{apart}   z = {:.4}", seen.z)));
    scene.text(Text::new((left, middle + 6.0), 13.0, Ink::TEXT, seen.targetid.to_string()));
    scene.text(Text::new((left, middle + 22.0), 12.0, Ink::FAINT, seen.unit.to_string()));
}

fn draw_spectrum(scene: &mut Scene, panel: &Frame, rest: &Rest, smoothed: &[Option<Smooth>], ink: Ink) {
    let inside = |wave: f64| (panel.x.0..=panel.x.1).contains(&wave);
    let pixels = || rest.wave_p.iter().zip(smoothed).filter(|(wave, _)| inside(**wave));
    let zero = panel.down(0.0);
    scene.segment((panel.left, zero), (panel.right, zero), Ink::RULE, 1.0);
    let band = pixels().map(|(wave, pixel)| {
        let Smooth { flux, err } = (*pixel)?;
        Some((*wave, flux - err, flux + err))
    });
    for shape in panel.ribbon(band) {
        scene.polygon(shape, Ink::ERROR);
    }
    for piece in panel.curve(pixels().map(|(wave, pixel)| Some((*wave, pixel.as_ref()?.flux)))) {
        scene.path(piece, ink, 1.0);
    }
}
