//! Watches the files of the prompt sets in use, so that saving one in an editor changes the results on screen.
//!
//! They are few and small, and editors replace them in many ways, also on network shares, where nothing is notified: looking at
//! them several times a second is cheap and always right.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::folders::{MsgSender, spawn};
use crate::app::Msg;
use crate::library::FileIdentity;
use crate::prompts::Prompts;

/// Interval at which the files are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a file may be gone while an editor replaces it.
const REPLACE_TIMEOUT: Duration = Duration::from_secs(2);

/// The prompts in use, with the number of the request that put them into use.
type InUse = Arc<Mutex<(Prompts, u64)>>;

/// The watching thread, which ends when this is dropped.
pub(super) struct PromptWatch {
    in_use: InUse,
    _stop: Sender<()>,
}

impl PromptWatch {
    /// Starts the thread. `folder`: the user's prompt sets, to which `auto` refers.
    pub(super) fn start(prompts: Prompts, folder: Option<PathBuf>, send: MsgSender) -> Self {
        let in_use: InUse = Arc::new(Mutex::new((prompts.clone(), 0)));
        let (stop, stopped) = bounded(0);
        let thread = WatchedPrompts {
            in_use: Arc::clone(&in_use),
            folder,
            send: Arc::clone(&send),
            prompts,
            revision: 0,
            seen: None,
            gone_since: None,
            doubted: None,
            fault: None,
        };
        spawn("prompt-files", &send, move || thread.run(&stopped));
        Self {
            in_use,
            _stop: stop,
        }
    }

    /// Watches the files of other prompts.
    pub(super) fn set(&self, prompts: Prompts, revision: u64) {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        *in_use = (prompts, revision);
    }
}

/// The files that prompts come from, and what they are now; `None` if they are gone.
type FileStates = Vec<(PathBuf, Option<FileIdentity>)>;

/// The state of the thread.
struct WatchedPrompts {
    in_use: InUse,
    folder: Option<PathBuf>,
    send: MsgSender,
    prompts: Prompts,
    revision: u64,
    /// The files of which `prompts` and `fault` are what was read; `None` if they may have changed since.
    seen: Option<FileStates>,
    gone_since: Option<Instant>,
    /// The files in which an error was found once: the editor may still be writing.
    doubted: Option<FileStates>,
    /// The error reported.
    fault: Option<String>,
}

impl WatchedPrompts {
    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            if !self.look() {
                return;
            }
            if stopped.recv_timeout(POLL_INTERVAL) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Looks at the files once, and reports a change; false if the loop has ended.
    fn look(&mut self) -> bool {
        self.follow();
        let states = file_states(&self.prompts, self.folder.as_deref());
        let is_gone = states.iter().any(|(_, identity)| identity.is_none());
        let gone_since = *self.gone_since.get_or_insert_with(Instant::now);
        if !is_gone {
            self.gone_since = None;
        } else if gone_since.elapsed() < REPLACE_TIMEOUT {
            return true;
        }
        if self.seen.as_ref() == Some(&states) {
            return true;
        }
        let opened_at = SystemTime::now();
        let (prompts, error) = self.prompts.reread(self.folder.as_deref());
        if error.is_some() && self.doubted.as_ref() != Some(&states) {
            self.doubted = Some(states);
            return true;
        }
        self.doubted = None;
        let fault = error.map(|error| error.to_string());
        let changed = (prompts != self.prompts).then_some(prompts);
        let mut identities = states.iter().filter_map(|(_, identity)| *identity);
        // Files that changed just now may change again without showing it.
        let is_settled = identities.all(|identity| identity.tells_changes_after(opened_at));
        self.seen = Some(states).filter(|_| is_settled && changed.is_none());
        if changed.is_none() && fault == self.fault {
            return true;
        }
        self.fault.clone_from(&fault);
        if let Some(prompts) = &changed {
            self.prompts = prompts.clone();
        }
        (self.send)(Msg::PromptsEdited {
            revision: self.revision,
            prompts: changed,
            fault,
        })
    }

    /// Turns to other prompts if they have been put into use.
    fn follow(&mut self) {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.1 != self.revision {
            (self.prompts, self.revision) = in_use.clone();
            (self.seen, self.doubted, self.gone_since) = (None, None, None);
            self.fault = None;
        }
    }
}

/// The files of prompts; for a choice by image, also the others in the user's folder.
fn file_states(prompts: &Prompts, folder: Option<&Path>) -> FileStates {
    let mut files: Vec<PathBuf> = prompts.files(folder);
    files.sort();
    files.dedup();
    let state = |file: PathBuf| {
        let identity = FileIdentity::of(&file);
        (file, identity)
    };
    files.into_iter().map(state).collect()
}

#[cfg(test)]
#[path = "prompt_files/tests.rs"]
mod tests;
