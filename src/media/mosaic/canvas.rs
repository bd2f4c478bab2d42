//! The canvas on which a mosaic is assembled, and the reduction of tiles.

use std::sync::Arc;

use super::Tile;
use crate::grey::canvas::GreyCanvas;
use crate::{Frame, Grey, Picture, Pixels, Voi};

/// A reduced tile and its position in the reduced image.
pub(super) struct Patch {
    x: u32,
    y: u32,
    width: u32,
    values: PatchValues,
    /// The blocks of the tile that its pixels are made of: across and down.
    blocks: [Blocks; 2],
}

/// The pixels of a [`Patch`].
enum PatchValues {
    /// Interleaved RGB.
    Color(Vec<u8>),
    /// Stored values.
    Grey(Vec<f64>),
}

impl Patch {
    /// Reduces a tile to the pixels whose centres lie in it, each the mean of the part of its block that lies in the
    /// tile.
    pub(super) fn new(frame: &Frame, tile: Tile, divisor: u32, whole: (u32, u32)) -> Self {
        let size = match frame {
            Frame::Grey(grey) => (grey.width, grey.height),
            Frame::Color(picture) => (picture.width, picture.height),
        };
        let columns = blocks(tile.x, size.0, divisor, whole.0);
        let rows = blocks(tile.y, size.1, divisor, whole.1);
        let values = match frame {
            Frame::Grey(grey) => PatchValues::Grey(means(&columns, &rows, |x, y| {
                [grey
                    .stored(y as usize * grey.width as usize + x as usize)
                    .unwrap_or_default()]
            })),
            Frame::Color(picture) => PatchValues::Color(colors(picture, &columns, &rows)),
        };
        Self {
            x: columns.first,
            y: rows.first,
            width: columns.spans.len() as u32,
            values,
            blocks: [columns, rows],
        }
    }

    /// The same patch, made of a picture of the tile.
    fn recolored(self, picture: &Picture) -> Self {
        let [columns, rows] = &self.blocks;
        let values = PatchValues::Color(colors(picture, columns, rows));
        Self { values, ..self }
    }
}

/// The reduced pixels that a tile covers along one axis: the first of them, and for each the range of the tile's
/// pixels that it is made of.
struct Blocks {
    first: u32,
    spans: Vec<(u32, u32)>,
}

/// The blocks of a tile that begins at `from` and has `length` pixels, in an image of `whole` pixels along this axis.
fn blocks(from: u32, length: u32, divisor: u32, whole: u32) -> Blocks {
    let (from, end) = (
        u64::from(from),
        (u64::from(from) + u64::from(length)).min(u64::from(whole)),
    );
    let size = u64::from(divisor);
    let middle = |block: u64| (block * size + size / 2).min(u64::from(whole).saturating_sub(1));
    let mut first = from / size;
    if middle(first) < from {
        first += 1;
    }
    let spans = (first..)
        .take_while(|block| block * size < end && middle(*block) < end)
        .map(|block| {
            let start = (block * size).max(from) - from;
            let stop = (block * size + size).min(end) - from;
            (start as u32, stop as u32)
        });
    Blocks {
        first: first as u32,
        spans: spans.collect(),
    }
}

/// The mean of each block of values, `N` channels a pixel.
fn means<const N: usize>(
    columns: &Blocks,
    rows: &Blocks,
    value: impl Fn(u32, u32) -> [f64; N],
) -> Vec<f64> {
    let mut out = Vec::with_capacity(columns.spans.len() * rows.spans.len() * N);
    for &(top, bottom) in &rows.spans {
        for &(left, right) in &columns.spans {
            let mut sum = [0.0; N];
            for y in top..bottom {
                for x in left..right {
                    for (sum, value) in sum.iter_mut().zip(value(x, y)) {
                        *sum += value;
                    }
                }
            }
            let count = f64::from((bottom - top) * (right - left)).max(1.0);
            out.extend(sum.map(|sum| sum / count));
        }
    }
    out
}

/// The mean of each block of a colour tile, in integer arithmetic.
fn colors(picture: &Picture, columns: &Blocks, rows: &Blocks) -> Vec<u8> {
    let rgb;
    let bytes = match &picture.pixels {
        Pixels::Rgb(bytes) => bytes,
        Pixels::Luma(_) => {
            rgb = picture.to_rgb();
            &rgb
        }
    };
    let stride = picture.width as usize * 3;
    let mut out = Vec::with_capacity(columns.spans.len() * rows.spans.len() * 3);
    for &(top, bottom) in &rows.spans {
        for &(left, right) in &columns.spans {
            let mut sum = [0_u32; 3];
            for y in top..bottom {
                let row = y as usize * stride;
                let pixels = bytes.get(row + left as usize * 3..row + right as usize * 3);
                for pixel in pixels.unwrap_or_default().chunks_exact(3) {
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(*value);
                    }
                }
            }
            let count = ((bottom - top) * (right - left)).max(1);
            out.extend(sum.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    out
}

/// A mosaic being assembled. One that begins in grey becomes coloured with the first coloured tile.
pub(super) enum MosaicCanvas {
    Color(ColorCanvas),
    Grey {
        canvas: GreyCanvas,
        /// What has been drawn: first column and row, columns and rows.
        drawn: Vec<[u32; 4]>,
        background: [u8; 3],
    },
}

/// A mosaic of interleaved RGB.
pub(super) struct ColorCanvas {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl MosaicCanvas {
    /// Creates an empty canvas, of grey like the first tile, or of colour.
    pub(super) fn new(
        first_tile: Option<&Grey>,
        (width, height): (u32, u32),
        background: [u8; 3],
    ) -> Self {
        match first_tile {
            Some(grey) => MosaicCanvas::Grey {
                canvas: GreyCanvas::new(grey, width, height),
                drawn: Vec::new(),
                background,
            },
            None => MosaicCanvas::Color(ColorCanvas::new(width, height, background)),
        }
    }

    /// Draws a patch of the tile `frame`. Grey on a coloured canvas is drawn as the tile's own window shows it.
    pub(super) fn draw(&mut self, patch: Patch, frame: &Frame) {
        match (&mut *self, &patch.values) {
            (MosaicCanvas::Color(canvas), PatchValues::Color(values)) => {
                canvas.draw((patch.x, patch.y), patch.width, values);
            }
            (MosaicCanvas::Color(_), PatchValues::Grey(_)) => {
                let (picture, _) = frame.render(Voi::Own(0), false);
                self.draw(patch.recolored(&picture), frame);
            }
            (MosaicCanvas::Grey { canvas, drawn, .. }, PatchValues::Grey(values)) => {
                canvas.write((patch.x, patch.y), patch.width, values);
                let rows = values.len() / (patch.width as usize).max(1);
                drawn.push([patch.x, patch.y, patch.width, rows as u32]);
            }
            (MosaicCanvas::Grey { .. }, PatchValues::Color(_)) => {
                self.turn_to_color();
                self.draw(patch, frame);
            }
        }
    }

    /// Replaces grey by the colours in which it is shown.
    fn turn_to_color(&mut self) {
        let MosaicCanvas::Grey {
            canvas,
            drawn,
            background,
        } = self
        else {
            return;
        };
        let (picture, _) = canvas.clone().finish().render(Voi::Own(0), false);
        let rgb = picture.to_rgb();
        let mut color = ColorCanvas::new(picture.width, picture.height, *background);
        let bytes = |pixels: u32| pixels as usize * 3;
        for [x, y, width, rows] in drawn {
            for y in *y..*y + *rows {
                let start = bytes(picture.width) * y as usize + bytes(*x);
                let row = rgb.get(start..start + bytes(*width)).unwrap_or_default();
                color.draw((*x, y), *width, row);
            }
        }
        *self = MosaicCanvas::Color(color);
    }

    /// What has been assembled so far.
    pub(super) fn frame(&self) -> Frame {
        match self {
            MosaicCanvas::Color(canvas) => color(canvas.width, canvas.height, canvas.bytes.clone()),
            MosaicCanvas::Grey { canvas, .. } => Frame::Grey(canvas.clone().finish()),
        }
    }

    /// The assembled frame; grey also if all colours are shades of it, as for any other picture.
    pub(super) fn into_frame(self) -> Frame {
        match self {
            MosaicCanvas::Color(canvas) => Frame::from(Picture {
                width: canvas.width,
                height: canvas.height,
                pixels: Pixels::Rgb(canvas.bytes),
            }),
            MosaicCanvas::Grey { canvas, .. } => Frame::Grey(canvas.finish()),
        }
    }
}

impl ColorCanvas {
    fn new(width: u32, height: u32, background: [u8; 3]) -> Self {
        Self {
            width,
            height,
            bytes: background.repeat(width as usize * height as usize),
        }
    }

    /// Draws rows of `width` pixels, the first one at `at`.
    fn draw(&mut self, at: (u32, u32), width: u32, values: &[u8]) {
        let row_bytes = (width as usize * 3).max(1);
        for (y, row) in values.chunks_exact(row_bytes).enumerate() {
            let start = ((at.1 as usize + y) * self.width as usize + at.0 as usize) * 3;
            if let Some(target) = self.bytes.get_mut(start..start + row.len()) {
                target.copy_from_slice(row);
            }
        }
    }
}

pub(super) fn color(width: u32, height: u32, bytes: Vec<u8>) -> Frame {
    Frame::Color(Arc::new(Picture {
        width,
        height,
        pixels: Pixels::Rgb(bytes),
    }))
}
