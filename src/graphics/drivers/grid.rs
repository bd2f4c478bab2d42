//! Conversion between cells, screen pixels and drawn pixels.

use ratatui::layout::Size;
use ratatui_image::FontSize;

/// The pixel grid of a drawing, which may be coarser than the screen's.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphics) struct PixelGrid {
    /// Size of a cell in screen pixels.
    pub cell: FontSize,
    /// Screen pixels per drawn pixel, across and down.
    pub reduction: u32,
}

impl PixelGrid {
    /// The columns and rows of cells that an image of `w` × `h` screen pixels touches.
    pub(in crate::graphics) fn cells(self, (w, h): (u32, u32)) -> Size {
        Size::new(
            w.div_ceil(u32::from(self.cell.width.max(1))) as u16,
            h.div_ceil(u32::from(self.cell.height.max(1))) as u16,
        )
    }

    /// Drawn pixels per cell, across and down.
    pub(in crate::graphics) fn drawn_cell(self) -> (u16, u16) {
        let side = |pixels: u16| (u32::from(pixels) / self.reduction).max(1) as u16;
        (side(self.cell.width), side(self.cell.height))
    }

    /// Drawn pixels that fill `cells`, across and down.
    pub(in crate::graphics) fn pixels(self, cells: Size) -> (u32, u32) {
        let side = |cells: u16, cell: u16| {
            (u32::from(cells) * u32::from(cell.max(1))).div_ceil(self.reduction)
        };
        (
            side(cells.width, self.cell.width),
            side(cells.height, self.cell.height),
        )
    }
}
