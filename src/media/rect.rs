//! A rectangle of pixels.

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl PixelRect {
    /// Whether a pixel lies in the rectangle.
    pub fn contains(&self, (x, y): (u32, u32)) -> bool {
        let inside = |at: u32, from: u32, length: u32| at >= from && at - from < length;
        inside(x, self.x, self.width) && inside(y, self.y, self.height)
    }
}
