//! The choice of a model: those of the catalogue and those in the cache. A missing one is downloaded; the previous one
//! stays in use until the new one is ready.

use std::collections::HashMap;

use super::effect::Effect;
use super::environment::Environment;
use super::popup::{Choice, Explanation, Popup};
use super::request::Request;
use super::status::EngineState;
use super::text::safe_str;
use crate::config::BUILTIN;
use crate::encoder::catalog::CatalogEntry;
use crate::encoder::hub::format_bytes;

/// A model that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedModel {
    /// As the value of `--model`.
    pub id: String,
    /// Its name once it is in use.
    pub name: String,
    /// Its entry in the catalogue.
    pub entry: Option<&'static CatalogEntry>,
    /// Whether it is in the cache or built in.
    pub there: bool,
}

/// The models that can be chosen, and the progress of the chosen one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ModelChooser {
    /// `None` until they were read.
    offered: Option<Vec<OfferedModel>>,
    pull: Option<ModelPull>,
    /// The model that is being loaded, and the number that its engine answers by.
    loading: Option<(u64, OfferedModel)>,
    /// The number of the engine in use; 0 is that of the start.
    engine: u64,
    /// Why earlier attempts failed, by id.
    faults: HashMap<String, String>,
}

/// A model that is being downloaded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelPull {
    serial: u64,
    offered: OfferedModel,
    came: u64,
    size: Option<u64>,
    /// Whether it waits for another process that is downloading the same model.
    waits: bool,
}

impl ModelPull {
    /// The progress, in a few words.
    pub(crate) fn progress(&self) -> String {
        match self.size {
            _ if self.waits => "another program is downloading it".to_owned(),
            Some(size) if size > 0 => {
                let percent = self.came.min(size) * 100 / size;
                format!("{percent} % of {}", format_bytes(size))
            }
            _ => "contacting the hub …".to_owned(),
        }
    }

    pub(crate) fn name(&self) -> String {
        short(&self.offered)
    }
}

/// The name in the catalogue, else the id.
fn short(offered: &OfferedModel) -> String {
    let name = offered
        .entry
        .map_or(offered.id.as_str(), |entry| entry.name.as_str());
    safe_str(name)
}

impl ModelChooser {
    /// The number of the engine in use.
    pub(super) fn engine(&self) -> u64 {
        self.engine
    }

    /// The model that is being downloaded.
    pub(crate) fn pull(&self) -> Option<&ModelPull> {
        self.pull.as_ref()
    }

    /// The name of the model that is being loaded; safe to show.
    pub(crate) fn loading(&self) -> Option<String> {
        let (_, offered) = self.loading.as_ref()?;
        Some(safe_str(&offered.name))
    }

    /// Whether a model is being downloaded or loaded.
    pub(super) fn is_busy(&self) -> bool {
        self.pull.is_some() || self.loading.is_some()
    }

    /// Sets the models that can be chosen; true if there were none before.
    pub(super) fn models_read(&mut self, offered: Vec<OfferedModel>) -> bool {
        self.offered.replace(offered).is_none()
    }

    /// The models to choose from; `None` while they are being read.
    pub(super) fn choices(&self, engine: &EngineState) -> Option<Vec<Choice>> {
        let all = self.offered.as_ref()?.iter();
        Some(all.map(|offered| self.choice(offered, engine)).collect())
    }

    fn choice(&self, offered: &OfferedModel, engine: &EngineState) -> Choice {
        let current = is_in_use(offered, engine);
        let pull = self.pull.as_ref();
        let pull = pull.filter(|pull| pull.offered.id == offered.id);
        let loading = self.loading.as_ref();
        let is_loading = loading.is_some_and(|(_, loading)| loading.id == offered.id);
        let size = offered
            .entry
            .and_then(|entry| entry.size().map(format_bytes));
        let beside = match (pull, &size) {
            (Some(pull), _) => pull.progress(),
            _ if current => "in use".to_owned(),
            _ if is_loading => "loading …".to_owned(),
            _ if offered.id == BUILTIN => "built in".to_owned(),
            (_, Some(size)) if !offered.there => size.clone(),
            (_, None) if !offered.there => "on the hub".to_owned(),
            _ => "in the cache".to_owned(),
        };
        let mut about = vec![match offered.entry {
            Some(entry) => entry.purpose.clone(),
            None if offered.id == BUILTIN => {
                "Tells kinds of image apart. Finds conditions in synthetic phantoms, and in images of yours what your labels teach it."
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
            about.extend(
                entry
                    .excludes
                    .as_ref()
                    .map(|text| format!("Not for: {text}")),
            );
        }
        let step = match pull {
            Some(_) => "Enter stops the download and keeps the part received.".to_owned(),
            None if current || is_loading => String::new(),
            None if offered.there => "Enter uses it.".to_owned(),
            None => format!(
                "Enter downloads {} from the hub and uses it.",
                size.unwrap_or_else(|| "it".to_owned())
            ),
        };
        about.extend(Some(step).filter(|step| !step.is_empty()));
        Choice {
            name: short(offered),
            beside,
            about: about.iter().map(|text| safe_str(text)).collect(),
            fault: self.faults.get(&offered.id).cloned(),
            current,
        }
    }

    /// Uses the model at a position of the list, after downloading it if necessary. Choosing the model that is being downloaded
    /// stops the download.
    pub(super) fn pick(
        &mut self,
        chosen: usize,
        engine: &EngineState,
        env: &mut Environment,
    ) -> Vec<Request> {
        let all = self.offered.as_ref();
        let Some(offered) = all.and_then(|all| all.get(chosen)).cloned() else {
            return Vec::new();
        };
        if let Some(pull) = &self.pull {
            let name = pull.name();
            if pull.offered.id == offered.id {
                self.pull = None;
                let words = format!("download of {name} stopped; choose it again to resume");
                return vec![Request::info(words), Request::Effect(Effect::StopPull)];
            }
            if !offered.there {
                let words = format!("{name} is being downloaded; only one download at a time");
                return vec![Request::error(words)];
            }
        }
        if is_in_use(&offered, engine) {
            return vec![Request::ClosePopup];
        }
        self.faults.remove(&offered.id);
        if offered.there {
            let load = self.load(offered, env);
            return vec![Request::ClosePopup, load];
        }
        let (serial, id) = (env.next_generation(), offered.id.clone());
        self.pull = Some(ModelPull {
            serial,
            offered,
            came: 0,
            size: None,
            waits: false,
        });
        vec![Request::Effect(Effect::Pull { id, serial })]
    }

    fn load(&mut self, offered: OfferedModel, env: &mut Environment) -> Request {
        let (serial, id) = (env.next_generation(), offered.id.clone());
        self.loading = Some((serial, offered));
        Request::Effect(Effect::UseModel { id, serial })
    }

    /// Updates the progress of a download.
    pub(super) fn pulling(&mut self, serial: u64, came: u64, size: Option<u64>, waits: bool) {
        if let Some(pull) = self.pull.as_mut().filter(|p| p.serial == serial) {
            (pull.came, pull.size, pull.waits) = (came, size, waits);
        }
    }

    /// Handles the end of a download. `popup_open`: whether a popup is open, so that an error must not open another.
    pub(super) fn pulled(
        &mut self,
        serial: u64,
        outcome: Result<(), String>,
        popup_open: bool,
        engine: &EngineState,
        env: &mut Environment,
    ) -> Vec<Request> {
        let Some(pull) = self.pull.take_if(|pull| pull.serial == serial) else {
            return Vec::new();
        };
        let mut offered = pull.offered;
        if let Err(message) = outcome {
            return vec![self.fail(&offered, "download failed", &message, popup_open, engine)];
        }
        offered.there = true;
        let all = self.offered.iter_mut().flatten();
        for other in all.filter(|other| other.id == offered.id) {
            other.there = true;
        }
        vec![self.load(offered, env)]
    }

    /// Notes why a model cannot be used, for the list; explains it at once where no popup is open.
    fn fail(
        &mut self,
        offered: &OfferedModel,
        kind: &'static str,
        message: &str,
        popup_open: bool,
        engine: &EngineState,
    ) -> Request {
        let message = safe_str(message);
        self.faults.insert(offered.id.clone(), message.clone());
        let name = short(offered);
        if popup_open {
            return Request::error(format!("{name}: {kind}"));
        }
        let advice = match engine {
            EngineState::Ready { model, .. } => Some(format!("{model} stays in use.")),
            _ => None,
        };
        Request::Open(Popup::Explanation(Explanation {
            subject: name,
            kind: Some(kind),
            message,
            advice,
        }))
    }

    /// Puts the engine of the chosen model into use, as it is ready; false if the engine is for another model.
    pub(super) fn loaded(&mut self, serial: u64) -> bool {
        let loaded = self.loading.take_if(|(loading, _)| *loading == serial);
        if loaded.is_some() {
            self.engine = serial;
        }
        loaded.is_some()
    }

    /// Handles that the engine of the chosen model cannot be used.
    pub(super) fn not_loaded(
        &mut self,
        serial: u64,
        message: &str,
        popup_open: bool,
        engine: &EngineState,
    ) -> Vec<Request> {
        let loading = self.loading.take_if(|(loading, _)| *loading == serial);
        let Some((_, offered)) = loading else {
            return Vec::new();
        };
        vec![
            self.fail(&offered, "not usable", message, popup_open, engine),
            Request::Effect(Effect::DropEngine { serial }),
        ]
    }
}

fn is_in_use(offered: &OfferedModel, engine: &EngineState) -> bool {
    matches!(engine, EngineState::Ready { model, .. } if *model == safe_str(&offered.name))
}
