//! From pixels to what a terminal is sent: one driver a protocol.
//!
//! ratatui-image encodes half blocks and sixels in many colours, and names kitty's cells. Where a driver bypasses it, its head
//! says why.

mod grid;
mod half_blocks;
mod iterm2;
mod kitty;
mod painter;
mod pieces;
mod placeholders;
mod sixel;

use std::sync::Arc;

use image::DynamicImage;
use placeholders::Placeholders;
use ratatui::layout::Size;
use ratatui_image::FontSize;
use ratatui_image::protocol::Protocol;

use super::Route;
use crate::app::{EncodedImage, Graphics, PreviewKey, Quality};
use crate::media::{ErrorKind, MediaError};
pub(super) use grid::Grid;
pub use half_blocks::encode as half_blocks;
pub use kitty::ImageStore;
pub use painter::Painter;
pub(super) use pieces::Piece;
pub(super) use placeholders::PLACEHOLDER;

/// The cell of a terminal that does not tell: a common one.
pub(super) const USUAL_CELL: FontSize = FontSize::new(10, 20);

/// An image as its driver made it; the content of an [`EncodedImage`].
enum Encoded {
    /// Cells that hold the image.
    Cells(Protocol),
    /// Cells that stand for an image that the terminal is sent beside them.
    Placeholders(Placeholders),
    /// Control sequences that draw it, each upon its own cells.
    Pieces(Vec<Piece>),
}

impl Encoded {
    fn into_image(self, size: Size) -> EncodedImage {
        EncodedImage::new((size.width, size.height), self)
    }
}

/// What the drivers need to know of the terminal.
#[derive(Clone)]
pub struct Output {
    /// Pixels of a cell.
    pub cell: FontSize,
    /// How control sequences reach it.
    pub route: Route,
    /// The images that it has by kitty's protocol.
    pub store: Arc<ImageStore>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            cell: USUAL_CELL,
            route: Route::default(),
            store: Arc::default(),
        }
    }
}

/// Encodes images for one terminal.
pub(super) struct Drivers(Output);

impl Drivers {
    pub(super) fn new(output: Output) -> Self {
        Self(output)
    }

    /// The pixels that an image of this quality is drawn with.
    pub(super) fn grid(&self, graphics: Graphics, quality: Quality) -> Grid {
        if is_half_blocks(graphics, quality) {
            return Grid {
                cell: half_blocks::CELL,
                each: 1,
            };
        }
        Grid {
            cell: self.0.cell,
            each: if quality == Quality::Half { 2 } else { 1 },
        }
    }

    /// Encodes an image that fills so many cells.
    pub(super) fn encode(
        &self,
        image: DynamicImage,
        size: Size,
        key: &PreviewKey,
    ) -> Result<EncodedImage, MediaError> {
        let target = Target {
            size,
            cell: self.0.cell,
            route: self.0.route,
        };
        match key.graphics {
            _ if is_half_blocks(key.graphics, key.quality) => {
                half_blocks::encode(image, (size.width, size.height))
            }
            Graphics::Kitty => self.0.store.add(&image, size),
            Graphics::Iterm2 => iterm2::encode(&image, target),
            Graphics::Sixel | Graphics::Halfblocks | Graphics::None => {
                sixel::encode(image, key.quality, target)
            }
        }
    }
}

/// What an image is encoded for.
#[derive(Clone, Copy)]
struct Target {
    /// Cells to cover.
    size: Size,
    /// Pixels of each.
    cell: FontSize,
    route: Route,
}

/// Images of this quality are made of half blocks, whatever else the terminal can.
fn is_half_blocks(graphics: Graphics, quality: Quality) -> bool {
    match graphics {
        Graphics::Halfblocks | Graphics::None => true,
        Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2 => quality == Quality::Fast,
    }
}

pub(super) fn fault(error: &dyn std::fmt::Display) -> MediaError {
    MediaError::new(
        ErrorKind::Internal,
        format!("the image cannot be drawn: {error}"),
    )
}
