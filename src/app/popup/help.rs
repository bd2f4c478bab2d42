//! The help: first the keys of the mode in which it was opened, then all others. It is made from the current bindings.

use std::collections::HashSet;

use crossterm::event::KeyCode;

use super::PopupLine;
use crate::app::keys::{Action, HELP, HelpLine, Keymap};
use crate::app::mode::InputMode;
use crate::app::review_keys;
use crate::view::panels::Panel;

/// Keys that a line of the help names.
#[derive(Clone, Copy)]
enum HelpKeys {
    /// All keys of an action.
    Of(Action),
    /// The first key of each.
    First(&'static [Action]),
    /// This key where it is bound to the action, else the first.
    Usual(Action, KeyCode),
    /// A letter that has its meaning in this mode only.
    Letter(char),
}

impl HelpKeys {
    fn actions(&self) -> &[Action] {
        match self {
            Self::Of(action) | Self::Usual(action, _) => std::slice::from_ref(action),
            Self::First(actions) => actions,
            Self::Letter(_) => &[],
        }
    }

    fn shown(self, keymap: &Keymap) -> Vec<String> {
        match self {
            Self::Of(action) => keymap.help_keys(action),
            Self::First(actions) => actions.iter().filter_map(|a| keymap.key(*a)).collect(),
            Self::Usual(action, usual) => keymap.key_like(action, usual).into_iter().collect(),
            Self::Letter(letter) => vec![letter.to_string()],
        }
    }
}

/// Minimum width for two columns of help.
const TWO_COLUMNS: usize = 70;

/// What keys do in one mode only, under its heading.
type Section = (&'static str, &'static [(HelpKeys, &'static str)]);

const GRID: Section = (
    "Grid",
    &[
        (
            HelpKeys::First(&[Action::Leave, Action::Down, Action::Up, Action::Enter]),
            "left, down, up, right",
        ),
        (HelpKeys::Usual(Action::Enter, KeyCode::Enter), "open"),
        (
            HelpKeys::Usual(Action::Leave, KeyCode::Backspace),
            "leave folder",
        ),
        (
            HelpKeys::First(&[Action::ZoomIn, Action::ZoomOut]),
            "larger, smaller tiles",
        ),
        (HelpKeys::Of(Action::ZoomFit), "default tile size"),
        (HelpKeys::Of(Action::Whole), "full screen"),
        (HelpKeys::Of(Action::Back), "back to the list"),
    ],
);

const COMPARE: Section = (
    "Compare",
    &[
        (
            HelpKeys::First(&[Action::Leave, Action::Enter]),
            "left, right side",
        ),
        (
            HelpKeys::First(&[Action::Down, Action::Up]),
            "next, previous file",
        ),
        (
            HelpKeys::Usual(Action::Enter, KeyCode::Enter),
            "go to the file",
        ),
        (
            HelpKeys::First(&[Action::FrameNext, Action::FramePrevious]),
            "page the stack",
        ),
        (HelpKeys::Of(Action::Link), "link, unlink sides"),
        (HelpKeys::Of(Action::PromptSet), "prompts on the right"),
        (HelpKeys::Of(Action::Whole), "full screen"),
        (HelpKeys::Of(Action::Back), "back to the list"),
    ],
);

const ACTIVITY: Section = (
    "Activity",
    &[
        (HelpKeys::First(&[Action::Down, Action::Up]), "older, newer"),
        (HelpKeys::Of(Action::Enter), "go to the file"),
        (
            HelpKeys::First(&[Action::NextNew, Action::PreviousNew]),
            "next, previous failed",
        ),
        (HelpKeys::Of(Action::Why), "why it failed"),
        (HelpKeys::Of(Action::Classify), "try it again"),
        (HelpKeys::Of(Action::ClassifyAll), "try all failed again"),
        (HelpKeys::Of(Action::Back), "back to the list"),
    ],
);

const AGREEMENT: Section = (
    "Agreement",
    &[
        (
            HelpKeys::First(&[Action::Leave, Action::Down, Action::Up, Action::Enter]),
            "left, down, up, right",
        ),
        (
            HelpKeys::Usual(Action::Enter, KeyCode::Enter),
            "list the images",
        ),
        (HelpKeys::Of(Action::Back), "back to the list"),
    ],
);

const LEARNING: Section = (
    "Learning",
    &[
        (
            HelpKeys::First(&[Action::Down, Action::Up]),
            "next, previous image",
        ),
        (HelpKeys::Of(Action::Enter), "go to the image"),
        (HelpKeys::Letter('a'), "accept what was learned"),
        (HelpKeys::Letter('u'), "undo what is in use"),
        (HelpKeys::Of(Action::Back), "back to the list"),
    ],
);

const NEIGHBOURS: Section = (
    "Nearest reviewed images",
    &[
        (
            HelpKeys::First(&[Action::Leave, Action::Down, Action::Up, Action::Enter]),
            "left, down, up, right",
        ),
        (
            HelpKeys::Usual(Action::Enter, KeyCode::Enter),
            "go to the image",
        ),
        (HelpKeys::Of(Action::Back), "back to the list"),
    ],
);

const TAGS: Section = (
    "Tags",
    &[
        (
            HelpKeys::First(&[Action::Down, Action::Up]),
            "next, previous",
        ),
        (HelpKeys::Of(Action::Enter), "unfold, show in full"),
        (HelpKeys::Of(Action::Leave), "fold, or close"),
        (HelpKeys::Of(Action::Search), "search"),
        (HelpKeys::Of(Action::Copy), "copy the value"),
        (HelpKeys::Of(Action::Patient), "show patient values"),
        (HelpKeys::Of(Action::Back), "back to the file"),
    ],
);

const PICKER: Section = (
    "Choose",
    &[
        (
            HelpKeys::First(&[Action::Down, Action::Up]),
            "next, previous",
        ),
        (HelpKeys::Of(Action::Enter), "choose"),
        (HelpKeys::Of(Action::Back), "cancel"),
    ],
);

const MENU: Section = (
    "View",
    &[
        (
            HelpKeys::First(&[Action::Down, Action::Up]),
            "next, previous",
        ),
        (HelpKeys::Of(Action::Enter), "run (or press letter)"),
        (HelpKeys::Of(Action::Back), "cancel"),
    ],
);

/// The section of a mode.
fn section(mode: InputMode) -> Option<Section> {
    match mode {
        InputMode::Grid => Some(GRID),
        InputMode::Compare => Some(COMPARE),
        InputMode::Activity => Some(ACTIVITY),
        InputMode::Agreement => Some(AGREEMENT),
        InputMode::Learning => Some(LEARNING),
        InputMode::Neighbours => Some(NEIGHBOURS),
        InputMode::Tags | InputMode::TagSearch => Some(TAGS),
        InputMode::Picker => Some(PICKER),
        InputMode::Menu => Some(MENU),
        InputMode::Panels(_)
        | InputMode::FullScreen
        | InputMode::Line
        | InputMode::Reading
        | InputMode::Review => None,
    }
}

/// The general sections that are most useful in a mode.
fn ahead(mode: InputMode) -> &'static [&'static str] {
    match mode {
        InputMode::FullScreen | InputMode::Panels(Panel::Preview) => &["Image", "Window", "Frames"],
        InputMode::Panels(_) => &["Move", "Classify"],
        InputMode::Review => &["Review"],
        _ => &[],
    }
}

/// The lines of the help in a popup of `width` columns: in two columns where there is room.
pub(super) fn lines(keymap: &Keymap, mode: InputMode, width: usize) -> Vec<PopupLine> {
    let lines = keymap.help(mode);
    // Split between groups, where the columns become most equal.
    let gaps = (0..lines.len()).filter(|at| lines[*at] == HelpLine::Gap);
    let split = gaps.min_by_key(|at| (*at).max(lines.len() - at));
    let Some(split) = split.filter(|_| width >= TWO_COLUMNS) else {
        return lines
            .into_iter()
            .map(|line| PopupLine::Help(vec![line]))
            .collect();
    };
    let (left, right) = (&lines[..split], &lines[split + 1..]);
    (0..left.len().max(right.len()))
        .map(|i| {
            let column = |lines: &[HelpLine]| lines.get(i).cloned().unwrap_or(HelpLine::Gap);
            PopupLine::Help(vec![column(left), column(right)])
        })
        .collect()
}

impl Keymap {
    /// All bindings under their headings, the section of a mode first.
    pub fn help(&self, mode: InputMode) -> Vec<HelpLine> {
        let mut groups = Vec::new();
        let mut listed: HashSet<Action> = HashSet::new();
        if let Some((heading, lines)) = section(mode) {
            let bindings = lines.iter().map(|(keys, what)| (keys.shown(self), *what));
            groups.push((heading, bindings.collect::<Vec<_>>()));
            listed.extend(lines.iter().flat_map(|(keys, _)| keys.actions()));
        }
        if mode == InputMode::Review {
            let digits = (vec!["1 – 9".to_owned()], "a condition");
            let keys = review_keys::bindings().map(|(key, what)| (vec![key.to_string()], what));
            groups.push((
                "After the leader",
                std::iter::once(digits).chain(keys).collect(),
            ));
        }
        let ahead = ahead(mode);
        let mut all = HELP;
        all.sort_by_key(|(heading, _)| {
            let place = ahead.iter().position(|name| name == heading);
            place.unwrap_or(ahead.len())
        });
        for (heading, actions) in all {
            let rest = actions
                .iter()
                .filter(|(action, _)| !listed.contains(action));
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

    const EVERY: [(InputMode, &str); 8] = [
        (InputMode::Panels(Panel::List), "Move"),
        (InputMode::FullScreen, "Image"),
        (InputMode::Grid, "Grid"),
        (InputMode::Compare, "Compare"),
        (InputMode::Activity, "Activity"),
        (InputMode::Tags, "Tags"),
        (InputMode::Picker, "Choose"),
        (InputMode::Menu, "View"),
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
        for (mode, heading) in EVERY {
            let lines = keymap.help(mode);
            assert_eq!(lines[0], HelpLine::Heading(heading));
            let bindings = lines
                .iter()
                .filter(|line| matches!(line, HelpLine::Binding(..)));
            let own = section(mode).map_or(&[][..], |(_, lines)| lines);
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
        for (mode, _) in EVERY {
            let lines = changed.help(mode);
            let quit = HelpLine::Binding(vec!["Ctrl-q".to_owned()], "quit");
            assert!(lines.contains(&quit));
            let hidden = |line: &HelpLine| matches!(line, HelpLine::Binding(_, what) if what.contains("hidden"));
            assert!(!lines.iter().any(hidden));
        }
        let open = HelpLine::Binding(vec!["o".to_owned()], "open");
        assert!(changed.help(InputMode::Grid).contains(&open));
        let open = HelpLine::Binding(vec!["Enter".to_owned()], "open");
        assert!(keymap(&[]).help(InputMode::Grid).contains(&open));
    }
}
