//! What is known of each file: one state a path, and a tally a folder, kept as the states change.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Found, Stamp};
use crate::engine::{self, Lane};
use crate::jobs::{End, Jobs, Reason};
use crate::library::{Failure, Outcome, Record};
use crate::media::ErrorKind;
use crate::paths;
use crate::scoring::Decision;

/// Where a file stands.
#[derive(Clone, Debug, PartialEq)]
pub enum FileState {
    /// Handed over; the answer is awaited.
    Queued,
    /// Classified. More than one record when more than one frame was looked at.
    Done(Arc<[Record]>),
    /// No result, and why.
    Failed(Failure),
}

impl FileState {
    /// The record that stands for the file: the aggregate over its frames, else that of the first.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Done(records) => records
                .iter()
                .find(|r| r.aggregate.is_some())
                .or(records.first()),
            Self::Queued | Self::Failed(_) => None,
        }
    }

    /// The one word for it.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Queued => Standing::Queued,
            Self::Failed(Failure {
                not_picture: true, ..
            }) => Standing::NoPicture,
            Self::Failed(_) => Standing::Failed,
            Self::Done(_) => match self.record().map(|r| r.verdict.decision) {
                Some(Decision::Confident) => Standing::Confident,
                Some(Decision::Rejected) => Standing::Rejected,
                Some(Decision::Uncertain) | None => Standing::Uncertain,
            },
        }
    }
}

/// How a file is to be marked on screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// The model is sure.
    Confident,
    /// It is not.
    Uncertain,
    /// It is not meant for this picture.
    Rejected,
    /// The answer is awaited.
    Queued,
    /// The file could not be read as a picture.
    Failed,
    /// There is no picture in the file.
    NoPicture,
}

/// What the pictures under a folder add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub pictures: usize,
    /// By standing.
    pub standings: BTreeMap<Standing, usize>,
    /// By label, rejected ones left out: for those the model makes no claim.
    pub labels: BTreeMap<String, usize>,
}

impl Tally {
    /// How many stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.standings.get(&standing).copied().unwrap_or(0)
    }

    fn add(&mut self, state: &FileState) {
        self.pictures += 1;
        *self.standings.entry(state.standing()).or_default() += 1;
        if let Some(label) = claim(state) {
            *self.labels.entry(label.to_owned()).or_default() += 1;
        }
    }

    fn subtract(&mut self, state: &FileState) {
        self.pictures = self.pictures.saturating_sub(1);
        subtract_one(&mut self.standings, &state.standing());
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

/// The label that the model stands by.
fn claim(state: &FileState) -> Option<&str> {
    let record = state
        .record()
        .filter(|r| r.verdict.decision != Decision::Rejected)?;
    Some(&record.verdict.label)
}

/// How sure it is that a file is an image at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Its first bytes, or the user, say so.
    Told,
    /// It came, and nobody has looked at it. If it is none, it is forgotten.
    Assumed,
    /// It was none before it changed: it shows no state until it proves to be one.
    Doubted,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    stamp: Stamp,
    /// `None` while it is doubted that it is an image.
    state: Option<FileState>,
    certainty: Certainty,
    /// Generation of the answer in `state`.
    answered: u64,
}

/// The states of all files heard of, and the jobs that bring them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    jobs: Jobs,
    files: HashMap<PathBuf, Known>,
    tallies: HashMap<PathBuf, Tally>,
}

/// What an answer of the engine came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The file has another state.
    State(PathBuf),
    /// The file came, and is no image.
    NoImage(PathBuf),
}

impl Results {
    /// Where a file stands, if it is known to be a picture or was asked about.
    pub fn get(&self, path: &Path) -> Option<&FileState> {
        self.files.get(path).and_then(|known| known.state.as_ref())
    }

    /// The content that is known of a file.
    pub fn stamp(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path).map(|known| known.stamp)
    }

    /// The file was found to be a DICOMDIR.
    pub fn is_index(&self, path: &Path) -> bool {
        matches!(self.get(path), Some(FileState::Failed(failure))
            if failure.kind == ErrorKind::NoPixels && failure.message.starts_with("a DICOMDIR"))
    }

    /// What lies under a folder (at any depth) adds up to this.
    pub fn tally(&self, dir: &Path) -> Option<&Tally> {
        self.tallies.get(dir)
    }

    /// This very content is known (a failure too).
    pub fn knows(&self, path: &Path, stamp: Stamp) -> bool {
        self.files
            .get(path)
            .is_some_and(|known| known.stamp == stamp)
    }

    /// The jobs that bring the results.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The same, for what concerns no single file.
    pub fn jobs_mut(&mut self) -> &mut Jobs {
        &mut self.jobs
    }

    /// The file is asked about: whatever was known of it makes way.
    pub fn ask(&mut self, found: Found, lane: Lane, reason: Reason, certainty: Certainty) {
        self.jobs.request(&found.path, lane, reason, ());
        self.await_answer(found, certainty);
    }

    fn await_answer(&mut self, found: Found, certainty: Certainty) {
        self.forget_one(&found.path);
        let known = Known {
            stamp: found.stamp,
            state: (certainty != Certainty::Doubted).then_some(FileState::Queued),
            certainty,
            answered: 0,
        };
        self.insert(found.path, known);
    }

    /// Rights or times of a file changed. True if it is asked about again for that.
    pub fn touched(&mut self, found: Found) -> bool {
        let again = self.jobs.touched(&found.path, ());
        if again {
            self.await_answer(found, Certainty::Told);
        }
        again
    }

    /// What lies there cannot be looked into, and is not asked about.
    pub fn fail(&mut self, path: &Path, failure: Failure) {
        self.jobs.forget(path);
        self.forget_one(path);
        let known = Known {
            stamp: Stamp::default(),
            state: Some(FileState::Failed(failure)),
            certainty: Certainty::Told,
            answered: 0,
        };
        self.insert(path.to_owned(), known);
    }

    /// It failed without having been looked into.
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

    /// Takes an answer of the engine in; `None` when it changes nothing.
    pub fn answer(&mut self, generation: u64, outcomes: Vec<Outcome>) -> Option<Answer> {
        let ended = self.jobs.answered(generation, outcomes)?;
        let (path, true, End::Answered(outcomes)) = (ended.path, ended.is_there, ended.end) else {
            return None;
        };
        let state = settle(outcomes)?;
        let mut known = self.forget_one(&path)?;
        if known.certainty != Certainty::Told && is_no_image(&state) {
            self.jobs.forget(&path);
            return Some(Answer::NoImage(path));
        }
        known.certainty = Certainty::Told;
        known.state = Some(state);
        known.answered = generation;
        self.insert(path.clone(), known);
        Some(Answer::State(path))
    }

    /// All that is classified, to be scored anew.
    pub fn classified(&self) -> Vec<engine::Known> {
        let files = self.files.iter().filter_map(|(path, known)| {
            let Some(FileState::Done(records)) = &known.state else {
                return None;
            };
            Some(engine::Known {
                path: path.clone(),
                generation: known.answered,
                records: Arc::clone(records),
            })
        });
        files.collect()
    }

    /// Takes in that a file was scored anew; what was answered since stays.
    pub fn rescored(&mut self, file: engine::Known) {
        let Some(known) = self.files.get_mut(&file.path) else {
            return;
        };
        if known.answered != file.generation {
            return;
        }
        let Some(state @ FileState::Done(_)) = &mut known.state else {
            return;
        };
        let before = std::mem::replace(state, FileState::Done(file.records));
        for dir in file.path.ancestors().skip(1) {
            if let Some(tally) = self.tallies.get_mut(dir) {
                tally.subtract(&before);
                tally.add(state);
            }
        }
    }

    /// What another model is to answer for: all pictures but those that cannot be read, and those that wait for an
    /// answer already.
    pub fn answerable(&self) -> Vec<Found> {
        let files = self.files.iter().filter_map(|(path, known)| {
            let depends = match known.state.as_ref()? {
                FileState::Done(_) => true,
                FileState::Failed(failure) => failure.kind == ErrorKind::Internal,
                FileState::Queued => false,
            };
            depends.then(|| Found {
                path: path.clone(),
                stamp: known.stamp,
            })
        });
        let mut files: Vec<Found> = files.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// The file, or all files under the folder, are gone.
    pub fn removed(&mut self, path: &Path) {
        self.jobs.removed(path);
        for path in self.under(path) {
            self.forget_one(&path);
        }
    }

    /// Nobody wants to know anything of the file.
    pub fn forget(&mut self, path: &Path) {
        self.jobs.forget(path);
        self.forget_one(path);
    }

    /// The file, or all under the folder, lie elsewhere now.
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

    /// How many files wait for an answer.
    pub fn queued_count(&self) -> usize {
        self.tallies
            .get(Path::new("/"))
            .map_or(0, |tally| tally.count(Standing::Queued))
    }

    /// The file, or the files under the folder, in the order of their names.
    fn under(&self, path: &Path) -> Vec<PathBuf> {
        if self.files.contains_key(path) {
            return vec![path.to_owned()];
        }
        let files = self.files.keys().filter(|file| file.starts_with(path));
        let mut files: Vec<PathBuf> = files.cloned().collect();
        files.sort();
        files
    }

    fn forget_one(&mut self, path: &Path) -> Option<Known> {
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

    /// Adds a file of which nothing is known.
    fn insert(&mut self, path: PathBuf, known: Known) {
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

/// There is nothing of an image in the file: not even a DICOM object without pixels, of which there is more to say.
fn is_no_image(state: &FileState) -> bool {
    matches!(state, FileState::Failed(failure)
        if failure.not_picture && failure.kind != ErrorKind::NoPixels)
}

/// One state from the outcomes of all frames: the records if there are any, else the first failure.
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
            Found { path, stamp },
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

    fn unsupported(not_picture: bool) -> Vec<Outcome> {
        vec![Err(Failure {
            kind: ErrorKind::Unsupported,
            message: "x".to_owned(),
            not_picture,
        })]
    }

    #[test]
    fn an_answer_about_an_older_content_is_dropped() {
        let mut results = Results::default();
        let old = ask(&mut results, "/d/a", 1, Certainty::Told);
        let new = ask(&mut results, "/d/a", 2, Certainty::Told);
        assert_eq!(results.answer(old, unsupported(false)), None);
        assert_eq!(results.get(Path::new("/d/a")), Some(&FileState::Queued));
        assert!(results.answer(new, unsupported(false)).is_some());
        assert_eq!(results.answer(99, unsupported(false)), None, "never asked");
    }

    #[test]
    fn a_renamed_folder_takes_its_results_along_and_what_was_awaited() {
        let mut results = Results::default();
        let first = ask(&mut results, "/r/a/1", 1, Certainty::Told);
        ask(&mut results, "/r/a/2", 2, Certainty::Told);
        results.answer(first, unsupported(false));
        results.rename(Path::new("/r/a"), Path::new("/r/b/c"));
        let state = |path: &str| results.get(Path::new(path)).map(FileState::standing);
        assert_eq!(state("/r/b/c/1"), Some(Standing::Failed));
        assert_eq!(state("/r/b/c/2"), Some(Standing::Queued));
        assert_eq!(state("/r/a/1"), None);
        assert_eq!(results.tally(Path::new("/r/a")), None);
        let tally = results.tally(Path::new("/r/b"));
        assert_eq!(tally.map(|t| t.count(Standing::Failed)), Some(1));
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
            results.answer(generation, unsupported(true));
            assert_eq!(results.get(path).is_some(), kept, "{certainty:?}");
            assert_eq!(results.tally(Path::new("/d")).is_some(), kept);
        }
        let mut results = Results::default();
        let generation = ask(&mut results, "/d/a", 1, Certainty::Doubted);
        results.answer(generation, unsupported(false));
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
                        let found = Found { path: path(f), stamp: stamp(1) };
                        results.ask(found, Lane::Bulk, Reason::Wanted, certainty);
                    }
                    Step::Answer(g, not_picture) => {
                        results.jobs_mut().commands();
                        results.answer(g, unsupported(not_picture));
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
