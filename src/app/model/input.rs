//! Handles keys: the mode determines the component that receives them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Model;
use crate::app::context::FileContext;
use crate::app::effect::Effect;
use crate::app::grid::Grid;
use crate::app::keys::Action;
use crate::app::line::{Line, LineOutcome, Purpose};
use crate::app::mode::InputMode;
use crate::app::msg::Severity;
use crate::app::popup::{MenuKind, PickerKind, Popup, PopupOutcome};
use crate::app::request::Request;
use crate::app::screen::Overlay;
use crate::app::sort::Key;
use crate::app::viewer::measure::{Pointer, Tool};

impl Model {
    /// Passes a key to the component that receives keys. A key that it does not handle is interpreted as an action.
    pub(super) fn press(&mut self, key: KeyEvent) -> Vec<Effect> {
        let taken = match self.mode() {
            InputMode::Line => return self.press_in_line(key),
            InputMode::Review => return self.press_after_leader(key),
            InputMode::TagSearch => self.tags.type_search(key, &self.env).then(Vec::new),
            InputMode::Menu => match key.code {
                KeyCode::Char(letter) if !has_modifier(key) => {
                    let action = self.popups.choose_letter(letter);
                    action.map(|action| vec![Request::Act(action)])
                }
                _ => None,
            },
            InputMode::Picker if self.popups.picker() == Some(PickerKind::Bookmarks) => {
                match key.code {
                    KeyCode::Char(letter) if !has_modifier(key) => {
                        if let Some(effects) = self.jump_to_letter(letter) {
                            return effects;
                        }
                        None
                    }
                    _ => None,
                }
            }
            // Not Enter, which is pressed for many things.
            InputMode::Reading if self.popups.is_proposal() => match key.code {
                KeyCode::Char('y') if !has_modifier(key) => return self.send_draft(),
                _ => None,
            },
            InputMode::Reading if self.popups.is_drafted() => match key.code {
                KeyCode::Char('y') if !has_modifier(key) => return self.save_draft(),
                _ => None,
            },
            InputMode::Picker | InputMode::Reading | InputMode::Tags => None,
            InputMode::Agreement => match self.press_in_agreement(key) {
                Some(effects) => return effects,
                None => None,
            },
            InputMode::Learning => match self.press_in_learning(key) {
                Some(effects) => return effects,
                None => None,
            },
            InputMode::Neighbours => match self.press_in_neighbours(key) {
                Some(effects) => return effects,
                None => None,
            },
            InputMode::FullScreen
            | InputMode::Compare
            | InputMode::Activity
            | InputMode::Grid
            | InputMode::Panels(_) => self.press_in_view(key),
        };
        if let Some(requests) = taken {
            return self.carry_out(requests);
        }
        match self.env.keymap.action(key) {
            Some(action) => self.act(action),
            None => Vec::new(),
        }
    }

    /// Handles keys for a number being typed and for the pointer, which take precedence over their meaning in a view.
    fn press_in_view(&mut self, key: KeyEvent) -> Option<Vec<Request>> {
        let context = self.viewer_context();
        if let Some(requests) = self.viewer.press(key, &self.env.keymap, &context) {
            return Some(requests);
        }
        match self.view() {
            InputMode::Compare => self.screen.comparison_mut()?.press(key, &self.env),
            InputMode::Grid => Grid::press(key, &self.env, self.folder().cursor()),
            _ => None,
        }
    }

    fn press_in_line(&mut self, key: KeyEvent) -> Vec<Effect> {
        let Some(line) = &mut self.line else {
            return Vec::new();
        };
        if matches!(key.code, KeyCode::Tab | KeyCode::BackTab) {
            return self.complete_line(key.code == KeyCode::Tab);
        }
        let (stays, outcome) = line.press(key, &self.env.keymap);
        if !stays {
            self.line = None;
        }
        self.take_line(outcome)
    }

    /// Takes pasted text where text is typed. Elsewhere each of its letters would be a key.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        const LONGEST: usize = 4096;
        let as_typed = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = text.trim().chars().take(LONGEST).map(as_typed).collect();
        match self.mode() {
            InputMode::Line => {
                let outcome = self.line.as_mut().map(|line| line.paste(&text));
                return outcome.map_or_else(Vec::new, |outcome| self.take_line(outcome));
            }
            InputMode::TagSearch => {
                for letter in text.chars() {
                    self.tags
                        .type_search(KeyCode::Char(letter).into(), &self.env);
                }
            }
            _ => self.say(
                Severity::Info,
                "pasted text is taken where a line is typed, and nothing was done with it here",
            ),
        }
        Vec::new()
    }

    fn take_line(&mut self, outcome: LineOutcome) -> Vec<Effect> {
        match outcome {
            LineOutcome::Filter(text) => self.browser.filter(&text, &self.results),
            LineOutcome::Find(text) => return self.find(&text),
            LineOutcome::Export(file) => return self.export(file),
            LineOutcome::Move(rows) => self.browser.folder.go_by(rows),
            LineOutcome::Act(action) => return self.act(action),
            LineOutcome::Enter(purpose, text) => return self.entered(purpose, &text),
            LineOutcome::None => {}
        }
        Vec::new()
    }

    /// Carries out an action: those that mean the same everywhere, then by mode.
    pub(super) fn act(&mut self, action: Action) -> Vec<Effect> {
        let mode = self.mode();
        match action {
            Action::Quit => return self.quit(),
            Action::Suspend => return vec![Effect::Suspend],
            Action::Redraw => return vec![Effect::Redraw],
            Action::Back => return self.back(),
            Action::Patient => {
                self.toggle_patient();
                return Vec::new();
            }
            Action::Help if mode != InputMode::Reading => {
                self.popups.open_help(mode);
                return Vec::new();
            }
            _ => {}
        }
        match mode {
            InputMode::Reading if self.open_neighbours(action) => Vec::new(),
            InputMode::Reading | InputMode::Menu | InputMode::Picker => self.act_in_popup(action),
            _ if action == Action::Tags
                && mode != InputMode::Compare
                && mode != InputMode::Activity =>
            {
                self.toggle_tags()
            }
            InputMode::Tags | InputMode::TagSearch => {
                let requests = self.tags.act(action, &self.env);
                self.carry_out(requests)
            }
            _ if opens_anywhere(action) => self.act_on_files(action),
            InputMode::Agreement => self.act_in_agreement(action).unwrap_or_default(),
            InputMode::Learning => self.act_in_learning(action),
            InputMode::Neighbours => self.act_in_neighbours(action),
            _ => match self.act_in_view(action, mode) {
                Some(requests) => self.carry_out(requests),
                None => self.act_on_files(action),
            },
        }
    }

    /// Carries out an action of the view; `None` if it is an action on the files.
    fn act_in_view(&mut self, action: Action, mode: InputMode) -> Option<Vec<Request>> {
        let files = FileContext {
            browser: &self.browser,
            studies: &self.studies,
            results: &self.results,
            env: &self.env,
        };
        match mode {
            InputMode::Compare => self.screen.comparison_mut()?.act(action, files),
            InputMode::Activity => {
                let view = self.screen.activity_mut()?;
                Some(view.act(action, &self.activity, &self.results, &self.env))
            }
            InputMode::Grid => self.grid.act(action, files),
            _ => None,
        }
    }

    // ── popups ────────────────────────────────────────────────────────────────────────────────────────────────

    fn act_in_popup(&mut self, action: Action) -> Vec<Effect> {
        let choices = self.popups.picker().and_then(|kind| self.choices(kind));
        let outcome = self.popups.act(action, &self.env, choices.as_deref());
        self.follow_popup(outcome)
    }

    /// Carries out the outcome of an action or a click in a popup.
    pub(super) fn follow_popup(&mut self, outcome: PopupOutcome) -> Vec<Effect> {
        match outcome {
            PopupOutcome::None => Vec::new(),
            PopupOutcome::Act(action) => self.act(action),
            PopupOutcome::Opacity { more } => {
                self.related.change_opacity(more);
                Vec::new()
            }
            PopupOutcome::Pick(PickerKind::Prompts, chosen) => {
                let requests = self.prompt_sets.pick(chosen, &self.engine);
                self.carry_out(requests)
            }
            PopupOutcome::Pick(PickerKind::Model, chosen) => {
                let requests = self.models.pick(chosen, &self.engine, &mut self.env);
                self.carry_out(requests)
            }
            PopupOutcome::Pick(PickerKind::Failures, chosen) => {
                let failed = self.results.failed().into_iter().nth(chosen);
                let path = failed.map(|(path, _)| path.to_owned());
                self.popups.close_all();
                path.map_or_else(Vec::new, |path| self.show_file(&path))
            }
            PopupOutcome::Prompts(action, chosen) => self.act_on_prompts(action, Some(chosen)),
            PopupOutcome::Pick(PickerKind::Changes, chosen) => {
                let path = self.label_changes.path(chosen).map(ToOwned::to_owned);
                self.popups.close_all();
                path.map_or_else(Vec::new, |path| self.show_file(&path))
            }
            PopupOutcome::Pick(PickerKind::Measurements, chosen) => {
                self.popups.close_all();
                self.viewer.edit_chosen(chosen);
                Vec::new()
            }
            PopupOutcome::Pick(PickerKind::Views, chosen) => self.open_chosen_view(chosen),
            PopupOutcome::Pick(PickerKind::Bookmarks, chosen) => self.jump_to_chosen(chosen),
            PopupOutcome::Remove(PickerKind::Views, chosen) => self.remove_view(chosen),
            PopupOutcome::Remove(PickerKind::Bookmarks, chosen) => self.remove_bookmark(chosen),
            PopupOutcome::Remove(_, chosen) => {
                let effects = self.viewer.remove_chosen(chosen);
                if self.viewer.measurement_choices().is_empty() {
                    self.popups.close_all();
                }
                effects
            }
            PopupOutcome::Retry(chosen) => {
                let failed = self.results.failed().into_iter().nth(chosen);
                let paths = failed.map(|(path, _)| path.to_owned());
                self.retry(paths.into_iter().collect())
            }
            PopupOutcome::RetryAll => self.retry_all(),
            PopupOutcome::Pick(PickerKind::Related, chosen) => {
                if self.related.toggle(chosen, &self.viewer) {
                    self.viewer.show_overlays();
                }
                Vec::new()
            }
        }
    }

    /// Opens a picker, with the cursor on the current choice.
    pub(super) fn open_picker(&mut self, kind: PickerKind) {
        let choices = self.choices(kind).unwrap_or_default();
        let current = choices.iter().position(|choice| choice.current);
        let chosen = current.unwrap_or(0);
        self.popups.open(Popup::Picker { kind, chosen });
    }

    /// Opens a menu; the cursor is on what is chosen, if the menu offers a choice.
    pub(super) fn open_menu(&mut self, kind: MenuKind) {
        let entries = kind.entries().iter();
        let switches: Vec<_> = entries.map(|(.., action)| self.is_on(*action)).collect();
        let chosen = switches.iter().position(|on| *on == Some(true));
        let entry = chosen.filter(|_| kind == MenuKind::Sort).unwrap_or(0);
        self.popups.open(Popup::Menu {
            kind,
            entry,
            switches,
        });
    }

    /// Whether what an action switches is on; `None` of an action that switches nothing.
    fn is_on(&self, action: Action) -> Option<bool> {
        let pointer = self.viewer.pointer();
        Some(match action {
            Action::Grid => self.view() == InputMode::Grid,
            Action::Compare => matches!(self.overlay(), Some(Overlay::Compare(_))),
            Action::Activity => matches!(self.overlay(), Some(Overlay::Activity(_))),
            Action::Series => self.studies.is_enabled(),
            Action::Patient => self.env.show_phi,
            Action::Whole => self.screen.is_full(),
            Action::Histogram => self.viewer.shows_histogram(),
            Action::Overlays => self.viewer.shows_overlays(),
            Action::HeatMap => self.heat_maps.is_on(),
            Action::Adjust => self.mix.is_on(),
            Action::Probe => pointer.is_some_and(|pointer| pointer.tool == Tool::Probe),
            Action::Ruler => pointer.is_some_and(Pointer::is_measuring),
            Action::Cine => self.viewer.is_playing(),
            Action::Worklist => self.folder().is_worklist(),
            Action::ReviewBlind => self.results.is_blind(),
            Action::ReviewAgreement => matches!(self.overlay(), Some(Overlay::Agreement(_))),
            Action::ReviewLearn => matches!(self.overlay(), Some(Overlay::Learning(_))),
            _ => {
                let by = Key::chosen_by(action)?;
                let sorts = self.folder().similarity_order().is_none();
                return (sorts && by == self.folder().options().sort.by).then_some(true);
            }
        })
    }

    /// Begins a filter, or the palette.
    pub(super) fn open_line(&mut self, purpose: Purpose) {
        let text = self.line_text(purpose);
        self.line = Some(Line::new(purpose, &text));
    }

    // ── what means the same everywhere ────────────────────────────────────────────────────────────────────────

    /// Closes or clears the first of these that there is: popup, tags, pointer, film, full screen, search, filter, overlay, grid,
    /// focus, marks, worklist, message.
    fn back(&mut self) -> Vec<Effect> {
        if self.popups.close(&self.env)
            || self.tags.back(&self.env)
            || self.viewer.back()
            || self.screen.leave_full()
        {
        } else if self.folder().similarity_order().is_some() {
            self.leave_similarity();
            let order = self.folder().options().sort.by.name();
            self.say(Severity::Info, &format!("sorted by {order} again"));
        } else if !self.folder().options().filter.is_empty() {
            self.browser.filter("", &self.results);
        } else if self.screen.back() || self.screen.focus_list() {
        } else if self.browser.marked_count() > 0 {
            let said = self.browser.clear_marks();
            return self.carry_out([said]);
        } else if self.folder().is_worklist() {
            return self.leave_worklist();
        } else {
            self.message = None;
        }
        Vec::new()
    }

    /// Shows the values that identify the patient, or masks them again.
    fn toggle_patient(&mut self) {
        self.env.show_phi = !self.env.show_phi;
        self.tags.mask_changed(&self.env);
        self.popups.close_outdated();
        self.studies
            .arrange(&mut self.browser.folder, &self.results, &self.env);
        let text = if self.env.show_phi {
            "values that identify the patient are shown until you quit"
        } else {
            "values that identify the patient are masked"
        };
        self.say(Severity::Info, text);
    }
}

/// Whether a key was pressed together with Ctrl or Alt.
pub(super) fn has_modifier(key: KeyEvent) -> bool {
    key.modifiers
        .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
}

/// Whether an action does the same in all views.
fn opens_anywhere(action: Action) -> bool {
    matches!(
        action,
        Action::View
            | Action::Palette
            | Action::Watch
            | Action::PromptSet
            | Action::EditPrompts
            | Action::DraftPrompts
            | Action::LabelChanges
            | Action::Grid
            | Action::Compare
            | Action::Activity
            | Action::Failures
            | Action::Worklist
    ) || action.is_review()
        || action.is_about_files()
}
