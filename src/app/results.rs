//! The result of each file, and a tally of each folder, which follows the states.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{FoundFile, Stamp};
use crate::engine::{self, Lane};
use crate::jobs::{End, Jobs, Reason};
use crate::library::{Failure, Outcome, Record};
use crate::media::{ErrorKind, FileContent};
use crate::paths;
use crate::scoring::Decision;

/// The state of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileState {
    /// Waits for the engine.
    Queued,
    /// Classified; one record for each frame that was classified, and one for their aggregate.
    Done(Arc<[Record]>),
    /// No result, with the reason.
    Failed(Failure),
}

impl FileState {
    /// The record of the file as a whole: the aggregate over its frames, else that of the first frame.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Done(records) => records
                .iter()
                .find(|r| r.aggregate.is_some())
                .or(records.first()),
            Self::Queued | Self::Failed(_) => None,
        }
    }

    /// The status.
    pub fn status(&self) -> FileStatus {
        match self {
            Self::Queued => FileStatus::Queued,
            Self::Failed(failure) if !failure.content.is_image() => FileStatus::NotAnImage,
            Self::Failed(_) => FileStatus::Failed,
            Self::Done(_) => match self.record().map(|r| r.verdict.decision) {
                Some(Decision::Confident) => FileStatus::Confident,
                Some(Decision::Rejected) => FileStatus::Rejected,
                Some(Decision::Uncertain) | None => FileStatus::Uncertain,
            },
        }
    }
}

/// The status of a file, which decides its symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileStatus {
    /// Classified with confidence.
    Confident,
    /// Classified, but uncertain.
    Uncertain,
    /// Rejected: the model is not meant for the image.
    Rejected,
    /// Waits for the engine.
    Queued,
    /// The image could not be read.
    Failed,
    /// The file does not hold an image.
    NotAnImage,
}

/// The images below a folder, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All images.
    pub pictures: usize,
    /// By status.
    pub statuses: BTreeMap<FileStatus, usize>,
    /// By label, without rejected images.
    pub labels: BTreeMap<String, usize>,
}

impl Tally {
    /// The number of images with a status.
    pub fn count(&self, status: FileStatus) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    fn add(&mut self, state: &FileState) {
        self.pictures += 1;
        *self.statuses.entry(state.status()).or_default() += 1;
        if let Some(label) = claim(state) {
            *self.labels.entry(label.to_owned()).or_default() += 1;
        }
    }

    fn subtract(&mut self, state: &FileState) {
        self.pictures = self.pictures.saturating_sub(1);
        subtract_one(&mut self.statuses, &state.status());
        if let Some(label) = claim(state) {
            subtract_one(&mut self.labels, label);
        }
    }
}

fn subtract_one<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(
    counts: &mut BTreeMap<K, usize>,
    key: &Q,
) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The label, unless the image was rejected.
fn claim(state: &FileState) -> Option<&str> {
    let record = state
        .record()
        .filter(|r| r.verdict.decision != Decision::Rejected)?;
    Some(&record.verdict.label)
}

/// Whether a file is known to be an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It is, by its first bytes or because the user named it.
    Told,
    /// It arrived, and has not been read. If it is not an image, it is forgotten.
    Assumed,
    /// It was not an image before it changed: it has no state until it proves to be one.
    Doubted,
}

#[derive(Clone, Debug, PartialEq)]
struct KnownFile {
    stamp: Stamp,
    /// `None` while it is doubtful whether it is an image.
    state: Option<FileState>,
    certainty: Certainty,
    /// The generation of the answer in `state`; 0 if no job brought it.
    answered: u64,
}

/// The states of all known files, and the jobs that change them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    jobs: Jobs,
    files: HashMap<PathBuf, KnownFile>,
    tallies: HashMap<PathBuf, Tally>,
    /// The folder whose images are all known: it has been searched once.
    searched: Option<PathBuf>,
}

/// What an answer of the engine changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultChange {
    /// The file has another state.
    State {
        /// The file.
        path: PathBuf,
        /// Whether it has arrived while the folder was watched, with a content that has not been reported.
        is_new: bool,
    },
    /// The file that arrived is not an image, and is forgotten.
    NotAnImage(PathBuf),
}

impl Results {
    /// The state of a file, if it is known to be an image or was requested.
    pub fn get(&self, path: &Path) -> Option<&FileState> {
        self.files.get(path).and_then(|known| known.state.as_ref())
    }

    /// The content of a file that its state is about.
    pub fn stamp(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path).map(|known| known.stamp)
    }

    /// Notes that all images under a folder are known.
    pub fn note_search(&mut self, root: &Path) {
        self.searched = Some(root.to_owned());
    }

    /// Whether the images under the root are known.
    pub fn is_searched(&self) -> bool {
        self.searched.is_some()
    }

    /// Whether a file is known not to be an image, because it is in a folder whose images are all known.
    pub fn is_ruled_out(&self, path: &Path) -> bool {
        let searched = self.searched.as_ref();
        searched.is_some_and(|root| path.starts_with(root)) && self.get(path).is_none()
    }

    /// Whether the file was gone when it was to be read, before the watch reported its removal. A dangling link is not gone.
    pub fn has_vanished(&self, path: &Path) -> bool {
        let state = self.get(path).filter(|_| !self.is_unreadable(path));
        matches!(state, Some(FileState::Failed(failure)) if failure.kind == ErrorKind::NotFound)
    }

    /// Whether the file was found to be a DICOMDIR.
    pub fn is_directory(&self, path: &Path) -> bool {
        matches!(self.get(path), Some(FileState::Failed(failure))
            if failure.content == FileContent::Directory)
    }

    /// The tally of a folder, at any depth.
    pub fn tally(&self, dir: &Path) -> Option<&Tally> {
        self.tallies.get(dir)
    }

    /// Whether there is a state for exactly this content, including a failure.
    pub fn knows(&self, path: &Path, stamp: Stamp) -> bool {
        self.files
            .get(path)
            .is_some_and(|known| known.stamp == stamp)
    }

    /// The jobs that bring the results.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The jobs, to be changed where no single file is concerned.
    pub fn jobs_mut(&mut self) -> &mut Jobs {
        &mut self.jobs
    }

    /// Requests the result of a file, replacing its state.
    pub fn ask(&mut self, found: FoundFile, lane: Lane, reason: Reason, certainty: Certainty) {
        self.jobs.request(&found.path, lane, reason, ());
        self.await_answer(found, certainty);
    }

    fn await_answer(&mut self, found: FoundFile, certainty: Certainty) {
        self.forget_one(&found.path);
        let known = KnownFile {
            stamp: found.stamp,
            state: (certainty != Certainty::Doubted).then_some(FileState::Queued),
            certainty,
            answered: 0,
        };
        self.insert(found.path, known);
    }

    /// Notes that a file is an image whose result may be in the library; it is queued, but not as a job.
    pub fn expect(&mut self, found: FoundFile, certainty: Certainty) {
        self.await_answer(found, certainty);
    }

    /// Sets a result that follows from the library, unless one is known of this content, or a job will bring it. `expected`: the
    /// file is queued by [`Self::expect`]. Returns whether it was set.
    pub fn recall(
        &mut self,
        path: &Path,
        stamp: Stamp,
        records: Arc<[Record]>,
        expected: bool,
    ) -> bool {
        let is_open = self.files.get(path).is_none_or(|known| match known.state {
            None => false,
            Some(FileState::Queued) => expected,
            Some(FileState::Done(_)) => known.stamp != stamp,
            Some(FileState::Failed(_)) => true,
        });
        if is_open {
            self.forget_one(path);
            let known = KnownFile {
                stamp,
                state: Some(FileState::Done(records)),
                certainty: Certainty::Told,
                answered: 0,
            };
            self.insert(path.to_owned(), known);
        }
        is_open
    }

    /// Permissions or times of a file changed. Returns whether its result is requested again.
    pub fn touched(&mut self, found: FoundFile) -> bool {
        let again = self.jobs.touched(&found.path, ());
        if again {
            self.await_answer(found, Certainty::Told);
        }
        again
    }

    /// Notes a file or folder that cannot be read, and whose result is not requested.
    pub fn fail(&mut self, path: &Path, failure: Failure) {
        self.jobs.forget(path);
        self.forget_one(path);
        let known = KnownFile {
            stamp: Stamp::default(),
            state: Some(FileState::Failed(failure)),
            certainty: Certainty::Told,
            answered: 0,
        };
        self.insert(path.to_owned(), known);
    }

    /// Whether it failed without having been read.
    pub fn is_unreadable(&self, path: &Path) -> bool {
        let known = self.files.get(path);
        known.is_some_and(|known| {
            known.stamp == Stamp::default() && matches!(known.state, Some(FileState::Failed(_)))
        })
    }

    /// Moves a file that waits in bulk to the interactive lane.
    pub fn promote(&mut self, path: &Path) {
        self.jobs.promote(path);
    }

    /// Applies an answer of the engine; `None` if it changes nothing.
    pub fn answer(&mut self, generation: u64, outcomes: Vec<Outcome>) -> Option<ResultChange> {
        let ended = self.jobs.answered(generation, outcomes)?;
        let is_new = ended.has_arrived && !ended.is_repeated;
        let (path, true, End::Answered(outcomes)) = (ended.path, ended.is_there, ended.end) else {
            return None;
        };
        let state = settle(outcomes)?;
        let mut known = self.forget_one(&path)?;
        if known.certainty != Certainty::Told && is_no_image(&state) {
            self.jobs.forget(&path);
            return Some(ResultChange::NotAnImage(path));
        }
        known.certainty = Certainty::Told;
        known.state = Some(state);
        known.answered = generation;
        self.insert(path.clone(), known);
        Some(ResultChange::State { path, is_new })
    }

    /// All classified files, to be scored again.
    pub fn classified(&self) -> Vec<engine::ClassifiedFile> {
        let files = self.files.iter().filter_map(|(path, known)| {
            let Some(FileState::Done(records)) = &known.state else {
                return None;
            };
            Some(engine::ClassifiedFile {
                path: path.clone(),
                generation: known.answered,
                records: Arc::clone(records),
            })
        });
        files.collect()
    }

    /// Applies new scores of a file, unless another answer has arrived since.
    pub fn rescored(&mut self, file: engine::ClassifiedFile) {
        let Some(known) = self.files.get_mut(&file.path) else {
            return;
        };
        if known.answered != file.generation {
            return;
        }
        let Some(state @ FileState::Done(_)) = &mut known.state else {
            return;
        };
        // Results from the library have no generation of their own.
        if state.record().map(|record| &record.content) != file.records.first().map(|r| &r.content)
        {
            return;
        }
        let before = std::mem::replace(state, FileState::Done(file.records));
        for dir in file.path.ancestors().skip(1) {
            if let Some(tally) = self.tallies.get_mut(dir) {
                tally.subtract(&before);
                tally.add(state);
            }
        }
    }

    /// The files that another model has to classify: all images except those that cannot be read and those that wait for an
    /// answer already.
    pub fn answerable(&self) -> Vec<FoundFile> {
        let files = self.files.iter().filter_map(|(path, known)| {
            let depends = match known.state.as_ref()? {
                FileState::Done(_) => true,
                FileState::Failed(failure) => failure.kind == ErrorKind::Internal,
                FileState::Queued => false,
            };
            depends.then(|| FoundFile {
                path: path.clone(),
                stamp: known.stamp,
            })
        });
        let mut files: Vec<FoundFile> = files.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// The images that failed, by path, with the reasons.
    pub fn failed(&self) -> Vec<(&Path, &Failure)> {
        if self.count(FileStatus::Failed) == 0 {
            return Vec::new();
        }
        let files = self.files.iter().filter_map(|(path, known)| {
            let Some(FileState::Failed(failure)) = &known.state else {
                return None;
            };
            failure
                .content
                .is_image()
                .then_some((path.as_path(), failure))
        });
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(|(path, _)| *path);
        files
    }

    /// Removes a file, or all files below a folder.
    pub fn removed(&mut self, path: &Path) {
        self.jobs.removed(path);
        for path in self.under(path) {
            self.forget_one(&path);
        }
    }

    /// Forgets a file.
    pub fn forget(&mut self, path: &Path) {
        self.jobs.forget(path);
        self.forget_one(path);
    }

    /// Moves a file, or all files below a folder.
    pub fn rename(&mut self, from: &Path, to: &Path) {
        self.jobs.renamed(from, to);
        // What lay there is overwritten.
        if !to.starts_with(from) && !from.starts_with(to) {
            for path in self.under(to) {
                self.forget_one(&path);
            }
        }
        for old in self.under(from) {
            let (Some(known), Some(new)) = (self.forget_one(&old), paths::renamed(&old, from, to))
            else {
                continue;
            };
            self.forget_one(&new);
            self.insert(new, known);
        }
    }

    /// The images below a folder, at any depth, with their contents; in no order.
    pub fn images_below(&self, dir: &Path) -> impl Iterator<Item = (&Path, Stamp)> {
        let files = self.files.iter().filter(move |(path, known)| {
            let status = known.state.as_ref().map(FileState::status);
            status.is_some_and(|status| status != FileStatus::NotAnImage) && path.starts_with(dir)
        });
        files.map(|(path, known)| (path.as_path(), known.stamp))
    }

    /// The known files in a folder, but not in its subfolders; in no order.
    pub fn files_in(&self, dir: &Path) -> Vec<FoundFile> {
        let files = self.files.iter();
        let files = files.filter(|(path, _)| path.parent() == Some(dir));
        let found = |(path, known): (&PathBuf, &KnownFile)| FoundFile {
            path: path.clone(),
            stamp: known.stamp,
        };
        files.map(found).collect()
    }

    /// The content of a file, if it is an image or may be one.
    pub fn image(&self, path: &Path) -> Option<Stamp> {
        let known = self.files.get(path)?;
        let status = known.state.as_ref()?.status();
        (status != FileStatus::NotAnImage).then_some(known.stamp)
    }

    /// The number of images with a status.
    pub fn count(&self, status: FileStatus) -> usize {
        self.tallies
            .get(Path::new("/"))
            .map_or(0, |tally| tally.count(status))
    }

    /// The number of files that wait for an answer.
    pub fn queued_count(&self) -> usize {
        self.count(FileStatus::Queued)
    }

    /// The file, or the files below the folder, by name.
    fn under(&self, path: &Path) -> Vec<PathBuf> {
        if self.files.contains_key(path) {
            return vec![path.to_owned()];
        }
        let files = self.files.keys().filter(|file| file.starts_with(path));
        let mut files: Vec<PathBuf> = files.cloned().collect();
        files.sort();
        files
    }

    fn forget_one(&mut self, path: &Path) -> Option<KnownFile> {
        let known = self.files.remove(path)?;
        let dirs = path.ancestors().skip(1);
        for (dir, state) in dirs.zip(std::iter::repeat(known.state.as_ref())) {
            let (Some(tally), Some(state)) = (self.tallies.get_mut(dir), state) else {
                continue;
            };
            tally.subtract(state);
            if tally.pictures == 0 {
                self.tallies.remove(dir);
            }
        }
        Some(known)
    }

    /// Adds a file that is not known.
    fn insert(&mut self, path: PathBuf, known: KnownFile) {
        if let Some(state) = &known.state {
            for dir in path.ancestors().skip(1) {
                match self.tallies.get_mut(dir) {
                    Some(tally) => tally.add(state),
                    None => self.tallies.entry(dir.to_owned()).or_default().add(state),
                }
            }
        }
        self.files.insert(path, known);
    }
}

/// Whether the file is not an image at all, not even a DICOM object without pixels, about which there is more to say.
fn is_no_image(state: &FileState) -> bool {
    matches!(state, FileState::Failed(failure)
        if !failure.content.is_image() && failure.kind != ErrorKind::NoPixels)
}

/// The state of a file from the outcomes of all frames: the records if there are any, else the first failure.
fn settle(outcomes: Vec<Outcome>) -> Option<FileState> {
    let mut records = Vec::new();
    let mut failure = None;
    for outcome in outcomes {
        match outcome {
            Ok(record) => records.push(record),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        _ if !records.is_empty() => Some(FileState::Done(records.into())),
        Some(failure) => Some(FileState::Failed(failure)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::JobCommand;
    use crate::media::ErrorKind;
    use proptest::prelude::*;

    fn stamp(size: u64) -> Stamp {
        Stamp {
            modified: None,
            size,
        }
    }

    fn ask(results: &mut Results, path: &str, size: u64, certainty: Certainty) -> u64 {
        let path = PathBuf::from(path);
        let stamp = stamp(size);
        results.ask(
            FoundFile { path, stamp },
            Lane::Bulk,
            Reason::Arrived,
            certainty,
        );
        let commands = results.jobs_mut().commands();
        let started = commands
            .into_iter()
            .rev()
            .find_map(|command| match command {
                JobCommand::Start(job) => Some(job.generation),
                _ => None,
            });
        started.expect("it is started")
    }

    fn unsupported(content: FileContent) -> Vec<Outcome> {
        vec![Err(Failure {
            kind: ErrorKind::Unsupported,
            message: "x".to_owned(),
            content,
        })]
    }

    #[test]
    fn an_answer_about_an_older_content_is_dropped() {
        let mut results = Results::default();
        let old = ask(&mut results, "/d/a", 1, Certainty::Told);
        let new = ask(&mut results, "/d/a", 2, Certainty::Told);
        assert_eq!(results.answer(old, unsupported(FileContent::Image)), None);
        assert_eq!(results.get(Path::new("/d/a")), Some(&FileState::Queued));
        assert!(
            results
                .answer(new, unsupported(FileContent::Image))
                .is_some()
        );
        assert_eq!(
            results.answer(99, unsupported(FileContent::Image)),
            None,
            "never asked"
        );
    }

    #[test]
    fn a_renamed_folder_takes_its_results_along_and_what_was_awaited() {
        let mut results = Results::default();
        let first = ask(&mut results, "/r/a/1", 1, Certainty::Told);
        ask(&mut results, "/r/a/2", 2, Certainty::Told);
        results.answer(first, unsupported(FileContent::Image));
        results.rename(Path::new("/r/a"), Path::new("/r/b/c"));
        let state = |path: &str| results.get(Path::new(path)).map(FileState::status);
        assert_eq!(state("/r/b/c/1"), Some(FileStatus::Failed));
        assert_eq!(state("/r/b/c/2"), Some(FileStatus::Queued));
        assert_eq!(state("/r/a/1"), None);
        assert_eq!(results.tally(Path::new("/r/a")), None);
        let tally = results.tally(Path::new("/r/b"));
        assert_eq!(tally.map(|t| t.count(FileStatus::Failed)), Some(1));
    }

    #[test]
    fn what_came_and_is_no_image_leaves_no_trace_unless_it_was_asked_for() {
        for (certainty, shown, kept) in [
            (Certainty::Told, true, true),
            (Certainty::Assumed, true, false),
            (Certainty::Doubted, false, false),
        ] {
            let mut results = Results::default();
            let generation = ask(&mut results, "/d/notes.txt", 1, certainty);
            let path = Path::new("/d/notes.txt");
            assert_eq!(results.queued_count(), usize::from(shown), "{certainty:?}");
            assert!(results.knows(path, stamp(1)), "it is not asked twice");
            results.answer(generation, unsupported(FileContent::Other));
            assert_eq!(results.get(path).is_some(), kept, "{certainty:?}");
            assert_eq!(results.tally(Path::new("/d")).is_some(), kept);
        }
        let mut results = Results::default();
        let generation = ask(&mut results, "/d/a", 1, Certainty::Doubted);
        results.answer(generation, unsupported(FileContent::Image));
        assert!(results.get(Path::new("/d/a")).is_some(), "it became one");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask(u8, bool),
        Answer(u64, bool),
        Remove(u8),
        Rename(u8, u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..6u8, any::<bool>()).prop_map(|(f, d)| Step::Ask(f, d)),
            (0..30u64, any::<bool>()).prop_map(|(g, n)| Step::Answer(g, n)),
            (0..8u8).prop_map(Step::Remove),
            (0..8u8, 0..8u8).prop_map(|(f, t)| Step::Rename(f, t)),
        ];
        prop::collection::vec(step, 0..60)
    }

    /// Six files in two folders; 6 and 7 are the folders.
    fn path(n: u8) -> PathBuf {
        match n {
            6 | 7 => PathBuf::from(format!("/r/{}", n - 6)),
            n => PathBuf::from(format!("/r/{}/{n}", n % 2)),
        }
    }

    proptest! {
        #[test]
        fn tallies_always_agree_with_the_states(steps in steps()) {
            let mut results = Results::default();
            for step in steps {
                match step {
                    Step::Ask(f, doubted) => {
                        let certainty = if doubted { Certainty::Doubted } else { Certainty::Assumed };
                        let found = FoundFile { path: path(f), stamp: stamp(1) };
                        results.ask(found, Lane::Bulk, Reason::Wanted, certainty);
                    }
                    Step::Answer(g, is_image) => {
                        results.jobs_mut().commands();
                        let content = if is_image { FileContent::Image } else { FileContent::Other };
                        results.answer(g, unsupported(content));
                    }
                    Step::Remove(f) => results.removed(&path(f)),
                    Step::Rename(f, t) if (f < 6) == (t < 6) && f != t => { results.rename(&path(f), &path(t)); }
                    Step::Rename(..) => {}
                }
            }
            let mut expected = HashMap::new();
            for (file, known) in &results.files {
                for (dir, state) in file.ancestors().skip(1).zip(std::iter::repeat(&known.state)) {
                    if let Some(state) = state {
                        expected.entry(dir.to_owned()).or_insert_with(Tally::default).add(state);
                    }
                }
            }
            prop_assert_eq!(&results.tallies, &expected);
        }
    }
}
