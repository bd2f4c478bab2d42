//! News happened: what came in, what was decided, what failed and why, and how fast it goes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Effect;
use super::act;
use super::filter::Filter;
use super::folder::Look;
use super::keys::Action;
use super::model::Model;
use super::msg::Severity;
use super::popup::{self, Popup, Why};
use super::results::{FileState, Standing};
use super::stage::Over;
use super::text;
use crate::media::ErrorKind;
use crate::view::Area;

/// News that is remembered.
const MAX_NEWS: usize = 2000;
/// How long results are counted together.
pub(crate) const SPAN: Duration = Duration::from_secs(2);
/// Spans remembered: more than any screen has columns.
const SPANS: usize = 400;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// A picture came in.
    Arrived(PathBuf),
    /// A picture has another content.
    Changed(PathBuf),
    /// A picture is gone.
    Removed(PathBuf),
    /// The model answered.
    Decided {
        path: PathBuf,
        label: String,
        probability: f64,
        standing: Standing,
    },
    /// There is no answer, and why.
    Failed {
        path: PathBuf,
        kind: ErrorKind,
        message: String,
    },
    /// Something about engine or watch; safe to show.
    Said(Severity, String),
}

impl News {
    /// The file that it is about.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Arrived(path)
            | Self::Changed(path)
            | Self::Removed(path)
            | Self::Decided { path, .. }
            | Self::Failed { path, .. } => Some(path),
            Self::Said(..) => None,
        }
    }
}

/// News happened, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Happening {
    pub what: News,
    /// The first tick after it; `None` until then.
    pub at: Option<Duration>,
}

/// How many of each there were since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub arrived: usize,
    pub decided: usize,
    pub failed: usize,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Activity {
    /// Oldest first.
    log: VecDeque<Happening>,
    /// How many there were, those forgotten included.
    count: usize,
    /// The last so many have no time yet.
    untimed: usize,
    pub counts: Counts,
    /// Answers in each span since the start, the oldest forgotten.
    spans: VecDeque<u64>,
    /// The number of the span after the last one, from the start of the program.
    span_end: u64,
    /// Answers since the last tick.
    uncounted: u64,
}

/// Where the user is in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the happening under the cursor, counted from the first ever; `None` stays with the newest.
    cursor: Option<usize>,
    /// The first one on screen, from the newest.
    pub top: usize,
}

/// Where the parts of the activity lie. Above the log, where it is titled, and above the throughput is a row for a title.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    /// News the engine does, and how many of each there were.
    pub head: Area,
    pub throughput: Option<Area>,
    pub log: Area,
    pub titled: bool,
    /// News the happening under the cursor says, in full.
    pub message: Option<Area>,
    /// News results are not for.
    pub notice: Option<Area>,
}

/// Divides the room between title and status line.
pub(crate) fn areas(area: Area) -> Areas {
    let (head, throughput, message, notice) = match area.height {
        0..4 => (0, 0, 0, 0),
        4..9 => (1, 0, 0, 0),
        9..12 => (2, 1, 0, 0),
        12..18 => (2, 1, 0, 1),
        18..36 => (2, 3, 2, 1),
        _ => (2, 6, 2, 1),
    };
    let titled = throughput > 0;
    let part = |y: u16, height: u16| Area {
        y: area.y + y,
        height,
        ..area
    };
    let some = |y: u16, height: u16| (height > 0).then(|| part(y, height));
    let log = head + throughput + 2 * u16::from(titled);
    let below = area.height - message - notice;
    Areas {
        head: part(0, head),
        throughput: some(head + 1, throughput),
        log: part(log, below - log),
        titled,
        message: some(below, message),
        notice: some(below + message, notice),
    }
}

impl Activity {
    /// Takes note.
    pub(super) fn note(&mut self, what: News) {
        match what {
            News::Arrived(_) => self.counts.arrived += 1,
            News::Decided { .. } => self.counts.decided += 1,
            News::Failed { .. } => self.counts.failed += 1,
            News::Changed(_) | News::Removed(_) | News::Said(..) => {}
        }
        self.uncounted += u64::from(matches!(what, News::Decided { .. } | News::Failed { .. }));
        self.log.push_back(Happening { what, at: None });
        self.count += 1;
        self.untimed += 1;
        if self.log.len() > MAX_NEWS {
            self.log.pop_front();
        }
        self.untimed = self.untimed.min(self.log.len());
    }

    /// Takes back that a file arrived: it is no picture. The number of that happening.
    fn withdraw_arrival(&mut self, path: &Path) -> Option<usize> {
        let arrived =
            |happening: &Happening| matches!(&happening.what, News::Arrived(p) if p == path);
        let at = self.log.iter().rposition(arrived)?;
        let from_newest = self.log.len() - 1 - at;
        let number = self.count - 1 - from_newest;
        self.log.remove(at);
        self.count -= 1;
        self.counts.arrived -= 1;
        if from_newest < self.untimed {
            self.untimed -= 1;
        }
        Some(number)
    }

    /// Something waits for its time.
    pub(super) fn is_untimed(&self) -> bool {
        self.untimed > 0
    }

    /// Time passes: what came since the last tick has this time.
    pub(super) fn tick(&mut self, now: Duration) {
        for happening in self.log.iter_mut().rev().take(self.untimed) {
            happening.at = Some(now);
        }
        self.untimed = 0;
        let span = (now.as_nanos() / SPAN.as_nanos()) as u64;
        let missing = (span + 1).saturating_sub(self.span_end).min(SPANS as u64);
        self.spans.extend(std::iter::repeat_n(0, missing as usize));
        self.span_end = self.span_end.max(span + 1);
        if let Some(last) = self.spans.back_mut() {
            *last += std::mem::take(&mut self.uncounted);
        }
        while self.spans.len() > SPANS {
            self.spans.pop_front();
        }
    }

    /// Answers in each of the last spans, the newest last.
    pub(crate) fn throughput(&self, spans: usize) -> Vec<u64> {
        let from = self.spans.len().saturating_sub(spans);
        self.spans.range(from..).copied().collect()
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    /// News happened, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Happening> {
        self.log.iter().rev()
    }

    /// How far from the newest the cursor is.
    pub(crate) fn cursor(&self, place: Place) -> usize {
        let last = self.count.saturating_sub(1);
        let at = place.cursor.map_or(0, |number| last.saturating_sub(number));
        at.min(self.log.len().saturating_sub(1))
    }

    /// The happening under the cursor.
    pub(crate) fn current(&self, place: Place) -> Option<&Happening> {
        self.newest_first().nth(self.cursor(place))
    }
}

impl Model {
    /// News happened, or what lay under it.
    pub(super) fn toggle_activity(&mut self) {
        if matches!(self.stage.over, Some(Over::Activity(_))) {
            self.stage.over = None;
        } else {
            self.lay_over(Over::Activity(Place::default()));
        }
    }

    /// Notes the answer about a file.
    pub(super) fn note_answer(&mut self, path: &Path) {
        let path = path.to_owned();
        let what = match self.results.get(&path) {
            Some(state @ FileState::Done(_)) => match state.record() {
                Some(record) => News::Decided {
                    label: text::safe_str(&record.verdict.label),
                    probability: record.verdict.probability,
                    standing: state.standing(),
                    path,
                },
                None => return,
            },
            Some(FileState::Failed(failure)) if !failure.not_picture => News::Failed {
                kind: failure.kind,
                message: text::safe_str(&failure.message),
                path,
            },
            _ => return,
        };
        self.activity.note(what);
    }

    /// Takes back that a file arrived; the cursor stays where it is in the log.
    pub(super) fn withdraw_arrival(&mut self, path: &Path) {
        let withdrawn = self.activity.withdraw_arrival(path);
        if let (Some(number), Some(Over::Activity(place))) = (withdrawn, &mut self.stage.over)
            && let Some(cursor) = &mut place.cursor
            && *cursor > number
        {
            *cursor -= 1;
        }
    }

    /// Rows of the log on screen.
    pub(crate) fn log_rows(&self) -> usize {
        usize::from(areas(self.stage_area()).log.height)
    }

    /// Scrolls the log so that the cursor is in sight.
    pub(super) fn fit_activity(&mut self) {
        let rows = self.log_rows().max(1);
        if let Some(Over::Activity(place)) = &mut self.stage.over {
            let at = self.activity.cursor(*place);
            place.top = place.top.clamp((at + 1).saturating_sub(rows), at);
        }
    }

    /// Puts the cursor on the entry at a cell; false when there is none.
    pub(super) fn choose_entry(&mut self, (_, y): (u16, u16)) -> bool {
        let log = areas(self.stage_area()).log;
        let Some(Over::Activity(place)) = &mut self.stage.over else {
            return false;
        };
        let Some(row) = y.checked_sub(log.y).filter(|row| *row < log.height) else {
            return false;
        };
        let at = place.top + usize::from(row);
        let there = at < self.activity.len();
        if there {
            place.cursor = (at > 0).then(|| self.activity.count - 1 - at);
        }
        there
    }

    pub(super) fn act_in_activity(&mut self, action: Action) -> Vec<Effect> {
        let page = self.log_rows();
        let Some(Over::Activity(place)) = &mut self.stage.over else {
            return Vec::new();
        };
        let current = self.activity.current(*place).map(|known| &known.what);
        match (action, current) {
            (Action::Enter, Some(what)) => {
                if let Some(path) = what.path().map(Path::to_owned) {
                    return self.go_to_file(&path);
                }
            }
            (
                Action::Why,
                Some(News::Failed {
                    path,
                    kind,
                    message,
                }),
            ) => {
                let (kind, message) = (popup::kind_word(*kind), message.clone());
                let subject = path.clone();
                self.popup_scroll = 0;
                self.popup = Some(Popup::Why(Why {
                    subject: self.show_path(&subject),
                    kind: Some(kind),
                    message,
                    advice: None,
                }));
            }
            (Action::Leave, _) => self.stage.over = None,
            (action, _) => {
                let by = act::distance(action, page);
                let last = self.activity.len().saturating_sub(1);
                let at = self.activity.cursor(*place).saturating_add_signed(by);
                let number = self.activity.count.saturating_sub(1 + at.min(last));
                place.cursor = (at > 0).then_some(number);
            }
        }
        Vec::new()
    }

    /// Shows a file in its folder, under the cursor.
    pub(super) fn go_to_file(&mut self, path: &Path) -> Vec<Effect> {
        self.stage.over = None;
        let Some(folder) = path.parent() else {
            return Vec::new();
        };
        if self.folder.dir != folder {
            return self.open(folder.to_owned(), Some(path.to_owned()));
        }
        if !self.folder.go_to_path(path) && !self.folder.look().filter.is_empty() {
            let look = Look {
                filter: Filter::default(),
                ..self.folder.look().clone()
            };
            self.folder.set_look(look, &self.results);
            self.folder.go_to_path(path);
        }
        if self.folder.current().is_none_or(|row| row.path != path) {
            self.say(Severity::Info, "the file is no longer here");
        }
        Vec::new()
    }
}
