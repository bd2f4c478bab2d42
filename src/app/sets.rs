//! Prompt sets to choose from, and every result scored anew by the one chosen.

use super::Effect;
use super::model::{EngineState, Model};
use super::msg::Severity;
use super::picker::{Choice, What};
use super::text::safe_str;
use crate::engine::ClassifiedFile;
use crate::prompts::{PromptError, PromptSet, Prompts};

/// A set that can be chosen, or why it cannot; with its name.
pub type Named = (String, Result<PromptSet, PromptError>);

/// The choice that leaves the choice to each picture.
const AUTO: &str = "auto";

/// Modalities or body parts that are told, at most.
const SHOWN: usize = 5;

/// How far the scoring anew has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rescoring {
    pub done: usize,
    pub all: usize,
}

impl Model {
    /// Opens the list; the sets are read anew, as the user may be writing one.
    pub(super) fn choose_prompts(&mut self) -> Vec<Effect> {
        self.open_picker(What::Prompts);
        vec![Effect::PromptSets]
    }

    pub(super) fn sets_read(&mut self, sets: Vec<Named>) {
        let first = self.sets.is_none();
        self.sets = Some(sets);
        if first && let Some(super::popup::Popup::Pick { .. }) = self.popup {
            self.open_picker(What::Prompts);
        }
    }

    pub(super) fn prompt_choices(&self) -> Option<Vec<Choice>> {
        let sets = self.sets.as_ref()?;
        let now = match &self.engine {
            EngineState::Ready { prompts, .. } => prompts.as_str(),
            _ => "",
        };
        let auto = Choice {
            name: AUTO.to_owned(),
            beside: "by modality".to_owned(),
            about: vec![
                "For each picture the set that its modality and body part call for, else general."
                    .to_owned(),
            ],
            current: now == AUTO,
            fault: None,
        };
        let all = sets.iter().map(|(name, set)| match set {
            Ok(set) => choice(set, now),
            Err(error) => Choice {
                name: safe_str(name),
                beside: "not usable".to_owned(),
                fault: Some(safe_str(&error.to_string())),
                ..Choice::default()
            },
        });
        Some(std::iter::once(auto).chain(all).collect())
    }

    pub(super) fn pick_prompts(&mut self, chosen: usize) -> Vec<Effect> {
        let sets = self.sets.iter().flatten();
        let prompts = match chosen.checked_sub(1) {
            None => Prompts::auto(sets.filter_map(|(_, set)| set.clone().ok()).collect()),
            Some(at) => match sets.map(|(_, set)| set).nth(at) {
                Some(Ok(set)) => Prompts::only(set.clone()),
                Some(Err(error)) => {
                    let sentence = error.to_string();
                    self.say(Severity::Error, &sentence);
                    return Vec::new();
                }
                None => return Vec::new(),
            },
        };
        if let EngineState::Failed(_) = self.engine {
            self.say(Severity::Error, "there is no model to score with");
            return Vec::new();
        }
        self.popup = None;
        self.say(
            Severity::Info,
            &format!("preparing the prompts “{}” …", prompts.name()),
        );
        vec![Effect::UsePrompts(prompts)]
    }

    /// Other prompts are in force: every result follows.
    pub(super) fn prompts_changed(&mut self, name: &str, warnings: &[String]) -> Vec<Effect> {
        if let EngineState::Ready { prompts, .. } = &mut self.engine {
            *prompts = safe_str(name);
        }
        match warnings.first() {
            Some(warning) => self.say(Severity::Info, warning),
            None => self.say(Severity::Info, &format!("prompts: {name}")),
        }
        let files = self.results.classified();
        self.rescoring = None;
        if files.is_empty() {
            return Vec::new();
        }
        self.rescoring = Some(Rescoring {
            done: 0,
            all: files.len(),
        });
        vec![Effect::Rescore(files)]
    }

    pub(super) fn rescored(&mut self, files: Vec<ClassifiedFile>, left: usize) {
        for file in files {
            self.results.rescored(file);
        }
        if let Some(rescoring) = &mut self.rescoring {
            rescoring.done = rescoring.all.saturating_sub(left);
        }
        if left == 0 {
            self.rescoring = None;
            // Once, not for each file: where results decide the order, all of it may change.
            self.folder.rerank_all(&self.results);
        }
    }
}

/// The first of a list, as examples.
fn some_of(all: &[String]) -> String {
    let more = if all.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", all[..all.len().min(SHOWN)].join(", "))
}

fn choice(set: &PromptSet, now: &str) -> Choice {
    let names: Vec<&str> = set.conditions.iter().map(|c| c.name.as_str()).collect();
    let mut about = vec![safe_str(&format!("{}: {}.", set.title, names.join(", ")))];
    let suits = [&set.modalities, &set.body_parts].map(|all| some_of(all));
    let suits: Vec<&str> = suits
        .iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    if !suits.is_empty() {
        about.push(safe_str(&format!("Made for {}.", suits.join(" of "))));
    }
    if let Some(file) = &set.file {
        about.push(safe_str(&file.to_string_lossy()));
    }
    Choice {
        name: safe_str(&set.name),
        beside: format!("{} conditions", names.len()),
        about,
        fault: None,
        current: set.name == now,
    }
}
