//! Two files side by side, with their scores. One side is chosen: the cursor of the list is on its file, and moving it puts
//! the next file there. Or one file: as it was scored when the comparison began, and as it is by the prompts in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};

use super::Effect;
use super::act;
use super::detail::{Detail, percent};
use super::entry::{EntryKind, Stamp};
use super::folder::Stands;
use super::keys::Action;
use super::model::Model;
use super::msg::Severity;
use super::picture::{Graphics, PreviewKey, Previewed, Quality};
use super::popup::kind_word;
use super::results::{FileState, Standing};
use super::stage::Over;
use super::text;
use crate::library::Record;
use crate::scoring::Decision;
use crate::view::Area;

/// From so many rows on one is kept for the notice.
const NOTICE_ROWS: u16 = 12;

/// Two files, or one twice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compare {
    /// Left and right.
    pub files: [PathBuf; 2],
    /// Index of the side whose file the cursor is on.
    pub chosen: usize,
    /// What stands on the left instead of the file's present result, which stands on the right.
    pub kept: Option<Arc<[Record]>>,
}

/// Where a side lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The picture.
    pub picture: Area,
    /// The scores below it.
    pub scores: Area,
}

/// Where both sides lie, and below them what results are not for. The column between belongs to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// Left and right.
    pub sides: [Side; 2],
    /// The last row, where there is room.
    pub notice: Option<Area>,
}

impl Sides {
    fn new(area: Area, lines: usize) -> Self {
        let noticed = area.height >= NOTICE_ROWS;
        let height = area.height - u16::from(noticed);
        let left = area.width.saturating_sub(1) / 2;
        // Pictures keep half of the room.
        let scores = (lines as u16).min(height / 2);
        let side = |x, width| {
            let whole = Area {
                x,
                width,
                y: area.y,
                height,
            };
            Side {
                picture: Area {
                    height: height - scores,
                    ..whole
                },
                scores: Area {
                    y: area.y + height - scores,
                    height: scores,
                    ..whole
                },
            }
        };
        let right = area.width.saturating_sub(left + 1);
        Self {
            sides: [side(area.x, left), side(area.x + left + 1, right)],
            notice: noticed.then_some(Area {
                y: area.y + height,
                height: 1,
                ..area
            }),
        }
    }
}

impl Model {
    /// Lays the two files that are marked side by side, or the one marked and the one under the cursor; with none marked, the
    /// results of that one.
    pub(super) fn compare(&mut self) {
        if matches!(self.stage.over, Some(Over::Compare(_))) {
            self.stage.over = None;
            return;
        }
        let current = self
            .folder
            .current()
            .filter(|row| row.kind == EntryKind::File && row.stands != Stands::Missing)
            .map(|row| row.path.clone());
        let marked: Vec<PathBuf> = self.marked.iter().take(3).cloned().collect();
        let current_state = current.as_ref().and_then(|path| self.results.get(path));
        let kept = match current_state {
            Some(FileState::Done(records)) if marked.is_empty() => Some(Arc::clone(records)),
            _ => None,
        };
        let files = match (marked.as_slice(), current) {
            ([one, other], _) => [one.clone(), other.clone()],
            ([one], Some(current)) if *one != current => [one.clone(), current],
            ([], Some(current)) if kept.is_some() => [current.clone(), current],
            ([_, _, ..], _) => return self.say(Severity::Info, "more than two files are marked"),
            _ => {
                let key = self.keymap.key(Action::Mark).unwrap_or_default();
                let how = format!("mark the files to compare ({key}): two, or one beside another");
                return self.say(Severity::Info, &how);
            }
        };
        let is_one = kept.is_some();
        self.lay_over(Over::Compare(Compare {
            files,
            chosen: 1,
            kept,
        }));
        self.choose_side(1);
        if is_one {
            let [prompts, mark] = [Action::PromptSet, Action::Mark]
                .map(|action| self.keymap.key(action).unwrap_or_default());
            let hint = format!(
                "the same file twice: {prompts} changes the prompts on the right, {mark} marks two files to compare"
            );
            self.say(Severity::Info, &hint);
        }
    }

    fn compared(&self) -> Option<&Compare> {
        match &self.stage.over {
            Some(Over::Compare(compare)) => Some(compare),
            _ => None,
        }
    }

    /// Where the sides of the comparison lie.
    pub(crate) fn sides(&self) -> Sides {
        let lines = self.comparison().map_or(0, |sides| {
            sides.iter().map(Vec::len).max().unwrap_or_default()
        });
        Sides::new(self.stage_area(), lines)
    }

    /// The cursor goes along to the file of a side, if it lies in the folder on screen.
    pub(super) fn choose_side(&mut self, side: usize) {
        if let Some(Over::Compare(compare)) = &mut self.stage.over {
            compare.chosen = side;
            let path = compare.files[side].clone();
            self.folder.go_to_path(&path);
        }
    }

    /// Right and left choose a side; Enter goes to its file.
    pub(super) fn press_in_comparison(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        match (key.code, self.keymap.action(key)) {
            (KeyCode::Enter, Some(Action::Enter)) => return None,
            (KeyCode::Backspace, Some(Action::Leave)) => self.stage.over = None,
            // With one file on both, there is nothing to choose.
            (_, Some(Action::Enter | Action::Leave)) if self.compared_prompts().is_some() => {}
            (_, Some(Action::Enter)) => self.choose_side(1),
            (_, Some(Action::Leave)) => self.choose_side(0),
            _ => return None,
        }
        Some(Vec::new())
    }

    /// What an action does while files are compared; `None`: what it does to the file under the cursor, which is that of the
    /// side chosen.
    pub(super) fn act_in_comparison(&mut self, action: Action) -> Option<Vec<Effect>> {
        let compare = self.compared()?;
        let (chosen, path) = (compare.chosen, compare.files[compare.chosen].clone());
        let here = self.folder.current().is_some_and(|row| row.path == path);
        match action {
            _ if compare.kept.is_some() && moves(action) => {
                let key = self.keymap.key(Action::PromptSet).unwrap_or_default();
                self.say(Severity::Info, &format!("{key} chooses other prompts"));
            }
            Action::NextPanel => self.choose_side(1 - chosen),
            Action::Enter => return Some(self.go_to_file(&path)),
            Action::Leave => self.stage.over = None,
            _ if !here => self.say(Severity::Info, "this file lies in another folder"),
            Action::Down
            | Action::Up
            | Action::First
            | Action::Last
            | Action::HalfDown
            | Action::HalfUp
            | Action::PageDown
            | Action::PageUp => self.step_side(action),
            Action::Classify
            | Action::Why
            | Action::Tags
            | Action::Copy
            | Action::Mark
            | Action::Whole => return None,
            _ => {}
        }
        Some(Vec::new())
    }

    /// Another file on the side chosen: the nearest in the direction that is one.
    fn step_side(&mut self, action: Action) {
        let before = self.folder.cursor();
        self.folder.go_by(act::distance(action, 10));
        let onward = self.folder.cursor() > before;
        let at = self.folder.cursor();
        let is_file = |row: &super::folder::Row| row.kind == EntryKind::File && !self.is_other(row);
        let found = if onward {
            let below = self.folder.rows_from(at).position(is_file);
            below.map(|below| at + below)
        } else {
            (0..=at).rev().find(|at| {
                let row = self.folder.rows_from(*at).next();
                row.is_some_and(is_file)
            })
        };
        self.folder.go_to(found.unwrap_or(before));
        let path = self.folder.current().map(|row| row.path.clone());
        if let (Some(Over::Compare(compare)), Some(path)) = (&mut self.stage.over, path) {
            compare.files[compare.chosen] = path;
        }
    }

    /// The content of a file that is known last.
    fn known_stamp(&self, path: &Path) -> Stamp {
        let row = self.folder.row(path).map(|row| row.stamp);
        row.or_else(|| self.results.stamp(path)).unwrap_or_default()
    }

    /// What the picture of a side is asked for with.
    fn side_key(&self, side: usize, quality: Quality) -> Option<PreviewKey> {
        let path = self.compared()?.files[side].clone();
        // As wide on either side: one file on both is one picture.
        let [left, right] = self.sides().sides.map(|side| side.picture);
        let room = (left.width.min(right.width), left.height);
        let stamp = self.known_stamp(&path);
        self.small_key(path, stamp, room, quality)
    }

    /// What both pictures are asked for with: half blocks, then the terminal's own once the cursor rests.
    pub(super) fn comparison_targets(&self) -> Vec<PreviewKey> {
        let rested = self.rest.rested || self.rest.path.is_none();
        let qualities = match self.graphics {
            Some(Graphics::Halfblocks) => &[Quality::Full][..],
            _ if rested => &[Quality::Fast, Quality::Full],
            _ => &[Quality::Fast],
        };
        let both = |quality: &Quality| [0, 1].map(|side| self.side_key(side, *quality));
        let mut keys: Vec<PreviewKey> = qualities.iter().flat_map(both).flatten().collect();
        keys.dedup();
        keys
    }

    /// The picture of a side, as good as it is there.
    pub(crate) fn side_picture(&self, side: usize) -> Option<&Previewed> {
        let key = self.side_key(side, Quality::Full)?;
        self.tiles.best(&key, true)
    }

    /// What the model says of both files; the conditions in the same order on either side.
    pub(crate) fn comparison(&self) -> Option<[Vec<Detail>; 2]> {
        let compare = self.compared()?;
        let kept = compare.kept.clone().map(FileState::Done);
        let [left, right] = compare.files.each_ref().map(|path| self.results.get(path));
        let states = [kept.as_ref().or(left), right];
        let mut conditions: Vec<&str> = Vec::new();
        for record in states.iter().filter_map(|state| claims((*state)?)) {
            for score in &record.verdict.scores {
                if !conditions.contains(&score.condition.as_str()) {
                    conditions.push(&score.condition);
                }
            }
        }
        Some(states.map(|state| side_lines(state, &conditions)))
    }

    /// The prompt sets by which one file is scored on either side; `None`: two files are compared.
    pub(crate) fn compared_prompts(&self) -> Option<[String; 2]> {
        let compare = self.compared()?;
        let kept = compare.kept.as_ref()?.first()?;
        let now = self.results.get(&compare.files[1]);
        let now = now.and_then(FileState::record);
        let names = [Some(kept), now].map(|record| record.map_or("", |record| &record.prompts));
        Some(names.map(text::safe_str))
    }
}

/// It goes to another file, or to the other side.
fn moves(action: Action) -> bool {
    action == Action::NextPanel || act::distance(action, 1) != 0
}

/// The record, unless the model makes no claim.
fn claims(state: &FileState) -> Option<&Record> {
    let record = state.record()?;
    (record.verdict.decision != Decision::Rejected).then_some(record)
}

fn side_lines(state: Option<&FileState>, conditions: &[&str]) -> Vec<Detail> {
    let standing = state.map(FileState::standing);
    let (text, word) = match (state, state.and_then(FileState::record)) {
        (_, Some(_)) if standing == Some(Standing::Rejected) => ("rejected".to_owned(), ""),
        (_, Some(record)) => {
            let word = if standing == Some(Standing::Confident) {
                "confident"
            } else {
                "uncertain"
            };
            (text::safe_str(&record.verdict.label), word)
        }
        (Some(FileState::Failed(failure)), _) => (kind_word(failure.kind).to_owned(), ""),
        (Some(FileState::Queued), _) => ("queued".to_owned(), ""),
        _ => ("not classified".to_owned(), ""),
    };
    let mut lines = vec![Detail::Headline(standing, text, word.to_owned())];
    let claim = state.and_then(claims);
    lines.extend(conditions.iter().map(|condition| {
        let score = claim.and_then(|record| {
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
