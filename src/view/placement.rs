//! Where an image lies on its screen, and which part of it is seen. Arithmetic that `update` needs as much as the worker
//! that cuts the image and the view that writes around it.

use super::Area;
use super::turn::Turn;

/// Screen pixels of one column of the file, at most: a pixel of the file is then as large as a thumbnail.
const MAX_SCALE: f64 = 64.0;
/// Each step of the zoom is a half octave: two of them double.
const STEPS_PER_OCTAVE: f64 = 2.0;
/// The part of what is seen that one step of panning moves.
const PAN_STEP: f64 = 0.125;

/// The image as the file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Canvas {
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
    /// Height of a pixel by its width.
    pub aspect: f64,
}

impl Canvas {
    /// Width and height in units of a column's width, neither of them zero.
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

    /// Screen pixels of a column when the whole image just fits into `room` (screen pixels across and down).
    pub fn fit(self, turn: Turn, room: (u32, u32)) -> f64 {
        let (width, height) = turn.size(self.extent());
        (f64::from(room.0.max(1)) / width).min(f64::from(room.1.max(1)) / height)
    }
}

/// Which part is seen, how large, from which side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// Magnification, where 1 shows the whole image as large as it fits.
    pub zoom: f64,
    /// The middle of what is seen, as shares of the file's columns and rows.
    pub center: (f64, f64),
    /// From which side.
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

/// A part of an image, in columns and rows of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// First column.
    pub x: f64,
    /// First row.
    pub y: f64,
    /// Columns.
    pub width: f64,
    /// Rows.
    pub height: f64,
}

/// Where an image lies on its screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// What is seen.
    pub part: Part,
    /// Screen pixels across.
    pub width: u32,
    /// Screen pixels down.
    pub height: u32,
    /// Screen pixels of a column of the file.
    pub scale: f64,
    /// From which side.
    pub turn: Turn,
}

/// Places an image on `room` (screen pixels across and down). What is seen lies within the image, whatever the aim.
pub fn place(canvas: Canvas, aim: &Aim, room: (u32, u32)) -> Placement {
    let scale = canvas.fit(aim.turn, room) * sound(aim.zoom);
    let (width, height) = aim.turn.size(canvas.extent());
    let side = |length: f64, room: u32| ((length * scale).round() as u32).clamp(1, room.max(1));
    let (across, down) = (side(width, room.0), side(height, room.1));
    let shares = aim.turn.size(shares(canvas, aim, room));
    let center = inside(aim.center, shares);
    let (columns, rows) = (
        f64::from(canvas.columns.max(1)),
        f64::from(canvas.rows.max(1)),
    );
    Placement {
        part: Part {
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

/// How much is seen of the image's width and height, as seen.
fn shares(canvas: Canvas, aim: &Aim, room: (u32, u32)) -> (f64, f64) {
    let scale = canvas.fit(aim.turn, room) * sound(aim.zoom);
    let (width, height) = aim.turn.size(canvas.extent());
    let share = |room: u32, length: f64| (f64::from(room.max(1)) / (length * scale)).min(1.0);
    (share(room.0, width), share(room.1, height))
}

fn sound(zoom: f64) -> f64 {
    if zoom.is_finite() && zoom > 0.0 {
        zoom
    } else {
        1.0
    }
}

/// The middle moved so that nothing beyond the edges is seen; `shares` of width and height are.
fn inside(center: (f64, f64), shares: (f64, f64)) -> (f64, f64) {
    let side = |center: f64, share: f64| center.clamp(share / 2.0, 1.0 - share / 2.0);
    (side(center.0, shares.0), side(center.1, shares.1))
}

impl Placement {
    /// Where the middle of a pixel of the file is seen: screen pixels from the top left of the image.
    pub fn screen(&self, (x, y): (u32, u32)) -> (f64, f64) {
        self.screen_at((f64::from(x) + 0.5, f64::from(y) + 0.5))
    }

    /// Where a place of the file is seen, given as columns and rows from the outer corner of its first pixel.
    pub fn screen_at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |at: f64, from: f64, length: f64| (at - from) / length;
        let (u, v) = self.turn.seen((
            share(x, self.part.x, self.part.width),
            share(y, self.part.y, self.part.height),
        ));
        (u * f64::from(self.width), v * f64::from(self.height))
    }

    /// The pixel of the file that is seen at a place: screen pixels from the top left of the image. `None` beyond its edges.
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

    /// The same at the middle of a cell, when the image lies in the middle of `area` and cells have `cell` pixels.
    pub fn pixel_in_cell(
        &self,
        at: (u16, u16),
        area: Area,
        cell: (u16, u16),
    ) -> Option<(u32, u32)> {
        // The image lies in the middle of the cells that it touches, and these in the middle of the area.
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

    /// The pixel of the file in the middle of what is seen.
    pub fn middle(&self) -> (u32, u32) {
        (
            (self.part.x + self.part.width / 2.0) as u32,
            (self.part.y + self.part.height / 2.0) as u32,
        )
    }
}

impl Aim {
    /// One step nearer or further: by a half octave, no nearer than a pixel can be seen, no further than the whole image
    /// (or its true size, where that is smaller).
    #[must_use]
    pub fn step(&self, nearer: bool, canvas: Canvas, room: (u32, u32)) -> Self {
        let octaves = (sound(self.zoom).log2() * STEPS_PER_OCTAVE).round();
        let next = if nearer { octaves + 1.0 } else { octaves - 1.0 };
        let zoom = (next / STEPS_PER_OCTAVE).exp2();
        Self { zoom, ..*self }.within_limits(canvas, room)
    }

    /// One column of the file to a pixel of the screen.
    #[must_use]
    pub fn actual(&self, canvas: Canvas, room: (u32, u32)) -> Self {
        Self {
            zoom: 1.0 / canvas.fit(self.turn, room),
            ..*self
        }
        .held(canvas, room)
    }

    /// The whole image, from the same side.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            turn: self.turn,
            ..Self::default()
        }
    }

    /// With a magnification that steps could reach, and its middle where nothing beyond the edges is seen.
    #[must_use]
    pub fn within_limits(&self, canvas: Canvas, room: (u32, u32)) -> Self {
        let fit = canvas.fit(self.turn, room);
        let (least, most) = ((1.0 / fit).min(1.0), (MAX_SCALE / fit).max(1.0));
        Self {
            zoom: sound(self.zoom).clamp(least, most),
            ..*self
        }
        .held(canvas, room)
    }

    /// A step across and down, as seen, of an eighth of what is seen.
    #[must_use]
    pub fn pan(&self, across: i8, down: i8, canvas: Canvas, room: (u32, u32)) -> Self {
        let seen = shares(canvas, self, room);
        let (dx, dy) = self.turn.step_in_file((
            f64::from(across) * seen.0 * PAN_STEP,
            f64::from(down) * seen.1 * PAN_STEP,
        ));
        let held = self.held(canvas, room);
        Self {
            center: (held.center.0 + dx, held.center.1 + dy),
            ..*self
        }
        .held(canvas, room)
    }

    /// Moved no further than needed for a pixel of the file to be seen.
    #[must_use]
    pub fn showing(&self, (x, y): (u32, u32), canvas: Canvas, room: (u32, u32)) -> Self {
        let (wide, high) = self.turn.size(shares(canvas, self, room));
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
                near(self.center.0, x, canvas.columns, wide),
                near(self.center.1, y, canvas.rows, high),
            ),
            ..*self
        }
        .held(canvas, room)
    }

    /// With its middle where nothing beyond the edges is seen, so that the next step moves at once.
    #[must_use]
    pub fn held(&self, canvas: Canvas, room: (u32, u32)) -> Self {
        let shares = self.turn.size(shares(canvas, self, room));
        Self {
            center: inside(self.center, shares),
            ..*self
        }
    }
}

/// A bar of a round length for measuring by eye, at most a third of `width` screen pixels: its length in millimetres, and
/// in screen pixels of `per_pixel` millimetres each. `None` where it would be too short to be of use.
pub fn scale_bar(per_pixel: f64, width: u32) -> Option<(f64, u32)> {
    if !per_pixel.is_finite() || per_pixel <= 0.0 {
        return None;
    }
    let most = f64::from(width) / 3.0 * per_pixel;
    let decade = 10_f64.powf(most.log10().floor());
    let length = [5.0, 2.0, 1.0]
        .iter()
        .map(|digit| digit * decade)
        .find(|length| *length <= most)?;
    let pixels = (length / per_pixel).round() as u32;
    (pixels >= 3).then_some((length, pixels))
}

/// How the preview's area is divided: the image, and what is written around it, because a terminal's graphics do not
/// yield to text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inset {
    /// The image.
    pub picture: Area,
    /// The row above the image, for the letter of the top.
    pub above: Option<Area>,
    /// The row below the image, for the letter of the bottom.
    pub below: Option<Area>,
    /// Columns to the left, for a letter.
    pub left: Option<Area>,
    /// Columns to the right, for a letter.
    pub right: Option<Area>,
    /// One row of what colours stand for.
    pub legend: Option<Area>,
    /// One row of facts.
    pub facts: Option<Area>,
    /// Bars, an axis and its figures.
    pub histogram: Option<Area>,
}

/// What is to be written around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent pieces")]
pub struct Around {
    /// A row of facts.
    pub facts: bool,
    /// Letters at the four sides.
    pub letters: bool,
    /// A row of what colours stand for.
    pub legend: bool,
    /// The histogram.
    pub histogram: bool,
}

/// Columns for letters on either side: most views have one letter, oblique ones two.
const LETTERS: u16 = 2;
/// Rows of the histogram: five of bars, the window, the axis.
const HISTOGRAM: u16 = 7;
/// Room that the image keeps, whatever else is asked for.
const MIN_PICTURE: (u16, u16) = (16, 5);

/// Divides an area. What would leave too little of the image is left out.
pub fn inset(area: Area, around: Around) -> Inset {
    let mut inset = Inset {
        picture: area,
        ..Inset::default()
    };
    let wide = area.width >= MIN_PICTURE.0;
    if around.facts && wide && area.height > MIN_PICTURE.1 {
        inset.facts = Some(take_rows(&mut inset.picture, 1));
    }
    if around.legend && wide && inset.picture.height > MIN_PICTURE.1 {
        inset.legend = Some(take_rows(&mut inset.picture, 1));
    }
    if around.histogram && wide && inset.picture.height >= MIN_PICTURE.1 + HISTOGRAM {
        inset.histogram = Some(take_rows(&mut inset.picture, HISTOGRAM));
    }
    let room = (MIN_PICTURE.0 + 2 * LETTERS, MIN_PICTURE.1 + 4);
    if around.letters && inset.picture.width >= room.0 && inset.picture.height >= room.1 {
        letters(&mut inset);
    }
    inset
}

/// The last rows of an area, taken from it.
fn take_rows(area: &mut Area, rows: u16) -> Area {
    area.height -= rows;
    Area {
        y: area.y + area.height,
        height: rows,
        ..*area
    }
}

fn letters(inset: &mut Inset) {
    let all = inset.picture;
    let inner = Area {
        x: all.x + LETTERS,
        y: all.y + 1,
        width: all.width - 2 * LETTERS,
        height: all.height - 2,
    };
    let row = |y: u16| Area {
        y,
        height: 1,
        ..inner
    };
    let columns = |x: u16| Area {
        x,
        width: LETTERS,
        ..inner
    };
    inset.above = Some(row(all.y));
    inset.below = Some(row(inner.y + inner.height));
    inset.left = Some(columns(all.x));
    inset.right = Some(columns(inner.x + inner.width));
    inset.picture = inner;
}

#[cfg(test)]
mod tests;
