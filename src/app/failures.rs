//! The list of files that failed, each with its reason.

use crossterm::event::KeyCode;

use super::environment::Environment;
use super::keys::Action;
use super::popup::{Choice, kind_advice, kind_word};
use super::results::Results;
use super::text::safe_str;

/// Maximum number of files listed: as many as anyone reads. The others can be tried again with all.
const MAX_LISTED: usize = 1000;

/// The files that failed, by path.
pub(super) fn choices(results: &Results, env: &Environment) -> Vec<Choice> {
    let failed = results.failed();
    let all = failed.len();
    let [one, every] = [Action::Classify, Action::ClassifyAll].map(|action| env.key(action));
    let enter = env.keymap.key_like(Action::Enter, KeyCode::Enter);
    let enter = enter.unwrap_or_default();
    let actions = match all {
        1 => format!("{one} tries it again, {enter} shows it."),
        n => format!("{one} tries it again, {every} tries all {n} again, {enter} shows it."),
    };
    let listed = failed.into_iter().take(MAX_LISTED);
    listed
        .map(|(path, failure)| Choice {
            name: env.show_path(path),
            beside: kind_word(failure.kind).to_owned(),
            about: vec![kind_advice(failure.kind).to_owned(), actions.clone()],
            fault: Some(safe_str(&failure.message)),
            current: false,
        })
        .collect()
}
