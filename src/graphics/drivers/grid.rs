//! The pixels of a screen of cells.

use ratatui::layout::Size;
use ratatui_image::FontSize;

/// The pixels to draw with.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphics) struct Grid {
    /// Pixels of a cell.
    pub cell: FontSize,
    /// How many of them each pixel drawn stands for, across and down.
    pub each: u32,
}

impl Grid {
    /// Cells that an image of so many pixels of the screen touches.
    pub(in crate::graphics) fn cells(self, (w, h): (u32, u32)) -> Size {
        Size::new(
            w.div_ceil(u32::from(self.cell.width.max(1))) as u16,
            h.div_ceil(u32::from(self.cell.height.max(1))) as u16,
        )
    }

    /// Pixels drawn for a cell, across and down.
    pub(in crate::graphics) fn drawn_cell(self) -> (u16, u16) {
        let side = |pixels: u16| (u32::from(pixels) / self.each).max(1) as u16;
        (side(self.cell.width), side(self.cell.height))
    }

    /// Pixels to draw for so many cells.
    pub(in crate::graphics) fn pixels(self, cells: Size) -> (u32, u32) {
        let side =
            |cells: u16, cell: u16| (u32::from(cells) * u32::from(cell.max(1))).div_ceil(self.each);
        (
            side(cells.width, self.cell.width),
            side(cells.height, self.cell.height),
        )
    }
}
