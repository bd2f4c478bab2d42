//! Drafts prompt sets with a language model, on a thread of their own.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choices::{ChoiceSources, StopFlag};
use super::folders::{MsgSender, spawn};
use crate::app::{DraftedSet, Msg};
use crate::llm::{Client, DraftRequest, LlmError, LlmSettings};
use crate::prompts::draft::{DraftModality, DraftedPhrases};
use crate::prompts::{self, PromptSet};

/// Numbers that are tried for the name of a drafted set.
const MAX_NUMBER: u32 = 1000;

/// Asks the language model, and saves its phrases as a set of their own beside `base`.
pub(super) fn draft(
    request: DraftRequest,
    base: PromptSet,
    serial: u64,
    sources: &ChoiceSources,
    send: MsgSender,
) -> StopFlag {
    let stop = StopFlag::default();
    let is_stopped = stop.clone();
    let (llm, folder) = (sources.llm.clone(), sources.prompts.clone());
    let answer = Arc::clone(&send);
    spawn("draft", &answer, move || {
        let outcome = drafted(&request, &base, (&llm, folder.as_deref()), &is_stopped);
        if !is_stopped.is_set() {
            send(Msg::Drafted { serial, outcome });
        }
    });
    stop
}

fn drafted(
    request: &DraftRequest,
    base: &PromptSet,
    (llm, folder): (&LlmSettings, Option<&Path>),
    stop: &StopFlag,
) -> Result<DraftedSet, String> {
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
    let (name, file) = free_name(&base.name, folder)?;
    let set = draft.to_set(&name, &DraftModality::default(), Some(base));
    let text = set.to_toml(&request.provenance(client.endpoint(), &draft));
    let saved = prompts::save(&file, &text);
    saved.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(DraftedSet {
        name,
        left_out: draft.left_out.len(),
    })
}

/// A name that no set has: `NAME-draft`, else with a number.
fn free_name(base: &str, folder: &Path) -> Result<(String, PathBuf), String> {
    let name = |number| match number {
        1 => format!("{base}-draft"),
        number => format!("{base}-draft-{number}"),
    };
    let names = (1..MAX_NUMBER).map(|number| {
        let file = folder.join(format!("{}.toml", name(number)));
        (name(number), file)
    });
    let mut free = names.filter(|(_, file)| !file.exists());
    let none = || format!("{} is full of drafts; remove some", folder.display());
    free.next().ok_or_else(none)
}
