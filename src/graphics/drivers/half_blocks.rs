//! Coloured half blocks, two pixels per cell: work in every terminal that has colours.

use image::DynamicImage;
use ratatui::layout::Size;
use ratatui_image::FontSize;
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::halfblocks::Halfblocks;

use super::{Encoded, draw_error};
use crate::app::EncodedImage;
use crate::media::MediaError;

/// A half block is one column wide and two pixels high.
pub(super) const CELL: FontSize = FontSize::new(1, 2);

/// Encodes an image for `cols` × `rows` cells.
pub fn encode(image: DynamicImage, (cols, rows): (u16, u16)) -> Result<EncodedImage, MediaError> {
    let size = Size::new(cols, rows);
    let cells = Halfblocks::new(image, size).map_err(|error| draw_error(&error))?;
    Ok(Encoded::Cells(Protocol::Halfblocks(cells)).into_image(size))
}
