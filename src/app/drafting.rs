//! Drafts of prompt sets by a language model: what would be sent is shown, and sent only when the user agrees.

use super::effect::Effect;
use super::popup::PopupLine;
use super::request::Request;
use super::text;
use crate::llm::{ChatRequest, DraftRequest};
use crate::prompts::PromptSet;
use crate::prompts::draft::DraftModality;

/// A language model that the user configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageModel {
    /// The address that requests go to.
    pub url: String,
    /// Its name there.
    pub name: String,
    /// Whether it runs on this machine.
    pub is_local: bool,
}

/// A prompt set that was drafted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftedSet {
    /// Its name.
    pub name: String,
    /// Number of phrases that were left out.
    pub left_out: usize,
}

/// A request that the user has not agreed to yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DraftProposal {
    base: PromptSet,
    request: DraftRequest,
    chat: ChatRequest,
    model: LanguageModel,
}

/// Drafts with the language model, one at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drafting {
    /// `None` if none is configured; an error if it is, but wrongly.
    model: Option<Result<LanguageModel, String>>,
    serial: u64,
    is_underway: bool,
}

impl Drafting {
    pub(super) fn new(model: Option<Result<LanguageModel, String>>) -> Self {
        Self {
            model,
            ..Self::default()
        }
    }

    /// Whether the language model is at work.
    pub(crate) fn is_underway(&self) -> bool {
        self.is_underway
    }

    /// What would be sent to draft phrases for the conditions of a set; stops a draft that is under way instead.
    ///
    /// # Errors
    ///
    /// The requests that say why there is nothing to show.
    pub(super) fn propose(&mut self, base: &PromptSet) -> Result<DraftProposal, Vec<Request>> {
        if self.is_underway {
            self.is_underway = false;
            let stopped = Request::info("the draft was stopped");
            return Err(vec![Request::Effect(Effect::StopDraft), stopped]);
        }
        let refused = |words: &str| vec![Request::error(words)];
        let model = match &self.model {
            None => {
                let words = "no language model is configured; set MEDIVISION_LLM_URL and MEDIVISION_LLM_MODEL";
                return Err(vec![Request::info(words)]);
            }
            Some(Err(fault)) => return Err(refused(fault)),
            Some(Ok(model)) => model.clone(),
        };
        let drafted = base.conditions.iter().filter(|condition| !condition.other);
        let names: Vec<String> = drafted.map(|condition| condition.name.clone()).collect();
        let normal = base.conditions.iter().find(|condition| condition.normal);
        let normal = normal.map(|condition| condition.name.as_str());
        let modality = DraftModality::parse(&base.modalities.join(","));
        let request = DraftRequest::new(&names, normal, &modality.words);
        let request = request.map_err(|error| refused(&error.to_string()))?;
        Ok(DraftProposal {
            base: base.clone(),
            chat: request.chat(),
            request,
            model,
        })
    }

    /// Sends what the user agreed to.
    pub(super) fn send(&mut self, proposal: DraftProposal) -> Vec<Request> {
        self.serial += 1;
        self.is_underway = true;
        let words = format!("{} writes phrases …", text::safe_str(&proposal.model.name));
        vec![
            Request::info(words),
            Request::Effect(Effect::DraftPrompts {
                request: proposal.request,
                base: Box::new(proposal.base),
                serial: self.serial,
            }),
        ]
    }

    /// Handles an answer; `None` if nobody waits for it any more.
    pub(super) fn drafted(
        &mut self,
        serial: u64,
        outcome: Result<DraftedSet, String>,
        keys: [&str; 2],
    ) -> Option<Vec<Request>> {
        if serial != self.serial || !self.is_underway {
            return None;
        }
        self.is_underway = false;
        let drafted = match outcome {
            Err(reason) => return Some(vec![Request::error(reason)]),
            Ok(drafted) => drafted,
        };
        let left_out = match drafted.left_out {
            0 => String::new(),
            count => format!(" ({count} phrases left out)"),
        };
        let [list, edit] = keys;
        let words = format!(
            "drafted {}{left_out}; {list} lists it, {edit} there opens it",
            drafted.name
        );
        // The list may be open, and is read again.
        Some(vec![
            Request::info(words),
            Request::Effect(Effect::PromptSets),
        ])
    }
}

impl DraftProposal {
    /// Everything that would be sent, in lines of a width.
    pub(super) fn lines(&self, width: usize) -> Vec<PopupLine> {
        let place = if self.model.is_local {
            "on this machine"
        } else {
            "over the network"
        };
        let mut lines = Vec::new();
        let mut add = |text: &str, line: fn(String) -> PopupLine| {
            let wrapped = text
                .lines()
                .flat_map(|part| text::wrap(&text::safe_str(part), width));
            lines.extend(wrapped.map(line));
        };
        add(
            &format!("To {} ({place})", self.model.url),
            PopupLine::Subject,
        );
        add(
            "y sends this, and nothing else; Esc sends nothing.",
            PopupLine::Aside,
        );
        let body = self.chat.body(&self.model.name);
        for message in &self.chat.messages {
            lines_after_gap(&mut add);
            add(message.role, PopupLine::Aside);
            add(&message.content, PopupLine::Text);
        }
        lines_after_gap(&mut add);
        add("parameters", PopupLine::Aside);
        for (key, value) in body.as_object().into_iter().flatten() {
            if key != "messages" {
                add(&format!("{key}: {value}"), PopupLine::Text);
            }
        }
        lines
    }
}

/// Adds an empty line.
fn lines_after_gap(add: &mut impl FnMut(&str, fn(String) -> PopupLine)) {
    add(" ", PopupLine::Text);
}
