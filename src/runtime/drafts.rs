//! Drafts prompt sets with a language model, on a thread of their own, and saves them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choices::{ChoiceSources, StopFlag};
use super::folders::{MsgSender, spawn};
use crate::app::{DraftedSet, Msg};
use crate::engine::PhraseLinter;
use crate::llm::{Client, DraftRequest, LlmError, LlmSettings};
use crate::prompts::draft::{DraftModality, DraftedPhrases};
use crate::prompts::{self, PromptSet};

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
    let folder = folder.ok_or("there is no home folder for your own prompt sets")?;
    let told = |error: LlmError| error.to_string();
    let client = Client::new(llm.endpoint().map_err(told)?);
    let answer = client.complete(&request.chat(), |text| request.read(text), &mut |_| {
        if stop.is_set() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let draft = DraftedPhrases::new(answer.map_err(told)?);
    let name = free_name(&base.name, folder)?;
    let set = |draft: &DraftedPhrases| draft.to_set(&name, &DraftModality::default(), Some(&base));
    let linted = linter.lint(draft.clone(), set(&draft), || stop.is_set());
    let not_compared = linted.as_ref().err().cloned();
    let draft = linted.unwrap_or(draft);
    let set = set(&draft);
    let text = set.to_toml(&request.provenance(client.endpoint(), &draft));
    Ok(Box::new(DraftedSet {
        set,
        text,
        left_out: draft.left_out,
        not_compared,
        base,
    }))
}

/// Saves a draft, which replaces nothing, and reports its name.
pub(super) fn save(name: String, text: String, folder: Option<PathBuf>, send: MsgSender) {
    let answer = Arc::clone(&send);
    spawn("draft", &answer, move || {
        let none = || "there is no home folder for your own prompt sets".to_owned();
        let saved = folder.ok_or_else(none).and_then(|folder| {
            let file = folder.join(format!("{name}.toml"));
            if file.exists() {
                return Err(format!(
                    "{} has come meanwhile; draft it again",
                    file.display()
                ));
            }
            let saved = prompts::save(&file, &text);
            saved.map_err(|error| format!("{}: {error}", file.display()))
        });
        send(Msg::DraftSaved(saved.map(|()| name)));
    });
}

/// A name that no set has: `NAME-draft`, else with a number.
fn free_name(base: &str, folder: &Path) -> Result<String, String> {
    let name = |number| match number {
        1 => format!("{base}-draft"),
        number => format!("{base}-draft-{number}"),
    };
    let names = (1..MAX_NUMBER).map(name);
    let mut free = names.filter(|name| !folder.join(format!("{name}.toml")).exists());
    let none = || format!("{} is full of drafts; remove some", folder.display());
    free.next().ok_or_else(none)
}
