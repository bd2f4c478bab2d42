//! Lists to choose one thing from, and what is said of the one under the cursor.

use super::Effect;
use super::keys::Action;
use super::model::Model;
use super::popup::{Popup, PopupLine, content_rows, content_width};
use super::text;

/// Rows of the list that stay in sight on a low screen, whatever there is to say of one of them.
const LIST_ROWS: usize = 4;

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The prompt set in force.
    Prompts,
    /// The model in use.
    Model,
    /// Objects about the picture, each of which can be switched on.
    Related,
}

/// One of the things; all of it safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub name: String,
    /// In a word or two, at the right end.
    pub beside: String,
    /// Paragraphs below the list while the cursor is here.
    pub about: Vec<String>,
    /// What is wrong with it, said before all else.
    pub fault: Option<String>,
    /// It is in force.
    pub current: bool,
}

impl Model {
    /// What is to be chosen from; `None` while it is being read.
    fn choices(&self, what: What) -> Option<Vec<Choice>> {
        match what {
            What::Prompts => self.prompt_choices(),
            What::Model => self.model_choices(),
            What::Related => self.related_choices(),
        }
    }

    /// Opens a list, on what is in force.
    pub(super) fn open_picker(&mut self, what: What) {
        let all = self.choices(what).unwrap_or_default();
        let chosen = all.iter().position(|choice| choice.current).unwrap_or(0);
        self.popup_scroll = 0;
        self.popup = Some(Popup::Pick { what, chosen });
    }

    /// The lines of a popup on this screen.
    pub(crate) fn popup_lines(&self, popup: &Popup) -> Vec<PopupLine> {
        match popup {
            Popup::Pick { what, chosen } => self.picker_lines(*what, *chosen),
            other => other.lines(&self.keymap, self.cols),
        }
    }

    fn picker_lines(&self, what: What, chosen: usize) -> Vec<PopupLine> {
        let Some(choices) = self.choices(what) else {
            return vec![PopupLine::Aside("Reading …".to_owned())];
        };
        if choices.is_empty() {
            return vec![PopupLine::Aside("Nothing here.".to_owned())];
        }
        let width = usize::from(content_width(self.cols));
        let page = usize::from(content_rows(self.rows));
        let mut about = choices
            .get(chosen)
            .map_or_else(Vec::new, |choice| said(choice, width));
        let rows = choices.len().min(
            page.saturating_sub(about.len() + 1)
                .max(LIST_ROWS)
                .min(page),
        );
        let first = (chosen + 1).saturating_sub(rows);
        let mut lines: Vec<PopupLine> = (first..choices.len().min(first + rows))
            .map(|at| PopupLine::Pick {
                chosen: at == chosen,
                current: choices[at].current,
                name: choices[at].name.clone(),
                beside: choices[at].beside.clone(),
            })
            .collect();
        about.truncate(page.saturating_sub(lines.len() + 1));
        if !about.is_empty() {
            lines.push(PopupLine::Text(String::new()));
            lines.extend(about);
        }
        lines
    }

    /// An action while a list is open; `None` when none is.
    pub(super) fn act_in_picker(&mut self, action: Action) -> Option<Vec<Effect>> {
        let Some(Popup::Pick { what, chosen }) = self.popup else {
            return None;
        };
        let last = self.choices(what).map_or(0, |all| all.len()).max(1) - 1;
        let page = usize::from(content_rows(self.rows)) / 2;
        let distance = super::act::distance(action, page);
        let opener = match what {
            What::Prompts => Action::PromptSet,
            What::Model => Action::Model,
            What::Related => Action::Related,
        };
        match action {
            Action::Enter => return Some(self.pick(what, chosen)),
            Action::ZoomIn | Action::ZoomOut if what == What::Related => {
                self.change_opacity(action);
            }
            Action::Leave => self.popup = None,
            _ if action == opener => self.popup = None,
            _ => {
                let chosen = chosen.saturating_add_signed(distance).min(last);
                self.popup = Some(Popup::Pick { what, chosen });
            }
        }
        Some(Vec::new())
    }

    fn pick(&mut self, what: What, chosen: usize) -> Vec<Effect> {
        match what {
            What::Prompts => self.pick_prompts(chosen),
            What::Model => self.pick_model(chosen),
            What::Related => {
                self.pick_related(chosen);
                Vec::new()
            }
        }
    }
}

/// What there is to say of a choice, in lines of a width.
fn said(choice: &Choice, width: usize) -> Vec<PopupLine> {
    let mut lines = Vec::new();
    if let Some(fault) = &choice.fault {
        // Below the first word, not below its sign.
        let mut wrapped = text::wrap(fault, width.saturating_sub(2)).into_iter();
        lines.extend(wrapped.next().map(PopupLine::Kind));
        lines.extend(wrapped.map(|line| PopupLine::Text(format!("  {line}"))));
    }
    for paragraph in &choice.about {
        let wrapped = text::wrap(paragraph, width).into_iter();
        lines.extend(wrapped.map(PopupLine::Aside));
    }
    lines
}
