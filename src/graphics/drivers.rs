//! Encodes pixels for a terminal, with one driver per graphics protocol.
//!
//! ratatui-image encodes half blocks and multi-colour sixels, and supplies kitty's placeholder diacritics. Where a driver
//! bypasses it, the module documentation says why.

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
pub(super) use grid::PixelGrid;
pub use half_blocks::encode as half_blocks;
pub use kitty::ImageStore;
pub use painter::ImagePainter;
pub(super) use pieces::ImagePiece;
pub(super) use placeholders::PLACEHOLDER;

/// A common cell size, in pixels, for terminals that do not report theirs.
pub(super) const DEFAULT_CELL: FontSize = FontSize::new(10, 20);

/// An image as its driver encoded it; the content of an [`EncodedImage`].
enum Encoded {
    /// Cells whose characters and colours are the image.
    Cells(Protocol),
    /// Placeholder cells for an image that is transmitted separately.
    Placeholders(Placeholders),
    /// Control sequences, each of which draws a part of the image over its own cells.
    Pieces(Vec<ImagePiece>),
}

impl Encoded {
    fn into_image(self, size: Size) -> EncodedImage {
        EncodedImage::new((size.width, size.height), self)
    }
}

/// What the drivers need to know about the terminal.
#[derive(Clone)]
pub struct Output {
    /// Size of a cell in pixels.
    pub cell: FontSize,
    /// How control sequences reach the terminal.
    pub route: Route,
    /// The images that the terminal holds under kitty's protocol.
    pub store: Arc<ImageStore>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            cell: DEFAULT_CELL,
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

    /// Returns the pixel grid on which an image of this quality is drawn.
    pub(super) fn grid(&self, graphics: Graphics, quality: Quality) -> PixelGrid {
        if is_half_blocks(graphics, quality) {
            return PixelGrid {
                cell: half_blocks::CELL,
                reduction: 1,
            };
        }
        PixelGrid {
            cell: self.0.cell,
            reduction: if quality == Quality::Half { 2 } else { 1 },
        }
    }

    /// Encodes an image that fills `size` cells.
    pub(super) fn encode(
        &self,
        image: DynamicImage,
        size: Size,
        key: &PreviewKey,
    ) -> Result<EncodedImage, MediaError> {
        let target = EncodeTarget {
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

/// The cells and the terminal that an image is encoded for.
#[derive(Clone, Copy)]
struct EncodeTarget {
    /// Columns and rows of cells to cover.
    size: Size,
    /// Size of each cell in pixels.
    cell: FontSize,
    route: Route,
}

/// Whether images of this quality are half blocks, whatever else the terminal supports.
fn is_half_blocks(graphics: Graphics, quality: Quality) -> bool {
    match graphics {
        Graphics::Halfblocks | Graphics::None => true,
        Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2 => quality == Quality::Fast,
    }
}

/// An internal error in resizing or encoding.
pub(super) fn draw_error(error: &dyn std::fmt::Display) -> MediaError {
    MediaError::new(
        ErrorKind::Internal,
        format!("the image cannot be drawn: {error}"),
    )
}
