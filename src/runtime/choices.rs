//! The prompt sets and models that the user can choose from while the program runs. They are read and downloaded on separate
//! threads.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::folders::{MsgSender, spawn};
use crate::app::{Msg, OfferedModel};
use crate::config::BUILTIN;
use crate::encoder::hub::{self, HubCache, HubError, PullOptions, PullProgress};
use crate::encoder::{ModelOptions, ModelSource, catalog};
use crate::llm::LlmSettings;
use crate::prompts::{self, PromptSet};

/// The sources of the choices.
#[derive(Clone, Debug, Default)]
pub struct ChoiceSources {
    /// The folder of the user's prompt sets.
    pub prompts: Option<PathBuf>,
    /// The prompt set that the program was started with, a name or a file.
    pub given: String,
    /// The model that the program was started with.
    pub model: Option<ModelSource>,
    /// The options for opening models.
    pub options: ModelOptions,
    /// Whether the network must not be used.
    pub offline: bool,
    /// The language model that drafts prompts.
    pub llm: LlmSettings,
}

/// Reads the prompt sets.
pub(super) fn prompt_sets(sources: &ChoiceSources, send: MsgSender) {
    let sources = sources.clone();
    let answer = Arc::clone(&send);
    spawn("prompts", &answer, move || {
        let mut sets = prompts::all_named(sources.prompts.as_deref());
        let given = Path::new(&sources.given);
        let known = |file: &Path| {
            let mut files = sets
                .iter()
                .filter_map(|(_, set)| set.as_ref().ok()?.file.as_deref());
            files.any(|other| other == file)
        };
        // A file named at the start can be chosen again.
        if given.extension().is_some() && !known(given) {
            let name = given.file_stem().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            sets.push((name, PromptSet::read(given)));
        }
        send(Msg::PromptSets(sets));
    });
}

/// Lists the models that can be chosen.
pub(super) fn models(sources: &ChoiceSources, send: MsgSender) {
    let given = sources.model.clone();
    let answer = Arc::clone(&send);
    spawn("models", &answer, move || {
        send(Msg::Models(available_models(
            given,
            HubCache::of_user().as_ref(),
        )));
    });
}

/// The built-in model, those of the catalogue, others in the cache, and the one that the program was started with.
fn available_models(given: Option<ModelSource>, cache: Option<&HubCache>) -> Vec<OfferedModel> {
    let pulled = cache.map_or_else(Vec::new, HubCache::models);
    let whole: Vec<&str> = pulled
        .iter()
        .filter(|snapshot| snapshot.is_complete())
        .map(|snapshot| snapshot.id.as_str())
        .collect();
    let is_there = |id: &str| whole.contains(&id);
    let of_hub = |id: &str| OfferedModel {
        id: id.to_owned(),
        name: id.to_owned(),
        entry: catalog::find(id),
        there: is_there(id),
    };
    let mut all = vec![OfferedModel {
        there: true,
        ..of_hub(BUILTIN)
    }];
    all.extend(catalog::entries().iter().map(|entry| of_hub(&entry.id)));
    let others = pulled.iter().map(|snapshot| of_hub(&snapshot.id));
    all.extend(others.filter(|other| other.entry.is_none()));
    if let Some(source @ ModelSource::Path(path)) = &given
        && path.exists()
        && !all.iter().any(|other| other.name == source.name())
    {
        all.push(OfferedModel {
            id: path.to_string_lossy().into_owned(),
            name: source.name(),
            entry: None,
            there: true,
        });
    }
    all
}

/// Stops a pull.
#[derive(Clone, Default)]
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(super) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Interval of progress messages.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The progress of a pull.
struct DownloadProgress {
    /// Bytes received so far, including earlier attempts.
    received: u64,
    /// Bytes in total, once known.
    size: Option<u64>,
    /// Whether it waits for another program that pulls the same file.
    is_waiting: bool,
    last_sent: Instant,
}

impl DownloadProgress {
    fn apply(&mut self, step: PullProgress) {
        match step {
            PullProgress::Total(bytes) => self.size = Some(self.received + bytes),
            PullProgress::Received(bytes) => self.received += bytes,
            PullProgress::Discarded(bytes) => self.received = self.received.saturating_sub(bytes),
            PullProgress::Waiting(_) | PullProgress::File(_) | PullProgress::Pausing(_) => {}
        }
        self.is_waiting = matches!(step, PullProgress::Waiting(_));
    }

    /// Whether a message is due: at intervals, and after steps that may be the last for long.
    fn is_due(&self, step: PullProgress) -> bool {
        self.last_sent.elapsed() >= PROGRESS_INTERVAL
            || matches!(step, PullProgress::Total(_) | PullProgress::Waiting(_))
    }
}

/// Pulls a model from the hub.
pub(super) fn pull(id: String, serial: u64, offline: bool, send: MsgSender) -> StopFlag {
    let stop = StopFlag::default();
    let is_stopped = stop.clone();
    let answer = Arc::clone(&send);
    spawn("pull", &answer, move || {
        let mut progress = DownloadProgress {
            received: 0,
            size: None,
            is_waiting: false,
            last_sent: Instant::now(),
        };
        let mut report = |step: PullProgress| {
            progress.apply(step);
            if progress.is_due(step) {
                progress.last_sent = Instant::now();
                send(Msg::Pulling {
                    serial,
                    came: progress.received,
                    size: progress.size,
                    waits: progress.is_waiting,
                });
            }
            if is_stopped.is_set() {
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
    fn the_built_in_model_comes_first_and_the_one_of_the_start_last() {
        let folder = tempfile::tempdir().unwrap();
        let given = Some(ModelSource::Path(folder.path().to_owned()));
        let cache = HubCache::at(folder.path());
        let all = available_models(given, Some(&cache));
        assert!(all[0].id == BUILTIN && all[0].there);
        assert!(all[1].entry.is_some() && !all[1].there);
        let last = all.last().unwrap();
        assert!(last.there && Path::new(&last.id) == folder.path());
    }
}
