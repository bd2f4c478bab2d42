//! What a preview is asked for with, and what comes back.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ratatui_image::protocol::Protocol;

use super::entry::Stamp;
use crate::media::{Info, MediaError};

/// How pictures reach the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Graphics {
    /// Not at all.
    None,
    /// Two pixels a cell, as coloured half blocks: works everywhere.
    Halfblocks,
    /// The kitty graphics protocol.
    Kitty,
    /// Sixel.
    Sixel,
    /// The inline pictures of iTerm2.
    Iterm2,
}

impl Graphics {
    /// The name as in `--graphics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Halfblocks => "halfblocks",
            Self::Kitty => "kitty",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
        }
    }
}

/// How good the picture is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Half blocks whatever the terminal can: a few kilobytes, for a cursor on the move.
    Fast,
    /// By the terminal's own protocol, for a cursor at rest.
    Full,
}

/// Names one preview: whatever changes the cells on screen is part of it, so it also serves as the key of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PreviewKey {
    /// The file, absolute.
    pub path: PathBuf,
    /// What the file looked like: another content is another preview.
    pub stamp: Stamp,
    /// Frame, from 0.
    pub frame: u32,
    /// Columns to fit into.
    pub cols: u16,
    /// Rows to fit into.
    pub rows: u16,
    /// How pictures reach the screen (for [`Quality::Fast`] half blocks are made all the same).
    pub graphics: Graphics,
    /// How good it is to be.
    pub quality: Quality,
    /// How often the terminal has lost its pictures: what was encoded in an earlier epoch must not be drawn again,
    /// because a kitty picture is transmitted only once.
    pub epoch: u32,
}

impl PreviewKey {
    /// Both name the same preview, one perhaps better than the other.
    pub fn same_but_quality(&self, other: &Self) -> bool {
        *self
            == Self {
                quality: self.quality,
                ..other.clone()
            }
    }
}

/// An answered preview.
#[derive(Clone, Debug, PartialEq)]
pub struct Previewed {
    /// As asked.
    pub key: PreviewKey,
    /// The picture, or why there is none.
    pub outcome: Result<Preview, MediaError>,
}

/// A picture ready for the terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The cells.
    pub graphic: Graphic,
    /// What the file is.
    pub info: Info,
}

/// Terminal graphics as opaque data: made by the preview worker, drawn by the view. Equal only to its own clones.
#[derive(Clone)]
pub struct Graphic(Arc<Protocol>);

impl Graphic {
    /// Wraps what the worker made.
    pub fn new(protocol: Protocol) -> Self {
        Self(Arc::new(protocol))
    }

    /// For the view.
    pub fn protocol(&self) -> &Protocol {
        &self.0
    }

    /// Columns and rows it covers.
    pub fn size(&self) -> (u16, u16) {
        let size = self.0.size();
        (size.width, size.height)
    }
}

impl PartialEq for Graphic {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Graphic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cols, rows) = self.size();
        write!(f, "Graphic({cols}×{rows})")
    }
}
