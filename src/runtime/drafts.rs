//! Drafts prompt sets with a language model, on a thread of their own, and saves them.

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choices::{ChoiceSources, StopFlag};
use super::folders::{MsgSender, spawn};
use crate::app::{DraftedSet, Msg, UnsavedDraft};
use crate::engine::PhraseLinter;
use crate::files;
use crate::llm::{Client, DraftRequest, LlmError, LlmSettings};
use crate::prompts::draft::{DraftModality, DraftedPhrases};
use crate::prompts::{DraftFile, PromptSet};

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
    let name = free_name(&base, folder)?;
    let file = file_of(&name, folder);
    files::check_writable(&file).map_err(|error| unwritable(&file, &error))?;
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
        kept: None,
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

fn saved(drafted: &DraftedSet, folder: Option<&Path>) -> Result<String, UnsavedDraft> {
    let none = || NO_FOLDER.to_owned();
    let saved = folder
        .ok_or_else(none)
        .and_then(|folder| saved_in(folder, drafted));
    match saved {
        Ok(name) => {
            if let Some(kept) = &drafted.kept {
                // One file too many does no harm.
                let _ = fs::remove_file(kept);
            }
            Ok(name)
        }
        Err(reason) => Err(unsaved(drafted, folder, &reason)),
    }
}

/// Keeps a draft that cannot be saved, unless an earlier try has done so.
fn unsaved(drafted: &DraftedSet, folder: Option<&Path>, reason: &str) -> UnsavedDraft {
    let earlier = drafted.kept.clone().filter(|file| file.is_file());
    let kept = earlier.map_or_else(
        || {
            let text = drafted.set.to_toml(&drafted.provenance);
            DraftFile::new(&drafted.set.name, &text, folder).and_then(DraftFile::keep)
        },
        Ok,
    );
    match kept {
        Ok(file) => UnsavedDraft {
            reason: format!("{reason}; the draft is in {}", file.display()),
            kept: Some(file),
        },
        Err(error) => UnsavedDraft {
            reason: format!("{reason}; the draft cannot be kept in a file either: {error}"),
            kept: None,
        },
    }
}

/// Saves a draft in a folder under its name, or if that is taken by now, under the next one that is free; returns the name.
fn saved_in(folder: &Path, drafted: &DraftedSet) -> Result<String, String> {
    // Apart from the file, as it may exist, too, and not be a folder.
    fs::create_dir_all(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} is not a folder", folder.display()),
        _ => unwritable(folder, &error),
    })?;
    let own = std::iter::once(drafted.set.name.clone());
    for name in own.chain(names(&drafted.base)) {
        let file = file_of(&name, folder);
        if is_taken(&file) {
            continue;
        }
        let set = PromptSet {
            name: name.clone(),
            ..drafted.set.clone()
        };
        match files::create(&file, set.to_toml(&drafted.provenance).as_bytes()) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritable(&file, &error)),
            Ok(()) => return Ok(name),
        }
    }
    Err(is_full(folder))
}

/// A name that no set has: `NAME-draft`, else with a number.
fn free_name(base: &PromptSet, folder: &Path) -> Result<String, String> {
    let mut free = names(base).filter(|name| !is_taken(&file_of(name, folder)));
    free.next().ok_or_else(|| is_full(folder))
}

/// The names of drafts for a set.
fn names(base: &PromptSet) -> impl Iterator<Item = String> {
    let name = base.draft_name();
    (1..MAX_NUMBER).map(move |number| match number {
        1 => name.clone(),
        number => format!("{name}-{number}"),
    })
}

fn file_of(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.toml"))
}

/// Whether there is such a file, or a link that leads nowhere.
fn is_taken(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

fn unwritable(file: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written: {error}", file.display())
}

fn is_full(folder: &Path) -> String {
    format!("{} is full of drafts; remove some", folder.display())
}

#[cfg(test)]
mod tests {
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
            kept: None,
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
    fn a_draft_stays_in_the_folder_whatever_its_set_calls_itself() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("prompts");
        for (file, name, expected) in [
            (None, "../../CT MR", "------CT-MR-draft"),
            (None, "/tmp/x", "-tmp-x-draft"),
            (Some("ward.toml"), "../CT/MR", "ward-draft"),
        ] {
            let mut own = drafted();
            own.base.name = name.to_owned();
            own.base.file = file.map(|file| folder.join(file));
            own.set.name = free_name(&own.base, &folder).unwrap();
            assert_eq!(saved(&own, Some(&folder)).unwrap(), expected);
            assert!(file_of(expected, &folder).is_file());
        }
        let all = |folder| fs::read_dir(folder).unwrap().count();
        assert_eq!((all(home.path()), all(&folder)), (1, 3));
    }

    #[test]
    fn a_draft_that_cannot_be_saved_is_kept_in_a_file_that_is_named_until_it_is_saved() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("prompts");
        fs::write(&folder, "").unwrap();
        let below = folder.join("prompts");
        for (folder, said) in [
            (Some(folder.as_path()), "prompts is not a folder"),
            (Some(below.as_path()), "cannot be written: Not a directory"),
            (None, NO_FOLDER),
        ] {
            let mut own = drafted();
            let first = saved(&own, folder).unwrap_err();
            assert!(first.reason.contains(said), "{}", first.reason);
            own.kept.clone_from(&first.kept);
            assert_eq!(saved(&own, folder).unwrap_err(), first, "no second file");
            let kept = first.kept.unwrap();
            let (_, named) = first.reason.split_once("; the draft is in ").unwrap();
            assert_eq!(Path::new(named), kept);
            let text = fs::read_to_string(&kept).unwrap();
            assert!(
                text.starts_with("# Drafted.\nname = \"general-draft\""),
                "{text}"
            );
            let free = home.path().join("free");
            assert!(saved(&own, Some(&free)).is_ok() && !kept.exists());
        }
    }
}
