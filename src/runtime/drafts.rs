//! Drafts prompt sets with a language model, on a thread of their own, and saves them.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choices::{ChoiceSources, StopFlag};
use super::folders::{MsgSender, spawn};
use crate::app::{DraftedSet, Msg};
use crate::engine::PhraseLinter;
use crate::llm::{Client, DraftRequest, LlmError, LlmSettings};
use crate::prompts::draft::{DraftModality, DraftedPhrases};
use crate::prompts::{self, DraftFile, PromptSet};

/// Why nothing can be saved without a home.
const NO_FOLDER: &str = "there is no home folder for your own prompt sets";
/// Numbers that are tried for the name of a drafted set.
const MAX_NUMBER: u32 = 1000;

/// Asks the language model for phrases, and the model in use what it makes of them.
pub(super) fn draft(
    request: DraftRequest,
    base: PromptSet,
    serial: u64,
    (sources, linter): (&ChoiceSources, PhraseLinter),
    send: MsgSender,
) -> StopFlag {
    let stop = StopFlag::default();
    let is_stopped = stop.clone();
    let (llm, folder) = (sources.llm.clone(), sources.prompts.clone());
    let answer = Arc::clone(&send);
    spawn("draft", &answer, move || {
        let outcome = drafted(
            &request,
            base,
            (&llm, &linter, folder.as_deref()),
            &is_stopped,
        );
        if !is_stopped.is_set() {
            send(Msg::Drafted { serial, outcome });
        }
    });
    stop
}

fn drafted(
    request: &DraftRequest,
    base: PromptSet,
    (llm, linter, folder): (&LlmSettings, &PhraseLinter, Option<&Path>),
    stop: &StopFlag,
) -> Result<Box<DraftedSet>, String> {
    let folder = folder.ok_or(NO_FOLDER)?;
    // Before anything is sent: nothing that can be known by then costs an answer.
    let name = free_name(&base.name, folder)?;
    let told = |error: LlmError| error.to_string();
    let client = Client::new(llm.endpoint().map_err(told)?);
    let answer = client.complete(&request.chat(), |text| request.read(text), &mut |_| {
        if stop.is_set() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let answer = answer.map_err(told)?;
    let draft = DraftedPhrases::new(answer.content);
    let set = |draft: &DraftedPhrases| draft.to_set(&name, &DraftModality::default(), Some(&base));
    let linted = linter.lint(draft.clone(), set(&draft), || stop.is_set());
    let not_compared = linted.as_ref().err().cloned();
    let draft = linted.unwrap_or(draft);
    let set = set(&draft);
    Ok(Box::new(DraftedSet {
        set,
        provenance: request.provenance(client.endpoint(), answer.sent, &draft),
        left_out: draft.left_out,
        not_compared,
        not_saved: None,
        base,
    }))
}

/// Saves a draft, which replaces nothing, and reports its name; if that fails, it is kept in a file that the report names.
pub(super) fn save(drafted: Box<DraftedSet>, folder: Option<PathBuf>, send: MsgSender) {
    let answer = Arc::clone(&send);
    spawn("draft", &answer, move || {
        let saved = saved(&drafted, folder.as_deref());
        send(Msg::DraftSaved(saved));
    });
}

fn saved(drafted: &DraftedSet, folder: Option<&Path>) -> Result<String, String> {
    let none = || NO_FOLDER.to_owned();
    let saved = folder
        .ok_or_else(none)
        .and_then(|folder| saved_in(folder, drafted));
    saved.map_err(|reason| {
        let text = drafted.set.to_toml(&drafted.provenance);
        let draft = DraftFile::new(&drafted.set.name, &text, folder);
        match draft.and_then(DraftFile::keep) {
            Ok(file) => format!("{reason}; the draft is in {}", file.display()),
            Err(error) => format!("{reason}; the draft cannot be kept in a file either: {error}"),
        }
    })
}

/// Saves a draft in a folder under its name, or if that is taken by now, under the next one that is free; returns the name.
fn saved_in(folder: &Path, drafted: &DraftedSet) -> Result<String, String> {
    let own = std::iter::once(drafted.set.name.clone());
    for name in own.chain(names(&drafted.base.name)) {
        let file = file_of(&name, folder);
        if is_taken(&file) {
            continue;
        }
        let set = PromptSet {
            name: name.clone(),
            ..drafted.set.clone()
        };
        match prompts::save_new(&file, &set.to_toml(&drafted.provenance)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{}: {error}", file.display())),
            Ok(()) => return Ok(name),
        }
    }
    Err(is_full(folder))
}

/// A name that no set has: `NAME-draft`, else with a number.
fn free_name(base: &str, folder: &Path) -> Result<String, String> {
    let mut free = names(base).filter(|name| !is_taken(&file_of(name, folder)));
    free.next().ok_or_else(|| is_full(folder))
}

/// The names of drafts for a set.
fn names(base: &str) -> impl Iterator<Item = String> {
    (1..MAX_NUMBER).map(move |number| match number {
        1 => format!("{base}-draft"),
        number => format!("{base}-draft-{number}"),
    })
}

fn file_of(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.toml"))
}

/// Whether there is such a file, or a link that leads nowhere.
fn is_taken(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

fn is_full(folder: &Path) -> String {
    format!("{} is full of drafts; remove some", folder.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::prompts::Prompts;

    fn drafted() -> DraftedSet {
        let base = Prompts::select("general", None).unwrap().sets()[0].clone();
        let mut set = base.clone();
        "general-draft".clone_into(&mut set.name);
        DraftedSet {
            set,
            base,
            provenance: vec!["Drafted.".to_owned()],
            left_out: Vec::new(),
            not_compared: None,
            not_saved: None,
        }
    }

    #[test]
    fn a_draft_takes_the_next_name_if_its_own_has_been_taken_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["general-draft", "general-draft-2"] {
            assert_eq!(saved(&drafted(), Some(folder.path())).as_deref(), Ok(name));
            let set = PromptSet::read(&file_of(name, folder.path())).unwrap();
            assert_eq!(set.name, name);
        }
    }

    #[test]
    fn a_draft_that_cannot_be_saved_is_kept_in_a_file_that_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let folder = home.path().join("file/prompts");
        for folder in [Some(folder.as_path()), None] {
            let said = saved(&drafted(), folder).unwrap_err();
            let (_, kept) = said.split_once("; the draft is in ").unwrap();
            let text = fs::read_to_string(kept).unwrap();
            assert!(
                text.starts_with("# Drafted.\nname = \"general-draft\""),
                "{text}"
            );
            fs::remove_file(kept).unwrap();
        }
    }
}
