//! What is known of each file: one state a path, and a tally a folder, kept as the states change.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Found, Stamp};
use crate::engine;
use crate::library::{Failure, Outcome, Record};
use crate::media::ErrorKind;
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

#[derive(Clone, Debug, PartialEq)]
struct Known {
    stamp: Stamp,
    state: FileState,
    /// Answers of older generations are about another content.
    since: u64,
    /// Generation of the answer in `state`, so that answers in any order end with the same.
    answered: u64,
    /// It has been given to the interactive lane.
    ahead: bool,
}

/// The states of all files heard of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    files: HashMap<PathBuf, Known>,
    tallies: HashMap<PathBuf, Tally>,
}

impl Results {
    /// Where a file stands, if it is known to be a picture or was asked about.
    pub fn get(&self, path: &Path) -> Option<&FileState> {
        self.files.get(path).map(|known| &known.state)
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

    /// The file is asked about: whatever was known of it makes way.
    pub fn ask(&mut self, path: &Path, stamp: Stamp, generation: u64, ahead: bool) {
        self.forget_one(path);
        let known = Known {
            stamp,
            state: FileState::Queued,
            since: generation,
            answered: 0,
            ahead,
        };
        self.count(path, &known.state);
        self.files.insert(path.to_owned(), known);
    }

    /// What lies there cannot be looked into, and is not asked about.
    pub fn fail(&mut self, path: &Path, failure: Failure) {
        self.forget_one(path);
        let known = Known {
            stamp: Stamp::default(),
            state: FileState::Failed(failure),
            since: 0,
            answered: 0,
            ahead: false,
        };
        self.count(path, &known.state);
        self.files.insert(path.to_owned(), known);
    }

    /// It failed without having been looked into.
    pub fn is_unreadable(&self, path: &Path) -> bool {
        let known = self.files.get(path);
        known.is_some_and(|known| {
            known.stamp == Stamp::default() && matches!(known.state, FileState::Failed(_))
        })
    }

    /// Says whether the file waits among others; from then on it counts as going ahead.
    pub fn promote(&mut self, path: &Path) -> bool {
        match self.files.get_mut(path) {
            Some(known) if known.state == FileState::Queued && !known.ahead => {
                known.ahead = true;
                true
            }
            _ => false,
        }
    }

    /// Takes an answer in; `false` when nobody waits for it any more.
    pub fn answer(&mut self, path: &Path, generation: u64, outcomes: Vec<Outcome>) -> bool {
        let Some(known) = self.files.get(path) else {
            return false;
        };
        if generation < known.since || generation < known.answered {
            return false;
        }
        let Some(state) = settle(outcomes) else {
            return false;
        };
        let (stamp, since, ahead) = (known.stamp, known.since, known.ahead);
        self.forget_one(path);
        self.count(path, &state);
        self.files.insert(
            path.to_owned(),
            Known {
                stamp,
                state,
                since,
                answered: generation,
                ahead,
            },
        );
        true
    }

    /// All that is classified, to be scored anew.
    pub fn classified(&self) -> Vec<engine::Known> {
        let files = self.files.iter().filter_map(|(path, known)| {
            let FileState::Done(records) = &known.state else {
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
        if known.answered != file.generation || !matches!(known.state, FileState::Done(_)) {
            return;
        }
        let before = std::mem::replace(&mut known.state, FileState::Done(file.records));
        let now = known.state.clone();
        for dir in file.path.ancestors().skip(1) {
            if let Some(tally) = self.tallies.get_mut(dir) {
                tally.subtract(&before);
                tally.add(&now);
            }
        }
    }

    /// What the model is to answer for: all pictures but those that cannot be read.
    pub fn answerable(&self) -> Vec<Found> {
        let files = self.files.iter().filter_map(|(path, known)| {
            let depends = match &known.state {
                FileState::Queued | FileState::Done(_) => true,
                FileState::Failed(failure) => failure.kind == ErrorKind::Internal,
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
    pub fn forget(&mut self, path: &Path) {
        for path in self.under(path) {
            self.forget_one(&path);
        }
    }

    /// The file, or all under the folder, lie elsewhere now. What is returned was still awaited under its old name: it has to be
    /// asked about again.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Vec<(PathBuf, Stamp)> {
        // What lay there is overwritten.
        if !to.starts_with(from) && !from.starts_with(to) {
            self.forget(to);
        }
        let mut again = Vec::new();
        for old in self.under(from) {
            let Some(known) = self.forget_one(&old) else {
                continue;
            };
            let new = match old.strip_prefix(from) {
                Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
                Ok(rest) => to.join(rest),
                Err(_) => continue,
            };
            self.forget_one(&new);
            if known.state == FileState::Queued {
                again.push((new, known.stamp));
            } else {
                self.count(&new, &known.state);
                self.files.insert(new, known);
            }
        }
        again.sort();
        again
    }

    /// How many files wait for an answer.
    pub fn queued_count(&self) -> usize {
        self.tallies
            .get(Path::new("/"))
            .map_or(0, |tally| tally.count(Standing::Queued))
    }

    fn under(&self, path: &Path) -> Vec<PathBuf> {
        if self.files.contains_key(path) {
            return vec![path.to_owned()];
        }
        self.files
            .keys()
            .filter(|file| file.starts_with(path))
            .cloned()
            .collect()
    }

    fn forget_one(&mut self, path: &Path) -> Option<Known> {
        let known = self.files.remove(path)?;
        for dir in path.ancestors().skip(1) {
            if let Some(tally) = self.tallies.get_mut(dir) {
                tally.subtract(&known.state);
                if tally.pictures == 0 {
                    self.tallies.remove(dir);
                }
            }
        }
        Some(known)
    }

    fn count(&mut self, path: &Path, state: &FileState) {
        for dir in path.ancestors().skip(1) {
            match self.tallies.get_mut(dir) {
                Some(tally) => tally.add(state),
                None => self.tallies.entry(dir.to_owned()).or_default().add(state),
            }
        }
    }
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
    use crate::media::ErrorKind;
    use proptest::prelude::*;

    fn failure(message: &str) -> Vec<Outcome> {
        vec![Err(Failure {
            kind: ErrorKind::Truncated,
            message: message.to_owned(),
            not_picture: false,
        })]
    }

    fn stamp(size: u64) -> Stamp {
        Stamp {
            modified: None,
            size,
        }
    }

    #[test]
    fn an_answer_about_an_older_content_is_dropped() {
        let mut results = Results::default();
        let path = Path::new("/d/a");
        results.ask(path, stamp(1), 5, false);
        results.ask(path, stamp(2), 8, false);
        assert!(!results.answer(path, 5, failure("old")));
        assert_eq!(results.get(path), Some(&FileState::Queued));
        assert!(results.answer(path, 8, failure("new")));
        assert!(!results.answer(Path::new("/d/never-asked"), 9, failure("x")));
    }

    #[test]
    fn a_renamed_folder_takes_its_results_along_and_asks_again_for_what_was_awaited() {
        let mut results = Results::default();
        results.ask(Path::new("/r/a/1"), stamp(1), 1, false);
        results.ask(Path::new("/r/a/2"), stamp(2), 1, false);
        results.answer(Path::new("/r/a/1"), 1, failure("cut"));
        let again = results.rename(Path::new("/r/a"), Path::new("/r/b/c"));
        assert_eq!(again, [(PathBuf::from("/r/b/c/2"), stamp(2))]);
        assert!(
            results.get(Path::new("/r/b/c/1")).is_some()
                && results.get(Path::new("/r/a/1")).is_none()
        );
        assert_eq!(results.tally(Path::new("/r/a")), None);
        assert_eq!(
            results
                .tally(Path::new("/r/b"))
                .map(|t| t.count(Standing::Failed)),
            Some(1)
        );
    }

    #[test]
    fn a_file_goes_ahead_once() {
        let mut results = Results::default();
        results.ask(Path::new("/a"), stamp(1), 1, false);
        assert!(results.promote(Path::new("/a")) && !results.promote(Path::new("/a")));
        assert!(!results.promote(Path::new("/unknown")));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask(u8, u64),
        Answer(u8, u64),
        Forget(u8),
        Rename(u8, u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..6u8, 0..9u64).prop_map(|(f, g)| Step::Ask(f, g)),
            (0..6u8, 0..9u64).prop_map(|(f, g)| Step::Answer(f, g)),
            (0..8u8).prop_map(Step::Forget),
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
                    Step::Ask(f, g) => results.ask(&path(f), stamp(g), g, false),
                    Step::Answer(f, g) => { results.answer(&path(f), g, failure("x")); }
                    Step::Forget(f) => results.forget(&path(f)),
                    Step::Rename(f, t) if (f < 6) == (t < 6) && f != t => { results.rename(&path(f), &path(t)); }
                    Step::Rename(..) => {}
                }
            }
            let mut expected = HashMap::new();
            for (file, known) in &results.files {
                for dir in file.ancestors().skip(1) {
                    expected.entry(dir.to_owned()).or_insert_with(Tally::default).add(&known.state);
                }
            }
            prop_assert_eq!(&results.tallies, &expected);
        }
    }
}
