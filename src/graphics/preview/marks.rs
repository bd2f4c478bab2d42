//! Draws marks on an image: cursor, ruler, scale bar, annotations. They are white on dark and black on bright pixels, so that
//! they are visible on any.

use std::collections::HashSet;

use image::{DynamicImage, Luma, Rgb};

use super::draw::Drawn;
use super::letters;
use crate::app::viewer::facts;
use crate::app::viewer::measurements::measured_words;
use crate::app::{MarkedFigure, OverlayText, PreviewKey, Scene, VolumeView};
use crate::media::measure::{Figure, FigureKind, Measured};
use crate::media::volume::{PlanePanel, ReformatPlane};
use crate::media::{Annotation, AnnotationShape};
use crate::view::placement::Placement;

/// Sides of the polygon that is drawn for an ellipse.
const ELLIPSE_SIDES: u32 = 96;
/// Brightness from which black is more visible than white.
const MIN_BRIGHT: u16 = 128;
/// How far beyond [`MIN_BRIGHT`] a pixel may be before a line changes its shade: on noise it would fall into dashes.
const SHADE_HYSTERESIS: u16 = 28;

/// An image to draw marks on.
struct MarkCanvas<'a> {
    image: &'a mut DynamicImage,
    /// Thickness of lines in pixels.
    thickness: i64,
    /// Pixels drawn so far: where lines cross, the second must not contrast with the first.
    painted: HashSet<(u32, u32)>,
    /// The colour to draw with; `None` contrasts with each pixel.
    color: Option<[u8; 3]>,
    /// The shade that contrasted with the last pixel.
    shade: u8,
}

/// Draws all marks of a request on an image; `cell` is the size of a cell in drawn pixels.
pub(super) fn draw(
    image: &mut DynamicImage,
    drawn: &Drawn,
    key: &PreviewKey,
    scene: &Scene,
    cell: (u16, u16),
) {
    let (cell_w, cell_h) = (f64::from(cell.0), f64::from(cell.1));
    let mut canvas = MarkCanvas::new(image, cell);
    if key.marks.overlays {
        canvas.bar(drawn, key, scene, (cell_w, cell_h));
    }
    let tick = (cell_w / 4.0).max(1.0);
    if let Some(view) = scene.volume.filter(|_| key.marks.overlays) {
        match view.panels {
            None => canvas.planes(&view, &drawn.place, cell_w),
            Some(panels) => {
                for panel in panels {
                    let area = [
                        panel.area.x,
                        panel.area.y,
                        panel.area.width,
                        panel.area.height,
                    ];
                    let at = panel.cross(view.at, view.size);
                    canvas.planes_at(at, area.map(f64::from), &drawn.place, cell_w);
                }
            }
        }
    }
    for [from, to] in key.marks.lines.iter() {
        let at = |point: &[f64; 2]| drawn.place.screen_at((point[0], point[1]));
        canvas.line(at(from), at(to));
    }
    for marked in key.marks.figures.iter() {
        canvas.figure(marked, &drawn.place, tick);
    }
    if let Some(at) = key.marks.cursor {
        canvas.cross(
            drawn.place.screen(at),
            (cell_w / 3.0).max(1.0),
            cell_h / 2.0,
        );
    }
    if !key.is_cells() {
        for label in labels(drawn, key, scene, cell) {
            MarkCanvas::new(image, cell).write(&label, cell);
        }
    }
}

/// The texts over an image: what its figures measure, and which planes it shows.
pub(super) fn labels(
    drawn: &Drawn,
    key: &PreviewKey,
    scene: &Scene,
    cell: (u16, u16),
) -> Vec<OverlayText> {
    let mut all = figure_labels(drawn, key, scene, cell);
    let view = scene.volume.filter(|_| key.marks.overlays);
    if let (Some(view), Some(reformat)) = (view, &key.reformat) {
        all.extend(panel_labels(&view, reformat.plane, &drawn.place));
    }
    all
}

/// The names of planes side by side, the one in focus in brackets, and patient directions at the edges of each.
fn panel_labels(view: &VolumeView, focus: ReformatPlane, place: &Placement) -> Vec<OverlayText> {
    let (width, height) = (f64::from(place.width), f64::from(place.height));
    let label = |text: String, at: (f64, f64)| {
        let (x, y) = place.screen_at(at);
        let is_visible = (0.0..width).contains(&x) && (0.0..height).contains(&y);
        is_visible.then(|| OverlayText {
            lines: vec![text],
            at: (x / width, y / height),
        })
    };
    let of_panel = |panel: &PlanePanel| {
        let through = panel.axes.through;
        let (at, count) = (view.at[through] + 1, view.size[through]);
        let name = format!("{} {at}/{count}", panel.plane.name());
        let name = if panel.plane == focus {
            format!("[{name}]")
        } else {
            name
        };
        let area = panel.area;
        let [x, y, w, h] = [area.x, area.y, area.width, area.height].map(f64::from);
        let mut all = vec![label(name, (x, y))];
        if let Some((left, top)) = panel.edges {
            all.push(label(left.to_string(), (x, y + h / 2.0)));
            all.push(label(top.to_string(), (x + w / 2.0, y)));
        }
        all.into_iter().flatten()
    };
    view.panels.iter().flatten().flat_map(of_panel).collect()
}

/// What the figures measure, beside each of them and within the image.
fn figure_labels(
    drawn: &Drawn,
    key: &PreviewKey,
    scene: &Scene,
    cell: (u16, u16),
) -> Vec<OverlayText> {
    let (width, height) = (f64::from(drawn.place.width), f64::from(drawn.place.height));
    // The size of a letter in drawn pixels.
    let letter = if key.is_cells() {
        (f64::from(cell.0), f64::from(cell.1))
    } else {
        let side = (letters::GLYPH_SIZE * i64::from((cell.1 / 10).max(1))) as f64;
        (side, side)
    };
    let label = |(marked, measured): (&MarkedFigure, &Measured)| {
        let lines = measured_words(measured, scene.unit.as_deref());
        let points = marked.figure.points.iter();
        let points = points.map(|point| drawn.place.screen_at((point[0], point[1])));
        let (right, below) = points.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let is_visible = (0.0..=width).contains(&right) && (0.0..=height).contains(&below);
        let columns = lines.iter().map(|line| line.chars().count()).max()?;
        let room = |at: f64, length: usize, letter: f64, all: f64| {
            at.min(all - length as f64 * letter).max(0.0) / all.max(1.0)
        };
        is_visible.then(|| OverlayText {
            at: (
                room(right + letter.0, columns, letter.0, width),
                room(below, lines.len(), letter.1, height),
            ),
            lines,
        })
    };
    let all = key.marks.figures.iter().zip(&scene.measured);
    let mut labels: Vec<OverlayText> = all.filter_map(label).collect();
    set_apart(
        &mut labels,
        (letter.0 / width.max(1.0), letter.1 / height.max(1.0)),
    );
    labels
}

/// Moves each label down below those before it that it would cover, as far as there is room. `letter`: the size of a letter, in
/// shares of the image.
fn set_apart(labels: &mut [OverlayText], letter: (f64, f64)) {
    // Left, top, right, bottom.
    let area = |label: &OverlayText| {
        let columns = label.lines.iter().map(|line| line.chars().count()).max();
        let (left, top) = label.at;
        let right = left + columns.unwrap_or_default() as f64 * letter.0;
        (left, top, right, top + label.lines.len() as f64 * letter.1)
    };
    for at in 1..labels.len() {
        let (before, rest) = labels.split_at_mut(at);
        let (left, start, right, end) = area(&rest[0]);
        let mut top = start;
        // Each round moves it below one more label.
        for _ in 0..before.len() {
            let bottom = top + (end - start);
            let covered = before.iter().map(area).find(|other| {
                left < other.2 && other.0 < right && top < other.3 && other.1 < bottom
            });
            let Some((.., below)) = covered else { break };
            top = below;
        }
        if top + (end - start) <= 1.0 {
            rest[0].at.1 = top;
        }
    }
}

/// Draws the annotations of related objects on an image: lines are equally thin at any magnification, and `labels` are drawn
/// with the bitmap font.
pub(super) fn annotate<'a>(
    image: DynamicImage,
    place: &Placement,
    annotations: impl Iterator<Item = &'a Annotation>,
    labels: &[OverlayText],
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
        let mut canvas = MarkCanvas::new(&mut image, cell);
        canvas.color = *color;
        let at = |point: &[f64; 2]| place.screen_at((point[0], point[1]));
        match shape {
            AnnotationShape::Line(points) => {
                for (from, to) in points.iter().zip(points.iter().skip(1)) {
                    canvas.line(at(from), at(to));
                }
            }
            AnnotationShape::Point(point) => {
                let (x, y) = at(point);
                canvas.line((x - arm, y - arm), (x + arm, y + arm));
                canvas.line((x - arm, y + arm), (x + arm, y - arm));
            }
            // Drawn below, over the lines.
            AnnotationShape::Text { .. } => {}
        }
    }
    for label in labels {
        let mut canvas = MarkCanvas::new(&mut image, cell);
        canvas.write(label, cell);
    }
    image
}

impl<'a> MarkCanvas<'a> {
    /// Wraps an image; `cell` is the size of a cell in drawn pixels.
    fn new(image: &'a mut DynamicImage, cell: (u16, u16)) -> Self {
        Self {
            image,
            thickness: (i64::from(cell.0) / 8).max(1),
            painted: HashSet::new(),
            color: None,
            shade: 255,
        }
    }
}

impl MarkCanvas<'_> {
    /// Writes a label in white on black, its glyphs about half a cell high or more.
    fn write(&mut self, label: &OverlayText, cell: (u16, u16)) {
        let size = i64::from((cell.1 / 10).max(1));
        let (width, height) = (
            f64::from(self.image.width()),
            f64::from(self.image.height()),
        );
        let (left, top) = ((label.at.0 * width) as i64, (label.at.1 * height) as i64);
        let letter = letters::GLYPH_SIZE * size;
        for (row, line) in (0..).zip(&label.lines) {
            for (column, drawn) in (0..).zip(letters::glyphs(line)) {
                let (x, y) = (left + column * letter, top + row * letter);
                if x >= i64::from(self.image.width()) {
                    break;
                }
                self.letter(drawn, (x, y), size);
            }
        }
    }

    /// Draws a glyph whose dots are `size` × `size` pixels.
    fn letter(&mut self, dots: [u8; 8], (left, top): (i64, i64), size: i64) {
        self.thickness = size;
        for (ink, shade) in [(true, 255), (false, 0)] {
            self.color = Some([shade; 3]);
            for (row, bits) in (0..).zip(dots) {
                for column in
                    (0..letters::GLYPH_SIZE).filter(|column| (bits >> column & 1 == 1) == ink)
                {
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

    /// Draws a horizontal line with its ends turned up, white with a black outline, which is visible on any image.
    fn bracket(&mut self, (left, right): (f64, f64), bottom: f64, tick: f64) {
        let thickness = self.thickness;
        for (shade, around) in [(255, 0.0), (0, 1.0)] {
            // Pixels drawn before stay, so that of the thicker line only the outline is visible.
            (self.color, self.thickness) = (Some([shade; 3]), thickness + 2 * around as i64);
            let at = |x: f64, y: f64| (x - around, y - around);
            self.line(at(left, bottom), at(right, bottom));
            for x in [left, right] {
                self.line(at(x, bottom - tick), at(x, bottom));
            }
        }
        (self.color, self.thickness) = (None, thickness);
    }

    /// Draws where the other planes of a volume cut this one: two lines with a gap where they meet.
    fn planes(&mut self, view: &VolumeView, place: &Placement, gap: f64) {
        let seen = |axis: usize, flipped: bool| {
            let (at, count) = (view.at[axis], view.size[axis]);
            f64::from(if flipped { count - 1 - at } else { at }) + 0.5
        };
        let axes = view.axes;
        let (x, y) = (
            seen(axes.across, axes.flipped[0]),
            seen(axes.down, axes.flipped[1]),
        );
        let [width, height] = [axes.across, axes.down].map(|axis| f64::from(view.size[axis]));
        self.planes_at((x, y), [0.0, 0.0, width, height], place, gap);
    }

    /// Draws lines through a point to the edges of an area, which is given by its left, top, width and height.
    fn planes_at(
        &mut self,
        (x, y): (f64, f64),
        [left, top, width, height]: [f64; 4],
        place: &Placement,
        gap: f64,
    ) {
        let middle = place.screen_at((x, y));
        for end in [(left, y), (left + width, y), (x, top), (x, top + height)] {
            let end = place.screen_at(end);
            let (dx, dy) = (end.0 - middle.0, end.1 - middle.1);
            let length = dx.hypot(dy);
            if length > gap {
                let share = gap / length;
                self.line((middle.0 + dx * share, middle.1 + dy * share), end);
            }
        }
    }

    /// Draws a figure; the points of one that is selected are marked by squares, the ends of a length always by crosses.
    fn figure(&mut self, marked: &MarkedFigure, place: &Placement, tick: f64) {
        let Figure { kind, points } = &marked.figure;
        let at = |point: &[f64; 2]| place.screen_at((point[0], point[1]));
        match (kind, points.as_slice()) {
            (FigureKind::Ellipse, [from, to]) => self.ellipse(at(from), at(to)),
            (FigureKind::Polygon, [first, _, .., last]) => {
                self.path(points, &at);
                self.line(at(last), at(first));
            }
            _ => self.path(points, &at),
        }
        for (x, y) in points.iter().map(at) {
            if marked.is_selected {
                let corners = [
                    (-1.0, -1.0),
                    (1.0, -1.0),
                    (1.0, 1.0),
                    (-1.0, 1.0),
                    (-1.0, -1.0),
                ];
                let corners = corners.map(|(dx, dy)| (x + dx * tick, y + dy * tick));
                for pair in corners.windows(2) {
                    self.line(pair[0], pair[1]);
                }
            } else if *kind == FigureKind::Length {
                self.line((x - tick, y - tick), (x + tick, y + tick));
                self.line((x - tick, y + tick), (x + tick, y - tick));
            }
        }
    }

    fn path(&mut self, points: &[[f64; 2]], at: &dyn Fn(&[f64; 2]) -> (f64, f64)) {
        for (from, to) in points.iter().zip(points.iter().skip(1)) {
            self.line(at(from), at(to));
        }
    }

    /// Draws the ellipse in the rectangle between two corners.
    fn ellipse(&mut self, from: (f64, f64), to: (f64, f64)) {
        let center = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
        let half = ((to.0 - from.0) / 2.0, (to.1 - from.1) / 2.0);
        let at = |step: u32| {
            let (sin, cos) =
                (std::f64::consts::TAU * f64::from(step) / f64::from(ELLIPSE_SIDES)).sin_cos();
            (center.0 + half.0 * cos, center.1 + half.1 * sin)
        };
        for step in 0..ELLIPSE_SIDES {
            self.line(at(step), at(step + 1));
        }
    }

    /// Draws four arms around a gap.
    fn cross(&mut self, (x, y): (f64, f64), gap: f64, arm: f64) {
        let far = gap + arm;
        for (dx, dy) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
            self.line((x + dx * gap, y + dy * gap), (x + dx * far, y + dy * far));
        }
    }

    /// Draws a straight line, clipped to the image.
    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        // Ends may lie far outside (a zoomed view); clipping bounds the number of steps.
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
                    self.paint(x, y);
                }
            }
        }
    }

    fn paint(&mut self, x: u32, y: u32) {
        let Some(brightness) = self.brightness(x, y) else {
            return;
        };
        if !self.painted.insert((x, y)) {
            return;
        }
        let color = self.color.unwrap_or_else(|| {
            self.shade = contrasting(brightness, self.shade);
            [self.shade; 3]
        });
        match self.image {
            // Grey images are drawn on in greys only: see `annotate`.
            DynamicImage::ImageLuma8(image) => image.put_pixel(x, y, Luma([color[0]])),
            DynamicImage::ImageRgb8(image) => image.put_pixel(x, y, Rgb(color)),
            _ => {}
        }
    }

    /// Brightness of a pixel, 0 to 255; `None` outside the image.
    fn brightness(&self, x: u32, y: u32) -> Option<u16> {
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

/// White for dark pixels, black for bright ones; between them, the shade of the pixel before.
fn contrasting(brightness: u16, before: u8) -> u8 {
    let min_bright = if before == 0 {
        MIN_BRIGHT - SHADE_HYSTERESIS
    } else {
        MIN_BRIGHT + SHADE_HYSTERESIS
    };
    if brightness < min_bright { 255 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_shade_on_noise_and_changes_it_where_it_would_not_be_seen() {
        // Noise about the middle, then a bright area, then noise again.
        let ground = |x: u32, _| Luma([[110, 145][x as usize % 2] + u8::from(x / 20 == 1) * 100]);
        let mut image = DynamicImage::ImageLuma8(image::GrayImage::from_fn(60, 3, ground));
        MarkCanvas::new(&mut image, (8, 16)).line((0.0, 1.0), (59.0, 1.0));
        let image = image.to_luma8();
        let shades: Vec<u8> = (0..60).map(|x| image.get_pixel(x, 1).0[0]).collect();
        assert!(shades[..20].iter().all(|shade| *shade == 255), "{shades:?}");
        assert!(shades[20..].iter().all(|shade| *shade == 0), "{shades:?}");
    }

    #[test]
    fn a_scale_bar_is_complete_on_any_image() {
        for (dark, bright) in [(60, 190), (0, 0), (255, 255)] {
            let noise = |x: u32, y: u32| {
                let even = (x + y).is_multiple_of(2);
                Luma([if even { dark } else { bright }])
            };
            let mut image = DynamicImage::ImageLuma8(image::GrayImage::from_fn(40, 20, noise));
            let mut canvas = MarkCanvas::new(&mut image, (8, 16));
            canvas.bracket((4.0, 30.0), 15.0, 3.0);
            assert_eq!((canvas.color, canvas.thickness), (None, 1), "as before");
            let image = image.to_luma8();
            let shade = |x, y| image.get_pixel(x, y).0[0];
            assert!((4..=30).all(|x| shade(x, 15) == 255 && shade(x, 16) == 0));
            assert!((5..=29).all(|x| shade(x, 14) == 0), "above the line");
            assert!((12..=14).all(|y| (shade(3, y), shade(4, y), shade(5, y)) == (0, 255, 0)));
            assert_eq!(shade(32, 15), noise(32, 15).0[0]);
        }
    }

    #[test]
    fn labels_that_would_cover_each_other_are_written_below_each_other() {
        let label = |at: (f64, f64)| OverlayText {
            lines: vec!["12 mm".to_owned(), "±3".to_owned()],
            at,
        };
        let mut labels = [
            label((0.1, 0.1)),
            label((0.3, 0.15)),
            label((0.12, 0.12)),
            label((0.7, 0.1)),
            label((0.1, 0.95)),
            label((0.1, 0.96)),
        ];
        set_apart(&mut labels, (0.05, 0.1));
        let tops = labels.iter().map(|label| (label.at.1 * 100.0).round());
        // The third is below both before it; below the last but one there is no room.
        assert_eq!(
            tops.collect::<Vec<_>>(),
            [10.0, 30.0, 50.0, 10.0, 95.0, 96.0]
        );
    }
}
