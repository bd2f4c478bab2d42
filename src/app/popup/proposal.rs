//! What would be sent to a language model, which the user is asked about.

use super::PopupLine;
use crate::app::text;
use crate::llm::{ChatRequest, DraftRequest, DraftRequestError};
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

/// A request that the user has not agreed to yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DraftProposal {
    pub(in crate::app) base: PromptSet,
    pub(in crate::app) request: DraftRequest,
    chat: ChatRequest,
    pub(in crate::app) model: LanguageModel,
}

impl DraftProposal {
    /// Asks for phrases for the conditions of a set.
    ///
    /// # Errors
    ///
    /// If a name cannot be sent.
    pub(in crate::app) fn new(
        base: &PromptSet,
        model: LanguageModel,
    ) -> Result<Self, DraftRequestError> {
        // What stands for everything else has no findings of its own.
        let drafted = base.conditions.iter().filter(|condition| !condition.other);
        let names: Vec<String> = drafted.map(|condition| condition.name.clone()).collect();
        let normal = base.conditions.iter().find(|condition| condition.normal);
        let normal = normal.map(|condition| condition.name.as_str());
        let modality = DraftModality::parse(&base.modalities.join(","));
        let request = DraftRequest::new(&names, normal, &modality.words)?;
        Ok(Self {
            base: base.clone(),
            chat: request.chat(),
            request,
            model,
        })
    }

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
