//! Geometry of an image on screen: its visible part, magnification and orientation, and the layout around it. Plain
//! arithmetic that the model, the screen and the graphics share.

pub mod placement;
pub mod turn;

/// A rectangle of cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// First column.
    pub x: u16,
    /// First row.
    pub y: u16,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}
