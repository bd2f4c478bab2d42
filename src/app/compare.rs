//! The comparison: two files side by side, with their scores. One side is chosen: the cursor of the list is on its file, and
//! moving the cursor shows another file on that side. Alternatively one file on both sides: on the left the result that it had
//! when the comparison began, on the right its result with the current prompts.
//!
//! Each side has a viewer of its own. While the sides are linked, what is done on the chosen one is done on the other, too:
//! paging, zoom, rotation, window.

mod linked;
mod scores;
mod stack;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};

use super::browser::REST_TIME;
use super::browser::folder::{Folder, Row, RowKind};
use super::context::FileContext;
use super::effect::Effect;
use super::entry::{EntryKind, FoundFile, Stamp};
use super::environment::Environment;
use super::keys::Action;
use super::preview::{Graphics, PreviewKey, Previewed, Quality};
use super::request::Request;
use super::results::{FileState, Results};
use super::viewer::{Viewer, ViewerContext};
use crate::library::Record;
use crate::paths;
use crate::view::{Area, CompareAreas};

/// Rows that a page key moves the cursor by.
const PAGE: usize = 10;

/// Two files, or one file on both sides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// Left and right.
    sides: [Side; 2],
    /// Index of the side whose file the cursor is on.
    chosen: usize,
    /// Whether both sides are paged, zoomed and windowed together.
    linked: bool,
    /// With one file on both sides, its result when the comparison began, shown on the left.
    before: Option<Arc<[Record]>>,
}

/// A file, and how it is seen.
#[derive(Clone, Debug, PartialEq)]
struct Side {
    path: PathBuf,
    viewer: Viewer,
}

impl Comparison {
    /// Compares the two marked files, or the marked file with the one under the cursor. If none is marked, compares the results
    /// of the file under the cursor before and after a change of prompts, and returns a hint about that.
    ///
    /// # Errors
    ///
    /// If there are no such files, tells the user what to do.
    pub(super) fn begin(files: FileContext<'_>) -> Result<(Self, Option<Request>), String> {
        let FileContext {
            browser,
            results,
            env,
            ..
        } = files;
        let current = browser.folder.current();
        let current = current
            .filter(|row| row.kind == EntryKind::File && row.represents != RowKind::Missing)
            .map(|row| row.path.clone());
        let marked: Vec<PathBuf> = browser.marked().iter().take(3).cloned().collect();
        let state = current.as_ref().and_then(|path| results.get(path));
        let before = match state {
            Some(FileState::Done(records)) if marked.is_empty() => Some(Arc::clone(records)),
            _ => None,
        };
        let paths = match (marked.as_slice(), current) {
            ([one, other], _) => [one.clone(), other.clone()],
            ([one], Some(current)) if *one != current => [one.clone(), current],
            ([], Some(current)) if before.is_some() => [current.clone(), current],
            ([_, _, ..], _) => return Err("more than two files are marked".to_owned()),
            _ => {
                let key = env.key(Action::Mark);
                let how =
                    format!("mark two files to compare ({key}), or one and move to the other");
                return Err(how);
            }
        };
        let hint = before.is_some().then(|| {
            let [prompts, mark] = [Action::PromptSet, Action::Mark].map(|action| env.key(action));
            Request::info(format!(
                "the same file twice: {prompts} changes the prompts on the right; mark two files ({mark}) to compare them"
            ))
        });
        let side = |path| Side {
            path,
            viewer: Viewer::default(),
        };
        let comparison = Self {
            sides: paths.map(side),
            chosen: 1,
            linked: true,
            before,
        };
        Ok((comparison, hint))
    }

    /// The files, left and right.
    pub(crate) fn files(&self) -> [&PathBuf; 2] {
        self.sides.each_ref().map(|side| &side.path)
    }

    /// Index of the side whose file the cursor is on.
    pub(crate) fn chosen(&self) -> usize {
        self.chosen
    }

    /// Whether both sides are paged, zoomed and windowed together.
    pub(crate) fn is_linked(&self) -> bool {
        self.linked
    }

    /// The viewer of a side.
    pub(crate) fn viewer(&self, side: usize) -> &Viewer {
        &self.sides[side].viewer
    }

    /// Chooses a side. Moves the cursor of the list to its file, if that is in the folder on screen.
    pub(super) fn choose(&mut self, side: usize) -> Vec<Request> {
        self.chosen = side;
        vec![Request::SelectFile(self.sides[side].path.clone())]
    }

    /// Follows a file or folder to its new path.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        for side in &mut self.sides {
            if let Some(new) = paths::renamed(&side.path, from, to) {
                side.path = new;
            }
        }
    }

    // ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// Handles the keys that mean something else here: right and left choose a side, Enter goes to its file. `None` for all
    /// others.
    pub(super) fn press(&mut self, key: KeyEvent, env: &Environment) -> Option<Vec<Request>> {
        Some(match (key.code, env.keymap.action(key)) {
            (KeyCode::Enter, Some(Action::Enter)) => return None,
            (KeyCode::Backspace, Some(Action::Leave)) => vec![Request::CloseOverlay],
            // With one file on both sides, there is nothing to choose.
            (_, Some(Action::Enter | Action::Leave)) if self.before.is_some() => Vec::new(),
            (_, Some(Action::Enter)) => self.choose(1),
            (_, Some(Action::Leave)) => self.choose(0),
            _ => return None,
        })
    }

    /// Carries out an action; `None` if it applies to the file under the cursor, which is that of the chosen side.
    pub(super) fn act(&mut self, action: Action, files: FileContext<'_>) -> Option<Vec<Request>> {
        if let Some(requests) = self.act_on_images(action, files) {
            return Some(requests);
        }
        let (folder, env) = (files.folder(), files.env);
        let path = &self.sides[self.chosen].path;
        let here = folder.current().is_some_and(|row| row.path == *path);
        let moves = action.distance(1) != 0;
        Some(match action {
            Action::Link => {
                self.linked = !self.linked;
                let words = if self.linked {
                    "both sides are paged, zoomed and windowed together"
                } else {
                    "each side is paged, zoomed and windowed alone"
                };
                vec![Request::info(words)]
            }
            _ if self.before.is_some() && (moves || action == Action::NextPanel) => {
                let key = env.key(Action::PromptSet);
                vec![Request::info(format!("{key} chooses other prompts"))]
            }
            Action::NextPanel => self.choose(1 - self.chosen),
            Action::Enter => vec![Request::ShowFile(path.clone())],
            Action::Leave => vec![Request::CloseOverlay],
            _ if !here => vec![Request::info("this file is in another folder")],
            _ if moves => self.step(action, folder, files.results),
            Action::Classify
            | Action::Why
            | Action::Tags
            | Action::Copy
            | Action::Mark
            | Action::Whole => return None,
            _ => Vec::new(),
        })
    }

    /// Shows another file on the chosen side: the nearest one in the direction of the action that may be an image.
    fn step(&mut self, action: Action, folder: &Folder, results: &Results) -> Vec<Request> {
        let before = folder.cursor();
        let last = folder.len().saturating_sub(1);
        let at = before
            .saturating_add_signed(action.distance(PAGE))
            .min(last);
        let may_be_image =
            |row: &Row| row.kind == EntryKind::File && !results.is_ruled_out(&row.path);
        let found = if at > before {
            let below = folder.rows_from(at).position(may_be_image);
            below.map(|below| at + below)
        } else {
            let row = |at: &usize| folder.rows_from(*at).next().is_some_and(may_be_image);
            (0..=at).rev().find(row)
        };
        let at = found.unwrap_or(before);
        if let Some(row) = folder.rows_from(at).next() {
            self.sides[self.chosen].path.clone_from(&row.path);
        }
        vec![Request::SelectRow(at)]
    }

    // ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────

    /// The areas of the sides.
    pub(crate) fn areas(&self, results: &Results, env: &Environment) -> CompareAreas {
        let lines = self.scores(results).map(|side| side.len());
        CompareAreas::new(env.body(), lines[0].max(lines[1]))
    }

    /// Index of the side at a cell.
    pub(super) fn side_at(
        &self,
        at: (u16, u16),
        results: &Results,
        env: &Environment,
    ) -> Option<usize> {
        let areas = self.areas(results, env).sides;
        areas
            .iter()
            .position(|side| side.image.contains(at) || side.scores.contains(at))
    }

    /// The cells of a side's image and what is written around it.
    fn image_area(&self, side: usize, files: FileContext<'_>) -> Area {
        self.areas(files.results, files.env).sides[side].image
    }

    /// The state of other components that the viewer of a side reads.
    pub(super) fn context(&self, side: usize, files: FileContext<'_>) -> ViewerContext {
        let name = self.sides[side].path.file_name();
        ViewerContext {
            area: self.image_area(side, files),
            now: files.env.now,
            name: name.map_or_else(String::new, super::text::safe),
            series: None,
            playable: None,
        }
    }

    /// Updates the viewers after a message. Returns the effects that request the images of the sides, if they have changed.
    pub(super) fn follow(&mut self, files: FileContext<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for side in [0, 1] {
            let file = self.found(side, files);
            self.sides[side].viewer.follow(Some(file), None);
        }
        let keys = [0, 1].map(|side| self.key(side, files));
        for (side, key) in keys.into_iter().enumerate() {
            if self.sides[side].viewer.want(key.clone()).is_some() {
                let key = key.map(Box::new);
                effects.push(Effect::PreviewSide { side, key });
            }
        }
        effects
    }

    fn found(&self, side: usize, files: FileContext<'_>) -> FoundFile {
        let path = self.sides[side].path.clone();
        let stamp = known_stamp(&path, files.folder(), files.results);
        FoundFile { path, stamp }
    }

    /// The key of the image on a side: in half blocks while the cursor moves, then in the terminal's graphics.
    fn key(&self, side: usize, files: FileContext<'_>) -> Option<PreviewKey> {
        let FileContext { browser, env, .. } = files;
        let graphics = env.drawable()?;
        let area = self.image_area(side, files);
        if area.width == 0 || area.height == 0 {
            return None;
        }
        let viewer = &self.sides[side].viewer;
        let quality = match graphics {
            Graphics::Halfblocks => Quality::Full,
            _ if !browser.has_rested() && !browser.has_no_cursor() => Quality::Fast,
            _ if env.is_slow_to_draw() && viewer.is_moving() => Quality::Half,
            _ => Quality::Full,
        };
        let room = (area.width, area.height);
        let file = self.found(side, files);
        let key = viewer.complete_key(PreviewKey::plain(file, room, graphics, quality, env.epoch));
        let lines = self.reference_line(side).into_iter().collect();
        Some(PreviewKey {
            marks: super::preview::Decorations { lines, ..key.marks },
            ..key
        })
    }

    /// Shows a preview on a side.
    pub(super) fn take_preview(&mut self, side: usize, previewed: Previewed) {
        // Measurements are made where one image fills the view, so none has changed here.
        if let Some(side) = self.sides.get_mut(side) {
            side.viewer.take_preview(previewed);
        }
    }

    /// Advances the time.
    pub(super) fn tick(&mut self, now: Duration) {
        for side in &mut self.sides {
            side.viewer.tick(now, REST_TIME);
        }
    }

    /// Whether an image becomes still once its view has been unchanged for a while.
    pub(super) fn is_coming_to_rest(&self) -> bool {
        let mut sides = self.sides.iter();
        sides.any(|side| side.viewer.is_coming_to_rest())
    }

    /// Handles the loss of the terminal's images.
    pub(super) fn lose_images(&mut self) {
        for side in &mut self.sides {
            side.viewer.lose_image();
        }
    }
}

/// The last known stamp of a file.
fn known_stamp(path: &Path, folder: &Folder, results: &Results) -> Stamp {
    let row = folder.row(path).map(|row| row.stamp);
    row.or_else(|| results.stamp(path)).unwrap_or_default()
}
