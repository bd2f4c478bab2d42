//! Overlay planes: one-bit drawings that lie on a frame.

/// What an overlay draws (Overlay Type (60xx,0040)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayKind {
    /// Graphics (G): lines and text.
    Graphics,
    /// A region of interest (R).
    Region,
}

/// An overlay plane of one bit a pixel (PS3.3 C.9.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayPlane {
    /// The repeating group, 0x6000 to 0x601E.
    pub group: u16,
    /// Overlay Type.
    pub kind: OverlayKind,
    /// Overlay Label (60xx,1500).
    pub label: Option<String>,
    /// Overlay Description (60xx,0022).
    pub description: Option<String>,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Column of the frame at which the overlay begins, from 0; it may lie outside the frame.
    pub left: i32,
    /// Row of the frame at which the overlay begins, from 0.
    pub top: i32,
    /// One bit a pixel, the first in the lowest bit, rows without a gap.
    pub(crate) bits: Vec<u8>,
}

impl OverlayPlane {
    /// Whether the overlay draws on a pixel of the frame.
    pub fn covers(&self, x: u32, y: u32) -> bool {
        let (x, y) = (
            i64::from(x) - i64::from(self.left),
            i64::from(y) - i64::from(self.top),
        );
        if x < 0 || y < 0 || x >= i64::from(self.width) || y >= i64::from(self.height) {
            return false;
        }
        let at = y as usize * self.width as usize + x as usize;
        self.bits
            .get(at / 8)
            .is_some_and(|byte| byte >> (at % 8) & 1 == 1)
    }
}
