//! Keeps what was learned in files beside the library.

use std::path::Path;
use std::sync::Arc;

use super::folders::{MsgSender, spawn};
use crate::app::{Effect, Msg};
use crate::learn::{Learned, LearnedSets};
use crate::library::learned::{self, NotKept, Undone};

/// Carries out an effect that keeps what was learned or takes it back; others do nothing. `library`: the library's file.
pub(super) fn change(library: &Path, effect: Effect, send: MsgSender) {
    let folder = learned::folder(library);
    let answer = Arc::clone(&send);
    spawn("learned", &answer, move || {
        let outcome = carry_out(&folder, effect);
        let outcome = outcome.map_err(|error| error.to_string());
        let _ = send(Msg::LearnedKept { outcome });
    });
}

/// All that is in use then, unless nothing has changed, and a sentence about it.
fn carry_out(folder: &Path, effect: Effect) -> Result<(Option<LearnedSets>, String), NotKept> {
    let words = match effect {
        Effect::KeepLearned(own) => {
            learned::keep(folder, &own)?;
            own.words()
        }
        Effect::UndoLearned(subject) => {
            let (model, prompts) = (&subject.model_digest, &subject.prompts_digest);
            match learned::undo(folder, model, prompts, subject.mode)? {
                Undone::Restored => {
                    let (all, _) = learned::load(folder);
                    let now = all.find(model, prompts, subject.mode);
                    let now = now.map_or_else(|| "scores are zero-shot".to_owned(), Learned::words);
                    format!("undone: {now}, as before")
                }
                Undone::ZeroShot => "undone: nothing learned is in use".to_owned(),
                Undone::Nothing => {
                    let words = "there is nothing to undo: scores are zero-shot";
                    return Ok((None, words.to_owned()));
                }
            }
        }
        _ => String::new(),
    };
    Ok((Some(learned::load(folder).0), words))
}
