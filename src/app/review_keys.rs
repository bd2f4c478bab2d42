//! The keys behind the leader: each reviews the image under the cursor, or opens a view of reviews.

use super::keys::Action;

/// A key behind the leader, what it does in a word or two, and its action.
type LeaderEntry = (char, &'static str, Action);

/// The keys, the most frequent first. Digits from 1 stand for conditions.
const ENTRIES: [LeaderEntry; 14] = [
    (',', "accept", Action::ReviewAccept),
    ('0', "none of them", Action::ReviewNone),
    ('n', "note", Action::ReviewNote),
    ('f', "flag", Action::ReviewFlag),
    ('j', "next unreviewed", Action::ReviewNext),
    ('u', "undo", Action::ReviewUndo),
    ('r', "redo", Action::ReviewRedo),
    ('x', "clear", Action::ReviewClear),
    ('s', "random sample", Action::ReviewSample),
    ('m', "one or several labels", Action::ReviewLabels),
    ('b', "blind", Action::ReviewBlind),
    ('c', "agreement", Action::ReviewAgreement),
    ('e', "disagreements", Action::ReviewErrors),
    ('l', "learn", Action::ReviewLearn),
];

/// Conditions that have a digit.
pub(crate) const DIGITS: usize = 9;

/// The state of the leader.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Leader {
    /// Whether it was pressed, and the key after it is awaited.
    pub awaits: bool,
    /// The conditions chosen so far, where several may apply.
    pub chosen: Vec<String>,
}

impl Leader {
    /// Ends the wait, and forgets what was chosen.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Chooses a condition, or withdraws it.
    pub(super) fn toggle(&mut self, condition: &str) {
        match self.chosen.iter().position(|own| own == condition) {
            Some(at) => drop(self.chosen.remove(at)),
            None => self.chosen.push(condition.to_owned()),
        }
    }
}

/// The action of a key behind the leader.
pub(super) fn action(key: char) -> Option<Action> {
    let found = ENTRIES.iter().find(|(own, ..)| *own == key);
    found.map(|(.., action)| *action)
}

/// The keys with what they do, as one line of the screen shows them: `, accept`.
pub(crate) fn hints() -> impl Iterator<Item = String> {
    ENTRIES.iter().map(|(key, what, _)| format!("{key} {what}"))
}

/// The keys and what they do.
pub(super) fn bindings() -> impl Iterator<Item = (char, &'static str)> {
    ENTRIES.iter().map(|(key, what, _)| (*key, *what))
}
