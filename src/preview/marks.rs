//! What is drawn upon a picture: cursor, ruler, scale bar. White on dark and black on bright ground, so that it is seen on
//! any.

use std::collections::HashSet;

use image::{DynamicImage, Luma, Rgb};

use super::draw::Drawn;
use crate::app::viewer::facts;
use crate::app::{PreviewKey, Scene};

/// From here on black is seen better than white.
const BRIGHT: u16 = 128;

/// A picture to draw upon, and how thick lines are.
struct Paper<'a> {
    image: &'a mut DynamicImage,
    thickness: i64,
    /// Pixels that are drawn already: where lines cross, the second must not be set off against the first.
    inked: HashSet<(u32, u32)>,
}

/// Draws all marks of a request upon a picture for cells of `cell` pixels.
pub(super) fn draw(
    image: &mut DynamicImage,
    drawn: &Drawn,
    key: &PreviewKey,
    scene: &Scene,
    cell: (u16, u16),
) {
    let (cell_w, cell_h) = (f64::from(cell.0), f64::from(cell.1));
    let mut paper = Paper {
        image,
        thickness: (i64::from(cell.0) / 8).max(1),
        inked: HashSet::new(),
    };
    if key.marks.overlays {
        paper.bar(drawn, key, scene, (cell_w, cell_h));
    }
    if let Some(ends) = key.marks.line {
        let [from, to] = ends.map(|end| drawn.place.screen(end));
        paper.line(from, to);
        let tick = (cell_w / 4.0).max(1.0);
        for (x, y) in [from, to] {
            paper.line((x - tick, y - tick), (x + tick, y + tick));
            paper.line((x - tick, y + tick), (x + tick, y - tick));
        }
    }
    if let Some(at) = key.marks.cursor {
        paper.cross(
            drawn.place.screen(at),
            (cell_w / 3.0).max(1.0),
            cell_h / 2.0,
        );
    }
}

impl Paper<'_> {
    /// The scale bar, above the lower left corner.
    fn bar(&mut self, drawn: &Drawn, key: &PreviewKey, scene: &Scene, cell: (f64, f64)) {
        let length = facts::bar(drawn.size, key, scene);
        let Some((length, mm)) = length.zip(facts::millimetres(&drawn.place, scene)) else {
            return;
        };
        let (left, bottom) = (
            cell.0 / 2.0,
            f64::from(self.image.height()) - cell.1 / 4.0 - 1.0,
        );
        let right = left + length / mm;
        self.line((left, bottom), (right, bottom));
        let tick = cell.1 / 5.0;
        for x in [left, right] {
            self.line((x, bottom - tick), (x, bottom));
        }
    }

    /// Four arms around a place that is left free.
    fn cross(&mut self, (x, y): (f64, f64), gap: f64, arm: f64) {
        let far = gap + arm;
        for (dx, dy) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
            self.line((x + dx * gap, y + dy * gap), (x + dx * far, y + dy * far));
        }
    }

    /// A straight line; what lies beyond the picture is left out.
    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        // Ends far outside (a zoomed view) must not cost time: only what can be seen is walked along.
        let Some((from, to)) = self.clipped(from, to) else {
            return;
        };
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
        let mut last = None;
        for step in 0..=steps as u32 {
            let share = f64::from(step) / steps;
            let at = (
                (from.0 + dx * share).floor() as i64,
                (from.1 + dy * share).floor() as i64,
            );
            if last.replace(at) != Some(at) {
                self.dot(at);
            }
        }
    }

    /// The part of a line near the picture (Liang and Barsky).
    fn clipped(&self, from: (f64, f64), to: (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let (width, height) = (
            f64::from(self.image.width()),
            f64::from(self.image.height()),
        );
        let (mut first, mut last) = (0.0_f64, 1.0_f64);
        for (p, q) in [
            (-dx, from.0 + 1.0),
            (dx, width + 1.0 - from.0),
            (-dy, from.1 + 1.0),
            (dy, height + 1.0 - from.1),
        ] {
            if p == 0.0 {
                if q < 0.0 {
                    return None;
                }
            } else if p < 0.0 {
                first = first.max(q / p);
            } else {
                last = last.min(q / p);
            }
        }
        let at = |share: f64| (from.0 + dx * share, from.1 + dy * share);
        (first <= last).then(|| (at(first), at(last)))
    }

    fn dot(&mut self, (left, top): (i64, i64)) {
        for y in top..top + self.thickness {
            for x in left..left + self.thickness {
                if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
                    self.ink(x, y);
                }
            }
        }
    }

    fn ink(&mut self, x: u32, y: u32) {
        let outside = x >= self.image.width() || y >= self.image.height();
        if outside || !self.inked.insert((x, y)) {
            return;
        }
        let against = |light: u16| if light < BRIGHT { 255 } else { 0 };
        match self.image {
            DynamicImage::ImageLuma8(image) => {
                let light = u16::from(image.get_pixel(x, y).0[0]);
                image.put_pixel(x, y, Luma([against(light)]));
            }
            DynamicImage::ImageRgb8(image) => {
                let [r, g, b] = image.get_pixel(x, y).0.map(u16::from);
                image.put_pixel(x, y, Rgb([against((2 * r + 5 * g + b) / 8); 3]));
            }
            _ => {}
        }
    }
}
