//! The choice of a prompt set and of the mode, by which all results are scored again.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::effect::Effect;
use super::popup::Choice;
use super::request::Request;
use super::status::EngineState;
use super::text::safe_str;
use crate::engine::ClassifiedFile;
use crate::prompts::{PromptError, PromptSet, Prompts};
use crate::scoring::Mode;

/// The conditions of prompt sets, by the names of the sets, in their order.
fn condition_orders(prompts: &Prompts) -> Vec<(String, Vec<String>)> {
    let sets = prompts.sets().iter();
    sets.map(|set| {
        let conditions = set.conditions.iter();
        let names = conditions.map(|condition| condition.name.clone());
        (set.name.clone(), names.collect())
    })
    .collect()
}

/// The name of a set that can be chosen, and the set, or why it cannot be used.
pub type NamedPromptSet = (String, Result<PromptSet, PromptError>);

/// The choice of a suitable set for each image.
const AUTO: &str = "auto";

/// Maximum number of modalities or body parts shown.
const MAX_EXAMPLES: usize = 5;

/// Progress of scoring all results again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rescoring {
    /// Files done.
    pub done: usize,
    /// Files in total.
    pub all: usize,
}

/// The prompt sets that can be chosen, and the progress of scoring by a new one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PromptSets {
    /// `None` until they were read.
    sets: Option<Vec<NamedPromptSet>>,
    in_use: Prompts,
    /// Prompts that the engine was asked to use and has not answered, the last one last, with their numbers.
    requested: Vec<(u64, Prompts)>,
    mode: Mode,
    /// The mode of the last run, until the engine was asked for it.
    remembered: Option<Mode>,
    rescoring: Option<Rescoring>,
    /// The number of the prompts that were put into use last; 0 for those of the start.
    revision: u64,
    /// What is wrong in a file of the prompts in use; safe to show.
    fault: Option<String>,
    /// The conditions of the sets that were in use, by name, in their order.
    orders: HashMap<String, Vec<String>>,
    /// Warnings that were told.
    warned: HashSet<String>,
}

impl PromptSets {
    /// The prompts and the mode at the start, and the mode to ask for as soon as there is an engine.
    pub(super) fn new(in_use: Prompts, mode: Mode, remembered: Mode) -> Self {
        Self {
            sets: None,
            orders: condition_orders(&in_use).into_iter().collect(),
            in_use,
            requested: Vec::new(),
            mode,
            remembered: Some(remembered),
            rescoring: None,
            revision: 0,
            fault: None,
            warned: HashSet::new(),
        }
    }

    /// The first of the model's warnings about prompts that was not told before.
    pub(super) fn new_warning<'a>(&mut self, warnings: &'a [String]) -> Option<&'a String> {
        let new = warnings
            .iter()
            .filter(|own| self.warned.insert((*own).clone()));
        new.collect::<Vec<_>>().into_iter().next()
    }

    /// Whether a set is chosen for each image, so that those in use need not score any.
    pub(super) fn are_chosen(&self) -> bool {
        self.in_use.is_auto()
    }

    /// Whether one condition applies, or each on its own.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// The mode for the next run to begin in.
    pub(super) fn lasting_mode(&self) -> Mode {
        self.remembered.unwrap_or(self.mode)
    }

    /// Asks the engine, once, for the mode of the last run; `None` if that is in use.
    pub(super) fn restore_mode(&mut self) -> Option<Effect> {
        let mode = self.remembered.take().filter(|mode| *mode != self.mode)?;
        Some(self.request_mode(mode))
    }

    /// Asks the engine for the other mode.
    pub(super) fn switch_mode(&mut self) -> Effect {
        let mode = match self.mode {
            Mode::Single => Mode::Multi,
            Mode::Multi => Mode::Single,
        };
        self.request_mode(mode)
    }

    /// Asks the engine for the prompts and the mode in use once more, because scores have changed otherwise.
    pub(super) fn renew(&mut self) -> Effect {
        self.request_mode(self.mode)
    }

    fn request_mode(&mut self, mode: Mode) -> Effect {
        let last = self.requested.last().map(|(_, prompts)| prompts);
        let prompts = last.unwrap_or(&self.in_use).clone();
        self.request(prompts, mode)
    }

    /// Notes what the engine now uses. Returns these prompts.
    pub(super) fn used(&mut self, revision: u64, mode: Mode) -> &Prompts {
        self.mode = mode;
        if let Some(prompts) = self.answered(revision) {
            self.in_use = prompts;
        }
        &self.in_use
    }

    /// Notes that the engine cannot use what it was asked for. Returns the effect that goes back to what it uses, unless it was asked
    /// for something else since.
    pub(super) fn refused(&mut self, revision: u64) -> Option<Effect> {
        self.answered(revision);
        if !self.requested.is_empty() {
            return None;
        }
        self.revision += 1;
        Some(Effect::KeepPrompts {
            prompts: self.in_use.clone(),
            mode: self.mode,
            revision: self.revision,
        })
    }

    /// Takes a request that the engine has answered, and drops earlier ones, which that superseded.
    fn answered(&mut self, revision: u64) -> Option<Prompts> {
        let all = std::mem::take(&mut self.requested).into_iter();
        let (mut done, waiting): (Vec<_>, Vec<_>) = all.partition(|(own, _)| *own <= revision);
        self.requested = waiting;
        done.pop().map(|(_, prompts)| prompts)
    }

    /// The conditions of a set in their order, if it was in use.
    pub(super) fn order(&self, set: &str) -> Option<&[String]> {
        self.orders.get(set).map(Vec::as_slice)
    }

    /// Progress of scoring all results again, while it is under way.
    pub(crate) fn rescoring(&self) -> Option<Rescoring> {
        self.rescoring
    }

    /// What is wrong in a file of the prompts in use, whose earlier content stays in use; safe to show.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Asks the engine for prompts in the mode in use.
    fn put_into_use(&mut self, prompts: Prompts) -> Effect {
        self.request(prompts, self.mode)
    }

    fn request(&mut self, prompts: Prompts, mode: Mode) -> Effect {
        self.revision += 1;
        self.orders.extend(condition_orders(&prompts));
        self.requested.push((self.revision, prompts.clone()));
        Effect::UsePrompts {
            prompts,
            mode,
            revision: self.revision,
        }
    }

    /// Whether a message is about the prompts that were put into use last.
    pub(super) fn is_in_use(&self, revision: u64) -> bool {
        revision == self.revision
    }

    /// Notes what is wrong in a file of the prompts in use, and puts into use what they have become.
    pub(super) fn edited(
        &mut self,
        prompts: Option<Prompts>,
        fault: Option<&str>,
    ) -> Option<Effect> {
        self.fault = fault.map(safe_str);
        prompts.map(|prompts| self.put_into_use(prompts))
    }

    /// Notes that results are no longer scored again, because another model is in use.
    pub(super) fn stop_rescoring(&mut self) {
        self.rescoring = None;
    }

    /// Sets the prompt sets that can be chosen; true if there were none before.
    pub(super) fn sets_read(&mut self, sets: Vec<NamedPromptSet>) -> bool {
        self.sets.replace(sets).is_none()
    }

    /// The sets to choose from; `None` while they are being read.
    pub(super) fn choices(&self, engine: &EngineState) -> Option<Vec<Choice>> {
        let sets = self.sets.as_ref()?;
        let now = match engine {
            EngineState::Ready { prompts, .. } => prompts.as_str(),
            _ => "",
        };
        let auto = Choice {
            name: AUTO.to_owned(),
            beside: "by image".to_owned(),
            about: vec![
                "For each image, the set for its modality and body part, else for its kind, else general."
                    .to_owned(),
            ],
            current: now == AUTO,
            fault: None,
        };
        let all = sets.iter().map(|(name, set)| match set {
            Ok(set) => choice(name, set, now),
            Err(error) => Choice {
                name: safe_str(name),
                beside: "not usable".to_owned(),
                fault: Some(safe_str(&error.to_string())),
                ..Choice::default()
            },
        });
        Some(std::iter::once(auto).chain(all).collect())
    }

    /// Uses the set at a position of the list.
    pub(super) fn pick(&mut self, chosen: usize, engine: &EngineState) -> Vec<Request> {
        let sets = self.sets.iter().flatten();
        let prompts = match chosen.checked_sub(1) {
            None => Prompts::auto(sets.filter_map(|(_, set)| set.clone().ok()).collect()),
            Some(at) => match sets.map(|(_, set)| set).nth(at) {
                Some(Ok(set)) => Prompts::only(set.clone()),
                Some(Err(error)) => return vec![Request::error(error.to_string())],
                None => return Vec::new(),
            },
        };
        if engine.has_failed() {
            return vec![Request::error("there is no model to score with")];
        }
        let words = format!("preparing the prompts “{}” …", prompts.name());
        self.fault = None;
        vec![
            Request::ClosePopup,
            Request::info(words),
            Request::Effect(self.put_into_use(prompts)),
        ]
    }

    /// The set in a row of the list; an error says why there is none.
    pub(super) fn listed(&self, row: usize) -> Result<PromptSet, String> {
        let auto =
            || "`auto` chooses a set for each image; choose one of the sets below".to_owned();
        let at = row.checked_sub(1).ok_or_else(auto)?;
        match self.sets.iter().flatten().nth(at) {
            // One that cannot be used can be edited: that is how it is mended.
            Some((name, Err(error))) => self.broken(name, error),
            Some((_, Ok(set))) => Ok(set.clone()),
            None => Err("the list is still being read".to_owned()),
        }
    }

    /// What an editor needs of a set that cannot be used: its file.
    fn broken(&self, name: &str, error: &PromptError) -> Result<PromptSet, String> {
        let file = PathBuf::from(&error.file);
        let any = self.in_use.sets().first().cloned();
        let any = any
            .filter(|_| file.is_absolute())
            .ok_or_else(|| error.to_string())?;
        Ok(PromptSet {
            name: name.to_owned(),
            digest: String::new(),
            file: Some(file),
            ..any
        })
    }

    /// The set in use; where one is chosen for each image, that of this name.
    pub(super) fn in_use_for(&self, name: Option<&str>) -> Result<PromptSet, String> {
        let sets = self.in_use.sets();
        let named = name.and_then(|name| sets.iter().find(|set| set.name == name));
        let only = || sets.first().filter(|_| !self.in_use.is_auto());
        let set = named.or_else(only).cloned();
        set.ok_or_else(|| {
            "a set is chosen for each image; go to a classified one, or choose a set".to_owned()
        })
    }

    /// Puts a set into use that was edited, unless it is watched: then its change has been seen. It takes the place of a built-in one
    /// of its name that is in use for some images; else it is for all.
    pub(super) fn edited_by_hand(&mut self, set: PromptSet) -> Option<Effect> {
        let mut in_use = self.in_use.sets().iter();
        if in_use.any(|other| other.file.is_some() && other.file == set.file) {
            return None;
        }
        let replaced = self.in_use.replacing(&set);
        if replaced.is_none() && self.in_use.is_auto() {
            return None;
        }
        Some(self.put_into_use(replaced.unwrap_or_else(|| Prompts::only(set))))
    }

    /// Begins to score classified files again with the new prompts.
    pub(super) fn rescore(&mut self, files: Vec<ClassifiedFile>) -> Option<Effect> {
        self.rescoring = (!files.is_empty()).then_some(Rescoring {
            done: 0,
            all: files.len(),
        });
        self.rescoring.map(|_| Effect::Rescore(files))
    }

    /// Notes how many files are still to be scored; true if none is left.
    pub(super) fn rescored(&mut self, left: usize) -> bool {
        if let Some(rescoring) = &mut self.rescoring {
            rescoring.done = rescoring.all.saturating_sub(left);
        }
        if left == 0 {
            self.rescoring = None;
        }
        left == 0
    }
}

/// The first items of a list.
fn some_of(all: &[String]) -> String {
    let more = if all.len() > MAX_EXAMPLES {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", all[..all.len().min(MAX_EXAMPLES)].join(", "))
}

fn choice(name: &str, set: &PromptSet, now: &str) -> Choice {
    let names: Vec<&str> = set.conditions.iter().map(|c| c.name.as_str()).collect();
    let mut about = vec![safe_str(&format!("{}: {}.", set.title, names.join(", ")))];
    if name != set.name {
        about.push(safe_str(&format!("Results name it {}.", set.name)));
    }
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
        name: safe_str(name),
        beside: format!("{} conditions", names.len()),
        about,
        fault: None,
        current: set.name == now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_listed_under_the_name_by_which_it_is_found() {
        let set = Prompts::select("general", None).unwrap().sets()[0].clone();
        let listed = choice("mine", &set, "general");
        assert_eq!((listed.name.as_str(), listed.current), ("mine", true));
        assert!(
            listed
                .about
                .contains(&"Results name it general.".to_owned())
        );
        assert!(choice("general", &set, "").about.len() < listed.about.len());
    }
}
