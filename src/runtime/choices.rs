//! What the user can choose while the program runs, read from threads of its own.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::folders::{Send, spawn};
use crate::app::{Msg, Offered};
use crate::config::DEMO;
use crate::encoder::hub::{self, HubCache, HubError, PullOptions, PullProgress};
use crate::encoder::{ModelOptions, ModelSource, catalog};
use crate::prompts::{self, PromptSet};

/// Where the choices come from.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The folder of the user's prompt sets.
    pub prompts: Option<PathBuf>,
    /// The prompt set that the program was started with, by name or file.
    pub given: String,
    /// The model that it was started with.
    pub model: Option<ModelSource>,
    /// How models are opened.
    pub options: ModelOptions,
    /// The network must not be used.
    pub offline: bool,
}

/// Reads the prompt sets.
pub(super) fn prompt_sets(offer: &Offer, send: Send) {
    let offer = offer.clone();
    let answer = Arc::clone(&send);
    spawn("prompts", &answer, move || {
        let mut sets = prompts::all_named(offer.prompts.as_deref());
        let given = Path::new(&offer.given);
        let known = |file: &Path| {
            let mut files = sets
                .iter()
                .filter_map(|(_, set)| set.as_ref().ok()?.file.as_deref());
            files.any(|other| other == file)
        };
        // A file named at the start can be gone back to.
        if given.extension().is_some() && !known(given) {
            let name = given.file_stem().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            sets.push((name, PromptSet::read(given)));
        }
        send(Msg::PromptSets(sets));
    });
}

/// Looks into the cache.
pub(super) fn models(offer: &Offer, send: Send) {
    let given = offer.model.clone();
    let answer = Arc::clone(&send);
    spawn("models", &answer, move || {
        send(Msg::Models(offered(given, HubCache::of_user().as_ref())));
    });
}

/// The built-in model, those of the catalogue, others in the cache, and that of the start.
fn offered(given: Option<ModelSource>, cache: Option<&HubCache>) -> Vec<Offered> {
    let pulled = cache.map_or_else(Vec::new, HubCache::models);
    let is_there = |id: &str| pulled.iter().any(|snapshot| snapshot.id == id);
    let of_hub = |id: &str| Offered {
        id: id.to_owned(),
        name: id.to_owned(),
        entry: catalog::find(id),
        there: is_there(id),
    };
    let mut all = vec![Offered {
        there: true,
        ..of_hub(DEMO)
    }];
    all.extend(catalog::entries().iter().map(|entry| of_hub(&entry.id)));
    let others = pulled.iter().map(|snapshot| of_hub(&snapshot.id));
    all.extend(others.filter(|other| other.entry.is_none()));
    if let Some(source @ ModelSource::Path(path)) = &given
        && path.exists()
        && !all.iter().any(|other| other.name == source.name())
    {
        all.push(Offered {
            id: path.to_string_lossy().into_owned(),
            name: source.name(),
            entry: None,
            there: true,
        });
    }
    all
}

/// Ends a pull.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

/// How far a pull has come.
struct Progress {
    came: u64,
    size: Option<u64>,
    waits: bool,
    told: Instant,
}

impl Progress {
    fn step(&mut self, step: PullProgress) {
        match step {
            PullProgress::Total(bytes) => self.size = Some(self.came + bytes),
            PullProgress::Received(bytes) => self.came += bytes,
            PullProgress::Discarded(bytes) => self.came = self.came.saturating_sub(bytes),
            PullProgress::Waiting(_) | PullProgress::File(_) => {}
        }
        self.waits = matches!(step, PullProgress::Waiting(_));
    }

    /// Not each of thousands of steps reaches the screen; those after which nothing may come for long do.
    fn is_due(&self, step: PullProgress) -> bool {
        self.told.elapsed() >= TELL
            || matches!(step, PullProgress::Total(_) | PullProgress::Waiting(_))
    }
}

/// Fetches a model.
pub(super) fn pull(id: String, serial: u64, offline: bool, send: Send) -> Stop {
    let stop = Stop::default();
    let asked = stop.clone();
    let answer = Arc::clone(&send);
    spawn("pull", &answer, move || {
        let mut progress = Progress {
            came: 0,
            size: None,
            waits: false,
            told: Instant::now(),
        };
        let mut report = |step: PullProgress| {
            progress.step(step);
            if progress.is_due(step) {
                progress.told = Instant::now();
                send(Msg::Pulling {
                    serial,
                    came: progress.came,
                    size: progress.size,
                    waits: progress.waits,
                });
            }
            if asked.asked() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let outcome = match HubCache::of_user() {
            None => Err("there is no home folder; set HOME, or HF_HOME".to_owned()),
            Some(cache) => {
                let order = PullOptions {
                    cache: &cache,
                    id: &id,
                    revision: None,
                    offline,
                };
                match hub::pull(&order, &mut report) {
                    Err(HubError::Interrupted) => return,
                    Err(error) => Err(error.to_string()),
                    Ok(_) => Ok(()),
                }
            }
        };
        send(Msg::Pulled { serial, outcome });
    });
    stop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_model_comes_first_and_that_of_the_start_is_there_to_go_back_to() {
        let folder = tempfile::tempdir().unwrap();
        let given = Some(ModelSource::Path(folder.path().to_owned()));
        let cache = HubCache::at(folder.path());
        let all = offered(given, Some(&cache));
        assert!(all[0].id == DEMO && all[0].there);
        assert!(all[1].entry.is_some() && !all[1].there);
        let last = all.last().unwrap();
        assert!(last.there && Path::new(&last.id) == folder.path());
    }
}
