//! The comparison: two files side by side, with their scores. One side is chosen: the cursor of the list is on its file, and
//! moving the cursor shows another file on that side. Alternatively one file on both sides: on the left the result that it had
//! when the comparison began, on the right its result with the current prompts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};

use super::browser::folder::{Folder, Row, RowKind};
use super::context::FileContext;
use super::entry::{EntryKind, FoundFile, Stamp};
use super::environment::Environment;
use super::keys::Action;
use super::popup::failure_words;
use super::preview::{Graphics, PreviewKey, Previewed, Quality};
use super::request::Request;
use super::result_panel::{Detail, percent};
use super::results::{FileState, FileStatus, Results};
use super::text;
use super::tiles::TileCache;
use crate::library::Record;
use crate::paths;
use crate::scoring::Decision;
use crate::view::CompareAreas;

/// Rows that a page key moves the cursor by.
const PAGE: usize = 10;

/// Two files, or one file on both sides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// Left and right.
    files: [PathBuf; 2],
    /// Index of the side whose file the cursor is on.
    chosen: usize,
    /// With one file on both sides, its result when the comparison began, shown on the left.
    before: Option<Arc<[Record]>>,
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
        let files = match (marked.as_slice(), current) {
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
        let comparison = Self {
            files,
            chosen: 1,
            before,
        };
        Ok((comparison, hint))
    }

    /// The files, left and right.
    pub(crate) fn files(&self) -> &[PathBuf; 2] {
        &self.files
    }

    /// Index of the side whose file the cursor is on.
    pub(crate) fn chosen(&self) -> usize {
        self.chosen
    }

    /// Chooses a side. Moves the cursor of the list to its file, if that is in the folder on screen.
    pub(super) fn choose(&mut self, side: usize) -> Vec<Request> {
        self.chosen = side;
        vec![Request::SelectFile(self.files[side].clone())]
    }

    /// Follows a file or folder to its new path.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        for file in &mut self.files {
            if let Some(new) = paths::renamed(file, from, to) {
                *file = new;
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
        let (folder, env) = (files.folder(), files.env);
        let path = &self.files[self.chosen];
        let here = folder.current().is_some_and(|row| row.path == *path);
        let moves = action.distance(1) != 0;
        Some(match action {
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
            self.files[self.chosen].clone_from(&row.path);
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

    /// The key of the image on a side.
    fn key(&self, side: usize, quality: Quality, files: FileContext<'_>) -> Option<PreviewKey> {
        let (results, env) = (files.results, files.env);
        let path = self.files[side].clone();
        // The same size on both sides, so that one file on both needs a single image.
        let [left, right] = self.areas(results, env).sides.map(|side| side.image);
        let room = (left.width.min(right.width), left.height);
        let stamp = known_stamp(&path, files.folder(), results);
        env.small_preview(FoundFile { path, stamp }, room, quality)
    }

    /// The keys of the images to request for both sides: in half blocks, and with the terminal's graphics once the cursor
    /// rests.
    pub(super) fn wanted(&self, files: FileContext<'_>) -> Vec<PreviewKey> {
        let (browser, env) = (files.browser, files.env);
        let rested = browser.has_rested() || browser.has_no_cursor();
        let qualities = match env.graphics {
            Some(Graphics::Halfblocks) => &[Quality::Full][..],
            _ if rested => &[Quality::Fast, Quality::Full],
            _ => &[Quality::Fast],
        };
        let both = |quality: &Quality| [0, 1].map(|side| self.key(side, *quality, files));
        let mut keys: Vec<PreviewKey> = qualities.iter().flat_map(both).flatten().collect();
        keys.dedup();
        keys
    }

    /// The image on a side, in the best quality available.
    pub(super) fn image<'a>(
        &self,
        side: usize,
        tiles: &'a TileCache,
        files: FileContext<'_>,
    ) -> Option<&'a Previewed> {
        let key = self.key(side, Quality::Full, files)?;
        tiles.best(&key, true)
    }

    /// The result lines of both sides, with the conditions in the same order.
    pub(crate) fn scores(&self, results: &Results) -> [Vec<Detail>; 2] {
        let before = self.before.clone().map(FileState::Done);
        let [left, right] = self.files.each_ref().map(|path| results.get(path));
        let states = [before.as_ref().or(left), right];
        let mut conditions: Vec<&str> = Vec::new();
        for record in states.iter().filter_map(|state| unless_rejected((*state)?)) {
            for score in &record.verdict.scores {
                if !conditions.contains(&score.condition.as_str()) {
                    conditions.push(&score.condition);
                }
            }
        }
        states.map(|state| side_lines(state, &conditions))
    }

    /// The prompt sets of the two sides; `None` if two files are compared.
    pub(crate) fn prompt_sets(&self, results: &Results) -> Option<[String; 2]> {
        let before = self.before.as_ref()?.first()?;
        let now = results.get(&self.files[1]).and_then(FileState::record);
        let names = [Some(before), now].map(|record| record.map_or("", |record| &record.prompts));
        let is_edited = now.is_some_and(|now| {
            now.prompts == before.prompts && now.prompts_digest != before.prompts_digest
        });
        Some(match names.map(text::safe_str) {
            [before, now] if is_edited => [format!("{before}, before"), format!("{now}, edited")],
            names => names,
        })
    }
}

/// The last known stamp of a file.
fn known_stamp(path: &Path, folder: &Folder, results: &Results) -> Stamp {
    let row = folder.row(path).map(|row| row.stamp);
    row.or_else(|| results.stamp(path)).unwrap_or_default()
}

/// The record, unless the image was rejected.
fn unless_rejected(state: &FileState) -> Option<&Record> {
    let record = state.record()?;
    (record.verdict.decision != Decision::Rejected).then_some(record)
}

/// The headline and the scores of a side.
fn side_lines(state: Option<&FileState>, conditions: &[&str]) -> Vec<Detail> {
    let status = state.map(FileState::status);
    let (text, word) = match (state, state.and_then(FileState::record)) {
        (_, Some(_)) if status == Some(FileStatus::Rejected) => ("rejected".to_owned(), ""),
        (_, Some(record)) => {
            let word = if status == Some(FileStatus::Confident) {
                "confident"
            } else {
                "uncertain"
            };
            (text::safe_str(&record.verdict.label), word)
        }
        (Some(FileState::Failed(failure)), _) => {
            let words = failure_words(failure.kind, failure.content);
            (words.to_owned(), "")
        }
        (Some(FileState::Queued), _) => ("queued".to_owned(), ""),
        _ => ("not classified".to_owned(), ""),
    };
    let mut lines = vec![Detail::Headline(status, text, word.to_owned())];
    let shown = state.and_then(unless_rejected);
    lines.extend(conditions.iter().map(|condition| {
        let score = shown.and_then(|record| {
            let mut scores = record.verdict.scores.iter();
            scores.find(|score| score.condition == *condition)
        });
        Detail::Bar {
            name: text::safe_str(condition),
            share: score.map(|score| score.probability),
            figure: score.map_or_else(|| "–".to_owned(), |score| percent(score.probability)),
        }
    }));
    lines
}
