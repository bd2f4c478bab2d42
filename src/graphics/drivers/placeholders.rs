//! Text cells that a kitty terminal replaces with parts of an image.
//!
//! ratatui-image's own are bypassed: it encodes row and column in the first cell of each row only, and the terminal counts on
//! from there. Text over that cell (a popup) would hide the rest of the row. Here every cell encodes its row and column, with
//! the protocol's 297 diacritics as ratatui-image has them.

use std::num::NonZeroU16;
use std::sync::OnceLock;

use image::DynamicImage;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::{Rect, Size};
use ratatui::style::Color;
use ratatui::widgets::Widget;
use ratatui_image::Image;
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::kitty::Kitty;

/// The character that the terminal replaces; the foreground colour is the image's id.
pub(in crate::graphics) const PLACEHOLDER: char = '\u{10eeee}';
/// Rows and columns that have a diacritic.
const MAX_CELLS: u16 = 297;

/// The placeholder cells of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placeholders {
    /// The image's id, of 24 bits.
    pub id: u32,
    /// Columns and rows of cells.
    pub size: Size,
}

impl Placeholders {
    /// Draws them from the top left of an area. Rows and columns without a diacritic stay empty.
    pub(super) fn paint(self, area: Rect, buffer: &mut Buffer) {
        let diacritics = diacritics();
        let [_, r, g, b] = self.id.to_be_bytes();
        let area = Rect {
            width: self.size.width.min(area.width),
            height: self.size.height.min(area.height),
            ..area
        };
        for position in area.intersection(buffer.area).positions() {
            let (x, y) = (position.x - area.x, position.y - area.y);
            let row = diacritics.get(usize::from(y));
            let Some((row, column)) = row.zip(diacritics.get(usize::from(x))) else {
                continue;
            };
            let symbol: String = [PLACEHOLDER, *row, *column].iter().collect();
            // Diacritics add no width, whatever a width table says.
            buffer[position]
                .set_symbol(&symbol)
                .set_fg(Color::Rgb(r, g, b))
                .set_diff_option(CellDiffOption::ForcedWidth(NonZeroU16::MIN));
        }
    }
}

/// The diacritics that encode 0, 1, 2, …
fn diacritics() -> &'static [char] {
    static DIACRITICS: OnceLock<Vec<char>> = OnceLock::new();
    DIACRITICS.get_or_init(|| {
        let area = Rect::new(0, 0, 1, MAX_CELLS);
        let mut column = Buffer::empty(area);
        let dot = DynamicImage::new_luma8(1, 1);
        if let Ok(kitty) = Kitty::new(dot, area.as_size(), 1, false, false) {
            Image::new(&Protocol::Kitty(kitty)).render(area, &mut column);
        }
        // It follows the placeholder; in the first cell the transmission comes before that.
        let diacritic = |symbol: &str| symbol.split(PLACEHOLDER).nth(1)?.chars().next();
        column
            .content
            .iter()
            .filter_map(|cell| diacritic(cell.symbol()))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_encodes_its_row_and_column() {
        let diacritics = diacritics();
        assert_eq!(diacritics.len(), usize::from(MAX_CELLS));
        assert_eq!(diacritics[..3], ['\u{305}', '\u{30d}', '\u{30e}']);
        let area = Rect::new(2, 1, 300, 2);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 310, 4));
        let id = 0x0001_0203;
        Placeholders {
            id,
            size: area.as_size(),
        }
        .paint(area, &mut buffer);
        assert_eq!(buffer[(4, 2)].symbol(), "\u{10eeee}\u{30d}\u{30e}");
        assert_eq!(buffer[(4, 2)].fg, Color::Rgb(1, 2, 3));
        assert_eq!(
            buffer[(299, 1)].symbol(),
            " ",
            "no diacritic for this column"
        );
        assert_eq!(buffer[(1, 1)].symbol(), " ");
    }
}
