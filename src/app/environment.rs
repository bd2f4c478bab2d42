//! What all components share: the terminal, the time, the keys, and whether patient values are shown. Only the model changes
//! it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::FoundFile;
use super::keys::{Action, Keymap};
use super::preview::{Graphics, PreviewKey, Quality};
use super::text;
use crate::config::Theme;
use crate::view::{Area, panels};

/// State that all components read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Environment {
    /// The folder given at the start.
    pub root: PathBuf,
    pub theme: Theme,
    pub keymap: Keymap,
    /// Columns of the terminal.
    pub cols: u16,
    /// Rows of the terminal.
    pub rows: u16,
    /// The graphics protocol; `None` until the terminal has been probed.
    pub graphics: Option<Graphics>,
    /// Number of times that the terminal has lost its images.
    pub epoch: u32,
    /// Time of the last tick, since the start of the program.
    pub now: Duration,
    /// Whether values that identify the patient are shown.
    pub show_phi: bool,
    /// The number returned last by [`Self::next_generation`].
    generation: u64,
}

impl Environment {
    /// Begins with a terminal of 80 × 24 cells that has not been probed.
    pub(super) fn new(root: PathBuf, theme: Theme, keymap: Keymap, show_phi: bool) -> Self {
        Self {
            root,
            theme,
            keymap,
            cols: 80,
            rows: 24,
            graphics: None,
            epoch: 0,
            now: Duration::ZERO,
            show_phi,
            generation: 0,
        }
    }

    /// Returns a new number for a request, which the answer will carry.
    pub(super) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// The area between title and status line.
    pub(crate) fn body(&self) -> Area {
        panels::list_alone(self.cols, self.rows)
            .list
            .unwrap_or_default()
    }

    /// The graphics protocol; `None` if it is not known yet or there is none.
    pub(super) fn drawable(&self) -> Option<Graphics> {
        self.graphics.filter(|graphics| *graphics != Graphics::None)
    }

    /// Whether sending an image to the terminal takes long.
    pub(super) fn is_slow_to_draw(&self) -> bool {
        matches!(self.graphics, Some(Graphics::Sixel | Graphics::Iterm2))
    }

    /// The key of a small image in its default view, without annotations; `None` without room or graphics.
    pub(super) fn small_preview(
        &self,
        file: FoundFile,
        (cols, rows): (u16, u16),
        quality: Quality,
    ) -> Option<PreviewKey> {
        let graphics = self.drawable().filter(|_| cols > 0 && rows > 0)?;
        let mut key = PreviewKey::plain(file, (cols, rows), graphics, quality, 0);
        if !key.is_cells() {
            key.epoch = self.epoch;
        }
        Some(key)
    }

    /// The first key of an action; empty if it has none.
    pub(super) fn key(&self, action: Action) -> String {
        self.keymap.key(action).unwrap_or_default()
    }

    /// The sentence “KEY does.” with the first key of the action; `None` if it has none.
    pub(super) fn advice(&self, action: Action, does: &str) -> Option<String> {
        let key = self.keymap.key(action)?;
        Some(format!("{key} {does}."))
    }

    /// A path as the user knows it: from the root's own name on, or in full if it is outside the root. Safe to show.
    pub(crate) fn show_path(&self, path: &Path) -> String {
        let base = self.root.parent().unwrap_or(&self.root);
        let inside = path.starts_with(&self.root);
        let shown = if inside {
            path.strip_prefix(base).unwrap_or(path)
        } else {
            path
        };
        text::safe(shown.as_os_str())
    }
}
