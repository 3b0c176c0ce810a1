//! The font of the picture: how wide a text is, and which pixels it covers.

use ab_glyph::{Font as _, FontRef, Glyph, GlyphId, ScaleFont as _, point};

/// The typeface in the binary; SVG readers use their own.
pub(super) struct Font(FontRef<'static>);

impl Font {
    /// Ubuntu Light, from `epaint_default_fonts`.
    ///
    /// # Panics
    /// Never: the font is part of the binary, and a test opens it.
    pub(super) fn embedded() -> Self {
        let bytes = epaint_default_fonts::UBUNTU_LIGHT;
        Self(FontRef::try_from_slice(bytes).expect("the font in the binary is sound: opened by a test"))
    }

    /// Width of a text whose em square is `size` high, in the same unit.
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        self.place(text, size).1
    }

    /// Room to leave for a text: the fonts that SVG readers put in its place are wider, DejaVu Sans by
    /// an eighth.
    pub(super) fn room(&self, text: &str, size: f64) -> f64 {
        1.125 * self.width(text, size)
    }

    /// Calls `cover(right, down, share)` for every pixel that a text covers, relative to the
    /// beginning of its baseline.
    pub(super) fn rasterize(&self, text: &str, size: f64, mut cover: impl FnMut(f64, f64, f32)) {
        for glyph in self.place(text, size).0 {
            let Some(outline) = self.0.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|right, down, share| {
                let right = f64::from(corner.x) + f64::from(right);
                cover(right, f64::from(corner.y) + f64::from(down), share);
            });
        }
    }

    /// Glyphs along a baseline, and where it ends.
    fn place(&self, text: &str, size: f64) -> (Vec<Glyph>, f64) {
        let em = self.0.units_per_em().unwrap_or(1.0);
        #[expect(clippy::cast_possible_truncation, reason = "sizes are small")]
        let scaled = self.0.as_scaled(size as f32 * self.0.height_unscaled() / em);
        let mut along = 0.0_f32;
        let mut previous: Option<GlyphId> = None;
        let mut glyphs = Vec::new();
        for character in text.chars() {
            let id = scaled.glyph_id(character);
            along += previous.map_or(0.0, |previous| scaled.kern(previous, id));
            glyphs.push(id.with_scale_and_position(scaled.scale(), point(along, 0.0)));
            along += scaled.h_advance(id);
            previous = Some(id);
        }
        (glyphs, f64::from(along))
    }

    #[cfg(test)]
    pub(super) fn has(&self, character: char) -> bool {
        self.0.glyph_id(character).0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_opens_and_has_the_letters_of_astronomy() {
        let font = Font::embedded();
        for character in "αβγδεσλÅ±−²³°·".chars() {
            assert!(font.has(character), "{character}");
        }
    }

    #[test]
    fn twice_the_size_is_twice_as_wide() {
        let font = Font::embedded();
        let (one, two) = (font.width("Hα + [NII]", 10.0), font.width("Hα + [NII]", 20.0));
        assert!(one > 30.0 && (two - 2.0 * one).abs() < 0.01, "{one} {two}");
    }
}
