//! A drafted prompt set beside the one that it is to replace, before it is saved.

use std::path::PathBuf;

use super::PopupLine;
use crate::app::text;
use crate::prompts::draft::LeftOut;
use crate::prompts::{Change, PromptSet, difference};

/// A prompt set that was drafted, and is not saved yet.
#[derive(Clone, Debug, PartialEq)]
pub struct DraftedSet {
    /// The set.
    pub set: PromptSet,
    /// The set whose phrases it replaces.
    pub base: PromptSet,
    /// Comments at the head of its file, one a line.
    pub provenance: Vec<String>,
    /// What was left out of it.
    pub left_out: Vec<LeftOut>,
    /// Why no model has looked at the phrases, if none has.
    pub not_compared: Option<String>,
    /// Why it could not be saved, if that was tried.
    pub not_saved: Option<String>,
    /// The file in which it is kept since then.
    pub kept: Option<PathBuf>,
}

/// Why a draft is not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsavedDraft {
    /// The reason, and in which file the draft is kept.
    pub reason: String,
    /// That file.
    pub kept: Option<PathBuf>,
}

/// The draft, in lines of a width: what it changes, then what was left out of it and why.
pub(super) fn lines(drafted: &DraftedSet, width: usize) -> Vec<PopupLine> {
    let mut lines = Vec::new();
    let mut add = |mark: &str, text: &str, line: fn(String) -> PopupLine| {
        let room = width.saturating_sub(mark.len());
        for (at, part) in text::wrap(&text::safe_str(text), room)
            .into_iter()
            .enumerate()
        {
            let mark = if at == 0 {
                mark
            } else {
                &" ".repeat(mark.len())
            };
            lines.push(line(format!("{mark}{part}")));
        }
    };
    let (name, base) = (&drafted.set.name, &drafted.base.name);
    add("", &format!("{name}, beside {base}"), PopupLine::Subject);
    add(
        "",
        "+ is new, - would go. y saves it as a set of its own; Esc throws it away.",
        PopupLine::Aside,
    );
    if let Some(reason) = &drafted.not_saved {
        let words = format!("Not saved: {reason}. y tries again.");
        add("", &words, PopupLine::Text);
    }
    for (change, phrase) in difference(Some(&drafted.base), &drafted.set) {
        match change {
            Change::Heading => {
                add("", " ", PopupLine::Text);
                add("", &phrase, PopupLine::Subject);
            }
            Change::Same => add("    ", &phrase, PopupLine::Aside),
            Change::Removed => add("  - ", &phrase, PopupLine::Text),
            Change::Added => add("  + ", &phrase, PopupLine::Text),
        }
    }
    if let Some(reason) = &drafted.not_compared {
        add("", " ", PopupLine::Text);
        let words = format!("The phrases were not compared by a model: {reason}.");
        add("", &words, PopupLine::Text);
    }
    if !drafted.left_out.is_empty() {
        add("", " ", PopupLine::Text);
        add("", "left out", PopupLine::Subject);
    }
    for left in &drafted.left_out {
        let words = format!("{}: “{}”: {}", left.condition, left.phrase, left.fault);
        add("  ", &words, PopupLine::Aside);
    }
    lines
}
