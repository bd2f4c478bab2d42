//! The order of the files of a list.

use std::cmp::Ordering;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::entry::Stamp;
use super::keys::Action;
use super::results::{FileState, Results};
use crate::library::Record;
use crate::scoring::{Decision, Score, Verdict};

pub use crate::config::SortKey as Key;

impl Key {
    /// Its name on screen and in the state file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Time => "time",
            Self::Size => "size",
            Self::Label => "label",
            Self::Probability => "probability",
            Self::Urgency => "urgency",
            Self::Uncertainty => "uncertainty",
        }
    }

    /// The sort key that an action chooses.
    pub(super) fn chosen_by(action: Action) -> Option<Self> {
        Some(match action {
            Action::SortName => Self::Name,
            Action::SortNewest => Self::Time,
            Action::SortSize => Self::Size,
            Action::SortLabel => Self::Label,
            Action::SortProbability => Self::Probability,
            Action::SortUrgency => Self::Urgency,
            Action::SortUncertainty => Self::Uncertainty,
            _ => return None,
        })
    }

    /// Whether the order depends on results.
    pub fn needs_results(self) -> bool {
        !matches!(self, Self::Name | Self::Time | Self::Size)
    }

    /// The number that lists show of a result: the one that they are sorted by, else the probability; `None` if the result says
    /// nothing of it.
    pub(crate) fn figure(self, verdict: &Verdict) -> Option<f64> {
        match self {
            Self::Urgency => verdict.urgency,
            _ => Some(verdict.probability),
        }
    }
}

/// A sort order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sort {
    /// The sort key.
    pub by: Key,
    /// Descending instead of ascending.
    pub reversed: bool,
}

/// Whether a file has a rank, and why it has none. Those without come last in either direction, each kind
/// together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    #[default]
    Ranked,
    /// Without a time or a result.
    Missing,
    /// With a result that says nothing of what is sorted by.
    Unjudged,
    Rejected,
}

/// The rank of a file by a sort key other than its name; the smaller comes first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rank {
    standing: Standing,
    label: Option<String>,
    number: f64,
}

impl Rank {
    /// The rank of a file.
    pub fn of(by: Key, path: &Path, stamp: Stamp, results: &Results) -> Self {
        let number = |number: f64| Self {
            number,
            ..Self::default()
        };
        match by {
            Key::Name => Self::default(),
            Key::Time => stamp.modified.map_or(Self::missing(), |modified| {
                let age = modified.duration_since(SystemTime::UNIX_EPOCH);
                number(-age.map_or(0.0, |age| age.as_secs_f64()))
            }),
            Key::Size => number(-(stamp.size as f64)),
            _ => match results.get(path).and_then(FileState::record) {
                Some(record) if record.verdict.decision == Decision::Rejected => Self {
                    standing: Standing::Rejected,
                    ..Self::default()
                },
                Some(record) => Self::of_record(by, record),
                None => Self::missing(),
            },
        }
    }

    fn of_record(by: Key, record: &Record) -> Self {
        let verdict = &record.verdict;
        let number = match by {
            Key::Uncertainty => Some(lead(&verdict.scores)),
            _ => by.figure(verdict).map(|figure| -figure),
        };
        let Some(number) = number else {
            return Self {
                standing: Standing::Unjudged,
                ..Self::default()
            };
        };
        Self {
            standing: Standing::Ranked,
            label: (by == Key::Label).then(|| verdict.label.clone()),
            number,
        }
    }

    /// The rank by a number of which the highest comes first; `None` if it is not known.
    pub(super) fn descending(value: Option<f64>) -> Self {
        value.map_or(Self::missing(), |value| Self {
            number: -value,
            ..Self::default()
        })
    }

    /// Whether the file has no rank because it was rejected.
    pub(super) fn is_rejected(&self) -> bool {
        self.standing == Standing::Rejected
    }

    /// The number that the rank was made from, unless that is missing.
    pub(super) fn value(&self) -> Option<f64> {
        (self.standing == Standing::Ranked).then_some(-self.number)
    }

    fn missing() -> Self {
        Self {
            standing: Standing::Missing,
            ..Self::default()
        }
    }

    /// Compares two ranks; `reversed` applies to ranks that are not missing.
    pub fn cmp(&self, other: &Self, reversed: bool) -> Ordering {
        let order = self
            .label
            .cmp(&other.label)
            .then(self.number.total_cmp(&other.number));
        self.standing
            .cmp(&other.standing)
            .then(if reversed { order.reverse() } else { order })
    }
}

/// The lead of the first condition over the second in probability; 1 if there is no second.
fn lead(scores: &[Score]) -> f64 {
    match scores {
        [first, second, ..] => first.probability - second.probability,
        _ => 1.0,
    }
}

/// Compares names by the value of their numbers: `IM2` before `IM10`. Case counts only between names that are otherwise equal.
pub(crate) fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let step = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number, other) = (digits(&mut left), digits(&mut right));
            number
                .len()
                .cmp(&other.len())
                .then_with(|| number.cmp(other))
        } else {
            let step = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
            (left, right) = (&left[1..], &right[1..]);
            step
        };
        if step != Ordering::Equal {
            return step;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Splits off the number at the front, without its leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text
        .iter()
        .position(|c| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    *text = rest;
    let zeros = number.iter().take_while(|c| **c == b'0').count();
    &number[zeros..]
}
