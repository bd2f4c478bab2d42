//! How much of a frame is sent at once. Text goes whole; of pictures only as much as the link takes within a moment, so that
//! the next key never waits behind one. What is left over stays as it was on screen, and follows with the next frame.

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use ratatui::style::Color;

use super::Album;

/// What kitty terminals replace by a part of a picture; the colour names it.
const PLACEHOLDER: char = '\u{10eeee}';
/// Half blocks, whose two colours are pixels.
const HALF_BLOCKS: [&str; 2] = ["▀", "▄"];
/// Bytes of a half block with both its colours.
const HALF_BLOCK: usize = 40;
/// Longer than any text in a cell: a picture, or a strip of one.
const LONG: usize = 64;

/// What of the frames has been sent.
#[derive(Default)]
pub(super) struct Portions {
    /// What the terminal shows.
    shown: Buffer,
    /// The last frame was of text only, so that it went out at once: now it is the picture's turn.
    text_went: bool,
}

impl Portions {
    /// Cuts a frame down to what is sent now; `out` gets what has to be sent ahead of its cells. False when something is left
    /// over.
    pub(super) fn take(
        &mut self,
        next: &mut Buffer,
        album: &Album,
        mut budget: usize,
        out: &mut String,
    ) -> bool {
        if self.shown.area != next.area {
            // The terminal was cleared for its new size.
            self.shown = Buffer::empty(next.area);
        }
        let changed = || next.content.iter().zip(&self.shown.content);
        let text = changed().any(|(cell, old)| cell != old && is_text(cell));
        self.text_went = text && !self.text_went;
        if self.text_went {
            budget = 0;
        }
        let mut seen: Vec<u32> = Vec::new();
        for id in next.content.iter().filter_map(placeholder) {
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
        if budget > 0 {
            album.send(&seen, budget, out);
        }
        seen.retain(|id| !album.has(*id));
        self.cut(next, &seen, budget, out.len())
    }

    /// Puts what is not sent now back to what it was; pictures that are still `coming` are.
    fn cut(&mut self, next: &mut Buffer, coming: &[u32], budget: usize, mut spent: usize) -> bool {
        let mut whole = true;
        for (cell, old) in next.content.iter_mut().zip(&mut self.shown.content) {
            if cell == old {
                continue;
            }
            let cost = cost(cell);
            // One part always goes, however large it is: there is always some progress.
            let too_much = cost > 0 && (budget == 0 || (spent > 0 && spent + cost > budget));
            if too_much {
                // Nothing behind it either: a picture is drawn from its top.
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
    cell.diff_option != CellDiffOption::Skip && cost(cell) == 0 && placeholder(cell).is_none()
}

/// Bytes of a cell that belongs to a picture.
fn cost(cell: &Cell) -> usize {
    let symbol = cell.symbol();
    if cell.diff_option == CellDiffOption::Skip {
        0
    } else if symbol.len() > LONG {
        symbol.len()
    } else if HALF_BLOCKS.contains(&symbol) && cell.bg != Color::Reset {
        HALF_BLOCK
    } else {
        0
    }
}

/// The picture that belongs here.
pub(super) fn placeholder(cell: &Cell) -> Option<u32> {
    match cell.fg {
        Color::Rgb(r, g, b) if cell.symbol().starts_with(PLACEHOLDER) => {
            Some(u32::from_be_bytes([0, r, g, b]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    const AREA: Rect = Rect::new(0, 0, 10, 4);

    /// Text in the first column, half blocks in the others.
    fn half_blocks(letter: &str, grey: u8) -> Buffer {
        let mut buffer = Buffer::empty(AREA);
        let style = Style::new()
            .fg(Color::Rgb(grey, grey, grey))
            .bg(Color::Rgb(grey, 0, grey));
        for y in 0..AREA.height {
            buffer.set_string(0, y, letter, Style::new());
            buffer.set_string(1, y, "▀".repeat(9), style);
        }
        buffer
    }

    fn take(portions: &mut Portions, next: &mut Buffer, budget: usize) -> bool {
        portions.take(next, &Album::default(), budget, &mut String::new())
    }

    #[test]
    fn text_goes_at_once_and_the_picture_from_its_top() {
        let mut portions = Portions::default();
        let all = half_blocks("b", 2);
        let mut pixels = Vec::new();
        loop {
            let mut next = all.clone();
            let whole = take(&mut portions, &mut next, 400);
            let shown = &portions.shown;
            assert_eq!(&next, shown);
            assert!((0..4).all(|y| shown[(0, y)].symbol() == "b"));
            let new = |cell: &Cell| cell.bg == Color::Rgb(2, 0, 2);
            assert!((1..4).all(|y| !new(&shown[(9, y)]) || new(&shown[(9, y - 1)])));
            pixels.push(shown.content.iter().filter(|cell| new(cell)).count());
            if whole {
                break;
            }
        }
        assert_eq!(pixels, [0, 10, 20, 30, 36]);
        assert_eq!(portions.shown, all);
    }

    #[test]
    fn under_text_that_changes_all_the_time_the_picture_comes_too() {
        let mut portions = Portions::default();
        let mut frames = 0;
        while !take(
            &mut portions,
            &mut half_blocks(&frames.to_string()[..1], 2),
            400,
        ) {
            frames += 1;
        }
        assert_eq!(frames, 7, "every other one");
    }

    #[test]
    fn one_part_goes_however_large_it_is() {
        let mut all = Buffer::empty(AREA);
        all[(0, 0)].set_symbol(&"x".repeat(1000));
        all[(0, 2)].set_symbol(&"y".repeat(1000));
        let mut portions = Portions::default();
        assert!(!take(&mut portions, &mut all.clone(), 10));
        assert_eq!(portions.shown[(0, 0)].symbol().len(), 1000);
        assert!(take(&mut portions, &mut all.clone(), 10));
        assert_eq!(portions.shown, all);
    }

    #[test]
    fn another_size_is_another_screen() {
        let mut portions = Portions::default();
        take(&mut portions, &mut half_blocks("a", 1), 1000);
        let mut next = Buffer::empty(Rect::new(0, 0, 3, 3));
        assert!(take(&mut portions, &mut next, 10));
        assert_eq!(portions.shown, next);
    }
}
