//! A pair of axes: where values stand on the picture.

use super::scene::{Ink, Point, Scene, Text};

/// Size of the numbers at ticks.
const TICK_TEXT: f64 = 14.0;
const MAJOR: f64 = 7.0;
const MINOR: f64 = 4.0;

/// A rectangle of the picture with a range of values along each side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// Values at the left and right side.
    pub(super) x: (f64, f64),
    /// Values at the bottom and top side.
    pub(super) y: (f64, f64),
}

/// Where ticks stand.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticks {
    pub(super) major: Vec<f64>,
    pub(super) minor: Vec<f64>,
    /// Digits that tell major ticks apart.
    pub(super) decimals: usize,
}

impl Ticks {
    /// About `count` round numbers within a range, and smaller steps between them.
    pub(super) fn new(range: (f64, f64), count: f64) -> Self {
        let rough = (range.1 - range.0) / count.max(1.0);
        let decade = libm::pow(10.0, libm::log10(rough).floor());
        // Steps of 1, 2 and 5, each with the number of smaller ones that divides it well.
        let (step, parts) = match rough / decade {
            r if r < 1.5 => (decade, 5.0),
            r if r < 3.5 => (2.0 * decade, 4.0),
            r if r < 7.5 => (5.0 * decade, 5.0),
            _ => (10.0 * decade, 5.0),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some hundreds")]
        let decimals = (-libm::log10(step * 1.000_001).floor()).clamp(0.0, 12.0) as usize;
        Self { major: multiples(step, range), minor: multiples(step / parts, range), decimals }
    }

    /// A tick's number as written.
    pub(super) fn label(&self, value: f64) -> String {
        minus(&format!("{value:.*}", self.decimals))
    }
}

/// A number with a true minus sign, and none before zero.
pub(super) fn minus(number: &str) -> String {
    match number.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => number.to_owned(),
    }
}

fn multiples(step: f64, (lo, hi): (f64, f64)) -> Vec<f64> {
    let mut values = Vec::new();
    let mut k = (lo / step).ceil();
    while k * step <= hi {
        values.push(k * step);
        k += 1.0;
    }
    values
}

impl Frame {
    /// Where a value of the level axis stands.
    pub(super) fn across(&self, x: f64) -> f64 {
        self.left + (x - self.x.0) / (self.x.1 - self.x.0) * (self.right - self.left)
    }

    /// Where a value of the upright axis stands.
    pub(super) fn down(&self, y: f64) -> f64 {
        self.bottom - (y - self.y.0) / (self.y.1 - self.y.0) * (self.bottom - self.top)
    }

    /// A line through values, broken where one is missing and cut where it leaves the frame above
    /// or below.
    pub(super) fn curve(&self, values: impl IntoIterator<Item = Option<(f64, f64)>>) -> Vec<Vec<Point>> {
        let mut pieces: Vec<Vec<Point>> = Vec::new();
        let mut last: Option<Point> = None;
        for value in values {
            let here = value.map(|(x, y)| (self.across(x), self.down(y)));
            if let (Some(from), Some(to)) = (last, here)
                && let Some((begin, end)) = cut(from, to, self.top, self.bottom)
            {
                match pieces.last_mut() {
                    Some(piece) if piece.last() == Some(&begin) => piece.push(end),
                    _ => pieces.push(vec![begin, end]),
                }
            }
            last = here;
        }
        pieces
    }

    /// Shapes between two lines, broken where one is missing and cut at the frame.
    pub(super) fn ribbon(
        &self,
        values: impl IntoIterator<Item = Option<(f64, f64, f64)>>,
    ) -> Vec<Vec<Point>> {
        let mut shapes = Vec::new();
        let (mut upper, mut lower): (Vec<Point>, Vec<Point>) = (Vec::new(), Vec::new());
        for value in values.into_iter().chain([None]) {
            if let Some((x, lo, hi)) = value {
                let cut = |y: f64| self.down(y).clamp(self.top, self.bottom);
                upper.push((self.across(x), cut(hi)));
                lower.push((self.across(x), cut(lo)));
            } else {
                let mut shape = std::mem::take(&mut upper);
                shape.extend(std::mem::take(&mut lower).into_iter().rev());
                if shape.len() > 3 {
                    shapes.push(shape);
                }
            }
        }
        shapes
    }

    /// The part of a band that lies inside, as left and right on the picture.
    pub(super) fn band(&self, (lo, hi): (f64, f64)) -> Option<(f64, f64)> {
        let (lo, hi) = (self.across(lo).max(self.left), self.across(hi).min(self.right));
        (lo < hi).then_some((lo, hi))
    }

    /// The frame itself.
    pub(super) fn outline(&self, scene: &mut Scene) {
        let (left, right, top, bottom) = (self.left, self.right, self.top, self.bottom);
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        scene.path(corners, Ink::FRAME, 1.2);
    }

    /// Ticks and numbers below.
    pub(super) fn bottom_axis(&self, scene: &mut Scene, ticks: &Ticks) {
        self.level_axis(scene, ticks, |x| self.across(x), (self.bottom, -1.0, self.bottom + 19.0));
    }

    /// Ticks and numbers above, for values that `place` turns into those of the frame.
    pub(super) fn top_axis(&self, scene: &mut Scene, ticks: &Ticks, place: impl Fn(f64) -> f64) {
        self.level_axis(scene, ticks, |x| self.across(place(x)), (self.top, 1.0, self.top - 8.0));
    }

    fn level_axis(
        &self,
        scene: &mut Scene,
        ticks: &Ticks,
        across: impl Fn(f64) -> f64,
        (edge, inwards, text_down): (f64, f64, f64),
    ) {
        for (values, length) in [(&ticks.minor, MINOR), (&ticks.major, MAJOR)] {
            for x in values {
                scene.segment((across(*x), edge), (across(*x), edge + inwards * length), Ink::FRAME, 1.0);
            }
        }
        for x in &ticks.major {
            scene.text(Text::new((across(*x), text_down), TICK_TEXT, Ink::TEXT, ticks.label(*x)).centred());
        }
    }

    /// Ticks and numbers on the left, faint lines across.
    pub(super) fn left_axis(&self, scene: &mut Scene, ticks: &Ticks) {
        for (values, length) in [(&ticks.minor, MINOR), (&ticks.major, MAJOR)] {
            for y in values {
                let down = self.down(*y);
                scene.segment((self.left, down), (self.left + length, down), Ink::FRAME, 1.0);
            }
        }
        // Numbers in the corners would run into those of the other axis.
        let inside = |y: &&f64| (self.top + 4.0..=self.bottom - 6.0).contains(&self.down(**y));
        for y in ticks.major.iter().filter(inside) {
            let at = (self.left - 8.0, self.down(*y) + 5.0);
            scene.text(Text::new(at, TICK_TEXT, Ink::TEXT, ticks.label(*y)).right());
        }
    }

    /// Faint lines across at the major ticks of the upright axis.
    pub(super) fn rules(&self, scene: &mut Scene, ticks: &Ticks) {
        for y in &ticks.major {
            scene.segment((self.left, self.down(*y)), (self.right, self.down(*y)), Ink::RULE, 1.0);
        }
    }
}

/// The part of a segment between two heights.
fn cut(from: Point, to: Point, top: f64, bottom: f64) -> Option<(Point, Point)> {
    let outside = |limit: &dyn Fn(f64) -> bool| limit(from.1) && limit(to.1);
    if outside(&|y| y < top) || outside(&|y| y > bottom) {
        return None;
    }
    let at = |down: f64| {
        let share = (down - from.1) / (to.1 - from.1);
        (from.0 + share * (to.0 - from.0), down)
    };
    let inside = |point: Point| match point.1 {
        y if y < top => at(top),
        y if y > bottom => at(bottom),
        _ => point,
    };
    Some((inside(from), inside(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame =
        Frame { left: 0.0, right: 10.0, top: 0.0, bottom: 10.0, x: (0.0, 10.0), y: (0.0, 10.0) };

    #[test]
    fn ticks_are_round_numbers_inside_the_range() {
        let ticks = Ticks::new((3600.0, 9824.0), 7.0);
        assert_eq!(ticks.major, [4000.0, 5000.0, 6000.0, 7000.0, 8000.0, 9000.0]);
        assert_eq!(ticks.label(4000.0), "4000");
        let ticks = Ticks::new((-0.11, 0.32), 5.0);
        let labels: Vec<String> = ticks.major.iter().map(|y| ticks.label(*y)).collect();
        assert_eq!(labels, ["\u{2212}0.1", "0.0", "0.1", "0.2", "0.3"]);
    }

    #[test]
    fn a_curve_is_cut_at_the_frame_and_broken_at_a_gap() {
        let values =
            [Some((0.0, 5.0)), Some((1.0, 15.0)), Some((2.0, 5.0)), None, Some((3.0, 5.0)), Some((4.0, 5.0))];
        let pieces = FRAME.curve(values);
        let expected =
            [vec![(0.0, 5.0), (0.5, 0.0)], vec![(1.5, 0.0), (2.0, 5.0)], vec![(3.0, 5.0), (4.0, 5.0)]];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_ribbon_never_leaves_the_frame() {
        let shapes = FRAME.ribbon([Some((1.0, -50.0, 50.0)), Some((2.0, 4.0, 6.0)), None]);
        assert_eq!(shapes, [vec![(1.0, 0.0), (2.0, 4.0), (2.0, 6.0), (1.0, 10.0)]]);
    }
}
