//! The grid: the files of the list as small images, with the same rows, cursor and marks in two dimensions.

use crossterm::event::{KeyCode, KeyEvent};

use super::browser::folder::{Row, RowKind};
use super::context::FileContext;
use super::entry::{EntryKind, FoundFile};
use super::environment::Environment;
use super::keys::Action;
use super::preview::{Graphics, PreviewKey, Previewed, Quality};
use super::request::Request;
use super::results::{FileState, FileStatus};
use super::tiles::TileCache;
use crate::view::sheet::{self, Sheet};

/// The state of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// The size of the tiles, from 0.
    size: usize,
    /// The first row of tiles on screen.
    top: usize,
    /// The first row when the cursor last came to rest, if it still is that.
    settled: Option<usize>,
}

impl Grid {
    /// A grid with tiles of a size, from 1.
    pub(super) fn new(tiles: u8) -> Self {
        Self {
            size: usize::from(tiles).clamp(1, sheet::MAX_SIZE + 1) - 1,
            top: 0,
            settled: None,
        }
    }

    /// The size of the tiles, from 1.
    pub(super) fn tiles(&self) -> u8 {
        self.size as u8 + 1
    }

    /// The layout of the tiles on the screen.
    pub(crate) fn sheet(&self, env: &Environment) -> Sheet {
        Sheet::new(env.body(), self.size)
    }

    /// The row of the first tile on screen, from 0.
    pub(crate) fn first_row(&self, env: &Environment) -> usize {
        self.top * self.sheet(env).columns
    }

    /// Scrolls the cursor into view. Returns the keys of the images to request: half blocks while the tiles scroll; at rest,
    /// images in the terminal's protocol at half the resolution, because so many at once would take long to send; then those of
    /// the next page.
    pub(super) fn follow(&mut self, context: FileContext<'_>) -> Vec<PreviewKey> {
        let folder = context.folder();
        let sheet = self.sheet(context.env);
        let row = folder.cursor() / sheet.columns;
        let rows = folder.len().div_ceil(sheet.columns);
        let end = rows.saturating_sub(sheet.rows);
        let lowest = (row + 1).saturating_sub(sheet.rows);
        self.top = self.top.clamp(lowest, row).min(end);
        if context.browser.has_rested() {
            self.settled = Some(self.top);
        } else if self.settled != Some(self.top) {
            self.settled = None;
        }
        self.wanted(context)
    }

    fn wanted(&self, context: FileContext<'_>) -> Vec<PreviewKey> {
        let (first, count) = (self.first_row(context.env), self.sheet(context.env).count());
        let keys = |quality, first| {
            let rows = context.folder().rows_from(first).take(count);
            rows.filter_map(move |row| self.key(row, quality, context))
        };
        let fast = match context.env.graphics {
            Some(Graphics::Halfblocks) => Quality::Full,
            _ => Quality::Fast,
        };
        let mut wanted: Vec<PreviewKey> = keys(fast, first).collect();
        if fast == Quality::Fast && self.settled.is_some() {
            wanted.extend(keys(Quality::Half, first));
        }
        wanted.extend(keys(fast, first + count));
        wanted
    }

    /// The key of the image of a row's tile; `None` if it has none.
    fn key(&self, row: &Row, quality: Quality, context: FileContext<'_>) -> Option<PreviewKey> {
        let file = file_of(row, context)?;
        let room = self.sheet(context.env).image(0);
        context
            .env
            .small_preview(file, (room.width, room.height), quality)
    }

    /// The image of a row's tile in the best quality available, or its error; `None` if it has not arrived or the tile has
    /// none.
    pub(super) fn tile<'a>(
        &self,
        row: &Row,
        tiles: &'a TileCache,
        context: FileContext<'_>,
    ) -> Option<&'a Previewed> {
        let key = self.key(row, Quality::Half, context)?;
        // On the move only cells are drawn.
        tiles.best(&key, self.settled.is_some())
    }

    /// Whether the tile of a row has an image, which may still be awaited.
    pub(super) fn has_image(&self, row: &Row, context: FileContext<'_>) -> bool {
        self.key(row, Quality::Fast, context).is_some()
    }

    /// Handles the keys that mean something else in the grid: those that enter and leave a folder move right and left, except
    /// for Enter and Backspace. `None` for all other keys.
    pub(super) fn press(key: KeyEvent, env: &Environment, cursor: usize) -> Option<Vec<Request>> {
        let row = match (key.code, env.keymap.action(key)) {
            (KeyCode::Enter, Some(Action::Enter)) | (KeyCode::Backspace, Some(Action::Leave)) => {
                return None;
            }
            (_, Some(Action::Enter)) => cursor.saturating_add(1),
            (_, Some(Action::Leave)) => cursor.saturating_sub(1),
            _ => return None,
        };
        Some(vec![Request::SelectRow(row)])
    }

    /// Carries out an action; `None` if it does the same as in the list.
    pub(super) fn act(&mut self, action: Action, context: FileContext<'_>) -> Option<Vec<Request>> {
        match action {
            Action::Down
            | Action::Up
            | Action::HalfDown
            | Action::HalfUp
            | Action::PageDown
            | Action::PageUp => {
                let rows = action.distance(self.sheet(context.env).rows);
                return Some(vec![Request::SelectRow(self.row_by(rows, context))]);
            }
            Action::Enter => return Some(vec![Request::EnterRow]),
            Action::Whole => {
                let file = context.file_in_sight();
                return Some(Vec::from_iter(file.map(|_| Request::FullScreen)));
            }
            Action::ZoomIn => self.size = (self.size + 1).min(sheet::MAX_SIZE),
            Action::ZoomOut => self.size = self.size.saturating_sub(1),
            Action::ZoomFit => self.size = sheet::DEFAULT_SIZE,
            Action::NextPanel => {}
            _ => return None,
        }
        Some(Vec::new())
    }

    /// The row of the list in another row of tiles, in the same column as far as there is one.
    fn row_by(&self, rows: isize, context: FileContext<'_>) -> usize {
        let folder = context.folder();
        let columns = self.sheet(context.env).columns;
        let cursor = folder.cursor();
        let last = folder.len().saturating_sub(1) / columns;
        let row = (cursor / columns).saturating_add_signed(rows).min(last);
        row * columns + cursor % columns
    }

    /// The row of the list whose tile is at a cell.
    pub(super) fn row_at(&self, at: (u16, u16), context: FileContext<'_>) -> Option<usize> {
        let sheet = self.sheet(context.env);
        let slot = (0..sheet.count()).find(|slot| sheet.tile(*slot).contains(at))?;
        let row = self.first_row(context.env) + slot;
        (row < context.folder().len()).then_some(row)
    }
}

/// The file whose image represents a row.
fn file_of(row: &Row, context: FileContext<'_>) -> Option<FoundFile> {
    let (folder, results) = (context.folder(), context.results);
    if row.represents != RowKind::Entry {
        let is_there = row.kind == EntryKind::File && row.represents != RowKind::Missing;
        return context
            .studies
            .member_in_sight(row, folder, results)
            .or_else(|| is_there.then(|| row.found()));
    }
    let status = results.get(&row.path).map(FileState::status);
    let is_image = row.kind == EntryKind::File
        && !results.is_ruled_out(&row.path)
        && status != Some(FileStatus::NotAnImage);
    is_image.then(|| row.found())
}
