//! Draws encoded images into a frame.

use std::cell::RefCell;

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use ratatui_image::Image;

use super::{Encoded, ImagePiece};
use crate::app::EncodedImage;
use crate::ui;

/// Draws images that consist of cells. For images that consist of pieces it reserves the cells and collects the pieces, which
/// the sender of the frame draws.
#[derive(Default)]
pub struct ImagePainter(RefCell<Vec<ImagePiece>>);

impl ImagePainter {
    /// Returns the pieces of all images drawn, positioned on the screen.
    pub(in crate::graphics) fn into_pieces(self) -> Vec<ImagePiece> {
        self.0.into_inner()
    }

    /// Reserves the cells of the pieces that lie on the screen, and collects those pieces.
    fn reserve(&self, pieces: &[ImagePiece], area: Rect, buffer: &mut Buffer) {
        for piece in pieces {
            let area = Rect {
                x: area.x + piece.area.x,
                y: area.y + piece.area.y,
                ..piece.area
            };
            if area.intersection(buffer.area) != area {
                continue;
            }
            for position in area.positions() {
                buffer[position] = Cell::default();
                buffer[position].set_diff_option(CellDiffOption::Skip);
            }
            self.0.borrow_mut().push(ImagePiece {
                area,
                ..piece.clone()
            });
        }
    }
}

impl ui::Painter for ImagePainter {
    fn paint(&self, image: &EncodedImage, area: Rect, buffer: &mut Buffer) {
        match image.content() {
            Some(Encoded::Cells(cells)) => Image::new(cells).render(area, buffer),
            Some(Encoded::Placeholders(placeholders)) => placeholders.paint(area, buffer),
            Some(Encoded::Pieces(pieces)) => self.reserve(pieces, area, buffer),
            // Not encoded by a driver of ours: no such image exists.
            None => {}
        }
    }
}
