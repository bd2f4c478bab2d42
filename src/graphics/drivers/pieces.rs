//! Images cut into pieces, for protocols that draw where the cursor is. Each piece is sent for itself, between frames of text,
//! and drawn again for itself where text lay upon it.

use std::sync::Arc;

use image::{DynamicImage, imageops};
use ratatui::layout::{Rect, Size};
use ratatui_image::FontSize;

use super::Target;
use crate::media::MediaError;

/// Pixels that a piece is high, at least: each names its colours anew.
const MIN_HEIGHT: u16 = 36;
/// Pixels that a piece is wide, at most: what is wider xterm leaves out, without a word, and what was there before stays (its
/// resource `maxGraphicSize`).
pub(super) const MAX_WIDTH: u16 = 1000;

/// A control sequence that draws a part of an image.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The cells that it covers.
    pub area: Rect,
    /// The sequence, to be sent with the cursor on the first of them.
    pub data: Arc<str>,
}

impl PartialEq for Piece {
    /// The same sequence at the same place.
    fn eq(&self, other: &Self) -> bool {
        self.area == other.area && Arc::ptr_eq(&self.data, &other.data)
    }
}

/// The cells of each piece of an image, row by row, each from the left. They are low, because so long as one is being sent
/// nothing else can be.
pub(super) fn areas(size: Size, cell: FontSize) -> impl Iterator<Item = Rect> {
    let rows = MIN_HEIGHT.div_ceil(cell.height.max(1));
    let most = (MAX_WIDTH / cell.width.max(1)).max(1);
    // As wide as each other, rather than a sliver at the end.
    let cols = size.width.div_ceil(size.width.div_ceil(most).max(1)).max(1);
    let lefts = move || (0..size.width).step_by(usize::from(cols));
    let tops = (0..size.height).step_by(usize::from(rows));
    tops.flat_map(move |y| {
        lefts().map(move |x| {
            let (width, height) = (cols.min(size.width - x), rows.min(size.height - y));
            Rect::new(x, y, width, height)
        })
    })
}

/// Encodes each piece of an image, which is first made as large as its cells.
pub(super) fn encode(
    image: &DynamicImage,
    target: Target,
    piece: impl Fn(DynamicImage, Size) -> Result<String, MediaError>,
) -> Result<Vec<Piece>, MediaError> {
    let Target { size, cell, .. } = target;
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
        Ok(Piece {
            area,
            data: data.into(),
        })
    });
    pieces.collect()
}
