//! The result of each file, and a tally of each folder, which follows the states.

pub mod reviews;
mod state;
mod tally;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::entry::{FoundFile, Stamp};
use crate::engine::{self, Lane};
use crate::jobs::{End, Jobs, Reason};
use crate::learn::{LearnedSets, TaughtBy};
use crate::library::{Failure, Outcome, Record, ReviewChanges};
use crate::media::{ErrorKind, FileContent};
use crate::paths;
use crate::prompts::Prompts;
use reviews::{ImageReviews, Judged, Reviews};
pub use state::{FileState, FileStatus};
pub use tally::Tally;
pub use tally::could_be_taught;
pub(crate) use tally::{accepted, tells_kind_only};

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
    /// What reviewers say about the image, under the prompt set of its result.
    reviews: Option<Arc<ImageReviews>>,
}

impl KnownFile {
    fn new(stamp: Stamp, state: Option<FileState>, certainty: Certainty) -> Self {
        Self {
            stamp,
            state,
            certainty,
            answered: 0,
            reviews: None,
        }
    }

    fn is_reviewed(&self) -> bool {
        let reviews = self.reviews.as_ref();
        reviews.is_some_and(|reviews| reviews.is_decided())
    }

    /// The state with the reviews of the image.
    fn judged<'a>(&'a self, zone: &'a TimeZone) -> Option<Judged<'a>> {
        Some(Judged {
            state: self.state.as_ref()?,
            reviews: self.reviews.as_deref(),
            modified: self.stamp.modified,
            zone,
        })
    }
}

/// The states of all known files, and the jobs that change them.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    jobs: Jobs,
    files: HashMap<PathBuf, KnownFile>,
    tallies: HashMap<PathBuf, Tally>,
    /// The folder whose images are all known: it has been searched once.
    searched: Option<PathBuf>,
    reviews: Reviews,
    /// What was learned from reviews.
    learned: LearnedSets,
    /// Whether the reviewer works without sight of results.
    blind: bool,
    /// Changes with every state.
    revision: u64,
    /// The time zone in which dates are compared.
    zone: TimeZone,
}

impl Default for Results {
    fn default() -> Self {
        Self {
            jobs: Jobs::default(),
            files: HashMap::new(),
            tallies: HashMap::new(),
            searched: None,
            reviews: Reviews::default(),
            learned: LearnedSets::default(),
            blind: false,
            revision: 0,
            zone: TimeZone::UTC,
        }
    }
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
    /// No results. `reviews`: what is known of reviews; `blind`: whether verdicts are hidden; `zone`: where days begin and end.
    pub(super) fn new(reviews: Reviews, blind: bool, zone: TimeZone) -> Self {
        Self {
            reviews,
            blind,
            zone,
            ..Self::default()
        }
    }

    /// The state of a file, if it is known to be an image or was requested.
    pub fn get(&self, path: &Path) -> Option<&FileState> {
        self.files.get(path).and_then(|known| known.state.as_ref())
    }

    /// The content of a file that its state is about.
    pub fn stamp(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path).map(|known| known.stamp)
    }

    /// A number that changes whenever the state of a file does.
    pub fn revision(&self) -> u64 {
        self.revision
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
        let state = (certainty != Certainty::Doubted).then_some(FileState::Queued);
        let known = KnownFile::new(found.stamp, state, certainty);
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
            Some(FileState::Done(_) | FileState::Blind(_)) => known.stamp != stamp,
            Some(FileState::Failed(_)) => true,
        });
        if is_open {
            self.forget_one(path);
            let known = KnownFile::new(stamp, Some(FileState::Done(records)), Certainty::Told);
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
        let state = Some(FileState::Failed(failure));
        let known = KnownFile::new(Stamp::default(), state, Certainty::Told);
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
            Some(engine::ClassifiedFile {
                path: path.clone(),
                generation: known.answered,
                records: Arc::clone(known.state.as_ref()?.records()?),
            })
        });
        files.collect()
    }

    /// Applies new scores of a file, unless another answer has arrived since.
    pub fn rescored(&mut self, file: engine::ClassifiedFile) {
        let Some(known) = self.files.get(&file.path) else {
            return;
        };
        if known.answered != file.generation {
            return;
        }
        // Results from the library have no generation of their own.
        let subject = known.state.as_ref().and_then(FileState::subject);
        let is_same = subject.is_some_and(|record| {
            let first = file.records.first();
            first.is_some_and(|first| first.content == record.content)
        });
        if is_same && let Some(known) = self.forget_one(&file.path) {
            let state = Some(FileState::Done(file.records));
            self.insert(file.path, KnownFile { state, ..known });
        }
    }

    /// The files that another model has to classify: all images except those that cannot be read and those that wait for an
    /// answer already.
    pub fn answerable(&self) -> Vec<FoundFile> {
        let files = self.files.iter().filter_map(|(path, known)| {
            let depends = match known.state.as_ref()? {
                FileState::Done(_) | FileState::Blind(_) => true,
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

    /// The images below a folder, at any depth, with their contents and states; in no order.
    pub fn images_below(&self, dir: &Path) -> impl Iterator<Item = (&Path, Stamp, &FileState)> {
        // Most paths differ in their bytes already, which are compared faster than components.
        let may_be_below = |path: &Path| {
            let (path, dir) = (path.as_os_str(), dir.as_os_str());
            path.as_encoded_bytes().starts_with(dir.as_encoded_bytes())
        };
        let below = self
            .files
            .iter()
            .filter(move |(path, _)| may_be_below(path) && path.starts_with(dir));
        below.filter_map(|(path, known)| {
            let state = known.state.as_ref()?;
            let is_image = state.status() != FileStatus::NotAnImage;
            is_image.then_some((path.as_path(), known.stamp, state))
        })
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
        self.revision += 1;
        self.tallies_without(path, &known);
        Some(known)
    }

    /// Takes a file out of the tallies.
    fn tallies_without(&mut self, path: &Path, known: &KnownFile) {
        let Some(state) = &known.state else {
            return;
        };
        for dir in path.ancestors().skip(1) {
            if let Some(tally) = self.tallies.get_mut(dir) {
                tally.subtract(state, known.is_reviewed());
                if tally.is_empty() {
                    self.tallies.remove(dir);
                }
            }
        }
    }

    /// Adds a file that is not known; its verdict is hidden from a reviewer who works blind.
    fn insert(&mut self, path: PathBuf, mut known: KnownFile) {
        self.revision += 1;
        known.state = known.state.map(|state| state.blinded(self.blind));
        let subject = known.state.as_ref().and_then(FileState::subject);
        known.reviews = subject.and_then(|record| self.reviews.of(record));
        let is_reviewed = known.is_reviewed();
        if let Some(state) = &known.state {
            for dir in path.ancestors().skip(1) {
                match self.tallies.get_mut(dir) {
                    Some(tally) => tally.add(state, is_reviewed),
                    None => self
                        .tallies
                        .entry(dir.to_owned())
                        .or_default()
                        .add(state, is_reviewed),
                }
            }
        }
        self.files.insert(path, known);
    }

    // ── reviews ───────────────────────────────────────────────────────────────────────────────────────────────

    /// What is known of reviews.
    pub fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    /// Notes the prompts in use, on which it depends under which set an image is reviewed.
    pub(super) fn use_prompts(&mut self, prompts: Prompts) {
        self.reviews.use_prompts(prompts);
        self.insert_all_again();
    }

    /// Whether verdicts are hidden from the reviewer.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// What reviewers say about an image, under the prompt set of its result.
    pub fn reviews_of(&self, path: &Path) -> Option<&ImageReviews> {
        self.files.get(path)?.reviews.as_deref()
    }

    /// The state of a file with the reviews of the image.
    pub fn judged(&self, path: &Path) -> Option<Judged<'_>> {
        self.files.get(path)?.judged(&self.zone)
    }

    /// What was learned from reviews, and is in use.
    pub(super) fn learned(&self) -> &LearnedSets {
        &self.learned
    }

    /// Notes what was learned from reviews, and is in use.
    pub(super) fn set_learned(&mut self, learned: LearnedSets) {
        self.learned = learned;
    }

    /// What taught the scores of a result.
    pub(super) fn taught_by(&self, record: &Record) -> TaughtBy {
        taught_by(record, &self.learned)
    }

    /// All images below a folder that have a result, with their reviews.
    pub fn judged_below(&self, dir: &Path) -> impl Iterator<Item = (&Path, Judged<'_>)> {
        let files = self.files.iter();
        let files = files.filter(move |(path, _)| path.starts_with(dir));
        files.filter_map(|(path, known)| {
            let judged = known.judged(&self.zone)?;
            judged.state.subject()?;
            Some((path.as_path(), judged))
        })
    }

    /// Hides all verdicts from the reviewer, or shows them again.
    pub(super) fn set_blind(&mut self, blind: bool) {
        self.blind = blind;
        self.insert_all_again();
    }

    fn insert_all_again(&mut self) {
        for (path, known) in std::mem::take(&mut self.files) {
            self.tallies_without(&path, &known);
            self.insert(path, known);
        }
    }

    /// Applies changes of reviews. Returns the files that they concern.
    pub(super) fn take_reviews(&mut self, changes: ReviewChanges) -> Vec<PathBuf> {
        let contents = self.reviews.apply(changes);
        let concerned = self.files.iter().filter(|(_, known)| {
            let subject = known.state.as_ref().and_then(FileState::subject);
            subject.is_some_and(|record| contents.contains(&record.content))
        });
        let concerned: Vec<PathBuf> = concerned.map(|(path, _)| path.clone()).collect();
        for path in &concerned {
            if let Some(known) = self.forget_one(path) {
                self.insert(path.clone(), known);
            }
        }
        concerned
    }
}

/// What taught the scores of a result, as far as what is in use says.
pub fn taught_by(record: &Record, learned: &LearnedSets) -> TaughtBy {
    let digests = [&*record.model_digest, &*record.prompts_digest];
    learned.taught_by(digests, record.mode, (&record.content, record.learned))
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
mod tests;
