//! The placement of an image on the screen, and its visible part.

use super::Area;
use super::turn::Turn;

/// Maximum number of screen pixels per column of the image: an image pixel is then as large as a thumbnail.
const MAX_SCALE: f64 = 64.0;
/// Zoom steps that double the magnification.
const STEPS_PER_OCTAVE: f64 = 2.0;
/// Distance of one panning step, as a share of the visible part.
const PAN_STEP: f64 = 0.125;

/// The size of an image as stored, and the shape of its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageShape {
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
    /// Height of a pixel divided by its width.
    pub aspect: f64,
}

impl ImageShape {
    /// Width and height in units of a column's width, both above zero.
    fn extent(self) -> (f64, f64) {
        let aspect = if self.aspect.is_finite() && self.aspect > 0.0 {
            self.aspect
        } else {
            1.0
        };
        (
            f64::from(self.columns.max(1)),
            f64::from(self.rows.max(1)) * aspect,
        )
    }

    /// Screen pixels per column when the whole image just fits into `room` (screen pixels across and down).
    pub fn fit(self, turn: Turn, room: (u32, u32)) -> f64 {
        let (width, height) = turn.size(self.extent());
        (f64::from(room.0.max(1)) / width).min(f64::from(room.1.max(1)) / height)
    }
}

/// The view of an image that the user has chosen: magnification, centre and orientation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// Magnification; 1 fits the whole image.
    pub zoom: f64,
    /// Centre of the visible part, as shares of the image's columns and rows.
    pub center: (f64, f64),
    /// Orientation.
    pub turn: Turn,
}

impl Default for Aim {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            center: (0.5, 0.5),
            turn: Turn::default(),
        }
    }
}

/// The visible part of an image, in columns and rows as stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisiblePart {
    /// First column.
    pub x: f64,
    /// First row.
    pub y: f64,
    /// Columns.
    pub width: f64,
    /// Rows.
    pub height: f64,
}

/// The visible part of an image, and its size on the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// The visible part.
    pub part: VisiblePart,
    /// Width in screen pixels.
    pub width: u32,
    /// Height in screen pixels.
    pub height: u32,
    /// Screen pixels per column of the image.
    pub scale: f64,
    /// Orientation.
    pub turn: Turn,
}

/// Places an image on `room` (screen pixels across and down). The visible part lies within the image, whatever the aim.
pub fn place(shape: ImageShape, aim: &Aim, room: (u32, u32)) -> Placement {
    let scale = shape.fit(aim.turn, room) * valid_zoom(aim.zoom);
    let (width, height) = aim.turn.size(shape.extent());
    let side = |length: f64, room: u32| ((length * scale).round() as u32).clamp(1, room.max(1));
    let (across, down) = (side(width, room.0), side(height, room.1));
    let shares = aim.turn.size(visible_shares(shape, aim, room));
    let center = clamped_center(aim.center, shares);
    let (columns, rows) = (
        f64::from(shape.columns.max(1)),
        f64::from(shape.rows.max(1)),
    );
    Placement {
        part: VisiblePart {
            x: ((center.0 - shares.0 / 2.0) * columns).max(0.0),
            y: ((center.1 - shares.1 / 2.0) * rows).max(0.0),
            width: shares.0 * columns,
            height: shares.1 * rows,
        },
        width: across,
        height: down,
        scale,
        turn: aim.turn,
    }
}

/// The visible shares of the image's width and height, as on the screen.
fn visible_shares(shape: ImageShape, aim: &Aim, room: (u32, u32)) -> (f64, f64) {
    let scale = shape.fit(aim.turn, room) * valid_zoom(aim.zoom);
    let (width, height) = aim.turn.size(shape.extent());
    let share = |room: u32, length: f64| (f64::from(room.max(1)) / (length * scale)).min(1.0);
    (share(room.0, width), share(room.1, height))
}

/// `zoom`, or 1 if it is not a positive number.
fn valid_zoom(zoom: f64) -> f64 {
    if zoom.is_finite() && zoom > 0.0 {
        zoom
    } else {
        1.0
    }
}

/// Moves a centre so that nothing beyond the image's edges is visible, where `shares` of width and height are visible.
fn clamped_center(center: (f64, f64), shares: (f64, f64)) -> (f64, f64) {
    let side = |center: f64, share: f64| center.clamp(share / 2.0, 1.0 - share / 2.0);
    (side(center.0, shares.0), side(center.1, shares.1))
}

impl Placement {
    /// The position of the middle of an image pixel, in screen pixels from the top left of the visible part.
    pub fn screen(&self, (x, y): (u32, u32)) -> (f64, f64) {
        self.screen_at((f64::from(x) + 0.5, f64::from(y) + 0.5))
    }

    /// Like [`Self::screen`] for any point, given in columns and rows from the outer corner of the image's first pixel.
    pub fn screen_at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |at: f64, from: f64, length: f64| (at - from) / length;
        let (u, v) = self.turn.seen((
            share(x, self.part.x, self.part.width),
            share(y, self.part.y, self.part.height),
        ));
        (u * f64::from(self.width), v * f64::from(self.height))
    }

    /// The image pixel at a position in screen pixels from the top left of the visible part; `None` beyond its edges.
    pub fn pixel_at(&self, (x, y): (f64, f64)) -> Option<(u32, u32)> {
        let share = (x / f64::from(self.width), y / f64::from(self.height));
        let inside = |share: f64| (0.0..1.0).contains(&share);
        if !inside(share.0) || !inside(share.1) {
            return None;
        }
        let (u, v) = self.turn.unseen(share);
        Some((
            (self.part.x + u * self.part.width) as u32,
            (self.part.y + v * self.part.height) as u32,
        ))
    }

    /// The image pixel in the middle of the cell `at`, where the image is centred in `area` and cells have `cell` screen
    /// pixels.
    pub fn pixel_in_cell(
        &self,
        at: (u16, u16),
        area: Area,
        cell: (u16, u16),
    ) -> Option<(u32, u32)> {
        // The image is centred in the cells that it touches, and these are centred in the area.
        let side = |at: u16, first: u16, length: u16, pixels: u32, cell: u16| {
            let cell = u32::from(cell.max(1));
            let cells = pixels.div_ceil(cell);
            let left = u32::from(first) + u32::from(length).saturating_sub(cells) / 2;
            let margin = (cells * cell - pixels) / 2;
            (f64::from(at) - f64::from(left) + 0.5) * f64::from(cell) - f64::from(margin)
        };
        self.pixel_at((
            side(at.0, area.x, area.width, self.width, cell.0),
            side(at.1, area.y, area.height, self.height, cell.1),
        ))
    }

    /// The image pixel in the middle of the visible part.
    pub fn middle(&self) -> (u32, u32) {
        (
            (self.part.x + self.part.width / 2.0) as u32,
            (self.part.y + self.part.height / 2.0) as u32,
        )
    }
}

impl Aim {
    /// Zooms one step in (`nearer`) or out: to at most `MAX_SCALE`, and at least to the whole image or its actual size,
    /// whichever is smaller.
    #[must_use]
    pub fn zoom_step(&self, nearer: bool, shape: ImageShape, room: (u32, u32)) -> Self {
        let octaves = (valid_zoom(self.zoom).log2() * STEPS_PER_OCTAVE).round();
        let next = if nearer { octaves + 1.0 } else { octaves - 1.0 };
        let zoom = (next / STEPS_PER_OCTAVE).exp2();
        Self { zoom, ..*self }.within_limits(shape, room)
    }

    /// Zooms to actual size: one screen pixel per column of the image.
    #[must_use]
    pub fn actual_size(&self, shape: ImageShape, room: (u32, u32)) -> Self {
        Self {
            zoom: 1.0 / shape.fit(self.turn, room),
            ..*self
        }
        .clamped(shape, room)
    }

    /// Fits the whole image, with the same orientation.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            turn: self.turn,
            ..Self::default()
        }
    }

    /// Limits the magnification to the range of the zoom steps, and the centre as [`Self::clamped`] does.
    #[must_use]
    pub fn within_limits(&self, shape: ImageShape, room: (u32, u32)) -> Self {
        let fit = shape.fit(self.turn, room);
        let (min, max) = ((1.0 / fit).min(1.0), (MAX_SCALE / fit).max(1.0));
        Self {
            zoom: valid_zoom(self.zoom).clamp(min, max),
            ..*self
        }
        .clamped(shape, room)
    }

    /// Pans by steps to the right and down on the screen, each an eighth of the visible part.
    #[must_use]
    pub fn pan(&self, across: i8, down: i8, shape: ImageShape, room: (u32, u32)) -> Self {
        let visible = visible_shares(shape, self, room);
        let (dx, dy) = self.turn.step_in_file((
            f64::from(across) * visible.0 * PAN_STEP,
            f64::from(down) * visible.1 * PAN_STEP,
        ));
        let clamped = self.clamped(shape, room);
        Self {
            center: (clamped.center.0 + dx, clamped.center.1 + dy),
            ..*self
        }
        .clamped(shape, room)
    }

    /// Pans no further than needed to make an image pixel visible.
    #[must_use]
    pub fn showing(&self, (x, y): (u32, u32), shape: ImageShape, room: (u32, u32)) -> Self {
        let (wide, high) = self.turn.size(visible_shares(shape, self, room));
        let near = |center: f64, at: u32, count: u32, share: f64| {
            let count = f64::from(count.max(1));
            let (first, last) = (f64::from(at) / count, (f64::from(at) + 1.0) / count);
            let (low, high) = (last - share / 2.0, first + share / 2.0);
            if low <= high {
                center.clamp(low, high)
            } else {
                f64::midpoint(first, last)
            }
        };
        Self {
            center: (
                near(self.center.0, x, shape.columns, wide),
                near(self.center.1, y, shape.rows, high),
            ),
            ..*self
        }
        .clamped(shape, room)
    }

    /// Moves the centre so that nothing beyond the image's edges is visible. The next panning step then has an effect at once.
    #[must_use]
    pub fn clamped(&self, shape: ImageShape, room: (u32, u32)) -> Self {
        let shares = self.turn.size(visible_shares(shape, self, room));
        Self {
            center: clamped_center(self.center, shares),
            ..*self
        }
    }
}

/// The length of a scale bar: a round number of millimetres, and the same in screen pixels of `per_pixel` millimetres each. At
/// most a third of `width` screen pixels; `None` if it would be shorter than 3 pixels.
pub fn scale_bar(per_pixel: f64, width: u32) -> Option<(f64, u32)> {
    if !per_pixel.is_finite() || per_pixel <= 0.0 {
        return None;
    }
    let max_length = f64::from(width) / 3.0 * per_pixel;
    let decade = 10_f64.powf(max_length.log10().floor());
    let length = [5.0, 2.0, 1.0]
        .iter()
        .map(|digit| digit * decade)
        .find(|length| *length <= max_length)?;
    let pixels = (length / per_pixel).round() as u32;
    (pixels >= 3).then_some((length, pixels))
}

/// The layout of the preview: the image, and areas around it for text, which cannot be written over a terminal's graphics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inset {
    /// The image.
    pub picture: Area,
    /// The row above the image, for its orientation letter and the upper corners.
    pub above: Option<Area>,
    /// The row below the image, for its orientation letter and the lower corners.
    pub below: Option<Area>,
    /// The columns to the left, for an orientation letter.
    pub left: Option<Area>,
    /// The columns to the right, for an orientation letter.
    pub right: Option<Area>,
    /// The row with the legend of colours.
    pub legend: Option<Area>,
    /// The row with facts about the image.
    pub facts: Option<Area>,
    /// The histogram with its axis.
    pub histogram: Option<Area>,
}

/// The information to show around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct InsetContent {
    /// Facts about the image.
    pub facts: bool,
    /// Orientation letters at the four sides.
    pub letters: bool,
    /// Texts at the four corners.
    pub corners: bool,
    /// The legend of colours.
    pub legend: bool,
    /// The histogram.
    pub histogram: bool,
}

/// Columns for orientation letters on either side: most views have one letter, oblique ones two.
const LETTER_COLUMNS: u16 = 2;
/// Rows of the histogram: five of bars, the window, the axis.
const HISTOGRAM_ROWS: u16 = 7;
/// Columns and rows that the image keeps, whatever else is requested.
const MIN_IMAGE_CELLS: (u16, u16) = (16, 5);

/// Rows from which corners have rows of their own, if there are no letters.
const CORNER_ROWS: u16 = 16;

/// Divides an area. Information that would leave too little room for the image is left out.
pub fn inset(area: Area, around: InsetContent) -> Inset {
    let mut inset = Inset {
        picture: area,
        ..Inset::default()
    };
    let wide = area.width >= MIN_IMAGE_CELLS.0;
    if around.facts && wide && area.height > MIN_IMAGE_CELLS.1 {
        inset.facts = Some(take_rows(&mut inset.picture, 1));
    }
    if around.legend && wide && inset.picture.height > MIN_IMAGE_CELLS.1 {
        inset.legend = Some(take_rows(&mut inset.picture, 1));
    }
    if around.histogram && wide && inset.picture.height >= MIN_IMAGE_CELLS.1 + HISTOGRAM_ROWS {
        inset.histogram = Some(take_rows(&mut inset.picture, HISTOGRAM_ROWS));
    }
    let room = (
        MIN_IMAGE_CELLS.0 + 2 * LETTER_COLUMNS,
        MIN_IMAGE_CELLS.1 + 4,
    );
    if around.letters && inset.picture.width >= room.0 && inset.picture.height >= room.1 {
        inset_letters(&mut inset);
    } else if around.corners && wide && inset.picture.height >= CORNER_ROWS {
        inset_rows(&mut inset);
    }
    inset
}

/// Splits the last rows off an area, and returns them.
fn take_rows(area: &mut Area, rows: u16) -> Area {
    area.height -= rows;
    Area {
        y: area.y + area.height,
        height: rows,
        ..*area
    }
}

/// Reserves the orientation letters' areas around the image.
fn inset_letters(inset: &mut Inset) {
    let all = inset.picture;
    let inner = Area {
        x: all.x + LETTER_COLUMNS,
        y: all.y + 1,
        width: all.width - 2 * LETTER_COLUMNS,
        height: all.height - 2,
    };
    let columns = |x: u16| Area {
        x,
        width: LETTER_COLUMNS,
        ..inner
    };
    inset_rows(inset);
    inset.left = Some(columns(all.x));
    inset.right = Some(columns(inner.x + inner.width));
    inset.picture = inner;
}

/// Reserves the rows above and below the image.
fn inset_rows(inset: &mut Inset) {
    let all = inset.picture;
    let row = |y: u16| Area {
        y,
        height: 1,
        ..all
    };
    inset.above = Some(row(all.y));
    inset.below = Some(row(all.y + all.height - 1));
    inset.picture = Area {
        y: all.y + 1,
        height: all.height - 2,
        ..all
    };
}

#[cfg(test)]
mod tests;
