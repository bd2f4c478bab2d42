//! Cells of text that a kitty terminal replaces by parts of an image.
//!
//! ratatui-image's are bypassed: it names row and column in the first cell of each row only, and the others go on counting from
//! there. Text over that cell (a popup) would take the rest of the row with it. Here each cell names its own; how it names
//! them is asked of ratatui-image, which has the protocol's table of 297 diacritics.

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

/// What the terminal replaces; the colour says by which image.
pub(in crate::graphics) const PLACEHOLDER: char = '\u{10eeee}';
/// Rows and columns that can be named.
const MAX_CELLS: u16 = 297;

/// The cells of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placeholders {
    /// The image, by a number of 24 bits.
    pub id: u32,
    pub size: Size,
}

impl Placeholders {
    /// Draws them from the first cell of an area on. What lies beyond the last row and column with a name stays empty.
    pub(super) fn paint(self, area: Rect, buffer: &mut Buffer) {
        let names = names();
        let [_, r, g, b] = self.id.to_be_bytes();
        let area = Rect {
            width: self.size.width.min(area.width),
            height: self.size.height.min(area.height),
            ..area
        };
        for position in area.intersection(buffer.area).positions() {
            let (x, y) = (position.x - area.x, position.y - area.y);
            let Some((row, column)) = names.get(usize::from(y)).zip(names.get(usize::from(x)))
            else {
                continue;
            };
            let symbol: String = [PLACEHOLDER, *row, *column].iter().collect();
            // Diacritics have no width of their own, whatever a table of widths says.
            buffer[position]
                .set_symbol(&symbol)
                .set_fg(Color::Rgb(r, g, b))
                .set_diff_option(CellDiffOption::ForcedWidth(NonZeroU16::MIN));
        }
    }
}

/// The diacritics that stand for 0, 1, 2, …
fn names() -> &'static [char] {
    static NAMES: OnceLock<Vec<char>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let area = Rect::new(0, 0, 1, MAX_CELLS);
        let mut column = Buffer::empty(area);
        let dot = DynamicImage::new_luma8(1, 1);
        if let Ok(kitty) = Kitty::new(dot, area.as_size(), 1, false, false) {
            Image::new(&Protocol::Kitty(kitty)).render(area, &mut column);
        }
        // Behind the placeholder, which the transmission stands before in the first cell.
        let name = |symbol: &str| symbol.split(PLACEHOLDER).nth(1)?.chars().next();
        column
            .content
            .iter()
            .filter_map(|cell| name(cell.symbol()))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_names_its_row_and_column() {
        let names = names();
        assert_eq!(names.len(), usize::from(MAX_CELLS));
        assert_eq!(names[..3], ['\u{305}', '\u{30d}', '\u{30e}']);
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
        assert_eq!(buffer[(299, 1)].symbol(), " ", "it has no name");
        assert_eq!(buffer[(1, 1)].symbol(), " ");
    }
}
