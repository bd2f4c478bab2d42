//! Limits how much of a frame is sent at once. Text is sent whole, and of images as much as the link takes in a moment, so that
//! the next key never waits behind one. Cells held back keep their content on screen and follow with the next frame.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use ratatui::layout::Position;
use ratatui::style::Color;

use super::drivers::{ImagePiece, ImageStore, PLACEHOLDER};

/// Half-block characters, whose two colours are pixels.
const HALF_BLOCKS: [&str; 2] = ["▀", "▄"];
/// Bytes that a half block with both colours takes to send.
const HALF_BLOCK_BYTES: usize = 40;

/// What the terminal has been sent so far.
#[derive(Default)]
pub(super) struct Pacing {
    /// The cells that the terminal shows; those under image pieces are marked as skipped.
    shown: Buffer,
    /// The image pieces that it shows, positioned on the screen.
    pieces: Vec<ImagePiece>,
    /// Whether the last frame was sent without images because its text had changed. The next one may then send images.
    was_text_only: bool,
}

impl Pacing {
    /// Reduces a frame to what is sent now, and appends to `out` what has to be sent ahead of its cells. `pieces` are all those
    /// in the frame, `budget` is in bytes. False when something was held back.
    pub(super) fn limit_frame(
        &mut self,
        next: &mut Buffer,
        pieces: &[ImagePiece],
        store: &ImageStore,
        mut budget: usize,
        out: &mut String,
    ) -> bool {
        if self.shown.area != next.area {
            // The terminal was cleared for its new size.
            self.shown = Buffer::empty(next.area);
            self.pieces.clear();
        }
        let mut changed = next.content.iter().zip(&self.shown.content);
        let text = changed.any(|(cell, old)| cell != old && is_text(cell));
        self.was_text_only = text && !self.was_text_only;
        if self.was_text_only {
            budget = 0;
        }
        let mut pending: Vec<u32> = Vec::new();
        for id in next.content.iter().filter_map(placeholder) {
            if !pending.contains(&id) {
                pending.push(id);
            }
        }
        if budget > 0 {
            store.send(&pending, budget, out);
        }
        pending.retain(|id| !store.is_sent(*id));
        let covered = self.send_pieces(next, pieces, budget, out);
        let complete = self.limit_cells(next, &pending, budget, out.len());
        for position in covered.iter().flatten() {
            // The piece has been drawn over this text.
            next[*position].set_diff_option(CellDiffOption::AlwaysUpdate);
        }
        complete && covered.is_some()
    }

    /// Sends the pieces that the terminal does not show yet, from the top. Returns the text cells that lie over them, or `None`
    /// when pieces were held back.
    fn send_pieces(
        &mut self,
        next: &mut Buffer,
        pieces: &[ImagePiece],
        budget: usize,
        out: &mut String,
    ) -> Option<Vec<Position>> {
        let mut covered = Vec::new();
        let (mut full, mut complete) = (budget == 0, true);
        for piece in pieces {
            if self.shows(piece, next) {
                continue;
            }
            // The first piece is sent however large it is, so that every frame makes progress.
            full |= !out.is_empty() && out.len() + piece.data.len() > budget;
            complete &= !full;
            if !full {
                let _ = write!(
                    out,
                    "\x1b[{};{}H{}",
                    piece.area.y + 1,
                    piece.area.x + 1,
                    piece.data
                );
                self.pieces
                    .retain(|other| !other.area.intersects(piece.area));
                self.pieces.push(piece.clone());
            }
            for position in piece.area.positions() {
                let (cell, old) = (&mut next[position], &mut self.shown[position]);
                match (is_pixels(cell), full) {
                    (true, true) => cell.clone_from(old),
                    (true, false) => old.clone_from(cell),
                    (false, false) => covered.push(position),
                    (false, true) => {}
                }
            }
        }
        complete.then_some(covered)
    }

    /// Whether the terminal shows this piece, apart from text over it.
    fn shows(&self, piece: &ImagePiece, next: &Buffer) -> bool {
        let mut positions = piece.area.positions();
        self.pieces.contains(piece)
            && positions.all(|at| !is_pixels(&next[at]) || is_pixels(&self.shown[at]))
    }

    /// Reverts cells beyond the budget, and those of kitty images still `pending`, to what the terminal shows. `spent` is in
    /// bytes. False when cells were reverted.
    fn limit_cells(
        &mut self,
        next: &mut Buffer,
        pending: &[u32],
        budget: usize,
        mut spent: usize,
    ) -> bool {
        let mut complete = true;
        for (cell, old) in next.content.iter_mut().zip(&mut self.shown.content) {
            if cell == old {
                continue;
            }
            let cost = cost(cell);
            let over_budget = cost > 0 && (budget == 0 || (spent > 0 && spent + cost > budget));
            if over_budget {
                // Nothing after it either: an image is drawn from its top.
                spent = spent.max(budget);
            }
            if over_budget || placeholder(cell).is_some_and(|id| pending.contains(&id)) {
                complete = false;
                cell.clone_from(old);
            } else {
                spent += cost;
                old.clone_from(cell);
            }
        }
        complete
    }
}

/// Whether the cell is text, which is sent whole and first.
fn is_text(cell: &Cell) -> bool {
    !is_pixels(cell) && cost(cell) == 0 && placeholder(cell).is_none()
}

/// Whether the cell belongs to a piece that is sent ahead of the cells.
pub(super) fn is_pixels(cell: &Cell) -> bool {
    cell.diff_option == CellDiffOption::Skip
}

/// Bytes that a half block of an image takes to send; 0 for other cells.
fn cost(cell: &Cell) -> usize {
    let is_image = HALF_BLOCKS.contains(&cell.symbol()) && cell.bg != Color::Reset;
    if is_image { HALF_BLOCK_BYTES } else { 0 }
}

/// The id of the kitty image whose placeholder is in this cell.
pub(super) fn placeholder(cell: &Cell) -> Option<u32> {
    match cell.fg {
        Color::Rgb(r, g, b) if cell.symbol().starts_with(PLACEHOLDER) => {
            Some(u32::from_be_bytes([0, r, g, b]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
