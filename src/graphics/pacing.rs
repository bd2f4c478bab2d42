//! How much of a frame is sent at once. Text goes whole; of images only as much as the link takes within a moment, so that
//! the next key never waits behind one. What is left over stays as it was on screen, and follows with the next frame.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use ratatui::layout::Position;
use ratatui::style::Color;

use super::drivers::{ImageStore, PLACEHOLDER, Piece};

/// Half blocks, whose two colours are pixels.
const HALF_BLOCKS: [&str; 2] = ["▀", "▄"];
/// Bytes of a half block with both its colours.
const HALF_BLOCK_BYTES: usize = 40;

/// What of the frames has been sent.
#[derive(Default)]
pub(super) struct Pacing {
    /// What the terminal shows; cells that hold pixels are skipped.
    shown: Buffer,
    /// The pieces of images that those pixels are of, at their places on the screen.
    pieces: Vec<Piece>,
    /// The last frame was of text only, so that it went out at once: now it is the image's turn.
    text_went: bool,
}

impl Pacing {
    /// Cuts a frame down to what is sent now; `out` gets what has to be sent ahead of its cells. `pieces` are all those
    /// in the frame. False when something is left over.
    pub(super) fn cut(
        &mut self,
        next: &mut Buffer,
        pieces: &[Piece],
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
        self.text_went = text && !self.text_went;
        if self.text_went {
            budget = 0;
        }
        let mut coming: Vec<u32> = Vec::new();
        for id in next.content.iter().filter_map(placeholder) {
            if !coming.contains(&id) {
                coming.push(id);
            }
        }
        if budget > 0 {
            store.send(&coming, budget, out);
        }
        coming.retain(|id| !store.has(*id));
        let covered = self.send_pieces(next, pieces, budget, out);
        let whole = self.cut_cells(next, &coming, budget, out.len());
        for position in covered.iter().flatten() {
            // The piece has been drawn over this text.
            next[*position].set_diff_option(CellDiffOption::AlwaysUpdate);
        }
        whole && covered.is_some()
    }

    /// Sends the pieces that the terminal does not show as they are, from the top; the cells of text that lie upon them, or
    /// `None` when pieces are left over.
    fn send_pieces(
        &mut self,
        next: &mut Buffer,
        pieces: &[Piece],
        budget: usize,
        out: &mut String,
    ) -> Option<Vec<Position>> {
        let mut covered = Vec::new();
        let (mut full, mut whole) = (budget == 0, true);
        for piece in pieces {
            if self.shows(piece, next) {
                continue;
            }
            // One piece always goes, however large it is: there is always some progress.
            full |= !out.is_empty() && out.len() + piece.data.len() > budget;
            whole &= !full;
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
        whole.then_some(covered)
    }

    /// The terminal shows this piece, but for what lies upon it.
    fn shows(&self, piece: &Piece, next: &Buffer) -> bool {
        let mut positions = piece.area.positions();
        self.pieces.contains(piece)
            && positions.all(|at| !is_pixels(&next[at]) || is_pixels(&self.shown[at]))
    }

    /// Puts cells that are not sent now back to what they were; images that are still `coming` are not.
    fn cut_cells(
        &mut self,
        next: &mut Buffer,
        coming: &[u32],
        budget: usize,
        mut spent: usize,
    ) -> bool {
        let mut whole = true;
        for (cell, old) in next.content.iter_mut().zip(&mut self.shown.content) {
            if cell == old {
                continue;
            }
            let cost = cost(cell);
            let too_much = cost > 0 && (budget == 0 || (spent > 0 && spent + cost > budget));
            if too_much {
                // Nothing behind it either: an image is drawn from its top.
                spent = spent.max(budget);
            }
            if too_much || placeholder(cell).is_some_and(|id| coming.contains(&id)) {
                whole = false;
                cell.clone_from(old);
            } else {
                spent += cost;
                old.clone_from(cell);
            }
        }
        whole
    }
}

/// It goes whole, and first.
fn is_text(cell: &Cell) -> bool {
    !is_pixels(cell) && cost(cell) == 0 && placeholder(cell).is_none()
}

/// It is a part of a piece that was sent ahead of the cells.
pub(super) fn is_pixels(cell: &Cell) -> bool {
    cell.diff_option == CellDiffOption::Skip
}

/// Bytes of a cell that belongs to an image.
fn cost(cell: &Cell) -> usize {
    let is_image = HALF_BLOCKS.contains(&cell.symbol()) && cell.bg != Color::Reset;
    if is_image { HALF_BLOCK_BYTES } else { 0 }
}

/// The image that belongs here.
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
