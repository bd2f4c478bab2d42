//! What each action does.

use super::Effect;
use super::entry::{EntryKind, Found};
use super::folder::{Look, Reading, Stands};
use super::keys::Action;
use super::layout::Panel;
use super::model::{EngineState, Model, WatchState};
use super::msg::Severity;
use super::popup::{self, Popup, Why};
use super::prompt::Purpose;
use super::results::FileState;
use super::sort::Sort;
use super::text;
use crate::engine::Lane;

/// Carries an action out.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(effects) = model.act_on_stage(action) {
        return effects;
    }
    match action {
        Action::Quit => return model.quit(),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Back => model.back(),
        Action::Patient => model.toggle_patient(),
        Action::Help if !model.reads_popup() => model.open_help(),
        _ if matches!(model.popup, Some(Popup::View { .. })) => return model.act_in_menu(action),
        _ if matches!(model.popup, Some(Popup::Pick { .. })) => {
            return model.act_in_picker(action).unwrap_or_default();
        }
        _ if model.popup.is_some() => model.act_in_popup(action),
        Action::Tags => return model.toggle_tags(),
        _ if model.tags.is_some() => return model.act_in_tags(action),
        Action::View => model.open_menu(),
        Action::Grid => model.toggle_grid(),
        Action::Compare => model.compare(),
        Action::Activity => model.toggle_activity(),
        Action::Series => return model.toggle_series(),
        Action::Copy => return model.copy_path(),
        Action::Search => model.filter_names(),
        Action::Why => model.why(),
        Action::NextPanel => model.focus = model.panels().next(model.focus, model.graphics),
        Action::Mark => model.mark(),
        Action::MarkRange => model.mark_range(),
        Action::NextNew => model.go_to_new(true),
        Action::PreviousNew => model.go_to_new(false),
        Action::Hidden => {
            model.look_anew(|look| look.hidden = !look.hidden);
            return model.shelve();
        }
        Action::Sort => model.sort(|sort| {
            *sort = Sort {
                by: sort.by.next(),
                reversed: false,
            }
        }),
        Action::SortReversed => model.sort(|sort| sort.reversed = !sort.reversed),
        Action::Palette => model.open_prompt(Purpose::Palette),
        Action::Enter => return model.enter(),
        Action::Leave => return model.leave(),
        Action::Classify => return model.classify_current(),
        Action::ClassifyMarked => model.classify_marked(),
        Action::ClassifyAll => return model.classify_all(),
        Action::Watch => return model.toggle_watch(),
        Action::PromptSet => return model.choose_prompts(),
        Action::Model => return model.choose_model(),
        Action::Related => return model.choose_related(),
        Action::Down
        | Action::Up
        | Action::First
        | Action::Last
        | Action::HalfDown
        | Action::HalfUp
        | Action::PageDown
        | Action::PageUp => model.go(action),
        looking => {
            // On a series these are the keys of its stack.
            if !model.scroll_stack(looking) && !model.shows_grid() {
                model.look(looking);
            }
        }
    }
    Vec::new()
}

/// How far an action moves in a panel of `page` rows; `isize::MIN` and `MAX` stand for the ends.
pub(super) fn distance(action: Action, page: usize) -> isize {
    let page = page.max(1) as isize;
    match action {
        Action::Down => 1,
        Action::Up => -1,
        Action::HalfDown => (page / 2).max(1),
        Action::HalfUp => -(page / 2).max(1),
        Action::PageDown => page,
        Action::PageUp => -page,
        Action::First => isize::MIN,
        Action::Last => isize::MAX,
        _ => 0,
    }
}

/// A scroll moved, between 0 and the last page.
fn scrolled(scroll: usize, action: Action, page: usize, lines: usize) -> usize {
    scroll
        .saturating_add_signed(distance(action, page))
        .min(lines.saturating_sub(page))
}

impl Model {
    fn go(&mut self, action: Action) {
        let panels = self.panels();
        if self.focus == Panel::Result && panels.result.is_some() {
            let (page, lines) = self.result_extent();
            self.result_scroll = scrolled(self.result_scroll, action, page, lines);
            return;
        }
        let page = panels.list.map_or(1, |area| usize::from(area.height));
        self.folder.go_by(distance(action, page));
    }

    fn act_in_popup(&mut self, action: Action) {
        let Some(popup) = &self.popup else { return };
        if matches!((action, popup), (Action::Help, Popup::Help { .. }))
            || matches!((action, popup), (Action::Why, Popup::Why(_)))
            || matches!(
                (action, popup),
                (Action::Enter | Action::Leave, Popup::Value(_))
            )
        {
            self.close_popup();
            return;
        }
        let page = usize::from(popup::content_rows(self.rows));
        let lines = popup.lines(&self.keymap, self.cols).len();
        self.popup_scroll = scrolled(self.popup_scroll, action, page, lines);
    }

    fn open_popup(&mut self, popup: Popup) {
        self.popup = Some(popup);
        self.popup_scroll = 0;
    }

    fn look_anew(&mut self, change: impl FnOnce(&mut Look)) {
        let mut look = self.folder.look().clone();
        change(&mut look);
        self.folder.set_look(look, &self.results);
    }

    fn sort(&mut self, change: impl FnOnce(&mut Sort)) {
        if self.shelf.is_some() {
            return self.say(Severity::Info, "series stand in an order of their own");
        }
        self.look_anew(|look| change(&mut look.sort));
        let Sort { by, reversed } = self.folder.look().sort;
        let way = if reversed { ", reversed" } else { "" };
        self.say(Severity::Info, &format!("sorted by {}{way}", by.name()));
    }

    fn filter_names(&mut self) {
        if self.shelf.is_some() {
            self.say(Severity::Info, "series cannot be filtered by name");
        } else {
            self.open_prompt(Purpose::Filter);
        }
    }

    /// Away with whatever came last.
    fn back(&mut self) {
        if self.close_popup()
            || self.back_in_tags()
            || self.viewer.pointer.take().is_some()
            || self.viewer.film.take().is_some()
            || std::mem::take(&mut self.viewer.whole)
        {
        } else if !self.folder.look().filter.is_empty() {
            self.filter("");
        } else if self.leave_stage() {
        } else if self.focus != Panel::List {
            self.focus = Panel::List;
        } else if self.report.take().is_none() {
            self.marked.clear();
        }
    }

    fn enter(&mut self) -> Vec<Effect> {
        if let Some(effects) = self.enter_shelf() {
            return effects;
        }
        match self.folder.current() {
            Some(row) if row.kind == EntryKind::Folder => {
                let dir = row.path.clone();
                self.open(dir, None)
            }
            Some(_) if self.panels().preview.is_none() => {
                // On a small screen a file is entered too: there its picture has a panel of its own.
                self.focus = self.panels().next(Panel::List, self.graphics);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn leave(&mut self) -> Vec<Effect> {
        if self.panels().list.is_none() {
            self.focus = Panel::List;
            return Vec::new();
        }
        let left = self.folder.dir.clone();
        match left.parent() {
            Some(parent) => self.open(parent.to_owned(), Some(left.clone())),
            None => Vec::new(),
        }
    }

    fn copy_path(&mut self) -> Vec<Effect> {
        let path = match self.folder.current() {
            Some(row) if row.stands == Stands::Itself => row.path.clone(),
            _ => match self.file_in_sight() {
                Some((path, _)) => path,
                None => return Vec::new(),
            },
        };
        let shown = self.show_path(&path);
        match text::quoted(&path) {
            Some(quoted) => self.copy(&quoted, &format!("{shown}, quoted for a shell")),
            None => self.copy(&path.to_string_lossy(), &shown),
        }
    }

    /// The cursor to the nearest file in a direction that it has not rested on, coming round at the end.
    fn go_to_new(&mut self, forward: bool) {
        let cursor = self.folder.cursor();
        let new = |(_, row): &(usize, &super::folder::Row)| {
            row.kind == EntryKind::File && !self.looked.contains(&row.path) && !self.is_other(row)
        };
        let new: Vec<usize> = self
            .folder
            .rows()
            .enumerate()
            .filter(new)
            .map(|(at, _)| at)
            .collect();
        let found = if forward {
            new.iter().find(|at| **at > cursor).or(new.first())
        } else {
            new.iter().rfind(|at| **at < cursor).or(new.last())
        };
        match found {
            Some(at) => self.folder.go_to(*at),
            None => self.say(Severity::Info, "everything here has been looked at"),
        }
    }

    fn classify_current(&mut self) -> Vec<Effect> {
        let Some(row) = self.folder.current() else {
            return Vec::new();
        };
        if row.stands != Stands::Itself {
            let files = self.found_in(row);
            self.classify_again(files);
            return Vec::new();
        }
        let found = Found {
            path: row.path.clone(),
            stamp: row.stamp,
        };
        match row.kind {
            EntryKind::Folder => self.classify_under(found.path),
            EntryKind::File => {
                self.classify_again(vec![found]);
                Vec::new()
            }
        }
    }

    /// Classifies files whatever is known of them.
    fn classify_again(&mut self, files: Vec<Found>) {
        if !self.without_model() {
            self.ask(files, Lane::Interactive);
        }
    }

    fn classify_all(&mut self) -> Vec<Effect> {
        if let Some(files) = self.found_on_shelf() {
            self.classify_again(files);
            return Vec::new();
        }
        self.classify_under(self.folder.dir.clone())
    }

    fn classify_under(&mut self, dir: std::path::PathBuf) -> Vec<Effect> {
        if self.without_model() {
            return Vec::new();
        }
        vec![self.scan(dir, true)]
    }

    /// There is no model; says so.
    pub(super) fn without_model(&mut self) -> bool {
        let failed = matches!(self.engine, EngineState::Failed(_));
        if failed {
            self.say(Severity::Error, "there is no model to classify with");
        }
        failed
    }

    fn toggle_watch(&mut self) -> Vec<Effect> {
        match self.watch {
            WatchState::Starting | WatchState::On { .. } => {
                self.watch = WatchState::Off;
                vec![Effect::Unwatch]
            }
            WatchState::Off | WatchState::Failed(_) => self.start_watch(),
        }
    }

    /// Opens the details of what failed, looking at the nearest first: the file, the folder, the model, the watch.
    fn why(&mut self) {
        match self.failure() {
            Some(why) => self.open_popup(Popup::Why(why)),
            None => self.say(Severity::Info, "nothing failed here"),
        }
    }

    fn failure(&self) -> Option<Why> {
        let plain = |subject: &str, message: &str| Why {
            subject: subject.to_owned(),
            kind: None,
            message: message.to_owned(),
            advice: None,
        };
        let current = self.folder.current();
        if let (Some(row), Some(FileState::Failed(failure))) = (current, self.current_state()) {
            let again = self
                .keymap
                .key(Action::Classify)
                .map(|key| format!("{key} tries again."));
            return Some(Why {
                subject: self.show_path(&row.path),
                kind: Some(popup::kind_word(failure.kind)),
                message: text::safe_str(&failure.message),
                advice: again.filter(|_| !failure.not_picture),
            });
        }
        if let Reading::Failed(message) = &self.folder.reading {
            return Some(plain(&self.show_path(&self.folder.dir), message));
        }
        if let EngineState::Failed(message) = &self.engine {
            let message = message
                .lines()
                .map(text::safe_str)
                .collect::<Vec<_>>()
                .join("\n");
            return Some(Why {
                kind: Some("no model"),
                ..plain("The model", &message)
            });
        }
        if let (Some(row), Some(Err(error))) =
            (current, self.shown.as_ref().map(|shown| &shown.outcome))
        {
            let message = text::safe_str(&error.message);
            return Some(Why {
                kind: Some(popup::kind_word(error.kind)),
                ..plain(&self.show_path(&row.path), &message)
            });
        }
        match &self.watch {
            WatchState::Failed(message) => Some(plain("The watch", message)),
            _ => None,
        }
    }
}
