//! Models to choose from: those of the catalogue, those in the cache; fetched where they are missing, and taken into use
//! while the one before goes on answering.

use std::collections::HashMap;

use super::Effect;
use super::model::{EngineState, Model};
use super::msg::Severity;
use super::picker::{Choice, What};
use super::popup::{Popup, Why};
use super::text::safe_str;
use crate::config::DEMO;
use crate::encoder::catalog::CatalogEntry;
use crate::encoder::hub::format_bytes;
use crate::engine::{Event, Lane};

/// A model that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// What `--model` would be.
    pub id: String,
    /// Its name once it is in use.
    pub name: String,
    /// What the catalogue says of it.
    pub entry: Option<&'static CatalogEntry>,
    /// It need not be fetched.
    pub there: bool,
}

/// All about choosing a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Models {
    /// What there is, once it was read.
    offered: Option<Vec<Offered>>,
    pub pull: Option<Pull>,
    /// The model that is being read, and the number that its engine answers by.
    pub coming: Option<(u64, Offered)>,
    /// The number of the engine in use; 0 is that of the start.
    pub engine: u64,
    /// What became of earlier attempts, by id.
    faults: HashMap<String, String>,
}

/// A model that is being fetched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pull {
    serial: u64,
    offered: Offered,
    came: u64,
    size: Option<u64>,
    /// Another program fetches it, too; that is waited for.
    waits: bool,
}

impl Pull {
    /// How far it is, in a few letters.
    pub(crate) fn progress(&self) -> String {
        match self.size {
            _ if self.waits => "another program fetches it".to_owned(),
            Some(size) if size > 0 => {
                let percent = self.came.min(size) * 100 / size;
                format!("{percent} % of {}", format_bytes(size))
            }
            _ => "asking the hub …".to_owned(),
        }
    }

    pub(crate) fn name(&self) -> String {
        short(&self.offered)
    }
}

/// As the catalogue calls it, else its id.
fn short(offered: &Offered) -> String {
    let name = offered
        .entry
        .map_or(offered.id.as_str(), |entry| entry.name.as_str());
    safe_str(name)
}

impl Model {
    /// Opens the list; the cache is looked at anew.
    pub(super) fn choose_model(&mut self) -> Vec<Effect> {
        self.open_picker(What::Model);
        vec![Effect::Models]
    }

    pub(super) fn models_read(&mut self, offered: Vec<Offered>) {
        let first = self.models.offered.is_none();
        self.models.offered = Some(offered);
        let open = matches!(
            self.popup,
            Some(Popup::Pick {
                what: What::Model,
                ..
            })
        );
        if first && open {
            self.open_picker(What::Model);
        }
    }

    pub(super) fn model_choices(&self) -> Option<Vec<Choice>> {
        let all = self.models.offered.as_ref()?.iter();
        Some(all.map(|offered| self.model_choice(offered)).collect())
    }

    fn model_choice(&self, offered: &Offered) -> Choice {
        let current = self.is_in_use(offered);
        let pull = self.models.pull.as_ref();
        let pull = pull.filter(|pull| pull.offered.id == offered.id);
        let coming = self.models.coming.as_ref();
        let loading = coming.is_some_and(|(_, coming)| coming.id == offered.id);
        let size = offered
            .entry
            .map(|entry| format_bytes(entry.megabytes * 1_000_000));
        let beside = match (pull, &size) {
            (Some(pull), _) => pull.progress(),
            _ if current => "in use".to_owned(),
            _ if loading => "being read …".to_owned(),
            _ if offered.id == DEMO => "built in".to_owned(),
            (_, Some(size)) if !offered.there => size.clone(),
            _ => "in the cache".to_owned(),
        };
        let mut about = vec![match offered.entry {
            Some(entry) => entry.purpose.clone(),
            None if offered.id == DEMO => {
                "Knows synthetic phantoms only, for trying the program; rejects all else."
                    .to_owned()
            }
            None => "Not in the catalogue.".to_owned(),
        }];
        if let Some(entry) = offered.entry {
            let gated = if entry.gated {
                "; gated: needs an account and HF_TOKEN"
            } else {
                ""
            };
            about.push(format!("{}; licence: {}{gated}.", entry.id, entry.licence));
        }
        let step = match pull {
            Some(_) => "Enter stops; what has come is kept.".to_owned(),
            None if current || loading => String::new(),
            None if offered.there => "Enter takes it into use.".to_owned(),
            None => format!(
                "Enter fetches {} from the hub and takes it into use.",
                size.unwrap_or_else(|| "it".to_owned())
            ),
        };
        about.extend(Some(step).filter(|step| !step.is_empty()));
        Choice {
            name: short(offered),
            beside,
            about: about.iter().map(|text| safe_str(text)).collect(),
            fault: self.models.faults.get(&offered.id).cloned(),
            current,
        }
    }

    fn is_in_use(&self, offered: &Offered) -> bool {
        matches!(&self.engine, EngineState::Ready { model, .. } if *model == safe_str(&offered.name))
    }

    pub(super) fn pick_model(&mut self, chosen: usize) -> Vec<Effect> {
        let all = self.models.offered.as_ref();
        let Some(offered) = all.and_then(|all| all.get(chosen)).cloned() else {
            return Vec::new();
        };
        if let Some(pull) = &self.models.pull {
            let name = pull.name();
            if pull.offered.id == offered.id {
                self.models.pull = None;
                self.say(
                    Severity::Info,
                    &format!("stopped fetching {name}; choosing it again goes on from there"),
                );
                return vec![Effect::StopPull];
            }
            if !offered.there {
                self.say(
                    Severity::Error,
                    &format!("{name} is being fetched; one model at a time"),
                );
                return Vec::new();
            }
        }
        if self.is_in_use(&offered) {
            self.popup = None;
            return Vec::new();
        }
        self.models.faults.remove(&offered.id);
        if offered.there {
            self.popup = None;
            return self.take_into_use(offered);
        }
        let (serial, id) = (self.next_generation(), offered.id.clone());
        self.models.pull = Some(Pull {
            serial,
            offered,
            came: 0,
            size: None,
            waits: false,
        });
        vec![Effect::Pull { id, serial }]
    }

    fn take_into_use(&mut self, offered: Offered) -> Vec<Effect> {
        let (serial, id) = (self.next_generation(), offered.id.clone());
        self.models.coming = Some((serial, offered));
        vec![Effect::UseModel { id, serial }]
    }

    pub(super) fn pulling(&mut self, serial: u64, came: u64, size: Option<u64>, waits: bool) {
        if let Some(pull) = self.models.pull.as_mut().filter(|p| p.serial == serial) {
            (pull.came, pull.size, pull.waits) = (came, size, waits);
        }
    }

    /// A model is there, or cannot be had.
    pub(super) fn pulled(&mut self, serial: u64, outcome: Result<(), String>) -> Vec<Effect> {
        let Some(pull) = self.models.pull.take_if(|pull| pull.serial == serial) else {
            return Vec::new();
        };
        let mut offered = pull.offered;
        match outcome {
            Ok(()) => {
                offered.there = true;
                let all = self.models.offered.iter_mut().flatten();
                for other in all.filter(|other| other.id == offered.id) {
                    other.there = true;
                }
                if let Some(Popup::Pick { .. }) = self.popup {
                    self.popup = None;
                }
                self.take_into_use(offered)
            }
            Err(message) => {
                self.model_fault(&offered, "not fetched", &message);
                Vec::new()
            }
        }
    }

    /// Says why a model cannot be had: in its place in the list, and at once where the list is not open.
    fn model_fault(&mut self, offered: &Offered, kind: &'static str, message: &str) {
        let message = safe_str(message);
        let faults = &mut self.models.faults;
        faults.insert(offered.id.clone(), message.clone());
        let name = short(offered);
        if self.popup.is_some() {
            self.say(Severity::Error, &format!("{name}: {kind}"));
            return;
        }
        let now = match &self.engine {
            EngineState::Ready { model, .. } => Some(format!("{model} goes on answering.")),
            _ => None,
        };
        self.popup_scroll = 0;
        self.popup = Some(Popup::Why(Why {
            subject: name,
            kind: Some(kind),
            message,
            advice: now,
        }));
    }

    /// An engine that was started for another model says something.
    pub(super) fn other_engine(&mut self, serial: u64, event: Event) -> Vec<Effect> {
        let Some((_, offered)) = self.models.coming.take_if(|(coming, _)| *coming == serial) else {
            return Vec::new();
        };
        match event {
            event @ Event::Ready { .. } => {
                self.models.engine = serial;
                (self.rate, self.rescoring) = (None, None);
                let mut effects = vec![Effect::AdoptEngine { serial }];
                effects.extend(self.engine_said(event));
                self.ask_everything();
                effects
            }
            Event::Failed { message } => {
                self.model_fault(&offered, "not usable", &message);
                vec![Effect::DropEngine { serial }]
            }
            _ => {
                self.models.coming = Some((serial, offered));
                Vec::new()
            }
        }
    }

    /// Every picture is asked about, the one under the cursor first.
    fn ask_everything(&mut self) {
        self.results.jobs_mut().engine_lost();
        self.results.jobs_mut().engine_found();
        let current = self.folder.current().map(|row| row.path.clone());
        let all = self.results.answerable();
        let (first, rest) = all
            .into_iter()
            .partition(|found| Some(&found.path) == current.as_ref());
        if let Some(path) = &current {
            self.results.promote(path);
        }
        self.ask(first, Lane::Interactive);
        self.ask(rest, Lane::Bulk);
    }
}
