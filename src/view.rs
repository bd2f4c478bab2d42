//! Geometry of the screen: where panels, tiles and other parts of a view lie, and of an image which part is seen, how large,
//! from which side, with what around it. Plain arithmetic, which the model, the screen and the graphics need alike.

mod activity_areas;
mod compare_areas;
pub mod panels;
pub mod placement;
pub mod sheet;
mod tag_areas;
pub mod turn;

pub use activity_areas::{ActivityAreas, activity_areas};
pub use compare_areas::{CompareAreas, SideAreas};
pub use tag_areas::{TagAreas, tag_areas};

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

impl Area {
    /// Whether a cell, by column and row, is one of its.
    pub fn contains(self, (x, y): (u16, u16)) -> bool {
        let across = (self.x..self.x.saturating_add(self.width)).contains(&x);
        across && (self.y..self.y.saturating_add(self.height)).contains(&y)
    }
}
