//! What is drawn upon an image: cursor, ruler, scale bar. White on dark and black on bright ground, so that it is seen on
//! any.

use std::collections::HashSet;

use image::{DynamicImage, Luma, Rgb};

use super::draw::Drawn;
use super::letters;
use crate::app::viewer::facts;
use crate::app::{Label, PreviewKey, Scene};
use crate::media::{Annotation, AnnotationShape};
use crate::view::placement::Placement;

/// From here on black is seen better than white.
const BRIGHT: u16 = 128;

/// An image to draw upon, and how thick lines are.
struct Paper<'a> {
    image: &'a mut DynamicImage,
    thickness: i64,
    /// Pixels that are drawn already: where lines cross, the second must not be set off against the first.
    inked: HashSet<(u32, u32)>,
    /// The colour of all that follows; `None`: of each pixel what is set off against it.
    color: Option<[u8; 3]>,
}

/// Draws all marks of a request upon an image for cells of `cell` pixels.
pub(super) fn draw(
    image: &mut DynamicImage,
    drawn: &Drawn,
    key: &PreviewKey,
    scene: &Scene,
    cell: (u16, u16),
) {
    let (cell_w, cell_h) = (f64::from(cell.0), f64::from(cell.1));
    let mut paper = Paper::new(image, cell);
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

/// Draws what other objects say of an image: lines as thin as on the screen, whatever the magnification, and texts in letters
/// of its own where those of the terminal cannot be laid over it.
pub(super) fn annotate<'a>(
    image: DynamicImage,
    place: &Placement,
    annotations: impl Iterator<Item = &'a Annotation>,
    labels: &[Label],
    cell: (u16, u16),
) -> DynamicImage {
    let all: Vec<&Annotation> = annotations.collect();
    let colored = |annotation: &&Annotation| {
        let grey = |[r, g, b]: [u8; 3]| r == g && g == b;
        annotation.color.is_some_and(|color| !grey(color))
    };
    let mut image = if all.iter().any(colored) {
        DynamicImage::ImageRgb8(image.into_rgb8())
    } else {
        image
    };
    let arm = (f64::from(cell.0) / 3.0).max(1.0);
    for Annotation { shape, color } in all {
        let mut paper = Paper::new(&mut image, cell);
        paper.color = *color;
        let at = |point: &[f64; 2]| place.screen_at((point[0], point[1]));
        match shape {
            AnnotationShape::Line(points) => {
                for (from, to) in points.iter().zip(points.iter().skip(1)) {
                    paper.line(at(from), at(to));
                }
            }
            AnnotationShape::Point(point) => {
                let (x, y) = at(point);
                paper.line((x - arm, y - arm), (x + arm, y + arm));
                paper.line((x - arm, y + arm), (x + arm, y - arm));
            }
            // Below, so that no line runs through them.
            AnnotationShape::Text { .. } => {}
        }
    }
    for label in labels {
        let mut paper = Paper::new(&mut image, cell);
        paper.write(label, cell);
    }
    image
}

impl<'a> Paper<'a> {
    /// An image for cells of `cell` pixels.
    fn new(image: &'a mut DynamicImage, cell: (u16, u16)) -> Self {
        Self {
            image,
            thickness: (i64::from(cell.0) / 8).max(1),
            inked: HashSet::new(),
            color: None,
        }
    }
}

impl Paper<'_> {
    /// Lines of a text, white upon black, in letters as high as half a cell or more.
    fn write(&mut self, label: &Label, cell: (u16, u16)) {
        let size = i64::from((cell.1 / 10).max(1));
        let (width, height) = (
            f64::from(self.image.width()),
            f64::from(self.image.height()),
        );
        let (left, top) = ((label.at.0 * width) as i64, (label.at.1 * height) as i64);
        let letter = letters::SIDE * size;
        for (row, line) in (0..).zip(&label.lines) {
            for (column, drawn) in (0..).zip(letters::of(line)) {
                let (x, y) = (left + column * letter, top + row * letter);
                if x >= i64::from(self.image.width()) {
                    break;
                }
                self.letter(drawn, (x, y), size);
            }
        }
    }

    /// A letter whose dots are `size` pixels wide and high.
    fn letter(&mut self, dots: [u8; 8], (left, top): (i64, i64), size: i64) {
        self.thickness = size;
        for (ink, shade) in [(true, 255), (false, 0)] {
            self.color = Some([shade; 3]);
            for (row, bits) in (0..).zip(dots) {
                for column in (0..letters::SIDE).filter(|column| (bits >> column & 1 == 1) == ink) {
                    self.dot((left + column * size, top + row * size));
                }
            }
        }
    }

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
        self.bracket((left, left + length / mm), bottom, cell.1 / 5.0);
    }

    /// A level line with its ends turned up, white within black: whole upon whatever lies behind it.
    fn bracket(&mut self, (left, right): (f64, f64), bottom: f64, tick: f64) {
        let thickness = self.thickness;
        for (shade, around) in [(255, 0.0), (0, 1.0)] {
            // What is inked stays: the wider line is seen around the first one only.
            (self.color, self.thickness) = (Some([shade; 3]), thickness + 2 * around as i64);
            let at = |x: f64, y: f64| (x - around, y - around);
            self.line(at(left, bottom), at(right, bottom));
            for x in [left, right] {
                self.line(at(x, bottom - tick), at(x, bottom));
            }
        }
        (self.color, self.thickness) = (None, thickness);
    }

    /// Four arms around a place that is left free.
    fn cross(&mut self, (x, y): (f64, f64), gap: f64, arm: f64) {
        let far = gap + arm;
        for (dx, dy) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
            self.line((x + dx * gap, y + dy * gap), (x + dx * far, y + dy * far));
        }
    }

    /// A straight line; what lies beyond the image is left out.
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

    /// The part of a line near the image (Liang and Barsky).
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
        let Some(light) = self.light(x, y) else {
            return;
        };
        if !self.inked.insert((x, y)) {
            return;
        }
        let color = self.color.unwrap_or_else(|| [against(light); 3]);
        match self.image {
            // Colours are drawn on colour images only: see `annotate`.
            DynamicImage::ImageLuma8(image) => image.put_pixel(x, y, Luma([color[0]])),
            DynamicImage::ImageRgb8(image) => image.put_pixel(x, y, Rgb(color)),
            _ => {}
        }
    }

    /// How bright a pixel is, of 255; `None` beyond the image.
    fn light(&self, x: u32, y: u32) -> Option<u16> {
        match &*self.image {
            DynamicImage::ImageLuma8(image) => {
                let pixel = image.get_pixel_checked(x, y)?;
                Some(u16::from(pixel.0[0]))
            }
            DynamicImage::ImageRgb8(image) => {
                let [r, g, b] = image.get_pixel_checked(x, y)?.0.map(u16::from);
                Some((2 * r + 5 * g + b) / 8)
            }
            _ => None,
        }
    }
}

/// What is seen best on ground of such a brightness.
fn against(light: u16) -> u8 {
    if light < BRIGHT { 255 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_bar_is_whole_upon_anything() {
        for (dark, bright) in [(60, 190), (0, 0), (255, 255)] {
            let noise = |x: u32, y: u32| {
                let even = (x + y).is_multiple_of(2);
                Luma([if even { dark } else { bright }])
            };
            let mut image = DynamicImage::ImageLuma8(image::GrayImage::from_fn(40, 20, noise));
            let mut paper = Paper::new(&mut image, (8, 16));
            paper.bracket((4.0, 30.0), 15.0, 3.0);
            assert_eq!((paper.color, paper.thickness), (None, 1), "as before");
            let image = image.to_luma8();
            let shade = |x, y| image.get_pixel(x, y).0[0];
            assert!((4..=30).all(|x| shade(x, 15) == 255 && shade(x, 16) == 0));
            assert!((5..=29).all(|x| shade(x, 14) == 0), "above the line");
            assert!((12..=14).all(|y| (shade(3, y), shade(4, y), shade(5, y)) == (0, 255, 0)));
            assert_eq!(shade(32, 15), noise(32, 15).0[0]);
        }
    }
}
