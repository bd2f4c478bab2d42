//! The lines of the list: its rows, with the banner above one of them, which the cursor skips.

use super::Folder;

/// Rows kept visible above and below the cursor.
const SCROLL_MARGIN: usize = 2;

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListLine {
    /// The row at a position.
    Row(usize),
    /// The banner.
    Banner,
}

impl Folder {
    /// The first line on screen, from 0.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The first row on screen, from 0.
    pub fn first_row(&self) -> usize {
        self.row_from(self.offset)
    }

    /// What a line shows; `None` below the last.
    pub fn line(&self, line: usize) -> Option<ListLine> {
        let at = self.banner.map(|banner| banner.at);
        if at == Some(line) {
            return Some(ListLine::Banner);
        }
        let row = self.row_from(line);
        (row < self.len()).then_some(ListLine::Row(row))
    }

    /// Scrolls by lines; the cursor moves along where it would leave the screen.
    pub fn scroll_by(&mut self, lines: isize, height: usize) {
        let last = self.line_count().saturating_sub(1);
        let end = self.line_count().saturating_sub(height);
        self.offset = self.offset.saturating_add_signed(lines).min(end);
        let margin = SCROLL_MARGIN.min(height.saturating_sub(1) / 2);
        let above = if self.offset == 0 { 0 } else { margin };
        let below = if self.offset == end { 0 } else { margin };
        let lowest = (self.offset + height).saturating_sub(1 + below).min(last);
        let cursor = self.line_of(self.cursor);
        let cursor = cursor.clamp((self.offset + above).min(lowest), lowest);
        self.go_to(self.row_from(cursor));
    }

    /// Scrolls as little as possible to show the cursor with some lines around it.
    pub fn fit(&mut self, height: usize) {
        let margin = SCROLL_MARGIN.min(height.saturating_sub(1) / 2);
        let cursor = self.line_of(self.cursor);
        let lowest = (cursor + margin + 1).saturating_sub(height);
        let highest = cursor.saturating_sub(margin);
        let end = self.line_count().saturating_sub(height);
        self.offset = self.offset.clamp(lowest.min(highest), highest).min(end);
    }

    fn line_count(&self) -> usize {
        self.len() + usize::from(self.banner.is_some())
    }

    /// The line of a row.
    fn line_of(&self, row: usize) -> usize {
        row + usize::from(self.banner.is_some_and(|banner| banner.at <= row))
    }

    /// The row on a line, or below it if it is the banner's.
    fn row_from(&self, line: usize) -> usize {
        line - usize::from(self.banner.is_some_and(|banner| banner.at < line))
    }
}
