//! The canvas on which a mosaic is assembled, and the reduction of tiles.

use std::sync::Arc;

use super::Tile;
use crate::grey::canvas::GreyCanvas;
use crate::{Frame, Picture, Pixels};

/// A reduced tile and its position in the reduced image.
pub(super) struct Patch {
    x: u32,
    y: u32,
    width: u32,
    values: PatchValues,
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
        }
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

/// A mosaic being assembled.
pub(super) enum MosaicCanvas {
    Color {
        width: u32,
        height: u32,
        bytes: Vec<u8>,
    },
    Grey(GreyCanvas),
}

impl MosaicCanvas {
    /// Creates an empty canvas, grey or colour as `frame` is.
    pub(super) fn new(frame: &Frame, (width, height): (u32, u32), background: [u8; 3]) -> Self {
        match frame {
            Frame::Grey(grey) => MosaicCanvas::Grey(GreyCanvas::new(grey, width, height)),
            Frame::Color(_) => MosaicCanvas::Color {
                width,
                height,
                bytes: background.repeat(width as usize * height as usize),
            },
        }
    }

    pub(super) fn draw(&mut self, patch: &Patch) {
        match (self, &patch.values) {
            (MosaicCanvas::Color { width, bytes, .. }, PatchValues::Color(values)) => {
                let row_bytes = (patch.width as usize * 3).max(1);
                for (y, row) in values.chunks_exact(row_bytes).enumerate() {
                    let start = ((patch.y as usize + y) * *width as usize + patch.x as usize) * 3;
                    if let Some(target) = bytes.get_mut(start..start + row.len()) {
                        target.copy_from_slice(row);
                    }
                }
            }
            (MosaicCanvas::Grey(canvas), PatchValues::Grey(values)) => {
                canvas.write((patch.x, patch.y), patch.width, values);
            }
            // A tile that is grey where the first was coloured, or the reverse, is left out.
            (MosaicCanvas::Color { .. }, PatchValues::Grey(_))
            | (MosaicCanvas::Grey(_), PatchValues::Color(_)) => {}
        }
    }

    pub(super) fn frame(&self) -> Frame {
        match self {
            MosaicCanvas::Color {
                width,
                height,
                bytes,
            } => color(*width, *height, bytes.clone()),
            MosaicCanvas::Grey(canvas) => Frame::Grey(canvas.clone().finish()),
        }
    }

    pub(super) fn into_frame(self) -> Frame {
        match self {
            MosaicCanvas::Color {
                width,
                height,
                bytes,
            } => color(width, height, bytes),
            MosaicCanvas::Grey(canvas) => Frame::Grey(canvas.finish()),
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
