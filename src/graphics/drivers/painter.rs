//! Encoded images put into a frame.

use std::cell::RefCell;

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use ratatui_image::Image;

use super::{Encoded, Piece};
use crate::app::EncodedImage;
use crate::ui;

/// Draws images that are made of cells. Of others it keeps the cells free, and remembers their pieces: these are drawn by
/// whoever sends the frame.
#[derive(Default)]
pub struct Painter(RefCell<Vec<Piece>>);

impl Painter {
    /// The pieces of all images that were drawn, at their places on the screen.
    pub(in crate::graphics) fn into_pieces(self) -> Vec<Piece> {
        self.0.into_inner()
    }

    fn keep_free(&self, pieces: &[Piece], area: Rect, buffer: &mut Buffer) {
        for piece in pieces {
            let place = Rect {
                x: area.x + piece.area.x,
                y: area.y + piece.area.y,
                ..piece.area
            };
            if place.intersection(buffer.area) != place {
                continue;
            }
            for position in place.positions() {
                buffer[position] = Cell::default();
                buffer[position].set_diff_option(CellDiffOption::Skip);
            }
            self.0.borrow_mut().push(Piece {
                area: place,
                ..piece.clone()
            });
        }
    }
}

impl ui::Painter for Painter {
    fn paint(&self, image: &EncodedImage, area: Rect, buffer: &mut Buffer) {
        match image.content() {
            Some(Encoded::Cells(cells)) => Image::new(cells).render(area, buffer),
            Some(Encoded::Placeholders(placeholders)) => placeholders.paint(area, buffer),
            Some(Encoded::Pieces(pieces)) => self.keep_free(pieces, area, buffer),
            // Another graphics' image: there is none.
            None => {}
        }
    }
}
