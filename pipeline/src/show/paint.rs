//! A scene as SVG or PNG.

use std::path::Path;

use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontDesc, FontFamily, FontStyle, FontTransform, IntoFont as _, RGBColor, ShapeStyle,
    TextStyle,
};

use crate::error::{Error, Result};
use crate::sink;

use super::font::Font;
use super::scene::{Align, HEIGHT, Ink, Mark, Point, Scene, Text, WIDTH};

/// Plotters places everything on whole pixels, so pictures are drawn larger: an SVG is then shown
/// smaller, a PNG averaged down, which smooths its edges.
const SVG_SCALE: f64 = 8.0;
const PNG_SCALE: usize = 3;

/// What the picture is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Svg,
}

impl Format {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// [`Error::Argument`] for any other name.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(std::ffi::OsStr::to_str) {
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            _ => Err(Error::Argument {
                argument: "--out",
                problem: format!("{}: pictures end in .png or .svg", path.display()),
            }),
        }
    }
}

/// The scene as an SVG document.
///
/// # Errors
/// The library's reason.
pub(super) fn svg(scene: &Scene) -> std::result::Result<String, String> {
    let mut document = String::new();
    let (width, height) = (whole(WIDTH * SVG_SCALE), whole(HEIGHT * SVG_SCALE));
    {
        let mut backend = SVGBackend::with_string(&mut document, (width, height));
        paint(scene, &mut backend, SVG_SCALE, |backend, points, style| {
            backend.draw_path(points, &style).map_err(|error| error.to_string())
        })?;
        for mark in &scene.marks {
            if let Mark::Text(text) = mark {
                svg_text(&mut backend, text)?;
            }
        }
        backend.present().map_err(|error| error.to_string())?;
    }
    // Shown at the size of the design; sharp corners of a noisy line must not become spikes.
    let drawn = format!("width=\"{width}\" height=\"{height}\"");
    let shown = format!("width=\"{WIDTH}\" height=\"{HEIGHT}\" stroke-linejoin=\"round\"");
    Ok(document.replacen(&drawn, &shown, 1))
}

/// Writes the scene as a PNG file, whole or not at all.
///
/// # Errors
/// [`Error::Drawing`] with the library's reason, [`Error::Io`] where the folder refuses the file.
pub(super) fn write_png(scene: &Scene, font: &Font, path: &Path) -> Result<()> {
    let drawing = |reason: String| Error::Drawing { path: path.to_owned(), reason };
    let pixels = rasterize(scene, font).map_err(drawing)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io = |source| Error::Io { what: format!("cannot write {}", path.display()), source };
    fs_err::create_dir_all(folder).map_err(io)?;
    let file = tempfile::Builder::new().suffix(".png").tempfile_in(folder).map_err(io)?;
    {
        let size = (whole(WIDTH), whole(HEIGHT));
        let mut backend = BitMapBackend::new(file.path(), size);
        backend.blit_bitmap((0, 0), size, &pixels).map_err(|error| drawing(error.to_string()))?;
        backend.present().map_err(|error| drawing(error.to_string()))?;
    }
    file.as_file().sync_all().map_err(io)?;
    sink::publish(file, path)
}

/// The scene's pixels: RGB, row after row.
fn rasterize(scene: &Scene, font: &Font) -> std::result::Result<Vec<u8>, String> {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let scale = PNG_SCALE as f64;
    let (width, height) = (whole(WIDTH) as usize * PNG_SCALE, whole(HEIGHT) as usize * PNG_SCALE);
    let mut canvas = Canvas { rgb: vec![255; 3 * width * height], width };
    {
        let size = (whole(WIDTH * scale), whole(HEIGHT * scale));
        let mut backend = BitMapBackend::with_buffer(&mut canvas.rgb, size);
        paint(scene, &mut backend, scale, |backend, points, style| {
            points.windows(2).try_for_each(|ends| stroke(backend, ends[0], ends[1], style))
        })?;
        backend.present().map_err(|error| error.to_string())?;
    }
    for mark in &scene.marks {
        if let Mark::Text(text) = mark {
            canvas.write(text, font, scale);
        }
    }
    Ok(canvas.averaged_down())
}

/// Drawn, or the library's reason.
type Painted = std::result::Result<(), String>;

/// Everything but the texts, which lie above it; `draw_path` draws lines.
fn paint<DB: DrawingBackend>(
    scene: &Scene,
    backend: &mut DB,
    scale: f64,
    draw_path: impl Fn(&mut DB, Vec<(i32, i32)>, ShapeStyle) -> Painted,
) -> Painted {
    let full = whole_point((WIDTH, HEIGHT), scale);
    let white = style(Ink::WHITE, 1);
    backend.draw_rect((0, 0), full, &white, true).map_err(|error| error.to_string())?;
    for mark in &scene.marks {
        let painted = match mark {
            Mark::Path { points, ink, width } => {
                let style = style(*ink, whole(width * scale).max(1));
                draw_path(backend, points.iter().map(|point| whole_point(*point, scale)).collect(), style)
            }
            Mark::Rectangle { from, to, ink } => {
                let (from, to) = (whole_point(*from, scale), whole_point(*to, scale));
                backend.draw_rect(from, to, &style(*ink, 1), true).map_err(|error| error.to_string())
            }
            Mark::Polygon { points, ink } => {
                let points = points.iter().map(|point| whole_point(*point, scale));
                backend.fill_polygon(points, &style(*ink, 1)).map_err(|error| error.to_string())
            }
            Mark::Text(_) => Ok(()),
        };
        painted?;
    }
    Ok(())
}

/// A straight line as rectangles, one for each pixel along its shorter side: the library's own wide
/// lines have spikes where a noisy curve turns.
fn stroke<DB: DrawingBackend>(
    backend: &mut DB,
    from: (i32, i32),
    to: (i32, i32),
    style: ShapeStyle,
) -> Painted {
    let (right, down) = (to.0 - from.0, to.1 - from.1);
    let steps = right.abs().min(down.abs());
    let width = i32::try_from(style.stroke_width).unwrap_or(1);
    let along = |length: i32, halves: i32| match steps {
        0 => length * halves.clamp(0, 1),
        _ => length * halves.clamp(0, 2 * steps) / (2 * steps),
    };
    for step in 0..=steps {
        let place = |halves: i32| {
            if right.abs() < down.abs() {
                (from.0 + right.signum() * step, from.1 + along(down, halves))
            } else {
                (from.0 + along(right, halves), from.1 + down.signum() * step)
            }
        };
        let (a, b) = (place(2 * step - 1), place(2 * step + 1));
        let corner = (a.0.min(b.0) - width / 2, a.1.min(b.1) - width / 2);
        let opposite = (a.0.max(b.0) - width / 2 + width, a.1.max(b.1) - width / 2 + width);
        backend.draw_rect(corner, opposite, &style, true).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn style(Ink(red, green, blue): Ink, width: u32) -> ShapeStyle {
    ShapeStyle { color: RGBColor(red, green, blue).to_rgba(), filled: true, stroke_width: width }
}

/// The nearest whole number of pixels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths on the picture")]
fn whole(length: f64) -> u32 {
    length.max(0.0).round() as u32
}

#[expect(clippy::cast_possible_truncation, reason = "places on the picture or just outside it")]
fn whole_point((right, down): Point, scale: f64) -> (i32, i32) {
    ((right * scale).round() as i32, (down * scale).round() as i32)
}

fn svg_text(backend: &mut SVGBackend<'_>, text: &Text) -> Painted {
    // The backend writes size / 1.24 and lowers the baseline by 0.5ex where a text is centred on
    // its height; Bottom lifts it by the same, which is taken back here.
    const SIZE_FACTOR: f64 = 1.24;
    const HALF_EX: f64 = 0.26;
    let Ink(red, green, blue) = text.ink;
    let horizontal = match text.align {
        Align::Left => HPos::Left,
        Align::Centre => HPos::Center,
        Align::Right => HPos::Right,
    };
    let family = FontFamily::Name("Ubuntu, Helvetica, Arial, sans-serif");
    let font = FontDesc::new(family, text.size * SVG_SCALE * SIZE_FACTOR, FontStyle::Normal).into_font();
    let (font, lift) = if text.upwards {
        (font.transform(FontTransform::Rotate270), (HALF_EX * text.size, 0.0))
    } else {
        (font, (0.0, HALF_EX * text.size))
    };
    let style = TextStyle {
        font,
        color: RGBColor(red, green, blue).to_backend_color(),
        pos: Pos::new(horizontal, VPos::Bottom),
    };
    let at = (text.at.0 + lift.0, text.at.1 + lift.1);
    backend.draw_text(&text.text, &style, whole_point(at, SVG_SCALE)).map_err(|error| error.to_string())
}

/// Pixels at `PNG_SCALE` times the design, RGB.
struct Canvas {
    rgb: Vec<u8>,
    width: usize,
}

impl Canvas {
    fn write(&mut self, text: &Text, font: &Font, scale: f64) {
        let size = text.size * scale;
        let width = font.width(&text.text, size);
        let begin = match text.align {
            Align::Left => 0.0,
            Align::Centre => -0.5 * width,
            Align::Right => -width,
        };
        let (x, y) = (text.at.0 * scale, text.at.1 * scale);
        font.rasterize(&text.text, size, |right, down, share| {
            let along = begin + right;
            let (x, y) = if text.upwards { (x + down, y - along) } else { (x + along, y + down) };
            self.blend(x, y, text.ink, share);
        });
    }

    fn blend(&mut self, x: f64, y: f64, Ink(red, green, blue): Ink, share: f32) {
        let (column, row) = (whole(x) as usize, whole(y) as usize);
        if x < 0.0 || y < 0.0 || column >= self.width {
            return;
        }
        let first = 3 * (row * self.width + column);
        let Some(pixel) = self.rgb.get_mut(first..first + 3) else { return };
        let share = share.clamp(0.0, 1.0);
        for (channel, ink) in pixel.iter_mut().zip([red, green, blue]) {
            let mixed = (1.0 - share) * f32::from(*channel) + share * f32::from(ink);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
            let mixed = mixed.round() as u8;
            *channel = mixed;
        }
    }

    /// The mean of every square of `PNG_SCALE` pixels a side.
    fn averaged_down(&self) -> Vec<u8> {
        let stride = 3 * self.width;
        let rows = self.rgb.len() / stride / PNG_SCALE;
        let columns = self.width / PNG_SCALE;
        let count = u32::try_from(PNG_SCALE * PNG_SCALE).unwrap_or(u32::MAX);
        let mut mean = Vec::with_capacity(3 * rows * columns);
        let mut sums = vec![0_u32; 3 * columns];
        for band in self.rgb.chunks_exact(stride * PNG_SCALE) {
            sums.fill(0);
            for row in band.chunks_exact(stride) {
                for (sum, square) in sums.chunks_exact_mut(3).zip(row.chunks_exact(3 * PNG_SCALE)) {
                    for pixel in square.chunks_exact(3) {
                        sum.iter_mut().zip(pixel).for_each(|(sum, channel)| *sum += u32::from(*channel));
                    }
                }
            }
            mean.extend(sums.iter().map(|sum| u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX)));
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_the_format() {
        assert_eq!(Format::of(Path::new("a/b.PNG")).unwrap(), Format::Png);
        assert_eq!(Format::of(Path::new("b.svg")).unwrap(), Format::Svg);
        for name in ["b.pdf", "b", ".svg"] {
            let error = Format::of(Path::new(name)).unwrap_err();
            assert_eq!(error.exit(), crate::exit::Exit::BadPlan, "{name}");
        }
    }

    #[test]
    fn a_rectangle_covers_its_pixels_and_no_others() {
        let mut scene = Scene::default();
        scene.rectangle((10.0, 20.0), (12.0, 21.0), Ink::TEXT);
        let pixels = rasterize(&scene, &Font::embedded()).unwrap();
        let dark: Vec<usize> =
            pixels.chunks_exact(3).enumerate().filter(|(_, p)| *p != [255; 3]).map(|(i, _)| i).collect();
        let row = whole(WIDTH) as usize;
        assert_eq!(dark, [20 * row + 10, 20 * row + 11]);
        let Ink(red, green, blue) = Ink::TEXT;
        assert_eq!(pixels[3 * dark[0]..][..3], [red, green, blue]);
    }

    #[test]
    fn a_text_that_reads_upwards_stands_left_of_its_point_and_above_it() {
        let mut scene = Scene::default();
        scene.text(Text::new((500.0, 500.0), 20.0, Ink::TEXT, "Hα").upwards());
        let pixels = rasterize(&scene, &Font::embedded()).unwrap();
        let row = whole(WIDTH) as usize;
        let dark = pixels.chunks_exact(3).enumerate().filter(|(_, p)| *p != [255; 3]).map(|(i, _)| i);
        let places: Vec<(usize, usize)> = dark.map(|i| (i % row, i / row)).collect();
        assert!(places.len() > 50);
        assert!(places.iter().all(|(x, y)| (480..=500).contains(x) && (460..=500).contains(y)), "{places:?}");
    }
}
