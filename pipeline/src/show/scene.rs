//! A picture as plain marks, before any library sees it.
//!
//! Lengths are design pixels: the PNG has exactly these, the SVG scales. Colours are opaque, so a
//! mark covers what was added before it.

/// Width of the picture.
pub(super) const WIDTH: f64 = 1600.0;

/// Height of the picture.
pub(super) const HEIGHT: f64 = 1000.0;

/// A place on the picture: right, down.
pub(super) type Point = (f64, f64);

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ink(pub(super) u8, pub(super) u8, pub(super) u8);

/// Hues after Okabe & Ito (2008), which colour-blind readers tell apart.
impl Ink {
    pub(super) const WHITE: Self = Self(255, 255, 255);
    pub(super) const TEXT: Self = Self(24, 24, 27);
    pub(super) const FAINT: Self = Self(104, 106, 112);
    pub(super) const FRAME: Self = Self(60, 60, 66);
    pub(super) const RULE: Self = Self(226, 228, 232);
    pub(super) const SPECTRUM: Self = Self(20, 20, 24);
    pub(super) const ERROR: Self = Self(186, 189, 196);
    /// The arms b, r, z.
    pub(super) const ARMS: [Self; 3] = [Self(0, 114, 178), Self(213, 94, 0), Self(176, 88, 150)];
    pub(super) const CONTINUUM: Self = Self(0, 158, 115);
    pub(super) const LINE: Self = Self(120, 122, 130);
    pub(super) const BREAK: Self = Self(222, 170, 30);
    pub(super) const INDEX: Self = Self(86, 140, 180);
    pub(super) const WINDOW: Self = Self(253, 238, 208);
    pub(super) const SIDEBAND: Self = Self(226, 238, 246);
    pub(super) const MASKED: Self = Self(213, 94, 0);
    pub(super) const MISSING: Self = Self(70, 70, 76);

    /// The colour mixed into white: 1 is the colour itself, 0 white.
    pub(super) fn tint(self, share: f64) -> Self {
        let mix = |channel: u8| {
            let mixed = 255.0 - share.clamp(0.0, 1.0) * (255.0 - f64::from(channel));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
            let mixed = mixed.round() as u8;
            mixed
        };
        Self(mix(self.0), mix(self.1), mix(self.2))
    }
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// A line of text; its point is on the baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) at: Point,
    /// Height of the em square.
    pub(super) size: f64,
    pub(super) ink: Ink,
    pub(super) text: String,
    pub(super) align: Align,
    /// Whether it reads upwards.
    pub(super) upwards: bool,
}

impl Text {
    /// A text that begins at a point.
    pub(super) fn new(at: Point, size: f64, ink: Ink, text: impl Into<String>) -> Self {
        Self { at, size, ink, text: text.into(), align: Align::Left, upwards: false }
    }

    /// The same text centred on its point.
    pub(super) fn centred(self) -> Self {
        Self { align: Align::Centre, ..self }
    }

    /// The same text ending at its point.
    pub(super) fn right(self) -> Self {
        Self { align: Align::Right, ..self }
    }

    /// The same text reading upwards.
    pub(super) fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }
}

/// What a picture is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    /// A line through points.
    Path { points: Vec<Point>, ink: Ink, width: f64 },
    /// A filled upright rectangle between two corners.
    Rectangle { from: Point, to: Point, ink: Ink },
    /// A filled shape.
    Polygon { points: Vec<Point>, ink: Ink },
    /// A line of text.
    Text(Text),
}

/// A picture.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) marks: Vec<Mark>,
}

impl Scene {
    pub(super) fn text(&mut self, text: Text) {
        self.marks.push(Mark::Text(text));
    }

    pub(super) fn path(&mut self, points: Vec<Point>, ink: Ink, width: f64) {
        if points.len() > 1 {
            self.marks.push(Mark::Path { points, ink, width });
        }
    }

    pub(super) fn segment(&mut self, from: Point, to: Point, ink: Ink, width: f64) {
        self.path(vec![from, to], ink, width);
    }

    /// An upright or level dashed line.
    pub(super) fn dashed(&mut self, from: Point, to: Point, ink: Ink, width: f64) {
        const DASH: f64 = 5.0;
        const GAP: f64 = 4.0;
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |along: f64| {
            let share = along.min(length) / length;
            (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1))
        };
        let mut along = 0.0;
        while along < length {
            self.segment(at(along), at(along + DASH), ink, width);
            along += DASH + GAP;
        }
    }

    pub(super) fn rectangle(&mut self, from: Point, to: Point, ink: Ink) {
        self.marks.push(Mark::Rectangle { from, to, ink });
    }

    pub(super) fn polygon(&mut self, points: Vec<Point>, ink: Ink) {
        if points.len() > 2 {
            self.marks.push(Mark::Polygon { points, ink });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tint_goes_from_white_to_the_colour() {
        assert_eq!(Ink::LINE.tint(0.0), Ink::WHITE);
        assert_eq!(Ink::LINE.tint(1.0), Ink::LINE);
    }

    #[test]
    fn dashes_end_where_the_line_ends() {
        let mut scene = Scene::default();
        scene.dashed((0.0, 0.0), (0.0, 12.0), Ink::LINE, 1.0);
        let ends: Vec<Point> = scene
            .marks
            .iter()
            .map(|mark| {
                let Mark::Path { points, .. } = mark else { panic!("{mark:?}") };
                points[1]
            })
            .collect();
        assert_eq!(ends, [(0.0, 5.0), (0.0, 12.0)]);
    }
}
