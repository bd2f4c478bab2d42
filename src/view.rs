//! Geometry of an image on screen: which part of it is seen, how large, from which side, and what lies around it. Plain
//! arithmetic, which the model, the screen and the graphics need alike.

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
