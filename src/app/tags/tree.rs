//! The tag tree: which rows are shown, and the cursor.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::entry::Stamp;
use crate::app::text::MASK;
use crate::media::{TagRow, TagTree};

/// A sequence with more rows below it starts folded: its items repeat themselves, frame by frame.
const LONG: usize = 60;

/// The state of the tags of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum TagListing {
    /// The tags are being read.
    Underway,
    /// The tags were read.
    Done(Arc<TagTree>),
    /// The tags cannot be read; the sentence says why.
    Failed(String),
}

/// The tags of a file on screen.
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
    /// Whether keys are typed into the search.
    typing: bool,
    /// Indices into the tree of rows whose children are hidden.
    folded: HashSet<usize>,
    /// Indices into the tree of the rows shown.
    visible: Vec<usize>,
    /// Index into `visible`.
    cursor: usize,
    /// First row on screen, index into `visible`.
    offset: usize,
    /// The tag that the cursor goes to, if the file has it.
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

    /// Whether keys are typed into the search.
    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Starts typing into the search.
    pub(super) fn start_search(&mut self) {
        self.typing = true;
    }

    /// Searches for a text. `typing`: whether further keys are typed into it.
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

    /// The rows on screen and below: whether the cursor is there, whether its children are hidden, the row.
    pub fn shown(&self) -> impl Iterator<Item = (bool, Fold, &TagRow)> {
        let rows = self.rows();
        let from = self.visible.iter().enumerate().skip(self.offset);
        from.map(move |(at, &index)| (at == self.cursor, self.fold(index), &rows[index]))
    }

    /// Whether a row has children, and whether they are hidden.
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

    /// The position of the cursor, and the number of rows shown.
    pub fn place(&self) -> (usize, usize) {
        (self.cursor, self.visible.len())
    }

    /// Shows the tags.
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

    /// Recomputes which rows are shown; the cursor stays on its row, or goes to the nearest one above.
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

    /// The number of rows that match the search themselves.
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

    /// Scrolls as little as possible to show the cursor.
    pub(super) fn fit(&mut self, height: usize) {
        let height = height.max(1);
        let lowest = (self.cursor + 1).saturating_sub(height);
        let end = self.visible.len().saturating_sub(height);
        self.offset = self.offset.clamp(lowest, self.cursor.max(lowest)).min(end);
    }

    /// Folds or unfolds the row under the cursor. Returns it if it has no children.
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

    /// Folds the row under the cursor, or moves the cursor to its parent; false where there is none.
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

/// Whether a row is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// It has no children.
    Leaf,
    /// Its children are hidden.
    Folded,
    /// Its children are shown.
    Open,
}

/// The value, or its mask.
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

/// The number of rows below one in the tree.
fn below(rows: &[TagRow], index: usize) -> usize {
    let depth = rows[index].depth;
    let deeper = rows[index + 1..].iter().take_while(|row| row.depth > depth);
    if has_below(rows, index) {
        deeper.count()
    } else {
        0
    }
}

/// The rows that no folded row hides.
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

/// The rows that match, with their ancestors.
fn found(rows: &[TagRow], words: &[String], show_phi: bool) -> Vec<usize> {
    let mut visible: Vec<usize> = Vec::new();
    // Ancestors of the current row, and whether each is shown already.
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

/// Whether all words occur in the row: in its tag (with and without punctuation), VR, name, value or meaning. A
/// masked value cannot be found, as the search would reveal it.
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
