//! The rows of the tags: which are shown, and where the cursor is among them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::entry::Stamp;
use crate::app::text::MASK;
use crate::media::{TagRow, TagTree};

/// A sequence with more rows below it is folded to begin with: what it holds repeats itself, frame by frame.
const LONG: usize = 60;

/// The state of the tags of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum TagListing {
    /// The answer is awaited.
    Underway,
    /// Here they are.
    Done(Arc<TagTree>),
    /// They cannot be read; the sentence says why.
    Failed(String),
}

/// The panel.
#[derive(Clone, Debug, PartialEq)]
pub struct TagPanel {
    path: PathBuf,
    /// The content of the file whose tags were requested.
    stamp: Stamp,
    /// The number that the request is answered by.
    generation: u64,
    listing: TagListing,
    /// Text that rows are searched for.
    search: String,
    /// Keys go into the search.
    typing: bool,
    /// Rows whose subordinates are hidden, by index into the tree.
    folded: HashSet<usize>,
    /// Rows shown, by index into the tree.
    visible: Vec<usize>,
    /// Index into `visible`.
    cursor: usize,
    /// First row on screen, index into `visible`.
    offset: usize,
    /// Tag that the cursor goes to, if it is there.
    wish: Option<String>,
}

impl TagPanel {
    pub(super) fn new(path: PathBuf, stamp: Stamp, generation: u64, wish: Option<String>) -> Self {
        Self {
            path,
            stamp,
            generation,
            listing: TagListing::Underway,
            search: String::new(),
            typing: false,
            folded: HashSet::new(),
            visible: Vec::new(),
            cursor: 0,
            offset: 0,
            wish,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state of its tags.
    pub fn listing(&self) -> &TagListing {
        &self.listing
    }

    /// The number that the request is answered by.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether these are the tags of another content of a file.
    pub(super) fn is_outdated(&self, path: &Path, stamp: Stamp) -> bool {
        self.path == path && self.stamp != stamp
    }

    /// Notes why they cannot be read, as a sentence safe to show.
    pub(super) fn fail(&mut self, message: String) {
        self.listing = TagListing::Failed(message);
    }

    /// The text that rows are searched for.
    pub fn search(&self) -> &str {
        &self.search
    }

    /// Whether keys go into the search.
    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Lets keys go into the search.
    pub(super) fn start_search(&mut self) {
        self.typing = true;
    }

    /// Searches for a text. `typing`: keys go on being part of it.
    pub(super) fn type_search(&mut self, search: String, typing: bool, show_phi: bool) {
        (self.search, self.typing) = (search, typing);
        self.update_rows(show_phi);
    }

    /// Shows all rows again.
    pub(super) fn clear_search(&mut self, show_phi: bool) {
        self.search.clear();
        self.update_rows(show_phi);
    }

    /// All rows, shown or not.
    pub fn rows(&self) -> &[TagRow] {
        match &self.listing {
            TagListing::Done(tree) => &tree.rows,
            TagListing::Underway | TagListing::Failed(_) => &[],
        }
    }

    /// Rows shown from the first on screen on: whether the cursor is there, whether its subordinates are hidden, the row.
    pub fn shown(&self) -> impl Iterator<Item = (bool, Fold, &TagRow)> {
        let rows = self.rows();
        let from = self.visible.iter().enumerate().skip(self.offset);
        from.map(move |(at, &index)| (at == self.cursor, self.fold(index), &rows[index]))
    }

    /// Whether a row has subordinates, and whether they are hidden.
    fn fold(&self, index: usize) -> Fold {
        match (has_below(self.rows(), index), self.folded.contains(&index)) {
            (false, _) => Fold::Leaf,
            (true, true) if self.search.is_empty() => Fold::Folded,
            (true, _) => Fold::Open,
        }
    }

    /// The row under the cursor.
    pub fn current(&self) -> Option<&TagRow> {
        self.visible.get(self.cursor).map(|at| &self.rows()[*at])
    }

    /// Rows shown, and where the cursor is among them.
    pub fn place(&self) -> (usize, usize) {
        (self.cursor, self.visible.len())
    }

    /// Takes in the tags.
    pub(super) fn fill(&mut self, tree: Arc<TagTree>, show_phi: bool) {
        let long = |at: &usize| below(&tree.rows, *at) > LONG && !tree.rows[*at].id.is_empty();
        self.folded = (0..tree.rows.len()).filter(long).collect();
        self.listing = TagListing::Done(tree);
        self.update_rows(show_phi);
        let wish = self.wish.take();
        let at = |tag: String| {
            let same = |index: &usize| self.rows()[*index].id == tag;
            self.visible.iter().position(same)
        };
        self.cursor = wish.and_then(at).unwrap_or(0);
    }

    /// Finds out anew which rows are shown; the cursor stays on its row, or goes to the nearest before it.
    pub(super) fn update_rows(&mut self, show_phi: bool) {
        let current = self.visible.get(self.cursor).copied().unwrap_or(0);
        let words: Vec<String> = self
            .search
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        self.visible = if words.is_empty() {
            unfolded(self.rows(), &self.folded)
        } else {
            found(self.rows(), &words, show_phi)
        };
        let after = self.visible.partition_point(|index| *index <= current);
        self.cursor = after.saturating_sub(1);
    }

    /// Rows that match the search themselves.
    pub fn matches(&self, show_phi: bool) -> usize {
        let words: Vec<String> = self
            .search
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let matching = self
            .visible
            .iter()
            .filter(|at| matches(&self.rows()[**at], &words, show_phi));
        matching.count()
    }

    pub(super) fn move_by(&mut self, rows: isize) {
        let last = self.visible.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(rows).min(last);
    }

    /// Scrolls so that the cursor is in sight, as little as possible.
    pub(super) fn fit(&mut self, height: usize) {
        let height = height.max(1);
        let lowest = (self.cursor + 1).saturating_sub(height);
        let end = self.visible.len().saturating_sub(height);
        self.offset = self.offset.clamp(lowest, self.cursor.max(lowest)).min(end);
    }

    /// Into a row: its subordinates are shown, or its value in full.
    pub(super) fn enter(&mut self) -> Option<&TagRow> {
        let index = *self.visible.get(self.cursor)?;
        match self.fold(index) {
            Fold::Leaf => self.rows().get(index),
            Fold::Folded => {
                self.folded.remove(&index);
                None
            }
            Fold::Open => {
                self.folded.insert(index);
                None
            }
        }
    }

    /// Out of a row: its subordinates are hidden, or the cursor goes to the row above it; false where there is none.
    pub(super) fn leave(&mut self) -> bool {
        let Some(&index) = self.visible.get(self.cursor) else {
            return false;
        };
        if self.fold(index) == Fold::Open && self.search.is_empty() {
            self.folded.insert(index);
            return true;
        }
        let depth = self.rows()[index].depth;
        let above = self.visible[..self.cursor]
            .iter()
            .rposition(|at| self.rows()[*at].depth < depth);
        if let Some(above) = above {
            self.cursor = above;
        }
        above.is_some()
    }
}

/// How a row stands to its subordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// It has none.
    Leaf,
    /// They are hidden.
    Folded,
    /// They are shown.
    Open,
}

/// A value as it may be shown.
pub(crate) fn shown_value(row: &TagRow, show_phi: bool) -> &str {
    if row.identifying && !show_phi {
        MASK
    } else {
        &row.value
    }
}

fn has_below(rows: &[TagRow], index: usize) -> bool {
    rows.get(index + 1)
        .is_some_and(|next| next.depth > rows[index].depth)
}

/// How many rows are below one.
fn below(rows: &[TagRow], index: usize) -> usize {
    let depth = rows[index].depth;
    let deeper = rows[index + 1..].iter().take_while(|row| row.depth > depth);
    if has_below(rows, index) {
        deeper.count()
    } else {
        0
    }
}

/// Rows that lie in nothing folded.
fn unfolded(rows: &[TagRow], folded: &HashSet<usize>) -> Vec<usize> {
    let mut visible = Vec::new();
    let mut hidden_below = None;
    for (index, row) in rows.iter().enumerate() {
        if hidden_below.is_some_and(|depth| row.depth > depth) {
            continue;
        }
        hidden_below = folded.contains(&index).then_some(row.depth);
        visible.push(index);
    }
    visible
}

/// Rows that match, with those above them.
fn found(rows: &[TagRow], words: &[String], show_phi: bool) -> Vec<usize> {
    let mut visible: Vec<usize> = Vec::new();
    // The rows above the current one, and whether each is shown already.
    let mut above: Vec<(usize, bool)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        while above
            .last()
            .is_some_and(|(at, _)| rows[*at].depth >= row.depth)
        {
            above.pop();
        }
        let matching = matches(row, words, show_phi);
        if matching {
            for (at, shown) in &mut above {
                if !std::mem::replace(shown, true) {
                    visible.push(*at);
                }
            }
            visible.push(index);
        }
        above.push((index, matching));
    }
    visible
}

/// All words stand somewhere in what the row shows: in the tag (with and without its punctuation), the name, the value. A
/// masked value cannot be found, or the search would tell it.
fn matches(row: &TagRow, words: &[String], show_phi: bool) -> bool {
    let value = if row.identifying && !show_phi {
        ""
    } else {
        &row.value
    };
    let digits: String = row.id.chars().filter(char::is_ascii_alphanumeric).collect();
    let all = [
        &row.id,
        &digits,
        &row.vr,
        row.title(show_phi),
        value,
        &row.meaning,
    ]
    .join("\n");
    let all = all.to_lowercase();
    !words.is_empty() && words.iter().all(|word| all.contains(word.as_str()))
}

#[cfg(test)]
mod tests;
