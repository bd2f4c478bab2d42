//! What the user can choose while the program runs, read from threads of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folders::{Send, spawn};
use crate::app::Msg;
use crate::prompts::{self, PromptSet};

/// Where the choices come from.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The folder of the user's prompt sets.
    pub prompts: Option<PathBuf>,
    /// The prompt set that the program was started with, by name or file.
    pub given: String,
}

/// Reads the prompt sets.
pub(super) fn prompt_sets(offer: &Offer, send: Send) {
    let offer = offer.clone();
    let answer = Arc::clone(&send);
    spawn("prompts", &answer, move || {
        let mut sets = prompts::each(offer.prompts.as_deref());
        let given = Path::new(&offer.given);
        let known = |file: &Path| {
            let mut files = sets
                .iter()
                .filter_map(|(_, set)| set.as_ref().ok()?.file.as_deref());
            files.any(|other| other == file)
        };
        // A file named at the start can be gone back to.
        if given.extension().is_some() && !known(given) {
            let name = given.file_stem().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            sets.push((name, PromptSet::read(given)));
        }
        send(Msg::PromptSets(sets));
    });
}
