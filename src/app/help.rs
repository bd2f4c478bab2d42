//! The help: first what the keys do where one is, then what they do elsewhere. It is made from the bindings that are in force.

use std::collections::HashSet;

use crossterm::event::KeyCode;

use super::keys::{Action, HELP, HelpLine, Keymap};
use super::layout::Panel;
use super::model::Model;
use super::popup::Popup;
use super::stage::Over;

/// Where one is when one asks for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The list, with picture and result beside it.
    List,
    /// The picture, in focus or on the whole screen.
    Picture,
    /// The grid of small images.
    Grid,
    /// Two files side by side.
    Compare,
    /// What happened.
    Activity,
    /// The tags of a file.
    Tags,
    /// A list to choose one thing from.
    Picker,
    /// The view menu.
    Menu,
}

/// Keys that a line of the help names.
#[derive(Clone, Copy)]
enum Keys {
    /// All keys of an action.
    Of(Action),
    /// The first key of each.
    First(&'static [Action]),
    /// This key, where it is bound to the action, else the first.
    Usual(Action, KeyCode),
}

impl Keys {
    fn actions(&self) -> &[Action] {
        match self {
            Self::Of(action) | Self::Usual(action, _) => std::slice::from_ref(action),
            Self::First(actions) => actions,
        }
    }

    fn shown(self, keymap: &Keymap) -> Vec<String> {
        match self {
            Self::Of(action) => keymap.help_keys(action),
            Self::First(actions) => actions.iter().filter_map(|a| keymap.key(*a)).collect(),
            Self::Usual(action, usual) => keymap.key_like(action, usual).into_iter().collect(),
        }
    }
}

/// What keys do in one place only, under the name of that place.
type Section = (&'static str, &'static [(Keys, &'static str)]);

const GRID: Section = (
    "Grid",
    &[
        (
            Keys::First(&[Action::Leave, Action::Down, Action::Up, Action::Enter]),
            "left, down, up, right",
        ),
        (Keys::Usual(Action::Enter, KeyCode::Enter), "open"),
        (
            Keys::Usual(Action::Leave, KeyCode::Backspace),
            "out of the folder",
        ),
        (
            Keys::First(&[Action::ZoomIn, Action::ZoomOut]),
            "larger, smaller tiles",
        ),
        (Keys::Of(Action::ZoomFit), "tiles of usual size"),
        (Keys::Of(Action::Whole), "this picture alone"),
        (Keys::Of(Action::Back), "back to the list"),
    ],
);

const COMPARE: Section = (
    "Compare",
    &[
        (
            Keys::First(&[Action::Leave, Action::Enter]),
            "left, right side",
        ),
        (
            Keys::First(&[Action::Down, Action::Up]),
            "next, previous there",
        ),
        (Keys::Usual(Action::Enter, KeyCode::Enter), "go to the file"),
        (Keys::Of(Action::PromptSet), "prompts of the right"),
        (Keys::Of(Action::Whole), "this picture alone"),
        (Keys::Of(Action::Back), "back to the list"),
    ],
);

const ACTIVITY: Section = (
    "Activity",
    &[
        (Keys::First(&[Action::Down, Action::Up]), "older, newer"),
        (Keys::Of(Action::Enter), "go to the file"),
        (Keys::Of(Action::Why), "why it failed"),
        (Keys::Of(Action::Back), "back to the list"),
    ],
);

const TAGS: Section = (
    "Tags",
    &[
        (Keys::First(&[Action::Down, Action::Up]), "next, previous"),
        (Keys::Of(Action::Enter), "unfold, or in full"),
        (Keys::Of(Action::Leave), "fold, or close"),
        (Keys::Of(Action::Search), "search"),
        (Keys::Of(Action::Copy), "copy the value"),
        (Keys::Of(Action::Patient), "patient values"),
        (Keys::Of(Action::Back), "back to the file"),
    ],
);

const PICKER: Section = (
    "Choose",
    &[
        (Keys::First(&[Action::Down, Action::Up]), "next, previous"),
        (Keys::Of(Action::Enter), "take it"),
        (Keys::Of(Action::Back), "leave it as it is"),
    ],
);

const MENU: Section = (
    "View",
    &[
        (Keys::First(&[Action::Down, Action::Up]), "next, previous"),
        (Keys::Of(Action::Enter), "do it; so do letters"),
        (Keys::Of(Action::Back), "leave it as it is"),
    ],
);

impl Context {
    fn section(self) -> Option<Section> {
        match self {
            Self::List | Self::Picture => None,
            Self::Grid => Some(GRID),
            Self::Compare => Some(COMPARE),
            Self::Activity => Some(ACTIVITY),
            Self::Tags => Some(TAGS),
            Self::Picker => Some(PICKER),
            Self::Menu => Some(MENU),
        }
    }

    /// Headings of what keys do anywhere that are of most use here.
    fn ahead(self) -> &'static [&'static str] {
        match self {
            Self::Picture => &["Image", "Window", "Frames"],
            Self::List => &["Move", "Classify"],
            _ => &[],
        }
    }
}

impl Model {
    /// Where the keys go.
    pub(super) fn context(&self) -> Context {
        match (&self.popup, self.over()) {
            (Some(Popup::Pick { .. }), _) => Context::Picker,
            (Some(Popup::View { .. }), _) => Context::Menu,
            _ if self.tags.is_some() => Context::Tags,
            (_, Some(Over::Compare(_))) => Context::Compare,
            (_, Some(Over::Activity(_))) => Context::Activity,
            _ if self.shows_grid() => Context::Grid,
            _ if self.is_whole() || self.focus == Panel::Preview => Context::Picture,
            _ => Context::List,
        }
    }

    /// Keys scroll what lies over everything.
    pub(super) fn reads_popup(&self) -> bool {
        let popup = self.popup.as_ref();
        popup.is_some_and(|popup| !matches!(popup, Popup::Pick { .. } | Popup::View { .. }))
    }

    /// Opens the help; what it is laid over comes back with the end of it.
    pub(super) fn open_help(&mut self) {
        let context = self.context();
        let behind = self.popup.take().map(Box::new);
        self.popup_scroll = 0;
        self.popup = Some(Popup::Help { context, behind });
    }

    /// Takes a popup away; false when there is none.
    pub(super) fn close_popup(&mut self) -> bool {
        let Some(popup) = self.popup.take() else {
            return false;
        };
        if let Popup::Help { behind, .. } = popup {
            self.popup = behind.map(|popup| *popup);
            self.scroll_menu();
        }
        true
    }
}

impl Keymap {
    /// What is bound, under its headings, that of a context first.
    pub fn help(&self, context: Context) -> Vec<HelpLine> {
        let mut groups = Vec::new();
        let mut told: HashSet<Action> = HashSet::new();
        if let Some((heading, lines)) = context.section() {
            let bindings = lines.iter().map(|(keys, what)| (keys.shown(self), *what));
            groups.push((heading, bindings.collect::<Vec<_>>()));
            told.extend(lines.iter().flat_map(|(keys, _)| keys.actions()));
        }
        let ahead = context.ahead();
        let mut all = HELP;
        all.sort_by_key(|(heading, _)| {
            let place = ahead.iter().position(|name| name == heading);
            place.unwrap_or(ahead.len())
        });
        for (heading, actions) in all {
            let rest = actions.iter().filter(|(action, _)| !told.contains(action));
            let bindings = rest.map(|(action, what)| (self.help_keys(*action), *what));
            groups.push((heading, bindings.collect()));
        }
        let mut lines = Vec::new();
        for (heading, bindings) in groups {
            let bound = bindings.into_iter().filter(|(keys, _)| !keys.is_empty());
            let bound: Vec<HelpLine> = bound
                .map(|(keys, what)| HelpLine::Binding(keys, what))
                .collect();
            if bound.is_empty() {
                continue;
            }
            if !lines.is_empty() {
                lines.push(HelpLine::Gap);
            }
            lines.push(HelpLine::Heading(heading));
            lines.extend(bound);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const EVERY: [(Context, &str); 8] = [
        (Context::List, "Move"),
        (Context::Picture, "Image"),
        (Context::Grid, "Grid"),
        (Context::Compare, "Compare"),
        (Context::Activity, "Activity"),
        (Context::Tags, "Tags"),
        (Context::Picker, "Choose"),
        (Context::Menu, "View"),
    ];

    fn keymap(pairs: &[(&str, &[&str])]) -> Keymap {
        let owned = |keys: &&[&str]| keys.iter().map(|k| (*k).to_owned()).collect();
        let pairs = pairs
            .iter()
            .map(|(name, keys)| ((*name).to_owned(), owned(keys)));
        Keymap::new(&pairs.collect::<BTreeMap<_, _>>()).unwrap()
    }

    #[test]
    fn it_begins_with_the_place_and_tells_of_every_action_once() {
        let keymap = keymap(&[]);
        for (context, heading) in EVERY {
            let lines = keymap.help(context);
            assert_eq!(lines[0], HelpLine::Heading(heading));
            let bindings = lines
                .iter()
                .filter(|line| matches!(line, HelpLine::Binding(..)));
            let own = context.section().map_or(&[][..], |(_, lines)| lines);
            let here = |wanted: &Action| {
                let mut keys = own.iter().map(|(keys, _)| keys);
                keys.any(|keys| keys.actions().contains(wanted))
            };
            let all = HELP.iter().flat_map(|(_, actions)| actions.iter());
            let elsewhere =
                all.filter(|(action, _)| !here(action) && !keymap.help_keys(*action).is_empty());
            assert_eq!(bindings.count(), own.len() + elsewhere.count());
        }
    }

    #[test]
    fn it_follows_what_is_bound() {
        let changed = keymap(&[
            ("quit", &["Ctrl-q"]),
            ("hidden", &[]),
            ("enter", &["o"]),
            ("overlays", &[]),
        ]);
        for (context, _) in EVERY {
            let lines = changed.help(context);
            let quit = HelpLine::Binding(vec!["Ctrl-q".to_owned()], "quit");
            assert!(lines.contains(&quit));
            let hidden = |line: &HelpLine| matches!(line, HelpLine::Binding(_, what) if what.contains("hidden"));
            assert!(!lines.iter().any(hidden));
        }
        let open = HelpLine::Binding(vec!["o".to_owned()], "open");
        assert!(changed.help(Context::Grid).contains(&open));
        let open = HelpLine::Binding(vec!["Enter".to_owned()], "open");
        assert!(keymap(&[]).help(Context::Grid).contains(&open));
    }
}
