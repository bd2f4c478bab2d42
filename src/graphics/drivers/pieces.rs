//! Images cut into pieces, for protocols that draw at the cursor. Each piece is sent separately, between frames of text, and
//! redrawn separately when text over it is gone.

use std::sync::Arc;

use image::{DynamicImage, imageops};
use ratatui::layout::{Rect, Size};
use ratatui_image::FontSize;

use super::EncodeTarget;
use crate::media::MediaError;

/// Minimum height of a piece in pixels: each piece repeats its palette.
const MIN_HEIGHT: u16 = 36;
/// Maximum width of a piece in pixels: xterm silently ignores wider ones and keeps what was there (resource
/// `maxGraphicSize`).
pub(super) const MAX_WIDTH: u16 = 1000;

/// A control sequence that draws a part of an image.
#[derive(Clone, Debug)]
pub struct ImagePiece {
    /// The cells that the piece covers.
    pub area: Rect,
    /// The sequence, to be sent with the cursor on the first of those cells.
    pub data: Arc<str>,
}

impl PartialEq for ImagePiece {
    /// True for the same sequence (by pointer) at the same position.
    fn eq(&self, other: &Self) -> bool {
        self.area == other.area && Arc::ptr_eq(&self.data, &other.data)
    }
}

/// The cells of each piece of an image, row by row and from left to right. Pieces are low, because nothing else can be sent
/// while one is being sent.
pub(super) fn areas(size: Size, cell: FontSize) -> impl Iterator<Item = Rect> {
    let rows = MIN_HEIGHT.div_ceil(cell.height.max(1));
    let max_cols = (MAX_WIDTH / cell.width.max(1)).max(1);
    // All about equally wide, rather than with a sliver at the end.
    let cols = size
        .width
        .div_ceil(size.width.div_ceil(max_cols).max(1))
        .max(1);
    let lefts = move || (0..size.width).step_by(usize::from(cols));
    let tops = (0..size.height).step_by(usize::from(rows));
    tops.flat_map(move |y| {
        lefts().map(move |x| {
            let (width, height) = (cols.min(size.width - x), rows.min(size.height - y));
            Rect::new(x, y, width, height)
        })
    })
}

/// Resizes an image to its cells and encodes each of its pieces with `piece`.
pub(super) fn encode(
    image: &DynamicImage,
    target: EncodeTarget,
    piece: impl Fn(DynamicImage, Size) -> Result<String, MediaError>,
) -> Result<Vec<ImagePiece>, MediaError> {
    let EncodeTarget { size, cell, .. } = target;
    let [width, height] = [(size.width, cell.width), (size.height, cell.height)]
        .map(|(cells, pixels)| u32::from(cells) * u32::from(pixels));
    let filled;
    let image = if (image.width(), image.height()) == (width, height) {
        image
    } else {
        filled = image.resize_exact(width, height, imageops::FilterType::Nearest);
        &filled
    };
    let pieces = areas(size, cell).map(|area| {
        let [x, width] = [area.x, area.width].map(|cols| u32::from(cols) * u32::from(cell.width));
        let [y, height] =
            [area.y, area.height].map(|rows| u32::from(rows) * u32::from(cell.height));
        let data = piece(image.crop_imm(x, y, width, height), area.as_size())?;
        Ok(ImagePiece {
            area,
            data: data.into(),
        })
    });
    pieces.collect()
}
