//! Watches the files beside the library that scores follow, of what was learned and of calibrations, so that what another process learns,
//! takes back or calibrates is used here, too, and what this one stores is what the library's other users would.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::folders::{MsgSender, spawn};
use crate::app::Msg;
use crate::learn::LearnedSets;
use crate::library::{FileIdentity, calibrations, learned};
use crate::scoring::calibration::Calibrations;

/// Interval at which a folder is looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What the files of a folder hold.
pub(super) trait ScoreFiles: Clone + Default + PartialEq + Send + 'static {
    /// The name of the watching thread.
    const THREAD: &str;

    /// The folder beside a library.
    fn folder(library: &Path) -> PathBuf;

    /// Reads the files, and says which cannot be used, a sentence each.
    fn load(folder: &Path) -> (Self, Vec<String>);

    /// The message that the files hold this, whether it is in use already, and which of them cannot be used.
    fn found(self, is_in_use: bool, faults: Vec<String>) -> Msg;
}

impl ScoreFiles for LearnedSets {
    const THREAD: &str = "learned-files";

    fn folder(library: &Path) -> PathBuf {
        learned::folder(library)
    }

    fn load(folder: &Path) -> (Self, Vec<String>) {
        learned::load(folder)
    }

    fn found(self, is_in_use: bool, faults: Vec<String>) -> Msg {
        Msg::LearnedFiles {
            learned: self,
            is_in_use,
            faults,
        }
    }
}

impl ScoreFiles for Calibrations {
    const THREAD: &str = "calibration-files";

    fn folder(library: &Path) -> PathBuf {
        calibrations::folder(library)
    }

    fn load(folder: &Path) -> (Self, Vec<String>) {
        calibrations::load(folder)
    }

    fn found(self, is_in_use: bool, faults: Vec<String>) -> Msg {
        Msg::CalibrationFiles {
            calibrations: self,
            is_in_use,
            faults,
        }
    }
}

/// What is in use.
type InUse<T> = Arc<Mutex<T>>;
/// The files in the folder, and what they are.
type FileStates = Vec<(PathBuf, Option<FileIdentity>)>;

/// The watching thread, which ends when this is dropped.
pub(super) struct ScoreFileWatch<T> {
    in_use: InUse<T>,
    _stop: Sender<()>,
}

impl<T: ScoreFiles> ScoreFileWatch<T> {
    /// Starts the thread. `library`: the library's file; `in_use`: what scores follow now.
    pub(super) fn start(library: &Path, in_use: T, send: MsgSender) -> Self {
        let in_use = Arc::new(Mutex::new(in_use));
        let (stop, stopped) = bounded(0);
        let watched = WatchedFolder::new(T::folder(library), &in_use, &send);
        spawn(T::THREAD, &send, move || watched.run(&stopped));
        Self {
            in_use,
            _stop: stop,
        }
    }

    /// Notes what is in use now.
    pub(super) fn set(&self, in_use: T) {
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = in_use;
    }
}

/// The state of the thread.
struct WatchedFolder<T> {
    folder: PathBuf,
    in_use: InUse<T>,
    send: MsgSender,
    /// The files of which `reported` is what was read, and which of them cannot be used.
    seen: Option<FileStates>,
    reported: (T, Vec<String>),
    /// The files in which something else was found once: this process may be about to use it.
    doubted: Option<FileStates>,
}

impl<T: ScoreFiles> WatchedFolder<T> {
    fn new(folder: PathBuf, in_use: &InUse<T>, send: &MsgSender) -> Self {
        Self {
            folder,
            in_use: Arc::clone(in_use),
            send: Arc::clone(send),
            seen: None,
            reported: <(T, Vec<String>)>::default(),
            doubted: None,
        }
    }

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

    /// Looks at the folder once, and reports what it holds if that is new; false if the loop has ended.
    fn look(&mut self) -> bool {
        let states = file_states(&self.folder);
        if self.seen.as_ref() == Some(&states) {
            return true;
        }
        let found = T::load(&self.folder);
        let is_in_use = *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) == found.0;
        if !is_in_use && self.doubted.as_ref() != Some(&states) {
            self.doubted = Some(states);
            return true;
        }
        self.doubted = None;
        self.seen = Some(states);
        if is_in_use && found == self.reported {
            return true;
        }
        self.reported.clone_from(&found);
        let (held, faults) = found;
        (self.send)(held.found(is_in_use, faults))
    }
}

fn file_states(folder: &Path) -> FileStates {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    let state = |file: PathBuf| {
        let identity = FileIdentity::of(&file);
        (file, identity)
    };
    files.into_iter().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Learned, LearningGain, Method};
    use crate::scoring::Mode;
    use crate::scoring::learned::LearnedCondition;
    use crate::scoring::metrics::Estimate;

    fn learned(gate: f64) -> Learned {
        let estimate = Estimate {
            value: 0.1,
            low: None,
            high: None,
            draws: None,
        };
        Learned {
            format: Learned::FORMAT,
            model: "m".to_owned(),
            model_digest: "blake3:1".to_owned(),
            prompts: "set".to_owned(),
            prompts_digest: "blake3:2".to_owned(),
            mode: Mode::Single,
            at: "2026-01-01T00:00:00Z".to_owned(),
            method: Method::Ridge,
            reviews: 5,
            unlabelled: 0,
            held_out: LearningGain {
                images: 5,
                accuracy_before: 0.5,
                accuracy_after: 0.6,
                accuracy_gain: estimate,
                log_loss_before: 1.0,
                log_loss_after: 0.9,
                log_loss_gain: estimate,
                balanced_accuracy: None,
                log_loss_tempered: None,
            },
            conditions: vec![LearnedCondition {
                condition: "c".to_owned(),
                gate,
                direction: vec![1.0, 0.0].into(),
            }],
            kind: None,
            shots: Vec::new(),
        }
    }

    #[test]
    fn what_another_process_learns_or_takes_back_is_reported_once() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("learned");
        let in_use = InUse::<LearnedSets>::default();
        let (messages, received) = crossbeam_channel::unbounded();
        let send: MsgSender = Arc::new(move |msg| messages.send(msg).is_ok());
        let mut watched = WatchedFolder::new(folder.clone(), &in_use, &send);
        let mut look = || {
            (0..3).for_each(|_| assert!(watched.look()));
            let all: Vec<Msg> = received.try_iter().collect();
            let all = all.into_iter().map(|msg| match msg {
                Msg::LearnedFiles {
                    learned,
                    is_in_use,
                    faults,
                } => (learned.0.len(), is_in_use, faults.len()),
                other => panic!("{other:?}"),
            });
            all.collect::<Vec<_>>()
        };
        assert_eq!(look(), []);
        learned::keep(&folder, &learned(0.3)).unwrap();
        assert_eq!(look(), [(1, false, 0)]);
        *in_use.lock().unwrap() = LearnedSets(vec![learned(0.3)]);
        assert_eq!(look(), [], "it is used now");
        learned::keep(&folder, &learned(0.6)).unwrap();
        assert_eq!(look(), [(1, false, 0)]);
        // What this process itself takes back is no news to it.
        *in_use.lock().unwrap() = LearnedSets(vec![learned(0.3)]);
        learned::undo(&folder, "blake3:1", "blake3:2", Mode::Single).unwrap();
        assert_eq!(look(), [(1, true, 0)]);
        learned::undo(&folder, "blake3:1", "blake3:2", Mode::Single).unwrap();
        assert_eq!(look(), [(0, false, 0)]);
        // A file that cannot be read is named, though what is in use is right.
        *in_use.lock().unwrap() = LearnedSets::default();
        std::fs::write(folder.join("damaged.toml"), "format = 2").unwrap();
        assert_eq!(look(), [(0, true, 1)]);
    }
}
